"""What the actions of the admin say: what was done, what was not and why, and of which row."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from achievements.models import Achievement
from boosts.models import Boost
from core.services import archive, create_checked
from metrics.models import Metric
from tests.conftest import Api, Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of
from tests.test_admin_rules import act, act_on_one, make_achievement, make_boost, today
from users.models import EndUser

DAY = timedelta(days=1)
ACHIEVEMENTS, METRICS = "achievements/achievement", "metrics/metric"
ACTIVATES_NOTHING = "Nothing to activate: only what is inactive or locked can be."


# --- Nothing to do ---------------------------------------------------------------------------------------------------
def test_an_action_that_finds_nothing_to_do_says_so(operator: Client, game: Game) -> None:
    goal = make_achievement(game, status="active")
    assert ACTIVATES_NOTHING in text_of(act(operator, ACHIEVEMENTS, "activate_selected", goal))
    restored = text_of(act(operator, METRICS, "restore_selected", game.lessons))
    assert "Nothing to restore: only what is archived can be." in restored
    archive(row=game.flashcards)
    archived = operator.post(
        f"/admin/{METRICS}/?archived=with",
        {"action": "archive_selected", "_selected_action": str(game.flashcards.id)},
        follow=True,
    )
    assert "Nothing to archive: what was chosen is archived already." in text_of(archived)


def test_an_action_from_a_page_that_is_old_by_now_does_not_claim_to_have_done_it(operator: Client, game: Game) -> None:
    goal = make_achievement(game, status="active")
    assert ACTIVATES_NOTHING in text_of(act_on_one(operator, ACHIEVEMENTS, "activate_one", goal))
    Achievement.objects.update(status="locked")
    locked = text_of(act_on_one(operator, ACHIEVEMENTS, "lock_one", goal))
    assert "Nothing to lock: what was chosen is locked already." in locked
    assert "1 locked." not in locked
    archive(row=goal)
    assert "Nothing to archive" in text_of(act_on_one(operator, ACHIEVEMENTS, "archive_one", goal))


def test_what_can_be_done_is_done_beside_what_cannot(operator: Client, game: Game) -> None:
    goal, draft = make_achievement(game, status="active"), make_achievement(game, name="Draft")
    said = text_of(act(operator, ACHIEVEMENTS, "lock_selected", goal, draft))
    assert "1 locked." in said
    assert "«Draft» cannot be locked: status can only become active: the achievement is inactive." in said
    assert set(Achievement.objects.values_list("name", "status")) == {("Bookworm", "locked"), ("Draft", "inactive")}


# --- Which, and why --------------------------------------------------------------------------------------------------
def test_what_cannot_be_restored_is_named(operator: Client, game: Game) -> None:
    archive(row=game.flashcards)
    create_checked(Metric, name="Other", key="flashcards")
    form = {"action": "restore_selected", "_selected_action": str(game.flashcards.id)}
    said = text_of(operator.post(f"/admin/{METRICS}/?archived=only", form, follow=True))
    assert "«Flashcards flipped» cannot be restored: Key already in use by another metric." in said


def test_what_cannot_be_archived_is_named_once(operator: Client, game: Game) -> None:
    game.trigger(points=10)
    said = text_of(act(operator, METRICS, "archive_selected", game.lessons))
    assert said.count("«Lessons completed» cannot be archived: it is used by") == 1


def test_why_a_trigger_cannot_be_activated_has_a_subject(operator: Client, game: Game) -> None:
    trigger = game.trigger(points=10, status="inactive")
    archive(row=game.lessons)
    said = text_of(act(operator, "points/pointstrigger", "activate_selected", trigger))
    assert "cannot be activated: metric is archived: restore it first, or choose another." in said


def test_why_a_boost_cannot_be_activated_names_the_boost(operator: Client, game: Game) -> None:
    boost = make_boost(game, status="inactive", user_filters=[(game.plan, "pro")])
    archive(row=game.plan)
    said = text_of(act(operator, "boosts/boost", "activate_selected", boost))
    assert "«Double XP» cannot be activated: user filters cannot have «Plan (user)», which is archived" in said
    late = make_boost(game, name="Late", status="inactive", start=today() - 9 * DAY, end=today() - 5 * DAY)
    said = text_of(act(operator, "boosts/boost", "activate_selected", late))
    assert "«Late» cannot be activated: its last day is over." in said
    assert "end: «Late»" not in said


# --- The row of a dialog ---------------------------------------------------------------------------------------------
ROW_ACTIONS = {
    "points/pointstrigger": ("activate_one", "deactivate_one", "archive_one"),
    "boosts/boost": ("activate_one", "finish_one", "archive_one"),
    "achievements/achievement": ("activate_one", "lock_one", "archive_one"),
    "levels/level": ("archive_one",),
    "points/pointssystem": ("archive_one",),
}


def addresses(id_: str) -> Iterator[str]:
    for model, actions in ROW_ACTIONS.items():
        yield from (f"/admin/{model}/{id_}/{action}/" for action in actions)


@pytest.mark.parametrize("id_", ["garbage", "00000000-0000-0000-0000-000000000000", "1", "%00"])
def test_an_action_on_a_row_that_is_none_is_not_found(id_: str, operator: Client, game: Game) -> None:
    for address in addresses(id_):
        assert operator.get(address).status_code == 404, address
        assert operator.post(address, {"_form_submitted": "True"}).status_code == 404, address


def test_a_dialog_names_its_row(operator: Client, game: Game) -> None:
    def asked(model: str, row: Any, action: str) -> str:
        return text_of(operator.get(f"/admin/{model}/{row.id}/{action}/"))

    odd = make_boost(game, name="100 {percent} <more>")
    assert "Finish «100 {percent} &lt;more&gt;» now?" in asked("boosts/boost", odd, "finish_one")
    assert "Lock «Bookworm»?" in asked(ACHIEVEMENTS, make_achievement(game, status="active"), "lock_one")
    assert "Archive «XP»?" in asked("points/pointssystem", game.xp, "archive_one")


# --- Lists -----------------------------------------------------------------------------------------------------------
def test_the_filter_of_what_is_archived_says_what_it_shows(operator: Client, game: Game) -> None:
    archive(row=game.flashcards)
    shown = {
        "": (True, False),
        "?archived=with": (True, True),
        "?archived=only": (False, True),
    }
    for query, (live, archived) in shown.items():
        page = text_of(operator.get(f"/admin/{METRICS}/{query}"))
        assert "Not archived Only archived Both" in page
        assert ("Lessons completed" in page, "Flashcards flipped" in page) == (live, archived)


def test_the_completion_of_points_systems_has_an_order(operator: Client, game: Game, recwarn: Any) -> None:
    field = {"app_label": "boosts", "model_name": "boost", "field_name": "system"}
    assert operator.get("/admin/autocomplete/", field).json()["results"][0]["text"] == "XP"
    assert [str(each.message) for each in recwarn if "Unordered" in each.category.__name__] == []


def test_the_list_of_boosts_filters_by_the_status_that_it_shows(operator: Client, game: Game) -> None:
    archived = make_boost(game, name="Archived one")
    archive(row=archived)
    make_boost(game, name="Inactive one", status="inactive")
    make_boost(game, name="Scheduled one", start=today() + 9 * DAY)
    make_boost(game, name="Active one")
    make_boost(game, name="Finished one", start=today() - 9 * DAY, end=today() - 5 * DAY)
    make_boost(game, name="Finished two")
    Boost.objects.filter(name="Finished two").update(finished=timezone.now().astimezone(UTC))
    names = {
        "inactive": {"Inactive one"},
        "scheduled": {"Scheduled one"},
        "active": {"Active one"},
        "finished": {"Finished one", "Finished two"},
        "archived": {"Archived one"},
    }
    every = {name for some in names.values() for name in some}
    for status, expected in names.items():
        page = operator.get(f"/admin/boosts/boost/?status={status}").content.decode()
        assert {name for name in every if name in page} == expected
        assert "sortable column-shown_status" not in page


# --- What browsers and operators see besides ------------------------------------------------------------------------
def test_the_icon_of_the_site_is_found_where_browsers_look_for_it(operator: Client) -> None:
    icon = operator.get("/favicon.ico", follow=True)
    assert icon.status_code == 200
    assert icon["Content-Type"] == "image/svg+xml"
    assert '<link rel="icon" href="/static/backoffice/favicon.svg"' in operator.get("/admin/").content.decode()


def test_a_number_is_shown_without_zeros_where_it_cannot_be_changed(operator: Client, game: Game) -> None:
    boost = make_boost(game, multiplier=Decimal("2.5"))
    Boost.objects.update(finished=timezone.now().astimezone(UTC))
    page = text_of(operator.get(f"/admin/boosts/boost/{boost.id}/change/"))
    assert "Multiplier 2.5 " in page
    assert "2.5000" not in page


def test_a_user_s_page_says_no_1_lessons(operator: Client, api: Api, game: Game) -> None:
    Metric.objects.filter(key="lessons").update(units="lessons")
    api.event("alice", 1)
    page = text_of(operator.get(f"/admin/users/enduser/{EndUser.objects.get().id}/change/"))
    assert "Metric Total Highest ever Unit Last event (UTC) Lessons completed 1 1 lessons" in page
