"""Inputs that wait at the same moment share a transaction; each caller has its own answer, or its own error."""

import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection

from access.services import create_api_key
from engine.coalescing import Coalescer, OverloadedError
from engine.inputs import EventInput
from engine.outcomes import Accepted, Outcome
from metrics.models import Event, MetricTotal
from points.models import PointsBalance
from tests.conftest import Game, make_game
from tests.processes import break_storing, free_port, mend_storing, somebody_waits, until, worker_environment
from users.rules import UserChanges

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def game(transactional_db: None) -> Game:
    game = make_game()
    game.trigger(points=10)
    return game


@pytest.fixture
def coalescer(game: Game) -> Iterator[Coalescer]:
    coalescer = Coalescer(waiting_max=200)
    yield coalescer
    coalescer.stop()


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as threads:
        yield threads


def report(coalescer: Coalescer, user: str, value: int = 1, key: str | None = None) -> Outcome:
    return coalescer.process(EventInput(UserChanges(user), "lessons", Decimal(value), idempotency_key=key)).outcomes[0]


def transactions() -> int:
    """Return how many transactions stored the events that there are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM metrics_event")
        count: int = cursor.fetchone()[0]
        return count


@contextmanager
def holding(user: str) -> Iterator[None]:
    """Hold a user's lock on another connection."""
    with psycopg.connect(worker_environment()["DATABASE_URL"]) as other:
        other.execute("SELECT FROM users_enduser WHERE external_id = %s FOR NO KEY UPDATE", [user])
        yield


def test_each_of_many_callers_gets_its_own_answer_and_they_share_transactions(
    coalescer: Coalescer, callers: ThreadPoolExecutor
) -> None:
    report(coalescer, "alice")
    with holding("alice"):
        # While one waits for alice, the others gather.
        first = callers.submit(report, coalescer, "alice")
        until(somebody_waits)
        values = dict.fromkeys(range(2, 52))
        answers = {value: callers.submit(report, coalescer, f"user-{value}", value) for value in values}
        for value, answer in answers.items():
            outcome = answer.result()
            assert isinstance(outcome, Accepted)
            assert outcome.event is not None
            assert (outcome.user.external_id, outcome.event.total) == (f"user-{value}", value)
    assert isinstance(first.result(), Accepted)
    assert dict(MetricTotal.objects.values_list("user__external_id", "total")) == {
        "alice": 2,
        **{f"user-{value}": value for value in values},
    }
    assert transactions() < 30


def test_sixty_four_callers_at_once_on_one_user_are_exact(coalescer: Coalescer, callers: ThreadPoolExecutor) -> None:
    outcomes = list(callers.map(lambda _: report(coalescer, "alice"), range(640)))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert MetricTotal.objects.get().total == 640
    assert PointsBalance.objects.get().total == 6400
    assert {outcome.event.total for outcome in outcomes if isinstance(outcome, Accepted) and outcome.event} == set(
        range(1, 641)
    )
    assert transactions() < 640


def test_of_many_sends_of_one_idempotency_key_one_counts(coalescer: Coalescer, callers: ThreadPoolExecutor) -> None:
    outcomes = callers.map(lambda _: report(coalescer, "alice", key="k"), range(64))
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Accepted": 1, "Replayed": 63}
    assert MetricTotal.objects.get().total == 1


def test_an_event_that_cannot_be_stored_harms_none_beside_it(coalescer: Coalescer, callers: ThreadPoolExecutor) -> None:
    for user in ("alice", "bob"):
        report(coalescer, user)
    break_storing("bob")
    try:
        with holding("alice"):
            held = callers.submit(report, coalescer, "alice")
            until(somebody_waits)
            users = [f"user-{number}" for number in range(20)]
            good = [callers.submit(report, coalescer, user) for user in users]
            bad = callers.submit(report, coalescer, "bob")
            assert all(isinstance(each.result(), Accepted) for each in good)
            with pytest.raises(DatabaseError, match="the moon is wrong"):
                bad.result()
        assert isinstance(held.result(), Accepted)
    finally:
        mend_storing()
    assert dict(MetricTotal.objects.values_list("user__external_id", "total")) == {
        "alice": 2,
        "bob": 1,
        **dict.fromkeys(users, 1),
    }


def test_a_user_whom_somebody_holds_locked_holds_up_nobody_else(
    coalescer: Coalescer, callers: ThreadPoolExecutor
) -> None:
    report(coalescer, "alice")
    with holding("alice"):
        waiting: list[Future[Outcome]] = [callers.submit(report, coalescer, "alice") for _ in range(5)]
        until(somebody_waits)
        for number in range(50):
            assert isinstance(report(coalescer, f"user-{number}"), Accepted)
        assert not any(each.done() for each in waiting)
    assert all(isinstance(each.result(), Accepted) for each in waiting)
    assert MetricTotal.objects.get(user__external_id="alice").total == 6


def test_when_too_many_wait_the_next_is_refused_and_nothing_of_it_is_stored(
    game: Game, callers: ThreadPoolExecutor
) -> None:
    coalescer = Coalescer(waiting_max=2)
    report(coalescer, "alice")
    with holding("alice"):
        waiting = [callers.submit(report, coalescer, "alice") for _ in range(8)]
        until(lambda: any(each.done() for each in waiting))
        stored = _stored_until_refused(coalescer, "bob")
    refused = [each for each in waiting if isinstance(each.exception(), OverloadedError)]
    assert all(each in refused or isinstance(each.result(), Accepted) for each in waiting)
    coalescer.stop()
    totals = dict(MetricTotal.objects.values_list("user__external_id", "total"))
    assert totals == {"alice": 1 + 8 - len(refused)} | ({"bob": stored} if stored else {})


def _stored_until_refused(coalescer: Coalescer, user: str) -> int:
    for stored in range(1_000):
        try:
            report(coalescer, user)
        except OverloadedError:
            return stored
    raise AssertionError("It was never refused.")


def test_stopping_answers_all_that_wait(game: Game, callers: ThreadPoolExecutor) -> None:
    coalescer = Coalescer(waiting_max=200)
    report(coalescer, "alice")
    with holding("alice"):
        waiting = [callers.submit(report, coalescer, user) for user in ("alice", "bob", "charlie", "alice")]
        until(somebody_waits)
        stopped = callers.submit(coalescer.stop)
    stopped.result()
    assert all(isinstance(each.result(), Accepted) for each in waiting)


# --- A real web server ------------------------------------------------------------------------------------------------
@contextmanager
def served(tmp_path: Path, **environment: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    port = free_port()
    command = [sys.executable, "manage.py", "serve", "--port", str(port), "--workers", "1"]
    variables = worker_environment() | {"VAR_DIR": str(tmp_path), "REDIS_URL": ""} | environment
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=variables)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _is_well(url))
        yield process, url
    finally:
        process.terminate()
        process.wait(30)


def _is_well(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False


def post(url: str, key: str, user: str, **fields: Any) -> httpx.Response:
    body = {"user": {"id": user}, "value": 1} | fields
    return httpx.post(f"{url}/v1/metrics/lessons/event", json=body, headers={"X-API-KEY": key}, timeout=30)


def test_a_server_that_is_told_to_stop_answers_what_it_took_and_stores_nothing_else(
    game: Game, callers: ThreadPoolExecutor, tmp_path: Path
) -> None:
    _, key = create_api_key(name="tests")
    with served(tmp_path) as (process, url):
        assert post(url, key, "alice").status_code == 201

        def report_until_it_is_gone(number: int) -> int:
            answered = 0
            with httpx.Client(base_url=url, headers={"X-API-KEY": key}, timeout=30) as client:
                try:
                    while True:
                        body = {"user": {"id": f"user-{number}"}, "value": 1}
                        assert client.post("/v1/metrics/lessons/event", json=body).status_code == 201
                        answered += 1
                except httpx.TransportError:
                    return answered

        answers = [callers.submit(report_until_it_is_gone, number) for number in range(16)]
        until(lambda: Event.objects.count() > 100)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert 1 + sum(each.result() for each in answers) == Event.objects.count()
    assert transactions() < Event.objects.count()


def test_a_server_takes_long_bodies_and_any_letters_for_what_is_no_event(game: Game, tmp_path: Path) -> None:
    _, key = create_api_key(name="tests")
    with served(tmp_path) as (_, url):
        events = [{"key": "lessons", "user": {"id": f"user-{number}"}, "value": 1} for number in range(1000)]
        with httpx.Client(base_url=url, headers={"X-API-KEY": key}, timeout=30) as client:
            answer = client.post("/admin-api/v1/metrics/events", json=events)
            assert (answer.status_code, answer.json()) == (202, {"accepted": 1000})
            answer = client.put("/v1/users/alice", json={"name": "Alice"})
            assert (answer.status_code, answer.json()["name"]) == (200, "Alice")
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30) as raw:
            # As careless clients write it, and browsers never do.
            query = "é=1&key=a b".replace(" ", "%20").encode()
            raw.sendall(b"GET /v1/users/alice?%s HTTP/1.1\r\nHost: x\r\nX-API-KEY: %s\r\n\r\n" % (query, key.encode()))
            assert raw.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_a_server_where_too_many_wait_answers_503_and_still_reads(
    game: Game, callers: ThreadPoolExecutor, tmp_path: Path
) -> None:
    _, key = create_api_key(name="tests")
    with served(tmp_path, EVENTS_WAITING_MAX="2") as (_, url):
        assert post(url, key, "alice").status_code == 201
        with holding("alice"):
            answers = [callers.submit(post, url, key, "alice") for _ in range(10)]
            # Two processes have room for two each, and for two more while they work on the first: not for ten.
            until(lambda: any(each.done() for each in answers))
            assert httpx.get(f"{url}/v1/users/alice", headers={"X-API-KEY": key}).is_success
        statuses = Counter(each.result().status_code for each in answers)
        assert set(statuses) == {201, 503}
        refused = next(each.result() for each in answers if each.result().status_code == 503)
        assert refused.headers["Retry-After"] == "1"
        assert refused.json() == {"error": "Too many requests wait already; try again soon."}
    assert Event.objects.count() == 1 + statuses[201]
