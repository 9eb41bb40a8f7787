"""Who calls: the `X-API-KEY` header. A backend's key is part of the rule book, so it costs no query of its own."""

from dataclasses import dataclass
from typing import Final, cast

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from access.keys import KeyRule, find_key, is_application_key, prefix_of, verified
from access.store import KEYS_REMEMBERED_MAX, is_use_noted, note_use, read_application_key, recall_application_key
from api.errors import ApiError
from api.rate_limits import check_rate, waits_for_redis
from core.history import act_as
from engine.rule_book import cached_rule_book, current_rule_book


@dataclass(frozen=True)
class ApiClient:
    """A product's backend, or the application of one user, by the key that it sent."""

    key: KeyRule
    is_authenticated: bool = True


def authenticate_event(text: str | None) -> KeyRule:
    """Return the key whose text this is as this process knows it; the pipeline checks it again. Raises ApiError."""
    text = _given(text)
    key = _let_in(_known(text))
    if len(_let_in_lately) >= KEYS_REMEMBERED_MAX:
        _let_in_lately.clear()
    _let_in_lately[prefix_of(text)] = key
    return key


def _known(text: str) -> KeyRule | None:
    """Return the key whose text this is as this process knows it, which may be revoked by now."""
    if is_application_key(text):
        return recall_application_key(text)
    return find_key(cached_rule_book().keys, text) or find_key(current_rule_book().keys, text)


def check_known(text: str | None) -> None:
    """Raise ApiError where no key has this text, as `authenticate` will do later, but do not count it as used."""
    _known_or_refused(_known(_given(text)))


_let_in_lately: Final[dict[str, KeyRule]] = {}
"""The keys that events came with, by their prefixes."""


def recall_event_key(text: str | None) -> KeyRule | None:
    """Do as `authenticate_event` where that needs nothing from the database or from Redis; else return None.

    For an event loop, which nobody may hold up. The use of a key is written down once a minute, so this knows no key
    for longer.
    """
    key = _let_in_lately.get(prefix_of(text)) if text else None
    if key is None or text is None or not is_use_noted(key.id) or waits_for_redis(key) or not verified(key, text):
        return None
    check_rate(key)
    return key


def authenticate(request: HttpRequest) -> KeyRule:
    """Return the caller's key as it is now, by one query. Raises ApiError."""
    text = _given(request.headers.get("X-API-KEY"))
    if is_application_key(text):
        return _let_in(read_application_key(text))
    return _let_in(find_key(current_rule_book().keys, text))


def _given(text: str | None) -> str:
    if not text:
        raise ApiError(401, "Send your API key in the X-API-KEY header.")
    return text


def _let_in(key: KeyRule | None) -> KeyRule:
    """Return the key and note that it was used. Raises ApiError where there is none, or it is used too often."""
    key = _known_or_refused(key)
    note_use(key.id)
    check_rate(key)
    return key


def _known_or_refused(key: KeyRule | None) -> KeyRule:
    if key is None:
        raise ApiError(401, "This API key is not known, or was revoked.")
    return key


class ApiKeyAuthentication(BaseAuthentication):
    """The same for Django REST framework."""

    def authenticate(self, request: Request) -> tuple[ApiClient, None]:
        """Return the caller. Raises ApiError."""
        key = authenticate(request._request)
        act_as(f"Admin API key «{key.name}»")
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
