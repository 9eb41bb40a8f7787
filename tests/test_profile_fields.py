"""A field of a user's profile that cannot be stored stays as it was and is told, and costs no event."""

import logging
from typing import Any

import pytest
import time_machine

from achievements.services import create_achievement
from engine import queue
from engine.models import QueuedEvent
from metrics.models import Event
from tests.conftest import Api, Game
from users.models import EndUser

NOON = "2026-06-15T12:00:00Z"
STORED = {
    "name": "Alice",
    "email": "alice@example.com",
    "tz": "Europe/London",
    "signUpDate": "2026-01-31",
    "deviceTokens": ["phone"],
    "subscribeToEmails": True,
}
UNUSABLE: dict[str, list[Any]] = {
    "name": [1, True, [], {"first": "Alice"}, "x" * 256, "Al\x00ice"],
    "email": [1, {}, "", "nobody", "@example.com", "a b@example.com", "x" * 300, "a\x00@example.com"],
    "tz": [1, [], "", "Etc/Unknown", "Mars/Phobos", "UTC\x00", "x" * 300],
    "signUpDate": [1, {}, "", "yesterday", "2026-02-30", "2026-06-16", "2026-01-31\x00", "x" * 300],
    "deviceTokens": ["token", {}, [1], [None], [""], ["t"] * 101, ["x" * 5000], ["to\x00ken"]],
    "subscribeToEmails": ["true", 1, None, []],
}
each_unusable = pytest.mark.parametrize(
    ("field", "value"), [pytest.param(field, value, id=field) for field in UNUSABLE for value in UNUSABLE[field]]
)


def profile(api: Api) -> dict[str, Any]:
    """Return what is stored of alice's profile."""
    user = api.get("/v1/users/alice").json()
    return {field: user[field] for field in STORED}


def fields_of(answer: Any) -> list[str]:
    """Return which fields the warnings of an answer are about."""
    return [warning["field"] for warning in answer.json().get("warnings", [])]


@each_unusable
@time_machine.travel(NOON, tick=False)
def test_an_event_counts_and_the_field_stays_as_it_was(api: Api, game: Game, field: str, value: Any) -> None:
    game.trigger(points=10)
    api.event({"id": "alice"} | STORED)
    answer = api.event({"id": "alice", field: value, "attributes": {"plan": "pro"}}, 2)
    assert (answer.status_code, answer.json()["total"]) == (201, 3)
    assert answer.json()["points"]["xp"]["added"] == 20
    assert fields_of(answer) == [f"user.{field}"]
    assert field in answer.json()["warnings"][0]["message"]
    assert profile(api) == STORED
    assert api.get("/v1/users/alice").json()["attributes"] == {"plan": "pro"}


@each_unusable
def test_calls_about_the_user_refuse_the_field(api: Api, game: Game, field: str, value: Any) -> None:
    with time_machine.travel(NOON, tick=False):
        assert api.send("POST", "/v1/users", {"id": "alice", field: value}).status_code == 422
        assert api.send("PUT", "/v1/users/alice", {field: value}).status_code == 422
    assert not EndUser.objects.exists()


@time_machine.travel(NOON, tick=False)
def test_the_first_event_of_a_user_stores_what_can_be_stored(api: Api, game: Game) -> None:
    user = STORED | {"tz": "Etc/Unknown", "signUpDate": "2027-01-01", "email": "nobody", "name": 1}
    answer = api.event({"id": "alice"} | user)
    assert fields_of(answer) == ["user.name", "user.email", "user.tz", "user.subscribeToEmails", "user.signUpDate"]
    assert profile(api) == STORED | {"name": None, "email": None, "tz": None, "signUpDate": None}


@time_machine.travel("2026-06-15T22:30:00Z", tick=False)
def test_a_sign_up_is_judged_by_the_zone_that_is_stored_if_the_given_one_is_not_usable(api: Api, game: Game) -> None:
    api.event({"id": "alice", "tz": "Asia/Tokyo"})
    answer = api.event({"id": "alice", "tz": "Etc/Unknown", "signUpDate": "2026-06-16"})
    assert fields_of(answer) == ["user.tz"]
    assert api.get("/v1/users/alice").json()["signUpDate"] == "2026-06-16"


def test_a_letter_that_was_cut_in_two_costs_no_event(api: Api, game: Game) -> None:
    body = r'{"user": {"id": "alice", "name": "Alice \ud83d", "tz": "Asia/Tokyo"}, "value": 0.1}'
    answer = api.send("POST", "/v1/metrics/lessons/event", body)
    assert answer.json()["warnings"] == [
        {"field": "user.name", "message": "user.name must not contain the NUL character, or half of another."}
    ]
    assert (answer.json()["total"], api.get("/v1/users/alice").json()["tz"]) == (0.1, "Asia/Tokyo")


def test_a_letter_that_was_cut_in_two_is_unreadable_where_an_id_or_an_attribute_has_it(api: Api, game: Game) -> None:
    for user in (r'"id": "a\ud83d", "name": "\ud83d"', r'"id": "a", "name": 1, "attributes": {"plan": "\ude00"}'):
        answer = api.send("POST", "/v1/metrics/lessons/event", f'{{"user": {{{user}}}, "value": 1}}')
        assert answer.status_code == 400
    assert not EndUser.objects.exists()


def test_letters_of_two_halves_and_backslashes_stay_what_they_are(api: Api, game: Game) -> None:
    body = r'{"user": {"id": "\ud83d\ude00", "name": "\\ud83d \ud83d\ude00", "tz": 1}, "value": 1}'
    assert fields_of(api.send("POST", "/v1/metrics/lessons/event", body)) == ["user.tz"]
    user = EndUser.objects.get()
    assert (user.external_id, user.name) == ("\N{GRINNING FACE}", "\\ud83d \N{GRINNING FACE}")


def test_fields_that_nobody_knows_are_told_beside_them(api: Api, game: Game) -> None:
    answer = api.event({"id": "alice", "emial": "a@example.com", "tz": "Moon", "name": 1})
    assert sorted(fields_of(answer)) == ["user.emial", "user.name", "user.tz"]


def test_what_else_is_wrong_is_still_refused(api: Api, game: Game) -> None:
    for body in ({"user": {"name": 1}, "value": 1}, {"user": {"id": "alice", "name": 1}, "value": "1"}):
        assert api.send("POST", "/v1/metrics/lessons/event", body).status_code == 422
    assert api.event({"id": "alice", "name": 1, "attributes": {"plan": 1}}).status_code == 422
    assert not EndUser.objects.exists()


def test_a_replay_says_nothing_of_the_user(api: Api, game: Game) -> None:
    api.event("alice", key="one")
    assert fields_of(api.event({"id": "alice", "tz": "Moon"}, key="one")) == []


def test_the_log_says_whose_field_stayed_as_it_was(api: Api, game: Game, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        api.event({"id": "alice", "tz": "Etc/Unknown"})
    message = "user.tz must be an IANA time zone name such as Europe/London."
    assert f"Fields of the user alice stay as they were: {message}" in caplog.messages


def test_an_achievement_is_completed_all_the_same(api: Api, game: Game) -> None:
    create_achievement(name="Shared", status="active", type="api", key="shared")
    user = {"id": "alice", "name": 1, "email": "nobody", "tz": "Etc/Unknown", "subscribeToEmails": True}
    answer = api.send("POST", "/v1/achievements/shared/complete", {"user": user})
    assert (answer.status_code, answer.json()["achievement"]["key"]) == (201, "shared")
    assert fields_of(answer) == ["user.name", "user.email", "user.tz", "user.subscribeToEmails"]


@each_unusable
@time_machine.travel(NOON, tick=False)
def test_a_batch_loses_no_event_for_a_field(api: Api, game: Game, field: str, value: Any) -> None:
    api.event({"id": "alice"} | STORED)
    events = [
        {"key": "lessons", "user": {"id": "bob"}, "value": 1},
        {"key": "lessons", "user": {"id": "alice", field: value}, "value": 2},
    ]
    answer = api.send("POST", "/admin-api/v1/metrics/events", events)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    # A date is judged by the user's zone, so in the background: that is told in the log alone.
    told = [] if value == "2026-06-16" else [f"events[1].user.{field}"]
    assert fields_of(answer) == told
    while queue.work():
        pass
    assert Event.objects.count() == 3
    assert not QueuedEvent.objects.exists()
    assert profile(api) == STORED


# --- Emails as people have them --------------------------------------------------------------------------------------
GOOD_EMAILS = [
    "alice@example.com",
    "jörg@example.com",
    "o'hara+news@example.co.uk",
    "иван@почта.рф",
    "用户@例え.jp",
    "jörg@bücher.example",
    "a@xn--bcher-kva.example",
    '"odd one"@example.com',
    "root@localhost",
    "josé.ñ@correo.internal",
]


@pytest.mark.parametrize("email", GOOD_EMAILS)
def test_addresses_in_any_language_are_stored_as_they_are(api: Api, game: Game, email: str) -> None:
    assert fields_of(api.event({"id": "alice", "email": email})) == []
    assert api.get("/v1/users/alice").json()["email"] == email
    assert api.send("PUT", "/v1/users/bob", {"email": email}).json()["email"] == email


@pytest.mark.parametrize(
    "email", ["nobody", "a@b@example.com", "a b@example.com", "jörg@", "@bücher.example", "j\nörg@x.de"]
)
def test_what_is_no_address_is_not_stored(api: Api, game: Game, email: str) -> None:
    assert fields_of(api.event({"id": "alice", "email": email})) == ["user.email"]
    assert api.send("PUT", "/v1/users/alice", {"email": email}).status_code == 422


def test_each_warning_begins_with_its_field(api: Api, game: Game) -> None:
    late = api.event({"id": "alice", "signUpDate": "2999-01-01", "subscribeToEmails": True, "tz": "Mars"}).json()
    assert {each["field"]: each["message"] for each in late["warnings"]} == {
        "user.tz": "user.tz must be an IANA time zone name such as Europe/London.",
        "user.subscribeToEmails": "user.subscribeToEmails can be true only for a user with an email.",
        "user.signUpDate": "user.signUpDate must not be after today in the user's time zone.",
    }
    refused = api.send("PUT", "/v1/users/alice", {"signUpDate": "2999-01-01"})
    assert refused.json()["error"] == "signUpDate must not be after today in the user's time zone."
