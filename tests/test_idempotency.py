"""Of all events of a user and metric with one idempotency key, exactly one counts."""

from typing import Any

import pytest

from access.services import create_api_key
from core.services import archive
from metrics.models import Event, MetricTotal
from points.models import PointsAward, PointsBalance
from tests.conftest import Api, Game
from users.models import EndUser

PRODUCT_DATA = (EndUser, Event, MetricTotal, PointsAward, PointsBalance)


def contents() -> list[Any]:
    """Return every row that an event can change."""
    return [list(model.objects.order_by("pk").values()) for model in PRODUCT_DATA]


def test_an_event_with_a_key_counts_once(api: Api, game: Game) -> None:
    game.trigger(points=10)
    first = api.event("alice", 2, key="one")
    assert (first.status_code, first.json()["idempotentReplayed"]) == (201, False)
    assert first.json()["points"]["xp"]["added"] == 20
    before = contents()
    second = api.event("alice", 2, key="one")
    assert second.status_code == 202
    assert contents() == before


def test_a_replay_answers_with_the_stored_event_and_pays_nothing(api: Api, game: Game) -> None:
    game.trigger(points=10)
    first = api.event("alice", 2, key="one").json()
    assert api.event("alice", 2, key="one").json() == {
        "eventId": first["eventId"],
        "metricId": str(game.lessons.id),
        "total": 2,
        "achievements": [],
        "currentStreak": first["currentStreak"] | {"extended": False},
        "points": {},
        "leaderboards": {},
        "idempotencyKey": "one",
        "idempotentReplayed": True,
    }


def test_a_replay_answers_with_the_total_of_now(api: Api, game: Game) -> None:
    api.event("alice", 2, key="one")
    api.event("alice", 0.5, key="two")
    api.event("alice", 3)
    assert api.event("alice", 2, key="one").json()["total"] == 5.5


@pytest.mark.parametrize(
    ("user", "value", "attributes"),
    [
        pytest.param({"name": "Alicia", "tz": "Asia/Tokyo", "attributes": {"plan": "pro"}}, 1, {}, id="other fields"),
        pytest.param({"subscribeToEmails": False}, 1, {}, id="unsubscribes"),
        pytest.param({"attributes": {"pln": "pro"}}, 1, {}, id="unknown user attribute"),
        pytest.param({}, 1, {"ctgry": "math"}, id="unknown event attribute"),
        pytest.param({}, 500, {"category": "art"}, id="other value and attributes"),
    ],
)
def test_a_replay_changes_nothing_whatever_its_body(
    api: Api, game: Game, user: dict[str, Any], value: int, attributes: dict[str, str]
) -> None:
    game.trigger(points=10)
    game.trigger(points=10, user_filters=[(game.plan, "pro")], event_filters=[(game.category, "art")])
    first = api.event({"id": "alice", "name": "Alice", "email": "alice@example.com"}, key="one").json()
    before = contents()
    replay = api.event({"id": "alice"} | user, value, key="one", **attributes)
    assert replay.status_code == 202
    assert (replay.json()["eventId"], replay.json()["total"]) == (first["eventId"], 1)
    assert contents() == before


def test_a_replay_is_not_blocked_by_a_lack_of_points(api: Api, game: Game) -> None:
    game.creation_trigger(points=5, system=game.energy)
    game.trigger(points=-5, system=game.energy, block_if_out_of_points=True)
    assert api.event("alice", key="one").status_code == 201
    assert api.event("alice", key="two").status_code == 422
    assert api.event("alice", key="one").status_code == 202
    assert api.points("alice", "energy")["total"] == 0


def test_a_replay_may_come_from_another_api_key(api: Api, game: Game) -> None:
    api.event("alice", key="one")
    other = Api(create_api_key(name="another backend")[1])
    assert other.event("alice", key="one").status_code == 202


def test_a_replay_that_is_not_valid_in_itself_is_refused(api: Api, game: Game) -> None:
    api.event("alice", key="one")
    assert api.event("alice", "two", key="one").status_code == 422


def test_a_key_belongs_to_one_user_and_one_metric(api: Api, game: Game) -> None:
    sends = [
        api.event(user, key="one", metric=metric)
        for user in ("alice", "bob", "charlie")
        for metric in ("lessons", "flashcards")
    ]
    assert [answer.status_code for answer in sends] == [201] * 6
    assert len({answer.json()["eventId"] for answer in sends}) == Event.objects.count() == 6
    assert api.event("bob", key="one", metric="flashcards").status_code == 202


def test_events_without_a_key_all_count(api: Api, game: Game) -> None:
    answers = [api.event("alice") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[-1].json()["total"] == 3


@pytest.mark.parametrize("key", ["One", "ONE", "o ne", "one,one", '"one"', "öne"])
def test_keys_that_look_alike_are_different(api: Api, game: Game, key: str) -> None:
    assert api.event("alice", key="one").status_code == 201
    assert api.event("alice", key=key).status_code == 201


def test_a_refused_event_does_not_use_its_key_up(api: Api, game: Game) -> None:
    assert api.event("alice", key="one", source="app").status_code == 422
    assert api.event({"id": "alice", "attributes": {"pln": "pro"}}, key="one").status_code == 422
    assert api.event("alice", key="one", metric="steps").status_code == 404
    assert not EndUser.objects.exists()
    answer = api.event("alice", key="one")
    assert (answer.status_code, answer.json()["idempotentReplayed"]) == (201, False)


def test_an_event_refused_for_lack_of_points_does_not_use_its_key_up(api: Api, game: Game) -> None:
    game.trigger(points=-5, system=game.energy, block_if_out_of_points=True)
    game.trigger(points=5, system=game.energy, metric=game.flashcards)
    assert api.event("alice", key="one").json()["code"] == "out_of_points"
    api.event("alice", metric="flashcards")
    answer = api.event("alice", key="one")
    assert (answer.status_code, answer.json()["idempotentReplayed"]) == (201, False)
    assert answer.json()["points"]["energy"]["added"] == -5


def test_a_key_of_an_archived_metric_is_not_replayed(api: Api, game: Game) -> None:
    api.event("alice", key="one")
    archive(row=game.lessons)
    assert api.event("alice", key="one").status_code == 404


@pytest.mark.parametrize("key", ["k", "k" * 255, "!#$%&'*+-.^_`|~:/?@[]{}()<>=;"])
def test_a_key_has_up_to_255_characters(api: Api, game: Game, key: str) -> None:
    assert api.event("alice", key=key).json()["idempotencyKey"] == key
    assert api.event("alice", key=key).status_code == 202
    assert Event.objects.get().idempotency_key == key


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_empty_key_and_one_of_256_characters_are_refused(api: Api, game: Game, key: str) -> None:
    answer = api.event("alice", key=key)
    assert answer.status_code == 422
    assert answer.json() == {"error": "The Idempotency-Key header must have 1 to 255 characters."}
    assert not any(contents())
