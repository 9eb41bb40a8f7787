"""Endpoints in the admin; the log of what was sent to them is in `webhooks.admin_log`."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import INPUT_CLASSES, UnfoldAdminCheckboxSelectMultipleWidget

from core.admin import (
    STATUS_COLOURS,
    ConfigurationAdmin,
    ConfigurationForm,
    LiveFilter,
    back_to_list,
    dialog,
    each_or_message,
    row_action,
)
from core.form_fields import MomentField
from core.once_admin import SHOWN_BEFORE
from webhooks import services
from webhooks.admin_log import MAY_REPLAY, DeliveryAdmin, say_replayed, say_retried
from webhooks.models import TEST_TYPE, Delivery, Endpoint, EndpointStatus, MessageType
from webhooks.watch import WAITING_SHOWN_MAX, failing_since, paused_until, trouble_of, waiting_counts

ENDPOINT_COLOURS: Final = STATUS_COLOURS | {"Failing": "danger", "Paused": "warning", "Disabled": "warning"}

admin.site.register(Delivery, DeliveryAdmin)


class EndpointForm(ConfigurationForm):
    """An endpoint. Its secret is made when it is added, and is in no form."""

    types = forms.MultipleChoiceField(
        label="Messages",
        choices=MessageType.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="The types of messages that it wants.",
    )

    class Meta:
        model = Endpoint
        fields = ("name", "url", "types", "collapse_minutes")

    def clean(self) -> dict[str, Any]:
        """Make the secret, whose text lives on the instance until it was shown; keep a feed a feed."""
        data = super().clean() or {}
        if self.instance._state.adding:
            self.instance.text = services.equip(endpoint=self.instance)
        else:
            services.check_kind(
                self.instance, **{name: data[name] for name in ("url", "collapse_minutes") if name in data}
            )
        return data


def a_day_ago() -> datetime:
    """Return the moment from which on failed messages are replayed if nobody says otherwise."""
    return timezone.now() - timedelta(days=1)


class SinceForm(BaseDialogForm):
    """Asks from when on."""

    since = MomentField(
        label="Given up since (UTC)",
        initial=a_day_ago,
        widget=forms.DateTimeInput({"type": "datetime-local", "class": " ".join(INPUT_CLASSES)}, "%Y-%m-%dT%H:%M"),
    )


TEST = dialog("Send a test event?", f"A message of type {TEST_TYPE} goes out at once, signed like any other.", "Send")
ROTATE = dialog(
    "Rotate the secret?",
    "You are shown a new secret, once. Both sign until you finish the rotation, so nothing is lost meanwhile. If a "
    "rotation is under way already, the new secret replaces the one that it made.",
    "Rotate",
)
FINISH = dialog(
    "Finish the rotation?",
    "The old secret stops signing: receivers that still verify with it refuse everything from now on.",
    "Finish",
)
ENABLE = dialog("Enable this endpoint?", "It gets messages again, at first those that waited for it.", "Enable")
DISABLE = dialog(
    "Disable this endpoint?",
    "Nothing is sent to it any more. What waits goes on waiting; what happens meanwhile is not kept for it.",
    "Disable",
)
RETRY_NOW = dialog(
    "Retry now what failed?",
    "Each message that waits for its next try goes out at once, each user's in order. A pause that the endpoint asked "
    "for ends; the messages go slowly at first.",
    "Retry now",
)
REPLAY_FAILED = dialog(
    "Replay all that failed?",
    "Each message that was given up since then, and did not arrive later, is delivered once more under the same id.",
    "Replay",
    SinceForm,
)


@admin.register(Endpoint)
class EndpointAdmin(ConfigurationAdmin):
    """Where messages go."""

    empty_hint = "An endpoint is an address of your product that is told of points, levels, streaks and achievements."
    form = EndpointForm
    list_display = ("shown_endpoint", "shown_types", "shown_status", "shown_collapse", "shown_waiting", "created")
    list_filter = (LiveFilter, "status")
    list_select_related = ("health",)
    search_fields = ("name", "url")
    search_help_text = "Search by name or address"
    change_form_before_template = "webhooks/trouble.html"
    actions = ("enable_selected", "disable_selected", "archive_selected", "restore_selected")
    actions_row = (
        "send_test_one",
        "retry_now_one",
        "replay_failed_one",
        "rotate_one",
        "finish_rotation_one",
        "enable_one",
        "disable_one",
        "archive_one",
        "restore_one",
    )
    actions_detail = (
        "send_test_one",
        {"title": "Send again", "icon": "replay", "items": ["retry_now_one", "replay_failed_one"]},
        {"title": "Secret", "icon": "key", "items": ["rotate_one", "finish_rotation_one"]},
        "enable_one",
        "disable_one",
        "archive_one",
        "restore_one",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        """Bring along how many messages wait for each."""
        counts = [When(id=id_, then=Value(count)) for id_, count in waiting_counts().items()]
        queryset: QuerySet[Endpoint] = super().get_queryset(request)
        return queryset.select_related("health").annotate(waiting=Case(*counts, default=Value(0)))

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Sequence[str]:
        """Name the types in words to who may only look."""
        types = "types" if obj is None or self.has_change_permission(request, obj) else "shown_types"
        of_stored = () if obj is None else ("id", "shown_log")
        return ("name", "url", types, "collapse_minutes", *of_stored)

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Sequence[str]:
        """Show what nobody can change."""
        return () if obj is None else ("shown_types", "id", "shown_log")

    @display(description="Endpoint", header=True, ordering="name")
    def shown_endpoint(self, endpoint: Endpoint) -> list[str]:
        """Show the name, and where messages go."""
        return [endpoint.name or "No name", endpoint.url or "Feed: read by the Admin API"]

    @admin.display(description="Messages")
    def shown_types(self, endpoint: Endpoint) -> str:
        """Name the types."""
        missing = [label for value, label in MessageType.choices if value not in endpoint.types]
        return "all" if not missing else ", ".join(MessageType(each).label for each in endpoint.types)

    @display(description="Status", label=ENDPOINT_COLOURS, ordering="status")
    def shown_status(self, endpoint: Endpoint) -> tuple[str, str]:
        """Show the status as a coloured label."""
        if until := paused_until(endpoint, timezone.now()):
            return "Paused", f"Paused until {until:%Y-%m-%d %H:%M}"
        if since := failing_since(endpoint):
            return "Failing", f"Failing since {since:%Y-%m-%d %H:%M}"
        label = EndpointStatus(endpoint.status).label
        return label, label

    @admin.display(description="Collapse", ordering="collapse_minutes")
    def shown_collapse(self, endpoint: Endpoint) -> str:
        """Show how long points changes are collected."""
        return f"{endpoint.collapse_minutes} min" if endpoint.collapse_minutes else "no"

    @admin.display(description="Waiting")
    def shown_waiting(self, endpoint: Any) -> str:
        """Show how many messages wait for it."""
        more = " or more" if endpoint.waiting == WAITING_SHOWN_MAX else ""
        return f"{endpoint.waiting:,}{more}"

    @admin.display(description="Log")
    def shown_log(self, endpoint: Endpoint) -> str:
        """Link to what was sent; a feed has nothing there."""
        if not endpoint.url:
            return format_html("<code>GET /admin-api/v1/webhook-events?endpoint={}</code>", endpoint.id)
        return _log_link("What was sent to it", endpoint)

    def is_offered(self, action_name: str, row: Endpoint) -> bool:
        """Tell whether an action fits the endpoint as it is."""
        is_active, is_sent = row.status == EndpointStatus.ACTIVE, bool(row.url)
        is_archived = row.status == EndpointStatus.ARCHIVED
        offered = {
            "send_test_one": is_active and is_sent,
            "retry_now_one": is_sent
            and (failing_since(row) is not None or paused_until(row, timezone.now()) is not None),
            "replay_failed_one": is_sent and not is_archived,
            "rotate_one": is_sent and not is_archived,
            "finish_rotation_one": bool(row.old_secret),
            "enable_one": row.status == EndpointStatus.DISABLED,
            "disable_one": is_active,
        }
        name = action_name.removeprefix("webhooks_endpoint_")
        return offered[name] if name in offered else super().is_offered(action_name, row)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say above the form what is wrong, and whether two secrets sign."""
        endpoint = self.get_object(request, object_id)
        context = (
            {}
            if endpoint is None
            else {"trouble": trouble_of(endpoint, timezone.now()), "is_rotating": bool(endpoint.old_secret)}
        )
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new secret, this once; a feed is signed by nobody."""
        if obj.url and obj.text:
            _show_secret(request, obj, obj.text, "")
        elif obj.url:
            messages.warning(request, SHOWN_BEFORE.format(obj))
        else:
            messages.success(request, format_html("The feed was added. Read it with endpoint=<code>{}</code>.", obj.id))
        response: HttpResponse = self.response_post_save_add(request, obj)
        return response

    @admin.action(description="Enable", permissions=["change"])
    def enable_selected(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Enable what is disabled; say of each other why not."""
        each_or_message(request, queryset, _for_each(services.enable), "enabled", "Nothing to enable.")

    @admin.action(description="Disable", permissions=["change"])
    def disable_selected(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Disable what is active; say of each other why not."""
        each_or_message(request, queryset, _for_each(services.disable), "disabled", "Nothing to disable.")

    @row_action("Enable", "play_arrow", ENABLE)
    def enable_one(self, request: HttpRequest, endpoints: QuerySet[Endpoint]) -> None:
        """Enable one endpoint."""
        self.enable_selected(request, endpoints)

    @row_action("Disable", "pause", DISABLE)
    def disable_one(self, request: HttpRequest, endpoints: QuerySet[Endpoint]) -> None:
        """Disable one endpoint."""
        self.disable_selected(request, endpoints)

    @action(description="Send test event", icon="send", permissions=["change"], dialog=TEST)
    def send_test_one(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Have a test message sent, and link to what comes of it."""

        def send(endpoint: Endpoint) -> None:
            services.send_test(endpoint=endpoint)
            link = _log_link("The log", endpoint, type=TEST_TYPE)
            until = paused_until(endpoint, timezone.now())
            way = f"goes out after the pause, at {until:%Y-%m-%d %H:%M} UTC" if until else "is on its way"
            messages.success(request, format_html("The test event {}. {} shows what comes of it.", way, link))

        return self._with(request, object_id, send)

    @action(description="Rotate secret", icon="key", permissions=["change"], dialog=ROTATE)
    def rotate_one(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Give the endpoint a new secret, and show it this once."""

        def rotate(endpoint: Endpoint) -> None:
            secret = services.rotate_secret(endpoint=endpoint)
            _show_secret(request, endpoint, secret, "The old one signs too until you finish the rotation.")

        return self._with(request, object_id, rotate)

    @action(description="Finish rotation", icon="key_off", permissions=["change"], dialog=FINISH)
    def finish_rotation_one(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Let the old secret sign no more."""

        def finish(endpoint: Endpoint) -> None:
            services.finish_rotation(endpoint=endpoint)
            messages.success(request, f"Only the new secret of «{endpoint}» signs from now on.")

        return self._with(request, object_id, finish)

    @action(description="Retry now", icon="fast_forward", permissions=["replay"], dialog=RETRY_NOW)
    def retry_now_one(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Have what waits for its next try sent at once."""

        def retry(endpoint: Endpoint) -> None:
            now = timezone.now()
            none = (
                "The pause is over; nothing waits."
                if paused_until(endpoint, now)
                else "Nothing to retry: no message waits for it."
            )
            say_retried(request, services.retry_endpoint(endpoint=endpoint, now=now), none)

        return self._with(request, object_id, retry)

    @action(description="Replay all failed", icon="replay", permissions=["replay"], dialog=REPLAY_FAILED)
    def replay_failed_one(self, request: HttpRequest, form: SinceForm, object_id: str) -> HttpResponse:
        """Have what failed delivered once more."""

        def replay(endpoint: Endpoint) -> None:
            since = form.cleaned_data["since"]
            count = services.replay_failed(endpoint=endpoint, since=since, now=timezone.now())
            say_replayed(request, count, f"Nothing to replay: no message was given up since {since:%Y-%m-%d %H:%M}.")

        return self._with(request, object_id, replay)

    def has_replay_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether the operator may have messages delivered once more."""
        return request.user.has_perm(MAY_REPLAY)

    def _with(self, request: HttpRequest, object_id: str, do: Callable[[Endpoint], None]) -> HttpResponse:
        """Do it to one endpoint, or say why not."""
        try:
            for endpoint in Endpoint.objects.filter(id=object_id):
                do(endpoint)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return back_to_list(request, Endpoint)


def _for_each(do: Callable[..., None]) -> Callable[..., None]:
    """Return what `each_or_message` calls."""
    return lambda row: do(endpoint=row)


def _show_secret(request: HttpRequest, endpoint: Endpoint, secret: str, more: str) -> None:
    text = "The secret of «{}», shown only this once: <code id='new-secret' class='break-words select-all'>{}</code> {}"
    messages.warning(request, format_html(text, endpoint, secret, more))


def _log_link(text: str, endpoint: Endpoint, **filters: str) -> str:
    query = urlencode({"endpoint__id__exact": endpoint.id, **filters})
    page = reverse("admin:webhooks_delivery_changelist")
    return format_html("<a class='text-primary-600 dark:text-primary-500' href='{}?{}'>{}</a>", page, query, text)
