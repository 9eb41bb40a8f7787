"""An event that goes past Django's request is answered as Django would: same status, headers and body, nothing else."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from api.hot_path import Application, Message, Receive, Send, with_hot_path
from engine.coalescing import Coalescer
from metrics.models import Event
from tests.conftest import Api, Game, as_wsgi

EVENT = b'{"user": {"id": "alice"}, "value": 2.5, "attributes": {"category": "writing"}}'


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def coalescer(api: Api) -> Iterator[Coalescer]:
    coalescer = Coalescer(waiting_max=10)
    yield coalescer
    coalescer.stop()


async def refuse(scope: Message, receive: Receive, send: Send) -> None:
    """Stand where Django is: an event that comes here did not take the hot path."""
    raise AssertionError(scope["path"])


def ask(
    application: Application, key: str | None, body: bytes = EVENT, method: str = "POST", path: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Ask as a server would that reads bodies in two parts; `headers` are named as WSGI names them."""
    named = {"CONTENT_LENGTH": str(len(body)), **({"HTTP_X_API_KEY": key} if key is not None else {}), **headers}
    scope: Message = {
        "type": "http",
        "method": method,
        "path": path or "/v1/metrics/lessons/event",
        "headers": [
            (name.removeprefix("HTTP_").replace("_", "-").lower().encode(), value.encode("latin-1"))
            for name, value in named.items()
        ],
    }
    parts = iter(
        [
            {"type": "http.request", "body": body[:9], "more_body": True},
            {"type": "http.request", "body": body[9:], "more_body": False},
        ]
    )
    sent: list[Message] = []

    async def receive() -> Message:
        return next(parts)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    start, content = sent
    shown = {name.decode().title(): value.decode() for name, value in start["headers"]}
    return start["status"], shown, content["body"]


def ask_django(
    client: Client, key: str | None, body: bytes = EVENT, path: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    known = {} if key is None else {"HTTP_X_API_KEY": key}
    path = path or "/v1/metrics/lessons/event"
    response = client.generic("POST", path, body, content_type="application/json", **known, **headers)  # type: ignore[arg-type]
    return response.status_code, {name.title(): value for name, value in response.items()}, response.content


def without_ids(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], str]:
    status, headers, body = answer
    shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z", "…", body.decode())
    return status, headers, shown


@pytest.mark.parametrize(
    ("what", "request_"),
    [
        ("an event", {}),
        ("an idempotency key", {"HTTP_IDEMPOTENCY_KEY": "first"}),
        ("an idempotency key that is too long", {"HTTP_IDEMPOTENCY_KEY": "x" * 256}),
        ("an idempotency key in letters beyond ASCII", {"HTTP_IDEMPOTENCY_KEY": as_wsgi("ключ")}),
        ("an idempotency key that is not UTF-8", {"HTTP_IDEMPOTENCY_KEY": "caf\xe9"}),
        ("an idempotency key with a control character", {"HTTP_IDEMPOTENCY_KEY": "a\x7f"}),
        ("an idempotency key of blanks", {"HTTP_IDEMPOTENCY_KEY": " "}),
        ("no JSON", {"body": b"{"}),
        ("no UTF-8", {"body": b'{"user": {"id": "\xff"}, "value": 1}'}),
        ("nothing", {"body": b""}),
        ("no user", {"body": b'{"value": 1}'}),
        ("a value that is no number", {"body": b'{"user": {"id": "alice"}, "value": "1"}'}),
        ("an unknown attribute", {"body": b'{"user": {"id": "alice"}, "value": 1, "attributes": {"no": "x"}}'}),
        ("an unknown metric", {"path": "/v1/metrics/nothing/event"}),
        ("a body that is too large", {"body": b" " * 1_000_001}),
        ("an unknown key", {"key": "unknown.key"}),
        ("an unknown application key", {"key": "app_unknown.key"}),
        ("no key", {"key": None}),
    ],
)
def test_the_answer_is_the_one_that_django_gives(
    api: Api, game: Game, coalescer: Coalescer, what: str, request_: dict[str, Any]
) -> None:
    game.trigger(points=10)
    request: dict[str, Any] = {"key": api.key} | request_
    with transaction.atomic():
        expected = without_ids(ask_django(api.client, **request))
        transaction.set_rollback(True)
    answer = without_ids(ask(with_hot_path(refuse, coalescer), **request))
    assert answer == expected, what
    assert Event.objects.count() == (1 if answer[0] == 201 else 0)


def test_a_replay_is_answered_202(api: Api, game: Game, coalescer: Coalescer) -> None:
    application = with_hot_path(refuse, coalescer)
    first = ask(application, api.key, HTTP_IDEMPOTENCY_KEY="k")
    again = ask(application, api.key, HTTP_IDEMPOTENCY_KEY="k")
    assert (first[0], again[0]) == (201, 202)
    assert json.loads(again[2])["idempotentReplayed"] is True
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "GET"},
        {"path": "/v1/metrics//event"},
        {"path": "/v1/metrics/a/b/event"},
        {"path": "/v1/metrics/l\xc3\xa9ssons/event"},
        {"path": "/v1/users/alice/metrics/lessons"},
    ],
)
def test_whatever_looks_unusual_is_django_s_to_answer(coalescer: Coalescer, request_: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        ask(with_hot_path(refuse, coalescer), "key", **request_)
