"""The official SDK, unchanged but for its base URLs, does the main job against a real server."""

import datetime
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from trophy import (
    CreateAttributeRequestItem,
    CreateMetricRequestItem,
    CreatePointsSystemRequestItem,
    CreatePointsTriggerRequestItem,
    NotFoundError,
    TrophyApi,
    UnauthorizedError,
    UnprocessableEntityError,
    UpsertedUser,
)
from trophy.core.api_error import ApiError
from trophy.environment import TrophyApiEnvironment

from metrics.models import Event
from tests.conftest import Game, make_game
from users.models import EndUser


@pytest.fixture
def stage(sdk: TrophyApi) -> Game:
    """The study app where the SDK's server sees it: each lesson pays 10 XP and costs 5 energy, which newcomers get."""
    game = make_game()
    game.trigger(points=10)
    game.creation_trigger(points=10, system=game.energy)
    game.trigger(points=-5, system=game.energy, block_if_out_of_points=True)
    return game


def test_a_product_sets_the_game_up_reports_events_and_reads_points(sdk: TrophyApi) -> None:
    sdk.admin.attributes.create(request=[CreateAttributeRequestItem(name="Plan", key="plan", type="user")])
    metric = sdk.admin.metrics.create(request=[CreateMetricRequestItem(name="Words", key="words")]).created[0]
    trigger = CreatePointsTriggerRequestItem(
        type="metric", points=10, metric_id=metric.id, metric_threshold=100, status="active"
    )
    system = CreatePointsSystemRequestItem(name="XP", key="xp", triggers=[trigger])
    assert sdk.admin.points.systems.create(request=[system]).issues == []

    user = UpsertedUser(id="alice", email="alice@example.com", tz="Europe/London", attributes={"plan": "pro"})
    answer = sdk.metrics.event("words", user=user, value=250.5)

    assert (answer.metric_id, answer.total, answer.points["xp"].added) == (metric.id, 250.5, 20)
    award = answer.points["xp"].awards[0]
    assert (award.awarded, award.total, award.trigger.metric_name, award.boosts) == (20, 20, "Words", [])
    assert (answer.achievements, answer.leaderboards, answer.current_streak.length) == ([], {}, 1)
    assert answer.current_streak.extended is True
    held = sdk.users.points("alice", "xp")
    assert (held.total, held.level, held.awards) == (20, None, answer.points["xp"].awards)


def test_an_event_with_a_key_counts_once(sdk: TrophyApi, stage: Game) -> None:
    alice = UpsertedUser(id="alice")
    first = sdk.metrics.event("lessons", user=alice, value=1, idempotency_key="one", attributes={"category": "math"})
    again = sdk.metrics.event("lessons", user=alice, value=1, idempotency_key="one", attributes={"category": "math"})
    assert (first.idempotency_key, first.idempotent_replayed, first.points["xp"].total) == ("one", False, 10)
    assert (again.idempotency_key, again.idempotent_replayed, again.points) == ("one", True, {})
    assert (again.event_id, again.total) == (first.event_id, 1)
    without = sdk.metrics.event("flashcards", user=alice, value=1)
    assert (without.idempotency_key, without.idempotent_replayed) == (None, None)
    assert Event.objects.count() == 2


def test_users_are_created_identified_updated_and_read(sdk: TrophyApi, stage: Game) -> None:
    made = sdk.users.create(id="alice", name="Alice", email="alice@example.com", sign_up_date="2026-01-31")
    assert (made.id, made.name, made.email, made.sign_up_date) == ("alice", "Alice", "alice@example.com", "2026-01-31")
    assert (made.tz, made.subscribe_to_emails, made.attributes, made.control) == (None, True, {}, False)
    assert isinstance(made.created, datetime.datetime)
    identified = sdk.users.identify("alice", tz="Europe/London", attributes={"plan": "pro"}, device_tokens=["token-1"])
    assert (identified.name, identified.tz, identified.attributes) == ("Alice", "Europe/London", {"plan": "pro"})
    updated = sdk.users.update("alice", name="Alicia", subscribe_to_emails=False)
    assert (updated.name, updated.email, updated.device_tokens) == ("Alicia", None, ["token-1"])
    assert sdk.users.get("alice") == updated
    assert sdk.users.identify("bob").id == "bob"


def test_users_with_odd_characters_in_their_ids_are_found(sdk: TrophyApi, stage: Game) -> None:
    for user in ("a/b", "ünï çødé"):
        sdk.users.identify(user, name="Odd")
        sdk.metrics.event("lessons", user=UpsertedUser(id=user), value=1)
        assert (sdk.users.get(user).id, sdk.users.get(user).name) == (user, "Odd")
        assert sdk.users.points(user, "xp").total == 10
        assert sdk.users.single_metric(user, "lessons").current == 1
    assert EndUser.objects.count() == 2


def test_totals_and_points_are_read(sdk: TrophyApi, stage: Game) -> None:
    sdk.metrics.event("lessons", user=UpsertedUser(id="alice"), value=1)
    sdk.metrics.event("flashcards", user=UpsertedUser(id="alice"), value=-0.5)
    assert [(each.key, each.current) for each in sdk.users.all_metrics("alice")] == [
        ("lessons", 1),
        ("flashcards", -0.5),
    ]
    flashcards = sdk.users.single_metric("alice", "flashcards")
    assert (flashcards.id, flashcards.name) == (str(stage.flashcards.id), "Flashcards flipped")
    assert (flashcards.current, flashcards.achievements) == (-0.5, [])
    energy = sdk.users.points("alice", "energy", awards=1)
    assert (energy.key, energy.name, energy.max_points, energy.total) == ("energy", "Energy", 10, 5)
    assert [(award.awarded, award.trigger.type) for award in energy.awards] == [(-5, "metric")]


def test_a_points_system_is_read_with_its_active_triggers(sdk: TrophyApi, stage: Game) -> None:
    energy = sdk.points.system("energy")
    assert (energy.id, energy.name, energy.description, energy.badge_url) == (
        *(str(stage.energy.id), "Energy"),
        *(None, None),
    )
    assert [(each.type, each.points, each.metric_threshold) for each in energy.triggers] == [
        ("user_creation", 10, None),
        ("metric", -5, 1),
    ]


def test_what_is_not_found_raises_its_own_error(sdk: TrophyApi, stage: Game) -> None:
    with pytest.raises(NotFoundError) as raised:
        sdk.users.update("charlie", name="Charlie")
    assert raised.value.body["error"] == "User not found: charlie."
    reads: list[Callable[[], Any]] = [
        lambda: sdk.users.all_metrics("charlie"),
        lambda: sdk.users.single_metric("charlie", "lessons"),
        lambda: sdk.users.points("charlie", "xp"),
        lambda: sdk.points.system("gold"),
        lambda: sdk.admin.points.triggers.list("00000000-0000-4000-8000-000000000000"),
    ]
    for read in reads:
        with pytest.raises(NotFoundError):
            read()
    assert not EndUser.objects.exists()


def test_where_the_sdk_has_no_error_of_its_own_the_status_is_404(sdk: TrophyApi, stage: Game) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: sdk.users.get("charlie"),
        lambda: sdk.metrics.event("steps", user=UpsertedUser(id="charlie"), value=1),
    ]
    for call in calls:
        with pytest.raises(ApiError) as raised:
            call()
        assert raised.value.status_code == 404
    assert not EndUser.objects.exists()


def test_what_is_refused_raises_its_own_error(sdk: TrophyApi, stage: Game) -> None:
    with pytest.raises(UnprocessableEntityError) as raised:
        sdk.users.create(id="alice", tz="Mars/Phobos")
    assert raised.value.body["error"].startswith("tz must be")
    with pytest.raises(UnprocessableEntityError):
        sdk.metrics.event("lessons", user=UpsertedUser(id="alice"), value=1, attributes={"ctgry": "math"})
    with pytest.raises(UnprocessableEntityError):
        sdk.admin.metrics.list(limit=1000)
    assert not EndUser.objects.exists()


def test_an_event_that_cannot_be_afforded_raises_with_its_code(sdk: TrophyApi, stage: Game) -> None:
    with pytest.raises(UnprocessableEntityError) as raised:
        sdk.metrics.event("lessons", user=UpsertedUser(id="alice"), value=3)
    assert raised.value.body == {
        "error": "Not enough points in energy: the event needs 15 and the user has 10.",
        "code": "out_of_points",
    }
    assert not EndUser.objects.exists()


def test_a_wrong_key_raises_its_own_error(sdk: TrophyApi, stage: Game) -> None:
    environment: TrophyApiEnvironment = sdk._client_wrapper.get_environment()
    with httpx.Client() as client:
        stranger = TrophyApi(api_key="unknown", environment=environment, httpx_client=client, max_retries=0)
        with pytest.raises(UnauthorizedError):
            stranger.users.get("alice")
        with pytest.raises(UnauthorizedError):
            stranger.metrics.event("lessons", user=UpsertedUser(id="alice"), value=1)
        with pytest.raises(UnauthorizedError):
            stranger.admin.metrics.list()
    assert not EndUser.objects.exists()
