"""Whatever operators and products do, in whatever order, the engine does what the slow and obvious model does.

Each run is the same. HUNT=10 looks ten times as far, and elsewhere each time.
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import wraps
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from achievements.models import Achievement, AchievementStatus
from achievements.models import Completion as CompletionRow
from achievements.services import (
    activate_achievement,
    create_achievement,
    lock_achievement,
    update_achievement,
)
from boosts.models import Boost, BoostStatus
from boosts.services import activate_boosts, create_boost, finish_boosts
from core.services import archive, create_checked, update_checked
from engine.clock import end_expired_streaks, mark_boosts
from engine.inputs import BackdateInput, CompleteInput, EventInput, IdentifyInput, Input
from engine.outcomes import Accepted, CompletedBefore, Outcome, Rejected, Replayed
from engine.pipeline import process
from engine.verify import CHECKS
from levels.models import Level
from levels.store import level_at, read_levels
from metrics.models import Metric, MetricTotal
from points.models import PointsAward, PointsBalance, PointsTrigger
from points.services import activate_triggers, create_trigger, deactivate_triggers
from streaks.models import StreakMetric, StreakPeriod, StreakSettings
from streaks.store import read_streaks
from tests import reference
from tests.conftest import Game, make_game
from tests.reference import Answer, World
from users.models import EndUser
from users.rules import UNSET, UserChanges

HUNT = int(os.environ.get("HUNT", "1"))
START = datetime(2026, 2, 26, 21, 40, 30, tzinfo=UTC)

USERS = ("alice", "bob", "charlie")
METRICS = ("lessons", "flashcards")
SYSTEMS = ("xp", "energy")
ZONES = (None, "Europe/London", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns")

names = st.sampled_from(USERS)
metrics = st.sampled_from(METRICS)
systems = st.sampled_from(["xp", "xp", "energy"])
zones = st.sampled_from(ZONES)
far_moves = st.sampled_from(
    ["", "", "Pacific/Kiritimati", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Pago_Pago", None]
)
"""Mostly from one end of the Earth to the other; '' is no move."""

plans = st.sampled_from([{}, {}, {"plan": "pro"}])
categories = st.sampled_from([{}, {}, {"category": "math"}])
points = st.integers(-9, 12).filter(bool)
multipliers = st.one_of(
    st.integers(1, 45_000).filter(lambda each: each != 10_000).map(lambda each: Decimal(each) / 10_000),
    st.sampled_from([Decimal("0.5"), Decimal("1.5"), Decimal("2.25")]),
)
roundings = st.sampled_from(["down", "nearest", "up"])
picks = st.integers(0, 10_000)
"""Which of a list that is not known yet: the remainder counts."""

values = st.one_of(
    st.integers(-3, 8).map(Decimal),
    st.decimals(min_value=-2, max_value=6, places=1),
    st.sampled_from([Decimal("0.000000001"), Decimal("0.333333333"), Decimal("2.999999999")]),
)
gaps = st.one_of(
    st.just(timedelta()),
    st.integers(1, 600).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(12, 30).map(lambda hours: timedelta(hours=hours)),
)
user_changes = st.fixed_dictionaries(
    {},
    optional={
        "tz": zones,
        "attributes": st.sampled_from([{"plan": "pro"}, {"plan": "free"}, {"plan": None}, {"pln": "pro"}]),
    },
)
sent_events = st.tuples(
    st.just("event"),
    names,
    st.one_of(st.just({}), st.just({}), user_changes),
    st.sampled_from([*METRICS, *METRICS, *METRICS, "steps"]),
    values,
    st.sampled_from([{}, {}, {"category": "math"}, {"category": "art"}]),
    st.sampled_from([None, None, None, "key-1", "key-2", "key-3"]),
)
sent_identities = st.tuples(st.just("identify"), names, user_changes, st.booleans())
sent_completions = st.tuples(st.just("complete"), names, picks)
sent = st.tuples(gaps, st.one_of(sent_events, sent_events, sent_events, sent_identities, sent_completions))


Act = Callable[..., None]


def operators(**given: Any) -> Callable[[Act], Act]:
    """Make a rule of what operators do, or the clock: once after each batch at most, so that products come to act."""

    def decorate(act: Act) -> Act:
        @wraps(act)
        def once(self: "Play", *args: Any, **kwargs: Any) -> None:
            self.is_changed = True
            act(self, *args, **kwargs)

        acting: Act = precondition(lambda self: not self.is_changed)(rule(**given)(once))  # type: ignore[no-untyped-call]
        return acting

    return decorate


class Play(RuleBasedStateMachine):
    """A study app, its operators and its users; the model beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.is_changed = False
        self.clock = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.game: Game = make_game()
        self.settings = create_checked(StreakSettings)
        self.world = World(
            metrics=list(METRICS),
            user_attributes=["plan"],
            event_attributes=["category"],
            maximum={"xp": None, "energy": 10},
        )
        self.metric_of: dict[str, Metric] = {"lessons": self.game.lessons, "flashcards": self.game.flashcards}
        self.system_of = {"xp": self.game.xp, "energy": self.game.energy}
        self.key_of = {str(system.id): key for key, system in self.system_of.items()}

    def teardown(self) -> None:
        try:
            self.prove()
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)
            self.clock.stop()

    # --- Operators ---------------------------------------------------------------------------------------------------
    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Begin with some of everything, so that much happens from the first event on."""
        for _ in range(3):
            self.add_metric_trigger(
                system=data.draw(systems),
                points=data.draw(points),
                metric=data.draw(metrics),
                every=data.draw(st.integers(1, 4)),
                user=data.draw(plans),
                event=data.draw(categories),
                blocks=data.draw(st.booleans()),
            )
        self.add_metric_trigger("xp", data.draw(st.integers(1, 9)), "lessons", 1, {}, {}, blocks=False)
        self.add_streak_trigger("xp", data.draw(points), data.draw(st.integers(1, 2)), data.draw(plans))
        for _ in range(2):
            self.add_boost(
                system="xp",
                begins=data.draw(st.integers(-1, 1)),
                lasts=data.draw(st.none() | st.integers(0, 3)),
                multiplier=data.draw(multipliers),
                rounding=data.draw(roundings),
                user=data.draw(plans),
                only_for=data.draw(st.none() | names),
                live=True,
            )
        self.add_metric_goal("lessons", Decimal(data.draw(st.integers(1, 9))), data.draw(plans), data.draw(categories))
        self.add_streak_goal(data.draw(st.integers(1, 3)), data.draw(plans))
        self.add_composite_goal([0, 1], data.draw(plans))
        for pick in range(3):
            self.switch_a_goal(pick)
        self.add_achievement_trigger("xp", data.draw(points), data.draw(picks), data.draw(plans))
        for pick in range(3):
            self.add_or_move_a_level("xp", data.draw(st.integers(0, 25)), 2 * pick)

    @operators(
        system=systems,
        points=points,
        metric=metrics,
        every=st.integers(1, 5),
        user=plans,
        event=categories,
        blocks=st.booleans(),
    )
    def add_metric_trigger(
        self, system: str, points: int, metric: str, every: int, user: Any, event: Any, blocks: bool
    ) -> None:
        fields = {"metric": self.metric_of[metric], "metric_threshold": every}
        blocks = blocks and points < 0
        row = self.create_trigger("metric", system, points, user, event, block_if_out_of_points=blocks, **fields)
        self.world.triggers.append(
            reference.Trigger(str(row.id), system, "metric", points, metric, every, "", user, event, blocks)
        )

    @operators(system=systems, points=points, every=st.integers(1, 3), user=plans)
    def add_streak_trigger(self, system: str, points: int, every: int, user: Any) -> None:
        row = self.create_trigger("streak", system, points, user, streak_length=every)
        self.world.triggers.append(reference.Trigger(str(row.id), system, "streak", points, every=every, of_user=user))

    @operators(system=systems, points=points, user=plans)
    def add_creation_trigger(self, system: str, points: int, user: Any) -> None:
        row = self.create_trigger("user_creation", system, points, user)
        self.world.triggers.append(reference.Trigger(str(row.id), system, "user_creation", points, of_user=user))

    @precondition(lambda self: self.world.goals)
    @operators(system=systems, points=points, pick=picks, user=plans)
    def add_achievement_trigger(self, system: str, points: int, pick: int, user: Any) -> None:
        goal = self.one_of(self.world.goals, pick)
        row = self.create_trigger("achievement", system, points, user, achievement_id=goal.id)
        self.world.triggers.append(
            reference.Trigger(str(row.id), system, "achievement", points, goal=goal.id, of_user=user)
        )

    @precondition(lambda self: self.world.triggers)
    @operators(pick=picks)
    def switch_a_trigger(self, pick: int) -> None:
        trigger = self.one_of(self.world.triggers, pick)
        found = PointsTrigger.objects.filter(id=trigger.id)
        assert (deactivate_triggers if trigger.active else activate_triggers)(triggers=found) == 1
        trigger.active = not trigger.active

    @operators(
        metric=metrics, value=st.integers(1, 60).map(lambda tenths: Decimal(tenths) / 10), user=plans, event=categories
    )
    def add_metric_goal(self, metric: str, value: Decimal, user: Any, event: Any) -> None:
        row = self.create_goal("metric", user, event, metric=self.metric_of[metric], metric_value=value)
        self.world.goals.append(
            reference.Goal(str(row.id), "metric", metric, Fraction(value), of_user=user, of_event=event)
        )

    @operators(length=st.integers(1, 4), user=plans)
    def add_streak_goal(self, length: int, user: Any) -> None:
        row = self.create_goal("streak", user, streak_length=length)
        self.world.goals.append(reference.Goal(str(row.id), "streak", streak=length, of_user=user))

    @operators(user=plans)
    def add_api_goal(self, user: Any) -> None:
        row = self.create_goal("api", user, key=f"goal-{len(self.world.goals)}")
        self.world.goals.append(reference.Goal(str(row.id), "api", of_user=user))

    @precondition(lambda self: self.world.goals)
    @operators(needed=st.lists(picks, min_size=1, max_size=3), user=plans)
    def add_composite_goal(self, needed: list[int], user: Any) -> None:
        ids = sorted({self.one_of(self.world.goals, pick).id for pick in needed})
        prerequisites = list(Achievement.objects.filter(id__in=ids))
        row = self.create_goal("achievement", user, prerequisites=prerequisites)
        self.world.goals.append(reference.Goal(str(row.id), "achievement", needs=tuple(ids), of_user=user))

    @precondition(lambda self: self.world.goals)
    @operators(pick=picks)
    def switch_a_goal(self, pick: int) -> None:
        """Inactive to active to locked and back; an activation looks back at once."""
        goal = self.one_of(self.world.goals, pick)
        row = Achievement.objects.get(id=goal.id)
        if row.status == AchievementStatus.ACTIVE:
            lock_achievement(achievement=row)
            goal.status = "locked"
            return
        activate_achievement(achievement=row)
        goal.status = "active"
        self.look_back(goal)

    @precondition(lambda self: self.world.goals)
    @operators(pick=picks, amount=st.integers(1, 6), user=plans, event=categories)
    def change_what_a_goal_asks_for(self, pick: int, amount: int, user: Any, event: Any) -> None:
        """Whatever the change, an active one is looked back for, at once."""
        goal = self.one_of(self.world.goals, pick)
        row = Achievement.objects.get(id=goal.id)
        fields: dict[str, Any] = {"user_filters": self.user_filters(user)}
        goal.of_user = user
        if goal.kind == "metric":
            fields |= {"metric_value": amount, "event_filters": self.event_filters(event)}
            goal.value, goal.of_event = Fraction(amount), event
        if goal.kind == "streak":
            fields |= {"streak_length": amount}
            goal.streak = amount
        update_achievement(achievement=row, **fields)
        if goal.status == "active":
            self.look_back(goal)

    def look_back(self, goal: reference.Goal) -> None:
        found = sorted(self.world.players)
        outcomes = process([BackdateInput(UserChanges(each), goal.id, at=self.now) for each in found]).outcomes
        self.compare(outcomes, [self.world.look_back(each, goal.id, self.now) for each in found])

    @operators(
        system=systems,
        begins=st.integers(-2, 3),
        lasts=st.none() | st.integers(0, 4),
        multiplier=multipliers,
        rounding=roundings,
        user=plans,
        only_for=st.one_of(st.none(), st.none(), names),
        live=st.booleans(),
    )
    def add_boost(
        self,
        system: str,
        begins: int,
        lasts: int | None,
        multiplier: Decimal,
        rounding: str,
        user: Any,
        only_for: str | None,
        live: bool,
    ) -> None:
        start = self.now.date() + timedelta(days=begins)
        end = None if lasts is None else start + timedelta(days=lasts)
        user = {} if only_for else user
        row = create_boost(
            system=self.system_of[system],
            name="Boost",
            start=start,
            end=end,
            multiplier=multiplier,
            rounding=rounding,
            external_id=only_for,
            user_filters=self.user_filters(user),
            status=BoostStatus.ACTIVE if live else BoostStatus.INACTIVE,
        )
        activated = self.now if live else None
        self.world.boosts.append(
            reference.Boost(str(row.id), system, start, end, Fraction(multiplier), rounding, user, only_for, activated)
        )
        self.world.boosts.sort(key=lambda each: each.only_for is not None)

    @precondition(lambda self: self.world.boosts)
    @operators(pick=picks)
    def activate_or_finish_a_boost(self, pick: int) -> None:
        boost = self.one_of(self.world.boosts, pick)
        row = Boost.objects.filter(id=boost.id)
        if boost.activated is None:
            if boost.end is None or self.now.date() <= boost.end:
                assert activate_boosts(boosts=row) == 1
                boost.activated = self.now
        elif boost.finished is None:
            assert finish_boosts(boosts=row) == 1
            boost.finished = self.now

    @operators(system=systems, points=st.integers(0, 30), pick=picks)
    def add_or_move_a_level(self, system: str, points: int, pick: int) -> None:
        """Where the points are taken, the level is archived instead."""
        mine = [each for each in self.world.levels if each.system == system]
        taken = next((each for each in mine if each.points == points), None)
        if taken:
            archive(row=Level.objects.get(id=taken.id))
            self.world.levels.remove(taken)
        elif mine and pick % 2:
            moved = self.one_of(mine, pick // 2)
            update_checked(Level.objects.get(id=moved.id), points=points)
            moved.points = points
        else:
            key = f"level-{Level.objects.count()}"
            row = create_checked(Level, system=self.system_of[system], name="Level", key=key, points=points)
            self.world.levels.append(reference.Level(str(row.id), system, points))

    @operators(
        frequency=st.sampled_from(["daily", "daily", "daily", "weekly", "monthly"]),
        all_needed=st.booleans(),
        needed=st.dictionaries(metrics, st.integers(1, 60).map(lambda tenths: Decimal(tenths) / 10), max_size=2),
    )
    def change_the_streak(self, frequency: str, all_needed: bool, needed: dict[str, Decimal]) -> None:
        mode = "AND" if all_needed else "OR"
        update_checked(self.settings, frequency=frequency, evaluation_mode=mode)
        StreakMetric.objects.all().delete()
        for metric, amount in needed.items():
            create_checked(StreakMetric, settings=self.settings, metric=self.metric_of[metric], threshold=amount)
        self.world.frequency, self.world.all_needed = frequency, all_needed
        self.world.needed = {metric: Fraction(amount) for metric, amount in needed.items()}

    @operators(system=systems, maximum=st.none() | st.integers(1, 40))
    def change_the_maximum(self, system: str, maximum: int | None) -> None:
        update_checked(self.system_of[system], max_points=maximum)
        self.world.maximum[system] = maximum

    # --- The clock ---------------------------------------------------------------------------------------------------
    @operators()
    def the_clock_ends_what_is_over(self) -> None:
        """What it ends was over already, but for one user's boost, which no later move can bring back."""
        expected = [each.name for each in self.world.players.values() if self.world.runs_out(each.name, self.now)]
        assert end_expired_streaks(self.now) == len(expected)
        mark_boosts(self.now)
        self.world.mark_boosts(self.now)
        assert {str(id_) for id_ in Boost.objects.filter(finished__isnull=False).values_list("id", flat=True)} == {
            each.id for each in self.world.boosts if each.finished is not None
        }

    # --- Products ----------------------------------------------------------------------------------------------------
    @rule(gap=gaps)
    def wait(self, gap: timedelta) -> None:
        self.pass_time(gap)

    @rule(things=st.lists(sent, min_size=1, max_size=6), cuts=st.sets(st.integers(1, 5), max_size=3))
    def send(self, things: list[Any], cuts: set[int]) -> None:
        self.send_all(things, cuts)

    @rule(things=st.lists(sent, min_size=4, max_size=12), cuts=st.sets(st.integers(1, 11), max_size=3))
    def send_many(self, things: list[Any], cuts: set[int]) -> None:
        self.send_all(things, cuts)

    @rule(
        name=names,
        steps=st.lists(st.tuples(st.integers(6, 30), st.booleans(), far_moves), min_size=4, max_size=9),
        cuts=st.sets(st.integers(1, 8), max_size=2),
    )
    def travel(self, name: str, steps: list[tuple[int, bool, str | None]], cuts: set[int]) -> None:
        """One user does something nearly every day, now here, now there."""
        things: list[Any] = []
        for hours, with_event, zone in steps:
            gap, changes = timedelta(hours=hours), {} if zone == "" else {"tz": zone}
            event: Any = ("event", name, changes, "lessons", Decimal(2), {}, None)
            things.append((gap, event if with_event else ("identify", name, changes, False)))
        self.send_all(things, cuts)

    def send_all(self, things: list[Any], cuts: Iterable[int]) -> None:
        self.is_changed = False
        inputs, answers = [], []
        for gap, thing in things:
            self.pass_time(gap)
            given, answer = getattr(self, f"_{thing[0]}")(*thing[1:])
            if given is not None:
                inputs.append(given)
                answers.append(answer)
        borders = sorted({0, len(inputs), *(cut for cut in cuts if cut < len(inputs))})
        outcomes = [outcome for a, b in pairwise(borders) for outcome in process(inputs[a:b]).outcomes]
        self.compare(outcomes, answers)

    def _event(
        self, name: str, changes: Any, metric: str, value: Decimal, tags: dict[str, str], key: str | None
    ) -> tuple[Input, Answer]:
        given = EventInput(self.changes(name, changes), metric, value, tags, key, at=self.now)
        answer = self.world.event(
            name,
            self.now,
            metric,
            Fraction(value),
            tags=tags,
            key=key,
            changes=changes.get("attributes"),
            zone=changes.get("tz", ""),
        )
        return given, answer

    def _identify(self, name: str, changes: Any, must_exist: bool) -> tuple[Input, Answer]:
        given = IdentifyInput(self.changes(name, changes), must_exist=must_exist, at=self.now)
        zone = changes.get("tz", "")
        return given, self.world.identify(name, self.now, changes.get("attributes", {}), zone, must_exist=must_exist)

    def _complete(self, name: str, pick: int) -> tuple[Input | None, Answer | None]:
        goals = [each for each in self.world.goals if each.kind == "api"]
        if not goals:
            return None, None
        goal = self.one_of(goals, pick)
        key = Achievement.objects.get(id=goal.id).key or ""
        return CompleteInput(UserChanges(name), key, at=self.now), self.world.complete(name, goal.id, self.now)

    # --- Comparing ---------------------------------------------------------------------------------------------------
    def compare(self, outcomes: list[Outcome], answers: list[Answer]) -> None:
        for outcome, answer in zip(outcomes, answers, strict=True):
            assert verdict_of(outcome) == answer.verdict, (outcome, answer)
            if isinstance(outcome, Accepted):
                self.compare_accepted(outcome, answer)
            if isinstance(outcome, Replayed):
                assert outcome.streak.length == answer.length

    def compare_accepted(self, outcome: Accepted, answer: Answer) -> None:
        lines = [
            reference.Line(
                self.key_of[each.award.system_id],
                each.award.cause,
                str(each.award.trigger_id),
                each.award.awarded,
                each.award.total,
                tuple(boost.id for boost in each.award.boosts),
            )
            for each in outcome.awards
        ]
        assert lines == answer.lines
        assert {each.achievement_id for each in outcome.completions} == answer.goals
        levels = {self.key_of[id_]: (each.before, each.after) for id_, each in outcome.levels.items()}
        assert levels == answer.levels
        if outcome.event is not None:
            assert (outcome.extended, outcome.streak.length) == (answer.extended, answer.length)

    @invariant()
    def what_is_stored_is_what_the_model_holds(self) -> None:
        players = self.world.players.values()
        assert set(EndUser.objects.values_list("external_id", "tz", "attributes__plan")) == {
            (each.name, each.zone, each.attributes.get("plan")) for each in players
        }
        assert stored_ledgers() == {
            (each.name, system): [line for line in each.ledger if line.system == system]
            for each in players
            for system in SYSTEMS
            if each.has_any(system)
        }
        assert {
            (user, system): total
            for user, system, total in PointsBalance.objects.values_list("user__external_id", "system__key", "total")
        } == {(each.name, key): each.total(key) for each in players for key in SYSTEMS if each.has_any(key)}
        assert {
            (name, str(id_)) for name, id_ in CompletionRow.objects.values_list("user__external_id", "achievement_id")
        } == {(each.name, goal) for each in players for goal in each.goals}
        assert {
            (name, metric): Fraction(total)
            for name, metric, total in MetricTotal.objects.filter(filter="").values_list(
                "user__external_id", "metric__key", "total"
            )
            if total
        } == {
            (each.name, metric): total
            for each in players
            for metric in METRICS
            if (total := reference.sum_of(each.events, metric, {}))
        }

    @invariant()
    def streaks_are_what_the_model_holds(self) -> None:
        streaks = read_streaks(list(EndUser.objects.all()), self.now)
        for player in self.world.players.values():
            streak, length = streaks.get(player.name), self.world.length_now(player.name, self.now)
            assert (streak.length if streak else 0) == length
            if streak and length:
                expected = (player.frequency, player.started, player.last)
                assert (streak.frequency, streak.started, streak.period) == expected
        periods = StreakPeriod.objects.values_list("user__external_id", "frequency", "period", "length")
        assert {(name, frequency, period): length for name, frequency, period, length in periods} == {
            (each.name, frequency, period): length
            for each in self.world.players.values()
            for (frequency, period), length in each.history.items()
        }

    @invariant()
    def levels_are_what_the_model_holds(self) -> None:
        for key, system in self.system_of.items():
            levels = read_levels(system)
            for player in self.world.players.values():
                level = level_at(levels, player.total(key))
                assert (str(level.id) if level else None) == self.world.level(key, player.total(key))

    def prove(self) -> None:
        with connection.cursor() as cursor:
            for check in CHECKS:
                cursor.execute(check.sql)
                assert cursor.fetchall() == [], check.claim

    # --- Shortcuts ---------------------------------------------------------------------------------------------------
    def pass_time(self, gap: timedelta) -> None:
        self.now += gap
        self.traveller.move_to(self.now, tick=False)

    def one_of(self, items: list[Any], pick: int) -> Any:
        return items[pick % len(items)]

    def changes(self, name: str, changes: dict[str, Any]) -> UserChanges:
        return UserChanges(name, tz=changes.get("tz", UNSET), attributes=changes.get("attributes", UNSET))

    def user_filters(self, wanted: dict[str, str]) -> list[Any]:
        return [(self.game.plan, value) for value in wanted.values()]

    def event_filters(self, wanted: dict[str, str]) -> list[Any]:
        return [(self.game.category, value) for value in wanted.values()]

    def create_trigger(
        self,
        type_: str,
        system: str,
        points: int,
        user: dict[str, str],
        event: dict[str, str] | None = None,
        **fields: Any,
    ) -> PointsTrigger:
        return create_trigger(
            system=self.system_of[system],
            type=type_,
            points=points,
            status="active",
            user_filters=self.user_filters(user),
            event_filters=self.event_filters(event or {}),
            **fields,
        )

    def create_goal(
        self, type_: str, user: dict[str, str], event: dict[str, str] | None = None, **fields: Any
    ) -> Achievement:
        return create_achievement(
            name="Goal",
            type=type_,
            user_filters=self.user_filters(user),
            event_filters=self.event_filters(event or {}),
            **fields,
        )


def verdict_of(outcome: Outcome) -> str:
    """Return the model's word for what became of an input."""
    words = {Accepted: "accepted", Replayed: "replayed", CompletedBefore: "repeated", Rejected: "rejected"}
    return words[type(outcome)]


def stored_ledgers() -> dict[tuple[str, str], list[reference.Line]]:
    """Return every line of every ledger as the model writes them, by user and system."""
    ledgers: dict[tuple[str, str], list[reference.Line]] = {}
    for award in PointsAward.objects.select_related("user", "system").order_by("seq"):
        line = reference.Line(
            award.system.key,
            award.cause,
            str(award.trigger_id),
            award.awarded,
            award.total,
            tuple(each["id"] for each in award.boosts),
        )
        ledger = ledgers.setdefault((award.user.external_id, award.system.key), [])
        ledger.append(line)
        assert award.seq == len(ledger)
    return ledgers


@pytest.mark.django_db
def test_whatever_happens_the_engine_does_what_the_model_does() -> None:
    run_state_machine_as_test(
        Play,
        settings=settings(
            max_examples=12 * HUNT,
            stateful_step_count=25,
            derandomize=HUNT == 1,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
