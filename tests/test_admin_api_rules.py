"""Setting the rules up by program: levels, boosts and achievements of the Admin API, and whole systems at once."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from trophy import (
    CreateAchievementRequestItem,
    CreateAchievementRequestItemBadge,
    CreatePointsBoostRequestItem,
    CreatePointsBoostRequestItemUserAttributesItem,
    CreatePointsLevelRequestItem,
    CreatePointsLevelRequestItemBadge,
    CreatePointsSystemRequestItem,
    CreatePointsTriggerRequestItem,
    PatchPointsBoostsRequestItem,
    PatchPointsLevelsRequestItem,
    TrophyApi,
    UpdateAchievementRequestItem,
    UpsertedUser,
)

from achievements.models import Achievement, AchievementFilter, AchievementPrerequisite, Backdating
from achievements.services import create_achievement
from boosts.models import Boost, BoostFilter
from boosts.services import create_boost, finish_boosts
from core.models import Configuration
from core.services import archive, create_checked, restore
from levels.models import Level
from metrics.models import Metric
from points.models import PointsSystem, PointsTrigger
from tests.conftest import Api, Game, make_game
from tests.test_admin_api import (
    ACHIEVEMENTS,
    NO_SUCH_ID,
    SYSTEMS,
    assert_issues,
    create_one,
    match,
    metric_trigger,
    refuse_new,
    refuse_one,
    update_one,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
NO_NUMBERS: list[Any] = ["2", "", True, [2], {}]


def levels_path(system: PointsSystem) -> str:
    return f"{SYSTEMS}/{system.id}/levels"


def boosts_path(system: PointsSystem) -> str:
    return f"{SYSTEMS}/{system.id}/boosts"


def level(name: str, points: Any, **fields: Any) -> dict[str, Any]:
    """Return a level to make, whose key is its name in small letters."""
    return {"name": name, "key": name.lower(), "points": points} | fields


def boost(**fields: Any) -> dict[str, Any]:
    """Return a boost to make that doubles for ever, with `fields` instead of its own."""
    return {"name": "Double", "start": "2026-01-01", "multiplier": 2} | fields


def without(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {other: value for other, value in item.items() if other != name}


def of_each_type(game: Game) -> dict[str, dict[str, Any]]:
    """Return, for each type of achievement, the fields that belong to it alone."""
    prerequisite = create_achievement(name="Prerequisite", type="streak", streak_length=3)
    return {
        "metric": {"metricId": str(game.lessons.id), "metricValue": 10},
        "streak": {"streakLength": 7},
        "api": {"key": "profile-filled"},
        "achievement": {"achievementIds": [str(prerequisite.id)]},
    }


def achievement(trigger: str, **fields: Any) -> dict[str, Any]:
    """Return an achievement to make."""
    return {"name": "Hero", "trigger": trigger} | fields


# --- With the official SDK -------------------------------------------------------------------------------------------
def test_the_sdk_sets_levels_up(sdk: TrophyApi) -> None:
    system, levels = str(make_game().xp.id), sdk.admin.points.levels
    items = [
        CreatePointsLevelRequestItem(name="Bronze", key="bronze", points=0),
        CreatePointsLevelRequestItem(
            name="Silver",
            key="silver",
            points=100,
            description="Halfway",
            badge=CreatePointsLevelRequestItemBadge(url="https://example.com/silver.png"),
        ),
        CreatePointsLevelRequestItem(name="Also silver", key="also-silver", points=100),
    ]
    made = levels.create(system, request=items)
    assert [(each.name, each.key, each.points, each.description) for each in made.created] == [
        ("Bronze", "bronze", 0, ""),
        ("Silver", "silver", 100, "Halfway"),
    ]
    assert [each.badge and each.badge.url for each in made.created] == [None, "https://example.com/silver.png"]
    assert [(issue.index, issue.severity) for issue in made.issues] == [(2, "error")]
    silver = made.created[1]
    request = [PatchPointsLevelsRequestItem(id=silver.id, name="Gold", points=250, badge=None)]
    changed = levels.update(system, request=request).updated[0]
    assert (changed.name, changed.key, changed.points, changed.badge) == ("Gold", "silver", 250, None)
    assert levels.list(system) == [made.created[0], changed]
    assert levels.get(system, silver.id) == changed


def test_the_sdk_sets_boosts_up(sdk: TrophyApi) -> None:
    game, boosts = make_game(), sdk.admin.points.boosts
    game.trigger(points=10)
    system, today = str(game.xp.id), timezone.now().date()
    pro = CreatePointsBoostRequestItemUserAttributesItem(attribute_id=str(game.plan.id), attribute_value="pro")
    items = [
        CreatePointsBoostRequestItem(
            name="Pro", start="2026-01-01", multiplier=1.15, rounding="up", user_attributes=[pro]
        ),
        CreatePointsBoostRequestItem(name="Alice's", start="2026-01-01", multiplier=3, user_id="alice"),
        CreatePointsBoostRequestItem(name="None", start="2026-01-01", multiplier=1),
    ]
    made = boosts.create(system, request=items)
    assert [(each.name, each.status, each.multiplier, each.rounding, each.user_id) for each in made.created] == [
        ("Pro", "active", 1.15, "up", None),
        ("Alice's", "active", 3, "down", "alice"),
    ]
    assert [(each.start, each.end) for each in made.created] == [("2026-01-01", None)] * 2
    assert made.created[0].user_attributes[0].attribute_id == str(game.plan.id)
    assert (made.created[1].user_attributes, [issue.index for issue in made.issues]) == (None, [2])
    answer = sdk.metrics.event("lessons", user=UpsertedUser(id="alice", attributes={"plan": "pro"}), value=1)
    assert (answer.points["xp"].added, len(answer.points["xp"].awards[0].boosts)) == (34, 2)
    end = (today + timedelta(days=30)).isoformat()
    request = [PatchPointsBoostsRequestItem(id=made.created[0].id, end=end, multiplier=0.5, user_attributes=None)]
    changed = boosts.update(system, request=request).updated[0]
    assert (changed.end, changed.multiplier, changed.user_attributes, changed.rounding) == (end, 0.5, [], "up")
    assert boosts.list(system) == [changed, made.created[1]]
    assert boosts.get(system, changed.id) == changed


def test_the_sdk_sets_achievements_up(sdk: TrophyApi) -> None:
    game, achievements = make_game(), sdk.admin.achievements
    items = [
        CreateAchievementRequestItem(
            name="Half", trigger="metric", metric_id=str(game.lessons.id), metric_value=0.5, status="active"
        ),
        CreateAchievementRequestItem(name="Week", trigger="streak", streak_length=7, description="Seven days"),
        CreateAchievementRequestItem(
            name="Profile",
            trigger="api",
            key="profile",
            badge=CreateAchievementRequestItemBadge(url="https://example.com/a.png"),
        ),
        CreateAchievementRequestItem(name="Year", trigger="anniversary", anniversary_years=1),
    ]
    made = achievements.create(request=items)
    half, week, profile = made.created
    assert (half.trigger, half.status, half.metric_id, half.metric_value, half.event_attributes) == (
        *("metric", "active", str(game.lessons.id), 0.5),
        [],
    )
    assert (week.status, week.description, week.streak_length, week.badge) == ("inactive", "Seven days", 7, None)
    assert (profile.key, profile.description, profile.badge.url) == ("profile", None, "https://example.com/a.png")
    assert [issue.index for issue in made.issues] == [3]
    both = CreateAchievementRequestItem(name="Both", trigger="achievement", achievement_ids=[half.id, profile.id])
    composite = achievements.create(request=[both]).created[0]
    assert composite.achievement_ids == [half.id, profile.id]
    request = [UpdateAchievementRequestItem(id=week.id, status="active", description=None, streak_length=5)]
    changed = achievements.update(request=request).updated[0]
    assert (changed.status, changed.description, changed.streak_length) == ("active", None, 5)
    assert achievements.list() == [half, changed, profile, composite]
    assert achievements.get(composite.id) == composite
    answer = sdk.metrics.event("lessons", user=UpsertedUser(id="alice"), value=0.5)
    assert [each.name for each in answer.achievements] == ["Half"]


def test_the_sdk_sets_a_whole_system_up(sdk: TrophyApi) -> None:
    lessons = create_checked(Metric, name="Lessons", key="lessons")
    item = CreatePointsSystemRequestItem(
        name="XP",
        key="xp",
        levels=[CreatePointsLevelRequestItem(name=name, key=name, points=n) for name, n in (("a", 0), ("b", 20))],
        boosts=[CreatePointsBoostRequestItem(name="Double", start="2026-01-01", multiplier=2)],
        triggers=[
            CreatePointsTriggerRequestItem(
                type="metric", points=10, metric_id=str(lessons.id), metric_threshold=1, status="active"
            ),
            CreatePointsTriggerRequestItem(type="time", points=1, time_unit="hours", time_interval=6),
        ],
    )
    made = sdk.admin.points.systems.create(request=[item]).created[0]
    assert made.levels == sdk.admin.points.levels.list(made.id)
    assert made.boosts == sdk.admin.points.boosts.list(made.id)
    assert made.triggers == sdk.admin.points.triggers.list(made.id)
    assert ([each.key for each in made.levels], made.boosts[0].status) == (["a", "b"], "active")
    assert (made.triggers[1].time_unit, made.triggers[1].time_interval) == ("hours", 6)
    answer = sdk.metrics.event("lessons", user=UpsertedUser(id="alice"), value=1)
    assert (answer.points["xp"].added, answer.points["xp"].level.key) == (20, "b")


# --- What all three share --------------------------------------------------------------------------------------------
@pytest.fixture
def kinds(api: Api, game: Game) -> dict[str, list[str]]:
    """Make twelve rows of each kind and return their ids in the order of creation, by path."""
    items: dict[str, Callable[[int], dict[str, Any]]] = {
        levels_path(game.xp): lambda n: level(f"Level-{n}", 1000 - n),
        boosts_path(game.xp): lambda n: boost(multiplier=2 + n, **({"userId": f"user-{n}"} if n % 2 else {})),
        ACHIEVEMENTS: lambda n: achievement("streak", streakLength=100 - n),
    }
    return {
        path: [each["id"] for each in api.send("POST", path, [make(n) for n in range(12)]).json()["created"]]
        for path, make in items.items()
    }


def test_lists_are_paged_in_the_order_of_creation(api: Api, kinds: dict[str, list[str]]) -> None:
    for path, ids in kinds.items():
        assert [each["id"] for each in api.get(path).json()] == ids[:10]
        assert [each["id"] for each in api.get(f"{path}?limit=3&skip=4").json()] == ids[4:7]
        assert [api.get(f"{path}/{id_}").json()["id"] for id_ in ids] == ids
        for query in ("limit=0", "limit=101", "limit=ten", "skip=-1"):
            answer = api.get(f"{path}?{query}")
            assert answer.status_code == 422
            assert answer.json()["error"].startswith(f"{query.partition('=')[0]} must be a whole number")


def test_an_id_that_is_unknown_answers_404_and_one_that_is_none_422(api: Api, kinds: dict[str, list[str]]) -> None:
    for path in kinds:
        answer = api.get(f"{path}/{NO_SUCH_ID}")
        assert (answer.status_code, answer.json()["error"].endswith(f"not found: {NO_SUCH_ID}.")) == (404, True)
        assert api.get(f"{path}/xp").json() == {"error": "id must be a valid UUID."}
        assert "not found" in refuse_one(api, path, {"id": NO_SUCH_ID, "name": "Nothing"})
        assert refuse_one(api, path, {"id": "xp", "name": "Nothing"}) == "id must be a valid UUID."


def test_archived_rows_are_in_no_list_and_not_found(api: Api, kinds: dict[str, list[str]]) -> None:
    models: list[type[Configuration]] = [Level, Boost, Achievement]
    for (path, ids), model in zip(kinds.items(), models, strict=True):
        archive(row=model._default_manager.get(id=ids[0]))
        assert ids[0] not in [each["id"] for each in api.get(path).json()]
        assert api.get(f"{path}/{ids[0]}").status_code == 404
        assert "not found" in refuse_one(api, path, {"id": ids[0], "name": "Back"})


def test_only_the_fields_given_change_and_good_items_are_kept(api: Api, kinds: dict[str, list[str]]) -> None:
    for path, ids in kinds.items():
        before = api.get(f"{path}/{ids[0]}").json()
        assert update_one(api, path, {"id": ids[0]}) == before
        items = [{"id": ids[0], "name": "New"}, {"id": ids[1], "name": ""}, {"name": "None"}, "none"]
        answer = api.send("PATCH", path, items)
        assert (answer.status_code, answer.json()["updated"]) == (200, [before | {"name": "New"}])
        blank, *others = answer.json()["issues"]
        assert (blank["id"], blank["message"].startswith("name")) == (ids[1], True)
        assert [each["index"] for each in others] == [2, 3]


def test_good_items_are_made_and_each_bad_one_has_an_issue(api: Api, game: Game) -> None:
    good = {
        levels_path(game.xp): level("Bronze", 1),
        boosts_path(game.xp): boost(),
        ACHIEVEMENTS: achievement("streak", streakLength=7),
    }
    for path, item in good.items():
        answer = api.send("POST", path, [item | {"name": ""}, item, without(item, "name")])
        assert (answer.status_code, len(answer.json()["created"])) == (201, 1)
        issues = answer.json()["issues"]
        assert [(each["index"], each["severity"]) for each in issues] == [(0, "error"), (2, "error")]
        assert issues[1]["message"] == "name is required."
        assert api.send("POST", path, [item] * 101).json() == {"error": "The body must have at most 100 items."}
        assert api.send("POST", path, item).json() == {"error": "The body must be an array, not an object."}
        assert api.send("POST", path, "[{]").status_code == 400


def test_a_list_takes_the_same_number_of_queries_however_much_it_shows(api: Api, game: Game) -> None:
    paths = [ACHIEVEMENTS, *(f"{SYSTEMS}/{game.xp.id}/{part}" for part in ("triggers", "boosts", "levels"))]

    def add(number: int) -> None:
        filters: Any = [(game.plan, "pro")]
        metric: dict[str, Any] = {"metric": game.lessons, "metric_value": 10}
        of_event: dict[str, Any] = {"event_filters": [(game.category, "math")]}
        base = create_achievement(name="Base", type="metric", user_filters=filters, **metric, **of_event)
        create_achievement(name="Both", type="achievement", prerequisites=[base])
        game.trigger(5, user_filters=filters, **of_event)
        create_boost(user_filters=filters, **boost_fields)
        create_boost(external_id=f"user-{number}", **boost_fields)
        create_checked(Level, system=game.xp, name="Level", key=f"level-{number}", points=number)

    def count(path: str) -> tuple[int, int]:
        api.get(path)  # reads the rules anew and notes that the key was used
        with CaptureQueriesContext(connection) as queries:
            rows = api.get(f"{path}?limit=100").json()
        return len(queries), len(rows)

    start = date(2026, 1, 1)
    boost_fields: dict[str, Any] = {"system": game.xp, "name": "B", "start": start, "multiplier": 2, "status": "active"}
    for number in range(2):
        add(number)
    few = [count(path) for path in paths]
    for number in range(2, 20):
        add(number)
    many = [count(path) for path in paths]
    assert [queries for queries, _ in many] == [queries for queries, _ in few]
    assert [rows for _, rows in many] == [10 * rows for _, rows in few]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_parts_of_an_unknown_system_answer_404(api: Api, game: Game, method: str) -> None:
    for part, item in (("levels", level("Bronze", 1)), ("boosts", boost())):
        answer = api.send(method, f"{SYSTEMS}/{NO_SUCH_ID}/{part}", [item])
        assert (answer.status_code, answer.json()) == (404, {"error": f"Points system not found: {NO_SUCH_ID}."})
    assert not Level.objects.exists()
    assert not Boost.objects.exists()


def test_parts_are_found_only_in_their_own_system(api: Api, game: Game) -> None:
    for path, item in ((levels_path, level("Bronze", 1)), (boosts_path, boost())):
        made = create_one(api, path(game.xp), item)
        assert api.get(path(game.energy)).json() == []
        assert api.get(f"{path(game.energy)}/{made['id']}").status_code == 404
        assert "not found" in refuse_one(api, path(game.energy), {"id": made["id"], "name": "Other"})
        assert api.get(path(game.xp)).json() == [made]


# --- Levels ----------------------------------------------------------------------------------------------------------
def test_each_wrong_level_is_refused_by_name(api: Api, game: Game) -> None:
    path = levels_path(game.xp)
    create_one(api, path, level("Bronze", 0))
    cases: list[tuple[Any, str]] = [
        (without(level("Gold", 9), "key"), "key is required"),
        (without(level("Gold", 9), "points"), "points is required"),
        (level("Gold", -1), "points"),
        (level("Gold", 1.5), "points must be a whole number"),
        (level("Gold", "9"), "points must be a whole number"),
        (level("Gold", None), "points must be a whole number"),
        (level("Gold", True), "points must be a whole number"),
        (level("Gold", 2**53), "points"),
        (level("Gold", 10**30), "points"),
        (level("Gold", 0), "points: Points already in use by another level"),
        (level("Gold", 9, key="bronze"), "key: Key already in use by another level"),
        (level("Gold", 9, key="g old"), "key must have only letters"),
        (level("Gold", 9, key=""), "key"),
        (level("Gold", 9, key="x" * 256), "key"),
        (level("x" * 256, 9, key="gold"), "name"),
        (level("Gold", 9) | {"name": "Go\x00ld"}, "name must not contain the NUL character"),
        (level("Gold", 9) | {"name": None}, "name must be a string"),
        (level("Gold", 9, description=None), "description must be a string"),
        (level("Gold", 9, description="x" * 2001), "description"),
        (level("Gold", 9, badge="gold.png"), "badge must be an object"),
        (level("Gold", 9, badge={"url": "gold.png"}), "badge.url"),
    ]
    assert_issues(api.send("POST", path, [item for item, _ in cases]), cases)
    assert Level.objects.count() == 1


def test_keys_and_thresholds_are_taken_only_in_their_own_system_and_while_not_archived(api: Api, game: Game) -> None:
    bronze = level("Bronze", 5)
    first = create_one(api, levels_path(game.xp), bronze)
    create_one(api, levels_path(game.energy), bronze)
    answer = api.send("POST", levels_path(game.xp), [level("Silver", 7), level("Silver", 8), level("Gold", 7)])
    assert [each["index"] for each in answer.json()["issues"]] == [1, 2]
    archive(row=Level.objects.get(id=first["id"]))
    assert create_one(api, levels_path(game.xp), bronze)["id"] != first["id"]


def test_a_level_shows_every_field_of_the_contract_and_keeps_its_key(api: Api, game: Game) -> None:
    path, badge = levels_path(game.xp), {"url": "https://example.com/gold.png"}
    made = create_one(api, path, level("Gold", 50, description="Shiny", badge=badge))
    shown = {"id": made["id"], "name": "Gold", "key": "gold", "points": 50, "description": "Shiny", "badge": badge}
    assert made == shown
    changes = {"name": "Platinum", "points": 60, "description": "", "badge": None}
    assert refuse_one(api, path, {"id": made["id"], "key": "platinum"}).startswith("key of a level cannot be changed")
    assert update_one(api, path, changes | {"id": made["id"]}) == shown | changes
    assert api.get("/v1/points/xp/levels").json()[0]["badgeUrl"] is None


def test_a_bad_change_of_a_level_changes_nothing(api: Api, game: Game) -> None:
    path = levels_path(game.xp)
    create_one(api, path, level("Bronze", 0))
    before = create_one(api, path, level("Silver", 10))
    for field, value in (("points", 0), ("points", -1), ("points", None), ("badge", {}), ("name", None)):
        item = {"id": before["id"], "description": "Changed"} | {field: value}
        assert refuse_one(api, path, item).startswith(field)
        assert api.get(f"{path}/{before['id']}").json() == before
    assert update_one(api, path, {"id": before["id"], "points": 10})["points"] == 10


def test_levels_count_from_the_next_event_on(api: Api, game: Game) -> None:
    game.trigger(points=10)
    api.event("alice")
    create_one(api, levels_path(game.xp), level("Silver", 20))
    assert api.event("alice").json()["points"]["xp"]["level"]["key"] == "silver"
    assert api.points("alice")["level"]["key"] == "silver"


# --- Boosts ----------------------------------------------------------------------------------------------------------
def test_each_wrong_boost_is_refused_by_name(api: Api, game: Game) -> None:
    cases: list[tuple[Any, str]] = [
        (without(boost(), "start"), "start is required"),
        (without(boost(), "multiplier"), "multiplier is required"),
        (boost(name="x" * 256), "name"),
        *((boost(multiplier=value), "multiplier must be more than 0") for value in (0, -0.0, -2, 1, 1.0)),
        *((boost(multiplier=value), "multiplier") for value in (100, 100.5, 10**30, 1e300, 0.00001, 1.00001, 2.34567)),
        *((boost(multiplier=value), "multiplier must be a number") for value in NO_NUMBERS),
        (boost(multiplier=None), "multiplier must be a number"),
        *((boost(start=value), "start must be a date such as 2026-01-31") for value in ("", "soon", "2026-02-30")),
        *(
            (boost(start=value), "start must be a date such as 2026-01-31")
            for value in ("20260101", "2026-W10-1", "2026-1-1", "2026-01-01T00:00:00Z", "0000-01-01", "\u0662026-01-01")
        ),
        (boost(start=None), "start must be a string"),
        (boost(start=20260101), "start must be a string"),
        (boost(end="never"), "end must be a date such as 2026-01-31"),
        (boost(end="2025-12-31"), "end must not be before start"),
        (boost(rounding="half"), "rounding must be down or nearest or up"),
        (boost(rounding=None), "rounding must be a string"),
        (boost(userId=""), "userId must be a string that is not empty"),
        (boost(userId="x" * 256), "userId must be a string of at most 255 characters"),
        (boost(userId="ali\x00ce"), "userId must not contain the NUL character"),
        (boost(userId=5), "userId must be a string"),
        (boost(userId="alice", userAttributes=[match(game.plan, "pro")]), "userAttributes cannot be given"),
        (boost(userAttributes=[match(game.category, "math")]), "userAttributes cannot have"),
        (boost(userAttributes=[match(NO_SUCH_ID, "x")]), "userAttributes[0].attributeId: there is no attribute"),
        (boost(userAttributes=[match(game.plan, "a"), match(game.plan, "b")]), "userAttributes"),
        (boost(userAttributes="pro"), "userAttributes must be an array"),
    ]
    assert_issues(api.send("POST", boosts_path(game.xp), [item for item, _ in cases]), cases)
    assert not Boost.objects.exists()
    assert not BoostFilter.objects.exists()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2", "2"),
        ("1.1", "1.1"),
        ("0.0001", "0.0001"),
        ("99.9999", "99.9999"),
        ("1.0001", "1.0001"),
        ("2.50000000", "2.5"),
        ("1e1", "10"),
        ("15E-1", "1.5"),
    ],
)
def test_a_multiplier_is_kept_exactly(api: Api, game: Game, written: str, shown: str) -> None:
    item = f'[{{"name": "Boost", "start": "2026-01-01", "multiplier": {written}}}]'
    answer = api.send("POST", boosts_path(game.xp), item)
    assert answer.json()["issues"] == []
    assert f'"multiplier":{shown},'.encode() in answer.content.replace(b" ", b"")


@pytest.mark.parametrize(
    "written", ["1e999999999999999999999", "1e400", "1e-400", "2." + "3" * 1000, "1." + "0" * 99 + "1"]
)
def test_a_multiplier_of_any_size_is_refused_by_name(api: Api, game: Game, written: str) -> None:
    item = f'[{{"name": "Boost", "start": "2026-01-01", "multiplier": {written}}}]'
    (issue,) = api.send("POST", boosts_path(game.xp), item).json()["issues"]
    assert issue["message"].startswith("multiplier")
    assert not Boost.objects.exists()


def test_a_boost_is_live_at_once(api: Api, game: Game) -> None:
    game.trigger(points=10)
    create_one(api, boosts_path(game.xp), boost(multiplier=1.5))
    create_one(api, boosts_path(game.xp), boost(userId="bob", multiplier=3))
    create_one(api, boosts_path(game.xp), boost(userAttributes=[match(game.plan, "pro")]))
    assert api.event("alice").json()["points"]["xp"]["added"] == 15
    assert api.event("bob").json()["points"]["xp"]["added"] == 45
    assert api.event({"id": "charlie", "attributes": {"plan": "pro"}}).json()["points"]["xp"]["added"] == 30


def test_a_boost_shows_every_field_of_the_contract(api: Api, game: Game) -> None:
    path, filters = boosts_path(game.xp), [match(game.plan, "pro")]
    made = create_one(api, path, boost(end="2030-12-31", rounding="nearest", userAttributes=filters))
    shown = {"id": made["id"], "name": "Double", "status": "active", "start": "2026-01-01", "end": "2030-12-31"}
    shown |= {"multiplier": 2, "rounding": "nearest", "userId": None, "userAttributes": filters}
    assert made == shown
    changes = {"name": "Half", "start": "2026-01-02", "multiplier": 0.5, "rounding": "up"}
    nulls: dict[str, Any] = {"end": None, "userAttributes": None}
    assert refuse_one(api, path, {"id": made["id"], "userId": "alice"}).startswith(
        "userId of a boost cannot be changed"
    )
    changed = update_one(api, path, changes | nulls | {"id": made["id"]})
    assert changed == shown | changes | {"end": None, "userAttributes": []}
    of_alice = create_one(api, path, boost(userId="alice", end=None, userAttributes=None))
    assert (of_alice["userId"], "userAttributes" in of_alice, of_alice["rounding"]) == ("alice", False, "down")


@time_machine.travel(NOON, tick=False)
def test_the_status_follows_from_the_days(api: Api, game: Game) -> None:
    def status(**days: str) -> Any:
        return create_one(api, boosts_path(game.xp), boost(**days))["status"]

    assert status(start="2026-03-12") == "scheduled"
    assert status(start="2026-03-11") == "active"  # it is that day already at UTC+14
    assert status(start="2026-03-01", end="2026-03-10") == "active"
    assert status(start="2026-03-11", userId="alice") == "scheduled"  # not where nobody knows the zone: UTC
    api.send("PUT", "/v1/users/bob", {"tz": "Pacific/Kiritimati"})
    assert status(start="2026-03-11", userId="bob") == "active"
    assert [each["status"] for each in api.get(boosts_path(game.xp)).json()] == [
        *("scheduled", "active", "active"),
        *("scheduled", "active"),
    ]


@time_machine.travel(NOON, tick=False)
def test_a_boost_whose_days_are_over_is_not_made(api: Api, game: Game) -> None:
    path = boosts_path(game.xp)
    over = boost(start="2026-03-01", end="2026-03-09")
    assert refuse_new(api, path, over) == "end: «Double» cannot be activated: its last day is over."
    api.send("PUT", "/v1/users/alice", {"tz": "Pacific/Kiritimati"})
    till_today = boost(start="2026-03-01", end="2026-03-10")
    assert "its last day is over" in refuse_new(api, path, till_today | {"userId": "alice"})
    whole = {"name": "Gold", "key": "gold", "boosts": [over]}
    assert refuse_new(api, SYSTEMS, whole).startswith("boosts[0].end: ")
    assert (Boost.objects.count(), PointsSystem.objects.filter(key="gold").exists()) == (0, False)
    assert create_one(api, path, till_today)["status"] == "active"
    assert create_one(api, path, till_today | {"userId": "bob"})["status"] == "active"


def test_a_finished_boost_cannot_be_changed(api: Api, game: Game) -> None:
    path = boosts_path(game.xp)
    over = create_one(api, path, boost())
    Boost.objects.update(end=date(2026, 1, 2))
    over = api.get(f"{path}/{over['id']}").json()
    stopped = create_one(api, path, boost())
    finish_boosts(boosts=Boost.objects.filter(id=stopped["id"]))
    for made in (over, stopped):
        assert api.get(f"{path}/{made['id']}").json()["status"] == "finished"
        change = {"id": made["id"], "end": "2099-01-01", "name": "Again"}
        assert refuse_one(api, path, change) == "«Double» is finished, and a finished boost cannot be changed."
        assert api.get(f"{path}/{made['id']}").json() == made | {"status": "finished"}


def test_inactive_and_archived_boosts_are_in_neither_api(api: Api, game: Game) -> None:
    path = boosts_path(game.xp)
    draft = create_boost(system=game.xp, name="Draft", start=date(2026, 1, 1), multiplier=2)
    old = Boost.objects.get(id=create_one(api, path, boost())["id"])
    archive(row=old)
    for row in (draft, old):
        assert api.get(f"{path}/{row.id}").status_code == 404
        assert "not found" in refuse_one(api, path, {"id": str(row.id), "name": "Seen"})
    assert (api.get(path).json(), api.get("/v1/points/xp/boosts").json()) == ([], [])
    restore(row=old)
    assert api.get(path).json() == []


def test_a_bad_change_of_a_boost_changes_nothing(api: Api, game: Game) -> None:
    path = boosts_path(game.xp)
    before = create_one(api, path, boost(end="2030-12-31", userAttributes=[match(game.plan, "pro")]))
    for field, value in (
        ("multiplier", 1),
        ("multiplier", 0.00001),
        ("multiplier", None),
        ("end", "2025-12-31"),
        ("start", "2031-01-01"),
        ("start", None),
        ("rounding", "half"),
        ("userAttributes", [match(game.category, "math")]),
    ):
        item = {"id": before["id"], "name": "Changed", "userAttributes": []} | {field: value}
        assert refuse_one(api, path, item).startswith("end" if value == "2031-01-01" else field)
        assert api.get(f"{path}/{before['id']}").json() == before


def test_one_users_boost_gets_no_filters(api: Api, game: Game) -> None:
    path = boosts_path(game.xp)
    made = create_one(api, path, boost(userId="alice"))
    change = {"id": made["id"], "userAttributes": [match(game.plan, "pro")]}
    assert refuse_one(api, path, change) == "userAttributes cannot be given for one user's boost."
    assert update_one(api, path, {"id": made["id"], "userAttributes": None, "name": "Hers"}) == made | {"name": "Hers"}


# --- Achievements ----------------------------------------------------------------------------------------------------
def test_each_wrong_achievement_is_refused_by_name(api: Api, game: Game) -> None:
    archived = create_achievement(name="Old", type="api", key="old")
    archive(row=archived)
    create_achievement(name="Taken", type="api", key="taken")
    archive(row=game.flashcards)
    streak = achievement("streak", streakLength=7)
    metric = achievement("metric", metricId=str(game.lessons.id), metricValue=10)
    cases: list[tuple[Any, str]] = [
        (without(streak, "trigger"), "trigger is required"),
        (streak | {"trigger": "lesson"}, "trigger must be metric or streak or api or achievement"),
        (streak | {"trigger": None}, "trigger must be a string"),
        (achievement("anniversary", anniversaryYears=1), "anniversaryYears belongs to anniversary achievements"),
        (achievement("anniversary"), "trigger: anniversary achievements are not offered by Pointsmith"),
        (streak | {"anniversaryYears": 2}, "anniversaryYears belongs to anniversary achievements"),
        (streak | {"status": "archived"}, "status must be active or inactive or locked"),
        (streak | {"status": None}, "status must be a string"),
        (streak | {"name": "He\x00ro"}, "name must not contain the NUL character"),
        (streak | {"description": "x" * 2001}, "description"),
        (streak | {"badge": {"url": "hero.png"}}, "badge.url"),
        (streak | {"streakLength": 0}, "streakLength"),
        (streak | {"streakLength": 1.5}, "streakLength must be a whole number"),
        (streak | {"streakLength": 10**30}, "streakLength"),
        (metric | {"metricId": "lessons"}, "metricId must be a valid UUID"),
        (metric | {"metricId": NO_SUCH_ID}, f"metricId: there is no active metric with the id {NO_SUCH_ID}"),
        (metric | {"metricId": str(game.flashcards.id)}, "metricId: there is no active metric"),
        *((metric | {"metricValue": value}, "metricValue must be greater than 0") for value in (0, -1, -0.5)),
        *((metric | {"metricValue": value}, "metricValue") for value in (10**15, 1e300, 0.0000000001)),
        *((metric | {"metricValue": value}, "metricValue must be a number") for value in NO_NUMBERS),
        (metric | {"eventAttributes": [match(game.plan, "pro")]}, "eventAttributes cannot have"),
        (metric | {"eventAttributes": [match("category", "x")]}, "eventAttributes[0].attributeId must be a valid UUID"),
        (metric | {"userAttributes": [match(game.category, "math")]}, "userAttributes cannot have"),
        (achievement("api", key="taken"), "Key already in use by another achievement"),
        (achievement("api", key="a b"), "key must have only letters"),
        (achievement("api", key=""), "key is required"),
        (achievement("achievement", achievementIds=[]), "achievementIds must name at least one achievement"),
        (achievement("achievement", achievementIds=["old"]), "achievementIds[0] must be a valid UUID"),
        (
            achievement("achievement", achievementIds=[NO_SUCH_ID]),
            f"achievementIds[0]: there is no achievement with the id {NO_SUCH_ID}",
        ),
        (achievement("achievement", achievementIds=[str(archived.id)]), "achievementIds[0]: there is no achievement"),
        (achievement("achievement", achievementIds=NO_SUCH_ID), "achievementIds must be an array"),
        (achievement("achievement", achievementIds=[5]), "achievementIds[0] must be a string"),
        (achievement("achievement", achievementIds=[NO_SUCH_ID] * 101), "achievementIds must be an array of at most"),
    ]
    assert_issues(api.send("POST", ACHIEVEMENTS, [item for item, _ in cases]), cases)
    assert Achievement.objects.count() == 2
    assert not AchievementFilter.objects.exists()


def test_a_field_of_another_type_of_achievement_is_refused_by_name(api: Api, game: Game) -> None:
    fields = of_each_type(game)
    cases: list[tuple[Any, str]] = [
        (achievement(type_, **own) | {name: value}, name)
        for type_, own in fields.items()
        for other in fields.values()
        for name, value in other.items()
        if name not in own
    ]
    assert len(cases) == 15
    for type_, own in fields.items():
        if type_ != "metric":
            item = achievement(type_, **own, eventAttributes=[match(game.category, "math")])
            cases.append((item, "eventAttributes are possible only for a metric achievement"))
    assert_issues(api.send("POST", ACHIEVEMENTS, [item for item, _ in cases]), cases)
    for item, name in cases[:15]:
        draft = create_one(api, ACHIEVEMENTS, without(item, name))
        assert name in refuse_one(api, ACHIEVEMENTS, {"id": draft["id"], name: item[name]})
        archive(row=Achievement.objects.get(id=draft["id"]))


def test_a_missing_field_of_the_type_of_achievement_is_named(api: Api, game: Game) -> None:
    cases: list[tuple[Any, str]] = [
        (achievement(type_, **without(own, name)), name) for type_, own in of_each_type(game).items() for name in own
    ]
    assert_issues(api.send("POST", ACHIEVEMENTS, [item for item, _ in cases]), cases)
    assert Achievement.objects.count() == 1


def test_achievements_of_all_types_show_their_own_fields_and_become_one_another(api: Api, game: Game) -> None:
    base: dict[str, Any] = {
        "name": "Hero",
        "description": None,
        "status": "inactive",
        "badge": None,
        "userAttributes": [],
    }
    draft = create_one(api, ACHIEVEMENTS, achievement("api", key="draft"))
    for type_, own in of_each_type(game).items():
        shown = base | {"trigger": type_} | own | ({"eventAttributes": []} if type_ == "metric" else {})
        made = create_one(api, ACHIEVEMENTS, achievement(type_, **own))
        assert made == shown | {"id": made["id"]}
        archive(row=Achievement.objects.get(id=made["id"]))
        assert update_one(api, ACHIEVEMENTS, {"id": draft["id"], "trigger": type_} | own) == shown | {"id": draft["id"]}


def test_null_in_a_field_of_another_type_of_achievement_says_nothing(api: Api, game: Game) -> None:
    nulls = dict.fromkeys(("key", "metricId", "metricValue", "eventAttributes", "achievementIds", "anniversaryYears"))
    made = create_one(api, ACHIEVEMENTS, achievement("streak", streakLength=7, badge=None, **nulls))
    assert sorted(made) == sorted(
        ["id", "name", "description", "trigger", "status", "badge", "userAttributes", "streakLength"]
    )


def test_null_clears_the_description_the_badge_and_the_filters(api: Api, game: Game) -> None:
    filters = {"userAttributes": [match(game.plan, "pro")], "eventAttributes": [match(game.category, "math")]}
    fields = {"description": "Ten", "badge": {"url": "https://example.com/ten.png"}} | filters
    of_metric = {"metricId": str(game.lessons.id), "metricValue": 10}
    made = create_one(api, ACHIEVEMENTS, achievement("metric", **of_metric, **fields))
    assert {name: made[name] for name in fields} == fields
    assert update_one(api, ACHIEVEMENTS, {"id": made["id"], "metricValue": 12.5}) == made | {"metricValue": 12.5}
    cleared = update_one(api, ACHIEVEMENTS, {"id": made["id"]} | dict.fromkeys(fields))
    assert (cleared["description"], cleared["badge"]) == (None, None)
    assert (cleared["userAttributes"], cleared["eventAttributes"]) == ([], [])
    assert not AchievementFilter.objects.exists()


STATUSES = ("inactive", "active", "locked")
ALLOWED = {("inactive", "active"), ("active", "locked"), ("locked", "active"), *((each, each) for each in STATUSES)}


@pytest.mark.parametrize(("old", "new"), [(old, new) for old in STATUSES for new in STATUSES])
def test_the_status_changes_only_as_the_rules_say(api: Api, old: str, new: str) -> None:
    made = create_one(api, ACHIEVEMENTS, achievement("streak", streakLength=7))
    Achievement.objects.update(status=old)
    made["status"] = old
    change = {"id": made["id"], "status": new, "streakLength": 5}
    if (old, new) in ALLOWED:
        assert update_one(api, ACHIEVEMENTS, change)["status"] == new
    else:
        assert refuse_one(api, ACHIEVEMENTS, change).startswith("status can only become ")
        assert api.get(f"{ACHIEVEMENTS}/{made['id']}").json() == made


def test_an_achievement_is_inactive_unless_its_status_says_otherwise_and_activation_looks_back(api: Api) -> None:
    made = create_one(api, ACHIEVEMENTS, achievement("api", key="profile"))
    path = "/v1/achievements/profile/complete"
    assert (made["status"], Backdating.objects.count()) == ("inactive", 0)
    assert api.send("POST", path, {"user": {"id": "alice"}}).status_code == 404
    update_one(api, ACHIEVEMENTS, {"id": made["id"], "status": "active"})
    assert [str(each.achievement_id) for each in Backdating.objects.all()] == [made["id"]]
    assert api.send("POST", path, {"user": {"id": "alice"}}).status_code == 201
    update_one(api, ACHIEVEMENTS, {"id": made["id"], "status": "active", "name": "Again"})
    assert Backdating.objects.count() == 1
    create_one(api, ACHIEVEMENTS, achievement("streak", streakLength=7, status="active"))
    assert Backdating.objects.count() == 2


def test_one_that_begins_locked_is_completed_by_nobody_until_it_is_activated(api: Api, game: Game) -> None:
    made = create_one(api, ACHIEVEMENTS, achievement("streak", streakLength=1, status="locked"))
    assert (made["status"], Backdating.objects.exists()) == ("locked", False)
    assert api.event("alice").json()["achievements"] == []
    assert api.get("/v1/achievements").json() == []
    assert api.get("/v1/users/alice/achievements?includeIncomplete=true").json() == []
    update_one(api, ACHIEVEMENTS, {"id": made["id"], "status": "active"})
    assert Backdating.objects.count() == 1
    assert [each["id"] for each in api.event("bob").json()["achievements"]] == [made["id"]]


def test_one_that_began_locked_cannot_be_hidden_nor_its_key_be_changed(api: Api) -> None:
    made = create_one(api, ACHIEVEMENTS, achievement("api", key="hero", status="locked"))
    answer = api.send("POST", "/v1/achievements/hero/complete", {"user": {"id": "alice"}})
    assert (answer.status_code, "is locked" in answer.json()["error"]) == (422, True)
    assert refuse_one(api, ACHIEVEMENTS, {"id": made["id"], "status": "inactive"}).startswith("status can only become")
    assert refuse_one(api, ACHIEVEMENTS, {"id": made["id"], "key": "heroine"}).startswith("key can be changed only")


def test_the_key_is_changed_only_while_the_achievement_is_inactive(api: Api) -> None:
    made = create_one(api, ACHIEVEMENTS, achievement("api", key="hero"))
    assert update_one(api, ACHIEVEMENTS, {"id": made["id"], "key": "heroine"})["key"] == "heroine"
    for status in ("active", "locked"):
        update_one(api, ACHIEVEMENTS, {"id": made["id"], "status": status, "key": "heroine"})
        message = refuse_one(api, ACHIEVEMENTS, {"id": made["id"], "key": "hero"})
        assert message == "key can be changed only while the achievement is inactive."
    assert Achievement.objects.get().key == "heroine"


def test_only_the_filters_and_prerequisites_that_are_given_are_replaced(api: Api, game: Game) -> None:
    of_event, of_user = match(game.category, "math"), match(game.plan, "pro")
    filters = {"userAttributes": [of_user], "eventAttributes": [of_event]}
    fields = {"metricId": str(game.lessons.id), "metricValue": 10, **filters}
    made = create_one(api, ACHIEVEMENTS, achievement("metric", **fields))
    base = create_one(api, ACHIEVEMENTS, achievement("achievement", name="Both", achievementIds=[made["id"]]))

    def parts() -> tuple[set[Any], set[Any]]:
        rows = AchievementPrerequisite.objects.values_list("id", flat=True)
        return set(AchievementFilter.objects.values_list("id", "attribute__key")), set(rows)

    before = parts()
    update_one(api, ACHIEVEMENTS, {"id": made["id"], "name": "Again"})
    update_one(api, ACHIEVEMENTS, {"id": base["id"], "name": "Both again"})
    assert parts() == before
    update_one(api, ACHIEVEMENTS, {"id": made["id"], "userAttributes": [match(game.plan, "free")]})
    assert {key for _, key in parts()[0] & before[0]} == {"category"}


def test_the_type_is_changed_only_while_the_achievement_is_inactive(api: Api) -> None:
    made = create_one(api, ACHIEVEMENTS, achievement("streak", streakLength=7, status="active"))
    change = {"id": made["id"], "trigger": "api", "key": "hero"}
    assert refuse_one(api, ACHIEVEMENTS, change) == "trigger can be changed only while the achievement is inactive."
    assert (
        update_one(api, ACHIEVEMENTS, {"id": made["id"], "trigger": "streak", "streakLength": 5})["streakLength"] == 5
    )


def test_prerequisites_never_go_round_in_a_circle(api: Api, game: Game) -> None:
    base = create_one(api, ACHIEVEMENTS, achievement("streak", streakLength=7))["id"]
    first = create_one(api, ACHIEVEMENTS, achievement("achievement", name="First", achievementIds=[base]))["id"]
    second = create_one(api, ACHIEVEMENTS, achievement("achievement", name="Second", achievementIds=[first]))["id"]
    for ids in ([first], [base, second]):
        message = refuse_one(api, ACHIEVEMENTS, {"id": first, "achievementIds": ids})
        assert message.startswith("achievementIds would go round in a circle: «First» needs «")
    twice = {"id": second, "achievementIds": [base, base.upper()]}
    assert refuse_one(api, ACHIEVEMENTS, twice) == "achievementIds can have each achievement only once."
    assert refuse_one(api, ACHIEVEMENTS, {"id": second, "achievementIds": None}).startswith("achievementIds must name")
    assert AchievementPrerequisite.objects.count() == 2
    assert update_one(api, ACHIEVEMENTS, {"id": second, "achievementIds": [base, first]})["achievementIds"] == [
        base,
        first,
    ]


def test_a_composite_is_completed_with_its_last_prerequisite(api: Api, game: Game) -> None:
    ids = [create_one(api, ACHIEVEMENTS, achievement("api", name=key, key=key, status="active"))["id"] for key in "ab"]
    create_one(api, ACHIEVEMENTS, achievement("achievement", name="Both", achievementIds=ids, status="active"))
    api.send("POST", "/v1/achievements/a/complete", {"user": {"id": "alice"}})
    held = api.get("/v1/users/alice/achievements").json()
    assert [each["name"] for each in held] == ["a"]
    api.send("POST", "/v1/achievements/b/complete", {"user": {"id": "alice"}})
    held = api.get("/v1/users/alice/achievements").json()
    assert sorted(each["name"] for each in held) == ["Both", "a", "b"]


def test_a_metric_value_is_kept_exactly(api: Api, game: Game) -> None:
    item = f'[{{"name": "Hero", "trigger": "metric", "metricId": "{game.lessons.id}", "metricValue": 0.300000000}}]'
    made = api.send("POST", ACHIEVEMENTS, item).json()["created"][0]
    assert (made["metricValue"], made["status"]) == (0.3, "inactive")
    update_one(api, ACHIEVEMENTS, {"id": made["id"], "status": "active"})
    for _ in range(2):
        assert api.event("alice", 0.1).json()["achievements"] == []
    assert len(api.event("alice", 0.1).json()["achievements"]) == 1


# --- Whole systems ---------------------------------------------------------------------------------------------------
def test_a_system_is_made_with_all_of_its_parts(api: Api, game: Game) -> None:
    item = {
        "name": "Gold",
        "key": "gold",
        "levels": [level("High", 20), level("Low", 0)],
        "boosts": [boost(), boost(name="Alice's", userId="alice", multiplier=1.5)],
        "triggers": [metric_trigger(game, status="active")],
    }
    made = create_one(api, SYSTEMS, item)
    assert ([each["key"] for each in made["levels"]], len(made["triggers"])) == (["high", "low"], 1)
    assert [(each["status"], each["userId"]) for each in made["boosts"]] == [("active", None), ("active", "alice")]
    for part in ("levels", "boosts", "triggers"):
        assert api.get(f"{SYSTEMS}/{made['id']}/{part}").json() == made[part]
        assert part not in api.get(f"{SYSTEMS}/{made['id']}").json()
    answer = api.event("alice").json()["points"]["gold"]
    assert (answer["added"], answer["level"]["key"]) == (30, "high")
    bare = create_one(api, SYSTEMS, {"name": "Bare", "key": "bare", "levels": None, "boosts": None})
    assert {"levels", "boosts", "triggers"}.isdisjoint(bare)


def test_nothing_is_stored_of_a_system_with_a_bad_part(api: Api, game: Game) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        ({"levels": [level("Low", 0), level("High", -1)]}, "levels[1].points"),
        ({"levels": [level("Low", 0), level("High", 0)]}, "levels[1].points: Points already in use"),
        ({"levels": [level("Low", 0), level("High", 5, key="low")]}, "levels[1].key: Key already in use"),
        ({"levels": [level("Low", 0), level("High", "5")]}, "levels[1].points must be a whole number"),
        ({"levels": [level("Low", 0, badge={"url": "low"})]}, "levels[0].badge.url must be"),
        ({"levels": [level("Low", 0), "High"]}, "levels[1] must be an object"),
        ({"boosts": [boost(), boost(multiplier=1)]}, "boosts[1].multiplier must be more than 0"),
        ({"boosts": [boost(), boost(multiplier="2")]}, "boosts[1].multiplier must be a number"),
        ({"boosts": [boost(start="soon")]}, "boosts[0].start must be a date"),
        ({"boosts": [boost(end="2025-01-01")]}, "boosts[0].end must not be before start"),
        ({"boosts": [boost(userId="")]}, "boosts[0].userId must be a string that is not empty"),
        (
            {"boosts": [boost(userId="alice", userAttributes=[match(game.plan, "pro")])]},
            "boosts[0].userAttributes cannot be given",
        ),
        ({"boosts": [boost(userAttributes=[match("x", "pro")])]}, "boosts[0].userAttributes[0].attributeId must be"),
        ({"triggers": [{"type": "time", "points": 5, "timeUnit": "days"}]}, "triggers[0].timeInterval is required"),
        ({"triggers": [metric_trigger(game, streakLength=7)]}, "triggers[0].streakLength must be empty"),
        (
            {"triggers": [{"type": "achievement", "points": 5, "achievementId": NO_SUCH_ID}]},
            "triggers[0].achievementId: there is no achievement",
        ),
    ]
    good = {"levels": [level("Low", 0)], "boosts": [boost()], "triggers": [metric_trigger(game)]}
    cases: list[tuple[Any, str]] = [
        ({"name": f"Gold {n}", "key": f"gold-{n}"} | good | parts, words) for n, (parts, words) in enumerate(bad)
    ]
    assert_issues(api.send("POST", SYSTEMS, [item for item, _ in cases]), cases)
    assert PointsSystem.objects.count() == 2
    for model in (Level, Boost, BoostFilter, PointsTrigger):
        assert not model.objects.exists()


def test_a_bad_system_beside_a_good_one_takes_nothing_from_it(api: Api, game: Game) -> None:
    items = [
        {"name": "Bad", "key": "bad", "levels": [level("Low", 0)], "boosts": [boost(multiplier=0)]},
        {"name": "Good", "key": "good", "levels": [level("Low", 0)], "boosts": [boost()]},
    ]
    answer = api.send("POST", SYSTEMS, items)
    assert (answer.status_code, [each["key"] for each in answer.json()["created"]]) == (201, ["good"])
    assert answer.json()["issues"][0]["message"].startswith("boosts[0].multiplier")
    assert (Level.objects.count(), Boost.objects.count()) == (1, 1)


# --- The reference ---------------------------------------------------------------------------------------------------
def test_the_reference_describes_each_operation(api: Api) -> None:
    paths = api.client.get("/docs/openapi.yaml?format=json", headers={"Accept": "application/json"}).json()["paths"]
    for path in ("points/{system_id}/levels", "points/{system_id}/boosts", "achievements"):
        assert {"get", "post", "patch"} <= paths[f"/admin-api/v1/{path}"].keys()
        assert "get" in paths[f"/admin-api/v1/{path}/{{id}}"]
