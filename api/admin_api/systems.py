"""Points systems in the Admin API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from msgspec import UNSET, Struct, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.resources import PAGE, Patch, Resource, given_fields
from api.admin_api.trigger_items import TriggerItem, trigger_keywords
from api.errors import ApiError, invalid
from api.openapi import body_of, created_of, errors, json_of, updated_of
from core.services import update_checked
from points.models import PointsSystem
from points.render_admin import AdminSystemJson, render_admin_system, render_admin_trigger
from points.services import create_system


class BadgeItem(Struct, frozen=True):
    """A badge by its address."""

    url: str


class SystemItem(Struct, rename="camel", frozen=True):
    """A points system to make, with its triggers: all of it or nothing."""

    name: str
    key: str
    description: str | UnsetType = UNSET
    badge: BadgeItem | None | UnsetType = UNSET
    max_points: int | None | UnsetType = UNSET
    triggers: list[TriggerItem] | None | UnsetType = UNSET
    levels: list[Any] | None = None
    boosts: list[Any] | None = None


class SystemPatch(Patch, rename="camel", frozen=True, kw_only=True):
    """A change of a points system; its key is for ever, null removes the badge or the maximum."""

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
        responses={**created_of(AdminSystemJson), **errors(400, 401, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make up to 100 points systems, each with its triggers."""
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
            request, SystemPatch, lambda row, item: update_checked(row, **_with_badge(given_fields(item)))
        )


class PointsSystemView(APIView):
    """One points system."""

    @extend_schema(
        operation_id="admin_points_systems_get",
        summary="Get a points system",
        responses={200: json_of(AdminSystemJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, id: str) -> Response:  # noqa: A002 - the path's name
        """Return a points system."""
        return points_systems().get(id)


def _create(item: SystemItem) -> AdminSystemJson:
    fields = _with_badge(given_fields(item))
    for name in ("levels", "boosts"):
        if fields.pop(name):
            raise invalid(f"{name}: the {name} API is not offered by Pointsmith.")
    triggers = fields.pop("triggers", None)
    system = create_system(triggers=_keywords_of(triggers or []), **fields)
    json = render_admin_system(system)
    if triggers is not None:
        json["triggers"] = [render_admin_trigger(trigger) for trigger in system.triggers.order_by("created", "id")]
    return json


def _keywords_of(triggers: list[TriggerItem]) -> list[dict[str, Any]]:
    keywords = []
    for index, trigger in enumerate(triggers):
        try:
            keywords.append(trigger_keywords(trigger))
        except ApiError as error:
            raise invalid(f"triggers[{index}].{error.message}") from error
    return keywords


def _with_badge(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the table's fields: a badge by its address takes the place of an uploaded one."""
    if "badge" not in fields:
        return fields
    badge: BadgeItem | None = fields["badge"]
    return {**fields, "badge": "", "badge_url": badge.url if badge else ""}
