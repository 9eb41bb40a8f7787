"""Achievements on the hot path, and reading them: SQL for many users at once."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec
from django.db.models import QuerySet

from achievements.models import Achievement, AchievementStatus, Completion
from achievements.rules import AchievementRule, AchievementType
from achievements.rules import Completion as CompletionRecord
from metrics.rules import canonical_filter, quantize
from users.models import EndUser

LOAD_COMPLETIONS: Final = """
SELECT k.external_id, c.id, c.achievement_id, c.at
FROM known k CROSS JOIN LATERAL (SELECT * FROM achievements_completion WHERE user_id = k.id OFFSET 0) AS c
"""

INSERT_COMPLETIONS: Final = """
INSERT INTO achievements_completion (id, user_id, achievement_id, event_id, quiet, at)
SELECT n.id, n.user_id, n.achievement_id, n.event_id, n.quiet, n.at
FROM json_to_recordset(%s) AS n(
    id uuid, user_id uuid, achievement_id uuid, event_id uuid, quiet boolean, at timestamptz)
"""

_USERS: Final = """
SELECT u.id, u.external_id FROM users_enduser u {join}
WHERE (%(after)s::uuid IS NULL OR u.id > %(after)s::uuid) AND u.attributes @> %(attributes)s::jsonb
  AND NOT EXISTS (
      SELECT FROM achievements_completion c WHERE c.user_id = u.id AND c.achievement_id = %(achievement)s::uuid)
ORDER BY u.id LIMIT %(count)s
"""

CANDIDATES: Final = {
    AchievementType.METRIC: _USERS.format(
        join="""JOIN metrics_metrictotal t ON t.user_id = u.id AND t.metric_id = %(metric)s::uuid AND t.filter = ''
        AND (%(least)s::numeric IS NULL OR t.total >= %(least)s::numeric)"""
    ),
    AchievementType.STREAK: _USERS.format(
        join="JOIN streaks_streak s ON s.user_id = u.id AND s.length >= %(length)s::int"
    ),
    AchievementType.COMPOSITE: _USERS.format(
        join="""JOIN achievements_completion p ON p.user_id = u.id AND p.achievement_id = %(prerequisite)s::uuid"""
    ),
}
"""The next users who may qualify for an achievement, by its type; those of a filtered metric with any total of it."""


class CompletionRow(msgspec.Struct, frozen=True):
    """A completion as loaded."""

    external_id: str
    id: str
    achievement_id: str
    at: datetime


_decoder = msgspec.json.Decoder(list[CompletionRow])


def decode_completions(rows: str) -> list[CompletionRow]:
    """Return LOAD_COMPLETIONS's rows, a JSON array."""
    return _decoder.decode(rows)


def load_achievements() -> list[Achievement]:
    """Return every achievement that users can see, active or locked, with its parts, in the order of creation."""
    return list(shown_achievements())


def shown_achievements() -> QuerySet[Achievement]:
    """Return the achievements that are active or locked, with their parts, in the order of creation."""
    shown = Achievement.objects.filter(status__in=(AchievementStatus.ACTIVE, AchievementStatus.LOCKED))
    return shown.select_related("metric").prefetch_related("filters__attribute", "prerequisites")


def achievement_rules(achievements: Iterable[Achievement]) -> list[AchievementRule]:
    """Return what the rules need of the achievements, which come in the order of creation."""
    return [_achievement_rule(achievement, order) for order, achievement in enumerate(achievements)]


def _achievement_rule(achievement: Achievement, order: int) -> AchievementRule:
    filters = list(achievement.filters.all())
    return AchievementRule(
        id=str(achievement.id),
        type=AchievementType(achievement.type),
        order=order,
        key=achievement.key or "",
        name=achievement.name,
        locked=achievement.status == AchievementStatus.LOCKED,
        user_filter=tuple((each.attribute.key, each.value) for each in filters if not each.is_of_event),
        metric_id=str(achievement.metric_id) if achievement.metric_id else None,
        metric_value=quantize(achievement.metric_value or Decimal(0)),
        event_filter=canonical_filter({each.attribute.key: each.value for each in filters if each.is_of_event}),
        streak_length=achievement.streak_length or 0,
        prerequisites=tuple(str(each.prerequisite_id) for each in achievement.prerequisites.all()),
    )


def read_completions(user: EndUser) -> dict[str, CompletionRecord]:
    """Return the user's completions by the achievement's id."""
    rows = Completion.objects.filter(user_id=user.id).values_list("id", "achievement_id", "at")
    return {str(achievement): CompletionRecord(str(id_), str(achievement), at) for id_, achievement, at in rows}
