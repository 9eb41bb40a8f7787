"""Why an award is what it is: its sum, worked out again from what is stored, step by step. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from metrics.rules import EXACT
from points.rules import NO_BOOSTS, STRICTEST, AppliedBoost, Rounding, boosted, clamp, crossings

_POINTS_SEARCHED: Final = 3
"""How far from the quotient the points are looked for: rounding moves an award by less than 1, them by at most 2."""


class Limit(StrEnum):
    """What cut an award short."""

    NONE = "none"
    MAXIMUM = "maximum"
    ZERO = "zero"


class Basis(StrEnum):
    """How the sum of an award is known."""

    AS_KNOWN = "as known"
    """The rule as its history has it, or the amount that was asked for, gives the award."""
    OTHER_POINTS = "other points"
    """Which version of the trigger paid is doubtful: the points that it paid follow from the award."""
    OTHER_MAXIMUM = "other maximum"
    """Which maximum held is doubtful: it follows from the balance after the award."""
    UNKNOWN = "unknown"
    """Which rule it was, or what was asked for, cannot be told from what is stored."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """How the highest total moved, and which multiples of the threshold it passed: the first, the last, how many."""

    threshold: int
    before: Decimal
    after: Decimal
    first: int
    last: int
    times: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored of an award, and its rule as it was.

    `points` is what the trigger paid each time, or what an operator asked for; None if nobody kept it. `times` is
    how often it fired by its threshold, 0 where the rule is doubtful and would not have. `trigger_doubtful` and
    `system_doubtful` are whether the history does not say for sure what they were.
    """

    awarded: int
    total: int
    points: int | None
    times: int = 1
    boosts: tuple[AppliedBoost, ...] = NO_BOOSTS
    max_points: int | None = None
    trigger_doubtful: bool = False
    system_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Sum:
    """An award step by step: points x times = amount, boosted to `product`, rounded to `rounded`, cut to `awarded`.

    `rounding` is the one that won, None where no boost multiplied. `before` + `awarded` = `after`.
    """

    points: int
    times: int
    amount: int
    product: Fraction
    rounding: Rounding | None
    rounded: int
    max_points: int | None
    limit: Limit
    before: int
    awarded: int
    after: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The award's sum, None if it cannot be told; `known` is what the rule as it is known would have awarded."""

    basis: Basis
    sum: Sum | None
    known: Sum | None


def crossing_of(before: Decimal, after: Decimal, threshold: int) -> Crossing:
    """Return how the peak's move from `before` to `after` passes multiples of `threshold`; both are at least 0."""
    times = crossings(before, after, threshold)
    last = int(EXACT.divide_int(after, Decimal(threshold))) * threshold
    return Crossing(threshold, before, after, first=last - (times - 1) * threshold, last=last, times=times)


def explain(facts: Facts) -> Explanation:
    """Return the sum that ends in the award, as far as what is stored tells it: never one that ends elsewhere."""
    known = None if facts.points is None or not facts.times else _work_out(facts, facts.points, facts.max_points)
    if known is not None and known.awarded == facts.awarded:
        return Explanation(Basis.AS_KNOWN, known, known)
    if not facts.times:
        return Explanation(Basis.UNKNOWN, None, None)
    # A maximum limits what is given, never what is taken.
    other_maximum = facts.system_doubtful and facts.awarded > 0
    if facts.trigger_doubtful and not other_maximum and (sum_ := _with_other_points(facts)):
        return Explanation(Basis.OTHER_POINTS, sum_, known)
    if other_maximum and not facts.trigger_doubtful and (sum_ := _with_other_maximum(facts)):
        return Explanation(Basis.OTHER_MAXIMUM, sum_, known)
    return Explanation(Basis.UNKNOWN, None, known)


def _with_other_points(facts: Facts) -> Sum | None:
    """Return the sum of the only points that give the award, None where none do, or several."""
    factor = _product(Fraction(facts.times), facts.boosts if facts.awarded > 0 else NO_BOOSTS)
    if factor < Fraction(1, 2):
        return None  # at least two amounts are rounded to the same award
    near = int(Fraction(facts.awarded) / factor)
    around = range(near - _POINTS_SEARCHED, near + _POINTS_SEARCHED + 1)
    tried = (_work_out(facts, points, facts.max_points) for points in around if points)
    found = [each for each in tried if each.awarded == facts.awarded]
    # Where more would have been cut to the same award, nobody can say how many there were.
    return found[0] if len(found) == 1 and found[0].limit == Limit.NONE else None


def _with_other_maximum(facts: Facts) -> Sum | None:
    """Return the sum that an earlier maximum cut, or did not: the maximum is then the balance at which it stopped."""
    if facts.points is None:
        return None
    tried = (_work_out(facts, facts.points, maximum) for maximum in (None, facts.total))
    return next((each for each in tried if each.awarded == facts.awarded), None)


def _work_out(facts: Facts, points: int, max_points: int | None) -> Sum:
    """Return the sum of an award of these points at this maximum, by the very functions that pay."""
    before = facts.total - facts.awarded
    amount = points * facts.times
    boosts = facts.boosts if amount > 0 else NO_BOOSTS
    rounded = boosted(amount, boosts)
    awarded = clamp(rounded, before, max_points)
    return Sum(
        points=points,
        times=facts.times,
        amount=amount,
        product=_product(Fraction(amount), boosts),
        rounding=_rounding(boosts),
        rounded=rounded,
        max_points=max_points,
        limit=_limit(rounded, awarded),
        before=before,
        awarded=awarded,
        after=before + awarded,
    )


def _product(amount: Fraction, boosts: Sequence[AppliedBoost]) -> Fraction:
    for boost in boosts:
        amount *= Fraction(boost.multiplier)
    return amount


def _rounding(boosts: Sequence[AppliedBoost]) -> Rounding | None:
    asked = {boost.rounding for boost in boosts}
    return next((each for each in STRICTEST if each in asked), None)


def _limit(rounded: int, awarded: int) -> Limit:
    if rounded == awarded:
        return Limit.NONE
    return Limit.MAXIMUM if rounded > 0 else Limit.ZERO
