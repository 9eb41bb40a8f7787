"""What operators do with points systems and triggers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, F, QuerySet, Value, When
from django.utils import timezone

from core.models import ConfigurationStatus
from core.services import check_type_change, create_checked, messages_by_field, sentences_of, update_checked
from metrics.services import check_filters as check_filters_of
from points.models import (
    TRIGGER_FIELDS,
    TYPED_FIELDS,
    PointsSystem,
    PointsTrigger,
    TriggerFilter,
    TriggerStatus,
    TriggerType,
)
from users.models import AttributeType
from users.services import Filters, filters_of, replace_filters

CLOCK_FIELDS: Final = ("type", "time_unit", "time_interval")
"""A change of one of these starts an active time trigger's count anew."""


@transaction.atomic
def create_trigger(
    *,
    system: PointsSystem,
    user_filters: Filters = (),
    event_filters: Filters = (),
    **fields: Any,
) -> PointsTrigger:
    """Store a trigger with its filters. Raises ValidationError by field; nothing is stored then."""
    started = clock_start(fields.get("type"), fields.get("status"))
    trigger = create_checked(PointsTrigger, system=system, time_started=started, **fields)
    check_filters(trigger.type, user_filters, event_filters)
    replace_filters(TriggerFilter, trigger, AttributeType.USER, user_filters)
    replace_filters(TriggerFilter, trigger, AttributeType.EVENT, event_filters)
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
        is_inactive = trigger.status == TriggerStatus.INACTIVE
        check_type_change(trigger.type, new_type, is_inactive=is_inactive, what="trigger")
        fields = dict.fromkeys(_fields_of_other_types(new_type)) | fields
    new_status = fields.get("status", trigger.status)
    if new_status != trigger.status or any(
        getattr(trigger, name) != fields.get(name, getattr(trigger, name)) for name in CLOCK_FIELDS
    ):
        fields["time_started"] = clock_start(new_type, new_status)
    update_checked(trigger, **fields)
    user, event = filters_of(trigger)
    check_filters(
        new_type, user if user_filters is None else user_filters, event if event_filters is None else event_filters
    )
    if user_filters is not None:
        replace_filters(TriggerFilter, trigger, AttributeType.USER, user_filters)
    if event_filters is not None:
        replace_filters(TriggerFilter, trigger, AttributeType.EVENT, event_filters)
    return trigger


def _fields_of_other_types(type_: str) -> set[str]:
    return set(TYPED_FIELDS) - set(TRIGGER_FIELDS[type_])


def clock_start(type_: str | None, status: str | None) -> datetime | None:
    """Return from when a trigger counts its interval that is given this type and status now; None if it does not."""
    return timezone.now() if type_ == TriggerType.TIME and status == TriggerStatus.ACTIVE else None


@transaction.atomic
def activate_triggers(*, triggers: QuerySet[PointsTrigger]) -> int:
    """Make inactive triggers pay from the next event on; return how many. Raises ValidationError for one that cannot.

    All or none are activated.
    """
    # Locked, so that what is activated is what was checked.
    inactive = triggers.filter(status=TriggerStatus.INACTIVE).select_for_update(of=("self",), no_key=True)
    checked = list(inactive.select_related("metric", "achievement", "system"))
    for trigger in checked:
        _check_can_pay(trigger)
    now = timezone.now()
    started = Case(When(type=TriggerType.TIME, then=Value(now)), default=F("time_started"))
    rows = PointsTrigger.objects.filter(id__in=[trigger.id for trigger in checked])
    return rows.update(status=TriggerStatus.ACTIVE, time_started=started, updated=now)


def deactivate_triggers(*, triggers: QuerySet[PointsTrigger]) -> int:
    """Stop active triggers from the next event on; return how many."""
    active = triggers.filter(status=TriggerStatus.ACTIVE)
    return active.update(status=TriggerStatus.INACTIVE, time_started=None, updated=timezone.now())


def check_filters(trigger_type: str, user_filters: Filters, event_filters: Filters) -> None:
    """Raise ValidationError where a trigger of this type cannot have these filters."""
    is_metric = trigger_type == TriggerType.METRIC
    check_filters_of(user_filters=user_filters, event_filters=event_filters, of_metric=is_metric, what="trigger")


def _check_can_pay(trigger: PointsTrigger) -> None:
    try:
        trigger.full_clean()
        check_filters(trigger.type, *filters_of(trigger))
    except ValidationError as error:
        raise ValidationError(f"«{trigger}» cannot be activated: {sentences_of(error)}") from error
    if trigger.system.status == ConfigurationStatus.ARCHIVED:
        raise ValidationError(f"«{trigger}» cannot be activated: its points system is archived.")


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
