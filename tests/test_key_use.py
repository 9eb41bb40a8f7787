"""When a key was last used: noted by every road, at most once a minute, and for nothing in between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.models import ApplicationKey, KeyUse
from access.services import create_application_key, revoke_keys
from core.models import ConfigurationRevision
from tests.conftest import Api, Game
from tests.test_admin import text_of

NINE = datetime(2026, 3, 10, 9, tzinfo=UTC)


@pytest.fixture(params=["a backend's", "an application's"])
def caller(request: Any, api: Api, game: Game) -> Api:
    """A caller with a key of either kind."""
    return api if request.param == "a backend's" else Api(create_application_key(external_id="alice")[1])


ROADS: dict[str, Callable[[Api], Any]] = {
    "an event": lambda caller: caller.event("alice"),
    "a view": lambda caller: caller.get("/v1/users/alice"),
    "what is not offered": lambda caller: caller.get("/v1/users/alice/wrapped"),
    "the Admin API": lambda caller: caller.get("/admin-api/v1/metrics"),
    "a body that is refused": lambda caller: caller.event("", "one"),
}


@pytest.mark.parametrize("road", ROADS)
def test_the_use_of_a_key_is_noted(road: str, caller: Api) -> None:
    with time_machine.travel(NINE, tick=False):
        ROADS[road](caller)
    assert KeyUse.objects.get().last_used == NINE


def test_within_a_minute_nothing_is_sent_and_after_it_the_newest_use_is_written(caller: Api) -> None:
    def uses(seconds: int) -> tuple[datetime, int]:
        """Return what is noted after a use so many seconds after nine, and the statements about it."""
        with (
            time_machine.travel(NINE + timedelta(seconds=seconds), tick=False),
            CaptureQueriesContext(connection) as sql,
        ):
            caller.event("alice")
            caller.get("/v1/users/alice")
        return KeyUse.objects.get().last_used, sum("access_keyuse" in query["sql"] for query in sql)

    assert uses(0) == (NINE, 1)
    assert uses(59) == (NINE, 0)
    assert uses(60) == (NINE + timedelta(seconds=60), 1)
    assert uses(61) == (NINE + timedelta(seconds=60), 0)
    assert uses(3600) == (NINE + timedelta(hours=1), 1)


def test_another_process_s_note_of_the_same_minute_is_left_as_it_is(caller: Api) -> None:
    with time_machine.travel(NINE, tick=False):
        caller.event("alice")
    noted = NINE + timedelta(seconds=90)
    KeyUse.objects.update(last_used=noted)
    with time_machine.travel(NINE + timedelta(seconds=100), tick=False):
        caller.event("alice")
    assert KeyUse.objects.get().last_used == noted


def test_a_clock_that_was_set_back_does_not_stop_the_notes(caller: Api) -> None:
    with time_machine.travel(NINE, tick=False):
        caller.event("alice")
    KeyUse.objects.all().delete()
    with time_machine.travel(NINE - timedelta(days=1), tick=False):
        caller.event("alice")
    assert KeyUse.objects.get().last_used == NINE - timedelta(days=1)


def test_a_key_that_is_not_let_in_is_not_noted(game: Game) -> None:
    key, text = create_application_key(external_id="alice")
    with time_machine.travel(NINE, tick=False):
        assert Api(text).event("alice").status_code == 201
    revoke_keys(keys=ApplicationKey.objects.all())
    with time_machine.travel(NINE + timedelta(hours=1), tick=False):
        assert Api(text).event("alice").status_code == 401
        assert Api(text).get("/v1/users/alice").status_code == 401
        assert Api(text[:-1]).event("alice").status_code == 401
    assert KeyUse.objects.get(key_id=key.id).last_used == NINE


def test_noting_uses_changes_no_rule(caller: Api) -> None:
    before = ConfigurationRevision.objects.get().revision
    for hours in range(3):
        with time_machine.travel(NINE + timedelta(hours=hours), tick=False):
            caller.event("alice")
    assert ConfigurationRevision.objects.get().revision == before


def test_the_admin_shows_when_each_key_was_last_used(api: Api, game: Game) -> None:
    operator = Client()
    operator.force_login(User.objects.create_superuser("olivia"))
    app = Api(create_application_key(external_id="alice")[1])
    for model in ("apikey", "applicationkey"):
        assert "never" in text_of(operator.get(f"/admin/access/{model}/"))
    with time_machine.travel(NINE, tick=False):
        for caller in (api, app):
            caller.event("alice")
    for model in ("apikey", "applicationkey"):
        listed = text_of(operator.get(f"/admin/access/{model}/"))
        assert "March 10, 2026, 9 a.m." in listed
        assert "never" not in listed
