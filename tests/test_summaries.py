"""Histories and sums: how many users have how many points, who is on which level, a user's totals over time."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from trophy import NotFoundError, TrophyApi, UnprocessableEntityError, UpsertedUser

from analytics.rules import RANGE_STARTS, history, period_starts, points_ranges
from analytics.services import fold_deltas
from core.services import archive, create_checked, update_checked
from levels.models import Level
from points.rules import POINTS_LIMIT
from streaks.rules import Frequency, period_end
from tests.conftest import Api, Game, make_game
from users.models import Attribute, EndUser

Clock = time_machine.Traveller

# Counters must not show: every answer is the same before and after the deltas were folded into them.
folded_or_not = pytest.mark.parametrize("fold", [fold_deltas, lambda: 0], ids=["folded", "waiting"])


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Tuesday 10 March 2026, 9:00 UTC."""
    with time_machine.travel("2026-03-10T09:00Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def study(api: Api, game: Game) -> Game:
    """Each lesson pays 1 XP: an event of 12 lessons makes 12 XP."""
    game.trigger(points=1)
    return game


def earn(api: Api, **totals: int) -> None:
    """Report as many lessons of each user."""
    for user, points in totals.items():
        assert api.event(user, points).status_code == 201


def lose(api: Api, game: Game, user: str, points: int) -> None:
    """Take points from a user, by one flashcard."""
    trigger = game.trigger(points=-points, metric=game.flashcards)
    assert api.event(user, 1, metric="flashcards").status_code == 201
    archive(row=trigger)


def summary(api: Api, query: str = "", system: str = "xp") -> list[tuple[int, int, int]]:
    """Return the summary's ranges as (from, to, users)."""
    answer = api.get(f"/v1/points/{system}/summary{query}")
    assert answer.status_code == 200, answer.content
    return [(each["from"], each["to"], each["users"]) for each in answer.json()]


def users_by_range(api: Api, query: str = "", system: str = "xp") -> dict[int, int]:
    """Return how many users there are by where the range begins, those of no range left out."""
    return {start: users for start, _, users in summary(api, query, system) if users}


def add_level(game: Game, points: int, **fields: Any) -> Level:
    return create_checked(Level, system=game.xp, name=f"Level {points}", key=f"level-{points}", points=points, **fields)


def users_by_level(api: Api, system: str = "xp") -> dict[int, int]:
    """Return how many users there are on each level, by its threshold, in the order of the answer."""
    answer = api.get(f"/v1/points/{system}/level-summary")
    assert answer.status_code == 200, answer.content
    return {each["level"]["points"]: each["users"] for each in answer.json()}


# --- How many users have how many points -----------------------------------------------------------------------------
@folded_or_not
def test_users_are_counted_at_zero_and_in_ten_equal_ranges(api: Api, study: Game, fold: Any) -> None:
    earn(api, alice=1, bob=10, charlie=11, dora=100, emil=55)
    api.send("POST", "/v1/users", {"id": "frida"})
    fold()
    assert summary(api) == [
        (0, 0, 1),
        *((1, 10, 2), (11, 20, 1), (21, 30, 0), (31, 40, 0), (41, 50, 0)),
        *((51, 60, 1), (61, 70, 0), (71, 80, 0), (81, 90, 0), (91, 100, 1)),
    ]


@pytest.mark.parametrize(
    ("greatest", "last"), [(1, 10), (10, 10), (11, 100), (100, 100), (101, 1000), (99_999, 100_000)]
)
def test_the_last_range_ends_at_the_greatest_total_rounded_up_to_a_power_of_ten(
    api: Api, study: Game, greatest: int, last: int
) -> None:
    earn(api, alice=1, bob=greatest)
    ranges = summary(api)
    assert (len(ranges), ranges[1][0], ranges[-1][1]) == (11, 1, last)
    assert sum(users for _, _, users in ranges) == 2


def test_the_greatest_total_that_there_can_be_is_counted(api: Api, game: Game) -> None:
    game.trigger(points=POINTS_LIMIT)
    earn(api, alice=1)
    assert summary(api)[-1] == (9 * 10**15 + 1, 10**16, 1)


@folded_or_not
def test_without_users_or_awards_the_ranges_are_of_one(api: Api, game: Game, fold: Any) -> None:
    fold()
    assert summary(api) == [(number, number, 0) for number in range(11)]
    api.send("POST", "/v1/users", {"id": "alice"})
    fold()
    assert summary(api) == [(0, 0, 1), *((number, number, 0) for number in range(1, 11))]


@folded_or_not
def test_the_ranges_shrink_again_when_the_greatest_total_does(api: Api, study: Game, fold: Any) -> None:
    earn(api, alice=500, bob=7)
    fold()
    lose(api, study, "alice", 495)
    fold()
    assert users_by_range(api) == {5: 1, 7: 1}
    lose(api, study, "alice", 5)
    fold()
    assert users_by_range(api) == {0: 1, 7: 1}


@folded_or_not
def test_each_points_system_counts_its_own(api: Api, study: Game, fold: Any) -> None:
    study.creation_trigger(points=3, system=study.energy)
    earn(api, alice=20, bob=30)
    fold()
    assert users_by_range(api) == {11: 1, 21: 1}
    assert users_by_range(api, system="energy") == {3: 2}


def test_an_unknown_system_is_not_found(api: Api, game: Game) -> None:
    for path in ("summary", "level-summary"):
        answer = api.get(f"/v1/points/gold/{path}")
        assert (answer.status_code, answer.json()) == (404, {"error": "Points system not found: gold."})


# --- Filtered by attributes ------------------------------------------------------------------------------------------
@pytest.fixture
def country(game: Game) -> None:
    create_checked(Attribute, name="Country", key="country", type="user")


@pytest.fixture
def people(api: Api, study: Game, country: None) -> None:
    """Alice 5 and bob 50 are on the plan pro, in Germany and France; charlie 500 is free; dora is pro without XP."""
    api.event({"id": "alice", "attributes": {"plan": "pro", "country": "de"}}, 5)
    api.event({"id": "bob", "attributes": {"plan": "pro", "country": "fr"}}, 50)
    api.event({"id": "charlie", "attributes": {"plan": "free", "country": "de"}}, 500)
    api.send("POST", "/v1/users", {"id": "dora", "attributes": {"plan": "pro"}})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("plan:pro", {0: 1, 1: 1, 41: 1}),
        ("plan:free", {401: 1}),
        ("country:de", {1: 1, 401: 1}),
        ("plan:pro,country:de", {5: 1}),
        ("country:de,plan:pro", {5: 1}),
        ("plan:gold", {}),
        ("plan:free,country:fr", {}),
    ],
)
def test_only_users_with_all_attributes_are_counted(
    api: Api, people: None, attributes: str, expected: dict[int, int]
) -> None:
    assert users_by_range(api, f"?userAttributes={attributes}") == expected


def test_the_ranges_of_some_users_are_by_their_own_greatest_total(api: Api, people: None) -> None:
    assert summary(api)[-1][1] == 1000
    assert summary(api, "?userAttributes=plan:pro")[-1][1] == 100


def test_a_value_may_have_colons(api: Api, study: Game) -> None:
    api.event({"id": "alice", "attributes": {"plan": "pro:2026"}}, 5)
    assert users_by_range(api, "?userAttributes=plan:pro:2026") == {5: 1}


def test_the_answer_for_some_users_is_kept_for_a_while(api: Api, people: None) -> None:
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "kept-for-a-while"}
    with override_settings(CACHES={"default": memory}):
        before = users_by_range(api, "?userAttributes=plan:pro,country:fr")
        earn(api, bob=1)
        assert users_by_range(api, "?userAttributes=country:fr,plan:pro") == before == {41: 1}
        cache.clear()
        assert users_by_range(api, "?userAttributes=plan:pro,country:fr") == {51: 1}


def test_without_its_cache_the_answer_is_the_same(api: Api, people: None) -> None:
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    with override_settings(CACHES={"default": away}):
        assert users_by_range(api, "?userAttributes=plan:pro") == {0: 1, 1: 1, 41: 1}


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("pln:pro", ["userAttributes", "pln"]),
        ("plan:pro,pln:pro", ["userAttributes", "pln"]),
        ("category:math", ["userAttributes", "category"]),
        ("", ["userAttributes", "plan:pro,country:de"]),
        ("plan", ["userAttributes", "plan:pro,country:de"]),
        ("plan:", ["userAttributes", "plan:pro,country:de"]),
        (":pro", ["userAttributes", "plan:pro,country:de"]),
        ("plan:pro,", ["userAttributes", "plan:pro,country:de"]),
        ("plan:%00", ["userAttributes", "plan:pro,country:de"]),
        ("plan:pro,plan:free", ["userAttributes", "only once"]),
    ],
)
def test_other_attributes_are_refused(api: Api, game: Game, attributes: str, words: list[str]) -> None:
    answer = api.get(f"/v1/points/xp/summary?userAttributes={attributes}")
    assert answer.status_code == 422
    assert all(word in answer.json()["error"] for word in words), answer.content


# --- Levels ----------------------------------------------------------------------------------------------------------
@folded_or_not
def test_every_level_is_listed_with_its_users_the_lowest_first(api: Api, study: Game, fold: Any) -> None:
    for points in (1000, 0, 10, 100):
        add_level(study, points)
    earn(api, alice=9, bob=10, charlie=99, dora=100)
    api.send("POST", "/v1/users", {"id": "emil"})
    fold()
    assert list(users_by_level(api).items()) == [(0, 2), (10, 2), (100, 1), (1000, 0)]


def test_a_level_is_described_as_elsewhere(api: Api, study: Game) -> None:
    add_level(study, 10, description="A start", badge_url="https://cdn.example.com/a.png")
    listed = api.get("/v1/points/xp/levels").json()
    assert api.get("/v1/points/xp/level-summary").json() == [{"level": listed[0], "users": 0}]


@folded_or_not
def test_who_is_below_all_levels_is_in_none(api: Api, study: Game, fold: Any) -> None:
    add_level(study, 10)
    earn(api, alice=9, bob=12)
    fold()
    assert users_by_level(api) == {10: 1}


def test_a_system_without_levels_has_no_level_summary(api: Api, study: Game) -> None:
    assert api.get("/v1/points/xp/level-summary").status_code == 422
    level = add_level(study, 10)
    earn(api, alice=12)
    assert users_by_level(api) == {10: 1}
    archive(row=level)
    answer = api.get("/v1/points/xp/level-summary")
    assert (answer.status_code, answer.json()) == (422, {"error": "The points system xp has no levels."})


@folded_or_not
def test_levels_that_were_edited_are_right_at_once(api: Api, study: Game, fold: Any) -> None:
    low, high = add_level(study, 10), add_level(study, 100)
    earn(api, alice=5, bob=50, charlie=500)
    fold()
    assert users_by_level(api) == {10: 1, 100: 1}
    update_checked(high, points=50)
    assert users_by_level(api) == {10: 0, 50: 2}
    fold()
    add_level(study, 500)
    assert users_by_level(api) == {10: 0, 50: 1, 500: 1}
    earn(api, dora=20)
    archive(row=low)
    fold()
    assert users_by_level(api) == {50: 1, 500: 1}
    add_level(study, 0)
    assert users_by_level(api) == {0: 2, 50: 1, 500: 1}


@folded_or_not
def test_points_move_users_between_levels(api: Api, study: Game, fold: Any) -> None:
    add_level(study, 10)
    add_level(study, 100)
    earn(api, alice=10)
    assert users_by_level(api) == {10: 1, 100: 0}
    fold()
    earn(api, alice=90)
    assert users_by_level(api) == {10: 0, 100: 1}
    fold()
    lose(api, study, "alice", 91)
    assert users_by_level(api) == {10: 0, 100: 0}
    fold()
    assert users_by_level(api) == {10: 0, 100: 0}


# --- A user's totals over time ---------------------------------------------------------------------------------------
def to_day(clock: Clock, day: str, hour: int = 9) -> None:
    clock.move_to(datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC), tick=False)


def over_time(api: Api, aggregation: str, start: str, end: str, of: str = "points/xp", user: str = "alice") -> Any:
    """Return the history as {date: (total, change)}, in the order of the answer."""
    query = f"aggregation={aggregation}&startDate={start}&endDate={end}"
    answer = api.get(f"/v1/users/{user}/{of}/event-summary?{query}")
    assert answer.status_code == 200, answer.content
    return {each["date"]: (each["total"], each["change"]) for each in answer.json()}


@pytest.fixture
def spring(api: Api, study: Game, clock: Clock) -> None:
    """Alice: 3 XP on Tuesday 10 March, 4 on the 12th, 1 and 1 more on Monday the 16th, 10 on 2 April."""
    for day, lessons in (
        ("2026-03-10", 3),
        ("2026-03-12", 4),
        ("2026-03-16", 1),
        ("2026-03-16", 1),
        ("2026-04-02", 10),
    ):
        to_day(clock, day)
        earn(api, alice=lessons)


def test_every_day_has_its_total_and_change_also_where_nothing_happened(api: Api, spring: None) -> None:
    assert list(over_time(api, "daily", "2026-03-09", "2026-03-13").items()) == [
        ("2026-03-09", (0, 0)),
        ("2026-03-10", (3, 3)),
        ("2026-03-11", (3, 0)),
        ("2026-03-12", (7, 4)),
        ("2026-03-13", (7, 0)),
    ]


def test_a_week_that_is_touched_counts_whole_from_its_monday(api: Api, spring: None) -> None:
    expected = {"2026-03-09": (7, 7), "2026-03-16": (9, 2)}
    assert over_time(api, "weekly", "2026-03-11", "2026-03-16") == expected
    assert over_time(api, "weekly", "2026-03-09", "2026-03-22") == expected


def test_a_month_that_is_touched_counts_whole_from_its_first(api: Api, spring: None) -> None:
    assert over_time(api, "monthly", "2026-02-28", "2026-04-01") == {
        "2026-02-01": (0, 0),
        "2026-03-01": (9, 9),
        "2026-04-01": (19, 10),
    }


def test_days_to_come_have_the_total_of_now(api: Api, spring: None) -> None:
    assert over_time(api, "daily", "2026-04-02", "2026-04-03") == {"2026-04-02": (19, 10), "2026-04-03": (19, 0)}
    assert over_time(api, "monthly", "2999-12-30", "2999-12-31") == {"2999-12-01": (19, 0)}


def test_what_was_lost_is_a_negative_change(api: Api, study: Game, clock: Clock) -> None:
    earn(api, alice=8)
    to_day(clock, "2026-03-11")
    lose(api, study, "alice", 5)
    assert over_time(api, "daily", "2026-03-10", "2026-03-11") == {"2026-03-10": (8, 8), "2026-03-11": (3, -5)}


def test_an_award_is_of_the_users_own_date_when_it_was_made(api: Api, study: Game, clock: Clock) -> None:
    to_day(clock, "2026-03-10", hour=23)
    api.event({"id": "alice", "tz": "Asia/Tokyo"}, 2)
    api.event({"id": "bob", "tz": "America/New_York"}, 2)
    to_day(clock, "2026-03-11", hour=3)
    api.event({"id": "alice"}, 3)
    api.event({"id": "bob"}, 3)
    assert over_time(api, "daily", "2026-03-10", "2026-03-11") == {"2026-03-10": (0, 0), "2026-03-11": (5, 5)}
    of_bob = over_time(api, "daily", "2026-03-10", "2026-03-11", user="bob")
    assert of_bob == {"2026-03-10": (5, 5), "2026-03-11": (5, 0)}
    api.send("PATCH", "/v1/users/bob", {"tz": "Asia/Tokyo"})
    assert over_time(api, "daily", "2026-03-10", "2026-03-11", user="bob") == of_bob


def test_a_metric_has_a_history_of_exact_decimals(api: Api, game: Game, clock: Clock) -> None:
    for lessons in (0.1, 0.2):
        api.event("alice", lessons)
    to_day(clock, "2026-03-12")
    api.event("alice", -1.3)
    assert over_time(api, "daily", "2026-03-10", "2026-03-12", "metrics/lessons") == {
        "2026-03-10": (0.3, 0.3),
        "2026-03-11": (0.3, 0),
        "2026-03-12": (-1, -1.3),
    }
    assert over_time(api, "daily", "2026-03-10", "2026-03-10", "metrics/flashcards") == {"2026-03-10": (0, 0)}


def test_a_user_without_awards_has_nothing_at_any_time(api: Api, game: Game) -> None:
    api.send("POST", "/v1/users", {"id": "alice"})
    assert over_time(api, "weekly", "2026-03-10", "2026-03-10") == {"2026-03-09": (0, 0)}


def test_a_user_with_a_slash_in_the_id_has_a_history_too(api: Api, study: Game, clock: Clock) -> None:
    api.event("team/alice", 2)
    for user in ("team/alice", "team%2Falice"):
        assert over_time(api, "daily", "2026-03-10", "2026-03-10", user=user) == {"2026-03-10": (2, 2)}


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/v1/users/bob/points/xp", "User not found: bob."),
        ("/v1/users/alice/points/gold", "Points system not found: gold."),
        ("/v1/users/bob/metrics/lessons", "User not found: bob."),
        ("/v1/users/alice/metrics/steps", "Metric not found: steps."),
    ],
)
def test_whatever_is_unknown_is_not_found(api: Api, game: Game, path: str, missing: str) -> None:
    api.send("POST", "/v1/users", {"id": "alice"})
    answer = api.get(f"{path}/event-summary?aggregation=daily&startDate=2026-03-10&endDate=2026-03-10")
    assert (answer.status_code, answer.json()) == (404, {"error": missing})


GOOD_SPAN = {"aggregation": "daily", "startDate": "2026-03-10", "endDate": "2026-03-11"}


@pytest.mark.parametrize("path", ["/v1/users/alice/points/xp", "/v1/users/alice/metrics/lessons"])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"aggregation": None}, ["aggregation", "daily, weekly, monthly"]),
        ({"aggregation": "yearly"}, ["aggregation", "daily, weekly, monthly"]),
        ({"aggregation": ""}, ["aggregation", "daily, weekly, monthly"]),
        ({"startDate": None}, ["startDate", "YYYY-MM-DD"]),
        ({"endDate": None}, ["endDate", "YYYY-MM-DD"]),
        ({"startDate": "20260310"}, ["startDate", "YYYY-MM-DD"]),
        ({"startDate": "2026-02-30"}, ["startDate", "YYYY-MM-DD"]),
        ({"startDate": "2026-03-10T00:00:00Z"}, ["startDate", "YYYY-MM-DD"]),
        ({"endDate": "9999-12-31"}, ["endDate", "2999-12-31"]),
        ({"startDate": "0001-01-01"}, ["startDate", "1900-01-01"]),
        ({"endDate": "2026-03-09"}, ["startDate", "endDate"]),
        ({"endDate": "2027-04-15"}, ["endDate", "400 days"]),
    ],
)
def test_what_a_history_cannot_be_of_is_refused(
    api: Api, game: Game, path: str, wrong: dict[str, Any], words: list[str]
) -> None:
    api.send("POST", "/v1/users", {"id": "alice"})
    given = {name: value for name, value in (GOOD_SPAN | wrong).items() if value is not None}
    answer = api.get(f"{path}/event-summary?{'&'.join(f'{name}={value}' for name, value in given.items())}")
    assert answer.status_code == 422
    assert all(word in answer.json()["error"] for word in words), answer.content


def test_400_days_are_not_too_many(api: Api, spring: None) -> None:
    days = over_time(api, "daily", "2026-03-10", "2027-04-14")
    assert (len(days), days["2027-04-14"]) == (401, (19, 0))


def test_reading_changes_nothing(api: Api, spring: None) -> None:
    before = list(EndUser.objects.values())
    summary(api)
    over_time(api, "daily", "2026-03-09", "2026-03-13")
    assert list(EndUser.objects.values()) == before


# --- Laws ------------------------------------------------------------------------------------------------------------
totals = st.lists(
    st.integers(0, POINTS_LIMIT) | st.integers(0, 1200) | st.integers(0, 15).map(lambda zeros: 10**zeros), max_size=40
)


def counted(held: list[int]) -> dict[int, int]:
    """Return what the counters say of these totals."""
    counts: dict[int, int] = {}
    for total in held:
        start = max((start for start in RANGE_STARTS if start <= total), default=0)
        counts[start] = counts.get(start, 0) + 1
    return counts


@given(held=totals)
def test_counting_by_counters_is_counting_one_by_one(held: list[int]) -> None:
    ranges = points_ranges(counted(held))
    assert (ranges[0].first, ranges[0].last, ranges[1].first) == (0, 0, 1)
    last = ranges[-1].last
    assert last == min(10**power for power in range(1, 17) if 10**power >= max(held, default=0))
    assert {each.last - each.first + 1 for each in ranges[1:]} == {last // 10}
    assert all(after.first == before.last + 1 for before, after in pairwise(ranges))
    for each in ranges:
        assert each.users == sum(each.first <= total <= each.last for total in held)


days = st.dates(date(2020, 1, 1), date(2030, 12, 31))
frequencies = st.sampled_from(Frequency)


@given(start=days, length=st.integers(0, 400), frequency=frequencies)
def test_periods_follow_each_other_without_a_gap_and_all_are_touched(
    start: date, length: int, frequency: Frequency
) -> None:
    end = start + timedelta(days=length)
    starts = period_starts(start, end, frequency)
    assert starts[0] <= start <= period_end(starts[0], frequency)
    assert starts[-1] <= end <= period_end(starts[-1], frequency)
    for before, after in pairwise(starts):
        assert period_end(before, frequency) + timedelta(days=1) == after


@given(
    start=days,
    length=st.integers(0, 400),
    frequency=frequencies,
    moves=st.dictionaries(st.integers(0, 440), st.decimals(-1000, 1000, places=9), max_size=30),
    total=st.decimals(-1000, 1000, places=9),
)
def test_a_history_adds_up_and_ends_with_the_total(
    start: date, length: int, frequency: Frequency, moves: dict[int, Decimal], total: Decimal
) -> None:
    starts = period_starts(start, start + timedelta(days=length), frequency)
    last = period_end(starts[-1], frequency)
    changes = {day: move for days_, move in moves.items() if (day := starts[0] + timedelta(days=days_)) <= last}
    periods = history(starts, changes, total, frequency)
    assert [each.first_day for each in periods] == starts
    assert periods[-1].total == total
    assert sum(each.change for each in periods) == sum(changes.values())
    for before, after in pairwise(periods):
        assert before.total + after.change == after.total
    for each in periods:
        end = period_end(each.first_day, frequency)
        assert each.change == sum(change for day, change in changes.items() if each.first_day <= day <= end)


# --- The official SDK ------------------------------------------------------------------------------------------------
def test_the_sdk_reads_histories_and_sums(sdk: TrophyApi) -> None:
    game = make_game()
    game.trigger(points=10)
    add_level(game, 20)
    sdk.metrics.event("lessons", user=UpsertedUser(id="a/b", attributes={"plan": "pro"}), value=2.5)
    sdk.users.identify("bob")
    ranges = sdk.points.summary("xp")
    assert [(each.from_, each.to, each.users) for each in ranges if each.users] == [(0, 0, 1), (11, 20, 1)]
    filtered = sdk.points.summary("xp", user_attributes="plan:pro")
    assert [(each.from_, each.to, each.users) for each in filtered if each.users] == [(11, 20, 1)]
    assert [(each.level.key, each.users) for each in sdk.points.level_summary("xp")] == [("level-20", 1)]
    today = datetime.now(UTC).date()
    span: dict[str, Any] = {"start_date": str(today - timedelta(days=1)), "end_date": str(today + timedelta(days=1))}
    points = sdk.users.points_event_summary("a/b", "xp", aggregation="daily", **span)
    assert (len(points), points[-1].total, sum(each.change for each in points)) == (3, 20, 20)
    lessons = sdk.users.metric_event_summary("a/b", "lessons", aggregation="monthly", **span)
    assert lessons[-1].total == 2.5


def test_the_sdk_raises_its_own_errors(sdk: TrophyApi) -> None:
    make_game()
    with pytest.raises(NotFoundError):
        sdk.points.summary("gold")
    with pytest.raises(UnprocessableEntityError):
        sdk.points.summary("xp", user_attributes="pln:pro")
    with pytest.raises(UnprocessableEntityError) as raised:
        sdk.points.level_summary("xp")
    assert raised.value.body == {"error": "The points system xp has no levels."}
    with pytest.raises(NotFoundError):
        sdk.users.points_event_summary("bob", "xp", aggregation="daily", start_date="2026-03-10", end_date="2026-03-11")
