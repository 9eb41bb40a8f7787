"""What the database has, in the shapes of the file: in a fixed number of statements, however many rows there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Prefetch

from achievements.models import Achievement, AchievementFilter, AchievementPrerequisite
from achievements.rules import AchievementType
from boosts.models import Boost, BoostFilter
from config.rule_file.schema import (
    AchievementItem,
    AttributeItem,
    AttributeValues,
    BoostItem,
    Item,
    LevelItem,
    MetricItem,
    StreakItem,
    SystemItem,
    TriggerItem,
)
from core.models import Badged, Configuration, ConfigurationStatus
from engine.rule_book import current_revision
from levels.models import Level
from metrics.models import Metric, UnitType
from points.models import PointsSystem, PointsTrigger, TimeUnit, TriggerFilter, TriggerType
from points.rules import Rounding
from streaks.models import EvaluationMode, StreakMetric, StreakSettings
from streaks.rules import Frequency
from users.models import Attribute, AttributeFilter, AttributeType

RowT = TypeVar("RowT", bound=Configuration)
ItemT = TypeVar("ItemT", bound=Item)


@dataclass(frozen=True)
class Stored(Generic[RowT, ItemT]):
    """A row as it is in the database. `uses_archived`: it cannot work, because something that it names is archived."""

    row: RowT
    item: ItemT
    uses_archived: bool = False


@dataclass(frozen=True)
class Keyed(Generic[RowT, ItemT]):
    """Rows by what they stand under in the file: those that are live, and the newest of those that are archived."""

    live: dict[str, Stored[RowT, ItemT]] = field(default_factory=dict)
    archived: dict[str, Stored[RowT, ItemT]] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredParts:
    """What belongs to a points system, triggers in the order in which they count; boosts of one user are left out."""

    levels: Keyed[Level, LevelItem] = field(default_factory=Keyed)
    triggers: list[Stored[PointsTrigger, TriggerItem]] = field(default_factory=list)
    boosts: list[Stored[Boost, BoostItem]] = field(default_factory=list)


@dataclass(frozen=True)
class StoredRules:
    """All configuration that a file can have."""

    attributes: Mapping[AttributeType, Keyed[Attribute, AttributeItem]]
    metrics: Keyed[Metric, MetricItem]
    streaks: StreakItem
    achievements: Keyed[Achievement, AchievementItem]
    systems: Keyed[PointsSystem, SystemItem]
    parts: Mapping[UUID, StoredParts]

    def parts_of(self, system: PointsSystem | None) -> StoredParts:
        """Return what belongs to a points system; nothing where it is still to be made."""
        return StoredParts() if system is None else self.parts.get(system.id, StoredParts())


def read_stored() -> StoredRules:
    """Read all of it. What must not change meanwhile is for the caller to lock."""
    achievements = list(_in_order(Achievement).select_related("metric").prefetch_related(*_parts_of_achievements()))
    handles = _handles(achievements)
    return StoredRules(
        attributes=_attributes(),
        metrics=_keyed((row, row.key, _metric_item(row)) for row in _in_order(Metric)),
        streaks=_streak_item(),
        achievements=_keyed(
            (row, _name_in_archive(row) if is_archived(row) else handles[row.id], _achievement_item(row, handles))
            for row in achievements
        ),
        systems=_keyed((row, row.key, _system_item(row)) for row in _in_order(PointsSystem)),
        parts=_parts(handles),
    )


def read_stored_between_changes() -> StoredRules:
    """Read all of it until the revision is the same before and after: then no change came between the statements."""
    while True:
        before, stored = current_revision(), read_stored()
        if current_revision() == before:
            return stored


def is_archived(row: Configuration) -> bool:
    """Tell whether a row is out of the rules."""
    return bool(row.status == ConfigurationStatus.ARCHIVED)


def badge_of(row: Badged) -> str:
    """Return a badge as the file has it: the name of what was uploaded, or the address of one hosted elsewhere."""
    return row.badge.name or row.badge_url


def _in_order(model: type[RowT]) -> Any:
    return model._default_manager.order_by("created", "id")


def _filters_of(model: type[AttributeFilter]) -> "Prefetch[str, Any, Any]":
    return Prefetch("filters", model._default_manager.select_related("attribute"))


def _parts_of_achievements() -> Sequence["Prefetch[str, Any, Any]"]:
    prerequisites = AchievementPrerequisite.objects.select_related("prerequisite")
    return Prefetch("prerequisites", prerequisites), _filters_of(AchievementFilter)


def _keyed(rows: Iterable[tuple[RowT, str, tuple[ItemT, bool]]]) -> Keyed[RowT, ItemT]:
    found: Keyed[RowT, ItemT] = Keyed()
    for row, key, (item, uses_archived) in rows:
        stored = Stored(row, item, uses_archived)
        if not is_archived(row):
            found.live[key] = stored
        elif key not in found.archived or found.archived[key].row.updated <= row.updated:
            found.archived[key] = stored
    return found


def _attributes() -> dict[AttributeType, Keyed[Attribute, AttributeItem]]:
    rows = list(_in_order(Attribute))
    return {
        type_: _keyed((row, row.key, (AttributeItem(name=row.name), False)) for row in rows if row.type == type_)
        for type_ in AttributeType
    }


def _metric_item(row: Metric) -> tuple[MetricItem, bool]:
    return MetricItem(name=row.name, unit_type=UnitType(row.unit_type), units=row.units), False


def _streak_item() -> StreakItem:
    settings = StreakSettings.objects.first()
    if settings is None:
        return StreakItem()
    metrics = StreakMetric.objects.select_related("metric").order_by("metric__key")
    return StreakItem(
        frequency=Frequency(settings.frequency),
        evaluation_mode=EvaluationMode(settings.evaluation_mode),
        metrics={each.metric.key: each.threshold for each in metrics},
    )


def _handles(achievements: Iterable[Achievement]) -> dict[UUID, str]:
    """Return what each live achievement stands under: its key, else its name, numbered where that is taken."""
    live = [row for row in achievements if not is_archived(row)]
    handles = {row.id: row.key for row in live if row.key}
    taken = set(handles.values())
    for row in live:
        if row.id not in handles:
            numbered = (f"{row.name} ({number})" for number in count(2))
            handles[row.id] = (
                row.name if row.name not in taken else next(each for each in numbered if each not in taken)
            )
            taken.add(handles[row.id])
    return handles


def _name_in_archive(row: Achievement) -> str:
    return row.key or row.name


class _References:
    """Names what a row refers to. A name that says «archived» is nobody's key, so that no file can mean it."""

    def __init__(self, handles: Mapping[UUID, str]) -> None:
        self.handles = handles
        self.found_archived = False

    def key(self, row: Metric | Attribute) -> str:
        return self._marked(row, row.key)

    def optional_key(self, row: Metric | None) -> str | None:
        return None if row is None else self.key(row)

    def handle(self, row: Achievement) -> str:
        return self._marked(row, self.handles.get(row.id) or _name_in_archive(row))

    def values(self, row: Any, *, of_event: bool) -> AttributeValues:
        filters: Iterable[AttributeFilter] = row.filters.all()
        found = {self.key(each.attribute): each.value for each in filters if each.is_of_event == of_event}
        return dict(sorted(found.items()))

    def _marked(self, row: Configuration, name: str) -> str:
        if not is_archived(row):
            return name
        self.found_archived = True
        return f"{name} (archived)"


def _achievement_item(row: Achievement, handles: Mapping[UUID, str]) -> tuple[AchievementItem, bool]:
    names = _References(handles)
    item = AchievementItem(
        type=AchievementType(row.type),
        name=row.name,
        description=row.description,
        metric=names.optional_key(row.metric),
        metric_value=row.metric_value,
        streak_length=row.streak_length,
        prerequisites=sorted(names.handle(each.prerequisite) for each in row.prerequisites.all()),
        user_attributes=names.values(row, of_event=False),
        event_attributes=names.values(row, of_event=True),
        badge=badge_of(row),
        status=Achievement.status_when_restored if is_archived(row) else row.status,  # type: ignore[arg-type] # one of its three
    )
    return item, names.found_archived


def _system_item(row: PointsSystem) -> tuple[SystemItem, bool]:
    item = SystemItem(name=row.name, description=row.description, max_points=row.max_points, badge=badge_of(row))
    return item, False


def _level_item(row: Level) -> tuple[LevelItem, bool]:
    return LevelItem(name=row.name, points=row.points, description=row.description, badge=badge_of(row)), False


def _trigger(row: PointsTrigger, handles: Mapping[UUID, str]) -> Stored[PointsTrigger, TriggerItem]:
    names = _References(handles)
    item = TriggerItem(
        type=TriggerType(row.type),
        metric=names.optional_key(row.metric),
        metric_threshold=row.metric_threshold,
        streak_length=row.streak_length,
        achievement=None if row.achievement is None else names.handle(row.achievement),
        time_unit=None if row.time_unit is None else TimeUnit(row.time_unit),
        time_interval=row.time_interval,
        user_attributes=names.values(row, of_event=False),
        event_attributes=names.values(row, of_event=True),
        points=row.points,
        block_if_out_of_points=row.block_if_out_of_points,
        status=row.status,  # type: ignore[arg-type] # one of its two
    )
    return Stored(row, item, names.found_archived)


def _boost(row: Boost) -> Stored[Boost, BoostItem]:
    names = _References({})
    item = BoostItem(
        name=row.name,
        start=row.start,
        end=row.end,
        multiplier=row.multiplier,
        rounding=Rounding(row.rounding),
        user_attributes=names.values(row, of_event=False),
        status=row.status,  # type: ignore[arg-type] # one of its two
    )
    return Stored(row, item, names.found_archived)


def _parts(handles: Mapping[UUID, str]) -> dict[UUID, StoredParts]:
    """Return what belongs to each points system, also to one that is archived: it may be restored."""
    levels, triggers, boosts = _in_order(Level), _in_order(PointsTrigger), _in_order(Boost).filter(external_id=None)
    triggers = triggers.exclude(status=ConfigurationStatus.ARCHIVED).select_related("metric", "achievement")
    boosts = boosts.exclude(status=ConfigurationStatus.ARCHIVED).prefetch_related(_filters_of(BoostFilter))
    by_system: dict[UUID, list[Level]] = {}
    for level in levels:
        by_system.setdefault(level.system_id, []).append(level)
    found = {
        system: StoredParts(levels=_keyed((row, row.key, _level_item(row)) for row in rows))
        for system, rows in by_system.items()
    }
    for trigger in triggers.prefetch_related(_filters_of(TriggerFilter)):
        found.setdefault(trigger.system_id, StoredParts()).triggers.append(_trigger(trigger, handles))
    for boost in boosts:
        found.setdefault(boost.system_id, StoredParts()).boosts.append(_boost(boost))
    return found
