"""Deleting by the Admin API: it archives, keeps what is in use, and says so of each."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from achievements.services import create_achievement
from boosts.models import Boost
from boosts.services import create_live_boost
from core.models import Configuration, ConfigurationStatus
from levels.services import create_level
from points.models import PointsSystem, PointsTrigger
from tests.conftest import Api, Game

ROOT = "/admin-api/v1"
NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"


def in_system(game: Game, part: str) -> str:
    """Return the address of the levels, boosts or triggers of the game's XP."""
    return f"{ROOT}/points/{game.xp.id}/{part}"


def level(game: Game) -> Configuration:
    return create_level(system=game.xp, name="Gold", key="gold", points=100)


def boost(game: Game) -> Configuration:
    return create_live_boost(system=game.xp, name="Double XP", multiplier=2, start="2026-01-01")


RESOURCES: dict[str, tuple[Callable[[Game], str], Callable[[Game], Configuration]]] = {
    "attributes": (lambda game: f"{ROOT}/attributes", lambda game: game.plan),
    "metrics": (lambda game: f"{ROOT}/metrics", lambda game: game.flashcards),
    "achievements": (
        lambda game: f"{ROOT}/achievements",
        lambda game: create_achievement(name="Ace", type="api", key="a"),
    ),
    "points systems": (lambda game: f"{ROOT}/points", lambda game: game.energy),
    "levels": (lambda game: in_system(game, "levels"), level),
    "boosts": (lambda game: in_system(game, "boosts"), boost),
    "triggers": (lambda game: in_system(game, "triggers"), lambda game: game.trigger(points=10)),
}
"""The address of each resource, and a row of it that nothing uses."""

each_resource = pytest.mark.parametrize("name", RESOURCES)


@each_resource
def test_what_is_deleted_is_archived_and_gone_from_the_api(name: str, api: Api, game: Game) -> None:
    address, make = RESOURCES[name]
    path, row = address(game), make(game)
    answer = api.send("DELETE", f"{path}?ids={row.id}")
    assert answer.status_code == 200
    assert (answer.json()["deleted"], answer.json()["issues"]) == ([{"id": str(row.id)}], [])
    row.refresh_from_db()
    assert row.status == ConfigurationStatus.ARCHIVED
    assert api.get(f"{path}/{row.id}").status_code == 404
    assert str(row.id) not in [each["id"] for each in api.get(f"{path}?limit=100").json()]
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    admin = f"/admin/{row._meta.app_label}/{row._meta.model_name}"
    assert str(row.id) not in client.get(f"{admin}/").content.decode()
    assert str(row.id) in client.get(f"{admin}/?archived=only").content.decode()


@each_resource
def test_each_id_that_cannot_be_deleted_has_its_own_issue_and_the_good_ones_go(name: str, api: Api, game: Game) -> None:
    address, make = RESOURCES[name]
    row = make(game)
    answer = api.send("DELETE", f"{address(game)}?ids=gold,{row.id}&ids={NO_SUCH_ID}").json()
    assert answer["deleted"] == [{"id": str(row.id)}]
    assert [(each["id"], each["severity"]) for each in answer["issues"]] == [("gold", "error"), (NO_SUCH_ID, "error")]
    assert answer["issues"][0]["message"] == "id must be a valid UUID."
    assert answer["issues"][1]["message"].endswith(f" by ID not found: {NO_SUCH_ID}.")
    again = api.send("DELETE", f"{address(game)}?ids={row.id}").json()
    assert (again["deleted"], again["issues"][0]["id"]) == ([], str(row.id))


@each_resource
def test_ids_may_be_given_once_or_a_hundred_times_but_must_be_given(name: str, api: Api, game: Game) -> None:
    path = RESOURCES[name][0](game)
    sentence = {"error": "ids must name 1 to 100, repeated or separated by commas."}
    hundred = [f"{number:032x}" for number in range(100)]
    for query in ("", "?ids=", "?ids=,", f"?ids={','.join([*hundred, 'f' * 32])}"):
        answer = api.send("DELETE", path + query)
        assert (answer.status_code, answer.json()) == (422, sentence), query
    for query in (f"?ids={','.join(hundred)}", "?" + "&".join(f"ids={id_}" for id_ in [*hundred, *hundred])):
        assert len(api.send("DELETE", path + query).json()["issues"]) == 100
    assert api.send("DELETE", f"{path}?ids=a%00b").status_code == 422


def test_what_something_active_uses_stays_and_the_issue_names_the_users(api: Api, game: Game) -> None:
    game.trigger(points=10, every=5, user_filters=[(game.plan, "pro")])
    ace = create_achievement(name="Ace", type="api", key="ace", status="active")
    create_achievement(name="All", type="achievement", prerequisites=[ace], status="active")
    used: list[tuple[str, Any, str]] = [
        ("metrics", game.lessons, "+10 · Lessons completed: every 5"),
        ("attributes", game.plan, "+10 · Lessons completed: every 5"),
        ("achievements", ace, "All"),
    ]
    for resource, row, user in used:
        answer = api.send("DELETE", f"{ROOT}/{resource}?ids={row.id}").json()
        assert answer["deleted"] == []
        assert answer["issues"] == [
            {
                "id": str(row.id),
                "severity": "error",
                "message": f"«{row}» cannot be archived: it is used by {user}.",
            }
        ]
        row.refresh_from_db()
        assert row.status == ConfigurationStatus.ACTIVE


def test_a_deleted_rule_is_in_force_for_no_event_that_follows(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10)
    assert api.event("alice").json()["points"]["xp"]["added"] == 10
    api.send("DELETE", f"{in_system(game, 'triggers')}?ids={trigger.id}")
    assert api.event("alice").json()["points"] == {}
    api.send("DELETE", f"{ROOT}/metrics?ids={game.lessons.id}")
    assert api.event("alice").status_code == 404
    assert api.points("alice")["total"] == 10


def test_rows_of_another_system_are_not_deleted(api: Api, game: Game) -> None:
    trigger, of_xp = game.trigger(points=10), boost(game)
    for part, row in (("triggers", trigger), ("boosts", of_xp)):
        answer = api.send("DELETE", f"{ROOT}/points/{game.energy.id}/{part}?ids={row.id}").json()
        assert (answer["deleted"], answer["issues"][0]["id"]) == ([], str(row.id))
    assert PointsTrigger.objects.get().status == "active"
    assert Boost.objects.get().status == "active"


@pytest.mark.parametrize("part", ["levels", "boosts", "triggers"])
def test_an_unknown_system_answers_404(part: str, api: Api, game: Game) -> None:
    assert api.send("DELETE", f"{ROOT}/points/{NO_SUCH_ID}/{part}?ids={NO_SUCH_ID}").status_code == 404
    assert PointsSystem.objects.filter(status="active").count() == 2


@each_resource
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_body_without_items_is_refused(method: str, name: str, api: Api, game: Game) -> None:
    answer = api.send(method, RESOURCES[name][0](game), [])
    assert (answer.status_code, answer.json()) == (422, {"error": "The body must have at least 1 item."})
