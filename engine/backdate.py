"""Looking back when an achievement is activated, or asks for something else: who qualifies already gets it, quietly.

So what holds for a user already is given in a moment, and an event need not look at the totals of other metrics.
"""

import logging
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from achievements.models import AchievementStatus, Backdating
from achievements.rules import AchievementRule, AchievementType, digest_terms
from achievements.store import CANDIDATES, achievement_rules, shown_achievements
from core.json import encode_text
from engine.holding import BACKGROUND_LOCK_MS_MAX, held_up, work_off
from engine.inputs import BackdateInput
from engine.outcomes import Accepted
from engine.pipeline import Clock, process
from users.rules import UserChanges

logger = logging.getLogger(__name__)

CHUNK: Final = 200


def look_back(
    clock: Clock = timezone.now, *, created_before: datetime | None = None, seconds_max: float = math.inf
) -> int:
    """Work off the backdatings created before that moment (None: all); return how many completions there were.

    First it begins one for each active achievement that asks for something else than when it was looked back for last,
    whatever road that change came by. Chunk by chunk of users, each a transaction that also moves the backdating's row:
    a crash repeats nothing and leaves out nobody. Several workers share the work by backdating. An event that was on
    its way when the achievement was activated may not have looked at it: the few seconds that `created_before` leaves
    let it come first. After `seconds_max` the rest is left to the next call, and so is a backdating that has come to a
    user whom other work holds locked.
    """
    _begin_for_changed(clock)
    waiting = Backdating.objects.filter(finished__isnull=True)
    if created_before is not None:
        waiting = waiting.filter(created__lt=created_before)
    return work_off(waiting, lambda rows: _next_chunk(rows, clock), what="The backdating", seconds_max=seconds_max)


@transaction.atomic
def _begin_for_changed(clock: Clock) -> None:
    with connection.cursor() as cursor:
        # One at a time: two would begin the same twice.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('backdating'))")
    newest = dict(Backdating.objects.order_by("id").values_list("achievement_id", "terms"))
    active = list(shown_achievements().filter(status=AchievementStatus.ACTIVE))
    for achievement, rule in zip(active, achievement_rules(active), strict=True):
        terms = digest_terms(rule)
        # One without terms waits to begin, and will begin with those of then.
        if newest.get(achievement.id) not in ("", terms):
            Backdating.objects.create(achievement=achievement, terms=terms, created=clock())


@transaction.atomic
def _next_chunk(waiting: QuerySet[Backdating], clock: Clock) -> int | None:
    """Look at the next users of the oldest backdating that no other worker has; None where there is none."""
    row = waiting.select_related("achievement").select_for_update(skip_locked=True, of=("self",)).first()
    if row is None:
        return None
    (rule,) = achievement_rules([row.achievement])
    users = _candidates(rule, row) if row.achievement.status == AchievementStatus.ACTIVE else []
    inputs = [BackdateInput(UserChanges(external_id), str(row.achievement_id)) for _, external_id in users]
    with held_up(str(row.id)):
        outcomes = process(inputs, clock=clock, lock_ms_max=BACKGROUND_LOCK_MS_MAX).outcomes if inputs else []
    count = sum(isinstance(outcome, Accepted) for outcome in outcomes)
    is_last = len(users) < CHUNK
    Backdating.objects.filter(id=row.id).update(
        terms=digest_terms(rule) if row.last_user is None else row.terms,
        last_user=users[-1][0] if users else row.last_user,
        completed=F("completed") + count,
        finished=clock() if is_last else None,
    )
    return count


def _candidates(rule: AchievementRule, row: Backdating) -> Sequence[tuple[object, str]]:
    """Return id and external id of the next users who may qualify; the pipeline decides, under their locks."""
    if rule.type == AchievementType.API:
        return []
    parameters = {
        "achievement": rule.id,
        "after": row.last_user,
        "attributes": encode_text(dict(rule.user_filter)),
        "metric": rule.metric_id,
        "least": None if rule.event_filter else rule.metric_value,
        "length": rule.streak_length,
        "prerequisite": rule.prerequisites[0] if rule.prerequisites else None,
        "count": CHUNK,
    }
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES[rule.type], parameters)
        users: list[tuple[object, str]] = cursor.fetchall()
    return users
