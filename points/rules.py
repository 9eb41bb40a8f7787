"""Which triggers fire and what they pay: pure, whole points."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import prod
from typing import Final

from msgspec import Struct

from core.refusal import Refusal, RefusalReason
from metrics.rules import EXACT, Total

# The greatest whole number that every SDK's language holds exactly (IEEE 754 doubles).
POINTS_LIMIT: Final = 2**53 - 1


class Rounding(StrEnum):
    """What happens to the fraction of a point; nearest is half up."""

    DOWN = "down"
    NEAREST = "nearest"
    UP = "up"


STRICTEST: Final = (Rounding.DOWN, Rounding.NEAREST, Rounding.UP)
"""Where boosts disagree on rounding, the first of these that one of them asks for."""

ADJUSTMENT: Final = "adjustment"
"""The cause of an award that an operator made."""

MULTIPLIER_SCALE: Final = 10_000
"""Multipliers have 4 decimal places: times this they are whole."""


@dataclass(frozen=True, slots=True)
class AppliedBoost:
    """A boost that multiplies an award, as the ledger keeps it. `multiplier` is exact, to 4 decimal places."""

    id: str
    name: str
    start: date
    end: date | None
    multiplier: Decimal
    rounding: Rounding


NO_BOOSTS: Final[tuple[AppliedBoost, ...]] = ()


@dataclass(frozen=True, slots=True)
class SystemRule:
    """An active points system as the rule book knows it; `version` as the ledger keeps it (points.versions)."""

    id: str
    key: str
    name: str
    max_points: int | None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class TriggerRule:
    """An active trigger as the rule book knows it. `order` is its place among all: by creation, then id.

    `version` is what the ledger keeps of it (points.versions), None for a draft.
    """

    id: str
    system_id: str
    cause: str
    points: int
    order: int
    user_filter: tuple[tuple[str, str], ...] = ()
    metric_id: str | None = None
    threshold: int = 1
    event_filter: str = ""
    block_if_out_of_points: bool = False
    streak_length: int = 1
    achievement_id: str | None = None
    version: int | None = None


class Balance(Struct, frozen=True, gc=False):
    """What a user holds in a system, and the number of the ledger's last line."""

    total: int = 0
    seq: int = 0


class Firing(Struct, frozen=True, gc=False):
    """A trigger that fires, `times` over."""

    trigger: TriggerRule
    times: int = 1


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Points that an operator gives a user, or takes, and why."""

    points: int
    reason: str
    operator: str


class Award(Struct, frozen=True, gc=False):
    """A line for the ledger: `awarded` points, and the `total` that the user then holds.

    It was a trigger's or an operator's, who says why in `adjustment`; `version` is that of the rule.
    """

    system_id: str
    cause: str
    seq: int
    awarded: int
    total: int
    trigger_id: str | None = None
    boosts: tuple[AppliedBoost, ...] = NO_BOOSTS
    adjustment: Adjustment | None = None
    version: int | None = None


def crossings(before: Decimal, after: Decimal, threshold: int) -> int:
    """Return how many multiples of `threshold` lie above the peak `before` and at most at the peak `after`."""
    return int(EXACT.divide_int(after, threshold)) - int(EXACT.divide_int(before, threshold))


def fired_by_metric(
    triggers: Iterable[TriggerRule], before: Mapping[str, Total], after: Mapping[str, Total]
) -> list[Firing]:
    """Return the firings of `triggers` when the totals, by event filter, move from `before` to `after`.

    A trigger whose filter is not in `after` looks at other events than this one.
    """
    firings = []
    for trigger in triggers:
        new = after.get(trigger.event_filter)
        if new is None:
            continue
        times = crossings(before[trigger.event_filter].peak, new.peak, trigger.threshold)
        if times:
            firings.append(Firing(trigger, times))
    return firings


def clamp(amount: int, total: int, max_points: int | None) -> int:
    """Return what of `amount` can be awarded, or taken, at a balance of `total`.

    An award stops at the maximum and takes nothing from who is above it; a deduction stops at 0.
    """
    if amount < 0:
        return max(amount, -total)
    ceiling = POINTS_LIMIT if max_points is None else max_points
    return min(amount, max(0, ceiling - total))


def boosted(points: int, boosts: Sequence[AppliedBoost]) -> int:
    """Return `points` times every multiplier: the exact product, rounded once. Deductions are not boosted."""
    if points <= 0 or not boosts:
        return points
    numerator: int = points * prod(int(boost.multiplier * MULTIPLIER_SCALE) for boost in boosts)
    denominator: int = MULTIPLIER_SCALE ** len(boosts)
    asked = {boost.rounding for boost in boosts}
    rounding = next(each for each in STRICTEST if each in asked)
    if rounding == Rounding.DOWN:
        return numerator // denominator
    if rounding == Rounding.NEAREST:
        return (2 * numerator + denominator) // (2 * denominator)
    return -(-numerator // denominator)


def pay(
    firings: Iterable[Firing],
    balances: Mapping[str, Balance],
    systems: Mapping[str, SystemRule],
    boosts: Mapping[str, tuple[AppliedBoost, ...]],
) -> tuple[dict[str, Balance], list[Award]]:
    """Return the balances (by system id) and the ledger's new lines after paying `firings` in their order.

    `boosts` are those that apply, by system id. Raises Refusal where a trigger that must not run out of points does.
    """
    after, awards = dict(balances), []
    for firing in firings:
        trigger = firing.trigger
        balance = after.get(trigger.system_id) or Balance()
        amount = trigger.points * firing.times
        if trigger.block_if_out_of_points and balance.total < -amount:
            raise _out_of_points(systems[trigger.system_id], balance.total, -amount)
        applied = boosts.get(trigger.system_id, NO_BOOSTS) if amount > 0 else NO_BOOSTS
        awarded = clamp(boosted(amount, applied), balance.total, systems[trigger.system_id].max_points)
        if awarded:
            balance = Balance(total=balance.total + awarded, seq=balance.seq + 1)
            after[trigger.system_id] = balance
            awards.append(
                Award(
                    system_id=trigger.system_id,
                    cause=trigger.cause,
                    seq=balance.seq,
                    awarded=awarded,
                    total=balance.total,
                    trigger_id=trigger.id,
                    boosts=applied,
                    version=trigger.version,
                )
            )
    return after, awards


def adjust(adjustment: Adjustment, system: SystemRule, balance: Balance) -> Award:
    """Return the ledger's line for an adjustment: clamped as any award, never boosted.

    Raises Refusal where nothing would move, so that no operator believes that something did.
    """
    awarded = clamp(adjustment.points, balance.total, system.max_points)
    if not awarded:
        raise Refusal(
            RefusalReason.INVALID,
            f"points: {adjustment.points:+} {system.key} would move nothing, the user has {balance.total}.",
        )
    return Award(
        system_id=system.id,
        cause=ADJUSTMENT,
        seq=balance.seq + 1,
        awarded=awarded,
        total=balance.total + awarded,
        adjustment=adjustment,
        version=system.version,
    )


def _out_of_points(system: SystemRule, balance: int, need: int) -> Refusal:
    return Refusal(
        RefusalReason.OUT_OF_POINTS,
        f"Not enough points in {system.key}: the event needs {need} and the user has {balance}.",
    )
