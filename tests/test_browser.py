"""The admin as an operator sees it, in Chromium."""

import csv
import os
import re
import shutil
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from achievements.models import Achievement
from achievements.services import create_achievement
from analytics.rollup import roll_up
from boosts.services import create_boost
from config.demo_badges import draw_badge
from imports.work import work_on_imports
from points.models import PointsTrigger, TriggerStatus
from tests.conftest import Api, Game, make_game
from tests.processes import until
from tests.receiver import listening
from webhooks.courier import Courier
from webhooks.models import Delivery, Endpoint, EndpointHealth
from webhooks.sending import Sender
from webhooks.services import create_endpoint

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


def rows_of(file: Any) -> list[list[str]]:
    """Return the rows of a CSV file as spreadsheets read it: past the mark of its encoding, and without quotes."""
    return list(csv.reader(Path(file).read_text(encoding="utf-8-sig").splitlines()))


def run_on_selected(page: Page, action: str) -> None:
    """Run a bulk action; of a system's page only the tab that is open is seen."""
    page.locator("select[name=action]").locator("visible=true").select_option(action)
    page.get_by_role("button", name="Run").locator("visible=true").click()


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
    run_on_selected(admin_page, "activate_selected")
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
    expect(admin_page.get_by_text("Deactivate «+10 · Lessons completed: every 1»?")).to_be_visible()
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
    admin_page.get_by_role("navigation", name="Points systems").get_by_role("link", name="Energy").click()
    expect(admin_page.get_by_role("row", name="+7")).to_contain_text("New user")
    assert admin_page.get_by_role("button", name="Save").count() == 0


def test_support_explains_an_award_adjusts_with_a_reason_and_reverses_it(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game
) -> None:
    game.trigger(points=10, every=2)
    api.event({"id": "alice", "name": "Alice Adeyemi"}, 5)
    admin_page.goto(f"{live_server.url}/admin/users/enduser/?q=ALICE AD")
    admin_page.get_by_role("link", name="alice").first.click()
    admin_page.get_by_role("link", name="Explain line 1").click()
    expect(admin_page.get_by_text("rose from 0 to 5. The trigger fires at every 2: passed 2, 4.")).to_be_visible()
    expect(admin_page.get_by_text("10 points each time x 2.")).to_be_visible()

    admin_page.get_by_role("link", name="← Alice Adeyemi").click()
    admin_page.get_by_role("link", name="Adjust points").click()
    admin_page.get_by_label("Points", exact=True).fill("30")
    admin_page.get_by_label("Reason").fill("Sorry for the outage")
    admin_page.get_by_role("button", name="See what it does").click()
    expect(admin_page.get_by_text("20 → 50")).to_be_visible()
    admin_page.get_by_role("button", name="Adjust points").click()
    expect(admin_page.get_by_text("+30 XP: the balance is 50.")).to_be_visible()
    assert api.points("alice")["total"] == 50

    admin_page.get_by_role("link", name="Reverse").click()
    expect(admin_page.get_by_label("Reason")).to_have_value("Reversal of line 2: Sorry for the outage")
    admin_page.get_by_role("button", name="Reverse").click()
    expect(admin_page.get_by_role("link", name="Line 2: +30")).to_be_visible()
    assert api.points("alice")["total"] == 20
    admin_page.get_by_role("link", name="Line 2: +30").click()
    expect(admin_page.get_by_role("link", name="Line 3: -30")).to_be_visible()
    expect(admin_page.get_by_role("link", name="Reverse", exact=True)).to_have_count(0)


def run_on_row(page: Page, name: str, action: str) -> None:
    """Choose an action from a row's menu."""
    row = page.get_by_role("row", name=name)
    row.locator("td.field-actions_holder span.material-symbols-outlined").first.click()
    page.get_by_role("link", name=action).click()


def test_an_operator_makes_a_boost_activates_it_and_finishes_it(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game
) -> None:
    game.trigger(points=10)
    admin_page.goto(f"{live_server.url}/admin/points/pointssystem/{game.xp.id}/change/#dataset-boost")
    admin_page.get_by_role("link", name="Add boost").click()
    admin_page.fill("#id_name", "Double XP")
    admin_page.fill("#id_multiplier", "2")
    admin_page.fill("#id_start", str(timezone.now().astimezone(UTC).date()))
    admin_page.get_by_role("button", name="Save", exact=True).click()
    expect(admin_page.get_by_text("The boost is inactive")).to_be_visible()
    expect(admin_page.get_by_role("row", name="Double XP")).to_contain_text("x2")

    admin_page.goto(f"{live_server.url}/admin/boosts/boost/")
    run_on_row(admin_page, "Double XP", "Activate")
    admin_page.get_by_role("button", name="Activate").click()
    expect(admin_page.get_by_text("1 activated.")).to_be_visible()
    assert api.event("alice").json()["points"]["xp"]["added"] == 20

    run_on_row(admin_page, "Double XP", "Finish now")
    expect(admin_page.get_by_text("That is final")).to_be_visible()
    admin_page.get_by_role("button", name="Finish now").click()
    expect(admin_page.get_by_text("1 finished.")).to_be_visible()
    assert api.event("alice").json()["points"]["xp"]["added"] == 10
    admin_page.get_by_role("link", name="Double XP").click()
    expect(admin_page.get_by_text("A finished boost cannot be changed")).to_be_visible()


def test_finishing_boosts_on_the_system_s_page_asks_first(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    create_boost(system=game.xp, name="Double XP", multiplier=2, start=timezone.now().date(), status="active")
    admin_page.goto(f"{live_server.url}/admin/points/pointssystem/{game.xp.id}/change/#dataset-boost")
    admin_page.get_by_role("row", name="Double XP").get_by_role("checkbox").check()
    run_on_selected(admin_page, "finish_selected")
    expect(admin_page.get_by_text("Finish these boosts now?")).to_be_visible()
    admin_page.get_by_role("button", name="Finish now").click()
    expect(admin_page.get_by_text("1 finished.")).to_be_visible()


def test_sorting_a_tab_cancelling_and_the_actions_of_its_rows_stay_in_it(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    create_boost(system=game.xp, name="Alpha", multiplier=2, start=timezone.now().date())
    create_boost(system=game.xp, name="Beta", multiplier=3, start=timezone.now().date(), status="active")
    admin_page.goto(f"{live_server.url}/admin/points/pointssystem/{game.xp.id}/change/#dataset-boost")
    names = admin_page.locator("#dataset-boost-group .field-name").locator("visible=true")
    expect(names).to_have_text(["Beta", "Alpha"])
    admin_page.locator("#dataset-boost-group").get_by_role("link", name="Name").click()
    expect(names).to_have_text(["Alpha", "Beta"])

    admin_page.get_by_role("row", name="Beta").get_by_role("checkbox").check()
    run_on_selected(admin_page, "finish_selected")
    expect(admin_page.get_by_text("Finish these boosts now?")).to_be_visible()
    admin_page.get_by_role("link", name="Cancel").click()
    expect(names).to_have_text(["Alpha", "Beta"])

    run_on_row(admin_page, "Alpha", "Activate")
    expect(admin_page.get_by_text("Activate «Alpha»?")).to_be_visible()
    admin_page.get_by_role("button", name="Activate").click()
    expect(admin_page.get_by_text("1 activated.")).to_be_visible()
    expect(names).to_have_text(["Alpha", "Beta"])

    admin_page.get_by_role("row", name="Beta").get_by_role("checkbox").check()
    run_on_selected(admin_page, "finish_selected")
    admin_page.get_by_role("button", name="Finish now").click()
    expect(admin_page.get_by_text("1 finished.")).to_be_visible()
    expect(names).to_have_text(["Alpha", "Beta"])


def test_what_is_no_image_is_said_to_be_none_before_it_is_saved(
    admin_page: Page, live_server: LiveServer, tmp_path: Path
) -> None:
    text, image = tmp_path / "notes.txt", tmp_path / "gold.png"
    text.write_text("not an image")
    image.write_bytes(draw_badge("seal", "gold", "star").read())
    admin_page.goto(f"{live_server.url}/admin/points/pointssystem/add/")
    chosen = admin_page.get_by_alt_text("Chosen badge")
    for file, is_image in ((text, False), (image, True), (text, False)):
        admin_page.set_input_files("#id_badge", file)
        expect(chosen).to_be_visible(visible=is_image)
        expect(admin_page.get_by_text("This file is not an image")).to_be_visible(visible=not is_image)


def test_a_hidden_field_that_is_wrong_keeps_no_trigger_from_being_saved(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    admin_page.goto(f"{live_server.url}/admin/points/pointstrigger/add/?system={game.xp.id}")
    admin_page.select_option("#id_type", "streak")
    admin_page.fill("#id_streak_length", "-5")
    admin_page.select_option("#id_type", "metric")
    admin_page.fill("#id_points", "5")
    choose(admin_page, "metric", "Lessons")
    admin_page.fill("#id_metric_threshold", "3")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    expect(admin_page.get_by_role("row", name="Lessons completed: every 3")).to_be_visible()


@pytest.mark.parametrize("page_", ["levels/level/add/?system={}", "points/pointssystem/{}/change/"])
def test_a_chosen_badge_is_shown_at_once_and_after_saving(
    page_: str, admin_page: Page, live_server: LiveServer, game: Game, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    file = tmp_path / "gold.png"
    file.write_bytes(draw_badge("seal", "gold", "star").read())
    admin_page.goto(f"{live_server.url}/admin/{page_.format(game.xp.id)}")
    admin_page.fill("#id_name", "Gold")
    if page_.startswith("levels"):
        admin_page.fill("#id_key", "gold")
        admin_page.fill("#id_points", "100")
    admin_page.set_input_files("#id_badge", file)
    chosen = admin_page.get_by_role("img", name="Chosen badge")
    expect(chosen).to_be_visible()
    assert chosen.evaluate("image => image.decode().then(() => image.naturalWidth)") == 256
    expect(admin_page.get_by_label("Chosen image")).to_have_value("gold.png")
    admin_page.get_by_role("button", name="Save and continue editing").click()
    stored = admin_page.get_by_role("img", name="Badge", exact=True)
    expect(stored).to_be_visible()
    assert stored.evaluate("image => image.decode().then(() => image.naturalWidth)") == 256


def test_an_achievement_is_activated_once_the_operator_saw_whom_it_goes_to(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game
) -> None:
    for user in ("alice", "bob"):
        api.event(user, 12)
    admin_page.goto(f"{live_server.url}/admin/achievements/achievement/add/")
    admin_page.fill("#id_name", "Bookworm")
    choose(admin_page, "metric", "Lessons")
    admin_page.fill("#id_metric_value", "10")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    goal = Achievement.objects.get()
    game.trigger(25, type="achievement", metric=None, metric_threshold=None, achievement=goal)
    run_on_row(admin_page, "Bookworm", "Activate")
    expect(admin_page.get_by_text("2 users qualify already. Points in all: +50 XP")).to_be_visible()
    admin_page.get_by_role("button", name="Activate").click()
    expect(admin_page.get_by_text("1 activated.")).to_be_visible()
    assert Achievement.objects.get().status == "active"


def test_the_form_of_an_achievement_shows_what_its_type_needs(admin_page: Page, live_server: LiveServer) -> None:
    create_achievement(name="Bookworm", type="streak", streak_length=3)
    admin_page.goto(f"{live_server.url}/admin/achievements/achievement/add/")
    shown = {
        "metric": "#id_metric_value",
        "streak": "#id_streak_length",
        "api": "#id_key",
        "achievement": "#prerequisites-group",
    }
    for type_ in shown:
        admin_page.select_option("#id_type", type_)
        for other, field in shown.items():
            expect(admin_page.locator(field)).to_be_visible(visible=other == type_)
    admin_page.fill("#id_name", "Scholar")
    admin_page.get_by_role("link", name="Add another Prerequisite").click()
    choose(admin_page, "prerequisites-0-prerequisite", "Bookworm")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    expect(admin_page.get_by_role("row", name="Scholar")).to_contain_text("All of: Bookworm")


def test_the_streak_settings_open_from_the_sidebar(admin_page: Page, game: Game) -> None:
    admin_page.get_by_role("link", name="Streaks").first.click()
    admin_page.select_option("#id_frequency", "weekly")
    admin_page.get_by_role("link", name="Add another Metric").click()
    choose(admin_page, "metrics-0-metric", "Lessons")
    admin_page.fill("#id_metrics-0-threshold", "2.5")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    expect(admin_page.locator("#id_metrics-0-threshold")).to_have_value("2.5")
    expect(admin_page.locator("#id_frequency")).to_have_value("weekly")


def test_an_operator_makes_an_application_key_and_revokes_it(admin_page: Page, game: Game) -> None:
    admin_page.get_by_role("link", name="Application keys").first.click()
    admin_page.get_by_role("link", name="Add application key").click()
    admin_page.fill("#id_external_id", "alice")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    app = Api(admin_page.locator("#new-api-key").inner_text())
    expect(admin_page.get_by_role("row", name="alice")).to_contain_text("never")
    assert app.event("alice").status_code == 201
    run_on_row(admin_page, "alice", "Revoke")
    expect(admin_page.get_by_text("That is final")).to_be_visible()
    admin_page.get_by_role("button", name="Revoke").click()
    expect(admin_page.get_by_text("1 revoked")).to_be_visible()
    assert app.event("alice").status_code == 401


def deliver_all() -> None:
    """Send webhooks, as a worker does, until nothing waits."""
    courier = Courier(Sender())

    def is_done() -> bool:
        courier.work()
        statuses = set(Delivery.objects.values_list("status", flat=True))
        return bool(statuses) and statuses <= {"delivered", "failed"}

    until(is_done)
    courier.finish()


def test_an_operator_makes_an_endpoint_tries_it_rotates_its_secret_and_replays(
    admin_page: Page, live_server: LiveServer, game: Game, settings: Any
) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = {"127.0.0.1"}
    with listening() as receiver:
        admin_page.goto(f"{live_server.url}/admin/webhooks/endpoint/")
        admin_page.get_by_role("link", name="Add endpoint").first.click()
        admin_page.fill("#id_name", "CRM")
        admin_page.fill("#id_url", receiver.url)
        admin_page.get_by_label("Points changed").check()
        admin_page.get_by_role("button", name="Save", exact=True).click()
        secret = admin_page.locator("#new-secret").inner_text()
        assert Endpoint.objects.get().signing_secrets == (secret,)

        run_on_row(admin_page, "CRM", "Send test event")
        admin_page.get_by_role("button", name="Send").click()
        expect(admin_page.get_by_text("The test event is on its way.")).to_be_visible()
        expect(admin_page.locator("#new-secret")).to_have_count(0)
        deliver_all()
        admin_page.get_by_role("link", name="The log").click()
        expect(admin_page.get_by_role("row", name="CRM")).to_contain_text("DELIVERED", ignore_case=True)
        admin_page.locator("#result_list a").first.click()
        expect(admin_page.locator("#body")).to_contain_text("endpoint.test")
        admin_page.get_by_role("link", name="Replay").click()
        expect(admin_page.get_by_text("Replay this message?")).to_be_visible()
        admin_page.get_by_role("button", name="Replay").click()
        expect(admin_page.get_by_text("1 message is delivered once more.")).to_be_visible()
        deliver_all()
        first, again = (each.headers["webhook-id"] for each in receiver.received)
        assert first == again

    admin_page.get_by_role("link", name="CRM", exact=True).click()
    admin_page.locator("li a", has_text="Secret").click()
    admin_page.get_by_role("link", name="Rotate secret").click()
    admin_page.get_by_role("button", name="Rotate").click()
    new = admin_page.locator("#new-secret").inner_text()
    expect(admin_page.get_by_text("Two secrets sign what is sent.")).to_be_visible()
    assert Endpoint.objects.get().signing_secrets == (new, secret)
    admin_page.locator("li a", has_text="Send again").click()
    admin_page.get_by_role("link", name="Replay all failed").click()
    expect(admin_page.get_by_label("Given up since (UTC)")).not_to_have_value("")
    admin_page.get_by_role("button", name="Replay").click()
    expect(admin_page.get_by_text("Nothing to replay")).to_be_visible()


def test_an_import_is_checked_shown_to_be_wrong_corrected_confirmed_and_watched(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game, tmp_path: Path
) -> None:
    api.send("POST", "/v1/users", {"id": "alice"})
    file = tmp_path / "goodwill.csv"

    def upload(lines: str) -> None:
        file.write_text(f"user,system,points,reason\n{lines}\n")
        expect(admin_page.locator("#id_again")).to_be_hidden()
        admin_page.select_option("#id_kind", "adjustments")
        expect(admin_page.locator("#id_again")).to_be_visible()
        admin_page.set_input_files("#id_file", file)
        admin_page.get_by_role("button", name="Upload and check").click()
        expect(admin_page.get_by_text("0 of 1 row checked.")).to_be_visible()
        work_on_imports()

    admin_page.get_by_role("link", name="Imports").first.click()
    admin_page.get_by_role("link", name="Add import").last.click()
    upload("alice,xp,many,Sorry")
    # Nothing is clicked here: the page asks for what is new by itself.
    expect(admin_page.get_by_role("row", name="points must be a whole number")).to_be_visible()
    expect(admin_page.get_by_role("button", name="Import")).to_have_count(0)

    admin_page.get_by_role("link", name="Upload another file").click()
    expect(admin_page.locator("#id_kind")).to_have_value("adjustments")
    admin_page.select_option("#id_kind", "users")
    upload("alice,xp,50,Sorry")
    expect(admin_page.get_by_text("50 xp given")).to_be_visible()
    assert api.points("alice")["total"] == 0
    admin_page.get_by_role("button", name="Import 1 row").click()
    expect(admin_page.get_by_text("0 of 1 row imported.")).to_be_visible()
    work_on_imports()
    expect(admin_page.get_by_text("1 row imported.", exact=True)).to_be_visible()
    assert api.points("alice")["total"] == 50


def test_the_users_that_were_found_are_exported(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game
) -> None:
    for user in ("alice", "bob"):
        api.send("POST", "/v1/users", {"id": user})
    admin_page.goto(f"{live_server.url}/admin/users/enduser/?q=ali")
    admin_page.get_by_role("link", name="Export").click()
    with admin_page.expect_download() as download:
        admin_page.get_by_role("button", name="Submit").click()
    assert [row[0] for row in rows_of(download.value.path())] == ["id", "alice"]


def test_the_api_reference_loads_without_any_other_server(page: Page, live_server: LiveServer) -> None:
    others: list[str] = []
    page.on(
        "request",
        lambda request: None if request.url.startswith((live_server.url, "data:")) else others.append(request.url),
    )
    page.goto(f"{live_server.url}/docs/")
    expect(page.get_by_text("Report an event")).to_be_visible()
    assert others == []


def test_an_event_is_seen_in_the_analytics_of_its_points_system_within_5_seconds(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game
) -> None:
    game.trigger(points=10)
    api.event("alice", 1)
    roll_up()
    admin_page.get_by_role("link", name="Analytics of XP").click()
    awarded = admin_page.locator("#analytics .cards > div").first
    expect(awarded).to_contain_text("Points awarded 10")
    api.event("bob", 4)
    sent = time.monotonic()
    admin_page.get_by_role("link", name="7 days").click()
    expect(admin_page).to_have_url(re.compile(r"\?days=7$"))
    expect(awarded).to_contain_text("Points awarded 50")
    assert time.monotonic() - sent < 5
    # The chart is drawn, and its table opens by keyboard.
    drawn = "canvas => Chart.getChart(canvas).data.datasets[1].data.at(-1)"
    assert admin_page.locator("#points canvas").evaluate(drawn) == 50
    admin_page.locator("#points summary").press("Enter")
    expect(admin_page.locator("#points").get_by_role("row").last).to_contain_text("50")
    with admin_page.expect_download() as download:
        admin_page.get_by_role("link", name="Points over time as CSV").click()
    assert rows_of(download.value.path())[-1][1] == "50"
    admin_page.set_viewport_size({"width": 390, "height": 800})
    # Charts follow the page a moment later.
    admin_page.wait_for_function("document.documentElement.scrollWidth <= 390")


# --- Back ------------------------------------------------------------------------------------------------------------
def test_back_to_a_form_shows_the_fields_of_the_type_that_it_shows(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    admin_page.goto(f"{live_server.url}/admin/points/pointstrigger/add/?system={game.xp.id}")
    admin_page.select_option("#id_type", "streak")
    admin_page.fill("#id_points", "15")
    admin_page.fill("#id_streak_length", "7")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    expect(admin_page.get_by_text("Streak: every 7").first).to_be_visible()
    admin_page.go_back()
    admin_page.wait_for_load_state()
    is_streak = admin_page.locator("#id_type").input_value() == "streak"
    expect(admin_page.locator("#id_streak_length")).to_be_visible(visible=is_streak)
    expect(admin_page.locator("#id_metric_threshold")).to_be_visible(visible=not is_streak)
    assert is_streak


def test_back_between_tabs_opens_the_tab_that_the_address_names(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    admin_page.goto(f"{live_server.url}/admin/points/pointssystem/{game.xp.id}/change/")
    tabs = {name: admin_page.locator(f"#dataset-{name}-group").first for name in ("pointstrigger", "boost")}
    admin_page.get_by_role("link", name="Triggers", exact=True).last.click()
    admin_page.get_by_role("link", name="Boosts", exact=True).last.click()
    expect(tabs["boost"]).to_be_visible()
    admin_page.go_back()
    expect(tabs["pointstrigger"]).to_be_visible()
    expect(tabs["boost"]).to_be_hidden()
    admin_page.go_back()
    expect(admin_page.locator("#id_name")).to_be_visible()
    expect(tabs["pointstrigger"]).to_be_hidden()
    admin_page.go_forward()
    expect(tabs["pointstrigger"]).to_be_visible()


def test_back_to_a_filter_shows_what_the_list_was_filtered_by(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    admin_page.goto(f"{live_server.url}/admin/changes/")
    by = admin_page.locator("form[method=get] input[name=by]")
    by.fill("nobody")
    by.press("Enter")
    expect(admin_page.get_by_text("No change is like that")).to_be_visible()
    admin_page.go_back()
    expect(admin_page.get_by_text("No change is like that")).to_be_hidden()
    expect(by).to_have_value("")


HEIGHTS = "cells => cells.map(cell => cell.getBoundingClientRect().height)"
LABEL_HEIGHTS = "cells => cells.map(cell => parseFloat(getComputedStyle(cell, '::before').height) || 0)"


@pytest.mark.parametrize("width", [1440, 390])
def test_a_name_of_255_letters_breaks_no_page_and_is_shown_whole_where_it_is_cut(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game, width: int
) -> None:
    name = "W" * 255
    for row in (game.lessons, game.xp, game.plan):
        type(row)._default_manager.filter(pk=row.pk).update(name=name)
    game.trigger(points=10)
    api.event({"id": "W" * 200, "name": name}, 1)
    admin_page.set_viewport_size({"width": width, "height": 900})
    lists = ("points/pointstrigger", "users/enduser", "metrics/metric", "points/pointssystem", "users/attribute")
    for address in ("", *(f"{model}/" for model in lists), "boost-calendar/"):
        admin_page.goto(f"{live_server.url}/admin/{address}")
        assert admin_page.evaluate("document.documentElement.scrollWidth") <= width, address
    if width == 1440:
        admin_page.goto(f"{live_server.url}/admin/metrics/metric/")
        cell = admin_page.locator("#result_list th").filter(has_text=name)
        assert (cell.bounding_box() or {"width": width})["width"] < 400
        cell.hover()
        expect(admin_page.locator(f"[title='{name}']")).to_have_count(1)
    for address, field in (("users/enduser", "name"), ("points/pointssystem", "shown_system")):
        admin_page.goto(f"{live_server.url}/admin/{address}/")
        line = admin_page.locator("#result_list tr.data-row").filter(has_text=name)
        assert max(line.locator(":scope > *").evaluate_all(HEIGHTS)) < (60 if width == 1440 else 90), address
        assert max(line.locator("[data-label]").evaluate_all(LABEL_HEIGHTS)) < 30, address
        line.locator(f".field-{field}").locator(":text-is('" + name + "')").last.hover()
        expect(line.locator(f"[title='{name}']")).to_have_count(1)
    circle = line.get_by_text(name[:2], exact=True)
    assert (circle.bounding_box() or {"width": 0})["width"] == 32


@pytest.mark.parametrize("width", [1440, 390])
def test_the_name_of_an_endpoint_is_read_whole_beside_all_that_can_be_done_with_it(
    admin_page: Page, live_server: LiveServer, width: int
) -> None:
    endpoint, _ = create_endpoint(name="Warehouse of events", url="https://example.com/", types=["points.changed"])
    EndpointHealth.objects.create(endpoint=endpoint, failing_since=timezone.now())
    admin_page.set_viewport_size({"width": width, "height": 900})
    admin_page.goto(f"{live_server.url}/admin/webhooks/endpoint/{endpoint.id}/change/")
    name = admin_page.locator("h1 a").last
    expect(name).to_have_text("Warehouse of events")
    assert name.evaluate("name => name.scrollWidth <= name.clientWidth")
