"""Boosts from outside: in awards, in lists, and what operators can do with them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from trophy import NotFoundError, TrophyApi

from boosts.models import Boost, BoostStatus
from boosts.services import activate_boosts, create_boost, finish_boosts, update_boost
from core.services import archive, restore, update_checked
from points.models import PointsAward
from tests.conftest import Api, Game, make_game

Clock = time_machine.Traveller


@pytest.fixture(autouse=True)
def clock() -> Iterator[Clock]:
    """Tuesday 10 March 2026, 9:00 UTC."""
    with time_machine.travel("2026-03-10T09:00Z", tick=False) as traveller:
        yield traveller


def to_march(clock: Clock, day: int, hour: int = 9) -> None:
    clock.move_to(datetime(2026, 3, day, hour, tzinfo=UTC), tick=False)


def double(game: Game, name: str = "Double", **fields: Any) -> Boost:
    """Add an active boost of XP by 2 from today on, unless `fields` say otherwise."""
    given: dict[str, Any] = {"system": game.xp, "name": name, "start": date(2026, 3, 10), "multiplier": Decimal(2)}
    return create_boost(**(given | {"status": BoostStatus.ACTIVE} | fields))


def finish(boost: Boost) -> int:
    return finish_boosts(boosts=Boost.objects.filter(id=boost.id))


def activate(boost: Boost) -> int:
    return activate_boosts(boosts=Boost.objects.filter(id=boost.id))


def paid(answer: Any) -> list[int]:
    """Return what each award of XP of an event that was accepted gave or took."""
    assert answer.status_code == 201, answer.json()
    return [award["awarded"] for award in answer.json()["points"].get("xp", {"awards": []})["awards"]]


def listed(api: Api, path: str = "/v1/points/xp/boosts") -> list[tuple[str, str]]:
    """Return the names and statuses of a list of boosts."""
    answer = api.get(path)
    assert answer.status_code == 200, answer.json()
    return [(each["name"], each["status"]) for each in answer.json()]


ALL = "/v1/points/xp/boosts?includeFinished=true"
OF_ALICE = "/v1/users/alice/points/xp/boosts"


# --- In awards -------------------------------------------------------------------------------------------------------
def test_an_award_is_multiplied_and_says_by_what(api: Api, game: Game) -> None:
    game.trigger(points=10)
    boost = double(game, end=date(2026, 3, 12), multiplier=Decimal("1.25"), rounding="up")
    award = api.event("alice").json()["points"]["xp"]["awards"][0]
    assert (award["awarded"], award["total"]) == (13, 13)
    assert award["boosts"] == [
        {
            "id": str(boost.id),
            "name": "Double",
            "status": "active",
            "start": "2026-03-10",
            "end": "2026-03-12",
            "multiplier": 1.25,
            "rounding": "up",
        }
    ]
    assert api.points("alice")["awards"] == [award]


def test_several_boosts_multiply_together_and_are_listed_by_creation_one_user_s_last(api: Api, game: Game) -> None:
    game.trigger(points=10)
    double(game, "Alice's", external_id="alice", multiplier=Decimal("1.5"))
    double(game, "First")
    double(game, "Second", multiplier=Decimal("0.5"))
    award = api.event("alice").json()["points"]["xp"]["awards"][0]
    assert (award["awarded"], [each["name"] for each in award["boosts"]]) == (15, ["First", "Second", "Alice's"])
    assert paid(api.event("bob")) == [10]


def test_a_deduction_is_as_it_was_and_names_no_boosts(api: Api, game: Game) -> None:
    double(game)
    game.trigger(points=10)
    game.trigger(points=-3)
    award, deduction = api.event("alice").json()["points"]["xp"]["awards"]
    assert (award["awarded"], len(award["boosts"])) == (20, 1)
    assert (deduction["awarded"], deduction["boosts"]) == (-3, [])


def test_the_need_of_a_blocking_trigger_is_not_boosted_what_comes_before_it_is(api: Api, game: Game) -> None:
    double(game)
    game.trigger(points=3)
    game.trigger(points=-6, block_if_out_of_points=True)
    assert paid(api.event("alice")) == [6, -6]


def test_many_crossings_are_boosted_as_one_award(api: Api, game: Game) -> None:
    game.trigger(points=1)
    double(game, multiplier=Decimal("1.5"))
    assert paid(api.event("alice", 3)) == [4]


def test_the_maximum_holds_for_what_is_boosted_and_the_boost_is_named_all_the_same(api: Api, game: Game) -> None:
    game.trigger(points=8, system=game.energy)
    double(game, system=game.energy)
    award = api.event("alice").json()["points"]["energy"]["awards"][0]
    assert (award["awarded"], len(award["boosts"])) == (10, 1)


def test_a_boost_is_of_one_points_system(api: Api, game: Game) -> None:
    double(game)
    game.trigger(points=4, system=game.energy)
    assert api.event("alice").json()["points"]["energy"]["added"] == 4


def test_what_rounds_to_nothing_is_not_awarded_and_not_paid_later(api: Api, game: Game) -> None:
    boost = double(game, multiplier=Decimal("0.4"))
    game.trigger(points=1)
    assert paid(api.event("alice")) == []
    assert not PointsAward.objects.exists()
    finish(boost)
    assert paid(api.event("alice", 0)) == []
    assert paid(api.event("alice")) == [1]


def test_a_boost_with_filters_is_for_users_who_have_all_of_them_by_now(api: Api, game: Game) -> None:
    game.trigger(points=10)
    double(game, user_filters=[(game.plan, "pro")])
    assert paid(api.event("alice")) == [10]
    assert paid(api.event({"id": "alice", "attributes": {"plan": "pro"}})) == [20]
    assert paid(api.event({"id": "alice", "attributes": {"plan": "free"}})) == [10]


def test_an_old_award_keeps_its_boost_as_it_was(api: Api, game: Game) -> None:
    game.trigger(points=10)
    boost = double(game)
    api.event("alice")
    update_boost(boost=boost, multiplier=Decimal(5), name="Five times")
    assert paid(api.event("alice")) == [50]
    newest, oldest = api.points("alice")["awards"]
    assert (newest["boosts"][0]["multiplier"], oldest["boosts"][0]["multiplier"]) == (5, 2)
    assert (newest["boosts"][0]["name"], oldest["boosts"][0]["name"]) == ("Five times", "Double")


def test_an_old_award_tells_where_its_boost_is_now(api: Api, game: Game, clock: Clock) -> None:
    game.trigger(points=10)
    double(game, end=date(2026, 3, 11))
    gone = double(game, "Gone")
    api.event("alice")

    def statuses() -> list[str]:
        return [each["status"] for each in api.points("alice")["awards"][0]["boosts"]]

    assert statuses() == ["active", "active"]
    archive(row=gone)
    assert statuses() == ["active", "finished"]
    to_march(clock, 13)
    assert statuses() == ["finished", "finished"]


# --- Lists -----------------------------------------------------------------------------------------------------------
def test_the_boosts_of_a_system_are_listed_in_full(api: Api, game: Game) -> None:
    boost = double(game, multiplier=Decimal("1.5"), rounding="nearest")
    assert api.get("/v1/points/xp/boosts").json() == [
        {
            "id": str(boost.id),
            "name": "Double",
            "status": "active",
            "start": "2026-03-10",
            "end": None,
            "multiplier": 1.5,
            "rounding": "nearest",
        }
    ]


def test_those_that_are_over_are_listed_if_asked_for_and_those_of_one_user_or_inactive_never(
    api: Api, game: Game, clock: Clock
) -> None:
    double(game, "Soon", start=date(2026, 3, 20))
    double(game, "Short", end=date(2026, 3, 10))
    finish(double(game, "Stopped"))
    double(game, "Inactive", status=BoostStatus.INACTIVE)
    double(game, "Alice's", external_id="alice")
    double(game, "Energy", system=game.energy)
    archive(row=double(game, "Archived"))
    assert listed(api) == [("Soon", "scheduled"), ("Short", "active")]
    to_march(clock, 12)
    assert listed(api) == [("Soon", "scheduled")]
    assert listed(api, ALL) == [("Soon", "scheduled"), ("Short", "finished"), ("Stopped", "finished")]
    assert listed(api, "/v1/points/energy/boosts") == [("Energy", "active")]


def test_a_user_s_boosts_are_those_that_can_count_for_the_user_by_the_user_s_calendar(
    api: Api, game: Game, clock: Clock
) -> None:
    api.send("PUT", "/v1/users/alice", {"tz": "Pacific/Kiritimati"})
    api.send("PUT", "/v1/users/bob", {"attributes": {"plan": "pro"}})
    double(game, "Everyone")
    double(game, "Pro", user_filters=[(game.plan, "pro")])
    double(game, "Alice's", external_id="alice", start=date(2026, 3, 11), end=date(2026, 3, 11))
    double(game, "Bob's", external_id="bob")
    of_bob = listed(api, "/v1/users/bob/points/xp/boosts")
    assert listed(api, OF_ALICE) == [("Everyone", "active"), ("Alice's", "scheduled")]
    assert of_bob == [("Everyone", "active"), ("Pro", "active"), ("Bob's", "active")]
    to_march(clock, 10, hour=10)
    assert listed(api, OF_ALICE) == [("Everyone", "active"), ("Alice's", "active")]
    to_march(clock, 11, hour=10)
    assert listed(api, OF_ALICE) == [("Everyone", "active")]


@pytest.mark.parametrize(
    ("tz", "day", "hour", "status"),
    [
        ("Asia/Bangkok", 10, 16, "scheduled"),  # 23:00, the evening before its only day
        ("Asia/Bangkok", 10, 17, "active"),
        ("Asia/Bangkok", 11, 16, "active"),
        ("Asia/Bangkok", 11, 17, None),  # yesterday's
        ("Pacific/Honolulu", 11, 9, "scheduled"),
        ("Pacific/Honolulu", 11, 10, "active"),
        ("Pacific/Honolulu", 12, 9, "active"),
        ("Pacific/Honolulu", 12, 10, None),
    ],
)
def test_a_boost_for_everyone_begins_and_ends_for_a_user_by_the_user_s_calendar(
    api: Api, game: Game, clock: Clock, tz: str, day: int, hour: int, status: str | None
) -> None:
    game.trigger(points=10)
    api.send("PUT", "/v1/users/alice", {"tz": tz})
    double(game, "Everyone", start=date(2026, 3, 11), end=date(2026, 3, 11))
    to_march(clock, day, hour=hour)
    assert listed(api, OF_ALICE) == ([] if status is None else [("Everyone", status)])
    is_doubled = api.event("alice").json()["points"]["xp"]["added"] == 20
    assert is_doubled == (status == "active")


def test_a_boost_in_an_old_award_has_the_status_by_the_user_s_calendar(api: Api, game: Game, clock: Clock) -> None:
    game.trigger(points=10)
    api.send("PUT", "/v1/users/alice", {"tz": "Asia/Bangkok"})
    double(game, "Everyone", start=date(2026, 3, 11), end=date(2026, 3, 11))

    def status() -> str:
        awards = api.points("alice")["awards"]
        return str(awards[0]["boosts"][0]["status"])

    to_march(clock, 11, hour=16)
    api.event("alice")
    assert status() == "active"
    to_march(clock, 11, hour=17)
    assert status() == "finished"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/v1/points/gold/boosts", "Points system not found: gold."),
        ("/v1/users/alice/points/gold/boosts", "Points system not found: gold."),
        ("/v1/users/bob/points/xp/boosts", "User not found: bob."),
    ],
)
def test_boosts_of_what_is_unknown_are_not_found(api: Api, game: Game, path: str, what: str) -> None:
    api.send("PUT", "/v1/users/alice")
    answer = api.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": what})


# --- Operators -------------------------------------------------------------------------------------------------------
def test_a_boost_counts_only_from_its_activation_on(api: Api, game: Game, clock: Clock) -> None:
    game.trigger(points=10)
    boost = double(game, status=BoostStatus.INACTIVE)
    assert paid(api.event("alice")) == [10]
    to_march(clock, 11)
    assert activate(boost) == 1
    assert paid(api.event("alice")) == [20]
    assert activate(boost) == 0


def test_finishing_is_at_once_and_for_ever(api: Api, game: Game) -> None:
    game.trigger(points=10)
    boost = double(game)
    assert paid(api.event("alice")) == [20]
    assert finish(boost) == 1
    assert paid(api.event("alice")) == [10]
    assert (finish(boost), activate(boost)) == (0, 0)
    with pytest.raises(ValidationError, match="is finished, and a finished boost cannot be changed"):
        update_boost(boost=Boost.objects.get(), end=date(2027, 1, 1))


def test_an_inactive_boost_cannot_be_finished(game: Game) -> None:
    assert finish(double(game, status=BoostStatus.INACTIVE)) == 0
    assert Boost.objects.get().finished is None


def test_a_scheduled_boost_that_is_finished_never_begins(api: Api, game: Game, clock: Clock) -> None:
    game.trigger(points=10)
    finish(double(game, start=date(2026, 3, 12)))
    to_march(clock, 12)
    assert paid(api.event("alice")) == [10]


def test_boosts_are_activated_all_or_none(api: Api, game: Game) -> None:
    game.trigger(points=10)
    double(game, "Good", status=BoostStatus.INACTIVE)
    double(game, "Late", status=BoostStatus.INACTIVE, start=date(2026, 3, 1), end=date(2026, 3, 2))
    with pytest.raises(ValidationError, match="«Late» cannot be activated: its last day is over"):
        activate_boosts(boosts=Boost.objects.all())
    assert set(Boost.objects.values_list("status", "activated")) == {("inactive", None)}
    assert paid(api.event("alice")) == [10]


def test_a_boost_is_activated_only_before_its_last_day_is_over_one_user_s_by_that_user_s_zone(
    api: Api, game: Game, clock: Clock
) -> None:
    to_march(clock, 10, hour=11)  # it is the 11th in Kiritimati
    api.send("PUT", "/v1/users/alice", {"tz": "Pacific/Kiritimati"})
    till_today: dict[str, Any] = {"start": date(2026, 3, 9), "end": date(2026, 3, 10), "status": BoostStatus.INACTIVE}
    with pytest.raises(ValidationError, match="«Alice's» cannot be activated: its last day is over") as refused:
        activate(double(game, "Alice's", external_id="alice", **till_today))
    assert "end" in refused.value.message_dict
    assert activate(double(game, "Bob's", external_id="bob", **till_today)) == 1
    assert activate(double(game, "Everyone", **till_today)) == 1


def test_a_boost_of_an_archived_system_cannot_be_activated(game: Game) -> None:
    boost = double(game, status=BoostStatus.INACTIVE)
    update_checked(game.xp, status="archived")
    with pytest.raises(ValidationError, match="its points system is archived"):
        activate(boost)


def test_a_boost_that_looks_at_an_archived_attribute_cannot_be_activated(game: Game) -> None:
    boost = double(game, status=BoostStatus.INACTIVE, user_filters=[(game.plan, "pro")])
    archive(row=game.plan)
    with pytest.raises(ValidationError, match="archived: restore it first"):
        activate(boost)


def test_an_archived_boost_that_is_restored_is_inactive(api: Api, game: Game) -> None:
    game.trigger(points=10)
    boost = double(game)
    archive(row=boost)
    assert paid(api.event("alice")) == [10]
    restore(row=boost)
    assert paid(api.event("alice")) == [10]
    activate(boost)
    assert paid(api.event("alice")) == [20]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"multiplier": Decimal(0)}, "multiplier"),
        ({"multiplier": Decimal(1)}, "multiplier"),
        ({"multiplier": Decimal(100)}, "multiplier"),
        ({"multiplier": Decimal(-1)}, "multiplier"),
        ({"multiplier": Decimal("1.00001")}, "multiplier"),
        ({"end": date(2026, 3, 9)}, "end"),
        ({"rounding": "half"}, "rounding"),
        ({"name": ""}, "name"),
    ],
)
def test_impossible_values_are_refused_by_name(game: Game, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        double(game, **fields)
    assert list(refusal.value.message_dict) == [field]
    assert not Boost.objects.exists()


def test_one_user_s_boost_has_no_filters(game: Game) -> None:
    with pytest.raises(ValidationError, match=r"cannot be given for one user's boost"):
        double(game, external_id="alice", user_filters=[(game.plan, "pro")])
    boost = double(game, external_id="alice")
    with pytest.raises(ValidationError, match=r"cannot be given for one user's boost"):
        update_boost(boost=boost, user_filters=[(game.plan, "pro")])


def test_a_boost_s_filters_are_of_users(game: Game) -> None:
    with pytest.raises(ValidationError, match="which is an attribute of another type"):
        double(game, user_filters=[(game.category, "math")])


def test_filters_that_are_changed_hold_from_the_next_event(api: Api, game: Game) -> None:
    game.trigger(points=10)
    boost = double(game, user_filters=[(game.plan, "pro")])
    assert paid(api.event("alice")) == [10]
    update_boost(boost=boost, user_filters=[])
    assert paid(api.event("alice")) == [20]


# --- The SDK ---------------------------------------------------------------------------------------------------------
def test_the_sdk_lists_boosts(sdk: TrophyApi) -> None:
    game = make_game()
    double(game)
    finish(double(game, "Stopped"))
    double(game, "Alice's", external_id="alice", multiplier=Decimal("1.5"), end=date(2026, 3, 31))
    assert [(each.name, each.status) for each in sdk.points.boosts("xp")] == [("Double", "active")]
    assert [each.name for each in sdk.points.boosts("xp", include_finished=True)] == ["Double", "Stopped"]
    sdk.users.create(id="alice")
    everyone, own = sdk.users.points_boosts("alice", "xp")
    assert (everyone.name, everyone.multiplier, everyone.end) == ("Double", 2, None)
    assert (own.name, own.multiplier, own.start, own.end) == ("Alice's", 1.5, "2026-03-10", "2026-03-31")
    with pytest.raises(NotFoundError):
        sdk.points.boosts("gold")
    with pytest.raises(NotFoundError):
        sdk.users.points_boosts("bob", "xp")
