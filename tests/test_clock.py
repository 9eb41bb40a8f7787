"""What happens without any event: streaks that nobody extended end, boosts begin and end, each exactly once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from boosts.models import Boost
from boosts.services import create_boost, finish_boosts, update_boost
from core.services import archive, create_checked
from engine import clock
from engine.inputs import EventInput
from engine.pipeline import process
from streaks.models import Streak, StreakPeriod
from tests.conftest import Game
from users.rules import UserChanges
from webhooks.models import Endpoint, OutboxMessage

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def study(user: str, at: datetime, tz: str | None = None) -> None:
    process([EventInput(UserChanges(user, tz=tz), "lessons", Decimal(1), at=at)])


def lengths() -> dict[str, int]:
    return dict(Streak.objects.values_list("user__external_id", "length"))


# --- Streaks ---------------------------------------------------------------------------------------------------------
def test_a_streak_ends_after_its_last_day_to_be_extended(game: Game) -> None:
    study("alice", NOON)
    assert clock.end_expired_streaks(NOON + DAY) == 0
    assert lengths() == {"alice": 1}
    assert clock.end_expired_streaks(NOON + 2 * DAY) == 1
    assert lengths() == {"alice": 0}
    assert clock.end_expired_streaks(NOON + 2 * DAY) == 0
    assert StreakPeriod.objects.count() == 1


def test_a_streak_ends_by_the_users_own_calendar(game: Game) -> None:
    study("alice", NOON, "Pacific/Kiritimati")
    study("bob", NOON, "Pacific/Pago_Pago")
    # On the 11th of March in Kiritimati it is the 10th in Pago Pago: a day later in the one, two in the other.
    midnight_in_kiritimati = datetime(2026, 3, 12, 10, tzinfo=UTC)
    clock.end_expired_streaks(midnight_in_kiritimati - timedelta(seconds=1))
    assert lengths() == {"alice": 1, "bob": 1}
    clock.end_expired_streaks(midnight_in_kiritimati)
    assert lengths() == {"alice": 0, "bob": 1}
    midnight_in_pago_pago = datetime(2026, 3, 12, 11, tzinfo=UTC)
    clock.end_expired_streaks(midnight_in_pago_pago - timedelta(seconds=1))
    assert lengths() == {"alice": 0, "bob": 1}
    clock.end_expired_streaks(midnight_in_pago_pago)
    assert lengths() == {"alice": 0, "bob": 0}


def test_it_makes_no_difference_whether_the_clock_or_the_next_event_ends_a_streak(game: Game) -> None:
    for user in ("alice", "bob"):
        study(user, NOON)
    process([EventInput(UserChanges("alice"), "lessons", Decimal(1), at=NOON + 5 * DAY)])
    clock.end_expired_streaks(NOON + 5 * DAY)
    process([EventInput(UserChanges("bob"), "lessons", Decimal(1), at=NOON + 5 * DAY)])
    alice, bob = (
        Streak.objects.filter(user__external_id=user).values("length", "started", "period", "extended").get()
        for user in ("alice", "bob")
    )
    assert alice == bob
    assert alice["length"] == 1


def test_more_streaks_than_one_step_takes_all_end(game: Game) -> None:
    users = clock.CHUNK + 3
    process([EventInput(UserChanges(f"user-{n}"), "lessons", Decimal(1), at=NOON) for n in range(users)])
    assert clock.end_expired_streaks(NOON + 2 * DAY) == users
    assert set(lengths().values()) == {0}


def test_what_does_not_fit_into_the_time_given_is_left_to_the_next_call(game: Game) -> None:
    study("alice", NOON)
    assert clock.end_expired_streaks(NOON + 5 * DAY, seconds_max=-1) == 0
    assert lengths() == {"alice": 1}
    assert clock.end_expired_streaks(NOON + 5 * DAY) == 1


# --- Boosts ----------------------------------------------------------------------------------------------------------
def boost(game: Game, **fields: Any) -> Boost:
    given: dict[str, Any] = {"system": game.xp, "name": "Double", "multiplier": Decimal(2), "status": "active"}
    return create_boost(**(given | {"start": date(2026, 3, 10), "end": date(2026, 3, 11)} | fields))


def test_the_start_and_the_end_of_a_boost_are_marked_once_each(game: Game) -> None:
    id_ = str(boost(game).id)
    first_moment_on_earth = datetime(2026, 3, 9, 10, tzinfo=UTC)
    assert clock.mark_boosts(first_moment_on_earth - timedelta(seconds=1)) == ([], [])
    assert clock.mark_boosts(first_moment_on_earth) == ([id_], [])
    assert clock.mark_boosts(first_moment_on_earth) == ([], [])
    last_moment_on_earth = datetime(2026, 3, 12, 12, tzinfo=UTC)
    assert clock.mark_boosts(last_moment_on_earth - timedelta(seconds=1)) == ([], [])
    assert clock.mark_boosts(last_moment_on_earth) == ([], [id_])
    assert clock.mark_boosts(last_moment_on_earth) == ([], [])


def test_one_users_boost_begins_and_ends_by_that_users_zone(game: Game) -> None:
    study("alice", NOON, "Asia/Kolkata")
    id_ = str(boost(game, external_id="alice").id)
    midnight_in_india = datetime(2026, 3, 9, 18, 30, tzinfo=UTC)
    assert clock.mark_boosts(midnight_in_india - timedelta(seconds=1)) == ([], [])
    assert clock.mark_boosts(midnight_in_india) == ([id_], [])
    assert clock.mark_boosts(midnight_in_india + 2 * DAY - timedelta(seconds=1)) == ([], [])
    assert clock.mark_boosts(midnight_in_india + 2 * DAY) == ([], [id_])


def test_the_boost_of_a_user_not_seen_yet_goes_by_utc(game: Game) -> None:
    id_ = str(boost(game, external_id="nobody-yet").id)
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    assert clock.mark_boosts(midnight - timedelta(seconds=1)) == ([], [])
    assert clock.mark_boosts(midnight) == ([id_], [])


def test_a_boost_that_was_stopped_is_marked_as_over(game: Game) -> None:
    id_ = str(boost(game, start=date(2020, 1, 1), end=None).id)
    now = datetime.now(UTC)
    assert clock.mark_boosts(now) == ([id_], [])
    finish_boosts(boosts=Boost.objects.all())
    assert clock.mark_boosts(datetime.now(UTC)) == ([], [id_])


def test_a_boost_that_was_stopped_before_its_first_day_never_began(game: Game) -> None:
    create_checked(Endpoint, url="https://example.com/hook", types=["points.boost_started", "points.boost_finished"])
    id_ = str(boost(game, start=date(2100, 1, 1), end=None).id)
    finish_boosts(boosts=Boost.objects.all())
    assert clock.mark_boosts(datetime.now(UTC)) == ([], [id_])
    assert clock.mark_boosts(datetime(2100, 1, 2, tzinfo=UTC)) == ([], [])
    assert not OutboxMessage.objects.exists()


def test_a_boost_that_is_moved_to_later_begins_again(game: Game) -> None:
    id_ = str(boost(game, start=date(2020, 1, 1), end=None).id)
    assert clock.mark_boosts(datetime.now(UTC)) == ([id_], [])
    update_boost(boost=Boost.objects.get(), start=date(2100, 1, 1))
    assert clock.mark_boosts(datetime.now(UTC)) == ([], [])
    assert clock.mark_boosts(datetime(2100, 1, 1, tzinfo=UTC)) == ([id_], [])


def test_the_boosts_of_an_archived_system_are_not_marked(game: Game) -> None:
    boost(game)
    archive(row=game.xp)
    assert clock.mark_boosts(NOON) == ([], [])


def test_more_boosts_than_one_step_takes_are_all_marked(game: Game) -> None:
    given = {"system": game.xp, "multiplier": 2, "start": date(2026, 3, 10), "status": "active", "activated": NOON}
    Boost.objects.bulk_create(Boost(name=str(n), **given) for n in range(clock.CHUNK + 3))
    started, _ = clock.mark_boosts(NOON)
    assert len(set(started)) == len(started) == clock.CHUNK + 3


def test_an_inactive_boost_is_not_marked(game: Game) -> None:
    boost(game, status="inactive")
    assert clock.mark_boosts(NOON) == ([], [])


@pytest.mark.django_db(transaction=True)
def test_many_workers_mark_a_boost_once() -> None:
    from tests.conftest import make_game

    id_ = str(boost(make_game()).id)

    def mark(_: int) -> tuple[list[str], list[str]]:
        try:
            return clock.mark_boosts(NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        marks = list(pool.map(mark, range(8)))
    assert [started for started, _ in marks if started] == [[id_]]
