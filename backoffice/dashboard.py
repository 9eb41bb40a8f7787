"""The admin's home page: how the product is used, what runs and comes, and whether anything needs looking after."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypedDict

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from analytics import reports
from analytics.reports import SystemSums
from analytics.rules import DayRange, change_percent, sum_by_day
from backoffice.analytics_panels import adjusted_card, top_users
from backoffice.charts import INDIGO, TEAL, Card, Chart, Panel, bars, by_step, line, number_card, steps_of
from backoffice.periods import Period, read_period
from boosts.models import Boost, BoostStatus
from boosts.rules import BoostPhase
from core.csv import csv_response
from core.json import plain_number
from core.models import ConfigurationStatus
from core.replica import from_replica
from engine import queue
from metrics.models import Metric
from points.models import PointsSystem, PointsTrigger, TriggerStatus
from streaks.rules import Frequency
from webhooks import watch
from webhooks.watch import in_trouble, trouble_of

ENDPOINTS_SHOWN_MAX: Final = 10
SYSTEMS_SHOWN_MAX: Final = 8
BOOSTS_SHOWN_MAX: Final = 8
TOP_USERS: Final = 5


class SystemRow(TypedDict):
    """A points system on the home page."""

    system: PointsSystem
    url: str
    is_chosen: bool
    awarded: Card
    deducted: Card
    adjusted: Card


class BoostRow(TypedDict):
    """A boost that runs or comes."""

    boost: Boost
    multiplier: str
    when: str
    is_running: bool


class Step(TypedDict):
    """What is to be done before there is anything to look at."""

    text: str
    url: str
    link: str
    is_done: bool


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the operator may look at. Unfold calls this."""
    may = request.user.has_perm
    if may("webhooks.view_endpoint"):
        now = timezone.now()
        endpoints = list(in_trouble(now))
        shown = endpoints[:ENDPOINTS_SHOWN_MAX]
        context["troubled_endpoints"] = [(endpoint, trouble_of(endpoint, now)) for endpoint in shown]
        context["troubled_endpoints_more"] = len(endpoints) - len(shown)
    context["health"] = list(_health(request, timezone.now()))
    if may("points.view_pointssystem"):
        period, is_complete = read_period(request), reports.bring_up_to_date()
        context |= {"is_complete": is_complete} | from_replica(lambda: _figures(request, period))
        context["rolled_up_users"] = None if is_complete else reports.rolled_up_users()
    if may("boosts.view_boost"):
        context["boosts"] = boost_rows(timezone.now())
    return context


def activity_csv(request: HttpRequest) -> HttpResponse:
    """Answer with the events and active users of each day as a file."""
    if not request.user.has_perm("points.view_pointssystem"):
        raise PermissionDenied
    period = read_period(request)
    reports.bring_up_to_date()
    panel = from_replica(lambda: _activity(period, reports.events_by_day(_with_before(period.days)), request))
    name = f"activity-{period.days.first}-{period.days.last}.csv"
    return csv_response(panel.csv_rows(), name)  # type: ignore[return-value]


def _figures(request: HttpRequest, period: Period) -> dict[str, Any]:
    systems = list(PointsSystem.objects.filter(status=ConfigurationStatus.ACTIVE)[: SYSTEMS_SHOWN_MAX + 1])
    sums = reports.system_sums([system.id for system in systems], _with_before(period.days))
    events = reports.events_by_day(_with_before(period.days))
    chosen = _chosen(request, systems, sums)
    figures: dict[str, Any] = {
        "period": period,
        "cards": [_events_card(period, events), *_active_cards(request, period)],
        "systems": [_system_row(period, system, sums[system.id], chosen) for system in systems[:SYSTEMS_SHOWN_MAX]],
        "systems_more": len(systems) > SYSTEMS_SHOWN_MAX,
        "activity": _activity(period, events, request),
    }
    if chosen is not None and request.user.has_perm("users.view_enduser"):
        figures["top_users"] = _top_users(period, chosen)
    if not events and not reports.has_events():
        figures["steps"] = _steps()
        figures["curl"] = _curl()
    return figures


def _with_before(days: DayRange) -> DayRange:
    return DayRange(days.before.first, days.last)


def _chosen(
    request: HttpRequest, systems: Sequence[PointsSystem], sums: dict[Any, list[SystemSums]]
) -> PointsSystem | None:
    """Return the points system whose top users are shown: the one asked for, or else the one that moves most often."""
    asked = next((system for system in systems if system.key == request.GET.get("system")), None)
    by_awards = {system: sum(each.awards for each in sums[system.id]) for system in systems}
    return asked or max(by_awards, key=lambda system: by_awards[system], default=None)


def _events_card(period: Period, events: Sequence[tuple[Any, int]]) -> Card:
    now, before = sum_by_day(period.days, events), sum_by_day(period.days.before, events)
    return number_card("Events", sum(now), sum(before), now, compared=_compared(period))


def _compared(period: Period) -> str:
    return f"the {period.days.length} days before"


def _active_cards(request: HttpRequest, period: Period) -> list[Card]:
    """Return how many users were active; those numbers are of today, whatever the period is."""
    if not request.user.has_perm("users.view_enduser"):
        return []
    active = reports.active_users(period.today)
    titles = {
        Frequency.DAILY: ("Active users today", "vs yesterday"),
        Frequency.WEEKLY: ("Active users this week", "vs the same days of last week"),
        Frequency.MONTHLY: ("Active users this month", "vs the same days of last month"),
    }
    return [
        Card(
            title,
            f"{active[each].now:,}",
            change_percent(active[each].now, active[each].before),
            compared,
            note=f"{active[each].before:,} {compared.removeprefix('than ')}",
        )
        for each, (title, compared) in titles.items()
    ]


def _system_row(
    period: Period, system: PointsSystem, sums: Sequence[SystemSums], chosen: PointsSystem | None
) -> SystemRow:
    days, compared = period.days, _compared(period)
    cards = []
    for title, parts in (
        (f"{system.name} awarded", [(each.day, each.awarded) for each in sums]),
        (f"{system.name} spent", [(each.day, each.deducted) for each in sums]),
    ):
        now, before = sum_by_day(days, parts), sum_by_day(days.before, parts)
        cards.append(number_card(title, sum(now), sum(before), now, compared=compared))
    url = reverse("admin:points_pointssystem_analytics", args=(system.id,))
    return {
        "system": system,
        "url": f"{url}?{period.query}",
        "is_chosen": system == chosen,
        "awarded": cards[0],
        "deducted": cards[1],
        "adjusted": adjusted_card(f"{system.name} adjusted", period, sums),
    }


def _activity(period: Period, events: Sequence[tuple[Any, int]], request: HttpRequest) -> Panel:
    """Return events, and where the operator may look at users how many were active, day by day."""
    days = period.days
    starts, step = steps_of(days)
    counts = by_step(days, sum_by_day(days, events))
    labels = [f"{start:%b} {start.day}" for start in starts]
    datasets, headers = [bars("Events", counts, TEAL)], [step, "Events"]
    columns = [counts]
    # Users of single days cannot be added up to those of a week: whoever came twice is one.
    if request.user.has_perm("users.view_enduser") and step == "Day":
        active = sum_by_day(days, reports.active_by_day(days))
        datasets.append(line("Active users", active, INDIGO))
        headers.append("Active users")
        columns.append(active)
    return Panel(
        "activity",
        "Events and active users" if len(columns) > 1 else "Events",
        headers,
        [[start.isoformat(), *numbers] for start, *numbers in zip(starts, *columns, strict=True)],
        Chart(labels, datasets, f"Events by {step.split()[0].lower()}: {sum(counts):,} in all.")
        if any(counts)
        else None,
        "A user is active on a day on which they had an event. Opening balances are no events.",
        "No event in these days. Choose others above, or report one.",
        query=period.query,
        page=reverse("activity_csv"),
        is_wide=True,
    )


def _top_users(period: Period, system: PointsSystem) -> Panel:
    found = reports.top_users(system.id, TOP_USERS)
    panel = top_users(period, found)
    url = reverse("admin:points_pointssystem_analytics", args=(system.id,))
    return Panel(
        "top-users",
        f"Most {system.name} earned",
        panel.headers,
        panel.rows,
        note=panel.note,
        empty=panel.empty,
        query=panel.query,
        page=url,
        links=panel.links,
        is_table=True,
    )


def boost_rows(now: datetime) -> list[BoostRow]:
    """Return the boosts for more than one user that run or come, those that run first, then by their first day."""
    boosts = Boost.objects.filter(
        external_id=None, status=BoostStatus.ACTIVE, system__status=ConfigurationStatus.ACTIVE, end_marked=None
    ).select_related("system")
    rows: list[BoostRow] = []
    for boost in boosts.order_by("start", "id"):
        phase = boost.phase(now)
        if phase in (BoostPhase.ACTIVE, BoostPhase.SCHEDULED):
            is_running = phase == BoostPhase.ACTIVE
            rows.append(
                {
                    "boost": boost,
                    "multiplier": f"x{plain_number(boost.multiplier)}",
                    "when": _when(boost, is_running=is_running),
                    "is_running": is_running,
                }
            )
    rows.sort(key=lambda row: not row["is_running"])
    return rows[:BOOSTS_SHOWN_MAX]


def _when(boost: Boost, *, is_running: bool) -> str:
    until = "without an end" if boost.end is None else f"until {boost.end}"
    return until if is_running else f"from {boost.start}, {until}"


def _health(request: HttpRequest, now: datetime) -> Any:
    """Yield cards of the queue and of webhooks, each with whether it needs looking after and where to look."""
    if request.user.has_perm("engine.view_queuedevent"):
        depth = queue.depth(now)
        yield {
            "title": "Event queue",
            "text": f"{_up_to(depth.waiting, queue.DEPTH_SHOWN_MAX)} waiting, {depth.failed:,} failed",
            "more": f"the oldest for {depth.oldest_s:,.0f} s" if depth.waiting else "",
            "is_well": not depth.failed and depth.oldest_s < 60,
            "url": reverse("admin:engine_queuedevent_changelist"),
        }
    if request.user.has_perm("webhooks.view_endpoint"):
        backlog = watch.backlog(now)
        waiting = _up_to(backlog.fresh + backlog.waiting, watch.BACKLOG_SHOWN_MAX)
        yield {
            "title": "Webhooks",
            "text": f"{waiting} waiting, {backlog.failing:,} endpoint{'' if backlog.failing == 1 else 's'} failing",
            "more": f"overdue for {backlog.overdue_s:,.0f} s" if backlog.overdue_s >= 1 else "",
            "is_well": not backlog.failing and backlog.overdue_s < 60,
            "url": reverse("admin:webhooks_endpoint_changelist"),
        }


def _up_to(count: int, most: int) -> str:
    return f"{most:,} or more" if count >= most else f"{count:,}"


def _steps() -> list[Step]:
    """Return what is to be done before the first event, and what of it is done."""
    return [
        {
            "text": "A metric: what your users do, such as lessons completed.",
            "url": reverse("admin:metrics_metric_add"),
            "link": "Add a metric",
            "is_done": Metric.objects.filter(status=ConfigurationStatus.ACTIVE).exists(),
        },
        {
            "text": "A points system: a currency of its own, such as XP.",
            "url": reverse("admin:points_pointssystem_add"),
            "link": "Add a points system",
            "is_done": PointsSystem.objects.filter(status=ConfigurationStatus.ACTIVE).exists(),
        },
        {
            "text": "An active trigger: the rule that turns one into the other.",
            "url": reverse("admin:points_pointstrigger_add"),
            "link": "Add a trigger",
            "is_done": PointsTrigger.objects.filter(status=TriggerStatus.ACTIVE).exists(),
        },
    ]


def _curl() -> str:
    """Return a line that reports an event, of the first metric that there is."""
    metric = Metric.objects.filter(status=ConfigurationStatus.ACTIVE).first()
    return format_html(
        "curl {}/v1/metrics/{}/event \\\n  -H 'X-API-KEY: YOUR_KEY' -H 'Content-Type: application/json' \\\n"
        '  -d \'{{"user": {{"id": "learner-1"}}, "value": 1}}\'',
        settings.PUBLIC_URL,
        metric.key if metric else "YOUR-METRIC",
    )
