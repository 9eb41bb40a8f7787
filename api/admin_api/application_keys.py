"""Keys for single users in the Admin API: made and revoked, never shown again."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.models import ApplicationKey
from access.render import NewApplicationKeyJson, render_application_key
from access.services import create_application_key
from api.admin_api.resources import IDS, DeletedJson, Resource
from api.openapi import body_of, created_of, deleted_of, errors
from core.fields import Fields
from users.fields import ExternalId


class ApplicationKeyItem(Fields, frozen=True):
    """A user to make a key for, who need not be known yet."""

    called: ClassVar = "an application key"
    shown_as: ClassVar = NewApplicationKeyJson

    user_id: ExternalId


def _application_keys() -> Resource[ApplicationKey]:
    return Resource("Application API key", ApplicationKey.objects.all(), render_application_key)


class ApplicationKeysView(APIView):
    """The keys for single users."""

    @extend_schema(
        operation_id="admin_application_api_keys_create",
        summary="Create application keys",
        request=body_of(list[ApplicationKeyItem]),
        responses={**created_of(NewApplicationKeyJson), **errors(400, 401, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make up to 100 keys, each for one user. Their texts are in this answer alone."""
        return _application_keys().create(request, ApplicationKeyItem, _create)

    @extend_schema(
        operation_id="admin_application_api_keys_delete",
        summary="Delete application keys",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 422)},
    )
    def delete(self, request: Request) -> Response:
        """Revoke up to 100 keys for good: they stop with the next request."""
        return _application_keys().delete(request)


def _create(item: ApplicationKeyItem) -> NewApplicationKeyJson:
    key, text = create_application_key(external_id=item.user_id)
    return {**render_application_key(key), "key": text}
