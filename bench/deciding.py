"""What one call of `decide` costs: no database, no server, one process."""

import random
import statistics
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import uuid_utils
from msgspec import structs

from bench.errors import BenchError
from bench.figures import Bar, Ratio
from bench.game import CATEGORIES, METRIC_KEY
from engine.decide import UserState, decide
from engine.inputs import EventInput
from engine.outcomes import Accepted
from engine.rules import Rules, compile_rules
from metrics.rules import NO_FILTER, MetricRule, Total, canonical_filter
from points.rules import Balance, SystemRule, TriggerRule
from users.rules import User, UserChanges

EVENTS: Final = 20_000
DECIDE_US_MAX: Final = 100
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORY_FILTER: Final = canonical_filter({"category": CATEGORIES[0]})


@dataclass(frozen=True, slots=True)
class DecideRun:
    """The median cost of an event in microseconds, five triggers looking on, two of them filtered."""

    decide_us: float

    def ratios(self) -> list[Ratio]:
        """Return nothing: nothing else takes turns with it."""
        return []

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        return [Bar("decide", self.decide_us, DECIDE_US_MAX, " us", is_most=True)]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        return [f"decide: {self.decide_us:.1f} us an event (median), without database and server"]


def measure_decide() -> DecideRun:
    """Decide EVENTS events. Raises BenchError unless each was accepted."""
    rules, state = _rules(), _state()
    costs_ns = []
    for given in _events():
        start_ns = time.perf_counter_ns()
        state, outcome = decide(rules, state, given, START, _new_id)
        costs_ns.append(time.perf_counter_ns() - start_ns)
        if not isinstance(outcome, Accepted):
            raise BenchError(f"An event was not accepted: {outcome}")
        # A live event's state holds no idempotency keys but its own.
        state = structs.replace(state, events={})
    return DecideRun(statistics.median(costs_ns) / 1000)


def _rules() -> Rules:
    return compile_rules(
        key_ids=frozenset({"key"}),
        user_attributes=frozenset({"plan"}),
        event_attributes=frozenset({"category"}),
        metrics=[MetricRule(id="metric", key=METRIC_KEY, name="Lessons completed")],
        systems=[SystemRule(id="system", key="xp", name="XP", max_points=None)],
        triggers=[
            _trigger(0, points=10, threshold=10),
            _trigger(1, points=50, threshold=100),
            replace(_trigger(2, points=1, threshold=1), user_filter=(("plan", "pro"),)),
            _trigger(3, points=100, threshold=1000),
            replace(_trigger(4, points=5, threshold=1), event_filter=CATEGORY_FILTER),
        ],
    )


def _trigger(order: int, *, points: int, threshold: int) -> TriggerRule:
    return TriggerRule(
        id=f"trigger-{order}",
        system_id="system",
        cause="metric",
        points=points,
        order=order,
        metric_id="metric",
        threshold=threshold,
    )


def _state() -> UserState:
    user = User(
        id="user",
        external_id="alice",
        name="Alice",
        email="alice@example.com",
        tz="Europe/London",
        attributes={"plan": "pro"},
        device_tokens=None,
        subscribe_to_emails=True,
        sign_up_date=None,
        control=False,
        created=START,
        updated=START,
    )
    totals = {"metric": {NO_FILTER: Total(), CATEGORY_FILTER: Total()}}
    return UserState(user=user, known=True, totals=totals, balances={"system": Balance()}, events={})


def _events() -> list[EventInput]:
    return [
        EventInput(
            user=UserChanges("alice", attributes={"plan": "pro"}),
            metric_key=METRIC_KEY,
            value=Decimal(random.randint(1, 20)),
            attributes={"category": random.choice(CATEGORIES)},
            idempotency_key=f"key-{number}",
            api_key_id="key",
        )
        for number in range(EVENTS)
    ]


def _new_id() -> str:
    return str(uuid_utils.uuid7())
