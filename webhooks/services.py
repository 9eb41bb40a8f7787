"""What operators do with endpoints and messages."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.services import create_checked
from webhooks.models import TEST_TYPE, Delivery, DeliveryStatus, Endpoint, EndpointHealth, EndpointStatus, OutboxMessage
from webhooks.secrets import conceal, new_secret
from webhooks.sequencing import LANES_LOCK, Due, add_deliveries

REPLAYED_AT_ONCE: Final = 1_000
PRUNED_AT_ONCE: Final = 5_000

# Attempts go with their deliveries; what is still to be sent stays, however old.
_PRUNE_DELIVERIES: Final = """
WITH old AS (
    SELECT id FROM webhooks_delivery WHERE created < %s AND status IN ('delivered', 'failed') ORDER BY id LIMIT %s
), tries AS (DELETE FROM webhooks_deliveryattempt a USING old WHERE a.delivery_id = old.id)
DELETE FROM webhooks_delivery d USING old WHERE d.id = old.id
"""
_PRUNE_MESSAGES: Final = """
DELETE FROM webhooks_outboxmessage WHERE number IN (
    SELECT number FROM webhooks_outboxmessage m
    WHERE created < %s AND position IS NOT NULL
      AND NOT EXISTS (SELECT FROM webhooks_delivery d WHERE d.message_id = m.number)
    ORDER BY number LIMIT %s)
"""


def create_endpoint(**fields: Any) -> tuple[Endpoint, str]:
    """Store a new endpoint and return it with its secret, which cannot be had again. Raises ValidationError."""
    secret = new_secret()
    return create_checked(Endpoint, secret=conceal(secret), **fields), secret


def rotate_secret(*, endpoint: Endpoint) -> str:
    """Give the endpoint a new secret and return it; the old one signs too until the rotation is finished."""
    secret = new_secret()
    endpoint.old_secret, endpoint.secret = endpoint.secret, conceal(secret)
    endpoint.save(update_fields=["secret", "old_secret", "updated"])
    return secret


def finish_rotation(*, endpoint: Endpoint) -> None:
    """Forget the old secret. Raises ValidationError where there is none."""
    if not endpoint.old_secret:
        raise ValidationError(f"«{endpoint}» has only one secret: there is no rotation to finish.")
    endpoint.old_secret = ""
    endpoint.save(update_fields=["old_secret", "updated"])


@transaction.atomic
def enable(*, endpoint: Endpoint) -> None:
    """Let an endpoint get messages again, first those that waited. Raises ValidationError where it is not disabled."""
    endpoint.full_clean()
    _change_status(endpoint, EndpointStatus.DISABLED, EndpointStatus.ACTIVE)
    EndpointHealth.objects.filter(endpoint=endpoint).update(failing_since=None)


def disable(*, endpoint: Endpoint) -> None:
    """Keep messages from an endpoint; what waits goes on waiting. Raises ValidationError where it is not active."""
    _change_status(endpoint, EndpointStatus.ACTIVE, EndpointStatus.DISABLED, reason="An operator disabled it.")


def _change_status(endpoint: Endpoint, before: EndpointStatus, after: EndpointStatus, reason: str = "") -> None:
    fitting = Endpoint.objects.filter(id=endpoint.id, status=before)
    if not fitting.update(status=after, disabled_reason=reason, updated=timezone.now()):
        raise ValidationError(f"«{endpoint}» is not {before.label.lower()}: it stays as it is.")


def send_test(*, endpoint: Endpoint) -> OutboxMessage:
    """Have a message sent that says nothing but that messages arrive."""
    now = timezone.now()
    payload = {"type": TEST_TYPE, "endpoint": {"id": str(endpoint.id), "name": endpoint.name, "types": endpoint.types}}
    return OutboxMessage.objects.create(type=TEST_TYPE, endpoint=endpoint, payload=payload, created=now)


def replay(*, deliveries: QuerySet[Delivery], now: datetime) -> int:
    """Have settled messages delivered once more, under their ids, in their order; return how many.

    Those that are still on their way are left alone.
    """
    settled = deliveries.filter(status__in=(DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)).order_by("id")
    count = 0
    for chunk in _chunks(settled):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LANES_LOCK])
            add_deliveries(cursor, chunk, now)
        count += len(chunk)
    return count


def replay_failed(*, endpoint: Endpoint, since: datetime, now: datetime) -> int:
    """Have every message delivered once more that failed since then and did not arrive later; return how many."""
    failed = Delivery.objects.filter(endpoint=endpoint, status=DeliveryStatus.FAILED, created__gte=since)
    arrived = Delivery.objects.filter(endpoint=endpoint, status=DeliveryStatus.DELIVERED, created__gte=since)
    newest = failed.exclude(message__in=arrived.values("message")).order_by("message", "-id").distinct("message")
    return replay(deliveries=Delivery.objects.filter(id__in=newest.values("id")), now=now)


def _chunks(deliveries: QuerySet[Delivery]) -> Iterator[Sequence[Due]]:
    """Yield what is to be delivered, in chunks that are read before any is delivered."""
    rows = list(deliveries.values_list("endpoint_id", "message_id", "user_id"))
    for start in range(0, len(rows), REPLAYED_AT_ONCE):
        yield [Due(*row) for row in rows[start : start + REPLAYED_AT_ONCE]]


def prune_log(now: datetime) -> int:
    """Forget messages older than WEBHOOK_LOG_DAYS, but for what is still to be sent; return how many rows went."""
    before = now - timedelta(days=settings.WEBHOOK_LOG_DAYS)
    return sum(_prune(statement, before) for statement in (_PRUNE_DELIVERIES, _PRUNE_MESSAGES))


def _prune(statement: str, before: datetime) -> int:
    pruned = 0
    while chunk := _prune_chunk(statement, before):
        pruned += chunk
    return pruned


def _prune_chunk(statement: str, before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, [before, PRUNED_AT_ONCE])
        return int(cursor.rowcount)
