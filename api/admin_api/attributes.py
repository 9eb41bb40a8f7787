"""Attributes in the Admin API."""

from dataclasses import replace
from functools import partial
from typing import ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.resources import IDS, PAGE, DeletedJson, Patch, Resource, given_fields, one_of
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of
from api.parameters import strict_flag
from core.fields import Fields
from core.services import update_checked
from users.models import Attribute, AttributeType
from users.render import AdminAttributeJson, render_admin_attribute
from users.services import create_attribute

BEGIN_EMPTY: Final = OpenApiParameter(
    "beginEmpty",
    bool,
    description="For keys that were archived: what is stored under them is removed for ever, in the background. Until "
    "that is done the attributes are refused in users, events and filters.",
)


class AttributeItem(Fields, frozen=True):
    """An attribute to make."""

    called: ClassVar = "an attribute"
    shown_as: ClassVar = AdminAttributeJson

    name: str
    key: str
    type: str


class AttributePatch(Patch, frozen=True, kw_only=True):
    """A change of an attribute; its key and type are for ever."""

    called: ClassVar = "an attribute"
    shown_as: ClassVar = AdminAttributeJson

    name: str | UnsetType = UNSET


def _attributes() -> Resource[Attribute]:
    return Resource("Attribute", Attribute.objects.all(), render_admin_attribute)


class AttributesView(APIView):
    """All attributes."""

    @extend_schema(
        operation_id="admin_attributes_list",
        summary="List attributes",
        parameters=PAGE,
        responses={200: json_of(list[AdminAttributeJson]), **errors(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of attributes."""
        return _attributes().list(request)

    @extend_schema(
        operation_id="admin_attributes_create",
        summary="Create attributes",
        parameters=[BEGIN_EMPTY],
        request=body_of(list[AttributeItem]),
        responses={**created_of(AdminAttributeJson), **errors(400, 401, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make up to 100 attributes."""
        begin_empty = strict_flag(request, "beginEmpty")
        resource = replace(_attributes(), options=("beginEmpty",))
        return resource.create(request, AttributeItem, partial(_create_attribute, begin_empty=begin_empty))

    @extend_schema(
        operation_id="admin_attributes_update",
        summary="Update attributes",
        request=body_of(list[AttributePatch]),
        responses={**updated_of(AdminAttributeJson), **errors(400, 401, 422)},
    )
    def patch(self, request: Request) -> Response:
        """Change up to 100 attributes."""
        return _attributes().update(
            request, AttributePatch, lambda row, item: update_checked(row, **given_fields(item))
        )

    @extend_schema(
        operation_id="admin_attributes_delete",
        summary="Delete attributes",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 422)},
    )
    def delete(self, request: Request) -> Response:
        """Archive up to 100 attributes; what something active uses stays, and its issue names the users."""
        return _attributes().delete(request)


class AttributeView(APIView):
    """One attribute."""

    @extend_schema(
        operation_id="admin_attributes_get",
        summary="Get an attribute",
        responses={200: json_of(AdminAttributeJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, id: str) -> Response:  # noqa: A002 - the path's name
        """Return an attribute."""
        return _attributes().get(request, id)


def _create_attribute(item: AttributeItem, *, begin_empty: bool) -> AdminAttributeJson:
    one_of("type", item.type, AttributeType.values)
    return render_admin_attribute(create_attribute(begin_empty=begin_empty, **given_fields(item)))
