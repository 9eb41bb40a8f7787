"""What the file may say. The database is read into the same shapes, so that the two can be compared.

A field that is left out has its default; a section that is left out (None) is not looked after by the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Final, Literal

from msgspec import NODEFAULT, Struct, structs, to_builtins

from achievements.rules import AchievementType
from metrics.models import UnitType
from points.models import TimeUnit, TriggerType
from points.rules import Rounding
from streaks.models import EvaluationMode
from streaks.rules import Frequency
from users.models import AttributeType

VERSION: Final = 1

AttributeValues = dict[str, str]
"""Which value each attribute must have, by its key."""


class Item(Struct, frozen=True, kw_only=True):
    """One row of configuration with its parts. References are by key, those to achievements by handle."""


class AttributeItem(Item, frozen=True, kw_only=True):
    """An attribute that users or events may carry."""

    name: str


class MetricItem(Item, frozen=True, kw_only=True):
    """Something that users do, counted."""

    name: str
    unit_type: UnitType = UnitType.NUMBER
    units: str = ""


class StreakItem(Item, frozen=True, kw_only=True):
    """What makes a streak; `metrics` says from which amount in a period each counts."""

    frequency: Frequency = Frequency.DAILY
    evaluation_mode: EvaluationMode = EvaluationMode.OR
    metrics: dict[str, Decimal] = {}


class AchievementItem(Item, frozen=True, kw_only=True):
    """An achievement. Without a name it is called what it stands under."""

    type: AchievementType
    name: str = ""
    description: str = ""
    metric: str | None = None
    metric_value: Decimal | None = None
    streak_length: int | None = None
    prerequisites: list[str] = []
    user_attributes: AttributeValues = {}
    event_attributes: AttributeValues = {}
    badge: str = ""
    status: Literal["active", "inactive", "locked"] = "active"


class SystemItem(Item, frozen=True, kw_only=True):
    """A points system, without what belongs to it."""

    name: str
    description: str = ""
    max_points: int | None = None
    badge: str = ""


class LevelItem(Item, frozen=True, kw_only=True):
    """A level of a points system."""

    name: str
    points: int
    description: str = ""
    badge: str = ""


class TriggerItem(Item, frozen=True, kw_only=True):
    """A rule that gives points, or takes them."""

    type: TriggerType
    metric: str | None = None
    metric_threshold: int | None = None
    streak_length: int | None = None
    achievement: str | None = None
    time_unit: TimeUnit | None = None
    time_interval: int | None = None
    user_attributes: AttributeValues = {}
    event_attributes: AttributeValues = {}
    points: int
    block_if_out_of_points: bool = False
    status: Literal["active", "inactive"] = "active"


class BoostItem(Item, frozen=True, kw_only=True):
    """A boost for more than one user."""

    name: str
    start: date
    end: date | None = None
    multiplier: Decimal
    rounding: Rounding = Rounding.DOWN
    user_attributes: AttributeValues = {}
    status: Literal["active", "inactive"] = "active"


@dataclass(frozen=True)
class SystemRules:
    """A points system with what belongs to it: levels by key, triggers in the order in which they count, boosts."""

    item: SystemItem
    levels: Mapping[str, LevelItem] | None = None
    triggers: Sequence[TriggerItem] | None = None
    boosts: Sequence[BoostItem] | None = None


@dataclass(frozen=True)
class RuleFile:
    """A whole file. Everything stands under its key, achievements under their handle.

    The handle of an achievement is the key that products complete it by; of one that has none, its name.
    """

    attributes: Mapping[AttributeType, Mapping[str, AttributeItem]] = field(default_factory=dict)
    metrics: Mapping[str, MetricItem] | None = None
    streaks: StreakItem | None = None
    achievements: Mapping[str, AchievementItem] | None = None
    points: Mapping[str, SystemRules] | None = None


class Kind(StrEnum):
    """What an item is, in words."""

    USER_ATTRIBUTE = "user attribute"
    EVENT_ATTRIBUTE = "event attribute"
    METRIC = "metric"
    STREAKS = "streak settings"
    ACHIEVEMENT = "achievement"
    SYSTEM = "points system"
    LEVEL = "level"
    TRIGGER = "trigger"
    BOOST = "boost"


ATTRIBUTE_KINDS: Final = {
    AttributeType.USER: Kind.USER_ATTRIBUTE,
    AttributeType.EVENT: Kind.EVENT_ATTRIBUTE,
}


class RuleFileError(Exception):
    """What is wrong with a file: one sentence for each place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@cache
def fields_of(type_: type[Item]) -> dict[str, structs.FieldInfo]:
    """Return the fields of an item by name."""
    return {field.name: field for field in structs.fields(type_)}


def given_fields(item: Item) -> dict[str, Any]:
    """Return the fields of an item that are not at their defaults, as plain values, in the order of the schema."""
    plain = to_builtins(item, builtin_types=(Decimal, date))
    return {
        name: value for name, value in plain.items() if getattr(item, name) != _default(fields_of(type(item))[name])
    }


def _default(field_: structs.FieldInfo) -> Any:
    return field_.default if field_.default_factory is NODEFAULT else field_.default_factory()
