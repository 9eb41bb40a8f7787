"""How streaks grow and end: pure, whole days of the user's own calendar, so that no clock change can matter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from metrics.rules import EXACT

STREAK_LENGTH_MAX: Final = 100_000

PERIODS_KEPT: Final = 3
"""Of how many periods amounts are kept. Local dates on Earth never differ by more than two days (UTC-12 to UTC+14)."""


class Frequency(StrEnum):
    """How long a period is: a day, a week from Monday to Sunday, or a calendar month."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class StreakRule:
    """The streak's settings: by metric id, from which amount in a period it counts; none: any positive event does."""

    frequency: Frequency = Frequency.DAILY
    requires_all: bool = False
    thresholds: Mapping[str, Decimal] = field(default_factory=dict)


Amounts = Mapping[str, Mapping[date, Decimal]]
"""What a user did in a period, by metric id and the period's first day."""


class Streak(Struct, frozen=True, gc=False):
    """A user's streak. `period` is the first day of the last period that counted, `extended` when it did.

    `length` 0 is no streak: then `started`, `period` and `extended` are None.
    """

    frequency: Frequency = Frequency.DAILY
    length: int = 0
    started: date | None = None
    period: date | None = None
    extended: datetime | None = None
    amounts: Amounts = msgspec.field(default_factory=dict)

    @property
    def expires(self) -> date | None:
        """The last day on which it can be extended: that of the period after the last one that counted."""
        return None if self.period is None else period_end(next_period(self.period, self.frequency), self.frequency)


def period_start(day: date, frequency: Frequency) -> date:
    """Return the first day of the period that `day` is in."""
    if frequency == Frequency.DAILY:
        return day
    if frequency == Frequency.WEEKLY:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1)


_DAY: Final = timedelta(days=1)
_LONGEST: Final = {Frequency.DAILY: _DAY, Frequency.WEEKLY: 7 * _DAY, Frequency.MONTHLY: 31 * _DAY}


def next_period(start: date, frequency: Frequency) -> date:
    """Return the first day of the period after the one that begins on `start`."""
    return period_start(start + _LONGEST[frequency], frequency)


def previous_period(start: date, frequency: Frequency) -> date:
    """Return the first day of the period before the one that begins on `start`."""
    return period_start(start - _DAY, frequency)


def period_end(start: date, frequency: Frequency) -> date:
    """Return the last day of the period that begins on `start`."""
    return next_period(start, frequency) - _DAY


def last_expired(today: date, frequency: Frequency) -> date:
    """Return the newest period which, had it been the last to count, would have let the streak expire by `today`."""
    return previous_period(previous_period(period_start(today, frequency), frequency), frequency)


def after_expiry(streak: Streak, today: date) -> Streak:
    """Return the streak as it is on the user's `today`: none where the last period to extend it has passed."""
    if streak.expires is None or today <= streak.expires:
        return streak
    return replace(streak, length=0, started=None, period=None, extended=None)


def after_move(streak: Streak, today: date) -> Streak:
    """Return a running streak as it is in the zone that the user came to, where it may be `today` days ahead.

    Days that this user's calendar skipped break nothing: the last period moves along, so that the streak can still be
    extended today.
    """
    if streak.expires is None or today <= streak.expires:
        return streak
    return replace(streak, period=previous_period(period_start(today, streak.frequency), streak.frequency))


def count_event(rule: StreakRule, streak: Streak, metric_id: str, value: Decimal, today: date, at: datetime) -> Streak:
    """Return the streak after an event on the user's `today`; its length grows at most once in a period.

    An event before the last counted period (the user moved zones) counts in that one. A streak of another frequency
    than the rule's ends with the event, which may begin a new one.
    """
    streak = after_expiry(streak, today)
    if streak.frequency != rule.frequency:
        streak = Streak(frequency=rule.frequency)
    period = period_start(today, rule.frequency)
    if streak.period is not None:
        period = max(period, streak.period)
    if rule.thresholds:
        streak = replace(streak, amounts=_add_amount(streak.amounts, metric_id, period, value))
    if period == streak.period or not _counts(rule, streak.amounts, period, value):
        return streak
    if streak.period is None:
        return replace(streak, length=1, started=today, period=period, extended=at)
    return replace(streak, length=min(streak.length + 1, STREAK_LENGTH_MAX), period=period, extended=at)


def is_extended(before: Streak, after: Streak) -> bool:
    """Tell whether a period was counted between the two."""
    return after.length > 0 and (before.frequency, before.period) != (after.frequency, after.period)


def is_lost(before: Streak, after: Streak) -> bool:
    """Tell whether a streak ended between the two, be it that another began."""
    return before.length > 0 and (after.started, after.frequency) != (before.started, before.frequency)


def _add_amount(amounts: Amounts, metric_id: str, period: date, value: Decimal) -> Amounts:
    """Return the amounts with `value` added, those of all but the newest periods dropped."""
    of_metric = amounts.get(metric_id, {})
    sum_ = EXACT.add(of_metric.get(period, Decimal(0)), value)
    added = {**amounts, metric_id: {**of_metric, period: sum_}}
    kept = sorted({each for periods in added.values() for each in periods})[-PERIODS_KEPT:]
    newest = {
        id_: {each: amount for each, amount in periods.items() if each >= kept[0]} for id_, periods in added.items()
    }
    return {id_: periods for id_, periods in newest.items() if periods}


def _counts(rule: StreakRule, amounts: Amounts, period: date, value: Decimal) -> bool:
    """Tell whether what was done in the period is enough."""
    if not rule.thresholds:
        return value > 0
    reached = [
        amounts.get(metric_id, {}).get(period, Decimal(0)) >= threshold
        for metric_id, threshold in rule.thresholds.items()
    ]
    return all(reached) if rule.requires_all else any(reached)
