"""Reading a file: strictly, and with everything that is wrong with its form said at once."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import structs

from config.rule_file.schema import (
    VERSION,
    AchievementItem,
    AttributeItem,
    BoostItem,
    Item,
    LevelItem,
    MetricItem,
    RuleFile,
    RuleFileError,
    StreakItem,
    SystemItem,
    SystemRules,
    TriggerItem,
    fields_of,
)
from config.rule_file.text import read_yaml
from core.describe import describe
from users.models import AttributeType

SECTIONS: Final = ("version", "attributes", "metrics", "streaks", "achievements", "points")
PARTS: Final = ("levels", "triggers", "boosts")
"""What belongs to a points system."""

ItemT = TypeVar("ItemT", bound=Item)
Made = TypeVar("Made")


def parse(data: bytes) -> RuleFile:
    """Return what the file says. Raises RuleFileError with a sentence for each place that cannot be understood."""
    reader = _Reader()
    file = reader.file(read_yaml(data))
    if reader.problems:
        raise RuleFileError(reader.problems)
    return file


def inside(place: str, key: str) -> str:
    """Return where something stands that has this key at `place`: achievements.«On fire», points.xp."""
    shown = key if re.fullmatch(r"[\w-]+", key) else f"«{key}»"
    return f"{place}.{shown}" if place else shown


class _Reader:
    """Reads part by part. What is wrong is kept in `problems`, and something harmless returned in its place."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def file(self, value: Any) -> RuleFile:
        """Read all of it."""
        sections = self.mapping(value, "The file")
        if self.problems:
            return RuleFile()
        self.no_others(sections, SECTIONS, "")
        version = sections.get("version")
        if version != VERSION or isinstance(version, bool):
            self.problems.append(f"version must be {VERSION}: this Pointsmith knows no other.")
        return RuleFile(
            attributes=self.attributes(sections.get("attributes", {})),
            metrics=self.section(sections, "metrics", self.items_of(MetricItem)),
            streaks=self.section(sections, "streaks", lambda value, place: self.item(StreakItem, value, place)),
            achievements=self.section(sections, "achievements", self.achievements),
            points=self.section(sections, "points", self.systems),
        )

    def section(self, sections: Mapping[str, Any], name: str, read: Callable[[Any, str], Made]) -> Made | None:
        """Read a section that may be left out."""
        return read(sections[name], name) if name in sections else None

    def attributes(self, value: Any) -> dict[AttributeType, Mapping[str, AttributeItem]]:
        """Read the attributes, which are unique by whose they are."""
        sections = self.mapping(value, "attributes")
        self.no_others(sections, AttributeType.values, "attributes")
        read = self.items_of(AttributeItem)
        return {
            type_: read(sections[type_.value], inside("attributes", type_.value))
            for type_ in AttributeType
            if type_.value in sections
        }

    def achievements(self, value: Any, place: str) -> dict[str, AchievementItem]:
        """Read the achievements; one without a name is called what it stands under."""
        return {
            handle: structs.replace(item, name=item.name or handle, prerequisites=sorted(item.prerequisites))
            for handle, item in self.items_of(AchievementItem)(value, place).items()
        }

    def systems(self, value: Any, place: str) -> dict[str, SystemRules]:
        """Read the points systems."""
        return {
            key: system
            for key, fields in self.mapping(value, place).items()
            if (system := self.system(fields, inside(place, key))) is not None
        }

    def system(self, value: Any, place: str) -> SystemRules | None:
        """Read a points system with what belongs to it."""
        fields: dict[str, Any] = value if isinstance(value, dict) else {}
        parts: dict[str, Any] = {name: fields[name] for name in PARTS if name in fields}
        own = {name: field for name, field in fields.items() if name not in PARTS}
        item = self.item(SystemItem, own if fields else value, place, others=PARTS)
        levels = self.section(parts, "levels", lambda value, name: self.items_of(LevelItem)(value, f"{place}.{name}"))
        triggers = self.section(parts, "triggers", lambda value, name: self.list(TriggerItem, value, f"{place}.{name}"))
        boosts = self.section(parts, "boosts", lambda value, name: self.list(BoostItem, value, f"{place}.{name}"))
        return SystemRules(item, levels, triggers, boosts) if item else None

    def items_of(self, type_: type[ItemT]) -> Callable[[Any, str], dict[str, ItemT]]:
        """Return what reads a mapping of such items by their keys."""

        def read(value: Any, place: str) -> dict[str, ItemT]:
            found = {
                key: self.item(type_, each, inside(place, key)) for key, each in self.mapping(value, place).items()
            }
            return {key: item for key, item in found.items() if item is not None}

        return read

    def list(self, type_: type[ItemT], value: Any, place: str) -> list[ItemT]:
        """Read a list of such items."""
        if not isinstance(value, list):
            self.problems.append(f"{place} must be a list ([] for none).")
            return []
        found = [self.item(type_, each, f"{place}[{index}]") for index, each in enumerate(value)]
        return [item for item in found if item is not None]

    def item(self, type_: type[ItemT], value: Any, place: str, others: tuple[str, ...] = ()) -> ItemT | None:
        """Read an item field by field; `others` are fields beside its own. None where one of them is not right."""
        before, known = len(self.problems), fields_of(type_)
        given = self.mapping(value, place)
        if len(self.problems) > before:
            return None
        self.no_others(given, [*known, *others], place)
        read = {name: self.field(known[name].type, given[name], f"{place}.{name}") for name in given if name in known}
        missing = [name for name, field in known.items() if field.required and name not in given]
        self.problems += [f"{place}.{name} is required." for name in missing]
        return type_(**read) if len(self.problems) == before else None

    def field(self, type_: Any, value: Any, place: str) -> Any:
        """Read a field's value, of a mapping each."""
        if get_origin(type_) is dict:
            of_each = get_args(type_)[1]
            return {
                key: self.field(of_each, each, inside(place, key)) for key, each in self.mapping(value, place).items()
            }
        try:
            if Decimal in _kinds(type_) and isinstance(value, str):
                raise msgspec.ValidationError("Expected `decimal`, got `str`")  # msgspec would read the text
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            self.problems.append(_sentence(error, type_, value, place))
            return None

    def mapping(self, value: Any, place: str) -> dict[str, Any]:
        """Return the mapping that `value` should be."""
        if isinstance(value, dict):
            return value
        self.problems.append(f"{place} must be a mapping of keys to values ({{}} for none).")
        return {}

    def no_others(self, given: Mapping[str, Any], known: Any, place: str) -> None:
        """Note each key that is not known."""
        self.problems += [
            f"{inside(place, name)}: there is no such field; possible are {', '.join(known)}."
            for name in given
            if name not in known
        ]


def _sentence(error: msgspec.ValidationError, type_: Any, value: Any, place: str) -> str:
    """Return the sentence for a field's value that is of another type."""
    if choices := _choices(type_):
        return f"{place} must be {' or '.join(choices)}."
    if date in _kinds(type_):
        return f"{place} must be a date such as 2026-01-31."
    is_unquoted = str in _kinds(type_) and isinstance(value, int | Decimal)
    in_words = msgspec.ValidationError(str(error).replace("`decimal", "`float"))
    return describe(in_words, place) + (" Put it in quotes." if is_unquoted else "")


def _choices(type_: Any) -> list[str]:
    """Return which texts there are for a field of this type, [] where it has any others."""
    if get_origin(type_) is Literal:
        return list(get_args(type_))
    return [each.value for kind in _kinds(type_) if isinstance(kind, type) and issubclass(kind, Enum) for each in kind]


def _kinds(type_: Any) -> tuple[Any, ...]:
    """Return the types of a union, or the only one."""
    return get_args(type_) if isinstance(type_, UnionType) else (type_,)
