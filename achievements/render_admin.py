"""Achievements as the Admin API shows them."""

from decimal import Decimal
from typing import Final, NotRequired, TypedDict

from django.db.models import prefetch_related_objects

from achievements.models import Achievement
from achievements.rules import AchievementType
from core.images import BadgeJson, render_admin_badge
from core.json import plain_number
from users.render import AdminFilterJson, render_admin_filters

PARTS: Final = ("filters__attribute", "prerequisites")
"""What is shown of other tables: lists bring it along."""


class AdminAchievementJson(TypedDict):
    """An achievement as it was set up; the fields of other types are left out."""

    id: str
    name: str
    description: str | None
    trigger: str
    status: str
    badge: BadgeJson | None
    userAttributes: list[AdminFilterJson]
    key: NotRequired[str]
    metricId: NotRequired[str]
    metricValue: NotRequired[int | Decimal]
    eventAttributes: NotRequired[list[AdminFilterJson]]
    streakLength: NotRequired[int]
    achievementIds: NotRequired[list[str]]


def render_admin_achievement(achievement: Achievement) -> AdminAchievementJson:
    """Return the Admin API's shape of an achievement."""
    prefetch_related_objects([achievement], *PARTS)
    filters = list(achievement.filters.all())
    json: AdminAchievementJson = {
        "id": str(achievement.id),
        "name": achievement.name,
        "description": achievement.description or None,
        "trigger": achievement.type,
        "status": achievement.status,
        "badge": render_admin_badge(achievement.badge, achievement.badge_url),
        "userAttributes": render_admin_filters(each for each in filters if not each.is_of_event),
    }
    if achievement.type == AchievementType.API:
        json["key"] = achievement.key or ""
    if achievement.type == AchievementType.METRIC:
        json["metricId"] = str(achievement.metric_id)
        json["metricValue"] = plain_number(achievement.metric_value or Decimal(0))
        json["eventAttributes"] = render_admin_filters(each for each in filters if each.is_of_event)
    if achievement.type == AchievementType.STREAK:
        json["streakLength"] = achievement.streak_length or 1
    if achievement.type == AchievementType.COMPOSITE:
        json["achievementIds"] = [str(each.prerequisite_id) for each in achievement.prerequisites.all()]
    return json
