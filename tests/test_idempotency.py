"""Of all events of a user and metric with one idempotency key, exactly one counts."""

from decimal import Decimal
from typing import Any

import pytest

from access.services import create_api_key
from core.services import archive, create_checked
from engine import queue
from engine.inputs import EventInput
from engine.outcomes import Accepted, Rejected, Replayed
from engine.pipeline import process
from metrics.models import Event, MetricTotal
from points.models import PointsAward, PointsBalance
from tests.conftest import Api, Game
from users.models import Attribute, EndUser
from users.rules import UserChanges

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
    "user",
    [
        pytest.param({"name": "Alicia", "tz": "Asia/Tokyo", "attributes": {"plan": "pro"}}, id="other fields"),
        pytest.param({"subscribeToEmails": False}, id="unsubscribes"),
        pytest.param({"attributes": {"pln": "pro"}}, id="unknown user attribute"),
    ],
)
def test_a_replay_changes_nothing_whatever_it_says_of_the_user(api: Api, game: Game, user: dict[str, Any]) -> None:
    game.trigger(points=10)
    game.trigger(points=10, user_filters=[(game.plan, "pro")])
    first = api.event({"id": "alice", "name": "Alice", "email": "alice@example.com"}, key="one").json()
    before = contents()
    replay = api.event({"id": "alice"} | user, key="one")
    assert replay.status_code == 202
    assert (replay.json()["eventId"], replay.json()["total"]) == (first["eventId"], 1)
    assert contents() == before


@pytest.mark.parametrize(
    ("value", "attributes", "difference"),
    [
        (500, {"category": "math"}, "its value was 2.5, not 500"),
        (2.5, {"category": "art"}, "it had other event attributes (category)"),
        (2.5, {}, "it had other event attributes (category)"),
        (2.5, {"category": "math", "ctgry": "math"}, "it had other event attributes (ctgry)"),
        (0, {"category": "art"}, "its value was 2.5, not 0 and it had other event attributes (category)"),
    ],
)
def test_a_key_of_another_event_is_refused_with_what_differs(
    api: Api, game: Game, value: float, attributes: dict[str, str], difference: str
) -> None:
    game.trigger(points=10)
    api.event("alice", 2.5, key="one", category="math")
    before = contents()
    answer = api.event({"id": "alice", "name": "Alicia"}, value, key="one", **attributes)
    assert answer.status_code == 422
    assert answer.json() == {
        "error": f"The idempotency key was used for another event before: {difference}.",
        "code": "idempotency_key_reused",
    }
    assert contents() == before
    assert api.event("alice", 2.5, key="one", category="math").status_code == 202


def test_the_same_number_and_attributes_written_otherwise_are_a_replay(api: Api, game: Game) -> None:
    create_checked(Attribute, name="Source", key="source", type="event")
    path, headers = "/v1/metrics/lessons/event", {"Idempotency-Key": "one"}
    first = '{"user": {"id": "alice"}, "value": 50, "attributes": {"category": "math", "source": "app"}}'
    again = '{"value": 5.0e1, "attributes": {"source": "app", "category": "math"}, "user": {"id": "alice"}}'
    assert api.send("POST", path, first, **headers).status_code == 201
    assert api.send("POST", path, again, **headers).status_code == 202


@pytest.mark.parametrize("value", ["0", "-0", "0.0000000001"])
def test_a_value_that_is_stored_as_nothing_is_a_replay_of_nothing(api: Api, game: Game, value: str) -> None:
    for text, status in (("-0.0", 201), (value, 202)):
        body = f'{{"user": {{"id": "alice"}}, "value": {text}}}'
        sent = api.send("POST", "/v1/metrics/lessons/event", body, **{"Idempotency-Key": "one"})
        assert sent.status_code == status


def test_an_event_whose_attributes_were_removed_since_is_known_by_what_was_sent(api: Api, game: Game) -> None:
    api.event("alice", key="one", category="math")
    Event.objects.update(attributes={})
    assert api.event("alice", key="one", category="math").status_code == 202
    other = api.event("alice", key="one")
    assert other.json()["error"] == (
        "The idempotency key was used for another event before: it had other event attributes."
    )


def test_an_event_stored_before_there_were_fingerprints_is_replayed_whatever_comes(api: Api, game: Game) -> None:
    api.event("alice", key="one", category="math")
    Event.objects.update(fingerprint=None)
    assert api.event("alice", 500, key="one").status_code == 202
    assert Event.objects.count() == 1


def test_of_two_different_events_with_one_key_at_once_the_second_is_refused(game: Game) -> None:
    events = [EventInput(UserChanges("alice"), "lessons", Decimal(value), idempotency_key="one") for value in (1, 2, 1)]
    outcomes = process(events).outcomes
    assert [type(each) for each in outcomes] == [Accepted, Rejected, Replayed]


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


# --- Letters and blanks: one key, one event, by whatever road --------------------------------------------------------
ODD_KEYS = ["ключ", "öne", "鍵", "à", "🔑" * 255, "a b", "a\u0301", "\u00a0a\u3000"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_in_any_letters_comes_back_as_it_was_sent(api: Api, game: Game, key: str) -> None:
    first, again = api.event("alice", key=key), api.event("alice", key=key)
    assert (first.status_code, again.status_code) == (201, 202)
    assert first.json()["idempotencyKey"] == again.json()["idempotencyKey"] == key
    assert Event.objects.get().idempotency_key == key


@pytest.mark.parametrize("key", [*ODD_KEYS, " a", "a\t", "  ключ "])
def test_a_key_of_an_event_is_the_same_in_a_batch(api: Api, game: Game, key: str) -> None:
    # As HTTP takes blanks off the ends of headers.
    assert api.event("alice", key=key.strip(" \t")).status_code == 201
    batch = [{"key": "lessons", "user": {"id": "alice"}, "value": 1, "idempotencyKey": key}]
    assert api.send("POST", "/admin-api/v1/metrics/events", batch).status_code == 202
    assert queue.work() == 1
    assert Event.objects.count() == 1
    assert api.event("alice", key=key).status_code == 202


def test_forms_of_unicode_are_different_keys(api: Api, game: Game) -> None:
    assert api.event("alice", key="\u00e9").status_code == 201
    assert api.event("alice", key="e\u0301").status_code == 201


@pytest.mark.parametrize("key", ["a\tb", "a\x7f", "a\x1bb", "\x85", "a\x9fb"])
def test_a_key_with_control_characters_is_refused_by_name(api: Api, game: Game, key: str) -> None:
    answer = api.event("alice", key=key)
    assert answer.status_code == 422
    assert answer.json() == {"error": "The Idempotency-Key header must not have control characters."}
    batch = [{"key": "lessons", "user": {"id": "alice"}, "value": 1, "idempotencyKey": key}]
    answer = api.send("POST", "/admin-api/v1/metrics/events", batch)
    assert answer.json() == {"error": "events[0]: idempotencyKey must not have control characters."}
    assert not any(contents())


def test_a_header_that_is_not_utf_8_is_refused_by_name(api: Api, game: Game) -> None:
    body = {"user": {"id": "alice"}, "value": 1}
    headers: Any = {"X-API-KEY": api.key, "Idempotency-Key": "caf\xe9"}
    answer = api.client.post("/v1/metrics/lessons/event", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()) == (422, {"error": "The Idempotency-Key header must be UTF-8."})


def test_an_event_whose_key_was_stored_as_latin_1_is_still_found(api: Api, game: Game) -> None:
    api.event("alice", key="ключ")
    Event.objects.update(idempotency_key="ключ".encode().decode("latin-1"))
    again = api.event("alice", key="ключ")
    assert (again.status_code, again.json()["idempotencyKey"]) == (202, "ключ")
    assert Event.objects.count() == 1


@pytest.mark.parametrize("key", ["ключ", "\xff", "app_\xff.x", "\x85", " ", "a,b", "app_ключ.secret"])
def test_an_api_key_of_any_bytes_is_not_known(api: Api, game: Game, key: str) -> None:
    assert Api(key).event("alice").status_code == 401
    assert Api(key).get("/v1/metrics").status_code in (401, 404)
    assert Api(key).send("PUT", "/v1/users/alice", {}).status_code == 401
