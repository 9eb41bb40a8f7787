"""A pull feed in the Admin API: webhooks for a product that asks instead of being called."""

from typing import Any, Final, NotRequired, TypedDict

from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Raw
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.resources import parse_id
from api.errors import invalid, not_found
from api.openapi import errors, json_of, whole_number_parameter
from api.parameters import check_parameters, whole_number
from webhooks.delivery import body_of
from webhooks.feed import FeedMessage, read_feed
from webhooks.models import Endpoint, EndpointStatus

EVENTS_MAX: Final = 100
POSITION_MAX: Final = 10**18 - 1


class WebhookEventJson(TypedDict):
    """A message as a webhook's body has it: with the fields of its type besides these."""

    id: str
    type: str
    timestamp: str
    sequence: NotRequired[int]


class WebhookEventsJson(TypedDict):
    """Some messages, oldest first; `next` is what to send as `after` the next time."""

    events: list[WebhookEventJson]
    next: int
    hasMore: bool


class WebhookEventsView(APIView):
    """The messages of an endpoint without address."""

    @extend_schema(
        operation_id="admin_webhook_events_list",
        summary="Read a webhook feed",
        parameters=[
            OpenApiParameter(
                "endpoint",
                {"type": "string", "format": "uuid"},
                required=True,
                description="The id of a webhook endpoint without address, which the admin shows.",
            ),
            whole_number_parameter("after", 0, POSITION_MAX, 0, "The `next` of the answer before; 0 for the first."),
            whole_number_parameter("limit", 1, EVENTS_MAX, EVENTS_MAX, "How many to return."),
        ],
        responses={
            200: json_of(
                WebhookEventsJson,
                "`hasMore` says to ask again at once, even if `events` is empty; else ask with `next` in a while.",
            ),
            **errors(401, 404, 422),
        },
    )
    def get(self, request: Request) -> Response:
        """Return what happened behind a position, in an order in which nothing is ever slipped in before it."""
        check_parameters(request, "endpoint", "after", "limit")
        endpoint = _find_feed(request.query_params.get("endpoint", ""))
        after = whole_number(request, "after", least=0, most=POSITION_MAX, default=0)
        limit = whole_number(request, "limit", least=1, most=EVENTS_MAX, default=EVENTS_MAX)
        page = read_feed(endpoint, after=after, limit=limit)
        events = [_body(message) for message in page.messages]
        return Response({"events": events, "next": page.next, "hasMore": page.has_more})


def _body(message: FeedMessage) -> Any:
    return Raw(body_of(message.id, message.sequence, message.created, message.payload).encode())


def _find_feed(id_: str) -> Endpoint:
    """Return the feed with this id. Raises ApiError."""
    endpoint = Endpoint.objects.filter(id=parse_id(id_, "endpoint")).exclude(status=EndpointStatus.ARCHIVED).first()
    if endpoint is None:
        raise not_found("Webhook endpoint", id_)
    if endpoint.url:
        raise invalid(f"endpoint must be one without address: messages of {id_} are sent to its address.")
    if endpoint.status != EndpointStatus.ACTIVE:
        raise invalid(f"endpoint must be active: {id_} is disabled, and can be enabled in the admin.")
    return endpoint
