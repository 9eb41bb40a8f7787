"""How a trigger is written in a body of the Admin API, on its own or inside a points system."""

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from achievements.models import Achievement
from api.admin_api.parts import FilterItem, metric_of, row_of, with_filters
from api.admin_api.resources import given_fields, one_of
from core.fields import Fields
from core.models import ConfigurationStatus
from points.models import TimeUnit, TriggerStatus, TriggerType
from points.render_admin import TIME_UNITS, AdminTriggerJson


class TriggerFields(Fields, frozen=True, kw_only=True):
    """What can be said of a trigger both when making and when changing it."""

    called: ClassVar = "a trigger"
    shown_as: ClassVar = AdminTriggerJson

    status: str | UnsetType = UNSET
    user_attributes: list[FilterItem] | None | UnsetType = UNSET
    metric_id: str | None | UnsetType = UNSET
    metric_threshold: int | None | UnsetType = UNSET
    event_attributes: list[FilterItem] | None | UnsetType = UNSET
    achievement_id: str | None | UnsetType = UNSET
    streak_length: int | None | UnsetType = UNSET
    time_unit: str | None | UnsetType = UNSET
    time_interval: int | None | UnsetType = UNSET
    block_if_out_of_points: bool | UnsetType = UNSET


class TriggerItem(TriggerFields, frozen=True, kw_only=True):
    """A trigger to make; inactive unless its status says otherwise."""

    type: str
    points: int


class TriggerPatch(TriggerFields, frozen=True, kw_only=True):
    """A change of a trigger; the fields given change, null clears filters."""

    id: str
    type: str | UnsetType = UNSET
    points: int | UnsetType = UNSET


def trigger_keywords(item: TriggerFields) -> dict[str, Any]:
    """Return the keywords for `create_trigger` or `update_trigger`. Raises ApiError."""
    given = with_filters(given_fields(item))
    if "type" in given:
        one_of("type", given["type"], TriggerType.values)
    if "status" in given:
        one_of("status", given["status"], [TriggerStatus.ACTIVE, TriggerStatus.INACTIVE])
    if given.get("time_unit") is not None:
        given["time_unit"] = _time_unit(given["time_unit"])
    if "metric_id" in given:
        given["metric"] = metric_of(given.pop("metric_id"))
    if "achievement_id" in given:
        given["achievement"] = _achievement(given.pop("achievement_id"))
    return given


def _time_unit(name: str) -> TimeUnit:
    one_of("timeUnit", name, list(TIME_UNITS.values()))
    return next(unit for unit, each in TIME_UNITS.items() if each == name)


def _achievement(id_: str | None) -> Achievement | None:
    live = Achievement.objects.exclude(status=ConfigurationStatus.ARCHIVED)
    return row_of("achievementId", live, id_, "achievement")
