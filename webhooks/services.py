"""What operators do with endpoints and messages, and how long messages are kept."""

import math
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from core.history import note
from webhooks.models import (
    DISABLED_BY_OPERATOR,
    PENDING,
    SETTLED,
    TEST_TYPE,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointHealth,
    EndpointStatus,
    OutboxMessage,
    Sequencer,
)
from webhooks.secrets import conceal, is_readable, new_secret
from webhooks.sequencing import LANES_LOCK, Due, add_deliveries
from webhooks.watch import AT_REST

REPLAYED_AT_ONCE: Final = 1_000
RETRIED_AT_ONCE: Final = 1_000
PRUNED_AT_ONCE: Final = 5_000

# Both walk from the oldest row on, by ids that are in the order of time, and stop at the first that is not old: nothing
# that is young is looked at, however much that is. Attempts go with their deliveries; what is still to be sent stays,
# however old.
_PRUNE_DELIVERIES: Final = """
WITH front AS (
    SELECT id, created < %(before)s AS is_old, created < %(before)s AND status IN ('delivered', 'failed') AS is_done
    FROM webhooks_delivery WHERE id > %(after)s ORDER BY id LIMIT %(most)s
), tries AS (
    DELETE FROM webhooks_deliveryattempt a USING front WHERE a.delivery_id = front.id AND is_done
), gone AS (
    DELETE FROM webhooks_delivery d USING front WHERE d.id = front.id AND is_done RETURNING d.id
)
SELECT bool_and(is_old), max(id), (SELECT count(*) FROM gone) FROM front
"""
_PRUNE_MESSAGES: Final = """
WITH front AS (
    SELECT number, created < %(before)s AS is_old, created < %(before)s AND position IS NOT NULL AS is_done
    FROM webhooks_outboxmessage WHERE number > %(after)s ORDER BY number LIMIT %(most)s
), gone AS (
    DELETE FROM webhooks_outboxmessage m USING front
    WHERE m.number = front.number AND is_done
      AND NOT EXISTS (SELECT FROM webhooks_delivery d WHERE d.message_id = m.number)
    RETURNING m.number
)
SELECT bool_and(is_old), max(number), (SELECT count(*) FROM gone) FROM front
"""


def create_endpoint(**fields: Any) -> tuple[Endpoint, str]:
    """Store a new endpoint and return it with its secret, which cannot be had again. Raises ValidationError."""
    endpoint = Endpoint(**fields)
    secret = equip(endpoint=endpoint)
    endpoint.full_clean()
    endpoint.save(force_insert=True)
    return endpoint, secret


def equip(*, endpoint: Endpoint) -> str:
    """Give an endpoint that is about to be stored its secret and its place in the messages; return the secret."""
    secret = new_secret()
    endpoint.secret = conceal(secret)
    endpoint.starts_after = Sequencer.objects.values_list("position", flat=True).first() or 0
    return secret


def check_kind(endpoint: Endpoint, *, url: str | None = None, collapse_minutes: int | None = None) -> None:
    """Raise ValidationError where a change would make a stored endpoint a feed, or the other way round.

    What waits to be sent, and what is still to be read, is found only one way.
    """
    if url is not None and bool(url) != bool(endpoint.url):
        raise ValidationError(
            {"url": "cannot be taken from an endpoint, nor given to a feed: add another one instead."}
        )
    if not endpoint.url and collapse_minutes is not None and bool(collapse_minutes) != bool(endpoint.collapse_minutes):
        text = (
            "cannot be turned on or off for a feed: its reader would miss changes, or see them twice. Add another one."
        )
        raise ValidationError({"collapse_minutes": text})


@transaction.atomic
def rotate_secret(*, endpoint: Endpoint) -> str:
    """Give the endpoint a new secret and return it; the old one signs too until the rotation is finished.

    Rotating again before that replaces the new one: the old one is what receivers have. One that can no longer be read,
    since the app's key is another, is forgotten. Raises ValidationError for a
    feed, which signs nothing.
    """
    endpoint.refresh_from_db(from_queryset=Endpoint.objects.select_for_update(no_key=True))
    if not endpoint.url:
        raise ValidationError(f"«{endpoint}» is a feed: nothing that it tells is signed.")
    secret = new_secret()
    old = endpoint.old_secret or endpoint.secret
    endpoint.old_secret, endpoint.secret = old if is_readable(old) else "", conceal(secret)
    endpoint.save(update_fields=["secret", "old_secret", "updated"])
    note(endpoint, "Secret rotated; the old one signs too")
    return secret


@transaction.atomic
def finish_rotation(*, endpoint: Endpoint) -> None:
    """Forget the old secret. Raises ValidationError where there is none."""
    if not endpoint.old_secret:
        raise ValidationError(f"«{endpoint}» has only one secret: there is no rotation to finish.")
    endpoint.old_secret = ""
    endpoint.save(update_fields=["old_secret", "updated"])
    note(endpoint, "Rotation of the secret finished")


@transaction.atomic
def enable(*, endpoint: Endpoint) -> None:
    """Let an endpoint get messages again, first those that waited. Raises ValidationError where it is not disabled."""
    try:
        endpoint.full_clean()
    except ValidationError as error:
        raise ValidationError(f"«{endpoint}» cannot be enabled: {' '.join(error.messages)}") from error
    _change_status(endpoint, EndpointStatus.DISABLED, EndpointStatus.ACTIVE)
    EndpointHealth.objects.filter(endpoint=endpoint).update(failing_since=None, paused_until=None)


def disable(*, endpoint: Endpoint) -> None:
    """Keep messages from an endpoint; what waits goes on waiting. Raises ValidationError where it is not active."""
    _change_status(endpoint, EndpointStatus.ACTIVE, EndpointStatus.DISABLED, reason=DISABLED_BY_OPERATOR)


def _change_status(endpoint: Endpoint, before: EndpointStatus, after: EndpointStatus, reason: str = "") -> None:
    fitting = Endpoint.objects.filter(id=endpoint.id, status=before)
    if not fitting.update(status=after, disabled_reason=reason, updated=timezone.now()):
        raise ValidationError(f"«{endpoint}» is not {before.label.lower()}: it stays as it is.")


def send_test(*, endpoint: Endpoint) -> OutboxMessage:
    """Have a message sent that says only that messages arrive. Raises ValidationError where none would be sent."""
    if endpoint.status != EndpointStatus.ACTIVE or not endpoint.url:
        raise ValidationError(f"«{endpoint}» is sent nothing: only an active endpoint with an address is.")
    now = timezone.now()
    payload = {"type": TEST_TYPE, "endpoint": {"id": str(endpoint.id), "name": endpoint.name, "types": endpoint.types}}
    return OutboxMessage.objects.create(type=TEST_TYPE, endpoint=endpoint, payload=payload, created=now)


def replay(*, deliveries: QuerySet[Delivery], now: datetime) -> int:
    """Have settled messages delivered once more, under their ids, each user's in order; return how many.

    Those that are on their way to the endpoint (again) are left alone, and those to one that is archived.
    """
    settled = deliveries.filter(status__in=SETTLED).exclude(endpoint__status=EndpointStatus.ARCHIVED)
    due = settled.exclude(Exists(_same_message().filter(status__in=PENDING)))
    once = due.order_by("message_id", "endpoint_id").distinct("message_id", "endpoint_id")
    rows = list(once.values_list("endpoint_id", "message_id", "user_id"))
    return sum(_replay_chunk(chunk, now) for chunk in _chunks(rows))


@transaction.atomic
def _replay_chunk(chunk: Sequence[Due], now: datetime) -> int:
    """Have these delivered, except those that somebody else is having delivered; return how many."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LANES_LOCK])
        pending = Delivery.objects.filter(message__in=[each.message for each in chunk], status__in=PENDING)
        on_their_way = set(pending.values_list("endpoint_id", "message_id"))
        due = [each for each in chunk if (each.endpoint_id, each.message) not in on_their_way]
        add_deliveries(cursor, due, now)
    return len(due)


def retry_now(*, deliveries: QuerySet[Delivery], now: datetime) -> int:
    """Have messages sent at once that wait for their next try, or for the end of a pause; return how many.

    The pauses that their endpoints asked for end, since an operator knows better. What is being sent is left alone, so
    that it is not sent twice, and what waits for an earlier message of its user.
    """
    later = Q(next_attempt_at__gt=now) | Q(endpoint__health__paused_until__gt=now)
    active = Q(status=DeliveryStatus.READY, endpoint__status=EndpointStatus.ACTIVE)
    waiting = deliveries.filter(later, active, AT_REST).order_by("id")
    retried, last, endpoints = 0, 0, set()
    while chunk := _retry_chunk(waiting.filter(id__gt=last), now):
        retried, last = retried + len(chunk), chunk[-1].id
        endpoints |= {each.endpoint_id for each in chunk}
    _end_pauses(endpoints, now)
    return retried


@transaction.atomic
def _retry_chunk(waiting: QuerySet[Delivery], now: datetime) -> list[Delivery]:
    """Make the first of them due. Who claims one at this moment is faster: it is passed over."""
    locked = waiting.select_for_update(of=("self",), skip_locked=True, no_key=True)
    chunk = list(locked.only("id", "endpoint_id")[:RETRIED_AT_ONCE])
    Delivery.objects.filter(id__in=[each.id for each in chunk]).update(next_attempt_at=now)
    return chunk


def retry_endpoint(*, endpoint: Endpoint, now: datetime) -> int:
    """Have all that waits for its next try sent at once, and end a pause; return how many messages that are.

    Raises ValidationError where nothing is sent to the endpoint.
    """
    if endpoint.status != EndpointStatus.ACTIVE or not endpoint.url:
        raise ValidationError(f"«{endpoint}» is sent nothing: only an active endpoint with an address is.")
    retried = retry_now(deliveries=Delivery.objects.filter(endpoint=endpoint), now=now)
    _end_pauses({endpoint.id}, now)
    return retried


def _end_pauses(endpoints: set[UUID], now: datetime) -> None:
    """Let messages go to these endpoints again, slowly at first, as after any pause."""
    EndpointHealth.objects.filter(endpoint__in=endpoints, paused_until__gt=now).update(paused_until=now)


def replay_failed(*, endpoint: Endpoint, since: datetime, now: datetime) -> int:
    """Have every message delivered once more that was given up since then and did not arrive later; return how many.

    Raises ValidationError where the endpoint is archived.
    """
    if endpoint.status == EndpointStatus.ARCHIVED:
        raise ValidationError(f"«{endpoint}» is archived: restore it first.")
    failed = Delivery.objects.filter(endpoint=endpoint, status=DeliveryStatus.FAILED, settled__gte=since)
    arrived = _same_message().filter(status=DeliveryStatus.DELIVERED, id__gt=OuterRef("id"))
    return replay(deliveries=failed.exclude(Exists(arrived)), now=now)


def _same_message() -> QuerySet[Delivery]:
    """Return, inside a query of deliveries, each one's message's deliveries to the same endpoint."""
    return Delivery.objects.filter(message=OuterRef("message"), endpoint=OuterRef("endpoint"))


def _chunks(rows: Sequence[tuple[Any, int, Any]]) -> Iterator[Sequence[Due]]:
    for start in range(0, len(rows), REPLAYED_AT_ONCE):
        yield [Due(*row) for row in rows[start : start + REPLAYED_AT_ONCE]]


def prune_log(now: datetime, *, seconds_max: float = math.inf) -> int:
    """Forget messages older than WEBHOOK_LOG_DAYS, but for what is still to be sent; return how many rows went.

    After `seconds_max` it leaves the rest to the next call.
    """
    before, deadline = now - timedelta(days=settings.WEBHOOK_LOG_DAYS), time.monotonic() + seconds_max
    return sum(_prune(statement, before, deadline) for statement in (_PRUNE_DELIVERIES, _PRUNE_MESSAGES))


def _prune(statement: str, before: datetime, deadline: float) -> int:
    """Walk over what is old, chunk by chunk, until the monotonic clock says `deadline`; return how many rows went."""
    pruned, after, all_old = 0, 0, True
    while all_old and time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"before": before, "after": after, "most": PRUNED_AT_ONCE})
            all_old, after, count = cursor.fetchone()
        pruned += count
    return pruned
