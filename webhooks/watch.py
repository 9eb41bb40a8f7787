"""How delivery goes: what operators see beside their endpoints, and what their monitoring asks for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from webhooks.models import (
    DISABLED_BY_OPERATOR,
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
)

WAITING_SHOWN_MAX: Final = 1_000
"""How far one endpoint's waiting messages are counted."""
BACKLOG_SHOWN_MAX: Final = 100_000
"""How far all endpoints' are."""

_tries: Final = DeliveryAttempt.objects.filter(delivery=OuterRef("pk"))
TRIED: Final = Exists(_tries)
"""That a delivery was tried; if it is ready, it did not arrive."""
AT_REST: Final = Q(attempts=0) | Q(Exists(_tries.filter(number=OuterRef("attempts"))))
"""That no worker is sending a ready delivery: what came of its last try is recorded."""

_WAITING: Final = """
SELECT e.id, waiting.count
FROM webhooks_endpoint e
CROSS JOIN LATERAL (
    SELECT count(*) FROM (
        SELECT FROM webhooks_delivery
        WHERE endpoint_id = e.id AND status IN ('ready', 'waiting') LIMIT %s) AS counted) AS waiting
WHERE waiting.count > 0
"""
# A message that is being sent, that is tried again later or whose endpoint asked for a pause is due in the future.
_BACKLOG: Final = """
WITH working AS MATERIALIZED (SELECT id FROM webhooks_endpoint WHERE status = 'active' AND url <> '')
SELECT (SELECT count(*) FROM (SELECT FROM webhooks_outboxmessage WHERE position IS NULL LIMIT %(most)s) AS counted),
       (SELECT created FROM webhooks_outboxmessage WHERE position IS NULL ORDER BY number LIMIT 1),
       (SELECT count(*) FROM (
            SELECT FROM working CROSS JOIN LATERAL (
                SELECT FROM webhooks_delivery
                WHERE endpoint_id = working.id AND status IN ('ready', 'waiting') LIMIT %(most)s) AS pending
            LIMIT %(most)s) AS counted),
       (SELECT min(greatest(first.next_attempt_at, h.paused_until))
        FROM working LEFT JOIN webhooks_endpointhealth h ON h.endpoint_id = working.id CROSS JOIN LATERAL (
            SELECT next_attempt_at FROM webhooks_delivery
            WHERE endpoint_id = working.id AND status = 'ready' ORDER BY next_attempt_at, id LIMIT 1) AS first),
       (SELECT count(*) FROM working JOIN webhooks_endpointhealth h ON h.endpoint_id = working.id
        WHERE h.failing_since IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be done: `fresh` messages that no worker has seen yet, deliveries that wait (both up to
    BACKLOG_SHOWN_MAX), for how long the one that should have gone out first has been due, and how many endpoints fail.
    """

    fresh: int
    waiting: int
    overdue_s: float
    failing: int


def backlog(now: datetime) -> Backlog:
    """Return what is still to be done for endpoints that are active."""
    with connection.cursor() as cursor:
        cursor.execute(_BACKLOG, {"most": BACKLOG_SHOWN_MAX})
        fresh, written, waiting, due, failing = cursor.fetchone()
    overdue_s = max(((now - each).total_seconds() for each in (written, due) if each), default=0.0)
    return Backlog(fresh, waiting, max(0.0, overdue_s), failing)


def waiting_counts() -> dict[UUID, int]:
    """Return how many messages wait for each endpoint, up to WAITING_SHOWN_MAX; only where some do."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [WAITING_SHOWN_MAX])
        return dict(cursor.fetchall())


def failing_since(endpoint: Endpoint) -> datetime | None:
    """Return since when an active endpoint fails; None for one that is well, or that nothing is sent to."""
    health = getattr(endpoint, "health", None)
    return health.failing_since if health and endpoint.status == EndpointStatus.ACTIVE else None


def paused_until(endpoint: Endpoint, now: datetime) -> datetime | None:
    """Return until when an active endpoint asked to be sent nothing; None if it did not, or the pause is over."""
    health = getattr(endpoint, "health", None)
    until = health.paused_until if health and endpoint.status == EndpointStatus.ACTIVE else None
    return until if until and until > now else None


def in_trouble(now: datetime) -> QuerySet[Endpoint]:
    """Return the endpoints that operators should look at: they fail, want a pause, or were disabled by no operator."""
    fails = Q(health__failing_since__isnull=False) | Q(health__paused_until__gt=now)
    fails &= Q(status=EndpointStatus.ACTIVE)
    stopped = Q(status=EndpointStatus.DISABLED) & ~Q(disabled_reason__in=("", DISABLED_BY_OPERATOR))
    # First what gets nothing any more, the newest first.
    return Endpoint.objects.filter(fails | stopped).select_related("health").order_by("-status", "-updated")


def trouble_of(endpoint: Endpoint, now: datetime) -> str:
    """Say in a sentence or two what is wrong with an endpoint; nothing where it is well."""
    since, until = failing_since(endpoint), paused_until(endpoint, now)
    sentences = []
    if since:
        next_at = _next_try(endpoint)
        when = f", next {clock_time(max(next_at, until or next_at), now)}" if next_at and next_at > now else ""
        since_when = f"{since:%Y-%m-%d %H:%M} UTC"
        sentences.append(f"It has been failing since {since_when}: messages are tried again{when}, and others wait.")
    if until:
        sentences.append(
            f"It asked for a pause (Retry-After): nothing is sent to it before {until:%Y-%m-%d %H:%M} UTC."
        )
    if sentences:
        return " ".join(sentences)
    if endpoint.status == EndpointStatus.DISABLED:
        reason = f" {endpoint.disabled_reason}" if endpoint.disabled_reason else ""
        return f"It is disabled and gets nothing.{reason} What waited for it goes out once it is enabled."
    return ""


def _next_try(endpoint: Endpoint) -> datetime | None:
    """Return when the first of the messages that failed is tried again; None if none is to be."""
    failing = Delivery.objects.filter(AT_REST, TRIED, endpoint=endpoint, status=DeliveryStatus.READY)
    return failing.order_by("next_attempt_at", "id").values_list("next_attempt_at", flat=True).first()


def clock_time(at: datetime, now: datetime) -> str:
    """Return a moment as people say it: without the day if that is today's."""
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"
