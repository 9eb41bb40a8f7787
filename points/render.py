"""Points on the wire."""

from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

from core.images import absolute_badge_url
from core.json import iso_instant
from points.models import PointsAward, PointsSystem, PointsTrigger, TriggerFilter, TriggerType


class AttributeValueJson(TypedDict):
    """One attribute and the value that it must have."""

    key: str
    value: str


class TriggerJson(TypedDict):
    """A trigger; the fields that do not belong to its type are left out."""

    id: str
    type: str
    points: int
    status: str
    metricId: NotRequired[str]
    metricName: NotRequired[str]
    metricThreshold: NotRequired[int]
    userAttributes: list[AttributeValueJson]
    eventAttribute: NotRequired[AttributeValueJson]
    eventAttributes: NotRequired[list[AttributeValueJson]]
    created: str
    updated: str


class AwardJson(TypedDict):
    """One line of the ledger."""

    id: str
    awarded: int
    date: str
    total: int
    trigger: NotRequired[TriggerJson]
    boosts: list[Any]


class SystemJson(TypedDict):
    """What every answer about a points system has."""

    id: str
    key: str
    name: str
    description: str | None
    badgeUrl: str | None
    maxPoints: int | None


class EventPointsJson(SystemJson):
    """What an event moved in a points system."""

    total: int
    added: int
    awards: list[AwardJson]


class UserPointsJson(SystemJson):
    """What a user holds in a points system; `level` is null as long as none are set up."""

    total: int
    level: Any
    awards: list[AwardJson]


class SystemWithTriggersJson(SystemJson):
    """A points system and its active triggers."""

    triggers: list[TriggerJson]


def render_system(system: PointsSystem) -> SystemJson:
    """Return the wire's shape of a points system."""
    return {
        "id": str(system.id),
        "key": system.key,
        "name": system.name,
        "description": system.description or None,
        "badgeUrl": absolute_badge_url(system.badge, system.badge_url),
        "maxPoints": system.max_points,
    }


def render_trigger(trigger: PointsTrigger) -> TriggerJson:
    """Return the wire's shape of a trigger whose metric and filters were loaded with it."""
    filters = list(trigger.filters.all())
    json: TriggerJson = {
        "id": str(trigger.id),
        "type": trigger.type,
        "points": trigger.points,
        "status": trigger.status,
        "userAttributes": _render_filters(each for each in filters if not each.is_of_event),
        "created": iso_instant(trigger.created),
        "updated": iso_instant(trigger.updated),
    }
    if trigger.type == TriggerType.METRIC and trigger.metric is not None:
        json["metricId"] = str(trigger.metric_id)
        json["metricName"] = trigger.metric.name
        json["metricThreshold"] = trigger.metric_threshold or 1
        json["eventAttributes"] = _render_filters(each for each in filters if each.is_of_event)
        if json["eventAttributes"]:
            json["eventAttribute"] = json["eventAttributes"][0]
    return json


def render_award(award: PointsAward) -> AwardJson:
    """Return the wire's shape of a line of the ledger, loaded with its trigger."""
    json: AwardJson = {
        "id": str(award.id),
        "awarded": award.awarded,
        "date": iso_instant(award.created),
        "total": award.total,
        "boosts": award.boosts,
    }
    if award.trigger is not None:
        json["trigger"] = render_trigger(award.trigger)
    return json


def render_user_points(system: PointsSystem, total: int, awards: Iterable[PointsAward]) -> UserPointsJson:
    """Return the wire's shape of what a user holds."""
    return {
        **render_system(system),
        "total": total,
        "level": None,
        "awards": [render_award(award) for award in awards],
    }


def render_system_with_triggers(system: PointsSystem, triggers: Iterable[PointsTrigger]) -> SystemWithTriggersJson:
    """Return the wire's shape of a points system with its triggers."""
    return {**render_system(system), "triggers": [render_trigger(trigger) for trigger in triggers]}


def _render_filters(filters: Iterable[TriggerFilter]) -> list[AttributeValueJson]:
    return [{"key": each.attribute.key, "value": each.value} for each in filters]
