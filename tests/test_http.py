"""What HTTP clients send beside the request: answers are JSON, and say what would have been allowed."""

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.conftest import Api, Game
from tests.test_contract import ADMIN

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")
READS = ["/v1/points/xp", "/v1/achievements", f"{ADMIN}/metrics", f"{ADMIN}/streaks/settings"]


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "image/*;q=0.8", "nonsense", "", "text/csv, text/*"]
)
@pytest.mark.parametrize("path", READS)
def test_an_answer_is_json_whatever_is_accepted(api: Api, game: Game, path: str, accept: str) -> None:
    answer = api.client.get(path, headers={"X-API-KEY": api.key, "Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == api.get(path).json()


@pytest.mark.parametrize("query", ["format=xml", "format=json", "format=", "format=api&format=csv"])
@pytest.mark.parametrize("path", READS)
def test_a_format_in_the_query_is_passed_over(api: Api, game: Game, path: str, query: str) -> None:
    assert api.get(f"{path}?{query}").json() == api.get(path).json()


def test_writes_pass_over_a_format_too(api: Api, game: Game) -> None:
    answer = api.send("POST", f"{ADMIN}/metrics?format=xml", [{"name": "A", "key": "a"}], Accept="text/html")
    assert (answer.status_code, answer.json()["issues"]) == (201, [])
    assert api.send("PUT", "/v1/users/alice?format=xml", {}, Accept="text/html").json()["id"] == "alice"
    event = {"user": {"id": "alice"}, "value": 1}
    assert api.send("POST", "/v1/metrics/lessons/event?format=xml", event, Accept="text/html").json()["total"] == 1


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/metrics/lessons/event", {"POST"}),
        (f"{ADMIN}/metrics/events", {"POST"}),
        ("/v1/users", {"POST"}),
        ("/v1/users/alice", {"GET", "HEAD", "PUT", "PATCH"}),
        ("/v1/streaks", {"GET", "HEAD"}),
        ("/v1/achievements/share/complete", {"POST"}),
        (f"{ADMIN}/metrics", {"GET", "HEAD", "POST", "PATCH", "DELETE"}),
        (f"{ADMIN}/application-api-keys", {"POST", "DELETE"}),
        (f"{ADMIN}/webhook-events", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
    ],
)
def test_an_answer_to_another_method_says_which_are_allowed(api: Api, game: Game, path: str, allowed: set[str]) -> None:
    for method in METHODS:
        answer = api.send(method, path)
        assert (answer.status_code == 405) == (method not in allowed)
        if method not in allowed:
            assert {*answer.headers["Allow"].split(", ")} - {"OPTIONS"} == allowed


def test_the_reference_says_which_methods_it_allows() -> None:
    assert Client().post("/docs/openapi.yaml").headers["Allow"] == "GET, HEAD"


def test_the_reference_is_valid_and_says_that_bodies_are_required() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    validate_schema(schema)  # type: ignore[no-untyped-call]
    operations = [each for path in schema["paths"].values() for each in path.values()]
    bodies = [each["requestBody"] for each in operations if "requestBody" in each]
    assert len(bodies) > 20
    assert all(body["required"] for body in bodies)
    assert all("503" in each["responses"] for each in operations)
    assert all("413" in each["responses"] for each in operations if "requestBody" in each)
