"""The ASGI application of a web process, asked over HTTP without a server between."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from django.core.wsgi import get_wsgi_application
from django.db import connections

from edge.application import make_application
from edge.rooms import Rooms
from engine.coalescing import Coalescer

Answer = TypeVar("Answer")


class Edge:
    """A web process with one thread in each room."""

    def __init__(self) -> None:
        self._coalescer = Coalescer(waiting_max=10)
        self._rooms = Rooms(get_wsgi_application(), api_threads=1, page_threads=1)
        self._transport = httpx.ASGITransport(app=make_application(self._rooms, self._coalescer))

    def talk(self, talk: Callable[[httpx.AsyncClient], Coroutine[Any, Any, Answer]]) -> Answer:
        """Return what `talk` returns, a conversation with the application."""

        async def conversation() -> Answer:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://testserver") as client:
                return await talk(client)

        return asyncio.run(conversation())

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer to one request, given as httpx takes it."""
        return self.talk(lambda client: client.request(method, path, **request))

    def close(self) -> None:
        """Let go of the threads and their connections."""
        self._coalescer.stop()
        for room in self._rooms.all:
            room.executor.submit(connections.close_all)
            room.executor.shutdown()
        # Threads of the event loop are gone already; their connections go with what is left of them.
        gc.collect()


@contextmanager
def edge() -> Iterator[Edge]:
    """Give a web process of this test's own."""
    process = Edge()
    try:
        yield process
    finally:
        process.close()
