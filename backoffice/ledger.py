"""What a user's page shows: balances with levels, the streak, achievements, totals, and the ledger page by page."""

from collections import defaultdict
from datetime import date, datetime
from typing import Any, Final, TypedDict
from uuid import UUID

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.timezone import localtime

from achievements.models import Achievement, Completion
from core.images import local_badge_url
from core.json import plain_number
from core.models import ConfigurationStatus
from levels.models import Level
from levels.store import level_at
from metrics.models import MetricTotal
from metrics.rules import NO_FILTER
from points.models import AwardCause, PointsAward, PointsBalance, PointsSystem
from points.store import applied_boosts
from streaks.rules import Frequency
from streaks.store import read_streaks
from users.models import EndUser

PAGE_LENGTH: Final = 25
_NAMED_BY_LINES: Final = ("trigger__metric", "trigger__achievement", "event__metric")


class SystemCard(TypedDict):
    """What a user holds in a points system."""

    system: PointsSystem
    badge_url: str | None
    total: str
    maximum: str
    awards: str
    percent: int | None
    level: Level | None
    level_badge_url: str | None
    next_level: str
    chosen: bool


class StreakCard(TypedDict):
    """A user's streak; `until` is the last day on which it can be extended."""

    length: int
    unit: str
    started: date | None
    until: date | None


class Medal(TypedDict):
    """An achievement that a user completed."""

    achievement: Achievement
    badge_url: str | None
    at: datetime


class Table(TypedDict):
    """A table for unfold's template."""

    headers: list[str]
    rows: list[list[Any]]


class LedgerPage(TypedDict):
    """A page of the ledger, the newest lines first; `older` and `is_newest` say where to go from here."""

    system: PointsSystem
    table: Table
    older: int | None
    is_newest: bool


def system_cards(user: EndUser, *, chosen: str) -> list[SystemCard]:
    """Return a card for each points system in which the user has a balance; one is chosen, by key or else the first."""
    balances = list(PointsBalance.objects.filter(user_id=user.id).select_related("system").order_by("system_id"))
    keys = [balance.system.key for balance in balances]
    chosen = chosen if chosen in keys else keys[0] if keys else ""
    levels = _levels_of({balance.system_id for balance in balances})
    return [
        _card(balance, levels.get(balance.system_id, []), is_chosen=balance.system.key == chosen)
        for balance in balances
    ]


def _levels_of(system_ids: set[UUID]) -> dict[UUID, list[Level]]:
    """Return the active levels of each system, the lowest first."""
    active = Level.objects.filter(system_id__in=system_ids, status=ConfigurationStatus.ACTIVE).order_by("points")
    levels: dict[UUID, list[Level]] = defaultdict(list)
    for level in active:
        levels[level.system_id].append(level)
    return levels


def _card(balance: PointsBalance, levels: list[Level], *, is_chosen: bool) -> SystemCard:
    system, level = balance.system, level_at(levels, balance.total)
    return {
        "system": system,
        "badge_url": local_badge_url(system.badge, system.badge_url),
        "total": f"{balance.total:,}",
        "maximum": f"{system.max_points:,}" if system.max_points else "",
        "awards": "1 line" if balance.seq == 1 else f"{balance.seq:,} lines",
        "percent": min(100, 100 * balance.total // system.max_points) if system.max_points else None,
        "level": level,
        "level_badge_url": local_badge_url(level.badge, level.badge_url) if level else None,
        "next_level": next((f"{each} from {each.points:,}" for each in levels if each.points > balance.total), ""),
        "chosen": is_chosen,
    }


def streak_card(user: EndUser, now: datetime) -> StreakCard | None:
    """Return the user's streak as it is `now` where they are; None where they have none."""
    streak = read_streaks([user], now).get(user.external_id)
    if streak is None or not streak.length:
        return None
    unit = {Frequency.DAILY: "day", Frequency.WEEKLY: "week", Frequency.MONTHLY: "month"}[streak.frequency]
    return {"length": streak.length, "unit": unit, "started": streak.started, "until": streak.expires}


def medals(user: EndUser) -> list[Medal]:
    """Return what the user completed, the newest first."""
    completions = Completion.objects.filter(user_id=user.id).select_related("achievement").order_by("-at", "-id")
    return [
        {
            "achievement": each.achievement,
            "badge_url": local_badge_url(each.achievement.badge, each.achievement.badge_url),
            "at": each.at,
        }
        for each in completions
    ]


def metric_rows(user: EndUser) -> Table:
    """Return the user's totals, the metric set up first at the top."""
    totals = (
        MetricTotal.objects.filter(user_id=user.id, filter=NO_FILTER, at__isnull=False)
        .select_related("metric")
        .order_by("metric_id")
    )
    rows = [
        [
            total.metric.name,
            f"{plain_number(total.total):,}",
            f"{plain_number(total.peak):,}",
            total.metric.units,
            _moment(total.at),
        ]
        for total in totals
    ]
    return {"headers": ["Metric", "Total", "Highest ever", "Unit", "Last event (UTC)"], "rows": rows}


def ledger_page(user: EndUser, system: PointsSystem, *, before: str) -> LedgerPage:
    """Return the lines below number `before`, or the newest: found by their number, however long the ledger is."""
    lines = PointsAward.objects.filter(user=user, system=system).order_by("-seq")
    if before.isdecimal():
        lines = lines.filter(seq__lt=min(int(before), 2**63 - 1))
    page = list(lines.select_related("adjustment").prefetch_related(*_NAMED_BY_LINES)[: PAGE_LENGTH + 1])
    shown = page[:PAGE_LENGTH]
    return {
        "system": system,
        "table": {
            "headers": ["#", "When (UTC)", "Why", "Event", "Points", "Balance"],
            "rows": [_line(each) for each in shown],
        },
        "older": shown[-1].seq if len(page) > PAGE_LENGTH else None,
        "is_newest": not before.isdecimal(),
    }


def _line(award: PointsAward) -> list[Any]:
    colour = "text-green-700 dark:text-green-400" if award.awarded > 0 else "text-red-700 dark:text-red-400"
    points = format_html("<span class='font-semibold {}'>{}</span>", colour, f"{award.awarded:+,}")
    return [award.seq, _moment(award.created), _why(award), _event(award), points, f"{award.total:,}"]


def _why(award: PointsAward) -> str:
    if award.cause == AwardCause.ADJUSTMENT:
        by, why = award.adjustment.operator, award.adjustment.reason
        return format_html("Adjustment: {}<br><span class='text-xs'>by {}</span>", why, by)
    if award.trigger is None:
        return award.get_cause_display()
    page = reverse("admin:points_pointstrigger_change", args=(award.trigger_id,))
    why = format_html("<a class='text-primary-600 dark:text-primary-500' href='{}'>{}</a>", page, award.trigger)
    boosts = format_html_join(", ", "{} x{}", _boosts_of(award))
    return format_html("{}<br><span class='text-xs'>boosted by {}</span>", why, boosts) if boosts else why


def _boosts_of(award: PointsAward) -> list[tuple[str, Any]]:
    return [(boost.name, plain_number(boost.multiplier)) for boost in applied_boosts(award)]


def _event(award: PointsAward) -> str:
    event = award.event
    return "" if event is None else f"{plain_number(event.value):+,} {event.metric.name}"


def _moment(at: Any) -> str:
    return date_format(localtime(at), "Y-m-d H:i:s")
