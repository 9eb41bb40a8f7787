"""While other work holds a user's row locked, background work leaves them out or waits with them, and others go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from achievements.services import activate_achievement, create_achievement
from core.services import archive, create_checked, update_checked
from engine import backdate, clock, level_notices, queue
from engine.emptying import empty_attributes
from engine.inputs import EventInput
from engine.models import QueuedEvent
from engine.pipeline import process
from engine.tick import pay_due_ticks
from levels.models import Level
from levels.notices import editing_levels
from metrics.models import Event
from points.models import PointsAward, PointsTrigger
from streaks.models import Streak
from tests.conftest import Api, Game, make_game
from tests.processes import locked, until
from tests.test_batch_events import item, send
from tests.test_imports import check, confirmed, known
from users.rules import UserChanges
from users.services import create_attribute
from webhooks.services import create_endpoint

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def game(transactional_db: None) -> Game:
    return make_game()


def waiting() -> list[str]:
    """Return whose events wait, in the order of arrival."""
    return list(QueuedEvent.objects.filter(status="waiting").order_by("id").values_list("external_id", flat=True))


def values_of(user: str) -> list[int]:
    """Return the values of a user's events in their order."""
    return [
        int(value)
        for value in Event.objects.filter(user__external_id=user).order_by("at").values_list("value", flat=True)
    ]


# --- Batch events ----------------------------------------------------------------------------------------------------
def test_batch_events_of_others_do_not_wait_for_a_user_who_is_locked(api: Api, game: Game) -> None:
    known(api, "alice")
    send(api, item("alice", 1), item("bob", 2), item("alice", 3), item("charlie", 4))
    aside = queue.Aside()

    with locked("alice"):
        assert queue.work(aside=aside) == 2
        assert queue.work(aside=aside) == 0
        assert waiting() == ["alice", "alice"]
        depth = queue.depth(timezone.now())
        assert (depth.waiting, depth.failed) == (2, 0)
    assert queue.work() == 2

    assert (values_of("alice"), values_of("bob"), values_of("charlie")) == ([1, 3], [2], [4])
    assert not QueuedEvent.objects.exists()
    call_command("verify")


def test_users_who_are_locked_do_not_fill_up_what_a_worker_takes(api: Api, game: Game) -> None:
    held = [f"held-{number}" for number in range(3 * queue.SHARDS)]
    known(api, *held)
    send(api, *(item(user) for user in held for _ in range(15)))
    send(api, item("bob"))
    aside = queue.Aside()

    with locked(*held):
        until(lambda: queue.work(aside=aside) == 1, look_s=0)
        assert set(waiting()) == set(held)
    assert len(values_of("bob")) == 1


@contextmanager
def being_made(external_id: str) -> Iterator[None]:
    """Hold a user who is new in a transaction of another connection, which is rolled back in the end."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "INSERT INTO users_enduser "
                "(id, external_id, attributes, subscribe_to_emails, control, created, updated) "
                "VALUES (gen_random_uuid(), %s, '{}', true, false, now(), now())",
                [external_id],
            )
        yield
    finally:
        other.close()


def test_nor_for_one_who_is_just_being_made(api: Api, game: Game) -> None:
    send(api, item("alice", 1), item("bob", 2), item("alice", 3))

    with being_made("alice"):
        assert queue.work() == 1
        assert waiting() == ["alice", "alice"]
    assert queue.work() == 2

    assert (values_of("alice"), values_of("bob")) == ([1, 3], [2])


def test_an_event_of_a_batch_that_comes_later_stays_behind_those_that_wait(api: Api, game: Game) -> None:
    known(api, "alice")
    send(api, item("alice", 1))
    with locked("alice"):
        queue.work()
        send(api, item("alice", 2), item("bob", 3))
        queue.work()
    send(api, item("alice", 4))
    while queue.work():
        pass
    assert (values_of("alice"), values_of("bob")) == ([1, 2, 4], [3])


# --- Other work in the background ------------------------------------------------------------------------------------
def study(user: str, value: int = 1, at: datetime = NOON) -> None:
    process([EventInput(UserChanges(user), "lessons", Decimal(value), at=at)])


def test_the_streaks_of_others_end(game: Game) -> None:
    for user in ("alice", "bob", "charlie"):
        study(user)
    with locked("bob"):
        assert clock.end_expired_streaks(NOON + 2 * DAY) == 2
        assert list(Streak.objects.filter(length=1).values_list("user__external_id", flat=True)) == ["bob"]
    assert clock.end_expired_streaks(NOON + 2 * DAY) == 1


def test_looking_back_for_one_achievement_waits_with_the_user_and_for_another_goes_on(game: Game) -> None:
    study("alice", 3)
    study("bob", 9)
    given: dict[str, Any] = {"type": "metric", "metric": game.lessons}
    three, nine = (create_achievement(name=str(value), metric_value=Decimal(value), **given) for value in (3, 9))
    for achievement in (three, nine):
        activate_achievement(achievement=achievement)
    with locked("alice"):
        assert backdate.look_back() == 1
        assert (three.completions.count(), nine.completions.count()) == (0, 1)
    assert backdate.look_back() == 2
    call_command("verify")


def time_trigger(game: Game, points: int, **fields: Any) -> None:
    """Add a trigger that pays each hour, counted from noon."""
    given: dict[str, Any] = {"type": "time", "time_unit": "hour", "time_interval": 1}
    trigger = game.trigger(points, **given, metric=None, metric_threshold=None, **fields)
    PointsTrigger.objects.filter(id=trigger.id).update(time_started=NOON)


def test_a_time_trigger_of_whom_the_user_is_not_pays_on(game: Game) -> None:
    process([EventInput(UserChanges("alice"), "lessons", Decimal(1), at=NOON - DAY)])
    process([EventInput(UserChanges("bob", attributes={"plan": "pro"}), "lessons", Decimal(1), at=NOON - DAY)])
    time_trigger(game, 2)
    time_trigger(game, 5, system=game.energy, user_filters=[(game.plan, "pro")])
    due = NOON + timedelta(hours=1)
    with locked("alice"):
        assert pay_due_ticks(due, clock=lambda: due) == 1
        assert list(PointsAward.objects.values_list("user__external_id", "awarded")) == [("bob", 5)]
    assert pay_due_ticks(due, clock=lambda: due) == 2
    call_command("verify")


def test_emptying_an_attribute_waits_with_the_user_and_of_events_goes_on(api: Api, game: Game) -> None:
    api.send("POST", "/v1/users", {"id": "alice", "attributes": {"plan": "pro"}})
    api.event("bob", category="grammar")
    renewed = []
    for attribute in (game.plan, game.category):
        archive(row=attribute)
        renewed.append(create_attribute(name="New", key=attribute.key, type=attribute.type, begin_empty=True))
    with locked("alice"):
        assert empty_attributes() == 1
        for attribute in renewed:
            attribute.refresh_from_db()
        assert [attribute.status for attribute in renewed] == ["emptying", "active"]
    assert empty_attributes() == 1
    assert api.get("/v1/users/alice").json()["attributes"] == {}
    call_command("verify")


def test_an_import_that_has_come_to_the_user_waits_and_another_goes_on(api: Api, game: Game) -> None:
    known(api, "alice")
    first = check("users", "id,name\nalice,Alice\n")
    second = check("users", "id,name\nbob,Bob\n")
    with locked("alice"):
        assert confirmed(first).status == "importing"
        assert confirmed(second).status == "done"
        assert api.get("/v1/users/alice").json()["name"] is None
    check("users", "id\ncharlie\n")
    first.refresh_from_db()
    assert first.status == "done"
    assert api.get("/v1/users/alice").json()["name"] == "Alice"


def test_notices_of_levels_wait_for_the_user_without_holding_others_for_long(api: Api, game: Game) -> None:
    create_endpoint(url="https://example.com/hook", types=["points.level_changed"])
    gold = create_checked(Level, system=game.xp, name="Gold", key="gold", points=100)
    game.trigger(points=10)
    for user in ("alice", "bob"):
        study(user, 5)
    with editing_levels(game.xp, notify=True):
        update_checked(gold, points=50)
    with locked("bob"):
        assert level_notices.tell_levels() == 0
        assert api.event("alice").status_code == 201
    assert level_notices.tell_levels() == 2
