"""Boosts in the Admin API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.boost_items import BoostItem, BoostPatch, boost_keywords, render_boost_now
from api.admin_api.resources import IDS, PAGE, DeletedJson, Resource
from api.admin_api.systems import points_systems
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of
from boosts.models import Boost, BoostStatus
from boosts.render import AdminBoostJson
from boosts.services import create_live_boost, update_boost, with_zones


def _boosts(system_id: str) -> Resource[Boost]:
    """Return the system's boosts that were activated, finished ones too; the wire has no word for the others."""
    system = points_systems().find(system_id)
    boosts = with_zones(Boost.objects.filter(system=system, status=BoostStatus.ACTIVE))
    return Resource("Boost", boosts, render_boost_now, parts=("filters",))


class BoostsView(APIView):
    """The boosts of a points system."""

    @extend_schema(
        operation_id="admin_points_boosts_list",
        summary="List boosts",
        parameters=PAGE,
        responses={200: json_of(list[AdminBoostJson]), **errors(401, 404, 422)},
    )
    def get(self, request: Request, system_id: str) -> Response:
        """Return a page of boosts, those of single users and finished ones too."""
        return _boosts(system_id).list(request)

    @extend_schema(
        operation_id="admin_points_boosts_create",
        summary="Create boosts",
        request=body_of(list[BoostItem]),
        responses={**created_of(AdminBoostJson), **errors(400, 401, 404, 422)},
    )
    def post(self, request: Request, system_id: str) -> Response:
        """Make up to 100 boosts, live at once."""
        system = points_systems().find(system_id)

        def create(item: BoostItem) -> AdminBoostJson:
            return render_boost_now(create_live_boost(system=system, **boost_keywords(item)))

        return _boosts(system_id).create(request, BoostItem, create)

    @extend_schema(
        operation_id="admin_points_boosts_update",
        summary="Update boosts",
        request=body_of(list[BoostPatch]),
        responses={**updated_of(AdminBoostJson), **errors(400, 401, 404, 422)},
    )
    def patch(self, request: Request, system_id: str) -> Response:
        """Change up to 100 boosts that are not finished."""

        def update(boost: Boost, item: BoostPatch) -> Boost:
            return update_boost(boost=boost, **boost_keywords(item))

        return _boosts(system_id).update(request, BoostPatch, update)

    @extend_schema(
        operation_id="admin_points_boosts_delete",
        summary="Delete boosts",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 404, 422)},
    )
    def delete(self, request: Request, system_id: str) -> Response:
        """Archive up to 100 boosts; their past stays, and the admin can restore them."""
        return _boosts(system_id).delete(request)


class BoostView(APIView):
    """One boost."""

    @extend_schema(
        operation_id="admin_points_boosts_get",
        summary="Get a boost",
        responses={200: json_of(AdminBoostJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, system_id: str, id: str) -> Response:  # noqa: A002 - the path's name
        """Return a boost."""
        return _boosts(system_id).get(request, id)
