"""Every method of the official SDK's admin client, its typed results, and what an operator then sees of them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from trophy import (
    AdminAchievement,
    AdminAttribute,
    AdminPointsBoost,
    AdminPointsLevel,
    AdminPointsSystem,
    AdminPointsTrigger,
    CreateAchievementRequestItem,
    CreateApplicationKeyRequestItem,
    CreateAttributeRequestItem,
    CreatedApplicationKey,
    CreatedMetric,
    CreateMetricRequestItem,
    CreatePointsBoostRequestItem,
    CreatePointsLevelRequestItem,
    CreatePointsSystemRequestItem,
    CreatePointsTriggerRequestItem,
    DeletedResource,
    PatchPointsBoostsRequestItem,
    PatchPointsLevelsRequestItem,
    PatchPointsTriggersRequestItem,
    StreakSettings,
    StreakSettingsMetric,
    TrophyApi,
    UnprocessableEntityError,
    UpdateAchievementRequestItem,
    UpdateAttributeRequestItem,
    UpdateMetricRequestItem,
    UpdatePointsSystemRequestItem,
    UpsertedUser,
)

from achievements.services import create_achievement
from boosts.services import create_live_boost
from levels.services import create_level
from tests.conftest import Game, make_game, other_caller
from tests.test_admin import text_of
from users.models import EndUser

NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"
START, END = "2026-01-01", "2099-12-31"


@dataclass(frozen=True)
class Walk:
    """A resource: where it is in the SDK and in the admin, what is made of which type, and how it is changed.

    `made` and `changed` are what the typed results must say; `shown` is what the admin's list must.
    """

    client: Callable[[TrophyApi], Any]
    page: str
    model: type[Any]
    item: Any
    made: dict[str, Any]
    patch: Callable[[str], Any]
    changed: dict[str, Any]
    shown: tuple[str, ...]
    of_system: bool = False
    methods: set[str] = field(default_factory=lambda: {"list", "get", "create", "update", "delete"})


WALKS: dict[str, Callable[[Game], Walk]] = {
    "attributes": lambda game: Walk(
        client=lambda sdk: sdk.admin.attributes,
        page="users/attribute",
        model=AdminAttribute,
        item=CreateAttributeRequestItem(name="Country", key="country", type="user"),
        made={"name": "Country", "key": "country", "type": "user"},
        patch=lambda id_: UpdateAttributeRequestItem(id=id_, name="Home country"),
        changed={"name": "Home country", "key": "country"},
        shown=("Home country", "country", "User"),
    ),
    "metrics": lambda game: Walk(
        client=lambda sdk: sdk.admin.metrics,
        page="metrics/metric",
        model=CreatedMetric,
        item=CreateMetricRequestItem(name="Revenue", key="revenue", unit_type="currency", units="USD"),
        made={"name": "Revenue", "key": "revenue", "unit_type": "currency", "units": "USD"},
        patch=lambda id_: UpdateMetricRequestItem(id=id_, name="Income", units="EUR"),
        changed={"name": "Income", "key": "revenue", "units": "EUR"},
        shown=("Income", "revenue", "EUR"),
        methods={"list", "get", "create", "update", "delete", "batch_events"},
    ),
    "achievements": lambda game: Walk(
        client=lambda sdk: sdk.admin.achievements,
        page="achievements/achievement",
        model=AdminAchievement,
        item=CreateAchievementRequestItem(
            name="Bookworm", trigger="metric", metric_id=str(game.lessons.id), metric_value=2.5, description="Reads"
        ),
        made={"name": "Bookworm", "trigger": "metric", "metric_value": 2.5, "status": "inactive", "key": None},
        patch=lambda id_: UpdateAchievementRequestItem(id=id_, metric_value=3, status="active"),
        changed={"name": "Bookworm", "metric_value": 3, "status": "active", "description": "Reads"},
        shown=("Bookworm", "Lessons completed: 3", "Active"),
    ),
    "points systems": lambda game: Walk(
        client=lambda sdk: sdk.admin.points.systems,
        page="points/pointssystem",
        model=AdminPointsSystem,
        item=CreatePointsSystemRequestItem(name="Gems", key="gems", max_points=500),
        made={"name": "Gems", "key": "gems", "max_points": 500, "status": "active", "badge": None},
        patch=lambda id_: UpdatePointsSystemRequestItem(id=id_, name="Rubies", max_points=750),
        changed={"name": "Rubies", "key": "gems", "max_points": 750},
        shown=("Rubies", "gems", "750"),
    ),
    "levels": lambda game: Walk(
        client=lambda sdk: sdk.admin.points.levels,
        page="levels/level",
        model=AdminPointsLevel,
        item=CreatePointsLevelRequestItem(name="Bronze", key="bronze", points=100),
        made={"name": "Bronze", "key": "bronze", "points": 100, "description": "", "badge": None},
        patch=lambda id_: PatchPointsLevelsRequestItem(id=id_, name="Bronze tier", points=150),
        changed={"name": "Bronze tier", "key": "bronze", "points": 150},
        shown=("Bronze tier", "bronze", "150"),
        of_system=True,
    ),
    "boosts": lambda game: Walk(
        client=lambda sdk: sdk.admin.points.boosts,
        page="boosts/boost",
        model=AdminPointsBoost,
        item=CreatePointsBoostRequestItem(name="Double XP", start=START, multiplier=2),
        made={"name": "Double XP", "start": START, "end": None, "multiplier": 2, "status": "active", "user_id": None},
        patch=lambda id_: PatchPointsBoostsRequestItem(id=id_, multiplier=2.5, end=END),
        changed={"name": "Double XP", "multiplier": 2.5, "end": END},
        shown=("Double XP", "x2.5", "Active"),
        of_system=True,
    ),
    "triggers": lambda game: Walk(
        client=lambda sdk: sdk.admin.points.triggers,
        page="points/pointstrigger",
        model=AdminPointsTrigger,
        item=CreatePointsTriggerRequestItem(
            type="metric", points=10, metric_id=str(game.lessons.id), metric_threshold=5, status="active"
        ),
        made={"type": "metric", "points": 10, "metric_threshold": 5, "status": "active", "event_attributes": []},
        patch=lambda id_: PatchPointsTriggersRequestItem(id=id_, points=25, status="inactive"),
        changed={"type": "metric", "points": 25, "status": "inactive", "metric_threshold": 5},
        shown=("+25", "Lessons completed: every 5", "Inactive"),
        of_system=True,
    ),
}


@pytest.fixture
def game(sdk: TrophyApi) -> Game:
    """The study app where the SDK's server sees it."""
    return make_game()


@pytest.fixture
def operator(sdk: TrophyApi) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def methods_of(client: Any) -> set[str]:
    """Return the names of what the SDK's client can do."""
    return {name for name, value in vars(type(client)).items() if callable(value) and not name.startswith("_")}


def parts(result: Any, names: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(result, name) for name in names}


@pytest.mark.parametrize("name", WALKS)
def test_a_resource_is_made_read_changed_and_deleted_and_the_admin_shows_it(
    name: str, sdk: TrophyApi, game: Game, operator: Client
) -> None:
    walk = WALKS[name](game)
    client, place = walk.client(sdk), [str(game.xp.id)] if walk.of_system else []
    assert methods_of(client) == walk.methods
    others = client.list(*place, limit=100)

    created = client.create(*place, request=[walk.item])
    (made,) = created.created
    assert (created.issues, parts(made, walk.made)) == ([], walk.made)
    read = client.get(*place, made.id)
    assert isinstance(read, walk.model)
    assert (read.model_extra, parts(read, walk.made)) == ({}, walk.made)
    assert client.list(*place, limit=100) == [*others, read]
    assert client.list(*place, limit=1, skip=len(others)) == [read]

    updated = client.update(*place, request=[walk.patch(made.id)])
    (changed,) = updated.updated
    assert isinstance(changed, walk.model)
    assert (updated.issues, parts(changed, walk.changed)) == ([], walk.changed)
    assert client.get(*place, made.id) == changed
    listed = text_of(operator.get(f"/admin/{walk.page}/"))
    assert all(text in listed for text in walk.shown), listed
    assert operator.get(f"/admin/{walk.page}/{made.id}/change/").status_code == 200

    deleted = client.delete(*place, ids=[made.id, NO_SUCH_ID])
    assert deleted.deleted == [DeletedResource(id=made.id)]
    assert [(issue.id, issue.severity) for issue in deleted.issues] == [(NO_SUCH_ID, "error")]
    assert client.list(*place, limit=100) == others
    assert made.id not in operator.get(f"/admin/{walk.page}/").content.decode()
    with pytest.raises(UnprocessableEntityError):
        client.delete(*place)
    with pytest.raises(UnprocessableEntityError):
        client.create(*place, request=[])


def test_the_streak_settings_are_read_and_changed_and_the_admin_shows_them(
    sdk: TrophyApi, game: Game, operator: Client
) -> None:
    settings = sdk.admin.streaks.settings
    assert methods_of(settings) == {"get", "update"}
    before = settings.get()
    assert isinstance(before, StreakSettings)
    assert (before.frequency, before.evaluation_mode, before.metrics, before.model_extra) == ("daily", "OR", [], {})
    metrics = [StreakSettingsMetric(key="lessons", threshold=3), StreakSettingsMetric(key="flashcards", threshold=10)]
    after = settings.update(frequency="weekly", evaluation_mode="AND", metrics=metrics)
    assert (after.frequency, after.evaluation_mode, after.metrics) == ("weekly", "AND", metrics)
    assert (after.customization_enabled, after.days_off, after.freezes) == (False, [], None)
    assert settings.get() == after
    assert settings.update(customization_enabled=False, days_off=[], freezes=None) == after
    page = operator.get("/admin/streaks/streaksettings/", follow=True).content.decode()
    assert '<option value="weekly" selected>' in page
    assert {"3", "10"} <= set(re.findall(r'name="metrics-\d-threshold" value="([^"]+)"', page))
    with pytest.raises(UnprocessableEntityError) as raised:
        settings.update(days_off=[0, 6])
    assert raised.value.body == {"error": "daysOff: a streak with days off is not offered by Pointsmith."}


def test_application_keys_are_made_and_deleted_and_the_admin_shows_them(
    sdk: TrophyApi, game: Game, operator: Client
) -> None:
    keys = sdk.admin.application_api_keys
    assert methods_of(keys) == {"create", "delete"}
    items = [CreateApplicationKeyRequestItem(user_id=user) for user in ("alice", "", "bob")]
    created = keys.create(request=items)
    alice, bob = created.created
    assert isinstance(alice, CreatedApplicationKey)
    assert (alice.user_id, bob.user_id, alice.model_extra) == ("alice", "bob", {})
    assert [(issue.index, issue.message) for issue in created.issues] == [
        (1, "userId must be a string that is not empty.")
    ]
    with other_caller(sdk, alice.key) as app:
        assert app.metrics.event("lessons", user=UpsertedUser(id="alice"), value=1).total == 1
    listed = text_of(operator.get("/admin/access/applicationkey/"))
    assert all(f"{key.user_id} {key.prefix}…" in listed for key in (alice, bob))
    assert alice.key not in listed
    deleted = keys.delete(ids=f"{alice.id},{bob.id}")
    assert deleted.deleted == [DeletedResource(id=alice.id), DeletedResource(id=bob.id)]
    assert deleted.issues == []
    assert alice.prefix not in text_of(operator.get("/admin/access/applicationkey/"))


def test_what_the_application_s_clients_do_and_read_is_what_the_admin_shows(
    sdk: TrophyApi, game: Game, operator: Client
) -> None:
    game.trigger(points=10)
    create_level(system=game.xp, name="Gold", key="gold", points=20)
    create_live_boost(system=game.xp, name="Double XP", multiplier=2, start=START)
    create_achievement(name="Sharer", type="api", key="sharer", status="active")
    alice = UpsertedUser(id="alice", name="Alice", email="alice@example.com", attributes={"plan": "pro"})

    assert sdk.users.create(id="alice", name="Al").name == "Al"
    assert sdk.users.identify("alice", name="Alice").name == "Alice"
    assert sdk.users.update("alice", tz="Europe/London").tz == "Europe/London"
    answer = sdk.metrics.event("lessons", user=alice, value=1.5, idempotency_key="one")
    assert (answer.total, answer.points["xp"].added, answer.points["xp"].level.key) == (1.5, 20, "gold")
    done = sdk.achievements.complete("sharer", user=UpsertedUser(id="alice"))
    assert done.achievement.name == "Sharer"

    user = sdk.users.get("alice")
    assert (user.email, user.attributes) == ("alice@example.com", {"plan": "pro"})
    assert {each.key: each.current for each in sdk.users.all_metrics("alice")} == {"lessons": 1.5, "flashcards": 0}
    assert sdk.users.single_metric("alice", "lessons").current == 1.5
    assert [each.name for each in sdk.users.achievements("alice")] == ["Sharer"]
    assert (sdk.users.streak("alice").length, sdk.streaks.list(user_ids=["alice"])[0].streak_length) == (1, 1)
    held = sdk.users.points("alice", "xp")
    assert (held.total, held.awards[0].awarded, held.awards[0].boosts[0].name) == (20, 20, "Double XP")
    assert [each.name for each in sdk.users.points_boosts("alice", "xp")] == ["Double XP"]
    days: dict[str, Any] = {"aggregation": "daily", "start_date": START, "end_date": START}
    assert len(sdk.users.points_event_summary("alice", "xp", **days)) == 1
    assert len(sdk.users.metric_event_summary("alice", "lessons", **days)) == 1
    assert [each.points for each in sdk.points.system("xp").triggers] == [10]
    assert [each.name for each in sdk.points.boosts("xp")] == ["Double XP"]
    assert [each.key for each in sdk.points.levels("xp")] == ["gold"]
    assert [(each.level.key, each.users) for each in sdk.points.level_summary("xp")] == [("gold", 1)]
    assert sum(each.users for each in sdk.points.summary("xp")) == 1
    assert [each.completions for each in sdk.achievements.all_()] == [1]

    id_ = EndUser.objects.get(external_id="alice").id
    page = text_of(operator.get(f"/admin/users/enduser/{id_}/change/"))
    for text in ("alice@example.com", "Europe/London", "Gold", "Sharer", "+20", "Double XP", "1.5", "1 day"):
        assert text in page, text


NOT_OFFERED = {"get_preferences", "update_preferences", "leaderboard", "wrapped"}
DONE = {
    "users": {
        *("create", "get", "identify", "update", "all_metrics", "single_metric", "metric_event_summary"),
        *("achievements", "streak", "points", "points_boosts", "points_event_summary"),
    },
    "points": {"summary", "system", "boosts", "levels", "level_summary"},
    "metrics": {"event"},
    "achievements": {"all_", "complete"},
    "streaks": {"list"},
}


@pytest.mark.parametrize("name", DONE)
def test_no_method_of_the_application_s_clients_was_left_out(name: str, sdk: TrophyApi) -> None:
    assert methods_of(getattr(sdk, name)) - NOT_OFFERED == DONE[name]
