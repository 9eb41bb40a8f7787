"""Carrying out one operation, by the services that the admin and the Admin API use too."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import accumulate, count, takewhile
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils import timezone

from achievements.models import AchievementStatus
from achievements.rules import AchievementType
from achievements.services import create_achievement, update_achievement
from boosts.models import Boost, BoostStatus
from boosts.services import activate_boosts, create_boost, create_live_boost, update_boost
from config.rule_file.operations import Operation, Verb
from config.rule_file.rows import Rows, made
from config.rule_file.schema import Kind, LevelItem
from core.history import note
from core.models import Configuration
from core.services import archive, create_checked, messages_by_field, restore, update_checked
from levels.models import Level
from levels.services import create_level, update_level
from levels.services import make_room as make_room_for_levels
from metrics.models import Metric
from points.models import PointsTrigger
from points.services import create_system, create_trigger, update_trigger
from streaks.models import StreakSettings
from streaks.services import update_settings
from users.models import AttributeType
from users.services import create_attribute


def write(operation: Operation, rows: Rows) -> None:
    """Do it. Raises ValidationError where it cannot be, NotMadeError where something that it needs could not be."""
    if operation.verb == Verb.ARCHIVE:
        archive(row=_stored(operation))
    elif operation.verb == Verb.ORDER:
        _order_triggers(_in_file_order(operation.place, rows))
    else:
        rows.add(operation, WRITERS[operation.kind](operation, rows))


def make_room(operations: Sequence[Operation]) -> None:
    """Move levels out of the way whose points another level gets before they have their own new ones."""
    of_levels = [each for each in operations if isinstance(each.item, LevelItem) and each.verb != Verb.ARCHIVE]
    moving = [each.row for each in of_levels if each.row and any(change.name == "points" for change in each.changes)]
    wanted = [each.item.points for each in of_levels if isinstance(each.item, LevelItem)]
    make_room_for_levels([row for row in moving if isinstance(row, Level)], wanted)


def _stored(operation: Operation) -> Any:
    """Return the row, read again: what it refers to may have been brought back from the archive meanwhile."""
    if operation.row is None:
        raise ValueError(f"{operation.place} has no row to {operation.verb}")
    return type(operation.row)._default_manager.get(pk=operation.row.pk)


def _write_attribute(type_: AttributeType) -> Callable[[Operation, Rows], Any]:
    def write_attribute(operation: Operation, rows: Rows) -> Any:
        fields = rows.keywords(operation)
        if operation.verb == Verb.CREATE:
            return create_attribute(key=operation.key, type=type_, **fields)
        return update_checked(_stored(operation), **_restored(operation), **fields)

    return write_attribute


def _write_metric(operation: Operation, rows: Rows) -> Any:
    fields = rows.keywords(operation)
    if operation.verb == Verb.CREATE:
        return create_checked(Metric, key=operation.key, **fields)
    return update_checked(_stored(operation), **_restored(operation), **fields)


def _write_system(operation: Operation, rows: Rows) -> Any:
    fields = rows.keywords(operation)
    if operation.verb == Verb.CREATE:
        return create_system(key=operation.key, **fields)
    return update_checked(_stored(operation), **_restored(operation), **fields)


def _write_level(operation: Operation, rows: Rows) -> Level:
    fields = rows.keywords(operation)
    if operation.verb == Verb.CREATE:
        return create_level(system=made(rows.systems, operation.owner), key=operation.key, **fields)
    return update_level(level=_stored(operation), **_restored(operation), **fields)


def _restored(operation: Operation) -> dict[str, Any]:
    """Return the fields that bring an archived row back, together with what changes: only both need to be valid."""
    return _stored(operation).fields_when_restored() if operation.verb == Verb.RESTORE else {}


def _write_trigger(operation: Operation, rows: Rows) -> PointsTrigger:
    fields = rows.keywords(operation)
    if operation.verb == Verb.CREATE:
        return create_trigger(system=made(rows.systems, operation.owner), **fields)
    return update_trigger(trigger=_stored(operation), **fields)


def _write_achievement(operation: Operation, rows: Rows) -> Configuration:
    fields = rows.keywords(operation)
    if "type" in fields:
        fields["key"] = operation.key if fields["type"] == AchievementType.API.value else None
    if operation.verb == Verb.CREATE:
        first, *later = _statuses(AchievementStatus.INACTIVE, fields.pop("status"))
        achievement = create_achievement(status=first, **fields)
    else:
        achievement = _stored(operation)
        if operation.verb == Verb.RESTORE:
            restore(row=achievement)
        first, *later = _statuses(achievement.status, fields.pop("status", achievement.status))
        update_achievement(achievement=achievement, status=first, **fields)
    for status in later:
        update_achievement(achievement=achievement, status=status)
    return achievement


def _statuses(old: str, new: str) -> list[str]:
    """Return by which statuses one becomes the other: what is locked was active before, be it for no time at all."""
    is_locked_at_once = (old, new) == (AchievementStatus.INACTIVE, AchievementStatus.LOCKED)
    return [AchievementStatus.ACTIVE, new] if is_locked_at_once else [new]


def _write_boost(operation: Operation, rows: Rows) -> Boost:
    fields = rows.keywords(operation)
    status = fields.pop("status", None)
    if operation.verb == Verb.CREATE:
        create = create_live_boost if status == BoostStatus.ACTIVE else create_boost
        return create(system=made(rows.systems, operation.owner), **fields)
    boost = update_boost(boost=_stored(operation), **fields)
    if status == BoostStatus.INACTIVE:
        raise ValidationError({"status": "cannot become inactive again: finish the boost, or give it an end."})
    if status == BoostStatus.ACTIVE:
        activate_boosts(boosts=Boost.objects.filter(id=boost.id))
    return boost


def _write_streaks(operation: Operation, rows: Rows) -> StreakSettings:
    fields = rows.keywords(operation)
    metrics = fields.pop("metrics", None)
    counted = None if metrics is None else [(made(rows.metrics, key), threshold) for key, threshold in metrics.items()]
    try:
        return update_settings(metrics=counted, **fields)
    except ValidationError as error:
        places = {f"metrics[{index}].threshold": f"metrics.{key}" for index, key in enumerate(metrics or ())}
        found = messages_by_field(error).items()
        raise ValidationError({places.get(name, name): texts for name, texts in found}) from error


WRITERS: Final[dict[Kind, Callable[[Operation, Rows], Any]]] = {
    Kind.USER_ATTRIBUTE: _write_attribute(AttributeType.USER),
    Kind.EVENT_ATTRIBUTE: _write_attribute(AttributeType.EVENT),
    Kind.METRIC: _write_metric,
    Kind.STREAKS: _write_streaks,
    Kind.ACHIEVEMENT: _write_achievement,
    Kind.SYSTEM: _write_system,
    Kind.LEVEL: _write_level,
    Kind.TRIGGER: _write_trigger,
    Kind.BOOST: _write_boost,
}


def _in_file_order(place: str, rows: Rows) -> list[PointsTrigger]:
    """Return the triggers of the list at `place`, in its order."""
    places = takewhile(rows.by_place.__contains__, (f"{place}[{index}]" for index in count()))
    return [rows.by_place[each] for each in places]


def _order_triggers(triggers: Sequence[PointsTrigger]) -> None:
    """Let these triggers count in this order: they exchange their times of creation, by which triggers count."""
    times = accumulate(
        sorted(trigger.created for trigger in triggers),
        lambda before, time: max(time, before + timedelta(microseconds=1)),
    )
    for trigger, created in zip(triggers, times, strict=True):
        if trigger.created != created:
            PointsTrigger.objects.filter(id=trigger.id).update(created=created, updated=timezone.now())
            note(trigger, "Order of triggers changed")
