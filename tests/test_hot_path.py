"""An event that goes past Django's request is answered as Django would: same status, headers and body, nothing else."""

import io
import json
import re
import sys
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from api.hot_path import Application, with_hot_path
from metrics.models import Event
from tests.conftest import Api, Game

EVENT = b'{"user": {"id": "alice"}, "value": 2.5, "attributes": {"category": "writing"}}'


def refuse(environ: dict[str, Any], start_response: Any) -> Any:
    """Stand where Django is: an event that comes here did not take the hot path."""
    raise AssertionError(environ["PATH_INFO"])


def ask(
    application: Application, key: str | None, body: bytes = EVENT, method: str = "POST", path: str = "", **headers: str
) -> tuple[str, dict[str, str], bytes]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path or "/v1/metrics/lessons/event",
        "QUERY_STRING": "",
        "SERVER_NAME": "pointsmith",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        **({"HTTP_X_API_KEY": key} if key is not None else {}),
        **headers,
    }
    begun: list[tuple[str, dict[str, str]]] = []
    chunks = application(environ, lambda status, lines: begun.append((status, dict(lines))))
    ((status, lines),) = begun
    return status, lines, b"".join(chunks)


def ask_django(
    client: Client, key: str | None, body: bytes = EVENT, path: str = "", **headers: str
) -> tuple[str, dict[str, str], bytes]:
    known = {} if key is None else {"HTTP_X_API_KEY": key}
    path = path or "/v1/metrics/lessons/event"
    response = client.generic("POST", path, body, content_type="application/json", **known, **headers)  # type: ignore[arg-type]
    return f"{response.status_code} {response.reason_phrase}", dict(response.items()), response.content


def without_ids(answer: tuple[str, dict[str, str], bytes]) -> tuple[str, dict[str, str], str]:
    status, headers, body = answer
    shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z", "…", body.decode())
    return status, headers, shown


@pytest.mark.parametrize(
    ("what", "request_"),
    [
        ("an event", {}),
        ("an idempotency key", {"HTTP_IDEMPOTENCY_KEY": "first"}),
        ("an idempotency key that is too long", {"HTTP_IDEMPOTENCY_KEY": "x" * 256}),
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
def test_the_answer_is_the_one_that_django_gives(api: Api, game: Game, what: str, request_: dict[str, Any]) -> None:
    game.trigger(points=10)
    request: dict[str, Any] = {"key": api.key} | request_
    with transaction.atomic():
        expected = without_ids(ask_django(api.client, **request))
        transaction.set_rollback(True)
    answer = without_ids(ask(with_hot_path(refuse), **request))
    assert answer == expected, what
    assert Event.objects.count() == (1 if answer[0] == "201 Created" else 0)


def test_a_replay_is_answered_202(api: Api, game: Game) -> None:
    application = with_hot_path(refuse)
    first = ask(application, api.key, HTTP_IDEMPOTENCY_KEY="k")
    again = ask(application, api.key, HTTP_IDEMPOTENCY_KEY="k")
    assert (first[0], again[0]) == ("201 Created", "202 Accepted")
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
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "-1"},
    ],
)
def test_whatever_looks_unusual_is_django_s_to_answer(request_: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        ask(with_hot_path(refuse), "key", **request_)
