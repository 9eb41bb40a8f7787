"""Achievements from outside: completed by events and by the product, listed for all and for a user."""

from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction
from trophy import NotFoundError, TrophyApi, UnprocessableEntityError, UpsertedUser

from access.services import create_api_key
from achievements.models import Achievement, Completion
from achievements.services import activate_achievement, create_achievement, lock_achievement, update_achievement
from core.services import archive, create_checked, restore, update_checked
from levels.models import Level
from metrics.models import Event
from points.models import PointsAward, PointsTrigger
from tests.conftest import Api, Game, make_game
from tests.test_admin import meeting
from tests.test_parallel import in_parallel
from users.models import Attribute, EndUser

NOON = "2026-06-15T12:00:00Z"


def of_lessons(game: Game, value: Any, name: str = "Learner", **fields: Any) -> Achievement:
    """Add an active achievement for a total of lessons."""
    given: dict[str, Any] = {
        "name": name,
        "status": "active",
        "type": "metric",
        "metric": game.lessons,
        "metric_value": value,
    }
    return create_achievement(**(given | fields))


def by_api(key: str = "shared", **fields: Any) -> Achievement:
    """Add an active achievement that the product completes."""
    given: dict[str, Any] = {"name": key, "status": "active", "type": "api", "key": key}
    return create_achievement(**(given | fields))


def of_others(*others: Achievement, name: str = "All", **fields: Any) -> Achievement:
    """Add an active achievement for having others."""
    given: dict[str, Any] = {"name": name, "status": "active", "type": "achievement", "prerequisites": others}
    return create_achievement(**(given | fields))


def of_streak(length: int, **fields: Any) -> Achievement:
    given: dict[str, Any] = {"name": "Steady", "status": "active", "type": "streak", "streak_length": length}
    return create_achievement(**(given | fields))


def reward(game: Game, achievement: Achievement, points: int, **fields: Any) -> PointsTrigger:
    """Have an achievement pay XP."""
    of: dict[str, Any] = {"type": "achievement", "achievement": achievement, "metric": None, "metric_threshold": None}
    return game.trigger(points, **(of | fields))


def completed(answer: Any) -> list[str]:
    """Return the names of what an event that was accepted completed."""
    assert answer.status_code == 201, answer.json()
    return [each["name"] for each in answer.json()["achievements"]]


def complete(api: Api, key: str = "shared", user: str | dict[str, Any] = "alice") -> Any:
    fields = {"id": user} if isinstance(user, str) else user
    return api.send("POST", f"/v1/achievements/{key}/complete", {"user": fields})


def held(api: Api, user: str = "alice", query: str = "") -> list[str]:
    answer = api.get(f"/v1/users/{user}/achievements{query}")
    assert answer.status_code == 200, answer.json()
    return [each["name"] for each in answer.json()]


# --- By events -------------------------------------------------------------------------------------------------------
@time_machine.travel(NOON, tick=False)
def test_an_event_that_reaches_the_total_completes_and_the_answer_says_so(api: Api, game: Game) -> None:
    filters: dict[str, Any] = {"user_filters": [(game.plan, "pro")], "event_filters": [(game.category, "math")]}
    achievement = of_lessons(
        game, Decimal("2.5"), description="Two and a half", badge_url="https://example.com/b.png", **filters
    )
    pro = {"id": "alice", "attributes": {"plan": "pro"}}
    assert completed(api.event(pro, 2, category="math")) == []
    assert api.event(pro, 0.5, category="math").json()["achievements"] == [
        {
            "id": str(achievement.id),
            "name": "Learner",
            "trigger": "metric",
            "description": "Two and a half",
            "badgeUrl": "https://example.com/b.png",
            "metricId": str(game.lessons.id),
            "metricValue": 2.5,
            "metricName": "Lessons completed",
            "userAttributes": [{"key": "plan", "value": "pro"}],
            "eventAttribute": {"key": "category", "value": "math"},
            "eventAttributes": [{"key": "category", "value": "math"}],
            "achievedAt": "2026-06-15T12:00:00.000Z",
        }
    ]
    assert completed(api.event(pro, 5, category="math")) == []


def test_the_total_counts_not_the_peak(api: Api, game: Game) -> None:
    api.event("alice", 9)
    api.event("alice", -6)
    of_lessons(game, 5)
    assert completed(api.event("alice", 1)) == []
    assert completed(api.event("alice", 1)) == ["Learner"]


def test_a_completed_one_is_kept_though_the_total_falls_and_is_not_completed_twice(api: Api, game: Game) -> None:
    of_lessons(game, 5)
    assert completed(api.event("alice", 5)) == ["Learner"]
    assert completed(api.event("alice", -5)) == []
    assert completed(api.event("alice", 5)) == []
    assert held(api) == ["Learner"]
    assert Completion.objects.count() == 1


def test_a_streak_of_enough_days_completes(api: Api, game: Game) -> None:
    of_streak(2)
    with time_machine.travel(NOON) as clock:
        assert completed(api.event("alice")) == []
        clock.move_to("2026-06-16T12:00:00Z")
        answer = api.event("alice")
        assert completed(answer) == ["Steady"]
        assert (answer.json()["achievements"][0]["streakLength"], answer.json()["currentStreak"]["length"]) == (2, 2)


def test_what_waits_for_others_completes_with_the_last_of_them_however_deep(api: Api, game: Game) -> None:
    one, two = of_lessons(game, 1, "One"), of_lessons(game, 2, "Two")
    both = of_others(one, two, name="Both")
    top = of_others(both, by_api(), name="Top")
    reward(game, top, 100)
    assert completed(api.event("alice", 2)) == ["One", "Two", "Both"]
    answer = complete(api)
    assert answer.json()["points"]["xp"]["added"] == 100
    assert held(api) == ["One", "Two", "Both", "shared", "Top"]


def test_an_achievement_s_points_come_with_the_event_that_completed_it(api: Api, game: Game) -> None:
    achievement = of_lessons(game, 2)
    trigger = reward(game, achievement, 50)
    assert api.event("alice").json()["points"] == {}
    points = api.event("alice").json()["points"]["xp"]
    assert (points["added"], points["awards"][0]["trigger"]["id"]) == (50, str(trigger.id))
    shown = points["awards"][0]["trigger"]
    assert (shown["type"], shown["achievementId"], shown["achievementName"]) == (
        "achievement",
        str(achievement.id),
        "Learner",
    )
    assert PointsAward.objects.get().cause == "achievement"


def test_a_refused_event_completes_nothing(api: Api, game: Game) -> None:
    of_lessons(game, 1)
    game.trigger(-5, block_if_out_of_points=True)
    assert api.event("alice").json()["code"] == "out_of_points"
    assert not Completion.objects.exists()
    assert not EndUser.objects.exists()


def test_a_replay_completes_nothing_and_shows_nothing(api: Api, game: Game) -> None:
    api.event("alice", 5, key="one")
    of_lessons(game, 5)
    assert api.event("alice", 5, key="one").json()["achievements"] == []
    assert not Completion.objects.exists()


def test_identifying_a_user_completes_nothing_but_the_next_event_does(api: Api, game: Game) -> None:
    of_lessons(game, 5, user_filters=[(game.plan, "pro")])
    api.event("alice", 5)
    api.send("PUT", "/v1/users/alice", {"attributes": {"plan": "pro"}})
    assert held(api) == []
    assert completed(api.event("alice", 0)) == ["Learner"]


def test_an_event_of_another_metric_completes_it_too_where_only_the_user_s_attributes_were_missing(
    api: Api, game: Game
) -> None:
    of_lessons(game, 5, user_filters=[(game.plan, "pro")])
    of_lessons(game, 99, "Flipper", metric=game.flashcards)
    api.event("alice", 5)
    assert completed(api.event({"id": "alice", "attributes": {"plan": "pro"}}, metric="flashcards")) == ["Learner"]


def test_users_complete_for_themselves(api: Api, game: Game) -> None:
    of_lessons(game, 1)
    assert completed(api.event("alice")) == ["Learner"]
    assert completed(api.event("bob")) == ["Learner"]


# --- By the product --------------------------------------------------------------------------------------------------
@time_machine.travel(NOON, tick=False)
def test_the_product_completes_one_for_a_user_it_names_inline(api: Api, game: Game) -> None:
    achievement = by_api(description="Shared once")
    reward(game, achievement, 20)
    game.creation_trigger(5)
    create_checked(Level, system=game.xp, name="Newcomer", key="newcomer", points=10)
    answer = complete(api, user={"id": "alice", "name": "Alice", "attributes": {"plan": "pro"}})
    assert answer.status_code == 201
    json = answer.json()
    assert json["completionId"] == str(Completion.objects.get().id)
    assert json["achievement"] == {
        "id": str(achievement.id),
        "key": "shared",
        "name": "shared",
        "trigger": "api",
        "description": "Shared once",
        "badgeUrl": None,
        "userAttributes": [],
        "achievedAt": "2026-06-15T12:00:00.000Z",
    }
    points = json["points"]["xp"]
    assert ([each["awarded"] for each in points["awards"]], points["total"], points["level"]["key"]) == (
        [5, 20],
        25,
        "newcomer",
    )
    assert api.get("/v1/users/alice").json()["attributes"] == {"plan": "pro"}
    assert not Event.objects.exists()


def test_completing_it_again_answers_as_the_first_time_without_points_and_changes_nothing(api: Api, game: Game) -> None:
    reward(game, by_api(), 20)
    first = complete(api).json()
    again = complete(api, user={"id": "alice", "name": "Alicia", "attributes": {"pln": "x"}})
    assert (again.status_code, again.json()) == (201, first | {"points": {}})
    assert (Completion.objects.count(), PointsAward.objects.count()) == (1, 1)
    assert api.get("/v1/users/alice").json()["name"] is None


def test_a_locked_one_answers_who_has_it_and_refuses_who_has_not(api: Api, game: Game) -> None:
    achievement = by_api()
    first = complete(api).json()
    lock_achievement(achievement=achievement)
    assert complete(api).json() == first | {"points": {}}
    answer = complete(api, user="bob")
    assert answer.status_code == 422
    assert answer.json() == {"error": "Achievement shared is locked: nobody can complete it at present."}
    assert not EndUser.objects.filter(external_id="bob").exists()
    activate_achievement(achievement=Achievement.objects.get())
    assert complete(api, user="bob").status_code == 201


def test_one_for_some_users_refuses_the_others(api: Api, game: Game) -> None:
    by_api(user_filters=[(game.plan, "pro")])
    answer = complete(api)
    assert answer.status_code == 422
    assert answer.json() == {"error": "Achievement shared is only for users with the attributes plan = pro."}
    assert not EndUser.objects.exists()
    assert complete(api, user={"id": "alice", "attributes": {"plan": "pro"}}).status_code == 201


@pytest.mark.parametrize("key", ["unknown", "hidden", "gone", "Shared", "x%00y"])
def test_a_key_of_none_that_can_be_completed_is_not_found(api: Api, game: Game, key: str) -> None:
    by_api()
    by_api("hidden", status="inactive")
    archive(row=by_api("gone"))
    answer = complete(api, key)
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert not EndUser.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param("{", 400, id="unreadable"),
        pytest.param({}, 422, id="no user"),
        pytest.param({"user": {}}, 422, id="no id"),
        pytest.param({"user": {"id": ""}}, 422, id="empty id"),
        pytest.param({"user": {"id": "alice", "attributes": {"pln": "pro"}}}, 422, id="unknown attribute"),
    ],
)
def test_a_body_that_is_wrong_is_refused_and_stores_nothing(api: Api, game: Game, body: Any, status: int) -> None:
    by_api()
    answer = api.send("POST", "/v1/achievements/shared/complete", body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert not EndUser.objects.exists()


def test_without_a_good_key_nothing_is_completed(api: Api, game: Game) -> None:
    by_api()
    assert complete(Api("wrong")).status_code == 401
    assert not Completion.objects.exists()


# --- Lists -----------------------------------------------------------------------------------------------------------
def test_all_active_ones_are_listed_with_how_many_have_them(api: Api, game: Game) -> None:
    one, shared = of_lessons(game, 1), by_api()
    of_lessons(game, 1, "Hidden", status="inactive")
    lock_achievement(achievement=of_lessons(game, 1, "Locked"))
    archive(row=of_lessons(game, 1, "Gone"))
    for user in ("alice", "bob"):
        api.event(user)
    complete(api, user="charlie")
    rows = api.get("/v1/achievements").json()
    assert [(each["id"], each["completions"], each["rarity"]) for each in rows] == [
        (str(one.id), 2, 66.67),
        (str(shared.id), 1, 33.33),
    ]
    assert {"achievedAt", "key"}.isdisjoint(rows[0])
    assert (rows[0]["metricValue"], rows[1]["key"], rows[1]["trigger"]) == (1, "shared", "api")


def test_nobody_means_a_rarity_of_nothing(api: Api, game: Game) -> None:
    of_lessons(game, 1)
    assert [(each["completions"], each["rarity"]) for each in api.get("/v1/achievements").json()] == [(0, 0)]


def test_the_list_can_be_of_what_users_with_some_attributes_can_get(api: Api, game: Game) -> None:
    create_checked(Attribute, name="Team", key="team", type="user")
    of_lessons(game, 1, "Anyone")
    of_lessons(game, 1, "Pro", user_filters=[(game.plan, "pro")])
    of_lessons(game, 1, "Free", user_filters=[(game.plan, "free")])

    def names(query: str) -> list[str]:
        return [each["name"] for each in api.get(f"/v1/achievements{query}").json()]

    assert names("") == ["Anyone", "Pro", "Free"]
    assert names("?userAttributes=plan:pro") == ["Anyone", "Pro"]
    assert names("?userAttributes=team:red") == ["Anyone"]
    assert names("?userAttributes=team:red,plan:free") == ["Anyone", "Free"]


@pytest.mark.parametrize("query", ["plan", "plan:", ":pro", "pln:pro", "category:math"])
def test_attributes_to_list_by_that_are_none_are_refused(api: Api, game: Game, query: str) -> None:
    answer = api.get(f"/v1/achievements?userAttributes={query}")
    assert (answer.status_code, list(answer.json())) == (422, ["error"])


def test_a_user_s_list_has_what_is_completed_and_if_asked_what_can_still_be(api: Api, game: Game) -> None:
    of_lessons(game, 1, "One")
    of_lessons(game, 9, "Nine")
    of_lessons(game, 9, "Pro", user_filters=[(game.plan, "pro")])
    of_lessons(game, 9, "Hidden", status="inactive")
    kept, missed = of_lessons(game, 1, "Kept"), of_lessons(game, 9, "Missed")
    api.event("alice")
    for each in (kept, missed):
        lock_achievement(achievement=each)
    assert held(api) == ["One", "Kept"]
    assert held(api, query="?includeIncomplete=true") == ["One", "Nine", "Kept"]
    rows = api.get("/v1/users/alice/achievements?includeIncomplete=true").json()
    assert [(each["achievedAt"] is None, each["completions"], each["rarity"]) for each in rows] == [
        (False, 1, 100),
        (True, 0, 0),
        (False, 1, 100),
    ]
    api.send("PUT", "/v1/users/alice", {"attributes": {"plan": "pro"}})
    assert held(api, query="?includeIncomplete=true") == ["One", "Nine", "Pro", "Kept"]


def test_an_archived_one_disappears_from_lists_and_comes_back_inactive(api: Api, game: Game) -> None:
    achievement = of_lessons(game, 1)
    api.event("alice")
    archive(row=achievement)
    assert held(api) == []
    restore(row=achievement)
    assert held(api) == []
    activate_achievement(achievement=achievement)
    assert held(api) == ["Learner"]
    assert completed(api.event("alice")) == []


def test_the_achievements_of_an_unknown_user_are_not_found(api: Api, game: Game) -> None:
    answer = api.get("/v1/users/alice/achievements")
    assert (answer.status_code, answer.json()) == (404, {"error": "User not found: alice."})


# --- Operators -------------------------------------------------------------------------------------------------------
def test_a_circle_is_refused_and_named_however_long(game: Game) -> None:
    first = of_lessons(game, 1, "first")
    second = of_others(first, name="second")
    third = of_others(second, name="third")
    with pytest.raises(ValidationError, match="«second» needs «third» needs «second»"):
        update_achievement(achievement=second, prerequisites=[first, third])
    with pytest.raises(ValidationError, match="«third» needs «third»"):
        update_achievement(achievement=third, prerequisites=[third])
    assert [str(each) for each in second.prerequisites.all()] == ["first"]


def test_a_diamond_is_no_circle(api: Api, game: Game) -> None:
    base = of_lessons(game, 1, "base")
    left, right = of_others(base, name="left"), of_others(base, name="right")
    of_others(left, right, name="top")
    assert completed(api.event("alice")) == ["base", "left", "right", "top"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"metric": None}, "metric"),
        ({"value": None}, "metric_value"),
        ({"value": 0}, "metric_value"),
        ({"streak_length": 3}, "streak_length"),
        ({"key": "learner"}, "key"),
    ],
)
def test_fields_that_do_not_fit_the_type_are_refused_by_name(game: Game, fields: Any, field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        of_lessons(game, **({"value": 1} | fields))
    assert list(refusal.value.message_dict) == [field]
    assert not Achievement.objects.exists()


def test_only_achievements_of_metrics_look_at_events_and_only_composites_need_others(game: Game) -> None:
    with pytest.raises(ValidationError, match="only for a metric achievement"):
        by_api(event_filters=[(game.category, "math")])
    with pytest.raises(ValidationError, match="must name at least one achievement"):
        of_others()
    with pytest.raises(ValidationError, match="possible only for an achievement of other achievements"):
        by_api("other", prerequisites=[of_lessons(game, 1)])


def test_keys_are_unique_among_what_is_not_archived(game: Game) -> None:
    first = by_api()
    with pytest.raises(ValidationError, match="Key already in use by another achievement"):
        by_api()
    archive(row=first)
    second = by_api()
    with pytest.raises(ValidationError, match="Key already in use by another achievement"):
        restore(row=first)
    assert second.status == "active"


def test_one_whose_value_is_lowered_completes_by_the_new_one_with_the_next_event(api: Api, game: Game) -> None:
    achievement = of_lessons(game, 10)
    assert completed(api.event("alice", 5)) == []
    update_checked(achievement, metric_value=Decimal(6))
    assert completed(api.event("alice", 1)) == ["Learner"]


# --- At once ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_of_many_calls_at_once_one_completes_and_all_answer_the_same(transactional_db: None) -> None:
    game, backend = make_game(), Api(create_api_key(name="tests")[1])
    shared = by_api()
    reward(game, of_others(shared, name="Top"), 20)
    answers = in_parallel(12, lambda _: complete(Api(backend.key)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["completionId"] for answer in answers}) == 1
    assert sorted(bool(answer.json()["points"]) for answer in answers) == [False] * 11 + [True]
    assert backend.points("alice")["total"] == 20


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_that_close_a_circle_together_the_second_is_refused(transactional_db: None) -> None:
    base = by_api()
    one, two = of_others(base, name="one"), of_others(base, name="two")

    def need(achievement: Achievement, other: Achievement) -> None:
        with transaction.atomic():
            locked = Achievement.objects.select_for_update(no_key=True).get(id=achievement.id)
            update_achievement(achievement=locked, prerequisites=[other])

    with pytest.raises(ValidationError, match="round in a circle"):
        meeting(lambda: need(one, two), lambda: need(two, one))
    assert [str(each) for each in two.prerequisites.all()] == ["shared"]


@pytest.mark.django_db(transaction=True)
def test_of_many_events_at_once_one_extends_the_streak_and_one_completes(transactional_db: None) -> None:
    game, backend = make_game(), Api(create_api_key(name="tests")[1])
    of_lessons(game, 5)
    of_streak(1)
    game.trigger(3, type="streak", streak_length=1, metric=None, metric_threshold=None)
    with time_machine.travel(NOON):
        answers = in_parallel(12, lambda _: Api(backend.key).event("alice").json())
    assert sorted(each["currentStreak"]["extended"] for each in answers) == [False] * 11 + [True]
    assert sorted(name["name"] for each in answers for name in each["achievements"]) == ["Learner", "Steady"]
    assert backend.points("alice")["total"] == 3
    call_command("verify")


# --- The SDK ---------------------------------------------------------------------------------------------------------
def test_the_sdk_completes_and_lists_achievements(sdk: TrophyApi) -> None:
    game = make_game()
    learner, shared = of_lessons(game, 2), by_api()
    of_others(learner, shared)
    reward(game, shared, 20)
    alice = UpsertedUser(id="alice")
    answer = sdk.metrics.event("lessons", user=alice, value=2)
    assert [(each.name, each.metric_value, each.trigger) for each in answer.achievements] == [("Learner", 2, "metric")]
    done = sdk.achievements.complete("shared", user=alice)
    assert (done.achievement.key, done.points["xp"].added) == ("shared", 20)
    again = sdk.achievements.complete("shared", user=alice)
    assert (again.completion_id, again.achievement, again.points) == (done.completion_id, done.achievement, {})
    listed = sdk.achievements.all_()
    assert [(each.name, each.completions, each.rarity) for each in listed] == [
        ("Learner", 1, 100),
        ("shared", 1, 100),
        ("All", 1, 100),
    ]
    assert listed[2].achievement_ids == [str(learner.id), str(shared.id)]
    assert sdk.achievements.all_(user_attributes="plan:pro") == listed
    sdk.users.create(id="bob")
    assert sdk.users.achievements("bob") == []
    assert [each.achieved_at for each in sdk.users.achievements("bob", include_incomplete="true")] == [None] * 3
    assert [each.name for each in sdk.users.achievements("alice")] == ["Learner", "shared", "All"]


def test_the_sdk_raises_its_own_errors(sdk: TrophyApi) -> None:
    game = make_game()
    lock_achievement(achievement=by_api())
    of_lessons(game, 1)
    with pytest.raises(NotFoundError):
        sdk.achievements.complete("unknown", user=UpsertedUser(id="alice"))
    with pytest.raises(UnprocessableEntityError):
        sdk.achievements.complete("shared", user=UpsertedUser(id="alice"))
    with pytest.raises(NotFoundError):
        sdk.users.achievements("alice")
    assert not EndUser.objects.exists()
