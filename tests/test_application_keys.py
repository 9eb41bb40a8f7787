"""Keys for one user: made and revoked by the Admin API and in the admin, in force at once, and no part of the rules."""

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.models import ApplicationKey
from access.services import create_application_key, revoke_keys
from core.models import ConfigurationRevision
from metrics.models import MetricTotal
from tests.conftest import Api, Game, make_game
from tests.test_admin import meeting, text_of
from tests.test_parallel import in_parallel
from users.models import EndUser

PATH = "/admin-api/v1/application-api-keys"


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def app_of(user: str) -> Api:
    """Return an app with a key for this user."""
    return Api(create_application_key(external_id=user)[1])


# --- By the Admin API ------------------------------------------------------------------------------------------------
def test_keys_are_made_for_users_also_for_one_who_is_not_known_yet(api: Api, game: Game) -> None:
    answer = api.send("POST", PATH, [{"userId": "alice"}, {"userId": "ünï/çødé"}, {"userId": "alice"}])
    assert (answer.status_code, answer.json()["issues"]) == (201, [])
    made = answer.json()["created"]
    assert [key["userId"] for key in made] == ["alice", "ünï/çødé", "alice"]
    for key in made:
        assert re.fullmatch(r"app_[a-zA-Z0-9]{8}\.[a-zA-Z0-9]{32}", key["key"])
        assert key["key"].startswith(key["prefix"] + ".")
        assert key["key"] not in str(ApplicationKey.objects.filter(id=key["id"]).values())
        assert Api(key["key"]).event(key["userId"]).status_code == 201
    assert set(EndUser.objects.values_list("external_id", flat=True)) == {"alice", "ünï/çødé"}


def test_a_wrong_user_has_an_issue_and_the_others_have_keys(api: Api) -> None:
    wrong: list[tuple[Any, str]] = [
        ({"userId": ""}, "userId must be a string that is not empty."),
        ({"userId": "x" * 256}, "userId must be a string of at most 255 characters."),
        ({"userId": None}, "userId must be a string, not null."),
        ({"userId": "ali\x00ce"}, "userId must not contain the NUL character."),
        ({}, "userId is required."),
        ("alice", "The item must be an object, not a string."),
    ]
    answer = api.send("POST", PATH, [*(item for item, _ in wrong), {"userId": "x" * 255}])
    assert answer.status_code == 201
    assert [key["userId"] for key in answer.json()["created"]] == ["x" * 255]
    assert answer.json()["issues"] == [
        {"index": index, "severity": "error", "message": sentence} for index, (_, sentence) in enumerate(wrong)
    ]
    assert api.send("POST", PATH, [wrong[0][0]]).status_code == 200
    for body in ([], [{"userId": "alice"}] * 101, {"userId": "alice"}):
        assert api.send("POST", PATH, body).status_code == 422
    assert ApplicationKey.objects.count() == 1


def test_a_deleted_key_stops_with_the_next_request_and_another_of_the_user_goes_on(api: Api, game: Game) -> None:
    app, other = app_of("alice"), app_of("alice")
    assert app.event("alice").status_code == 201
    key = ApplicationKey.objects.order_by("id").first()
    assert key is not None
    answer = api.send("DELETE", f"{PATH}?ids={key.id},nobody")
    assert answer.json()["deleted"] == [{"id": str(key.id)}]
    assert [issue["id"] for issue in answer.json()["issues"]] == ["nobody"]
    refused = {"error": "This API key was revoked."}
    assert (app.event("alice").status_code, app.event("alice").json()) == (401, refused)
    for answer in (app.get("/v1/users/alice"), app.send("PATCH", "/v1/users/alice", {"name": "Alice"})):
        assert (answer.status_code, answer.json()) == (401, {"error": "This API key is not known, or was revoked."})
    assert other.event("alice").json()["total"] == 2
    assert api.send("DELETE", f"{PATH}?ids={key.id}").json()["deleted"] == []


@pytest.mark.parametrize(
    "text", ["app_", "app_12345678", "app_12345678.secret", "app_\x00", "app_ünïçødé.x", "app_" * 99]
)
def test_what_only_looks_like_a_key_is_refused(text: str, game: Game) -> None:
    stranger = Api(text)
    assert stranger.event("alice").status_code == 401
    assert stranger.get("/v1/users/alice").status_code == 401
    assert not EndUser.objects.exists()


def test_the_beginning_of_a_key_is_not_the_key(game: Game) -> None:
    text = app_of("alice").key
    for wrong in (text[:-1], text + "x", text.partition(".")[0], text.lower()):
        assert Api(wrong).event("alice").status_code == 401
        assert Api(wrong).get("/v1/users/alice").status_code == 401


# --- No part of the rules --------------------------------------------------------------------------------------------
def test_making_using_and_revoking_keys_changes_no_rule(api: Api, game: Game) -> None:
    api.event("alice")
    before = ConfigurationRevision.objects.get().revision
    app = app_of("alice")
    app.event("alice")
    revoke_keys(keys=ApplicationKey.objects.all())
    assert ConfigurationRevision.objects.get().revision == before


def statements(do: Callable[[], Any]) -> int:
    """Return how many statements it takes."""
    with CaptureQueriesContext(connection) as captured:
        assert do().status_code in (200, 201)
    return len(captured)


def test_an_application_key_costs_no_more_statements_than_a_backend_s(api: Api, game: Game) -> None:
    app = app_of("alice")
    for caller in (api, app):
        caller.event("alice")
    calls: list[Callable[[Api], Any]] = [
        lambda caller: caller.event("alice", 1),
        lambda caller: caller.get("/v1/users/alice"),
        lambda caller: caller.send("PATCH", "/v1/users/alice", {"name": "Alice"}),
    ]
    for call in calls:
        assert statements(partial(call, app)) == statements(partial(call, api))


# --- Races -----------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_an_event_that_waits_for_its_user_is_refused_by_a_key_that_is_revoked_meanwhile(
    transactional_db: None,
) -> None:
    make_game()
    app = app_of("alice")
    assert app.event("alice").status_code == 201

    def hold_and_revoke() -> None:
        EndUser.objects.select_for_update().get(external_id="alice")
        revoke_keys(keys=ApplicationKey.objects.all())

    assert meeting(hold_and_revoke, lambda: app.event("alice")).status_code == 401
    assert MetricTotal.objects.get().total == 1


@pytest.mark.django_db(transaction=True)
def test_no_event_that_begins_after_the_revocation_counts_and_all_before_it_do(transactional_db: None) -> None:
    make_game()
    key = app_of("alice").key
    revoked = threading.Event()

    def send(number: int) -> list[tuple[bool, int]]:
        app, answers = Api(key), []
        for turn in range(60):
            if (number, turn) == (0, 20):
                revoke_keys(keys=ApplicationKey.objects.all())
                revoked.set()
            answers.append((revoked.is_set(), app.event("alice", 1).status_code))
        return answers

    answers = [answer for thread in in_parallel(8, send) for answer in thread]
    assert {status for is_after, status in answers if is_after} == {401}
    counted = sum(status == 201 for _, status in answers)
    assert counted >= 20
    assert {status for _, status in answers} == {201, 401}
    assert MetricTotal.objects.get().total == counted
    call_command("verify")


# --- In the admin ----------------------------------------------------------------------------------------------------
def test_an_operator_makes_a_key_which_is_shown_once_and_revokes_it(operator: Client, game: Game) -> None:
    added = operator.post("/admin/access/applicationkey/add/", {"external_id": "alice"}, follow=True)
    found = re.search(r"id='new-api-key'[^>]*>([^<]+)<", added.content.decode())
    assert found
    app = Api(found[1])
    assert app.event("alice").status_code == 201
    key = ApplicationKey.objects.get()
    listed = operator.get("/admin/access/applicationkey/").content.decode()
    assert key.prefix in listed
    assert found[1] not in listed
    page = operator.get(f"/admin/access/applicationkey/{key.id}/change/")
    assert "alice" in text_of(page)
    assert 'name="_save"' not in page.content.decode()
    url = f"/admin/access/applicationkey/{key.id}/revoke_one/"
    assert "Revoke «alice (app_" in text_of(operator.get(url))
    assert app.event("alice").status_code == 201
    operator.post(url, {"_form_submitted": "True"})
    assert app.event("alice").status_code == 401
    assert key.prefix not in operator.get("/admin/access/applicationkey/").content.decode()
    assert "Revoked" in text_of(operator.get("/admin/access/applicationkey/?archived=only"))


def test_several_keys_are_revoked_once_the_operator_has_been_told_that_it_is_final(operator: Client) -> None:
    keys = [create_application_key(external_id=user)[0] for user in ("alice", "bob", "charlie")]
    form = {"action": "revoke_selected", "_selected_action": [str(key.id) for key in keys[:2]]}
    asked = text_of(operator.post("/admin/access/applicationkey/", form))
    assert "That is final" in asked
    assert all(str(key) in asked for key in keys[:2])
    assert ApplicationKey.objects.filter(status="active").count() == 3
    answer = operator.post("/admin/access/applicationkey/", form | {"confirmed": "yes"}, follow=True)
    assert "2 revoked" in text_of(answer)
    assert ApplicationKey.objects.get(status="active") == keys[2]


def test_keys_are_found_by_how_the_user_s_id_or_the_key_begins(operator: Client) -> None:
    keys = {user: create_application_key(external_id=user)[0] for user in ("alice", "ali%", "bob")}
    for search, users in (
        ("ali", {"alice", "ali%"}),
        ("ali%", {"ali%"}),
        (keys["bob"].prefix, {"bob"}),
        ("ice", set()),
    ):
        listed = operator.get("/admin/access/applicationkey/", {"q": search}).content.decode()
        assert {user for user, key in keys.items() if key.prefix in listed} == users, search


@pytest.mark.parametrize(
    ("user", "sentence"), [("", "This field is required."), ("x" * 256, "at most 255"), ("a\x00b", "NUL character")]
)
def test_a_key_for_nobody_is_not_made(user: str, sentence: str, operator: Client) -> None:
    answer = operator.post("/admin/access/applicationkey/add/", {"external_id": user})
    assert sentence.lower() in text_of(answer).lower()
    assert not ApplicationKey.objects.exists()


def test_no_page_counts_the_keys(operator: Client) -> None:
    create_application_key(external_id="alice")
    for query in ("", "?q=ali", "?archived=only", "?archived=with"):
        with CaptureQueriesContext(connection) as captured:
            assert operator.get(f"/admin/access/applicationkey/{query}").status_code == 200
        assert not [each for each in captured if "COUNT(" in each["sql"] and "applicationkey" in each["sql"]]
