"""A receiver of webhooks: a real server that answers as a test says, and remembers what came."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


Answer = Callable[[BaseHTTPRequestHandler, Received], None]
"""What a receiver does with a request."""


def status(code: int, body: bytes = b"ok", **headers: str) -> Answer:
    """Return the behaviour of answering with a status."""

    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def close(handler: BaseHTTPRequestHandler, _: Received) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def garbage(handler: BaseHTTPRequestHandler, _: Received) -> None:
    """Answer with what is no HTTP."""
    handler.wfile.write(b"\x00\xff\xfe nonsense\r\n\r\n")
    handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler, _: Received) -> None:
    """Answer 200 with a body that never ends."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    try:
        while True:
            handler.wfile.write(b"x" * 65_536)
    except OSError:
        pass


@dataclass
class Receiver:
    """The server. `answer` can be changed at any time; `received` is in the order of arrival."""

    url: str
    answer: Answer = field(default_factory=lambda: status(200))
    received: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def hang(self, _: BaseHTTPRequestHandler, __: Received) -> None:
        """Answer nothing until the test is over."""
        self.released.wait()

    def of(self, user: str) -> list[Received]:
        """Return what came of a user."""
        return [each for each in self.received if each.json.get("user", {}).get("id") == user]


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Run a receiver."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received = Received(self.path, dict(self.headers.items()), body)
            receiver.received.append(received)
            receiver.answer(self, received)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # As many as one worker sends at once: where fewer wait, the kernel drops the others' first packets, and a try
        # runs into its time limit.
        request_queue_size = 128

    server = Server((host, 0), Handler)
    receiver = Receiver(f"http://{host}:{server.server_address[1]}/hook")
    # How often it looks whether it is to stop, which each test waits for in the end.
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
