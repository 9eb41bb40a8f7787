"""Levels from outside: in answers where they change, in what a user holds, and listed."""

from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from trophy import NotFoundError, TrophyApi, UpsertedUser

from achievements.services import create_achievement
from core.services import archive, create_checked, restore, update_checked
from levels.models import Level
from points.models import PointsSystem
from tests.conftest import Api, Game, make_game


def level(game: Game, key: str, points: int, **fields: Any) -> Level:
    """Add a level of XP, unless `fields` say otherwise."""
    return create_checked(
        Level, **({"system": game.xp, "name": key.capitalize(), "key": key, "points": points} | fields)
    )


def change(answer: Any, system: str = "xp") -> str | None:
    """Return the key of the level that the answer reports, 'none' for null, None where it reports none."""
    assert answer.status_code == 201, answer.json()
    points = answer.json()["points"].get(system, {})
    if "level" not in points:
        return None
    return points["level"]["key"] if points["level"] else "none"


def held(api: Api, user: str = "alice", system: str = "xp") -> str | None:
    """Return the key of the level that the user has."""
    found = api.points(user, system)["level"]
    return found["key"] if found else None


# --- Changes ---------------------------------------------------------------------------------------------------------
def test_a_new_level_is_in_the_answer_in_full_and_only_then(api: Api, game: Game) -> None:
    game.trigger(points=10)
    gold = level(game, "gold", 20, description="Shiny", badge_url="https://example.com/gold.png")
    assert change(api.event("alice")) is None
    expected = {
        "id": str(gold.id),
        "key": "gold",
        "name": "Gold",
        "description": "Shiny",
        "badgeUrl": "https://example.com/gold.png",
        "points": 20,
    }
    assert api.event("alice").json()["points"]["xp"]["level"] == expected
    assert change(api.event("alice")) is None
    assert api.points("alice")["level"] == expected


def test_falling_is_a_change_too_to_a_lower_one_or_to_none(api: Api, game: Game) -> None:
    game.trigger(points=10)
    game.trigger(points=-10, metric=game.flashcards)
    level(game, "bronze", 10)
    level(game, "silver", 20)
    assert [change(api.event("alice")) for _ in range(2)] == ["bronze", "silver"]
    falls = [api.event("alice", metric="flashcards") for _ in range(2)]
    assert [change(each) for each in falls] == ["bronze", "none"]
    assert held(api) is None


def test_a_jump_is_one_change_and_so_is_a_fall(api: Api, game: Game) -> None:
    game.trigger(points=10)
    game.trigger(points=-10, metric=game.flashcards)
    for number in range(1, 6):
        level(game, f"level-{number}", 10 * number)
    assert change(api.event("alice", 4)) == "level-4"
    assert change(api.event("alice", 3, metric="flashcards")) == "level-1"


def test_only_the_end_of_an_event_counts_not_what_was_passed_in_between(api: Api, game: Game) -> None:
    game.trigger(points=50)
    game.trigger(points=-45)
    level(game, "bronze", 10)
    assert change(api.event("alice")) is None
    assert change(api.event("alice")) == "bronze"


def test_the_level_of_zero_is_reported_with_the_first_award_and_held_before_it(api: Api, game: Game) -> None:
    game.trigger(points=1)
    level(game, "novice", 0)
    api.send("PUT", "/v1/users/alice")
    assert held(api) == "novice"
    assert change(api.event("alice")) == "novice"
    assert change(api.event("alice")) is None


def test_the_level_of_zero_is_reported_even_where_the_first_awards_leave_nothing(api: Api, game: Game) -> None:
    game.trigger(points=5)
    game.trigger(points=-5)
    level(game, "novice", 0)
    answer = api.event("alice")
    assert (answer.json()["points"]["xp"]["total"], change(answer)) == (0, "novice")


def test_the_level_that_is_reached_is_that_of_the_maximum(api: Api, game: Game) -> None:
    game.trigger(points=50, system=game.energy)
    level(game, "full", 10, system=game.energy)
    level(game, "over", 11, system=game.energy)
    assert change(api.event("alice"), "energy") == "full"


def test_each_system_has_levels_of_its_own(api: Api, game: Game) -> None:
    game.trigger(points=5)
    game.trigger(points=5, system=game.energy)
    level(game, "same", 5)
    level(game, "same", 6, system=game.energy)
    answer = api.event("alice")
    assert (change(answer), change(answer, "energy")) == ("same", None)


def test_the_completion_of_an_achievement_reports_the_level_that_its_points_lead_to(api: Api, game: Game) -> None:
    level(game, "bronze", 10)
    shared = create_achievement(name="Shared", type="api", key="shared", status="active")
    game.trigger(10, type="achievement", achievement=shared, metric=None, metric_threshold=None)
    answer = api.send("POST", "/v1/achievements/shared/complete", {"user": {"id": "alice"}})
    assert change(answer) == "bronze"


def test_a_replay_reports_no_level(api: Api, game: Game) -> None:
    game.trigger(points=10)
    level(game, "bronze", 10)
    assert change(api.event("alice", key="one")) == "bronze"
    assert api.event("alice", key="one").json()["points"] == {}


def test_a_refused_event_leaves_the_level(api: Api, game: Game) -> None:
    game.trigger(points=10)
    level(game, "bronze", 10)
    level(game, "silver", 20)
    api.event("alice")
    game.trigger(points=-30, block_if_out_of_points=True)
    assert api.event("alice").json()["code"] == "out_of_points"
    assert held(api) == "bronze"


# --- Editing ---------------------------------------------------------------------------------------------------------
def test_editing_levels_moves_users_at_once_and_reports_nothing(api: Api, game: Game) -> None:
    game.trigger(points=10)
    bronze = level(game, "bronze", 10)
    api.event("alice", 2)
    update_checked(bronze, points=30)
    assert held(api) is None
    assert change(api.event("alice")) == "bronze"
    level(game, "silver", 25)
    assert held(api) == "bronze"
    update_checked(bronze, points=5)
    assert held(api) == "silver"
    assert change(api.event("alice")) is None


def test_an_archived_level_is_gone_until_it_is_restored(api: Api, game: Game) -> None:
    game.trigger(points=10)
    level(game, "bronze", 10)
    silver = level(game, "silver", 20)
    api.event("alice", 2)
    archive(row=silver)
    assert held(api) == "bronze"
    assert change(api.event("alice")) is None
    restore(row=silver)
    assert held(api) == "silver"


def test_keys_and_points_are_unique_in_a_system_among_what_is_not_archived(game: Game) -> None:
    bronze = level(game, "bronze", 10)
    with pytest.raises(ValidationError, match="Points already in use by another level"):
        level(game, "silver", 10)
    with pytest.raises(ValidationError, match="Key already in use by another level"):
        level(game, "bronze", 20)
    level(game, "bronze", 10, system=game.energy)
    archive(row=bronze)
    level(game, "bronze", 10)
    with pytest.raises(ValidationError):
        restore(row=bronze)


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"points": -1}, "points"), ({"points": 2**53}, "points"), ({"key": "no key"}, "key"), ({"name": ""}, "name")],
)
def test_impossible_values_are_refused_by_name(game: Game, fields: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"key": "bronze", "points": 10} | fields
    with pytest.raises(ValidationError) as refusal:
        level(game, **given)
    assert list(refusal.value.message_dict) == [field]


# --- The list --------------------------------------------------------------------------------------------------------
def test_levels_are_listed_from_the_lowest(api: Api, game: Game) -> None:
    gold, bronze = level(game, "gold", 100, description="Shiny"), level(game, "bronze", 0)
    archive(row=level(game, "silver", 50))
    level(game, "other", 5, system=game.energy)
    assert api.get("/v1/points/xp/levels").json() == [
        {"id": str(bronze.id), "key": "bronze", "name": "Bronze", "description": "", "badgeUrl": None, "points": 0},
        {"id": str(gold.id), "key": "gold", "name": "Gold", "description": "Shiny", "badgeUrl": None, "points": 100},
    ]


def test_a_system_without_levels_lists_none_and_its_users_have_none(api: Api, game: Game) -> None:
    game.trigger(points=10)
    answer = api.event("alice")
    assert api.get("/v1/points/xp/levels").json() == []
    assert (change(answer), held(api)) == (None, None)


def test_levels_of_what_is_unknown_or_archived_are_not_found(api: Api, game: Game) -> None:
    archive(row=create_checked(PointsSystem, name="Gold", key="gold"))
    for key in ("gold", "silver"):
        answer = api.get(f"/v1/points/{key}/levels")
        assert (answer.status_code, answer.json()) == (404, {"error": f"Points system not found: {key}."})


# --- The SDK ---------------------------------------------------------------------------------------------------------
@time_machine.travel("2026-03-10T09:00Z")
def test_the_sdk_reads_levels(sdk: TrophyApi) -> None:
    game = make_game()
    game.trigger(points=10)
    level(game, "novice", 0)
    level(game, "gold", 20)
    alice = UpsertedUser(id="alice")
    first, second = (sdk.metrics.event("lessons", user=alice, value=1).points["xp"] for _ in range(2))
    assert (first.level.key, second.level.key) == ("novice", "gold")
    held = sdk.users.points("alice", "xp").level
    assert held == second.level
    assert [(each.key, each.points) for each in sdk.points.levels("xp")] == [("novice", 0), ("gold", 20)]
    with pytest.raises(NotFoundError):
        sdk.points.levels("silver")
