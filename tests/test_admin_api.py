"""Setting the game up by program: attributes, metrics, points systems and triggers of the Admin API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from trophy import (
    CreateAttributeRequestItem,
    CreateMetricRequestItem,
    CreatePointsSystemRequestItem,
    CreatePointsSystemRequestItemBadge,
    CreatePointsTriggerRequestItem,
    CreatePointsTriggerRequestItemEventAttributesItem,
    CreatePointsTriggerRequestItemUserAttributesItem,
    PatchPointsTriggersRequestItem,
    TrophyApi,
    UpdateAttributeRequestItem,
    UpdateMetricRequestItem,
    UpdatePointsSystemRequestItem,
)

from achievements.services import create_achievement
from core.services import archive, create_checked, update_checked
from metrics.models import Metric
from points.models import PointsSystem, PointsTrigger, TriggerFilter
from tests.conftest import Api, Game
from users.models import Attribute

NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"
ATTRIBUTES, METRICS, SYSTEMS = "/admin-api/v1/attributes", "/admin-api/v1/metrics", "/admin-api/v1/points"
ACHIEVEMENTS = "/admin-api/v1/achievements"


def triggers_path(system: PointsSystem) -> str:
    return f"{SYSTEMS}/{system.id}/triggers"


def metric_trigger(game: Game, **fields: Any) -> dict[str, Any]:
    """Return a trigger of lessons to make, with `fields` instead of its own; None leaves one out."""
    item = {"type": "metric", "points": 10, "metricId": str(game.lessons.id), "metricThreshold": 1} | fields
    return {name: value for name, value in item.items() if value is not None}


def match(attribute: Attribute | str, value: Any) -> dict[str, Any]:
    """Return a filter as the API takes it; the attribute by itself or by an id."""
    return {
        "attributeId": str(attribute.id) if isinstance(attribute, Attribute) else attribute,
        "attributeValue": value,
    }


def assert_issues(answer: Any, cases: list[tuple[Any, str]]) -> None:
    """Check that the answer has one issue for each case, in their order, with its words in it."""
    assert answer.json()["created"] == []
    assert answer.status_code == 200
    issues = answer.json()["issues"]
    assert [(issue["index"], issue["severity"]) for issue in issues] == [(n, "error") for n in range(len(cases))]
    for (item, words), issue in zip(cases, issues, strict=True):
        assert words in issue["message"], (item, issue)
        assert issue["message"].endswith("."), issue


def create_one(api: Api, path: str, item: dict[str, Any]) -> Any:
    """Make one item and return it."""
    answer = api.send("POST", path, [item])
    assert (answer.status_code, answer.json()["issues"]) == (201, [])
    return answer.json()["created"][0]


def update_one(api: Api, path: str, item: dict[str, Any]) -> Any:
    """Change one item and return it."""
    answer = api.send("PATCH", path, [item])
    assert (answer.status_code, answer.json()["issues"]) == (200, [])
    return answer.json()["updated"][0]


def refuse_one(api: Api, path: str, item: dict[str, Any]) -> str:
    """Try a change that is refused and return the sentence that says why."""
    answer = api.send("PATCH", path, [item])
    assert (answer.status_code, answer.json()["updated"]) == (200, [])
    (issue,) = answer.json()["issues"]
    assert (issue["id"], issue["severity"]) == (item["id"], "error")
    message: str = issue["message"]
    return message


def refuse_new(api: Api, path: str, item: dict[str, Any]) -> str:
    """Try to make an item that is refused and return the sentence that says why."""
    answer = api.send("POST", path, [item])
    assert (answer.status_code, answer.json()["created"]) == (200, [])
    (issue,) = answer.json()["issues"]
    assert (issue["index"], issue["severity"]) == (0, "error")
    message: str = issue["message"]
    return message


# --- With the official SDK -------------------------------------------------------------------------------------------
def test_the_sdk_sets_attributes_up(sdk: TrophyApi) -> None:
    items = [
        CreateAttributeRequestItem(name=key, key=key, type=type_) for key, type_ in (("a", "user"), ("b", "event"))
    ]
    made = sdk.admin.attributes.create(request=items)
    assert ([each.key for each in made.created], made.issues) == (["a", "b"], [])
    changed = sdk.admin.attributes.update(request=[UpdateAttributeRequestItem(id=made.created[0].id, name="Plan")])
    assert (changed.updated[0].name, changed.updated[0].key, changed.issues) == ("Plan", "a", [])
    assert [(each.name, each.type) for each in sdk.admin.attributes.list()] == [("Plan", "user"), ("b", "event")]
    assert sdk.admin.attributes.get(made.created[1].id) == made.created[1]


def test_the_sdk_sets_metrics_up(sdk: TrophyApi) -> None:
    items = [
        CreateMetricRequestItem(name="Money", key="money", unit_type="currency", units="EUR"),
        CreateMetricRequestItem(name="Words", key="words", units="words"),
        CreateMetricRequestItem(name="Steps", key="steps!"),
    ]
    made = sdk.admin.metrics.create(request=items)
    assert [(each.key, each.unit_type, each.units) for each in made.created] == [
        ("money", "currency", "EUR"),
        ("words", "number", "words"),
    ]
    assert [(issue.index, issue.severity) for issue in made.issues] == [(2, "error")]
    changed = sdk.admin.metrics.update(request=[UpdateMetricRequestItem(id=made.created[1].id, units="")])
    assert (changed.updated[0].name, changed.updated[0].units) == ("Words", "")
    assert [each.key for each in sdk.admin.metrics.list(limit=1, skip=1)] == ["words"]
    assert sdk.admin.metrics.get(made.created[0].id) == made.created[0]


def test_the_sdk_sets_points_systems_up(sdk: TrophyApi) -> None:
    item = CreatePointsSystemRequestItem(
        name="XP",
        key="xp",
        description="Experience",
        max_points=500,
        badge=CreatePointsSystemRequestItemBadge(url="https://example.com/xp.png"),
        triggers=[CreatePointsTriggerRequestItem(type="user_creation", points=5, status="active")],
    )
    made = sdk.admin.points.systems.create(request=[item]).created[0]
    assert (made.name, made.key, made.description, made.status, made.max_points, made.badge.url) == (
        *("XP", "xp", "Experience", "active", 500),
        "https://example.com/xp.png",
    )
    assert [(each.type, each.points, each.status) for each in made.triggers] == [("user_creation", 5, "active")]
    request = [UpdatePointsSystemRequestItem(id=made.id, name="Experience", badge=None, max_points=None)]
    changed = sdk.admin.points.systems.update(request=request).updated[0]
    assert (changed.name, changed.description, changed.badge, changed.max_points) == (
        "Experience",
        "Experience",
        None,
        None,
    )
    assert sdk.admin.points.systems.list() == [changed]
    assert sdk.admin.points.systems.get(made.id) == changed


def test_the_sdk_sets_triggers_up(sdk: TrophyApi) -> None:
    plan, source = (
        create_checked(Attribute, name=key, key=key, type=type_)
        for key, type_ in (("plan", "user"), ("source", "event"))
    )
    metric = create_checked(Metric, name="Lessons", key="lessons")
    system = str(create_checked(PointsSystem, name="XP", key="xp").id)
    item = CreatePointsTriggerRequestItem(
        type="metric",
        points=-2,
        metric_id=str(metric.id),
        metric_threshold=3,
        block_if_out_of_points=True,
        user_attributes=[
            CreatePointsTriggerRequestItemUserAttributesItem(attribute_id=str(plan.id), attribute_value="pro")
        ],
        event_attributes=[
            CreatePointsTriggerRequestItemEventAttributesItem(attribute_id=str(source.id), attribute_value="app")
        ],
    )
    triggers = sdk.admin.points.triggers
    made = triggers.create(system, request=[item]).created[0]
    assert (made.type, made.points, made.status, made.metric_id) == ("metric", -2, "inactive", str(metric.id))
    assert (made.metric_threshold, made.block_if_out_of_points) == (3, True)
    assert [(each.attribute_id, each.attribute_value) for each in made.user_attributes] == [(str(plan.id), "pro")]
    assert [(each.attribute_id, each.attribute_value) for each in made.event_attributes] == [(str(source.id), "app")]
    request = [PatchPointsTriggersRequestItem(id=made.id, status="active", event_attributes=None)]
    changed = triggers.update(system, request=request).updated[0]
    assert (changed.status, changed.points, changed.event_attributes) == ("active", -2, [])
    assert changed.user_attributes == made.user_attributes
    assert triggers.list(system) == [changed]
    assert triggers.get(system, made.id) == changed


# --- Lists and single rows -------------------------------------------------------------------------------------------
@pytest.fixture
def twelve_metrics(db: None) -> list[str]:
    """Make twelve metrics, the later ones with the earlier keys, and return their keys in the order of creation."""
    keys = [f"metric-{number:02}" for number in range(12, 0, -1)]
    for key in keys:
        create_checked(Metric, name=key, key=key)
    return keys


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("", slice(0, 10)),
        ("?limit=1", slice(0, 1)),
        ("?limit=100", slice(0, 12)),
        ("?skip=10", slice(10, 12)),
        ("?limit=3&skip=4", slice(4, 7)),
        ("?skip=12", slice(0, 0)),
        ("?skip=999999999", slice(0, 0)),
    ],
)
def test_a_list_is_paged_in_the_order_of_creation(api: Api, twelve_metrics: list[str], query: str, part: slice) -> None:
    assert [each["key"] for each in api.get(METRICS + query).json()] == twelve_metrics[part]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", ""),
        ("skip", "-1"),
        ("skip", "1.5"),
    ],
)
def test_a_wrong_page_is_refused_by_name(api: Api, game: Game, name: str, value: str) -> None:
    for path in (ATTRIBUTES, METRICS, SYSTEMS, triggers_path(game.xp)):
        answer = api.get(f"{path}?{name}={value}")
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(f"{name} must be a whole number")


def test_every_row_is_read_by_its_id_as_it_is_in_the_list(api: Api, game: Game) -> None:
    game.trigger(points=10)
    for path in (ATTRIBUTES, METRICS, SYSTEMS, triggers_path(game.xp)):
        rows = api.get(path).json()
        assert rows
        assert [api.get(f"{path}/{row['id']}").json() for row in rows] == rows


def test_rows_have_every_field_of_the_contract(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10, every=2)
    assert api.get(f"{ATTRIBUTES}/{game.plan.id}").json() == {
        "id": str(game.plan.id),
        "name": "Plan",
        "key": "plan",
        "type": "user",
    }
    assert api.get(f"{METRICS}/{game.lessons.id}").json() == {
        "id": str(game.lessons.id),
        "name": "Lessons completed",
        "key": "lessons",
        "unitType": "number",
        "units": "",
    }
    assert api.get(f"{SYSTEMS}/{game.energy.id}").json() == {
        "id": str(game.energy.id),
        "name": "Energy",
        "key": "energy",
        "description": "",
        "status": "active",
        "badge": None,
        "maxPoints": 10,
    }
    assert api.get(f"{triggers_path(game.xp)}/{trigger.id}").json() == {
        "id": str(trigger.id),
        "type": "metric",
        "points": 10,
        "status": "active",
        "userAttributes": [],
        "metricId": str(game.lessons.id),
        "metricThreshold": 2,
        "eventAttributes": [],
        "blockIfOutOfPoints": False,
    }


def test_an_id_that_is_unknown_answers_404_and_one_that_is_none_422(api: Api, game: Game) -> None:
    for path in (ATTRIBUTES, METRICS, SYSTEMS, triggers_path(game.xp), f"{SYSTEMS}/{NO_SUCH_ID}/triggers"):
        answer = api.get(f"{path}/{NO_SUCH_ID}")
        assert (answer.status_code, answer.json()["error"].endswith(f"not found: {NO_SUCH_ID}.")) == (404, True)
    for path in (ATTRIBUTES, METRICS, SYSTEMS, triggers_path(game.xp)):
        answer = api.get(f"{path}/xp")
        assert (answer.status_code, answer.json()) == (422, {"error": "id must be a valid UUID."})


def test_archived_rows_are_in_no_list_and_not_found(api: Api, game: Game) -> None:
    for path, row in ((ATTRIBUTES, game.plan), (METRICS, game.flashcards), (SYSTEMS, game.energy)):
        archive(row=row)
        assert str(row.id) not in [each["id"] for each in api.get(path).json()]
        assert api.get(f"{path}/{row.id}").status_code == 404
        answer = api.send("PATCH", path, [{"id": str(row.id), "name": "Back"}])
        assert (answer.json()["updated"], answer.json()["issues"][0]["id"]) == ([], str(row.id))
    assert api.get(triggers_path(game.energy)).status_code == 404


def test_a_trigger_is_found_only_in_its_own_system(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10)
    path = triggers_path(game.energy)
    assert api.get(path).json() == []
    assert api.get(f"{path}/{trigger.id}").status_code == 404
    assert "not found" in refuse_one(api, path, {"id": str(trigger.id), "points": 20})
    trigger.refresh_from_db()
    assert trigger.points == 10


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_triggers_of_an_unknown_system_answer_404(api: Api, game: Game, method: str) -> None:
    answer = api.send(method, f"{SYSTEMS}/{NO_SUCH_ID}/triggers", [metric_trigger(game)])
    assert (answer.status_code, answer.json()) == (404, {"error": f"Points system not found: {NO_SUCH_ID}."})
    assert not PointsTrigger.objects.exists()


# --- Bodies that cannot be used at all -------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("body", ['{"name": "Steps", "key": "steps"}', "null", '"steps"', "1"])
def test_a_body_that_is_no_array_is_refused(api: Api, game: Game, method: str, body: str) -> None:
    for path in (ATTRIBUTES, METRICS, SYSTEMS, triggers_path(game.xp)):
        answer = api.send(method, path, body)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("The body must be an array")


def test_a_hundred_items_are_made_and_one_more_refused(api: Api) -> None:
    items = [{"name": f"Metric {number}", "key": f"metric-{number}"} for number in range(101)]
    answer = api.send("POST", METRICS, items)
    assert (answer.status_code, answer.json()) == (422, {"error": "The body must have at most 100 items."})
    assert not Metric.objects.exists()
    assert len(api.send("POST", METRICS, items[:100]).json()["created"]) == 100
    patches = [{"id": row["id"]} for row in api.get(f"{METRICS}?limit=100").json()]
    assert api.send("PATCH", METRICS, [*patches, patches[0]]).status_code == 422


# --- Good items are kept ---------------------------------------------------------------------------------------------
def test_good_items_are_made_and_each_bad_one_has_an_issue(api: Api, game: Game) -> None:
    items = [
        {"name": "A", "key": "a"},
        {"name": "B", "key": "b!"},
        {"name": "C", "key": "c"},
        {"key": "d"},
        "e",
        5,
        None,
    ]
    answer = api.send("POST", METRICS, items)
    assert answer.status_code == 201
    assert [each["key"] for each in answer.json()["created"]] == ["a", "c"]
    assert [(issue["index"], issue["message"]) for issue in answer.json()["issues"]] == [
        (1, "key must have only letters, digits, hyphens and underscores."),
        (3, "name is required."),
        (4, "The item must be an object, not a string."),
        (5, "The item must be an object, not a whole number."),
        (6, "The item must be an object, not null."),
    ]
    assert set(Metric.objects.values_list("key", flat=True)) == {"lessons", "flashcards", "a", "c"}


def test_good_items_are_changed_and_each_bad_one_has_an_issue(api: Api, game: Game) -> None:
    items = [
        {"id": str(game.lessons.id), "name": "Lessons"},
        {"id": str(game.flashcards.id), "name": ""},
        {"id": NO_SUCH_ID, "name": "Nothing"},
        {"id": "xp", "name": "Nothing"},
        {"name": "Nothing"},
        {"id": 5},
    ]
    answer = api.send("PATCH", METRICS, items)
    assert answer.status_code == 200
    assert [each["name"] for each in answer.json()["updated"]] == ["Lessons"]
    blank, unknown, malformed, missing, wrong = answer.json()["issues"]
    assert (blank["id"], "name" in blank["message"]) == (str(game.flashcards.id), True)
    assert (unknown["id"], NO_SUCH_ID in unknown["message"]) == (NO_SUCH_ID, True)
    assert (malformed["id"], malformed["message"]) == ("xp", "id must be a valid UUID.")
    assert (missing["index"], missing["message"]) == (4, "id is required.")
    assert (wrong["index"], wrong["message"].startswith("id must be a string")) == (5, True)
    game.flashcards.refresh_from_db()
    assert game.flashcards.name == "Flashcards flipped"


def test_only_the_fields_given_change_and_keys_never_do(api: Api, game: Game) -> None:
    for path, row in ((ATTRIBUTES, game.plan), (METRICS, game.lessons), (SYSTEMS, game.energy)):
        before = api.get(f"{path}/{row.id}").json()
        assert update_one(api, path, {"id": str(row.id)}) == before
        assert refuse_one(api, path, {"id": str(row.id), "name": "New", "key": "new"}).startswith("key of ")
        assert api.get(f"{path}/{row.id}").json() == before
        assert update_one(api, path, {"id": str(row.id), "name": "New"}) == before | {"name": "New"}


# --- Attributes ------------------------------------------------------------------------------------------------------
def test_each_wrong_attribute_is_refused_by_name(api: Api, game: Game) -> None:
    good = {"name": "Team", "key": "team", "type": "user"}
    cases: list[tuple[Any, str]] = [
        ({"key": "team", "type": "user"}, "name is required"),
        ({"name": "Team", "type": "user"}, "key is required"),
        ({"name": "Team", "key": "team"}, "type is required"),
        (good | {"name": ""}, "name"),
        (good | {"name": None}, "name must be a string"),
        (good | {"name": "x" * 256}, "name"),
        (good | {"name": "Te\x00am"}, "name must not contain the NUL character"),
        (good | {"key": ""}, "key"),
        (good | {"key": "te am"}, "key must have only letters, digits, hyphens and underscores"),
        (good | {"key": "team\n"}, "key must have only letters"),
        (good | {"key": "tëam"}, "key must have only letters"),
        (good | {"key": "x" * 256}, "key"),
        (good | {"type": "team"}, "type must be user or event"),
        (good | {"type": 1}, "type must be a string"),
        (good | {"key": "plan"}, "Key already in use"),
        ([], "must be an object"),
        (None, "must be an object"),
    ]
    assert_issues(api.send("POST", ATTRIBUTES, [item for item, _ in cases]), cases)
    assert Attribute.objects.count() == 2


def test_one_key_may_be_of_a_user_and_of_an_event(api: Api, game: Game) -> None:
    assert create_one(api, ATTRIBUTES, {"name": "Plan", "key": "plan", "type": "event"})["type"] == "event"


def test_the_second_of_two_items_with_one_key_is_refused(api: Api) -> None:
    item = {"name": "Team", "key": "team", "type": "user"}
    answer = api.send("POST", ATTRIBUTES, [item, item])
    assert answer.status_code == 201
    assert [issue["index"] for issue in answer.json()["issues"]] == [1]
    assert Attribute.objects.count() == 1


def test_the_key_of_an_archived_row_is_free_again(api: Api, game: Game) -> None:
    for path, row in ((ATTRIBUTES, game.plan), (METRICS, game.flashcards), (SYSTEMS, game.energy)):
        archive(row=row)
        of_attribute = {"type": "user"} if path == ATTRIBUTES else {}
        option = "?beginEmpty=true" if path == ATTRIBUTES else ""
        made = create_one(api, path + option, {"name": "Again", "key": row.key} | of_attribute)
        assert made["id"] != str(row.id)


# --- Metrics ---------------------------------------------------------------------------------------------------------
def test_each_wrong_metric_is_refused_by_name(api: Api, game: Game) -> None:
    good = {"name": "Money", "key": "money", "unitType": "currency", "units": "USD"}
    cases: list[tuple[Any, str]] = [
        ({"key": "money"}, "name is required"),
        ({"name": "Money"}, "key is required"),
        (good | {"unitType": "dollars"}, "unitType must be number or currency"),
        (good | {"unitType": None}, "unitType must be a string"),
        (good | {"units": "usd"}, "units must be an ISO 4217 currency code"),
        (good | {"units": "dollars"}, "units must be an ISO 4217 currency code"),
        (good | {"units": ""}, "units must be an ISO 4217 currency code"),
        ({"name": "Money", "key": "money", "unitType": "currency"}, "units must be an ISO 4217 currency code"),
        (good | {"units": None}, "units must be a string"),
        (good | {"unitType": "number", "units": "x" * 65}, "units"),
        (good | {"key": "lessons"}, "Key already in use"),
        (good | {"key": "mo/ney"}, "key"),
    ]
    assert_issues(api.send("POST", METRICS, [item for item, _ in cases]), cases)
    assert Metric.objects.count() == 2


@pytest.mark.parametrize("code", ["USD", "EUR", "JPY", "GBP", "CHF", "INR", "BRL"])
def test_a_currency_is_known_by_its_code(api: Api, code: str) -> None:
    made = create_one(api, METRICS, {"name": "Money", "key": "money", "unitType": "currency", "units": code})
    assert (made["unitType"], made["units"]) == ("currency", code)


def test_a_metric_becomes_a_currency_only_with_a_code(api: Api, game: Game) -> None:
    id_ = str(game.lessons.id)
    assert refuse_one(api, METRICS, {"id": id_, "unitType": "currency"}).startswith("units must be")
    assert api.get(f"{METRICS}/{id_}").json()["unitType"] == "number"
    assert update_one(api, METRICS, {"id": id_, "unitType": "currency", "units": "EUR"})["units"] == "EUR"
    assert refuse_one(api, METRICS, {"id": id_, "units": "euros"}).startswith("units must be")
    assert update_one(api, METRICS, {"id": id_, "unitType": "number", "units": "euros"})["units"] == "euros"


# --- Points systems --------------------------------------------------------------------------------------------------
def test_each_wrong_system_is_refused_by_name(api: Api, game: Game) -> None:
    good = {"name": "Gold", "key": "gold"}
    cases: list[tuple[Any, str]] = [
        ({"key": "gold"}, "name is required"),
        ({"name": "Gold"}, "key is required"),
        (good | {"key": "xp"}, "Key already in use"),
        (good | {"key": "g o"}, "key"),
        (good | {"description": 1}, "description must be a string"),
        (good | {"description": "x" * 2001}, "description"),
        (good | {"maxPoints": 0}, "maxPoints"),
        (good | {"maxPoints": -5}, "maxPoints"),
        (good | {"maxPoints": 1.5}, "maxPoints must be a whole number"),
        (good | {"maxPoints": "10"}, "maxPoints must be a whole number"),
        (good | {"maxPoints": 2**53}, "maxPoints"),
        (good | {"maxPoints": 10**30}, "maxPoints"),
        (good | {"badge": "https://example.com/gold.png"}, "badge must be an object"),
        (good | {"badge": {}}, "badge.url is required"),
        (good | {"badge": {"url": "gold.png"}}, "badge.url"),
        (good | {"badge": {"url": "javascript:alert(1)"}}, "badge.url"),
        (good | {"badge": {"url": "https://example.com/" + "x" * 2000}}, "badge.url"),
        (good | {"triggers": {}}, "triggers must be an array"),
        (good | {"levels": {}}, "levels must be an array"),
        (good | {"levels": [{"name": "Bronze"}]}, "levels[0].key is required"),
        (good | {"boosts": "double"}, "boosts must be an array"),
        (good | {"boosts": [{"name": "Double"}]}, "boosts[0].start is required"),
    ]
    assert_issues(api.send("POST", SYSTEMS, [item for item, _ in cases]), cases)
    assert PointsSystem.objects.count() == 2


def test_a_system_is_made_with_its_triggers_and_shows_them_only_then(api: Api, game: Game) -> None:
    triggers = [metric_trigger(game, status="active"), {"type": "user_creation", "points": 3}]
    made = create_one(api, SYSTEMS, {"name": "Gold", "key": "gold", "triggers": triggers, "levels": [], "boosts": []})
    assert [(each["type"], each["status"]) for each in made["triggers"]] == [
        ("metric", "active"),
        ("user_creation", "inactive"),
    ]
    assert (made["levels"], made["boosts"]) == ([], [])
    assert api.get(f"{SYSTEMS}/{made['id']}/triggers").json() == made["triggers"]
    assert "triggers" not in api.get(f"{SYSTEMS}/{made['id']}").json()
    assert "triggers" not in create_one(api, SYSTEMS, {"name": "Silver", "key": "silver"})
    assert create_one(api, SYSTEMS, {"name": "Bronze", "key": "bronze", "triggers": []})["triggers"] == []
    assert api.event("alice").json()["points"]["gold"]["added"] == 10


def test_nothing_is_stored_of_a_system_with_a_bad_trigger(api: Api, game: Game) -> None:
    bad: list[tuple[Any, str]] = [
        (metric_trigger(game, points=0), "triggers[1].points must not be 0"),
        (metric_trigger(game, metricId=NO_SUCH_ID), "triggers[1].metricId"),
        (metric_trigger(game, metricId="lessons"), "triggers[1].metricId must be a valid UUID"),
        (metric_trigger(game, streakLength=3), "triggers[1].streakLength"),
        (metric_trigger(game, type="lesson"), "triggers[1].type must be"),
        (metric_trigger(game, type="streak"), "triggers[1].streakLength is required for a streak trigger"),
        (metric_trigger(game, type=None), "triggers[1].type is required"),
        (metric_trigger(game, userAttributes=[match(game.category, "x")]), "triggers[1].userAttributes"),
    ]
    cases: list[tuple[Any, str]] = [
        ({"name": f"Gold {n}", "key": f"gold-{n}", "triggers": [metric_trigger(game), trigger]}, words)
        for n, (trigger, words) in enumerate(bad)
    ]
    assert_issues(api.send("POST", SYSTEMS, [item for item, _ in cases]), cases)
    assert PointsSystem.objects.count() == 2
    assert not PointsTrigger.objects.exists()
    assert not TriggerFilter.objects.exists()


def test_null_removes_the_badge_and_the_maximum(api: Api, game: Game) -> None:
    id_ = str(game.energy.id)
    url = "https://example.com/energy.png"
    assert update_one(api, SYSTEMS, {"id": id_, "badge": {"url": url}})["badge"] == {"url": url}
    assert api.get("/v1/points/energy").json()["badgeUrl"] == url
    changed = update_one(api, SYSTEMS, {"id": id_, "badge": None, "maxPoints": None})
    assert (changed["badge"], changed["maxPoints"]) == (None, None)
    assert (api.get("/v1/points/energy").json()["badgeUrl"], changed["name"]) == (None, "Energy")


def test_a_bad_change_of_a_system_changes_nothing(api: Api, game: Game) -> None:
    before = api.get(f"{SYSTEMS}/{game.energy.id}").json()
    for field, value, words in (
        ("maxPoints", 0, "maxPoints"),
        ("badge", {"url": "energy.png"}, "badge.url"),
        ("name", "", "name"),
        ("name", None, "name must be a string"),
        ("description", None, "description must be a string"),
    ):
        item = {"id": before["id"], "description": "Changed", "name": "Changed"} | {field: value}
        assert words in refuse_one(api, SYSTEMS, item)
        assert api.get(f"{SYSTEMS}/{game.energy.id}").json() == before


# --- Triggers --------------------------------------------------------------------------------------------------------
def test_each_wrong_trigger_is_refused_by_name(api: Api, game: Game) -> None:
    archived = create_checked(Metric, name="Old", key="old")
    archive(row=archived)
    cases: list[tuple[Any, str]] = [
        (metric_trigger(game, type=None), "type is required"),
        (metric_trigger(game, points=None), "points is required"),
        (metric_trigger(game, points=0), "points must not be 0"),
        (metric_trigger(game, points=1.5), "points must be a whole number."),
        (metric_trigger(game, points="10"), "points must be a whole number, not a string."),
        (metric_trigger(game, points=2**53), "points"),
        (metric_trigger(game, points=-(10**30)), "points"),
        (metric_trigger(game, type="lesson"), "type must be metric or streak or achievement or time or user_creation"),
        (metric_trigger(game, status="archived"), "status must be active or inactive"),
        (metric_trigger(game, status="on"), "status must be active or inactive"),
        (metric_trigger(game, metricId=None), "metricId is required"),
        (metric_trigger(game, metricId="lessons"), "metricId must be a valid UUID"),
        (metric_trigger(game, metricId=NO_SUCH_ID), f"metricId: there is no active metric with the id {NO_SUCH_ID}"),
        (metric_trigger(game, metricId=str(archived.id)), "metricId: there is no active metric"),
        (metric_trigger(game, metricThreshold=None), "metricThreshold is required"),
        (metric_trigger(game, metricThreshold=0), "metricThreshold"),
        (metric_trigger(game, metricThreshold=-1), "metricThreshold"),
        (metric_trigger(game, metricThreshold=0.5), "metricThreshold must be a whole number"),
        (metric_trigger(game, metricThreshold=2**53), "metricThreshold"),
        (metric_trigger(game, blockIfOutOfPoints="yes"), "blockIfOutOfPoints must be true or false"),
        (metric_trigger(game, blockIfOutOfPoints=True), "blockIfOutOfPoints is possible only"),
    ]
    assert_issues(api.send("POST", triggers_path(game.xp), [item for item, _ in cases]), cases)
    assert not PointsTrigger.objects.exists()


def of_each_type(game: Game) -> dict[str, dict[str, Any]]:
    """Return, for each type of trigger, the fields that belong to it alone."""
    achievement = create_achievement(name="First lesson", type="api", key="first-lesson")
    return {
        "metric": {"metricId": str(game.lessons.id), "metricThreshold": 1},
        "streak": {"streakLength": 7},
        "achievement": {"achievementId": str(achievement.id)},
        "time": {"timeUnit": "hours", "timeInterval": 1},
        "user_creation": {},
    }


def test_a_field_of_another_type_of_trigger_is_refused_by_name(api: Api, game: Game) -> None:
    fields = of_each_type(game)
    cases: list[tuple[Any, str]] = [
        (
            {"type": type_, "points": 5} | own | {name: value},
            f"{name} must be empty for {'an' if type_ == 'achievement' else 'a'} {type_.replace('_', ' ')}",
        )
        for type_, own in fields.items()
        for other in fields.values()
        for name, value in other.items()
        if name not in own
    ]
    for type_, own in fields.items():
        if type_ != "metric":
            item = {"type": type_, "points": -5} | own
            filters = [match(game.category, "math")]
            cases.append((item | {"eventAttributes": filters}, "eventAttributes are possible only for a metric"))
            cases.append((item | {"blockIfOutOfPoints": True}, "blockIfOutOfPoints is possible only for a metric"))
    assert_issues(api.send("POST", triggers_path(game.xp), [item for item, _ in cases]), cases)
    assert not PointsTrigger.objects.exists()


def test_a_missing_field_of_the_type_of_trigger_is_named(api: Api, game: Game) -> None:
    cases: list[tuple[Any, str]] = [
        ({"type": type_, "points": 5} | {other: own[other] for other in own if other != name}, f"{name} is required")
        for type_, own in of_each_type(game).items()
        for name in own
    ]
    assert len(cases) == 6
    assert_issues(api.send("POST", triggers_path(game.xp), [item for item, _ in cases]), cases)
    assert not PointsTrigger.objects.exists()


def test_each_wrong_field_of_a_type_of_trigger_is_refused_by_name(api: Api, game: Game) -> None:
    archived = create_achievement(name="Old", type="api", key="old")
    archive(row=archived)
    streak, time = {"type": "streak", "points": 5}, {"type": "time", "points": 5, "timeUnit": "days", "timeInterval": 1}
    achievement = {"type": "achievement", "points": 5}
    cases: list[tuple[Any, str]] = [
        (streak | {"streakLength": 0}, "streakLength"),
        (streak | {"streakLength": -7}, "streakLength"),
        (streak | {"streakLength": 1.5}, "streakLength must be a whole number"),
        (streak | {"streakLength": "7"}, "streakLength must be a whole number"),
        (streak | {"streakLength": 10**30}, "streakLength"),
        (time | {"timeUnit": "day"}, "timeUnit must be hours or days"),
        (time | {"timeUnit": ""}, "timeUnit must be hours or days"),
        (time | {"timeUnit": 1}, "timeUnit must be a string"),
        (time | {"timeUnit": None}, "timeUnit is required"),
        (time | {"timeInterval": 0}, "timeInterval"),
        (time | {"timeInterval": -1}, "timeInterval"),
        (time | {"timeInterval": 0.5}, "timeInterval must be a whole number"),
        (time | {"timeInterval": 10_001}, "timeInterval"),
        (achievement | {"achievementId": "first-lesson"}, "achievementId must be a valid UUID"),
        (
            achievement | {"achievementId": NO_SUCH_ID},
            f"achievementId: there is no achievement with the id {NO_SUCH_ID}",
        ),
        (achievement | {"achievementId": str(archived.id)}, "achievementId: there is no achievement"),
        (achievement | {"achievementId": 5}, "achievementId must be a string"),
    ]
    assert_issues(api.send("POST", triggers_path(game.xp), [item for item, _ in cases]), cases)
    assert not PointsTrigger.objects.exists()


def test_triggers_of_all_types_show_their_own_fields_and_become_one_another(api: Api, game: Game) -> None:
    path, fields = triggers_path(game.xp), of_each_type(game)
    base = {"points": 5, "status": "inactive", "userAttributes": [], "blockIfOutOfPoints": False}
    extra: dict[str, Any] = {"metric": {"eventAttributes": []}}
    trigger = create_one(api, path, {"type": "user_creation", "points": 5})
    for type_, own in fields.items():
        shown = base | own | extra.get(type_, {}) | {"type": type_}
        made = create_one(api, path, {"type": type_, "points": 5} | own)
        assert made == shown | {"id": made["id"]}
        assert update_one(api, path, {"id": trigger["id"], "type": type_} | own) == shown | {"id": trigger["id"]}


def test_null_in_a_field_of_another_type_of_trigger_says_nothing(api: Api, game: Game) -> None:
    nulls = dict.fromkeys(("metricId", "metricThreshold", "achievementId", "timeUnit", "timeInterval"))
    made = create_one(api, triggers_path(game.xp), {"type": "streak", "points": 5, "streakLength": 7} | nulls)
    assert (made["streakLength"], "metricId" in made, "timeUnit" in made) == (7, False, False)


def test_a_time_trigger_counts_from_its_activation_and_anew_with_another_interval(api: Api, game: Game) -> None:
    path, start = triggers_path(game.xp), datetime(2026, 3, 10, 12, tzinfo=UTC)
    item = {"type": "time", "points": 5, "timeUnit": "days", "timeInterval": 1}

    def started(trigger: dict[str, Any]) -> datetime | None:
        return PointsTrigger.objects.get(id=trigger["id"]).time_started

    with time_machine.travel(start, tick=False) as now:
        live, draft = create_one(api, path, item | {"status": "active"}), create_one(api, path, item)
        assert (started(live), started(draft)) == (start, None)
        now.shift(timedelta(hours=1))
        update_one(api, path, {"id": live["id"], "points": 7})
        update_one(api, path, {"id": draft["id"], "status": "active"})
        assert (started(live), started(draft)) == (start, start + timedelta(hours=1))
        now.shift(timedelta(hours=1))
        update_one(api, path, {"id": live["id"], "timeUnit": "hours"})
        assert started(live) == start + timedelta(hours=2)


def test_triggers_on_streaks_and_achievements_pay_in_the_event(api: Api, game: Game) -> None:
    path, of_metric = triggers_path(game.xp), {"metricId": str(game.lessons.id), "metricValue": 1}
    item = {"name": "First lesson", "trigger": "metric", "status": "active"} | of_metric
    achievement = create_one(api, ACHIEVEMENTS, item)
    create_one(api, path, {"type": "achievement", "points": 30, "achievementId": achievement["id"], "status": "active"})
    create_one(api, path, {"type": "streak", "points": 4, "streakLength": 1, "status": "active"})
    answer = api.event("alice").json()
    assert answer["points"]["xp"]["added"] == 34
    assert [each["trigger"]["type"] for each in answer["points"]["xp"]["awards"]] == ["streak", "achievement"]
    assert api.event("alice").json()["points"] == {}


def test_each_wrong_filter_is_refused_by_name(api: Api, game: Game) -> None:
    archived = create_checked(Attribute, name="Old", key="old", type="user")
    archive(row=archived)
    of_user: list[tuple[Any, str]] = [
        ([match(game.category, "math")], "userAttributes"),
        ([match(archived, "x")], "userAttributes"),
        ([match(game.plan, "pro"), match(game.plan, "free")], "userAttributes"),
        ([match(game.plan, "pro"), match(NO_SUCH_ID, "x")], "userAttributes[1].attributeId"),
        ([match("plan", "pro")], "userAttributes[0].attributeId must be a valid UUID"),
        ([match(game.plan, 1)], "userAttributes[0].attributeValue must be a string"),
        ([match(game.plan, "")], "userAttributes"),
        ([match(game.plan, "x" * 256)], "userAttributes"),
        ([match(game.plan, "\x00")], "userAttributes"),
        ([{"attributeId": str(game.plan.id)}], "userAttributes[0].attributeValue is required"),
        ([{"attributeValue": "pro"}], "userAttributes[0].attributeId is required"),
        ({"plan": "pro"}, "userAttributes must be an array"),
    ]
    of_event: list[tuple[Any, str]] = [
        ([match(game.plan, "pro")], "eventAttributes"),
        ([match(game.category, "x"), match(game.category, "y")], "eventAttributes"),
        ([match("category", "math")], "eventAttributes[0].attributeId must be a valid UUID"),
    ]
    cases: list[tuple[Any, str]] = [
        *((metric_trigger(game, userAttributes=filters), words) for filters, words in of_user),
        *((metric_trigger(game, eventAttributes=filters), words) for filters, words in of_event),
    ]
    assert_issues(api.send("POST", triggers_path(game.xp), [item for item, _ in cases]), cases)
    assert not PointsTrigger.objects.exists()
    assert not TriggerFilter.objects.exists()


def test_a_trigger_is_inactive_unless_its_status_says_otherwise(api: Api, game: Game) -> None:
    path = triggers_path(game.xp)
    trigger = create_one(api, path, metric_trigger(game))
    assert trigger["status"] == "inactive"
    assert api.event("alice").json()["points"] == {}
    update_one(api, path, {"id": trigger["id"], "status": "active"})
    assert api.event("alice").json()["points"]["xp"]["added"] == 10
    update_one(api, path, {"id": trigger["id"], "points": 7})
    assert api.event("alice").json()["points"]["xp"]["added"] == 7
    update_one(api, path, {"id": trigger["id"], "status": "inactive"})
    assert api.event("alice").json()["points"] == {}


def test_filters_stay_unless_they_are_given_and_null_or_none_clears_them(api: Api, game: Game) -> None:
    path = triggers_path(game.xp)
    filters = {"userAttributes": [match(game.plan, "pro")], "eventAttributes": [match(game.category, "math")]}
    trigger = create_one(api, path, metric_trigger(game) | filters)
    assert {name: trigger[name] for name in filters} == filters
    assert update_one(api, path, {"id": trigger["id"], "points": 5}) == trigger | {"points": 5}
    new = [match(game.plan, "free")]
    assert update_one(api, path, {"id": trigger["id"], "userAttributes": new}) == trigger | {
        "points": 5,
        "userAttributes": new,
    }
    cleared = update_one(api, path, {"id": trigger["id"], "userAttributes": None})
    assert (cleared["userAttributes"], cleared["eventAttributes"]) == ([], filters["eventAttributes"])
    assert update_one(api, path, {"id": trigger["id"], "eventAttributes": []})["eventAttributes"] == []
    assert not TriggerFilter.objects.exists()
    made = create_one(api, path, metric_trigger(game) | {"userAttributes": None, "eventAttributes": None})
    assert (made["userAttributes"], made["eventAttributes"]) == ([], [])


def test_a_bad_change_of_a_trigger_changes_nothing(api: Api, game: Game) -> None:
    path = triggers_path(game.xp)
    before = create_one(api, path, metric_trigger(game, userAttributes=[match(game.plan, "pro")], status="active"))
    for field, value in (
        ("points", 0),
        ("metricId", NO_SUCH_ID),
        ("metricId", None),
        ("metricThreshold", 0),
        ("metricThreshold", None),
        ("status", "archived"),
        ("blockIfOutOfPoints", True),
        ("streakLength", 7),
        ("eventAttributes", [match(game.plan, "pro")]),
        ("userAttributes", [match(game.category, "math")]),
        ("userAttributes", [match(game.plan, "free"), match(game.plan, "pro")]),
    ):
        item = {"id": before["id"], "points": 99, "userAttributes": []} | {field: value}
        assert field in refuse_one(api, path, item)
        assert api.get(f"{path}/{before['id']}").json() == before


def test_the_type_is_changed_only_while_the_trigger_is_inactive(api: Api, game: Game) -> None:
    path = triggers_path(game.xp)
    trigger = create_one(api, path, metric_trigger(game, status="active"))
    change = {"id": trigger["id"], "type": "user_creation"}
    assert refuse_one(api, path, change) == "type can be changed only while the trigger is inactive."
    assert refuse_one(api, path, change | {"status": "inactive"}).startswith("type")
    update_one(api, path, {"id": trigger["id"], "status": "inactive"})
    changed = update_one(api, path, change)
    assert (changed["type"], "metricId" in changed, "metricThreshold" in changed) == ("user_creation", False, False)
    assert "metricId is required" in refuse_one(api, path, {"id": trigger["id"], "type": "metric"})
    back = {"id": trigger["id"], "type": "metric", "metricId": str(game.lessons.id), "metricThreshold": 1}
    assert update_one(api, path, back) == trigger | {"status": "inactive"}


def test_naming_the_type_that_an_active_trigger_has_is_no_change(api: Api, game: Game) -> None:
    path = triggers_path(game.xp)
    trigger = create_one(api, path, metric_trigger(game, status="active"))
    assert update_one(api, path, {"id": trigger["id"], "type": "metric", "points": 5})["points"] == 5


def test_a_trigger_with_event_filters_becomes_one_for_new_users_only_without_them(api: Api, game: Game) -> None:
    path = triggers_path(game.xp)
    trigger = create_one(api, path, metric_trigger(game, eventAttributes=[match(game.category, "math")]))
    change = {"id": trigger["id"], "type": "user_creation"}
    assert "eventAttributes" in refuse_one(api, path, change)
    assert update_one(api, path, change | {"eventAttributes": None})["type"] == "user_creation"


def test_triggers_may_be_set_up_in_a_system_with_a_maximum_below_their_points(api: Api, game: Game) -> None:
    update_checked(game.energy, max_points=1)
    create_one(api, triggers_path(game.energy), metric_trigger(game, status="active"))
    assert api.event("alice").json()["points"]["energy"]["added"] == 1
