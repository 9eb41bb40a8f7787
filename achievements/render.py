"""Achievements on the wire."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NotRequired, TypedDict

from achievements.models import Achievement
from achievements.rules import AchievementType
from core.images import absolute_badge_url
from core.json import iso_instant, plain_number
from users.render import AttributeValueJson, render_filters


class AchievementJson(TypedDict):
    """An achievement; the fields that do not belong to its type are left out."""

    id: str
    name: str
    trigger: str
    description: str | None
    badgeUrl: str | None
    key: NotRequired[str]
    streakLength: NotRequired[int]
    achievementIds: NotRequired[list[str]]
    metricId: NotRequired[str]
    metricValue: NotRequired[int | Decimal]
    metricName: NotRequired[str]
    userAttributes: list[AttributeValueJson]
    eventAttribute: NotRequired[AttributeValueJson]
    eventAttributes: NotRequired[list[AttributeValueJson]]


class UserAchievementJson(AchievementJson):
    """An achievement, and when the user completed it."""

    achievedAt: str | None


class AchievementStatsJson(AchievementJson):
    """An achievement, how many users completed it, and what percentage of all."""

    completions: int
    rarity: float


class UserAchievementStatsJson(AchievementStatsJson):
    """An achievement, how many users completed it, and when this one did."""

    achievedAt: str | None


def render_achievement(achievement: Achievement) -> AchievementJson:
    """Return the wire's shape of an achievement whose metric, filters and prerequisites were loaded with it."""
    filters = list(achievement.filters.all())
    json: AchievementJson = {
        "id": str(achievement.id),
        "name": achievement.name,
        "trigger": achievement.type,
        "description": achievement.description or None,
        "badgeUrl": absolute_badge_url(achievement.badge, achievement.badge_url),
        "userAttributes": render_filters(each for each in filters if not each.is_of_event),
    }
    if achievement.key is not None:
        json["key"] = achievement.key
    if achievement.streak_length is not None:
        json["streakLength"] = achievement.streak_length
    if achievement.type == AchievementType.COMPOSITE:
        json["achievementIds"] = [str(each.prerequisite_id) for each in achievement.prerequisites.all()]
    if achievement.metric is not None:
        json["metricId"] = str(achievement.metric_id)
        json["metricValue"] = plain_number(achievement.metric_value or Decimal(0))
        json["metricName"] = achievement.metric.name
        json["eventAttributes"] = render_filters(each for each in filters if each.is_of_event)
        if json["eventAttributes"]:
            json["eventAttribute"] = json["eventAttributes"][0]
    return json


def with_achieved_at(json: AchievementJson, at: datetime | None) -> UserAchievementJson:
    """Return a user's achievement; `at` is None where it is not completed."""
    return {**json, "achievedAt": iso_instant(at) if at else None}


def with_stats(json: AchievementJson, completions: int, users: int) -> AchievementStatsJson:
    """Return an achievement with its completions and its rarity: what percentage of all users, to 2 decimals."""
    rarity = round(100 * completions / users, 2) if users else 0.0
    return {**json, "completions": completions, "rarity": rarity}


def with_stats_and_achieved_at(
    json: AchievementJson, counts: Mapping[str, int], users: int, at: datetime | None
) -> UserAchievementStatsJson:
    """Return a user's achievement with its completions; `counts` is by achievement id."""
    stats = with_stats(json, counts.get(json["id"], 0), users)
    return {**stats, "achievedAt": iso_instant(at) if at else None}
