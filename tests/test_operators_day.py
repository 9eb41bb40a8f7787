"""An operator's day in Chromium: from a new points system to what somebody asks support about in the evening."""

from datetime import UTC
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from analytics.rollup import roll_up
from config.demo_badges import draw_badge
from points.models import PointsAward
from preview.work import work_on_backtests
from tests.conftest import Api
from tests.test_browser import (
    admin_page as admin_page,  # noqa: PLC0414 - fixtures
)
from tests.test_browser import browser_type_launch_args as browser_type_launch_args  # noqa: PLC0414
from tests.test_browser import choose, run_on_selected
from tests.test_browser import game as game  # noqa: PLC0414

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def media(settings: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"  # type: ignore[attr-defined]


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def tab(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).last.click()


def make_a_points_system(page: Page, badge: Path) -> None:
    """A points system with a badge, two levels and a trigger."""
    page.get_by_role("link", name="Points systems").first.click()
    page.locator("a[href$='/pointssystem/add/']").first.click()
    page.fill("#id_name", "Coins")
    page.fill("#id_key", "coins")
    page.set_input_files("#id_badge", badge)
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_role("img", name="Badge", exact=True)).to_be_visible()
    for name, points in (("Penny", "0"), ("Purse", "100")):
        tab(page, "Levels")
        page.get_by_role("link", name="Add level").click()
        page.fill("#id_name", name)
        page.fill("#id_key", name.lower())
        page.fill("#id_points", points)
        save(page)
        if points == "0":  # which everybody has
            expect(page.get_by_text("gets another level")).to_be_visible()
            save(page)
        expect(page.get_by_role("row", name=name)).to_be_visible()
    tab(page, "Triggers")
    page.get_by_role("link", name="Add trigger").click()
    page.fill("#id_points", "5")
    choose(page, "metric", "Lessons")
    page.fill("#id_metric_threshold", "2")
    save(page)
    expect(page.get_by_role("row", name="Lessons completed: every 2")).to_contain_text("INACTIVE", ignore_case=True)


def try_the_rules(page: Page) -> None:
    """What would it pay? The calculator answers while one types; the backtest says it of real users."""
    tab(page, "Preview")
    page.get_by_label("+5 · Lessons completed: every 2 counts").check()
    page.get_by_label("Lessons completed, amount").fill("41")
    expect(page.locator("#calculated")).to_have_text("100 points, Purse")
    page.get_by_label("Points of +5 · Lessons completed: every 2").fill("6")
    expect(page.locator("#calculated")).to_have_text("120 points, Purse")
    expect(page.get_by_text("counts, +5 → +6 points")).to_be_visible()
    page.get_by_role("button", name="Run a backtest").click()
    expect(page.get_by_text("It waits for a background worker")).to_be_visible()
    work_on_backtests()
    expect(page.get_by_role("row", name="bob")).to_contain_text("120")
    expect(page.get_by_text("All 1 users took part.")).to_be_visible()
    page.get_by_role("link", name="Open the draft").click()
    expect(page.locator("#calculated")).to_have_text("120 points, Purse")
    assert not PointsAward.objects.exists()


def go_live(page: Page, api: Api) -> None:
    """It goes live, with a boost for today; an event comes in and shows."""
    page.get_by_role("link", name="Triggers", exact=True).last.click()
    page.get_by_role("row", name="Lessons completed: every 2").get_by_role("checkbox").check()
    run_on_selected(page, "activate_selected")
    expect(page.get_by_text("1 activated.")).to_be_visible()
    tab(page, "Boosts")
    page.get_by_role("link", name="Add boost").click()
    page.fill("#id_name", "Double coins")
    page.fill("#id_multiplier", "2")
    page.fill("#id_start", str(timezone.now().astimezone(UTC).date()))
    save(page)
    page.get_by_role("row", name="Double coins").get_by_role("checkbox").check()
    run_on_selected(page, "activate_selected")
    expect(page.get_by_text("1 activated.")).to_be_visible()
    answer = api.event({"id": "alice", "name": "Alice Adeyemi"}, 4).json()["points"]["coins"]
    assert (answer["added"], answer["level"]["key"]) == (20, "penny")
    roll_up()
    tab(page, "Analytics")
    expect(page.locator(".cards")).to_contain_text("20")
    expect(page.get_by_role("link", name="alice")).to_be_visible()


def help_alice(page: Page) -> None:
    """Alice asks why she has what she has, and gets something for her trouble."""
    page.get_by_role("link", name="alice").click()
    page.get_by_role("link", name="Explain line 1").click()
    expect(page.get_by_text("rose from 0 to 4. The trigger fires at every 2: passed 2, 4.")).to_be_visible()
    expect(page.get_by_text("Double coins").first).to_be_visible()
    page.get_by_role("link", name="← Alice Adeyemi").click()
    page.get_by_role("link", name="Adjust points").click()
    page.get_by_label("Points system").select_option("coins")
    page.get_by_label("Points", exact=True).fill("90")
    page.get_by_label("Reason").fill("Sorry for the outage")
    page.get_by_role("button", name="See what it does").click()
    expect(page.get_by_text("20 → 110")).to_be_visible()
    expect(page.get_by_text("Penny → Purse")).to_be_visible()
    page.get_by_role("button", name="Adjust points").click()
    expect(page.get_by_text("+90 Coins: the balance is 110.")).to_be_visible()


def look_back(page: Page) -> None:
    """In the evening: who changed what?"""
    page.get_by_role("link", name="Changes").first.click()
    expect(page.get_by_text("Double coins").first).to_be_visible()
    expect(page.get_by_text("olivia").first).to_be_visible()


def test_an_operator_s_day(admin_page: Page, api: Api, tmp_path: Path) -> None:
    badge = tmp_path / "gold.png"
    badge.write_bytes(draw_badge("seal", "gold", "star").read())
    api.event({"id": "bob", "name": "Bob Bello"}, 40)
    make_a_points_system(admin_page, badge)
    try_the_rules(admin_page)
    go_live(admin_page, api)
    help_alice(admin_page)
    look_back(admin_page)
