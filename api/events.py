"""Events, one by one and in batches: in plain Django views."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NotRequired, TypedDict

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from msgspec import Raw

from access.keys import KeyRule
from api.authentication import authenticate, authenticate_event
from api.bodies import (
    BatchedEvent,
    EventBody,
    checked_idempotency_key,
    idempotency_key_of,
    read_body,
    read_part_of_report,
    read_report,
    read_value,
    reported_user,
)
from api.errors import STATUS_OF_REASON, ApiError, invalid, rejection, require_method
from api.http import json_response
from api.parameters import check_parameters
from api.scope import check_user, refuse_application_key
from core.refusal import Refusal
from core.texts import user_id_problem
from core.warnings import FieldWarning, Warnings, with_warnings
from engine.coalescing import process_one
from engine.decide import check_event
from engine.inputs import EventInput
from engine.outcomes import Accepted, Rejected, Replayed
from engine.pipeline import Processed
from engine.queue import enqueue
from engine.render import EventJson, render_event
from engine.rule_book import current_rule_book
from engine.rules import Rules
from users.store import read_user

BATCH_PATH: Final = "/admin-api/v1/metrics/events"
BATCH_MAX: Final = 1000
BATCH_BYTES_MAX: Final = 8_000_000


class BatchJson(TypedDict):
    """How many events were accepted: all that were sent."""

    accepted: int
    warnings: NotRequired[list[FieldWarning]]


def event(request: HttpRequest, key: str) -> HttpResponse:
    """Store an event and answer with everything that it changed: 201, or 202 where its idempotency key was used."""
    require_method(request, "POST")
    api_key = authenticate_event(request.headers.get("X-API-KEY"))
    given, ignored = event_input(api_key, key, request.headers.get("Idempotency-Key"), request.body)
    json, status = event_answer(process_one(given), ignored)
    return json_response(json, status=status)


def event_input(
    api_key: KeyRule, metric_key: str, idempotency_header: str | None, content: bytes
) -> tuple[EventInput, Warnings]:
    """Return the event that a request says, told by its parts as they came, and what it says in vain.

    Raises ApiError.
    """
    body, ignored, unreadable = read_report(content, EventBody)
    check_user(api_key, body.user.id)
    given = EventInput(
        user=reported_user(body.user, unreadable),
        metric_key=metric_key,
        value=read_value(body.value),
        attributes=body.attributes or {},
        idempotency_key=idempotency_key_of(idempotency_header),
        api_key_id=api_key.id,
    )
    return given, ignored


def event_answer(processed: Processed, ignored: Warnings) -> tuple[EventJson, int]:
    """Return the answer to an event that was processed alone or with others, and its status. Raises ApiError."""
    outcome = processed.outcomes[0]
    if isinstance(outcome, Rejected):
        raise rejection(outcome)
    if not isinstance(outcome, Accepted | Replayed):
        raise TypeError("An event is accepted, replayed or rejected.")
    warnings = (*ignored, *outcome.warnings) if isinstance(outcome, Accepted) else ignored
    json = with_warnings(render_event(outcome, processed.book), warnings)
    return json, 202 if isinstance(outcome, Replayed) else 201


def batch(request: HttpRequest) -> HttpResponse:
    """Accept up to 1,000 events for the background, all or none: 202 once they are stored."""
    require_method(request, "POST")
    refuse_application_key(authenticate(request))
    check_parameters(request)
    items = read_body(request, list[Raw], size_max=BATCH_BYTES_MAX)
    if not 1 <= len(items) <= BATCH_MAX:
        raise invalid(f"The body must have 1 to {BATCH_MAX:,} events.")
    rules = current_rule_book().rules
    inputs: list[EventInput] = []
    warnings: list[FieldWarning] = []
    for index, item in enumerate(items):
        with _at(index):
            given, of_item = _batched_input(item, rules)
        inputs.append(given)
        warnings += [FieldWarning(f"events[{index}].{each.field}", each.message) for each in of_item]
    enqueue(inputs, now=timezone.now())
    return json_response(with_warnings(BatchJson(accepted=len(inputs)), warnings), status=202)


def _batched_input(item: Raw, rules: Rules) -> tuple[EventInput, Warnings]:
    """Return the input that an item of a batch says, and what it says in vain.

    Raises ApiError or Refusal where the rules could never take it.
    """
    body, ignored, unreadable = read_part_of_report(item, BatchedEvent, whole="The item")
    key = body.idempotency_key
    given = EventInput(
        user=reported_user(body.user, unreadable),
        metric_key=body.key,
        value=read_value(body.value),
        attributes=body.attributes or {},
        idempotency_key=None if key is None else checked_idempotency_key(key, "idempotencyKey"),
    )
    check_event(rules, given)
    if (problem := user_id_problem(body.user.id)) and read_user(body.user.id) is None:
        raise invalid(f"user.id {problem}")
    return given, (*ignored, *given.user.warnings)


@contextmanager
def _at(index: int) -> Iterator[None]:
    """Let the errors of an item of a batch say which one it is."""
    try:
        yield
    except ApiError as error:
        raise ApiError(error.status, f"events[{index}]: {error.message}") from error
    except Refusal as refusal:
        raise ApiError(STATUS_OF_REASON[refusal.reason], f"events[{index}]: {refusal.message}") from refusal
