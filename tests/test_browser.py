"""The admin as an operator sees it, in Chromium."""

import os
import shutil
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from points.models import PointsTrigger, TriggerStatus
from tests.conftest import Api, Game, make_game

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Playwright runs an event loop in the tests' own thread, where Django would refuse to use the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Use the system's Chromium, quietly; without its sandbox where the tests run as root."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "The browser tests need Chromium: apt-get install chromium"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    return {"executable_path": path, "args": [*quiet, *(["--no-sandbox"] if os.geteuid() == 0 else [])]}


@pytest.fixture
def game(transactional_db: None) -> Game:
    return make_game()


@pytest.fixture
def admin_page(page: Page, live_server: LiveServer, game: Game) -> Page:
    """Return a page on which the operator has just logged in; it fails the test on any error of JavaScript."""
    User.objects.create_superuser("olivia", password="correct horse battery")
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", "olivia")
    page.fill("#id_password", "correct horse battery")
    page.press("#id_password", "Enter")
    expect(page).to_have_title("Site administration | Pointsmith")
    return page


def choose(page: Page, field: str, text: str) -> None:
    """Choose from a field that completes what is typed."""
    page.locator(f"#select2-id_{field}-container").click()
    page.locator(".select2-search__field").fill(text)
    page.locator(".select2-results__option", has_text=text).first.click()


def test_an_operator_makes_a_trigger_from_the_system_s_page_and_activates_it_there(
    admin_page: Page, api: Api, game: Game
) -> None:
    admin_page.get_by_role("link", name="Points systems").first.click()
    admin_page.get_by_role("link", name="XP").first.click()
    admin_page.get_by_role("link", name="Triggers", exact=True).last.click()
    admin_page.get_by_role("link", name="Add trigger").click()
    admin_page.fill("#id_points", "15")
    choose(admin_page, "metric", "Lessons")
    admin_page.fill("#id_metric_threshold", "2")
    admin_page.get_by_role("button", name="Save", exact=True).click()

    row = admin_page.get_by_role("row", name="Lessons completed: every 2")
    expect(row).to_contain_text("INACTIVE", ignore_case=True)
    row.get_by_role("checkbox").check()
    admin_page.locator("select[name=action]").select_option("activate_selected")
    admin_page.get_by_role("button", name="Run").click()
    expect(admin_page.get_by_text("1 activated.")).to_be_visible()
    assert api.event("alice", 4).json()["points"]["xp"]["added"] == 30


def test_the_form_shows_a_metric_s_fields_only_for_a_metric_trigger(admin_page: Page, live_server: LiveServer) -> None:
    admin_page.goto(f"{live_server.url}/admin/points/pointstrigger/add/")
    expect(admin_page.locator("#id_metric_threshold")).to_be_visible()
    admin_page.select_option("#id_type", "user_creation")
    expect(admin_page.locator("#id_metric_threshold")).to_be_hidden()


def test_a_row_s_menu_deactivates_a_trigger_after_asking(admin_page: Page, live_server: LiveServer, game: Game) -> None:
    game.trigger(points=10)
    admin_page.goto(f"{live_server.url}/admin/points/pointstrigger/")
    admin_page.locator("td.field-actions_holder span.material-symbols-outlined").first.click()
    admin_page.get_by_role("link", name="Deactivate").click()
    expect(admin_page.get_by_text("Deactivate this trigger?")).to_be_visible()
    admin_page.get_by_role("button", name="Deactivate").click()
    expect(admin_page.get_by_text("1 deactivated.")).to_be_visible()
    assert PointsTrigger.objects.get().status == TriggerStatus.INACTIVE


def test_a_user_s_page_shows_what_they_hold_and_why(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game
) -> None:
    game.trigger(points=10)
    game.creation_trigger(points=7, system=game.energy)
    api.event({"id": "alice", "name": "Alice Adeyemi"}, 3)
    admin_page.goto(f"{live_server.url}/admin/users/enduser/?q=ali")
    admin_page.get_by_role("link", name="alice").first.click()
    expect(admin_page.get_by_role("row", name="+30")).to_contain_text("Lessons completed: every 1")
    admin_page.get_by_role("link", name="Energy").click()
    expect(admin_page.get_by_role("row", name="+7")).to_contain_text("New user")
    assert admin_page.get_by_role("button", name="Save").count() == 0


def test_the_api_reference_loads_without_any_other_server(page: Page, live_server: LiveServer) -> None:
    others: list[str] = []
    page.on(
        "request",
        lambda request: None if request.url.startswith((live_server.url, "data:")) else others.append(request.url),
    )
    page.goto(f"{live_server.url}/docs/")
    expect(page.get_by_text("Report an event")).to_be_visible()
    assert others == []
