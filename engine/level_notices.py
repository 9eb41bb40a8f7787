"""Telling users whose level an edit of levels changed: chunk by chunk, in SQL for many users at once.

A notice (`levels.notices`) says for which users, and what the levels were before. Each of them had a level by these, at
the total from before the edit, and has one by the levels as they are, at the total as it is. If the two are not the
same, a message tells of the change from the one to the other. What happened to the user since the edit was told by the
levels after it, so the last message that a product gets always names the level that the user has.

Exactly once: a chunk's users are locked, and its transaction writes the messages and moves the notice. Users without an
award at the time of the edit are left out: their first award reports their level.
"""

import logging
import math
import time
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F, QuerySet
from django.utils import timezone

from core.json import encode_text
from core.models import ConfigurationStatus
from engine.holding import BACKGROUND_LOCK_MS_MAX, HeldUpError, held_up
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

# The same statement says how long to wait for the lock of each of them: another one would be a round trip.
_WINDOW: Final = f"""
SELECT max(external_id), count(*), set_config('lock_timeout', '{BACKGROUND_LOCK_MS_MAX}', true) FROM (
    SELECT external_id FROM users_enduser
    WHERE external_id > %(after)s AND (%(until)s::text IS NULL OR external_id <= %(until)s::text)
    ORDER BY external_id LIMIT %(size)s
) AS w
"""

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

# The total from before the edit is that of the newest line whose rule is older: the lines after it are few.
_TELL: Final = f"""
WITH ladder AS (
    SELECT %(old_thresholds)s::bigint[] AS old_places, %(new_thresholds)s::bigint[] AS new_places
), held AS MATERIALIZED (
    SELECT l.number, l.id AS user_id, b.total, e.total AS total_then
    FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS l(id, number)
    CROSS JOIN LATERAL (
        SELECT total FROM points_pointsbalance WHERE user_id = l.id AND system_id = %(system)s OFFSET 0
    ) AS b
    CROSS JOIN LATERAL (
        SELECT a.total FROM points_pointsaward a
        WHERE a.user_id = l.id AND a.system_id = %(system)s
          AND (a.rule_version IS NULL OR a.rule_version < %(version)s)
        ORDER BY a.seq DESC LIMIT 1
    ) AS e
), changed AS (
    SELECT h.*, %(old_ladder)s::jsonb -> width_bucket(h.total_then, old_places) AS old_level,
           %(new_ladder)s::jsonb -> width_bucket(h.total, new_places) AS new_level
    FROM held h CROSS JOIN ladder
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
    told, begun_s = 0, time.monotonic()
    waiting = LevelNotice.objects.filter(finished__isnull=True)
    if created_before is not None:
        waiting = waiting.filter(created__lt=created_before)
    while time.monotonic() < begun_s + seconds_max:
        try:
            count = _next_chunk(waiting, clock, chunk)
        except HeldUpError as error:
            logger.info("The level notice %s waits for a user whom other work holds locked.", error.work_id)
            waiting = waiting.exclude(id=error.work_id)
            continue
        if count is None:
            break
        told += count
    return told


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
        cursor.execute(_WINDOW, among)
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
    levels, created = read_levels(notice.system), clock()
    terms = {
        "ids": ids,
        "count": max(1, count),
        "system": notice.system_id,
        "version": notice.version,
        "old_thresholds": [level["points"] for level in notice.ladder],
        "old_ladder": encode_text([None, *notice.ladder]),
        "new_thresholds": [level.points for level in levels],
        "new_ladder": encode_text([None, *(render_level(level) for level in levels)]),
        "system_json": encode_text(render_system(notice.system)),
        "created": created,
        "id_head": id_head(created),
    }
    cursor.execute(_TELL, terms)
    told: int = cursor.fetchone()[0]
    return told
