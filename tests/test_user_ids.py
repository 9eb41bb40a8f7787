"""By which ids users can be made known: by those that people can tell apart, and that come through every road whole."""

from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from access.models import ApplicationKey
from boosts.models import Boost
from engine import queue
from engine.models import QueuedEvent
from metrics.models import Event
from tests.conftest import Api, Game
from tests.test_imports import check, errors_of
from users.models import EndUser

BATCH = "/admin-api/v1/metrics/events"
SPACE = "must not begin or end with white space."
CONTROL = "must not have control characters such as line breaks."
DOTS = "must not be . or .., which browsers take out of addresses."
UNSEEN = "must have a visible character."
BAD_IDS = {
    " a": SPACE,
    "a ": SPACE,
    "a\n": SPACE,
    "\ta": SPACE,
    " ": SPACE,
    "\u00a0a": SPACE,
    "a\u3000": SPACE,
    "a\u2028": SPACE,
    "a\nb": CONTROL,
    "a\tb": CONTROL,
    "a\x01b": CONTROL,
    "a\x7f": CONTROL,
    "\x9fa": CONTROL,
    "a\x85b": CONTROL,
    ".": DOTS,
    "..": DOTS,
    "\u200b": UNSEEN,
    "\ufeff\u200d": UNSEEN,
    "\ufe0f": UNSEEN,
    "\u3164": UNSEEN,
}
GOOD_IDS = [
    "a b",
    "a/b",
    "ünï",
    "用户",
    "a\u200db",
    "\u200ba",
    "...",
    ".a",
    "\u0301",
    "a\u00a0b",
    "a\u2028b",
    "🔑",
    "a%20b",
    "a,b",
]
each_bad = pytest.mark.parametrize(
    ("id_", "problem"), [pytest.param(*pair, id=ascii(pair[0])) for pair in BAD_IDS.items()]
)


def known_before(id_: str) -> None:
    """Store a user as it could be done before there was this rule."""
    EndUser.objects.create(external_id=id_, created=timezone.now(), updated=timezone.now())


def item(id_: str) -> dict[str, Any]:
    """Return an event of a batch."""
    return {"key": "lessons", "user": {"id": id_}, "value": 1}


@each_bad
def test_no_call_makes_a_user_known_by_such_an_id(api: Api, game: Game, id_: str, problem: str) -> None:
    answers = [
        api.event(id_),
        api.send("POST", "/v1/users", {"id": id_}),
        api.send("PUT", f"/v1/users/{quote(id_, safe='')}", {"name": "A"}),
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (422, {"error": f"The user's id {problem}"})
    ] * 3
    batch = api.send("POST", BATCH, [item("alice"), item(id_)])
    assert (batch.status_code, batch.json()) == (422, {"error": f"events[1]: user.id {problem}"})
    assert not EndUser.objects.exists()
    assert not QueuedEvent.objects.exists()


@each_bad
def test_nothing_is_prepared_for_a_user_with_such_an_id(api: Api, game: Game, id_: str, problem: str) -> None:
    key = api.send("POST", "/admin-api/v1/application-api-keys", [{"userId": id_}]).json()
    boost = {"name": "Double", "userId": id_, "start": "2026-06-15", "multiplier": 2, "rounding": "down"}
    boosts = api.send("POST", f"/admin-api/v1/points/{game.xp.id}/boosts", [boost]).json()
    for answer in (key, boosts):
        assert answer["created"] == []
        assert "userId" in answer["issues"][0]["message"]
        assert problem in answer["issues"][0]["message"]
    with pytest.raises(CommandError, match=problem):
        call_command("create_api_key", id_, "--user")
    assert not ApplicationKey.objects.exists()
    assert not Boost.objects.exists()


def test_an_import_names_the_line(api: Api, game: Game) -> None:
    run = check("users", 'id,name\nalice,Alice\n"b\nb",Bob\n')
    assert errors_of(run) == [(3, "id", f"The user's id {CONTROL}")]


def test_a_key_made_in_the_admin_has_the_id_without_spaces(admin_client: Client, game: Game) -> None:
    admin_client.post("/admin/access/applicationkey/add/", {"external_id": " alice "})
    assert [key.external_id for key in ApplicationKey.objects.all()] == ["alice"]
    page = admin_client.post("/admin/access/applicationkey/add/", {"external_id": "a\x01b"})
    assert CONTROL in page.content.decode()


@pytest.mark.parametrize("id_", GOOD_IDS)
def test_any_other_id_can_be_made_read_and_changed(api: Api, game: Game, id_: str) -> None:
    assert api.event(id_).status_code == 201
    assert api.send("POST", BATCH, [item(id_)]).status_code == 202
    assert queue.work() == 1
    path = f"/v1/users/{quote(id_, safe='')}"
    assert api.get(path).json()["id"] == id_
    assert api.send("PATCH", path, {"name": "A"}).json()["name"] == "A"
    assert Event.objects.filter(user__external_id=id_).count() == 2


@pytest.mark.parametrize("id_", ["a ", " a", "a\nb", "a\x85", ".", "..", "\u200b"])
def test_a_user_who_was_known_by_such_an_id_before_goes_on_as_usual(api: Api, game: Game, id_: str) -> None:
    known_before(id_)
    assert api.event(id_).json()["total"] == 1
    assert api.send("POST", BATCH, [item("alice"), item(id_)]).status_code == 202
    assert queue.work() == 2
    path = f"/v1/users/{quote(id_, safe='')}"
    assert api.send("PUT", path, {"name": "A"}).json()["name"] == "A"
    assert api.get(path).json()["id"] == id_
    assert api.get(f"{path}/metrics/lessons").json()["current"] == 2
