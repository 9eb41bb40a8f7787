"""Sending messages: many at once in a thread of its own, which touches no database."""

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Final, NamedTuple
from uuid import UUID

import httpcore
import httpx
from cryptography.fernet import InvalidToken
from django.utils import timezone

from webhooks.addresses import AddressError, check_url, public_addresses
from webhooks.delivery import IN_FLIGHT_MAX, Claimed, Result
from webhooks.rules import asked_pause, signed_headers
from webhooks.secrets import reveal

CONNECT_S_MAX: Final = 5.0
TOTAL_S_MAX: Final = 15.0
ANSWER_BYTES_MAX: Final = 64 * 1024
ERROR_LENGTH_MAX: Final = 500
KEPT_OPEN_S: Final = 30.0
GATHERED_S: Final = 0.01
GATHERED_MAX: Final = 500
"""Results are handed back many at once: so long after the first, and so many at most."""
HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": "Pointsmith-Webhooks",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
TIMEOUTS: Final = {"timeout": {"connect": CONNECT_S_MAX, "read": None, "write": None, "pool": None}}
"""The limit of the whole try stands above those of its parts."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only where messages may go: looks the name up, and connects to the very address that was checked."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._lookups = ThreadPoolExecutor(IN_FLIGHT_MAX, thread_name_prefix="lookups")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers. Raises AddressError."""
        # A name server that hangs holds a thread up: there is one for each message that can be in flight.
        looked_up = asyncio.get_running_loop().run_in_executor(self._lookups, public_addresses, host, port)
        try:
            addresses = await asyncio.wait_for(looked_up, CONNECT_S_MAX)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"Looking {host} up took more than {CONNECT_S_MAX:g} seconds.") from error
        refused: Exception = OSError(f"{host} has no address.")
        for address in addresses:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise refused

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._backend.sleep(seconds)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport on a pool whose connections are guarded."""

    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=IN_FLIGHT_MAX,
            max_keepalive_connections=IN_FLIGHT_MAX,
            keepalive_expiry=KEPT_OPEN_S,
            network_backend=GuardedBackend(),
        )


class Answer(NamedTuple):
    """An answer's status, the beginning of its body and the pause that it asks for; or, in `error`, why none came."""

    status_code: int | None = None
    beginning: str = ""
    error: str = ""
    pause: timedelta | None = None


class Sender:
    """Sends what it is given, and hands the results back: from one thread to another and back.

    `in_flight` is how many messages each endpoint's results are not handed back of yet.
    """

    def __init__(self, *, total_s_max: float = TOTAL_S_MAX) -> None:
        self._total_s_max = total_s_max
        self.in_flight: Counter[UUID] = Counter()
        self._results: SimpleQueue[Result] = SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._transports: dict[UUID, GuardedTransport] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="webhooks", daemon=True)
        self._thread.start()

    def send(self, claimed: Claimed) -> None:
        """Begin to send; the result comes by `results`."""
        self.in_flight[claimed.endpoint_id] += 1
        asyncio.run_coroutine_threadsafe(self._send(claimed), self._loop)

    def results(self, *, wait_s: float) -> list[Result]:
        """Return the results so far; where there is none, wait so long for one, then a moment for more."""
        found: list[Result] = []
        with suppress(Empty):
            found.append(self._results.get(timeout=wait_s))
            until_s = perf_counter() + GATHERED_S
            while len(found) < GATHERED_MAX:
                found.append(self._results.get(timeout=max(0, until_s - perf_counter())))
        self.in_flight.subtract(result.claimed.endpoint_id for result in found)
        self.in_flight += Counter()
        return found

    def close(self) -> None:
        """Drop what is in flight and end the thread."""

        async def shut() -> None:
            for transport in self._transports.values():
                await transport.aclose()
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(shut(), self._loop)
        self._thread.join()
        self._loop.close()

    async def _send(self, claimed: Claimed) -> None:
        at, begun_s = timezone.now(), perf_counter()
        answer = await self._try(claimed, at)
        duration_ms = round((perf_counter() - begun_s) * 1000)
        self._results.put(
            Result(claimed, at, duration_ms, answer.status_code, answer.beginning, answer.error, answer.pause)
        )

    async def _try(self, claimed: Claimed, at: datetime) -> Answer:
        """Return the answer, or why there was none."""
        try:
            check_url(claimed.url)
            async with asyncio.timeout(self._total_s_max):
                return await self._post(claimed, at)
        except TimeoutError:
            return Answer(error=f"No whole answer came within {self._total_s_max:g} seconds.")
        except AddressError as error:
            return Answer(error=f"The address {error}")
        except InvalidToken:
            return Answer(error="The secret cannot be read: it was encrypted with another SECRET_KEY. Rotate it.")
        except Exception as error:
            return Answer(error=_printable(f"{type(error).__name__}: {error}")[:ERROR_LENGTH_MAX])

    async def _post(self, claimed: Claimed, at: datetime) -> Answer:
        """Send past httpx's client, which has redirects, cookies and logins to look after: there are none here."""
        secrets = [reveal(each) for each in claimed.secrets]
        headers = HEADERS | signed_headers(secrets, claimed.message_id, at, claimed.body)
        request = httpx.Request("POST", claimed.url, headers=headers, content=claimed.body, extensions=TIMEOUTS)
        response = await self._transport(claimed.endpoint_id).handle_async_request(request)
        try:
            kept = await _beginning(response)
        finally:
            await response.aclose()
        pause = asked_pause(response.status_code, response.headers.get("Retry-After", ""), timezone.now())
        return Answer(response.status_code, _printable(kept.decode("utf-8", "replace")), pause=pause)

    def _transport(self, endpoint_id: UUID) -> GuardedTransport:
        """Return the endpoint's own connections: to look for a free one among all endpoints' takes longer."""
        if endpoint_id not in self._transports:
            self._transports[endpoint_id] = GuardedTransport()
        return self._transports[endpoint_id]


def _printable(text: str) -> str:
    """Return the text as the database takes it: without NUL."""
    return text.replace("\x00", "�")


async def _beginning(response: httpx.Response) -> bytes:
    """Return as much of the body as is kept, as it came; what is longer is not read, and its connection is closed."""
    kept = bytearray()
    async for chunk in response.aiter_raw():
        kept += chunk
        if len(kept) >= ANSWER_BYTES_MAX:
            break
    return bytes(kept[:ANSWER_BYTES_MAX])
