"""What operators do with points systems and triggers."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.models import ConfigurationStatus
from core.services import create_checked, messages_by_field, update_checked
from metrics.rules import canonical_filter
from points.models import (
    FILTER_LENGTH_MAX,
    TRIGGER_FIELDS,
    PointsSystem,
    PointsTrigger,
    TriggerFilter,
    TriggerStatus,
    TriggerType,
)
from users.models import Attribute, AttributeType

Filters = Sequence[tuple[Attribute, str]]
"""Attributes and the values that they must have."""


@transaction.atomic
def create_trigger(
    *,
    system: PointsSystem,
    user_filters: Filters = (),
    event_filters: Filters = (),
    **fields: Any,
) -> PointsTrigger:
    """Store a trigger with its filters. Raises ValidationError by field; nothing is stored then."""
    trigger = create_checked(PointsTrigger, system=system, **fields)
    check_filters(trigger.type, user_filters, event_filters)
    _replace_filters(trigger, "user_filters", AttributeType.USER, user_filters)
    _replace_filters(trigger, "event_filters", AttributeType.EVENT, event_filters)
    return trigger


@transaction.atomic
def update_trigger(
    *,
    trigger: PointsTrigger,
    user_filters: Filters | None = None,
    event_filters: Filters | None = None,
    **fields: Any,
) -> PointsTrigger:
    """Change a trigger; filters that are given replace its own. Raises ValidationError by field."""
    new_type = fields.get("type", trigger.type)
    if new_type != trigger.type:
        check_type_change(trigger.type, new_type, trigger.status)
        fields = dict.fromkeys(_fields_of_other_types(new_type)) | fields
    update_checked(trigger, **fields)
    user, event = _filters_of(trigger)
    check_filters(
        new_type, user if user_filters is None else user_filters, event if event_filters is None else event_filters
    )
    if user_filters is not None:
        _replace_filters(trigger, "user_filters", AttributeType.USER, user_filters)
    if event_filters is not None:
        _replace_filters(trigger, "event_filters", AttributeType.EVENT, event_filters)
    return trigger


def _fields_of_other_types(type_: str) -> set[str]:
    return {field for fields in TRIGGER_FIELDS.values() for field in fields} - set(TRIGGER_FIELDS[type_])


def activate_triggers(*, triggers: QuerySet[PointsTrigger]) -> int:
    """Make inactive triggers pay from the next event on; return how many. Raises ValidationError for one that cannot.

    All or none are activated.
    """
    inactive = triggers.filter(status=TriggerStatus.INACTIVE)
    for trigger in inactive.select_related("metric", "system"):
        _check_can_pay(trigger)
    return inactive.update(status=TriggerStatus.ACTIVE, updated=timezone.now())


def deactivate_triggers(*, triggers: QuerySet[PointsTrigger]) -> int:
    """Stop active triggers from the next event on; return how many."""
    active = triggers.filter(status=TriggerStatus.ACTIVE)
    return active.update(status=TriggerStatus.INACTIVE, updated=timezone.now())


def check_type_change(old_type: str, new_type: str, status: str) -> None:
    """Raise ValidationError where a trigger of this status cannot become one of another type."""
    if new_type != old_type and status == TriggerStatus.ACTIVE:
        raise ValidationError({"type": "can be changed only while the trigger is inactive."})


def check_filters(trigger_type: str, user_filters: Filters, event_filters: Filters) -> None:
    """Raise ValidationError where a trigger of this type cannot have these filters."""
    _check_attributes("user_filters", AttributeType.USER, user_filters)
    _check_attributes("event_filters", AttributeType.EVENT, event_filters)
    if event_filters and trigger_type != TriggerType.METRIC:
        raise ValidationError({"event_filters": "are possible only for a metric trigger."})
    if len(canonical_filter({attribute.key: value for attribute, value in event_filters})) > FILTER_LENGTH_MAX:
        raise ValidationError({"event_filters": f"can have {FILTER_LENGTH_MAX} characters in all."})


def _check_attributes(field: str, type_: str, filters: Filters) -> None:
    attributes = [attribute for attribute, _ in filters]
    if len(set(attributes)) < len(attributes):
        raise ValidationError({field: "can have each attribute only once."})
    for attribute in attributes:
        if attribute.status == ConfigurationStatus.ARCHIVED:
            raise ValidationError({field: f"cannot have «{attribute}», which is archived: restore it first."})
        if attribute.type != type_:
            raise ValidationError({field: f"cannot have «{attribute}», which is an attribute of another type."})


def _check_can_pay(trigger: PointsTrigger) -> None:
    try:
        trigger.full_clean()
        check_filters(trigger.type, *_filters_of(trigger))
    except ValidationError as error:
        raise ValidationError(f"«{trigger}» cannot be activated: {' '.join(error.messages)}") from error
    if trigger.system.status == ConfigurationStatus.ARCHIVED:
        raise ValidationError(f"«{trigger}» cannot be activated: its points system is archived.")


def _filters_of(trigger: PointsTrigger) -> tuple[Filters, Filters]:
    """Return the trigger's filters by the user's and by the event's attributes."""
    filters = list(trigger.filters.select_related("attribute"))
    user = [(each.attribute, each.value) for each in filters if not each.is_of_event]
    return user, [(each.attribute, each.value) for each in filters if each.is_of_event]


def _replace_filters(trigger: PointsTrigger, field: str, type_: str, filters: Filters) -> None:
    trigger.filters.filter(attribute__type=type_).delete()
    for attribute, value in filters:
        try:
            create_checked(TriggerFilter, trigger=trigger, attribute=attribute, value=value)
        except ValidationError as error:
            raise ValidationError({field: f"«{attribute}»: {' '.join(error.messages)}"}) from error


@transaction.atomic
def create_system(*, triggers: Sequence[dict[str, Any]] = (), **fields: Any) -> PointsSystem:
    """Store a points system with its triggers: all of it or nothing. Raises ValidationError by field."""
    system = create_checked(PointsSystem, **fields)
    for index, trigger in enumerate(triggers):
        try:
            create_trigger(system=system, **trigger)
        except ValidationError as error:
            found = messages_by_field(error)
            raise ValidationError({f"triggers[{index}].{name}": texts for name, texts in found.items()}) from error
    return system
