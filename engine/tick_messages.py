"""What products are told of a tick's payments: the rows of `engine.messages`, made in SQL for a whole chunk.

A test compares them with those that an event's outcome gives.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from core.json import encode_text
from engine.rule_book import current_revision
from levels.render import render_level
from levels.store import read_levels
from points.models import PointsTrigger
from points.render import render_system, render_trigger
from points.versions import rule_at
from webhooks.models import MessageType
from webhooks.store import load_wanted_types

_TYPES: Final = frozenset({MessageType.POINTS_CHANGED, MessageType.LEVEL_CHANGED})

_INSTANT: Final = """'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'"""

_USER: Final = f"""
jsonb_build_object(
    'id', u.external_id, 'email', u.email, 'name', u.name, 'tz', u.tz, 'signUpDate', u.sign_up_date,
    'deviceTokens', coalesce(nullif(u.device_tokens, 'null'), '[]'), 'subscribeToEmails', u.subscribe_to_emails,
    'attributes', u.attributes, 'control', u.control,
    'created', to_char(u.created AT TIME ZONE 'UTC', {_INSTANT}),
    'updated', to_char(u.updated AT TIME ZONE 'UTC', {_INSTANT}))
"""

_AWARD: Final = f"""
jsonb_build_object(
    'id', p.id, 'awarded', p.awarded, 'total', p.total, 'trigger', %(trigger_json)s::jsonb,
    'date', to_char(%(created)s::timestamptz AT TIME ZONE 'UTC', {_INSTANT}),
    'boosts', (SELECT coalesce(jsonb_agg(b || '{{"status": "active"}}'), '[]') FROM jsonb_array_elements(p.boosts) b))
"""


MESSAGE_ID: Final = """
(%(id_head)s::text || lpad(to_hex((p.number - 1) * 2048 / %(count)s::bigint * 2 + {place}), 3, '0')
 || substr(gen_random_uuid()::text, 19))::uuid
"""

_POINTS_CHANGED: Final = f"""
SELECT {MESSAGE_ID.format(place=0)} AS id, 'points.changed' AS type, p.user_id,
       jsonb_build_object('points', %(system_json)s::jsonb || jsonb_build_object(
           'total', p.total, 'added', p.awarded, 'awards', jsonb_build_array({_AWARD}))
           || CASE WHEN p.old_level <> p.new_level
                   THEN jsonb_build_object('level', %(ladder)s::jsonb -> p.new_level) ELSE '{{}}' END) AS content
FROM payment_on_level p WHERE 'points.changed' = ANY(%(wanted)s)
"""

_LEVEL_CHANGED: Final = f"""
SELECT {MESSAGE_ID.format(place=1)}, 'points.level_changed', p.user_id,
       jsonb_build_object('points', %(system_json)s::jsonb || jsonb_build_object('total', p.total),
                          'previousLevel', %(ladder)s::jsonb -> p.old_level,
                          'newLevel', %(ladder)s::jsonb -> p.new_level)
FROM payment_on_level p WHERE 'points.level_changed' = ANY(%(wanted)s) AND p.old_level <> p.new_level
"""

WRITE_MESSAGES: Final = f"""
counted_message AS (
    SELECT m.*, count(*) OVER (PARTITION BY user_id) - row_number() OVER (PARTITION BY user_id ORDER BY id) AS behind
    FROM message m
), message_sequence AS (
    INSERT INTO webhooks_usersequence (user_id, last) SELECT user_id, count(*) FROM message GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET last = webhooks_usersequence.last + excluded.last
    RETURNING user_id, last
), write_messages AS (
    INSERT INTO webhooks_outboxmessage (id, type, user_id, sequence, payload, created)
    SELECT m.id, m.type, m.user_id, s.last - m.behind,
           jsonb_build_object('type', m.type, 'user', {_USER}) || m.content, %(created)s
    FROM counted_message m
    JOIN message_sequence s ON s.user_id = m.user_id JOIN users_enduser u ON u.id = m.user_id
    ORDER BY m.id
)
"""
"""Parts of a statement that has `message` (id, type, user_id, content): they write what users' products are told."""

PARTS: Final = f"""
payment_on_level AS (
    SELECT p.*, CASE WHEN p.before IS NULL THEN 0 ELSE width_bucket(p.before, t.places) END AS old_level,
           width_bucket(p.total, t.places) AS new_level
    FROM payment p CROSS JOIN (SELECT %(thresholds)s::bigint[]) AS t(places)
), message AS ({_POINTS_CHANGED} UNION ALL {_LEVEL_CHANGED}), {WRITE_MESSAGES}
"""
"""Parts of the statement that has `payment`. A level is its place in the ladder, from 1; 0 is below all.

The ids are made as the awards', in order for each user.
"""


def id_head(created: datetime) -> str:
    """Return how the text of a UUIDv7 of that moment begins, up to its version."""
    milliseconds = f"{int(created.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7"


class ConfigurationMovedError(Exception):
    """The configuration was changed after a tick was claimed: claim it again."""


# A tick has hundreds of chunks, and to read all of it anew would take a third of the time of each.
@lru_cache(maxsize=64)
def message_terms(revision: int, trigger_id: UUID, version: int | None) -> Mapping[str, Any] | None:
    """Return INSERT's parameters for a trigger's payments, None where no endpoint wants to be told of them.

    The trigger is that of `version`, by which it pays; all else is of the configuration of `revision`, which was just
    read. Raises ConfigurationMovedError if that is not the newest one any more: what is paid and told must agree.
    """
    wanted = _TYPES & load_wanted_types()
    if not wanted:
        return None
    triggers = PointsTrigger.objects.select_related("system", "metric", "achievement")
    trigger = triggers.prefetch_related("filters__attribute").get(id=trigger_id)
    levels = read_levels(trigger.system)
    if current_revision() != revision:
        raise ConfigurationMovedError
    return {
        "wanted": sorted(wanted),
        "thresholds": [level.points for level in levels],
        "ladder": encode_text([None, *(render_level(level) for level in levels)]),
        "trigger_json": encode_text(render_trigger(rule_at(trigger, version))),
        "system_json": encode_text(render_system(trigger.system)),
    }
