"""What can be done to the database, and a whole plan of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from achievements.models import Achievement
from config.rule_file.schema import Item, Kind
from core.models import Configuration


class Verb(StrEnum):
    """What is done to a row. `order` lets a points system's triggers count in the order of the file."""

    CREATE = "create"
    RESTORE = "restore"
    CHANGE = "change"
    ORDER = "order"
    ARCHIVE = "archive"


@dataclass(frozen=True)
class FieldChange:
    """A field that becomes another."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Operation:
    """One thing to do. `key` is what the item stands under, `owner` the key of the points system that it belongs to."""

    verb: Verb
    kind: Kind
    place: str
    key: str = ""
    owner: str = ""
    item: Item | None = None
    row: Configuration | None = None
    changes: Sequence[FieldChange] = ()


@dataclass(frozen=True)
class Absent:
    """A row that is live and not in the file."""

    kind: Kind
    place: str
    item: Item


@dataclass
class Plan:
    """All that is to be done, in order.

    `rows` are the stored rows by their place in the file, and `achievements` those that triggers and others can name,
    by handle; what is to be made is in neither. `kept` is what is not in the file, and stays; `notes` are for people.
    """

    operations: list[Operation] = field(default_factory=list)
    kept: list[Absent] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: dict[str, Configuration] = field(default_factory=dict)
    achievements: dict[str, Achievement] = field(default_factory=dict)


def differences(old: Item, new: Item) -> tuple[FieldChange, ...]:
    """Return the fields in which two items of the same kind differ."""
    fields = [FieldChange(name, getattr(old, name), getattr(new, name)) for name in new.__struct_fields__]
    return tuple(change for change in fields if change.old != change.new)
