"""The Preview tab: a draft of a system's rules, what it pays made-up users, and what it would have paid real ones."""

import csv
import io
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from achievements.services import create_achievement
from backoffice.preview_forms import short
from boosts.models import Boost
from boosts.services import create_boost
from core.form_fields import WHOLE_NUMBER
from core.models import new_id
from engine.adjustments import adjust_points
from engine.inputs import AdjustInput, CompleteInput, EventInput
from engine.pipeline import process
from engine.tick import pay_due_ticks
from points.models import PointsAward, PointsBalance, PointsTrigger
from points.rules import Adjustment
from preview.models import Backtest, BacktestStatus
from preview.store import ALL
from preview.work import SILENT, share_of, work_on_backtests
from streaks.services import update_settings
from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of
from tests.test_summaries import add_level
from users.models import EndUser
from users.rules import UserChanges
from webhooks.models import OutboxMessage

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
"""A Friday."""


@pytest.fixture(autouse=True)
def now() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def page_of(game: Game, name: str = "preview", *more: Any) -> str:
    return reverse(f"admin:points_pointssystem_{name}", args=(game.xp.id, *more))


def draft_of(operator: Client, game: Game, **changes: Any) -> str:
    """Return the query of the draft that the page begins with, changed; None takes a box's tick away."""
    form = operator.get(page_of(game)).context["form"]
    values = {name: value if value is not True else "on" for name, value in form.data.items() if value is not False}
    values |= {"draft": "1", **changes}
    return urlencode({name: value for name, value in values.items() if value is not None})


def calculated(operator: Client, game: Game, **changes: Any) -> Any:
    answer = operator.get(f"{page_of(game)}?{draft_of(operator, game, **changes)}")
    assert answer.status_code == 200
    return answer.context["calculation"]


def points_of(calculation: Any) -> dict[str, int]:
    return {line.trigger_id: line.points for line in calculation.lines}


def calm(game: Game, **more: Any) -> dict[str, Any]:
    """Return fields of a user who does nothing but what is given."""
    return {"streak": 0, f"amount-{short(game.lessons.id)}": 0} | more


# --- The calculator --------------------------------------------------------------------------------------------------
def test_amounts_pay_by_trigger_and_reach_a_level(operator: Client, game: Game) -> None:
    ten, hundred = game.trigger(points=10, every=10), game.trigger(points=50, every=100)
    add_level(game, 0)
    add_level(game, 150)
    calculation = calculated(operator, game, **calm(game) | {f"amount-{short(game.lessons.id)}": 120})
    assert points_of(calculation) == {str(ten.id): 120, str(hundred.id): 50}
    assert calculation.total == 170
    answer = operator.get(f"{page_of(game)}?{draft_of(operator, game)}")
    assert "The draft is what is live." in text_of(answer)


def test_an_inactive_trigger_counts_where_it_is_ticked_and_a_changed_one_pays_as_changed(
    operator: Client, game: Game
) -> None:
    live, idle = game.trigger(points=10), game.trigger(points=7, every=2, status="inactive")
    amount = calm(game) | {f"amount-{short(game.lessons.id)}": 6}
    assert points_of(calculated(operator, game, **amount)) == {str(live.id): 60}
    changed = {f"on-{short(idle.id)}": "on", f"points-{short(live.id)}": 3, f"every-{short(live.id)}": 3}
    assert points_of(calculated(operator, game, **amount, **changed)) == {str(live.id): 6, str(idle.id): 21}
    off = {f"on-{short(live.id)}": None}
    assert points_of(calculated(operator, game, **amount, **off)) == {}
    assert PointsTrigger.objects.get(id=idle.id).status == "inactive"


def test_a_streak_and_an_achievement_pay(operator: Client, game: Game) -> None:
    done = create_achievement(name="Done", type="api", key="done", status="active")
    fire = create_achievement(name="On fire", type="streak", streak_length=5, status="active")
    streak = game.trigger(points=30, type="streak", streak_length=3, metric=None, metric_threshold=None)
    of_done, of_fire = (
        game.trigger(points=points, type="achievement", achievement=each, metric=None, metric_threshold=None)
        for points, each in ((100, done), (200, fire))
    )
    calculation = calculated(operator, game, streak=7, **{f"done-{short(done.id)}": "on"})
    assert points_of(calculation) == {str(of_done.id): 100, str(streak.id): 60, str(of_fire.id): 200}


def test_boosts_of_the_draft_multiply(operator: Client, game: Game) -> None:
    live = game.trigger(points=10)
    boost = create_boost(system=game.xp, name="Double", multiplier=Decimal(2), start=NOW.date() + timedelta(days=9))
    amount = calm(game) | {f"amount-{short(game.lessons.id)}": 1}
    assert points_of(calculated(operator, game, **amount)) == {str(live.id): 10}
    every_day = calculated(operator, game, **amount, **{f"boost-{short(boost.id)}": "always"})
    assert points_of(every_day) == {str(live.id): 20}
    assert every_day.lines[0].boosts == ("Double",)
    on_its_days = calculated(operator, game, **amount, **{f"boost-{short(boost.id)}": "days"})
    assert points_of(on_its_days) == {str(live.id): 10}


def test_filters_look_at_the_attributes_that_are_chosen(operator: Client, game: Game) -> None:
    pro = game.trigger(points=1, user_filters=[(game.plan, "pro")])
    writing = game.trigger(points=2, event_filters=[(game.category, "writing")])
    amount = calm(game) | {f"amount-{short(game.lessons.id)}": 1}
    assert points_of(calculated(operator, game, **amount)) == {}
    both = calculated(operator, game, **amount, **{"user-plan": "pro", "event-category": "writing"})
    assert points_of(both) == {str(pro.id): 1, str(writing.id): 2}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("points", "0", "must not be 0."),
        ("points", "many", WHOLE_NUMBER),
        ("every", "0", "greater than or equal to 1"),
        ("every", "", "This field is required."),
    ],
)
def test_what_cannot_be_a_trigger_is_named(operator: Client, game: Game, field: str, value: str, sentence: str) -> None:
    trigger = game.trigger(points=10)
    page = text_of(
        operator.get(f"{page_of(game)}?{draft_of(operator, game, **{f'{field}-{short(trigger.id)}': value})}")
    )
    assert sentence in page
    assert "+10 · Lessons completed: every 1" in page
    assert "Run a backtest" not in page


def test_two_levels_cannot_begin_at_the_same_points(operator: Client, game: Game) -> None:
    add_level(game, 0)
    second = add_level(game, 100)
    page = text_of(operator.get(f"{page_of(game)}?{draft_of(operator, game, **{f'level-{short(second.id)}': 0})}"))
    assert "must not be that of" in page


def test_a_draft_of_very_many_rules_is_read(operator: Client, game: Game) -> None:
    many = "&".join(f"points-{number:012x}=1" for number in range(2_000))
    assert operator.get(f"{page_of(game)}?{draft_of(operator, game)}&{many}").status_code == 200


# --- The projection --------------------------------------------------------------------------------------------------
def test_archetypes_get_on_day_by_day_and_time_triggers_pay_them(operator: Client, game: Game) -> None:
    game.trigger(points=10)
    game.trigger(
        points=1, type="time", time_unit="day", time_interval=1, metric=None, metric_threshold=None, status="inactive"
    )
    daily = PointsTrigger.objects.get(type="time")
    add_level(game, 0)
    add_level(game, 100)
    lessons = short(game.lessons.id)
    draft = draft_of(
        operator,
        game,
        **{
            "casual-days": 1,
            f"casual-{lessons}": 1,
            "power-days": 7,
            f"power-{lessons}": 5,
            f"on-{short(daily.id)}": "on",
        },
    )
    rows = list(
        csv.reader(io.StringIO(operator.get(f"{page_of(game)}?{draft}&csv=projection").getvalue().decode("utf-8-sig")))
    )
    assert rows[0] == ["Day", "Casual", "Regular", "Power"]
    assert (len(rows), rows[1][3], rows[2][3], rows[7][1]) == (91, "50", "101", "16")
    levels = list(
        csv.reader(io.StringIO(operator.get(f"{page_of(game)}?{draft}&csv=levels").getvalue().decode("utf-8-sig")))
    )
    assert [row[3] for row in levels[1:]] == ["1", "2"]


def test_a_level_is_reached_on_the_day_on_which_the_points_for_it_are_spent_again(operator: Client, game: Game) -> None:
    game.trigger(points=10)
    game.trigger(points=-10, metric=game.flashcards)
    add_level(game, 10)
    lessons, cards = f"power-{short(game.lessons.id)}", f"power-{short(game.flashcards.id)}"
    draft = draft_of(operator, game, **{"power-days": 7, lessons: 1, cards: 1})
    rows = list(
        csv.reader(io.StringIO(operator.get(f"{page_of(game)}?{draft}&csv=projection").getvalue().decode("utf-8-sig")))
    )
    assert {row[3] for row in rows[1:]} == {"0"}
    levels = list(
        csv.reader(io.StringIO(operator.get(f"{page_of(game)}?{draft}&csv=levels").getvalue().decode("utf-8-sig")))
    )
    assert levels[1][3] == "1"


# --- The backtest ----------------------------------------------------------------------------------------------------
def a_month_of_study(game: Game, seed: int) -> None:
    """Let a cast of users live through everything that moves points, with the rules unchanged all along."""
    dice = random.Random(seed)
    done = create_achievement(name="Done", type="api", key="done", status="active")
    many = create_achievement(name="Many", type="metric", metric=game.lessons, metric_value=40, status="active")
    update_settings(metrics=[(game.lessons, Decimal(2))])
    game.creation_trigger(points=5)
    game.trigger(points=10, every=7)
    game.trigger(points=3, event_filters=[(game.category, "writing")])
    game.trigger(points=-4, metric=game.flashcards, metric_threshold=3)
    game.trigger(points=-30, metric=game.flashcards, metric_threshold=9, block_if_out_of_points=True)
    game.trigger(points=20, type="streak", streak_length=2, metric=None, metric_threshold=None)
    for achievement in (done, many):
        game.trigger(points=40, type="achievement", achievement=achievement, metric=None, metric_threshold=None)
    game.trigger(points=2, type="time", time_unit="day", time_interval=2, metric=None, metric_threshold=None)
    begin = NOW - timedelta(days=40)
    PointsTrigger.objects.filter(type="time").update(time_started=begin)
    boost = create_boost(
        system=game.xp,
        name="Half more",
        multiplier=Decimal("1.5"),
        start=(NOW - timedelta(days=15)).date(),
        status="active",
    )
    Boost.objects.filter(id=boost.id).update(activated=begin)
    users = {f"user-{number}": dice.choice([None, "Asia/Tokyo", "America/New_York"]) for number in range(8)}
    at = begin
    while (at := at + timedelta(minutes=dice.randint(60, 900))) < NOW:
        pay_due_ticks(at, clock=lambda at=at: at)  # type: ignore[misc]
        user = dice.choice(list(users))
        changes, clock = UserChanges(user, tz=users[user]), lambda at=at: at
        if dice.random() < 0.06:
            process([CompleteInput(changes, "done", at=at)], clock=clock)
        metric = dice.choice(["lessons", "lessons", "flashcards"])
        attributes = {"category": dice.choice(["writing", "reading"])}
        process([EventInput(changes, metric, Decimal(dice.randint(1, 4)), attributes, at=at)], clock=clock)
        if dice.random() < 0.05:
            with time_machine.travel(at, tick=False):
                adjust_points(
                    user=EndUser.objects.get(external_id=user),
                    system_key="xp",
                    points=15,
                    reason="r",
                    operator="o",
                    token=new_id(),
                )


def start(operator: Client, game: Game, days: int = 30, **changes: Any) -> Backtest:
    answer = operator.post(page_of(game, "start"), {"query": draft_of(operator, game, **changes), "days": days})
    assert answer.status_code == 302
    return Backtest.objects.latest("id")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_live_rules_played_again_pay_what_the_ledger_says_trigger_by_trigger(
    operator: Client, game: Game, seed: int
) -> None:
    a_month_of_study(game, seed)
    backtest = start(operator, game)
    work_on_backtests()
    backtest.refresh_from_db()
    assert backtest.status == BacktestStatus.DONE, backtest.result
    paid: Counter[str] = Counter()
    for trigger_id, awarded in PointsAward.objects.filter(created__gte=backtest.start).values_list(
        "trigger", "awarded"
    ):
        paid[str(trigger_id or "")] += awarded
    assert len(paid) >= 8
    found = {each["trigger_id"]: each for each in backtest.result["triggers"]}
    assert {id_: each["paid"] for id_, each in found.items()} == paid
    assert {id_: each["live"] for id_, each in found.items()} == paid
    assert {id_: each["draft"] for id_, each in found.items()} == paid
    assert backtest.result["levels"][0]["live"] == PointsBalance.objects.filter(system=game.xp).count()


def test_a_backtest_keeps_adjustments_apart_from_what_triggers_pay(operator: Client, game: Game) -> None:
    live = game.trigger(points=10)
    alice, at = UserChanges("alice"), NOW - timedelta(days=2)
    process([EventInput(alice, "lessons", Decimal(3), at=at)])
    process([AdjustInput(alice, "xp", Adjustment(250, "Goodwill", "maria"))], clock=lambda: at)
    backtest = start(operator, game, 7, **{f"points-{short(live.id)}": 20})
    work_on_backtests()
    page = text_of(operator.get(page_of(game, "backtest", backtest.id)))
    for words in ("Paid, by the ledger 30", "Live rules of today 30", "Draft 60", "Adjusted by operators +250"):
        assert words in page


def test_a_draft_is_compared_with_the_live_rules_user_by_user(operator: Client, game: Game) -> None:
    live, idle = game.trigger(points=10), game.trigger(points=-5, status="inactive")
    for user, value in (("alice", 3), ("bob", 1)):
        process([EventInput(UserChanges(user), "lessons", Decimal(value), at=NOW - timedelta(days=2))])
    changes = {f"points-{short(live.id)}": 20, f"on-{short(idle.id)}": "on"}
    backtest = start(operator, game, 7, **changes)
    address = page_of(game, "backtest", backtest.id)
    assert "It waits for a background worker" in text_of(operator.get(address))
    work_on_backtests()
    page = text_of(operator.get(address))
    assert "+10 · Lessons completed: every 1: +10 → +20 points" in page
    assert "Live rules of today 40" in page
    assert "Draft 60" in page
    assert "+50.0% of what the live rules pay" in page
    assert "All 2 users took part. 2 events were played" in page
    gain = list(csv.reader(io.StringIO(operator.get(f"{address}?csv=gain").getvalue().decode("utf-8-sig"))))
    assert gain[1:] == [["alice", "30", "45", "15"], ["bob", "10", "15", "5"]]


def test_a_backtest_writes_nothing_of_any_user(operator: Client, game: Game) -> None:
    a_month_of_study(game, 4)
    tables = (PointsAward, PointsBalance, OutboxMessage, EndUser)
    before = [(model.objects.count(), list(model.objects.order_by("pk").values()[:50])) for model in tables]
    start(operator, game)
    work_on_backtests()
    assert [(model.objects.count(), list(model.objects.order_by("pk").values()[:50])) for model in tables] == before


def test_a_backtest_can_be_cancelled_and_one_whose_worker_died_fails(operator: Client, game: Game, now: Any) -> None:
    game.trigger(points=10)
    cancelled, silent = start(operator, game), start(operator, game)
    operator.post(page_of(game, "cancel", cancelled.id))
    assert "It was cancelled." in text_of(operator.get(page_of(game, "backtest", cancelled.id)))
    Backtest.objects.filter(id=silent.id).update(status=BacktestStatus.RUNNING, beat=timezone.now())
    waiting = start(operator, game)
    assert work_on_backtests() == 0
    now.shift(SILENT + timedelta(seconds=1))
    assert work_on_backtests() == 1
    assert "Its worker stopped" in text_of(operator.get(page_of(game, "backtest", silent.id)))
    waiting.refresh_from_db()
    assert waiting.status == BacktestStatus.DONE


def test_of_what_would_take_more_than_a_minute_a_share_of_the_users_is_played() -> None:
    assert share_of(events=600_000, users=200_000, payments=0) == ALL
    assert share_of(events=1_200_000, users=1000, payments=0) == ALL // 2
    assert share_of(events=0, users=400_000, payments=0) == ALL // 2
    # An hourly trigger over 30 days: what a user does is the smaller part.
    assert share_of(events=100_000, users=100_000, payments=720) < ALL // 30


def test_a_backtest_of_no_such_number_of_days_is_refused(operator: Client, game: Game) -> None:
    answer = operator.post(page_of(game, "start"), {"query": "", "days": "8"}, follow=True)
    assert "days must be one of 7, 30, 90." in text_of(answer)
    assert not Backtest.objects.exists()


# --- Who, and how dear -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("role", "status"), [("Viewer", 403), ("Support", 403), ("Operator", 200)])
def test_the_tab_is_for_who_may_preview(game: Game, role: str, status: int) -> None:
    user = User.objects.create_user(role.lower(), is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    assert client.get(page_of(game)).status_code == status
    assert client.post(page_of(game, "start"), {"query": "", "days": "7"}).status_code == (
        302 if status == 200 else 403
    )
    assert Backtest.objects.count() == (status == 200)
    other = text_of(client.get(reverse("admin:points_pointssystem_change", args=(game.xp.id,))))
    assert ("Preview" in other) == (status == 200)


def test_the_page_asks_the_database_as_often_however_many_rules_there_are(operator: Client, game: Game) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert operator.get(page_of(game)).status_code == 200
        return len(captured)

    def add(number: int) -> None:
        game.trigger(points=number, user_filters=[(game.plan, f"{number}")])
        add_level(game, number * 10)
        create_boost(system=game.xp, name=f"Boost {number}", multiplier=Decimal(2), start=NOW.date())

    add(1)
    once = queries()
    for number in range(2, 8):
        add(number)
    assert queries() == once
