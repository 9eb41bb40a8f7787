"""Ids in addresses and queries: any that can be made can be read, changed and listed, percent-encoded."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from access.services import create_application_key
from core.texts import user_id_problem
from tests.conftest import Api, Game

ODD_IDS = [
    *("team/streak", "team/points/xp", "team/metrics/lessons/event-summary", "team/preferences"),
    *("a/b", "/", "//", "a/", "/a", "%2F", "a%2Fb", "50%", "a+b", "a b", "a?b#c", "a;b"),
    *("Doe, Jane", ",", "ключ", "👩\u200d🚀", "a&userIds=b", "x" * 255, "...", "a/../b"),
]


@pytest.mark.parametrize("id_", ODD_IDS)
def test_a_user_of_any_id_is_made_read_changed_and_listed(api: Api, game: Game, id_: str) -> None:
    game.trigger(points=5)
    address = f"/v1/users/{quote(id_, safe='')}"
    made = api.send("PUT", address, {"name": "Al"})
    assert (made.status_code, made.json()["id"], made.json()["name"]) == (200, id_, "Al")
    assert api.send("PATCH", address, {"name": "Alice"}).json()["id"] == id_
    assert (api.get(address).json()["id"], api.get(address).json()["name"]) == (id_, "Alice")
    assert api.event(id_).status_code == 201
    assert api.get(f"{address}/points/xp").json()["total"] == 5
    assert api.get(f"{address}/metrics/lessons").json()["current"] == 1
    assert api.get(f"{address}/streak").json()["length"] == 1
    listed = api.get(f"/v1/streaks?userIds={quote(id_, safe='')}")
    assert [(each["userId"], each["streakLength"]) for each in listed.json()] == [(id_, 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(id_=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30))
def test_whatever_an_id_is_made_of_its_address_is_its_own(api: Api, id_: str) -> None:
    assume(user_id_problem(id_) is None)
    address = f"/v1/users/{quote(id_, safe='')}"
    assert api.send("PUT", address, {"name": "Alice"}).json()["id"] == id_
    assert api.get(address).json()["id"] == id_


def test_a_slash_that_is_not_encoded_separates_where_it_can(api: Api, game: Game) -> None:
    api.send("PUT", "/v1/users/team%2Fstreak", {"name": "The one with a slash"})
    api.send("PUT", "/v1/users/team", {"name": "Team"})
    assert api.get("/v1/users/team/streak").json()["length"] == 0
    assert api.get("/v1/users/team%2fstreak").json()["id"] == "team/streak"
    assert api.send("PUT", "/v1/users/red%2Fblue", {}).json()["id"] == "red/blue"
    assert api.send("PUT", "/v1/users/red/blue", {"name": "Red"}).json()["name"] == "Red"


@pytest.mark.parametrize("part", ["attributes", "points", "streak/freezes", "foo"])
def test_an_address_that_is_none_makes_no_user(api: Api, game: Game, part: str) -> None:
    api.send("PUT", "/v1/users/alice", {})
    answer = api.send("PUT", f"/v1/users/alice/{part}", {"name": "Q"})
    assert answer.status_code == 404
    assert answer.json()["error"].startswith(f"There is nothing at /v1/users/alice/{part}. ")
    assert api.get(f"/v1/users/{quote(f'alice/{part}', safe='')}").status_code == 404


def test_parts_of_an_address_may_be_encoded_too(api: Api, game: Game) -> None:
    api.send("PUT", "/v1/users/alice", {})
    assert api.get("/v1/%75sers/alice/%73treak").json()["length"] == 0
    assert api.get("/v1/users/alice%2Fstreak").status_code == 404


def test_where_a_server_keeps_no_address_as_it_was_sent_slashes_separate(api: Api, game: Game) -> None:
    headers = {"X-API-KEY": api.key}
    api.client.put("/v1/users/Doe%2C%20Jane", "{}", content_type="application/json", headers=headers)
    assert api.client.get("/v1/users/Doe%2C%20Jane", headers=headers).json()["id"] == "Doe, Jane"
    assert api.client.get("/v1/users/a%2Fb/streak", headers=headers).status_code == 404
    api.send("PUT", "/v1/users/a%2Fb", {})
    assert api.client.get("/v1/users/a%2Fb/streak", headers=headers).json()["length"] == 0
    made = api.client.put("/v1/users/c%2Fd", "{}", content_type="application/json", headers=headers)
    assert made.json()["id"] == "c/d"


def test_an_asgi_server_has_the_address_as_it_was_sent(api: Api, game: Game) -> None:
    api.send("PUT", "/v1/users/team%2Fstreak", {})
    environ: Any = {"asgi.scope": {"raw_path": b"/v1/users/team%2Fstreak"}}
    answer = api.client.get("/v1/users/team/streak", headers={"X-API-KEY": api.key}, **environ)
    assert answer.json()["id"] == "team/streak"


def ids_of(answer: Any) -> list[str]:
    return [each["userId"] for each in answer.json()]


def test_commas_separate_unless_a_user_has_them(api: Api, game: Game) -> None:
    api.event("Doe, Jane")
    query = "/v1/streaks?userIds="
    assert ids_of(api.get(f"{query}Doe%2C%20Jane,alice")) == ["Doe, Jane", "alice"]
    assert ids_of(api.get(f"{query}Doe%2C+Jane&userIds=alice")) == ["Doe, Jane", "alice"]
    assert ids_of(api.get(f"{query}Doe,%20Jane")) == ["Doe", " Jane"]
    assert ids_of(api.get(f"{query}alice%2Cbob")) == ["alice", "bob"]  # as clients send it that encode all commas


def test_an_application_key_lists_its_own_user_whatever_the_id(api: Api, game: Game) -> None:
    own = Api(create_application_key(external_id="Doe, Jane")[1])
    assert ids_of(own.get("/v1/streaks?userIds=Doe%2C%20Jane")) == ["Doe, Jane"]
    assert own.send("PUT", "/v1/users/Doe%2C%20Jane", {}).status_code == 200
    other = Api(create_application_key(external_id="team")[1])
    assert other.get("/v1/users/team%2Fstreak").status_code == 403
    assert other.get("/v1/users/team/streak").status_code == 404


def test_an_address_that_is_none_answers_404(api: Api, game: Game) -> None:
    for address in ("/v1/users%2Falice", "/v1%2Fusers", "/v1/metrics/lessons%2Fevent", "/v1/users/", "/v1//users"):
        assert api.get(address).status_code == 404
