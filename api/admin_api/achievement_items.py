"""How an achievement is written in a body of the Admin API."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

from msgspec import UNSET, Meta, UnsetType

from achievements.models import Achievement, AchievementStatus
from achievements.render_admin import AdminAchievementJson
from achievements.rules import AchievementType
from api.admin_api.parts import (
    BadgeItem,
    FilterItem,
    Number,
    metric_of,
    read_optional_number,
    rows_of,
    with_badge,
    with_filters,
)
from api.admin_api.resources import WIRE_NAMES, given_fields, one_of
from api.errors import invalid
from core.fields import Fields
from core.models import ConfigurationStatus

ACHIEVEMENT_WIRE_NAMES: Final = {**WIRE_NAMES, "type": "trigger"}
TRIGGERS: Final = [each.value for each in AchievementType]
STATUSES: Final = [AchievementStatus.ACTIVE, AchievementStatus.INACTIVE, AchievementStatus.LOCKED]
ANNIVERSARY: Final = "anniversary"

NotOffered = Annotated[Any, Meta(description="Of anniversary achievements, which are not offered: leave it out.")]


class AchievementFields(Fields, frozen=True, kw_only=True):
    """What can be said of an achievement both when making and when changing it."""

    called: ClassVar = "an achievement"
    shown_as: ClassVar = AdminAchievementJson

    description: str | None | UnsetType = UNSET
    status: str | UnsetType = UNSET
    badge: BadgeItem | None | UnsetType = UNSET
    user_attributes: list[FilterItem] | None | UnsetType = UNSET
    key: str | None | UnsetType = UNSET
    metric_id: str | None | UnsetType = UNSET
    metric_value: Number | UnsetType = UNSET
    event_attributes: list[FilterItem] | None | UnsetType = UNSET
    streak_length: int | None | UnsetType = UNSET
    achievement_ids: Annotated[list[str], Meta(max_length=100)] | None | UnsetType = UNSET
    anniversary_years: NotOffered = None


class AchievementItem(AchievementFields, frozen=True, kw_only=True):
    """An achievement to make; inactive unless its status says otherwise."""

    name: str
    trigger: str


class AchievementPatch(AchievementFields, frozen=True, kw_only=True):
    """A change of an achievement; the fields given change, null clears the description, the badge or filters."""

    id: str
    name: str | UnsetType = UNSET
    trigger: str | UnsetType = UNSET


def achievement_keywords(item: AchievementFields) -> dict[str, Any]:
    """Return the keywords for `create_achievement` or `update_achievement`. Raises ApiError."""
    given = with_filters(with_badge(given_fields(item)))
    if given.pop("anniversary_years") is not None:
        raise invalid("anniversaryYears belongs to anniversary achievements, which are not offered by Pointsmith.")
    if "trigger" in given:
        given["type"] = _type(given.pop("trigger"))
    if "status" in given:
        one_of("status", given["status"], STATUSES)
    if "description" in given:
        given["description"] = given["description"] or ""
    if "metric_id" in given:
        given["metric"] = metric_of(given.pop("metric_id"))
    if "metric_value" in given:
        given["metric_value"] = read_optional_number("metricValue", given["metric_value"])
    if "achievement_ids" in given:
        given["prerequisites"] = _prerequisites(given.pop("achievement_ids") or ())
    return given


def _type(trigger: str) -> str:
    if trigger == ANNIVERSARY:
        raise invalid("trigger: anniversary achievements are not offered by Pointsmith.")
    one_of("trigger", trigger, TRIGGERS)
    return trigger


def _prerequisites(ids: Sequence[str]) -> list[Achievement]:
    live = Achievement.objects.exclude(status=ConfigurationStatus.ARCHIVED)
    return rows_of([f"achievementIds[{index}]" for index in range(len(ids))], live, ids, "achievement")
