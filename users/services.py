"""What operators do with filters by attributes, whatever they filter for."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError

from core.models import ConfigurationStatus
from core.services import create_checked
from users.models import Attribute, AttributeFilter, AttributeType

Filters = Sequence[tuple[Attribute, str]]
"""Attributes and the values that they must have."""

FIELD_OF_TYPE = {AttributeType.USER: "user_filters", AttributeType.EVENT: "event_filters"}
"""What the services call the filters by the user's and by the event's attributes."""


def check_attributes(type_: AttributeType, filters: Filters) -> None:
    """Raise ValidationError where these cannot be filters by attributes of this type."""
    field = FIELD_OF_TYPE[type_]
    attributes = [attribute for attribute, _ in filters]
    if len(set(attributes)) < len(attributes):
        raise ValidationError({field: "can have each attribute only once."})
    for attribute in attributes:
        if attribute.status == ConfigurationStatus.ARCHIVED:
            raise ValidationError({field: f"cannot have «{attribute}», which is archived: restore it first."})
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
