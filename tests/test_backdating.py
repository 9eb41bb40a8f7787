"""Activating an achievement: who qualifies already gets it, quietly, once, however often the work is interrupted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from achievements.models import Achievement, Backdating, Completion
from achievements.services import (
    activate_achievement,
    create_achievement,
    lock_achievement,
    update_achievement,
)
from engine import backdate
from engine.inputs import CompleteInput, EventInput
from engine.pipeline import process
from engine.verify import verify
from points.models import PointsAward, PointsBalance
from tests.conftest import Game, make_game
from users.rules import UserChanges

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def study(user: str, value: int, at: datetime = NOON, *, plan: str | None = None, **attributes: str) -> None:
    changes = UserChanges(user) if plan is None else UserChanges(user, attributes={"plan": plan})
    process([EventInput(changes, "lessons", Decimal(value), attributes=attributes, at=at)])


def ten_lessons(game: Game, **fields: Any) -> Achievement:
    of_metric = {"metric": game.lessons, "metric_value": Decimal(10)}
    given: dict[str, Any] = {"name": "Ten lessons", "type": "metric", **of_metric}
    return create_achievement(**(given | fields))


def look_back() -> int:
    return backdate.look_back(clock=lambda: NOON)


def completed_by(achievement: Achievement) -> set[str]:
    return set(achievement.completions.values_list("user__external_id", flat=True))


def test_who_qualified_already_gets_it_with_its_points(game: Game) -> None:
    study("alice", 12)
    study("bob", 9)
    achievement = ten_lessons(game)
    game.trigger(points=50, type="achievement", achievement=achievement, metric=None, metric_threshold=None)
    activate_achievement(achievement=achievement)
    assert look_back() == 1
    assert completed_by(achievement) == {"alice"}
    award = PointsAward.objects.get()
    assert (award.awarded, award.cause, award.event, award.user.external_id) == (50, "achievement", None, "alice")
    assert Completion.objects.get().quiet
    assert Backdating.objects.get().finished is not None


def test_it_is_done_once_for_each_activation(game: Game) -> None:
    study("alice", 12)
    achievement = ten_lessons(game)
    activate_achievement(achievement=achievement)
    assert (look_back(), look_back()) == (1, 0)
    lock_achievement(achievement=achievement)
    study("bob", 12)
    activate_achievement(achievement=achievement)
    assert (look_back(), look_back()) == (1, 0)
    assert completed_by(achievement) == {"alice", "bob"}


def test_an_achievement_that_is_made_active_is_looked_back_for(game: Game) -> None:
    study("alice", 12)
    achievement = ten_lessons(game, status="active")
    assert look_back() == 1
    assert completed_by(achievement) == {"alice"}


def test_it_looks_at_the_users_attributes(game: Game) -> None:
    study("alice", 12, plan="pro")
    study("bob", 12, plan="free")
    achievement = ten_lessons(game, user_filters=[(game.plan, "pro")], status="active")
    look_back()
    assert completed_by(achievement) == {"alice"}


@pytest.mark.django_db(transaction=True)
def test_it_looks_at_events_that_nobody_counted_before() -> None:
    game = make_game()
    study("alice", 12, category="grammar")
    study("bob", 12, category="listening")
    achievement = ten_lessons(game, event_filters=[(game.category, "grammar")], status="active")
    look_back()
    assert completed_by(achievement) == {"alice"}
    assert all(finding.count == 0 for finding in verify())


def test_it_looks_at_streaks_that_still_run(game: Game) -> None:
    for day in range(3):
        study("alice", 1, NOON - timedelta(days=2 - day))
        study("bob", 1, NOON - timedelta(days=9 - day))
    achievement = create_achievement(name="Three days", type="streak", streak_length=3, status="active")
    look_back()
    assert completed_by(achievement) == {"alice"}


def test_a_composite_is_looked_back_for_and_completed_by_what_is(game: Game) -> None:
    study("alice", 12)
    study("bob", 12)
    first = ten_lessons(game)
    second = create_achievement(name="Onboarded", type="api", key="onboarded", status="active")
    process([CompleteInput(UserChanges("alice"), "onboarded", at=NOON)])
    both = create_achievement(name="Both", type="achievement", prerequisites=[first, second], status="active")
    assert look_back() == 0
    activate_achievement(achievement=first)
    look_back()
    assert completed_by(both) == {"alice"}
    later = create_achievement(name="Also both", type="achievement", prerequisites=[second, first], status="active")
    look_back()
    assert completed_by(later) == {"alice"}


def test_one_that_was_locked_meanwhile_is_given_to_nobody(game: Game) -> None:
    study("alice", 12)
    achievement = ten_lessons(game, status="active")
    lock_achievement(achievement=achievement)
    assert look_back() == 0
    assert Backdating.objects.get().finished is not None


# --- What an active one asks for changes -----------------------------------------------------------------------------
def test_an_active_one_that_asks_for_less_is_given_to_who_qualifies_by_now(game: Game) -> None:
    achievement = ten_lessons(game, metric_value=Decimal(40), status="active")
    game.trigger(points=50, type="achievement", achievement=achievement, metric=None, metric_threshold=None)
    study("alice", 25)
    assert look_back() == 0
    update_achievement(achievement=achievement, metric_value=Decimal(20))
    assert look_back() == 1
    assert completed_by(achievement) == {"alice"}
    assert (Completion.objects.get().quiet, PointsBalance.objects.get().total) == (True, 50)


def test_every_change_of_what_it_asks_for_is_looked_back_for_once(game: Game) -> None:
    study("alice", 12, plan="pro", category="grammar")
    study("bob", 12)
    achievement = ten_lessons(game, metric=game.flashcards, user_filters=[(game.plan, "free")], status="active")
    changes: list[tuple[dict[str, Any], int]] = [
        ({"metric": game.lessons}, 0),
        ({"user_filters": [(game.plan, "pro")], "event_filters": [(game.category, "listening")]}, 0),
        ({"event_filters": [(game.category, "grammar")]}, 1),
        ({"event_filters": []}, 0),
        ({"user_filters": []}, 1),
    ]
    assert look_back() == 0
    for number, (change, completions) in enumerate(changes, start=1):
        update_achievement(achievement=Achievement.objects.get(id=achievement.id), **change)
        assert (look_back(), look_back()) == (completions, 0), change
        assert Backdating.objects.count() == 1 + number
    assert completed_by(achievement) == {"alice", "bob"}


def test_a_change_by_any_road_is_looked_back_for(game: Game) -> None:
    study("alice", 12)
    achievement = ten_lessons(game, metric_value=Decimal(40), status="active")
    look_back()
    Achievement.objects.update(metric_value=Decimal(10))
    assert look_back() == 1
    assert completed_by(achievement) == {"alice"}


def test_changes_of_words_and_of_those_that_are_not_active_are_not_looked_back_for(game: Game) -> None:
    study("alice", 12)
    active, locked = ten_lessons(game, status="active"), ten_lessons(game, metric_value=Decimal(40), status="active")
    ten_lessons(game, metric_value=Decimal(40))
    look_back()
    update_achievement(achievement=active, name="10 lessons", description="Well done")
    lock_achievement(achievement=locked)
    Achievement.objects.exclude(id=active.id).update(metric_value=Decimal(10))
    assert look_back() == 0
    assert Backdating.objects.count() == 2


def test_events_that_were_on_their_way_come_first(game: Game) -> None:
    study("alice", 12)
    achievement = ten_lessons(game, status="active")
    activated = Backdating.objects.get().created
    assert backdate.look_back(clock=lambda: NOON, created_before=activated) == 0
    assert backdate.look_back(clock=lambda: NOON, created_before=activated + timedelta(seconds=1)) == 1
    assert completed_by(achievement) == {"alice"}


def test_what_does_not_fit_into_the_time_given_is_left_to_the_next_call(game: Game) -> None:
    study("alice", 12)
    ten_lessons(game, status="active")
    assert backdate.look_back(clock=lambda: NOON, seconds_max=-1) == 0
    assert look_back() == 1


class Crash(Exception):  # noqa: N818 - what happens, not what is wrong
    """The worker is killed."""


def crashing_clock(after: int) -> Iterator[datetime]:
    """Yield the time `after` times; then the worker is gone."""
    for _ in range(after):
        yield NOON
    raise Crash


@pytest.mark.parametrize("readings", [1, 3, 5])
def test_after_a_crash_it_goes_on_where_it_was(readings: int, game: Game) -> None:
    users = 2 * backdate.CHUNK + 5
    process([EventInput(UserChanges(f"user-{n}"), "lessons", Decimal(10), at=NOON) for n in range(users)])
    achievement = ten_lessons(game)
    game.trigger(points=5, type="achievement", achievement=achievement, metric=None, metric_threshold=None)
    activate_achievement(achievement=achievement)
    ticks = crashing_clock(readings)
    with pytest.raises((Crash, RuntimeError)):
        backdate.look_back(clock=lambda: next(ticks))
    done_before_crash = Completion.objects.count()
    assert done_before_crash < users
    assert look_back() == users - done_before_crash
    assert Completion.objects.count() == users
    assert set(PointsBalance.objects.values_list("total", "seq")) == {(5, 1)}
    assert Backdating.objects.get().completed == users


@pytest.mark.django_db(transaction=True)
def test_many_workers_and_live_events_complete_it_once() -> None:
    game = make_game()
    users = [f"user-{n}" for n in range(60)]
    process([EventInput(UserChanges(user), "lessons", Decimal(10), at=NOON) for user in users])
    achievement = ten_lessons(game)
    game.trigger(points=5, type="achievement", achievement=achievement, metric=None, metric_threshold=None)
    activate_achievement(achievement=achievement)

    def work(number: int) -> None:
        try:
            if number % 2:
                look_back()
            else:
                process([EventInput(UserChanges(users[number]), "lessons", Decimal(1), at=NOON)])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    look_back()
    assert completed_by(achievement) == set(users)
    assert set(PointsBalance.objects.values_list("total", "seq")) == {(5, 1)}
    assert all(finding.count == 0 for finding in verify())
