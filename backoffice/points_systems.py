"""A points system's page: its configuration, and a tab for what belongs to it."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.datasets import BaseDataset
from unfold.decorators import display

from backoffice.navigation import is_change
from core.admin import ConfigurationAdmin
from core.images import absolute_badge_url
from points.admin import PointsTriggerAdmin
from points.models import PointsSystem, PointsTrigger, TriggerStatus


class TriggersOfSystem(PointsTriggerAdmin):
    """The triggers of the points system whose page it is."""

    list_display = ("shown_rule", "shown_points", "shown_filters", "shown_status", "updated")
    list_per_page = 20
    search_fields = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[PointsTrigger]:
        """Leave out the other systems' triggers, and those that are archived."""
        triggers = super().get_queryset(request).select_related("metric")
        return triggers.filter(system_id=self.extra_context["object"]).exclude(status=TriggerStatus.ARCHIVED)


class TriggersTab(BaseDataset):
    """The tab of a points system's triggers."""

    model = PointsTrigger
    model_admin = TriggersOfSystem
    title = "Triggers"
    tab = True


class PointsSystemAdmin(ConfigurationAdmin):
    """Points systems: XP, gems, energy."""

    list_display = ("shown_system", "key", "shown_maximum", "shown_triggers", "shown_status", "created")
    search_fields = ("name", "key")
    readonly_fields = ("shown_badge",)
    fieldsets = (
        (None, {"fields": ("name", "key", "description", "max_points")}),
        ("Badge", {"fields": ("shown_badge", "badge", "badge_url")}),
    )
    change_form_datasets = (TriggersTab,)
    change_form_outer_after_template = "backoffice/points_system_triggers.html"

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
        return list(self.change_form_datasets) if is_change(request) else []

    @display(description="Points system", header=True, ordering="name")
    def shown_system(self, system: PointsSystem) -> list[Any]:
        """Show the badge, the name and the description."""
        url = absolute_badge_url(system.badge, system.badge_url)
        image = {"path": url, "squared": True, "borderless": True} if url else None
        return [system.name, system.description[:80], system.name[:2].upper(), image]

    @display(description="Maximum", ordering="max_points")
    def shown_maximum(self, system: PointsSystem) -> str:
        """Show the most points that a user can hold."""
        return "no limit" if system.max_points is None else f"{system.max_points:,}"

    @admin.display(description="Active triggers")
    def shown_triggers(self, system: Any) -> str:
        """Link to the tab of triggers."""
        page = reverse("admin:points_pointssystem_change", args=(system.id,))
        return format_html("<a href='{}#dataset-pointstrigger'>{} active</a>", page, system.active_triggers)

    @admin.display(description="Current badge")
    def shown_badge(self, system: PointsSystem) -> str:
        """Show the badge as the product will."""
        url = absolute_badge_url(system.badge, system.badge_url)
        return format_html("<img src='{}' alt='Badge' width='64' height='64'>", url) if url else "none"
