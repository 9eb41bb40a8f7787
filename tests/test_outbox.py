"""The outbox: what products will be told, written with what it reports, in the shapes that the SDK knows."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import trophy
from pydantic import BaseModel

from achievements.services import activate_achievement, create_achievement
from boosts.models import Boost
from boosts.services import create_boost
from core.services import archive, create_checked, update_checked
from engine import backdate, clock
from engine.inputs import EventInput, IdentifyInput
from engine.pipeline import process
from engine.tick import pay_due_ticks
from levels.models import Level
from points.models import PointsAward, PointsTrigger
from points.render import render_trigger
from points.versions import past_rules
from tests.conftest import Api, Game
from users.rules import UserChanges
from webhooks.models import Endpoint, MessageType, OutboxMessage

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
PAYLOADS: Mapping[str, type[BaseModel]] = {
    "points.changed": trophy.WebhooksPointsChangedPayload,
    "points.level_changed": trophy.WebhooksPointsLevelChangedPayload,
    "points.boost_started": trophy.WebhooksPointsBoostStartedPayload,
    "points.boost_finished": trophy.WebhooksPointsBoostFinishedPayload,
    "achievement.completed": trophy.WebhooksAchievementCompletedPayload,
    "streak.started": trophy.WebhooksStreakStartedPayload,
    "streak.extended": trophy.WebhooksStreakExtendedPayload,
    "streak.lost": trophy.WebhooksStreakLostPayload,
}


@pytest.fixture
def endpoint(game: Game) -> Endpoint:
    """An endpoint that wants everything."""
    return create_checked(Endpoint, url="https://example.com/hook", types=list(MessageType.values))


def study(user: str = "alice", value: int = 1, at: datetime = NOON) -> None:
    process([EventInput(UserChanges(user), "lessons", Decimal(value), at=at)])


def messages() -> list[Any]:
    """Return the payloads so far, as the SDK reads them, and forget them."""
    rows = list(OutboxMessage.objects.order_by("number"))
    OutboxMessage.objects.all().delete()
    for row in rows:
        assert row.payload["type"] == row.type
    return [PAYLOADS[row.type].model_validate(row.payload) for row in rows]


def test_an_event_tells_of_all_that_it_changed(game: Game, endpoint: Endpoint) -> None:
    game.trigger(points=10)
    create_checked(Level, system=game.xp, name="Bronze", key="bronze", points=10)
    achievement = create_achievement(
        name="First", type="metric", metric=game.lessons, metric_value=Decimal(1), status="active"
    )
    study()
    started, completed, changed, level = messages()
    assert (started.type, started.streak.length, started.user.id) == ("streak.started", 1, "alice")
    assert (completed.type, completed.achievement.id) == ("achievement.completed", str(achievement.id))
    assert (changed.type, changed.points.total, changed.points.added) == ("points.changed", 10, 10)
    assert (level.type, level.previous_level, level.new_level.key, level.points.total) == (
        "points.level_changed",
        None,
        "bronze",
        10,
    )


def test_a_streak_is_extended_and_lost(game: Game, endpoint: Endpoint) -> None:
    study()
    study(at=NOON + timedelta(days=1))
    assert [(each.type, each.streak.length) for each in messages()] == [("streak.started", 1), ("streak.extended", 2)]
    clock.end_expired_streaks(NOON + timedelta(days=4))
    (lost,) = messages()
    assert (lost.type, lost.length, lost.user.id) == ("streak.lost", 2, "alice")


def test_the_event_that_finds_a_streak_expired_tells_of_its_loss_first(game: Game, endpoint: Endpoint) -> None:
    study()
    messages()
    study(at=NOON + timedelta(days=5))
    assert [each.type for each in messages()] == ["streak.lost", "streak.started"]


def test_boosts_begin_and_end(game: Game, endpoint: Endpoint) -> None:
    boost = create_boost(
        system=game.xp,
        name="Double",
        start=date(2026, 3, 10),
        end=date(2026, 3, 10),
        multiplier=Decimal("1.5"),
        status="active",
    )
    clock.mark_boosts(NOON)
    clock.mark_boosts(NOON + timedelta(days=3))
    begun, over = messages()
    assert (begun.type, begun.boost.status, begun.boost.id) == ("points.boost_started", "active", str(boost.id))
    assert (over.type, over.boost.status, over.boost.multiplier) == ("points.boost_finished", "finished", 1.5)
    assert (over.boost.points_system_key, over.boost.user_id) == ("xp", None)


def test_looking_back_is_quiet_but_for_the_points(game: Game, endpoint: Endpoint) -> None:
    study()
    achievement = create_achievement(name="First", type="metric", metric=game.lessons, metric_value=Decimal(1))
    game.trigger(points=5, type="achievement", achievement=achievement, metric=None, metric_threshold=None)
    messages()
    activate_achievement(achievement=achievement)
    assert backdate.look_back(clock=lambda: NOON) == 1
    assert [each.type for each in messages()] == ["points.changed"]


def test_a_time_trigger_tells_what_an_event_would(game: Game, endpoint: Endpoint) -> None:
    create_checked(Level, system=game.xp, name="Start", key="start", points=0)
    create_checked(Level, system=game.xp, name="Bronze", key="bronze", points=30)
    in_march: dict[str, Any] = {"start": date(2026, 3, 1), "multiplier": Decimal("1.5"), "status": "active"}
    create_boost(system=game.xp, name="Half more", **in_march)
    Boost.objects.update(activated=NOON - timedelta(days=1))
    game.trigger(points=10)
    hourly: dict[str, Any] = {
        "type": "time",
        "time_unit": "hour",
        "time_interval": 1,
        "metric": None,
        "metric_threshold": None,
    }
    trigger = game.trigger(points=10, **hourly)
    PointsTrigger.objects.filter(id=trigger.id).update(time_started=NOON)

    def tick(hours: int) -> list[dict[str, Any]]:
        OutboxMessage.objects.all().delete()
        pay_due_ticks(NOON + timedelta(hours=hours), clock=lambda: NOON + timedelta(hours=hours, seconds=5))
        return list(OutboxMessage.objects.order_by("number").values_list("payload", flat=True))

    changes = UserChanges("alice", name="Alice", tz="Asia/Kolkata", device_tokens=("t",), sign_up_date=date(2026, 3, 1))
    process([EventInput(changes, "lessons", Decimal(1), at=NOON)])
    of_event = next(each for each in OutboxMessage.objects.all() if each.type == "points.changed").payload
    changed, level = tick(hours=1)
    assert changed["user"] == of_event["user"]
    (award,), (of_event_award,) = changed["points"].pop("awards"), of_event["points"].pop("awards")
    assert award["boosts"] == of_event_award["boosts"]
    stored = PointsAward.objects.get(trigger=trigger)
    assert award["trigger"] == render_trigger(past_rules([stored])[stored.id].trigger)
    assert (award["id"], award["awarded"], award["total"]) == (str(stored.id), 15, 30)
    assert award["date"] == "2026-03-10T13:00:05.000Z"
    assert changed["points"] == of_event["points"] | {"total": 30, "added": 15, "level": level["newLevel"]}
    assert (level["previousLevel"]["key"], level["newLevel"]["key"]) == ("start", "bronze")
    for payload in (changed | {"points": changed["points"] | {"awards": [award]}}, level):
        PAYLOADS[payload["type"]].model_validate(payload)
    (again,) = tick(hours=2)
    assert "level" not in again["points"]


def test_a_time_trigger_tells_by_the_configuration_of_the_moment(game: Game, endpoint: Endpoint) -> None:
    level = create_checked(Level, system=game.xp, name="Start", key="start", points=5)
    of_metric = dict.fromkeys(("metric", "metric_threshold"))
    hourly: dict[str, Any] = {"type": "time", "time_unit": "hour", "time_interval": 1, **of_metric}
    PointsTrigger.objects.filter(id=game.trigger(points=10, **hourly).id).update(time_started=NOON)
    process([IdentifyInput(UserChanges("alice"), at=NOON), IdentifyInput(UserChanges("bob"), at=NOON)])

    def told(hours: int) -> list[Any]:
        OutboxMessage.objects.all().delete()
        pay_due_ticks(NOON + timedelta(hours=hours), clock=lambda: NOON + timedelta(hours=hours))
        return [each.new_level.name for each in messages() if each.type == "points.level_changed"]

    assert told(1) == ["Start", "Start"]
    update_checked(level, name="Low", points=15)
    assert told(2) == ["Low", "Low"]
    archive(row=endpoint)
    assert told(3) == []
    assert not OutboxMessage.objects.exists()


def test_the_first_points_of_a_time_trigger_bring_the_first_level(game: Game, endpoint: Endpoint) -> None:
    create_checked(Level, system=game.xp, name="Start", key="start", points=0)
    hourly: dict[str, Any] = {
        "type": "time",
        "time_unit": "hour",
        "time_interval": 1,
        "metric": None,
        "metric_threshold": None,
    }
    PointsTrigger.objects.filter(id=game.trigger(points=10, **hourly).id).update(time_started=NOON)
    process([IdentifyInput(UserChanges("alice"), at=NOON)])
    pay_due_ticks(NOON + timedelta(hours=1), clock=lambda: NOON + timedelta(hours=1))
    changed, level = messages()
    assert (changed.points.total, changed.points.level.key) == (10, "start")
    assert (level.previous_level, level.new_level.key) == (None, "start")


def test_only_what_some_endpoint_wants_is_written(game: Game, api: Api) -> None:
    game.trigger(points=10)
    study()
    assert messages() == []
    endpoint = create_checked(Endpoint, url="https://example.com/hook", types=["points.changed"])
    study(at=NOON + timedelta(hours=1))
    assert [each.type for each in messages()] == ["points.changed"]
    archive(row=endpoint)
    study(at=NOON + timedelta(hours=2))
    assert messages() == []


def test_what_is_refused_or_replayed_tells_nothing(game: Game, api: Api, endpoint: Endpoint) -> None:
    game.trigger(points=-10, block_if_out_of_points=True)
    assert api.event("alice").status_code == 422
    assert messages() == []
    assert api.event("alice", metric="flashcards", key="k").status_code == 201
    messages()
    assert api.event("alice", metric="flashcards", key="k").status_code == 202
    assert messages() == []
