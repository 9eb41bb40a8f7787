"""Points systems and triggers as the Admin API shows them."""

from typing import Final, NotRequired, TypedDict

from django.db.models import prefetch_related_objects

from core.images import BadgeJson, render_admin_badge
from points.models import PointsSystem, PointsTrigger, TimeUnit, TriggerType
from users.render import AdminFilterJson, render_admin_filters

PARTS: Final = ("filters__attribute",)
"""What is shown of other tables: lists bring it along."""

TIME_UNITS: Final = {TimeUnit.HOUR: "hours", TimeUnit.DAY: "days"}
"""The units as the Admin API calls them; the Application API has them in the singular, as they are stored."""


class AdminTriggerJson(TypedDict):
    """A trigger as it was set up; the fields of other types are left out."""

    id: str
    type: str
    points: int
    status: str
    userAttributes: list[AdminFilterJson]
    metricId: NotRequired[str]
    metricThreshold: NotRequired[int]
    eventAttributes: NotRequired[list[AdminFilterJson]]
    achievementId: NotRequired[str]
    streakLength: NotRequired[int]
    timeUnit: NotRequired[str]
    timeInterval: NotRequired[int]
    blockIfOutOfPoints: bool


class AdminSystemJson(TypedDict):
    """A points system as it was set up."""

    id: str
    name: str
    key: str
    description: str
    status: str
    badge: BadgeJson | None
    maxPoints: int | None
    triggers: NotRequired[list[AdminTriggerJson]]


def render_admin_system(system: PointsSystem) -> AdminSystemJson:
    """Return the Admin API's shape of a points system."""
    return {
        "id": str(system.id),
        "name": system.name,
        "key": system.key,
        "description": system.description,
        "status": system.status,
        "badge": render_admin_badge(system.badge, system.badge_url),
        "maxPoints": system.max_points,
    }


def render_admin_trigger(trigger: PointsTrigger) -> AdminTriggerJson:
    """Return the Admin API's shape of a trigger."""
    prefetch_related_objects([trigger], *PARTS)
    filters = list(trigger.filters.all())
    json: AdminTriggerJson = {
        "id": str(trigger.id),
        "type": trigger.type,
        "points": trigger.points,
        "status": trigger.status,
        "userAttributes": render_admin_filters(each for each in filters if not each.is_of_event),
        "blockIfOutOfPoints": trigger.block_if_out_of_points,
    }
    if trigger.type == TriggerType.METRIC:
        json["metricId"] = str(trigger.metric_id)
        json["metricThreshold"] = trigger.metric_threshold or 1
        json["eventAttributes"] = render_admin_filters(each for each in filters if each.is_of_event)
    if trigger.type == TriggerType.ACHIEVEMENT:
        json["achievementId"] = str(trigger.achievement_id)
    if trigger.type == TriggerType.STREAK:
        json["streakLength"] = trigger.streak_length or 1
    if trigger.type == TriggerType.TIME:
        json["timeUnit"] = TIME_UNITS[TimeUnit(trigger.time_unit or "")]
        json["timeInterval"] = trigger.time_interval or 1
    return json
