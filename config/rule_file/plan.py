"""What has to be done so that the database has what the file says. Nothing is done here."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from msgspec import structs

from achievements.models import Achievement
from boosts.models import Boost
from boosts.rules import BoostPhase, phase_of
from config.rule_file.matching import BOOST_PASSES, TRIGGER_PASSES, achievement_passes, match, name_of
from config.rule_file.operations import Absent, Operation, Plan, Verb, differences
from config.rule_file.parse import inside
from config.rule_file.schema import (
    ATTRIBUTE_KINDS,
    AchievementItem,
    BoostItem,
    Item,
    Kind,
    RuleFile,
    RuleFileError,
    SystemRules,
    TriggerItem,
)
from config.rule_file.stored import Keyed, Stored, StoredParts, StoredRules
from points.models import PointsSystem, PointsTrigger
from users.models import AttributeType

PARTS_OF_SYSTEM: Final = (Kind.LEVEL, Kind.TRIGGER, Kind.BOOST)


def make_plan(file: RuleFile, stored: StoredRules, *, prune: bool, now: datetime) -> Plan:
    """Return what has to be done. With `prune`, what is live and not in the file is archived, else it is kept.

    Raises RuleFileError where achievements wait for each other.
    """
    planner = _Planner(file, stored, prune=prune, now=now)
    planner.make()
    return planner.plan


class _Planner:
    """Goes through the sections in the order in which they need each other, and archives in the opposite one."""

    def __init__(self, file: RuleFile, stored: StoredRules, *, prune: bool, now: datetime) -> None:
        self.file, self.stored, self.prune, self.now = file, stored, prune, now
        self.plan = Plan()
        self.archives: list[Operation] = []
        self.file_handles: dict[str, str] = {}
        """What a stored achievement is called in the file, by the handle that it has in the database."""

    def make(self) -> None:
        """Make the plan."""
        for type_ in AttributeType:
            wanted = self.file.attributes.get(type_)
            place = f"attributes.{type_.value}"
            self.keyed(ATTRIBUTE_KINDS[type_], place, wanted, self.stored.attributes[type_])
        self.keyed(Kind.METRIC, "metrics", self.file.metrics, self.stored.metrics)
        self.streaks()
        self.achievements()
        self.systems()
        self.plan.operations += reversed(self.archives)

    def keyed(
        self, kind: Kind, place: str, wanted: Mapping[str, Item] | None, stored: Keyed[Any, Any], owner: str = ""
    ) -> None:
        """Plan a section whose items are known by their keys."""
        if wanted is None:
            return
        for key, each in stored.live.items():
            if key not in wanted:
                self.absent(kind, inside(place, key), each, owner)
        for key, item in wanted.items():
            self.keyed_item(kind, inside(place, key), key, item, stored, owner)

    def keyed_item(
        self, kind: Kind, place: str, key: str, item: Item, stored: Keyed[Any, Any], owner: str = ""
    ) -> None:
        """Plan one item that is known by its key."""
        if key in stored.live:
            self.change(kind, place, key, item, stored.live[key], owner)
        else:
            self.missing(kind, place, key, item, stored.archived.get(key), owner)

    def missing(
        self, kind: Kind, place: str, key: str, item: Item, archived: Stored[Any, Any] | None, owner: str = ""
    ) -> None:
        """Bring back what was archived, with its history and as the file has it now; else make it."""
        if archived is None:
            self.do(Operation(Verb.CREATE, kind, place, key, owner, item))
        else:
            changes = differences(self.as_in_file(archived.item), item)
            self.do(Operation(Verb.RESTORE, kind, place, key, owner, item, archived.row, changes))

    def change(self, kind: Kind, place: str, key: str, item: Item, stored: Stored[Any, Any], owner: str = "") -> None:
        """Plan the change of a row, where there is one."""
        self.plan.rows[place] = stored.row
        changes = differences(self.as_in_file(stored.item), item)
        if changes:
            self.do(Operation(Verb.CHANGE, kind, place, key, owner, item, stored.row, changes))

    def do(self, operation: Operation) -> None:
        """Add an operation."""
        self.plan.operations.append(operation)

    def absent(self, kind: Kind, place: str, stored: Stored[Any, Any], owner: str = "") -> None:
        """Archive, at its time, what is not in the file; or keep it."""
        if not self.prune:
            self.plan.kept.append(Absent(kind, place, stored.item))
            return
        operation = Operation(Verb.ARCHIVE, kind, place, "", owner, stored.item, stored.row)
        if kind in PARTS_OF_SYSTEM:  # nothing needs it, and what comes next may need its place
            self.do(operation)
        else:
            self.archives.append(operation)

    def streaks(self) -> None:
        """Plan the streak settings, which are always there."""
        item = self.file.streaks
        changes = differences(self.stored.streaks, item) if item else ()
        if changes:
            self.do(Operation(Verb.CHANGE, Kind.STREAKS, "streaks", item=item, changes=changes))

    def achievements(self) -> None:
        """Plan the achievements, each after those that it waits for."""
        wanted, stored = self.file.achievements or {}, self.stored.achievements
        live, entries = list(stored.live.items()), list(wanted.items())
        archived = dict(stored.archived)
        passes = achievement_passes(lambda entry: name_of(entry) in archived)
        found = match(entries, [(handle, each.item) for handle, each in live], passes)
        rows = {entries[index][0]: live[place] for index, place in found.items()}
        self.name_achievements(wanted, rows)
        if self.file.achievements is None:
            return
        self.absent_achievements({handle for handle, _ in rows.values()})
        for handle in _in_order_of_need(wanted):
            place, item = inside("achievements", handle), wanted[handle]
            if handle in rows:
                self.change(Kind.ACHIEVEMENT, place, handle, item, rows[handle][1])
            else:
                self.missing(Kind.ACHIEVEMENT, place, handle, item, archived.pop(name_of((handle, item)), None))

    def name_achievements(
        self, wanted: Mapping[str, AchievementItem], rows: Mapping[str, tuple[str, Stored[Achievement, Any]]]
    ) -> None:
        """Note by which handle each stored achievement is meant from now on."""
        self.file_handles = {old: new for new, (old, _) in rows.items()}
        for handle, each in self.stored.achievements.live.items():
            if handle not in self.file_handles:
                self.file_handles[handle] = f"{handle} (not in the file)" if handle in wanted else handle
            self.plan.achievements[self.file_handles[handle]] = each.row

    def absent_achievements(self, found: set[str]) -> None:
        """Archive or keep those that are not in the file; what waits for others is archived before them."""
        absent = {handle: each for handle, each in self.stored.achievements.live.items() if handle not in found}
        for handle in _in_order_of_need({handle: each.item for handle, each in absent.items()}):
            self.absent(Kind.ACHIEVEMENT, inside("achievements", handle), absent[handle])

    def systems(self) -> None:
        """Plan the points systems, each with what belongs to it."""
        wanted, stored = self.file.points, self.stored.systems
        if wanted is None:
            return
        for key, each in stored.live.items():
            if key not in wanted:
                self.absent(Kind.SYSTEM, inside("points", key), each)
                if self.prune:
                    self.abandon(inside("points", key), self.stored.parts_of(each.row))
        for key, system in wanted.items():
            self.system(key, system, stored.live.get(key) or stored.archived.get(key))

    def abandon(self, place: str, parts: StoredParts) -> None:
        """Archive the triggers and boosts of a points system that goes, which need metrics and others that may go."""
        for trigger in parts.triggers:
            self.absent(Kind.TRIGGER, f"{place}.triggers", trigger)
        for boost in parts.boosts:
            if not self.is_finished(boost.row):
                self.absent(Kind.BOOST, f"{place}.boosts", boost)

    def system(self, key: str, wanted: SystemRules, stored: Stored[PointsSystem, Any] | None) -> None:
        """Plan a points system and what belongs to it."""
        place = inside("points", key)
        self.keyed_item(Kind.SYSTEM, place, key, wanted.item, self.stored.systems)
        parts = self.stored.parts_of(stored.row if stored else None)
        self.keyed(Kind.LEVEL, f"{place}.levels", wanted.levels, parts.levels, key)
        if wanted.triggers is not None:
            self.triggers(f"{place}.triggers", wanted.triggers, parts.triggers, key)
        if wanted.boosts is not None:
            self.boosts(f"{place}.boosts", wanted.boosts, parts.boosts, key)

    def triggers(
        self, place: str, wanted: Sequence[TriggerItem], stored: list[Stored[PointsTrigger, TriggerItem]], owner: str
    ) -> None:
        """Plan the triggers of a points system, and their order."""
        found = match(wanted, [self.as_in_file(each.item) for each in stored], TRIGGER_PASSES)
        self.list_absent(Kind.TRIGGER, place, _others(stored, found), owner)
        for index, item in enumerate(wanted):
            here = f"{place}[{index}]"
            if index in found:
                self.change(Kind.TRIGGER, here, "", item, stored[found[index]], owner)
            else:
                self.do(Operation(Verb.CREATE, Kind.TRIGGER, here, owner=owner, item=item))
        order = [found.get(index, len(stored) + index) for index in range(len(wanted))]
        if order != sorted(order):
            self.do(Operation(Verb.ORDER, Kind.TRIGGER, place, owner=owner))

    def boosts(
        self, place: str, wanted: Sequence[BoostItem], stored: list[Stored[Boost, BoostItem]], owner: str
    ) -> None:
        """Plan the boosts of a points system. One that is over is past, and not made any more."""
        stored = sorted(stored, key=lambda each: self.is_finished(each.row))
        entries = [(item, self.is_over(item)) for item in wanted]
        found = match(entries, [(each.item, self.is_finished(each.row)) for each in stored], BOOST_PASSES)
        absent = [each for each in _others(stored, found) if not self.is_finished(each.row)]
        self.list_absent(Kind.BOOST, place, absent, owner)
        for index, (item, is_over) in enumerate(entries):
            here = f"{place}[{index}]"
            if index in found:
                self.change(Kind.BOOST, here, "", item, stored[found[index]], owner)
                if not is_over and self.is_finished(stored[found[index]].row):
                    self.plan.notes.append(f"{here}: «{item.name}» was finished here before its end.")
            elif is_over:
                self.plan.notes.append(f"{here}: «{item.name}» is over, and was never here: it is not made.")
            else:
                self.do(Operation(Verb.CREATE, Kind.BOOST, here, owner=owner, item=item))

    def list_absent(self, kind: Kind, place: str, stored: Iterable[Stored[Any, Any]], owner: str) -> None:
        """Archive or keep those of a list that are not in the file."""
        for each in stored:
            self.absent(kind, place, each, owner)

    def is_over(self, item: BoostItem) -> bool:
        """Tell whether a boost could never multiply any more."""
        phase = phase_of(item.start, item.end, at=self.now, tz=None, is_of_user=False)
        return item.status == "active" and phase == BoostPhase.FINISHED

    def is_finished(self, row: Boost) -> bool:
        """Tell whether a stored boost has ended, or was stopped."""
        return row.phase(self.now) == BoostPhase.FINISHED

    def as_in_file(self, item: Any) -> Any:
        """Return a stored item with achievements called what the file calls them."""
        if isinstance(item, AchievementItem):
            handles = sorted(self.file_handles.get(each, each) for each in item.prerequisites)
            return structs.replace(item, prerequisites=handles)
        if isinstance(item, TriggerItem) and item.achievement is not None:
            return structs.replace(item, achievement=self.file_handles.get(item.achievement, item.achievement))
        return item


def _others(stored: Sequence[Stored[Any, Any]], found: Mapping[int, int]) -> list[Stored[Any, Any]]:
    taken = set(found.values())
    return [each for index, each in enumerate(stored) if index not in taken]


def _in_order_of_need(achievements: Mapping[str, AchievementItem]) -> list[str]:
    """Return the handles, each after those that it waits for. Raises RuleFileError for a circle."""
    needs = {
        handle: [each for each in item.prerequisites if each in achievements] for handle, item in achievements.items()
    }
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        path = " needs ".join(f"«{handle}»" for handle in reversed(error.args[1]))
        raise RuleFileError([f"achievements: prerequisites go round in a circle: {path}."]) from error
