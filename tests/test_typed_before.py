"""What was typed into a form of the admin is back after its saving was refused, in Chromium."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.signals import post_save
from playwright.sync_api import Dialog, Page, expect
from pytest_django.live_server_helper import LiveServer

from boosts.models import Boost
from boosts.services import create_boost, update_boost
from config.demo_badges import draw_badge
from core.refused import AWAY, refused
from core.services import create_checked
from metrics.models import Metric
from points.models import PointsAward, PointsTrigger
from streaks.models import StreakMetric, StreakSettings
from tests.conftest import Api, Game
from tests.test_browser import admin_page as admin_page  # noqa: PLC0414 - fixtures
from tests.test_browser import browser_type_launch_args as browser_type_launch_args  # noqa: PLC0414
from tests.test_browser import choose
from tests.test_browser import game as game  # noqa: PLC0414
from users.models import Attribute, EndUser

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def log_in(page: Page, name: str = "olivia") -> None:
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")


def send_after_the_session_expired(page: Page, button: str = "Save") -> None:
    Session.objects.all().delete()
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator("#login-form")).to_be_visible()


def expect_notice(page: Page, *, is_partial: bool = False) -> None:
    expect(page.get_by_text("What you typed before is back; it is not saved yet.")).to_be_visible()
    expect(page.get_by_text("Give again what could not be kept")).to_be_visible(visible=is_partial)


def expect_no_notice(page: Page) -> None:
    expect(page.locator("form [data-operator]")).to_have_count(1)
    expect(page.get_by_text("What you typed before is back")).to_be_hidden()


def kept(page: Page) -> Any:
    """Return all that the browser keeps of forms in this tab."""
    return page.evaluate("Object.entries(sessionStorage).filter(([key]) => key.startsWith('typed-before:'))")


def test_a_form_that_adds_is_back_after_the_login_and_is_stored_once(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    address = f"{live_server.url}/admin/points/pointstrigger/add/?system={game.xp.id}"
    admin_page.goto(address)
    admin_page.fill("#id_points", "15")
    choose(admin_page, "metric", "Lessons")
    admin_page.fill("#id_metric_threshold", "2")
    send_after_the_session_expired(admin_page)
    assert not PointsTrigger.objects.exists()
    log_in(admin_page)
    expect(admin_page).to_have_url(address)
    expect_notice(admin_page)
    expect(admin_page.locator("#id_points")).to_have_value("15")
    expect(admin_page.locator("#select2-id_metric-container")).to_contain_text("Lessons completed")
    save(admin_page)
    expect(admin_page.get_by_text("Lessons completed: every 2").first).to_be_visible()
    trigger = PointsTrigger.objects.get()
    assert (trigger.points, trigger.metric_threshold) == (15, 2)
    assert kept(admin_page) == []
    admin_page.goto(address)
    expect_no_notice(admin_page)
    expect(admin_page.locator("#id_points")).not_to_have_value("15")


def test_a_form_that_changes_is_back_and_still_notices_what_others_changed(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    country = create_checked(Attribute, name="Country", key="country", type="user")
    boost = create_boost(
        system=game.xp, name="Summer", multiplier="2", start="2030-06-01", user_filters=[(game.plan, "free")]
    )
    admin_page.goto(f"{live_server.url}/admin/boosts/boost/{boost.pk}/change/")
    admin_page.fill("#id_name", "High summer")
    admin_page.fill("#id_end", "2030-08-31")
    admin_page.select_option("#id_rounding", "up")
    admin_page.fill("#id_filters-0-value", "pro")
    admin_page.get_by_role("link", name="Add another Filter").click()
    admin_page.select_option("#id_filters-1-attribute", str(country.pk))
    admin_page.fill("#id_filters-1-value", "no")
    send_after_the_session_expired(admin_page)
    update_boost(boost=Boost.objects.get(), multiplier="3")
    log_in(admin_page)
    expect_notice(admin_page)
    for field, value in (
        ("name", "High summer"),
        ("end", "2030-08-31"),
        ("rounding", "up"),
        ("filters-0-value", "pro"),
        ("filters-1-value", "no"),
    ):
        expect(admin_page.locator(f"#id_{field}")).to_have_value(value)
    save(admin_page)
    expect(admin_page.get_by_text("this was changed while the page was open")).to_be_visible()
    expect(admin_page.locator("#id_multiplier")).to_have_value("3")
    expect(admin_page.locator("#id_name")).to_have_value("High summer")
    save(admin_page)
    expect(admin_page.get_by_role("row", name="High summer")).to_be_visible()
    stored = Boost.objects.get()
    assert (stored.name, stored.multiplier, str(stored.end), stored.rounding) == ("High summer", 3, "2030-08-31", "up")
    assert sorted(stored.filters.values_list("value", flat=True)) == ["no", "pro"]


def test_rows_are_back_where_they_belong_if_others_added_and_removed_some(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    settings = StreakSettings.objects.create(id=1)
    lessons = StreakMetric.objects.create(settings=settings, metric=game.lessons, threshold=1)
    flashcards = StreakMetric.objects.create(settings=settings, metric=game.flashcards, threshold=1)
    pages = Metric.objects.create(name="Pages read", key="pages")
    admin_page.goto(f"{live_server.url}/admin/streaks/streaksettings/1/change/")
    admin_page.select_option("#id_frequency", "weekly")
    row_of = {admin_page.locator(f"#id_metrics-{n}-id").input_value(): n for n in (0, 1)}
    admin_page.fill(f"#id_metrics-{row_of[str(flashcards.pk)]}-threshold", "7")
    admin_page.get_by_role("link", name="Add another Metric").click()
    choose(admin_page, "metrics-2-metric", "Pages read")
    admin_page.fill("#id_metrics-2-threshold", "20")
    send_after_the_session_expired(admin_page)
    lessons.delete()
    log_in(admin_page)
    expect_notice(admin_page, is_partial=True)
    expect(admin_page.locator("#id_frequency")).to_have_value("weekly")
    expect(admin_page.locator("#id_metrics-0-threshold")).to_have_value("7")
    expect(admin_page.locator("#select2-id_metrics-1-metric-container")).to_contain_text("Pages read")
    save(admin_page)
    expect(admin_page.get_by_text("this was changed while the page was open")).to_be_visible()
    save(admin_page)
    expect(admin_page.get_by_text("was changed successfully")).to_be_visible()
    assert dict(StreakMetric.objects.values_list("metric__key", "threshold")) == {"flashcards": 7, pages.key: 20}


def test_ticks_are_back_and_those_that_were_taken_out_stay_out(admin_page: Page, live_server: LiveServer) -> None:
    admin_page.goto(f"{live_server.url}/admin/webhooks/endpoint/add/")
    admin_page.fill("#id_name", "CRM")
    admin_page.fill("#id_url", "https://crm.example/hook")
    admin_page.get_by_label("Points changed").check()
    admin_page.get_by_label("Level changed").check()
    admin_page.get_by_label("Level changed").uncheck()
    send_after_the_session_expired(admin_page)
    log_in(admin_page)
    expect_notice(admin_page)
    expect(admin_page.locator("#id_name")).to_have_value("CRM")
    expect(admin_page.get_by_label("Points changed")).to_be_checked()
    expect(admin_page.locator("#id_types input:checked")).to_have_count(1)


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_an_adjustment_is_back_in_its_first_form_and_moves_nothing_until_it_is_confirmed(
    admin_page: Page, live_server: LiveServer, api: Api, game: Game, is_confirmed: bool
) -> None:
    api.send("POST", "/v1/users", {"id": "alice"})
    address = f"{live_server.url}/admin/users/enduser/{EndUser.objects.get().pk}/adjust/"
    admin_page.goto(address)
    admin_page.select_option("#id_system", "energy")
    admin_page.fill("#id_points", "5")
    admin_page.fill("#id_reason", "Sorry")
    if is_confirmed:
        admin_page.get_by_role("button", name="See what it does").click()
        send_after_the_session_expired(admin_page, "Adjust points")
    else:
        send_after_the_session_expired(admin_page, "See what it does")
    log_in(admin_page)
    expect(admin_page).to_have_url(address)
    expect_notice(admin_page)
    for field, value in (("system", "energy"), ("points", "5"), ("reason", "Sorry")):
        expect(admin_page.locator(f"#id_{field}")).to_have_value(value)
    assert not PointsAward.objects.exists()
    admin_page.get_by_role("button", name="See what it does").click()
    expect(admin_page.get_by_text("0 → 5")).to_be_visible()
    assert not PointsAward.objects.exists()
    admin_page.get_by_role("button", name="Adjust points").click()
    expect(admin_page.get_by_text("+5 Energy: the balance is 5.")).to_be_visible()
    assert PointsAward.objects.count() == 1


def refuse_for_its_secret(page: Page, address: str) -> None:
    page.context.clear_cookies(name="csrftoken")
    save(page)
    expect(page.get_by_text("This form cannot be sent any more")).to_be_visible()


def refuse_as_if_the_database_were_away(page: Page, address: str) -> None:
    body = refused(503, AWAY, "Nothing was saved.", again=True).content
    page.route(address, lambda route: route.fulfill(status=503, content_type="text/html", body=body), times=1)
    save(page)
    expect(page.get_by_text(AWAY)).to_be_visible()


@pytest.mark.parametrize("refuse", [refuse_for_its_secret, refuse_as_if_the_database_were_away])
@pytest.mark.parametrize("way_back", ["Try again", "Back"])
def test_what_a_page_refused_is_back_at_the_next_try(
    admin_page: Page, live_server: LiveServer, refuse: Callable[[Page, str], None], way_back: str
) -> None:
    address = f"{live_server.url}/admin/metrics/metric/add/"
    admin_page.goto(address)
    admin_page.fill("#id_name", "Pages read")
    admin_page.fill("#id_key", "books")
    refuse(admin_page, address)
    if way_back == "Back":
        admin_page.go_back()
    else:
        admin_page.get_by_role("link", name="Try again").click()
    expect_notice(admin_page)
    expect(admin_page.locator("#id_name")).to_have_value("Pages read")
    expect(admin_page.locator("#id_key")).to_have_value("books")
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    admin_page.once("dialog", leave)
    admin_page.locator("#id_name").click()  # browsers ask only who did something on the page
    admin_page.goto(f"{live_server.url}/admin/")
    assert asked == ["beforeunload"]
    assert Metric.objects.filter(key="books").count() == 0


def test_what_one_operator_typed_is_not_shown_to_another_and_is_forgotten(
    admin_page: Page, live_server: LiveServer
) -> None:
    User.objects.create_superuser("peter", password=PASSWORD)
    address = f"{live_server.url}/admin/metrics/metric/add/"
    admin_page.goto(address)
    admin_page.fill("#id_name", "Pages read")
    send_after_the_session_expired(admin_page)
    assert "Pages read" in str(kept(admin_page))
    log_in(admin_page, "peter")
    expect(admin_page).to_have_url(address)
    expect_no_notice(admin_page)
    expect(admin_page.locator("#id_name")).to_have_value("")
    assert kept(admin_page) == []


def test_what_was_typed_is_forgotten_with_the_logout_and_after_a_day(admin_page: Page, live_server: LiveServer) -> None:
    address = f"{live_server.url}/admin/metrics/metric/add/"
    for forget in ("logout", "a day"):
        admin_page.goto(address)
        admin_page.fill("#id_name", "Pages read")
        admin_page.context.clear_cookies(name="csrftoken")
        save(admin_page)
        expect(admin_page.locator("#refused")).to_be_visible()
        assert "Pages read" in str(kept(admin_page))
        if forget == "logout":
            admin_page.goto(f"{live_server.url}/admin/")
            admin_page.locator("#logout-form").evaluate("form => form.requestSubmit()")
            admin_page.wait_for_url(re.compile("logout"))
            assert kept(admin_page) == []
            admin_page.goto(address)
            log_in(admin_page)
        else:
            admin_page.clock.install(time=time.time() + 25 * 60 * 60)
            admin_page.goto(address)
            assert kept(admin_page) == []
        expect_no_notice(admin_page)
        expect(admin_page.locator("#id_name")).to_have_value("")


def test_passwords_and_files_are_not_kept_and_the_form_says_so(
    admin_page: Page, live_server: LiveServer, tmp_path: Path
) -> None:
    admin_page.goto(f"{live_server.url}/admin/auth/user/add/")
    admin_page.fill("#id_username", "peter")
    admin_page.fill("#id_password1", "quiet river stone")
    admin_page.fill("#id_password2", "quiet river stone")
    send_after_the_session_expired(admin_page)
    assert "peter" in str(kept(admin_page))
    assert "quiet" not in str(kept(admin_page))
    log_in(admin_page)
    expect_notice(admin_page, is_partial=True)
    expect(admin_page.locator("#id_username")).to_have_value("peter")
    expect(admin_page.locator("#id_password1")).to_have_value("")

    file = tmp_path / "gold.png"
    file.write_bytes(draw_badge("seal", "gold", "star").read())
    admin_page.goto(f"{live_server.url}/admin/achievements/achievement/add/")
    admin_page.fill("#id_name", "Bookworm")
    admin_page.set_input_files("#id_badge", file)
    send_after_the_session_expired(admin_page)
    assert "gold.png" not in str(kept(admin_page))
    log_in(admin_page)
    expect_notice(admin_page, is_partial=True)
    expect(admin_page.locator("#id_name")).to_have_value("Bookworm")
    expect(admin_page.get_by_role("img", name="Chosen badge")).to_be_hidden()


def test_a_save_after_which_the_session_expires_is_not_said_to_have_been_refused(
    admin_page: Page, live_server: LiveServer, game: Game
) -> None:
    address = f"{live_server.url}/admin/metrics/metric/{game.lessons.pk}/change/"
    admin_page.goto(address)
    admin_page.fill("#id_name", "Lessons")

    def expire(**_: Any) -> None:
        Session.objects.all().delete()

    post_save.connect(expire, sender=Metric)
    try:
        admin_page.get_by_role("button", name="Save and continue editing").click()
        expect(admin_page.locator("#login-form")).to_be_visible()
    finally:
        post_save.disconnect(expire, sender=Metric)
    log_in(admin_page)
    expect(admin_page).to_have_url(address)
    expect_no_notice(admin_page)
    assert Metric.objects.filter(name="Lessons").exists()


def test_a_save_that_succeeds_leaves_nothing_to_bring_back(admin_page: Page, live_server: LiveServer) -> None:
    admin_page.goto(f"{live_server.url}/admin/metrics/metric/add/")
    admin_page.fill("#id_name", "Pages read")
    admin_page.fill("#id_key", "books")
    admin_page.get_by_role("button", name="Save and add another").click()
    expect(admin_page.get_by_text("was added successfully")).to_be_visible()
    expect_no_notice(admin_page)
    expect(admin_page.locator("#id_name")).to_have_value("")
    assert kept(admin_page) == []
    assert Metric.objects.filter(key="books").count() == 1
