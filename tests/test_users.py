"""Making users known and changing them: by POST, PUT, PATCH and by an event."""

from typing import Any
from urllib.parse import quote

import pytest
import time_machine

from core.services import archive, create_checked
from metrics.models import Event, Metric
from points.models import PointsSystem
from tests.conftest import Api, Game
from users.models import EndUser

NOON = "2026-06-15T12:00:00Z"


def user_path(user: str) -> str:
    """Return the path of a user, with every character of the id that is special in one encoded."""
    return f"/v1/users/{quote(user, safe='')}"


def stored(api: Api, user: str = "alice") -> Any:
    """Return what the API says of a user who is known."""
    answer = api.get(user_path(user))
    assert answer.status_code == 200
    return answer.json()


def identify_by_event(api: Api, user: str, fields: dict[str, Any]) -> int:
    return api.event({"id": user} | fields).status_code


def identify_by_post(api: Api, user: str, fields: dict[str, Any]) -> int:
    return api.send("POST", "/v1/users", {"id": user} | fields).status_code


def identify_by_put(api: Api, user: str, fields: dict[str, Any]) -> int:
    return api.send("PUT", user_path(user), fields).status_code


def identify_by_patch(api: Api, user: str, fields: dict[str, Any]) -> int:
    return api.send("PATCH", user_path(user), fields).status_code


creating_roads = pytest.mark.parametrize(
    ("identify", "success"),
    [(identify_by_event, 201), (identify_by_post, 201), (identify_by_put, 200)],
    ids=["event", "post", "put"],
)
all_roads = pytest.mark.parametrize(
    ("identify", "success"),
    [(identify_by_event, 201), (identify_by_post, 201), (identify_by_put, 200), (identify_by_patch, 200)],
    ids=["event", "post", "put", "patch"],
)

WHOLE_ALICE = {
    "name": "Alice",
    "email": "alice@example.com",
    "tz": "Europe/London",
    "signUpDate": "2026-01-31",
    "deviceTokens": ["token-1", "token-2"],
    "subscribeToEmails": True,
    "attributes": {"plan": "pro"},
}


# --- The roads -------------------------------------------------------------------------------------------------------
@time_machine.travel(NOON, tick=False)
def test_post_makes_a_user_known_and_answers_with_all_fields(api: Api, game: Game) -> None:
    answer = api.send("POST", "/v1/users", {"id": "alice"} | WHOLE_ALICE)
    assert answer.status_code == 201
    made = "2026-06-15T12:00:00.000Z"
    assert answer.json() == {"id": "alice", **WHOLE_ALICE, "control": False, "created": made, "updated": made}
    assert stored(api) == answer.json()


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/users"), ("PUT", "/v1/users/alice")])
def test_a_user_of_whom_nothing_is_given_has_empty_fields(api: Api, method: str, path: str) -> None:
    fields = api.send(method, path, {"id": "alice"}).json()
    assert {name: fields[name] for name in WHOLE_ALICE} == {
        "name": None,
        "email": None,
        "tz": None,
        "signUpDate": None,
        "deviceTokens": [],
        "subscribeToEmails": True,
        "attributes": {},
    }


@creating_roads
def test_a_user_becomes_known_by_any_road(api: Api, game: Game, identify: Any, success: int) -> None:
    assert identify(api, "alice", WHOLE_ALICE) == success
    user = stored(api)
    assert {name: user[name] for name in WHOLE_ALICE} == WHOLE_ALICE
    assert EndUser.objects.count() == 1


@all_roads
def test_a_user_who_is_known_is_changed_by_any_road(api: Api, game: Game, identify: Any, success: int) -> None:
    identify_by_post(api, "alice", {"name": "Alice"})
    identify_by_post(api, "bob", {"name": "Bob"})
    assert identify(api, "alice", {"name": "Alicia"}) == success
    assert stored(api)["name"] == "Alicia"
    assert stored(api, "bob")["name"] == "Bob"
    assert EndUser.objects.count() == 2


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"name": "Alice"})])
def test_get_and_patch_of_an_unknown_user_answer_404_and_store_nothing(api: Api, method: str, body: Any) -> None:
    answer = api.send(method, "/v1/users/alice", body)
    assert (answer.status_code, answer.json()) == (404, {"error": "User not found: alice."})
    assert not EndUser.objects.exists()


def test_identifying_is_no_event(api: Api, game: Game) -> None:
    identify_by_post(api, "alice", {"name": "Alice"})
    assert not Event.objects.exists()
    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 0


def test_the_id_in_the_path_wins_over_one_in_the_body(api: Api) -> None:
    assert api.send("PUT", "/v1/users/alice", {"id": "bob"}).json()["id"] == "alice"
    assert list(EndUser.objects.values_list("external_id", flat=True)) == ["alice"]


# --- Only the fields given change ------------------------------------------------------------------------------------
@all_roads
def test_only_the_field_given_changes(api: Api, game: Game, identify: Any, success: int) -> None:
    identify_by_post(api, "alice", WHOLE_ALICE)
    for field, value in {
        "name": "Alicia",
        "email": "alicia@example.com",
        "tz": "Asia/Tokyo",
        "signUpDate": "2025-12-24",
        "deviceTokens": ["token-3"],
        "attributes": {"plan": "free"},
    }.items():
        before = stored(api)
        assert identify(api, "alice", {field: value}) == success
        after = stored(api)
        assert after == before | {field: value, "updated": after["updated"]}


@all_roads
def test_null_clears_a_field(api: Api, game: Game, identify: Any, success: int) -> None:
    identify_by_post(api, "alice", WHOLE_ALICE)
    for field in ("name", "email", "tz", "signUpDate"):
        before = stored(api)
        assert identify(api, "alice", {field: None}) == success
        after = stored(api)
        assert after == before | {field: None, "updated": after["updated"]}


def test_null_clears_the_device_tokens(api: Api) -> None:
    identify_by_post(api, "alice", {"deviceTokens": ["token-1"]})
    identify_by_patch(api, "alice", {"deviceTokens": None})
    assert stored(api)["deviceTokens"] == []


def test_created_stays_and_updated_moves_only_with_a_change(api: Api) -> None:
    with time_machine.travel(NOON, tick=False):
        identify_by_post(api, "alice", {"name": "Alice"})
    with time_machine.travel("2026-06-16T12:00:00Z", tick=False):
        identify_by_put(api, "alice", {"name": "Alice"})
        assert stored(api)["updated"] == "2026-06-15T12:00:00.000Z"
        identify_by_put(api, "alice", {"name": "Alicia"})
    assert stored(api)["updated"] == "2026-06-16T12:00:00.000Z"
    assert stored(api)["created"] == "2026-06-15T12:00:00.000Z"


# --- Attributes ------------------------------------------------------------------------------------------------------
@all_roads
def test_attributes_merge_by_key_and_null_removes_one(api: Api, game: Game, identify: Any, success: int) -> None:
    for key in ("team", "city"):
        api.send("POST", "/admin-api/v1/attributes", [{"name": key, "key": key, "type": "user"}])
    identify_by_post(api, "alice", {"attributes": {"plan": "free", "team": "red"}})
    assert identify(api, "alice", {"attributes": {"plan": "pro", "team": None, "city": "Rome"}}) == success
    assert stored(api)["attributes"] == {"plan": "pro", "city": "Rome"}


def test_null_for_an_attribute_that_the_user_does_not_have_changes_nothing(api: Api, game: Game) -> None:
    identify_by_post(api, "alice", {"attributes": {"plan": None}})
    assert stored(api)["attributes"] == {}


@creating_roads
def test_an_attribute_that_was_not_set_up_is_named_and_nothing_is_stored(
    api: Api, game: Game, identify: Any, success: int
) -> None:
    assert identify(api, "alice", {"attributes": {"pln": "pro", "plan": "pro"}}) == 422
    assert not EndUser.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize("value", ["pro", None])
def test_the_sentence_about_an_attribute_that_was_not_set_up_names_its_key(
    api: Api, game: Game, value: str | None
) -> None:
    identify_by_post(api, "alice", {"name": "Alice"})
    answer = api.send("PATCH", "/v1/users/alice", {"name": "Alicia", "attributes": {"pln": value, "plan": "pro"}})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("Invalid attribute keys: pln.")
    assert (stored(api)["name"], stored(api)["attributes"]) == ("Alice", {})


@all_roads
def test_what_is_stored_under_an_archived_attribute_is_shown_and_can_be_removed_but_not_set(
    api: Api, game: Game, identify: Any, success: int
) -> None:
    identify_by_post(api, "alice", {"attributes": {"plan": "free"}})
    archive(row=game.plan)
    assert stored(api)["attributes"] == {"plan": "free"}

    assert identify(api, "alice", {"attributes": {"plan": "pro"}}) == 422
    assert stored(api)["attributes"] == {"plan": "free"}
    for _ in range(2):  # sent again, it is no error either
        assert identify(api, "alice", {"attributes": {"plan": None}}) == success
        assert stored(api)["attributes"] == {}


def test_an_event_attribute_is_not_a_user_attribute(api: Api, game: Game) -> None:
    answer = api.send("POST", "/v1/users", {"id": "alice", "attributes": {"category": "math"}})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("Invalid attribute keys: category.")


# --- Time zones ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tz", ["UTC", "Europe/London", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_an_iana_time_zone_is_kept(api: Api, tz: str) -> None:
    assert identify_by_put(api, "alice", {"tz": tz}) == 200
    assert stored(api)["tz"] == tz


@pytest.mark.parametrize("tz", ["", "Mars/Phobos", "GMT+2:00", "europe/london", "localtime", "../UTC", "Europe/", 1])
def test_another_time_zone_is_refused(api: Api, tz: Any) -> None:
    answer = api.send("PUT", "/v1/users/alice", {"tz": tz})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("tz must be ")
    assert not EndUser.objects.exists()


# --- Emails ----------------------------------------------------------------------------------------------------------
about_users = pytest.mark.parametrize(
    ("identify", "success"), [(identify_by_post, 201), (identify_by_put, 200)], ids=["post", "put"]
)


@about_users
def test_subscribing_needs_an_email_that_is_stored(api: Api, game: Game, identify: Any, success: int) -> None:
    identify_by_post(api, "alice", {"email": "alice@example.com"})
    identify_by_post(api, "bob", {})
    assert identify(api, "alice", {"subscribeToEmails": True}) == success
    assert identify(api, "bob", {"subscribeToEmails": True}) == 422


@about_users
def test_subscribing_needs_an_email_that_is_given(api: Api, game: Game, identify: Any, success: int) -> None:
    assert identify(api, "alice", {"subscribeToEmails": True, "email": "alice@example.com"}) == success
    assert identify(api, "bob", {"subscribeToEmails": True}) == 422
    assert not EndUser.objects.filter(external_id="bob").exists()


def test_subscribing_while_clearing_the_email_is_refused(api: Api) -> None:
    identify_by_post(api, "alice", {"email": "alice@example.com"})
    answer = api.send("PATCH", "/v1/users/alice", {"subscribeToEmails": True, "email": None})
    assert answer.status_code == 422
    assert "subscribeToEmails" in answer.json()["error"]
    assert stored(api)["email"] == "alice@example.com"


@all_roads
def test_unsubscribing_deletes_the_email(api: Api, game: Game, identify: Any, success: int) -> None:
    identify_by_post(api, "alice", {"email": "alice@example.com", "name": "Alice"})
    assert identify(api, "alice", {"subscribeToEmails": False}) == success
    user = stored(api)
    assert (user["subscribeToEmails"], user["email"], user["name"]) == (False, None, "Alice")


def test_unsubscribing_wins_over_an_email_given_with_it(api: Api) -> None:
    identify_by_post(api, "alice", {"subscribeToEmails": False, "email": "alice@example.com"})
    assert stored(api)["email"] is None


def test_a_user_without_an_email_is_subscribed_unless_they_say_otherwise(api: Api) -> None:
    identify_by_post(api, "alice", {})
    identify_by_patch(api, "alice", {"name": "Alice"})
    assert stored(api)["subscribeToEmails"] is True


# --- Sign-up dates ---------------------------------------------------------------------------------------------------
@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-31", "2026-01-31"),
        ("2024-02-29", "2024-02-29"),
        ("2026-06-15", "2026-06-15"),
        ("2026-01-31T10:00:00Z", "2026-01-31"),
        ("2026-01-31T10:00:00.123Z", "2026-01-31"),
        ("2026-01-31T23:30:00-05:00", "2026-02-01"),
        ("2026-01-31T00:30:00+02:00", "2026-01-30"),
        ("2026-01-31T23:59:59", "2026-01-31"),
    ],
)
def test_a_sign_up_date_is_kept_as_its_utc_day(api: Api, given: str, kept: str) -> None:
    assert identify_by_put(api, "alice", {"signUpDate": given}) == 200
    assert stored(api)["signUpDate"] == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "31.01.2026",
        "2026-01",
        "2026-W05-1",
        "2026-01-31T25:00:00Z",
        "0001-01-01T00:00:00+10:00",
        20260131,
        True,
    ],
)
def test_what_is_no_date_is_refused(api: Api, given: Any) -> None:
    answer = api.send("PUT", "/v1/users/alice", {"signUpDate": given})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("signUpDate must be ")
    assert not EndUser.objects.exists()


TODAY_WITH_TIME = [
    pytest.param("2026-06-15T12:00:00Z", None, "2026-06-15", "2026-06-16", id="UTC without a zone"),
    pytest.param("2026-06-15T12:00:00Z", "Pacific/Kiritimati", "2026-06-16", "2026-06-17", id="a day ahead"),
    pytest.param("2026-06-15T05:00:00Z", "Pacific/Pago_Pago", "2026-06-14", "2026-06-15", id="a day behind"),
]


@pytest.mark.parametrize(("now", "tz", "today", "tomorrow"), TODAY_WITH_TIME)
@pytest.mark.parametrize("zone_is_stored", [True, False])
def test_a_sign_up_is_not_after_today_where_the_user_is(
    api: Api, now: str, tz: str | None, today: str, tomorrow: str, zone_is_stored: bool
) -> None:
    with time_machine.travel(now, tick=False):
        if zone_is_stored:
            identify_by_put(api, "alice", {"tz": tz})
        zone = {} if zone_is_stored else {"tz": tz}
        answer = api.send("PUT", "/v1/users/alice", {"signUpDate": tomorrow} | zone)
        assert answer.status_code == 422
        assert "signUpDate" in answer.json()["error"]
        assert EndUser.objects.filter(sign_up_date__isnull=False).count() == 0
        assert identify_by_put(api, "alice", {"signUpDate": today} | zone) == 200
    assert stored(api)["signUpDate"] == today


# --- Ids -------------------------------------------------------------------------------------------------------------
ODD_IDS = [
    "a/b",
    "a b",
    "ünï-çødé",
    "日本語",
    "🦊",
    "a+b@example.com",
    "50%",
    "%2F",
    "?#&=",
    "'\"\\;--",
    "a.b",
    "0",
    "a \u200b b",
]


@pytest.mark.parametrize("user", ODD_IDS)
def test_an_id_may_have_odd_characters(api: Api, game: Game, user: str) -> None:
    assert identify_by_put(api, user, {"name": "Odd"}) == 200
    assert identify_by_post(api, user, {"tz": "UTC"}) == 201
    assert identify_by_patch(api, user, {"attributes": {"plan": "pro"}}) == 200
    assert api.event(user, 3).status_code == 201
    assert EndUser.objects.get().external_id == user
    assert (stored(api, user)["id"], stored(api, user)["name"]) == (user, "Odd")
    assert api.get(f"{user_path(user)}/metrics/lessons").json()["current"] == 3
    assert api.get(f"{user_path(user)}/points/xp").json()["total"] == 0


@pytest.mark.parametrize("key", ["streak", "achievements", "metrics", "points", "boosts", "event-summary", "wrapped"])
@pytest.mark.parametrize("user", ["alice", "team/alice"])
def test_a_key_may_be_a_word_of_an_address(api: Api, game: Game, user: str, key: str) -> None:
    create_checked(Metric, name="Odd", key=key)
    system = create_checked(PointsSystem, name="Odd", key=key)
    game.creation_trigger(points=7, system=system)
    assert api.event(user, 3, metric=key).status_code == 201
    days = "aggregation=daily&startDate=2026-03-10&endDate=2026-03-10"
    of_user = f"{user_path(user)}/points/{key}"
    assert (api.get(of_user).json()["total"], api.get(f"{of_user}/boosts").json()) == (7, [])
    assert len(api.get(f"{of_user}/event-summary?{days}").json()) == 1
    assert api.get(f"{user_path(user)}/metrics/{key}").json()["current"] == 3
    assert len(api.get(f"{user_path(user)}/metrics/{key}/event-summary?{days}").json()) == 1
    assert api.get(f"{user_path(user)}/streak").json()["length"] == 1


def test_ids_differ_by_case_and_by_spaces_inside(api: Api) -> None:
    for user in ("alice", "Alice", "ali ce", "ali  ce"):
        identify_by_post(api, user, {})
    assert EndUser.objects.count() == 4


@creating_roads
@pytest.mark.parametrize("character", ["a", "é", "🦊"])
def test_an_id_has_at_most_255_characters(api: Api, game: Game, identify: Any, success: int, character: str) -> None:
    assert identify(api, character * 256, {}) == 422
    assert not EndUser.objects.exists()
    assert identify(api, character * 255, {}) == success
    assert stored(api, character * 255)["id"] == character * 255


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/users"), ("PUT", f"/v1/users/{'a' * 256}")])
def test_the_sentence_about_an_id_says_what_is_allowed(api: Api, method: str, path: str) -> None:
    answer = api.send(method, path, {"id": "a" * 256})
    assert answer.status_code == 422
    assert "id" in answer.json()["error"]
    assert "255 characters" in answer.json()["error"]


# --- Totals ----------------------------------------------------------------------------------------------------------
def test_the_metrics_of_a_user_show_every_metric_also_those_at_zero(api: Api, game: Game) -> None:
    api.event("alice", 5)
    api.event("bob", 7, metric="flashcards")
    assert api.get("/v1/users/alice/metrics").json() == [
        {
            "id": str(game.lessons.id),
            "key": "lessons",
            "name": "Lessons completed",
            "status": "active",
            "current": 5,
            "achievements": [],
        },
        {
            "id": str(game.flashcards.id),
            "key": "flashcards",
            "name": "Flashcards flipped",
            "status": "active",
            "current": 0,
            "achievements": [],
        },
    ]
    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 5


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/users/bob/metrics", "User not found: bob."),
        ("/v1/users/bob/metrics/lessons", "User not found: bob."),
        ("/v1/users/bob/points/xp", "User not found: bob."),
        ("/v1/users/alice/metrics/steps", "Metric not found: steps."),
        ("/v1/users/alice/points/gold", "Points system not found: gold."),
        ("/v1/points/gold", "Points system not found: gold."),
    ],
)
def test_reading_what_is_unknown_answers_404(api: Api, game: Game, path: str, message: str) -> None:
    identify_by_post(api, "alice", {})
    answer = api.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": message})


@pytest.mark.parametrize("value", [5, True, ["pro"], {"is": "pro"}, "x" * 1001])
def test_the_attribute_at_fault_is_named(api: Api, game: Game, value: Any) -> None:
    attributes = {"category": "math", "team": None, "plan": value, "zone": "eu"}
    allowed = "must be a string of at most 1000 characters" if isinstance(value, str) else "must be a string or null"
    event = {"user": {"id": "alice", "attributes": attributes}, "value": 1}
    batch = [{"key": "lessons", "user": {"id": "alice"}, "value": 1}, {"key": "lessons", **event}]
    for method, path, body, name in (
        ("POST", "/v1/metrics/lessons/event", event, "user.attributes.plan"),
        ("POST", "/v1/users", {"id": "alice", "attributes": attributes}, "attributes.plan"),
        ("PUT", "/v1/users/alice", {"attributes": attributes}, "attributes.plan"),
        ("POST", "/admin-api/v1/metrics/events", batch, "events[1]: user.attributes.plan"),
    ):
        answer = api.send(method, path, body)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(f"{name} {allowed}"), answer.json()
    of_event = {"user": {"id": "alice"}, "value": 1, "attributes": {"category": "math", "plan": 5}}
    refused = api.send("POST", "/v1/metrics/lessons/event", of_event).json()["error"]
    assert refused == "attributes.plan must be a string, not a whole number."
    assert not EndUser.objects.exists()
