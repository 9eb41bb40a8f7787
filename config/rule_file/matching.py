"""Which row an item of the file is, where no key says so: pure.

In passes, from all that is the same to what is enough to be meant. In each pass those that are alike are paired in
their order. So a change of any one field finds its row, and what is paired does not depend on what comes after.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, TypeVar

from achievements.rules import AchievementType
from config.rule_file.schema import AchievementItem, BoostItem, Item, TriggerItem

Entry = TypeVar("Entry")

Likeness = Callable[[Entry], Hashable | None]
"""What must be equal in a pass; None takes no part in it."""


def match(wanted: Sequence[Entry], stored: Sequence[Entry], passes: Sequence[Likeness[Entry]]) -> dict[int, int]:
    """Return, by the index of a wanted entry, the index of the stored one that it is; each is paired once at most."""
    pairs: dict[int, int] = {}
    free = dict.fromkeys(range(len(stored)))
    for likeness in passes:
        alike: dict[Hashable, list[int]] = defaultdict(list)
        for index in free:
            alike[likeness(stored[index])].append(index)
        for index, entry in enumerate(wanted):
            like = likeness(entry)
            if index not in pairs and like is not None and alike[like]:
                pairs[index] = alike[like].pop(0)
                del free[pairs[index]]
    return pairs


def fields_of(item: Item, names: Sequence[str]) -> Hashable:
    """Return the values of these fields."""
    return tuple(_hashable(getattr(item, name)) for name in names)


def _hashable(value: Any) -> Hashable:
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return tuple(value) if isinstance(value, list) else value


def _but(type_: type[Item], *names: str) -> list[str]:
    return [name for name in type_.__struct_fields__ if name not in names]


TRIGGER_PASSES: Final[Sequence[Likeness[TriggerItem]]] = (
    lambda item: fields_of(item, _but(TriggerItem)),
    lambda item: fields_of(item, _but(TriggerItem, "points", "block_if_out_of_points", "status")),
    lambda item: fields_of(item, ("type", "metric", "achievement", "user_attributes", "event_attributes")),
    lambda item: fields_of(item, ("type", "metric", "achievement")),
)
"""A trigger is what makes it fire, not what it pays; then also another threshold, at last other filters."""

_CONDITION: Final = (
    *("type", "metric", "metric_value", "streak_length", "prerequisites", "user_attributes", "event_attributes"),
)

BoostEntry = tuple[BoostItem, bool]
"""A boost, and whether it is over: then it can be found, but it is no other one under a new name or date."""

BOOST_PASSES: Final[Sequence[Likeness[BoostEntry]]] = (
    lambda entry: fields_of(entry[0], _but(BoostItem)),
    lambda entry: fields_of(entry[0], ("name", "start")),
    lambda entry: None if entry[1] else entry[0].name,
    lambda entry: None if entry[1] else fields_of(entry[0], _but(BoostItem, "name", "status")),
)

AchievementEntry = tuple[str, AchievementItem]
"""An achievement and what it stands under."""


def achievement_passes(is_restorable: Callable[[AchievementEntry], bool]) -> Sequence[Likeness[AchievementEntry]]:
    """Return what makes two achievements the same: the name with the condition, the handle, or the condition alone.

    The last is one with another name; not where products complete it by its key, nor where one of that name
    `is_restorable`.
    """
    return (
        lambda entry: (name_of(entry), entry[1].type, fields_of(entry[1], _CONDITION)),
        lambda entry: entry[0],
        lambda entry: None if _key(entry) or is_restorable(entry) else fields_of(entry[1], _CONDITION),
    )


def name_of(entry: AchievementEntry) -> str:
    """Return what an achievement keeps when it is archived: its key, of one that has none the name."""
    return _key(entry) or entry[1].name


def _key(entry: AchievementEntry) -> str | None:
    handle, item = entry
    return handle if item.type == AchievementType.API else None
