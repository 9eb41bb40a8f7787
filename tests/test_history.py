"""The history of configuration: who changed what, from what to what, by whatever road it was changed."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from access.models import ApiKey
from access.services import create_api_key, create_application_key, revoke_keys
from achievements.rules import AchievementType
from achievements.services import create_achievement, update_achievement
from boosts.models import Boost
from boosts.services import activate_boosts, create_boost, finish_boosts, update_boost
from config import demo
from core.changes import Entry, history_of_row, tracked_models
from core.history import acting, history_of
from core.models import Configuration, ConfigurationRevision
from core.services import archive, create_checked, restore, update_checked
from engine.clock import mark_boosts
from levels.models import Level
from metrics.models import Event, Metric, MetricTotal
from points.models import PointsAward, PointsBalance, PointsTrigger
from points.services import activate_triggers, deactivate_triggers, update_trigger
from streaks.models import StreakSettings
from streaks.services import update_settings
from tests.conftest import Api, Game
from tests.test_admin import text_of, trigger_form
from tests.test_admin_rules import act, act_on_one
from users.models import Attribute, EndUser
from webhooks import services as webhooks
from webhooks.models import Endpoint

DAY = timedelta(days=1)


@pytest.fixture
def olivia(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia", first_name="Olivia", last_name="Stone"))
    return client


def newest(row: Any) -> Entry:
    return history_of_row(row).entries[0]


def changed(row: Any) -> set[tuple[str, str, str]]:
    """Return what the newest entry says of fields: the name, what it was, what it is."""
    return {(each.name, each.old, each.new) for each in newest(row).changes}


def shown(client: Client, row: Any) -> str:
    meta = row._meta
    answer = client.get(f"/admin/{meta.app_label}/{meta.model_name}/{row.pk}/history/")
    assert answer.status_code == 200
    return text_of(answer)


def today() -> date:
    return timezone.now().astimezone(UTC).date()


def make_boost(game: Game, **fields: Any) -> Boost:
    given: dict[str, Any] = {"name": "Double XP", "multiplier": Decimal(2), "start": today(), "end": today() + 3 * DAY}
    return create_boost(**({"system": game.xp} | given | fields))


# --- What an operator reads ------------------------------------------------------------------------------------------
def test_a_form_says_who_changed_which_field_from_what_to_what(olivia: Client, game: Game) -> None:
    trigger = game.trigger(points=10, status="inactive")
    form = trigger_form(game, points="15", metric=str(game.flashcards.id), metric_threshold="20")
    assert olivia.post(f"/admin/points/pointstrigger/{trigger.id}/change/", form).status_code == 302
    entry = newest(trigger)
    assert (entry.actor, entry.verb) == ("Olivia Stone (olivia)", "Changed")
    assert changed(trigger) == {
        ("Points", "10", "15"),
        ("Metric", "Lessons completed", "Flashcards flipped"),
        ("Metric threshold", "1", "20"),
    }
    page = shown(olivia, trigger)
    assert "by Olivia Stone (olivia)" in page
    assert "Metric Lessons completed → Flashcards flipped" in page


def test_a_change_of_filters_is_shown_with_the_trigger_that_has_them(game: Game, api: Api) -> None:
    trigger = game.trigger(points=10, user_filters=[(game.plan, "pro")])
    assert ("Filter", "none", "plan = pro") in changed(trigger)
    path, attribute = f"/admin-api/v1/points/{game.xp.id}/triggers", str(game.plan.id)
    to_team = [{"attributeId": attribute, "attributeValue": "team"}]
    assert api.send("PATCH", path, [{"id": str(trigger.id), "userAttributes": to_team}]).json()["issues"] == []
    assert changed(trigger) == {("Filter", "plan = pro", "none"), ("Filter", "none", "plan = team")}
    assert newest(trigger).actor == "Admin API key «tests»"
    count = len(history_of_row(trigger).entries)
    assert api.send("PATCH", path, [{"id": str(trigger.id), "userAttributes": to_team}]).json()["issues"] == []
    assert len(history_of_row(trigger).entries) == count, "what changes nothing leaves no trace"


def test_saving_a_form_without_a_change_leaves_no_trace(olivia: Client, game: Game) -> None:
    trigger = game.trigger(points=10, status="inactive")
    form = trigger_form(game, points="10", metric=str(game.lessons.id), metric_threshold="1")
    assert olivia.post(f"/admin/points/pointstrigger/{trigger.id}/change/", form).status_code == 302
    assert [entry.verb for entry in history_of_row(trigger).entries] == ["Created"]


def test_choices_and_numbers_are_shown_in_words(game: Game) -> None:
    boost = make_boost(game)
    update_boost(boost=boost, rounding="nearest", multiplier=Decimal("1.2500"), end=None)
    assert changed(boost) == {
        ("Rounding", "Down", "To the nearest, halves up"),
        ("Multiplier", "2", "1.25"),
        ("End", (today() + 3 * DAY).isoformat(), "none"),
    }


def test_an_operator_whose_account_is_gone_is_still_named(olivia: Client, game: Game) -> None:
    act(olivia, "metrics/metric", "archive_selected", game.lessons)
    User.objects.all().delete()
    assert newest(game.lessons).actor == "Olivia Stone (olivia)"


def test_a_history_goes_on_page_by_page(olivia: Client, game: Game) -> None:
    for number in range(60):
        update_checked(game.lessons, name=f"Lessons {number:02}")
    first = olivia.get(f"/admin/metrics/metric/{game.lessons.id}/history/")
    assert "Lessons 59" in text_of(first)
    assert "Lessons 05" not in text_of(first)
    older = re.search(r'href="(\?before=\d+)"', first.content.decode())
    assert older is not None
    second = text_of(olivia.get(f"/admin/metrics/metric/{game.lessons.id}/history/{older[1]}"))
    assert "Lessons 05" in second
    assert "Created" in second
    assert "→ Lessons 59" not in second
    for odd in ("x", "-1", "9" * 30):
        assert olivia.get(f"/admin/metrics/metric/{game.lessons.id}/history/?before={odd}").status_code == 200


# --- Every road ------------------------------------------------------------------------------------------------------
def test_every_configuration_has_a_history_and_nothing_hot_has() -> None:
    tracked = set(tracked_models())
    waiting = list(Configuration.__subclasses__())
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        assert model._meta.abstract or model in tracked, model
    assert StreakSettings in tracked
    assert not tracked & {EndUser, Event, MetricTotal, PointsAward, PointsBalance}


ROADS: dict[str, Callable[[Game], tuple[Any, Callable[[], Any], str]]] = {
    "archive": lambda game: (game.flashcards, lambda: archive(row=game.flashcards), "Archived"),
    "update by queryset": lambda game: (game.plan, lambda: Attribute.objects.update(name="Tariff"), "Changed"),
    "update by a relation": lambda game: (
        trigger := game.trigger(points=10),
        lambda: game.xp.triggers.update(points=trigger.points + 1),
        "Changed",
    ),
    "activate triggers": lambda game: (
        game.trigger(points=10, status="inactive"),
        lambda: activate_triggers(triggers=PointsTrigger.objects.all()),
        "Activated",
    ),
    "deactivate triggers": lambda game: (
        game.trigger(points=10),
        lambda: deactivate_triggers(triggers=PointsTrigger.objects.all()),
        "Deactivated",
    ),
    "activate boosts": lambda game: (
        make_boost(game),
        lambda: activate_boosts(boosts=Boost.objects.all()),
        "Activated",
    ),
    "finish boosts": lambda game: (
        make_boost(game, status="active"),
        lambda: finish_boosts(boosts=Boost.objects.all()),
        "Finished",
    ),
    "the clock ends a boost": lambda game: (
        make_boost(game, status="active"),
        lambda: mark_boosts(timezone.now() + 9 * DAY),
        "Finished",
    ),
    "revoke keys": lambda _: (
        create_api_key(name="old")[0],
        lambda: revoke_keys(keys=ApiKey.objects.all()),
        "Revoked",
    ),
    "disable an endpoint": lambda _: (
        endpoint := make_endpoint(),
        lambda: webhooks.disable(endpoint=endpoint),
        "Disabled",
    ),
    "streak settings": lambda game: (
        update_settings(),
        lambda: update_settings(metrics=[(game.lessons, Decimal(3))]),
        "Changed",
    ),
    "prerequisites": lambda game: _composite(game),
    "bulk update": lambda game: (game.lessons, lambda: _rename_in_bulk(game.lessons), "Changed"),
}


def _composite(game: Game) -> tuple[Any, Callable[[], Any], str]:
    first, second = (create_achievement(name=name, type="api", key=name) for name in ("one", "two"))
    both = create_achievement(name="Both", type=AchievementType.COMPOSITE.value, prerequisites=[first])
    return both, lambda: update_achievement(achievement=both, prerequisites=[first, second]), "Changed"


def _rename_in_bulk(metric: Metric) -> None:
    metric.name = "Lessons"
    Metric.objects.bulk_update([metric], ["name"])


def make_endpoint() -> Endpoint:
    return webhooks.create_endpoint(url="https://example.com/hook", types=["points.changed"], name="CRM")[0]


@pytest.mark.parametrize("road", ROADS)
def test_a_change_is_recorded_by_whatever_road_it_comes(road: str, game: Game) -> None:
    row, change, verb = ROADS[road](game)
    before = len(history_of_row(row).entries)
    with acting("somebody"):
        change()
    entries = history_of_row(row).entries
    assert len(entries) == before + 1
    assert (entries[0].verb, entries[0].actor) == (verb, "somebody")
    assert entries[0].changes


def test_what_is_stored_in_bulk_is_recorded(game: Game) -> None:
    first, second = Metric.objects.bulk_create(Metric(name=name, key=name) for name in ("one", "two"))
    assert (newest(first).verb, newest(second).verb) == ("Created", "Created")


def test_what_a_change_takes_back_leaves_no_record(api: Api, game: Game) -> None:
    path = f"/admin-api/v1/points/{game.xp.id}/triggers"
    records = history_of(PointsTrigger)._default_manager
    item = {"type": "metric", "points": 5, "metricId": str(game.lessons.id), "metricThreshold": 1}
    bad = item | {"userAttributes": [{"attributeId": str(game.category.id), "attributeValue": "x"}]}
    answer = api.send("POST", path, [item, bad]).json()
    assert (len(answer["created"]), len(answer["issues"])) == (1, 1)
    assert records.count() == 1


def test_actions_of_the_admin_name_the_operator(olivia: Client, game: Game) -> None:
    trigger = game.trigger(points=10, status="inactive")
    act(olivia, "points/pointstrigger", "activate_selected", trigger)
    assert (newest(trigger).verb, newest(trigger).actor) == ("Activated", "Olivia Stone (olivia)")
    boost = make_boost(game, status="active")
    act_on_one(olivia, "boosts/boost", "finish_one", boost)
    assert (newest(boost).verb, newest(boost).actor) == ("Finished", "Olivia Stone (olivia)")
    act(olivia, "metrics/metric", "archive_selected", game.flashcards)
    game.flashcards.refresh_from_db()
    restore(row=game.flashcards)
    assert [entry.verb for entry in history_of_row(game.flashcards).entries] == ["Restored", "Archived", "Created"]
    assert newest(game.flashcards).actor == "Pointsmith", "outside of a request it is nobody's"


def test_a_file_of_rules_is_named_and_levels_that_exchange_points_show_only_that(game: Game, tmp_path: Path) -> None:
    low, high = (
        create_checked(Level, system=game.xp, name=name, key=name, points=points)
        for name, points in (("low", 10), ("high", 20))
    )
    file = tmp_path / "rules.yaml"
    call_command("config", "export", str(file))
    text = file.read_text()
    assert "points: 10" in text
    file.write_text(text.replace("points: 10", "points: ?").replace("points: 20", "points: 10").replace("?", "20"))
    call_command("config", "apply", str(file))
    assert changed(low) == {("Points", "10", "20")}
    assert changed(high) == {("Points", "20", "10")}
    assert newest(low).actor == "config apply"
    assert len(history_of_row(low).entries) == 2


def test_a_trial_of_a_file_leaves_no_record(game: Game, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    call_command("config", "export", str(file))
    file.write_text(file.read_text().replace("Lessons completed", "Lessons"))
    call_command("config", "plan", str(file))
    assert len(history_of_row(game.lessons).entries) == 1


def test_the_demo_is_recorded(db: None) -> None:
    with acting("Demo"):
        demo.create_rules(datetime(2026, 1, 20, 12, tzinfo=UTC))
    trigger = PointsTrigger.objects.filter(filters__isnull=False).first()
    assert trigger is not None
    assert (newest(trigger).verb, newest(trigger).actor) == ("Created", "Demo")


# --- What is never in it ---------------------------------------------------------------------------------------------
def test_secrets_and_hashes_are_in_no_history(olivia: Client) -> None:
    for model, hidden in ((Endpoint, "secret"), (Endpoint, "old_secret"), (ApiKey, "hashed_key")):
        assert hidden not in {each.name for each in history_of(model)._meta.get_fields()}
    endpoint = make_endpoint()
    secret = webhooks.rotate_secret(endpoint=endpoint)
    page = shown(olivia, endpoint)
    assert "Secret rotated; the old one signs too." in page
    assert secret not in page
    webhooks.finish_rotation(endpoint=endpoint)
    assert newest(endpoint).notes == ["Rotation of the secret finished"]
    key, text = create_application_key(external_id="alice")
    assert text.split(".")[1] not in shown(olivia, key)


def test_records_are_no_new_revision_of_the_rules(game: Game) -> None:
    revision = ConfigurationRevision.objects.get().revision
    assert history_of(Metric)._default_manager.update(actor="someone") > 0
    assert ConfigurationRevision.objects.get().revision == revision


def test_events_leave_no_record(api: Api, game: Game) -> None:
    game.trigger(points=10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM core_change_numbers")
        before = cursor.fetchone()
        assert api.event("alice").status_code == 201
        cursor.execute("SELECT last_value FROM core_change_numbers")
        assert cursor.fetchone() == before


# --- All changes -----------------------------------------------------------------------------------------------------
def changes(client: Client, query: str = "") -> str:
    answer = client.get(f"/admin/changes/{query}")
    assert answer.status_code == 200
    return text_of(answer)


def test_the_newest_changes_of_everything_are_on_one_page(olivia: Client, game: Game) -> None:
    with acting("Olivia"):
        update_trigger(trigger=game.trigger(points=10), points=12)
    page = changes(olivia)
    assert "Points trigger +12 · Lessons completed: every 1" in page
    assert "Metric Lessons completed" in page
    assert page.index("+12") < page.index("Created Metric")


def test_changes_are_found_by_model_by_whom_and_by_day(olivia: Client, game: Game) -> None:
    with acting("config apply"):
        update_checked(game.lessons, name="Lessons")
    assert "Flashcards flipped" in changes(olivia, "?of=metrics.metric")
    assert "Plan (user)" not in changes(olivia, "?of=metrics.metric")
    by_file = changes(olivia, "?by=CONFIG")
    assert "Lessons completed → Lessons" in by_file
    assert "Flashcards flipped" not in by_file
    tomorrow, yesterday = today() + DAY, today() - DAY
    assert "No change is like that" in changes(olivia, f"?since={tomorrow}")
    assert "No change is like that" in changes(olivia, f"?until={yesterday}")
    assert "Lessons completed → Lessons" in changes(olivia, f"?since={today()}&until={today()}")
    assert "must not be before the first day." in changes(olivia, f"?since={tomorrow}&until={yesterday}")
    assert "Select a valid choice" in changes(olivia, "?of=auth.user")


def test_what_is_of_single_users_is_shown_only_when_asked_for(olivia: Client, game: Game) -> None:
    make_boost(game, name="Thank you", external_id="alice")
    create_application_key(external_id="bob")
    page = changes(olivia)
    assert "Thank you" not in page
    assert "bob" not in page
    assert "Thank you" in changes(olivia, "?of=boosts.boost.of-one-user")
    assert "bob" in changes(olivia, "?of=access.applicationkey")


def test_all_changes_go_on_page_by_page(olivia: Client, game: Game) -> None:
    for number in range(60):
        update_checked(game.lessons, name=f"Lessons {number:02}")
    first = olivia.get("/admin/changes/?of=metrics.metric")
    assert "Lessons 05" not in text_of(first)
    older = re.search(r"before=\d+", first.content.decode())
    assert older is not None
    assert "Lessons 05" in changes(olivia, f"?of=metrics.metric&{older[0]}")
