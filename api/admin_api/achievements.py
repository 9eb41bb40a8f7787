"""Achievements in the Admin API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from achievements.models import Achievement
from achievements.render_admin import PARTS as ACHIEVEMENT_PARTS
from achievements.render_admin import AdminAchievementJson, render_admin_achievement
from achievements.services import create_achievement, make_room, update_achievement
from api.admin_api.achievement_items import (
    ACHIEVEMENT_WIRE_NAMES,
    AchievementItem,
    AchievementPatch,
    achievement_keywords,
)
from api.admin_api.resources import IDS, PAGE, DeletedJson, Place, Resource
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of


def _achievements() -> Resource[Achievement]:
    return Resource(
        "Achievement",
        Achievement.objects.all(),
        render_admin_achievement,
        wire_names=ACHIEVEMENT_WIRE_NAMES,
        parts=ACHIEVEMENT_PARTS,
        place=Place("key", make_room),
    )


class AchievementsView(APIView):
    """All achievements."""

    @extend_schema(
        operation_id="admin_achievements_list",
        summary="List achievements",
        parameters=PAGE,
        responses={200: json_of(list[AdminAchievementJson]), **errors(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of achievements."""
        return _achievements().list(request)

    @extend_schema(
        operation_id="admin_achievements_create",
        summary="Create achievements",
        request=body_of(list[AchievementItem]),
        responses={**created_of(AdminAchievementJson), **errors(400, 401, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make up to 100 achievements. One that is active is given, in a moment, to who qualified already."""

        def create(item: AchievementItem) -> AdminAchievementJson:
            return render_admin_achievement(create_achievement(**achievement_keywords(item)))

        return _achievements().create(request, AchievementItem, create)

    @extend_schema(
        operation_id="admin_achievements_update",
        summary="Update achievements",
        request=body_of(list[AchievementPatch]),
        responses={**updated_of(AdminAchievementJson), **errors(400, 401, 422)},
    )
    def patch(self, request: Request) -> Response:
        """Change up to 100 achievements. Activating one gives it, in a moment, to who qualified already."""

        def update(achievement: Achievement, item: AchievementPatch) -> Achievement:
            return update_achievement(achievement=achievement, **achievement_keywords(item))

        return _achievements().update(request, AchievementPatch, update)

    @extend_schema(
        operation_id="admin_achievements_delete",
        summary="Delete achievements",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 422)},
    )
    def delete(self, request: Request) -> Response:
        """Archive up to 100 achievements; what something active uses stays, and its issue names the users."""
        return _achievements().delete(request)


class AchievementView(APIView):
    """One achievement."""

    @extend_schema(
        operation_id="admin_achievements_get",
        summary="Get an achievement",
        responses={200: json_of(AdminAchievementJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, id: str) -> Response:  # noqa: A002 - the path's name
        """Return an achievement."""
        return _achievements().get(request, id)
