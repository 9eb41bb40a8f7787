"""An application key does its own user's operations, by every address; all others refuse it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from trophy import TrophyApi, UpsertedUser
from trophy.core.api_error import ApiError

from access.services import create_application_key
from achievements.services import create_achievement
from api.middleware import API_PREFIXES
from levels.services import create_level
from metrics.models import Event
from tests.conftest import Api, Game, make_game, other_caller
from tests.test_bad_input import contents
from users.models import EndUser

SOME_ID = "00000000-0000-4000-8000-000000000000"
USER, POINTS, ADMIN = "v1/users/<path:user_id>", "v1/points/<str:key>", "admin-api/v1"
DAYS = "aggregation=daily&startDate=2026-01-01&endDate=2026-01-02"

OWN: dict[str, list[tuple[str, str, Any]]] = {
    USER: [("GET", "/v1/users/{}", None), ("PUT", "/v1/users/{}", {}), ("PATCH", "/v1/users/{}", {"name": "A"})],
    f"{USER}/metrics": [("GET", "/v1/users/{}/metrics", None)],
    f"{USER}/metrics/<str:key>": [("GET", "/v1/users/{}/metrics/lessons", None)],
    f"{USER}/metrics/<str:key>/event-summary": [("GET", f"/v1/users/{{}}/metrics/lessons/event-summary?{DAYS}", None)],
    f"{USER}/points/<str:key>": [("GET", "/v1/users/{}/points/xp", None)],
    f"{USER}/points/<str:key>/boosts": [("GET", "/v1/users/{}/points/xp/boosts", None)],
    f"{USER}/points/<str:key>/event-summary": [("GET", f"/v1/users/{{}}/points/xp/event-summary?{DAYS}", None)],
    f"{USER}/achievements": [("GET", "/v1/users/{}/achievements", None)],
    f"{USER}/streak": [("GET", "/v1/users/{}/streak", None)],
    "v1/streaks": [("GET", "/v1/streaks?userIds={}", None)],
    "v1/users": [("POST", "/v1/users", {"id": "{}", "name": "A"})],
    "v1/metrics/<str:key>/event": [("POST", "/v1/metrics/lessons/event", {"user": {"id": "{}"}, "value": 1})],
    "v1/achievements/<str:key>/complete": [("POST", "/v1/achievements/sharer/complete", {"user": {"id": "{}"}})],
}
"""By route, what an application key may do for its own user; {} stands for the user."""

ALL_METHODS = ("GET", "POST", "PATCH", "DELETE")


def collection(route: str) -> dict[str, list[tuple[str, str]]]:
    """Return what is refused of a resource of the Admin API: its collection, and one of it."""
    path = f"/{ADMIN}/{route}".replace("<str:system_id>", SOME_ID)
    return {
        f"{ADMIN}/{route}": [(method, path) for method in ALL_METHODS],
        f"{ADMIN}/{route}/<str:id>": [("GET", f"{path}/{SOME_ID}")],
    }


REFUSED: dict[str, list[tuple[str, str]]] = {
    POINTS: [("GET", "/v1/points/xp")],
    f"{POINTS}/summary": [("GET", "/v1/points/xp/summary")],
    f"{POINTS}/level-summary": [("GET", "/v1/points/xp/level-summary")],
    f"{POINTS}/boosts": [("GET", "/v1/points/xp/boosts")],
    f"{POINTS}/levels": [("GET", "/v1/points/xp/levels")],
    "v1/achievements": [("GET", "/v1/achievements")],
    f"{ADMIN}/streaks/settings": [("GET", f"/{ADMIN}/streaks/settings"), ("PATCH", f"/{ADMIN}/streaks/settings")],
    f"{ADMIN}/application-api-keys": [(method, f"/{ADMIN}/application-api-keys") for method in ("POST", "DELETE")],
    f"{ADMIN}/metrics/events": [("POST", f"/{ADMIN}/metrics/events")],
    "metrics": [("GET", "/metrics")],
    f"{ADMIN}/webhook-events": [("GET", f"/{ADMIN}/webhook-events")],
    **collection("achievements"),
    **collection("attributes"),
    **collection("metrics"),
    **collection("points"),
    **collection("points/<str:system_id>/boosts"),
    **collection("points/<str:system_id>/levels"),
    **collection("points/<str:system_id>/triggers"),
}
"""By route, what every application key is refused."""


def routes(patterns: list[URLPattern | URLResolver], root: str = "") -> Iterator[str]:
    """Yield the route of every address."""
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, root + str(each.pattern))
        else:
            yield root + str(each.pattern)


@pytest.fixture
def game(db: None) -> Game:
    game = make_game()
    create_achievement(name="Sharer", type="api", key="sharer", status="active")
    create_level(system=game.xp, name="Gold", key="gold", points=100)
    return game


def app_of(user: str) -> Api:
    return Api(create_application_key(external_id=user)[1])


def of_user(part: Any, user: str) -> Any:
    """Return an address or a body with the user's id in it."""
    if isinstance(part, dict):
        return {name: of_user(value, user) for name, value in part.items()}
    return part.replace("{}", user) if isinstance(part, str) else part


def test_every_address_of_the_api_is_decided_on_here() -> None:
    prefixes = tuple(prefix.lstrip("/") for prefix in API_PREFIXES)
    served = {route for route in routes(get_resolver().url_patterns) if route.startswith(prefixes)}
    assert served == OWN.keys() | REFUSED.keys()


@pytest.mark.parametrize(("method", "path", "body"), [each for calls in OWN.values() for each in calls])
def test_a_key_does_what_is_its_own_user_s_and_not_another_s(
    method: str, path: str, body: Any, api: Api, game: Game
) -> None:
    for user in ("alice", "bob"):
        api.event(user)
    app = app_of("alice")
    answer = app.send(method, of_user(path, "alice"), of_user(body, "alice"))
    assert answer.status_code in (200, 201), answer.json()
    before = contents()
    for other in ("bob", "Alice", "alice2", "nobody"):
        answer = app.send(method, of_user(path, other), of_user(body, other))
        assert answer.status_code == 403, other
        assert answer.json() == {
            "error": "This application key is for another user: it can do only its own user's operations."
        }
    assert contents() == before


@pytest.mark.parametrize(("method", "path"), [each for calls in REFUSED.values() for each in calls])
def test_a_key_is_refused_what_is_of_no_one_user(method: str, path: str, game: Game) -> None:
    app = app_of("alice")
    app.event("alice")
    before = contents()
    answer = app.send(method, path, [{"id": SOME_ID}])
    assert answer.status_code == 403
    assert answer.json() == {
        "error": "An application key can do only its own user's operations; this is not one of them."
    }
    assert contents() == before


def test_streaks_are_read_only_where_all_ids_are_the_key_s_own(game: Game) -> None:
    app = app_of("alice")
    assert app.get("/v1/streaks?userIds=alice,alice").status_code == 200
    for query in ("userIds=alice,bob", "userIds=bob&userIds=alice"):
        assert app.get(f"/v1/streaks?{query}").status_code == 403
    assert app.get("/v1/streaks").status_code == 422


@pytest.mark.parametrize("user", ["a/b", "a/metrics", "ünï çødé", "x" * 255, "A.B"])
def test_an_odd_id_opens_no_other_user_s_door(user: str, game: Game) -> None:
    app = app_of(user)
    assert app.event(user).status_code == 201
    assert app.get(f"/v1/users/{user}").status_code in (200, 403)
    for stranger in ("a", "b", "A", "x" * 254):
        assert app.event(stranger).status_code == 403
        assert app.get(f"/v1/users/{stranger}/points/xp").status_code == 403
    assert list(EndUser.objects.values_list("external_id", flat=True)) == [user]


def test_a_user_whose_id_reads_like_an_address_does_not_get_at_the_user_before_the_slash(api: Api, game: Game) -> None:
    api.event("alice")
    app = app_of("alice/metrics")
    assert app.get("/v1/users/alice/metrics").status_code == 403
    assert (
        app.get("/v1/users/alice/metrics/metrics").status_code == 200 or app.event("alice/metrics").status_code == 201
    )


def test_a_key_of_an_unknown_user_makes_the_user_known(game: Game) -> None:
    app = app_of("alice")
    assert app.get("/v1/users/alice").status_code == 404
    assert app.send("PATCH", "/v1/users/alice", {"name": "Alice"}).status_code == 404
    assert app.send("PUT", "/v1/users/alice", {"name": "Alice"}).status_code == 200
    assert app.get("/v1/users/alice").json()["name"] == "Alice"


def test_what_is_not_offered_is_not_offered_to_application_keys_either(game: Game) -> None:
    app = app_of("alice")
    for path in ("/v1/leaderboards", "/v1/users/bob/wrapped", f"/{ADMIN}/tenants"):
        answer = app.get(path)
        assert answer.status_code == 404
        assert "is not offered by Pointsmith" in answer.json()["error"]
    assert app.get("/v1/nothing").status_code == 404


def test_the_reference_says_of_every_operation_how_a_key_can_be_refused() -> None:
    reference = Client().get("/docs/openapi.yaml", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    operations = [operation for path in reference["paths"].values() for operation in path.values()]
    assert len(operations) > 50
    for operation in operations:
        assert {"401", "403", "429"} <= operation["responses"].keys(), operation["operationId"]


def test_the_sdk_raises_for_another_user(sdk: TrophyApi) -> None:
    make_game()
    key = create_application_key(external_id="alice")[1]
    with other_caller(sdk, key) as app:
        assert app.metrics.event("lessons", user=UpsertedUser(id="alice"), value=1).total == 1
        assert app.users.get("alice").id == "alice"
        calls: list[Callable[[], Any]] = [
            lambda: app.metrics.event("lessons", user=UpsertedUser(id="bob"), value=1),
            lambda: app.users.get("bob"),
            lambda: app.admin.metrics.list(),
            lambda: app.admin.application_api_keys.delete(ids=SOME_ID),
        ]
        for call in calls:
            with pytest.raises(ApiError) as raised:
                call()
            assert raised.value.status_code == 403
    assert Event.objects.count() == 1
