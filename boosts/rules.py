"""Which boosts apply, and what their status is: pure, whole days of the user's own calendar."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import prod

from points.rules import STRICTEST, AppliedBoost, Rounding
from users.rules import User, local_date, matches

FIRST_ZONE = timedelta(hours=14)
"""How far the zone is ahead of UTC where each day begins first (Pacific/Kiritimati)."""
LAST_ZONE = timedelta(hours=12)
"""How far the zone is behind UTC where each day ends last (Etc/GMT+12)."""


class BoostPhase(StrEnum):
    """Where a boost is in its life."""

    INACTIVE = "inactive"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class BoostRule:
    """An activated boost: it counts from `activated` to `finished` (None: not stopped), on its days."""

    applied: AppliedBoost
    system_id: str
    order: int
    activated: datetime
    finished: datetime | None = None
    user_filter: tuple[tuple[str, str], ...] = ()


def boosts_of(boosts: Iterable[BoostRule], user: User, at: datetime) -> dict[str, tuple[AppliedBoost, ...]]:
    """Return those of `boosts` that multiply what `user` is awarded at `at`, by the id of the points system."""
    today = local_date(at, user.tz)
    by_system: dict[str, tuple[AppliedBoost, ...]] = {}
    for rule in sorted(boosts, key=lambda rule: (rule.order, rule.applied.id)):
        if applies(rule, today, user.attributes, at):
            by_system[rule.system_id] = (*by_system.get(rule.system_id, ()), rule.applied)
    return by_system


def applies(rule: BoostRule, today: date, attributes: Mapping[str, str], at: datetime) -> bool:
    """Tell whether a boost multiplies at `at`, which is `today` where the user is."""
    boost = rule.applied
    return (
        boost.start <= today
        and (boost.end is None or today <= boost.end)
        and rule.activated <= at
        and (rule.finished is None or at < rule.finished)
        and matches(rule.user_filter, attributes)
    )


def phase_of(start: date, end: date | None, *, at: datetime, tz: str | None, is_of_user: bool) -> BoostPhase:
    """Return where an activated boost that was not stopped is at `at`.

    For everyone: scheduled until its first day has begun somewhere on Earth, finished when its last has ended
    everywhere. As one user sees it (`is_of_user`): by their zone `tz`, without one UTC.
    """
    if is_of_user:
        first = last = local_date(at, tz)
    else:
        first = (at.astimezone(UTC) + FIRST_ZONE).date()
        last = (at.astimezone(UTC) - LAST_ZONE).date()
    if first < start:
        return BoostPhase.SCHEDULED
    return BoostPhase.FINISHED if end is not None and last > end else BoostPhase.ACTIVE


@dataclass(frozen=True, slots=True)
class Planned:
    """A boost for more than one user as a calendar shows it: on which days it counts, if at all.

    `first` and `last` (None: no end) are its days but for those before its activation and after it was stopped.
    """

    id: str
    first: date
    last: date | None
    multiplier: Decimal
    rounding: Rounding
    is_for_everyone: bool
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """What awards are multiplied by on a day: the exact product, rounded once by the strictest rounding."""

    multiplier: Decimal
    rounding: Rounding


@dataclass(frozen=True, slots=True)
class DayRate:
    """The rates of a day: of every user, and of one who is in the audience of all boosts; None where none counts."""

    day: date
    everyone: Rate | None
    at_most: Rate | None


def days_between(first: date, last: date) -> list[date]:
    """Return the days from the first to the last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def shown_days(first: date, last: date | None, shown: Sequence[date]) -> tuple[int, int] | None:
    """Return the places of the first and the last day among the days that are `shown`; None where none is there."""
    begin, end = max(first, shown[0]), shown[-1] if last is None else min(last, shown[-1])
    return ((begin - shown[0]).days, (end - shown[0]).days) if begin <= end else None


def effective_days(
    start: date, end: date | None, activated: datetime | None, finished: datetime | None
) -> tuple[date, date | None]:
    """Return the days, by UTC, on which a boost counts at some time: from its activation, until it was stopped.

    The last is before the first where it never counts.
    """
    first = start if activated is None else max(start, local_date(activated, None))
    if finished is None:
        return first, end
    stopped = local_date(finished, None)
    return first, stopped if end is None else min(end, stopped)


def rate_of(boosts: Iterable[Planned]) -> Rate | None:
    """Return what boosts that apply together multiply by; None where there are none."""
    together = list(boosts)
    if not together:
        return None
    asked = {boost.rounding for boost in together}
    rounding = next(each for each in STRICTEST if each in asked)
    return Rate(prod((boost.multiplier for boost in together), start=Decimal(1)), rounding)


def day_rates(boosts: Sequence[Planned], days: Iterable[date]) -> list[DayRate]:
    """Return the rates of each day."""
    rates = []
    for day in days:
        on = [each for each in boosts if each.counts and shown_days(each.first, each.last, (day,)) is not None]
        rates.append(DayRate(day, rate_of(each for each in on if each.is_for_everyone), rate_of(on)))
    return rates
