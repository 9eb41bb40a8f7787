"""Triggers in the admin."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display

from core.admin import (
    ConfigurationAdmin,
    LiveFilter,
    TypedForm,
    all_or_message,
    dialog,
    only_for,
    row_action,
    tab_of,
)
from core.admin_base import TabularInline
from core.models import ConfigurationStatus
from core.services import check_type_change
from points.models import (
    TRIGGER_FIELDS,
    TYPED_FIELDS,
    PointsTrigger,
    TimeUnit,
    TriggerFilter,
    TriggerStatus,
    TriggerType,
)
from points.services import CLOCK_FIELDS, activate_triggers, check_filters, clock_start, deactivate_triggers
from users.admin_filters import FilterFormSet
from users.services import Filters


class TriggerForm(TypedForm):
    """A trigger."""

    fields_of_type = TRIGGER_FIELDS

    class Meta:
        model = PointsTrigger
        fields = ("system", "type", "points", *TYPED_FIELDS, "block_if_out_of_points")

    def clean(self) -> dict[str, Any]:
        """Block nothing but for a metric; refuse another type while the trigger is active."""
        data = super().clean()
        if data.get("type") != TriggerType.METRIC:
            data["block_if_out_of_points"] = False
        if not self.instance._state.adding and "type" in data:
            is_inactive = self.instance.status == TriggerStatus.INACTIVE
            check_type_change(self.instance.type, data["type"], is_inactive=is_inactive, what="trigger")
        self._restart_clock(data)
        return data

    def _restart_clock(self, data: dict[str, Any]) -> None:
        """Count the interval anew from now on where it is another one than before."""
        if any(data.get(field) != getattr(self.instance, field) for field in CLOCK_FIELDS):
            self.instance.time_started = clock_start(data.get("type"), self.instance.status)


class TriggerFilters(FilterFormSet):
    """The filters of a trigger."""

    def check(self, user_filters: Filters, event_filters: Filters) -> None:
        """Refuse filters that a trigger of this type cannot have."""
        check_filters(self.instance.type, user_filters, event_filters)


class FilterInline(TabularInline):
    """The attributes that must match for a trigger to fire."""

    model = TriggerFilter
    formset = TriggerFilters
    autocomplete_fields = ("attribute",)
    extra = 0
    hide_title = True
    verbose_name = "filter"
    verbose_name_plural = "filters: all must match for the trigger to fire"


ACTIVATE = dialog(
    "Activate «{row}»?", "It pays from the next event on. What happened before is never paid later.", "Activate"
)
DEACTIVATE = dialog("Deactivate «{row}»?", "It stops paying with the next event. What was paid stays.", "Deactivate")


def next_due(trigger: PointsTrigger, now: datetime) -> datetime | None:
    """Return when an active time trigger pays next after `now`; None where there is no clock."""
    started = trigger.counts_from
    if started is None or not trigger.time_interval or trigger.system.status == ConfigurationStatus.ARCHIVED:
        return None
    period = timedelta(hours=trigger.time_interval * (24 if trigger.time_unit == TimeUnit.DAY else 1))
    return started + period * (1 + (now - started) // period)


def to_tab(system_id: Any, model: type[Model]) -> HttpResponseRedirect:
    """Go to the tab of a points system's page that lists this model."""
    page = reverse("admin:points_pointssystem_change", args=(system_id,))
    return HttpResponseRedirect(page + tab_of(model))


@admin.register(PointsTrigger)
class PointsTriggerAdmin(ConfigurationAdmin):
    """Rules that give points, or take them."""

    empty_hint = "A trigger says what users get points for, or lose them."
    form = TriggerForm
    inlines = (FilterInline,)
    list_display: Sequence[Any] = ("shown_rule", "system", "shown_points", "shown_filters", "shown_status", "updated")
    list_filter = (LiveFilter, "status", "type", "system")
    list_select_related = ("system", "metric", "achievement")
    search_fields: Sequence[str] = ("metric__name", "achievement__name", "system__name")
    search_help_text = "Search by the name of the metric, the achievement or the points system"
    autocomplete_fields = ("system", "metric", "achievement")
    fields = ("system", "type", "points", *TYPED_FIELDS, "block_if_out_of_points")
    conditional_fields = {
        **{field: only_for(type_) for type_, fields in TRIGGER_FIELDS.items() for field in fields},
        "block_if_out_of_points": only_for(TriggerType.METRIC),
    }
    actions: Sequence[str] = ("activate_selected", "deactivate_selected", "archive_selected", "restore_selected")
    actions_row = ("activate_one", "deactivate_one", "archive_one", "restore_one")
    actions_detail = actions_row
    offered_in = {"activate_one": (TriggerStatus.INACTIVE,), "deactivate_one": (TriggerStatus.ACTIVE,)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[PointsTrigger]:
        """Bring each trigger's filters along."""
        queryset: QuerySet[PointsTrigger] = super().get_queryset(request).prefetch_related("filters__attribute")
        return queryset

    @display(description="Fires", header=True, ordering="type")
    def shown_rule(self, trigger: PointsTrigger) -> list[str]:
        """Say when it fires, and when an active time trigger pays next."""
        due = next_due(trigger, timezone.now()) if trigger.status == TriggerStatus.ACTIVE else None
        return [trigger.occasion, f"next at {due:%Y-%m-%d %H:%M} UTC" if due else ""]

    @display(description="Points", ordering="points")
    def shown_points(self, trigger: PointsTrigger) -> str:
        """Show the points with their sign."""
        return f"{trigger.points:+,}"

    @display(description="Only where")
    def shown_filters(self, trigger: PointsTrigger) -> str:
        """Show the filters."""
        return ", ".join(str(each) for each in trigger.filters.all()) or "everyone"

    @admin.action(description="Activate", permissions=["change"])
    def activate_selected(self, request: HttpRequest, queryset: QuerySet[PointsTrigger]) -> None:
        """Activate the triggers that are inactive, all or none of them."""
        activate = partial(activate_triggers, triggers=queryset)
        all_or_message(request, activate, "activated", "Nothing to activate: none of them is inactive.")

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate_selected(self, request: HttpRequest, queryset: QuerySet[PointsTrigger]) -> None:
        """Deactivate the triggers that are active."""
        deactivate = partial(deactivate_triggers, triggers=queryset)
        all_or_message(request, deactivate, "deactivated", "Nothing to deactivate: none of them is active.")

    @row_action("Activate", "play_arrow", ACTIVATE)
    def activate_one(self, request: HttpRequest, rows: QuerySet[PointsTrigger]) -> None:
        """Activate one trigger."""
        self.activate_selected(request, rows)

    @row_action("Deactivate", "pause", DEACTIVATE)
    def deactivate_one(self, request: HttpRequest, rows: QuerySet[PointsTrigger]) -> None:
        """Deactivate one trigger."""
        self.deactivate_selected(request, rows)

    def response_post_save_add(self, request: HttpRequest, obj: PointsTrigger) -> HttpResponse:
        """Go back to the points system's triggers, and say what is left to do."""
        messages.info(request, "The trigger is inactive: activate it when it should begin to pay.")
        return to_tab(obj.system_id, PointsTrigger)

    def response_post_save_change(self, request: HttpRequest, obj: PointsTrigger) -> HttpResponse:
        """Go back to the points system's triggers."""
        return to_tab(obj.system_id, PointsTrigger)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Offer a daily payment where a time trigger is made."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"time_unit": TimeUnit.DAY, "time_interval": 1} | given
