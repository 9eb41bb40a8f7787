"""How a boost is written in a body of the Admin API, on its own or inside a points system."""

from typing import Any, ClassVar

from django.utils import timezone
from msgspec import UNSET, UnsetType

from api.admin_api.parts import Day, FilterItem, Number, read_day, read_number, with_filters
from api.admin_api.resources import given_fields, one_of
from boosts.models import Boost
from boosts.render import AdminBoostJson, render_admin_boost
from boosts.services import phase_now
from core.fields import Fields
from points.rules import Rounding
from users.fields import ExternalId


class BoostFields(Fields, frozen=True, kw_only=True):
    """What can be said of a boost both when making and when changing it."""

    called: ClassVar = "a boost"
    shown_as: ClassVar = AdminBoostJson

    end: Day | None | UnsetType = UNSET
    rounding: str | UnsetType = UNSET
    user_attributes: list[FilterItem] | None | UnsetType = UNSET


class BoostItem(BoostFields, frozen=True, kw_only=True):
    """A boost to make, live at once: for everyone, for users with some attributes, or for one user."""

    name: str
    start: Day
    multiplier: Number
    user_id: ExternalId | None | UnsetType = UNSET


class BoostPatch(BoostFields, frozen=True, kw_only=True):
    """A change of a boost that is not finished; the fields given change, null removes the end or the filters."""

    id: str
    name: str | UnsetType = UNSET
    start: Day | UnsetType = UNSET
    multiplier: Number | UnsetType = UNSET


def boost_keywords(item: BoostFields) -> dict[str, Any]:
    """Return the keywords for `create_boost` or `update_boost`. Raises ApiError."""
    given = with_filters(given_fields(item))
    for name in ("start", "end"):
        if name in given:
            given[name] = read_day(name, given[name])
    if "multiplier" in given:
        given["multiplier"] = read_number("multiplier", given["multiplier"])
    if "rounding" in given:
        one_of("rounding", given["rounding"], [each.value for each in Rounding])
    if "user_id" in given:
        given["external_id"] = given.pop("user_id")
    return given


def render_boost_now(boost: Boost) -> AdminBoostJson:
    """Return the Admin API's shape of a boost, with its status at this moment."""
    return render_admin_boost(boost, phase_now(boost, timezone.now()))
