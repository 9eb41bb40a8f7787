"""The load: clients on keep-alive connections that each send the next request when the last one is answered.

One thread and raw sockets, since the generator shares the machine with what it measures: a request costs it 0.15 ms of
CPU time, where the server and PostgreSQL together need 3 to 4.
"""

import random
import secrets
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.errors import BenchError
from bench.game import CATEGORIES, METRIC_KEY, external_id, plan_of
from bench.web import HOST

ANSWER_S_MAX: Final = 30
CREATED: Final = b"HTTP/1.1 201 "
HEAD_END: Final = b"\r\n\r\n"
LENGTH_HEADER: Final = b"content-length:"


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What a phase of load measured. `latencies_ms` are in ascending order."""

    answers: int
    seconds: float
    latencies_ms: list[float]

    @property
    def rate(self) -> float:
        """Return the answers a second."""
        return self.answers / self.seconds

    def percentile_ms(self, percent: int) -> float:
        """Return the latency that `percent` of the answers did not exceed."""
        return self.latencies_ms[(len(self.latencies_ms) - 1) * percent // 100]


def event_requests(port: int, api_key: str, users: int) -> Iterator[bytes]:
    """Yield events of random users for ever, each with an idempotency key that was never used."""
    run = secrets.token_hex(8)
    head = (
        f"POST /v1/metrics/{METRIC_KEY}/event HTTP/1.1\r\nHost: {HOST}:{port}\r\nX-API-KEY: {api_key}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {run}-"
    )
    number = 0
    while True:
        number += 1
        user = random.randint(1, users)
        body = (
            f'{{"user":{{"id":"{external_id(user)}","attributes":{{"plan":"{plan_of(user)}"}}}},'
            f'"value":{random.randint(1, 20)},"attributes":{{"category":"{random.choice(CATEGORIES)}"}}}}'
        )
        yield f"{head}{number}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@dataclass(slots=True)
class Client:
    """One connection with at most one request under way."""

    connection: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        """Send the next request."""
        self.received.clear()
        self.sent_at = time.perf_counter()
        self.connection.sendall(request)

    def is_answered(self) -> bool:
        """Read what has come; return whether the answer is complete. Raises BenchError unless it is a 201."""
        chunk = self.connection.recv(65_536)
        if not chunk:
            raise BenchError("The server closed a connection in the middle of the load.")
        self.received += chunk
        return _is_complete(self.received)


def _is_complete(received: bytearray) -> bool:
    end = received.find(HEAD_END)
    if end < 0:
        return False
    if not received.startswith(CREATED):
        raise BenchError(f"An event was not answered 201:\n{received.decode(errors='replace')}")
    head = bytes(received[:end]).lower()
    start = head.find(LENGTH_HEADER)
    if start < 0:
        raise BenchError("An answer has no Content-Length.")
    length = int(head[start + len(LENGTH_HEADER) :].split(b"\r\n", 1)[0])
    return len(received) >= end + len(HEAD_END) + length


def run_load(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> LoadFigures:
    """Keep `clients` requests under way for `seconds`, then wait for the last answers; all are counted."""
    with selectors.DefaultSelector() as selector:
        opened = [Client(_connect(port)) for _ in range(clients)]
        try:
            for client in opened:
                selector.register(client.connection, selectors.EVENT_READ, client)
            return _drive(selector, opened, requests, seconds)
        finally:
            for client in opened:
                client.connection.close()


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=ANSWER_S_MAX)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _drive(
    selector: selectors.BaseSelector, clients: list[Client], requests: Iterator[bytes], seconds: float
) -> LoadFigures:
    latencies_ms: list[float] = []
    start = now = time.perf_counter()
    for client in clients:
        client.send(next(requests))
    busy = len(clients)
    while busy:
        ready = selector.select(ANSWER_S_MAX)
        if not ready:
            raise BenchError(f"No answer came for {ANSWER_S_MAX} s.")
        for client in (key.data for key, _ in ready):
            if not client.is_answered():
                continue
            now = time.perf_counter()
            latencies_ms.append((now - client.sent_at) * 1000)
            if now - start < seconds:
                client.send(next(requests))
            else:
                busy -= 1
    return LoadFigures(len(latencies_ms), now - start, sorted(latencies_ms))
