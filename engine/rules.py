"""All active configuration as `decide` needs it: pure, compiled so that an event looks at nothing but its own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from achievements.rules import AchievementRule, AchievementType
from boosts.rules import BoostRule
from levels.rules import Ladder
from metrics.rules import NO_FILTER, MetricRule
from points.rules import SystemRule, TriggerRule
from streaks.rules import StreakRule
from users.rules import UserAttributeKeys

TriggersByFilter = Mapping[str, tuple[TriggerRule, ...]]
"""The triggers of one metric in the order of creation, under each event filter ('' is none)."""

NO_TRIGGERS: Final[TriggersByFilter] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules at one revision. Metrics are found by key, all else by id; `key_ids` are the backends' valid keys.

    `achievements` are active or locked. `metric_achievements` are what an event of a metric can complete, by the
    metric's id; `other_achievements` what an event of any other can: those of streaks and of achievements, and those
    of metrics for which the user's attributes matter, whose totals are the `watched_totals` (metric id, filter).
    `metric_filters` are the event filters, by metric id, whose totals triggers or achievements look at.
    """

    key_ids: frozenset[str] = frozenset()
    user_attributes: UserAttributeKeys = field(default_factory=UserAttributeKeys)
    event_attributes: frozenset[str] = frozenset()
    metrics: Mapping[str, MetricRule] = field(default_factory=dict)
    systems: Mapping[str, SystemRule] = field(default_factory=dict)
    streak: StreakRule = field(default_factory=StreakRule)
    achievements: Mapping[str, AchievementRule] = field(default_factory=dict)
    achievement_ids_by_key: Mapping[str, str] = field(default_factory=dict)
    composites: tuple[AchievementRule, ...] = ()
    metric_achievements: Mapping[str, tuple[AchievementRule, ...]] = field(default_factory=dict)
    other_achievements: tuple[AchievementRule, ...] = ()
    watched_totals: tuple[tuple[str, str], ...] = ()
    metric_triggers: Mapping[str, TriggersByFilter] = field(default_factory=dict)
    metric_filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    creation_triggers: tuple[TriggerRule, ...] = ()
    streak_triggers: tuple[TriggerRule, ...] = ()
    achievement_triggers: Mapping[str, tuple[TriggerRule, ...]] = field(default_factory=dict)
    boosts: tuple[BoostRule, ...] = ()
    ladders: Mapping[str, Ladder] = field(default_factory=dict)

    def triggers_of(self, metric_id: str) -> TriggersByFilter:
        """Return the triggers that look at this metric."""
        return self.metric_triggers.get(metric_id, NO_TRIGGERS)

    def achievements_seen_by(self, metric_id: str) -> tuple[AchievementRule, ...]:
        """Return the achievements that an event of this metric can complete, in the order of creation."""
        return self.metric_achievements.get(metric_id, self.other_achievements)

    def filters_of(self, metric_id: str) -> tuple[str, ...]:
        """Return every filter whose totals matter for this metric, first the one that matches all events."""
        return self.metric_filters.get(metric_id, (NO_FILTER,))


def compile_rules(
    *,
    metrics: Iterable[MetricRule],
    systems: Iterable[SystemRule],
    triggers: Iterable[TriggerRule] = (),
    achievements: Iterable[AchievementRule] = (),
    boosts: Iterable[BoostRule] = (),
    ladders: Mapping[str, Ladder] | None = None,
    streak: StreakRule | None = None,
    key_ids: frozenset[str] = frozenset(),
    user_attributes: frozenset[str] = frozenset(),
    archived_user_attributes: frozenset[str] = frozenset(),
    event_attributes: frozenset[str] = frozenset(),
) -> Rules:
    """Return the rules of all active configuration; triggers, achievements and boosts come in the order of creation."""
    triggers, achievements = list(triggers), list(achievements)
    open_goals = [goal for goal in achievements if not goal.locked]
    watched = [goal for goal in open_goals if goal.metric_id is not None and goal.user_filter]
    return Rules(
        key_ids=key_ids,
        user_attributes=UserAttributeKeys(user_attributes, archived_user_attributes),
        event_attributes=event_attributes,
        metrics={metric.key: metric for metric in metrics},
        systems={system.id: system for system in systems},
        streak=streak or StreakRule(),
        achievements={goal.id: goal for goal in achievements},
        achievement_ids_by_key={goal.key: goal.id for goal in achievements if goal.type == AchievementType.API},
        composites=tuple(goal for goal in open_goals if goal.type == AchievementType.COMPOSITE),
        metric_achievements=_achievements_by_metric(open_goals),
        other_achievements=tuple(goal for goal in open_goals if goal.metric_id is None or goal.user_filter),
        watched_totals=tuple((goal.metric_id or "", goal.event_filter) for goal in watched),
        metric_triggers=_triggers_by_metric(triggers),
        metric_filters=_filters_by_metric([*triggers, *open_goals]),
        creation_triggers=tuple(rule for rule in triggers if rule.cause == "user_creation"),
        streak_triggers=tuple(rule for rule in triggers if rule.cause == "streak"),
        achievement_triggers=_triggers_by_achievement(triggers),
        boosts=tuple(boosts),
        ladders=ladders or {},
    )


def _triggers_by_metric(rules: Iterable[TriggerRule]) -> dict[str, TriggersByFilter]:
    grouped: dict[str, dict[str, list[TriggerRule]]] = defaultdict(lambda: defaultdict(list))
    for rule in rules:
        if rule.metric_id is not None:
            grouped[rule.metric_id][rule.event_filter].append(rule)
    return {
        metric_id: {each: tuple(its_rules) for each, its_rules in by_filter.items()}
        for metric_id, by_filter in grouped.items()
    }


def _triggers_by_achievement(rules: Iterable[TriggerRule]) -> dict[str, tuple[TriggerRule, ...]]:
    grouped: dict[str, tuple[TriggerRule, ...]] = {}
    for rule in rules:
        if rule.achievement_id is not None:
            grouped[rule.achievement_id] = (*grouped.get(rule.achievement_id, ()), rule)
    return grouped


def _achievements_by_metric(goals: list[AchievementRule]) -> dict[str, tuple[AchievementRule, ...]]:
    metric_ids = {goal.metric_id for goal in goals if goal.metric_id is not None}
    return {
        metric_id: tuple(goal for goal in goals if goal.metric_id in (None, metric_id) or goal.user_filter)
        for metric_id in metric_ids
    }


def _filters_by_metric(rules: Iterable[TriggerRule | AchievementRule]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, dict[str, None]] = defaultdict(lambda: {NO_FILTER: None})
    for rule in rules:
        if rule.metric_id is not None:
            grouped[rule.metric_id][rule.event_filter] = None
    return {metric_id: tuple(filters) for metric_id, filters in grouped.items()}
