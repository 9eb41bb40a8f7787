"""An award shows its rule as it was when it paid: in the ledger, explained, exported, and on the wire."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from core.services import archive, update_checked
from engine.pipeline import process
from engine.tick import pay_due_ticks
from points.models import PointsAward, PointsTrigger
from points.services import deactivate_triggers, update_trigger
from points.versions import past_rules
from tests.conftest import Api, Game, make_game
from tests.test_adjusting import adjust
from tests.test_parallel import in_parallel
from tests.test_user_page import explained, lesson, send, user_page
from users.models import EndUser
from webhooks.models import OutboxMessage
from webhooks.services import create_endpoint

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def ledger(operator: Client) -> str:
    return operator.get(f"{user_page()}change/").content.decode()


def exported(operator: Client) -> str:
    return operator.get(f"{user_page()}ledger/").getvalue().decode()


def edit_everything(game: Game, trigger: PointsTrigger) -> None:
    """Edit all that an award's trigger says: points, threshold, filters, names, the maximum; then archive it."""
    update_trigger(
        trigger=trigger, points=99, metric_threshold=7, user_filters=[], event_filters=[(game.category, "writing")]
    )
    update_checked(game.lessons, name="Chapters")
    update_checked(game.xp, max_points=1000)
    archive(row=trigger)


# --- On the wire -----------------------------------------------------------------------------------------------------
def test_an_award_keeps_the_trigger_that_paid_it_whatever_is_edited_since(api: Api, game: Game) -> None:
    trigger = game.trigger(10, 2, user_filters=[(game.plan, "pro")], event_filters=[(game.category, "listening")])
    pro = {"id": "alice", "attributes": {"plan": "pro"}}
    (told,) = api.event(pro, 2, category="listening").json()["points"]["xp"]["awards"]
    assert (told["trigger"]["points"], told["trigger"]["metricName"]) == (10, "Lessons completed")
    assert api.points("alice")["awards"] == [told]

    edit_everything(game, trigger)
    (award,) = api.points("alice")["awards"]
    assert award == told
    assert award["trigger"]["userAttributes"] == [{"key": "plan", "value": "pro"}]
    assert award["trigger"]["eventAttributes"] == [{"key": "category", "value": "listening"}]
    assert award["trigger"]["status"] == "active"


def test_awards_of_several_versions_are_each_shown_by_their_own(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10)
    for points in (10, 20, 30):
        update_trigger(trigger=trigger, points=points)
        api.event("alice")
    awards = api.points("alice")["awards"]
    assert [(each["awarded"], each["trigger"]["points"]) for each in awards] == [(30, 30), (20, 20), (10, 10)]


def test_a_webhook_and_a_time_trigger_tell_the_version_that_paid(api: Api, game: Game) -> None:
    create_endpoint(url="https://example.com/hook", types=["points.changed"])
    none: dict[str, Any] = {"metric": None, "metric_threshold": None}
    with time_machine.travel(NOON, tick=False):
        trigger = game.trigger(4, type="time", time_unit="hour", time_interval=1, **none)
        send(lesson())
    for hour, points in ((1, 5), (2, 6)):
        update_trigger(trigger=trigger, points=points)
        paid = NOON + timedelta(hours=hour)
        pay_due_ticks(paid, clock=lambda paid=paid: paid)  # type: ignore[misc]
    payloads = OutboxMessage.objects.order_by("number").values_list("payload", flat=True)
    told = [payload["points"]["awards"][0] for payload in payloads]
    assert [(each["awarded"], each["trigger"]["points"]) for each in told] == [(5, 5), (6, 6)]
    archive(row=trigger)
    read = api.points("alice")["awards"]
    assert [each["trigger"] for each in read] == [each["trigger"] for each in reversed(told)]


# --- In the admin ----------------------------------------------------------------------------------------------------
def test_the_ledger_its_file_and_the_explanation_show_the_rule_that_paid(operator: Client, game: Game) -> None:
    trigger = game.trigger(points=10, every=2)
    send(lesson(4))
    edit_everything(game, trigger)
    assert "+10 · Lessons completed: every 2" in ledger(operator)
    assert "+99" not in ledger(operator)
    assert "Lessons completed: every 2 · +10" in exported(operator)
    page = explained(operator)
    assert "The trigger has been edited since: today it is «+99 · Chapters: every 7»." in page
    assert "The highest total of Lessons completed rose from 0 to 4. The trigger fires at every 2: passed 2, 4." in page
    assert "10 points each time x 2. +20" in page
    assert (
        f"/admin/points/pointstrigger/{trigger.id}/history/"
        in operator.get(
            f"/admin/users/enduser/{EndUser.objects.get().id}/awards/{PointsAward.objects.get().id}/"
        ).content.decode()
    )


def test_a_maximum_that_cut_an_award_is_named_though_there_is_another_today(operator: Client, game: Game) -> None:
    update_checked(game.xp, max_points=15)
    game.trigger(points=10)
    send(lesson(2))
    update_checked(game.xp, max_points=500)
    page = explained(operator)
    assert "XP stops at the maximum of 15: there was room for 15." in page
    assert "XP has a maximum of 500 today; it had a maximum of 15 when this was paid." in page


def test_an_adjustment_is_explained_by_the_maximum_that_cut_it(operator: Client, game: Game) -> None:
    update_checked(game.xp, max_points=15)
    send(lesson())
    adjust(operator, EndUser.objects.get(), 40)
    update_checked(game.xp, max_points=None)
    page = explained(operator)
    assert "By the operator; boosts do not apply. +40" in page
    assert "stops at the maximum of 15: there was room for 15." in page


def test_a_trigger_that_is_only_switched_off_is_not_said_to_have_been_edited(operator: Client, game: Game) -> None:
    game.trigger(points=10)
    send(lesson())
    deactivate_triggers(triggers=PointsTrigger.objects.all())
    assert "edited since" not in explained(operator)


# --- Awards from before there were versions --------------------------------------------------------------------------
@contextmanager
def at(hours: float) -> Iterator[None]:
    with time_machine.travel(NOON + timedelta(hours=hours), tick=False):
        yield


def test_awards_without_a_version_are_shown_by_the_rule_of_their_time(operator: Client, api: Api, game: Game) -> None:
    with at(-100):
        trigger = game.trigger(points=10, every=2)
    for hours, points in ((-20, 20), (20, 40)):
        with at(hours):
            update_trigger(trigger=trigger, points=points)
    send(lesson(4), at=NOON)
    PointsAward.objects.update(rule_version=None, awarded=40, total=40)
    assert api.points("alice")["awards"][0]["trigger"]["points"] == 20
    assert "+20 · Lessons completed: every 2" in ledger(operator)
    page = explained(operator)
    assert "20 points each time x 2. +40" in page
    assert "As it was when it paid, saved 2026-06-14 16:00:00 UTC" in page


def test_a_rule_found_by_time_is_doubtful_next_to_an_edit_and_before_the_history_began(
    operator: Client, game: Game
) -> None:
    with at(0):
        trigger = game.trigger(points=10)
    with at(50):
        update_trigger(trigger=trigger, points=20)
    words = "As it was when it paid or shortly before or after"
    for hours, is_doubtful, points in (
        (49.9, True, 10),
        (50.1, True, 20),
        (25, False, 10),
        (80, False, 20),
        (-5, True, 10),
    ):
        send(lesson(), at=NOON + timedelta(hours=hours, days=100))
        award = PointsAward.objects.latest("seq")
        PointsAward.objects.filter(id=award.id).update(rule_version=None, created=NOON + timedelta(hours=hours))
        award.refresh_from_db()
        rule = past_rules([award])[award.id]
        assert (rule.is_doubtful, rule.trigger.points) == (is_doubtful, points), hours
        assert (words in explained(operator, award)) == is_doubtful


# --- Under load ------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_every_award_names_the_version_that_paid_it_while_the_rule_is_edited_again_and_again() -> None:
    game = make_game()
    trigger = game.trigger(points=1)

    def act(number: int) -> None:
        if number == 0:
            for points in range(2, 42):
                update_trigger(trigger=PointsTrigger.objects.get(), points=points)
        elif number == 1:
            for name in range(40):
                update_checked(game.lessons, name=f"Lessons {name}")
        else:
            for _ in range(60):
                process([lesson()])

    in_parallel(6, act)
    awards = list(PointsAward.objects.all())
    rules = past_rules(awards)
    assert len(awards) == 240
    assert all(rules[award.id].trigger.points == award.awarded for award in awards)
    assert rules[max(awards, key=lambda each: each.seq).id].trigger.id == trigger.id
    call_command("verify")
