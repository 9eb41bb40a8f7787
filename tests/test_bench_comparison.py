"""`make bench-check` calls a ratio fallen where it fell by more than is allowed and by more than chance."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.comparison import ALLOWED, compare, upper_end
from bench.figures import Bar, Ratio
from bench.report import KEPT, kept_ratios

positive = st.floats(min_value=0.01, max_value=100)
rounds = st.lists(positive, min_size=1, max_size=9)


def has_fallen(ratio: Ratio, kept: float) -> bool:
    (comparison,) = compare([ratio], {ratio.name: kept})
    return comparison.has_fallen


def test_a_run_as_good_as_the_kept_one_has_not_fallen() -> None:
    assert not has_fallen(Ratio("batch", [0.40, 0.41, 0.42]), 0.41)


def test_a_quiet_run_at_half_of_the_kept_ratio_has_fallen() -> None:
    assert has_fallen(Ratio("batch", [0.20, 0.21, 0.22]), 0.41)


def test_a_fall_of_a_fifth_is_allowed() -> None:
    assert not has_fallen(Ratio("batch", [0.33, 0.33, 0.33]), 0.41)


def test_rounds_that_scatter_widely_prove_no_fall() -> None:
    assert not has_fallen(Ratio("batch", [0.10, 0.21, 0.40]), 0.41)


def test_one_good_round_of_nine_does_not_hide_a_fall() -> None:
    assert has_fallen(Ratio("batch", [0.20] * 8 + [0.41]), 0.41)


def test_a_cost_that_doubled_has_fallen_and_one_that_halved_has_not() -> None:
    assert has_fallen(Ratio("500 triggers", [2.1, 2.2, 2.0], is_cost=True), 1.05)
    assert not has_fallen(Ratio("500 triggers", [0.5, 0.5, 0.6], is_cost=True), 1.05)


def test_what_was_never_kept_is_not_compared() -> None:
    assert compare([Ratio("new", [1.0])], {"old": 1.0}) == []


@pytest.mark.parametrize("measured", [[], [0.0, 0.4], [-0.1]])
def test_what_was_not_measured_is_refused_by_name(measured: list[float]) -> None:
    with pytest.raises(ValueError, match="«batch»"):
        compare([Ratio("batch", measured)], {"batch": 0.41})


@given(rounds)
def test_the_upper_end_is_between_the_median_and_the_best_round_and_always_the_same(measured: list[float]) -> None:
    end = upper_end(measured)
    assert Ratio("any", measured).median <= end <= max(measured)
    assert end == upper_end(measured)


@given(positive, st.integers(1, 9))
def test_rounds_that_agree_are_judged_by_their_value_alone(value: float, count: int) -> None:
    assert has_fallen(Ratio("any", [value * 0.99 * ALLOWED] * count), value)
    assert not has_fallen(Ratio("any", [value * 1.01 * ALLOWED] * count), value)


@given(rounds, positive)
def test_a_cost_falls_exactly_where_its_reciprocal_does(measured: list[float], kept: float) -> None:
    (cost,) = compare([Ratio("any", measured, is_cost=True)], {"any": kept})
    (gain,) = compare([Ratio("any", [1 / each for each in measured])], {"any": 1 / kept})
    assert cost.has_fallen == gain.has_fallen


def test_the_committed_ratios_are_positive_and_of_more_than_one_part() -> None:
    kept = kept_ratios(Path(KEPT))
    assert len(kept) >= 5
    assert min(kept.values()) > 0


@pytest.mark.parametrize(
    ("bar", "is_met"),
    [
        (Bar("a ratio", 0.45, 0.45), True),
        (Bar("a ratio", 0.44, 0.45), False),
        (Bar("a latency", 100.0, 100.0, " ms", is_most=True), True),
        (Bar("a latency", 101.0, 100.0, " ms", is_most=True), False),
    ],
)
def test_a_bar_is_met_on_its_own_side_and_says_so(bar: Bar, is_met: bool) -> None:
    assert bar.is_met == is_met
    assert bar.sentence.startswith("met" if is_met else "MISSED")
