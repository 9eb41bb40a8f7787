"""The engine's one decision: (rule book, user state, input) -> (new state, outcome).

Pure: time and ids come in as arguments, so the same function serves live events, batches, previews and property tests.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from achievements.rules import AchievementRule, Circumstances, Completion, completed_by, is_reached
from boosts.rules import BoostRule, boosts_of
from core.refusal import Refusal, RefusalReason
from core.texts import user_id_problem
from engine.inputs import (
    AdjustInput,
    BackdateInput,
    CompletedInput,
    CompleteInput,
    EventInput,
    IdentifyInput,
    Input,
    OpeningInput,
)
from engine.outcomes import Accepted, AwardRecord, CompletedBefore, EventRecord, Outcome, Rejected, Replayed
from engine.rules import Rules
from levels.rules import LevelChange, change_of
from metrics.rules import (
    NO_FILTER,
    OPENING,
    KeyedEvent,
    MetricRule,
    Total,
    add_value,
    differences,
    fingerprint_of,
    former_key,
    matching_filters,
    next_instant,
)
from points.rules import Balance, Firing, TriggerRule, adjust, fired_by_metric, pay
from streaks.rules import Streak, after_expiry, after_move, count_event, is_extended, is_lost
from users.rules import (
    User,
    apply_changes,
    apply_usable,
    check_attribute_keys,
    check_user_attributes,
    local_date,
    matches,
)


class UserState(Struct, frozen=True, gc=False):
    """All that the rules know of a user.

    `totals` has, by metric id and event filter, every total of the metrics that the inputs are of; `balances` is by
    system id; `events` are stored events by metric id and idempotency key; `openings` the ids of the metrics
    with an opening balance; `completions` are by achievement id; `boosts` are this user's alone; `key_ids` are those of
    this user's application keys that the inputs came with and that are valid; `computed` are the totals (metric id,
    filter) that are stored nowhere yet. `known` is false for a user of whom no input was accepted yet.
    """

    user: User
    known: bool
    totals: Mapping[str, Mapping[str, Total]] = field(default_factory=dict)
    balances: Mapping[str, Balance] = field(default_factory=dict)
    events: Mapping[tuple[str, str], KeyedEvent] = field(default_factory=dict)
    openings: frozenset[str] = frozenset()
    streak: Streak = Streak()
    completions: Mapping[str, Completion] = field(default_factory=dict)
    boosts: tuple[BoostRule, ...] = ()
    key_ids: frozenset[str] = frozenset()
    computed: frozenset[tuple[str, str]] = frozenset()


def decide(
    rules: Rules, state: UserState, given: Input | CompletedInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    """Return the user's new state and what became of the input; one refused or replayed leaves the state as it was."""
    try:
        _check_key(rules, state, given)
        return _decide(rules, state, given, at, new_id)
    except Refusal as refusal:
        return state, Rejected(refusal.reason, refusal.message)


def _decide(
    rules: Rules, state: UserState, given: Input | CompletedInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    if isinstance(given, EventInput):
        return _decide_event(rules, state, given, at, new_id)
    if isinstance(given, IdentifyInput):
        return _decide_identify(rules, state, given, at, new_id)
    if isinstance(given, CompleteInput):
        return _decide_complete(rules, state, given, at, new_id)
    if isinstance(given, OpeningInput):
        return _decide_opening(rules, state, given, at, new_id)
    if isinstance(given, AdjustInput):
        return _decide_adjust(rules, state, given, at, new_id)
    if isinstance(given, CompletedInput):
        return _decide_completed(rules, state, given, at, new_id)
    return _decide_backdate(rules, state, given, at, new_id)


def _check_key(rules: Rules, state: UserState, given: Input | CompletedInput) -> None:
    """Refuse a key that is neither a backend's nor this user's: one that is another user's, too."""
    key = given.api_key_id
    if key is not None and key not in rules.key_ids and key not in state.key_ids:
        raise Refusal(RefusalReason.UNAUTHENTICATED, "This API key was revoked.")


def _check_known(state: UserState) -> None:
    if not state.known:
        raise Refusal(RefusalReason.NOT_FOUND, f"User not found: {state.user.external_id}.")


def _metric(rules: Rules, key: str) -> MetricRule:
    metric = rules.metrics.get(key)
    if metric is None:
        raise Refusal(RefusalReason.NOT_FOUND, f"Metric not found: {key}.")
    return metric


def check_event(rules: Rules, given: EventInput) -> None:
    """Raise Refusal for an event that no state of its user could make acceptable."""
    _metric(rules, given.metric_key)
    if isinstance(given.user.attributes, Mapping):
        check_user_attributes(given.user.attributes, rules.user_attributes)
    check_attribute_keys(given.attributes, rules.event_attributes, "event")


def _decide_event(
    rules: Rules, state: UserState, given: EventInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    metric = _metric(rules, given.metric_key)
    before = state.totals.get(metric.id, {})
    key = given.idempotency_key
    if key is not None and (stored := _stored_event(state, metric.id, key)):
        _check_same(stored, given)
        return state, Replayed(stored.id, metric, before[NO_FILTER].total, _running_streak(state, state.user, at), key)

    at = next_instant(_not_overtaken(state, at), before.get(NO_FILTER))
    user, warnings = apply_usable(_created(state, at), given.user, rules.user_attributes, at)
    check_attribute_keys(given.attributes, rules.event_attributes, "event")
    after = {each: add_value(before[each], given.value, at) for each in matching_filters(before, given.attributes)}
    totals = {**state.totals, metric.id: {**before, **after}}
    running = _running_streak(state, user, at)
    streak = count_event(rules.streak, running, metric.id, given.value, local_date(at, user.tz), at)
    circumstances = Circumstances(totals, streak.length, user.attributes, given.attributes)
    completed = completed_by(rules.achievements_seen_by(metric.id), state.completions, circumstances)

    fingerprint = None if key is None else fingerprint_of(given.attributes)
    event = EventRecord(new_id(), metric, given.value, at, after[NO_FILTER].total, given.attributes, key, fingerprint)
    extended = is_extended(running, streak)
    firings = (
        *_creation_firings(rules, state, user),
        *_metric_firings(rules, metric, user, before, after),
        *(_streak_firings(rules, user, streak) if extended else ()),
        *_achievement_firings(rules, user, completed),
    )
    outcome = Accepted(user, at, streak, event, extended=extended, warnings=warnings)
    new_state, outcome = _settle(rules, state, outcome, completed, firings, new_id)
    return replace(new_state, totals=totals, events=_with_event(state, event)), outcome


def _stored_event(state: UserState, metric_id: str, key: str) -> KeyedEvent | None:
    """Return the event that was stored under this key."""
    stored = state.events.get((metric_id, key))
    former = None if stored else former_key(key)
    return stored if former is None else state.events.get((metric_id, former))


def _with_event(state: UserState, event: EventRecord) -> Mapping[tuple[str, str], KeyedEvent]:
    """Return the user's events by key with this one, if it has a key."""
    key = event.idempotency_key
    if key is None:
        return state.events
    keyed = KeyedEvent(event.id, event.value, event.attributes, event.fingerprint)
    return {**state.events, (event.metric.id, key): keyed}


def _check_same(stored: KeyedEvent, given: EventInput) -> None:
    """Refuse an event under the key of another one: taken for a replay, it would be lost without a word."""
    if differing := differences(stored, given.value, given.attributes):
        how = " and ".join(differing)
        raise Refusal(
            RefusalReason.IDEMPOTENCY_KEY_REUSED, f"The idempotency key was used for another event before: {how}."
        )


def _decide_identify(
    rules: Rules, state: UserState, given: IdentifyInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    if given.must_exist:
        _check_known(state)
    user = apply_changes(_created(state, at), given.user, rules.user_attributes, at)
    outcome = Accepted(user, at, _running_streak(state, user, at))
    return _settle(rules, state, outcome, (), _creation_firings(rules, state, user), new_id)


def _decide_complete(
    rules: Rules, state: UserState, given: CompleteInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    rule = rules.achievements.get(rules.achievement_ids_by_key.get(given.achievement_key, ""))
    if rule is None:
        raise Refusal(RefusalReason.NOT_FOUND, f"Achievement not found: {given.achievement_key}.")
    if done := state.completions.get(rule.id):
        return state, CompletedBefore(done)
    user, warnings = apply_usable(_created(state, at), given.user, rules.user_attributes, at)
    if rule.locked:
        raise Refusal(RefusalReason.INVALID, f"Achievement {rule.key} is locked: nobody can complete it at present.")
    if not matches(rule.user_filter, user.attributes):
        needed = ", ".join(f"{key} = {value}" for key, value in rule.user_filter)
        raise Refusal(RefusalReason.INVALID, f"Achievement {rule.key} is only for users with the attributes {needed}.")
    streak = _running_streak(state, user, at)
    return _complete(rules, state, rule, Accepted(user, at, streak, warnings=warnings), new_id)


def _decide_backdate(
    rules: Rules, state: UserState, given: BackdateInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    rule, streak = rules.achievements.get(given.achievement_id), _running_streak(state, state.user, at)
    circumstances = Circumstances(state.totals, streak.length, state.user.attributes)
    if (
        rule is None
        or not state.known
        or rule.id in state.completions
        or not is_reached(rule, state.completions, circumstances)
    ):
        raise Refusal(RefusalReason.INVALID, "There is nothing to complete.")
    return _complete(rules, state, rule, Accepted(state.user, at, streak, quiet=True), new_id)


def _decide_completed(
    rules: Rules, state: UserState, given: CompletedInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    _check_known(state)
    open_ids = [each for each in given.achievement_ids if each not in state.completions]
    completed = [rules.achievements[each] for each in open_ids if each in rules.achievements]
    outcome = Accepted(state.user, at, _running_streak(state, state.user, at))
    return _settle(rules, state, outcome, completed, _achievement_firings(rules, state.user, completed), new_id)


def _decide_opening(
    rules: Rules, state: UserState, given: OpeningInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    _check_known(state)
    metric = _metric(rules, given.metric_key)
    if metric.id in state.openings:
        raise Refusal(RefusalReason.INVALID, f"The user has an opening balance of {metric.key} already.")
    before = state.totals[metric.id]
    at = next_instant(at, before[NO_FILTER])
    total = add_value(before[NO_FILTER], given.value, at)
    totals = {**state.totals, metric.id: {**before, NO_FILTER: total}}
    event = EventRecord(new_id(), metric, given.value, at, total.total, kind=OPENING)
    new_state = replace(state, totals=totals, openings=state.openings | {metric.id})
    return new_state, Accepted(state.user, at, state.streak, event)


def _decide_adjust(
    rules: Rules, state: UserState, given: AdjustInput, at: datetime, new_id: Callable[[], str]
) -> tuple[UserState, Outcome]:
    _check_known(state)
    system = next((each for each in rules.systems.values() if each.key == given.system_key), None)
    if system is None:
        raise Refusal(RefusalReason.NOT_FOUND, f"Points system not found: {given.system_key}.")
    award = adjust(given.adjustment, system, state.balances.get(system.id) or Balance())
    balances = {**state.balances, system.id: Balance(award.total, award.seq)}
    levels = _level_changes(rules, state.balances, balances)
    record = AwardRecord(new_id(), award, None, at)
    outcome = Accepted(state.user, at, state.streak, awards=(record,), levels=levels)
    return replace(state, balances=balances), outcome


def _complete(
    rules: Rules, state: UserState, rule: AchievementRule, outcome: Accepted, new_id: Callable[[], str]
) -> tuple[UserState, Accepted]:
    """Complete one achievement, and the composites that waited for it."""
    user = outcome.user
    circumstances = Circumstances(state.totals, outcome.streak.length, user.attributes)
    completed = [rule, *completed_by(rules.composites, {*state.completions, rule.id}, circumstances)]
    firings = (*_creation_firings(rules, state, user), *_achievement_firings(rules, user, completed))
    return _settle(rules, state, outcome, completed, firings, new_id)


def _settle(
    rules: Rules,
    state: UserState,
    outcome: Accepted,
    completed: Iterable[AchievementRule],
    firings: Iterable[Firing],
    new_id: Callable[[], str],
) -> tuple[UserState, Accepted]:
    """Pay the firings, and return the state and the outcome with all that an input of any kind can change."""
    user, at = outcome.user, outcome.at
    boosts = rules.boosts + state.boosts
    applied = boosts_of(boosts, user, at) if boosts else {}
    balances, awards = pay(firings, state.balances, rules.systems, applied)
    completions = tuple(Completion(new_id(), rule.id, at) for rule in completed)
    new_state = replace(
        state,
        user=user,
        known=True,
        balances=balances,
        streak=outcome.streak,
        completions={**state.completions, **{each.achievement_id: each for each in completions}},
    )
    event_id = outcome.event.id if outcome.event else None
    return new_state, replace(
        outcome,
        awards=tuple(AwardRecord(new_id(), award, event_id, at) for award in awards),
        completions=completions,
        lost_streak=state.streak.length if is_lost(state.streak, outcome.streak) else 0,
        levels=_level_changes(rules, state.balances, balances),
    )


def _running_streak(state: UserState, user: User, at: datetime) -> Streak:
    """Return the streak as the zone that the user had so far lets it run or end: no move to `user.tz` changes that."""
    streak = after_expiry(state.streak, local_date(at, state.user.tz))
    return streak if user.tz == state.user.tz else after_move(streak, local_date(at, user.tz))


def _not_overtaken(state: UserState, at: datetime) -> datetime:
    """Return `at`, but not before what came of the user meanwhile: an event may have waited while others passed it."""
    known = [each for each in (state.user.created, state.streak.extended) if each is not None] if state.known else []
    return max(at, *known) if known else at


def _created(state: UserState, at: datetime) -> User:
    """Return the user, who was created by this very input where none came before. Raises Refusal for an unusable id."""
    if state.known:
        return state.user
    if problem := user_id_problem(state.user.external_id):
        raise Refusal(RefusalReason.INVALID, f"The user's id {problem}")
    return replace(state.user, created=at, updated=at)


def _creation_firings(rules: Rules, state: UserState, user: User) -> list[Firing]:
    return [] if state.known else _fire(rules.creation_triggers, user)


def _metric_firings(
    rules: Rules, metric: MetricRule, user: User, before: Mapping[str, Total], after: Mapping[str, Total]
) -> list[Firing]:
    by_filter = rules.triggers_of(metric.id)
    looking = [trigger for each in after for trigger in by_filter.get(each, ())]
    fired = [
        firing
        for firing in fired_by_metric(looking, before, after)
        if matches(firing.trigger.user_filter, user.attributes)
    ]
    return sorted(fired, key=lambda firing: firing.trigger.order)


def _streak_firings(rules: Rules, user: User, streak: Streak) -> list[Firing]:
    return _fire((each for each in rules.streak_triggers if streak.length % each.streak_length == 0), user)


def _achievement_firings(rules: Rules, user: User, completed: Iterable[AchievementRule]) -> list[Firing]:
    of_completed = [trigger for rule in completed for trigger in rules.achievement_triggers.get(rule.id, ())]
    return _fire(sorted(of_completed, key=lambda trigger: trigger.order), user)


def _fire(triggers: Iterable[TriggerRule], user: User) -> list[Firing]:
    return [Firing(trigger) for trigger in triggers if matches(trigger.user_filter, user.attributes)]


def _level_changes(rules: Rules, before: Mapping[str, Balance], after: Mapping[str, Balance]) -> dict[str, LevelChange]:
    changes = {}
    for system_id, ladder in rules.ladders.items():
        old, new = before.get(system_id), after.get(system_id)
        if new is not None and new is not old:
            change = change_of(ladder, old.total if old else None, new.total)
            if change:
                changes[system_id] = change
    return changes
