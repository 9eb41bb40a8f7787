"""Queries and paths that no caller means are answered, never with a failure of the server."""

from typing import Any, Final

import pytest
from django.test import Client

from tests.conftest import Api, Game

ODD_VALUES: Final = {
    "nothing": "",
    "a NUL": "%00",
    "a NUL inside": "a%00b",
    "no UTF-8": "%ff%fe",
    "half a pair": "%ed%a0%80",
    "a huge number": "9" * 5_000,
    "a huge text": "x" * 100_000,
    "an infinity": "1e999",
    "a path": "../../etc/passwd",
    "a template": "{{7*7}}%0d%0aX-Evil:%201",
    "full-width digits": "%EF%BC%91%EF%BC%92",
}
OTHER_ADDRESSES: Final = ("/", "/healthz", "/readyz", "/docs", "/docs/", "/docs/openapi.yaml", "/favicon.ico")
TOO_MANY: Final = "&" * 10_001


@pytest.fixture
def known(api: Api, game: Game) -> Api:
    game.trigger(points=10)
    assert api.event("alice").status_code == 201
    return api


def readable_addresses() -> dict[str, list[str]]:
    """Return every address of both APIs that can be read, with the parameters of its query, by the reference."""
    paths: dict[str, Any] = Client().get("/docs/openapi.yaml?format=json").json()["paths"]
    named = {"userId": "alice", "id": "alice", "key": "xp"}
    return {
        _filled(path, named): [each["name"] for each in methods["get"].get("parameters", []) if each["in"] == "query"]
        for path, methods in paths.items()
        if "get" in methods
    }


def _filled(path: str, named: dict[str, str]) -> str:
    parts = [named.get(part.strip("{}"), "alice") if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


@pytest.mark.parametrize("case", ODD_VALUES)
def test_an_odd_value_of_any_parameter_of_the_api_is_no_failure(known: Api, case: str) -> None:
    for path, parameters in readable_addresses().items():
        for name in (*parameters, "version", ODD_VALUES[case][:100]):
            answer = known.get(f"{path}?{name}={ODD_VALUES[case]}")
            assert answer.status_code in (200, 400, 404, 422), (path, name, answer.content)
            assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("case", ODD_VALUES)
def test_an_odd_value_anywhere_else_is_no_failure(db: None, case: str) -> None:
    client, odd = Client(), ODD_VALUES[case]
    for path in (
        *OTHER_ADDRESSES,
        "/admin/login/",
        f"/media/{odd}",
        f"/media/a.png/{odd}",
        f"/static/{odd}",
        f"/docs/{odd}",
        f"/{odd}",
    ):
        answer = client.get(f"{path}?version={odd}&next={odd}&lang={odd}")
        assert answer.status_code in (200, 301, 302, 400, 404), (path, answer.content)


@pytest.mark.parametrize("case", ODD_VALUES)
def test_an_odd_part_of_a_path_of_the_api_is_no_failure(known: Api, case: str) -> None:
    odd = ODD_VALUES[case]
    for path in readable_addresses():
        answer = known.get(path.replace("alice", odd).replace("xp", odd))
        assert answer.status_code in (200, 400, 404, 422), (path, answer.content)


def test_too_many_parameters_are_refused_everywhere_where_they_are_read(known: Api) -> None:
    for path in readable_addresses():
        answer = known.get(f"{path}?{TOO_MANY}")
        # 404 and 422: what the address names was looked at first.
        assert answer.status_code in (200, 400, 404, 422), (path, answer.content)
        if answer.status_code == 400:
            assert answer.json() == {"error": "The query has too many parameters: at most 10,000 are read."}
    for path in (*OTHER_ADDRESSES, "/admin/login/", "/admin/", "/nowhere", "/media/nothing.png"):
        assert Client().get(f"{path}?{TOO_MANY}").status_code in (200, 301, 302, 400, 404), path
