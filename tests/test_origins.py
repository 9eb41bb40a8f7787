"""Pages of other origins call the Application API with an application key, where a setting says so."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured
from playwright.sync_api import Page, expect

from access.services import create_application_key
from config.origins import read_origins
from metrics.models import Event
from tests.conftest import Api, Game
from tests.edges import Edge, edge
from tests.processes import until, worker_environment
from tests.servers import answers, serving
from tests.test_browser import browser_type_launch_args as browser_type_launch_args  # noqa: PLC0414

pytestmark = pytest.mark.django_db(transaction=True)

APP: Final = "https://app.example.com"
OTHER: Final = "https://evil.example.com"
EVENT: Final = "/v1/metrics/lessons/event"
ALICE: Final = {"user": {"id": "alice"}, "value": 1}
GUIDE: Final = (Path(__file__).parent.parent / "docs" / "application-keys.md").read_text()


@pytest.fixture
def process(game: Game, settings: Any) -> Iterator[Edge]:
    settings.CORS_ALLOWED_ORIGINS = [APP]
    with edge() as process:
        yield process


def preflight(process: Edge, path: str, origin: str, method: str = "POST") -> httpx.Response:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-api-key,idempotency-key"}
    return process.ask("OPTIONS", path, headers={"Origin": origin, **asked})


def test_a_browser_is_told_beforehand_what_a_page_may_do(process: Edge) -> None:
    for path, method in ((EVENT, "POST"), ("/v1/users/alice", "PATCH"), ("/v1/users/alice/points/xp", "GET")):
        answer = preflight(process, path, APP, method)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert method in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "x-api-key,idempotency-key"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_every_answer_says_who_may_read_it(process: Edge, api: Api) -> None:
    key = {"X-API-KEY": api.key}
    cases: list[tuple[int, str, str, dict[str, Any]]] = [
        (201, "POST", EVENT, {"json": ALICE, "headers": key}),
        (401, "POST", EVENT, {"json": ALICE, "headers": {}}),
        (422, "POST", EVENT, {"json": {"value": 1}, "headers": key}),
        (413, "POST", EVENT, {"content": b" " * 1_000_001, "headers": key}),
        (415, "POST", EVENT, {"content": b"{}", "headers": key | {"Content-Encoding": "br"}}),
        (200, "GET", "/v1/users/alice", {"headers": key}),
        (404, "GET", "/v1/nothing", {"headers": key}),
    ]
    for status, method, path, request in cases:
        answer = process.ask(method, path, **request | {"headers": request["headers"] | {"Origin": APP}})
        assert answer.status_code == status, answer.text
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_other_pages_may_not_and_nobody_may_elsewhere(process: Edge, api: Api) -> None:
    key = {"X-API-KEY": api.key}
    for origin in (OTHER, "null", f"{APP}:8443", f"{APP}.example.org", "http://app.example.com"):
        for answer in (
            preflight(process, EVENT, origin),
            process.ask("POST", EVENT, json=ALICE, headers=key | {"Origin": origin}),
        ):
            assert "Access-Control-Allow-Origin" not in answer.headers
    for path in ("/admin-api/v1/metrics", "/admin/login/", "/metrics", "/healthz", "/docs/openapi.yaml"):
        for answer in (preflight(process, path, APP), process.ask("GET", path, headers=key | {"Origin": APP})):
            assert "Access-Control-Allow-Origin" not in answer.headers, path


@pytest.mark.parametrize(
    ("origin", "method", "words"),
    [
        (OTHER, "POST", "Pages of this origin may not call the API here."),
        (APP, "DELETE", "Pages of other origins may use GET, HEAD, POST, PUT, PATCH here, and no other method."),
    ],
)
def test_a_refusal_beforehand_has_the_shape_of_all_errors(process: Edge, origin: str, method: str, words: str) -> None:
    answer = preflight(process, EVENT, origin, method)
    assert (answer.status_code, answer.json()) == (400, {"error": words})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Origin" in answer.headers["Vary"]


def test_nobody_may_by_default(game: Game, api: Api) -> None:
    with edge() as process:
        assert preflight(process, EVENT, APP).status_code == 405
        answer = process.ask("POST", EVENT, json=ALICE, headers={"X-API-KEY": api.key, "Origin": APP})
        assert answer.status_code == 201
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("wrong", ["*", "app.example.com", f"{APP}/", f"{APP}/app", "https://App.example.com", "null"])
def test_an_origin_that_no_browser_sends_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"must be like https://app\.example\.com"):
        read_origins([APP, wrong])
    taken = [APP, "capacitor://localhost", f"{APP}:8443", "http://[::1]:443", "https://app.example.com:80"]
    assert read_origins([f" {APP}", "", *taken[1:]]) == taken


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (f"{APP}:443", f"«{APP}:443» must be {APP}: browsers leave out the usual port."),
        ("http://[::1]:80", "must be http://[::1]: browsers"),
        (f"{APP}:0443", f"must be {APP}: browsers leave out the usual port."),
        (f"{APP}:08443", f"must be {APP}:8443: browsers leave out zeros"),
        (f"{APP}:65536", "it must be from 1 to 65535."),
        (f"{APP}:0", "it must be from 1 to 65535."),
        (f"{APP}:", "must be like https://app.example.com"),
        ("https://a:b:c", "must be like https://app.example.com"),
    ],
)
def test_a_port_that_no_browser_sends_is_refused_with_the_right_one(wrong: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(words)):
        read_origins([APP, wrong])


# --- In a browser ----------------------------------------------------------------------------------------------------
def example(server: str, key: str) -> str:
    """Return the page of the guide, for this server and this key."""
    page = str(re.findall(r"```html\n(.*?)```", GUIDE, re.DOTALL)[0])
    assert page.count("https://points.example.com") == page.count("app_...") == 1
    return page.replace("https://points.example.com", server).replace("app_...", key)


@contextmanager
def website() -> Iterator[tuple[list[str], int]]:
    """Serve a page, which may be put into the list later, at a port."""
    pages: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(pages[-1].encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield pages, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.browser
def test_the_page_of_the_guide_reports_events_from_another_origin(page: Page, game: Game, tmp_path: Path) -> None:
    game.trigger(points=10)
    _, key = create_application_key(external_id="alice")
    with website() as (pages, site):
        # Two names of one machine are two origins.
        named, stranger = f"http://localhost:{site}", f"http://127.0.0.1:{site}"
        with serving(tmp_path, **worker_environment() | {"CORS_ALLOWED_ORIGINS": named, "REDIS_URL": ""}) as port:
            until(lambda: answers(port))
            pages.append(example(f"http://127.0.0.1:{port}", key))
            page.goto(named)
            expect(page.locator("#news")).to_contain_text("not found")
            for total in ("10", "20"):
                page.get_by_role("button", name="I finished a lesson").click()
                expect(page.locator("#total")).to_have_text(total)
                expect(page.locator("#news")).to_have_text("+10")
            page.goto(stranger)
            expect(page.locator("#news")).to_contain_text("Failed to fetch")
    assert Event.objects.count() == 2
