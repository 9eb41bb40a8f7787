"""Streaks from outside: in the answer to an event, read by user, read for many."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from trophy import NotFoundError, TrophyApi, UnprocessableEntityError, UpsertedUser

from core.services import create_checked, update_checked
from metrics.models import Metric
from points.models import PointsAward
from streaks.models import Streak, StreakMetric, StreakPeriod, StreakSettings
from tests.conftest import Api, Game, make_game

Clock = time_machine.Traveller


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Tuesday 10 March 2026, 9:00 UTC."""
    with time_machine.travel("2026-03-10T09:00Z", tick=False) as traveller:
        yield traveller


def to_march(clock: Clock, day: int) -> None:
    clock.move_to(datetime(2026, 3, day, 9, tzinfo=UTC), tick=False)


def on_days(api: Api, clock: Clock, *days: int, user: str = "alice") -> Any:
    """Report a lesson on these days of March; return the last answer's streak."""
    for day in days:
        to_march(clock, day)
        answer = api.event(user)
        assert answer.status_code == 201
    return answer.json()["currentStreak"]


def set_streak(frequency: str = "daily", mode: str = "OR", **thresholds: Any) -> StreakSettings:
    """Set the frequency, and how much is needed of which metrics."""
    settings = create_checked(StreakSettings, frequency=frequency, evaluation_mode=mode)
    for key, threshold in thresholds.items():
        create_checked(StreakMetric, settings=settings, metric=Metric.objects.get(key=key), threshold=threshold)
    return settings


def streak_trigger(game: Game, points: int, every: int = 1, **fields: Any) -> None:
    of_streak: dict[str, Any] = {"type": "streak", "streak_length": every, "metric": None, "metric_threshold": None}
    game.trigger(points, **(of_streak | fields))


def read(api: Api, query: str = "", user: str = "alice") -> Any:
    answer = api.get(f"/v1/users/{user}/streak{query}")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def lengths(api: Api, query: str = "") -> list[int]:
    return [each["length"] for each in read(api, query)["streakHistory"]]


# --- The answer to an event ------------------------------------------------------------------------------------------
def test_a_streak_grows_day_by_day_and_the_answer_says_so(api: Api, game: Game, clock: Clock) -> None:
    assert on_days(api, clock, 10, 11, 12) == {
        "length": 3,
        "frequency": "daily",
        "started": "2026-03-10",
        "periodStart": "2026-03-12",
        "periodEnd": "2026-03-12",
        "expires": "2026-03-13",
        "extended": True,
    }
    assert api.event("alice").json()["currentStreak"]["extended"] is False


def test_a_missed_day_ends_it_and_the_next_event_begins_another(api: Api, game: Game, clock: Clock) -> None:
    on_days(api, clock, 10, 11)
    streak = on_days(api, clock, 13)
    assert (streak["length"], streak["started"], streak["extended"]) == (1, "2026-03-13", True)


def test_an_event_that_does_not_count_shows_the_streak_that_is_left(api: Api, game: Game, clock: Clock) -> None:
    on_days(api, clock, 10, 11)
    to_march(clock, 12)
    shown = api.event("alice", -1).json()["currentStreak"]
    assert (shown["length"], shown["extended"], shown["expires"]) == (2, False, "2026-03-12")
    to_march(clock, 13)
    shown = api.event("alice", 0).json()["currentStreak"]
    assert (shown["length"], shown["extended"], shown["started"], shown["expires"]) == (0, False, None, None)


def test_a_replay_neither_extends_a_streak_nor_ends_one_and_shows_it_as_it_is_now(
    api: Api, game: Game, clock: Clock
) -> None:
    api.event("alice", key="one")
    before = list(Streak.objects.values())
    to_march(clock, 11)
    assert api.event("alice", key="one").json()["currentStreak"]["length"] == 1
    to_march(clock, 12)
    shown = api.event("alice", key="one").json()["currentStreak"]
    assert (shown["length"], shown["extended"], shown["periodStart"]) == (0, False, None)
    assert list(Streak.objects.values()) == before


def test_a_refused_event_leaves_the_streak_as_it_was(api: Api, game: Game, clock: Clock) -> None:
    game.trigger(-5, system=game.energy, block_if_out_of_points=True)
    streak_trigger(game, 10, system=game.energy)
    assert api.event("alice").json()["code"] == "out_of_points"
    assert not Streak.objects.exists()
    api.event("alice", metric="flashcards")
    before = list(Streak.objects.values()), list(StreakPeriod.objects.values())
    to_march(clock, 13)
    assert api.event("alice", 7).json()["code"] == "out_of_points"
    assert (list(Streak.objects.values()), list(StreakPeriod.objects.values())) == before


def test_users_have_streaks_of_their_own(api: Api, game: Game, clock: Clock) -> None:
    on_days(api, clock, 10, 11)
    assert on_days(api, clock, 11, user="bob")["length"] == 1
    assert on_days(api, clock, 12)["length"] == 3


# --- What counts -----------------------------------------------------------------------------------------------------
def test_amounts_in_a_period_add_up_exactly_negative_ones_too(api: Api, game: Game, clock: Clock) -> None:
    set_streak(lessons="0.3")
    answers = [api.event("alice", value).json()["currentStreak"] for value in (0.1, 0.1, -0.1, 0.1, 0.1)]
    assert [each["length"] for each in answers] == [0, 0, 0, 0, 1]


def test_a_period_that_counted_is_kept_though_its_amount_falls_again(api: Api, game: Game, clock: Clock) -> None:
    set_streak(lessons=2)
    assert api.event("alice", 2).json()["currentStreak"]["length"] == 1
    assert api.event("alice", -5).json()["currentStreak"]["length"] == 1
    shown = api.event("alice", 9).json()["currentStreak"]
    assert (shown["length"], shown["extended"]) == (1, False)


def test_amounts_begin_at_nothing_in_each_period(api: Api, game: Game, clock: Clock) -> None:
    set_streak(lessons=2)
    api.event("alice", 5)
    to_march(clock, 11)
    assert api.event("alice", 1).json()["currentStreak"]["length"] == 1
    assert api.event("alice", 1).json()["currentStreak"]["length"] == 2


def test_with_or_any_metric_is_enough_and_others_never_count(api: Api, game: Game, clock: Clock) -> None:
    create_checked(Metric, name="Steps", key="steps")
    set_streak("daily", "OR", lessons=1, flashcards=10)
    assert api.event("alice", 100, metric="steps").json()["currentStreak"]["length"] == 0
    assert api.event("alice", 9, metric="flashcards").json()["currentStreak"]["length"] == 0
    assert api.event("alice", 1).json()["currentStreak"]["length"] == 1


def test_with_and_all_metrics_are_needed_in_one_period(api: Api, game: Game, clock: Clock) -> None:
    set_streak("daily", "AND", lessons=1, flashcards=2)
    api.event("alice", 5)
    to_march(clock, 11)
    assert api.event("alice", 2, metric="flashcards").json()["currentStreak"]["length"] == 0
    shown = api.event("alice", 1).json()["currentStreak"]
    assert (shown["length"], shown["extended"], shown["started"]) == (1, True, "2026-03-11")


def test_weekly_and_monthly_amounts_are_of_the_whole_period(api: Api, game: Game, clock: Clock) -> None:
    settings = set_streak("weekly", lessons=3)
    assert [on_days(api, clock, day)["length"] for day in (10, 12, 15, 16, 17, 22)] == [0, 0, 1, 1, 1, 2]
    update_checked(settings, frequency="monthly")
    assert [on_days(api, clock, day)["length"] for day in (23, 24, 25)] == [0, 0, 1]


def test_an_amount_of_nothing_cannot_be_asked_for_nor_a_metric_twice(game: Game) -> None:
    settings = set_streak(lessons=1)
    with pytest.raises(ValidationError, match="Each metric can be named only once"):
        create_checked(StreakMetric, settings=settings, metric=game.lessons, threshold=5)
    with pytest.raises(ValidationError, match="must be greater than 0"):
        create_checked(StreakMetric, settings=settings, metric=game.flashcards, threshold=0)


# --- Triggers --------------------------------------------------------------------------------------------------------
def test_streak_triggers_pay_at_each_multiple_once(api: Api, game: Game, clock: Clock) -> None:
    streak_trigger(game, 1)
    streak_trigger(game, 10, every=3)
    totals = []
    for day in (10, 11, 12, 12, 13, 14, 15):
        on_days(api, clock, day)
        totals.append(api.points("alice")["total"])
    assert totals == [1, 2, 13, 13, 14, 15, 26]
    assert set(PointsAward.objects.values_list("cause", flat=True)) == {"streak"}


def test_a_streak_trigger_has_its_length_on_the_wire(api: Api, game: Game, clock: Clock) -> None:
    streak_trigger(game, 5, every=1)
    award = api.event("alice").json()["points"]["xp"]["awards"][0]
    assert (award["trigger"]["type"], award["trigger"]["streakLengthThreshold"]) == ("streak", 1)
    assert {"metricId", "metricThreshold"}.isdisjoint(award["trigger"])


def test_a_streak_begun_again_pays_again(api: Api, game: Game, clock: Clock) -> None:
    streak_trigger(game, 10, every=2)
    on_days(api, clock, 10, 11, 14, 15)
    assert api.points("alice")["total"] == 20


# --- Reading one user's ----------------------------------------------------------------------------------------------
def test_a_user_s_streak_is_read_with_its_history(api: Api, game: Game, clock: Clock) -> None:
    on_days(api, clock, 8, 10, 11)
    assert read(api, "?historyPeriods=3") == {
        "length": 2,
        "frequency": "daily",
        "started": "2026-03-10",
        "periodStart": "2026-03-11",
        "periodEnd": "2026-03-11",
        "expires": "2026-03-12",
        "extended": "2026-03-11T09:00:00.000Z",
        "streakHistory": [
            {"periodStart": "2026-03-09", "periodEnd": "2026-03-09", "length": 0, "usedPause": False},
            {"periodStart": "2026-03-10", "periodEnd": "2026-03-10", "length": 1, "usedPause": False},
            {"periodStart": "2026-03-11", "periodEnd": "2026-03-11", "length": 2, "usedPause": False},
        ],
        "pauses": [],
    }


def test_the_history_has_the_last_seven_periods_unless_another_number_is_asked_for(
    api: Api, game: Game, clock: Clock
) -> None:
    on_days(api, clock, 6, 8, 9, 11)
    assert lengths(api) == [0, 1, 0, 1, 2, 0, 1]
    assert lengths(api, "?historyPeriods=2") == [0, 1]
    assert lengths(api, "?historyPeriods=1") == [1]
    assert lengths(api, "?historyPeriods=0") == []
    assert len(lengths(api, "?historyPeriods=400")) == 400


@pytest.mark.parametrize("periods", ["401", "-1", "x", "1.5", ""])
def test_a_number_of_periods_that_is_none_is_refused(api: Api, game: Game, periods: str) -> None:
    api.event("alice")
    answer = api.get(f"/v1/users/alice/streak?historyPeriods={periods}")
    assert (answer.status_code, list(answer.json())) == (422, ["error"])


def test_a_streak_that_ran_out_reads_as_none_and_its_history_stays(api: Api, game: Game, clock: Clock) -> None:
    on_days(api, clock, 10, 11)
    to_march(clock, 12)
    assert (read(api)["length"], read(api)["expires"]) == (2, "2026-03-12")
    to_march(clock, 13)
    shown = read(api)
    assert (shown["length"], shown["started"], shown["periodStart"], shown["expires"], shown["extended"]) == (
        0,
        *[None] * 4,
    )
    assert lengths(api, "?historyPeriods=4") == [1, 2, 0, 0]


def test_weeks_and_months_of_the_history_are_whole(api: Api, game: Game, clock: Clock) -> None:
    settings = set_streak("weekly")
    on_days(api, clock, 3, 10)
    history = read(api, "?historyPeriods=2")["streakHistory"]
    assert [(each["periodStart"], each["periodEnd"], each["length"]) for each in history] == [
        ("2026-03-02", "2026-03-08", 1),
        ("2026-03-09", "2026-03-15", 2),
    ]
    update_checked(settings, frequency="monthly")
    on_days(api, clock, 10)
    (month, now) = read(api, "?historyPeriods=2")["streakHistory"]
    assert (month["periodStart"], month["periodEnd"], month["length"]) == ("2026-02-01", "2026-02-28", 0)
    assert (now["periodStart"], now["periodEnd"], now["length"]) == ("2026-03-01", "2026-03-31", 1)


def test_a_user_who_never_had_a_streak_has_none_of_the_configured_frequency(api: Api, game: Game, clock: Clock) -> None:
    set_streak("weekly")
    api.send("PUT", "/v1/users/alice")
    shown = read(api, "?historyPeriods=1")
    assert shown["streakHistory"] == [
        {"periodStart": "2026-03-09", "periodEnd": "2026-03-15", "length": 0, "usedPause": False}
    ]
    assert (shown["length"], shown["frequency"], shown["started"], shown["extended"]) == (0, "weekly", None, None)


def test_reading_changes_nothing(api: Api, game: Game, clock: Clock) -> None:
    on_days(api, clock, 10)
    before = list(Streak.objects.values()), list(StreakPeriod.objects.values())
    to_march(clock, 20)
    read(api)
    api.get("/v1/streaks?userIds=alice")
    assert (list(Streak.objects.values()), list(StreakPeriod.objects.values())) == before


def test_the_streak_of_an_unknown_user_is_not_found(api: Api, game: Game) -> None:
    answer = api.get("/v1/users/alice/streak")
    assert (answer.status_code, answer.json()) == (404, {"error": "User not found: alice."})


# --- Reading many ----------------------------------------------------------------------------------------------------
def test_the_streaks_of_many_are_read_in_the_order_asked_for(api: Api, game: Game, clock: Clock) -> None:
    on_days(api, clock, 9, user="charlie")
    on_days(api, clock, 9, 10)
    on_days(api, clock, 10, user="bob")
    none = {"streakLength": 0, "extended": None}
    to_march(clock, 11)
    assert api.get("/v1/streaks?userIds=bob,alice,charlie,nobody").json() == [
        {"userId": "bob", "streakLength": 1, "extended": "2026-03-10T09:00:00.000Z"},
        {"userId": "alice", "streakLength": 2, "extended": "2026-03-10T09:00:00.000Z"},
        {"userId": "charlie"} | none,
        {"userId": "nobody"} | none,
    ]


def test_users_are_named_with_commas_or_by_repeating_and_once_each(api: Api, game: Game) -> None:
    expected = ["alice", "bob"]
    for query in ("userIds=alice,bob", "userIds=alice&userIds=bob", "userIds=alice,bob&userIds=alice"):
        assert [each["userId"] for each in api.get(f"/v1/streaks?{query}").json()] == expected


@pytest.mark.parametrize("query", ["", "?userIds=", "?userIds=,,", "?userIds=" + ",".join(map(str, range(101)))])
def test_none_and_more_than_100_users_are_refused(api: Api, game: Game, query: str) -> None:
    answer = api.get(f"/v1/streaks{query}")
    assert (answer.status_code, list(answer.json())) == (422, ["error"])


# --- The SDK ---------------------------------------------------------------------------------------------------------
def test_the_sdk_reads_streaks(sdk: TrophyApi) -> None:
    make_game()
    answer = sdk.metrics.event("lessons", user=UpsertedUser(id="alice"), value=1)
    streak = sdk.users.streak("alice", history_periods=2)
    assert (streak.length, streak.frequency, streak.started) == (1, "daily", answer.current_streak.started)
    assert [each.length for each in streak.streak_history] == [0, 1]
    assert streak.pauses == []
    assert [(each.user_id, each.streak_length) for each in sdk.streaks.list(user_ids=["bob", "alice"])] == [
        ("bob", 0),
        ("alice", 1),
    ]
    with pytest.raises(NotFoundError):
        sdk.users.streak("bob")
    with pytest.raises(UnprocessableEntityError):
        sdk.streaks.list()
