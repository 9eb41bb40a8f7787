"""Points on the wire."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NotRequired, TypedDict

from core.images import absolute_badge_url
from core.json import iso_instant, plain_number
from points.models import PointsAward, PointsSystem, PointsTrigger, TriggerType
from points.rules import AppliedBoost
from points.store import applied_boosts
from users.render import AttributeValueJson, render_filters


class TriggerJson(TypedDict):
    """A trigger; the fields that do not belong to its type are left out."""

    id: str
    type: str
    points: int
    status: str
    metricId: NotRequired[str]
    metricName: NotRequired[str]
    metricThreshold: NotRequired[int]
    streakLengthThreshold: NotRequired[int]
    achievementId: NotRequired[str]
    achievementName: NotRequired[str]
    timeUnit: NotRequired[str]
    timeInterval: NotRequired[int]
    userAttributes: list[AttributeValueJson]
    eventAttribute: NotRequired[AttributeValueJson]
    eventAttributes: NotRequired[list[AttributeValueJson]]
    created: str
    updated: str


class BoostJson(TypedDict):
    """A boost; the days are dates by each user's own calendar, `end` null for none."""

    id: str
    name: str
    status: str
    start: str
    end: str | None
    multiplier: int | Decimal
    rounding: str


class AwardJson(TypedDict):
    """One line of the ledger."""

    id: str
    awarded: int
    date: str
    total: int
    trigger: NotRequired[TriggerJson]
    boosts: list[BoostJson]


class SystemJson(TypedDict):
    """What every answer about a points system has."""

    id: str
    key: str
    name: str
    description: str | None
    badgeUrl: str | None
    maxPoints: int | None


class EventPointsJson(SystemJson):
    """What an event moved in a points system; `level` is there where it changed, null below all levels."""

    total: int
    level: NotRequired[Any]
    added: int
    awards: list[AwardJson]


class UserPointsJson(SystemJson):
    """What a user holds in a points system; `level` is null below all levels."""

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
    """Return the wire's shape of a trigger whose metric, achievement and filters were loaded with it."""
    filters = list(trigger.filters.all())
    json: TriggerJson = {
        "id": str(trigger.id),
        "type": trigger.type,
        "points": trigger.points,
        "status": trigger.status,
        "userAttributes": render_filters(each for each in filters if not each.is_of_event),
        "created": iso_instant(trigger.created),
        "updated": iso_instant(trigger.updated),
    }
    if trigger.type == TriggerType.STREAK:
        json["streakLengthThreshold"] = trigger.streak_length or 1
    if trigger.type == TriggerType.TIME:
        json["timeUnit"] = trigger.time_unit or ""
        json["timeInterval"] = trigger.time_interval or 1
    if trigger.achievement is not None:
        json["achievementId"] = str(trigger.achievement_id)
        json["achievementName"] = trigger.achievement.name
    if trigger.metric is not None:
        json["metricId"] = str(trigger.metric_id)
        json["metricName"] = trigger.metric.name
        json["metricThreshold"] = trigger.metric_threshold or 1
        json["eventAttributes"] = render_filters(each for each in filters if each.is_of_event)
        if json["eventAttributes"]:
            json["eventAttribute"] = json["eventAttributes"][0]
    return json


def render_applied_boost(boost: AppliedBoost, status: str) -> BoostJson:
    """Return the wire's shape of a boost that multiplied an award."""
    return {
        "id": boost.id,
        "name": boost.name,
        "status": status,
        "start": boost.start.isoformat(),
        "end": boost.end.isoformat() if boost.end else None,
        "multiplier": plain_number(boost.multiplier),
        "rounding": boost.rounding.value,
    }


def render_award(award: PointsAward, boost_status: Mapping[str, str]) -> AwardJson:
    """Return the wire's shape of a line of the ledger, loaded with its trigger.

    `boost_status` has the status, by id, of the boosts that are not finished, inactive or archived by now.
    """
    json: AwardJson = {
        "id": str(award.id),
        "awarded": award.awarded,
        "date": iso_instant(award.created),
        "total": award.total,
        "boosts": [
            render_applied_boost(boost, boost_status.get(boost.id, "finished")) for boost in applied_boosts(award)
        ],
    }
    if award.trigger is not None:
        json["trigger"] = render_trigger(award.trigger)
    return json


def render_user_points(system: PointsSystem, total: int, level: Any, awards: Iterable[AwardJson]) -> UserPointsJson:
    """Return the wire's shape of what a user holds; `level` is the wire's shape of the user's, None below all."""
    return {
        **render_system(system),
        "total": total,
        "level": level,
        "awards": list(awards),
    }


def render_system_with_triggers(system: PointsSystem, triggers: Iterable[PointsTrigger]) -> SystemWithTriggersJson:
    """Return the wire's shape of a points system with its triggers."""
    return {**render_system(system), "triggers": [render_trigger(trigger) for trigger in triggers]}
