"""What the actions of the admin say: what was done, what was not and why, and of which row."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from achievements.models import Achievement
from core.services import archive, create_checked
from metrics.models import Metric
from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of
from tests.test_admin_rules import act, act_on_one, make_achievement, make_boost, today

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
