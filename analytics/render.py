"""Histories and sums on the wire."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TypedDict

from analytics.rules import Period, PointsRange
from core.json import plain_number
from levels.models import Level
from levels.render import LevelJson, render_level

PointsRangeJson = TypedDict("PointsRangeJson", {"from": int, "to": int, "users": int})
PointsRangeJson.__doc__ = "How many users have a total from `from` to `to`, both included."


class LevelUsersJson(TypedDict):
    """A level and how many users are on it."""

    level: LevelJson
    users: int


class PeriodJson(TypedDict):
    """A period by its first day: the total at its end, and how it moved in all of the period."""

    date: str
    total: int | Decimal
    change: int | Decimal


def render_range(points_range: PointsRange) -> PointsRangeJson:
    """Return the wire's shape of a range of points."""
    return {"from": points_range.first, "to": points_range.last, "users": points_range.users}


def render_level_users(level: Level, users: int) -> LevelUsersJson:
    """Return the wire's shape of a level and its users."""
    return {"level": render_level(level), "users": users}


def render_history(periods: Iterable[Period]) -> list[PeriodJson]:
    """Return the wire's shape of a history."""
    return [
        {
            "date": period.first_day.isoformat(),
            "total": plain_number(period.total),
            "change": plain_number(period.change),
        }
        for period in periods
    ]
