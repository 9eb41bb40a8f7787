"""Threads for Django, in rooms of their own: requests of one kind never wait for those of another."""

import string
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from a2wsgi import WSGIMiddleware

from api.hot_path import Application, Message, Receive, Send
from api.middleware import MACHINE_PREFIXES

OWN_ROOMS: Final = ("/healthz", "/readyz")
"""Addresses with one thread each. `/healthz` asks nobody, so it must not wait while `/readyz` waits for a database."""


class Rooms:
    """An ASGI application that answers by Django, in a thread of the room that the address belongs to."""

    def __init__(self, django: object, *, api_threads: int, page_threads: int) -> None:
        def room(threads: int) -> WSGIMiddleware:
            return WSGIMiddleware(cast(Any, django), workers=threads)

        self._own: Mapping[str, WSGIMiddleware] = {path: room(1) for path in OWN_ROOMS}
        self.api, self.pages = room(api_threads), room(page_threads)
        self.all = (*self._own.values(), self.api, self.pages)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        room = self._own.get(path) or (self.api if path.startswith(MACHINE_PREFIXES) else self.pages)
        await _in_threads(cast(Application, room), scope, receive, send)


async def _in_threads(room: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Give a room what `a2wsgi` needs: a coroutine to receive by, which granian's is not, and ASCII."""

    async def receive_message() -> Message:
        return await receive()

    query = scope.get("query_string", b"")
    if not query.isascii():
        scope = {**scope, "query_string": quote(query, safe=string.printable).encode()}
    await room(scope, receive_message, send)
