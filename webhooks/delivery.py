"""Claiming what is to be sent, and recording what came of it; what is between is in `webhooks.sending`.

A claim is a lease: a worker that dies leaves its messages to others a minute later. Sending is outside any transaction,
so a worker that dies after it leaves a message that was sent but not recorded, which is sent again under the same id.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.json import encode, encode_text, iso_instant
from webhooks.models import Endpoint, EndpointStatus
from webhooks.rules import FAILING_MAX, GONE, decode_payload, is_delivered, retry_delay
from webhooks.sequencing import LANES_LOCK

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
"""How long a worker may take from a claim to its record; four times the longest try."""
IN_FLIGHT_MAX: Final = 16
"""How many messages one worker sends to one endpoint at once: an endpoint that hangs holds up no more than these."""
PACE_DOUBLES_S: Final = 5
"""How a worker comes back after a pause that an endpoint asked for: one message at once in the first seconds, then two,
four... All that became due in the pause would have it ask for the next."""

_ROOM: Final = f"""
CASE WHEN h.paused_until IS NULL THEN %(most)s
     ELSE least(%(most)s, power(2, least(10, floor(extract(epoch FROM %(now)s - h.paused_until) / {PACE_DOUBLES_S})))
         )::int
END
"""
_CLAIM: Final = f"""
WITH chosen AS (
    SELECT ready.id
    FROM webhooks_endpoint e
    LEFT JOIN webhooks_endpointhealth h ON h.endpoint_id = e.id
    LEFT JOIN json_to_recordset(%(in_flight)s) AS f(endpoint_id uuid, messages int) ON f.endpoint_id = e.id
    CROSS JOIN LATERAL (
        SELECT id FROM webhooks_delivery
        WHERE endpoint_id = e.id AND status = 'ready' AND next_attempt_at <= %(now)s
        ORDER BY next_attempt_at, id
        LIMIT greatest(0, {_ROOM} - coalesce(f.messages, 0))
        FOR UPDATE SKIP LOCKED
    ) AS ready
    WHERE e.status = 'active' AND e.url <> '' AND (h.paused_until IS NULL OR h.paused_until <= %(now)s)
)
UPDATE webhooks_delivery d SET attempts = d.attempts + 1, next_attempt_at = %(lease)s
FROM chosen, webhooks_outboxmessage m, webhooks_endpoint e
WHERE d.id = chosen.id AND m.number = d.message_id AND e.id = d.endpoint_id
RETURNING d.id, d.attempts, d.endpoint_id, e.url, e.secret, e.old_secret, m.id, m.sequence, m.created, m.payload::text
"""

# Only who claimed a delivery last may record it: after a lease that ran out, another worker's claim counts.
_RECORD: Final = """
WITH result AS (
    SELECT * FROM json_to_recordset(%s) AS r(
        id bigint, number smallint, at timestamptz, duration_ms int, status_code smallint, answer text, error text,
        pause_s int, status text, next_attempt_at timestamptz, settled timestamptz)
), written AS (
    INSERT INTO webhooks_deliveryattempt (delivery_id, number, at, duration_ms, status_code, answer, error, pause_s)
    SELECT id, number, at, duration_ms, status_code, answer, error, pause_s FROM result
)
UPDATE webhooks_delivery d SET status = r.status, next_attempt_at = r.next_attempt_at, settled = r.settled
FROM result r
WHERE d.id = r.id AND d.attempts = r.number AND d.status = 'ready'
RETURNING d.endpoint_id, d.user_id, d.status
"""
_GO_ON: Final = """
UPDATE webhooks_delivery SET status = 'ready', next_attempt_at = %s
WHERE id IN (
    SELECT following.id FROM json_to_recordset(%s) AS n(endpoint_id uuid, user_id uuid)
    CROSS JOIN LATERAL (
        SELECT id, status FROM webhooks_delivery d
        WHERE d.endpoint_id = n.endpoint_id AND d.user_id = n.user_id AND d.status IN ('ready', 'waiting')
        ORDER BY id LIMIT 1
    ) AS following WHERE following.status = 'waiting')
"""
_WELL: Final = """
UPDATE webhooks_endpointhealth SET failing_since = NULL WHERE endpoint_id = ANY(%s) AND failing_since IS NOT NULL
"""
# Of two pauses the longer one holds. Returned are the pauses that are new.
_TROUBLED: Final = """
INSERT INTO webhooks_endpointhealth AS h (endpoint_id, failing_since, paused_until)
SELECT n.endpoint_id, n.failing_since, n.paused_until
FROM json_to_recordset(%s) AS n(endpoint_id uuid, failing_since timestamptz, paused_until timestamptz)
ORDER BY n.endpoint_id
ON CONFLICT (endpoint_id) DO UPDATE
SET failing_since = coalesce(h.failing_since, excluded.failing_since),
    paused_until = greatest(h.paused_until, excluded.paused_until)
WHERE (h.failing_since IS NULL AND excluded.failing_since IS NOT NULL)
   OR excluded.paused_until > coalesce(h.paused_until, '-infinity')
RETURNING h.endpoint_id, h.paused_until
"""
# In one order, so that workers of which each finds another endpoint well cannot wait for each other.
_LOCK_HEALTH: Final = """
SELECT FROM webhooks_endpointhealth
WHERE endpoint_id = ANY(%s) AND (failing_since IS NOT NULL OR endpoint_id = ANY(%s)) ORDER BY endpoint_id FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this worker is to send, and for the how manieth time; its secrets as the database keeps them."""

    delivery: int
    number: int
    endpoint_id: UUID
    url: str
    secrets: tuple[str, ...]
    message_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a try; `status_code` is None if no answer came, and `error` says why.

    `pause` is for how long the answer asked that nothing is sent to the endpoint.
    """

    claimed: Claimed
    at: datetime
    duration_ms: int
    status_code: int | None = None
    answer: str = ""
    error: str = ""
    pause: timedelta | None = None


def claim(in_flight: Mapping[UUID, int], now: datetime) -> list[Claimed]:
    """Claim messages that are due, for each endpoint as many as there is room for beside those in flight."""
    flying = [{"endpoint_id": endpoint_id, "messages": count} for endpoint_id, count in in_flight.items()]
    parameters: dict[str, Any] = {
        "in_flight": encode_text(flying),
        "now": now,
        "most": IN_FLIGHT_MAX,
        "lease": now + LEASE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        rows = cursor.fetchall()
    return [
        Claimed(
            delivery=delivery,
            number=number,
            endpoint_id=endpoint_id,
            url=url,
            secrets=tuple(each for each in (secret, old_secret) if each),
            message_id=str(message_id),
            body=body_of(message_id, sequence, created, payload),
        )
        for delivery, number, endpoint_id, url, secret, old_secret, message_id, sequence, created, payload in rows
    ]


def body_of(message_id: UUID, sequence: int | None, created: datetime, payload: str) -> str:
    """Return the body of a message: the contract's payload with its id, time and, if it is of a user, number."""
    ours = {"id": message_id, "timestamp": iso_instant(created)} | ({} if sequence is None else {"sequence": sequence})
    return encode({**decode_payload(payload), **ours}).decode()


@transaction.atomic
def record(results: Sequence[Result], now: datetime) -> None:
    """Store what came of the tries, let the next messages of each user go, and stop endpoints that fail for long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LANES_LOCK])
        cursor.execute(_RECORD, [encode_text([_row(result, now) for result in results])])
        lanes = [
            {"endpoint_id": endpoint_id, "user_id": user_id}
            for endpoint_id, user_id, status in cursor.fetchall()
            if status != "ready" and user_id is not None
        ]
        if lanes:
            cursor.execute(_GO_ON, [now, encode_text(lanes)])
        _note_health(cursor, results, now)


def _row(result: Result, now: datetime) -> dict[str, object]:
    status, next_attempt_at = _status(result, now)
    return {
        "id": result.claimed.delivery,
        "number": result.claimed.number,
        "at": result.at,
        "duration_ms": result.duration_ms,
        "status_code": result.status_code,
        "answer": result.answer,
        "error": result.error,
        "pause_s": result.pause and math.ceil(result.pause.total_seconds()),
        "status": status,
        "next_attempt_at": next_attempt_at,
        "settled": None if status == "ready" else now,
    }


def _status(result: Result, now: datetime) -> tuple[str, datetime | None]:
    if is_delivered(result.status_code):
        return "delivered", None
    delay = None if result.status_code == GONE else retry_delay(result.claimed.number, random())  # noqa: S311 - no secret
    return ("failed", None) if delay is None else ("ready", now + max(delay, result.pause or delay))


def _note_health(cursor: CursorWrapper, results: Sequence[Result], now: datetime) -> None:
    well = {each.claimed.endpoint_id for each in results if is_delivered(each.status_code)}
    failing = {each.claimed.endpoint_id for each in results} - well
    gone = {each.claimed.endpoint_id for each in results if each.status_code == GONE}
    pauses = _pauses(results, now)
    cursor.execute(_LOCK_HEALTH, [sorted(well | failing), sorted(failing | set(pauses))])
    _disable(gone, "It answered 410: it is gone.", now)
    if well:
        cursor.execute(_WELL, [sorted(well)])
    if failing or pauses:
        _note_trouble(cursor, failing, pauses, now)
    if failing:
        long = Endpoint.objects.filter(id__in=failing, health__failing_since__lte=now - FAILING_MAX)
        _disable(set(long.values_list("id", flat=True)), f"It failed for {FAILING_MAX.days} days.", now)


def _pauses(results: Sequence[Result], now: datetime) -> dict[UUID, datetime]:
    """Return until when each endpoint wants no messages, of those that asked for a pause."""
    pauses: dict[UUID, datetime] = {}
    for result in results:
        if result.pause is not None:
            endpoint_id = result.claimed.endpoint_id
            pauses[endpoint_id] = max(now + result.pause, pauses.get(endpoint_id, now))
    return pauses


def _note_trouble(cursor: CursorWrapper, failing: set[UUID], pauses: Mapping[UUID, datetime], now: datetime) -> None:
    """Store since when endpoints fail, and until when they want no messages."""
    rows = [
        {"endpoint_id": id_, "failing_since": now if id_ in failing else None, "paused_until": pauses.get(id_)}
        for id_ in failing | set(pauses)
    ]
    cursor.execute(_TROUBLED, [encode_text(rows)])
    for id_, paused_until in cursor.fetchall():
        if id_ in pauses and paused_until == pauses[id_]:
            logger.info("Endpoint %s asked for a pause: nothing is sent to it before %s.", id_, paused_until)


def _disable(ids: set[UUID], reason: str, now: datetime) -> None:
    """Stop endpoints that are active."""
    if ids:
        active = Endpoint.objects.filter(id__in=ids, status=EndpointStatus.ACTIVE)
        if count := active.update(status=EndpointStatus.DISABLED, disabled_reason=reason, updated=now):
            logger.warning("%d endpoints were disabled (%s): %s", count, ", ".join(map(str, sorted(ids))), reason)
