"""The roll-up: every line and event is counted exactly once, however late it is committed and whoever rolls up."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.models import (
    ActiveDay,
    BoostDay,
    CohortWeek,
    EarlyTally,
    EarnedTally,
    EventDay,
    LedgerMark,
    LevelTally,
    RollUpProgress,
    SystemDay,
    TopEarner,
)
from analytics.rollup import place_sql, roll_up
from analytics.rules import place_end, place_of
from analytics.tasks import roll_up as roll_up_task
from boosts.services import create_boost
from core.services import archive, update_checked
from engine.inputs import AdjustInput, EventInput, IdentifyInput, OpeningInput
from engine.pipeline import process
from metrics.models import Event
from points.models import PointsAward
from points.rules import Adjustment
from tests.conftest import Api, Game, make_game
from tests.test_counters import differences, in_background
from tests.test_summaries import add_level, earn, lose
from users.rules import UserChanges

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
"""A Tuesday."""


@pytest.fixture
def study(game: Game) -> Game:
    """Each lesson pays 1 XP, each flashcard takes 1; levels from 10 and 100."""
    game.trigger(points=1)
    game.trigger(points=-1, metric=game.flashcards)
    add_level(game, 10)
    add_level(game, 100)
    return game


def study_at(at: datetime, user: str, value: int, metric: str = "lessons") -> None:
    """Report at a moment of the past."""
    process([EventInput(UserChanges(user), metric, Decimal(value), at=at)], clock=lambda: at)


def day_sums(game: Game) -> dict[date, tuple[int, int]]:
    """Return what XP awarded and deducted by day."""
    days = SystemDay.objects.filter(system_id=game.xp.id).values_list("day")
    return {
        day: (int(awarded), int(deducted))
        for day, awarded, deducted in days.annotate(Sum("awarded"), Sum("deducted")).order_by("day")
    }


# --- What is counted -------------------------------------------------------------------------------------------------
def test_points_and_events_are_summed_by_their_day_in_utc(study: Game) -> None:
    late = NOON.replace(hour=23, minute=59)
    study_at(late, "alice", 5)
    study_at(late + timedelta(minutes=2), "alice", 7)
    study_at(late + timedelta(minutes=3), "alice", 2, "flashcards")
    study_at(late + timedelta(minutes=3), "bob", 1)
    roll_up()
    first, second = NOON.date(), NOON.date() + timedelta(days=1)
    assert day_sums(study) == {first: (5, 0), second: (8, 2)}
    assert dict(ActiveDay.objects.values_list("day", "users")) == {first: 1, second: 2}
    lessons = EventDay.objects.filter(metric_id=study.lessons.id)
    assert dict(lessons.values_list("day", "events")) == {first: 1, second: 2}
    assert differences() == []


def test_rolling_up_again_counts_only_what_came_since(study: Game) -> None:
    study_at(NOON, "alice", 5)
    first, again = roll_up(), roll_up()
    assert (first.lines, first.events, first.finished) == (1, 1, True)
    assert (again.lines, again.events, again.finished) == (0, 0, True)
    study_at(NOON + timedelta(hours=1), "alice", 6)
    assert roll_up().lines == 1
    assert day_sums(study) == {NOON.date(): (11, 0)}
    assert ActiveDay.objects.get().users == 1
    assert differences() == []


def test_what_the_clock_starts_rolls_up(study: Game) -> None:
    study_at(NOON, "alice", 5)
    roll_up_task()
    assert day_sums(study) == {NOON.date(): (5, 0)}


def test_an_opening_balance_makes_nobody_active_and_an_adjustment_has_no_trigger(study: Game) -> None:
    alice = UserChanges("alice")
    process([IdentifyInput(alice)], clock=lambda: NOON)
    process(
        [OpeningInput(alice, "lessons", Decimal(7)), AdjustInput(alice, "xp", Adjustment(5, "Goodwill", "maria"))],
        clock=lambda: NOON,
    )
    roll_up()
    assert not ActiveDay.objects.exists()
    assert not EventDay.objects.exists()
    row = SystemDay.objects.get()
    assert (row.cause, row.trigger_id, row.awarded) == ("adjustment", UUID(int=0), 5)
    assert CohortWeek.objects.get().users == 1
    assert differences() == []


def adjusted_study(game: Game) -> None:
    """Alice earns 150 and is given 30; bob earns 7, and is given and taken 40."""
    for user, earned, adjustments in (("alice", 150, (30,)), ("bob", 7, (40, -40))):
        study_at(NOON, user, earned)
        for points in adjustments:
            adjustment = Adjustment(points, "Goodwill", "maria")
            process([AdjustInput(UserChanges(user), "xp", adjustment)], clock=lambda: NOON)
    roll_up()


def sums_of(game: Game) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what marks, the tally and the top of those who earned say, the least first."""
    return (
        list(LedgerMark.objects.order_by("earned").values_list("earned", "spent", "early")),
        list(EarnedTally.objects.filter(users__gt=0).order_by("place").values_list("place", "users", "points")),
        list(TopEarner.objects.order_by("earned").values_list("earned", flat=True)),
    )


def test_adjustments_are_not_earned_and_not_spent(study: Game) -> None:
    adjusted_study(study)
    assert sums_of(study) == ([(7, 0, 7), (150, 0, 150)], [(7, 1, 7), (150, 1, 150)], [7, 150])
    assert differences() == []


def test_sums_that_were_kept_with_adjustments_in_them_are_brought_right_by_the_migration(study: Game) -> None:
    adjusted_study(study)
    right = sums_of(study)
    with connection.cursor() as cursor:
        # As they were kept before.
        cursor.execute("""
            UPDATE analytics_ledgermark m SET earned = a.earned, spent = a.spent, early = a.earned FROM (
                SELECT user_id, sum(greatest(awarded, 0)) AS earned, sum(greatest(-awarded, 0)) AS spent
                FROM points_pointsaward GROUP BY user_id
            ) AS a WHERE a.user_id = m.user_id
        """)
        cursor.execute("UPDATE analytics_earnedtally SET points = points + 30")
        cursor.execute("UPDATE analytics_earlytally SET points = points + 30")
        cursor.execute("UPDATE analytics_topearner SET earned = earned + 40")
        assert differences() != []
        for statement in import_module("analytics.migrations.0003_earned_without_adjustments").STATEMENTS:
            cursor.execute(statement)
    assert sums_of(study) == right
    assert differences() == []
    study_at(NOON + timedelta(hours=1), "bob", 20)
    roll_up()
    assert differences() == []


def test_what_users_earned_is_counted_wherever_they_come_to(study: Game) -> None:
    study_at(NOON, "alice", 150)
    study_at(NOON, "bob", 7)
    roll_up()
    study_at(NOON, "bob", 20)
    study_at(NOON, "bob", 25, "flashcards")
    roll_up()
    tally = EarnedTally.objects.filter(users__gt=0).order_by("place")
    assert list(tally.values_list("place", "users", "points")) == [(27, 1, 27), (150, 1, 150)]
    assert differences() == []


def test_the_first_fourteen_days_are_those_since_the_user_was_known_by_the_week_of_that(study: Game) -> None:
    study_at(NOON, "alice", 5)
    study_at(NOON + timedelta(days=14, seconds=-1), "alice", 6)
    study_at(NOON + timedelta(days=14), "alice", 100)
    study_at(NOON + timedelta(days=7), "bob", 3)
    roll_up()
    monday = date(2026, 3, 9)
    tally = EarlyTally.objects.filter(users__gt=0).order_by("week")
    assert list(tally.values_list("week", "place", "users")) == [(monday, 11, 1), (monday + timedelta(days=7), 3, 1)]
    assert dict(CohortWeek.objects.values_list("week", "users")) == {monday: 1, monday + timedelta(days=7): 1}
    assert differences() == []


def test_those_who_earned_most_are_kept_whoever_overtakes_whom(study: Game) -> None:
    events = [
        EventInput(UserChanges(f"user-{number}"), "lessons", Decimal(number), at=NOON) for number in range(1, 104)
    ]
    process(events, clock=lambda: NOON)
    roll_up()
    kept = TopEarner.objects.filter(system_id=study.xp.id)
    assert sorted(map(int, kept.values_list("earned", flat=True))) == list(range(4, 104))
    study_at(NOON, "user-1", 500)
    study_at(NOON, "user-103", 50, "flashcards")
    roll_up()
    assert sorted(map(int, kept.values_list("earned", flat=True))) == [*range(5, 104), 501]
    assert differences() == []


def reached() -> Counter[tuple[int, int]]:
    """Return how many users reached each threshold after how many minutes."""
    rows = LevelTally.objects.filter(users__gt=0).values_list("threshold", "place", "users")
    return Counter({(threshold, place): users for threshold, place, users in rows})


def test_a_level_is_reached_once_whatever_is_lost_afterwards(study: Game) -> None:
    study_at(NOON, "alice", 9)
    study_at(NOON + timedelta(minutes=30), "alice", 1)
    study_at(NOON + timedelta(minutes=31), "alice", 5, "flashcards")
    roll_up()
    study_at(NOON + timedelta(minutes=90), "alice", 200)
    study_at(NOON, "bob", 5)
    roll_up()
    assert reached() == {(10, 30): 1, (100, 90): 1}
    assert differences() == []


def test_a_level_that_is_new_counts_who_reached_it_before_and_one_that_is_gone_counts_nobody(study: Game) -> None:
    study_at(NOON, "alice", 10)
    study_at(NOON + timedelta(minutes=50), "alice", 45)
    roll_up()
    level = add_level(study, 50)
    assert roll_up().finished
    assert reached() == {(10, 0): 1, (50, 50): 1}
    update_checked(level, points=55)
    study_at(NOON + timedelta(minutes=60), "alice", 100)
    roll_up()
    assert reached() == {(10, 0): 1, (55, 50): 1, (100, 60): 1}
    archive(row=level)
    roll_up()
    assert reached() == {(10, 0): 1, (100, 60): 1}
    assert differences() == []


def test_a_boost_is_told_from_what_there_would_have_been_without_it(study: Game) -> None:
    days: dict[str, Any] = {"start": NOON.date(), "end": NOON.date()}
    past = {"activated": NOON - timedelta(days=1), "status": "active"}
    double = create_boost(system=study.xp, name="Double", multiplier=Decimal(2), **days)
    triple = create_boost(system=study.xp, name="Triple", multiplier=Decimal(3), **days)
    alone = create_boost(system=study.xp, name="Alice", multiplier=Decimal(5), external_id="alice", **days)
    for boost in (double, triple, alone):
        type(boost).objects.filter(id=boost.id).update(**past)
    study_at(NOON, "bob", 10)
    study_at(NOON, "alice", 10)
    study_at(NOON + timedelta(days=2), "bob", 10)
    roll_up()
    rows = {each.boost_id: (int(each.awarded), each.without) for each in BoostDay.objects.all()}
    assert rows == {double.id: (360, 180), triple.id: (360, 120), UUID(int=0): (300, 60)}
    assert differences() == []


# --- Late, parallel, interrupted -------------------------------------------------------------------------------------
@pytest.fixture
def stage(transactional_db: None) -> Game:
    """As `study`, where threads see it."""
    game = make_game()
    game.trigger(points=1)
    add_level(game, 10)
    return game


@pytest.mark.parametrize("sweep", [0, 1000], ids=["by the newest", "by the walk over all"])
def test_what_is_committed_late_is_counted_exactly_once(stage: Game, api: Api, sweep: int) -> None:
    earn(api, zoe=1)
    roll_up()
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        earn(api, alice=5)
        # Later ids are committed and counted before alice's earlier ones.
        in_background(threads, lambda: earn(Api(api.key), bob=7)).result()
        assert in_background(threads, lambda: roll_up(sweep=sweep)).result().lines == 1
        assert in_background(threads, lambda: roll_up(sweep=sweep)).result().lines == 0
    assert roll_up(sweep=sweep).lines == 1
    assert roll_up(sweep=sweep).lines == 0
    assert sum(awarded for awarded, _ in day_sums(stage).values()) == 13
    assert ActiveDay.objects.get().users == 3
    assert differences() == []


def test_while_one_rolls_up_another_leaves_it_to_it(stage: Game, api: Api) -> None:
    earn(api, alice=5)
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        assert roll_up().lines == 1
        other = in_background(threads, roll_up).result()
        assert (other.lines, other.finished) == (0, False)
    assert differences() == []


def test_a_roll_up_that_fails_changes_nothing(study: Game) -> None:
    study_at(NOON, "alice", 5)
    with transaction.atomic():
        roll_up()
        transaction.set_rollback(True)  # The machine went down before it was committed.
    assert not LedgerMark.objects.exists()
    assert roll_up().lines == 1
    assert differences() == []


def test_events_while_several_roll_up_are_counted_exactly(stage: Game, api: Api) -> None:
    def play(number: int) -> None:
        backend = Api(api.key)
        for turn in range(20):
            assert backend.event(f"user-{(number + turn) % 10}", 1 + turn % 7).status_code == 201

    def keep() -> None:
        for _ in range(10):
            roll_up(sweep=3)

    with ThreadPoolExecutor(5) as threads:
        tasks = [in_background(threads, lambda number=number: play(number)) for number in range(3)]  # type: ignore[misc]
        tasks += [in_background(threads, keep) for _ in range(2)]
        for task in tasks:
            task.result()
    assert differences() == []
    roll_up()
    assert differences() == []
    assert sum(EventDay.objects.values_list("events", flat=True)) == 60
    assert sum(awarded for awarded, _ in day_sums(stage).values()) == sum(
        PointsAward.objects.values_list("awarded", flat=True)
    )


def test_the_first_roll_up_goes_on_where_it_stopped(study: Game) -> None:
    for number in range(7):
        study_at(NOON, f"user-{number}", 5)
    assert not roll_up(seconds_max=0).finished
    roll_up(sweep=2)
    assert RollUpProgress.objects.get(walk="sweep").completed is not None
    assert day_sums(study) == {NOON.date(): (35, 0)}
    assert differences() == []


def test_recounting_makes_the_roll_up_anew_whatever_was_wrong(api: Api, study: Game) -> None:
    earn(api, alice=5, bob=50)
    lose(api, study, "bob", 5)
    roll_up()
    right = list(SystemDay.objects.order_by("pk").values())
    SystemDay.objects.update(awarded=7)
    EarnedTally.objects.all().delete()
    LedgerMark.objects.filter(peak=50).delete()
    assert differences() != []
    call_command("recount")
    assert differences() == []
    assert list(SystemDay.objects.order_by("pk").values()) == right


# --- Laws ------------------------------------------------------------------------------------------------------------
@given(st.integers(0, 10**17))
def test_a_place_spans_a_tenth_of_its_numbers_at_most(number: int) -> None:
    place = place_of(number)
    assert place <= number <= place_end(place)
    assert number < 100 or (place_end(place) - place + 1) * 10 <= place
    assert place == number or number >= 100
    assert place_of(place_end(place)) == place
    assert place_of(place_end(place) + 1) == place_end(place) + 1


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(0, 10**17), min_size=1, max_size=30))
def test_the_database_knows_the_same_places(db: None, numbers: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {place_sql('n')} FROM unnest(%s::bigint[]) AS n", [numbers])
        assert [place for (place,) in cursor.fetchall()] == [place_of(number) for number in numbers]


ROLLS: list[Callable[[], Any]] = [roll_up, lambda: roll_up(sweep=1), lambda: roll_up(sweep=0)]
steps = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "charlie"]),
        st.sampled_from(["lessons", "flashcards"]),
        st.integers(1, 120) | st.just(10**14),
        st.timedeltas(timedelta(0), timedelta(days=40)),
    )
    | st.sampled_from(ROLLS),
    max_size=14,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(taken=steps)
def test_whatever_happens_in_whatever_order_the_roll_up_is_what_the_ledger_adds_up_to(
    study: Game, taken: list[Any]
) -> None:
    with transaction.atomic():
        at = NOON
        for step in taken:
            if isinstance(step, tuple):
                user, metric, value, later = step
                at += later
                study_at(at, user, value, metric)
            else:
                step()
                assert differences() == []
        roll_up()
        assert differences() == []
        sums: dict[date, list[int]] = {}
        for created, awarded in PointsAward.objects.values_list("created", "awarded"):
            of_day = sums.setdefault(created.date(), [0, 0])
            of_day[awarded < 0] += abs(awarded)
        assert {day: list(each) for day, each in day_sums(study).items()} == sums
        active = {(each.user_id, each.at.date()) for each in Event.objects.all()}
        assert dict(ActiveDay.objects.values_list("day", "users")) == Counter(day for _, day in active)
        transaction.set_rollback(True)
