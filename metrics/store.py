"""Events and totals on the hot path: SQL for many users at once, composed by the pipeline."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import QuerySet

from core.models import ConfigurationStatus
from metrics.models import Event, Metric, MetricTotal
from metrics.rules import NO_FILTER, MetricRule, Total
from users.models import EndUser

# LIMIT keeps the planner from turning this into a join, for which it would read all keys of a user: it does not know
# how few events have any one key.
LOAD_EVENTS_BY_KEY: Final = """
SELECT n.external_id, e.metric_id, e.idempotency_key, e.id, e.value, e.attributes, e.fingerprint
FROM json_to_recordset(%s) AS n(external_id text, metric_id uuid, idempotency_key text)
JOIN known k ON k.external_id = n.external_id
CROSS JOIN LATERAL (
    SELECT id, metric_id, idempotency_key, value, attributes, fingerprint FROM metrics_event
    WHERE user_id = k.id AND metric_id = n.metric_id AND idempotency_key = n.idempotency_key
    LIMIT 1
) AS e
"""

# OFFSET, as LIMIT above, keeps the planner from beginning with all openings that there are.
LOAD_OPENINGS: Final = """
SELECT k.external_id, e.metric_id
FROM json_array_elements_text(%s) AS n(external_id)
JOIN known k ON k.external_id = n.external_id
CROSS JOIN LATERAL (SELECT metric_id FROM metrics_event WHERE user_id = k.id AND kind = 'opening' OFFSET 0) AS e
"""

# Every total that a user has of a metric, needed now or not, since each event must keep all of them true; and those
# that are needed and have no row yet, computed from the user's events. `missing` is materialized so that the planner
# cannot compute a sum that it then throws away.
LOAD_TOTALS: Final = """
WITH needed AS MATERIALIZED (
    SELECT k.id AS user_id, n.external_id, n.metric_id, n.filter
    FROM json_to_recordset(%s) AS n(external_id text, metric_id uuid, filter text)
    JOIN known k ON k.external_id = n.external_id
), missing AS MATERIALIZED (
    SELECT n.* FROM needed n
    WHERE NOT EXISTS (
        SELECT FROM metrics_metrictotal t
        WHERE t.user_id = n.user_id AND t.metric_id = n.metric_id AND t.filter = n.filter)
)
SELECT n.external_id, n.metric_id, t.filter, t.total, t.peak, t.at, true AS stored
FROM (SELECT DISTINCT user_id, external_id, metric_id FROM needed) AS n
CROSS JOIN LATERAL (
    SELECT filter, total, peak, at FROM metrics_metrictotal
    WHERE user_id = n.user_id AND metric_id = n.metric_id OFFSET 0
) AS t
UNION ALL
SELECT n.external_id, n.metric_id, n.filter, c.total, c.peak, c.at, false
FROM missing n CROSS JOIN LATERAL (
    SELECT coalesce(sum(value), 0) AS total, greatest(0, max(running)) AS peak, max(at) AS at
    FROM (
        SELECT e.value, e.at, sum(e.value) OVER (ORDER BY e.at, e.id) AS running
        FROM metrics_event e
        WHERE e.user_id = n.user_id AND e.metric_id = n.metric_id
          AND e.attributes @> (CASE n.filter WHEN '' THEN '{}' ELSE n.filter END)::jsonb
    ) AS matching
) AS c
"""

INSERT_EVENTS: Final = """
INSERT INTO metrics_event (
    id, user_id, metric_id, value, attributes, idempotency_key, fingerprint, kind, at, created)
SELECT n.id, n.user_id, n.metric_id, n.value, n.attributes, n.idempotency_key, n.fingerprint, n.kind, n.at, n.created
FROM json_to_recordset(%s) AS n(
    id uuid, user_id uuid, metric_id uuid, value numeric, attributes jsonb, idempotency_key text, fingerprint bigint,
    kind text, at timestamptz, created timestamptz)
"""

SAVE_TOTALS: Final = """
INSERT INTO metrics_metrictotal (user_id, metric_id, filter, total, peak, at)
SELECT n.user_id, n.metric_id, n.filter, n.total, n.peak, n.at
FROM json_to_recordset(%s) AS n(user_id uuid, metric_id uuid, filter text, total numeric, peak numeric, at timestamptz)
ON CONFLICT (user_id, metric_id, filter)
DO UPDATE SET total = excluded.total, peak = excluded.peak, at = excluded.at
"""


# Emptying an attribute of events: whose events carry a value under its key, and what takes it away, under their locks.
# With it go the totals of filters by the key: one that is missing is computed from the events when it is needed.
CARRIES_KEY: Final = """
SELECT user_id FROM metrics_event WHERE user_id = ANY(%(users)s) AND attributes ? %(key)s
UNION
SELECT user_id FROM metrics_metrictotal
WHERE user_id = ANY(%(users)s) AND (CASE filter WHEN '' THEN '{}' ELSE filter END)::jsonb ? %(key)s
"""

REMOVE_KEY: Final = """
UPDATE metrics_event SET attributes = attributes - %(key)s WHERE user_id = ANY(%(users)s) AND attributes ? %(key)s
"""

REMOVE_TOTALS_OF_KEY: Final = """
DELETE FROM metrics_metrictotal
WHERE user_id = ANY(%(users)s) AND (CASE filter WHEN '' THEN '{}' ELSE filter END)::jsonb ? %(key)s
"""

ADD_DAYS: Final = """
INSERT INTO metrics_metricday (user_id, metric_id, day, change)
SELECT n.user_id, n.metric_id, n.day, n.change
FROM json_to_recordset(%s) AS n(user_id uuid, metric_id uuid, day date, change numeric)
ON CONFLICT (user_id, metric_id, day) DO UPDATE SET change = metrics_metricday.change + excluded.change
"""


_PEAKS: Final = """
SELECT coalesce(sum(value) FILTER (WHERE at < %(at)s), 0), greatest(0, max(running) FILTER (WHERE at < %(at)s)),
       coalesce(sum(value), 0), greatest(0, max(running))
FROM (
    SELECT value, at, sum(value) OVER (ORDER BY at, id) AS running FROM metrics_event
    WHERE user_id = %(user)s AND metric_id = %(metric)s AND at <= %(at)s AND attributes @> %(attributes)s::jsonb
) AS matching
"""


class StoredEventRow(msgspec.Struct, frozen=True):
    """An event found by its idempotency key."""

    external_id: str
    metric_id: str
    idempotency_key: str
    id: str
    value: Decimal
    attributes: dict[str, str]
    fingerprint: int | None


class TotalRow(msgspec.Struct, frozen=True):
    """A total as loaded; `at` is null where no event matches yet, `stored` is false where it was computed just now."""

    external_id: str
    metric_id: str
    filter: str
    total: Decimal
    peak: Decimal
    at: datetime | None
    stored: bool


class OpeningRow(msgspec.Struct, frozen=True):
    """A metric that a user has an opening balance of."""

    external_id: str
    metric_id: str


_openings_decoder = msgspec.json.Decoder(list[OpeningRow])
_events_decoder = msgspec.json.Decoder(list[StoredEventRow])
_totals_decoder = msgspec.json.Decoder(list[TotalRow])


def decode_events(rows: str) -> list[StoredEventRow]:
    """Return LOAD_EVENTS_BY_KEY's rows, a JSON array."""
    return _events_decoder.decode(rows)


def decode_openings(rows: str) -> list[OpeningRow]:
    """Return LOAD_OPENINGS's rows, a JSON array."""
    return _openings_decoder.decode(rows)


def decode_totals(rows: str) -> list[TotalRow]:
    """Return LOAD_TOTALS's rows, a JSON array."""
    return _totals_decoder.decode(rows)


def load_metrics() -> dict[str, MetricRule]:
    """Return every active metric by its key, in the order of creation."""
    return {metric.key: MetricRule(id=str(metric.id), key=metric.key, name=metric.name) for metric in read_metrics()}


def read_metrics() -> QuerySet[Metric]:
    """Return the active metrics in the order of creation."""
    return Metric.objects.filter(status=ConfigurationStatus.ACTIVE)


def read_metric(key: str) -> Metric | None:
    """Return the active metric with this key."""
    return None if "\x00" in key else read_metrics().filter(key=key).first()


def read_totals(user: EndUser) -> dict[UUID, Decimal]:
    """Return a user's totals by the metric's id."""
    totals = MetricTotal.objects.filter(user_id=user.id, filter=NO_FILTER)
    return dict(totals.values_list("metric_id", "total"))


def read_totals_around(event: Event, filter_: str) -> tuple[Total, Total]:
    """Return the user's total of the event's metric just before the event and with it, over what matches the filter.

    From the events themselves, since totals are kept only as they are now: as LOAD_TOTALS computes one, up to then.
    """
    given: dict[str, Any] = {"user": event.user_id, "metric": event.metric_id, "at": event.at}
    with connection.cursor() as cursor:
        cursor.execute(_PEAKS, given | {"attributes": filter_ or "{}"})
        before, peak_before, after, peak_after = cursor.fetchone()
    return Total(before, peak_before), Total(after, peak_after, event.at)
