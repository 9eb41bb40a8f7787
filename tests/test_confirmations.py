"""What asks before it acts: the answer holds only for what was shown."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import ApiKey
from access.services import create_api_key
from achievements.services import update_achievement
from boosts.models import Boost
from boosts.services import activate_boosts, update_boost
from core.history import acting
from core.services import update_checked
from levels.services import create_level, update_level
from points.models import PointsTrigger
from points.services import update_trigger
from tests.conftest import Api, Game
from tests.test_admin import text_of
from tests.test_admin_rules import act, make_achievement, make_boost, study, today

CHANGED = "Nothing was done: this has changed since you were asked."


@pytest.fixture
def ana(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ana"))
    return client


def mark_of(page: Any) -> str:
    """Return what stands, in the form that confirms, for the rows that it shows."""
    (found,) = re.findall(r'name="shown" value="([^"]+)"', page.content.decode())
    return str(found)


def confirm(client: Client, model: str, action: str, *rows: Any, shown: str) -> Any:
    return act(client, model, action, *rows, confirmed="yes", shown=shown)


def test_a_boost_that_others_changed_is_not_finished_until_it_was_shown_again(ana: Client, game: Game) -> None:
    boost, other = make_boost(game), make_boost(game, name="Other")
    asked = act(ana, "boosts/boost", "finish_selected", boost, other)
    update_boost(boost=boost, end=today() + timedelta(days=9))
    again = confirm(ana, "boosts/boost", "finish_selected", boost, other, shown=mark_of(asked))
    assert CHANGED in text_of(again)
    assert not Boost.objects.filter(finished__isnull=False).exists()
    done = confirm(ana, "boosts/boost", "finish_selected", boost, other, shown=mark_of(again))
    assert "2 finished." in text_of(done)


def test_what_was_not_on_the_page_is_not_finished(ana: Client, game: Game) -> None:
    running, draft = make_boost(game), make_boost(game, name="Draft", status="inactive")
    asked = act(ana, "boosts/boost", "finish_selected", running, draft)
    assert "Draft" not in text_of(asked).split("Finish these boosts now?")[-1]
    activate_boosts(boosts=Boost.objects.filter(id=draft.id))
    again = confirm(ana, "boosts/boost", "finish_selected", running, draft, shown=mark_of(asked))
    assert CHANGED in text_of(again)
    assert "Draft" in text_of(again).split("Finish these boosts now?")[-1]
    assert not Boost.objects.filter(finished__isnull=False).exists()


def test_keys_that_were_renamed_are_shown_again_before_they_are_revoked(ana: Client) -> None:
    key, _ = create_api_key(name="Old backend")
    asked = act(ana, "access/apikey", "revoke_selected", key)
    update_checked(key, name="Live backend")
    assert CHANGED in text_of(confirm(ana, "access/apikey", "revoke_selected", key, shown=mark_of(asked)))
    assert ApiKey.objects.get().status == "active"


@pytest.mark.parametrize("edited", ["achievement", "trigger"])
def test_an_activation_whose_rule_or_payment_was_edited_is_counted_and_shown_again(
    edited: str, ana: Client, game: Game
) -> None:
    goal = make_achievement(game)
    trigger = game.trigger(10, type="achievement", metric=None, metric_threshold=None, achievement=goal)
    study("alice", 10)
    asked = act(ana, "achievements/achievement", "activate_selected", goal)
    if edited == "trigger":
        update_trigger(trigger=trigger, points=10_000)
    else:
        update_achievement(achievement=goal, metric_value=1)
    again = confirm(ana, "achievements/achievement", "activate_selected", goal, shown=mark_of(asked))
    assert CHANGED in text_of(again)
    goal.refresh_from_db()
    assert goal.status == "inactive"
    done = confirm(ana, "achievements/achievement", "activate_selected", goal, shown=mark_of(again))
    assert "1 activated." in text_of(done)


def test_users_who_go_on_do_not_undo_a_confirmation(ana: Client, game: Game) -> None:
    goal = make_achievement(game)
    asked = act(ana, "achievements/achievement", "activate_selected", goal)
    study("alice", 10)
    done = confirm(ana, "achievements/achievement", "activate_selected", goal, shown=mark_of(asked))
    assert "1 activated." in text_of(done)


def test_the_dialog_of_an_action_on_one_row_holds_only_for_the_row_that_it_showed(ana: Client, game: Game) -> None:
    trigger = game.trigger(points=10, status="inactive")
    url = f"/admin/points/pointstrigger/{trigger.id}/activate_one/"

    def answer() -> dict[str, str]:
        (shown,) = re.findall(r'name="shown" value="(\d+)"', ana.get(url).content.decode())
        return {"_form_submitted": "True", "shown": shown}

    old = answer()
    with acting("Ben Reed"):
        update_trigger(trigger=trigger, points=10_000)
    ana.post(url, old)
    told = text_of(ana.get("/admin/points/pointstrigger/"))
    assert CHANGED in told
    assert "Ben Reed, changed: Points: 10 → 10,000." in told
    assert PointsTrigger.objects.get().status == "inactive"
    ana.post(url, answer())
    assert PointsTrigger.objects.get().status == "active"


def test_an_archiving_of_levels_is_shown_again_if_another_level_of_the_system_was_edited(
    ana: Client, game: Game, api: Api
) -> None:
    game.trigger(points=50)
    api.event("alice")
    adept, expert = (create_level(system=game.xp, key=key, name=key, points=at) for key, at in (("a", 40), ("b", 90)))
    asked = act(ana, "levels/level", "archive_selected", adept)
    update_level(level=expert, points=200)
    assert CHANGED in text_of(confirm(ana, "levels/level", "archive_selected", adept, shown=mark_of(asked)))
    adept.refresh_from_db()
    assert adept.status == "active"
