"""Boosts in the admin."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.decorators import display

from boosts.models import Boost, BoostFilter, BoostStatus
from boosts.rules import BoostPhase
from boosts.services import activate_boosts, check_changeable, check_end, finish_boosts, phase_now, with_zones
from boosts.store import in_phase
from core.admin import (
    STATUS_COLOURS,
    ConfigurationAdmin,
    ConfigurationForm,
    LiveFilter,
    all_or_message,
    ask_first,
    dialog,
    row_action,
    without_zeros,
)
from core.admin_base import InfinitePaginator, TabularInline
from core.json import plain_number
from core.models import ConfigurationStatus
from points.admin import to_tab
from users.admin_filters import FilterFormSet
from users.models import Attribute, AttributeType
from users.services import Filters, check_attributes

FINAL = "Awards are no longer multiplied from this moment on. That is final: a finished boost cannot be started again."


class BoostForm(ConfigurationForm):
    """A boost that is not finished."""

    class Meta:
        model = Boost
        fields = ("system", "name", "multiplier", "start", "end", "rounding")

    def clean(self) -> dict[str, Any]:
        """Refuse a boost that finished while the form was open."""
        data = super().clean()
        check_changeable(self.instance, timezone.now())
        return data

    def _post_clean(self) -> None:
        """Refuse a last day that is over; have a start made known again that was put off."""
        super()._post_clean()
        now = timezone.now()
        if not self.errors and (self.instance._state.adding or "end" in self.changed_data):
            try:
                check_end(self.instance, now)
            except ValidationError as error:
                self.add_error(None, error)
        if phase_now(self.instance, now) == BoostPhase.SCHEDULED:
            self.instance.start_marked = None


class BoostFilters(FilterFormSet):
    """The filters of a boost."""

    def check(self, user_filters: Filters, event_filters: Filters) -> None:
        """Refuse what is not the users', and any for one user's boost."""
        check_attributes(AttributeType.USER, [*user_filters, *event_filters])
        if user_filters and self.instance.external_id is not None:
            raise ValidationError("cannot be given for one user's boost.")


class FilterInline(TabularInline):
    """The attributes that a user must have for the boost to count."""

    model = BoostFilter
    formset = BoostFilters
    extra = 0
    hide_title = True
    verbose_name = "filter"
    verbose_name_plural = "audience: everyone, or only users with all of these attributes"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the users' attributes alone: a boost looks at no event."""
        if db_field.name == "attribute":
            of_users = Attribute.objects.filter(type=AttributeType.USER)
            kwargs["queryset"] = of_users.exclude(status=ConfigurationStatus.ARCHIVED)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class PhaseFilter(admin.SimpleListFilter):
    """Filters by what the column of the status says."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer where a boost can be in its life."""
        return [(name, name.capitalize()) for name in (*BoostPhase, BoostStatus.ARCHIVED.value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Boost]) -> QuerySet[Boost]:
        """Return those that are there now."""
        if self.value() == BoostStatus.ARCHIVED:
            return queryset.filter(status=BoostStatus.ARCHIVED)
        if self.value() not in list(BoostPhase):
            return queryset
        return in_phase(queryset.exclude(status=BoostStatus.ARCHIVED), BoostPhase(str(self.value())), timezone.now())


def is_finished(boost: Boost) -> bool:
    """Tell whether a boost can no longer be changed."""
    return phase_now(boost, timezone.now()) == BoostPhase.FINISHED


@admin.register(Boost)
class BoostAdmin(ConfigurationAdmin):
    """What multiplies awards for a while."""

    empty_hint = "A boost multiplies what users are awarded, for some days."
    form = BoostForm
    inlines = (FilterInline,)
    list_display: Sequence[Any] = (
        *("name", "system", "shown_multiplier", "shown_days", "shown_audience", "shown_status", "created"),
    )
    list_filter = (LiveFilter, PhaseFilter, "system")
    list_select_related = ("system",)
    search_fields: Sequence[str] = ("name", "external_id")
    search_help_text = "Search by the name of the boost, or the ID of the one user whom it is for"
    autocomplete_fields = ("system",)
    # Ids are in time order: the newest first, by the index of the key.
    ordering = ("-id",)
    # Each user may have a boost: counting a million takes longer than showing fifty.
    paginator: Any = InfinitePaginator
    show_full_result_count = False
    list_disable_select_all = True
    readonly_fields = ("shown_status",)
    fields = ("system", "name", "multiplier", "rounding", "start", "end")
    actions: Sequence[str] = ("activate_selected", "finish_selected", "archive_selected", "restore_selected")
    actions_row = ("activate_one", "finish_one", "archive_one", "restore_one")
    actions_detail = actions_row
    offered_in = {
        "activate_one": (BoostPhase.INACTIVE,),
        "finish_one": (BoostPhase.SCHEDULED, BoostPhase.ACTIVE),
    }
    change_form_outer_before_template = "backoffice/boost_finished.html"
    readonly_preprocess_fields = {"multiplier": without_zeros}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Boost]:
        """Bring along each boost's filters, and the zone of the one user whom it may be for."""
        return with_zones(super().get_queryset(request)).prefetch_related("filters__attribute")

    def get_fields(self, request: HttpRequest, obj: Boost | None = None) -> tuple[str, ...]:
        """Show what the clock and the API decided, where there is something to show."""
        fields = self.fields if obj is None else ("shown_status", *self.fields)
        return fields if obj is None or obj.external_id is None else (*fields, "external_id")

    def get_readonly_fields(self, request: HttpRequest, obj: Boost | None = None) -> tuple[str, ...]:
        """Keep the points system for ever, and the user whom the API set."""
        return (*self.readonly_fields, "external_id", "system") if obj else self.readonly_fields

    def get_inlines(self, request: HttpRequest, obj: Boost | None = None) -> Any:
        """Leave the filters out where the boost is for one user."""
        return () if obj and obj.external_id is not None else self.inlines

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse for a boost that is finished: its page is shown, read only."""
        return super().has_change_permission(request, obj) and not (isinstance(obj, Boost) and is_finished(obj))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Say why, where a boost is read only, also to who sends a form that was opened before it finished."""
        boost = self.get_object(request, object_id) if object_id else None
        finished = boost if boost is not None and is_finished(boost) else None
        if finished and request.method == "POST":
            return self.response_closed(request, finished)
        context = {**(extra_context or {}), "finished_boost": finished}
        response: HttpResponse = super().changeform_view(request, object_id, form_url, context)
        return response

    def response_closed(self, request: HttpRequest, row: Boost) -> HttpResponse:
        """Say that the boost has finished, or is archived, on its page."""
        if not is_finished(row):
            return super().response_closed(request, row)
        messages.error(request, f"Not saved: «{row}» has finished in the meantime, and cannot be changed any more.")
        return HttpResponseRedirect(request.get_full_path())

    def status_of(self, row: Boost) -> str:
        """Return where the boost is in its life."""
        is_archived = row.status == BoostStatus.ARCHIVED
        return BoostStatus.ARCHIVED.value if is_archived else phase_now(row, timezone.now()).value

    # Not sortable: where a boost is follows from the day in its users' zones, not from the column.
    @display(description="Status", label=STATUS_COLOURS)
    def shown_status(self, boost: Boost) -> str:
        """Show where the boost is in its life as a coloured label."""
        return self.status_of(boost).capitalize()

    @display(description="Multiplier", ordering="multiplier")
    def shown_multiplier(self, boost: Boost) -> str:
        """Show the multiplier as people say it."""
        return f"x{plain_number(boost.multiplier)}"

    @display(description="Days", ordering="start")
    def shown_days(self, boost: Boost) -> str:
        """Show the first day and the last."""
        return str(boost.start) if boost.end == boost.start else f"{boost.start} to {boost.end or 'no end'}"

    @display(description="For")
    def shown_audience(self, boost: Boost) -> str:
        """Show for whom it is."""
        if boost.external_id is not None:
            return f"user {boost.external_id}"
        return ", ".join(str(each) for each in boost.filters.all()) or "everyone"

    @admin.action(description="Activate", permissions=["change"])
    def activate_selected(self, request: HttpRequest, queryset: QuerySet[Boost]) -> None:
        """Activate the boosts that are inactive, all or none of them."""
        activate = partial(activate_boosts, boosts=queryset)
        all_or_message(request, activate, "activated", "Nothing to activate: none of them is inactive.")

    @admin.action(description="Finish now", permissions=["change"])
    def finish_selected(self, request: HttpRequest, queryset: QuerySet[Boost]) -> HttpResponse | None:
        """Stop the boosts that are scheduled or active, once the operator has been told that it is final."""
        boosts = [boost for boost in queryset if self.is_offered("finish_one", boost)]
        statuses = [self.shown_status(boost) for boost in boosts]
        asked = ("Finish these boosts now?", FINAL, "Finish now", boosts, lambda: statuses)
        page = ask_first(request, self, *asked) if boosts else None
        if page is None:
            self._finish(request, queryset.filter(id__in=[boost.id for boost in boosts]))
        return page

    @row_action(
        "Activate",
        "play_arrow",
        dialog(
            "Activate «{row}»?",
            "It multiplies awards from its first day on, at once where that has begun. It can be finished early.",
            "Activate",
        ),
    )
    def activate_one(self, request: HttpRequest, rows: QuerySet[Boost]) -> None:
        """Activate one boost."""
        self.activate_selected(request, rows)

    @row_action("Finish now", "stop", dialog("Finish «{row}» now?", FINAL, "Finish now"))
    def finish_one(self, request: HttpRequest, rows: QuerySet[Boost]) -> None:
        """Stop one boost for ever."""
        self._finish(request, rows)

    def _finish(self, request: HttpRequest, boosts: QuerySet[Boost]) -> None:
        finish = partial(finish_boosts, boosts=boosts)
        all_or_message(request, finish, "finished", "Nothing to finish: none of them is scheduled or active.")

    def response_post_save_add(self, request: HttpRequest, obj: Boost) -> HttpResponse:
        """Go back to the points system's boosts, and say what is left to do."""
        messages.info(request, "The boost is inactive: activate it when it should count within its days.")
        return to_tab(obj.system_id, Boost)

    def response_post_save_change(self, request: HttpRequest, obj: Boost) -> HttpResponse:
        """Go back to the points system's boosts."""
        return to_tab(obj.system_id, Boost)
