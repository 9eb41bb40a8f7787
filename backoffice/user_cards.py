"""What a user's page shows above the ledger: the profile, balances with levels, metrics, the streak, achievements."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Max
from django.utils.formats import date_format
from django.utils.timezone import localtime

from achievements.models import Achievement, AchievementStatus, Completion
from achievements.rules import AchievementType
from achievements.store import shown_achievements
from core.images import thumbnail_url
from core.json import plain_number
from core.models import ConfigurationStatus
from levels.models import Level
from levels.store import level_at
from metrics.models import MetricTotal
from metrics.rules import NO_FILTER
from metrics.store import read_totals
from points.models import PointsBalance, PointsSystem
from streaks.models import StreakPeriod
from streaks.rules import Frequency, Streak, period_end, period_start, previous_period
from streaks.store import load_rule, read_lengths, read_streaks
from users.models import Attribute, AttributeType, EndUser
from users.rules import local_date

PERIODS_SHOWN: Final = {Frequency.DAILY: 26 * 7, Frequency.WEEKLY: 26, Frequency.MONTHLY: 6}
"""How many periods of each length the calendar goes back: about half a year."""

UNITS: Final = {Frequency.DAILY: "day", Frequency.WEEKLY: "week", Frequency.MONTHLY: "month"}


class Line(TypedDict):
    """A line of a list of terms: what it is, and its value as text."""

    term: str
    value: str


class SystemCard(TypedDict):
    """What a user holds in a points system; `percent` is the way from their level to the next."""

    system: PointsSystem
    badge_url: str | None
    total: str
    maximum: str
    awards: str
    level: Level | None
    level_badge_url: str | None
    next_level: str
    missing: str
    percent: int | None
    name: str
    chosen: bool


class Cell(TypedDict):
    """A period of the streak's calendar: what to say of it, and whether it counted; None before the first one."""

    title: str
    counted: bool


class StreakCard(TypedDict):
    """A user's streak; `until` is the last day on which it can be extended. `summary` says the calendar in words."""

    length: int
    longest: int
    unit: str
    started: date | None
    until: date | None
    cells: list[Cell | None]
    is_daily: bool
    summary: str
    first: date
    last: date


class Medal(TypedDict):
    """An achievement that a user completed (`at`), or can still complete: then how far they are."""

    achievement: Achievement
    badge_url: str | None
    at: datetime | None
    progress: str
    percent: int | None


class Table(TypedDict):
    """A table for unfold's template."""

    headers: list[str]
    rows: list[list[Any]]


def moment(at: datetime, tz: str | None = None) -> str:
    """Return an instant for people: in UTC, or in a zone, whose name is then given."""
    return f"{date_format(at.astimezone(ZoneInfo(tz)), 'Y-m-d H:i:s')} {tz}" if tz else _utc(at)


def _utc(at: datetime) -> str:
    return date_format(localtime(at), "Y-m-d H:i:s")


def decimal_text(number: Decimal) -> str:
    """Return a number for people: exact, without trailing zeros, with thousands separators."""
    return f"{Decimal(plain_number(number)):,f}"


# --- Profile ---------------------------------------------------------------------------------------------------------
def profile_lines(user: EndUser, now: datetime) -> list[Line]:
    """Return what the product told of the user, in words; what it did not tell is left out or said to be missing."""
    lines = {
        "ID": user.external_id,
        "Name": user.name or "",
        "Email": user.email or "",
        "Time zone": f"{user.tz}, where it is {moment(now, user.tz)[:16]}" if user.tz else "not given: days go by UTC",
        "Signed up": f"{user.sign_up_date:%Y-%m-%d}" if user.sign_up_date else "",
        "Emails": "wanted" if user.subscribe_to_emails else "not wanted",
        "Devices": str(len(user.device_tokens)) if user.device_tokens else "",
        "Control group": "yes" if user.control else "",
        "First seen": f"{moment(user.created)} UTC",
        "Changed": f"{moment(user.updated)} UTC" if user.updated != user.created else "",
    }
    return [{"term": term, "value": value} for term, value in lines.items() if value]


def attribute_lines(user: EndUser) -> list[Line]:
    """Return the user's attributes, named as operators set them up."""
    named = dict(Attribute.objects.filter(type=AttributeType.USER).order_by("-status").values_list("key", "name"))
    return [{"term": named.get(key, key), "value": value} for key, value in sorted(user.attributes.items())]


# --- Points ----------------------------------------------------------------------------------------------------------
def system_cards(user: EndUser, systems: Mapping[str, PointsSystem], *, chosen: UUID | None) -> list[SystemCard]:
    """Return a card for each of the `systems` that the user has a balance in, by what the page's address calls them.

    `chosen` is the one that the ledger is of.
    """
    balances = list(PointsBalance.objects.filter(user_id=user.id).select_related("system").order_by("system_id"))
    names = {system.id: name for name, system in systems.items()}
    levels = _levels_of(balance.system_id for balance in balances)
    return [
        _card(balance, levels[balance.system_id], name=names.get(balance.system_id, ""), chosen=chosen)
        for balance in balances
    ]


def _levels_of(system_ids: Iterable[UUID]) -> defaultdict[UUID, list[Level]]:
    """Return the active levels of each system, the lowest first."""
    active = Level.objects.filter(system_id__in=set(system_ids), status=ConfigurationStatus.ACTIVE).order_by("points")
    levels: defaultdict[UUID, list[Level]] = defaultdict(list)
    for level in active:
        levels[level.system_id].append(level)
    return levels


def _card(balance: PointsBalance, levels: list[Level], *, name: str, chosen: UUID | None) -> SystemCard:
    system, total = balance.system, balance.total
    level = level_at(levels, total)
    next_level = next((each for each in levels if each.points > total), None)
    floor = level.points if level else 0
    return {
        "system": system,
        "badge_url": thumbnail_url(system.badge, system.badge_url),
        "total": f"{total:,}",
        "maximum": f"{system.max_points:,}" if system.max_points else "",
        "awards": "1 line" if balance.seq == 1 else f"{balance.seq:,} lines",
        "level": level,
        "level_badge_url": thumbnail_url(level.badge, level.badge_url) if level else None,
        "next_level": f"{next_level} from {next_level.points:,}" if next_level else "",
        "missing": f"{next_level.points - total:,} to {next_level}" if next_level else "",
        "percent": 100 * (total - floor) // (next_level.points - floor) if next_level else None,
        "name": name,
        "chosen": system.id == chosen,
    }


def metric_table(user: EndUser) -> Table:
    """Return the user's totals, the metric set up first at the top."""
    totals = (
        MetricTotal.objects.filter(user_id=user.id, filter=NO_FILTER, at__isnull=False)
        .select_related("metric")
        .order_by("metric_id")
    )
    rows = [
        [
            total.metric.name,
            decimal_text(total.total),
            decimal_text(total.peak),
            total.metric.units,
            moment(total.at) if total.at else "",
        ]
        for total in totals
    ]
    return {"headers": ["Metric", "Total", "Highest ever", "Unit", "Last event (UTC)"], "rows": rows}


# --- Streak ----------------------------------------------------------------------------------------------------------
def streak_card(user: EndUser, now: datetime) -> StreakCard:
    """Return the user's streak as it is `now` where they are, and about half a year of its periods."""
    frequency = load_rule().frequency
    stored = read_streaks([user], now).get(user.external_id)
    # After a change of the frequency the streak of before ends with the next event.
    streak = stored if stored is not None and stored.frequency == frequency else Streak(frequency)
    today = local_date(now, user.tz)
    starts = _starts(today, frequency)
    lengths = read_lengths(user, frequency, starts[0])
    counted = sum(start in lengths for start in starts)
    unit = UNITS[frequency]
    return {
        "length": streak.length,
        "longest": _longest(user, frequency),
        "unit": unit,
        "started": streak.started,
        "until": streak.expires,
        "cells": [*_padding(starts[0], frequency), *(_cell(start, lengths.get(start), frequency) for start in starts)],
        "is_daily": frequency == Frequency.DAILY,
        "summary": f"{counted} of the last {len(starts)} {unit}s counted, from {starts[0]} to {today}.",
        "first": starts[0],
        "last": today,
    }


def _starts(today: date, frequency: Frequency) -> list[date]:
    """Return the first days of the periods that are shown, the oldest first, up to the current one."""
    starts = [period_start(today, frequency)]
    while len(starts) < PERIODS_SHOWN[frequency]:
        starts.append(previous_period(starts[-1], frequency))
    return starts[::-1]


def _padding(first: date, frequency: Frequency) -> list[Cell | None]:
    """Return nothing for the days of the first week before the first day: columns are weeks from Monday on."""
    return [None] * first.weekday() if frequency == Frequency.DAILY else []


def _cell(start: date, length: int | None, frequency: Frequency) -> Cell:
    period = str(start) if frequency == Frequency.DAILY else f"{start} to {period_end(start, frequency)}"
    said = f"{length:,} in a row" if length else "did not count"
    return {"title": f"{period}: {said}", "counted": bool(length)}


def _longest(user: EndUser, frequency: Frequency) -> int:
    periods = StreakPeriod.objects.filter(user_id=user.id, frequency=frequency.value)
    return periods.aggregate(longest=Max("length"))["longest"] or 0


# --- Achievements ----------------------------------------------------------------------------------------------------
def medals(user: EndUser, streak_length: int) -> tuple[list[Medal], list[Medal]]:
    """Return what the user completed, the newest first, and what is still open to them, in the order of creation."""
    completions = list(
        Completion.objects.filter(user_id=user.id).select_related("achievement__metric").order_by("-at", "-id")
    )
    done_ids = {each.achievement_id for each in completions}
    totals = read_totals(user)
    done = [_medal(each.achievement, at=each.at) for each in completions]
    waiting = (
        each
        for each in shown_achievements().filter(status=AchievementStatus.ACTIVE)
        if each.id not in done_ids and each.is_open_to(user.attributes)
    )
    return done, [_open_medal(each, totals, streak_length, done_ids) for each in waiting]


def _medal(achievement: Achievement, *, at: datetime | None = None) -> Medal:
    return {
        "achievement": achievement,
        "badge_url": thumbnail_url(achievement.badge, achievement.badge_url),
        "at": at,
        "progress": achievement.occasion,
        "percent": None,
    }


def _open_medal(achievement: Achievement, totals: Mapping[UUID, Decimal], streak_length: int, done: set[UUID]) -> Medal:
    """Return an open achievement with the way to it; where only some events count, their total is not looked up."""
    medal = _medal(achievement)
    have, need, unit = Decimal(0), Decimal(0), ""
    if achievement.type == AchievementType.METRIC and not any(each.is_of_event for each in achievement.filters.all()):
        have, need = totals.get(achievement.metric_id or UUID(int=0), Decimal(0)), achievement.metric_value or need
        unit = achievement.metric.name if achievement.metric else ""
    elif achievement.type == AchievementType.STREAK:
        have, need, unit = Decimal(streak_length), Decimal(achievement.streak_length or 0), "in a row"
    elif achievement.type == AchievementType.COMPOSITE:
        needs = {each.prerequisite_id for each in achievement.prerequisites.all()}
        have, need, unit = Decimal(len(needs & done)), Decimal(len(needs)), "achievements"
    if need:
        medal["progress"] = f"{decimal_text(have)} of {decimal_text(need)} {unit}"
        medal["percent"] = max(0, min(100, int(100 * have / need)))
    return medal
