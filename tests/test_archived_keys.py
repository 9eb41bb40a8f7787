"""A key that was archived: its attribute is restored or a new one begins empty, as all else that is new does anyway."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client

from achievements.services import create_achievement
from core.services import archive, create_checked, restore
from engine import emptying
from metrics.models import Event, Metric, MetricTotal
from points.models import PointsSystem
from tests.conftest import Api, Game
from tests.test_imports import check, confirmed
from users.models import Attribute, AttributeEmptying, EndUser
from users.services import create_attribute

ATTRIBUTES = "/admin-api/v1/attributes"
ADD = "/admin/users/attribute/add/"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def renew(attribute: Attribute) -> Attribute:
    """Archive an attribute, and make another one with its key that begins empty."""
    archive(row=attribute)
    return create_attribute(name="New", key=attribute.key, type=attribute.type, begin_empty=True)


def emptied(attribute: Attribute) -> Attribute:
    """Let the workers empty it."""
    emptying.empty_attributes()
    attribute.refresh_from_db()
    return attribute


def user_with(api: Api, user: str, plan: str) -> None:
    assert api.send("POST", "/v1/users", {"id": user, "attributes": {"plan": plan}}).status_code == 201


# --- Restoring is offered first --------------------------------------------------------------------------------------
def test_the_admin_api_names_the_archived_attribute_and_makes_none(api: Api, game: Game) -> None:
    archive(row=game.plan)

    answer = api.send("POST", ATTRIBUTES, [{"name": "Plan", "key": "plan", "type": "user"}])

    (issue,) = answer.json()["issues"]
    assert (answer.status_code, issue["index"]) == (200, 0)
    assert f"key belongs to «Plan (user)», which was archived (ID {game.plan.id})" in issue["message"]
    assert "?beginEmpty=true" in issue["message"]
    assert Attribute.objects.filter(key="plan").count() == 1


def test_the_form_leads_to_the_archived_attribute(operator: Client, game: Game) -> None:
    archive(row=game.plan)

    page = operator.post(ADD, {"name": "Plan", "key": "plan", "type": "user"}).content.decode()

    assert f"/admin/users/attribute/{game.plan.id}/change/" in page
    assert "which was archived: restore that, or tick «Begin empty»." in page
    assert Attribute.objects.filter(key="plan").count() == 1


def test_a_restored_attribute_has_what_was_stored_under_it(api: Api, game: Game) -> None:
    user_with(api, "alice", "pro")
    archive(row=game.plan)
    restore(row=game.plan)
    assert api.get("/v1/users/alice").json()["attributes"] == {"plan": "pro"}


@pytest.mark.parametrize("type_", ["user", "event"])
def test_a_key_that_was_never_archived_or_is_of_the_other_type_is_free(api: Api, game: Game, type_: str) -> None:
    other = game.category if type_ == "user" else game.plan
    archive(row=other)
    item = {"name": "Free", "key": other.key, "type": type_}
    assert api.send("POST", ATTRIBUTES, [item]).json()["issues"] == []
    assert Attribute.objects.get(name="Free").status == "active"


# --- Beginning empty -------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_user_attribute_begins_empty_and_old_values_pay_nothing(api: Api, game: Game) -> None:
    user_with(api, "alice", "pro")
    user_with(api, "bob", "pro")
    archive(row=game.plan)
    item = {"name": "New plan", "key": "plan", "type": "user"}
    made = api.send("POST", f"{ATTRIBUTES}?beginEmpty=true", [item]).json()["created"][0]

    plan = emptied(Attribute.objects.get(id=made["id"]))

    assert plan.status == "active"
    game.trigger(10, user_filters=[(plan, "pro")])
    user_with(api, "bob", "pro")
    assert api.event("alice").json()["points"] == {}
    assert api.event("bob").json()["points"]["xp"]["added"] == 10
    assert api.get("/v1/users/alice").json()["attributes"] == {}
    call_command("verify")


@pytest.mark.django_db(transaction=True)
def test_an_event_attribute_begins_empty_and_its_totals_count_from_nothing(api: Api, game: Game) -> None:
    old = game.trigger(10, every=5, event_filters=[(game.category, "grammar")])
    both = create_checked(Attribute, name="Level", key="level", type="event")
    game.trigger(1, every=100, event_filters=[(both, "b1")])
    api.event("alice", 4, category="grammar", level="b1")
    archive(row=old)

    category = emptied(renew(game.category))

    assert list(Event.objects.values_list("attributes", flat=True)) == [{"level": "b1"}]
    assert set(MetricTotal.objects.values_list("filter", flat=True)) == {"", '{"level":"b1"}'}
    game.trigger(7, every=5, event_filters=[(category, "grammar")])
    assert api.event("alice", 4, category="grammar").json()["points"] == {}
    assert api.event("alice", 1, category="grammar").json()["points"]["xp"]["added"] == 7
    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 9
    call_command("verify")


def test_an_event_that_is_sent_again_is_a_replay_though_its_attributes_are_gone(api: Api, game: Game) -> None:
    api.event("alice", 4, key="once", category="grammar")
    emptied(renew(game.category))
    again = api.event("alice", 4, key="once", category="grammar")
    assert (again.status_code, again.json()["idempotentReplayed"]) == (202, True)
    assert api.event("alice", 4, key="once", category="math").status_code == 422


def test_the_key_is_free_only_when_all_is_removed(api: Api, game: Game) -> None:
    user_with(api, "alice", "pro")
    plan = renew(game.plan)

    assert api.send("PATCH", "/v1/users/alice", {"attributes": {"plan": "free"}}).status_code == 422
    assert api.send("PATCH", "/v1/users/alice", {"attributes": {"plan": None}}).status_code == 200
    with pytest.raises(ValidationError, match="which is being emptied: wait until it is"):
        game.trigger(10, user_filters=[(plan, "pro")])
    with pytest.raises(ValidationError, match="Key already in use by another attribute"):
        create_attribute(name="Third", key="plan", type="user", begin_empty=True)
    with pytest.raises(ValidationError, match="Key already in use by another attribute"):
        restore(row=game.plan)

    emptied(plan)
    assert api.send("PATCH", "/v1/users/alice", {"attributes": {"plan": "free"}}).status_code == 200


def test_what_other_keys_hold_stays(api: Api, game: Game) -> None:
    create_checked(Attribute, name="Team", key="team", type="user")
    create_checked(Attribute, name="Category", key="category", type="user")
    api.send("POST", "/v1/users", {"id": "alice", "attributes": {"plan": "pro", "team": "plan", "category": "x"}})
    api.event("alice", category="plan")
    before = EndUser.objects.get().updated

    emptied(renew(game.category))
    assert EndUser.objects.get().updated == before
    emptied(renew(game.plan))

    assert EndUser.objects.get().attributes == {"team": "plan", "category": "x"}


def test_only_what_was_begun_a_moment_ago_is_worked_on(api: Api, game: Game) -> None:
    user_with(api, "alice", "pro")
    plan = renew(game.plan)
    assert emptying.empty_attributes(created_before=NOON) == 0
    assert emptying.empty_attributes(seconds_max=-1) == 0
    plan.refresh_from_db()
    assert plan.status == "emptying"


class Crash(BaseException):
    """The worker is killed."""


def crashing_clock(after: int) -> Iterator[datetime]:
    for _ in range(after):
        yield NOON
    raise Crash


@pytest.mark.parametrize("readings", range(4))
def test_after_a_crash_it_goes_on_where_it_was(api: Api, game: Game, readings: int) -> None:
    users = 2 * emptying.CHUNK + 5
    confirmed(check("users", "id,attributes.plan\n" + "".join(f"user-{number},pro\n" for number in range(users))))
    plan = renew(game.plan)
    ticks = crashing_clock(readings)

    with pytest.raises((Crash, RuntimeError)):
        emptying.empty_attributes(clock=lambda: next(ticks))
    work = AttributeEmptying.objects.get()
    assert work.looked_at == work.emptied == min(readings * emptying.CHUNK, users)
    assert EndUser.objects.filter(attributes={}).count() == work.emptied

    assert emptying.empty_attributes() == users - work.emptied
    plan.refresh_from_db()
    work.refresh_from_db()
    assert (plan.status, work.emptied, EndUser.objects.exclude(attributes={}).count()) == ("active", users, 0)


def test_one_that_is_archived_half_empty_is_emptied_once_it_is_restored(api: Api, game: Game) -> None:
    confirmed(check("users", "id,attributes.plan\n" + "".join(f"u{number},pro\n" for number in range(300))))
    plan = renew(game.plan)
    ticks = crashing_clock(1)
    with pytest.raises((Crash, RuntimeError)):
        emptying.empty_attributes(clock=lambda: next(ticks))
    archive(row=plan)
    restore(row=game.plan)
    first = EndUser.objects.order_by("id").first()
    assert first is not None
    user_with(api, first.external_id, "pro")

    assert emptying.empty_attributes() == 0
    archive(row=game.plan)
    restore(row=plan)
    assert plan.status == "emptying"

    assert emptied(plan).status == "active"
    assert not EndUser.objects.exclude(attributes={}).exists()


def test_an_operator_insists_in_the_form_and_sees_how_far_it_is(operator: Client, api: Api, game: Game) -> None:
    user_with(api, "alice", "pro")
    archive(row=game.plan)

    form = {"name": "New plan", "key": "plan", "type": "user", "begin_empty": "on"}
    page = operator.post(ADD, form, follow=True).content.decode()

    assert "is being emptied. It can be used when that is done." in page
    plan = Attribute.objects.get(name="New plan")
    change = f"/admin/users/attribute/{plan.id}/change/"
    assert "So far 0 users looked at" in operator.get(change).content.decode()
    assert "Being emptied" in operator.get("/admin/users/attribute/").content.decode()
    assert emptied(plan).status == "active"
    assert "1 users looked at, something removed of 1 of them." in operator.get(change).content.decode()
    assert "Begins empty" not in operator.get(f"/admin/users/attribute/{game.category.id}/change/").content.decode()


def test_begin_empty_asks_for_nothing_where_the_key_is_new(operator: Client, api: Api, game: Game) -> None:
    form = {"name": "Team", "key": "team", "type": "user", "begin_empty": "on"}
    operator.post(ADD, form)
    assert Attribute.objects.get(key="team").status == "active"
    assert not AttributeEmptying.objects.exists()


# --- What else has keys ----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_new_metric_system_and_achievement_with_an_archived_key_begin_empty(api: Api, game: Game) -> None:
    given: dict[str, Any] = {"name": "Toured", "type": "api", "key": "toured", "status": "active"}
    toured = create_achievement(**given)
    trigger = game.trigger(10)
    api.event("alice", 5, key="once")
    api.send("POST", "/v1/achievements/toured/complete", {"user": {"id": "alice"}})
    for row in (trigger, game.xp, game.lessons, toured):
        archive(row=row)

    lessons = create_checked(Metric, name="Lessons", key="lessons")
    create_checked(PointsSystem, name="XP", key="xp")
    create_achievement(**given)

    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 0
    assert api.points("alice")["total"] == 0
    assert api.get("/v1/users/alice/achievements").json() == []
    assert api.event("alice", 2, key="once").status_code == 201
    assert Event.objects.filter(metric=lessons).count() == 1
    call_command("verify")
