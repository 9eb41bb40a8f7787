"""What a user's page shows: balances, totals, and the ledger page by page."""

from typing import Any, Final, TypedDict

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime

from core.images import absolute_badge_url
from core.json import plain_number
from metrics.models import MetricTotal
from metrics.rules import NO_FILTER
from points.models import PointsAward, PointsBalance, PointsSystem
from users.models import EndUser

PAGE_LENGTH: Final = 25


class SystemCard(TypedDict):
    """What a user holds in a points system."""

    system: PointsSystem
    badge_url: str | None
    total: int
    awards: int
    percent: int | None
    chosen: bool


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
    return [_card(balance, is_chosen=balance.system.key == chosen) for balance in balances]


def _card(balance: PointsBalance, *, is_chosen: bool) -> SystemCard:
    system = balance.system
    return {
        "system": system,
        "badge_url": absolute_badge_url(system.badge, system.badge_url),
        "total": balance.total,
        "awards": balance.seq,
        "percent": min(100, 100 * balance.total // system.max_points) if system.max_points else None,
        "chosen": is_chosen,
    }


def metric_rows(user: EndUser) -> Table:
    """Return the user's totals, the metric set up first at the top."""
    totals = (
        MetricTotal.objects.filter(user_id=user.id, filter=NO_FILTER).select_related("metric").order_by("metric_id")
    )
    rows = [
        [
            total.metric.name,
            f"{plain_number(total.total):,} {total.metric.units}",
            f"{plain_number(total.peak):,}",
            _moment(total.at),
        ]
        for total in totals
    ]
    return {"headers": ["Metric", "Total", "Highest ever", "Last event (UTC)"], "rows": rows}


def ledger_page(user: EndUser, system: PointsSystem, *, before: str) -> LedgerPage:
    """Return the lines below number `before`, or the newest: found by their number, however long the ledger is."""
    lines = PointsAward.objects.filter(user=user, system=system).order_by("-seq")
    if before.isdecimal():
        lines = lines.filter(seq__lt=min(int(before), 2**63 - 1))
    page = list(lines.prefetch_related("trigger__metric", "event__metric")[: PAGE_LENGTH + 1])
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
    if award.trigger is None:
        return award.get_cause_display()
    page = reverse("admin:points_pointstrigger_change", args=(award.trigger_id,))
    return format_html("<a class='text-primary-600 dark:text-primary-500' href='{}'>{}</a>", page, award.trigger)


def _event(award: PointsAward) -> str:
    event = award.event
    return "" if event is None else f"{plain_number(event.value):+,} {event.metric.name}"


def _moment(at: Any) -> str:
    return date_format(localtime(at), "Y-m-d H:i:s")
