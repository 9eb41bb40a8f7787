"""Many items in one call of the Admin API: what the call leaves behind has to be valid, not what it passes through."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievements.models import Achievement
from achievements.services import create_achievement
from api.admin_api.turns import in_turns
from core.services import create_checked
from levels.models import Level
from tests.conftest import Api, Game
from tests.test_contract import ADMIN


def make_levels(game: Game, *points: int) -> list[Level]:
    return [create_checked(Level, system=game.xp, name=f"L{n}", key=f"l{n}", points=n) for n in points]


def move(api: Api, game: Game, levels: list[Level], *points: Any) -> Any:
    """Give the levels these points in one call, and return the answer."""
    items = [{"id": str(level.id), "points": to} for level, to in zip(levels, points, strict=True)]
    return api.send("PATCH", f"{ADMIN}/points/{game.xp.id}/levels", items).json()


def stored(game: Game) -> dict[str, int]:
    return dict(Level.objects.filter(system=game.xp).values_list("name", "points"))


# --- Levels ----------------------------------------------------------------------------------------------------------
def test_two_levels_exchange_their_points_in_one_call(api: Api, game: Game) -> None:
    answer = move(api, game, make_levels(game, 100, 250), 250, 100)
    assert answer["issues"] == []
    assert [(level["name"], level["points"]) for level in answer["updated"]] == [("L100", 250), ("L250", 100)]
    assert stored(game) == {"L100": 250, "L250": 100}


@pytest.mark.parametrize("to", [(200, 300, 400), (0, 100, 200), (200, 300, 100), (300, 100, 200), (300, 200, 100)])
def test_all_levels_move_at_once_whichever_way(api: Api, game: Game, to: tuple[int, ...]) -> None:
    assert move(api, game, make_levels(game, 100, 200, 300), *to)["issues"] == []
    assert tuple(stored(game).values()) == to


def test_two_exchanges_in_one_call_do_not_depend_on_each_other(api: Api, game: Game) -> None:
    answer = move(api, game, make_levels(game, 1, 2, 3, 4), 2, 1, 4, "three")
    assert [level["points"] for level in answer["updated"]] == [2, 1]
    assert len(answer["issues"]) == 2
    assert stored(game) == {"L1": 2, "L2": 1, "L3": 3, "L4": 4}


def test_an_exchange_of_which_one_half_is_refused_is_refused_as_a_whole(api: Api, game: Game) -> None:
    first, second, third = make_levels(game, 1, 2, 3)
    items = [
        {"id": str(first.id), "points": 2},
        {"id": str(second.id), "points": 1, "name": ""},
        {"id": str(third.id), "name": "Gold"},
    ]
    answer = api.send("PATCH", f"{ADMIN}/points/{game.xp.id}/levels", items).json()
    assert [level["name"] for level in answer["updated"]] == ["Gold"]
    of_first, of_second = answer["issues"]
    assert (of_first["id"], of_second["id"]) == (str(first.id), str(second.id))
    assert of_first["message"] == "This exchanges a value with another item of the call, which was refused."
    assert of_second["message"].startswith("name")
    assert stored(game) == {"L1": 1, "L2": 2, "Gold": 3}


def test_of_two_levels_that_get_the_same_points_the_first_has_them(api: Api, game: Game) -> None:
    answer = move(api, game, make_levels(game, 1, 2, 3), 3, 3, 9)
    assert [level["points"] for level in answer["updated"]] == [3, 9]
    assert [issue["message"] for issue in answer["issues"]] == [
        "points: Points already in use by another level of this points system."
    ]
    assert stored(game) == {"L1": 3, "L2": 2, "L3": 9}


def test_a_level_named_twice_gets_its_changes_in_their_order(api: Api, game: Game) -> None:
    first, second = make_levels(game, 1, 2)
    assert move(api, game, [first, first], 5, 6)["issues"] == []
    answer = move(api, game, [first, first, second], 2, 7, 3)
    assert len(answer["issues"]) == 1
    assert stored(game) == {"L1": 7, "L2": 3}


def test_the_history_of_levels_that_exchange_their_points_shows_only_that(api: Api, game: Game) -> None:
    levels = make_levels(game, 100, 250)
    move(api, game, levels, 250, 100)
    for level, points in zip(levels, ([250, 100], [100, 250]), strict=True):
        assert list(Level.history.filter(id=level.id).values_list("points", flat=True)) == points


# --- Achievements ----------------------------------------------------------------------------------------------------
def composite(name: str, *needs: Achievement) -> Achievement:
    return create_achievement(name=name, type="achievement", prerequisites=needs)


def test_two_achievements_exchange_their_keys_in_one_call(api: Api, game: Game) -> None:
    rows = [create_achievement(name=key, type="api", key=key) for key in ("a", "b")]
    items = [{"id": str(row.id), "key": key} for row, key in zip(rows, ("b", "a"), strict=True)]
    answer = api.send("PATCH", f"{ADMIN}/achievements", items).json()
    assert answer["issues"] == []
    assert [each["key"] for each in answer["updated"]] == ["b", "a"]
    assert dict(Achievement.objects.values_list("name", "key")) == {"a": "b", "b": "a"}


def test_an_active_achievement_does_not_give_its_key_away(api: Api, game: Game) -> None:
    statuses = {"a": "active", "b": "inactive"}
    rows = [create_achievement(name=key, type="api", key=key, status=status) for key, status in statuses.items()]
    items = [{"id": str(row.id), "key": key} for row, key in zip(rows, ("b", "a"), strict=True)]
    answer = api.send("PATCH", f"{ADMIN}/achievements", items).json()
    assert (answer["updated"], len(answer["issues"])) == ([], 2)
    assert dict(Achievement.objects.values_list("name", "key")) == {"a": "a", "b": "b"}


def test_prerequisites_are_turned_round_in_whatever_order(api: Api, game: Game) -> None:
    base = create_achievement(name="base", type="api", key="base")
    first = composite("first", base)
    second = composite("second", first)
    items = [
        {"id": str(first.id), "achievementIds": [str(second.id)]},
        {"id": str(second.id), "achievementIds": [str(base.id)]},
    ]
    answer = api.send("PATCH", f"{ADMIN}/achievements", items).json()
    assert answer["issues"] == []
    assert [each["id"] for each in answer["updated"]] == [str(first.id), str(second.id)]


def test_what_is_deleted_in_the_same_call_holds_nothing_up(api: Api, game: Game) -> None:
    base = create_achievement(name="base", type="api", key="base", status="active")
    needing = create_achievement(name="needing", type="achievement", prerequisites=[base], status="active")
    answer = api.send("DELETE", f"{ADMIN}/achievements?ids={base.id},{needing.id}").json()
    assert answer == {"deleted": [{"id": str(base.id)}, {"id": str(needing.id)}], "issues": []}


# --- Turns -----------------------------------------------------------------------------------------------------------
@given(st.dictionaries(st.integers(0, 11), st.integers(0, 11)))
def test_each_item_has_one_turn_behind_the_one_it_waits_for_or_with_it(waits_for: dict[int, int]) -> None:
    count = 12
    turns = in_turns(count, waits_for)
    assert sorted(number for turn in turns for number in turn) == list(range(count))
    turn_of = {number: place for place, turn in enumerate(turns) for number in turn}
    assert all(turn_of[other] <= turn_of[number] for number, other in waits_for.items())
    for turn in turns:
        if len(turn) > 1:
            assert {waits_for[number] for number in turn} == set(turn)
