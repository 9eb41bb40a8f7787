"""Every wrong request gets one clear sentence and the right status, and changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from pytest_django import DjangoDbBlocker

from access.models import KeyUse
from access.services import create_api_key
from tests.conftest import Api, make_game

PRODUCT_APPS = ("access", "core", "metrics", "streaks", "achievements", "points", "boosts", "levels", "users")
LONG_ID = "x" * 300
SOME_ID = "00000000-0000-0000-0000-000000000000"


def contents() -> dict[str, list[Any]]:
    """Return every row of every table of the product, but for when keys were used, which any request may note."""
    models = [model for app in PRODUCT_APPS for model in apps.get_app_config(app).get_models() if model is not KeyUse]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


def assert_refused(answer: Any, status: int, *words: str) -> None:
    """Check that the answer is one sentence, has this status, and names what is wrong by `words`."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    assert body["error"].endswith("."), body
    for word in words:
        assert word in body["error"], body


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Api]:
    """The study app with alice, who has a total and points; bob is not known yet.

    Made once and rolled back at the end, since no test here changes anything.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        game, api = make_game(), Api(create_api_key(name="tests")[1])
        game.trigger(points=10)
        game.creation_trigger(points=5, system=game.energy)
        api.event({"id": "alice", "name": "Alice", "attributes": {"plan": "free"}}, 3, category="math")
        yield api
        transaction.set_rollback(True)


@pytest.fixture
def api(world: Api, db: None) -> Api:
    """The backend of that world, in a transaction of its own."""
    return world


# --- Fields of a user, by every road ---------------------------------------------------------------------------------
WRONG_FIELDS: dict[str, list[Any]] = {
    "name": [1, True, [], {}, "x" * 256, "Al\x00ice"],
    "email": [1, {}, "", "nobody", "@example.com", "a b@example.com", "x" * 300, "a\x00@example.com"],
    "tz": [1, [], "", "Mars/Phobos", "UTC\x00", "x" * 300],
    "signUpDate": [1, {}, "", "yesterday", "2026-02-30", "9999-12-31", "2026-01-31\x00", "x" * 300],
    "deviceTokens": ["token", {}, [1], [None], [""], ["t"] * 101, ["x" * 5000], ["to\x00ken"]],
    "subscribeToEmails": ["true", 1, None, [], True],
    "attributes": ["pro", [], 1, {"plan": 1}, {"plan": True}, {"plan": {}}, {"plan": "x" * 1001}, {"plan": "\x00"}],
}
"""`subscribeToEmails: true` is wrong here because none of the users has an email. All but the attributes cost an event
nothing: see test_profile_fields.py."""


@pytest.mark.parametrize(
    ("field", "value"),
    [pytest.param(field, value, id=field) for field, values in WRONG_FIELDS.items() for value in values],
)
def test_a_wrong_field_of_a_user_is_named_and_changes_nothing(api: Api, field: str, value: Any) -> None:
    before = contents()
    for user in ("alice", "bob"):
        assert_refused(api.send("POST", "/v1/users", {"id": user, field: value}), 422, field)
        assert_refused(api.send("PUT", f"/v1/users/{user}", {field: value}), 422, field)
    assert_refused(api.send("PATCH", "/v1/users/alice", {field: value}), 422, field)
    assert contents() == before


@pytest.mark.parametrize("value", WRONG_FIELDS["attributes"])
def test_wrong_attributes_of_the_user_of_an_event_are_named_and_change_nothing(api: Api, value: Any) -> None:
    before = contents()
    for user in ("alice", "bob"):
        assert_refused(api.event({"id": user, "attributes": value}), 422, "attributes")
    assert contents() == before


@pytest.mark.parametrize("key", ["pln", "", "Plan", "category", "x" * 300])
def test_an_unknown_attribute_of_a_user_is_named_and_changes_nothing(api: Api, key: str) -> None:
    before = contents()
    attributes = {"plan": "pro", key: "pro"}
    sentence = f"Invalid attribute keys: {key}."
    for user in ("alice", "bob"):
        assert_refused(api.event({"id": user, "attributes": attributes}), 422, sentence)
        assert_refused(api.send("POST", "/v1/users", {"id": user, "attributes": attributes}), 422, sentence)
        assert_refused(api.send("PUT", f"/v1/users/{user}", {"attributes": attributes}), 422, sentence)
    assert_refused(api.send("PATCH", "/v1/users/alice", {"attributes": attributes}), 422, sentence)
    assert contents() == before


def test_nul_in_the_key_of_an_attribute_changes_nothing(api: Api) -> None:
    before = contents()
    assert_refused(api.event({"id": "alice", "attributes": {"pl\x00n": "pro"}}), 422, "user.attributes")
    assert_refused(api.send("PUT", "/v1/users/alice", {"attributes": {"pl\x00n": "pro"}}), 422, "attributes")
    assert contents() == before


# --- Ids -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("id_", [None, 1, True, [], {}, "", LONG_ID, "ali\x00ce"])
def test_a_wrong_id_is_named_and_changes_nothing(api: Api, id_: Any) -> None:
    before = contents()
    assert_refused(api.send("POST", "/v1/metrics/lessons/event", {"user": {"id": id_}, "value": 1}), 422, "user.id")
    assert_refused(api.send("POST", "/v1/users", {"id": id_, "name": "Alicia"}), 422, "id")
    assert contents() == before


@pytest.mark.parametrize("id_", [LONG_ID, "ali%00ce"])
def test_a_wrong_id_in_the_path_is_named_and_changes_nothing(api: Api, id_: str) -> None:
    before = contents()
    assert_refused(api.send("PUT", f"/v1/users/{id_}", {"name": "Alicia"}), 422, "id", "255 characters")
    assert_refused(api.send("PATCH", f"/v1/users/{id_}", {"name": "Alicia"}), 422, "id", "255 characters")
    assert_refused(api.get(f"/v1/users/{id_}"), 404, "User not found")
    assert contents() == before


def test_a_missing_id_is_named_and_changes_nothing(api: Api) -> None:
    before = contents()
    assert_refused(api.send("POST", "/v1/metrics/lessons/event", {"user": {}, "value": 1}), 422, "user.id is required")
    assert_refused(api.send("POST", "/v1/users", {"name": "Alicia"}), 422, "id is required")
    assert contents() == before


# --- Fields of an event ----------------------------------------------------------------------------------------------
def written(value: str) -> str:
    """Return an event's body whose value is written like this in the JSON text."""
    return f'{{"user": {{"id": "alice", "name": "Alicia"}}, "value": {value}}}'


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "true",
        '"1"',
        '""',
        "[]",
        "[1]",
        "{}",
        "1e400",
        "1e1000000",
        "-1e999999999",
        "-1e400",
        pytest.param("1" + "0" * 400, id="10^400 in digits"),
        "1e999999999999999999999",
        "1000000000000000",
        "-1000000000000000",
        "1e15",
        "999999999999999.9999999999",
    ],
)
def test_a_wrong_value_is_named_and_changes_nothing(api: Api, value: str) -> None:
    before = contents()
    assert_refused(api.send("POST", "/v1/metrics/lessons/event", written(value)), 422, "value")
    assert_refused(api.send("POST", "/v1/metrics/lessons/event", written(value).replace("alice", "bob")), 422, "value")
    assert contents() == before


@pytest.mark.parametrize("attributes", ["math", [], 1, {"category": 1}, {"category": None}, {"category": "\x00"}])
def test_wrong_attributes_of_an_event_are_named_and_change_nothing(api: Api, attributes: Any) -> None:
    before = contents()
    for user in ("alice", "bob"):
        body = {"user": {"id": user, "name": "Alicia"}, "value": 1, "attributes": attributes}
        assert_refused(api.send("POST", "/v1/metrics/lessons/event", body), 422, "attributes")
    assert contents() == before


@pytest.mark.parametrize("key", ["ctgry", "", "plan"])
def test_an_unknown_attribute_of_an_event_is_named_and_changes_nothing(api: Api, key: str) -> None:
    before = contents()
    for user in ("alice", "bob"):
        answer = api.event({"id": user, "name": "Alicia"}, category="math", **{key: "x"})
        assert_refused(answer, 422, f"Invalid attribute keys: {key}.")
    assert contents() == before


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"value": 1}, "user is required"),
        ({"user": {"id": "bob"}}, "value is required"),
        ({}, "is required"),
        ({"user": None, "value": 1}, "user must be an object"),
        ({"user": "bob", "value": 1}, "user must be an object"),
        ({"user": ["bob"], "value": 1}, "user must be an object"),
        ([{"user": {"id": "bob"}, "value": 1}], "The body must be an object"),
        ("null", "The body must be an object"),
        ('"bob"', "The body must be an object"),
        ("1", "The body must be an object"),
    ],
)
def test_an_event_of_another_form_is_refused_and_changes_nothing(api: Api, body: Any, word: str) -> None:
    before = contents()
    assert_refused(api.send("POST", "/v1/metrics/lessons/event", body), 422, word)
    assert contents() == before


@pytest.mark.parametrize("metric", ["steps", "Lessons", "lessons%20", "x" * 300, "less%00ons", "%F0%9F%A6%8A"])
def test_an_unknown_metric_is_named_and_changes_nothing(api: Api, metric: str) -> None:
    before = contents()
    for user in ("alice", "bob"):
        assert_refused(api.event({"id": user, "name": "Alicia"}, metric=metric), 404, "Metric not found: ")
    assert contents() == before


# --- Bodies that cannot be read --------------------------------------------------------------------------------------
ROADS = [
    ("POST", "/v1/metrics/lessons/event"),
    ("POST", "/v1/users"),
    ("PUT", "/v1/users/alice"),
    ("PATCH", "/v1/users/alice"),
    ("POST", "/admin-api/v1/metrics"),
    ("PATCH", "/admin-api/v1/attributes"),
    ("POST", "/admin-api/v1/points"),
    ("POST", "/admin-api/v1/achievements"),
    ("PATCH", "/admin-api/v1/achievements"),
    ("POST", "/v1/achievements/first-lesson/complete"),
]
GOOD = b'{"user": {"id": "alice", "name": "Alicia"}, "id": "alice", "value": 1, "name": "Alicia"}'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"   ", id="only spaces"),
        pytest.param(b"{", id="truncated"),
        pytest.param(GOOD[:-1], id="not closed"),
        pytest.param(GOOD + b"!", id="something after it"),
        pytest.param(b"user=alice&value=1", id="a form"),
        pytest.param(b"<user id='alice'/>", id="XML"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16"),
        pytest.param(b'{"name": NaN}', id="NaN"),
        pytest.param(b'{"name": Infinity}', id="Infinity"),
        pytest.param(b'{"name": -Infinity}', id="-Infinity"),
        pytest.param(b"{'name': 'Alicia'}", id="single quotes"),
        pytest.param(GOOD.replace(b"Alicia", b"Al\xffcia"), id="not UTF-8 in a text"),
        pytest.param(GOOD.replace(b"Alicia", b"\\ud800"), id="half a character"),
        pytest.param(GOOD.replace(b"Alicia", b"Ali\ncia"), id="a line break in a text"),
        pytest.param(GOOD.replace(b"Alicia", b"Ali\x00cia"), id="a raw NUL in a text"),
    ],
)
def test_a_body_that_is_no_json_is_refused_and_changes_nothing(api: Api, body: bytes) -> None:
    before = contents()
    for method, path in ROADS:
        whole = b"[" + body + b"]" if path.startswith("/admin-api") and body.startswith(b"{") else body
        assert_refused(api.send(method, path, whole), 400, "JSON")
    assert contents() == before


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "nan", "+1", ".5", "1.", "01", "0x10", "1_000", "--1"]
)
def test_a_value_that_is_no_number_of_json_is_refused_and_changes_nothing(api: Api, value: str) -> None:
    before = contents()
    assert_refused(api.send("POST", "/v1/metrics/lessons/event", written(value)), 400, "JSON")
    assert contents() == before


def test_a_value_that_is_not_utf_8_is_refused_and_changes_nothing(api: Api) -> None:
    before = contents()
    body = GOOD.replace(b'"value": 1', b'"value": "\xff"')
    assert_refused(api.send("POST", "/v1/metrics/lessons/event", body), 400, "JSON")
    assert contents() == before


@pytest.mark.parametrize("field", ["value", "extra"])
def test_a_body_that_is_nested_without_end_is_refused_and_changes_nothing(api: Api, field: str) -> None:
    before = contents()
    nested = "[" * 100_000 + "]" * 100_000
    answer = api.send("POST", "/v1/metrics/lessons/event", f'{{"{field}": {nested}}}')
    assert answer.status_code in (400, 422)
    assert list(json.loads(answer.content)) == ["error"]
    assert contents() == before


@pytest.mark.parametrize(("method", "path"), ROADS)
def test_a_body_over_1_mb_is_refused_and_changes_nothing(api: Api, method: str, path: str) -> None:
    before = contents()
    body = GOOD[:-1] + b', "padding": "' + b"x" * 1_000_000 + b'"}'
    assert_refused(api.send(method, path, body), 413, "1 MB")
    assert contents() == before


def test_a_body_just_under_1_mb_is_read(api: Api) -> None:
    body = GOOD[:-1] + b', "padding": "' + b"x" * 990_000 + b'"}'
    assert api.send("POST", "/v1/metrics/lessons/event", body).status_code == 201


def test_fields_that_are_not_in_the_contract_are_ignored(api: Api) -> None:
    body = {"user": {"id": "alice", "subscribedToEmails": True}, "value": 1, "mood": "good"}
    assert api.send("POST", "/v1/metrics/lessons/event", body).status_code == 201


# --- Keys ------------------------------------------------------------------------------------------------------------
GUARDED = [
    *ROADS,
    ("GET", "/v1/users/alice"),
    ("GET", "/v1/users/alice/metrics"),
    ("GET", "/v1/users/alice/metrics/lessons"),
    ("GET", "/v1/users/alice/points/xp"),
    ("GET", "/v1/points/xp"),
    ("GET", "/v1/streaks"),
    ("GET", "/admin-api/v1/metrics"),
    ("GET", "/admin-api/v1/points/0/triggers"),
    ("POST", "/admin-api/v1/points/0/levels"),
    ("GET", "/admin-api/v1/points/0/levels/0"),
    ("PATCH", "/admin-api/v1/points/0/boosts"),
    ("GET", "/admin-api/v1/points/0/boosts/0"),
    ("GET", "/admin-api/v1/achievements/0"),
]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key: "", id="empty"),
        pytest.param(lambda key: key[:-1], id="the last character missing"),
        pytest.param(lambda key: key + "x", id="one character too many"),
        pytest.param(lambda key: key[:8], id="only the prefix"),
        pytest.param(lambda key: key[:9], id="only the prefix and a dot"),
        pytest.param(lambda key: key[:9] + "x" * 32, id="another secret"),
        pytest.param(lambda key: "x" * 8 + key[8:], id="another prefix"),
        pytest.param(lambda key: key.swapcase(), id="another case"),
        pytest.param(lambda key: f"Bearer {key}", id="bearer"),
        pytest.param(lambda key: "......", id="dots"),
        pytest.param(lambda key: "ключ", id="unicode"),
        pytest.param(lambda key: "\x00", id="NUL"),
        pytest.param(lambda key: "x" * 10_000, id="long"),
    ],
)
def test_a_wrong_key_is_refused_everywhere_and_changes_nothing(api: Api, change: Any) -> None:
    stranger = Api(change(api.key), client=api.client)
    before = contents()
    for method, path in GUARDED:
        assert_refused(stranger.send(method, path, GOOD), 401, "API key")
    assert contents() == before


def test_a_missing_key_is_refused_everywhere_and_changes_nothing(api: Api) -> None:
    before = contents()
    for method, path in GUARDED:
        answer = api.client.generic(method, path, GOOD, content_type="application/json")
        assert_refused(answer, 401, "X-API-KEY")
    assert contents() == before


def test_a_key_is_checked_before_the_body_is_read(api: Api) -> None:
    stranger = Api("unknown", client=api.client)
    for method, path in ROADS:
        assert_refused(stranger.send(method, path, b"{"), 401)


# --- Paths and methods -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path",
    [
        "/v1/",
        "/v1/nothing",
        "/v1/users/",
        "/v1/metrics",
        "/v1/metrics/lessons",
        "/v1/metrics/lessons/events",
        "/v1/metrics//event",
        "/v1/points",
        "/admin-api/",
        "/admin-api/v1/nothing",
        "/admin-api/v1/metrics/",
        "/admin-api/v2/metrics",
    ],
)
def test_an_unknown_path_answers_404(api: Api, path: str) -> None:
    for method in ("GET", "POST", "PATCH"):
        assert_refused(api.send(method, path, GOOD), 404)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/metrics/lessons/event", "GET PUT PATCH DELETE"),
        ("/v1/users", "GET PUT PATCH DELETE"),
        ("/v1/users/alice", "POST DELETE"),
        ("/v1/users/alice/metrics", "POST PUT PATCH DELETE"),
        ("/v1/users/alice/metrics/lessons", "POST PUT PATCH DELETE"),
        ("/v1/users/alice/points/xp", "POST PUT PATCH DELETE"),
        ("/v1/points/xp", "POST PUT PATCH DELETE"),
        ("/admin-api/v1/attributes", "PUT"),
        ("/admin-api/v1/metrics", "PUT"),
        ("/admin-api/v1/points", "PUT"),
        ("/admin-api/v1/achievements", "PUT"),
        (f"/admin-api/v1/achievements/{SOME_ID}", "POST PUT PATCH"),
        (f"/admin-api/v1/points/{SOME_ID}/levels", "PUT"),
        (f"/admin-api/v1/points/{SOME_ID}/boosts", "PUT"),
        (f"/admin-api/v1/points/{SOME_ID}/boosts/{SOME_ID}", "POST PUT PATCH"),
    ],
)
def test_a_wrong_method_answers_405_and_changes_nothing(api: Api, path: str, methods: str) -> None:
    before = contents()
    for method in methods.split():
        answer = api.send(method, path, GOOD)
        assert_refused(answer, 405, method)
        assert method not in answer.headers["Allow"].split(", ")
    assert contents() == before


NUL_PATHS = [
    ("GET", "/v1/a%00b", 404),
    ("GET", "/v1/users/a%00b/metrics", 404),
    ("GET", "/v1/users/a%00b/metrics/lessons", 404),
    ("GET", "/v1/users/a%00b/points/xp", 404),
    ("GET", "/v1/users/alice/metrics/a%00b", 404),
    ("GET", "/v1/users/alice/points/a%00b", 404),
    ("GET", "/v1/points/a%00b", 404),
    ("GET", "/admin-api/v1/metrics/a%00b", 422),
    ("GET", "/admin-api/v1/points/a%00b/triggers", 422),
    ("GET", "/admin-api/v1/points/a%00b/levels", 422),
    ("POST", "/admin-api/v1/points/a%00b/boosts", 422),
    ("GET", "/admin-api/v1/achievements/a%00b", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), NUL_PATHS)
def test_nul_in_a_path_is_refused_and_changes_nothing(api: Api, method: str, path: str, status: int) -> None:
    before = contents()
    assert_refused(api.send(method, path), status)
    assert contents() == before


@pytest.mark.parametrize("count", ["0", "101", "-1", "1.5", "ten", "", "1e1", "9" * 30, "%00"])
def test_a_wrong_number_of_awards_is_refused(api: Api, count: str) -> None:
    assert_refused(api.get(f"/v1/users/alice/points/xp?awards={count}"), 422, "awards", "from 1 to 100")


NOT_OFFERED = [
    ("GET", "/v1/leaderboards"),
    ("GET", "/v1/leaderboards/weekly"),
    ("GET", "/v1/streaks/rankings"),
    ("GET", "/v1/users/alice/preferences"),
    ("PATCH", "/v1/users/alice/preferences"),
    ("GET", "/v1/users/alice/wrapped"),
    ("GET", "/v1/users/alice/leaderboards/weekly"),
    ("GET", "/admin-api/v1/leaderboards"),
    ("GET", f"/admin-api/v1/leaderboards/{SOME_ID}"),
    ("POST", "/admin-api/v1/streaks/freezes"),
    ("POST", "/admin-api/v1/streaks/pauses"),
    ("POST", "/admin-api/v1/streaks/reset"),
    ("POST", "/admin-api/v1/streaks/restore"),
    ("POST", "/admin-api/v1/streaks/settings/freezes"),
    ("GET", "/admin-api/v1/tenants"),
    ("GET", f"/admin-api/v1/tenants/{SOME_ID}"),
    ("GET", "/admin-api/v1/environments"),
    ("PATCH", "/admin-api/v1/settings"),
]
"""Every path of the contract, and of the SDK, that is not served (yet)."""


@pytest.mark.parametrize(("method", "path"), NOT_OFFERED)
def test_a_path_that_is_not_offered_says_so_and_changes_nothing(api: Api, method: str, path: str) -> None:
    before = contents()
    assert_refused(api.send(method, path, GOOD), 404, " is not offered by Pointsmith.")
    assert contents() == before


@pytest.mark.parametrize("kind", ["metrics", "points", "attributes"])
def test_a_name_of_blanks_alone_is_refused_by_the_admin_api_as_by_forms(api: Api, kind: str) -> None:
    before = contents()
    item = {"name": "  ", "key": "blank"} | ({"type": "user"} if kind == "attributes" else {})
    answer = api.send("POST", f"/admin-api/v1/{kind}", [item])
    assert answer.status_code == 200
    assert [each["message"] for each in answer.json()["issues"]] == ["name must not be blank."]
    assert contents() == before


@pytest.mark.parametrize("name", ["Gems\nand gold", "Gems\t", "\x1bGems", "Gems\x85"])
@pytest.mark.parametrize("kind", ["metrics", "points", "attributes"])
def test_a_name_with_control_characters_is_refused(api: Api, kind: str, name: str) -> None:
    before = contents()
    item = {"name": name, "key": "gems"} | ({"type": "user"} if kind == "attributes" else {})
    answer = api.send("POST", f"/admin-api/v1/{kind}", [item])
    assert [each["message"] for each in answer.json()["issues"]] == [
        "name must not have control characters such as line breaks."
    ]
    assert contents() == before
