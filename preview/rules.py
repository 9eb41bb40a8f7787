"""Playing rules that are not live, for a made-up user or over what real users did: pure, and decided by `decide`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct, structs

from achievements.rules import AchievementRule, AchievementType
from boosts.rules import BoostRule, applies, boosts_of
from core.refusal import RefusalReason
from engine.decide import UserState, decide
from engine.inputs import CompletedInput, CompleteInput, EventInput, IdentifyInput, Input
from engine.outcomes import Accepted, AwardRecord, Rejected
from engine.rules import Rules
from levels.rules import level_for
from metrics.rules import MetricRule, Total
from points.rules import Balance, Firing, TriggerRule, pay
from streaks.rules import Frequency, StreakRule, next_period
from users.rules import UserChanges, local_date, matches, new_user

DAYS_A_WEEK: Final = 7
_STREAK_METRIC: Final = MetricRule(id="preview-streak", key="preview-streak", name="Streak")


@dataclass(frozen=True, slots=True)
class TimeTrigger:
    """A time trigger, which `Rules` does not have: ticks pay it, not inputs."""

    rule: TriggerRule
    interval: timedelta


LIVE: Final = "live"
DRAFT: Final = "draft"
"""The ids under which a points system stands in a trial of the past: by the live rules, and by a draft of them."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The rules of one points system that are tried, its time triggers along.

    It stands in them once, or, to be compared with itself, as two systems: then one decision on an input tells what
    both pay. What is counted for a user, such as totals and the streak, is the same for both.
    """

    rules: Rules
    system_ids: tuple[str, ...]
    time_triggers: tuple[TimeTrigger, ...] = ()

    @property
    def system_id(self) -> str:
        """The id of the one system that there is."""
        (only,) = self.system_ids
        return only


class Tick(Struct, frozen=True, gc=False):
    """An instant at which a time trigger pays whoever was created before."""

    trigger: TriggerRule
    at: datetime


Move = Input | CompletedInput | Tick


class Step(Struct, frozen=True, gc=False):
    """What a move did: the state after it, what it awarded, and whether it was refused for want of points."""

    state: UserState
    awards: tuple[AwardRecord, ...] = ()
    is_refused: bool = False


NO_ID: Final = ""


def _no_id() -> str:
    """Return an id for what is stored nowhere."""
    return NO_ID


def step(trial: Trial, state: UserState, move: Move, at: datetime) -> Step:
    """Return what a move at `at` does to a user by the rules that are tried."""
    if isinstance(move, Tick):
        return _pay_tick(trial, state, move)
    after, outcome = decide(trial.rules, state, move, at, _no_id)
    if isinstance(outcome, Accepted):
        return Step(after, outcome.awards)
    # Not what moves nothing, such as an adjustment that takes from nobody's zero: no event is refused by that.
    return Step(after, is_refused=isinstance(outcome, Rejected) and outcome.reason == RefusalReason.OUT_OF_POINTS)


def _pay_tick(trial: Trial, state: UserState, tick: Tick) -> Step:
    """Pay one user as a tick does: `engine.tick` does the same in SQL, for many."""
    user, trigger = state.user, tick.trigger
    if not state.known or user.created >= tick.at or not matches(trigger.user_filter, user.attributes):
        return Step(state)
    boosts = boosts_of((*trial.rules.boosts, *state.boosts), user, tick.at)
    balances, awards = pay([Firing(trigger)], state.balances, trial.rules.systems, boosts)
    records = tuple(AwardRecord(NO_ID, award, None, tick.at) for award in awards)
    return Step(structs.replace(state, balances=balances), records)


def as_given(achievement: AchievementRule) -> AchievementRule:
    """Return the achievement as one that is completed by nothing but a word: a CompleteInput with its id as the key."""
    return replace(
        achievement, type=AchievementType.API, key=achievement.id, locked=False, user_filter=(), metric_id=None
    )


def made_up(external_id: str, at: datetime, rules: Rules) -> UserState:
    """Return the state of a user who is not known yet and did nothing that the rules look at."""
    return UserState(new_user(NO_ID, external_id, at), known=False, totals=nothing_yet(rules))


def nothing_yet(rules: Rules) -> dict[str, dict[str, Total]]:
    """Return the totals of a user without events, of everything that the rules look at."""
    return {metric.id: {each: Total() for each in rules.filters_of(metric.id)} for metric in rules.metrics.values()}


# --- The calculator --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Doings:
    """What a made-up user does: `amounts` of metrics by their keys, a streak of so many periods, achievements by id."""

    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    streak: int = 0
    achievements: frozenset[str] = frozenset()
    user_attributes: Mapping[str, str] = field(default_factory=dict)
    event_attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """What one trigger paid in all, in how many awards, and which boosts multiplied them, by name."""

    trigger_id: str
    awards: int
    points: int
    boosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calculation:
    """What doings pay: by trigger, in all, and the level that is reached (by id); `refusals` are in words."""

    lines: tuple[Line, ...]
    total: int
    level_id: str | None
    refusals: tuple[str, ...]


def calculate(trial: Trial, doings: Doings, at: datetime) -> Calculation:
    """Return what a new user gets who does all of that at `at`, each amount as one event, with the boosts of then.

    What the amounts and the streak complete is completed; of the other achievements those that are given.
    """
    rules = replace(
        trial.rules,
        metrics={**trial.rules.metrics, _STREAK_METRIC.key: _STREAK_METRIC},
        # So that nothing but the streak's own events makes a streak.
        streak=StreakRule(trial.rules.streak.frequency, thresholds={_STREAK_METRIC.id: Decimal(1)}),
        boosts=tuple(_at_any_time(boost) for boost in trial.rules.boosts if _counts_on_day(boost, at)),
        **_given(trial.rules, doings.achievements),  # type: ignore[arg-type]
    )
    state, records, refusals = made_up("preview", at, rules), list[AwardRecord](), list[str]()
    for move, moment in _moves_of(rules, doings, at):
        state, outcome = decide(rules, state, move, moment, _no_id)
        if isinstance(outcome, Accepted):
            records += outcome.awards
        elif isinstance(outcome, Rejected):
            refusals.append(outcome.message)
    total = (state.balances.get(trial.system_id) or Balance()).total
    ladder = trial.rules.ladders.get(trial.system_id)
    return Calculation(_lines(records), total, level_for(ladder, total) if ladder else None, tuple(refusals))


def _moves_of(rules: Rules, doings: Doings, at: datetime) -> Iterator[tuple[Input, datetime]]:
    changes = UserChanges("preview")
    yield IdentifyInput(UserChanges("preview", attributes=doings.user_attributes)), at
    for key, amount in doings.amounts.items():
        if amount:
            yield EventInput(changes, key, amount, doings.event_attributes), at
    for achievement_id in rules.achievements:
        if achievement_id in doings.achievements:
            yield CompleteInput(changes, achievement_id), at
    day = at
    for _ in range(doings.streak):
        yield EventInput(changes, _STREAK_METRIC.key, Decimal(1)), day
        day = _next_start(day, rules.streak.frequency)


def _next_start(at: datetime, frequency: Frequency) -> datetime:
    day = next_period(local_date(at, None), frequency)
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def _given(rules: Rules, ids: frozenset[str]) -> dict[str, object]:
    """Return the parts of the rules that change where these achievements are completed by a word."""
    goals = {id_: as_given(goal) if id_ in ids else goal for id_, goal in rules.achievements.items()}
    return {
        "achievements": goals,
        "achievement_ids_by_key": {goal.key: id_ for id_, goal in goals.items() if id_ in ids},
        "composites": tuple(goal for goal in rules.composites if goal.id not in ids),
        "metric_achievements": {
            metric: tuple(goal for goal in its if goal.id not in ids)
            for metric, its in rules.metric_achievements.items()
        },
        "other_achievements": tuple(goal for goal in rules.other_achievements if goal.id not in ids),
    }


def _counts_on_day(boost: BoostRule, at: datetime) -> bool:
    return applies(replace(boost, user_filter=()), local_date(at, None), {}, at)


def _at_any_time(boost: BoostRule) -> BoostRule:
    """Return the boost without days: it goes on while a streak of a hundred days is played."""
    return replace(boost, applied=replace(boost.applied, end=None), finished=None)


def _lines(records: Iterable[AwardRecord]) -> tuple[Line, ...]:
    awards, points, boosts = Counter[str](), Counter[str](), dict[str, dict[str, None]]()
    for record in records:
        id_ = record.award.trigger_id or NO_ID
        awards[id_] += 1
        points[id_] += record.award.awarded
        boosts.setdefault(id_, {}).update({boost.name: None for boost in record.award.boosts})
    return tuple(Line(id_, count, points[id_], tuple(boosts[id_])) for id_, count in awards.items())


# --- The projection --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Archetype:
    """A kind of user: on how many days a week they do which amounts of metrics, by key."""

    name: str
    days_a_week: int
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Projection:
    """How an archetype gets on: the total at the end of each day, and on which day, from 1, each level is reached."""

    name: str
    totals: tuple[int, ...]
    level_days: Mapping[str, int]


def is_active_day(number: int, days_a_week: int) -> bool:
    """Tell whether something is done on the day with this number, from 0: as evenly as the week allows."""
    return (number + 1) * days_a_week // DAYS_A_WEEK > number * days_a_week // DAYS_A_WEEK


def project(trial: Trial, archetype: Archetype, start: datetime, days: int) -> Projection:
    """Play an archetype from `start`, a midnight in UTC, when they become known; each amount is one event at noon."""
    state = made_up(archetype.name, start, trial.rules)
    ladder = trial.rules.ladders.get(trial.system_id)
    totals, level_days, highest = list[int](), dict[str, int](), 0
    for number in range(days):
        for move, at in _moves_of_day(trial, archetype, start, number):
            done = step(trial, state, move, at)
            state = done.state
            # A level is also reached where the points for it are spent by the evening.
            highest = max(highest, *(record.award.total for record in done.awards), 0)
        totals.append((state.balances.get(trial.system_id) or Balance()).total)
        for threshold, level_id in zip(ladder.thresholds, ladder.ids, strict=True) if ladder else ():
            if threshold <= highest:
                level_days.setdefault(level_id, number + 1)
    return Projection(archetype.name, tuple(totals), level_days)


def _moves_of_day(trial: Trial, archetype: Archetype, start: datetime, number: int) -> Sequence[tuple[Move, datetime]]:
    day, changes = start + timedelta(days=number), UserChanges(archetype.name)
    moves: list[tuple[Move, datetime]] = [(IdentifyInput(changes), start)] if number == 0 else []
    if is_active_day(number, archetype.days_a_week):
        noon = day + timedelta(hours=12)
        moves += [(EventInput(changes, key, amount), noon) for key, amount in archetype.amounts.items() if amount]
    for trigger in trial.time_triggers:
        moves += [(Tick(trigger.rule, at), at) for at in dues(trigger.interval, start, day, day + timedelta(days=1))]
    return sorted(moves, key=lambda move: move[1])


def dues(interval: timedelta, counted_from: datetime, first: datetime, until: datetime) -> list[datetime]:
    """Return when a time trigger is due from `first` until before `until`, counted from an instant, itself left out."""
    number = max(1, -((counted_from - first) // interval))
    due, found = counted_from + number * interval, list[datetime]()
    while due < until:
        if due >= first:
            found.append(due)
        due += interval
    return found


# --- The backtest ----------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Played:
    """What rules did to one user over a stretch of time: the total at its end, what moved in all, and by trigger."""

    total: int = 0
    moved: int = 0
    by_trigger: Counter[str] = field(default_factory=Counter)
    refused: int = 0


def replay(trial: Trial, state: UserState, moves: Iterable[tuple[Move, datetime]]) -> dict[str, Played]:
    """Play what one user did, in the order of time, from the state that they were in; return by system what that did.

    Adjustments are counted under NO_ID, what triggers paid under their ids.
    """
    played = {system_id: Played() for system_id in trial.system_ids}
    for move, at in moves:
        done = step(trial, state, move, at)
        state = done.state
        if done.is_refused:
            for each in played.values():
                each.refused += 1
        for record in done.awards:
            award = record.award
            of_system = played[award.system_id]
            of_system.moved += award.awarded
            of_system.by_trigger[award.trigger_id or NO_ID] += award.awarded
    for system_id, each in played.items():
        each.total = (state.balances.get(system_id) or Balance()).total
    return played
