"""Fields that a body may not have: told on `/v1`, refused by name in the Admin API."""

from typing import Any

import msgspec
import pytest
from django.test import Client
from trophy import TrophyApi
from trophy.types import UpsertedUser

from boosts.models import Boost
from core.services import create_checked
from engine.models import QueuedEvent
from levels.models import Level
from metrics.models import Metric
from points.models import PointsTrigger
from tests.conftest import Api, Game
from tests.test_admin_api import match, metric_trigger, refuse_new, refuse_one, triggers_path
from tests.test_contract import ADMIN, BODIES
from users.models import Attribute


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


# --- The Admin API: refused, and nothing is stored -------------------------------------------------------------------
def test_a_trigger_with_a_misspelled_filter_is_not_made_for_everybody(api: Api, game: Game) -> None:
    item = metric_trigger(game) | {"userAttribute": [match(game.plan, "pro")]}
    message = refuse_new(api, triggers_path(game.xp), item)
    assert message == "userAttribute is not a field of a trigger; did you mean userAttributes?"
    assert not PointsTrigger.objects.exists()


def test_a_boost_with_a_misspelled_end_is_not_made_for_ever(api: Api, game: Game) -> None:
    item = {"name": "Double", "start": "2026-01-01", "ends": "2030-01-01", "multiplier": 2}
    message = refuse_new(api, f"{ADMIN}/points/{game.xp.id}/boosts", item)
    assert message == "ends is not a field of a boost; did you mean end?"
    assert not Boost.objects.exists()


def test_a_metric_s_key_cannot_be_changed_and_the_other_fields_stay_too(api: Api, game: Game) -> None:
    message = refuse_one(api, f"{ADMIN}/metrics", {"id": str(game.lessons.id), "name": "New", "key": "new"})
    assert message == "key of a metric cannot be changed: leave it out."
    assert Metric.objects.get(id=game.lessons.id).name == "Lessons completed"


def test_the_good_items_beside_one_with_an_unknown_field_are_kept(api: Api, game: Game) -> None:
    items = [{"name": "A", "key": "a", "unit": "m"}, {"name": "B", "key": "b"}]
    answer = api.send("POST", f"{ADMIN}/metrics", items)
    assert answer.status_code == 201
    assert [made["key"] for made in answer.json()["created"]] == ["b"]
    assert [issue["index"] for issue in answer.json()["issues"]] == [0]


def test_a_field_without_a_like_is_refused_with_what_there_is(api: Api, game: Game) -> None:
    item = {"name": "A", "key": "a", "colour": "red"}
    assert refuse_new(api, f"{ADMIN}/metrics", item) == (
        "colour is not a field of a metric; it can have name, key, unitType, units."
    )


def test_what_the_server_gives_cannot_be_given_to_it(api: Api, game: Game) -> None:
    message = refuse_new(api, f"{ADMIN}/points", {"name": "A", "key": "a", "id": "1", "status": "active"})
    assert message == (
        "id of a points system cannot be set: leave it out. status of a points system cannot be set: leave it out."
    )


@pytest.mark.parametrize("underscored", ["user_attributes", "USERATTRIBUTES", "user-attributes"])
def test_case_and_underscores_do_not_hide_what_is_meant(api: Api, game: Game, underscored: str) -> None:
    message = refuse_new(api, triggers_path(game.xp), metric_trigger(game) | {underscored: []})
    assert message == f"{underscored} is not a field of a trigger; did you mean userAttributes?"


def nested(game: Game) -> list[tuple[dict[str, Any], str]]:
    """Return what a points system may have inside of it, each with an unknown field at some depth, and its path."""
    filters = [match(game.plan, "pro"), match(game.plan, "free") | {"value": "x"}]
    level = {"name": "Gold", "key": "gold", "points": 1}
    boost = {"name": "Double", "start": "2026-01-01", "multiplier": 2}
    return [
        ({"triggers": [metric_trigger(game), metric_trigger(game, streak=1)]}, "triggers[1].streak"),
        ({"triggers": [metric_trigger(game, userAttributes=filters)]}, "triggers[0].userAttributes[1].value"),
        ({"levels": [level | {"threshold": 5}]}, "levels[0].threshold"),
        ({"levels": [level | {"badge": {"uri": "https://example.com/a.png"}}]}, "levels[0].badge.uri"),
        ({"boosts": [boost | {"ends": None}]}, "boosts[0].ends"),
        ({"badge": {"url": "https://example.com/a.png", "alt": ""}}, "badge.alt"),
        ({"maxpoint": 5}, "maxpoint"),
    ]


@pytest.mark.parametrize("index", range(7))
def test_an_unknown_field_at_any_depth_is_named_with_its_path(api: Api, game: Game, index: int) -> None:
    parts, path = nested(game)[index]
    message = refuse_new(api, f"{ADMIN}/points", {"name": "New", "key": "new"} | parts)
    assert message.startswith(f"{path} is not a field of a")


def test_an_unknown_setting_of_streaks_changes_none(api: Api, game: Game) -> None:
    answer = api.send("PATCH", f"{ADMIN}/streaks/settings", {"frequency": "weekly", "evaluation": "AND"})
    assert answer.status_code == 422
    assert answer.json()["error"] == ("evaluation is not a field of the streak settings; did you mean evaluationMode?")
    deep = api.send("PATCH", f"{ADMIN}/streaks/settings", {"metrics": [{"key": "lessons", "treshold": 1}]})
    assert deep.json()["error"].startswith("metrics[0].treshold is not a field of a metric of the streak settings")
    assert api.get(f"{ADMIN}/streaks/settings").json()["frequency"] == "daily"


def test_an_application_key_for_a_misspelled_user_is_not_made(api: Api, game: Game) -> None:
    message = refuse_new(api, f"{ADMIN}/application-api-keys", {"userID": "alice"})
    assert message == "userID is not a field of an application key; did you mean userId?"


@pytest.mark.parametrize("struct", [struct for _, struct in BODIES])
def test_every_body_looks_at_its_fields(struct: type[msgspec.Struct]) -> None:
    assert struct.__struct_config__.forbid_unknown_fields


# --- Parameters ------------------------------------------------------------------------------------------------------
def test_a_write_with_a_parameter_that_it_does_not_know_writes_nothing(api: Api, game: Game) -> None:
    level = create_checked(Level, system=game.xp, name="Gold", key="gold", points=1)
    path = f"{ADMIN}/points/{game.xp.id}/levels"
    for method, query, body in (
        ("DELETE", f"ids={level.id}&colour=true", None),
        ("PATCH", "colour=true", [{"id": str(level.id), "name": "New"}]),
        ("POST", "colour=true", [{"name": "New", "key": "new", "points": 2}]),
    ):
        answer = api.send(method, f"{path}?{query}", body)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("colour is not a parameter of this call; it ")
    assert [(each.name, each.status) for each in Level.objects.all()] == [("Gold", "active")]


def test_a_list_with_a_parameter_that_it_does_not_know_names_the_nearest(api: Api, game: Game) -> None:
    answer = api.get(f"{ADMIN}/attributes?limits=1")
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "limits is not a parameter of this call; did you mean limit?",
    )
    assert api.get(f"{ADMIN}/attributes?offset=1").json()["error"].endswith("it can have limit, skip.")
    assert Attribute.objects.count() == len(api.get(f"{ADMIN}/attributes").json())


def test_no_operation_of_the_admin_api_takes_a_parameter_that_it_does_not_know(api: Api, game: Game) -> None:
    paths: dict[str, Any] = Client().get("/docs/openapi.yaml?format=json").json()["paths"]
    body = [{"key": "lessons", "user": {"id": "alice"}, "value": 1}]
    asked = 0
    for path, operations in paths.items():
        address = path.replace("{system_id}", str(game.xp.id)).replace("{id}", str(game.xp.id))
        for method in operations if path.startswith(ADMIN) else ():
            answer = api.send(method.upper(), f"{address}?dryRn=true", body)
            error = answer.json()["error"]
            assert (answer.status_code, error.split(";")[0]) == (422, "dryRn is not a parameter of this call"), path
            asked += 1
    assert asked > 30
    assert not QueuedEvent.objects.exists()


def test_v1_ignores_parameters_that_it_does_not_know(api: Api, game: Game) -> None:
    assert api.get("/v1/points/xp?nonsense=1").status_code == 200
