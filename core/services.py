"""What operators do with any configuration."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any, TypeVar, cast

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction

from core.models import Configuration, ConfigurationStatus

Row = TypeVar("Row", bound=models.Model)


def create_checked(model: type[Row], **fields: Any) -> Row:
    """Store a new row. Raises ValidationError by field where it is not valid; nothing is stored then."""
    row = model(**fields)
    row.full_clean()
    row.save(force_insert=True)
    return row


def update_checked(row: Row, **fields: Any) -> Row:
    """Change the fields given of a row that the caller has locked. Raises ValidationError where they are not valid."""
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    row.save(update_fields=[*fields, "updated"])
    return row


@transaction.atomic
def archive(*, row: Configuration) -> None:
    """Take a row out of the rules; its past stays. Raises ValidationError, naming them, where active rows use it."""
    users = list(active_users_of(row))
    if users:
        names = "; ".join(str(user) for user in users[:5]) + ("; …" if len(users) > 5 else "")
        raise ValidationError(f"«{row}» cannot be archived: it is used by {names}.")
    row.status = ConfigurationStatus.ARCHIVED
    row.save(update_fields=["status", "updated"])


@transaction.atomic
def restore(*, row: Configuration) -> None:
    """Bring an archived row back. Raises ValidationError where another has taken its key meanwhile."""
    update_checked(row, **row.fields_when_restored())


def active_users_of(row: Configuration) -> Iterator[Configuration]:
    """Yield the active configuration that needs this row.

    A model says which of its references are needs by `needs`, and by `needed_for` whose part it is (None: its own).
    What is no configuration itself, such as settings, is always in use.
    """
    for relation in row._meta.related_objects:
        model, field = relation.related_model, relation.field.name
        if field in getattr(model, "needs", ()):
            owner = getattr(model, "needed_for", None)
            owner_model = model._meta.get_field(owner).related_model if owner else model
            found = model._default_manager.filter(**{field: row})
            if isinstance(owner_model, type) and issubclass(owner_model, Configuration):
                found = found.filter(**{f"{owner}__status" if owner else "status": ConfigurationStatus.ACTIVE})
            yield from (cast(Configuration, getattr(each, owner) if owner else each) for each in found)


def shared_beginning(stored: Sequence[Any], wanted: Sequence[Any]) -> int:
    """Return how many rows of a list can stay as they are, so that the history tells only of those that change."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(stored, wanted, strict=False))))


def check_type_change(old_type: str, new_type: str, *, is_inactive: bool, what: str) -> None:
    """Raise ValidationError where `what` cannot become one of another type."""
    if new_type != old_type and not is_inactive:
        raise ValidationError({"type": f"can be changed only while the {what} is inactive."})


def messages_by_field(error: ValidationError) -> dict[str, list[str]]:
    """Return an error's messages by field; those of no field are under NON_FIELD_ERRORS."""
    return error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}


def sentences_of(error: ValidationError) -> str:
    """Return an error's messages as sentences with a subject, which for those of a field is its name."""
    found = messages_by_field(error)
    return " ".join(_sentence(field, text) for field, texts in found.items() for text in texts)


def _sentence(field: str, text: str) -> str:
    if field == NON_FIELD_ERRORS or text.startswith("«"):  # it says already what it is about
        return text
    return f"{field.replace('_', ' ')}{' ' if text[:1].islower() else ': '}{text}"
