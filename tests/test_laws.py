"""Laws of the rules, for whatever rules and events hypothesis can think of."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.services import update_checked
from engine.inputs import EventInput, IdentifyInput, Input
from engine.pipeline import process
from metrics.rules import Total, add_value
from points.models import PointsAward, PointsBalance
from points.rules import POINTS_LIMIT, Balance, Firing, SystemRule, TriggerRule, clamp, crossings, pay
from tests.conftest import Game
from users.rules import UserChanges

START = datetime(2026, 3, 1, tzinfo=UTC)
XP = "xp"

values = st.decimals(min_value=-1000, max_value=1000, places=9, allow_nan=False)
positive_values = st.decimals(min_value="0.000000001", max_value=1000, places=9, allow_nan=False)
points = st.integers(min_value=-50, max_value=50).filter(bool)


def trigger(**fields: Any) -> TriggerRule:
    given: dict[str, Any] = {"id": "t", "system_id": XP, "cause": "metric", "points": 1, "order": 0}
    return TriggerRule(**given | fields)


# --- The pure rules --------------------------------------------------------------------------------------------------
@given(parts=st.lists(positive_values, min_size=1, max_size=8), every=st.integers(1, 100), reward=st.integers(1, 1000))
def test_a_split_event_pays_what_the_whole_pays(parts: list[Decimal], every: int, reward: int) -> None:
    def paid(amounts: Sequence[Decimal]) -> int:
        total = Total()
        balances: dict[str, Balance] = {}
        for amount in amounts:
            after = add_value(total, amount, START)
            firings = [Firing(trigger(points=reward), crossings(total.peak, after.peak, every))]
            balances, _ = pay(firings, balances, {XP: SystemRule(XP, XP, XP, None)}, {})
            total = after
        return balances.get(XP, Balance()).total

    assert paid(parts) == paid([sum(parts, Decimal(0))])


@given(amounts=st.lists(values, max_size=30), every=st.integers(1, 50))
def test_a_peak_never_falls_and_no_multiple_is_crossed_twice(amounts: list[Decimal], every: int) -> None:
    total, crossed = Total(), 0
    for amount in amounts:
        after = add_value(total, amount, START)
        assert after.peak >= max(total.peak, after.total, Decimal(0))
        times = crossings(total.peak, after.peak, every)
        assert times >= 0
        crossed += times
        total = after
    assert crossed == total.peak // every


@given(
    amount=st.integers(-POINTS_LIMIT, POINTS_LIMIT),
    total=st.integers(0, POINTS_LIMIT),
    maximum=st.none() | st.integers(1, POINTS_LIMIT),
)
def test_clamping_keeps_the_sign_stays_in_range_and_never_takes_from_who_is_above_the_maximum(
    amount: int, total: int, maximum: int | None
) -> None:
    moved = clamp(amount, total, maximum)
    assert abs(moved) <= abs(amount)
    assert moved * amount >= 0
    assert 0 <= total + moved <= max(total, POINTS_LIMIT if maximum is None else maximum)


# --- The pipeline on a real database ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Rule:
    """A trigger to set up: of lessons in XP or energy, maybe filtered, maybe blocking."""

    points: int
    every: int
    in_energy: bool
    for_listening: bool
    for_pro: bool
    blocks: bool
    for_new_users: bool


rules = st.builds(
    Rule,
    points=points,
    every=st.integers(1, 5),
    in_energy=st.booleans(),
    for_listening=st.booleans(),
    for_pro=st.booleans(),
    blocks=st.booleans(),
    for_new_users=st.booleans(),
)
users = st.builds(
    UserChanges,
    external_id=st.sampled_from(["alice", "bob", "charlie"]),
    name=st.sampled_from(["A", "B"]),
    attributes=st.sampled_from([{}, {"plan": "pro"}, {"plan": "free"}, {"plan": None}, {"unknown": "x"}]),
)
inputs: st.SearchStrategy[Input] = st.one_of(
    st.builds(
        EventInput,
        user=users,
        metric_key=st.sampled_from(["lessons", "lessons", "lessons", "flashcards", "unknown"]),
        value=st.decimals(min_value=-3, max_value=9, places=1),
        attributes=st.sampled_from([{}, {"category": "listening"}, {"category": "grammar"}]),
        idempotency_key=st.none() | st.sampled_from(["key-1", "key-2"]),
    ),
    st.builds(IdentifyInput, user=users, must_exist=st.booleans()),
)


def set_up(game: Game, chosen: Sequence[Rule]) -> None:
    for rule in chosen:
        system = game.energy if rule.in_energy else game.xp
        user_filters = [(game.plan, "pro")] if rule.for_pro else []
        if rule.for_new_users:
            game.creation_trigger(rule.points, system=system, user_filters=user_filters)
        else:
            game.trigger(
                rule.points,
                rule.every,
                system=system,
                user_filters=user_filters,
                event_filters=[(game.category, "listening")] if rule.for_listening else [],
                block_if_out_of_points=rule.blocks and rule.points < 0,
            )


@contextmanager
def undone() -> Iterator[None]:
    """Undo whatever the block stores, so that each example begins anew."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def ledger() -> list[tuple[Any, ...]]:
    rows = PointsAward.objects.order_by("user__external_id", "system_id", "seq")
    return list(
        rows.values_list(
            "user__external_id",
            "system_id",
            "seq",
            "trigger_id",
            "event__value",
            "event__at",
            "cause",
            "awarded",
            "total",
        )
    )


def clock() -> datetime:
    return START


on_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.django_db
@on_database
@given(
    chosen=st.lists(rules, max_size=5),
    sent=st.lists(inputs, min_size=1, max_size=14),
    cuts=st.lists(st.integers(0, 14), max_size=4),
)
def test_any_partition_of_the_same_inputs_into_sets_gives_the_same_ledger_and_answers(
    game: Game, chosen: list[Rule], sent: list[Input], cuts: list[int]
) -> None:
    borders = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    with undone():
        set_up(game, chosen)
        with undone():
            whole = [type(each) for each in process(sent, clock=clock).outcomes]
            expected = ledger()
        with undone():
            parts = [process(sent[a:b], clock=clock).outcomes for a, b in pairwise(borders)]
            assert [type(each) for part in parts for each in part] == whole
            assert ledger() == expected


@pytest.mark.django_db
@on_database
@given(
    chosen=st.lists(rules, max_size=5),
    steps=st.lists(st.tuples(st.none() | st.integers(1, 40), st.lists(inputs, min_size=1, max_size=4)), max_size=5),
)
def test_every_balance_is_the_fold_of_its_ledger_and_no_award_lifts_one_above_the_maximum_of_that_moment(
    game: Game, chosen: list[Rule], steps: list[tuple[int | None, list[Input]]]
) -> None:
    with undone():
        set_up(game, chosen)
        seen: set[Any] = set()
        for number, (maximum, sent) in enumerate(steps):
            update_checked(game.energy, max_points=maximum)
            process(sent, clock=lambda number=number: START + timedelta(days=number))  # type: ignore[misc]
            new = [award for award in PointsAward.objects.filter(system=game.energy) if award.id not in seen]
            seen |= {award.id for award in new}
            assert all(award.total <= maximum for award in new if award.awarded > 0 and maximum is not None)
        assert balances() == folded()


def balances() -> dict[Any, tuple[int, int]]:
    return {(row.user_id, row.system_id): (row.total, row.seq) for row in PointsBalance.objects.all()}


def folded() -> dict[Any, tuple[int, int]]:
    totals: dict[Any, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for award in PointsAward.objects.order_by("seq"):
        total, seq = totals[award.user_id, award.system_id]
        assert award.seq == seq + 1
        assert award.total == total + award.awarded >= 0
        totals[award.user_id, award.system_id] = (award.total, award.seq)
    return dict(totals)
