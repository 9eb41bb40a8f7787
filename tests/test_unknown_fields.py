"""Fields that a body may not have: told on `/v1`, refused by name in the Admin API."""

from typing import Any

import pytest
from trophy import TrophyApi
from trophy.types import UpsertedUser

from tests.conftest import Api, Game


def fields_of(warnings: list[dict[str, str]]) -> list[str]:
    """Return which fields the warnings are about."""
    return [each["field"] for each in warnings]


# --- /v1: ignored, and told ------------------------------------------------------------------------------------------
def test_an_event_with_a_misspelled_field_counts_and_its_answer_names_the_field_that_may_be_meant(
    api: Api, game: Game
) -> None:
    answer = api.send(
        "POST", "/v1/metrics/lessons/event", {"user": {"id": "alice", "emial": "alice@example.com"}, "value": 2}
    )
    assert answer.status_code == 201
    assert answer.json()["total"] == 2
    assert answer.json()["warnings"] == [
        {"field": "user.emial", "message": "emial is not a field of a user, and was ignored. Did you mean email?"}
    ]


def test_an_answer_has_no_warnings_where_all_was_read(api: Api, game: Game) -> None:
    assert "warnings" not in api.event({"id": "alice", "name": "Alice"}).json()
    assert "warnings" not in api.send("PUT", "/v1/users/alice", {"name": "Alice"}).json()


@pytest.mark.parametrize("name", ["anything", "x" * 1000, "", "attribute\ns"])
def test_whatever_an_unknown_field_is_called_it_costs_no_event(api: Api, game: Game, name: str) -> None:
    answer = api.send("POST", "/v1/metrics/lessons/event", {"user": {"id": "alice"}, "value": 1, name: [{"deep": 1}]})
    assert answer.status_code == 201
    assert len(answer.json()["warnings"]) == 1
    assert len(answer.json()["warnings"][0]["field"]) <= 64


def test_a_value_stays_exact_beside_an_unknown_field(api: Api, game: Game) -> None:
    body = '{"unit": "m", "user": {"id": "alice"}, "value": 123456789012.123456789}'
    assert api.send("POST", "/v1/metrics/lessons/event", body).status_code == 201
    assert b"123456789012.123456789" in api.get("/v1/users/alice/metrics/lessons").content


def test_a_required_field_that_is_missing_is_hinted_at(api: Api, game: Game) -> None:
    answer = api.send("POST", "/v1/metrics/lessons/event", {"usr": {"id": "alice"}, "value": 1})
    assert answer.status_code == 422
    assert answer.json() == {"error": "user is required. usr is not a field of an event; did you mean user?"}


def test_what_is_no_json_behind_an_unknown_field_is_still_no_json(api: Api, game: Game) -> None:
    assert api.send("POST", "/v1/metrics/lessons/event", '{"unit": 1, "user": {"id": "alice"').status_code == 400


def test_calls_about_a_user_tell_too(api: Api, game: Game) -> None:
    made = api.send("POST", "/v1/users", {"id": "alice", "time_zone": "Europe/London", "created": "2020-01-01"})
    assert made.status_code == 201
    assert fields_of(made.json()["warnings"]) == ["time_zone", "created"]
    put = api.send("PUT", "/v1/users/alice", {"nmae": "Alice"})
    patched = api.send("PATCH", "/v1/users/alice", {"nmae": "Alice"})
    assert [answer.json()["warnings"][0]["field"] for answer in (put, patched)] == ["nmae", "nmae"]
    assert api.get("/v1/users/alice").json()["name"] is None


def test_the_events_of_a_batch_are_kept_and_the_answer_says_which_has_what(api: Api, game: Game) -> None:
    good = {"key": "lessons", "user": {"id": "alice"}, "value": 1}
    answer = api.send("POST", "/admin-api/v1/metrics/events", [good, {**good, "idempotency_key": "1"}])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    assert answer.json()["warnings"] == [
        {
            "field": "events[1].idempotency_key",
            "message": "idempotency_key is not a field of an event of a batch, and was ignored."
            " Did you mean idempotencyKey?",
        }
    ]


def test_an_answer_has_a_hundred_warnings_at_most(api: Api, game: Game) -> None:
    body: dict[str, Any] = {"user": {"id": "alice"}, "value": 1} | {f"field{n}": n for n in range(150)}
    assert len(api.send("POST", "/v1/metrics/lessons/event", body).json()["warnings"]) == 100


def test_the_sdk_reads_an_answer_with_warnings(sdk: TrophyApi, game: Game) -> None:
    user = UpsertedUser(id="alice", nickname="Al")
    answer = sdk.metrics.event(key="lessons", user=user, value=1)
    assert answer.total == 1
    assert fields_of(answer.warnings) == ["user.nickname"]
