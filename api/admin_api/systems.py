"""Points systems in the Admin API."""

from collections.abc import Callable, Iterable
from typing import ClassVar, NotRequired, TypeVar

from drf_spectacular.utils import extend_schema
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.boost_items import BoostItem, boost_keywords, render_boost_now
from api.admin_api.level_items import LevelItem, level_keywords
from api.admin_api.parts import BadgeItem, with_badge
from api.admin_api.resources import IDS, PAGE, DeletedJson, Patch, Resource, given_fields, inside
from api.admin_api.trigger_items import TriggerItem, trigger_keywords
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of
from boosts.render import AdminBoostJson
from boosts.services import create_live_boost
from core.fields import Fields
from core.services import update_checked
from levels.render import AdminLevelJson, render_admin_level
from levels.services import create_level
from points.models import PointsSystem
from points.render_admin import PARTS as TRIGGER_PARTS
from points.render_admin import AdminSystemJson, render_admin_system, render_admin_trigger
from points.services import create_system

Item = TypeVar("Item")
Made = TypeVar("Made")


class SystemItem(Fields, frozen=True):
    """A points system to make, with its triggers, levels and boosts: all of it or nothing."""

    called: ClassVar = "a points system"
    shown_as: ClassVar = AdminSystemJson

    name: str
    key: str
    description: str | UnsetType = UNSET
    badge: BadgeItem | None | UnsetType = UNSET
    max_points: int | None | UnsetType = UNSET
    triggers: list[TriggerItem] | None | UnsetType = UNSET
    levels: list[LevelItem] | None | UnsetType = UNSET
    boosts: list[BoostItem] | None | UnsetType = UNSET


class CreatedSystemJson(AdminSystemJson):
    """A points system as it was made, with those parts that came with it."""

    levels: NotRequired[list[AdminLevelJson]]
    boosts: NotRequired[list[AdminBoostJson]]


class SystemPatch(Patch, frozen=True, kw_only=True):
    """A change of a points system; its key is for ever, null removes the badge or the maximum."""

    called: ClassVar = "a points system"
    shown_as: ClassVar = AdminSystemJson

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    badge: BadgeItem | None | UnsetType = UNSET
    max_points: int | None | UnsetType = UNSET


def points_systems() -> Resource[PointsSystem]:
    """Return the points systems as a resource."""
    return Resource("Points system", PointsSystem.objects.all(), render_admin_system)


class PointsSystemsView(APIView):
    """All points systems."""

    @extend_schema(
        operation_id="admin_points_systems_list",
        summary="List points systems",
        parameters=PAGE,
        responses={200: json_of(list[AdminSystemJson]), **errors(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of points systems."""
        return points_systems().list(request)

    @extend_schema(
        operation_id="admin_points_systems_create",
        summary="Create points systems",
        request=body_of(list[SystemItem]),
        responses={**created_of(CreatedSystemJson), **errors(400, 401, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make up to 100 points systems, each with its triggers, levels and boosts."""
        return points_systems().create(request, SystemItem, _create)

    @extend_schema(
        operation_id="admin_points_systems_update",
        summary="Update points systems",
        request=body_of(list[SystemPatch]),
        responses={**updated_of(AdminSystemJson), **errors(400, 401, 422)},
    )
    def patch(self, request: Request) -> Response:
        """Change up to 100 points systems."""
        return points_systems().update(
            request, SystemPatch, lambda row, item: update_checked(row, **with_badge(given_fields(item)))
        )

    @extend_schema(
        operation_id="admin_points_systems_delete",
        summary="Delete points systems",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 422)},
    )
    def delete(self, request: Request) -> Response:
        """Archive up to 100 points systems; their past stays, and the admin can restore them."""
        return points_systems().delete(request)


class PointsSystemView(APIView):
    """One points system."""

    @extend_schema(
        operation_id="admin_points_systems_get",
        summary="Get a points system",
        responses={200: json_of(AdminSystemJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, id: str) -> Response:  # noqa: A002 - the path's name
        """Return a points system."""
        return points_systems().get(request, id)


def _create(item: SystemItem) -> CreatedSystemJson:
    fields = with_badge(given_fields(item))
    triggers, levels, boosts = (fields.pop(name, None) for name in ("triggers", "levels", "boosts"))
    keywords = _of_each("triggers", triggers or (), trigger_keywords)
    system = create_system(triggers=keywords, **fields)

    def make_level(level: LevelItem) -> AdminLevelJson:
        return render_admin_level(create_level(system=system, **level_keywords(level)))

    def make_boost(boost: BoostItem) -> AdminBoostJson:
        return render_boost_now(create_live_boost(system=system, **boost_keywords(boost)))

    json = CreatedSystemJson(**render_admin_system(system))  # type: ignore[typeddict-item] # the parts come below
    if triggers is not None:
        made = system.triggers.order_by("created", "id").prefetch_related(*TRIGGER_PARTS)
        json["triggers"] = [render_admin_trigger(trigger) for trigger in made]
    if levels is not None:
        json["levels"] = _of_each("levels", levels, make_level)
    if boosts is not None:
        json["boosts"] = _of_each("boosts", boosts, make_boost)
    return json


def _of_each(name: str, items: Iterable[Item], make: Callable[[Item], Made]) -> list[Made]:
    """Return what `make` makes of each item. Its errors say in which item of the field `name` they are."""
    made = []
    for index, item in enumerate(items):
        with inside(f"{name}[{index}]"):
            made.append(make(item))
    return made
