"""Time triggers: everyone is paid when it is due, exactly once, whatever happens meanwhile."""

import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from boosts.models import Boost
from boosts.services import create_boost, finish_boosts
from core.models import Delta
from core.services import archive, restore, update_checked
from engine.inputs import EventInput, IdentifyInput
from engine.pipeline import process
from engine.tick import CHUNK_FIRST, CHUNK_MAX, CHUNK_MIN, CHUNK_S_AIM, next_size, pay_due_ticks
from engine.verify import verify
from points.admin import next_due
from points.models import PointsAward, PointsBalance, PointsDay, PointsSystem, PointsTrigger, TimeTick
from points.services import activate_triggers, deactivate_triggers, update_trigger
from tests.conftest import Game, make_game
from tests.processes import WAIT_S_MAX, somebody_waits, until, worker_environment
from users.models import EndUser
from users.rules import UNSET, UserChanges

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def every(
    game: Game, points: int = 10, *, interval: int = 1, unit: str = "hour", started: datetime = NOON, **fields: Any
) -> PointsTrigger:
    """Add an active time trigger in XP that counts from `started`."""
    no_metric: dict[str, Any] = {"metric": None, "metric_threshold": None}
    clock = {"type": "time", "time_unit": unit, "time_interval": interval}
    return count_from(started, game.trigger(points, **(no_metric | clock | fields)))


def count_from(started: datetime, trigger: PointsTrigger) -> PointsTrigger:
    """Make the trigger count from `started`, and not from when the test ran."""
    PointsTrigger.objects.filter(id=trigger.id).update(time_started=started)
    trigger.refresh_from_db()
    return trigger


def arrive(user: str, at: datetime = NOON - HOUR, *, tz: str | None = None, plan: str | None = None) -> None:
    process([IdentifyInput(UserChanges(user, tz=tz, attributes=UNSET if plan is None else {"plan": plan}), at=at)])


def crowd(users: int) -> list[str]:
    """Add that many users and return their ids in the order in which they are paid."""
    ids = [f"user-{number:05}" for number in range(users)]
    EndUser.objects.bulk_create(EndUser(external_id=each, created=NOON - HOUR, updated=NOON - HOUR) for each in ids)
    Delta.objects.create(kind="user", users=users)
    return ids


def pay(now: datetime) -> int:
    return pay_due_ticks(now, clock=lambda: now)


def paid() -> dict[str, list[int]]:
    """Return what each user was awarded, line by line."""
    lines: dict[str, list[int]] = {}
    for user, awarded in PointsAward.objects.order_by("seq").values_list("user__external_id", "awarded"):
        lines.setdefault(user, []).append(awarded)
    return lines


def dues() -> list[tuple[datetime, int]]:
    """Return the ticks by due instant, each with how many users matched."""
    return list(TimeTick.objects.order_by("due", "id").values_list("due", "users"))


# --- When it is due, and who is paid ---------------------------------------------------------------------------------
def test_it_pays_whenever_its_interval_has_passed_again(game: Game) -> None:
    arrive("alice")
    every(game, 10, interval=3)
    assert pay(NOON) == 0
    assert pay(NOON + 3 * HOUR - SECOND) == 0
    assert not TimeTick.objects.exists()
    assert pay(NOON + 3 * HOUR) == 1
    assert pay(NOON + 3 * HOUR) == 0
    assert pay(NOON + 6 * HOUR - SECOND) == 0
    assert pay(NOON + 6 * HOUR + SECOND) == 1
    assert paid() == {"alice": [10, 10]}
    assert dues() == [(NOON + 3 * HOUR, 1), (NOON + 6 * HOUR, 1)]


def test_a_day_is_24_hours(game: Game) -> None:
    arrive("alice")
    every(game, unit="day", interval=2)
    assert pay(NOON + 48 * HOUR - SECOND) == 0
    assert pay(NOON + 48 * HOUR) == 1


def test_a_trigger_that_is_not_active_or_whose_system_is_archived_is_not_due(game: Game) -> None:
    arrive("alice")
    every(game, status="inactive")
    archive(row=every(game))
    every(game, system=game.energy)
    game.energy.status = "archived"
    game.energy.save(update_fields=["status"])
    game.trigger(1)
    assert pay(NOON + 5 * HOUR) == 0
    assert not TimeTick.objects.exists()


def test_it_pays_who_was_created_before_it_was_due(game: Game) -> None:
    due = NOON + HOUR
    arrive("alice", due - timedelta(microseconds=1))
    arrive("bob", due)
    every(game)
    assert pay(due + SECOND) == 1
    assert paid() == {"alice": [10]}


def test_it_pays_whose_attributes_match_now(game: Game) -> None:
    for user, plan in (("alice", "pro"), ("bob", "free"), ("charlie", None)):
        arrive(user, plan=plan)
    every(game, user_filters=[(game.plan, "pro")])
    arrive("bob", NOON + HOUR + SECOND, plan="pro")
    arrive("alice", NOON + HOUR + SECOND, plan="free")
    assert pay(NOON + HOUR + 2 * SECOND) == 1
    assert paid() == {"bob": [10]}
    assert dues() == [(NOON + HOUR, 1)]


def test_without_users_a_tick_is_used_up_all_the_same(game: Game) -> None:
    every(game)
    assert pay(NOON + HOUR) == 0
    arrive("alice")
    assert pay(NOON + HOUR) == 0
    assert TimeTick.objects.get().finished is not None


# --- What is paid ----------------------------------------------------------------------------------------------------
def boost(game: Game, multiplier: str = "2", **fields: Any) -> Boost:
    """Add a boost that has been active since long ago."""
    given: dict[str, Any] = {"system": game.xp, "name": "Boost", "start": date(2026, 1, 1), "status": "active"}
    made = create_boost(multiplier=Decimal(multiplier), **(given | fields))
    Boost.objects.filter(id=made.id).update(activated=NOON - 24 * HOUR)
    return made


def test_an_award_is_a_line_of_the_ledger_like_any_other(game: Game) -> None:
    process([EventInput(UserChanges("alice"), "lessons", Decimal(1), at=NOON - HOUR)])
    arrive("bob")
    earlier = game.trigger(5)
    process([EventInput(UserChanges("alice"), "lessons", Decimal(1), at=NOON)])
    trigger = every(game, 10)
    paid_at = NOON + HOUR + 7 * SECOND
    assert pay(paid_at) == 2
    first, second, third = PointsAward.objects.order_by("user__external_id", "seq")
    assert (first.trigger, first.total) == (earlier, 5)
    assert (second.user.external_id, second.seq, second.awarded, second.total) == ("alice", 2, 10, 15)
    assert (third.user.external_id, third.seq, third.awarded, third.total) == ("bob", 1, 10, 10)
    for award in (second, third):
        assert (award.trigger, award.event, award.cause, award.boosts) == (trigger, None, "time", [])
        assert award.created == paid_at
    assert set(PointsBalance.objects.values_list("user__external_id", "total", "seq")) == {
        ("alice", 15, 2),
        ("bob", 10, 1),
    }


def test_its_ids_are_uuids_of_version_7_in_the_order_of_payment(game: Game) -> None:
    crowd(50)
    every(game)
    for hour in (1, 2):
        pay(NOON + hour * HOUR)
    ids = list(PointsAward.objects.order_by("seq", "user__external_id").values_list("id", flat=True))
    assert ids == sorted(ids)
    assert {(each.version, each.variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert {each.int >> 80 for each in ids} == {int((NOON + hour * HOUR).timestamp() * 1000) for hour in (1, 2)}


def test_awards_are_boosted_by_all_boosts_that_count_for_the_user(game: Game) -> None:
    for user, plan in (("alice", "pro"), ("bob", "free"), ("charlie", "pro")):
        arrive(user, plan=plan)
    boost(game, "1.5")
    boost(game, "3", user_filters=[(game.plan, "pro")])
    boost(game, "10", external_id="charlie")
    boost(game, "7", external_id="somebody")
    boost(game, "7", system=game.energy)
    boost(game, "7", system=game.energy, external_id="charlie")
    boost(game, "7", status="inactive")
    every(game, 10)
    pay(NOON + HOUR)
    assert paid() == {"alice": [45], "bob": [15], "charlie": [450]}


def test_the_exact_product_is_rounded_once_by_the_strictest_rounding(game: Game) -> None:
    arrive("alice", plan="pro")
    arrive("bob")
    boost(game, "1.0001", rounding="up")
    boost(game, "1.4999", rounding="nearest", user_filters=[(game.plan, "pro")])
    every(game, 1)
    pay(NOON + HOUR)
    # 1.0001 x 1.4999 = 1.50004999: rounded one by one it would be 2 x 1.4999, and so 3.
    assert paid() == {"alice": [2], "bob": [2]}


@pytest.mark.parametrize(("rounding", "awarded"), [("down", 2), ("nearest", 3), ("up", 3)])
def test_halves_are_rounded_up_to_the_nearest(rounding: str, awarded: int, game: Game) -> None:
    arrive("alice")
    boost(game, "2.5", rounding=rounding)
    every(game, 1)
    pay(NOON + HOUR)
    assert paid() == {"alice": [awarded]}


def test_its_boosts_are_kept_as_the_pipeline_keeps_them(game: Game) -> None:
    at = timezone.now().replace(microsecond=0) + HOUR
    boost(game, "1.5", name="«Half» as \\much", user_filters=[(game.plan, "pro")])
    boost(game, "2", end=date(9999, 12, 31), rounding="up")
    boost(game, "3", external_id="alice")
    boost(game, "4", external_id="alice")
    game.trigger(10)
    every(game, 10, started=at - HOUR)
    user = UserChanges("alice", attributes={"plan": "pro"})
    process([EventInput(user, "lessons", Decimal(1), at=at - SECOND)])
    assert pay(at) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT awarded, boosts::text FROM points_pointsaward ORDER BY seq")
        by_event, by_tick = cursor.fetchall()
    assert by_tick == by_event
    assert by_tick[0] == 10 * 36


def test_boosts_count_by_the_users_own_date_when_it_was_due(game: Game) -> None:
    for user, tz in (("alice", "Pacific/Kiritimati"), ("bob", None), ("charlie", "Pacific/Pago_Pago")):
        arrive(user, NOON - 5 * HOUR, tz=tz)
    # At 10:00 of the 10th in UTC it is 00:00 of the 11th in Kiritimati, and 23:00 of the 9th in Pago Pago.
    boost(game, "2", start=date(2026, 3, 11))
    boost(game, "3", start=date(2026, 3, 10), end=date(2026, 3, 10))
    boost(game, "5", end=date(2026, 3, 9))
    every(game, 10, interval=2, started=NOON - 4 * HOUR)
    pay(NOON - 2 * HOUR)
    assert paid() == {"alice": [20], "bob": [30], "charlie": [50]}
    pay(NOON)
    assert paid() == {"alice": [20, 20], "bob": [30, 30], "charlie": [50, 30]}


def test_one_users_boost_counts_by_that_users_date(game: Game) -> None:
    arrive("alice", tz="Pacific/Kiritimati")
    arrive("bob")
    for user in ("alice", "bob"):
        boost(game, "2", start=date(2026, 3, 11), external_id=user)
    every(game, 10)
    pay(NOON + HOUR)
    assert paid() == {"alice": [20], "bob": [10]}


def test_a_boost_counts_from_its_activation_until_it_was_stopped_even_if_that_is_known_only_now(game: Game) -> None:
    arrive("alice")
    every(game, 10)
    due = NOON + HOUR
    for multiplier, activated, finished in (
        ("2", due, None),
        ("3", due - SECOND, due + SECOND),
        ("7", due + SECOND, None),
        ("11", due - SECOND, due),
    ):
        for owner in (None, "alice"):
            made = boost(game, multiplier, external_id=owner)
            Boost.objects.filter(id=made.id).update(activated=activated, finished=finished)
    pay(due + 2 * SECOND)
    assert paid() == {"alice": [10 * 2 * 3 * 2 * 3]}


def test_a_boost_that_is_stopped_now_counted_when_it_was_due(game: Game) -> None:
    arrive("alice")
    every(game, 10)
    boost(game, "2")
    finish_boosts(boosts=Boost.objects.all())
    pay(NOON + HOUR)
    assert paid() == {"alice": [20]}


def test_deductions_are_not_boosted_and_stop_at_zero(game: Game) -> None:
    game.creation_trigger(15)
    arrive("alice")
    boost(game, "2")
    every(game, -10)
    assert [pay(NOON + n * HOUR) for n in (1, 2, 3)] == [1, 1, 0]
    assert paid() == {"alice": [15, -10, -5]}
    assert dues() == [(NOON + n * HOUR, 1) for n in (1, 2, 3)]


def test_who_never_had_points_is_not_given_a_balance_by_a_deduction(game: Game) -> None:
    arrive("alice")
    every(game, -10)
    assert pay(NOON + HOUR) == 0
    assert not PointsBalance.objects.exists()
    assert not PointsDay.objects.exists()
    assert not Delta.objects.filter(kind="balance").exists()


def test_awards_stop_at_the_systems_maximum_and_take_nothing_from_who_is_above_it(game: Game) -> None:
    arrive("alice")
    every(game, 7, system=game.energy)
    assert [pay(NOON + n * HOUR) for n in (1, 2, 3)] == [1, 1, 0]
    assert paid() == {"alice": [7, 3]}
    update_checked(game.energy, max_points=5)
    assert pay(NOON + 4 * HOUR) == 0
    update_checked(game.energy, max_points=11)
    # The ticks that paid nothing are used up: raising the maximum brings none of them back.
    assert pay(NOON + 4 * HOUR) == 0
    assert pay(NOON + 5 * HOUR) == 1
    assert paid() == {"alice": [7, 3, 1]}


def test_what_moved_is_added_to_the_day_where_the_user_is_when_it_is_paid(game: Game) -> None:
    game.creation_trigger(1)
    arrive("alice", tz="Pacific/Kiritimati")
    arrive("bob")
    every(game, 10)
    boost(game, "2", end=date(2026, 3, 10))
    paid_at = NOON + 13 * HOUR
    assert pay(paid_at) == 26
    days = PointsDay.objects.order_by("user__external_id", "day").values_list("user__external_id", "day", "change")
    assert list(days) == [
        ("alice", date(2026, 3, 11), 1 + 13 * 10),
        ("bob", date(2026, 3, 10), 1),
        ("bob", date(2026, 3, 11), 11 * 20 + 2 * 10),
    ]


def test_whoever_keeps_counts_is_told_from_where_to_where_how_many_went(game: Game) -> None:
    crowd(3)
    process([EventInput(UserChanges("user-00000"), "lessons", Decimal(1), at=NOON)])
    game.trigger(5)
    process([EventInput(UserChanges("user-00000"), "lessons", Decimal(1), at=NOON)])
    Delta.objects.all().delete()
    every(game, 10)
    pay(NOON + HOUR)
    moves = Delta.objects.order_by("after").values_list("kind", "subject", "before", "after", "users")
    assert list(moves) == [("balance", game.xp.id, None, 10, 2), ("balance", game.xp.id, 5, 15, 1)]


# --- In which order --------------------------------------------------------------------------------------------------
def test_after_downtime_the_newest_ticks_are_paid_oldest_first(game: Game) -> None:
    arrive("alice")
    arrive("bob", NOON + 99 * HOUR)
    every(game, 10)
    boost(game, "2", end=date(2026, 3, 13))
    newest = settings.TIME_TRIGGER_CATCHUP
    assert pay(NOON + 100 * HOUR) == newest + 1
    # From the 77th hour, 17:00 of the 13th: 7 hours are left of the boost's last day.
    assert paid() == {"alice": [20] * 7 + [10] * (newest - 7), "bob": [10]}
    assert dues()[0] == (NOON + (101 - newest) * HOUR, 1)
    assert pay(NOON + 100 * HOUR) == 0


def test_ticks_that_were_due_but_not_begun_before_another_downtime_are_never_paid(game: Game) -> None:
    arrive("alice")
    trigger = every(game)
    TimeTick.objects.create(trigger=trigger, due=NOON + HOUR)
    TimeTick.objects.create(trigger=trigger, due=NOON + 90 * HOUR)
    assert pay(NOON + 100 * HOUR) == settings.TIME_TRIGGER_CATCHUP
    assert dues()[0] == (NOON + HOUR, 0)
    assert not TimeTick.objects.filter(finished=None).exists()


def test_a_tick_that_has_begun_is_finished_however_old_it_is(game: Game) -> None:
    crowd(2)
    trigger = every(game)
    TimeTick.objects.create(trigger=trigger, due=NOON + HOUR, last_user="user-00000", users=1)
    pay(NOON + 100 * HOUR)
    newest = settings.TIME_TRIGGER_CATCHUP
    assert paid() == {"user-00000": [10] * newest, "user-00001": [10] * (newest + 1)}
    assert dues()[0] == (NOON + HOUR, 2)


def test_triggers_due_at_the_same_instant_pay_in_the_order_of_their_creation(game: Game) -> None:
    arrive("alice")
    # Each of them at 12 and a maximum of 10 would leave another balance in any other order.
    for points in (8, -5, 7, -1):
        every(game, points, system=game.energy)
    pay(NOON + 2 * HOUR)
    assert paid() == {"alice": [8, -5, 7, -1, 1, -5, 5, -1]}


def test_triggers_created_at_the_same_instant_pay_in_the_order_of_their_ids(game: Game) -> None:
    arrive("alice")
    triggers = [every(game, points) for points in (1, 2, 3)]
    PointsTrigger.objects.update(created=NOON)
    pay(NOON + HOUR)
    by_id = sorted(triggers, key=lambda trigger: trigger.id)
    assert paid() == {"alice": [trigger.points for trigger in by_id]}


# --- What changes while a tick is under way --------------------------------------------------------------------------
def pay_then_crash(now: datetime, chunks: int) -> None:
    """Pay that many chunks; in the middle of the next the worker is gone."""
    readings: Iterator[datetime] = iter([now] * chunks)
    with pytest.raises(StopIteration):
        pay_due_ticks(now, clock=lambda: next(readings))


@pytest.fixture
def half_paid(game: Game) -> PointsTrigger:
    """A trigger whose first tick has paid the first CHUNK_FIRST of CHUNK_FIRST + 10 users."""
    crowd(CHUNK_FIRST + 10)
    trigger = every(game, 10)
    pay_then_crash(NOON + HOUR, chunks=1)
    assert PointsAward.objects.count() == CHUNK_FIRST
    return trigger


def test_a_tick_goes_on_with_a_trigger_that_was_edited_as_it_is_now(half_paid: PointsTrigger) -> None:
    update_trigger(trigger=half_paid, points=3)
    assert pay(NOON + HOUR) == 10
    assert sum(PointsAward.objects.values_list("awarded", flat=True)) == 10 * CHUNK_FIRST + 3 * 10


def test_a_tick_stops_where_its_trigger_is_switched_off(half_paid: PointsTrigger) -> None:
    deactivate_triggers(triggers=PointsTrigger.objects.all())
    assert pay(NOON + HOUR) == 0
    assert TimeTick.objects.get().finished == NOON + HOUR
    activate_triggers(triggers=PointsTrigger.objects.all())
    assert pay(NOON + HOUR) == 0
    assert PointsAward.objects.count() == CHUNK_FIRST


def test_a_tick_stops_where_its_trigger_or_its_system_is_archived(half_paid: PointsTrigger, game: Game) -> None:
    with transaction.atomic():
        archive(row=half_paid)
        assert pay(NOON + HOUR) == 0
        transaction.set_rollback(True)
    game.xp.status = "archived"
    game.xp.save(update_fields=["status"])
    assert pay(NOON + HOUR) == 0
    assert TimeTick.objects.get().finished is not None


def test_a_new_interval_counts_anew_and_ends_what_was_due_by_the_old(half_paid: PointsTrigger) -> None:
    update_trigger(trigger=half_paid, time_interval=2)
    count_from(NOON + HOUR + SECOND, half_paid)
    assert pay(NOON + 3 * HOUR) == 0
    assert TimeTick.objects.get().finished is not None
    assert pay(NOON + 3 * HOUR + SECOND) == CHUNK_FIRST + 10
    assert dues()[1][0] == NOON + 3 * HOUR + SECOND


def test_activation_counts_anew(game: Game) -> None:
    arrive("alice")
    trigger = every(game)
    deactivate_triggers(triggers=PointsTrigger.objects.all())
    assert pay(NOON + 5 * HOUR) == 0
    activate_triggers(triggers=PointsTrigger.objects.all())
    count_from(NOON + 5 * HOUR + SECOND, trigger)
    assert pay(NOON + 6 * HOUR) == 0
    assert pay(NOON + 6 * HOUR + SECOND) == 1


def test_a_restored_system_counts_anew_and_pays_nothing_for_the_time_in_the_archive(game: Game) -> None:
    trigger = every(game)
    arrive("alice")
    archive(row=game.xp)
    with time_machine.travel(NOON + 30 * 24 * HOUR + HOUR / 2, tick=False):
        restore(row=PointsSystem.objects.get(id=game.xp.id))
    month_later = NOON + 30 * 24 * HOUR
    assert pay(month_later + HOUR) == 0
    assert pay(month_later + HOUR * 3 / 2) == 1
    assert paid() == {"alice": [10]}
    assert dues() == [(month_later + HOUR * 3 / 2, 1)]
    assert trigger.time_started == NOON


def test_what_the_admin_says_of_the_next_payment_is_when_it_is_made_also_after_the_archive(game: Game) -> None:
    trigger = every(game)
    assert next_due(trigger, NOON + HOUR / 2) == NOON + HOUR
    archive(row=game.xp)
    later = NOON + 30 * HOUR + HOUR / 3
    assert next_due(PointsTrigger.objects.get(), later) is None
    with time_machine.travel(later, tick=False):
        restore(row=PointsSystem.objects.get(id=game.xp.id))
    due = next_due(PointsTrigger.objects.get(), later + HOUR / 2)
    assert due == later + HOUR
    pay(due)
    assert dues() == [(due, 0)]


def test_a_tick_that_is_dropped_does_not_hold_up_those_after_it(game: Game) -> None:
    arrive("alice")
    every(game, 1)
    every(game, 2)
    TimeTick.objects.create(trigger=every(game, 3, status="inactive"), due=NOON + HOUR)
    assert pay(NOON + HOUR) == 2
    assert paid() == {"alice": [1, 2]}


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_after_a_crash_it_goes_on_where_it_was(chunks: int, game: Game) -> None:
    users = crowd(4 * CHUNK_FIRST)
    every(game)
    pay_then_crash(NOON + HOUR, chunks)
    before = PointsAward.objects.count()
    assert before < len(users)
    assert (before > 0) == (chunks > 0)
    assert pay(NOON + HOUR) == len(users) - before
    assert set(PointsBalance.objects.values_list("total", "seq")) == {(10, 1)}
    assert PointsBalance.objects.count() == len(users)
    assert dues() == [(NOON + HOUR, len(users))]


# --- How large the chunks are ----------------------------------------------------------------------------------------
def test_the_size_of_chunks_aims_at_the_time_that_they_may_take() -> None:
    assert next_size(1000, CHUNK_S_AIM) == 1000
    assert next_size(1000, 0.8 * CHUNK_S_AIM) == 1250
    assert next_size(1000, 1.25 * CHUNK_S_AIM) == 800


def test_the_size_of_chunks_changes_at_most_twofold_and_has_bounds() -> None:
    assert next_size(1000, 0.0) == 2000
    assert next_size(1000, 60.0) == 500
    assert next_size(CHUNK_MAX, 0.0) == CHUNK_MAX
    assert next_size(CHUNK_MIN, 60.0) == CHUNK_MIN


def test_few_statements_pay_many_users(game: Game, django_assert_max_num_queries: Any) -> None:
    crowd(CHUNK_FIRST - 1)
    every(game)
    # The plan; savepoint, claim, window, lock, which messages are wanted, payment, release; the look for another tick.
    with django_assert_max_num_queries(11):
        assert pay(NOON + HOUR) == CHUNK_FIRST - 1
    # By now it is known which messages are wanted.
    with django_assert_max_num_queries(10):
        assert pay(NOON + 2 * HOUR) == CHUNK_FIRST - 1


# --- Many workers, and live events -----------------------------------------------------------------------------------
def on_its_own_connection(do: Callable[[], Any]) -> Any:
    try:
        return do()
    finally:
        connection.close()


def in_parallel(jobs: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(on_its_own_connection, jobs))


def assert_verified() -> None:
    assert [finding.differences for finding in verify() if finding.count] == []


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_pay_each_user_once() -> None:
    game = make_game()
    users = crowd(3 * CHUNK_FIRST)
    boost(game, "1.5")
    for points in (10, -4, 7):
        every(game, points)
    every(game, 6, system=game.energy)
    jobs: list[Callable[[], int]] = [lambda: pay(NOON + 2 * HOUR)] * 6
    # A worker gives up when the others have all that can move on: then the next call, ten seconds later, goes on.
    assert sum(in_parallel(jobs)) + pay(NOON + 2 * HOUR) == 8 * len(users)
    expected = {(game.xp.id, 6, 42), (game.energy.id, 2, 10)}
    assert set(PointsBalance.objects.values_list("system_id", "seq", "total")) == expected
    assert set(TimeTick.objects.values_list("users", flat=True)) == {len(users)}
    lines = {tuple(amounts) for amounts in paid_in(game.xp.id).values()}
    assert lines == {(15, -4, 10, 15, -4, 10)}
    assert_verified()


def paid_in(system_id: Any) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    rows = PointsAward.objects.filter(system_id=system_id).order_by("seq")
    for user, awarded in rows.values_list("user__external_id", "awarded"):
        lines.setdefault(user, []).append(awarded)
    return lines


@pytest.mark.django_db(transaction=True)
def test_a_later_tick_does_not_overtake_one_that_another_worker_has_in_hand() -> None:
    game = make_game()
    users = crowd(CHUNK_FIRST + 10)
    first, second = every(game, 1), every(game, 2)
    elsewhere = every(game, 3, system=game.energy)
    pay_then_crash(NOON + HOUR, chunks=1)
    with transaction.atomic():
        TimeTick.objects.select_for_update().get(trigger=first)
        with ThreadPoolExecutor(1) as threads:
            other = threads.submit(on_its_own_connection, lambda: pay(NOON + 2 * HOUR))
            assert other.result() == 3 * CHUNK_FIRST + 2 * len(users)
    place, end = users[CHUNK_FIRST - 1], users[-1]
    places = TimeTick.objects.values_list("trigger", "due", "last_user")
    assert {(trigger, due): last for trigger, due, last in places} == {
        (trigger.id, due): end if trigger == elsewhere else place
        for trigger in (first, second, elsewhere)
        for due in (NOON + HOUR, NOON + 2 * HOUR)
    }
    pay(NOON + 2 * HOUR)
    assert {tuple(amounts) for amounts in paid_in(game.xp.id).values()} == {(1, 2, 1, 2)}
    assert_verified()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_leaves_a_tick_that_another_finishes() -> None:
    game = make_game()
    users = crowd(4 * CHUNK_FIRST)
    every(game)
    done = subprocess.run([sys.executable, "-c", KILLED_WORKER], env=worker_environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    before = PointsAward.objects.count()
    assert 0 < before < len(users)
    assert pay(NOON + HOUR) == len(users) - before
    assert set(PointsBalance.objects.values_list("total", "seq")) == {(10, 1)}
    assert_verified()


KILLED_WORKER = """
import os, signal, django
from datetime import UTC, datetime
django.setup()
from engine.tick import pay_due_ticks
due, readings = datetime(2026, 3, 10, 13, tzinfo=UTC), iter([False, False, True])
def clock():
    if next(readings):
        os.kill(os.getpid(), signal.SIGKILL)
    return due
pay_due_ticks(due, clock=clock)
"""


@pytest.mark.django_db(transaction=True)
def test_live_events_of_the_same_users_neither_wait_for_ever_nor_lose_a_point() -> None:
    game = make_game()
    users = crowd(CHUNK_FIRST)
    game.trigger(1)
    every(game, 10)
    every(game, -3)

    def study(order: list[str]) -> None:
        for part in range(0, len(order), 50):
            events = [EventInput(UserChanges(each), "lessons", Decimal(1)) for each in order[part : part + 50]]
            process(events)

    jobs: list[Callable[[], Any]] = [lambda: study(users), lambda: study(users[::-1]), lambda: study(users[::2])]
    in_parallel([*jobs, *[lambda: pay(NOON + 3 * HOUR)] * 3])
    pay(NOON + 3 * HOUR)
    totals = dict(PointsBalance.objects.values_list("user__external_id", "total"))
    assert totals == {user: 3 * 7 + 2 + (number % 2 == 0) for number, user in enumerate(users)}
    assert_verified()


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_waits_for_an_event_pays_by_what_the_event_left() -> None:
    game = make_game()
    for user in ("alice", "bob", "charlie"):
        arrive(user, plan="pro")
    game.trigger(4, system=game.energy)
    every(game, 9, system=game.energy, user_filters=[(game.plan, "pro")])
    is_open, may_end = Event(), Event()

    def study() -> None:
        moves = EventInput(UserChanges("bob", attributes={"plan": "free"}), "lessons", Decimal(1), at=NOON)
        with transaction.atomic():
            process([EventInput(UserChanges("alice"), "lessons", Decimal(1), at=NOON), moves])
            is_open.set()
            assert may_end.wait(WAIT_S_MAX)

    with ThreadPoolExecutor(2) as threads:
        event: Future[None] = threads.submit(on_its_own_connection, study)
        assert is_open.wait(WAIT_S_MAX)
        tick: Future[int] = threads.submit(on_its_own_connection, lambda: pay(NOON + HOUR))
        until(somebody_waits)
        may_end.set()
        event.result()
        # A tick that has waited long for somebody else's lock is left to the next call.
        assert tick.result() + pay(NOON + HOUR) == 2
    assert paid() == {"alice": [4, 6], "bob": [4], "charlie": [9]}
    assert_verified()
