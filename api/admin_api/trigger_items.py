"""How a trigger is written in a body of the Admin API, on its own or inside a points system."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from api.admin_api.resources import given_fields, one_of, parse_id
from api.errors import invalid
from core.models import ConfigurationStatus
from metrics.models import Metric
from points.models import TriggerStatus, TriggerType
from users.models import Attribute
from users.services import Filters

OTHER_TYPES: Final = {
    "achievement_id": "achievementId",
    "streak_length": "streakLength",
    "time_unit": "timeUnit",
    "time_interval": "timeInterval",
}
"""The contract's fields of types of triggers that are not offered: refused by name, so that nobody relies on them."""

NotOffered = Annotated[Any, Meta(description="Of a type of trigger that is not offered: leave it out.")]


class FilterItem(Struct, rename="camel", frozen=True):
    """An attribute, by its id, and the value that it must have."""

    attribute_id: str
    attribute_value: str


class TriggerFields(Struct, rename="camel", frozen=True, kw_only=True):
    """What can be said of a trigger both when making and when changing it."""

    status: str | UnsetType = UNSET
    user_attributes: list[FilterItem] | None | UnsetType = UNSET
    metric_id: str | None | UnsetType = UNSET
    metric_threshold: int | None | UnsetType = UNSET
    event_attributes: list[FilterItem] | None | UnsetType = UNSET
    block_if_out_of_points: bool | UnsetType = UNSET
    achievement_id: NotOffered = None
    streak_length: NotOffered = None
    time_unit: NotOffered = None
    time_interval: NotOffered = None


class TriggerItem(TriggerFields, rename="camel", frozen=True, kw_only=True):
    """A trigger to make; inactive unless its status says otherwise."""

    type: str
    points: int


class TriggerPatch(TriggerFields, rename="camel", frozen=True, kw_only=True):
    """A change of a trigger; the fields given change, null clears filters."""

    id: str
    type: str | UnsetType = UNSET
    points: int | UnsetType = UNSET


def trigger_keywords(item: TriggerFields) -> dict[str, Any]:
    """Return the keywords for `create_trigger` or `update_trigger`. Raises ApiError."""
    given = given_fields(item)
    for name, wire_name in OTHER_TYPES.items():
        if given.pop(name) is not None:
            raise invalid(f"{wire_name} belongs to a type of trigger that Pointsmith does not offer.")
    if "type" in given:
        one_of("type", given["type"], TriggerType.values)
    if "status" in given:
        one_of("status", given["status"], [TriggerStatus.ACTIVE, TriggerStatus.INACTIVE])
    if "metric_id" in given:
        given["metric"] = _metric(given.pop("metric_id"))
    if "user_attributes" in given:
        given["user_filters"] = _filters("userAttributes", given.pop("user_attributes") or ())
    if "event_attributes" in given:
        given["event_filters"] = _filters("eventAttributes", given.pop("event_attributes") or ())
    return given


def _metric(id_: str | None) -> Metric | None:
    if id_ is None:
        return None
    active = Metric.objects.filter(status=ConfigurationStatus.ACTIVE)
    metric = active.filter(id=parse_id(id_, "metricId")).first()
    if metric is None:
        raise invalid(f"metricId: there is no active metric with the id {id_}.")
    return metric


def _filters(field: str, items: Sequence[FilterItem]) -> Filters:
    filters = []
    for index, item in enumerate(items):
        name = f"{field}[{index}].attributeId"
        attribute = Attribute.objects.filter(id=parse_id(item.attribute_id, name)).first()
        if attribute is None:
            raise invalid(f"{name}: there is no attribute with the id {item.attribute_id}.")
        filters.append((attribute, item.attribute_value))
    return filters
