"""Levels in the Admin API. Each answer to an edit says how many users it gives another level."""

from collections.abc import Callable
from typing import Any, Final, TypedDict

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.level_items import LevelItem, LevelPatch, level_keywords
from api.admin_api.resources import IDS, PAGE, DeletedJson, Place, Resource
from api.admin_api.systems import points_systems
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of
from api.parameters import strict_flag
from levels.models import Level
from levels.notices import editing_levels
from levels.render import AdminLevelJson, render_admin_level
from levels.services import create_level, make_room, update_level

EDITS: Final = [
    OpenApiParameter("notifyUsers", bool, description="Send `points.level_changed` for users whose level changes."),
    OpenApiParameter("dryRun", bool, description="Answer as if it were done, and store nothing."),
]


class LevelChangesJson(TypedDict):
    """How many users get another level; those without an award yet are among them, and told by their first award."""

    users: int
    usersWithoutAwards: int


def _levels(system_id: str) -> Resource[Level]:
    system = points_systems().find(system_id)
    levels = Level.objects.filter(system=system)
    options = ("notifyUsers", "dryRun")
    return Resource("Level", levels, render_admin_level, place=Place("points", make_room), options=options)


def _edit(request: Request, system_id: str, answer: Callable[[], Response]) -> Response:
    """Answer to an edit, and say whose level it changes: `notifyUsers` tells these users, `dryRun` takes it back."""
    notify, is_trial = strict_flag(request, "notifyUsers"), strict_flag(request, "dryRun")
    system = points_systems().find(system_id)
    with transaction.atomic():
        with editing_levels(system, notify=notify and not is_trial) as edit:
            response = answer()
            changes = edit.changes()
        transaction.set_rollback(is_trial)
    body: dict[str, Any] = response.data
    body["changes"] = LevelChangesJson(users=changes.users, usersWithoutAwards=changes.without_awards)
    if is_trial:
        return Response(body)
    return Response(body, status=response.status_code, headers={"ETag": response.headers["ETag"]})


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
        parameters=EDITS,
        request=body_of(list[LevelItem]),
        responses={**created_of(AdminLevelJson, changes=LevelChangesJson), **errors(400, 401, 404, 422)},
    )
    def post(self, request: Request, system_id: str) -> Response:
        """Make up to 100 levels."""
        system = points_systems().find(system_id)

        def create(item: LevelItem) -> AdminLevelJson:
            return render_admin_level(create_level(system=system, **level_keywords(item)))

        return _edit(request, system_id, lambda: _levels(system_id).create(request, LevelItem, create))

    @extend_schema(
        operation_id="admin_points_levels_update",
        summary="Update levels",
        parameters=EDITS,
        request=body_of(list[LevelPatch]),
        responses={**updated_of(AdminLevelJson, changes=LevelChangesJson), **errors(400, 401, 404, 422)},
    )
    def patch(self, request: Request, system_id: str) -> Response:
        """Change up to 100 levels; in one call levels can exchange their points."""

        def update(level: Level, item: LevelPatch) -> Level:
            return update_level(level=level, **level_keywords(item))

        return _edit(request, system_id, lambda: _levels(system_id).update(request, LevelPatch, update))

    @extend_schema(
        operation_id="admin_points_levels_delete",
        summary="Delete levels",
        parameters=[*IDS, *EDITS],
        responses={**deleted_of(DeletedJson, changes=LevelChangesJson), **errors(401, 404, 422)},
    )
    def delete(self, request: Request, system_id: str) -> Response:
        """Archive up to 100 levels; their past stays, and the admin can restore them."""
        return _edit(request, system_id, lambda: _levels(system_id).delete(request))


class LevelView(APIView):
    """One level."""

    @extend_schema(
        operation_id="admin_points_levels_get",
        summary="Get a level",
        responses={200: json_of(AdminLevelJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, system_id: str, id: str) -> Response:  # noqa: A002 - the path's name
        """Return a level."""
        return _levels(system_id).get(request, id)
