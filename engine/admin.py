"""The queue of batch events in the admin: what waits, what a rule rejected, what failed and can be retried."""

from typing import Any

import msgspec
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display

from core.admin import GuardedAdmin, dialog, row_action
from core.admin_base import InfinitePaginator
from engine.models import QueuedEvent, QueuedEventStatus
from engine.queue import DEPTH_SHOWN_MAX, depth, retry

RETRY = dialog("Retry «{row}»?", "It waits again at its old place, for a moment.", "Retry")
STATUS_COLOURS = {"Waiting": "info", "Rejected": "warning", "Failed": "danger"}


@admin.register(QueuedEvent)
class QueuedEventAdmin(GuardedAdmin):
    """Events that were accepted in batches and were not processed yet, or could not be."""

    empty_hint = (
        "Batch events wait here for a moment. Those that a rule rejected, or that failed, stay with the reason."
    )
    list_display = ("external_id", "metric_key", "shown_status", "reason", "accepted")
    list_filter = ("status",)
    search_fields = ("external_id",)
    search_help_text = "Search by the user's whole ID"
    # Ids are in the order of arrival.
    ordering = ("-id",)
    list_per_page = 50
    paginator: Any = InfinitePaginator
    show_full_result_count = False
    fields = ("external_id", "metric_key", "shown_status", "reason", "accepted", "settled", "shown_event")
    readonly_fields = fields
    actions = ("retry_selected",)
    actions_row = ("retry_one",)
    actions_detail = actions_row
    list_before_template = "engine/queue_depth.html"

    @display(description="Status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, event: QueuedEvent) -> str:
        """Show the status as a coloured label."""
        return QueuedEventStatus(event.status).label

    @admin.display(description="Event")
    def shown_event(self, event: QueuedEvent) -> str:
        """Show what was sent, line by line."""
        return format_html("<pre class='whitespace-pre-wrap'>{}</pre>", msgspec.json.format(event.event))

    @admin.action(description="Retry", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[QueuedEvent]) -> None:
        """Let what failed wait again; what a rule rejected stays as it is."""
        count = retry(events=queryset)
        if count:
            messages.success(request, f"{count} will be tried again in a moment.")
        else:
            messages.warning(request, "None of these failed: only an event that failed can be tried again.")

    @row_action("Retry", "replay", RETRY, permission="retry")
    def retry_one(self, request: HttpRequest, events: QuerySet[QueuedEvent]) -> None:
        """Let one event wait again."""
        self.retry_selected(request, events)

    def is_offered(self, action_name: str, event: QueuedEvent) -> bool:
        """Tell whether an action on one row fits it."""
        return event.status == QueuedEventStatus.FAILED

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer, on the page of an event, the actions that fit it."""
        found = super().get_actions_detail(request, object_id)
        event = self.get_object(request, object_id) if found else None
        return [each for each in found if event is not None and self.is_offered(each.action_name, event)]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show how deep the queue is above its events."""
        context = {"depth": depth(timezone.now()), "depth_max": DEPTH_SHOWN_MAX}
        response: HttpResponse = super().changelist_view(request, (extra_context or {}) | context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the event without buttons to save what nobody can change."""
        buttons = {"show_save": False, "show_save_and_continue": False}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | buttons)
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[QueuedEvent], search_term: str
    ) -> tuple[QuerySet[QueuedEvent], bool]:
        """Find by the whole id."""
        return (queryset.filter(external_id=search_term) if search_term else queryset), False

    def has_retry_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether the operator may let events wait again."""
        return request.user.has_perm("engine.retry_queuedevent")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: products send events."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow it, one by one, for what is settled: an event that waits was promised."""
        settled = isinstance(obj, QueuedEvent) and obj.status != QueuedEventStatus.WAITING
        return settled and super().has_delete_permission(request, obj)
