"""What products are told of a tick's payments: the rows of `engine.messages`, made in SQL for a whole chunk.

A test compares them with those that an event's outcome gives.
"""

from typing import Any, Final
from uuid import UUID

from core.json import encode_text
from levels.render import render_level
from levels.store import read_levels
from points.models import PointsTrigger
from points.render import render_system, render_trigger
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


def _level(total: str) -> str:
    """Return SQL for the wire's shape of the level at a total, null below all."""
    return f"(SELECT json FROM ladder WHERE points <= {total} ORDER BY points DESC LIMIT 1)"


LADDER: Final = "SELECT points, json FROM jsonb_to_recordset(%(ladder)s::jsonb) AS l(points bigint, json jsonb)"
"""The levels of the system, for a part named `ladder`."""

INSERT: Final = f"""
INSERT INTO webhooks_outboxmessage (id, type, user_id, payload, created)
SELECT (%(id_head)s::text || lpad(to_hex((p.number - 1) * 2048 / %(count)s::bigint * 2 + m.place), 3, '0')
        || substr(gen_random_uuid()::text, 19))::uuid, m.type, p.user_id,
       jsonb_build_object('type', m.type, 'user', {_USER}) || m.content, %(created)s
FROM payment p
JOIN users_enduser u ON u.id = p.user_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.before IS NOT NULL THEN {_level("p.before")} END AS old, {_level("p.total")} AS new
) AS level
CROSS JOIN LATERAL (
    VALUES
    (0, 'points.changed', jsonb_build_object('points', %(system_json)s::jsonb || jsonb_build_object(
        'total', p.total, 'added', p.awarded, 'awards', jsonb_build_array({_AWARD}))
        || CASE WHEN level.old IS DISTINCT FROM level.new THEN jsonb_build_object('level', level.new) ELSE '{{}}' END)),
    (1, 'points.level_changed', jsonb_build_object(
        'points', %(system_json)s::jsonb || jsonb_build_object('total', p.total),
        'previousLevel', level.old, 'newLevel', level.new))
) AS m(place, type, content)
WHERE m.type = ANY(%(wanted)s) AND (m.type = 'points.changed' OR level.old IS DISTINCT FROM level.new)
ORDER BY p.number, m.place
"""
"""Reads the parts `payment` and `ladder`. The ids are made as the awards', in order for each user."""


def message_terms(trigger_id: UUID) -> dict[str, Any] | None:
    """Return INSERT's parameters for a trigger's payments, None where no endpoint wants to be told of them."""
    wanted = _TYPES & load_wanted_types()
    if not wanted:
        return None
    triggers = PointsTrigger.objects.select_related("system", "metric", "achievement")
    trigger = triggers.prefetch_related("filters__attribute").get(id=trigger_id)
    ladder = [{"points": level.points, "json": render_level(level)} for level in read_levels(trigger.system)]
    return {
        "wanted": sorted(wanted),
        "ladder": encode_text(ladder),
        "trigger_json": encode_text(render_trigger(trigger)),
        "system_json": encode_text(render_system(trigger.system)),
    }
