"""Threads for Django, in rooms of their own: requests of one kind never wait for those of another."""

import asyncio
import logging
import string
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from a2wsgi import WSGIMiddleware
from django.conf import settings

from api.hot_path import Application, Message, Receive, Send
from api.middleware import MACHINE_PREFIXES

logger = logging.getLogger(__name__)

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
    await room(scope, receive_message, PatientSend(scope.get("path", ""), send))


class PatientSend:
    """Sends to a client who may stop reading. What they do not take in time is dropped, and all that follows.

    The thread that makes the answer waits until each part is taken: it, and the database connection of an export, would
    wait for ever for a computer that was shut in the middle of a download.
    """

    def __init__(self, path: str, send: Send) -> None:
        self._path, self._send, self._is_given_up = path, send, False

    async def __call__(self, message: Message) -> None:
        """Send one part."""
        if self._is_given_up:
            return
        try:
            async with asyncio.timeout(settings.SEND_S_MAX):
                await self._send(message)
        except TimeoutError:
            self._is_given_up = True
            logger.warning("Given up: nobody took the answer of %s for %g s.", self._path, settings.SEND_S_MAX)
