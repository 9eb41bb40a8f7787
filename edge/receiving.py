"""Receiving bodies whole, in the event loop, before anybody works on the request.

A thread that reads from a sender waits for as long as the sender likes. So no thread is given to a request before all
of its body is here, within a time and a size. A stranger who sends slowly holds a connection and nothing else.
"""

import asyncio
from tempfile import TemporaryFile
from typing import IO, Final, Self

from django.conf import settings

from api.errors import ApiError, broken_off
from api.hot_path import Application, Headers, Message, Receive, Send
from edge.refusals import send_refusal
from edge.terms import Doorkeeper, Terms
from edge.unpacking import CHUNK_BYTES, unpacker

SMALL_BYTES_MAX: Final = 65_536
"""A body up to this size is kept in memory and taken from anybody; of a larger one the sender is looked at first."""

STRANGERS_MAX: Final = 50
"""How many strangers may send more than a small body at the same time; each takes up to 1 MB of the disk."""

CODED: Final = frozenset((b"content-encoding", b"transfer-encoding"))
DESCRIBING: Final = CODED | {b"content-length"}
"""The headers that say how a body comes, and so not how it is given."""


def with_whole_bodies(application: Application, doorkeeper: Doorkeeper) -> Application:
    """Return an application that lets `application` answer a request once its whole body is here.

    Bodies then come without `Transfer-Encoding` and `Content-Encoding`, and with `Content-Length`. A body that cannot
    be received is answered here with 400, 401, 408, 413, 415 or 503, and the connection closed.
    """
    crowd = Crowd()

    async def receiving(scope: Message, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        if not _has_body(headers):
            await application(scope, receive, send)
            return
        with Reception(scope["path"], headers, receive, crowd) as reception:
            try:
                await reception.receive_whole(doorkeeper)
            except Exception as error:
                await send_refusal(scope, send, error)
                return
            await application(reception.scope_of(scope), reception.give, send)

    return receiving


def _has_body(headers: Headers) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


class Crowd:
    """How many strangers sent more than a small body, and are not answered yet."""

    def __init__(self) -> None:
        self.strangers = 0


class Reception:
    """One body: received from the sender, then given to the application.

    Nearly every body is one small part, so this does little more for one than to keep it.
    """

    def __init__(self, path: str, headers: Headers, receive: Receive, crowd: Crowd) -> None:
        self._path, self._headers, self._receive, self._crowd = path, headers, receive, crowd
        self._started_s, self._seconds_max = asyncio.get_running_loop().time(), float(settings.BODY_S_MAX)
        # A larger body is looked at: first for who sends it, then to be refused.
        self._bytes_unwatched = SMALL_BYTES_MAX
        self._terms: Terms | None = None
        self._is_in_crowd = False
        self._bytes_come, self._bytes_kept, self._bytes_given = 0, 0, 0
        self._small = b""
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
        self._crowd.strangers -= self._is_in_crowd

    async def receive_whole(self, doorkeeper: Doorkeeper) -> None:
        """Receive all of it. Raises ApiError."""
        unpack = unpacker(self._headers.get(b"content-encoding"))
        announced = self._headers.get(b"content-length", b"")
        try:
            async with asyncio.timeout_at(self._started_s + self._seconds_max) as timer:
                if announced.isdigit() and int(announced) > SMALL_BYTES_MAX:
                    await self._watch(int(announced), doorkeeper, timer)
                has_more = True
                while has_more:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        # Of a damaged body the server says that the sender is gone. Who really is gone is not harmed
                        # by an answer, and without one the server would say 500.
                        raise broken_off()
                    part, has_more = message.get("body", b""), message.get("more_body", False)
                    self._bytes_come += len(part)
                    for plain in unpack(part, not has_more) if unpack else (part,):
                        self._keep(plain)
                        if (size := max(self._bytes_come, self._bytes_kept)) > self._bytes_unwatched:
                            await self._watch(size, doorkeeper, timer)
        except TimeoutError as error:
            most = f"{self._seconds_max:g} seconds"
            raise ApiError(408, f"The body came too slowly: all of it must arrive within {most}.") from error

    def _keep(self, plain: bytes) -> None:
        self._bytes_kept += len(plain)
        if self._file is None and self._bytes_kept > SMALL_BYTES_MAX:
            self._file = TemporaryFile()  # noqa: SIM115 -- __exit__ closes it
            plain, self._small = self._small + plain, b""
        if self._file is None:
            self._small += plain
        else:
            self._file.write(plain)

    async def _watch(self, size: int, doorkeeper: Doorkeeper, timer: asyncio.Timeout) -> None:
        """Find out once who sends more than a small body. Raises ApiError where that is more than they may."""
        if self._terms is None:
            self._terms = await doorkeeper.terms(self._path, self._headers)
            self._bytes_unwatched, self._seconds_max = self._terms.bytes_max, self._terms.seconds_max
            timer.reschedule(self._started_s + self._seconds_max)
            if self._terms.is_stranger:
                self._join_crowd()
        if size > self._terms.bytes_max:
            raise self._terms.too_large()

    def _join_crowd(self) -> None:
        if self._crowd.strangers >= STRANGERS_MAX:
            raise ApiError(503, "Too many large bodies are received already; try again soon.", retry_after_s=1)
        self._crowd.strangers += 1
        self._is_in_crowd = True

    def scope_of(self, scope: Message) -> Message:
        """Return the request's scope, with headers that describe the body as it is given."""
        if CODED.isdisjoint(self._headers):
            return scope
        headers = [line for line in scope["headers"] if line[0] not in DESCRIBING]
        return {**scope, "headers": [*headers, (b"content-length", b"%d" % self._bytes_kept)]}

    async def give(self) -> Message:
        """Give the next part of the body, as an ASGI server does."""
        if self._bytes_given == self._bytes_kept > 0:
            return await self._receive()
        if self._file is None:
            part = self._small
        else:
            if self._bytes_given == 0:
                self._file.seek(0)
            part = self._file.read(CHUNK_BYTES)
        self._bytes_given += len(part)
        return {"type": "http.request", "body": part, "more_body": self._bytes_given < self._bytes_kept}
