"""What the admin of every configuration shares: it is archived instead of deleted."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from core.models import Configuration, ConfigurationStatus
from core.services import archive, restore

STATUS_COLOURS = {"Active": "success", "Inactive": "warning", "Archived": "danger"}


class LiveFilter(admin.SimpleListFilter):
    """Hides what is archived, unless it is asked for."""

    title = "archived"
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        """Offer to see only what is archived, or all."""
        return (("only", "Only archived"), ("with", "With archived"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return what was asked for."""
        if self.value() == "with":
            return queryset
        if self.value() == "only":
            return queryset.filter(status=ConfigurationStatus.ARCHIVED)
        return queryset.exclude(status=ConfigurationStatus.ARCHIVED)


class ConfigurationAdmin(ModelAdmin):
    """The admin of a table of configuration."""

    list_filter: Sequence[Any] = (LiveFilter,)
    list_per_page = 50
    actions: Sequence[str] = ("archive_selected", "restore_selected")
    warn_unsaved_form = True

    @display(description="Status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, row: Any) -> str:
        """Show the status as a coloured label."""
        return str(row.get_status_display())

    @admin.action(description="Archive", permissions=["change"])
    def archive_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Archive what can be; say of each other why not."""
        each_or_message(request, queryset.exclude(status=ConfigurationStatus.ARCHIVED), archive, "archived")

    @admin.action(description="Restore", permissions=["change"])
    def restore_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Bring back what can be; say of each other why not."""
        each_or_message(request, queryset.filter(status=ConfigurationStatus.ARCHIVED), restore, "restored")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Offer nothing that is archived where a form asks what to choose from."""
        if request.path == reverse("admin:autocomplete"):
            queryset = queryset.exclude(status=ConfigurationStatus.ARCHIVED)
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: configuration is archived, so that what was awarded by it stays explained."""
        return False


def each_or_message(request: HttpRequest, rows: QuerySet[Any], do: Callable[..., None], done: str) -> None:
    """Do it to each row; tell the operator how many worked, and of each other why not."""
    count = 0
    for row in rows:
        try:
            do(row=row)
            count += 1
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
    if count:
        messages.success(request, f"{count} {done}.")


def back_to_list(request: HttpRequest, model: type[Configuration]) -> HttpResponse:
    """Return the answer to a row action's dialog: go on where the operator was."""
    fallback = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return HttpResponse(headers={"HX-Redirect": request.headers.get("HX-Current-URL", fallback)})
