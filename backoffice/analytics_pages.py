"""The Analytics tab of a points system."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from analytics import reports
from analytics.rules import DayRange
from analytics.store import user_count
from backoffice import analytics_panels
from backoffice.charts import Card, Panel
from backoffice.periods import Period, read_period
from core.admin_base import ModelAdmin
from core.csv import csv_response
from core.replica import from_replica
from levels.store import read_levels
from points.models import PointsSystem


class AnalyticsAdmin(ModelAdmin):
    """Adds the tab's page to the admin of points systems; mixed in before the rest."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page's address."""
        view = self.admin_site.admin_view(self.analytics_view)
        return [path("<uuid:object_id>/analytics/", view, name="points_pointssystem_analytics"), *super().get_urls()]

    def analytics_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Show the figures of the period that the address says, or one of its tables as a file."""
        system = self.get_object(request, str(object_id))
        if not self.has_view_permission(request, system):
            raise PermissionDenied
        if system is None:
            raise Http404
        period = read_period(request)
        is_complete = reports.bring_up_to_date()
        cards, panels = from_replica(lambda: system_figures(system, period))
        if "csv" in request.GET:
            return csv_of(panels, request.GET["csv"], f"{system.key}-{{}}-{period.days.first}-{period.days.last}.csv")
        context = {
            **self.admin_site.each_context(request),
            "title": system.name,
            "subtitle": "Analytics",
            "system": system,
            "system_options": self.opts,
            "period": period,
            "cards": cards,
            "panels": panels,
            "is_complete": is_complete,
            "rolled_up_users": None if is_complete else reports.rolled_up_users(),
        }
        return TemplateResponse(request, "backoffice/analytics.html", context)


def system_figures(system: PointsSystem, period: Period) -> tuple[list[Card], list[Panel]]:
    """Return the cards and panels of a points system: a number of queries that depends on nothing."""
    days = period.days
    sums = reports.system_sums([system.id], DayRange(days.before.first, days.last))[system.id]
    now, before = [each for each in sums if each.day >= days.first], [each for each in sums if each.day < days.first]
    sources = reports.sources(system.id, days)
    panels = [
        analytics_panels.over_time(period, now, before),
        analytics_panels.by_type(period, sources),
        analytics_panels.by_trigger(period, sources),
        analytics_panels.earned(period, reports.earned_tally(system.id)),
        analytics_panels.top_users(period, reports.top_users(system.id, analytics_panels.TOP_USERS)),
        *analytics_panels.early(period, reports.early_tallies(system.id, days.weeks)),
        analytics_panels.funnel(period, system, read_levels(system), user_count()),
        analytics_panels.boosts(period, reports.boost_effects(system.id, days)),
    ]
    return analytics_panels.cards(period, now, before), panels


def csv_of(panels: list[Panel], key: str, file_name: str) -> HttpResponse:
    """Answer with a panel's table as a file. Raises Http404 for a panel that is none."""
    for panel in panels:
        if panel.key == key:
            return csv_response(panel.csv_rows(), file_name.format(panel.key))  # type: ignore[return-value]
    raise Http404
