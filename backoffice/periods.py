"""The period that a page of figures is about: chosen by links or dates, kept in its address."""

from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict
from django.utils import timezone

from analytics.rules import DayRange, days_up_to
from core.json import parse_day

CHOICES: Final = (7, 30, 90)
"""How many days up to today can be chosen with one click."""
DEFAULT: Final = 30
DAYS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Period:
    """The days of a page, in UTC. `error` says what is wrong with those that were asked for, and not shown."""

    days: DayRange
    today: date
    chosen: int | None = None
    error: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """What an address says to mean it."""
        if self.chosen is not None:
            return {"days": str(self.chosen)}
        return {"from": self.days.first.isoformat(), "to": self.days.last.isoformat()}

    @property
    def query(self) -> str:
        """The same as a query."""
        return urlencode(self.parameters)

    @property
    def choices(self) -> list[tuple[int, bool]]:
        """The numbers of days to choose from, and which is chosen."""
        return [(count, count == self.chosen) for count in CHOICES]


def read_period(request: HttpRequest) -> Period:
    """Return the period that the address asks for; where it is none, the last 30 days and what is wrong."""
    return period_of(request.GET, timezone.now().date())


def period_of(query: QueryDict, today: date) -> Period:
    """Return the period that a query asks for as of `today`."""
    if "from" in query or "to" in query:
        return _range_of(query.get("from", ""), query.get("to", ""), today)
    asked = query.get("days", str(DEFAULT))
    if asked not in map(str, CHOICES):
        return _default(today, f"days must be one of {', '.join(map(str, CHOICES))}.")
    return Period(days_up_to(today, int(asked)), today, int(asked))


def _range_of(first_text: str, last_text: str, today: date) -> Period:
    first, last = parse_day(first_text), parse_day(last_text)
    if first is None or last is None:
        return _default(today, f"{'from' if first is None else 'to'} must be a date such as {today}.")
    if last > today:
        return _default(today, f"to must not be after today, {today} in UTC.")
    if first > last:
        return _default(today, "from must not be after to.")
    days = DayRange(first, last)
    if days.length > DAYS_MAX or first.year < 2000:
        return _default(today, f"from must be at most {DAYS_MAX} days before to.")
    return Period(days, today)


def _default(today: date, error: str) -> Period:
    return Period(days_up_to(today, DEFAULT), today, DEFAULT, error[0].upper() + error[1:])
