"""The settings of streaks in the admin: one row, so no list."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from core.admin import ConfigurationForm, HistoryAdmin, kept_rows
from core.admin_base import TabularInline
from core.history import SYSTEM, acting
from core.inline_rows import RowsByReference
from streaks.models import StreakMetric, StreakSettings
from streaks.services import check_metrics

EXPLANATION = (
    "A streak grows by one in each period in which a user does enough, by their own calendar, and ends with the first "
    "whole period in which they do not. Another frequency starts every streak anew at the user's next event. All other "
    "changes hold from the current period on: a period that counted already is not taken back."
)


class MetricFormSet(RowsByReference):
    """The metrics that count."""

    reference = "metric"

    def clean(self) -> None:
        """Refuse what the Admin API refuses, in the same words."""
        if not any(self.errors):
            try:
                check_metrics([row["metric"] for row in kept_rows(self)])
            except ValidationError as error:
                raise ValidationError(error.messages) from error
        super().clean()


class MetricInline(TabularInline):
    """The metrics that count, and how much of each is enough."""

    model = StreakMetric
    form = ConfigurationForm
    formset = MetricFormSet
    autocomplete_fields = ("metric",)
    extra = 0
    hide_title = True
    verbose_name = "metric"
    verbose_name_plural = "metrics that count: with none here, any event of any metric with a value above 0 does"


@admin.register(StreakSettings)
class StreakSettingsAdmin(HistoryAdmin):
    """What makes a streak."""

    inlines = (MetricInline,)
    fieldsets = ((None, {"fields": ("frequency", "evaluation_mode"), "description": EXPLANATION}),)
    warn_unsaved_form = True

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Open the one row, which is made with its defaults where nobody did yet."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        with acting(SYSTEM):  # who only looks makes nothing
            settings, _ = StreakSettings.objects.get_or_create(id=1)
        return HttpResponseRedirect(reverse("admin:streaks_streaksettings_change", args=(settings.id,)))

    def response_post_save_change(self, request: HttpRequest, obj: StreakSettings) -> HttpResponse:
        """Stay: there is no list to go to."""
        return HttpResponseRedirect(reverse("admin:streaks_streaksettings_change", args=(obj.id,)))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: there is one row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: there is one row."""
        return False
