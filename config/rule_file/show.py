"""A plan in words."""

import json
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from config.rule_file.operations import FieldChange, Operation, Plan, Verb
from config.rule_file.schema import Item, Kind, TriggerItem, given_fields
from config.rule_file.text import decimal_text
from points.models import TriggerType

MARKS: Final = {Verb.CREATE: "+", Verb.RESTORE: "+", Verb.CHANGE: "~", Verb.ORDER: "~", Verb.ARCHIVE: "-"}
NO_CHANGES: Final = "No changes."
COUNTED: Final = {
    Verb.CREATE: ("to create", "created"),
    Verb.RESTORE: ("to restore", "restored"),
    Verb.CHANGE: ("to change", "changed"),
    Verb.ARCHIVE: ("to archive", "archived"),
}
"""What is counted, in the words of before and after."""


def show(plan: Plan, *, is_done: bool = False) -> Iterator[str]:
    """Yield the lines of a plan: what is done, what is not in the file, what else there is to know, and the counts."""
    for operation in plan.operations:
        yield _headline(operation)
        yield from (f"    {line}" for line in _details(operation))
    if plan.kept:
        yield "Not in the file, and kept (--prune archives them):"
        yield from (f"    {absent.place}{_named(absent.kind, absent.item)}" for absent in plan.kept)
    yield from plan.notes
    yield _summary(plan, is_done)


def _summary(plan: Plan, is_done: bool) -> str:
    """Return how much there is to do, or was done."""
    if not plan.operations:
        return NO_CHANGES
    verbs = [Verb.CHANGE if each.verb == Verb.ORDER else each.verb for each in plan.operations]
    return ", ".join(f"{verbs.count(verb)} {words[is_done]}" for verb, words in COUNTED.items() if verb in verbs) + "."


def label(item: Item) -> str:
    """Return what people call an item that stands under no key of its own."""
    if isinstance(item, TriggerItem):
        return f"{item.points:+,} · {_occasion(item)}"
    return str(getattr(item, "name", ""))


def _headline(operation: Operation) -> str:
    restored = " (brought back from the archive)" if operation.verb == Verb.RESTORE else ""
    named = "" if operation.item is None else _named(operation.kind, operation.item)
    order = ": the triggers count in the order of the file" if operation.verb == Verb.ORDER else ""
    return f"{MARKS[operation.verb]} {operation.place}{named}{order}{restored}"


def _named(kind: Kind, item: Item) -> str:
    return f": {label(item)}" if kind in (Kind.TRIGGER, Kind.BOOST) else ""


def _details(operation: Operation) -> Iterator[str]:
    if operation.verb == Verb.CREATE and operation.item is not None:
        for name in given_fields(operation.item):
            yield f"{name}: {_shown(getattr(operation.item, name))}"
    for change in operation.changes:
        for name, old, new in _parts(change):
            yield f"{name}: {_shown(old)} -> {_shown(new)}"


def _parts(change: FieldChange) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, the old and the new value of what changes; of a mapping each that does."""
    if not isinstance(change.new, dict):
        yield change.name, change.old, change.new
        return
    for key in sorted({*change.old, *change.new}):
        old, new = change.old.get(key), change.new.get(key)
        if old != new:
            yield f"{change.name}.{key}", old, new


def _occasion(item: TriggerItem) -> str:
    """Return when a trigger fires, in the words of the file."""
    words = {
        TriggerType.METRIC: f"{item.metric}: every {item.metric_threshold}",
        TriggerType.STREAK: f"streak: every {item.streak_length}",
        TriggerType.ACHIEVEMENT: f"achievement: {item.achievement}",
        TriggerType.TIME: f"every {item.time_interval} {item.time_unit and item.time_unit.label.lower()}",
        TriggerType.USER_CREATION: "new user",
    }
    filters = {**item.user_attributes, **item.event_attributes}
    return words[item.type] + "".join(f", {key} = {value}" for key, value in filters.items())


def _shown(value: Any) -> str:
    """Return a value in one line."""
    if value in (None, "", {}, []):
        return "(none)"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_shown(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return decimal_text(value)
    text = str(value.value if isinstance(value, Enum) else value)
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)
