"""What machines ask a production server by its address, and what keeps them from asking too much."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from threading import Event
from typing import Any, Final

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.health import Watch
from tests.conftest import Api, Game

HOST: Final = "10.0.0.17:8000"
"""A server's own address, by which load balancers ask."""


@pytest.fixture
def production(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["points.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 3600


@pytest.mark.usefixtures("production")
def test_what_machines_call_is_answered_by_any_name_and_without_encryption(api: Api, game: Game) -> None:
    api.event("alice")
    paths = (
        *("/healthz", "/readyz", "/metrics", "/docs/openapi.yaml"),
        *("/v1/users/alice", "/v1/points/xp/summary", "/admin-api/v1/metrics"),
    )
    for path in paths:
        for host in (HOST, "[fe80::1]", "points.internal", "not a host"):
            answer = api.client.get(path, headers={"Host": host, "X-API-KEY": api.key})
            assert answer.status_code == 200, (path, host, answer.content)
    assert api.client.get("/admin/login/", headers={"Host": HOST}, secure=True).status_code == 400


@pytest.mark.usefixtures("production")
def test_answers_to_machines_have_the_headers_that_protect_browsers(api: Api, game: Game) -> None:
    assert api.event("alice").status_code == 201
    for method, path in (
        *(("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/docs/openapi.yaml")),
        *(("GET", "/v1/users/alice"), ("GET", "/v1/nothing"), ("POST", "/v1/metrics/lessons/event")),
    ):
        headers = api.send(method, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] == "same-origin", path
        assert headers["Strict-Transport-Security"] == "max-age=3600", path


def test_without_encryption_nobody_is_told_to_use_it_for_ever(api: Api, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 0
    assert "Strict-Transport-Security" not in api.get("/healthz").headers


def test_healthz_asks_the_database_nothing(db: None) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert Client().get("/healthz").status_code == 200
    assert not asked.captured_queries


def test_what_is_missing_is_looked_for_once_a_second() -> None:
    states = chain([{}, {"database": "does not answer"}], repeat({}))
    watch = Watch(lambda: next(states))
    assert [watch.problems(at(second)) for second in (0, 0.9, 1, 1.9, 2)] == [
        *({}, {}),
        *({"database": "does not answer"}, {"database": "does not answer"}),
        {},
    ]


def at(second: float) -> Any:
    return lambda: second


def test_who_asks_during_a_look_waits_for_what_it_finds() -> None:
    looks: list[int] = []
    may_end = Event()

    def look() -> Mapping[str, str]:
        looks.append(1)
        may_end.wait()
        return {"redis": "does not answer"}

    watch = Watch(look)
    with ThreadPoolExecutor(8) as callers:
        answers = [callers.submit(watch.problems, at(5)) for _ in range(8)]
        may_end.set()
        assert [answer.result() for answer in answers] == [{"redis": "does not answer"}] * 8
    assert looks == [1]
