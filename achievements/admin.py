"""Achievements in the admin, but for their activation, which looks at points too (see `backoffice.achievements`)."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from achievements.models import (
    ACHIEVEMENT_FIELDS,
    TYPED_FIELDS,
    Achievement,
    AchievementFilter,
    AchievementPrerequisite,
    AchievementStatus,
)
from achievements.rules import AchievementType
from achievements.services import check_key_change, check_prerequisites, lock_achievement
from core.admin import (
    BadgedAdmin,
    LiveFilter,
    TypedForm,
    dialog,
    each_or_message,
    kept_rows,
    only_for,
    row_action,
    with_badge,
    without_zeros,
)
from core.admin_base import TabularInline
from core.inline_rows import RowsByReference
from core.services import check_type_change
from metrics.services import check_filters
from users.admin_filters import FilterFormSet
from users.services import Filters


class AchievementForm(TypedForm):
    """An achievement."""

    fields_of_type = ACHIEVEMENT_FIELDS

    class Meta:
        model = Achievement
        fields = ("name", "description", "type", *TYPED_FIELDS, "badge", "badge_url")

    def clean(self) -> dict[str, Any]:
        """Refuse another type, and another key, while users can complete the achievement."""
        data = super().clean()
        if not self.instance._state.adding and "type" in data:
            is_inactive = self.instance.status == AchievementStatus.INACTIVE
            check_type_change(self.instance.type, data["type"], is_inactive=is_inactive, what="achievement")
        check_key_change(self.instance, data.get("key", self.instance.key))
        return data


class AchievementFilters(FilterFormSet):
    """The filters of an achievement."""

    def check(self, user_filters: Filters, event_filters: Filters) -> None:
        """Refuse filters that an achievement of this type cannot have."""
        is_metric = self.instance.type == AchievementType.METRIC
        check_filters(user_filters=user_filters, event_filters=event_filters, of_metric=is_metric, what="achievement")


class FilterInline(TabularInline):
    """The attributes that must match for an achievement to be completed."""

    model = AchievementFilter
    formset = AchievementFilters
    autocomplete_fields = ("attribute",)
    extra = 0
    hide_title = True
    verbose_name = "filter"
    verbose_name_plural = "filters: all must match for the achievement to be completed"


class PrerequisiteFormSet(RowsByReference):
    """What a composite needs. The rows of another type are hidden on the page, and dropped here."""

    reference = "prerequisite"

    def clean(self) -> None:
        """Refuse none at all, the same twice, what is archived, and a circle."""
        is_composite = self.instance.type == AchievementType.COMPOSITE
        for form in () if is_composite else self.forms:
            getattr(form, "cleaned_data", {})["DELETE"] = True
        super().clean()
        if not is_composite or any(self.errors):
            return
        # The formset takes a new achievement's id away until it is saved.
        achievement = self.instance if self.instance.pk else Achievement(type=self.instance.type)
        try:
            check_prerequisites(achievement, [row["prerequisite"] for row in kept_rows(self)])
        except ValidationError as error:
            raise ValidationError(["Prerequisites " + message for message in error.messages]) from error


class PrerequisiteInline(TabularInline):
    """The achievements that must be completed first."""

    model = AchievementPrerequisite
    formset = PrerequisiteFormSet
    fk_name = "achievement"
    autocomplete_fields = ("prerequisite",)
    template = "backoffice/prerequisites.html"
    extra = 0
    hide_title = True
    verbose_name = "prerequisite"
    verbose_name_plural = "prerequisites: completed with the last of these"


@transaction.atomic
def _lock(*, row: Achievement) -> None:
    lock_achievement(achievement=Achievement.objects.select_for_update(no_key=True).get(id=row.id))


class AchievementAdmin(BadgedAdmin):
    """What users complete once."""

    empty_hint = "An achievement is something that users complete once, such as 100 lessons or a streak of 7 days."
    form = AchievementForm
    inlines = (PrerequisiteInline, FilterInline)
    list_display: Sequence[Any] = ("shown_name", "shown_rule", "shown_filters", "shown_status", "updated")
    list_filter = (LiveFilter, "status", "type")
    list_select_related = ("metric",)
    search_fields = ("name", "key")
    autocomplete_fields = ("metric",)
    fieldsets = (
        (None, {"fields": ("name", "description", "type", "metric", "metric_value", "streak_length", "key")}),
        BadgedAdmin.badge_fieldset,
    )
    conditional_fields = {field: only_for(type_) for type_, fields in ACHIEVEMENT_FIELDS.items() for field in fields}
    actions: Sequence[str] = ("lock_selected", "archive_selected", "restore_selected")
    actions_row: Sequence[str] = ("lock_one", "archive_one", "restore_one")
    readonly_preprocess_fields = {"metric_value": without_zeros}
    offered_in = {
        "activate_one": (AchievementStatus.INACTIVE, AchievementStatus.LOCKED),
        "lock_one": (AchievementStatus.ACTIVE,),
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Achievement]:
        """Bring each achievement's parts along."""
        parts = ("filters__attribute", "prerequisites__prerequisite")
        queryset: QuerySet[Achievement] = super().get_queryset(request).prefetch_related(*parts)
        return queryset

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the key from the first activation on: products complete the achievement by it."""
        is_draft = obj is None or obj.status == AchievementStatus.INACTIVE
        return ("shown_badge",) if is_draft else ("shown_badge", "key")

    @display(description="Achievement", header=True, ordering="name")
    def shown_name(self, achievement: Achievement) -> list[Any]:
        """Show the badge, the name and the description."""
        return with_badge(achievement, achievement.name, achievement.description[:80])

    @display(description="Completed by", ordering="type")
    def shown_rule(self, achievement: Achievement) -> str:
        """Say when it is completed."""
        if achievement.type == AchievementType.API:
            return f"{achievement.occasion}: {achievement.key}"
        if achievement.type == AchievementType.COMPOSITE:
            return "All of: " + ", ".join(str(each) for each in achievement.prerequisites.all())
        return achievement.occasion

    @display(description="Only where")
    def shown_filters(self, achievement: Achievement) -> str:
        """Show the filters."""
        return ", ".join(str(each) for each in achievement.filters.all()) or "everyone"

    @admin.action(description="Lock", permissions=["change"])
    def lock_selected(self, request: HttpRequest, queryset: QuerySet[Achievement]) -> None:
        """Lock what is active; say of each other why not."""
        unlocked = queryset.exclude(status=AchievementStatus.LOCKED)
        each_or_message(request, unlocked, _lock, "locked", "Nothing to lock: what was chosen is locked already.")

    @row_action(
        "Lock",
        "lock",
        dialog(
            "Lock «{row}»?",
            "Nobody completes it any more until it is activated again. Who has it keeps it, and still sees it.",
            "Lock",
        ),
    )
    def lock_one(self, request: HttpRequest, rows: QuerySet[Achievement]) -> None:
        """Lock one achievement."""
        self.lock_selected(request, rows)

    def response_post_save_add(self, request: HttpRequest, obj: Achievement) -> HttpResponse:
        """Say what is left to do."""
        messages.info(request, "The achievement is inactive: activate it when users should see and complete it.")
        response: HttpResponse = super().response_post_save_add(request, obj)
        return response
