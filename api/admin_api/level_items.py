"""How a level is written in a body of the Admin API, on its own or inside a points system."""

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from api.admin_api.parts import BadgeItem, with_badge
from api.admin_api.resources import Patch, given_fields
from core.fields import Fields
from levels.render import AdminLevelJson


class LevelItem(Fields, frozen=True):
    """A level to make; `points` is the total from which on users have it."""

    called: ClassVar = "a level"
    shown_as: ClassVar = AdminLevelJson

    name: str
    key: str
    points: int
    description: str | UnsetType = UNSET
    badge: BadgeItem | None | UnsetType = UNSET


class LevelPatch(Patch, frozen=True, kw_only=True):
    """A change of a level; its key is for ever, null removes the badge."""

    called: ClassVar = "a level"
    shown_as: ClassVar = AdminLevelJson

    name: str | UnsetType = UNSET
    points: int | UnsetType = UNSET
    description: str | UnsetType = UNSET
    badge: BadgeItem | None | UnsetType = UNSET


def level_keywords(item: LevelItem | LevelPatch) -> dict[str, Any]:
    """Return the keywords for `create_level` or `update_level`."""
    return with_badge(given_fields(item))
