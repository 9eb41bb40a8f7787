"""The kept counters: with what still waits they are exact at every moment, whoever folds or recounts meanwhile."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from threading import Event as Signal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from achievements.models import Achievement
from achievements.services import activate_achievement, create_achievement
from analytics.models import Counter, CounterKind
from analytics.services import count_level_users, fold_deltas, recount, summarize
from analytics.store import completion_counts, user_count
from analytics.tasks import fold_deltas as fold_deltas_task
from core.models import Delta, DeltaKind
from core.services import update_checked
from engine.inputs import EventInput
from engine.pipeline import process
from engine.verify import CHECKS
from levels.models import Level
from levels.store import read_levels
from points.models import PointsBalance
from tests.conftest import Api, Game, make_game
from tests.test_summaries import add_level, earn, lose, users_by_level, users_by_range
from users.models import EndUser
from users.rules import UserChanges


@pytest.fixture
def study(api: Api, game: Game) -> Game:
    """Each lesson pays 1 XP; levels from 10 and 100."""
    game.trigger(points=1)
    add_level(game, 10)
    add_level(game, 100)
    return game


@pytest.fixture
def stage(transactional_db: None) -> Game:
    """The same where threads see it."""
    game = make_game()
    game.trigger(points=1)
    add_level(game, 10)
    add_level(game, 100)
    return game


def counters() -> dict[tuple[str, int], int]:
    """Return the counters that count someone, by kind and place."""
    return {(each.kind, each.place): each.users for each in Counter.objects.exclude(users=0)}


def counters_of_all() -> list[tuple[Any, ...]]:
    rows = Counter.objects.exclude(users=0).order_by("kind", "subject", "place")
    return list(rows.values_list("kind", "subject", "place", "users"))


def differences() -> list[str]:
    """Return what verifying would find."""
    with connection.cursor() as cursor:
        found = []
        for check in CHECKS:
            cursor.execute(check.sql)
            found += [text for (text,) in cursor.fetchall()]
    return found


def by_api(game: Game) -> Achievement:
    achievement = create_achievement(name="Profile", type="api", key="profile")
    activate_achievement(achievement=achievement)
    return achievement


# --- Folding ---------------------------------------------------------------------------------------------------------
def test_folding_moves_what_waits_into_the_counters_once(api: Api, study: Game) -> None:
    earn(api, alice=5, bob=12)
    users_by_level(api)
    assert fold_deltas() == 4
    assert counters() == {("user", 0): 2, ("points", 5): 1, ("points", 11): 1, ("level", 10): 1}
    assert not Delta.objects.exists()
    assert fold_deltas() == 0
    assert users_by_range(api) == {1: 1, 11: 1}


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_folding_in_chunks_of_any_size_ends_the_same(api: Api, study: Game, chunk: int) -> None:
    for points in (1, 9, 90, 900):
        earn(api, alice=points, bob=2 * points)
    lose(api, study, "alice", 995)
    assert fold_deltas(chunk=chunk) == 11
    assert users_by_range(api) == {1: 1, 1001: 1}
    assert counters() == {("user", 0): 2, ("points", 5): 1, ("points", 1001): 1, ("level", 100): 1}
    assert differences() == []


def test_what_the_clock_starts_folds(api: Api, study: Game) -> None:
    earn(api, alice=5)
    fold_deltas_task()
    assert not Delta.objects.exists()
    assert counters() == {("user", 0): 1, ("points", 5): 1}


def test_a_balance_that_many_moved_alike_counts_for_all_of_them(api: Api, study: Game) -> None:
    earn(api, alice=5, bob=5, charlie=5)
    # As a time tick does it: one delta for all who moved alike.
    PointsBalance.objects.update(total=25)
    Delta.objects.create(kind=DeltaKind.BALANCE, subject=study.xp.id, before=5, after=25, users=3)
    assert users_by_range(api) == {21: 3}
    fold_deltas()
    assert users_by_range(api) == {21: 3}
    assert users_by_level(api) == {10: 3, 100: 0}


def test_a_fold_that_fails_changes_nothing(api: Api, study: Game) -> None:
    earn(api, alice=5)
    before = list(Delta.objects.values())
    with transaction.atomic():
        fold_deltas()
        transaction.set_rollback(True)  # The machine went down before it was committed.
    assert list(Delta.objects.values()) == before
    assert counters() == {}
    assert users_by_range(api) == {5: 1}


def test_following_the_levels_is_part_of_folding(api: Api, study: Game) -> None:
    earn(api, alice=50)
    fold_deltas()
    assert counters()["level", 10] == 1
    update_checked(Level.objects.get(points=10), points=20)
    fold_deltas()
    kept = Counter.objects.filter(kind=CounterKind.LEVEL)
    assert set(kept.values_list("place", "users")) == {(20, 1), (100, 0)}


# --- Users and completions -------------------------------------------------------------------------------------------
def test_users_and_completions_are_counted_before_and_after_folding(api: Api, study: Game) -> None:
    achievement = by_api(study)
    assert (user_count(), completion_counts()) == (0, {})
    api.send("POST", "/v1/achievements/profile/complete", {"user": {"id": "alice"}})
    api.send("POST", "/v1/achievements/profile/complete", {"user": {"id": "alice"}})
    earn(api, bob=1)
    for _ in range(2):
        assert (user_count(), completion_counts()) == (2, {str(achievement.id): 1})
        fold_deltas()
    api.send("POST", "/v1/achievements/profile/complete", {"user": {"id": "bob"}})
    assert (user_count(), completion_counts()) == (2, {str(achievement.id): 2})
    assert differences() == []


def test_a_user_whose_event_was_refused_is_not_counted(api: Api, study: Game) -> None:
    assert api.event({"id": "alice", "attributes": {"pln": "pro"}}, 1).status_code == 422
    assert user_count() == 0
    fold_deltas()
    assert user_count() == 0


# --- Recounting ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("folded", [True, False])
def test_recounting_repairs_whatever_was_wrong(api: Api, study: Game, folded: bool) -> None:
    by_api(study)
    api.send("POST", "/v1/achievements/profile/complete", {"user": {"id": "alice"}})
    earn(api, alice=5, bob=50)
    fold_deltas()
    right = counters_of_all()
    if not folded:
        earn(api, alice=20, charlie=200)
    Counter.objects.filter(kind=CounterKind.POINTS).delete()
    Counter.objects.update(users=7)
    Counter.objects.create(kind=CounterKind.POINTS, subject=study.xp.id, place=901, users=3)
    assert differences() != []
    call_command("recount")
    assert differences() == []
    if folded:
        assert counters_of_all() == right
    fold_deltas()
    assert differences() == []
    assert users_by_range(api) == ({1: 1, 41: 1} if folded else {1: 2, 101: 1})


def test_recounting_what_is_right_changes_nothing(api: Api, study: Game) -> None:
    earn(api, alice=5, bob=50)
    fold_deltas()
    earn(api, alice=500)
    before, waiting = counters_of_all(), list(Delta.objects.values())
    recount()
    assert (counters_of_all(), list(Delta.objects.values())) == (before, waiting)


def test_what_was_there_before_the_counters_is_counted_when_they_are_set_up(stage: Game, api: Api) -> None:
    by_api(stage)
    api.send("POST", "/v1/achievements/profile/complete", {"user": {"id": "alice"}})
    for number, points in enumerate((1, 2, 9, 10, 11, 12, 20, 21, 99, 100, 101, 102, 1000, 1001, 1002, 123_456)):
        earn(api, **{f"user-{number}": points})
    users_by_level(api)
    recount()
    fold_deltas()
    right = counters_of_all()
    executor = MigrationExecutor(connection)
    executor.migrate([("analytics", None)])
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("analytics"))
    assert not Delta.objects.exists()
    fold_deltas()
    assert counters_of_all() == right
    assert differences() == []


# --- In parallel -----------------------------------------------------------------------------------------------------
def in_background(threads: ThreadPoolExecutor, do: Callable[[], Any]) -> "Future[Any]":
    """Do it in a thread with a connection of its own."""

    def alone() -> Any:
        try:
            return do()
        finally:
            connection.close()

    return threads.submit(alone)


def test_events_while_several_fold_and_recount_are_counted_exactly(stage: Game, api: Api) -> None:
    stage.creation_trigger(points=3, system=stage.energy)
    over = Signal()

    def play(number: int) -> None:
        backend = Api(api.key)
        for turn in range(60):
            assert backend.event(f"user-{(number + turn) % 20}", 1 + turn % 7).status_code == 201

    def until_over(do: Callable[[], Any]) -> int:
        times = 0
        while not over.is_set():
            do()
            times += 1
        return times

    def edit() -> None:
        level = Level.objects.get(key="level-10")
        update_checked(level, points=20 if level.points == 10 else 10)
        assert sum(users_by_level(Api(api.key)).values()) <= 20

    with ThreadPoolExecutor(12) as threads:
        players = [in_background(threads, lambda number=number: play(number)) for number in range(6)]  # type: ignore[misc]
        keepers = [
            in_background(threads, lambda: until_over(lambda: fold_deltas(chunk=5))),
            in_background(threads, lambda: until_over(fold_deltas)),
            in_background(threads, lambda: until_over(recount)),
            in_background(threads, lambda: until_over(edit)),
        ]
        try:
            for player in players:
                player.result()
        finally:
            over.set()
        assert all(keeper.result() > 0 for keeper in keepers)
    assert differences() == []
    fold_deltas()
    assert not Delta.objects.exists()
    assert differences() == []
    held = list(PointsBalance.objects.filter(system=stage.xp).values_list("total", flat=True))
    assert len(held) == 20
    assert sum(users_by_range(api).values()) == user_count() == 20
    for start, users in users_by_range(api).items():
        width = 10 if max(held) <= 100 else 100
        assert users == sum(start <= total < start + width for total in held)
    on_levels = users_by_level(api)
    low = min(on_levels)
    assert on_levels == {low: sum(low <= total < 100 for total in held), 100: sum(total >= 100 for total in held)}


def test_while_one_folds_another_leaves_it_to_it(stage: Game, api: Api) -> None:
    earn(api, alice=5)
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        assert fold_deltas() == 2
        assert in_background(threads, fold_deltas).result() == 0
    assert not Delta.objects.exists()
    assert differences() == []


def test_an_event_that_is_not_committed_yet_is_folded_later(stage: Game, api: Api) -> None:
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        earn(api, alice=5)
        assert in_background(threads, lambda: earn(Api(api.key), bob=7)).result() is None
        assert in_background(threads, fold_deltas).result() == 2
        assert in_background(threads, recount).result() is None
    assert fold_deltas() == 2
    assert users_by_range(api) == {5: 1, 7: 1}
    assert differences() == []


# --- A law -----------------------------------------------------------------------------------------------------------
amounts = st.integers(1, 10**15 - 1) | st.integers(1, 300)
steps = st.lists(
    st.tuples(st.sampled_from(["alice", "bob", "charlie"]), st.sampled_from(["lessons", "flashcards"]), amounts)
    | st.sampled_from([lambda: fold_deltas(chunk=1), fold_deltas, recount]),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(taken=steps)
def test_whatever_happens_in_whatever_order_the_counters_tell_the_truth(game: Game, taken: list[Any]) -> None:
    with transaction.atomic():
        game.trigger(points=1)
        game.trigger(points=-1, metric=game.flashcards)
        add_level(game, 100)
        for step in taken:
            if isinstance(step, tuple):
                user, metric, value = step
                process([EventInput(UserChanges(user), metric, Decimal(value))])
            else:
                step()
        held = list(PointsBalance.objects.values_list("total", flat=True))
        for each in summarize(game.xp.id)[1:]:
            assert each.users == sum(each.first <= total <= each.last for total in held)
        assert summarize(game.xp.id)[0].users == EndUser.objects.count() - sum(total > 0 for total in held)
        assert count_level_users(game.xp.id, read_levels(game.xp)) == [sum(total >= 100 for total in held)]
        transaction.set_rollback(True)
