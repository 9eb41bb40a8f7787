"""The hot path: an event over HTTP, in the event loop and past everything of Django's that it has no use for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse

from access.keys import KeyRule
from api.authentication import authenticate_event, recall_event_key
from api.errors import answer_exception, answer_failure, broken_off
from api.events import event_answer, event_input
from api.http import protective_headers
from core.connections import release_connection
from core.json import encode
from engine.coalescing import Coalescer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Coroutine[Any, Any, None]]
Headers = dict[bytes, bytes]
Lines = list[tuple[bytes, bytes]]
Answer = tuple[int, Lines, bytes]

BEFORE_KEY: Final = "/v1/metrics/"
AFTER_KEY: Final = "/event"


def with_hot_path(django: Application, coalescer: Coalescer) -> Application:
    """Return the ASGI application `django`, but that an event does not go through it.

    Making Django's request, finding its view and telling its signals takes longer than all else that an event needs
    before it waits for `coalescer`, and a task of the event loop waits at less cost than a thread. The answers are
    those of Django's view of events, which stays for whatever looks unusual.
    """

    protective = as_lines(protective_headers().items())

    async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        key = _metric_key(scope) if scope["type"] == "http" else None
        if key is None:
            await django(scope, receive, send)
            return
        status, lines, body = await _answer(coalescer, key, scope["headers"], lambda: _read(receive))
        await send({"type": "http.response.start", "status": status, "headers": lines + protective})
        await send({"type": "http.response.body", "body": body})

    return application


def _metric_key(scope: MutableMapping[str, Any]) -> str | None:
    """Return the key of the metric that the request is an event of; None where Django has to look at it."""
    path: str = scope["path"]
    if scope["method"] != "POST" or not path.startswith(BEFORE_KEY) or not path.endswith(AFTER_KEY):
        return None
    if b"%" in scope.get("raw_path", b""):
        return None
    key = path[len(BEFORE_KEY) : -len(AFTER_KEY)]
    return key if key and "/" not in key and key.isascii() else None


async def _answer(
    coalescer: Coalescer, metric_key: str, headers: Lines, read: Callable[[], Awaitable[bytes]]
) -> Answer:
    try:
        api_key = await _authenticate(_text(headers, b"x-api-key"))
        given, ignored = event_input(api_key, metric_key, _text(headers, b"idempotency-key"), await read())
        json, status = event_answer(await coalescer.process_soon(given), ignored)
    except Exception as error:
        request = f"POST {BEFORE_KEY}{metric_key}{AFTER_KEY}"
        return as_answer(answer_exception(error) or answer_failure(error, request))
    body = encode(json)
    return status, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))], body


def _text(headers: Lines, name: bytes) -> str | None:
    """Return a header as WSGI has it: bytes as Latin-1, and one that comes twice as one with a comma."""
    values = [value for each, value in headers if each == name]
    return b",".join(values).decode("latin-1") if values else None


async def _authenticate(text: str | None) -> KeyRule:
    """Return the caller's key; a thread finds one that is new here, or was not used for a minute. Raises ApiError."""
    key = recall_event_key(text)
    return key if key is not None else await asyncio.to_thread(_authenticate_in_thread, text)


def _authenticate_in_thread(text: str | None) -> KeyRule:
    try:
        return authenticate_event(text)
    finally:
        release_connection()


async def _read(receive: Receive) -> bytes:
    """Return the whole body. Raises RequestDataTooBig, ApiError where it breaks off."""
    body: bytes = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        if not message.get("more_body", False):
            return body
    raise broken_off()


def as_answer(response: HttpResponse) -> Answer:
    """Return one of Django's answers as the event loop sends it."""
    lines = [*response.items(), ("Content-Length", str(len(response.content)))]
    return response.status_code, as_lines(lines), response.content


def as_lines(headers: Iterable[tuple[str, str]]) -> Lines:
    """Return headers as ASGI has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
