"""The boost calendar: the boosts of a month, one bar each, and what awards are multiplied by on each of its days."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from boosts.models import ROUNDINGS, Boost, BoostStatus
from boosts.rules import BoostPhase, Planned, Rate, day_rates, days_between, effective_days, shown_days
from core.json import parse_day, plain_number
from core.models import ConfigurationStatus
from points.models import PointsSystem
from points.rules import Rounding

BOOSTS_SHOWN_MAX: Final = 100
OF_USERS_COUNTED_MAX: Final = 1_000
YEARS: Final = range(2000, 3000)
STATUSES: Final = {
    BoostPhase.INACTIVE: "Draft: does not count",
    BoostPhase.SCHEDULED: "Scheduled",
    BoostPhase.ACTIVE: "Active",
    BoostPhase.FINISHED: "Finished",
}
SIGNS: Final = {Rounding.DOWN: "↓", Rounding.NEAREST: "≈", Rounding.UP: "↑"}
WORDS: Final = {value: label[0].lower() + label[1:] for value, label in ROUNDINGS}


@dataclass(frozen=True, slots=True)
class Bar:
    """A boost in the month. The columns are the grid's: the first day is in the second, `end` is behind the last."""

    name: str
    url: str
    multiplier: str
    status: str
    phase: str
    audience: str
    days: str
    column: int
    end: int


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the month with its rates in words, which are empty where no boost counts."""

    day: date
    is_today: bool
    is_weekend: bool
    everyone: str
    at_most: str
    everyone_in_words: str
    at_most_in_words: str


@dataclass(frozen=True, slots=True)
class Section:
    """The month of one points system."""

    system: PointsSystem
    bars: Sequence[Bar]
    days: Sequence[Day]
    of_users: str
    is_cut: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is no boost in the month."""
        return not self.bars and not self.of_users


def month_of(text: str, today: date) -> date:
    """Return the first day of the month that an address names as 2026-11, or of this one."""
    first = parse_day(f"{text}-01")
    return first if first and first.year in YEARS else today.replace(day=1)


def calendar_context(systems: Sequence[PointsSystem], query: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return what the calendar's template shows of these systems in the month that the address asks for."""
    today = now.astimezone(UTC).date()
    first = month_of(query.get("month", ""), today)
    last = first.replace(day=monthrange(first.year, first.month)[1])
    days = days_between(first, last)
    before, after = first - timedelta(days=1), last + timedelta(days=1)
    return {
        "month": first,
        "previous": before if before.year in YEARS else None,
        "next": after if after.year in YEARS else None,
        "is_this_month": first == today.replace(day=1),
        "sections": [_section(system, days, today, now) for system in systems],
    }


def _section(system: PointsSystem, days: Sequence[date], today: date, now: datetime) -> Section:
    boosts = list(_boosts_in(system, days).filter(external_id__isnull=True)[: BOOSTS_SHOWN_MAX + 1])
    bars, planned = [], []
    for boost in boosts[:BOOSTS_SHOWN_MAX]:
        first, last = effective_days(boost.start, boost.end, boost.activated, boost.finished)
        if (place := shown_days(first, last, days)) is not None:
            bars.append(_bar(boost, boost.phase(now), first, last, place))
            planned.append(_planned(boost, first, last))
    return Section(
        system=system,
        bars=bars,
        days=[
            Day(
                day=rate.day,
                is_today=rate.day == today,
                is_weekend=rate.day.weekday() >= 5,
                everyone=_short(rate.everyone),
                at_most=_short(rate.at_most),
                everyone_in_words=_in_words(rate.everyone),
                at_most_in_words=_in_words(rate.at_most),
            )
            for rate in day_rates(planned, days)
        ],
        of_users=_count_of_users(system, days),
        is_cut=len(boosts) > BOOSTS_SHOWN_MAX,
    )


def _boosts_in(system: PointsSystem, days: Sequence[date]) -> QuerySet[Boost]:
    """Return the boosts whose days touch the month, but for archived ones."""
    live = Boost.objects.filter(system=system).exclude(status=BoostStatus.ARCHIVED)
    touching = live.filter(Q(end__isnull=True) | Q(end__gte=days[0]), start__lte=days[-1])
    return touching.prefetch_related("filters__attribute").order_by("start", "id")


def _count_of_users(system: PointsSystem, days: Sequence[date]) -> str:
    """Say how many boosts of single users there are: products make them, maybe very many."""
    rows = _boosts_in(system, days).filter(external_id__isnull=False, status=BoostStatus.ACTIVE)
    count = len(rows.prefetch_related(None).values_list("id")[: OF_USERS_COUNTED_MAX + 1])
    if not count:
        return ""
    number = f"more than {OF_USERS_COUNTED_MAX:,}" if count > OF_USERS_COUNTED_MAX else f"{count:,}"
    return "1 boost for one user" if count == 1 else f"{number} boosts for one user each"


def _planned(boost: Boost, first: date, last: date | None) -> Planned:
    return Planned(
        id=str(boost.id),
        first=first,
        last=last,
        multiplier=boost.multiplier,
        rounding=Rounding(boost.rounding),
        is_for_everyone=not boost.filters.all(),
        counts=boost.status == BoostStatus.ACTIVE,
    )


def _bar(boost: Boost, phase: BoostPhase, first: date, last: date | None, place: tuple[int, int]) -> Bar:
    begin, end = place
    return Bar(
        name=boost.name,
        url=reverse("admin:boosts_boost_change", args=(boost.id,)),
        multiplier=f"x{plain_number(boost.multiplier)}",
        status=STATUSES[phase],
        phase=phase.value,
        audience=", ".join(str(each) for each in boost.filters.all()) or "everyone",
        days=str(first) if first == last else f"{first} to {last or 'no end'}",
        column=begin + 2,
        end=end + 3,
    )


def _short(rate: Rate | None) -> str:
    """Return a rate for a narrow column: two decimals, and a sign for the rounding."""
    return "" if rate is None else f"x{plain_number(round(rate.multiplier, 2))} {SIGNS[rate.rounding]}"


def _in_words(rate: Rate | None) -> str:
    return "" if rate is None else f"x{_exact(rate.multiplier)}, rounded {WORDS[rate.rounding.value]}"


def _exact(number: Decimal) -> str:
    return f"{number.normalize():f}"


def boost_calendar(request: HttpRequest) -> HttpResponse:
    """Show the month of every points system, or of the one that the address names by its key."""
    if not request.user.has_perm("boosts.view_boost"):
        raise PermissionDenied
    systems = PointsSystem.objects.filter(status=ConfigurationStatus.ACTIVE)
    key = request.GET.get("system", "")
    chosen = [system for system in systems if not key or system.key == key]
    context = {
        **admin.site.each_context(request),
        **calendar_context(chosen, request.GET, timezone.now()),
        "title": "Boost calendar",
        "systems": systems,
        "key": key,
        "query": f"{urlencode({'system': key})}&" if key else "",
    }
    return TemplateResponse(request, "backoffice/boost_calendar.html", context)
