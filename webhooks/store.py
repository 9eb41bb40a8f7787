"""The outbox on the hot path, and what is wanted in it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from webhooks.models import Endpoint, EndpointStatus

Row = dict[str, Any]

# A part of the statement that the messages come in, under this name. Each user's counter moves by as many as there are
# messages of theirs; those count back from where it then stands.
SEQUENCE_PART: Final = "message_sequence"
MOVE_SEQUENCES: Final = """
INSERT INTO webhooks_usersequence (user_id, last)
SELECT n.user_id, n.messages FROM json_to_recordset(%s) AS n(user_id uuid, messages bigint)
ON CONFLICT (user_id) DO UPDATE SET last = webhooks_usersequence.last + excluded.last
RETURNING user_id, last
"""
INSERT_MESSAGES: Final = f"""
INSERT INTO webhooks_outboxmessage (id, type, user_id, sequence, endpoint_id, payload, created)
SELECT n.id, n.type, n.user_id, s.last - n.behind, n.endpoint_id, n.payload, n.created
FROM json_to_recordset(%s) AS n(
    place int, behind int, id uuid, type text, user_id uuid, endpoint_id uuid, payload jsonb, created timestamptz)
JOIN {SEQUENCE_PART} s ON s.user_id = n.user_id
ORDER BY n.place
"""
INSERT_USERLESS_MESSAGES: Final = """
INSERT INTO webhooks_outboxmessage (id, type, endpoint_id, payload, created)
SELECT n.id, n.type, n.endpoint_id, n.payload, n.created
FROM json_to_recordset(%s) AS n(
    place int, id uuid, type text, endpoint_id uuid, payload jsonb, created timestamptz)
ORDER BY n.place
"""


def sequence_rows(messages: Sequence[Row]) -> list[Row]:
    """Return MOVE_SEQUENCES's rows for messages that all have a user."""
    counts = Counter(message["user_id"] for message in messages)
    return [{"user_id": user_id, "messages": count} for user_id, count in counts.items()]


def message_rows(messages: Sequence[Row]) -> list[Row]:
    """Return INSERT_MESSAGES's rows: each knows how many of its user's come after it."""
    left = Counter(message["user_id"] for message in messages)
    rows = []
    for place, message in enumerate(messages):
        left[message["user_id"]] -= 1
        rows.append({**message, "place": place, "behind": left[message["user_id"]]})
    return rows


def load_wanted_types() -> frozenset[str]:
    """Return the types of messages that some active endpoint wants."""
    endpoints = Endpoint.objects.filter(status=EndpointStatus.ACTIVE)
    return frozenset(type_ for types in endpoints.values_list("types", flat=True) for type_ in types)
