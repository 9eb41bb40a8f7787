"""Levels on the wire."""

from typing import TypedDict

from core.images import BadgeJson, absolute_badge_url, render_admin_badge
from levels.models import Level


class LevelJson(TypedDict):
    """A level; `points` is the total from which on users have it."""

    id: str
    key: str
    name: str
    description: str
    badgeUrl: str | None
    points: int


class AdminLevelJson(TypedDict):
    """A level as it was set up."""

    id: str
    name: str
    key: str
    points: int
    description: str
    badge: BadgeJson | None


def render_level(level: Level) -> LevelJson:
    """Return the wire's shape of a level."""
    return {
        "id": str(level.id),
        "key": level.key,
        "name": level.name,
        "description": level.description,
        "badgeUrl": absolute_badge_url(level.badge, level.badge_url),
        "points": level.points,
    }


def render_admin_level(level: Level) -> AdminLevelJson:
    """Return the Admin API's shape of a level."""
    return {
        "id": str(level.id),
        "name": level.name,
        "key": level.key,
        "points": level.points,
        "description": level.description,
        "badge": render_admin_badge(level.badge, level.badge_url),
    }
