"""The way in for what machines call: past sessions, CSRF and messages, and with an own shape of errors.

Machines come by whatever name or address they know, so the `Host` header is not looked at, and nobody is sent on to
https: a load balancer asks for the health of a process by the process's own address.
"""

from collections.abc import Callable
from typing import Final

from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404

from api.addresses import resolve_address
from api.errors import ApiError, answer_exception, answer_failure
from api.http import protective_headers
from core.history import SYSTEM, acting

API_PREFIXES: Final = ("/v1", "/admin-api", "/metrics")
MACHINE_PREFIXES: Final = (*API_PREFIXES, "/healthz", "/readyz", "/docs/openapi.yaml")


class ApiMiddleware:
    """Answers the paths that machines call itself; all others go on to Django's middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        if not request.path_info.startswith(MACHINE_PREFIXES):
            return self.get_response(request)
        # Who it is, the authentication says.
        with acting(SYSTEM):
            response = self._answer(request)
        # Without it a server would have to close the connection, or send the answer in chunks.
        response.headers["Content-Length"] = str(len(response.content))
        for name, value in protective_headers().items():
            response.headers[name] = value
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            match = resolve_address(request)
            request.resolver_match = match
            response: HttpResponse = match.func(request, *match.args, **match.kwargs)
            if hasattr(response, "render"):
                response.render()
            return response
        except Resolver404:
            return ApiError(404, f"There is nothing at {request.path_info}.").response()
        except Exception as error:
            return answer_exception(error) or self._fail(request, error)

    def _fail(self, request: HttpRequest, error: Exception) -> HttpResponse:
        got_request_exception.send(sender=type(self), request=request)
        return answer_failure(error, f"{request.method} {request.path_info}")
