"""The engine's one decision: (rule book, user state, input) -> (new state, outcome).

Pure: time and ids come in as arguments, so the same function serves live events, batches, previews and property tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from core.refusal import Refusal, RefusalReason
from engine.inputs import EventInput, IdentifyInput, Input
from engine.outcomes import Accepted, AwardRecord, EventRecord, Outcome, Rejected, Replayed
from metrics.rules import NO_FILTER, MetricRule, Total, add_value, matching_filters, next_instant
from points.rules import Award, Balance, Firing, SystemRule, TriggerRule, fired_by_metric, pay
from users.rules import User, apply_changes, check_attribute_keys, matches


class MetricTriggers(Protocol):
    """The triggers of one metric, under each event filter."""

    @property
    def by_filter(self) -> Mapping[str, tuple[TriggerRule, ...]]: ...


class Rules(Protocol):
    """What deciding needs of the rule book."""

    @property
    def key_ids(self) -> frozenset[str]: ...
    @property
    def user_attributes(self) -> frozenset[str]: ...
    @property
    def event_attributes(self) -> frozenset[str]: ...
    @property
    def metrics(self) -> Mapping[str, MetricRule]: ...
    @property
    def systems(self) -> Mapping[str, SystemRule]: ...
    @property
    def creation_triggers(self) -> tuple[TriggerRule, ...]: ...
    def triggers_of(self, metric: MetricRule) -> MetricTriggers: ...


@dataclass(frozen=True, slots=True)
class UserState:
    """All that the rules know of a user.

    `totals` has, by metric id and event filter, every total of the metrics that the inputs are of; `balances` is by
    system id; `events` are the ids of stored events by metric id and idempotency key. `known` is false for a user of
    whom no input was accepted yet.
    """

    user: User
    known: bool
    totals: Mapping[str, Mapping[str, Total]]
    balances: Mapping[str, Balance]
    events: Mapping[tuple[str, str], str]


def decide(
    rules: Rules, state: UserState, given: Input, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    """Return the user's new state and what became of the input; one refused or replayed leaves the state as it was."""
    try:
        _check_key(rules, given)
        if isinstance(given, EventInput):
            return _decide_event(rules, state, given, at, new_id)
        return _decide_identify(rules, state, given, at, new_id)
    except Refusal as refusal:
        return state, Rejected(refusal.reason, refusal.message)


def _check_key(rules: Rules, given: Input) -> None:
    if given.api_key_id is not None and given.api_key_id not in rules.key_ids:
        raise Refusal(RefusalReason.UNAUTHENTICATED, "This API key was revoked.")


def _decide_identify(
    rules: Rules, state: UserState, given: IdentifyInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    if given.must_exist and not state.known:
        raise Refusal(RefusalReason.NOT_FOUND, f"User not found: {given.user.external_id}.")
    user = apply_changes(_created(state, at), given.user, rules.user_attributes, at)
    balances, awards = pay(_creation_firings(rules, state, user), state.balances, rules.systems)
    outcome = Accepted(user, at, event=None, awards=_records(awards, None, at, new_id))
    return replace(state, user=user, known=True, balances=balances), outcome


def _decide_event(
    rules: Rules, state: UserState, given: EventInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    metric = rules.metrics.get(given.metric_key)
    if metric is None:
        raise Refusal(RefusalReason.NOT_FOUND, f"Metric not found: {given.metric_key}.")
    before = state.totals.get(metric.id, {})
    key = given.idempotency_key
    if key is not None and (stored := state.events.get((metric.id, key))):
        return state, Replayed(stored, metric, before[NO_FILTER].total, key)

    at = next_instant(at, before.get(NO_FILTER))
    user = apply_changes(_created(state, at), given.user, rules.user_attributes, at)
    check_attribute_keys(given.attributes, rules.event_attributes)
    after = {each: add_value(before[each], given.value, at) for each in matching_filters(before, given.attributes)}
    firings = _creation_firings(rules, state, user) + _metric_firings(rules, metric, user, before, after)
    balances, awards = pay(firings, state.balances, rules.systems)

    event = EventRecord(new_id(), metric, given, at, after[NO_FILTER].total)
    new_state = UserState(
        user=user,
        known=True,
        totals={**state.totals, metric.id: {**before, **after}},
        balances=balances,
        events=state.events if key is None else {**state.events, (metric.id, key): event.id},
    )
    return new_state, Accepted(user, at, event, _records(awards, event.id, at, new_id))


def _created(state: UserState, at: datetime) -> User:
    """Return the user, who was created by this very input where none came before."""
    return state.user if state.known else replace(state.user, created=at, updated=at)


def _creation_firings(rules: Rules, state: UserState, user: User) -> list[Firing]:
    if state.known:
        return []
    return [Firing(trigger) for trigger in rules.creation_triggers if matches(trigger.user_filter, user.attributes)]


def _metric_firings(
    rules: Rules, metric: MetricRule, user: User, before: Mapping[str, Total], after: Mapping[str, Total]
) -> list[Firing]:
    by_filter = rules.triggers_of(metric).by_filter
    looking = [trigger for each in after for trigger in by_filter.get(each, ())]
    fired = [
        firing
        for firing in fired_by_metric(looking, before, after)
        if matches(firing.trigger.user_filter, user.attributes)
    ]
    return sorted(fired, key=lambda firing: firing.trigger.order)


def _records(
    awards: list[Award], event_id: str | None, at: datetime, new_id: Callable[[], str]
) -> tuple[AwardRecord, ...]:
    return tuple(AwardRecord(new_id(), award, event_id, at) for award in awards)
