"""The official SDK's own types, taken strictly: our answers have their fields and words, our bodies take all of theirs.

The client itself is lenient: it lets words through that its types do not have, and fields that they do not know.
"""

import typing
from datetime import datetime
from typing import Any

import msgspec
import pytest
import trophy
from pydantic import BaseModel

from api.admin_api.achievement_items import AchievementItem, AchievementPatch
from api.admin_api.application_keys import ApplicationKeyItem
from api.admin_api.attributes import AttributeItem, AttributePatch
from api.admin_api.boost_items import BoostItem, BoostPatch
from api.admin_api.level_items import LevelItem, LevelPatch
from api.admin_api.metrics import MetricItem, MetricPatch
from api.admin_api.streaks import StreakMetricItem
from api.admin_api.systems import SystemItem, SystemPatch
from api.admin_api.trigger_items import TriggerItem, TriggerPatch
from api.bodies import BatchedEvent
from boosts.models import Boost
from boosts.services import finish_boosts
from tests.conftest import Api, Game
from tests.test_admin_api import match
from users.fields import IdentifiedUser, UserFields

ADMIN = "/admin-api/v1"
ALICE = {"id": "alice", "tz": "Europe/London", "email": "alice@example.com", "attributes": {"plan": "pro"}}
BADGE = {"url": "https://example.com/badge.png"}


def differences(type_: Any, json: Any, place: str = "answer") -> list[str]:
    """Return where `json` is not what the SDK's `type_` says, each with its place."""
    if typing.get_origin(type_) is typing.Annotated:
        type_ = typing.get_args(type_)[0]
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Union:
        # Beside its words a choice of the SDK takes anything, so as not to fail on words yet to come.
        kinds = [each for each in args if each is not Any]
        found = [differences(each, json, place) for each in kinds]
        return [] if [] in found else found[0]
    if origin is list:
        if not isinstance(json, list):
            return [f"{place} is no list"]
        return [each for n, item in enumerate(json) for each in differences(args[0], item, f"{place}[{n}]")]
    if origin is dict:
        return [each for key, item in json.items() for each in differences(args[1], item, f"{place}.{key}")]
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        return _differences_of_fields(type_, json, place)
    return [] if _is_one(type_, json) else [f"{place} is {json!r}, not {type_}"]


def _differences_of_fields(model: type[BaseModel], json: Any, place: str) -> list[str]:
    if not isinstance(json, dict):
        return [f"{place} is {json!r}, not {model.__name__}"]
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    found = [f"{place}.{name} is missing" for name, field in fields.items() if field.is_required() and name not in json]
    found += [f"{place}.{name} is not of {model.__name__}" for name in json if name not in fields]
    for name, field in fields.items():
        if name in json:
            found += differences(field.annotation, json[name], f"{place}.{name}")
    return found


def _is_one(type_: Any, json: Any) -> bool:
    if typing.get_origin(type_) is typing.Literal:
        return json in typing.get_args(type_)
    if type_ is datetime:
        return isinstance(json, str) and datetime.fromisoformat(json).tzinfo is not None
    if type_ is float:
        return isinstance(json, int | float) and not isinstance(json, bool)
    return type(json) is type_


def words(model: type[BaseModel]) -> set[tuple[str, str]]:
    """Return each word that a field of the SDK's `model` can have, with the field."""
    return {
        (field.alias or name, word)
        for name, field in model.model_fields.items()
        for choice in typing.get_args(field.annotation)
        if typing.get_origin(choice) is typing.Literal
        for word in typing.get_args(choice)
    }


# --- Bodies ----------------------------------------------------------------------------------------------------------
BODIES: list[tuple[type[BaseModel], type[msgspec.Struct]]] = [
    (trophy.CreateAttributeRequestItem, AttributeItem),
    (trophy.UpdateAttributeRequestItem, AttributePatch),
    (trophy.CreateMetricRequestItem, MetricItem),
    (trophy.UpdateMetricRequestItem, MetricPatch),
    (trophy.CreatePointsSystemRequestItem, SystemItem),
    (trophy.UpdatePointsSystemRequestItem, SystemPatch),
    (trophy.CreatePointsTriggerRequestItem, TriggerItem),
    (trophy.PatchPointsTriggersRequestItem, TriggerPatch),
    (trophy.CreatePointsLevelRequestItem, LevelItem),
    (trophy.PatchPointsLevelsRequestItem, LevelPatch),
    (trophy.CreatePointsBoostRequestItem, BoostItem),
    (trophy.PatchPointsBoostsRequestItem, BoostPatch),
    (trophy.CreateAchievementRequestItem, AchievementItem),
    (trophy.UpdateAchievementRequestItem, AchievementPatch),
    (trophy.CreateApplicationKeyRequestItem, ApplicationKeyItem),
    (trophy.StreakSettingsMetric, StreakMetricItem),
    (trophy.BatchMetricEvent, BatchedEvent),
    (trophy.UpdatedUser, UserFields),
    (trophy.UpsertedUser, IdentifiedUser),
]


@pytest.mark.parametrize(("model", "struct"), BODIES)
def test_a_body_has_the_fields_of_the_sdk_and_needs_the_same_ones(
    model: type[BaseModel], struct: type[msgspec.Struct]
) -> None:
    theirs = {field.alias or name: field.is_required() for name, field in model.model_fields.items()}
    assert {field.encode_name: field.required for field in msgspec.structs.fields(struct)} == theirs


def triggers(game: Game, achievement_id: str) -> list[dict[str, Any]]:
    """Return triggers to make of every type, with all that can be said of each."""
    base = {"points": 5, "status": "active", "userAttributes": [match(game.plan, "pro")], "blockIfOutOfPoints": False}
    of_metric = {"type": "metric", "metricId": str(game.lessons.id), "metricThreshold": 1}
    return [
        {**base, **of_metric, "eventAttributes": [match(game.category, "math")]},
        {**base, **of_metric, "eventAttributes": [], "points": -1, "blockIfOutOfPoints": True},
        {**base, "type": "streak", "streakLength": 1},
        {**base, "type": "achievement", "achievementId": achievement_id},
        {**base, "type": "user_creation", "status": "inactive"},
        {**base, "type": "time", "timeUnit": "hours", "timeInterval": 6},
        {**base, "type": "time", "timeUnit": "days", "timeInterval": 1},
    ]


def achievements(game: Game) -> list[dict[str, Any]]:
    """Return achievements to make of every type that stands for itself, and in every status."""
    base = {"status": "active", "description": "Well done", "badge": BADGE}
    of_metric = {"trigger": "metric", "metricId": str(game.lessons.id), "metricValue": 0.5}
    filters = {
        "userAttributes": [match(game.plan, "pro")],
        "eventAttributes": [match(game.category, "math")],
    }
    return [
        {**base, "name": "Half", **of_metric, **filters},
        {**base, "name": "Day", "trigger": "streak", "streakLength": 1},
        {**base, "name": "Shared", "trigger": "api", "key": "shared"},
        {**base, "name": "Draft", "trigger": "streak", "streakLength": 7, "status": "inactive"},
        {**base, "name": "Closed", "trigger": "streak", "streakLength": 9, "status": "locked"},
    ]


def boosts(game: Game) -> list[dict[str, Any]]:
    """Return boosts to make: for everyone, some users and one, active and scheduled, with every rounding."""
    base = {"name": "Double", "start": "2026-01-01", "multiplier": 2}
    return [
        {**base, "end": "2999-12-31", "rounding": "down", "userAttributes": [match(game.plan, "pro")]},
        {**base, "multiplier": 1.5, "rounding": "up", "userId": "alice"},
        {**base, "start": "2999-01-01", "rounding": "nearest"},
    ]


LEVELS = [
    {"name": "Low", "key": "low", "points": 0},
    {"name": "High", "key": "high", "points": 10, "description": "Up here", "badge": BADGE},
]


def made(api: Api, path: str, items: list[dict[str, Any]], model: type[BaseModel], shown: type[BaseModel]) -> list[Any]:
    """Make the items, which use every word that the SDK's `model` has, and return them, each a `shown`."""
    used = {(name, value) for item in items for name, value in item.items() if isinstance(value, str)}
    assert words(model) - used <= {("trigger", "anniversary"), ("trigger", "achievement")}
    answer = api.send("POST", path, items)
    assert (answer.status_code, answer.json()["issues"]) == (201, [])
    rows: list[Any] = answer.json()["created"]
    assert differences(list[shown], rows) == []  # type: ignore[valid-type] # the SDK's type, as a value
    assert differences(list[shown], api.get(f"{path}?limit=100").json()) == []  # type: ignore[valid-type]
    assert differences(shown, api.get(f"{path}/{rows[-1]['id']}").json()) == []
    return rows


def assert_changed(api: Api, path: str, row: Any, model: type[BaseModel], items: list[dict[str, Any]]) -> None:
    """Change the row as each of the items says, which use every word that the SDK's `model` has."""
    used = {(name, value) for item in items for name, value in item.items() if isinstance(value, str)}
    assert words(model) - used <= {("trigger", "anniversary")}
    for item in items:
        answer = api.send("PATCH", path, [{"id": row["id"], **item}])
        assert answer.json()["issues"] == []
        (changed,) = answer.json()["updated"]
        assert {name: changed[name] for name in item} == item


# --- The Admin API ---------------------------------------------------------------------------------------------------
def test_attributes_and_metrics_are_those_of_the_sdk(api: Api, game: Game) -> None:
    attributes = [{"name": name, "key": name, "type": name} for name in ("user", "event")]
    made(api, f"{ADMIN}/attributes", attributes, trophy.CreateAttributeRequestItem, trophy.AdminAttribute)
    metrics = [
        {"name": "Money", "key": "money", "unitType": "currency", "units": "EUR"},
        {"name": "Words", "key": "words", "unitType": "number", "units": "words"},
    ]
    rows = made(api, f"{ADMIN}/metrics", metrics, trophy.CreateMetricRequestItem, trophy.CreatedMetric)
    changes = [{"unitType": "currency", "units": "USD"}, {"unitType": "number", "units": "coins"}]
    assert_changed(api, f"{ADMIN}/metrics", rows[0], trophy.UpdateMetricRequestItem, changes)


def test_triggers_are_those_of_the_sdk(api: Api, game: Game) -> None:
    path = f"{ADMIN}/points/{game.xp.id}/triggers"
    day = api.send("POST", f"{ADMIN}/achievements", [achievements(game)[1]]).json()["created"][0]["id"]
    items = triggers(game, day)
    rows = made(api, path, items, trophy.CreatePointsTriggerRequestItem, trophy.AdminPointsTrigger)
    api.send("PATCH", path, [{"id": rows[0]["id"], "status": "inactive"}])
    inactive = [{**item, "status": "inactive"} for item in items]
    assert_changed(api, path, rows[0], trophy.PatchPointsTriggersRequestItem, [*inactive, {"status": "active"}])


def test_achievements_are_those_of_the_sdk(api: Api, game: Game) -> None:
    path, shown = f"{ADMIN}/achievements", trophy.AdminAchievement
    first = made(api, path, achievements(game), trophy.CreateAchievementRequestItem, shown)
    both = {"name": "Both", "trigger": "achievement", "achievementIds": [each["id"] for each in first[:2]]}
    composite = api.send("POST", path, [both]).json()["created"][0]
    assert differences(shown, composite) == []
    half, day = achievements(game)[:2]
    changes = [
        {"trigger": item["trigger"]} | _own(item) for item in (half, day, {"trigger": "api", "key": "other"}, both)
    ]
    statuses = [{"status": status} for status in ("inactive", "active", "locked")]
    assert_changed(api, path, first[3], trophy.UpdateAchievementRequestItem, [*changes, *statuses])


def _own(item: dict[str, Any]) -> dict[str, Any]:
    names = ("metricId", "metricValue", "streakLength", "key", "achievementIds")
    return {name: value for name, value in item.items() if name in names}


def test_levels_and_boosts_are_those_of_the_sdk(api: Api, game: Game) -> None:
    system = f"{ADMIN}/points/{game.xp.id}"
    made(api, f"{system}/levels", LEVELS, trophy.CreatePointsLevelRequestItem, trophy.AdminPointsLevel)
    rows = made(api, f"{system}/boosts", boosts(game), trophy.CreatePointsBoostRequestItem, trophy.AdminPointsBoost)
    changes = [{"rounding": rounding} for rounding in ("down", "up", "nearest")]
    assert_changed(api, f"{system}/boosts", rows[0], trophy.PatchPointsBoostsRequestItem, changes)
    finish_boosts(boosts=Boost.objects.filter(id=rows[0]["id"]))
    shown = api.get(f"{system}/boosts").json()
    assert differences(trophy.ListPointsBoostsResponse, shown) == []
    assert {("status", row["status"]) for row in shown} == words(trophy.AdminPointsBoost) & {
        ("status", phase) for phase in ("active", "scheduled", "finished")
    }


def test_streak_settings_are_those_of_the_sdk(api: Api, game: Game) -> None:
    path, metrics = f"{ADMIN}/streaks/settings", [{"key": "lessons", "threshold": 2}]
    assert differences(trophy.StreakSettings, api.get(path).json()) == []
    assert {name for name, _ in words(trophy.StreakSettings)} == {"frequency", "evaluationMode"}
    for name, word in words(trophy.StreakSettings):
        settings = api.send("PATCH", path, {name: word, "metrics": metrics}).json()
        assert (settings[name], differences(trophy.StreakSettings, settings)) == (word, [])


def test_a_system_with_all_of_its_parts_is_that_of_the_sdk(api: Api, game: Game) -> None:
    day = api.send("POST", f"{ADMIN}/achievements", [achievements(game)[1]]).json()["created"][0]["id"]
    parts = {"triggers": triggers(game, day), "levels": LEVELS, "boosts": boosts(game)}
    item = {"name": "Gems", "key": "gems", "description": "Shiny", "badge": BADGE, "maxPoints": 100, **parts}
    answer = api.send("POST", f"{ADMIN}/points", [item, {"name": "Bare", "key": "bare"}, {"name": "None"}])
    assert differences(trophy.CreatePointsSystemsResponse, answer.json()) == []
    units = [each.get("timeUnit") for each in answer.json()["created"][0]["triggers"]]
    assert units == [None, None, None, None, None, "hours", "days"]
    assert differences(trophy.ListPointsSystemsResponse, api.get(f"{ADMIN}/points").json()) == []
    changes = api.send("PATCH", f"{ADMIN}/points", [{"id": str(game.xp.id), "maxPoints": 5}, {"id": "xp"}])
    assert differences(trophy.UpdatePointsSystemsResponse, changes.json()) == []


# --- The Application API ---------------------------------------------------------------------------------------------
@pytest.fixture
def played(api: Api, game: Game) -> Any:
    """Set up something of everything, and return the answer to an event that moves all of it."""
    path = f"{ADMIN}/points/{game.xp.id}"
    goals = api.send("POST", f"{ADMIN}/achievements", achievements(game)).json()["created"]
    both = {"name": "Both", "trigger": "achievement", "status": "active"}
    api.send("POST", f"{ADMIN}/achievements", [{**both, "achievementIds": [each["id"] for each in goals[:2]]}])
    api.send("POST", f"{path}/levels", LEVELS)
    api.send("POST", f"{path}/boosts", boosts(game))
    assert api.send("POST", f"{path}/triggers", triggers(game, goals[1]["id"])).json()["issues"] == []
    return api.event(ALICE, 1, key="one", category="math").json()


def test_the_answers_to_what_happens_are_those_of_the_sdk(api: Api, played: Any) -> None:
    assert differences(trophy.EventResponse, played) == []
    assert {each["trigger"]["type"] for each in played["points"]["xp"]["awards"]} == {"metric", "streak", "achievement"}
    assert len(played["achievements"]) == 3
    assert played["points"]["xp"]["level"]["key"] == "high"
    assert differences(trophy.EventResponse, api.event(ALICE, 1, key="one", category="math").json()) == []
    completed = api.send("POST", "/v1/achievements/shared/complete", {"user": ALICE})
    assert differences(trophy.AchievementCompletionResponse, completed.json()) == []
    assert differences(trophy.User, api.send("POST", "/v1/users", ALICE).json()) == []


READS: dict[str, Any] = {
    "/v1/users/alice": trophy.User,
    "/v1/users/alice/metrics": list[trophy.MetricResponse],
    "/v1/users/alice/metrics/lessons": trophy.MetricResponse,
    "/v1/users/alice/achievements?includeIncomplete=true": list[trophy.UserAchievementWithStatsResponse],
    "/v1/users/alice/streak": trophy.StreakResponse,
    "/v1/users/alice/points/xp": trophy.GetUserPointsResponse,
    "/v1/users/alice/points/xp/boosts": list[trophy.PointsBoost],
    "/v1/streaks?userIds=alice,bob": trophy.BulkStreakResponse,
    "/v1/achievements": list[trophy.AchievementWithStatsResponse],
    "/v1/points/xp": trophy.PointsSystemResponse,
    "/v1/points/xp/boosts?includeFinished=true": list[trophy.PointsBoost],
    "/v1/points/xp/levels": list[trophy.PointsLevel],
    "/v1/points/xp/level-summary": trophy.PointsLevelSummaryResponse,
    "/v1/points/xp/summary": trophy.PointsSummaryResponse,
}


# More than the contract has: the key that other answers about systems have, and what an older SDK for Node needs.
BEYOND = {
    "answer.key is not of PointsSystemResponse",
    "answer.status is not of MetricResponse",
    *(f"answer[{number}].status is not of MetricResponse" for number in (0, 1)),
}


def test_what_is_read_is_that_of_the_sdk(api: Api, played: Any) -> None:
    found = {path: differences(type_, api.get(path).json()) for path, type_ in READS.items()}
    assert {each for its_differences in found.values() for each in its_differences} == BEYOND
