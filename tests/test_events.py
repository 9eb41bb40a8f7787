"""An event in, points out."""

import json
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from access.models import ApiKey
from access.services import revoke_keys
from core.services import archive, create_checked, update_checked
from metrics.models import Event, Metric, MetricTotal
from points.models import PointsAward, PointsBalance, PointsSystem, PointsTrigger
from points.services import activate_triggers, deactivate_triggers, update_trigger
from tests.conftest import Api, Game
from users.models import Attribute, EndUser


def paid(answer: Any, system: str = "xp") -> list[int]:
    """Return what each award of an event that was accepted gave or took in a points system."""
    assert answer.status_code == 201, answer.json()
    points = answer.json()["points"].get(system, {"awards": []})
    return [award["awarded"] for award in points["awards"]]


def total(api: Api, user: str = "alice", metric: str = "lessons") -> Decimal:
    """Return the user's total of a metric exactly as it is written in the answer."""
    answer: Any = api.get(f"/v1/users/{user}/metrics/{metric}")
    return Decimal(str(json.loads(answer.content, parse_float=Decimal)["current"]))


def send_value(api: Api, value: str, user: str = "alice") -> Any:
    """Report an event whose value is written as `value` in the JSON text."""
    body = f'{{"user": {{"id": "{user}"}}, "value": {value}}}'
    return api.send("POST", "/v1/metrics/lessons/event", body)


def switch_off(trigger: PointsTrigger) -> None:
    deactivate_triggers(triggers=PointsTrigger.objects.filter(id=trigger.id))


def switch_on(trigger: PointsTrigger) -> None:
    activate_triggers(triggers=PointsTrigger.objects.filter(id=trigger.id))


def assert_nothing_stored() -> None:
    for model in (EndUser, Event, MetricTotal, PointsAward, PointsBalance):
        assert not model.objects.exists()


def test_an_event_pays_the_triggers_whose_threshold_it_crosses(api: Api, game: Game) -> None:
    game.trigger(points=10, every=2)
    answer = api.event("alice", 5)
    assert answer.status_code == 201
    points = answer.json()["points"]["xp"]
    assert (points["total"], points["added"]) == (20, 20)
    assert [award["awarded"] for award in points["awards"]] == [20]


# --- The answer ------------------------------------------------------------------------------------------------------
FIRST_DAY = {
    "length": 1,
    "frequency": "daily",
    "started": "2026-03-10",
    "periodStart": "2026-03-10",
    "periodEnd": "2026-03-10",
    "expires": "2026-03-11",
    "extended": True,
}


@time_machine.travel("2026-03-10T09:00Z")
def test_the_answer_has_every_field_of_the_contract(api: Api, game: Game) -> None:
    answer = api.event("alice", 2.5)
    event = Event.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "eventId": str(event.id),
        "metricId": str(game.lessons.id),
        "total": 2.5,
        "achievements": [],
        "currentStreak": FIRST_DAY,
        "points": {},
        "leaderboards": {},
    }
    assert (event.user.external_id, event.metric, event.value, event.kind) == ("alice", game.lessons, 2.5, "event")


def test_the_points_in_the_answer_have_every_field_of_the_contract(api: Api, game: Game) -> None:
    update_checked(game.xp, description="Experience", badge_url="https://example.com/xp.png", max_points=1000)
    game.trigger(points=10, every=2)
    points = api.event("alice", 5).json()["points"]
    assert points == {
        "xp": {
            "id": str(game.xp.id),
            "key": "xp",
            "name": "XP",
            "description": "Experience",
            "badgeUrl": "https://example.com/xp.png",
            "maxPoints": 1000,
            "total": 20,
            "added": 20,
            "awards": points["xp"]["awards"],
        }
    }


@time_machine.travel("2026-06-15T12:00:00.5Z", tick=False)
def test_an_award_in_the_answer_has_every_field_of_the_contract(api: Api, game: Game) -> None:
    filters = {"user_filters": [(game.plan, "pro")], "event_filters": [(game.category, "math")]}
    trigger = game.trigger(points=10, every=2, **filters)
    answer = api.event({"id": "alice", "attributes": {"plan": "pro"}}, 5, category="math")
    now = "2026-06-15T12:00:00.500Z"
    assert answer.json()["points"]["xp"]["awards"] == [
        {
            "id": str(PointsAward.objects.get().id),
            "awarded": 20,
            "date": now,
            "total": 20,
            "boosts": [],
            "trigger": {
                "id": str(trigger.id),
                "type": "metric",
                "points": 10,
                "status": "active",
                "metricId": str(game.lessons.id),
                "metricName": "Lessons completed",
                "metricThreshold": 2,
                "userAttributes": [{"key": "plan", "value": "pro"}],
                "eventAttribute": {"key": "category", "value": "math"},
                "eventAttributes": [{"key": "category", "value": "math"}],
                "created": now,
                "updated": now,
            },
        }
    ]


def test_what_was_paid_is_what_the_user_holds_the_newest_first(api: Api, game: Game) -> None:
    game.trigger(points=10)
    awards = [api.event("alice").json()["points"]["xp"]["awards"][0] for _ in range(3)]
    held = api.points("alice")
    assert (held["total"], held["level"]) == (30, None)
    assert held["awards"] == awards[::-1]
    assert api.get("/v1/users/alice/points/xp?awards=1").json()["awards"] == awards[-1:]


def test_no_fields_of_idempotency_without_a_key_and_both_with_one(api: Api, game: Game) -> None:
    assert {"idempotencyKey", "idempotentReplayed"}.isdisjoint(api.event("alice").json())
    with_key = api.event("alice", key="one").json()
    assert (with_key["idempotencyKey"], with_key["idempotentReplayed"]) == ("one", False)


def test_a_trigger_without_filters_says_so_and_one_for_new_users_has_no_metric(api: Api, game: Game) -> None:
    game.trigger(points=10)
    game.creation_trigger(points=5)
    creation, metric = (award["trigger"] for award in api.event("alice").json()["points"]["xp"]["awards"])
    assert (metric["userAttributes"], metric["eventAttributes"]) == ([], [])
    assert "eventAttribute" not in metric
    assert creation["type"] == "user_creation"
    assert {"metricId", "metricName", "metricThreshold", "eventAttributes"}.isdisjoint(creation)


def test_one_event_moves_several_systems(api: Api, game: Game) -> None:
    game.trigger(points=10)
    game.trigger(points=2, system=game.energy)
    game.trigger(points=7)
    points = api.event("alice").json()["points"]
    assert {key: (each["total"], each["added"]) for key, each in points.items()} == {"xp": (17, 17), "energy": (2, 2)}
    assert [award["total"] for award in points["xp"]["awards"]] == [10, 17]


def test_a_system_that_was_not_moved_is_not_in_the_answer(api: Api, game: Game) -> None:
    game.trigger(points=10, every=2)
    game.trigger(points=2, system=game.energy)
    assert list(api.event("alice").json()["points"]) == ["energy"]


# --- Values ----------------------------------------------------------------------------------------------------------
def test_ten_tenths_make_one(api: Api, game: Game) -> None:
    game.trigger(points=10)
    payments = [paid(api.event("alice", 0.1)) for _ in range(10)]
    assert payments == [[]] * 9 + [[10]]
    assert total(api) == 1


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0.30000000000000004", "0.3"),
        ("0.1234567894", "0.123456789"),
        ("0.1234567896", "0.12345679"),
        ("0.000000001", "0.000000001"),
        ("0.0000000001", "0"),
        ("-0.0", "0"),
        ("-2.75", "-2.75"),
        ("1e3", "1000"),
        ("15E-1", "1.5"),
        ("1e-400", "0"),
        ("999999999999999.999999999", "999999999999999.999999999"),
        ("-999999999999999.999999999", "-999999999999999.999999999"),
    ],
)
def test_a_value_is_kept_exactly_to_nine_places(api: Api, game: Game, written: str, kept: str) -> None:
    answer = send_value(api, written)
    assert answer.status_code == 201
    assert Decimal(str(json.loads(answer.content, parse_float=Decimal)["total"])) == Decimal(kept)
    assert total(api) == Event.objects.get().value == Decimal(kept)


def test_a_sum_that_no_float_could_hold_is_exact(api: Api, game: Game) -> None:
    for value in ("999999999999999.999999999", "999999999999999.999999999", "0.000000003"):
        send_value(api, value)
    assert total(api) == Decimal("2000000000000000.000000001")


@pytest.mark.parametrize("value", [0, -3])
def test_an_event_that_does_not_climb_is_stored_and_pays_nothing(api: Api, game: Game, value: int) -> None:
    game.trigger(points=10)
    assert paid(api.event("alice", value)) == []
    assert total(api) == value
    assert not PointsAward.objects.exists()


# --- Crossings -------------------------------------------------------------------------------------------------------
def test_every_multiple_pays_once(api: Api, game: Game) -> None:
    game.trigger(points=10, every=3)
    assert [paid(api.event("alice", 2)) for _ in range(6)] == [[], [10], [10], [], [10], [10]]


def test_many_multiples_in_one_event_are_one_award(api: Api, game: Game) -> None:
    game.trigger(points=10, every=3)
    assert paid(api.event("alice", 301)) == [1000]
    assert PointsAward.objects.get().awarded == 1000


def test_a_fraction_reaches_a_threshold_only_when_it_is_whole(api: Api, game: Game) -> None:
    game.trigger(points=10)
    assert paid(api.event("alice", 0.999999999)) == []
    assert paid(api.event("alice", 0.000000001)) == [10]


def test_dropping_takes_nothing_back_and_climbing_again_pays_nothing_twice(api: Api, game: Game) -> None:
    game.trigger(points=10, every=2)
    assert paid(api.event("alice", 5)) == [20]
    assert paid(api.event("alice", -4)) == []
    assert api.points("alice")["total"] == 20
    assert paid(api.event("alice", 4)) == []
    assert paid(api.event("alice", 1)) == [10]
    assert total(api) == 6


def test_a_peak_starts_at_zero(api: Api, game: Game) -> None:
    game.trigger(points=10)
    assert paid(api.event("alice", -5)) == []
    assert paid(api.event("alice", 5)) == []
    assert paid(api.event("alice", 1)) == [10]


def test_users_and_metrics_have_totals_of_their_own(api: Api, game: Game) -> None:
    game.trigger(points=10, every=2)
    game.trigger(points=1, metric=game.flashcards)
    assert paid(api.event("alice", 1)) == []
    assert paid(api.event("bob", 1)) == []
    assert paid(api.event("alice", 1, metric="flashcards")) == [1]
    assert paid(api.event("alice", 1)) == [10]


def test_a_crossing_while_the_trigger_is_inactive_is_never_paid(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10, every=5)
    switch_off(trigger)
    assert paid(api.event("alice", 6)) == []
    switch_on(trigger)
    assert paid(api.event("alice", 1)) == []
    assert paid(api.event("alice", 3)) == [10]
    switch_off(trigger)
    assert paid(api.event("alice", 5)) == []
    switch_on(trigger)
    assert paid(api.event("alice", 1)) == []


def test_a_trigger_made_later_starts_from_the_total_so_far(api: Api, game: Game) -> None:
    api.event("alice", 9)
    game.trigger(points=10, every=5)
    assert paid(api.event("alice", 1)) == [10]


# --- Filters by the event's attributes -------------------------------------------------------------------------------
def test_a_filter_counts_only_the_events_that_match(api: Api, game: Game) -> None:
    game.trigger(points=10, every=2, event_filters=[(game.category, "math")])
    assert paid(api.event("alice", 100)) == []
    assert paid(api.event("alice", 100, category="art")) == []
    assert paid(api.event("alice", 1, category="math")) == []
    assert paid(api.event("alice", 1, category="Math")) == []
    assert paid(api.event("alice", 1, category="math")) == [10]
    assert total(api) == 203


def test_every_attribute_of_a_filter_must_match(api: Api, game: Game) -> None:
    source = create_checked(Attribute, name="Source", key="source", type="event")
    game.trigger(points=10, event_filters=[(game.category, "math"), (source, "app")])
    assert paid(api.event("alice", category="math")) == []
    assert paid(api.event("alice", source="app")) == []
    assert paid(api.event("alice", category="math", source="web")) == []
    assert paid(api.event("alice", category="math", source="app")) == [10]


def test_triggers_with_and_without_filters_count_side_by_side(api: Api, game: Game) -> None:
    game.trigger(points=1)
    game.trigger(points=10, every=2, event_filters=[(game.category, "math")])
    game.trigger(points=100, every=2, event_filters=[(game.category, "art")])
    assert paid(api.event("alice", 2, category="math")) == [2, 10]
    assert paid(api.event("alice", 1, category="art")) == [1]
    assert paid(api.event("alice", 1, category="art")) == [1, 100]


def test_a_filter_made_after_the_events_counts_them_too(api: Api, game: Game) -> None:
    for category in ("math", "art", "math", "math"):
        api.event("alice", category=category)
    game.trigger(points=10, every=4, event_filters=[(game.category, "math")])
    assert paid(api.event("alice", category="art")) == []
    assert paid(api.event("alice", category="math")) == [10]


def test_a_filter_made_after_the_events_pays_no_old_crossing(api: Api, game: Game) -> None:
    for value in (7, -5):
        api.event("alice", value, category="math")
    game.trigger(points=10, every=4, event_filters=[(game.category, "math")])
    assert paid(api.event("alice", 5, category="math")) == []
    assert paid(api.event("alice", 1, category="math")) == [10]


def test_a_filtered_trigger_that_was_off_for_a_while_counts_all_the_same(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10, every=4, event_filters=[(game.category, "math")])
    api.event("alice", 1, category="math")
    switch_off(trigger)
    assert paid(api.event("alice", 2, category="math")) == []
    assert paid(api.event("alice", 50, category="art")) == []
    switch_on(trigger)
    assert paid(api.event("alice", 1, category="math")) == [10]


def test_a_filter_that_is_changed_counts_by_the_new_one(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10, every=3, event_filters=[(game.category, "math")])
    for category in ("math", "art", "art"):
        api.event("alice", category=category)
    update_trigger(trigger=trigger, event_filters=[(game.category, "art")])
    assert paid(api.event("alice", category="math")) == []
    assert paid(api.event("alice", category="art")) == [10]


def test_attributes_of_an_event_are_stored_and_not_given_to_the_user(api: Api, game: Game) -> None:
    api.event("alice", category="math")
    assert Event.objects.get().attributes == {"category": "math"}
    assert EndUser.objects.get().attributes == {}


# --- Filters by the user's attributes --------------------------------------------------------------------------------
def test_a_user_filter_looks_at_the_attributes_after_this_event(api: Api, game: Game) -> None:
    game.trigger(points=10, user_filters=[(game.plan, "pro")])
    assert paid(api.event("alice")) == []
    assert paid(api.event({"id": "alice", "attributes": {"plan": "pro"}})) == [10]
    assert paid(api.event("alice")) == [10]
    assert paid(api.event({"id": "alice", "attributes": {"plan": None}})) == []
    assert paid(api.event({"id": "alice", "attributes": {"plan": "free"}})) == []


def test_every_attribute_of_a_user_filter_must_match(api: Api, game: Game) -> None:
    team = create_checked(Attribute, name="Team", key="team", type="user")
    game.trigger(points=10, user_filters=[(game.plan, "pro"), (team, "red")])
    assert paid(api.event({"id": "alice", "attributes": {"plan": "pro"}})) == []
    assert paid(api.event({"id": "alice", "attributes": {"team": "red"}})) == [10]


def test_a_crossing_whose_user_filter_did_not_match_is_never_paid(api: Api, game: Game) -> None:
    game.trigger(points=10, every=5, user_filters=[(game.plan, "pro")])
    assert paid(api.event("alice", 5)) == []
    assert paid(api.event({"id": "alice", "attributes": {"plan": "pro"}}, 4)) == []
    assert paid(api.event("alice", 1)) == [10]


# --- New users -------------------------------------------------------------------------------------------------------
def first_by_event(api: Api) -> None:
    api.event("alice")


def first_by_post(api: Api) -> None:
    api.send("POST", "/v1/users", {"id": "alice"})


def first_by_put(api: Api) -> None:
    api.send("PUT", "/v1/users/alice", {})


@pytest.mark.parametrize("identify", [first_by_event, first_by_post, first_by_put])
def test_a_new_user_is_paid_once_by_whatever_road_they_came(api: Api, game: Game, identify: Any) -> None:
    game.creation_trigger(points=50)
    identify(api)
    assert [award["awarded"] for award in api.points("alice")["awards"]] == [50]
    for each in (first_by_event, first_by_post, first_by_put):
        each(api)
    api.send("PATCH", "/v1/users/alice", {"name": "Alice"})
    assert PointsAward.objects.count() == 1


def test_the_answer_to_the_event_that_made_a_user_known_shows_what_it_paid(api: Api, game: Game) -> None:
    game.creation_trigger(points=50)
    assert paid(api.event("alice")) == [50]
    assert paid(api.event("alice")) == []
    assert paid(api.event("bob")) == [50]


def test_a_trigger_for_new_users_pays_none_who_came_before_it(api: Api, game: Game) -> None:
    api.event("alice")
    game.creation_trigger(points=50)
    assert paid(api.event("alice")) == []


def test_a_trigger_for_new_users_looks_at_the_attributes_that_they_came_with(api: Api, game: Game) -> None:
    game.creation_trigger(points=50, user_filters=[(game.plan, "pro")])
    assert paid(api.event("alice")) == []
    assert paid(api.event({"id": "alice", "attributes": {"plan": "pro"}})) == []
    assert paid(api.event({"id": "bob", "attributes": {"plan": "pro"}})) == [50]


def test_a_user_whose_first_event_was_refused_is_still_new(api: Api, game: Game) -> None:
    game.creation_trigger(points=50)
    assert api.event("alice", source="app").status_code == 422
    assert_nothing_stored()
    assert paid(api.event("alice")) == [50]


def test_patching_an_unknown_user_pays_nothing(api: Api, game: Game) -> None:
    game.creation_trigger(points=50)
    assert api.send("PATCH", "/v1/users/alice", {"name": "Alice"}).status_code == 404
    assert_nothing_stored()


# --- Order -----------------------------------------------------------------------------------------------------------
def test_triggers_for_new_users_pay_before_those_of_metrics(api: Api, game: Game) -> None:
    game.trigger(points=1)
    game.trigger(points=2)
    game.creation_trigger(points=3)
    game.creation_trigger(points=4)
    assert paid(api.event("alice")) == [3, 4, 1, 2]
    assert list(PointsAward.objects.order_by("seq").values_list("seq", "total")) == [(1, 3), (2, 7), (3, 8), (4, 10)]


def test_triggers_of_one_kind_pay_by_creation_then_id(api: Api, game: Game) -> None:
    triggers = [game.trigger(points=points) for points in (1, 2, 3)]
    PointsTrigger.objects.update(created=triggers[0].created)
    assert paid(api.event("alice")) == [1, 2, 3]
    PointsTrigger.objects.filter(points=1).update(created=timezone.now())
    assert paid(api.event("alice")) == [2, 3, 1]


def test_the_order_decides_who_is_left_with_the_rest_of_the_maximum(api: Api, game: Game) -> None:
    game.trigger(points=7, system=game.energy)
    game.creation_trigger(points=6, system=game.energy)
    assert paid(api.event("alice"), "energy") == [6, 4]


# --- Maximum and zero ------------------------------------------------------------------------------------------------
def test_an_award_stops_at_the_maximum(api: Api, game: Game) -> None:
    game.trigger(points=4, system=game.energy)
    assert [paid(api.event("alice"), "energy") for _ in range(4)] == [[4], [4], [2], []]
    assert api.points("alice", "energy")["total"] == 10


def test_an_award_clamped_to_nothing_leaves_no_row_and_uses_the_crossing_up(api: Api, game: Game) -> None:
    game.trigger(points=10, system=game.energy)
    game.trigger(points=-10, system=game.energy, metric=game.flashcards)
    api.event("alice", 1)
    answer = api.event("alice", 1)
    assert answer.json()["points"] == {}
    assert PointsAward.objects.count() == 1
    api.event("alice", 1, metric="flashcards")
    assert paid(api.event("alice", 0), "energy") == []
    assert api.points("alice", "energy")["total"] == 0


def test_a_lowered_maximum_takes_nothing_from_who_is_above_it(api: Api, game: Game) -> None:
    game.trigger(points=8, system=game.energy)
    game.trigger(points=-3, system=game.energy, metric=game.flashcards)
    api.event("alice", 1)
    update_checked(game.energy, max_points=5)
    assert paid(api.event("alice", 1), "energy") == []
    assert api.points("alice", "energy")["total"] == 8
    assert paid(api.event("alice", 1, metric="flashcards"), "energy") == [-3]
    assert paid(api.event("alice", 1, metric="flashcards"), "energy") == [-3]
    assert paid(api.event("alice", 1), "energy") == [3]


def test_a_raised_maximum_counts_from_the_next_event(api: Api, game: Game) -> None:
    game.trigger(points=8, system=game.energy)
    api.event("alice", 2)
    update_checked(game.energy, max_points=None)
    assert paid(api.event("alice", 1), "energy") == [8]


def test_points_never_pass_what_every_client_can_hold(api: Api, game: Game) -> None:
    game.trigger(points=2**53 - 1)
    assert paid(api.event("alice", 999_999_999_999_999)) == [2**53 - 1]
    assert paid(api.event("alice")) == []
    assert api.points("alice")["total"] == 2**53 - 1


def test_a_deduction_stops_at_zero(api: Api, game: Game) -> None:
    game.creation_trigger(points=5)
    game.trigger(points=-3)
    assert [paid(api.event("alice")) for _ in range(3)] == [[5, -3], [-2], []]
    held = api.points("alice")
    assert held["total"] == 0
    assert [award["awarded"] for award in held["awards"]] == [-2, -3, 5]


def test_a_deduction_from_nothing_leaves_no_row_and_uses_the_crossing_up(api: Api, game: Game) -> None:
    game.trigger(points=-3)
    game.trigger(points=10, metric=game.flashcards)
    assert api.event("alice").json()["points"] == {}
    assert not PointsAward.objects.exists()
    api.event("alice", metric="flashcards")
    assert paid(api.event("alice", 0)) == []
    assert api.points("alice")["total"] == 10


# --- Blocked when out of points --------------------------------------------------------------------------------------
def cost(game: Game, points: int, **fields: Any) -> PointsTrigger:
    """Add a trigger that takes energy for every lesson, and refuses the event of who has too little."""
    return game.trigger(points=-points, system=game.energy, block_if_out_of_points=True, **fields)


def test_an_event_that_can_be_afforded_is_paid_for(api: Api, game: Game) -> None:
    game.creation_trigger(points=10, system=game.energy)
    cost(game, 4)
    assert paid(api.event("alice"), "energy") == [10, -4]
    assert paid(api.event("alice"), "energy") == [-4]
    assert api.points("alice", "energy")["total"] == 2


def test_an_event_that_cannot_be_afforded_is_refused_and_leaves_nothing(api: Api, game: Game) -> None:
    game.trigger(points=10)
    cost(game, 4)
    answer = api.event({"id": "alice", "name": "Alice"})
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "Not enough points in energy: the event needs 4 and the user has 0.",
        "code": "out_of_points",
    }
    assert_nothing_stored()


def test_a_refused_event_changes_nothing_of_a_user_who_is_known(api: Api, game: Game) -> None:
    game.creation_trigger(points=3, system=game.energy)
    game.trigger(points=10)
    api.send("PUT", "/v1/users/alice", {"name": "Alice"})
    before = api.get("/v1/users/alice").json()
    cost(game, 4)
    answer = api.event({"id": "alice", "name": "Alicia"}, 1)
    assert answer.json()["error"] == "Not enough points in energy: the event needs 4 and the user has 3."
    assert api.get("/v1/users/alice").json() == before
    assert (total(api), Event.objects.count(), PointsAward.objects.count()) == (0, 0, 1)


def test_the_whole_need_of_all_crossings_counts(api: Api, game: Game) -> None:
    game.creation_trigger(points=10, system=game.energy)
    cost(game, 4)
    answer = api.event("alice", 3)
    assert answer.status_code == 422
    assert "needs 12" in answer.json()["error"]
    assert paid(api.event("alice", 2), "energy") == [10, -8]


def test_awards_before_it_in_the_same_event_count_those_after_it_do_not(api: Api, game: Game) -> None:
    game.trigger(points=5, system=game.energy)
    cost(game, 5)
    assert paid(api.event("alice"), "energy") == [5, -5]
    game.trigger(points=5, system=game.energy)
    cost(game, 6)
    answer = api.event("alice")
    assert "needs 6 and the user has 5" in answer.json()["error"]
    assert api.points("alice", "energy")["total"] == 0


def test_a_blocking_trigger_that_comes_first_does_not_see_the_awards_after_it(api: Api, game: Game) -> None:
    cost(game, 5)
    game.trigger(points=5, system=game.energy)
    assert api.event("alice").json()["code"] == "out_of_points"
    assert_nothing_stored()


def test_a_blocking_trigger_refuses_only_what_crosses_and_matches(api: Api, game: Game) -> None:
    cost(game, 4, every=2, user_filters=[(game.plan, "free")], event_filters=[(game.category, "math")])
    free = {"id": "alice", "attributes": {"plan": "free"}}
    assert paid(api.event("alice", 2, category="math")) == []
    assert paid(api.event(free, 2, category="art")) == []
    assert paid(api.event(free, 1, category="math")) == []
    assert api.event(free, 1, category="math").json()["code"] == "out_of_points"


def test_a_refused_crossing_is_not_used_up(api: Api, game: Game) -> None:
    cost(game, 4)
    game.trigger(points=9, system=game.energy, metric=game.flashcards)
    assert api.event("alice").status_code == 422
    api.event("alice", metric="flashcards")
    assert paid(api.event("alice"), "energy") == [-4]


# --- Configuration is live -------------------------------------------------------------------------------------------
def test_a_changed_trigger_counts_from_the_next_event(api: Api, game: Game) -> None:
    trigger = game.trigger(points=10)
    assert paid(api.event("alice")) == [10]
    update_trigger(trigger=trigger, points=7)
    assert paid(api.event("alice")) == [7]
    update_trigger(trigger=trigger, metric_threshold=2)
    assert paid(api.event("alice")) == []
    assert [award["awarded"] for award in api.points("alice")["awards"]] == [7, 10]


def test_a_new_metric_and_a_new_attribute_count_from_the_next_event(api: Api, game: Game) -> None:
    assert api.event("alice", metric="steps").status_code == 404
    assert api.event("alice", source="app").status_code == 422
    assert_nothing_stored()
    create_checked(Metric, name="Steps", key="steps")
    create_checked(Attribute, name="Source", key="source", type="event")
    assert api.event("alice", metric="steps", source="app").status_code == 201


def test_an_archived_metric_is_unknown_from_the_next_event(api: Api, game: Game) -> None:
    api.event("alice")
    archive(row=game.lessons)
    answer = api.event("alice")
    assert (answer.status_code, answer.json()) == (404, {"error": "Metric not found: lessons."})
    assert Event.objects.count() == 1


def test_an_archived_system_is_paid_no_more(api: Api, game: Game) -> None:
    game.trigger(points=10)
    game.trigger(points=2, system=game.energy)
    archive(row=PointsSystem.objects.get(key="xp"))
    assert list(api.event("alice").json()["points"]) == ["energy"]
    assert api.get("/v1/users/alice/points/xp").status_code == 404


def test_an_archived_attribute_is_refused_from_the_next_event(api: Api, game: Game) -> None:
    api.event("alice", category="math")
    archive(row=game.category)
    assert api.event("alice", category="math").status_code == 422
    assert Event.objects.count() == 1


def test_a_revoked_key_is_refused_with_the_next_event(api: Api, game: Game) -> None:
    api.event("alice")
    revoke_keys(keys=ApiKey.objects.all())
    answer = api.event("alice")
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert Event.objects.count() == 1
