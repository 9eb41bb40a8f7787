"""The outbox on the hot path, and what is wanted in it."""

from typing import Final

from core.models import ConfigurationStatus
from webhooks.models import Endpoint

INSERT_MESSAGES: Final = """
INSERT INTO webhooks_outboxmessage (id, type, user_id, payload, created)
SELECT n.id, n.type, n.user_id, n.payload, n.created
FROM json_to_recordset(%s) AS n(id uuid, type text, user_id uuid, payload jsonb, created timestamptz)
"""


def load_wanted_types() -> frozenset[str]:
    """Return the types of messages that some active endpoint wants."""
    endpoints = Endpoint.objects.filter(status=ConfigurationStatus.ACTIVE)
    return frozenset(type_ for types in endpoints.values_list("types", flat=True) for type_ in types)
