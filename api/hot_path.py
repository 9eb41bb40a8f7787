"""The hot path: an event over HTTP, past everything of Django's that it has no use for."""

from collections.abc import Callable, Iterable
from io import BufferedIOBase
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse

from api.errors import answer_exception, answer_failure
from api.events import take_event
from core.connections import release_connection
from core.json import encode

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

BEFORE_KEY: Final = "/v1/metrics/"
AFTER_KEY: Final = "/event"
STATUS_LINES: Final = {201: "201 Created", 202: "202 Accepted"}


def with_hot_path(django: Application) -> Application:
    """Return the WSGI application `django`, but that an event does not go through it.

    Making Django's request, finding its view and telling its signals takes longer than all else that an event does in
    the thread that reads it. The answers are those of Django's view of events, which stays for whatever looks unusual.
    """

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        key, length = _metric_key(environ), environ.get("CONTENT_LENGTH", "")
        if key is None or not length.isdecimal():
            return django(environ, start_response)
        try:
            return _answer(environ, start_response, key, int(length))
        finally:
            # Only a new key, or its first use in a minute, needs one here.
            release_connection()

    return application


def _metric_key(environ: Environ) -> str | None:
    """Return the key of the metric that the request is an event of; None where Django has to look at it."""
    path: str = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] != "POST" or not path.startswith(BEFORE_KEY) or not path.endswith(AFTER_KEY):
        return None
    key = path[len(BEFORE_KEY) : -len(AFTER_KEY)]
    return key if key and "/" not in key and key.isascii() else None


def _answer(environ: Environ, start_response: StartResponse, key: str, length: int) -> Iterable[bytes]:
    try:
        api_key, idempotency_key = environ.get("HTTP_X_API_KEY"), environ.get("HTTP_IDEMPOTENCY_KEY")
        json, status = take_event(key, api_key, idempotency_key, lambda: _read(environ["wsgi.input"], length))
    except Exception as error:
        response = answer_exception(error) or answer_failure(error, f"POST {environ['PATH_INFO']}")
        return _send(response, start_response)
    body = encode(json)
    start_response(STATUS_LINES[status], [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _read(stream: BufferedIOBase, length: int) -> bytes:
    if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise RequestDataTooBig
    return stream.read(length)


def _send(response: HttpResponse, start_response: StartResponse) -> Iterable[bytes]:
    headers = [*response.items(), ("Content-Length", str(len(response.content)))]
    start_response(f"{response.status_code} {response.reason_phrase}", headers)
    return [response.content]
