"""Who calls: the `X-API-KEY` header, checked against the rule book, so without a query of its own."""

from dataclasses import dataclass
from typing import cast

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from access.keys import KeyRule, find_key
from api.errors import ApiError
from engine.rule_book import cached_rule_book, current_rule_book


@dataclass(frozen=True)
class ApiClient:
    """A product's backend, by the key that it sent."""

    key: KeyRule
    is_authenticated: bool = True


def authenticate_event(request: HttpRequest) -> KeyRule:
    """Return the caller's key by the cached rule book; the pipeline checks it again by the newest. Raises ApiError."""
    text = _key_text(request)
    key = find_key(cached_rule_book().keys, text) or find_key(current_rule_book().keys, text)
    if key is None:
        raise ApiError(401, "This API key is not known, or was revoked.")
    return key


def _key_text(request: HttpRequest) -> str:
    text = request.headers.get("X-API-KEY")
    if not text:
        raise ApiError(401, "Send your API key in the X-API-KEY header.")
    return text


class ApiKeyAuthentication(BaseAuthentication):
    """The same for Django REST framework, always by the newest rule book."""

    def authenticate(self, request: Request) -> tuple[ApiClient, None]:
        """Return the caller. Raises ApiError."""
        key = find_key(current_rule_book().keys, _key_text(request._request))
        if key is None:
            raise ApiError(401, "This API key is not known, or was revoked.")
        return ApiClient(key), None

    def authenticate_header(self, _: Request) -> str:
        """Name the scheme, so that the answer is 401 and not 403."""
        return "X-API-KEY"


def caller(request: Request) -> ApiClient:
    """Return who sent a request that was authenticated."""
    return cast(ApiClient, request.user)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The header in the API reference."""

    target_class = "api.authentication.ApiKeyAuthentication"
    name = "ApiKeyAuth"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return OpenAPI's description of the header."""
        return {"type": "apiKey", "in": "header", "name": "X-API-KEY"}
