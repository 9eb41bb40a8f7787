"""`POST /v1/metrics/{key}/event`: the hot path, a plain Django view."""

from django.http import HttpRequest, HttpResponse

from api.authentication import authenticate_event
from api.bodies import EventBody, read_body, read_idempotency_key, read_value, user_changes
from api.errors import ApiError, rejection
from api.http import json_response
from engine.inputs import EventInput
from engine.outcomes import Accepted, Rejected, Replayed
from engine.pipeline import process
from engine.render import render_event


def event(request: HttpRequest, key: str) -> HttpResponse:
    """Store an event and answer with everything that it changed: 201, or 202 where its idempotency key was used."""
    if request.method != "POST":
        raise ApiError(405, f'Method "{request.method}" not allowed.')
    api_key = authenticate_event(request)
    body = read_body(request, EventBody)
    given = EventInput(
        user=user_changes(body.user.id, body.user, root="user."),
        metric_key=key,
        value=read_value(body.value),
        attributes=body.attributes or {},
        idempotency_key=read_idempotency_key(request),
        api_key_id=api_key.id,
    )
    processed = process([given])
    outcome = processed.outcomes[0]
    if isinstance(outcome, Rejected):
        raise rejection(outcome)
    if not isinstance(outcome, Accepted | Replayed):
        raise TypeError("An event is accepted, replayed or rejected.")
    status = 202 if isinstance(outcome, Replayed) else 201
    return json_response(render_event(outcome, processed.book), status=status)
