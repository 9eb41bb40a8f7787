"""A points system's page: its configuration, and a tab for what belongs to it."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.datasets import BaseDataset
from unfold.decorators import display

from backoffice.analytics_pages import AnalyticsAdmin
from backoffice.preview_pages import PreviewAdmin
from backoffice.tabs import Tab, TabAdmin
from boosts.admin import BoostAdmin
from boosts.models import Boost, BoostStatus
from core.admin import BadgedAdmin, with_badge
from core.models import ConfigurationStatus
from levels.admin import LevelAdmin
from levels.models import Level
from points.admin import PointsTriggerAdmin
from points.models import PointsSystem, PointsTrigger, TriggerStatus


class TriggersOfSystem(TabAdmin, PointsTriggerAdmin):
    """The triggers of the points system whose page it is."""

    list_display = ("shown_rule", "shown_points", "shown_filters", "shown_status", "updated")
    actions = ("activate_selected", "deactivate_selected", "archive_selected")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PointsTrigger]:
        """Leave out the other systems' triggers, and those that are archived."""
        triggers = super().get_queryset(request).select_related("system", "metric", "achievement")
        return triggers.filter(system_id=self.extra_context["object"]).exclude(status=TriggerStatus.ARCHIVED)


class TriggersTab(Tab):
    """The tab of a points system's triggers."""

    model = PointsTrigger
    model_admin = TriggersOfSystem
    title = "Triggers"


class BoostsOfSystem(TabAdmin, BoostAdmin):
    """The boosts of the points system whose page it is, but for those of one user, who may be many."""

    list_display = ("name", "shown_multiplier", "shown_days", "shown_audience", "shown_status")
    actions = ("activate_selected", "finish_selected", "archive_selected")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Boost]:
        """Leave out the other systems' boosts, one user's, and those that are archived."""
        boosts = super().get_queryset(request).filter(system_id=self.extra_context["object"], external_id=None)
        return boosts.exclude(status=BoostStatus.ARCHIVED)


class BoostsTab(Tab):
    """The tab of a points system's boosts."""

    model = Boost
    model_admin = BoostsOfSystem
    title = "Boosts"


class LevelsOfSystem(TabAdmin, LevelAdmin):
    """The levels of the points system whose page it is, the lowest first."""

    list_display = ("shown_name", "shown_points", "key", "updated")
    actions = ("archive_selected",)
    ordering = ("points",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Level]:
        """Leave out the other systems' levels, and those that are archived."""
        levels: QuerySet[Level] = super().get_queryset(request).filter(system_id=self.extra_context["object"])
        return levels.exclude(status=ConfigurationStatus.ARCHIVED)


class LevelsTab(Tab):
    """The tab of a points system's levels."""

    model = Level
    model_admin = LevelsOfSystem
    title = "Levels"


class PointsSystemAdmin(AnalyticsAdmin, PreviewAdmin, BadgedAdmin):
    """Points systems: XP, gems, energy."""

    empty_hint = "A points system is a currency of its own: XP, gems, energy."
    list_display = ("shown_system", "key", "shown_maximum", "shown_triggers", "shown_status", "created")
    search_fields = ("name", "key")
    # As the table's own, which a query that counts does not take.
    ordering = ("created", "id")
    readonly_fields = ("shown_badge",)
    fieldsets = (
        (None, {"fields": ("name", "key", "description", "max_points")}),
        BadgedAdmin.badge_fieldset,
    )
    actions_row = ("archive_one", "restore_one")
    actions_detail = actions_row
    change_form_datasets = (TriggersTab, BoostsTab, LevelsTab)
    change_form_outer_after_template = "backoffice/points_system_tabs.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PointsSystem]:
        """Count each system's active triggers along."""
        active = Count("triggers", filter=Q(triggers__status=TriggerStatus.ACTIVE))
        queryset: QuerySet[PointsSystem] = super().get_queryset(request).annotate(active_triggers=active)
        return queryset

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the key for ever: products ask for points by it."""
        return ("key", "shown_badge") if obj else ("shown_badge",)

    def get_changeform_datasets(self, request: HttpRequest) -> list[type[BaseDataset]]:
        """Show the tabs once there is a system."""
        object_id = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        is_there = object_id is not None and self.get_object(request, object_id) is not None
        return list(self.change_form_datasets) if is_there else []

    @display(description="Points system", header=True, ordering="name")
    def shown_system(self, system: PointsSystem) -> list[Any]:
        """Show the badge, the name and the description."""
        return with_badge(system, system.name, system.description[:80])

    @display(description="Maximum", ordering="max_points")
    def shown_maximum(self, system: PointsSystem) -> str:
        """Show the most points that a user can hold."""
        return "no limit" if system.max_points is None else f"{system.max_points:,}"

    @admin.display(description="Active triggers")
    def shown_triggers(self, system: Any) -> str:
        """Link to the tab of triggers."""
        page = reverse("admin:points_pointssystem_change", args=(system.id,))
        return format_html("<a href='{}#dataset-pointstrigger'>{} active</a>", page, system.active_triggers)
