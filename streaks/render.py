"""Streaks on the wire."""

from collections.abc import Mapping
from datetime import date
from typing import TypedDict

from core.json import iso_instant
from streaks.rules import Frequency, Streak, StreakRule, period_end, period_start, previous_period


class BaseStreakJson(TypedDict):
    """A user's streak: how long, since when, its last counted period, and the last day to extend it."""

    length: int
    frequency: str
    started: str | None
    periodStart: str | None
    periodEnd: str | None
    expires: str | None


class EventStreakJson(BaseStreakJson):
    """The user's streak after an event, and whether the event extended it."""

    extended: bool


class StreakPeriodJson(TypedDict):
    """A period, and how long the streak was in it: 0 where it did not count."""

    periodStart: str
    periodEnd: str
    length: int
    usedPause: bool


class StreakJson(BaseStreakJson):
    """The user's streak with its history, the oldest period first. There are no pauses."""

    extended: str | None
    streakHistory: list[StreakPeriodJson]
    pauses: list[str]


class BulkStreakJson(TypedDict):
    """One user's streak among many."""

    userId: str
    streakLength: int
    extended: str | None


def render_event_streak(streak: Streak, rule: StreakRule, *, extended: bool) -> EventStreakJson:
    """Return the wire's shape of the streak after an event."""
    return {**render_base_streak(streak, rule), "extended": extended}


def render_streak(streak: Streak, rule: StreakRule, lengths: Mapping[date, int], starts: list[date]) -> StreakJson:
    """Return the wire's shape of a streak; `lengths` are those of the periods that counted, of the periods `starts`.

    The current period, though not counted yet, has the length of the streak that still runs.
    """
    frequency = shown_frequency(streak, rule)
    return {
        **render_base_streak(streak, rule),
        "extended": iso_instant(streak.extended) if streak.extended else None,
        "streakHistory": [
            _period(start, frequency, lengths.get(start, streak.length if start == starts[-1] else 0))
            for start in starts
        ],
        "pauses": [],
    }


def history_starts(streak: Streak, rule: StreakRule, today: date, periods: int) -> list[date]:
    """Return the first days of the last `periods` periods, the current one included, the oldest first."""
    frequency = shown_frequency(streak, rule)
    starts, start = [], max(period_start(today, frequency), streak.period or date.min)
    for _ in range(periods):
        starts.append(start)
        start = previous_period(start, frequency)
    return starts[::-1]


def shown_frequency(streak: Streak, rule: StreakRule) -> Frequency:
    """Return the frequency of the streak, before any streak the one that is set."""
    return streak.frequency if streak.length else rule.frequency


def render_bulk_streak(external_id: str, streak: Streak) -> BulkStreakJson:
    """Return the wire's shape of one user's streak among many."""
    return {
        "userId": external_id,
        "streakLength": streak.length,
        "extended": iso_instant(streak.extended) if streak.extended else None,
    }


def render_base_streak(streak: Streak, rule: StreakRule) -> BaseStreakJson:
    """Return the wire's shape of a streak without its history."""
    return {
        "length": streak.length,
        "frequency": shown_frequency(streak, rule).value,
        "started": _day(streak.started),
        "periodStart": _day(streak.period),
        "periodEnd": _day(streak.period and period_end(streak.period, streak.frequency)),
        "expires": _day(streak.expires),
    }


def _period(start: date, frequency: Frequency, length: int) -> StreakPeriodJson:
    return {
        "periodStart": start.isoformat(),
        "periodEnd": period_end(start, frequency).isoformat(),
        "length": length,
        "usedPause": False,
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
