"""Triggers of every type, boosts, levels, achievements and streak settings, as operators set them up in the admin."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from achievements.models import Achievement, AchievementPrerequisite, Backdating, Completion
from achievements.services import activate_achievement, create_achievement
from backoffice.achievement_pages import describe
from backoffice.achievements import Estimate, backdating_estimate, backdating_estimates
from boosts.models import Boost
from boosts.services import create_boost, finish_boosts
from core.services import archive, create_checked
from engine import backdate
from engine.inputs import EventInput
from engine.pipeline import process
from levels.models import Level
from points.admin import next_due
from points.models import PointsAward, PointsTrigger
from points.services import activate_triggers
from streaks.models import StreakMetric, StreakSettings
from tests.conftest import Api, Game, make_game
from tests.test_admin import meeting, text_of, trigger_form, with_filters
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from users.models import EndUser
from users.rules import UserChanges

DAY = timedelta(days=1)
NO_ROWS = {"filters-TOTAL_FORMS": "0", "filters-INITIAL_FORMS": "0"}


def today() -> Any:
    return timezone.now().astimezone(UTC).date()


def errors_of(answer: Any) -> dict[str, list[str]]:
    """Return the errors of the form that a page shows, by field."""
    errors: dict[str, list[str]] = answer.context["adminform"].form.errors
    return errors


def act(operator: Client, model: str, action: str, *rows: Any, **more: str) -> Any:
    """Run a bulk action and follow it to where it leads."""
    form = {"action": action, "_selected_action": [str(row.id) for row in rows], **more}
    return operator.post(f"/admin/{model}/", form, follow=True)


def act_on_one(operator: Client, model: str, action: str, row: Any) -> Any:
    """Answer the dialog of an action on one row, and return what is said then."""
    assert operator.post(f"/admin/{model}/{row.id}/{action}/", {"_form_submitted": "True"}).status_code == 200
    return operator.get(f"/admin/{model}/")


def study(user: str, value: int = 1, at: datetime | None = None, **attributes: str) -> None:
    """Report lessons of a user on the plan «pro»."""
    changes = UserChanges(user, attributes={"plan": "pro"})
    process([EventInput(changes, "lessons", Decimal(value), attributes, at=at)])


# --- Triggers --------------------------------------------------------------------------------------------------------
def test_triggers_of_every_type_are_made_with_their_own_fields_and_no_others(operator: Client, game: Game) -> None:
    goal = create_achievement(name="Sharer", type="api", key="sharer", status="active")
    everything = {
        "metric": str(game.lessons.id),
        "metric_threshold": "5",
        "streak_length": "7",
        "achievement": str(goal.id),
        "time_unit": "hour",
        "time_interval": "6",
    }
    occasions = {
        "metric": "Lessons completed: every 5",
        "streak": "Streak: every 7",
        "achievement": "Achievement: Sharer",
        "time": "Every 6 hours",
        "user_creation": "New user",
    }
    for type_, occasion in occasions.items():
        form = trigger_form(game, type=type_, **everything)
        assert operator.post("/admin/points/pointstrigger/add/", form).status_code == 302, type_
        assert PointsTrigger.objects.get(type=type_).occasion == occasion
    listed = text_of(operator.get("/admin/points/pointstrigger/"))
    assert all(occasion in listed for occasion in occasions.values())


@pytest.mark.parametrize(
    ("type_", "sentence"),
    [
        ("streak", "is required for a streak trigger."),
        ("achievement", "is required for an achievement trigger."),
        ("time", "is required for a time trigger."),
    ],
)
def test_a_trigger_without_what_its_type_needs_is_refused(
    type_: str, sentence: str, operator: Client, game: Game
) -> None:
    answer = operator.post("/admin/points/pointstrigger/add/", trigger_form(game, type=type_))
    assert answer.status_code == 200
    assert sentence in text_of(answer)


def test_only_another_interval_restarts_an_active_time_trigger_s_clock(operator: Client, game: Game) -> None:
    trigger = game.trigger(1, type="time", metric=None, metric_threshold=None, time_unit="hour", time_interval=6)
    long_ago = timezone.now() - timedelta(hours=3)
    PointsTrigger.objects.update(time_started=long_ago)
    url = f"/admin/points/pointstrigger/{trigger.id}/change/"
    form = trigger_form(game, type="time", points="2", time_unit="hour", time_interval="6")
    assert operator.post(url, form).status_code == 302
    assert (PointsTrigger.objects.get().points, PointsTrigger.objects.get().time_started) == (2, long_ago)
    assert operator.post(url, form | {"time_interval": "5"}).status_code == 302
    restarted = PointsTrigger.objects.get().time_started
    assert restarted is not None
    assert restarted > long_ago + timedelta(hours=2)


def test_the_list_says_when_an_active_time_trigger_pays_next(operator: Client, game: Game) -> None:
    trigger = game.trigger(1, type="time", metric=None, metric_threshold=None, time_unit="day", time_interval=2)
    started = datetime(2026, 3, 10, 12, tzinfo=UTC)
    trigger.time_started = started
    assert next_due(trigger, started) == started + 2 * DAY
    assert next_due(trigger, started + 2 * DAY - timedelta(seconds=1)) == started + 2 * DAY
    assert next_due(trigger, started + 2 * DAY) == started + 4 * DAY
    assert "next at" in text_of(operator.get("/admin/points/pointstrigger/"))
    PointsTrigger.objects.update(status="inactive")
    assert "next at" not in text_of(operator.get("/admin/points/pointstrigger/"))


def test_activating_what_is_active_says_that_there_was_nothing_to_do(operator: Client, game: Game) -> None:
    trigger = game.trigger(points=10)
    answer = act(operator, "points/pointstrigger", "activate_selected", trigger)
    assert "Nothing to activate: none of them is inactive." in text_of(answer)


def test_a_row_offers_only_the_actions_that_fit_it(operator: Client, game: Game) -> None:
    trigger = game.trigger(points=10)
    for page in ("", f"{trigger.id}/change/"):
        active = operator.get(f"/admin/points/pointstrigger/{page}").content.decode()
        assert f"{trigger.id}/deactivate_one/" in active
        assert f"{trigger.id}/activate_one/" not in active
    PointsTrigger.objects.update(status="inactive")
    inactive = operator.get("/admin/points/pointstrigger/").content.decode()
    assert f"{trigger.id}/activate_one/" in inactive
    assert f"{trigger.id}/deactivate_one/" not in inactive


# --- A points system's tabs ------------------------------------------------------------------------------------------
def test_a_points_system_s_page_lists_its_triggers_boosts_and_levels_and_no_other_s(
    operator: Client, game: Game
) -> None:
    for system, word in ((game.xp, "Mine"), (game.energy, "Other")):
        create_boost(system=system, name=f"{word} boost", multiplier=Decimal(2), start=today())
        create_checked(Level, system=system, name=f"{word} level", key="one", points=0)
    create_boost(system=game.xp, name="For alice", multiplier=2, start=today(), external_id="alice", status="active")
    page = operator.get(f"/admin/points/pointssystem/{game.xp.id}/change/")
    text = text_of(page)
    assert "Configuration Triggers Boosts Levels" in text
    assert "Mine boost" in text
    assert "Mine level" in text
    assert "Other" not in text
    assert "For alice" not in text
    for model in ("points/pointstrigger", "boosts/boost", "levels/level"):
        assert f"/admin/{model}/add/?system={game.xp.id}" in page.content.decode()
        add = operator.get(f"/admin/{model}/add/?system={game.xp.id}")
        assert f'<option value="{game.xp.id}" selected' in add.content.decode()


# --- Boosts ----------------------------------------------------------------------------------------------------------
def boost_form(game: Game, **fields: Any) -> dict[str, Any]:
    """Return what a browser sends to add a boost that doubles XP for a week from today on."""
    week = {"start": str(today()), "end": str(today() + 6 * DAY)}
    form = {"system": str(game.xp.id), "name": "Double XP", "multiplier": "2", "rounding": "down"}
    return form | week | NO_ROWS | fields


def make_boost(game: Game, **fields: Any) -> Boost:
    given: dict[str, Any] = {
        "system": game.xp,
        "name": "Double XP",
        "multiplier": Decimal(2),
        "start": today(),
        "status": "active",
    }
    return create_boost(**(given | fields))


def test_a_boost_begins_inactive_multiplies_once_activated_and_no_more_when_finished(
    operator: Client, api: Api, game: Game
) -> None:
    game.trigger(points=10)
    assert operator.post("/admin/boosts/boost/add/", boost_form(game)).status_code == 302
    boost = Boost.objects.get()
    assert api.event("alice").json()["points"]["xp"]["added"] == 10
    assert "1 activated." in text_of(act_on_one(operator, "boosts/boost", "activate_one", boost))
    assert api.event("alice").json()["points"]["xp"]["added"] == 20
    assert "final" in text_of(operator.get(f"/admin/boosts/boost/{boost.id}/finish_one/"))
    assert api.event("alice").json()["points"]["xp"]["added"] == 20
    assert "1 finished." in text_of(act_on_one(operator, "boosts/boost", "finish_one", boost))
    assert api.event("alice").json()["points"]["xp"]["added"] == 10


MULTIPLIERS = "must be more than 0, less than 100, not 1, and have at most 4 decimals."
HUGE, TINY = f"1{'0' * 90}", f"0.{'0' * 90}1"
BAD_BOOSTS: dict[str, tuple[dict[str, str], str]] = {
    **{f"a multiplier of {each}": ({"multiplier": each}, MULTIPLIERS) for each in ("1", "0", "-2", "100", HUGE)},
    **{f"a multiplier of {each}": ({"multiplier": each}, MULTIPLIERS) for each in ("1.00001", "99.99991", TINY)},
    "an end before the start": ({"end": "2020-01-01"}, "must not be before start."),
    "days that are over": ({"start": "2020-01-01", "end": "2020-01-02"}, "must not be before today"),
    "no start": ({"start": ""}, "This field is required."),
}


@pytest.mark.parametrize("case", BAD_BOOSTS)
def test_a_boost_is_refused_with(case: str, operator: Client, game: Game) -> None:
    fields, sentence = BAD_BOOSTS[case]
    answer = operator.post("/admin/boosts/boost/add/", boost_form(game, **fields))
    assert answer.status_code == 200
    assert text_of(answer).count(sentence) == 1
    assert sum(len(each) for each in errors_of(answer).values()) == 1
    assert not Boost.objects.exists()


def test_a_boost_s_audience_is_by_the_users_attributes_alone(operator: Client, game: Game) -> None:
    of_event = boost_form(game, **with_filters((game.category, "listening")))
    assert operator.post("/admin/boosts/boost/add/", of_event).status_code == 200
    assert not Boost.objects.exists()
    of_user = boost_form(game, **with_filters((game.plan, "pro")))
    assert operator.post("/admin/boosts/boost/add/", of_user).status_code == 302
    assert "plan = pro" in text_of(operator.get("/admin/boosts/boost/"))


def test_the_list_shows_where_each_boost_is_in_its_life(operator: Client, game: Game) -> None:
    make_boost(game, name="A", status="inactive")
    make_boost(game, name="B", start=today() + 9 * DAY)
    make_boost(game, name="C")
    make_boost(game, name="D", start=today() - 9 * DAY, end=today() - 5 * DAY)
    text = text_of(operator.get("/admin/boosts/boost/"))
    for name, status in (("A", "Inactive"), ("B", "Scheduled"), ("C", "Active"), ("D", "Finished")):
        assert text.split(f" {name} XP x2 ")[1].split("everyone ")[1].startswith(status)


def test_a_finished_boost_is_shown_with_the_reason_why_it_cannot_be_changed(operator: Client, game: Game) -> None:
    boost = make_boost(game)
    url = f"/admin/boosts/boost/{boost.id}/change/"
    form = boost_form(game, name="Another name")
    finish_boosts(boosts=Boost.objects.all())
    page = operator.get(url)
    assert "A finished boost cannot be changed" in text_of(page)
    assert 'name="name"' not in page.content.decode()
    late = operator.post(url, form, follow=True)
    assert "has finished in the meantime, and cannot be changed any more." in text_of(late)
    assert Boost.objects.get().name == "Double XP"


@pytest.mark.django_db(transaction=True)
def test_a_boost_that_is_finished_while_a_change_of_it_is_saved_is_not_changed(operator: Client) -> None:
    game = make_game()
    boost = make_boost(game)
    url, form = f"/admin/boosts/boost/{boost.id}/change/", boost_form(game, name="Another name")
    finish = partial(finish_boosts, boosts=Boost.objects.all())
    late = meeting(finish, lambda: operator.post(url, form, follow=True))
    assert "has finished in the meantime, and cannot be changed any more." in text_of(late)
    boost.refresh_from_db()
    assert boost.name == "Double XP"
    assert boost.finished is not None


@pytest.mark.django_db(transaction=True)
def test_a_trigger_that_is_activated_while_a_change_of_it_is_saved_is_active_and_changed(operator: Client) -> None:
    game = make_game()
    timed: dict[str, Any] = {"type": "time", "metric": None, "metric_threshold": None, "time_unit": "hour"}
    trigger = game.trigger(1, status="inactive", time_interval=6, **timed)
    form = trigger_form(game, type="time", points="2", time_unit="hour", time_interval="6")
    activate = partial(activate_triggers, triggers=PointsTrigger.objects.all())
    url = f"/admin/points/pointstrigger/{trigger.id}/change/"
    assert meeting(activate, lambda: operator.post(url, form)).status_code == 302
    trigger.refresh_from_db()
    assert (trigger.points, trigger.status, trigger.time_started is not None) == (2, "active", True)


def test_a_trigger_that_becomes_another_type_in_the_admin_loses_the_fields_of_the_old(
    operator: Client, game: Game
) -> None:
    trigger = game.trigger(1, status="inactive")
    form = trigger_form(game, type="streak", points="1", streak_length="7")
    assert operator.post(f"/admin/points/pointstrigger/{trigger.id}/change/", form).status_code == 302
    trigger.refresh_from_db()
    assert (trigger.type, trigger.streak_length, trigger.metric, trigger.metric_threshold) == ("streak", 7, None, None)


def test_a_deactivated_time_trigger_has_no_clock(operator: Client, game: Game) -> None:
    trigger = game.trigger(1, type="time", metric=None, metric_threshold=None, time_unit="hour", time_interval=6)
    assert trigger.time_started is not None
    act(operator, "points/pointstrigger", "deactivate_selected", trigger)
    trigger.refresh_from_db()
    assert (trigger.status, trigger.time_started) == ("inactive", None)


def test_a_boost_whose_days_are_over_cannot_be_activated(operator: Client, game: Game) -> None:
    boost = make_boost(game, status="inactive", start=today() - 9 * DAY, end=today() - 5 * DAY)
    answer = act(operator, "boosts/boost", "activate_selected", boost)
    assert "cannot be activated: its last day is over." in text_of(answer)
    assert Boost.objects.get().status == "inactive"


def test_finishing_several_boosts_asks_first_and_names_them(operator: Client, game: Game) -> None:
    running, waiting = make_boost(game), make_boost(game, name="Draft", status="inactive")
    asked = text_of(act(operator, "boosts/boost", "finish_selected", running, waiting))
    assert "Finish these boosts now?" in asked
    assert "Double XP : Active" in asked
    assert "Draft" not in asked
    assert not Boost.objects.filter(finished__isnull=False).exists()
    done = act(operator, "boosts/boost", "finish_selected", running, waiting, confirmed="yes")
    assert "1 finished." in text_of(done)
    assert Boost.objects.get(finished__isnull=False) == running


def test_the_same_is_asked_on_the_points_system_s_page(operator: Client, game: Game) -> None:
    boost = make_boost(game)
    url = f"/admin/points/pointssystem/{game.xp.id}/change/"
    form = {"dataset": "BoostsTab", "action": "finish_selected", "_selected_action": str(boost.id)}
    asked = operator.post(url, form)
    assert "Finish these boosts now?" in text_of(asked)
    assert 'name="dataset" value="BoostsTab"' in asked.content.decode()
    assert "1 finished." in text_of(operator.post(url, form | {"confirmed": "yes"}, follow=True))


def test_one_user_s_boost_is_shown_with_the_user_who_cannot_be_changed(operator: Client, game: Game) -> None:
    boost = make_boost(game, external_id="alice")
    assert "user alice" in text_of(operator.get("/admin/boosts/boost/"))
    url = f"/admin/boosts/boost/{boost.id}/change/"
    page = operator.get(url)
    assert "Only for user alice" in text_of(page)
    assert "filters-TOTAL_FORMS" not in page.content.decode()
    assert operator.post(url, boost_form(game, name="For Alice", external_id="bob")).status_code == 302
    boost.refresh_from_db()
    assert (boost.name, boost.external_id) == ("For Alice", "alice")


def test_one_user_s_boost_is_finished_by_that_user_s_calendar(operator: Client, api: Api, game: Game) -> None:
    api.send("PUT", "/v1/users/alice", {"tz": "Pacific/Kiritimati"})
    local_today = (timezone.now() + timedelta(hours=14)).astimezone(UTC).date()
    make_boost(game, external_id="alice", start=local_today - 3 * DAY, end=local_today - DAY)
    assert "Finished" in text_of(operator.get("/admin/boosts/boost/"))


def test_an_archived_boost_can_be_restored_and_is_inactive_then(operator: Client, game: Game) -> None:
    boost = make_boost(game)
    assert "1 archived." in text_of(act_on_one(operator, "boosts/boost", "archive_one", boost))
    act(operator, "boosts/boost", "archive_selected", boost)
    operator.post("/admin/boosts/boost/?archived=only", {"action": "restore_selected", "_selected_action": boost.id})
    assert Boost.objects.get().status == "inactive"


# --- Levels ----------------------------------------------------------------------------------------------------------
def test_levels_are_listed_by_their_points_and_keep_their_key(operator: Client, game: Game) -> None:
    for name, points in (("Master", 1000), ("Novice", 0), ("Adept", 250)):
        form = {"system": str(game.xp.id), "name": name, "key": name.lower(), "points": str(points)}
        assert operator.post("/admin/levels/level/add/", form).status_code == 302
    operator.get("/admin/levels/level/")  # says what was added
    text = text_of(operator.get("/admin/levels/level/"))
    assert text.index("Novice") < text.index("Adept") < text.index("Master")
    adept = Level.objects.get(key="adept")
    changed = {"name": "Skilled", "key": "other", "points": "300", "system": str(game.energy.id)}
    assert operator.post(f"/admin/levels/level/{adept.id}/change/", changed).status_code == 302
    adept.refresh_from_db()
    assert (adept.name, adept.key, adept.points, adept.system) == ("Skilled", "adept", 300, game.xp)


def test_a_level_is_refused_that_begins_where_another_does(operator: Client, game: Game) -> None:
    create_checked(Level, system=game.xp, name="Novice", key="novice", points=0)
    form = {"system": str(game.xp.id), "name": "Beginner", "key": "beginner", "points": "0"}
    answer = operator.post("/admin/levels/level/add/", form)
    assert "Points already in use by another level of this points system." in text_of(answer)
    other = create_checked(Level, system=game.xp, name="Adept", key="adept", points=10)
    answer = operator.post(f"/admin/levels/level/{other.id}/change/", {"name": "Adept", "points": "0"})
    assert "Points already in use by another level of this points system." in text_of(answer)


# --- Achievements ----------------------------------------------------------------------------------------------------
def achievement_form(**fields: Any) -> dict[str, Any]:
    """Return what a browser sends to add an achievement."""
    none = {"prerequisites-TOTAL_FORMS": "0", "prerequisites-INITIAL_FORMS": "0"}
    return {"name": "Bookworm", "description": "", "type": "metric"} | none | NO_ROWS | fields


def needing(*achievements: Achievement) -> dict[str, str]:
    rows = {"prerequisites-TOTAL_FORMS": str(len(achievements)), "prerequisites-INITIAL_FORMS": "0"}
    return rows | {f"prerequisites-{number}-prerequisite": str(row.id) for number, row in enumerate(achievements)}


def make_achievement(game: Game, **fields: Any) -> Achievement:
    given: dict[str, Any] = {"name": "Bookworm", "type": "metric", "metric": game.lessons, "metric_value": Decimal(10)}
    return create_achievement(**(given | fields))


def test_achievements_of_every_type_are_made_with_their_own_fields_and_no_others(operator: Client, game: Game) -> None:
    everything = {"metric": str(game.lessons.id), "metric_value": "2.5", "streak_length": "7", "key": "sharer"}
    rules = {"metric": "Lessons completed: 2.5", "streak": "A streak of 7", "api": "The product says so: sharer"}
    for type_, rule in rules.items():
        form = achievement_form(name=type_, type=type_, **everything)
        assert operator.post("/admin/achievements/achievement/add/", form).status_code == 302, type_
        assert rule in text_of(operator.get("/admin/achievements/achievement/"))
    parts = list(Achievement.objects.all())
    form = achievement_form(name="All of it", type="achievement", **everything, **needing(*parts))
    assert operator.post("/admin/achievements/achievement/add/", form).status_code == 302
    assert "All of: metric, streak, api" in text_of(operator.get("/admin/achievements/achievement/"))
    assert set(Achievement.objects.values_list("status", flat=True)) == {"inactive"}


def test_an_achievement_without_what_its_type_needs_is_refused(operator: Client, game: Game) -> None:
    for type_, sentence in {
        "metric": "is required for an achievement of type Metric.",
        "streak": "is required for an achievement of type Streak.",
        "api": "is required for an achievement of type API.",
        "achievement": "Prerequisites must name at least one achievement.",
    }.items():
        answer = operator.post("/admin/achievements/achievement/add/", achievement_form(type=type_))
        assert sentence in text_of(answer)
    assert not Achievement.objects.exists()


def test_achievements_that_wait_for_each_other_are_refused(operator: Client, game: Game) -> None:
    first = make_achievement(game)
    second = create_achievement(name="Scholar", type="achievement", prerequisites=[first])
    form = achievement_form(name="Bookworm", type="achievement", **needing(second))
    answer = operator.post(f"/admin/achievements/achievement/{first.id}/change/", form)
    assert "would go round in a circle" in text_of(answer)


def test_an_achievement_of_another_type_loses_its_prerequisites(operator: Client, game: Game) -> None:
    first = make_achievement(game)
    second = create_achievement(name="Scholar", type="achievement", prerequisites=[first])
    row = AchievementPrerequisite.objects.get()
    rows = needing(first) | {"prerequisites-INITIAL_FORMS": "1", "prerequisites-0-id": str(row.id)}
    form = achievement_form(name="Scholar", type="streak", streak_length="3", **rows)
    assert operator.post(f"/admin/achievements/achievement/{second.id}/change/", form).status_code == 302
    assert not AchievementPrerequisite.objects.exists()


def test_filters_by_the_event_are_only_for_an_achievement_of_a_metric(operator: Client, game: Game) -> None:
    filters = with_filters((game.category, "listening"))
    form = achievement_form(type="streak", streak_length="3", **filters)
    assert "only for a metric achievement" in text_of(operator.post("/admin/achievements/achievement/add/", form))
    metric = {"metric": str(game.lessons.id), "metric_value": "10"}
    form = achievement_form(**metric, **filters)
    assert operator.post("/admin/achievements/achievement/add/", form).status_code == 302


def test_the_type_and_the_key_of_an_achievement_stay_once_users_can_complete_it(operator: Client, game: Game) -> None:
    goal = create_achievement(name="Sharer", type="api", key="sharer", status="active")
    url = f"/admin/achievements/achievement/{goal.id}/change/"
    answer = operator.post(url, achievement_form(type="streak", streak_length="3"))
    assert "can be changed only while the achievement is inactive." in text_of(answer)
    assert operator.post(url, achievement_form(name="Giver", type="api", key="giver")).status_code == 302
    goal.refresh_from_db()
    assert (goal.name, goal.type, goal.key) == ("Giver", "api", "sharer")


def test_a_key_of_an_achievement_that_is_taken_is_refused(operator: Client, game: Game) -> None:
    create_achievement(name="Sharer", type="api", key="sharer", status="active")
    answer = operator.post("/admin/achievements/achievement/add/", achievement_form(type="api", key="sharer"))
    assert "Key already in use by another achievement." in text_of(answer)


def test_the_dialog_says_how_many_users_and_points_an_activation_gives_and_that_many_it_gives(
    operator: Client, game: Game
) -> None:
    goal = make_achievement(game)
    study("alice", 10)
    study("bob", 12)
    study("charlie", 9)
    game.trigger(50, type="achievement", metric=None, metric_threshold=None, achievement=goal)
    only_free: dict[str, Any] = {"user_filters": [(game.plan, "free")]}
    game.trigger(7, type="achievement", metric=None, metric_threshold=None, achievement=goal, **only_free)
    asked = operator.get(f"/admin/achievements/achievement/{goal.id}/activate_one/")
    assert "2 users qualify already. Points in all: +100 XP, before boosts and maxima." in text_of(asked)
    assert not Backdating.objects.exists()
    assert "1 activated." in text_of(act_on_one(operator, "achievements/achievement", "activate_one", goal))
    assert backdate.look_back() == 2
    assert sum(PointsAward.objects.values_list("awarded", flat=True)) == 100
    assert backdating_estimate(goal, timezone.now()) == Estimate(0, {"XP": 0})


def test_activating_several_achievements_asks_first_and_counts_each(operator: Client, game: Game) -> None:
    first, second = make_achievement(game), make_achievement(game, name="Sage", metric_value=Decimal(1000))
    study("alice", 10)
    asked = text_of(act(operator, "achievements/achievement", "activate_selected", first, second))
    assert "Bookworm : 1 user qualifies already. No points." in asked
    assert "Sage : no user qualifies yet." in asked
    assert set(Achievement.objects.values_list("status", flat=True)) == {"inactive"}
    done = act(operator, "achievements/achievement", "activate_selected", first, second, confirmed="yes")
    assert "2 activated." in text_of(done)
    assert Backdating.objects.count() == 2


def test_an_achievement_is_locked_and_opened_again_but_an_inactive_one_is_not_locked(
    operator: Client, api: Api, game: Game
) -> None:
    goal = make_achievement(game, status="active")
    assert "1 locked." in text_of(act_on_one(operator, "achievements/achievement", "lock_one", goal))
    assert api.event("alice", 10).json()["achievements"] == []
    assert "1 activated." in text_of(act_on_one(operator, "achievements/achievement", "activate_one", goal))
    draft = make_achievement(game, name="Draft")
    answer = text_of(act(operator, "achievements/achievement", "lock_selected", draft))
    assert "can only become active: the achievement is inactive." in answer


def test_what_an_active_composite_needs_cannot_be_archived(operator: Client, game: Game) -> None:
    goal = make_achievement(game, status="active")
    create_achievement(name="Scholar", type="achievement", prerequisites=[goal], status="active")
    answer = text_of(act_on_one(operator, "achievements/achievement", "archive_one", goal))
    assert "«Bookworm» cannot be archived: it is used by Scholar." in answer


def test_the_list_shows_how_many_completed_an_achievement(operator: Client, game: Game) -> None:
    make_achievement(game, status="active")
    study("alice", 10)
    study("bob", 10)
    study("charlie", 9)
    assert "everyone Active 2 " in text_of(operator.get("/admin/achievements/achievement/"))


# --- What an activation would give -----------------------------------------------------------------------------------
def estimate_is_what_happens(goal: Achievement) -> int:
    """Return the estimate of users, having seen that so many get the achievement."""
    estimate = backdating_estimate(goal, timezone.now())
    assert estimate is not None
    activate_achievement(achievement=goal)
    backdate.look_back()
    assert Completion.objects.filter(achievement=goal).count() == estimate.users
    return estimate.users


def test_the_estimate_of_a_filtered_metric_counts_stored_totals_and_events(game: Game) -> None:
    goal = make_achievement(game, metric_value=Decimal(3), event_filters=[(game.category, "listening")])
    study("alice", 3, category="listening")
    study("bob", 3, category="vocabulary")
    game.trigger(points=1, event_filters=[(game.category, "listening")])  # from now on the total is kept
    study("charlie", 2, category="listening")
    study("charlie", 1, category="listening")
    study("dora", 2, category="listening")
    assert estimate_is_what_happens(goal) == 2


def test_the_estimate_looks_at_the_users_attributes(game: Game) -> None:
    goal = make_achievement(game, metric_value=Decimal(1), user_filters=[(game.plan, "pro")])
    study("alice")
    process([EventInput(UserChanges("bob", attributes={"plan": "free"}), "lessons", Decimal(1))])
    assert estimate_is_what_happens(goal) == 1


def test_the_estimate_of_a_streak_leaves_out_what_expired_by_the_users_own_date(game: Game) -> None:
    now = timezone.now()
    for user, last in (("alice", now), ("bob", now - 4 * DAY), ("charlie", now)):
        for day in range(2 if user == "charlie" else 3):
            study(user, at=last - (2 - day) * DAY if user != "charlie" else last - (1 - day) * DAY)
    goal = create_achievement(name="On fire", type="streak", streak_length=3)
    assert estimate_is_what_happens(goal) == 1


def test_the_estimate_of_a_composite_counts_who_has_all_of_it(api: Api, game: Game) -> None:
    few = make_achievement(game, name="Few", metric_value=Decimal(1), status="active")
    many = make_achievement(game, name="Many", metric_value=Decimal(5), status="active")
    study("alice", 1)
    study("bob", 5)
    assert estimate_is_what_happens(create_achievement(name="Both", type="achievement", prerequisites=[few, many])) == 1


def test_the_estimate_of_what_the_product_completes_is_nobody(game: Game) -> None:
    goal = create_achievement(name="Sharer", type="api", key="sharer")
    assert backdating_estimate(goal, timezone.now()) == Estimate(0)


def test_estimates_of_several_share_the_time_and_say_so_where_it_is_up(operator: Client, game: Game) -> None:
    goals = [make_achievement(game), make_achievement(game, name="Sage")]
    assert backdating_estimates(goals, timezone.now()) == [Estimate(0), Estimate(0)]
    assert backdating_estimates(goals, timezone.now(), s_max=0) == [None, None]
    assert describe(None).startswith("there are too many users to count")


@pytest.mark.django_db(transaction=True)
def test_an_estimate_gives_up_when_its_time_is_up_and_hides_no_other_error(transactional_db: None) -> None:
    goal, other = make_achievement(make_game()), connection.copy()
    try:
        with transaction.atomic(), other.cursor() as elsewhere, connection.cursor() as cursor:
            elsewhere.execute("BEGIN; LOCK TABLE achievements_completion")
            assert backdating_estimate(goal, timezone.now(), s_max=0.1) is None
            cursor.execute("SET LOCAL lock_timeout = 50")
            with pytest.raises(OperationalError, match="lock timeout"):
                backdating_estimate(goal, timezone.now())
    finally:
        other.close()


# --- Streaks ---------------------------------------------------------------------------------------------------------
def streak_form(*metrics: tuple[Any, str], **fields: str) -> dict[str, str]:
    form = {"frequency": "daily", "evaluation_mode": "OR", "metrics-INITIAL_FORMS": "0"} | fields
    for number, (metric, threshold) in enumerate(metrics):
        form |= {f"metrics-{number}-metric": str(metric.id), f"metrics-{number}-threshold": threshold}
    return form | {"metrics-TOTAL_FORMS": str(len(metrics))}


def test_the_streak_settings_are_one_page_that_makes_its_row(operator: Client, game: Game) -> None:
    page = operator.get("/admin/streaks/streaksettings/", follow=True)
    assert "A streak grows by one in each period" in text_of(page)
    url = "/admin/streaks/streaksettings/1/change/"
    form = streak_form((game.lessons, "2"), (game.flashcards, "0.5"), frequency="weekly", evaluation_mode="AND")
    assert operator.post(url, form, follow=True).redirect_chain == [(url, 302)]
    settings = StreakSettings.objects.get()
    assert (settings.frequency, settings.evaluation_mode) == ("weekly", "AND")
    assert set(StreakMetric.objects.values_list("metric__key", "threshold")) == {("lessons", 2), ("flashcards", 0.5)}
    assert operator.get("/admin/streaks/streaksettings/add/").status_code == 403


def test_the_streak_settings_refuse_what_cannot_be(operator: Client, game: Game) -> None:
    StreakSettings.objects.create()
    url = "/admin/streaks/streaksettings/1/change/"
    archive(row=game.flashcards)
    for form, sentence in (
        (streak_form((game.lessons, "0")), "must be greater than 0."),
        (streak_form((game.lessons, "1"), (game.lessons, "2")), "Each metric can be named only once."),
        (streak_form((game.flashcards, "1")), "«Flashcards flipped» is archived: restore it first"),
    ):
        assert sentence in text_of(operator.post(url, form))
    assert not StreakMetric.objects.exists()


# --- A user's page ---------------------------------------------------------------------------------------------------
def user_url(user: str) -> str:
    return f"/admin/users/enduser/{EndUser.objects.get(external_id=user).id}/change/"


def test_a_user_s_page_shows_level_streak_achievements_and_the_boosts_of_each_award(
    operator: Client, api: Api, game: Game
) -> None:
    create_checked(Level, system=game.xp, name="Novice", key="novice", points=0)
    create_checked(Level, system=game.xp, name="Adept", key="adept", points=1500)
    goal = make_achievement(game, status="active")
    game.trigger(100)
    game.trigger(50, type="achievement", metric=None, metric_threshold=None, achievement=goal)
    game.trigger(5, type="streak", metric=None, metric_threshold=None, streak_length=1)
    game.creation_trigger(1)
    make_boost(game, multiplier=Decimal("1.5"))
    api.event("alice", 9)
    text = text_of(operator.get(user_url("alice")))
    assert "1,358 Level Novice, Adept from 1,500" in text
    assert "1 day in a row since" in text
    assert "Completed None yet. Still open lock_open Bookworm" in text
    assert "+100 · Lessons completed: every 1 boosted by Double XP x1.5" in text
    for why in ("+5 · Streak: every 1", "+1 · New user"):
        assert why in text
    api.event("alice", 1)
    text = text_of(operator.get(user_url("alice")))
    assert "Level Adept" in text
    assert "Bookworm" in text
    assert "+50 · Achievement: Bookworm boosted by Double XP x1.5" in text


def test_the_pages_take_the_same_number_of_queries_however_much_they_show(operator: Client, game: Game) -> None:
    def add(number: int) -> None:
        goal = make_achievement(game, name=f"Goal {number}", status="active", user_filters=[(game.plan, "pro")])
        create_achievement(name=f"Both {number}", type="achievement", prerequisites=[goal], status="active")
        game.trigger(5, type="achievement", metric=None, metric_threshold=None, achievement=goal)
        game.trigger(5, user_filters=[(game.plan, "pro")])
        make_boost(game, name=f"Boost {number}", multiplier=Decimal("1.01"), user_filters=[(game.plan, "pro")])
        make_boost(game, name=f"Boost {number} of one", external_id=f"user-{number}")
        create_checked(Level, system=game.xp, name=f"Level {number}", key=f"level-{number}", points=number)

    pages = ["/admin/achievements/achievement/", "/admin/boosts/boost/", "/admin/levels/level/"]
    pages += ["/admin/points/pointstrigger/", f"/admin/points/pointssystem/{game.xp.id}/change/"]
    add(1)
    study("alice", 10)
    pages.append(user_url("alice"))

    def counted() -> list[int]:
        for page in pages:  # the first look also asks what tables are called, and reads versions of rules
            queries_of(operator, page)
        return [queries_of(operator, page) for page in pages]

    counts = counted()
    for number in range(2, 8):
        add(number)
    study("alice", 10)
    assert counted() == counts


def queries_of(operator: Client, page: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert operator.get(page).status_code == 200
    return len(queries)


# --- Who may ---------------------------------------------------------------------------------------------------------
MODELS = ("points/pointstrigger", "boosts/boost", "levels/level", "achievements/achievement")


@pytest.fixture
def viewer(db: None) -> Client:
    """Return the client of an operator who may look at everything and change nothing."""
    user = User.objects.create_user("victor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client


def test_who_may_only_look_can_change_nothing(viewer: Client, game: Game) -> None:
    trigger = game.trigger(points=10)
    boost, goal = make_boost(game), make_achievement(game)
    level = create_checked(Level, system=game.xp, name="Novice", key="novice", points=0)
    for model, row in zip(MODELS, (trigger, boost, level, goal), strict=True):
        assert viewer.get(f"/admin/{model}/").status_code == 200
        assert viewer.get(f"/admin/{model}/{row.id}/change/").status_code == 200
        assert viewer.get(f"/admin/{model}/add/").status_code == 403
        assert viewer.post(f"/admin/{model}/{row.id}/archive_one/", {"_form_submitted": "True"}).status_code == 403
        assert viewer.post(f"/admin/{model}/{row.id}/change/", {"name": "x"}).status_code == 403
    assert viewer.get(f"/admin/achievements/achievement/{goal.id}/activate_one/").status_code == 403
    assert viewer.post(f"/admin/boosts/boost/{boost.id}/finish_one/", {"_form_submitted": "True"}).status_code == 403
    assert "archive_one" not in viewer.get("/admin/boosts/boost/").content.decode()
    system = viewer.get(f"/admin/points/pointssystem/{game.xp.id}/change/").content.decode()
    assert "Double XP" in system
    assert "/add/?system=" not in system


def test_who_may_see_no_rules_finds_no_links_to_them(game: Game) -> None:
    client = Client()
    client.force_login(User.objects.create_user("victor", is_staff=True))
    home = client.get("/admin/").content.decode()
    for model in (*MODELS, "streaks/streaksettings"):
        assert f'href="/admin/{model}/"' not in home
        assert client.get(f"/admin/{model}/").status_code == 403


def test_an_operator_finds_every_kind_of_rule_in_the_sidebar(operator: Client) -> None:
    home = operator.get("/admin/").content.decode()
    for model in (*MODELS, "streaks/streaksettings"):
        assert f'href="/admin/{model}/"' in home
        assert operator.get(f"/admin/{model}/", follow=True).status_code == 200
