"""The rule book: all active configuration, compiled, immutable, cached in each process."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

from access.keys import KeyRule
from access.store import load_keys
from metrics.rules import NO_FILTER, MetricRule
from metrics.store import load_metrics
from points.models import TriggerType
from points.render import SystemJson, TriggerJson, render_system, render_trigger
from points.rules import SystemRule, TriggerRule
from points.store import load_systems, load_triggers, system_rule, trigger_rules
from users.models import AttributeType
from users.store import load_attribute_keys

REVISION = "SELECT coalesce((SELECT revision FROM core_configurationrevision), 0)"


@dataclass(frozen=True, slots=True)
class MetricTriggers:
    """The triggers of one metric: `by_filter` in the order of creation under each event filter ('' is none)."""

    by_filter: Mapping[str, tuple[TriggerRule, ...]]

    @property
    def filters(self) -> tuple[str, ...]:
        """Every filter whose totals these triggers look at, and always the one that matches all events."""
        return (NO_FILTER, *(each for each in self.by_filter if each != NO_FILTER))


NO_TRIGGERS = MetricTriggers({})


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The configuration at one revision. Metrics and keys are found by what the wire calls them, the rest by id."""

    revision: int
    keys: Mapping[str, KeyRule]
    key_ids: frozenset[str]
    user_attributes: frozenset[str]
    event_attributes: frozenset[str]
    metrics: Mapping[str, MetricRule]
    systems: Mapping[str, SystemRule]
    metric_triggers: Mapping[str, MetricTriggers]
    creation_triggers: tuple[TriggerRule, ...]
    system_json: Mapping[str, SystemJson]
    trigger_json: Mapping[str, TriggerJson]

    def triggers_of(self, metric: MetricRule) -> MetricTriggers:
        """Return the triggers that look at this metric."""
        return self.metric_triggers.get(metric.id, NO_TRIGGERS)


_cached: RuleBook | None = None


def cached_rule_book() -> RuleBook:
    """Return this process's rule book as it is, however old; read it first where there is none yet."""
    return _cached or current_rule_book()


def current_rule_book() -> RuleBook:
    """Return the rule book of the newest revision that this connection sees: one statement unless it changed."""
    with connection.cursor() as cursor:
        cursor.execute(REVISION)
        return rule_book_at(cursor.fetchone()[0])


def rule_book_at(revision: int) -> RuleBook:
    """Return the rule book of `revision`, just read from the database, or a newer one."""
    global _cached
    book = _cached
    if book is None or book.revision != revision:
        book = _cached = _read_rule_book(revision)
    return book


def _read_rule_book(revision: int) -> RuleBook:
    """Read until the revision is the same before and after: then no change came between the statements."""
    while True:
        book = _compile(revision)
        with connection.cursor() as cursor:
            cursor.execute(REVISION)
            after = cursor.fetchone()[0]
        if after == revision:
            return book
        revision = after


def _compile(revision: int) -> RuleBook:
    attributes = load_attribute_keys()
    systems, triggers = load_systems(), load_triggers()
    rules, keys = trigger_rules(triggers), load_keys()
    return RuleBook(
        revision=revision,
        keys=keys,
        key_ids=frozenset(key.id for key in keys.values()),
        user_attributes=attributes[AttributeType.USER],
        event_attributes=attributes[AttributeType.EVENT],
        metrics=load_metrics(),
        systems={str(system.id): system_rule(system) for system in systems},
        metric_triggers=_by_metric(rules),
        creation_triggers=tuple(rule for rule in rules if rule.cause == TriggerType.USER_CREATION),
        system_json={str(system.id): render_system(system) for system in systems},
        trigger_json={str(trigger.id): render_trigger(trigger) for trigger in triggers},
    )


def _by_metric(rules: Iterable[TriggerRule]) -> dict[str, MetricTriggers]:
    grouped: dict[str, dict[str, list[TriggerRule]]] = defaultdict(lambda: defaultdict(list))
    for rule in rules:
        if rule.metric_id is not None:
            grouped[rule.metric_id][rule.event_filter].append(rule)
    return {
        metric_id: MetricTriggers({each: tuple(its_rules) for each, its_rules in by_filter.items()})
        for metric_id, by_filter in grouped.items()
    }
