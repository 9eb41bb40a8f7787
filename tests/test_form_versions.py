"""A form overwrites nothing that others changed while it was open: it says what, and touches only what was edited."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from access.services import create_api_key
from achievements.models import Achievement
from achievements.services import create_achievement, update_achievement
from core.changes import history_of_row
from core.history import acting
from core.services import archive, update_checked
from levels.services import create_level
from points.models import PointsTrigger
from points.services import activate_triggers, update_trigger
from streaks.models import StreakSettings
from streaks.services import update_settings
from tests.conftest import Api, Game, make_game
from tests.page_forms import Sent, form_on
from tests.test_admin import meeting, text_of
from tests.test_admin_rules import make_boost
from webhooks.services import create_endpoint


def client_of(name: str, **fields: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(name, **fields))
    return client


@pytest.fixture
def ana(db: None) -> Client:
    return client_of("ana", first_name="Ana", last_name="Stone")


@pytest.fixture
def ben(db: None) -> Client:
    return client_of("ben", first_name="Ben", last_name="Reed")


def page_of(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))


def open_form(client: Client, row: Any) -> Sent:
    """Return what the browser of an operator sends who opens a row's page now, and touches nothing."""
    return form_on(client.get(page_of(row)), f"{row._meta.model_name}_form")


def shown_again(page: Any, row: Any) -> Sent:
    """Return what the browser sends of the form on a page that a row was not saved by."""
    assert page.status_code == 200
    return form_on(page, f"{row._meta.model_name}_form")


def save(client: Client, row: Any, form: Sent, **edits: str | list[str]) -> Any:
    typed = {name: value if isinstance(value, list) else [value] for name, value in edits.items()}
    return client.post(page_of(row), form | typed)


# --- One row, two tabs -----------------------------------------------------------------------------------------------
def test_a_form_that_was_open_while_others_saved_is_not_saved_but_says_who_changed_what(
    ana: Client, ben: Client, game: Game
) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = open_form(ben, trigger)
    assert save(ana, trigger, open_form(ana, trigger), points="30").status_code == 302

    refused = save(ben, trigger, open_by_ben, metric_threshold="2")

    assert "UTC, Ana Stone (ana), changed: Points: 20 → 30." in text_of(refused)
    assert "Not saved" in text_of(refused)
    assert "Please correct" not in text_of(refused)
    trigger.refresh_from_db()
    assert (trigger.points, trigger.metric_threshold) == (30, 1)
    form = shown_again(refused, trigger)
    assert (form["points"], form["metric_threshold"]) == (["30"], ["2"])
    assert save(ben, trigger, form).status_code == 302
    trigger.refresh_from_db()
    assert (trigger.points, trigger.metric_threshold) == (30, 2)
    newest = history_of_row(trigger).entries[0]
    assert (newest.actor, [change.name for change in newest.changes]) == ("Ben Reed (ben)", ["Metric threshold"])


def test_what_both_changed_is_shown_with_both_values_and_the_second_decides(
    ana: Client, ben: Client, game: Game
) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = open_form(ben, trigger)
    save(ana, trigger, open_form(ana, trigger), points="30")

    refused = save(ben, trigger, open_by_ben, points="25")

    assert "Points: 20 → 30." in text_of(refused)
    assert "You entered Points: 25" in text_of(refused)
    form = shown_again(refused, trigger)
    assert form["points"] == ["25"]
    save(ben, trigger, form)
    trigger.refresh_from_db()
    assert trigger.points == 25


def test_a_change_that_comes_before_the_second_saving_is_named_again(ana: Client, ben: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = open_form(ben, trigger)
    save(ana, trigger, open_form(ana, trigger), points="30")
    refused = save(ben, trigger, open_by_ben, metric_threshold="2")
    save(ana, trigger, open_form(ana, trigger), points="40")
    again = save(ben, trigger, shown_again(refused, trigger))
    assert "Points: 30 → 40." in text_of(again)
    assert "Points: 20 → 30." not in text_of(again)
    assert "You entered" not in text_of(again)


def test_an_action_is_a_change_too_and_keeps_its_effect(ana: Client, ben: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = open_form(ben, trigger)
    with acting("Ana Stone"):
        activate_triggers(triggers=PointsTrigger.objects.all())
    refused = save(ben, trigger, open_by_ben, points="30")
    assert "Ana Stone, activated: Status: Inactive → Active." in text_of(refused)
    assert save(ben, trigger, shown_again(refused, trigger)).status_code == 302
    trigger.refresh_from_db()
    assert (trigger.points, trigger.status) == (30, "active")


def test_a_form_that_would_change_nothing_is_saved_whatever_others_did(ana: Client, ben: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = open_form(ben, trigger)
    save(ana, trigger, open_form(ana, trigger), points="30")
    assert save(ben, trigger, open_by_ben).status_code == 302
    assert save(ben, trigger, open_by_ben, points="30").status_code == 302, "as with a double click"
    trigger.refresh_from_db()
    assert trigger.points == 30
    assert len(history_of_row(trigger).entries) == 2


def test_a_confirmed_edit_of_a_level_that_is_sent_twice_is_no_conflict(ana: Client, game: Game, api: Api) -> None:
    game.trigger(points=50)
    api.event("alice")
    level = create_level(system=game.xp, key="adept", name="Adept", points=40)
    asked = save(ana, level, open_form(ana, level), points="60")
    assert "Nothing is saved yet." in text_of(asked)
    confirmed = shown_again(asked, level)
    for _ in range(2):
        assert save(ana, level, confirmed).status_code == 302
    level.refresh_from_db()
    assert level.points == 60


def test_what_nobody_touched_is_stored_as_it_was_to_the_letter(ana: Client, game: Game) -> None:
    level = create_level(system=game.xp, key="adept", name=" Adept ", points=40, description="One\nTwo\n")
    assert save(ana, level, open_form(ana, level), points="50").status_code == 302
    level.refresh_from_db()
    assert (level.name, level.description, level.points) == (" Adept ", "One\nTwo\n", 50)
    assert [change.name for change in history_of_row(level).entries[0].changes] == ["Points"]


def test_a_form_with_an_error_still_knows_what_it_showed(ana: Client, ben: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    wrong = save(ben, trigger, open_form(ben, trigger), metric_threshold="-1")
    form = shown_again(wrong, trigger)
    save(ana, trigger, open_form(ana, trigger), points="30")
    assert "Points: 20 → 30." in text_of(save(ben, trigger, form, metric_threshold="2"))


def test_a_form_without_what_it_showed_decides_all_of_its_fields(ana: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    form = open_form(ana, trigger)
    del form["_shown"]
    update_trigger(trigger=trigger, points=30)
    assert save(ana, trigger, form).status_code == 302
    trigger.refresh_from_db()
    assert trigger.points == 20


@pytest.mark.parametrize("text", ["", "x", "a:b:c"])
def test_a_form_whose_hidden_field_was_tampered_with_is_not_saved(text: str, ana: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    refused = save(ana, trigger, open_form(ana, trigger), _shown=text, points="30")
    assert "it cannot be told any more what this page showed" in text_of(refused)
    assert save(ana, trigger, shown_again(refused, trigger)).status_code == 302


def test_what_is_wrong_is_told_beside_what_others_changed(ana: Client, ben: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = open_form(ben, trigger)
    save(ana, trigger, open_form(ana, trigger), points="30")
    refused = save(ben, trigger, open_by_ben, metric_threshold="many")
    assert "Not saved: this was changed while the page was open." in text_of(refused)
    assert "Please correct" in text_of(refused)
    assert list(refused.context["adminform"].form.errors) == ["metric_threshold"]


# --- Parts -----------------------------------------------------------------------------------------------------------
def add_filter(form: Sent, attribute: Any, value: str) -> Sent:
    number = int(form["filters-TOTAL_FORMS"][0])
    row = {f"filters-{number}-attribute": [str(attribute.id)], f"filters-{number}-value": [value]}
    return form | row | {"filters-TOTAL_FORMS": [str(number + 1)]}


def filters_of(trigger: PointsTrigger) -> set[str]:
    return {str(each) for each in trigger.filters.all()}


def test_filters_that_others_added_are_named_and_stay(ana: Client, ben: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = open_form(ben, trigger)
    assert save(ana, trigger, add_filter(open_form(ana, trigger), game.plan, "pro")).status_code == 302

    refused = save(ben, trigger, add_filter(open_by_ben, game.category, "listening"))

    assert "Filter: none → plan = pro." in text_of(refused)
    assert filters_of(trigger) == {"plan = pro"}
    assert save(ben, trigger, shown_again(refused, trigger)).status_code == 302
    assert filters_of(trigger) == {"plan = pro", "category = listening"}


def test_filters_that_others_removed_or_changed_are_named_and_what_was_edited_is_kept(
    ana: Client, ben: Client, game: Game
) -> None:
    both = [(game.plan, "pro")]
    trigger = game.trigger(points=20, status="inactive", user_filters=both, event_filters=[(game.category, "reading")])
    open_by_ben = open_form(ben, trigger)
    numbers = {open_by_ben[f"filters-{each}-value"][0]: each for each in range(2)}
    of_ana = open_form(ana, trigger)
    gone, other = f"filters-{numbers['pro']}-DELETE", f"filters-{numbers['reading']}-value"
    assert save(ana, trigger, of_ana, **{gone: "on", other: "writing"}).status_code == 302

    refused = save(ben, trigger, open_by_ben, **{f"filters-{numbers['pro']}-value": "team"})

    told = text_of(refused)
    assert "Filter: plan = pro → none" in told
    assert "Filter: none → category = writing" in told
    assert save(ben, trigger, shown_again(refused, trigger)).status_code == 302
    assert filters_of(trigger) == {"category = writing", "plan = team"}


def test_a_filter_that_both_added_or_removed_is_there_once_or_gone(ana: Client, ben: Client, game: Game) -> None:
    trigger = game.trigger(points=20, status="inactive")
    open_by_ben = add_filter(open_form(ben, trigger), game.plan, "pro")
    save(ana, trigger, add_filter(open_form(ana, trigger), game.plan, "pro"))
    assert save(ben, trigger, open_by_ben).status_code == 302
    assert filters_of(trigger) == {"plan = pro"}
    of_ana, of_ben = open_form(ana, trigger), open_form(ben, trigger)
    for client, form in ((ana, of_ana), (ben, of_ben)):
        assert save(client, trigger, form, **{"filters-0-DELETE": "on"}).status_code == 302
    assert filters_of(trigger) == set()


def test_streak_settings_and_their_metrics_notice_changes(ana: Client, ben: Client, game: Game) -> None:
    update_settings(metrics=[(game.lessons, Decimal(1))])
    settings = StreakSettings.objects.get()
    open_by_ben = open_form(ben, settings)
    with acting("Ana Stone"):
        update_settings(metrics=[(game.lessons, Decimal(5)), (game.flashcards, Decimal(2))])
    refused = save(ben, settings, open_by_ben, frequency="weekly")
    assert "Metric: Lessons completed: 1 → none" in text_of(refused)
    assert save(ben, settings, shown_again(refused, settings)).status_code == 302
    settings.refresh_from_db()
    assert settings.frequency == "weekly"
    assert {(each.metric.key, each.threshold) for each in settings.metrics.all()} == {("lessons", 5), ("flashcards", 2)}


# --- Every form ------------------------------------------------------------------------------------------------------
def rows_to_change(game: Game) -> dict[str, tuple[Any, str, str]]:
    """Return, of each model that the admin changes, a row with a field and another value for it."""
    endpoint, _ = create_endpoint(url="https://example.com/hook", name="CRM", types=["points.changed"])
    rows = [
        (game.trigger(points=1, status="inactive"), "points", "2"),
        (make_boost(game), "name", "Triple XP"),
        (create_level(system=game.xp, key="adept", name="Adept", points=40), "name", "Expert"),
        (create_achievement(name="First", type="streak", streak_length=3), "name", "Second"),
        (game.xp, "name", "Experience"),
        (game.lessons, "name", "Lessons"),
        (game.plan, "name", "Subscription"),
        (create_api_key(name="Backend")[0], "name", "Server"),
        (endpoint, "name", "Data warehouse"),
        (StreakSettings.objects.get_or_create(id=1)[0], "frequency", "monthly"),
        (User.objects.create_user("carla", is_staff=True), "first_name", "Carla"),
        (Group.objects.create(name="Interns"), "name", "Trainees"),
    ]
    return {row._meta.label_lower: (row, field, value) for row, field, value in rows}


def test_every_form_that_changes_a_row_notices_what_others_changed(
    ana: Client, ben: Client, game: Game, rf: Any
) -> None:
    rows = rows_to_change(game)
    assert set(rows) == models_with_a_change_form(rf) - {"access.applicationkey"}, "whose user stays"
    for row, field, value in rows.values():
        open_by_ben = open_form(ben, row)
        assert "_shown" in open_by_ben, row
        assert save(ana, row, open_form(ana, row), **{field: value}).status_code == 302, row
        assert save(ben, row, open_by_ben).status_code == 302, "what changes nothing is no conflict"
        refused = save(ben, row, open_by_ben, **{field: f"{value}0" if value.isdigit() else other_than(value)})
        assert "Ana Stone (ana)" in text_of(refused), row
        row.refresh_from_db()
        assert str(getattr(row, field)) == value


def other_than(value: str) -> str:
    return "weekly" if value == "monthly" else f"{value} too"


def models_with_a_change_form(rf: Any) -> set[str]:
    request = rf.get("/")
    request.user = User.objects.get(username="ana")
    changed = [
        (model, of_model) for model, of_model in admin.site._registry.items() if of_model.has_change_permission(request)
    ]
    return {model._meta.label_lower for model, of_model in changed if of_model.get_form(request).base_fields}


def test_a_type_that_others_added_to_an_endpoint_stays_when_another_is_added(ana: Client, ben: Client) -> None:
    endpoint, _ = create_endpoint(url="https://example.com/hook", types=["points.changed"])
    open_by_ben, of_ana = open_form(ben, endpoint), open_form(ana, endpoint)
    assert save(ana, endpoint, of_ana, types=["points.changed", "points.boost_started"]).status_code == 302
    refused = save(ben, endpoint, open_by_ben, types=["points.changed", "points.boost_finished"])
    assert save(ben, endpoint, shown_again(refused, endpoint)).status_code == 302
    endpoint.refresh_from_db()
    assert set(endpoint.types) == {"points.changed", "points.boost_started", "points.boost_finished"}


def test_a_role_that_was_given_meanwhile_is_named_with_who_gave_it(ana: Client, ben: Client) -> None:
    carla = User.objects.create_user("carla", is_staff=True)
    viewer, support = Group.objects.get(name="Viewer"), Group.objects.get(name="Support")
    open_by_ben = open_form(ben, carla)
    assert save(ana, carla, open_form(ana, carla), role=str(viewer.pk)).status_code == 302

    refused = save(ben, carla, open_by_ben, role=str(support.pk), last_name="Diaz")

    told = text_of(refused)
    assert "UTC, Ana Stone (ana): " in told
    assert "Role: none → Viewer." in told
    assert "You entered Role: Support" in told
    assert [role.name for role in carla.groups.all()] == ["Viewer"]
    assert save(ben, carla, shown_again(refused, carla)).status_code == 302
    carla.refresh_from_db()
    assert ([role.name for role in carla.groups.all()], carla.last_name) == (["Support"], "Diaz")


def test_permissions_that_others_gave_a_role_stay_when_others_are_given(ana: Client, ben: Client) -> None:
    role = Group.objects.create(name="Interns")
    open_by_ben, of_ana = open_form(ben, role), open_form(ana, role)
    first, second = (str(each.pk) for each in Group.objects.get(name="Operator").permissions.all()[:2])
    assert save(ana, role, of_ana, permissions=[first]).status_code == 302
    refused = save(ben, role, open_by_ben, permissions=[second])
    assert "Permissions: " in text_of(refused)
    assert save(ben, role, shown_again(refused, role)).status_code == 302
    assert {str(each.pk) for each in role.permissions.all()} == {first, second}


def test_a_row_that_was_archived_meanwhile_says_so(ana: Client, ben: Client, game: Game) -> None:
    open_by_ben = open_form(ben, game.flashcards)
    with acting("Ana Stone"):
        archive(row=game.flashcards)
    assert save(ben, game.flashcards, open_by_ben, name="Cards").status_code == 302
    page = text_of(ben.get(page_of(game.flashcards)))
    assert "is archived, and cannot be changed." in page
    assert "Ana Stone, archived" in page


def test_a_badge_that_was_only_kept_is_no_edit(ana: Client, ben: Client, game: Game) -> None:
    goal = create_achievement(name="First", type="streak", streak_length=3)
    open_by_ben = open_form(ben, goal)
    with acting("Ana Stone"):
        update_achievement(achievement=goal, badge_url="https://example.com/badge.png")
    refused = save(ben, goal, open_by_ben, name="Second")
    assert "https://example.com/badge.png" in text_of(refused)
    save(ben, goal, shown_again(refused, goal))
    assert Achievement.objects.get().badge_url == "https://example.com/badge.png"


# --- At the same moment ----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_form_that_waits_for_another_change_notices_it() -> None:
    game, ben = make_game(), client_of("ben")
    trigger = game.trigger(points=20, status="inactive")
    form = open_form(ben, trigger)

    def change() -> None:
        with acting("Ana Stone"):
            update_checked(PointsTrigger.objects.select_for_update().get(), points=30)

    late = meeting(change, partial(save, ben, trigger, form, metric_threshold="2"))
    assert "Ana Stone, changed: Points: 20 → 30." in text_of(late)
    trigger.refresh_from_db()
    assert (trigger.points, trigger.metric_threshold) == (30, 1)
