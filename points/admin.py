"""Triggers in the admin."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.decorators import action, display

from core.admin import ConfigurationAdmin, LiveFilter, back_to_list
from core.services import check_type_change
from points.models import TRIGGER_FIELDS, PointsTrigger, TriggerFilter
from points.services import activate_triggers, check_filters, deactivate_triggers


class TriggerForm(forms.ModelForm):  # type: ignore[type-arg] # Django's forms take no parameter at run time
    """A trigger. Fields of other types than the chosen one are hidden on the page, and emptied here."""

    class Meta:
        model = PointsTrigger
        fields = ("system", "type", "points", "metric", "metric_threshold", "block_if_out_of_points")

    def clean(self) -> dict[str, Any]:
        """Empty the hidden fields; refuse another type while the trigger is active."""
        data = super().clean() or {}
        kept = TRIGGER_FIELDS.get(data.get("type", ""), ())
        for field in {name for names in TRIGGER_FIELDS.values() for name in names} - set(kept):
            data[field] = None
        if not kept:
            data["block_if_out_of_points"] = False
        if not self.instance._state.adding and "type" in data:
            check_type_change(self.initial["type"], data["type"], self.instance.status, "trigger")
        return data


class FilterFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg] # as above
    """The filters of a trigger, checked together as the Admin API checks them."""

    def clean(self) -> None:
        """Refuse filters that a trigger of this type cannot have."""
        super().clean()
        if any(self.errors):
            return
        forms_kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        filters = [(form.cleaned_data["attribute"], form.cleaned_data["value"]) for form in forms_kept]
        by_type = {
            type_: [(attribute, value) for attribute, value in filters if attribute.type == type_]
            for type_ in ("user", "event")
        }
        try:
            check_filters(self.instance.type, by_type["user"], by_type["event"])
        except ValidationError as error:
            raise ValidationError(["Filters " + message for message in error.messages]) from error


class FilterInline(TabularInline):
    """The attributes that must match for a trigger to fire."""

    model = TriggerFilter
    formset = FilterFormSet
    autocomplete_fields = ("attribute",)
    extra = 0
    verbose_name = "filter"
    verbose_name_plural = "filters: all must match for the trigger to fire"


ACTIVATE = {
    "title": "Activate this trigger?",
    "description": "It pays from the next event on. What happened before is never paid later.",
    "form_submit_text": "Activate",
    "form_class": None,
}
DEACTIVATE = {
    "title": "Deactivate this trigger?",
    "description": "It stops paying with the next event. What was paid stays.",
    "form_submit_text": "Deactivate",
    "form_class": None,
}


@admin.register(PointsTrigger)
class PointsTriggerAdmin(ConfigurationAdmin):
    """Rules that give points, or take them."""

    form = TriggerForm
    inlines = (FilterInline,)
    list_display: Sequence[Any] = ("shown_rule", "system", "shown_points", "shown_filters", "shown_status", "updated")
    list_filter = (LiveFilter, "status", "type", "system")
    list_select_related = ("system", "metric")
    search_fields: Sequence[str] = ("metric__name", "system__name")
    search_help_text = "Search by the name of the metric or the points system"
    autocomplete_fields = ("system", "metric")
    fields = ("system", "type", "points", "metric", "metric_threshold", "block_if_out_of_points")
    conditional_fields = {
        "metric": "type == 'metric'",
        "metric_threshold": "type == 'metric'",
        "block_if_out_of_points": "type == 'metric'",
    }
    actions = ("activate_selected", "deactivate_selected", "archive_selected", "restore_selected")
    actions_row = ("activate_one", "deactivate_one")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PointsTrigger]:
        """Bring each trigger's filters along."""
        queryset: QuerySet[PointsTrigger] = super().get_queryset(request).prefetch_related("filters__attribute")
        return queryset

    @display(description="Fires", ordering="type")
    def shown_rule(self, trigger: PointsTrigger) -> str:
        """Say when it fires."""
        return trigger.occasion

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
        try:
            count = activate_triggers(triggers=queryset)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, f"{count} activated.")

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate_selected(self, request: HttpRequest, queryset: QuerySet[PointsTrigger]) -> None:
        """Deactivate the triggers that are active."""
        messages.success(request, f"{deactivate_triggers(triggers=queryset)} deactivated.")

    @action(description="Activate", icon="play_arrow", permissions=["change"], dialog=ACTIVATE)
    def activate_one(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Activate one trigger."""
        self.activate_selected(request, PointsTrigger.objects.filter(id=object_id))
        return back_to_list(request, PointsTrigger)

    @action(description="Deactivate", icon="pause", permissions=["change"], dialog=DEACTIVATE)
    def deactivate_one(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Deactivate one trigger."""
        self.deactivate_selected(request, PointsTrigger.objects.filter(id=object_id))
        return back_to_list(request, PointsTrigger)

    def response_post_save_add(self, request: HttpRequest, obj: PointsTrigger) -> HttpResponse:
        """Go back to the points system's triggers, and say what is left to do."""
        messages.info(request, "The trigger is inactive: activate it when it should begin to pay.")
        return self._to_system(obj)

    def response_post_save_change(self, request: HttpRequest, obj: PointsTrigger) -> HttpResponse:
        """Go back to the points system's triggers."""
        return self._to_system(obj)

    def _to_system(self, trigger: PointsTrigger) -> HttpResponse:
        page = reverse("admin:points_pointssystem_change", args=(trigger.system_id,))
        return HttpResponseRedirect(f"{page}#dataset-pointstrigger")
