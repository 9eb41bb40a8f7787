"""A pull feed: the messages of an endpoint without address, read by position.

Positions are given after the commit, by one sequencer. So whoever has seen one has seen all before it, and reads on
from there without missing what was committed late.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from webhooks.models import Endpoint, MessageType

SCANNED_MAX: Final = 10_000
"""How many messages one call looks at: where few of them are wanted, the reader comes again for the rest."""

# How far it looked is asked only where the page is not full: else the page says where to go on.
_SCANNED: Final = """
SELECT position, type, endpoint_id FROM webhooks_outboxmessage
WHERE position > %(after)s ORDER BY position LIMIT %(scanned_max)s
"""
_READ: Final = f"""
WITH page AS MATERIALIZED (
    SELECT position FROM ({_SCANNED}) AS scanned
    WHERE endpoint_id = %(endpoint)s OR (endpoint_id IS NULL AND type = ANY(%(types)s))
    ORDER BY position LIMIT %(most)s
), reach AS (
    SELECT count(*) AS messages, max(position) AS position FROM ({_SCANNED}) AS scanned
    WHERE (SELECT count(*) FROM page) < %(most)s
)
SELECT reach.messages, reach.position, m.position, m.id, m.sequence, m.created, m.payload::text
FROM reach LEFT JOIN (page JOIN webhooks_outboxmessage m ON m.position = page.position) ON true
ORDER BY m.position
"""


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """A message with all that its body is made of."""

    position: int
    id: UUID
    sequence: int | None
    created: datetime
    payload: str


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some messages in the order of their positions, where to go on from, and whether there may be more by now."""

    messages: tuple[FeedMessage, ...]
    next: int
    has_more: bool


def read_feed(endpoint: Endpoint, *, after: int, limit: int) -> FeedPage:
    """Return the endpoint's messages behind position `after`, at most `limit`."""
    after = max(after, endpoint.starts_after)
    parameters: dict[str, Any] = {
        "after": after,
        "endpoint": endpoint.id,
        "types": _types_at_once(endpoint),
        "most": limit + 1,
        "scanned_max": SCANNED_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(_READ, parameters)
        rows = cursor.fetchall()
    (looked_at, reach, *_), *_ = rows
    messages = tuple(FeedMessage(*row) for _, _, *row in rows if row[0] is not None)
    if len(messages) > limit:
        return FeedPage(messages[:limit], messages[limit - 1].position, has_more=True)
    return FeedPage(messages, reach or after, has_more=looked_at == SCANNED_MAX)


def _types_at_once(endpoint: Endpoint) -> list[str]:
    """Return the types that are told as they happen; collapsed changes come as messages for the endpoint alone."""
    is_collapsed = endpoint.collapse_minutes > 0
    return [each for each in endpoint.types if not (is_collapsed and each == MessageType.POINTS_CHANGED)]
