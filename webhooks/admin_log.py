"""The log of webhooks in the admin: what was sent where, what came of it, and once more."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import ngettext
from unfold.views import ChangeList

from core.admin import GuardedAdmin, dialog, row_action
from core.admin_base import InfinitePaginator
from core.json import encode_text
from users.models import EndUser
from webhooks.delivery import body_of
from webhooks.models import OUTBOX_TYPES, SETTLED, Delivery, DeliveryAttempt, OutboxMessage
from webhooks.services import replay, retry_now
from webhooks.states import LISTED, Kind, ahead_of, state_of, with_tries

COLOURS: Final = {
    Kind.DUE: "info",
    Kind.SENDING: "info",
    Kind.PAUSED: "warning",
    Kind.FAILING: "danger",
    Kind.WAITING: "info",
    Kind.ON_HOLD: "warning",
    Kind.DELIVERED: "success",
    Kind.GIVEN_UP: "danger",
}
ANSWER_SHOWN_MAX: Final = 1_000
"""How many characters of an answer's body a page shows."""
MAY_REPLAY: Final = "webhooks.replay_delivery"
NOT_RETRIED: Final = (
    "Nothing to retry: only what failed or is paused can be, if its endpoint is active. What waits goes out after the "
    "user's message before it."
)
NOT_REPLAYED: Final = "Nothing to replay: they are on their way still, or their endpoint is archived."


class StateFilter(admin.SimpleListFilter):
    """Lists the deliveries of which the log says the same."""

    title = "status"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer them in words."""
        return [(kind, text) for kind, (text, _) in LISTED.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Return those that were asked for."""
        _, condition = LISTED.get(self.value() or "", ("", Q()))
        return queryset.filter(condition)


class DeliveryList(ChangeList):
    """A page of the log, which knows what each message waits for."""

    def get_results(self, request: HttpRequest) -> None:
        """Look up for all of the page at once what the messages that wait wait for."""
        super().get_results(request)
        deliveries: list[Delivery] = list(self.result_list)  # type: ignore[has-type] # Django's own
        ahead = ahead_of(deliveries)
        for delivery in deliveries:
            delivery.ahead = ahead.get(delivery.id)
        self.result_list = deliveries


class DeliveryAdmin(GuardedAdmin):
    """What was sent, and what is going to be. Nobody changes it: it can only be sent once more."""

    empty_hint = "Each message to each endpoint is kept here, with every try to deliver it."
    list_display = (
        "shown_created",
        "endpoint",
        "shown_type",
        "shown_user",
        "shown_state",
        "shown_answer",
    )
    list_filter = ("endpoint", "type", StateFilter)
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
        "shown_state",
        "shown_created",
        "shown_settled",
    )
    readonly_fields = fields
    change_form_after_template = "webhooks/delivery.html"
    actions = ("retry_selected", "replay_selected")
    actions_row = ("retry_one", "replay_one")
    actions_detail = actions_row

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Bring along what the list shows, without payloads and answers, which are long."""
        queryset: QuerySet[Delivery] = super().get_queryset(request).select_related(*self.list_select_related)
        return with_tries(queryset.defer("message__payload"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that knows what messages wait for."""
        return DeliveryList

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

    @admin.display(description="Status")
    def shown_state(self, delivery: Delivery) -> str:
        """Show what becomes of it as a coloured label, with details beside."""
        now = timezone.now()
        state = state_of(delivery, now)
        label = render_to_string("unfold/helpers/label.html", {"type": COLOURS[state.kind], "text": state.kind.label})
        details = _what_it_waits_for(delivery, now) if state.kind == Kind.WAITING else state.details
        return format_html("{} <span>{}</span>", label, details)

    @admin.display(description="Last answer")
    def shown_answer(self, delivery: Delivery) -> str:
        """Show what came of the last try."""
        tries = list(delivery.tries.all())
        return str(tries[-1].status_code or tries[-1].error) if tries else ""

    @admin.display(description="Settled (UTC)")
    def shown_settled(self, delivery: Delivery) -> str:
        """Show when it arrived or was given up."""
        return _moment(delivery.settled)

    @admin.action(description="Retry now", permissions=["replay"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Have messages tried at once that wait for their next try."""
        chosen = Delivery.objects.filter(id__in=list(queryset.values_list("id", flat=True)))
        say_retried(request, retry_now(deliveries=chosen, now=timezone.now()), NOT_RETRIED)

    @row_action(
        "Retry now",
        "fast_forward",
        dialog(
            "Retry this message now?",
            "It goes out at once. If its endpoint asked for a pause, the pause ends for all of its messages.",
            "Retry now",
        ),
        permission="replay",
    )
    def retry_one(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        """Have one message tried at once."""
        self.retry_selected(request, deliveries)

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
        if action_name.endswith("retry_one"):
            return state_of(delivery, timezone.now()).kind in {Kind.FAILING, Kind.PAUSED}
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


def say_retried(request: HttpRequest, count: int, none: str) -> None:
    """Tell the operator how many messages are tried at once, or that there were `none`."""
    if count:
        text = ngettext("%s message is tried now.", "%s messages are tried now.", count)
        messages.success(request, text % f"{count:,}")
    else:
        messages.warning(request, none)


def say_replayed(request: HttpRequest, count: int, none: str) -> None:
    """Tell the operator how many messages are delivered once more, or that there were `none`."""
    if count:
        text = ngettext("%s message is delivered once more.", "%s messages are delivered once more.", count)
        messages.success(request, text % f"{count:,}")
    else:
        messages.warning(request, none)


def _what_it_waits_for(delivery: Delivery, now: datetime) -> str:
    ahead = delivery.ahead or ahead_of([delivery]).get(delivery.id)
    if ahead is None:  # it was settled a moment ago
        return "for an earlier message of this user"
    link = _link("admin:webhooks_delivery_change", ahead.id, "an earlier message")
    return format_html("for {} of this user, which is {}", link, state_of(ahead, now).words)


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
