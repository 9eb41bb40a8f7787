"""Points systems and triggers as the Admin API shows them."""

from typing import NotRequired, TypedDict

from core.images import absolute_badge_url
from points.models import PointsSystem, PointsTrigger, TriggerFilter, TriggerType


class BadgeJson(TypedDict):
    """A badge by its address."""

    url: str


class AdminFilterJson(TypedDict):
    """An attribute, by its id, and the value that it must have."""

    attributeId: str
    attributeValue: str


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
    badge = absolute_badge_url(system.badge, system.badge_url)
    return {
        "id": str(system.id),
        "name": system.name,
        "key": system.key,
        "description": system.description,
        "status": system.status,
        "badge": {"url": badge} if badge else None,
        "maxPoints": system.max_points,
    }


def render_admin_trigger(trigger: PointsTrigger) -> AdminTriggerJson:
    """Return the Admin API's shape of a trigger."""
    filters = list(trigger.filters.select_related("attribute"))
    json: AdminTriggerJson = {
        "id": str(trigger.id),
        "type": trigger.type,
        "points": trigger.points,
        "status": trigger.status,
        "userAttributes": [_render_filter(each) for each in filters if not each.is_of_event],
        "blockIfOutOfPoints": trigger.block_if_out_of_points,
    }
    if trigger.type == TriggerType.METRIC:
        json["metricId"] = str(trigger.metric_id)
        json["metricThreshold"] = trigger.metric_threshold or 1
        json["eventAttributes"] = [_render_filter(each) for each in filters if each.is_of_event]
    return json


def _render_filter(each: TriggerFilter) -> AdminFilterJson:
    return {"attributeId": str(each.attribute_id), "attributeValue": each.value}
