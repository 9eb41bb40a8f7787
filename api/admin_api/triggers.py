"""Triggers in the Admin API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.resources import IDS, PAGE, DeletedJson, Resource
from api.admin_api.systems import points_systems
from api.admin_api.trigger_items import TriggerItem, TriggerPatch, trigger_keywords
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of
from points.models import PointsTrigger
from points.render_admin import PARTS as TRIGGER_PARTS
from points.render_admin import AdminTriggerJson, render_admin_trigger
from points.services import create_trigger, update_trigger


def _triggers(system_id: str) -> Resource[PointsTrigger]:
    system = points_systems().find(system_id)
    triggers = PointsTrigger.objects.filter(system=system)
    return Resource("Trigger", triggers, render_admin_trigger, parts=TRIGGER_PARTS)


class TriggersView(APIView):
    """The triggers of a points system."""

    @extend_schema(
        operation_id="admin_points_triggers_list",
        summary="List triggers",
        parameters=PAGE,
        responses={200: json_of(list[AdminTriggerJson]), **errors(401, 404, 422)},
    )
    def get(self, request: Request, system_id: str) -> Response:
        """Return a page of triggers."""
        return _triggers(system_id).list(request)

    @extend_schema(
        operation_id="admin_points_triggers_create",
        summary="Create triggers",
        request=body_of(list[TriggerItem]),
        responses={**created_of(AdminTriggerJson), **errors(400, 401, 404, 422)},
    )
    def post(self, request: Request, system_id: str) -> Response:
        """Make up to 100 triggers."""
        system = points_systems().find(system_id)

        def create(item: TriggerItem) -> AdminTriggerJson:
            return render_admin_trigger(create_trigger(system=system, **trigger_keywords(item)))

        return _triggers(system_id).create(request, TriggerItem, create)

    @extend_schema(
        operation_id="admin_points_triggers_update",
        summary="Update triggers",
        request=body_of(list[TriggerPatch]),
        responses={**updated_of(AdminTriggerJson), **errors(400, 401, 404, 422)},
    )
    def patch(self, request: Request, system_id: str) -> Response:
        """Change up to 100 triggers."""

        def update(trigger: PointsTrigger, item: TriggerPatch) -> PointsTrigger:
            return update_trigger(trigger=trigger, **trigger_keywords(item))

        return _triggers(system_id).update(request, TriggerPatch, update)

    @extend_schema(
        operation_id="admin_points_triggers_delete",
        summary="Delete triggers",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 404, 422)},
    )
    def delete(self, request: Request, system_id: str) -> Response:
        """Archive up to 100 triggers; their past stays, and the admin can restore them."""
        return _triggers(system_id).delete(request)


class TriggerView(APIView):
    """One trigger."""

    @extend_schema(
        operation_id="admin_points_triggers_get",
        summary="Get a trigger",
        responses={200: json_of(AdminTriggerJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, system_id: str, id: str) -> Response:  # noqa: A002 - the path's name
        """Return a trigger."""
        return _triggers(system_id).get(request, id)
