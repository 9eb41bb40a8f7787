"""What the forms of the admin say of what cannot be: once, in words that name it, and of nothing that is hidden."""

from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from achievements.models import Achievement
from boosts.models import Boost
from boosts.services import create_boost
from core.form_fields import NUMBER, WHOLE_NUMBER
from core.services import archive
from levels.models import Level
from points.models import PointsTrigger
from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of, trigger_form, with_filters
from tests.test_admin_rules import achievement_form, boost_form, errors_of, make_boost, today

DAY = timedelta(days=1)
TRIGGERS, ACHIEVEMENTS, BOOSTS = "points/pointstrigger", "achievements/achievement", "boosts/boost"


def add(operator: Client, model: str, form: dict[str, Any]) -> Any:
    return operator.post(f"/admin/{model}/add/", form)


# --- What is hidden --------------------------------------------------------------------------------------------------
WRONG = {"streak_length": "-5", "time_interval": "0", "time_unit": "year", "achievement": "none"}


def test_what_is_wrong_in_a_hidden_field_of_a_trigger_does_not_keep_it_from_being_saved(
    operator: Client, game: Game
) -> None:
    assert add(operator, TRIGGERS, trigger_form(game, **WRONG)).status_code == 302
    trigger = PointsTrigger.objects.get()
    assert (trigger.metric_threshold, trigger.streak_length, trigger.time_interval) == (5, None, None)
    hidden = trigger_form(game, type="user_creation", metric="none", metric_threshold="0.5", **WRONG)
    assert add(operator, TRIGGERS, hidden).status_code == 302


def test_what_is_wrong_in_a_hidden_field_of_an_achievement_does_not_keep_it_from_being_saved(
    operator: Client, game: Game
) -> None:
    hidden = {"metric": "none", "metric_value": "much", "key": "a key"}
    form = achievement_form(type="streak", streak_length="3", **hidden)
    assert add(operator, ACHIEVEMENTS, form).status_code == 302
    assert Achievement.objects.get().metric_value is None


# --- One error each --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"metric_threshold": "0.5"}, {"metric_threshold": [WHOLE_NUMBER]}),
        ({"metric_threshold": "-3"}, {"metric_threshold": ["Ensure this value is greater than or equal to 1."]}),
        (
            {"type": "streak", "streak_length": "-3"},
            {"streak_length": ["Ensure this value is greater than or equal to 1."]},
        ),
        ({"type": "streak", "streak_length": "x"}, {"streak_length": [WHOLE_NUMBER]}),
        (
            {"type": "moon", "metric": ""},
            {"type": ["Select a valid choice. moon is not one of the available choices."]},
        ),
        ({"points": "much"}, {"points": [WHOLE_NUMBER]}),
    ],
)
def test_a_trigger_that_is_wrong_in_one_way_gets_one_error(
    fields: dict[str, str], errors: dict[str, list[str]], operator: Client, game: Game
) -> None:
    assert errors_of(add(operator, TRIGGERS, trigger_form(game, **fields))) == errors
    assert not PointsTrigger.objects.exists()


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"metric_value": "much"}, {"metric_value": [NUMBER]}),
        ({"metric_value": "0"}, {"metric_value": ["must be greater than 0."]}),
        ({"type": "moon"}, {"type": ["Select a valid choice. moon is not one of the available choices."]}),
    ],
)
def test_an_achievement_that_is_wrong_in_one_way_gets_one_error(
    fields: dict[str, str], errors: dict[str, list[str]], operator: Client, game: Game
) -> None:
    form = achievement_form(metric=str(game.lessons.id), metric_value="3") | fields
    assert errors_of(add(operator, ACHIEVEMENTS, form)) == errors
    assert not Achievement.objects.exists()


# --- Filters ---------------------------------------------------------------------------------------------------------
def test_what_is_said_of_filters_says_which(operator: Client, game: Game) -> None:
    of_event = with_filters((game.category, "listening"))
    only = "Filters by the event's attributes are possible only for a metric {}."
    trigger = add(operator, TRIGGERS, trigger_form(game, type="streak", streak_length="7", **of_event))
    assert only.format("trigger") in text_of(trigger)
    goal = add(operator, ACHIEVEMENTS, achievement_form(type="streak", streak_length="7", **of_event))
    assert only.format("achievement") in text_of(goal)
    of_user = with_filters((game.plan, "pro"))
    assert add(operator, TRIGGERS, trigger_form(game, type="streak", streak_length="7", **of_user)).status_code == 302


# --- The points system -----------------------------------------------------------------------------------------------
def forms_of_parts(game: Game) -> dict[str, dict[str, Any]]:
    level = {"system": str(game.xp.id), "name": "Gold", "key": "gold", "points": "100"}
    return {TRIGGERS: trigger_form(game), BOOSTS: boost_form(game), "levels/level": level}


def test_nothing_is_added_to_an_archived_points_system(operator: Client, game: Game) -> None:
    archive(row=game.xp)
    for model, form in forms_of_parts(game).items():
        assert errors_of(add(operator, model, form)) == {
            "system": ["is archived: restore it first, or choose another."]
        }
    assert not any(model.objects.exists() for model in (PointsTrigger, Boost, Level))


def test_what_belongs_to_an_archived_points_system_can_still_be_changed(operator: Client, game: Game) -> None:
    boost = make_boost(game)
    archive(row=game.xp)
    form = boost_form(game, name="Another name")
    assert operator.post(f"/admin/{BOOSTS}/{boost.id}/change/", form).status_code == 302


@pytest.mark.parametrize("proposed", ["zz", "00000000-0000-0000-0000-000000000000", "", "1"])
def test_an_address_that_proposes_a_points_system_that_is_none_opens_the_form_without(
    proposed: str, operator: Client, game: Game
) -> None:
    for model in forms_of_parts(game):
        page = operator.get(f"/admin/{model}/add/?system={proposed}&name=Gold")
        assert page.status_code == 200
        assert "selected" not in page.content.decode().split('name="system"')[1].split("</select>")[0]
    archive(row=game.xp)
    page = operator.get(f"/admin/{BOOSTS}/add/?system={game.xp.id}&name=Gold")
    assert str(game.xp.id) not in page.content.decode()
    assert 'value="Gold"' in page.content.decode()


# --- A boost's end ---------------------------------------------------------------------------------------------------
def test_the_end_of_an_active_boost_is_not_put_into_the_past_by_which_it_would_be_final(
    operator: Client, game: Game
) -> None:
    boost = make_boost(game, start=today() - 9 * DAY)
    form = boost_form(game, start=str(today() - 9 * DAY), end=str(today() - 3 * DAY))
    answer = operator.post(f"/admin/{BOOSTS}/{boost.id}/change/", form)
    ((sentence,),) = errors_of(answer).values()
    assert sentence.startswith("must not be before today: that would finish the boost for ever")
    assert "«Finish now»" in sentence
    assert list(errors_of(answer)) == ["end"]
    assert Boost.objects.get().end is None
    assert operator.post(f"/admin/{BOOSTS}/{boost.id}/change/", form | {"end": str(today())}).status_code == 302


def test_a_draft_whose_days_went_by_can_be_renamed_and_moved_but_not_to_where_it_is_over(
    operator: Client, game: Game
) -> None:
    old = {"start": today() - 9 * DAY, "end": today() - 5 * DAY}
    boost = create_boost(system=game.xp, name="Draft", multiplier=Decimal(2), **old)
    url = f"/admin/{BOOSTS}/{boost.id}/change/"
    form = boost_form(game, name="Renamed", **{field: str(day) for field, day in old.items()})
    assert operator.post(url, form).status_code == 302
    refused = operator.post(url, form | {"end": str(today() - 4 * DAY)})
    assert errors_of(refused) == {
        "end": ["must not be before today: a boost whose last day is over counts for nobody."]
    }
    assert operator.post(url, form | {"end": str(today() + DAY)}).status_code == 302


def test_a_boost_that_is_put_off_in_the_admin_begins_again(operator: Client, game: Game) -> None:
    boost = make_boost(game)
    Boost.objects.update(start_marked=timezone.now().astimezone(UTC))
    form = boost_form(game, start=str(today() + 5 * DAY), end="")
    assert operator.post(f"/admin/{BOOSTS}/{boost.id}/change/", form).status_code == 302
    assert Boost.objects.get().start_marked is None
