"""Telling users whose level an edit of levels changed: chunk by chunk, in SQL for many users at once.

A notice (`levels.notices`) says for which users, and what the levels were before. The level that a user was told last
is that of the newest line of the ledger since the edit that told of a change, by the levels at that time; if there is
none, it is the level before the edit, at the total from before it. If the user has another one by the levels as they
are, a message tells of the change from the one to the other: the last message always names the level that the user has.

Exactly once: a chunk's users are locked, and its transaction writes the messages and moves the notice. Users without an
award are left out: their first one reports their level.
"""

import logging
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F, QuerySet
from django.utils import timezone

from core.json import encode_text
from core.models import ConfigurationStatus
from engine.holding import NEXT_USERS, held_up, work_off
from engine.pipeline import Clock
from engine.tick_messages import MESSAGE_ID, WRITE_MESSAGES, id_head
from levels.models import LevelNotice
from levels.render import render_level
from levels.store import read_levels
from points.render import render_system
from webhooks.models import MessageType
from webhooks.store import load_wanted_types

logger = logging.getLogger(__name__)

CHUNK: Final = 500
_NO_END: Final = 2**63 - 1

# In the same order, and as strongly, as the pipeline locks users (users.store.LOCK).
_LOCK: Final = """
WITH locked AS MATERIALIZED (
    SELECT id FROM users_enduser
    WHERE external_id > %(after)s AND external_id <= %(upto)s
    ORDER BY external_id COLLATE "C"
    FOR NO KEY UPDATE
)
SELECT coalesce(array_agg(id)::text, '{}'), count(*) FROM locked
"""

# The lines since the edit are few: they are walked from the newest on. `step` has the levels between two versions.
_TELL: Final = f"""
WITH step AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(steps)s) AS s(version bigint, until bigint, places bigint[], ladder jsonb)
), held AS MATERIALIZED (
    SELECT l.number, l.id AS user_id, b.total
    FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS l(id, number)
    CROSS JOIN LATERAL (
        SELECT total FROM points_pointsbalance WHERE user_id = l.id AND system_id = %(system)s OFFSET 0
    ) AS b
), changed AS (
    SELECT h.*, CASE WHEN t.is_told THEN t.level
                     ELSE %(old_ladder)s::jsonb -> width_bucket(e.total, %(old_places)s::bigint[]) END AS old_level,
           %(new_ladder)s::jsonb -> width_bucket(h.total, %(new_places)s::bigint[]) AS new_level
    FROM held h
    LEFT JOIN LATERAL (
        SELECT true AS is_told, v.level
        FROM (
            SELECT a.* FROM points_pointsaward a
            WHERE a.user_id = h.user_id AND a.system_id = %(system)s AND a.seq > coalesce((
                SELECT o.seq FROM points_pointsaward o
                WHERE o.user_id = h.user_id AND o.system_id = %(system)s
                  AND (o.rule_version IS NULL OR o.rule_version < %(version)s)
                ORDER BY o.seq DESC LIMIT 1), 0)
            OFFSET 0
        ) AS a
        JOIN step s ON a.rule_version >= s.version AND a.rule_version < s.until
        CROSS JOIN LATERAL (
            SELECT s.ladder -> width_bucket(a.total, s.places) AS level,
                   s.ladder -> width_bucket(a.total - a.awarded, s.places) AS level_before
        ) AS v
        WHERE a.seq = 1 OR v.level ->> 'id' IS DISTINCT FROM v.level_before ->> 'id'
        ORDER BY a.seq DESC LIMIT 1
    ) AS t ON true
    LEFT JOIN LATERAL (
        SELECT o.total FROM points_pointsaward o
        WHERE o.user_id = h.user_id AND o.system_id = %(system)s
          AND (o.rule_version IS NULL OR o.rule_version < %(version)s)
        ORDER BY o.seq DESC LIMIT 1
    ) AS e ON true
), message AS (
    SELECT {MESSAGE_ID.format(place=0)} AS id, 'points.level_changed' AS type, p.user_id,
           jsonb_build_object('points', %(system_json)s::jsonb || jsonb_build_object('total', p.total),
                              'previousLevel', p.old_level, 'newLevel', p.new_level) AS content
    FROM changed p WHERE p.old_level ->> 'id' IS DISTINCT FROM p.new_level ->> 'id'
), {WRITE_MESSAGES}
SELECT count(*) FROM message
"""


def tell_levels(
    clock: Clock = timezone.now,
    *,
    created_before: datetime | None = None,
    seconds_max: float = math.inf,
    chunk: int = CHUNK,
) -> int:
    """Work off the notices created before that moment (None: all); return how many users were told.

    Several workers share the work by notice. After `seconds_max` the rest is left to the next call, and so is a notice
    that has come to a user whom other work holds locked.
    """
    waiting = LevelNotice.objects.filter(finished__isnull=True)
    if created_before is not None:
        waiting = waiting.filter(created__lt=created_before)
    return work_off(
        waiting, lambda rows: _next_chunk(rows, clock, chunk), what="The level notice", seconds_max=seconds_max
    )


@transaction.atomic
def _next_chunk(waiting: QuerySet[LevelNotice], clock: Clock, size: int) -> int | None:
    """Tell the next users of the oldest notice that no other worker has; None if there is none."""
    notice = waiting.select_related("system").select_for_update(skip_locked=True, of=("self",)).first()
    if notice is None:
        return None
    if notice.system.status == ConfigurationStatus.ARCHIVED or MessageType.LEVEL_CHANGED not in load_wanted_types():
        _finish(notice, clock)
        return 0
    among: dict[str, Any] = {"after": notice.last_user, "until": notice.until_user, "size": size}
    with connection.cursor() as cursor:
        cursor.execute(NEXT_USERS, among)
        upto, count, _ = cursor.fetchone()
        told = _tell(cursor, notice, among | {"upto": upto}, clock) if count else 0
    LevelNotice.objects.filter(id=notice.id).update(
        last_user=upto or notice.last_user, users=F("users") + count, told=F("told") + told
    )
    if count < size:
        _finish(notice, clock)
    return told


def _finish(notice: LevelNotice, clock: Clock) -> None:
    LevelNotice.objects.filter(id=notice.id).update(finished=clock())
    notice.refresh_from_db(fields=("users", "told"))
    logger.info(
        "Level notice %s in %s finished: %d users looked at, %d told.",
        *(notice.id, notice.system.key, notice.users, notice.told),
    )


def _tell(cursor: CursorWrapper, notice: LevelNotice, among: dict[str, Any], clock: Clock) -> int:
    """Lock the users of a chunk and write their messages; return how many.

    The levels are read behind the locks: they are at least as new as those of any event of these users.
    """
    with held_up(str(notice.id)):
        cursor.execute(_LOCK, among)
    ids, count = cursor.fetchone()
    levels, created = [render_level(each) for each in read_levels(notice.system)], clock()
    terms = {
        "ids": ids,
        "count": max(1, count),
        "system": notice.system_id,
        "version": notice.version,
        "old_places": _places(notice.ladder),
        "old_ladder": encode_text([None, *notice.ladder]),
        "new_places": _places(levels),
        "new_ladder": encode_text([None, *levels]),
        "steps": encode_text(_steps(notice, levels)),
        "system_json": encode_text(render_system(notice.system)),
        "created": created,
        "id_head": id_head(created),
    }
    cursor.execute(_TELL, terms)
    told: int = cursor.fetchone()[0]
    return told


def _places(ladder: Sequence[Any]) -> list[int]:
    return [level["points"] for level in ladder]


def _steps(notice: LevelNotice, levels: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the levels since the notice's edit, each with the versions of rules between which they held."""
    versions = [notice.version, *(each["version"] for each in notice.later), _NO_END]
    ladders = [*(each["ladder"] for each in notice.later), levels]
    return [
        {"version": version, "until": until, "places": _places(ladder), "ladder": [None, *ladder]}
        for version, until, ladder in zip(versions, versions[1:], ladders, strict=False)
    ]
