"""A request's body is received whole, within a time and a size, before anybody works on it; and an answer is taken."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from django.contrib.auth.models import Permission, User
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client

from access.services import create_api_key
from api.hot_path import Message
from edge.receiving import STRANGERS_MAX
from edge.rooms import Rooms
from edge.unpacking import MEMBERS_MAX
from engine.models import QueuedEvent
from metrics.models import Event
from tests.conftest import Api, Game
from tests.edges import Edge, edge
from tests.processes import WAIT_S_MAX, until, worker_environment
from tests.servers import answers, serving

pytestmark = pytest.mark.django_db(transaction=True)

EVENT: Final = "/v1/metrics/lessons/event"
BATCH: Final = "/admin-api/v1/metrics/events"
LOGIN: Final = "/admin/login/"
IMPORT: Final = "/admin/imports/importrun/add/"
ALICE: Final = {"user": {"id": "alice"}, "value": 1}


@pytest.fixture
def process(game: Game) -> Iterator[Edge]:
    with edge() as process:
        yield process


async def in_parts(content: bytes) -> AsyncIterator[bytes]:
    """Make httpx send the content with `Transfer-Encoding: chunked`."""
    half = len(content) // 2
    for part in (content[:half], content[half:]):
        yield part


def send(process: Edge, key: str, method: str, path: str, content: Any, **headers: str) -> httpx.Response:
    return process.ask(method, path, content=content, headers={"X-API-KEY": key} | headers)


# --- How bodies come -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "chunked"])
def test_a_body_is_read_however_it_comes_at_every_address(
    process: Edge, api: Api, is_chunked: bool, is_gzip: bool
) -> None:
    def body(value: Any) -> Any:
        content = json.dumps(value).encode()
        packed = gzip.compress(content) if is_gzip else content
        return in_parts(packed) if is_chunked else packed

    headers = {"Content-Encoding": "gzip"} if is_gzip else {}
    assert send(process, api.key, "POST", EVENT, body(ALICE), **headers).status_code == 201
    named = send(process, api.key, "PUT", "/v1/users/alice", body({"name": "Alice"}), **headers)
    assert (named.status_code, named.json()["name"]) == (200, "Alice")
    batch = [{"key": "lessons", **ALICE, "attributes": {"category": "x" * 900}}] * 100
    assert send(process, api.key, "POST", BATCH, body(batch), **headers).status_code == 202
    assert (Event.objects.count(), QueuedEvent.objects.count()) == (1, 100)


BAD_BODIES: Final = {
    "an encoding that is not read": (b"{}", "br", 415, "must be gzip"),
    "gzip in gzip": (gzip.compress(b"{}"), "gzip, gzip", 415, "must be gzip"),
    "no gzip": (b"{}", "gzip", 400, "not readable gzip"),
    "gzip that breaks off": (gzip.compress(b"{}")[:-1], "gzip", 400, "ends too early"),
    "more than gzip": (gzip.compress(b"{}") + b"more", "gzip", 400, "follows its end"),
    "a second member that breaks off": (gzip.compress(b"{") + gzip.compress(b"}")[:-1], "gzip", 400, "ends too early"),
    "members without end": (gzip.compress(b"") * (MEMBERS_MAX + 1), "gzip", 400, "more than 1,000 members"),
    "much in many members": (gzip.compress(b" " * 250_001) * 4, "gzip", 413, "at most 1 MB"),
    "much in little": (gzip.compress(b" " * 1_000_001), "gzip", 413, "at most 1 MB"),
}


def test_gzip_of_several_members_is_one_body(process: Edge, api: Api) -> None:
    content = json.dumps(ALICE).encode()
    packed = gzip.compress(content[:10]) + gzip.compress(b"") + gzip.compress(content[10:].ljust(200_000))
    # Cut anywhere: in the first member, at its end, and after it.
    for cut in (0, 5, len(gzip.compress(content[:10])), 40, 60, len(packed) - 1):
        number = Event.objects.count()

        async def parts(cut: int = cut) -> AsyncIterator[bytes]:
            yield packed[:cut]
            yield packed[cut:]

        answer = send(process, api.key, "POST", EVENT, parts(), **{"Content-Encoding": "gzip"})
        assert (answer.status_code, Event.objects.count()) == (201, number + 1), answer.text


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_body_that_cannot_be_unpacked_is_refused(process: Edge, api: Api, case: str) -> None:
    content, encoding, status, words = BAD_BODIES[case]
    for method, path in (("POST", EVENT), ("PUT", "/v1/users/alice")):
        answer = send(process, api.key, method, path, content, **{"Content-Encoding": encoding})
        assert answer.status_code == status
        assert words in answer.json()["error"]
        assert answer.headers["Connection"] == "close"
    assert not Event.objects.exists()


def test_another_encoding_is_told_what_is_read(process: Edge, api: Api) -> None:
    answer = send(process, api.key, "POST", EVENT, b"{}", **{"Content-Encoding": "br"})
    assert answer.headers["Accept-Encoding"] == "gzip"


DAMAGED_BODIES: Final = {
    "a chunk of no size": ("Transfer-Encoding: chunked", b"zz\r\nabc"),
    "a chunk of a size below 0": ("Transfer-Encoding: chunked", b"-1\r\n"),
    "a chunk longer than it says": ("Transfer-Encoding: chunked", b"5\r\nabcde5\r\n"),
    "a sender who ends in the middle of a chunk": ("Transfer-Encoding: chunked", b"5\r\nab"),
    "a sender who ends in the middle": ("Content-Length: 100", b"{"),
}


def test_a_body_that_is_damaged_or_breaks_off_is_told_so(game: Game, tmp_path: Path) -> None:
    _, key = create_api_key(name="tests")
    with serving(tmp_path, **worker_environment() | {"BODY_S_MAX": "600", "REDIS_URL": ""}) as port:
        until(lambda: answers(port))
        for method, path in (("POST", EVENT), ("POST", BATCH), ("PUT", "/v1/users/alice"), ("POST", LOGIN)):
            for case, (length, body) in DAMAGED_BODIES.items():
                head, answer = broken_off(port, f"{method} {path} HTTP/1.1", f"X-API-KEY: {key}", length, body)
                assert head.startswith("http/1.1 400 "), (path, case, head)
                assert "connection: close" in head
                assert "x-content-type-options: nosniff" in head
                assert ("text/html" if path == LOGIN else "application/json") in head
                assert "The body is damaged, or ends before all of it has come." in answer
    assert not Event.objects.exists()


def broken_off(port: int, line: str, key: str, length: str, body: bytes) -> tuple[str, str]:
    """Send no more than this; return the head of the answer, in small letters, and its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S_MAX) as connection:
        connection.sendall(f"{line}\r\nHost: 127.0.0.1\r\n{key}\r\n{length}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            head, _, text = answer.read().decode().partition("\r\n\r\n")
    return head.lower(), text


# --- How large they may be -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "chunked"])
def test_the_api_takes_a_megabyte_and_batches_take_eight(process: Edge, api: Api, is_chunked: bool) -> None:
    def blank(size: int) -> Any:
        return in_parts(b" " * size) if is_chunked else b" " * size

    padded = json.dumps(ALICE).encode().rjust(1_000_000)
    assert send(process, api.key, "POST", EVENT, in_parts(padded) if is_chunked else padded).status_code == 201
    for path, most in ((EVENT, "1 MB"), ("/v1/users", "1 MB"), (BATCH, "8 MB")):
        answer = send(process, api.key, "POST", path, blank(int(most[0]) * 1_000_000 + 1))
        assert (answer.status_code, answer.json()) == (
            413,
            {"error": f"The body is too large: at most {most} is read."},
        )
    # All of it was read: it is no JSON.
    assert send(process, api.key, "POST", BATCH, blank(8_000_000)).status_code == 400


def test_a_large_body_without_a_good_key_is_refused_before_it_is_received(process: Edge, api: Api) -> None:
    async def refuse_to_send() -> AsyncIterator[bytes]:
        yield b" " * 65_537
        raise AssertionError("The rest was asked for.")

    for path in (EVENT, "/v1/users", BATCH):
        for key in ("", "unknown.key"):
            answer = process.ask("POST", path, content=refuse_to_send(), headers={"X-API-KEY": key})
            assert answer.status_code == 401


def upload(process: Edge, path: str, size: int, client: Client | None = None) -> httpx.Response:
    """Send a form with a file of this size, as the browser does that is logged in as `client` is."""
    cookies = {name: morsel.value for name, morsel in client.cookies.items()} if client else {}
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    return process.ask("POST", path, files={"file": ("file.csv", b"x" * size)}, headers=headers)


def test_strangers_may_upload_a_megabyte_anywhere(process: Edge) -> None:
    for path in (LOGIN, IMPORT, "/admin/", "/", "/nowhere"):
        answer = upload(process, path, 1_000_000)
        assert answer.status_code == 413
        assert "at most 1 MB is read" in answer.text
        assert answer.headers["Content-Type"].startswith("text/html")
        assert upload(process, path, 900_000).status_code in (302, 403, 404, 405)


def test_who_may_import_uploads_large_files_to_the_imports_and_others_a_badge(process: Edge) -> None:
    def logged_in(name: str, *permissions: str, is_staff: bool = True) -> Client:
        user = User.objects.create(username=name, is_staff=is_staff)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    sam, vera, nobody = logged_in("sam", "add_importrun"), logged_in("vera"), logged_in("nobody", is_staff=False)
    for client, path, size, is_received in (
        (sam, IMPORT, 7_000_000, True),
        (sam, LOGIN, 7_000_000, False),
        (vera, IMPORT, 7_000_000, False),
        (vera, "/admin/levels/level/add/", 5_000_000, True),
        (nobody, IMPORT, 1_000_000, False),
        (nobody, LOGIN, 900_000, True),
    ):
        answer = upload(process, path, size, client)
        # What is received is refused for its token, which browsers send along.
        assert answer.status_code == (403 if is_received else 413), (path, size)
        if client is not nobody and not is_received:
            # Not what a form may have beside its file.
            most = "100 MB" if (client, path) == (sam, IMPORT) else "5 MB"
            assert f"The file is too large: at most {most} is read." in answer.text


def test_only_so_many_strangers_send_much_at_once(process: Edge, settings: Any) -> None:
    settings.BODY_S_MAX = 600
    much = b"x" * 65_537

    async def crowd(client: httpx.AsyncClient) -> list[int]:
        taken, may_end = [], asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield much
            taken.append(much)
            await may_end.wait()

        stalled = [asyncio.create_task(client.post(LOGIN, content=stalling())) for _ in range(STRANGERS_MAX)]
        while len(taken) < STRANGERS_MAX:
            await asyncio.sleep(0)
        one_more, a_small_one = await client.post(LOGIN, content=much), await client.post(LOGIN, content=b"x")
        may_end.set()
        assert {answer.status_code for answer in await asyncio.gather(*stalled)} == {403}
        later = await client.post(LOGIN, content=much)
        assert int(one_more.headers["Retry-After"]) > 0
        return [one_more.status_code, a_small_one.status_code, later.status_code]

    # 403 is Django's, for want of the form's token: it was received.
    assert process.talk(crowd) == [503, 403, 403]


# --- How long they may take ------------------------------------------------------------------------------------------
def stall(port: int, method: str, path: str) -> socket.socket:
    """Begin a request as an anonymous attacker does, and send no more of its body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S_MAX)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: csrftoken={'c' * 32}\r\nContent-Length: 100\r\n\r\n"
    connection.sendall(head.encode() + b"username=")
    return connection


def test_who_sends_slowly_holds_up_nobody_else(game: Game, tmp_path: Path) -> None:
    _, key = create_api_key(name="tests")
    small = {"WEB_THREADS": "2", "WEB_PAGE_THREADS": "2", "BODY_S_MAX": "600", "REDIS_URL": ""}
    with serving(tmp_path, **worker_environment() | small) as port:
        until(lambda: answers(port))
        targets = [("POST", LOGIN), ("POST", BATCH), ("PUT", "/v1/users/alice"), ("POST", EVENT), ("POST", "/healthz")]
        stalled = [stall(port, *target) for target in targets * 14]
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"X-API-KEY": key}, timeout=WAIT_S_MAX
        ) as backend:
            assert backend.post(EVENT, json=ALICE).status_code == 201
            assert backend.post(BATCH, json=[{"key": "lessons", **ALICE}]).status_code == 202
            for path in ("/healthz", "/readyz", "/v1/users/alice", LOGIN, "/metrics"):
                assert backend.get(path).status_code == 200, path
        for connection in stalled:
            connection.close()


def test_who_sends_slowly_is_cut_off(game: Game, tmp_path: Path) -> None:
    with serving(tmp_path, **worker_environment() | {"BODY_S_MAX": "0.5", "REDIS_URL": ""}) as port:
        until(lambda: answers(port))
        for method, path in (("POST", LOGIN), ("POST", EVENT), ("POST", BATCH), ("PUT", "/v1/users/alice")):
            with stall(port, method, path) as connection, connection.makefile("rb") as answer:
                # Read to the end: the server has closed the connection.
                head, _, body = answer.read().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 "), (path, head)
            assert b"within 0.5 seconds" in body


def test_a_byte_now_and_then_does_not_buy_more_time(process: Edge, api: Api, settings: Any) -> None:
    settings.BODY_S_MAX = 0.05

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.001)

    for path in (EVENT, LOGIN):
        assert process.ask("POST", path, content=drip(), headers={"X-API-KEY": api.key}).status_code == 408


def test_who_stops_reading_does_not_keep_the_thread(game: Game, settings: Any) -> None:
    settings.SEND_S_MAX = 0.05

    async def ask_twice(rooms: Rooms) -> list[Message]:
        """Take nothing of a first answer; return what comes as the second, by the only thread there is."""
        scope: Message = {"type": "http", "http_version": "1.1", "method": "GET", "path": LOGIN, "query_string": b""}
        scope["headers"] = [(b"host", b"testserver")]
        taken: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("There is no body.")

        async def take_nothing(_: Message) -> None:
            await asyncio.Event().wait()

        async def take(message: Message) -> None:
            taken.append(message)

        await rooms(scope, receive, take_nothing)
        await rooms(scope, receive, take)
        return taken

    rooms = Rooms(get_wsgi_application(), api_threads=1, page_threads=1)
    start, *parts = asyncio.run(ask_twice(rooms))
    rooms.pages.executor.submit(connections.close_all).result()
    assert start["status"] == 200
    assert b"csrfmiddlewaretoken" in b"".join(part["body"] for part in parts)
