"""When the database is away, callers are told to come back, and the server finds its way back by itself."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from access.services import create_api_key
from tests.conftest import make_game
from tests.processes import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backend(transactional_db: None, live_server: LiveServer) -> Iterator[httpx.Client]:
    make_game()
    _, key = create_api_key(name="tests")
    with httpx.Client(base_url=live_server.url, headers={"X-API-KEY": key}) as client:
        yield client


def end_the_server_s_connections() -> None:
    """End every connection but this test's own, as a database that restarts does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_broken_connection_answers_503_once_and_the_next_request_works(backend: httpx.Client) -> None:
    def event() -> httpx.Response:
        return backend.post("/v1/metrics/lessons/event", json={"user": {"id": "alice"}, "value": 1})

    def read() -> httpx.Response:
        return backend.get("/v1/users/alice/metrics/lessons")

    assert event().status_code == 201
    for ask in (event, read):
        assert read().is_success  # in the thread, and so on the connection, that the next request will use
        end_the_server_s_connections()
        away = ask()
        assert away.status_code == 503
        assert away.headers["Retry-After"] == "1"
        assert away.json() == {"error": "The database is away; try again soon."}
        assert ask().is_success
    assert read().json()["current"] == 2


def test_readyz_says_what_is_missing_and_healthz_stays_well(backend: httpx.Client) -> None:
    def readyz() -> tuple[int, Any]:
        answer = backend.get("/readyz")
        return answer.status_code, answer.json()

    # What it says is up to a second old.
    until(lambda: readyz() == (200, {"status": "ok"}))
    end_the_server_s_connections()
    until(lambda: readyz() == (503, {"status": "unavailable", "problems": {"database": "does not answer"}}))
    assert backend.get("/healthz").json() == {"status": "ok"}
    until(lambda: readyz() == (200, {"status": "ok"}))
