"""Reading bodies and writing answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from core.json import encode


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return an answer with `value` as JSON."""
    return HttpResponse(encode(value), status=status, content_type="application/json", headers=headers)


def protective_headers() -> dict[str, str]:
    """Return the headers that answers of the API have for browsers, as Django's middleware gives pages theirs.

    Whether a caller came by https only the proxy knows. PUBLIC_URL says that they do, so the answer need not ask.
    """
    headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": str(settings.SECURE_REFERRER_POLICY)}
    if settings.SECURE_HSTS_SECONDS:
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"
    return headers


class AlwaysJson(BaseContentNegotiation):
    """Answers with JSON whatever is asked for: there is nothing else, and browsers and clients ask for all sorts."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return nothing: views read bodies by themselves."""
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the view's first renderer, past `Accept` and `?format=`."""
        first = next(iter(renderers))
        return first, first.media_type or ""


class ExactJsonRenderer(BaseRenderer):
    """JSON with exact decimals, for Django REST framework's answers."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return `data` as JSON."""
        return encode(data)
