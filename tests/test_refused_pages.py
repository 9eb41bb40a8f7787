"""Pages that say no are in the product's look, and need no database."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django.live_server_helper import LiveServer

from core.refused import server_error
from metrics.models import Metric
from tests.conftest import Api, Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - fixtures
from tests.test_database_away import end_the_server_s_connections
from tests.test_roles import login

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as TestResponse

FRAME = "unfold/css/styles.css"
"""What the product's look comes from."""


def in_the_look(answer: "httpx.Response | TestResponse") -> str:
    """Return what a page says, once it is known to be one of the product's."""
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    page = answer.content.decode()
    assert FRAME in page
    return page


def said_in(answer: "httpx.Response | TestResponse") -> str:
    page = in_the_look(answer)
    return re.sub(r"<[^>]+>|\s+", " ", page[page.index("<h1") :])


def test_a_page_that_is_not_found_says_so_in_the_product_s_look(operator: Client) -> None:
    for address in ("/admin/nothing/", "/nothing", "/media/none.png"):
        answer = operator.get(address)
        assert answer.status_code == 404, address
        assert "There is nothing here" in said_in(answer)


def test_a_page_that_may_not_be_seen_says_so(db: None) -> None:
    viewer, _ = login("Viewer")
    answer = viewer.get("/admin/auth/user/")
    assert answer.status_code == 403
    assert "Your role does not allow it." in said_in(answer)


def test_an_address_that_cannot_be_read_says_so(operator: Client) -> None:
    answer = operator.get("/admin/metrics/metric/?key=%00")
    assert answer.status_code == 400
    assert "There is a NUL character in it" in said_in(answer)
    assert operator.get("/admin/access/apikey/?hashed_key=a").status_code == 400


def test_a_form_without_its_secret_says_that_nothing_was_saved(game: Game) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("olivia"))
    answer = strict.post("/admin/metrics/metric/add/", {"name": "Pages", "key": "pages"})
    assert answer.status_code == 403
    assert "Nothing was saved: open the page again." in said_in(answer)
    assert not Metric.objects.filter(key="pages").exists()


def test_the_api_keeps_its_own_answers(api: Api, game: Game) -> None:
    assert api.get("/v1/nothing").json() == {"error": "There is nothing at /v1/nothing."}
    assert "error" in api.get("/admin-api/v1/nothing").json()


# --- The database is away ---------------------------------------------------------------------------------------------
@pytest.fixture
def browser(transactional_db: None, live_server: LiveServer) -> Iterator[httpx.Client]:
    """An operator's browser, logged in, with the address of the server."""
    logged_in = Client()
    logged_in.force_login(User.objects.create_superuser("olivia"))
    with httpx.Client(base_url=live_server.url) as client:
        client.cookies.set("sessionid", logged_in.cookies["sessionid"].value)
        yield client


def test_a_save_while_the_database_is_away_says_that_nothing_was_saved(browser: httpx.Client) -> None:
    address = "/admin/metrics/metric/add/"
    assert browser.get(address).status_code == 200
    form = {"name": "Pages", "key": "pages", "unit_type": "number"}
    form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
    end_the_server_s_connections()
    away = browser.post(address, data=form)
    assert away.status_code == 503
    assert away.headers["Retry-After"] == "5"
    said = said_in(away)
    assert "The database does not answer" in said
    assert "Nothing was saved. Try again in some seconds." in said
    assert not Metric.objects.exists()
    assert browser.post(address, data=form).status_code == 302
    assert Metric.objects.get().key == "pages"


@pytest.mark.parametrize(
    "address", ["/admin/", "/admin/metrics/metric/", "/admin/users/enduser/?q=a", "/admin/changes/"]
)
def test_a_page_while_the_database_is_away_asks_to_come_back(address: str, browser: httpx.Client) -> None:
    assert browser.get(address).status_code == 200
    end_the_server_s_connections()
    away = browser.get(address)
    assert away.status_code == 503
    assert away.headers["Retry-After"] == "5"
    assert "Try again in some seconds." in said_in(away)
    assert "saved" not in said_in(away)
    assert browser.get(address).status_code == 200


def test_the_page_of_a_database_that_is_away_asks_it_nothing(operator: Client, game: Game) -> None:
    request = RequestFactory().get("/admin/")
    with CaptureQueriesContext(connection) as queries:
        try:
            raise OperationalError("the server closed the connection unexpectedly")
        except OperationalError:
            answer = server_error(request)
    assert answer.status_code == 503
    assert not queries.captured_queries
