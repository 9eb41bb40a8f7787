"""Drafts: a points system's rules with changes that are not live, compiled as the live ones are."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from achievements.models import Achievement
from achievements.store import achievement_rules, load_achievements
from boosts.models import Boost, BoostStatus
from boosts.rules import BoostRule
from boosts.store import boost_rules
from core.models import ConfigurationStatus
from engine.rules import Rules, compile_rules
from levels.models import Level
from levels.rules import Ladder, ladder_of
from levels.store import read_levels
from metrics.models import Metric
from metrics.rules import MetricRule
from points.models import PointsSystem, PointsTrigger, TimeUnit, TriggerStatus, TriggerType
from points.rules import SystemRule, TriggerRule
from points.store import system_rule, trigger_rules
from preview.rules import DRAFT, LIVE, TimeTrigger, Trial, as_given
from streaks.rules import StreakRule
from streaks.store import load_rule
from users.models import Attribute, AttributeType

OFF: Final = "off"
ON_ITS_DAYS: Final = "days"
EVERY_DAY: Final = "always"
BOOST_CHOICES: Final = {OFF: "Off", ON_ITS_DAYS: "On its days", EVERY_DAY: "On every day"}
"""Whether a boost takes part in a draft."""

EVERY_FIELDS: Final[dict[str, str]] = {
    TriggerType.METRIC: "metric_threshold",
    TriggerType.STREAK: "streak_length",
    TriggerType.TIME: "time_interval",
}
"""Where triggers of a type have the number of which each multiple fires, or the interval."""

LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class TriggerDraft(Struct, frozen=True):
    """A trigger as it is tried; `every` is the metric's threshold, the streak's length, or the units of an interval."""

    is_active: bool
    points: int
    every: int | None = None


class BoostDraft(Struct, frozen=True):
    """A boost as it is tried: `takes_part` is one of BOOST_CHOICES."""

    takes_part: str
    multiplier: Decimal


class Draft(Struct, frozen=True):
    """All that is tried, by the ids of triggers, boosts and levels; a level of None is left out."""

    triggers: dict[str, TriggerDraft] = field(default_factory=dict)
    boosts: dict[str, BoostDraft] = field(default_factory=dict)
    levels: dict[str, int | None] = field(default_factory=dict)
    max_points: int | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A points system and everything that its rules are made of, as configured now, in the order of creation.

    Triggers and boosts are those that are active or inactive; boosts of one user take no part. `past_metrics` and the
    attributes have what is archived along, since old events do; those metrics stand under their ids, since the key of
    an archived one may be another's by now.
    """

    system: PointsSystem
    triggers: list[PointsTrigger]
    boosts: list[Boost]
    levels: list[Level]
    achievements: list[Achievement]
    metrics: list[MetricRule]
    past_metrics: list[MetricRule]
    streak: StreakRule
    user_attributes: frozenset[str]
    event_attributes: frozenset[str]

    @property
    def used_metrics(self) -> list[MetricRule]:
        """The metrics that triggers of the system look at, or achievements that they wait for."""
        waited_for = {trigger.achievement_id for trigger in self.triggers}
        ids = {str(trigger.metric_id) for trigger in self.triggers}
        ids |= {str(each.metric_id) for each in self.achievements if each.id in waited_for}
        return [metric for metric in self.metrics if metric.id in ids]

    @property
    def used_achievements(self) -> list[Achievement]:
        """The achievements that triggers of the system wait for."""
        ids = {trigger.achievement_id for trigger in self.triggers}
        return [each for each in self.achievements if each.id in ids]

    def filter_values(self, *, of_event: bool) -> dict[str, list[str]]:
        """Return the attributes that triggers and boosts filter by, with the values that they ask for."""
        values: dict[str, dict[str, None]] = {}
        parts: list[Any] = [*self.triggers, *([] if of_event else self.boosts)]
        for part in parts:
            for each in part.filters.all():
                if (each.attribute.type == AttributeType.EVENT) == of_event:
                    values.setdefault(each.attribute.key, {})[each.value] = None
        return {key: list(its) for key, its in values.items()}


def read_parts(system: PointsSystem) -> Parts:
    """Read everything that a points system's rules are made of: a number of queries that depends on nothing."""
    triggers = PointsTrigger.objects.filter(system=system, status__in=(TriggerStatus.ACTIVE, TriggerStatus.INACTIVE))
    boosts = Boost.objects.filter(
        system=system, external_id=None, status__in=(BoostStatus.ACTIVE, BoostStatus.INACTIVE)
    )
    metrics, attributes = list(Metric.objects.all()), list(Attribute.objects.values_list("type", "key"))
    return Parts(
        system=system,
        triggers=list(
            triggers.select_related("metric", "achievement", "system").prefetch_related("filters__attribute")
        ),
        boosts=list(boosts.prefetch_related("filters__attribute")),
        levels=read_levels(system),
        achievements=load_achievements(),
        metrics=[
            MetricRule(str(each.id), each.key, each.name)
            for each in metrics
            if each.status == ConfigurationStatus.ACTIVE
        ],
        past_metrics=[MetricRule(str(each.id), str(each.id), each.name) for each in metrics],
        streak=load_rule(),
        user_attributes=frozenset(key for type_, key in attributes if type_ == AttributeType.USER),
        event_attributes=frozenset(key for type_, key in attributes if type_ == AttributeType.EVENT),
    )


def every_of(trigger: PointsTrigger) -> int | None:
    """Return the number of which each multiple fires, or the interval; None where there is no such number."""
    field_name = EVERY_FIELDS.get(trigger.type)
    return None if field_name is None else getattr(trigger, field_name)


def live_draft(parts: Parts) -> Draft:
    """Return the draft that changes nothing."""
    return Draft(
        triggers={
            str(each.id): TriggerDraft(each.status == TriggerStatus.ACTIVE, each.points, every_of(each))
            for each in parts.triggers
        },
        boosts={
            str(each.id): BoostDraft(ON_ITS_DAYS if each.status == BoostStatus.ACTIVE else OFF, each.multiplier)
            for each in parts.boosts
        },
        levels={str(each.id): each.points for each in parts.levels},
        max_points=parts.system.max_points,
    )


def differences(parts: Parts, draft: Draft) -> list[str]:
    """Return in words how the draft differs from the live rules."""
    live, words = live_draft(parts), list[str]()
    if draft.max_points != live.max_points:
        words.append(f"Maximum: {_number(live.max_points, 'none')} → {_number(draft.max_points, 'none')}")
    for trigger in parts.triggers:
        old, new = live.triggers[str(trigger.id)], draft.triggers.get(str(trigger.id))
        if new is not None and new != old and (old.is_active or new.is_active):
            words.append(f"{trigger}: {_trigger_change(old, new)}")
    for boost in parts.boosts:
        was, will = live.boosts[str(boost.id)], draft.boosts.get(str(boost.id))
        if will is not None and will != was:
            name = f"{BOOST_CHOICES[was.takes_part].lower()} → {BOOST_CHOICES[will.takes_part].lower()}"
            words.append(f"{boost}: {name}, times {will.multiplier.normalize():f}")
    for level in parts.levels:
        points = draft.levels.get(str(level.id), level.points)
        if points != level.points:
            words.append(f"{level}: {level.points:,} → {_number(points, 'left out')}")
    return words


def _trigger_change(old: TriggerDraft, new: TriggerDraft) -> str:
    changes = []
    if old.is_active != new.is_active:
        changes.append("counts" if new.is_active else "does not count")
    if old.points != new.points:
        changes.append(f"{old.points:+,} → {new.points:+,} points")
    if old.every != new.every:
        changes.append(f"every {_number(old.every, '-')} → {_number(new.every, '-')}")
    return ", ".join(changes)


def _number(number: int | None, nothing: str) -> str:
    return nothing if number is None else f"{number:,}"


@dataclass(frozen=True, slots=True)
class _Side:
    """A points system as a draft has it, under the id of `system`."""

    system: SystemRule
    triggers: list[TriggerRule]
    time_triggers: tuple[TimeTrigger, ...]
    boosts: list[BoostRule]
    ladder: Ladder


def trial_of(parts: Parts, draft: Draft) -> Trial:
    """Compile a draft, to be played from now on."""
    return _compiled(parts, [_side_of(parts, draft, system_rule(parts.system))], of_past=False)


def trials_of_past(parts: Parts, live: Draft, draft: Draft) -> list[Trial]:
    """Compile both to be played over what really happened: as the systems LIVE and DRAFT of one trial.

    Where a trigger may refuse an event, which then counts on one side alone, there is a trial for each. In them no
    achievement is completed but by a CompletedInput, and metrics, archived ones too, are found by their ids.
    """
    sides = [
        _side_of(parts, each, replace(system_rule(parts.system), id=id_, key=id_))
        for id_, each in ((LIVE, live), (DRAFT, draft))
    ]
    if any(rule.block_if_out_of_points for side in sides for rule in side.triggers):
        return [_compiled(parts, [side], of_past=True) for side in sides]
    return [_compiled(parts, sides, of_past=True)]


def _side_of(parts: Parts, draft: Draft, system: SystemRule) -> _Side:
    triggers = _drafted_triggers(parts, draft)
    rules = [replace(rule, system_id=system.id) for rule in trigger_rules(triggers)]
    return _Side(
        system=replace(system, max_points=draft.max_points),
        triggers=rules,
        time_triggers=_time_triggers(triggers, {rule.id: rule for rule in rules}),
        boosts=[replace(boost, system_id=system.id) for boost in _drafted_boosts(parts, draft)],
        ladder=ladder_of(_drafted_levels(parts, draft)),
    )


def _compiled(parts: Parts, sides: Sequence[_Side], *, of_past: bool) -> Trial:
    achievements = achievement_rules(parts.achievements)
    rules = compile_rules(
        metrics=parts.past_metrics if of_past else parts.metrics,
        systems=[side.system for side in sides],
        triggers=[rule for side in sides for rule in side.triggers],
        achievements=[as_given(each) for each in achievements] if of_past else achievements,
        boosts=[boost for side in sides for boost in side.boosts],
        ladders={side.system.id: side.ladder for side in sides},
        streak=parts.streak,
        user_attributes=parts.user_attributes,
        event_attributes=parts.event_attributes,
    )
    time_triggers = tuple(each for side in sides for each in side.time_triggers)
    return Trial(rules, tuple(side.system.id for side in sides), time_triggers)


def _drafted_triggers(parts: Parts, draft: Draft) -> list[PointsTrigger]:
    """Return the triggers that count, as models that nobody saves."""
    live = live_draft(parts).triggers
    counted = []
    for trigger in parts.triggers:
        tried = draft.triggers.get(str(trigger.id), live[str(trigger.id)])
        if tried.is_active:
            counted.append(_drafted_trigger(trigger, tried))
    return counted


def _drafted_trigger(trigger: PointsTrigger, tried: TriggerDraft) -> PointsTrigger:
    if (tried.points, tried.every) == (trigger.points, every_of(trigger)):
        return trigger
    changed = copy(trigger)
    changed.points = tried.points
    if trigger.type in EVERY_FIELDS:
        setattr(changed, EVERY_FIELDS[trigger.type], tried.every)
    return changed


def _time_triggers(triggers: list[PointsTrigger], rules: dict[str, TriggerRule]) -> tuple[TimeTrigger, ...]:
    unit = {TimeUnit.HOUR: timedelta(hours=1), TimeUnit.DAY: timedelta(days=1)}
    return tuple(
        TimeTrigger(rules[str(each.id)], unit[TimeUnit(each.time_unit)] * (each.time_interval or 1))
        for each in triggers
        if each.type == TriggerType.TIME and each.time_unit
    )


def _drafted_boosts(parts: Parts, draft: Draft) -> list[BoostRule]:
    live = live_draft(parts).boosts
    counted = []
    for rule, boost in zip(boost_rules(parts.boosts), parts.boosts, strict=True):
        tried = draft.boosts.get(str(boost.id), live[str(boost.id)])
        if tried.takes_part == OFF:
            continue
        applied = replace(rule.applied, multiplier=tried.multiplier)
        if tried.takes_part == EVERY_DAY:
            applied = replace(applied, start=date.min, end=None)
        if tried.takes_part == EVERY_DAY or boost.status == BoostStatus.INACTIVE:
            # One that never was activated counts as if it had been in time.
            rule = replace(rule, activated=LONG_AGO, finished=None)
        counted.append(replace(rule, applied=applied))
    return counted


def _drafted_levels(parts: Parts, draft: Draft) -> list[tuple[int, str]]:
    points = {str(level.id): draft.levels.get(str(level.id), level.points) for level in parts.levels}
    return [(threshold, id_) for id_, threshold in points.items() if threshold is not None]


def encode_draft(draft: Draft) -> Any:
    """Return a draft as a JSON column keeps it."""
    return msgspec.to_builtins(draft)


def decode_draft(stored: Any) -> Draft:
    """Return the draft that a JSON column keeps."""
    return msgspec.convert(stored, Draft)


def metrics_that_matter(trials: Iterable[Trial]) -> list[MetricRule]:
    """Return the metrics whose events can move points by any of the rules: all of them where streaks are paid."""
    rules: list[Rules] = [trial.rules for trial in trials]
    pays_streaks = any(each.streak_triggers for each in rules)
    return [
        metric
        for metric in rules[0].metrics.values()
        if pays_streaks or any(metric.id in each.metric_triggers for each in rules)
    ]
