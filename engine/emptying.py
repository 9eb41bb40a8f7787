"""Emptying an attribute whose key was archived before: a value that is still stored would match the new one's filters.

Users keep values under the key itself, events too, and totals are kept by filters that name it. Chunk by chunk of
users, each a transaction that holds their locks and also moves the row of the work: a crash repeats nothing and leaves
out nobody. Nothing new comes under the key in the meantime, since the attribute is not active.
"""

import logging
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from engine.holding import BACKGROUND_LOCK_MS_MAX, held_up, work_off
from engine.pipeline import Clock
from metrics.store import CARRIES_KEY, REMOVE_KEY, REMOVE_TOTALS_OF_KEY
from users import store as users_store
from users.models import Attribute, AttributeEmptying, AttributeStatus, AttributeType, EndUser

logger = logging.getLogger(__name__)

CHUNK: Final = 200


def empty_attributes(
    clock: Clock = timezone.now, *, created_before: datetime | None = None, seconds_max: float = math.inf
) -> int:
    """Work off what was begun before that moment (None: all); return of how many users something was removed.

    To be called again and again, by as many workers as wanted, who share the work by attribute. An event that was on
    its way when the old attribute was archived may still carry a value: the few seconds that `created_before` leaves
    let it come first. After `seconds_max` the rest is left to the next call, and so is what waits for a user whom other
    work holds locked.
    """
    _begin_again()
    waiting = AttributeEmptying.objects.filter(finished__isnull=True, attribute__status=AttributeStatus.EMPTYING)
    if created_before is not None:
        waiting = waiting.filter(created__lt=created_before)
    return work_off(
        waiting, lambda rows: _next_chunk(rows, clock), what="Emptying the attribute", seconds_max=seconds_max
    )


def _begin_again() -> None:
    """Let what was archived half empty begin again if it is restored: another may have been active in between."""
    stopped = AttributeEmptying.objects.filter(finished__isnull=True, last_user__isnull=False)
    stopped.exclude(attribute__status=AttributeStatus.EMPTYING).update(last_user=None, looked_at=0)


@transaction.atomic
def _next_chunk(waiting: QuerySet[AttributeEmptying], clock: Clock) -> int | None:
    """Look at the next users of the oldest work that no other worker has; None if there is none."""
    work = waiting.select_related("attribute").select_for_update(skip_locked=True, of=("self",)).first()
    if work is None:
        return None
    users = EndUser.objects.order_by("id").values_list("id", flat=True)
    if work.last_user is not None:
        users = users.filter(id__gt=work.last_user)
    chunk = list(users[:CHUNK])
    if not chunk:
        _finish(work, clock())
        return 0
    with held_up(str(work.attribute_id)):
        removed = _remove(work.attribute, chunk, clock())
    AttributeEmptying.objects.filter(attribute=work.attribute).update(
        last_user=chunk[-1], looked_at=F("looked_at") + len(chunk), emptied=F("emptied") + removed
    )
    return removed


def _finish(work: AttributeEmptying, now: datetime) -> None:
    """Let the attribute be used, in a transaction that locks no user, unless somebody archived it in this moment."""
    still_so = Attribute.objects.filter(id=work.attribute_id, status=AttributeStatus.EMPTYING)
    if still_so.update(status=AttributeStatus.ACTIVE, updated=now):
        AttributeEmptying.objects.filter(attribute=work.attribute).update(finished=now)
        logger.info("The attribute %s is empty: values of %s users were removed.", work.attribute_id, work.emptied)


def _remove(attribute: Attribute, users: Sequence[UUID], now: datetime) -> int:
    """Remove what these users have under the key; return how many had something. Only those are locked."""
    given: dict[str, Any] = {"users": users, "key": attribute.key, "now": now}
    is_of_event = attribute.type == AttributeType.EVENT
    removals = (REMOVE_KEY, REMOVE_TOTALS_OF_KEY) if is_of_event else (users_store.REMOVE_KEY,)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # also while the planner takes the tables to be empty
        cursor.execute(CARRIES_KEY if is_of_event else users_store.CARRIES_KEY, given)
        given["users"] = [user for (user,) in cursor.fetchall()]
        if given["users"]:
            cursor.execute(users_store.LOCK_BY_ID, given | {"wait_ms": BACKGROUND_LOCK_MS_MAX})
            for removal in removals:
                cursor.execute(removal, given)
    return len(given["users"])
