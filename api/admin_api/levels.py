"""Levels in the Admin API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.level_items import LevelItem, LevelPatch, level_keywords
from api.admin_api.resources import IDS, PAGE, DeletedJson, Place, Resource
from api.admin_api.systems import points_systems
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of
from levels.models import Level
from levels.render import AdminLevelJson, render_admin_level
from levels.services import create_level, make_room, update_level


def _levels(system_id: str) -> Resource[Level]:
    system = points_systems().find(system_id)
    levels = Level.objects.filter(system=system)
    return Resource("Level", levels, render_admin_level, place=Place("points", make_room))


class LevelsView(APIView):
    """The levels of a points system."""

    @extend_schema(
        operation_id="admin_points_levels_list",
        summary="List levels",
        parameters=PAGE,
        responses={200: json_of(list[AdminLevelJson]), **errors(401, 404, 422)},
    )
    def get(self, request: Request, system_id: str) -> Response:
        """Return a page of levels."""
        return _levels(system_id).list(request)

    @extend_schema(
        operation_id="admin_points_levels_create",
        summary="Create levels",
        request=body_of(list[LevelItem]),
        responses={**created_of(AdminLevelJson), **errors(400, 401, 404, 422)},
    )
    def post(self, request: Request, system_id: str) -> Response:
        """Make up to 100 levels."""
        system = points_systems().find(system_id)

        def create(item: LevelItem) -> AdminLevelJson:
            return render_admin_level(create_level(system=system, **level_keywords(item)))

        return _levels(system_id).create(request, LevelItem, create)

    @extend_schema(
        operation_id="admin_points_levels_update",
        summary="Update levels",
        request=body_of(list[LevelPatch]),
        responses={**updated_of(AdminLevelJson), **errors(400, 401, 404, 422)},
    )
    def patch(self, request: Request, system_id: str) -> Response:
        """Change up to 100 levels; in one call levels can exchange their points."""

        def update(level: Level, item: LevelPatch) -> Level:
            return update_level(level=level, **level_keywords(item))

        return _levels(system_id).update(request, LevelPatch, update)

    @extend_schema(
        operation_id="admin_points_levels_delete",
        summary="Delete levels",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 404, 422)},
    )
    def delete(self, request: Request, system_id: str) -> Response:
        """Archive up to 100 levels; their past stays, and the admin can restore them."""
        return _levels(system_id).delete(request)


class LevelView(APIView):
    """One level."""

    @extend_schema(
        operation_id="admin_points_levels_get",
        summary="Get a level",
        responses={200: json_of(AdminLevelJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, system_id: str, id: str) -> Response:  # noqa: A002 - the path's name
        """Return a level."""
        return _levels(system_id).get(id)
