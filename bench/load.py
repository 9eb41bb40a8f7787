"""The load: clients on keep-alive connections that each send the next request when the last one is answered.

One thread, `epoll` and requests that were rendered before, since the generator shares the machine with what it
measures. What it costs is measured and reported with every figure.
"""

import random
import secrets
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from bench.errors import BenchError
from bench.figures import percentile
from bench.game import CATEGORIES, METRIC_KEY, external_id, plan_of
from bench.web import HOST

ANSWER_S_MAX: Final = 30
RENDERED_A_SECOND: Final = 8_000
"""How many requests are rendered before a phase of load begins; should it need more, those cost it more."""
CREATED: Final = b"HTTP/1.1 201 "
HEAD_END: Final = b"\r\n\r\n"
LENGTH_HEADER: Final = b"content-length:"


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What a phase of load measured. `latencies_ms` are in ascending order; `cpu_s` is what the clients cost."""

    answers: int
    seconds: float
    latencies_ms: list[float]
    cpu_s: float

    @property
    def rate(self) -> float:
        """Return the answers a second."""
        return self.answers / self.seconds

    def percentile_ms(self, percent: int) -> float:
        """Return the latency that `percent` of the answers did not exceed."""
        return percentile(self.latencies_ms, percent)


def event_requests(port: int, api_key: str, users: Sequence[int]) -> Iterator[bytes]:
    """Yield events of random users of these numbers for ever, each with an idempotency key that was never used."""
    run = secrets.token_hex(8)
    head = (
        f"POST /v1/metrics/{METRIC_KEY}/event HTTP/1.1\r\nHost: {HOST}:{port}\r\nX-API-KEY: {api_key}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {run}-"
    )
    number = 0
    while True:
        number += 1
        user = random.choice(users)
        body = (
            f'{{"user":{{"id":"{external_id(user)}","attributes":{{"plan":"{plan_of(user)}"}}}},'
            f'"value":{random.randint(1, 20)},"attributes":{{"category":"{random.choice(CATEGORIES)}"}}}}'
        )
        yield f"{head}{number}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def run_load(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> LoadFigures:
    """Keep `clients` requests under way for `seconds`, then wait for the last answers; all are counted.

    Raises BenchError unless every answer is a 201.
    """
    ready = list(islice(requests, round(RENDERED_A_SECOND * seconds)))
    connections = [_connect(port) for _ in range(clients)]
    try:
        return _drive(connections, chain(ready, requests), seconds)
    finally:
        for connection in connections:
            connection.close()


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=ANSWER_S_MAX)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _drive(connections: Sequence[socket.socket], requests: Iterator[bytes], seconds: float) -> LoadFigures:
    latencies_ms: list[float] = []
    by_file = {connection.fileno(): connection for connection in connections}
    sent_at, parts = dict.fromkeys(by_file, 0.0), dict.fromkeys(by_file, b"")
    began_cpu_s, start = time.process_time(), time.perf_counter()
    with select.epoll() as poll:
        for file, connection in by_file.items():
            poll.register(file, select.EPOLLIN)
            sent_at[file] = time.perf_counter()
            connection.sendall(next(requests))
        now, busy = start, len(by_file)
        while busy:
            for file in _ready(poll):
                parts[file] += _receive(by_file[file])
                if not _is_complete(parts[file]):
                    continue
                parts[file] = b""
                now = time.perf_counter()
                latencies_ms.append((now - sent_at[file]) * 1000)
                if now - start < seconds:
                    sent_at[file] = now
                    by_file[file].sendall(next(requests))
                else:
                    busy -= 1
    cpu_s = time.process_time() - began_cpu_s
    return LoadFigures(len(latencies_ms), now - start, sorted(latencies_ms), cpu_s)


def _receive(connection: socket.socket) -> bytes:
    chunk = connection.recv(65_536)
    if not chunk:
        raise BenchError("The server closed a connection in the middle of the load.")
    return chunk


def _ready(poll: select.epoll) -> list[int]:
    found = [file for file, _ in poll.poll(ANSWER_S_MAX)]
    if not found:
        raise BenchError(f"No answer came for {ANSWER_S_MAX} s.")
    return found


def _is_complete(received: bytes) -> bool:
    """Tell whether an answer has come in full. Raises BenchError unless it is a 201."""
    end = received.find(HEAD_END)
    if end < 0:
        return False
    if not received.startswith(CREATED):
        raise BenchError(f"An event was not answered 201:\n{received.decode(errors='replace')}")
    head = received[:end].lower()
    start = head.find(LENGTH_HEADER)
    if start < 0:
        raise BenchError("An answer has no Content-Length.")
    length = int(head[start + len(LENGTH_HEADER) :].split(b"\r\n", 1)[0])
    return len(received) >= end + len(HEAD_END) + length
