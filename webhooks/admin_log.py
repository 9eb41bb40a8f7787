"""The log of webhooks in the admin: what was sent where, what came of it, and once more."""

from typing import Any, Final
from uuid import UUID

import msgspec
from django.contrib import admin, messages
from django.db.models import Model, Prefetch, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import ngettext
from unfold.decorators import display

from core.admin import GuardedAdmin, dialog, row_action
from core.admin_base import InfinitePaginator
from core.json import encode_text
from users.models import EndUser
from webhooks.delivery import body_of
from webhooks.models import OUTBOX_TYPES, SETTLED, Delivery, DeliveryAttempt, DeliveryStatus, OutboxMessage
from webhooks.services import replay

COLOURS: Final = {"Waiting": "info", "Ready": "info", "Delivered": "success", "Failed": "danger"}
ANSWER_SHOWN_MAX: Final = 1_000
"""How many characters of an answer's body a page shows."""
MAY_REPLAY: Final = "webhooks.replay_delivery"
NOT_REPLAYED: Final = "Nothing to replay: they are on their way still, or their endpoint is archived."


class DeliveryAdmin(GuardedAdmin):
    """What was sent, and what is going to be. Nobody changes it: it can only be sent once more."""

    empty_hint = "Each message to each endpoint is kept here, with every try to deliver it."
    list_display = (
        "shown_created",
        "endpoint",
        "shown_type",
        "shown_user",
        "shown_status",
        "attempts",
        "shown_answer",
        "shown_next",
    )
    list_filter = ("endpoint", "type", "status")
    search_fields = ("message__id",)
    search_help_text = "Search by a user's whole ID or a message's id"
    list_select_related = ("endpoint", "message", "user")
    # Ids are in the order in which they were to go out.
    ordering = ("-id",)
    # Neither counted nor sorted: there may be many millions.
    paginator: Any = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    list_disable_select_all = True
    list_per_page = 50
    fields = (
        "shown_endpoint",
        "shown_type",
        "shown_id",
        "shown_user",
        "shown_status",
        "attempts",
        "shown_created",
        "shown_settled",
        "shown_next",
    )
    readonly_fields = fields
    change_form_after_template = "webhooks/delivery.html"
    actions = ("replay_selected",)
    actions_row = ("replay_one",)
    actions_detail = actions_row

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Bring along what the list shows, without payloads and answers, which are long."""
        tries = DeliveryAttempt.objects.defer("answer").order_by("id")
        queryset: QuerySet[Delivery] = super().get_queryset(request).select_related(*self.list_select_related)
        return queryset.defer("message__payload").prefetch_related(Prefetch("tries", tries))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        """Find by a message's id, or by a user's whole id."""
        if not search_term:
            return queryset, False
        if (number := _message_number(search_term)) is not None:
            return queryset.filter(message=number), False
        user = EndUser.objects.filter(external_id=search_term).first()
        return (queryset.none() if user is None else queryset.filter(user=user)), False

    @admin.display(description="When (UTC)")
    def shown_created(self, delivery: Delivery) -> str:
        """Show when it was to go out first."""
        return _moment(delivery.created)

    @admin.display(description="Endpoint")
    def shown_endpoint(self, delivery: Delivery) -> str:
        """Link to the endpoint."""
        return _link("admin:webhooks_endpoint_change", delivery.endpoint_id, delivery.endpoint)

    @admin.display(description="Message")
    def shown_type(self, delivery: Delivery) -> str:
        """Name the type in words."""
        return dict(OUTBOX_TYPES)[delivery.type]

    @admin.display(description="Message id")
    def shown_id(self, delivery: Delivery) -> str:
        """Show the id, by which receivers know the message."""
        return str(delivery.message.id)

    @admin.display(description="User")
    def shown_user(self, delivery: Delivery) -> str:
        """Link to the user."""
        return _link("admin:users_enduser_change", delivery.user_id, delivery.user.external_id) if delivery.user else ""

    @display(description="Status", label=COLOURS)
    def shown_status(self, delivery: Delivery) -> str:
        """Show the status as a coloured label."""
        return DeliveryStatus(delivery.status).label

    @admin.display(description="Last answer")
    def shown_answer(self, delivery: Delivery) -> str:
        """Show what came of the last try."""
        tries = list(delivery.tries.all())
        return str(tries[-1].status_code or tries[-1].error) if tries else ""

    @admin.display(description="Next try (UTC)")
    def shown_next(self, delivery: Delivery) -> str:
        """Show when it is tried next, or what it waits for."""
        if delivery.status == DeliveryStatus.WAITING:
            return "after the user's message before it"
        return _moment(delivery.next_attempt_at)

    @admin.display(description="Settled (UTC)")
    def shown_settled(self, delivery: Delivery) -> str:
        """Show when it arrived or was given up."""
        return _moment(delivery.settled)

    @admin.action(description="Replay", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Have messages delivered once more."""
        say_replayed(request, replay(deliveries=queryset, now=timezone.now()), NOT_REPLAYED)

    @row_action(
        "Replay",
        "replay",
        dialog("Replay this message?", "It is delivered once more, under the same id.", "Replay"),
        permission="replay",
    )
    def replay_one(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        """Have one message delivered once more."""
        self.replay_selected(request, deliveries)

    def is_offered(self, action_name: str, delivery: Delivery) -> bool:
        """Tell whether an action on one row fits it."""
        return delivery.status in SETTLED

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer, on the page of a delivery, the actions that fit it."""
        found = super().get_actions_detail(request, object_id)
        delivery = self.get_object(request, object_id) if found else None
        return [each for each in found if delivery is not None and self.is_offered(each.action_name, delivery)]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show every try and the body below, without buttons to save what nobody can change."""
        delivery = self.get_object(request, object_id)
        context: dict[str, Any] = {"show_save": False, "show_save_and_continue": False}
        if delivery is not None:
            context |= {"attempts": attempt_table(delivery), "body": body_lines(delivery.message)}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def has_replay_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether the operator may have messages delivered once more."""
        return request.user.has_perm(MAY_REPLAY)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: messages come of what happens."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: the log forgets by itself."""
        return False


def body_lines(message: OutboxMessage) -> str:
    """Return what is sent, line by line; on the wire it is one line."""
    body = body_of(message.id, message.sequence, message.created, encode_text(message.payload))
    return msgspec.json.format(body)


def attempt_table(delivery: Delivery) -> dict[str, Any]:
    """Return every try of a delivery, for unfold's template."""
    tries = DeliveryAttempt.objects.filter(delivery=delivery).order_by("id")
    rows = [
        [
            each.number,
            _moment(each.at),
            f"{each.duration_ms:,} ms",
            f"{each.status_code or 'none'}{f', asked for a pause of {each.pause_s:,} s' if each.pause_s else ''}",
            format_html("<span style='overflow-wrap: anywhere'>{}</span>", each.error or each.beginning),
        ]
        for each in tries.annotate(beginning=Left("answer", ANSWER_SHOWN_MAX)).defer("answer")
    ]
    return {"headers": ["Try", "When (UTC)", "Took", "Status", "Answer"], "rows": rows}


def say_replayed(request: HttpRequest, count: int, none: str) -> None:
    """Tell the operator how many messages are delivered once more, or that there were `none`."""
    if count:
        text = ngettext("%s message is delivered once more.", "%s messages are delivered once more.", count)
        messages.success(request, text % f"{count:,}")
    else:
        messages.warning(request, none)


def _message_number(text: str) -> int | None:
    """Return the number of the message with this id, None where there is none."""
    try:
        found = OutboxMessage.objects.filter(id=UUID(text))
    except ValueError:
        return None
    return found.values_list("number", flat=True).first()


def _moment(at: Any) -> str:
    return date_format(localtime(at), "Y-m-d H:i:s") if at else ""


def _link(view: str, id_: Any, text: object) -> str:
    page = reverse(view, args=(id_,))
    return format_html("<a class='text-primary-600 dark:text-primary-500' href='{}'>{}</a>", page, text)
