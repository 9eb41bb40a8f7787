"""What happens to a message after its commit: it gets its position, and a delivery to each endpoint that wants it.

One transaction does so at a time, under an advisory lock that recording what was delivered shares. So a reader that has
seen a position has seen all before it, and no message slips between the end of one delivery and the start of the next.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q

from core.json import encode_text
from core.models import new_id_text
from webhooks import store
from webhooks.models import CollapsedChange, Endpoint, EndpointStatus, MessageType
from webhooks.rules import decode_payload, merge_changes

LANES_LOCK: Final = 7_463_201
"""The number of the advisory lock: whoever adds deliveries has it alone, whoever records them shares it."""
SEQUENCED_AT_ONCE: Final = 1_000
CLOSED_AT_ONCE: Final = 500

_IS_THERE_ANY: Final = "SELECT EXISTS (SELECT FROM webhooks_outboxmessage WHERE position IS NULL)"
_PLACE: Final = """
WITH last AS (
    INSERT INTO webhooks_sequencer (id, position) VALUES (1, 0)
    ON CONFLICT (id) DO UPDATE SET position = webhooks_sequencer.position RETURNING position
), fresh AS (
    SELECT number, row_number() OVER (ORDER BY number) AS place FROM (
        SELECT number FROM webhooks_outboxmessage WHERE position IS NULL ORDER BY number LIMIT %s) AS oldest
), placed AS (
    UPDATE webhooks_outboxmessage m SET position = last.position + fresh.place
    FROM fresh, last WHERE m.number = fresh.number
    RETURNING m.number, m.position, m.type, m.user_id, m.endpoint_id, m.payload::text
)
SELECT * FROM placed ORDER BY number
"""
_MOVE_LAST: Final = "UPDATE webhooks_sequencer SET position = %s"

_BUSY: Final = """
SELECT DISTINCT n.endpoint_id, n.user_id
FROM json_to_recordset(%s) AS n(endpoint_id uuid, user_id uuid)
WHERE EXISTS (
    SELECT FROM webhooks_delivery d
    WHERE d.endpoint_id = n.endpoint_id AND d.user_id = n.user_id AND d.status IN ('ready', 'waiting'))
"""
_ADD: Final = """
INSERT INTO webhooks_delivery (endpoint_id, message_id, type, user_id, status, attempts, next_attempt_at, created)
SELECT n.endpoint_id, n.message_id, m.type, n.user_id, n.status, 0, n.next_attempt_at, n.created
FROM json_to_recordset(%s) AS n(
    place int, endpoint_id uuid, message_id bigint, user_id uuid, status text, next_attempt_at timestamptz,
    created timestamptz)
JOIN webhooks_outboxmessage m ON m.number = n.message_id
ORDER BY n.place
"""

_SAVE_CHANGES: Final = """
INSERT INTO webhooks_collapsedchange (endpoint_id, user_id, system_id, due, payload)
SELECT n.endpoint_id, n.user_id, n.system_id, n.due, n.payload
FROM json_to_recordset(%s) AS n(endpoint_id uuid, user_id uuid, system_id uuid, due timestamptz, payload jsonb)
ON CONFLICT (endpoint_id, user_id, system_id) DO UPDATE SET payload = excluded.payload
"""
# Under the users' locks, since their counters move; a user who is busy is left to the next time, so that nobody waits.
_LOCK_CLOSED: Final = """
SELECT c.endpoint_id, c.user_id, c.system_id
FROM webhooks_collapsedchange c JOIN users_enduser u ON u.id = c.user_id
JOIN webhooks_endpoint e ON e.id = c.endpoint_id
WHERE c.due <= %s OR e.collapse_minutes = 0 ORDER BY c.due LIMIT %s
FOR NO KEY UPDATE OF u SKIP LOCKED
"""
# In a statement after the locks, which sees all that those users did: what of it has no position yet comes first.
_TAKE_CLOSED: Final = """
DELETE FROM webhooks_collapsedchange c
USING json_to_recordset(%s) AS closed(endpoint_id uuid, user_id uuid, system_id uuid)
WHERE (c.endpoint_id, c.user_id, c.system_id) = (closed.endpoint_id, closed.user_id, closed.system_id)
  AND NOT EXISTS (SELECT FROM webhooks_outboxmessage m WHERE m.position IS NULL AND m.user_id = c.user_id)
RETURNING c.endpoint_id, c.user_id, c.payload::text
"""
_TELL: Final = f"""
WITH {store.SEQUENCE_PART} AS ({store.MOVE_SEQUENCES}), told AS ({store.INSERT_MESSAGES}) SELECT
"""

Key = tuple[UUID, UUID, UUID]
"""An endpoint, a user and a points system."""


class PlacedMessage(msgspec.Struct, frozen=True):
    """A message that got its position."""

    number: int
    position: int
    type: str
    user_id: UUID | None
    endpoint_id: UUID | None
    payload: str


class Due(msgspec.Struct, frozen=True):
    """A message that is to go to an endpoint."""

    endpoint_id: UUID
    message: int
    user_id: UUID | None


def sequence(now: datetime) -> int:
    """Give the oldest messages without a position theirs, and have them delivered; return how many those were."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_THERE_ANY)
        return _sequence(cursor, now) if cursor.fetchone()[0] else 0


def _sequence(cursor: CursorWrapper, now: datetime) -> int:
    with transaction.atomic():
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LANES_LOCK])
        cursor.execute(_PLACE, [SEQUENCED_AT_ONCE])
        messages = [PlacedMessage(*row) for row in cursor.fetchall()]
        if not messages:
            return 0
        cursor.execute(_MOVE_LAST, [max(message.position for message in messages)])
        endpoints = list(Endpoint.objects.exclude(status=EndpointStatus.ARCHIVED))
        at_once, collapsed = _sorted_out(messages, endpoints, _open_windows())
        add_deliveries(cursor, at_once, now)
        _collapse(cursor, collapsed, now)
    return len(messages)


def _sorted_out(
    messages: Sequence[PlacedMessage], endpoints: Sequence[Endpoint], open_windows: set[tuple[UUID, UUID]]
) -> tuple[list[Due], list[tuple[Endpoint, PlacedMessage]]]:
    """Return what goes out at once, and the points changes that an endpoint wants to hear of later, all in one.

    What is for one endpoint alone was promised to it: it waits there where that was disabled meanwhile.
    """
    at_once, collapsed = [], []
    for message in messages:
        for endpoint in endpoints:
            if not _is_for(endpoint, message):
                continue
            if _is_change(message) and (endpoint.collapse_minutes or (endpoint.id, message.user_id) in open_windows):
                collapsed.append((endpoint, message))
            elif endpoint.url:
                at_once.append(Due(endpoint.id, message.number, message.user_id))
    return at_once, collapsed


def _is_for(endpoint: Endpoint, message: PlacedMessage) -> bool:
    if message.endpoint_id is not None:
        return message.endpoint_id == endpoint.id
    return endpoint.status == EndpointStatus.ACTIVE and message.type in endpoint.types


def _is_change(message: PlacedMessage) -> bool:
    return message.type == MessageType.POINTS_CHANGED and message.endpoint_id is None


def _open_windows() -> set[tuple[UUID, UUID]]:
    """Return the endpoints and users with windows that are open though the endpoint wants none any more.

    What comes before they are closed belongs inside: told at once, it would be followed by an older total.
    """
    left = CollapsedChange.objects.filter(endpoint__collapse_minutes=0)
    return set(left.values_list("endpoint_id", "user_id"))


def add_deliveries(cursor: CursorWrapper, due: Sequence[Due], now: datetime) -> None:
    """Have messages delivered, in their order for each user: behind what is on its way to the same endpoint.

    The caller has the lanes' lock alone.
    """
    lanes = {(each.endpoint_id, each.user_id) for each in due if each.user_id is not None}
    cursor.execute(_BUSY, [encode_text([{"endpoint_id": endpoint, "user_id": user} for endpoint, user in lanes])])
    busy: set[tuple[UUID, UUID | None]] = set(cursor.fetchall())
    rows = []
    for place, each in enumerate(due):
        lane = (each.endpoint_id, each.user_id)
        is_ready = each.user_id is None or lane not in busy
        busy.add(lane)
        rows.append(
            {
                "place": place,
                "endpoint_id": each.endpoint_id,
                "message_id": each.message,
                "user_id": each.user_id,
                "status": "ready" if is_ready else "waiting",
                "next_attempt_at": now if is_ready else None,
                "created": now,
            }
        )
    if rows:
        cursor.execute(_ADD, [encode_text(rows)])


def _collapse(cursor: CursorWrapper, changes: Iterable[tuple[Endpoint, PlacedMessage]], now: datetime) -> None:
    """Add each change to what is told when its window closes; the first of a user and system opens one."""
    keyed = [(_key(endpoint, message), endpoint, message) for endpoint, message in changes]
    if not keyed:
        return
    known = CollapsedChange.objects.filter(
        endpoint__in={key[0] for key, *_ in keyed}, user__in={key[1] for key, *_ in keyed}
    )
    payloads: dict[Key, Any] = {(each.endpoint_id, each.user_id, each.system_id): each.payload for each in known}
    dues = {}
    for key, endpoint, message in keyed:
        change = decode_payload(message.payload)
        payloads[key] = merge_changes(payloads[key], change) if key in payloads else change
        dues[key] = now + timedelta(minutes=endpoint.collapse_minutes)
    rows = [
        {"endpoint_id": key[0], "user_id": key[1], "system_id": key[2], "due": due, "payload": payloads[key]}
        for key, due in dues.items()
    ]
    cursor.execute(_SAVE_CHANGES, [encode_text(rows)])


def _key(endpoint: Endpoint, message: PlacedMessage) -> Key:
    if message.user_id is None:
        raise TypeError("Points that change are some user's.")
    return endpoint.id, message.user_id, UUID(decode_payload(message.payload)["points"]["id"])


@transaction.atomic
def close_windows(now: datetime) -> int:
    """Tell of the points changes whose window has closed, each as a message of its own; return how many."""
    if not CollapsedChange.objects.filter(Q(due__lte=now) | Q(endpoint__collapse_minutes=0)).exists():
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LANES_LOCK])
        cursor.execute(_LOCK_CLOSED, [now, CLOSED_AT_ONCE])
        keys = [dict(zip(("endpoint_id", "user_id", "system_id"), row, strict=True)) for row in cursor.fetchall()]
        cursor.execute(_TAKE_CLOSED, [encode_text(keys)])
        closed = cursor.fetchall()
        if not closed:
            return 0
        messages = [
            {
                "id": new_id_text(),
                "type": MessageType.POINTS_CHANGED,
                "user_id": user_id,
                "endpoint_id": endpoint_id,
                "payload": msgspec.Raw(payload.encode()),
                "created": now,
            }
            for endpoint_id, user_id, payload in closed
        ]
        parameters = (store.sequence_rows(messages), store.message_rows(messages))
        cursor.execute(_TELL, [encode_text(rows) for rows in parameters])
    return len(closed)
