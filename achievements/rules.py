"""Which achievements are completed: pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from msgspec import Struct

from metrics.rules import Total, filter_items
from users.rules import matches


class AchievementType(StrEnum):
    """What completes an achievement. The contract's words: `achievement` is the composite of others."""

    METRIC = "metric"
    STREAK = "streak"
    API = "api"
    COMPOSITE = "achievement"


@dataclass(frozen=True, slots=True)
class AchievementRule:
    """An achievement that is active or locked, as the rule book knows it. `order` is its place by creation, then id."""

    id: str
    type: AchievementType
    order: int
    key: str = ""
    name: str = ""
    locked: bool = False
    user_filter: tuple[tuple[str, str], ...] = ()
    metric_id: str | None = None
    metric_value: Decimal = Decimal(0)
    event_filter: str = ""
    streak_length: int = 0
    prerequisites: tuple[str, ...] = ()


def digest_terms(rule: AchievementRule) -> str:
    """Return a digest of what the achievement asks for, the same in whatever order its parts are."""
    filters = (sorted(rule.user_filter), rule.event_filter)
    asked = (rule.metric_id, rule.metric_value, rule.streak_length, sorted(rule.prerequisites))
    return sha256(repr((rule.type.value, *filters, *asked)).encode()).hexdigest()


class Completion(Struct, frozen=True, gc=False):
    """That a user completed an achievement, and when."""

    id: str
    achievement_id: str
    at: datetime


class Circumstances(Struct, frozen=True, gc=False):
    """What an achievement looks at: totals by metric id and event filter, the streak, the user's attributes.

    `event_attributes` are the event's; None is no event at all, where any filter will do.
    """

    totals: Mapping[str, Mapping[str, Total]]
    streak_length: int
    user_attributes: Mapping[str, str]
    event_attributes: Mapping[str, str] | None = None


def completed_by(
    achievements: Iterable[AchievementRule], done: Collection[str], circumstances: Circumstances
) -> list[AchievementRule]:
    """Return those of `achievements` that complete now, in the order in which they do, given the ids of those `done`.

    `achievements` come in the order of creation. To a fixed point: one that is completed may be the last that another
    one waited for. None completes twice.
    """
    reached = set(done)
    completed: list[AchievementRule] = []
    waiting = [each for each in achievements if each.id not in reached]
    while True:
        now = [each for each in waiting if is_reached(each, reached, circumstances)]
        if not now:
            return completed
        waiting = [each for each in waiting if each not in now]
        completed += now
        reached |= {each.id for each in now}


def is_reached(rule: AchievementRule, done: Collection[str], circumstances: Circumstances) -> bool:
    """Tell whether an event, or the looking back of an activation, completes the achievement; `api` ones never are."""
    if rule.locked or not matches(rule.user_filter, circumstances.user_attributes):
        return False
    if rule.type == AchievementType.METRIC:
        return _is_total_reached(rule, circumstances)
    if rule.type == AchievementType.STREAK:
        return circumstances.streak_length >= rule.streak_length
    return rule.type == AchievementType.COMPOSITE and all(each in done for each in rule.prerequisites)


def _is_total_reached(rule: AchievementRule, circumstances: Circumstances) -> bool:
    event = circumstances.event_attributes
    if event is not None and not matches(filter_items(rule.event_filter), event):
        return False
    total = circumstances.totals.get(rule.metric_id or "", {}).get(rule.event_filter)
    return total is not None and total.total >= rule.metric_value


def find_cycle(start: str, prerequisites: Mapping[str, Collection[str]]) -> list[str]:
    """Return a path of ids from `start` back to itself along `prerequisites`, [] where there is none."""
    paths = [[start]]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        for each in prerequisites.get(path[-1], ()):
            if each == start:
                return [*path, start]
            if each not in seen:
                seen.add(each)
                paths.append([*path, each])
    return []
