"""What operators do with attributes, and with filters by them, whatever they filter for."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from core.services import create_checked
from users.models import (
    Attribute,
    AttributeEmptying,
    AttributeFilter,
    AttributeStatus,
    AttributeType,
)

Filters = Sequence[tuple[Attribute, str]]
"""Attributes and the values that they must have."""

FIELD_OF_TYPE = {AttributeType.USER: "user_filters", AttributeType.EVENT: "event_filters"}
"""What the services call the filters by the user's and by the event's attributes."""


@transaction.atomic
def create_attribute(*, begin_empty: bool = False, **fields: Any) -> Attribute:
    """Make an attribute. Raises ValidationError where it is not valid.

    What is stored under a key that was archived would match the new attribute's filters. So it is refused, unless it is
    to `begin_empty`: then the workers remove that first, and the attribute is active when they are done.
    """
    archived = archived_attribute(fields["type"], fields["key"])
    if archived is None:
        return create_checked(Attribute, **fields)
    if not begin_empty:
        raise ValidationError(
            {
                "key": f"belongs to «{archived}», which was archived (ID {archived.id}): restore that in the admin, or "
                "begin empty (?beginEmpty=true), which removes for ever what is stored under the key."
            }
        )
    attribute = create_checked(Attribute, status=AttributeStatus.EMPTYING, **fields)
    begin_emptying(attribute)
    return attribute


def archived_attribute(type_: str, key: str) -> Attribute | None:
    """Return the attribute that was archived last with this key, if there is one."""
    archived = Attribute.objects.filter(type=type_, key=key, status=AttributeStatus.ARCHIVED)
    return archived.order_by("updated", "id").last()


def begin_emptying(attribute: Attribute) -> None:
    """Have the workers remove what is stored under the key of a new attribute."""
    AttributeEmptying.objects.create(attribute=attribute, created=timezone.now())


def check_attributes(type_: AttributeType, filters: Filters) -> None:
    """Raise ValidationError where these cannot be filters by attributes of this type."""
    field = FIELD_OF_TYPE[type_]
    attributes = [attribute for attribute, _ in filters]
    if len(set(attributes)) < len(attributes):
        raise ValidationError({field: "can have each attribute only once."})
    for attribute in attributes:
        if attribute.status == AttributeStatus.ARCHIVED:
            raise ValidationError({field: f"cannot have «{attribute}», which is archived: restore it first."})
        if attribute.status == AttributeStatus.EMPTYING:
            raise ValidationError({field: f"cannot have «{attribute}» yet, which is being emptied: wait until it is."})
        if attribute.type != type_:
            raise ValidationError({field: f"cannot have «{attribute}», which is an attribute of another type."})


def filters_of(owner: Any) -> tuple[Filters, Filters]:
    """Return the filters of a trigger, achievement or boost by the user's and by the event's attributes."""
    filters = list(owner.filters.select_related("attribute"))
    user = [(each.attribute, each.value) for each in filters if not each.is_of_event]
    return user, [(each.attribute, each.value) for each in filters if each.is_of_event]


def replace_filters(model: type[AttributeFilter], owner: Any, type_: AttributeType, filters: Filters) -> None:
    """Make `filters` the owner's by attributes of this type; `model.needed_for` is the model's field for the owner.

    Those that it has already stay, so that the history tells only of what changed.
    """
    wanted = {attribute.id: value for attribute, value in filters}
    kept = set()
    for each in owner.filters.filter(attribute__type=type_):
        if wanted.get(each.attribute_id) == each.value:
            kept.add(each.attribute_id)
        else:
            each.delete()
    for attribute, value in filters:
        if attribute.id in kept:
            continue
        try:
            create_checked(model, **{model.needed_for: owner, "attribute": attribute, "value": value})
        except ValidationError as error:
            field = FIELD_OF_TYPE[type_]
            raise ValidationError({field: f"«{attribute}»: {' '.join(error.messages)}"}) from error
