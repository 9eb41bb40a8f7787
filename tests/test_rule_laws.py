"""Laws of streaks, achievements, boosts and levels, for whatever hypothesis can think of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from achievements.models import Achievement, Completion
from achievements.rules import AchievementRule, AchievementType, Circumstances, completed_by, find_cycle
from achievements.services import create_achievement
from boosts.models import BoostStatus
from boosts.rules import BoostPhase, BoostRule, boosts_of, phase_of
from boosts.services import create_boost
from core.services import create_checked
from engine.decide import UserState, decide
from engine.inputs import CompleteInput, EventInput, IdentifyInput, Input
from engine.outcomes import Accepted
from engine.pipeline import process
from engine.rules import Rules, compile_rules
from levels.models import Level
from levels.rules import change_of, ladder_of, level_for
from metrics.rules import MetricRule, Total
from points.models import PointsAward, PointsBalance
from points.rules import AppliedBoost, Rounding, SystemRule, TriggerRule, boosted
from streaks.models import Streak as StreakRow
from streaks.models import StreakMetric, StreakPeriod, StreakSettings
from streaks.rules import (
    Frequency,
    Streak,
    StreakRule,
    after_expiry,
    count_event,
    is_extended,
    next_period,
    period_end,
    period_start,
    previous_period,
)
from tests.conftest import Game
from tests.test_laws import undone
from users.rules import User, UserChanges, local_date

START = datetime(2026, 2, 26, 22, 30, tzinfo=UTC)
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)

multipliers = st.integers(1, 999_999).filter(lambda each: each != 10_000).map(lambda each: Decimal(each) / 10_000)
roundings = st.sampled_from(list(Rounding))
frequencies = st.sampled_from(list(Frequency))
days = st.dates(date(1990, 1, 1), date(2090, 12, 31))


# --- Boosts ----------------------------------------------------------------------------------------------------------
def applied(multiplier: Decimal, rounding: Rounding, id_: str = "b") -> AppliedBoost:
    return AppliedBoost(id_, "Boost", date(2026, 6, 1), None, multiplier, rounding)


some_boosts = st.lists(st.builds(applied, multipliers, roundings), max_size=5)


@given(points=st.integers(1, 2**53 - 1), boosts=some_boosts, data=st.data())
def test_the_order_of_boosts_does_not_matter(points: int, boosts: list[AppliedBoost], data: st.DataObject) -> None:
    assert boosted(points, data.draw(st.permutations(boosts))) == boosted(points, boosts)


@given(points=st.integers(1, 2**53 - 1), boosts=some_boosts)
@example(points=1, boosts=[applied(Decimal("0.5"), Rounding.NEAREST)])
@example(points=3, boosts=[applied(Decimal("0.5"), Rounding.NEAREST), applied(Decimal("0.5"), Rounding.UP)])
@example(points=10, boosts=[applied(Decimal("1.15"), Rounding.DOWN)] * 2)
def test_the_exact_product_is_rounded_once_and_the_strictest_rounding_wins(
    points: int, boosts: list[AppliedBoost]
) -> None:
    product = Fraction(points)
    for boost in boosts:
        product *= Fraction(boost.multiplier)
    if any(boost.rounding == "down" for boost in boosts):
        expected = floor(product)
    elif any(boost.rounding == "nearest" for boost in boosts):
        expected = floor(product + Fraction(1, 2))
    else:
        expected = ceil(product)
    assert boosted(points, boosts) == expected


@given(points=st.integers(-(2**53) + 1, 0), boosts=some_boosts)
def test_deductions_are_never_boosted(points: int, boosts: list[AppliedBoost]) -> None:
    assert boosted(points, boosts) == points


@given(points=st.integers(1, 10**9), boosts=some_boosts)
def test_a_stricter_rounding_never_pays_more(points: int, boosts: list[AppliedBoost]) -> None:
    def all_rounded(rounding: Rounding) -> int:
        return boosted(points, [replace(boost, rounding=rounding) for boost in boosts])

    assert all_rounded(Rounding.DOWN) <= all_rounded(Rounding.NEAREST) <= all_rounded(Rounding.UP)
    assert all_rounded(Rounding.UP) - all_rounded(Rounding.DOWN) <= 1


def person(tz: str | None = None, **attributes: str) -> User:
    fields: dict[str, Any] = dict.fromkeys(("name", "email", "device_tokens", "sign_up_date"))
    return User(
        "1",
        "alice",
        **fields,
        tz=tz,
        attributes=attributes,
        subscribe_to_emails=True,
        control=False,
        created=START,
        updated=START,
    )


zones = st.sampled_from(
    [None, "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "Europe/London", "America/St_Johns", "Etc/GMT+12"]
)
moments = st.datetimes(datetime(2026, 5, 28), datetime(2026, 6, 12)).map(lambda at: at.replace(tzinfo=UTC))


@given(at=moments, tz=zones, first=st.integers(0, 4), lasts=st.none() | st.integers(0, 4))
def test_a_boost_that_counts_for_anybody_is_active_and_one_user_s_is_active_exactly_when_it_counts(
    at: datetime, tz: str | None, first: int, lasts: int | None
) -> None:
    start = date(2026, 6, 3) + timedelta(days=first)
    end = None if lasts is None else start + timedelta(days=lasts)
    boost = AppliedBoost("b", "Boost", start, end, Decimal(2), Rounding.DOWN)
    counts = bool(boosts_of([BoostRule(boost, "xp", 0, activated=START)], person(tz), at))
    assert counts == (start <= local_date(at, tz) and (end is None or local_date(at, tz) <= end))
    of_user = phase_of(start, end, at=at, tz=tz, is_of_user=True)
    assert counts == (of_user == BoostPhase.ACTIVE)
    if counts:
        assert phase_of(start, end, at=at, tz=None, is_of_user=False) == BoostPhase.ACTIVE


@given(at=moments, later=st.timedeltas(timedelta(), timedelta(days=9)), tz=zones, is_of_user=st.booleans())
def test_a_boost_s_life_never_goes_back(at: datetime, later: timedelta, tz: str | None, is_of_user: bool) -> None:
    life = (BoostPhase.SCHEDULED, BoostPhase.ACTIVE, BoostPhase.FINISHED)
    window = (date(2026, 6, 3), date(2026, 6, 4))
    before, after = (phase_of(*window, at=each, tz=tz, is_of_user=is_of_user) for each in (at, at + later))
    assert life.index(before) <= life.index(after)


# --- Levels ----------------------------------------------------------------------------------------------------------
ladders = st.lists(st.integers(0, 60), unique=True, max_size=8)


@given(thresholds=ladders, low=st.integers(0, 70), more=st.integers(0, 70), data=st.data())
def test_more_points_never_mean_a_lower_level_whatever_the_order_of_declaration(
    thresholds: list[int], low: int, more: int, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(thresholds))
    ladder = ladder_of((threshold, str(threshold)) for threshold in shuffled)
    lower, higher = (level_for(ladder, total) for total in (low, low + more))
    assert int(lower or -1) <= int(higher or -1)
    assert lower == next((str(each) for each in sorted(thresholds, reverse=True) if each <= low), None)
    change = change_of(ladder, low, low + more)
    assert (change is None) == (lower == higher)


# --- Streaks ---------------------------------------------------------------------------------------------------------
@given(day=days, frequency=frequencies)
def test_periods_follow_each_other_without_a_gap_and_each_day_is_in_one(day: date, frequency: Frequency) -> None:
    start = period_start(day, frequency)
    assert start <= day <= period_end(start, frequency)
    assert period_end(start, frequency) + timedelta(days=1) == next_period(start, frequency)
    assert previous_period(next_period(start, frequency), frequency) == start
    assert period_start(period_end(start, frequency), frequency) == start
    lengths = {"daily": {1}, "weekly": {7}, "monthly": {28, 29, 30, 31}}[frequency]
    assert (next_period(start, frequency) - start).days in lengths
    if frequency == "weekly":
        assert start.isoweekday() == 1


streak_rules = st.builds(
    StreakRule,
    frequency=frequencies,
    requires_all=st.booleans(),
    thresholds=st.dictionaries(st.sampled_from(["lessons", "flashcards"]), st.integers(1, 5).map(Decimal), max_size=2),
)
happenings = st.tuples(
    st.integers(0, 40 * 24), st.sampled_from(["lessons", "flashcards", "steps"]), st.integers(-2, 6).map(Decimal)
)
"""Hours since the one before, metric, value."""


def counted(
    rule: StreakRule, given: Iterable[tuple[int, str, Decimal]], zones: Iterable[str | None] | None = None
) -> Iterator[tuple[Streak, Streak, date]]:
    """Yield the streak before and after each event, and the day on which it happened."""
    streak, at, moves = Streak(), START, iter(zones or ())
    for hours, metric, value in given:
        at += timedelta(hours=hours)
        today = local_date(at, next(moves, None))
        before, streak = streak, count_event(rule, streak, metric, value, today, at)
        yield before, streak, today


@given(rule=streak_rules, events=st.lists(happenings, max_size=25))
def test_a_streak_never_grows_twice_in_a_period_and_is_as_long_as_the_unbroken_run_of_periods_that_counted(
    rule: StreakRule, events: list[tuple[int, str, Decimal]]
) -> None:
    periods: list[date] = []
    for before, after, today in counted(rule, events):
        if is_extended(after_expiry(before, today), after):
            assert period_start(today, rule.frequency) not in periods
            periods.append(period_start(today, rule.frequency))
        if after.length:
            assert after.period == periods[-1]
            assert after.length == run_of(periods, rule.frequency)
            assert period_start(after.started or today, rule.frequency) == periods[-after.length]
        else:
            assert not periods or next_period(periods[-1], rule.frequency) < period_start(today, rule.frequency)


def run_of(periods: Sequence[date], frequency: Frequency) -> int:
    """Return how many of the newest periods follow each other without a gap."""
    length = 1
    for before, after in reversed(list(pairwise(periods))):
        if next_period(before, frequency) != after:
            break
        length += 1
    return length


west_to_east = [
    "Etc/GMT+12",
    "Pacific/Pago_Pago",
    "America/St_Johns",
    None,
    "Europe/London",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
]
moving_events = st.lists(st.tuples(st.integers(0, 23), st.just("lessons"), st.just(Decimal(1))), max_size=25)


@given(
    frequency=frequencies,
    events=moving_events,
    moves=st.lists(st.sampled_from(west_to_east), min_size=25, max_size=25),
)
def test_an_event_at_least_every_day_makes_a_streak_that_no_westward_move_lowers_breaks_or_doubles(
    frequency: Frequency, events: list[tuple[int, str, Decimal]], moves: list[str | None]
) -> None:
    rule, to_the_west = StreakRule(frequency), sorted(moves, key=west_to_east.index, reverse=True)
    seen: set[date] = set()
    for before, after, _ in counted(rule, events, to_the_west):
        assert before.length <= after.length <= before.length + 1
        if is_extended(before, after):
            assert after.period not in seen
            seen.add(after.period or date.min)
    assert len(seen) == len(list(events) and seen)


@given(
    frequency=frequencies,
    events=st.lists(st.tuples(st.integers(0, 23), st.sampled_from(west_to_east)), min_size=1, max_size=25),
)
def test_whoever_does_something_every_day_keeps_the_streak_wherever_they_move_and_no_day_counts_twice(
    frequency: Frequency, events: list[tuple[int, str | None]]
) -> None:
    rules, state, at, length, seen = rules_of(streak=StreakRule(frequency)), fresh(), START, 0, set()
    for hours, tz in events:
        at += timedelta(hours=hours)
        state, outcome = decide(rules, state, lesson(tz=tz), at, numbers())
        assert isinstance(outcome, Accepted)
        assert length <= outcome.streak.length <= length + 1
        assert outcome.extended == (outcome.streak.length > length)
        if outcome.extended:
            assert outcome.streak.period not in seen
            seen.add(outcome.streak.period)
        length = outcome.streak.length


@given(
    frequency=frequencies,
    steps=st.lists(st.tuples(st.integers(0, 23), st.sampled_from(west_to_east), st.booleans()), max_size=25),
)
def test_a_move_by_itself_never_ends_a_streak_that_ran_nor_brings_one_back(
    frequency: Frequency, steps: list[tuple[int, str | None, bool]]
) -> None:
    rules, state, at = rules_of(streak=StreakRule(frequency)), fresh(), START
    for hours, tz, does in steps:
        at += timedelta(hours=hours)
        length = after_expiry(state.streak, local_date(at, state.user.tz)).length
        state, _ = decide(rules, state, IdentifyInput(UserChanges("alice", tz=tz)), at, numbers())
        assert after_expiry(state.streak, local_date(at, tz)).length == length
        if does:
            state, _ = decide(rules, state, lesson(), at, numbers())
            assert length <= state.streak.length <= length + 1


# --- Achievements ----------------------------------------------------------------------------------------------------
def goal(number: int, prerequisites: Iterable[int] = (), **fields: Any) -> AchievementRule:
    ids = tuple(str(each) for each in prerequisites)
    type_ = AchievementType.COMPOSITE if ids else AchievementType.STREAK
    return AchievementRule(str(number), type_, number, streak_length=1 + number % 5, prerequisites=ids, **fields)


@st.composite
def goal_graphs(draw: st.DrawFn) -> list[AchievementRule]:
    """Goals, some of which need others that come before them in a hidden order."""
    count = draw(st.integers(1, 10))
    needs = [draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set() for number in range(count)]
    return [goal(number, needs[number], locked=draw(st.integers(0, 9)) == 0) for number in range(count)]


def circumstances(streak_length: int) -> Circumstances:
    return Circumstances({}, streak_length, {})


@given(goals=goal_graphs(), length=st.integers(0, 6), data=st.data())
def test_completing_goes_on_until_nothing_more_completes_whatever_the_order_of_declaration(
    goals: list[AchievementRule], length: int, data: st.DataObject
) -> None:
    done = {each.id for each in completed_by(goals, (), circumstances(length))}
    assert completed_by(goals, done, circumstances(length)) == []
    shuffled = data.draw(st.permutations(goals))
    assert {each.id for each in completed_by(shuffled, (), circumstances(length))} == done


@given(goals=goal_graphs(), length=st.integers(0, 6), before=st.sets(st.integers(0, 9).map(str)))
def test_nothing_completes_twice_nor_before_what_it_needs_nor_while_it_is_locked(
    goals: list[AchievementRule], length: int, before: set[str]
) -> None:
    done = set(before)
    for each in completed_by(goals, before, circumstances(length)):
        assert each.id not in done
        assert not each.locked
        assert done.issuperset(each.prerequisites)
        done.add(each.id)


graphs = st.dictionaries(st.integers(0, 6).map(str), st.sets(st.integers(0, 6).map(str), max_size=3))


@given(graph=graphs, start=st.integers(0, 6).map(str))
def test_a_cycle_is_found_exactly_where_one_can_come_back_to_the_start(
    graph: Mapping[str, set[str]], start: str
) -> None:
    reachable = set(graph.get(start, ()))
    for _ in graph:
        reachable |= {target for each in reachable for target in graph.get(each, ())}
    path = find_cycle(start, graph)
    assert bool(path) == (start in reachable)
    if path:
        assert path[0] == path[-1] == start
        assert all(after in graph[before] for before, after in pairwise(path))


# --- Deciding --------------------------------------------------------------------------------------------------------
def rules_of(**parts: Any) -> Rules:
    lessons, xp = MetricRule("lessons", "lessons", "Lessons"), SystemRule("xp", "xp", "XP", None)
    return compile_rules(metrics=[lessons], systems=[xp], user_attributes=frozenset({"plan"}), **parts)


def fresh() -> UserState:
    return UserState(person(), known=False, totals={"lessons": {"": Total()}})


def lesson(value: Decimal = Decimal(1), **changes: Any) -> EventInput:
    return EventInput(UserChanges("alice", **changes), "lessons", value)


def numbers() -> Any:
    """Return what gives an id each time that it is called."""
    ids = iter(range(1_000_000))
    return lambda: str(next(ids))


@given(
    needs=st.integers(1, 30),
    cost=st.integers(1, 20),
    values=st.lists(st.integers(1, 9).map(Decimal), min_size=1, max_size=12),
)
def test_a_refused_event_leaves_the_very_state_that_was_streak_and_achievements_included(
    needs: int, cost: int, values: list[Decimal]
) -> None:
    pays = TriggerRule("pays", "xp", "metric", 3, 0, metric_id="lessons", threshold=2)
    takes = TriggerRule(
        "takes", "xp", "metric", -cost, 1, metric_id="lessons", threshold=needs, block_if_out_of_points=True
    )
    first = AchievementRule("first", AchievementType.METRIC, 0, metric_id="lessons", metric_value=Decimal(1))
    rules, state, at = rules_of(triggers=[pays, takes], achievements=[first]), fresh(), START
    for value in values:
        at += timedelta(hours=20)
        after, outcome = decide(rules, state, lesson(value, tz="Asia/Kolkata"), at, numbers())
        assert (after is state) == (not isinstance(outcome, Accepted))
        state = after


# --- Replaying on the real database ----------------------------------------------------------------------------------
users = st.builds(
    UserChanges,
    external_id=st.sampled_from(["alice", "bob"]),
    tz=st.sampled_from([None, "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/London"]),
    attributes=st.sampled_from([{}, {"plan": "pro"}, {"plan": None}]),
)
inputs: st.SearchStrategy[Input] = st.one_of(
    st.builds(
        EventInput,
        user=users,
        metric_key=st.sampled_from(["lessons", "lessons", "flashcards", "unknown"]),
        value=st.decimals(min_value=-2, max_value=5, places=1),
        attributes=st.sampled_from([{}, {"category": "math"}]),
        idempotency_key=st.none() | st.sampled_from(["key-1", "key-2"]),
    ),
    st.builds(IdentifyInput, user=users, must_exist=st.booleans()),
    st.builds(CompleteInput, user=users, achievement_key=st.sampled_from(["shared", "unknown"])),
)
timed_inputs = st.lists(st.tuples(st.integers(0, 30), inputs), min_size=1, max_size=14)


def set_up(game: Game, *, frequency: str, needed: int, blocks: bool) -> None:
    """Add one of everything to the study app."""
    settings_row = create_checked(StreakSettings, frequency=frequency)
    if needed:
        create_checked(StreakMetric, settings=settings_row, metric=game.lessons, threshold=needed)
    five = create_achievement(name="Five", status="active", type="metric", metric=game.lessons, metric_value=5)
    two = create_achievement(name="Two days", status="active", type="streak", streak_length=2)
    shared = create_achievement(name="Shared", status="active", type="api", key="shared")
    create_achievement(name="All", status="active", type="achievement", prerequisites=[five, two, shared])
    pro = create_achievement(
        name="Pro",
        status="active",
        type="metric",
        metric=game.lessons,
        metric_value=1,
        user_filters=[(game.plan, "pro")],
    )
    game.creation_trigger(points=3)
    game.trigger(points=4, every=2)
    game.trigger(points=5, event_filters=[(game.category, "math")])
    game.trigger(points=-6, every=3, block_if_out_of_points=blocks)
    other: dict[str, Any] = {"metric": None, "metric_threshold": None}
    game.trigger(points=2, type="streak", streak_length=1, **other)
    for row in (*Achievement.objects.filter(type="achievement"), pro):
        game.trigger(points=7, type="achievement", achievement=row, **other)
    window: dict[str, Any] = {"start": date(2026, 2, 27), "end": date(2026, 3, 1), "status": BoostStatus.ACTIVE}
    create_boost(system=game.xp, name="Double", multiplier=Decimal("1.5"), rounding="up", **window)
    create_boost(system=game.xp, name="Alice's", multiplier=Decimal("0.7"), external_id="alice", **window)
    for points in (0, 10, 25):
        create_checked(Level, system=game.xp, name="Level", key=f"level-{points}", points=points)


def contents() -> list[Any]:
    """Return all that the inputs left behind, but for the ids that were made."""
    by_user = "user__external_id"
    return [
        list(
            PointsAward.objects.order_by(by_user, "seq").values_list(
                by_user, "seq", "trigger", "cause", "awarded", "total", "boosts", "created", "event__value"
            )
        ),
        list(PointsBalance.objects.order_by(by_user).values_list(by_user, "total", "seq")),
        list(StreakRow.objects.order_by(by_user).values_list(by_user, "length", "started", "period", "extended")),
        list(StreakPeriod.objects.order_by(by_user, "period").values_list(by_user, "period", "length", "extended")),
        list(Completion.objects.order_by(by_user, "achievement").values_list(by_user, "achievement", "at")),
    ]


def summary(outcomes: Sequence[Any]) -> list[Any]:
    return [
        (type(each), each.levels, each.extended, each.streak, [done.achievement_id for done in each.completions])
        if isinstance(each, Accepted)
        else type(each)
        for each in outcomes
    ]


@pytest.mark.django_db
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    frequency=st.sampled_from(["daily", "daily", "weekly", "monthly"]),
    needed=st.integers(0, 4),
    blocks=st.booleans(),
    timed=timed_inputs,
    cuts=st.lists(st.integers(0, 14), max_size=4),
)
def test_the_same_inputs_in_any_batches_leave_the_same_ledger_levels_streaks_and_completions(
    game: Game, frequency: str, needed: int, blocks: bool, timed: list[tuple[int, Input]], cuts: list[int]
) -> None:
    at, sent = datetime(2026, 2, 26, 22, 30, tzinfo=UTC), []
    for hours, each in timed:
        at += timedelta(hours=hours)
        sent.append(structs.replace(each, at=at))
    borders = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    with undone():
        set_up(game, frequency=frequency, needed=needed, blocks=blocks)
        with undone():
            whole = summary(process(sent).outcomes)
            expected = contents()
        with undone():
            parts = [summary(process(sent[a:b]).outcomes) for a, b in pairwise(borders)]
            assert [each for part in parts for each in part] == whole
            assert contents() == expected
