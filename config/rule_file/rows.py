"""The rows that an operation is about, and what the services call the fields of its item."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from achievements.models import Achievement
from config.rule_file.badges import UPLOADED, Badges
from config.rule_file.operations import Operation, Plan, Verb
from config.rule_file.schema import ATTRIBUTE_KINDS, AttributeValues, Kind
from config.rule_file.stored import StoredRules
from metrics.models import Metric
from points.models import PointsSystem
from users.models import Attribute, AttributeType
from users.services import Filters

Row = TypeVar("Row")


class NotMadeError(Exception):
    """Something that is needed could not be made; why was said where it stands."""


@dataclass
class Rows:
    """The rows that can be named, by key or handle, and those that stand at a place of the file."""

    badges: Badges
    by_place: dict[str, Any]
    achievements: dict[str, Achievement]
    metrics: dict[str, Metric]
    systems: dict[str, PointsSystem]
    attributes: dict[AttributeType, dict[str, Attribute]] = field(default_factory=dict)

    def add(self, operation: Operation, row: Any) -> None:
        """Let what comes after find a row that was made or brought back."""
        self.by_place[operation.place] = row
        by_key: dict[Kind, dict[str, Any]] = {
            Kind.METRIC: self.metrics,
            Kind.ACHIEVEMENT: self.achievements,
            Kind.SYSTEM: self.systems,
            **{ATTRIBUTE_KINDS[type_]: rows for type_, rows in self.attributes.items()},
        }
        if operation.kind in by_key:
            by_key[operation.kind][operation.key] = row

    def keywords(self, operation: Operation) -> dict[str, Any]:
        """Return what the services are told: of an item to make all fields, else those that change.

        Raises NotMadeError, and ValidationError for a badge that is nowhere.
        """
        item: Any = operation.item
        is_new = operation.verb == Verb.CREATE
        names = item.__struct_fields__ if is_new else [change.name for change in operation.changes]
        found: dict[str, Any] = {}
        for name in names:
            found |= self._keyword(name, getattr(item, name))
        return found

    def _keyword(self, name: str, value: Any) -> dict[str, Any]:
        """Return a field as the services call it."""
        if name == "badge":
            return self._badge(value)
        if name == "metric":
            return {"metric": None if value is None else made(self.metrics, value)}
        if name == "achievement":
            return {"achievement": None if value is None else made(self.achievements, value)}
        if name == "prerequisites":
            return {"prerequisites": [made(self.achievements, handle) for handle in value]}
        if name == "user_attributes":
            return {"user_filters": self._filters(AttributeType.USER, value)}
        if name == "event_attributes":
            return {"event_filters": self._filters(AttributeType.EVENT, value)}
        return {name: value.value if isinstance(value, Enum) else value}

    def _filters(self, type_: AttributeType, values: AttributeValues) -> Filters:
        return [(made(self.attributes[type_], key), value) for key, value in values.items()]

    def _badge(self, badge: str) -> dict[str, Any]:
        if not badge.startswith(UPLOADED):
            return {"badge": "", "badge_url": badge}
        self.badges.need(badge)
        return {"badge": badge, "badge_url": ""}


def rows_before(stored: StoredRules, plan: Plan, badges: Badges) -> Rows:
    """Return the rows that are there before the plan is carried out."""
    return Rows(
        badges=badges,
        by_place=dict(plan.rows),
        achievements=dict(plan.achievements),
        metrics={key: each.row for key, each in stored.metrics.live.items()},
        systems={key: each.row for key, each in stored.systems.live.items()},
        attributes={
            type_: {key: each.row for key, each in rows.live.items()} for type_, rows in stored.attributes.items()
        },
    )


def made(rows: Mapping[str, Row], key: str) -> Row:
    """Return the row of something that is known to be in the file. Raises NotMadeError."""
    if key not in rows:
        raise NotMadeError(key)
    return rows[key]
