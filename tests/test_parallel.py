"""Parallel events are exact: real threads, each with a database connection of its own."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from metrics.models import Event, MetricTotal
from points.models import PointsAward, PointsBalance
from tests.conftest import Api, Game, make_game
from users.models import EndUser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def game(transactional_db: None) -> Game:
    return make_game()


def in_parallel(count: int, do: Callable[[int], Any]) -> list[Any]:
    """Return what `do` returns for each number, called from as many threads at once."""

    def alone(number: int) -> Any:
        try:
            return do(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(alone, range(count)))


def test_32_threads_of_200_events_on_one_user_give_the_exact_total_and_an_unbroken_ledger(api: Api, game: Game) -> None:
    game.trigger(points=3, every=2)

    def report(_: int) -> list[int]:
        backend = Api(api.key)
        return [backend.event("alice", 0.5).status_code for _ in range(200)]

    statuses = Counter(status for thread in in_parallel(32, report) for status in thread)
    assert statuses == {201: 6400}
    assert MetricTotal.objects.get().total == 3200
    assert list(PointsAward.objects.order_by("seq").values_list("seq", "total")) == [
        (line, 3 * line) for line in range(1, 1601)
    ]
    assert PointsBalance.objects.get().total == 4800
    call_command("verify")


def test_of_16_parallel_sends_of_one_idempotency_key_exactly_one_counts(api: Api, game: Game) -> None:
    game.trigger(points=10)
    answers = in_parallel(16, lambda _: Api(api.key).event("alice", 1, key="order-7"))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 202: 15}
    assert len({answer.json()["eventId"] for answer in answers}) == 1
    assert Event.objects.count() == 1
    assert api.points("alice")["total"] == 10


def test_of_20_parallel_spends_of_a_balance_of_10_exactly_10_go_through(api: Api, game: Game) -> None:
    game.creation_trigger(points=10, system=game.energy)
    game.trigger(points=-1, system=game.energy, block_if_out_of_points=True)
    api.send("POST", "/v1/users", {"id": "alice"})
    statuses = Counter(in_parallel(20, lambda _: Api(api.key).event("alice", 1).status_code))
    assert statuses == {201: 10, 422: 10}
    assert api.points("alice", "energy")["total"] == 0
    assert Event.objects.count() == 10
    call_command("verify")


def test_events_of_the_same_new_users_in_any_order_neither_fail_nor_create_one_twice(api: Api, game: Game) -> None:
    game.creation_trigger(points=5)
    names = [f"user-{number}" for number in range(12)]

    def report(number: int) -> set[int]:
        backend, order = Api(api.key), names[number:] + names[:number]
        return {backend.event(name, 1).status_code for name in order}

    assert in_parallel(12, report) == [{201}] * 12
    assert [api.points(name)["total"] for name in names] == [5] * 12
    call_command("verify")


def test_new_users_whose_events_are_refused_and_accepted_at_once_are_neither_lost_nor_left_over(
    api: Api, game: Game
) -> None:
    game.trigger(points=1)

    def report(number: int) -> list[int]:
        backend, unknown = Api(api.key), {"pln": "pro"} if number % 2 else {}
        return [backend.event({"id": f"user-{user}", "attributes": unknown}, 1).status_code for user in range(20)]

    assert in_parallel(8, report) == [[422 if number % 2 else 201] * 20 for number in range(8)]
    assert [api.points(f"user-{user}")["total"] for user in range(20)] == [4] * 20
    in_parallel(8, lambda _: Api(api.key).event({"id": "nobody", "attributes": {"pln": "pro"}}, 1))
    assert not EndUser.objects.filter(external_id="nobody").exists()
    call_command("verify")


def test_a_trigger_edited_under_load_is_in_force_for_every_event_that_starts_after_it_was_saved(
    api: Api, game: Game
) -> None:
    trigger = game.trigger(points=1)
    saved_at: list[float] = []

    def work(number: int) -> list[tuple[float, int]]:
        backend = Api(api.key)
        if number == 0:
            backend.send("PATCH", f"/admin-api/v1/points/{game.xp.id}/triggers", [{"id": str(trigger.id), "points": 7}])
            saved_at.append(time.monotonic())
            return []
        started = [(time.monotonic(), backend.event(f"user-{number}", 1)) for _ in range(30)]
        return [(at, answer.json()["points"]["xp"]["added"]) for at, answer in started]

    events = [event for thread in in_parallel(6, work) for event in thread]
    assert {added for _, added in events} <= {1, 7}
    assert {added for at, added in events if at > saved_at[0]} == {7}
    call_command("verify")
