"""Laws of what reports are made of: periods, changes, bars, medians, and what is drawn."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median_low

from hypothesis import given
from hypothesis import strategies as st

from analytics.rules import (
    BARS_MAX,
    DayRange,
    change_percent,
    days_up_to,
    histogram,
    median_place,
    place_of,
    sum_by_day,
    to_date,
)
from backoffice.charts import by_step, sparkline, steps_of
from streaks.rules import Frequency

days = st.dates(date(2001, 1, 1), date(2099, 1, 1))
ranges = st.builds(days_up_to, days, st.integers(1, 400))
numbers = st.lists(st.integers(0, 300) | st.integers(0, 10**16), max_size=60)
amounts = st.integers(0, 10**12)


def tally_of(counted: list[int]) -> dict[int, int]:
    """Return how many of the numbers are at each place."""
    return {place: sum(place_of(each) == place for each in counted) for place in {*map(place_of, counted)}}


@given(ranges)
def test_the_period_before_is_as_long_and_ends_where_the_period_begins(period: DayRange) -> None:
    assert period.before.length == period.length == len(period.days)
    assert period.before.last + timedelta(days=1) == period.first
    assert period.weeks[0] <= period.first
    assert all(week.weekday() == 0 for week in period.weeks)


@given(days, st.sampled_from([Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY]))
def test_a_running_period_is_compared_with_no_more_days_of_the_one_before(today: date, frequency: Frequency) -> None:
    now, before = to_date(today, frequency)
    assert now.last == today
    assert before.last < now.first
    assert before.length <= now.length <= 31
    assert before.length == now.length or before.last + timedelta(days=1) == now.first


@given(amounts, amounts)
def test_a_change_in_percent_leads_from_the_one_number_to_the_other(before: int, now: int) -> None:
    change = change_percent(now, before)
    if before == 0:
        assert change is None
    else:
        assert change is not None
        assert abs(Decimal(before) * (100 + change) / 100 - now) <= Decimal(before) / 200


@given(numbers)
def test_bars_count_everybody_once_and_nobody_where_they_do_not_belong(counted: list[int]) -> None:
    bars = histogram(tally_of(counted))
    assert len(bars) <= BARS_MAX + 1
    assert sum(bar.users for bar in bars) == len(counted)
    for bar in bars:
        assert bar.users == sum(bar.first <= each <= bar.last for each in counted)
    for bar, after in pairwise(bars):
        assert after.first == bar.last + 1 or bar.first == 0
    if bars:
        assert bars[-1].users > 0


@given(numbers.filter(bool))
def test_the_median_is_exact_up_to_99_and_within_5_percent_above(counted: list[int]) -> None:
    told, exact = median_place(tally_of(counted)), median_low(counted)
    assert told is not None
    assert told == exact if exact < 100 else abs(told - exact) <= exact * 0.05 + 1


def test_nobody_has_no_median_and_no_bars() -> None:
    assert median_place({}) is None
    assert median_place({5: 0}) is None
    assert histogram({}) == histogram({5: 0}) == []


@given(ranges, st.lists(st.tuples(days, amounts), max_size=20))
def test_steps_of_a_chart_sum_up_to_the_days_that_they_are_made_of(
    period: DayRange, given_amounts: list[tuple[date, int]]
) -> None:
    inside = [(period.first + (day - date(2001, 1, 1)) % timedelta(days=period.length), n) for day, n in given_amounts]
    daily = sum_by_day(period, [*inside, (period.last + timedelta(days=1), 7)])
    steps, _ = steps_of(period)
    stepped = by_step(period, daily)
    assert len(steps) == len(stepped)
    assert sum(stepped) == sum(daily) == sum(amount for _, amount in inside)
    for start, amount in zip(steps, stepped, strict=True):
        end = start + timedelta(days=1 if period.length <= 92 else 7)
        assert amount == sum(each for day, each in inside if start <= day < end)


@given(st.lists(st.integers(-(10**12), 10**12), max_size=90))
def test_a_sparkline_stays_in_its_box_and_has_a_point_a_day(series: list[int]) -> None:
    drawn = str(sparkline(series))
    if len(series) < 2:
        assert drawn == ""
        return
    drawn_points = drawn.partition('points="')[2].partition('"')[0]
    points = [tuple(map(float, each.split(","))) for each in drawn_points.split()]
    assert len(points) == len(series)
    assert all(0 <= x <= 120 and 0 <= y <= 32 for x, y in points)
