"""Pages of other origins, which may call the Application API from a browser, with a key and never with cookies."""

from collections.abc import Sequence
from typing import Final, cast

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response

from api.hot_path import Application, Message, Receive, Send
from api.http import protective_headers

SHARED_PREFIX: Final = "/v1/"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH")
OF_THE_BODY: Final = ("content-length", "content-type")
KEEP_S: Final = 3600
"""How long a browser may remember what it may do here."""


def with_origins(application: Application, origins: Sequence[str]) -> Application:
    """Return an application that also tells browsers which origins may call `/v1`; without any, `application` itself.

    It stands around everything, so that answers of all roads and all errors say the same.
    """
    if not origins:
        return application
    shared = _SharedApi(
        application,
        allow_origins=origins,
        allow_methods=METHODS,
        # Whatever the SDKs send of themselves. No cookie comes along, so there is nothing to be had by a header.
        allow_headers=["*"],
        expose_headers=["Retry-After"],
        max_age=KEEP_S,
    )

    async def answering(scope: Message, receive: Receive, send: Send) -> None:
        is_shared = scope["type"] == "http" and scope["path"].startswith(SHARED_PREFIX)
        await (cast(Application, shared) if is_shared else application)(scope, receive, send)

    return answering


class _SharedApi(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a browser that asks beforehand, with the shape and the headers that all answers have."""
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            headers = {name: value for name, value in response.headers.items() if name not in OF_THE_BODY}
            response = JSONResponse({"error": self._refusal(request_headers)}, response.status_code, headers)
        response.headers.update(protective_headers())
        return response

    def _refusal(self, asked: Headers) -> str:
        if not self.is_allowed_origin(asked["origin"]):
            return "Pages of this origin may not call the API here."
        if asked["access-control-request-method"] not in METHODS:
            return f"Pages of other origins may use {', '.join(METHODS)} here, and no other method."
        return "Pages of other origins may not ask this here."
