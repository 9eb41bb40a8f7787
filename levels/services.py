"""What operators do with levels."""

from collections.abc import Collection
from typing import Any, Final

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import UniqueConstraint

from core.services import create_checked, messages_by_field, update_checked
from levels.models import Level
from points.rules import POINTS_LIMIT

TAKEN: Final = {
    constraint.violation_error_message: constraint.fields[-1]
    for constraint in Level._meta.constraints
    if isinstance(constraint, UniqueConstraint)
}
"""The field that each constraint over several says is taken."""


def create_level(**fields: Any) -> Level:
    """Store a level. Raises ValidationError by field; nothing is stored then."""
    try:
        return create_checked(Level, **fields)
    except ValidationError as error:
        raise _by_field(error) from error


def update_level(*, level: Level, **fields: Any) -> Level:
    """Change the fields given of a level that the caller has locked. Raises ValidationError by field."""
    try:
        return update_checked(level, **fields)
    except ValidationError as error:
        raise _by_field(error) from error


def make_room(levels: Collection[Level], wanted: Collection[int] = ()) -> None:
    """Move levels out of the way whose points others get before these have their new ones. Needs a transaction.

    `wanted` are points that levels get and none has yet.
    """
    taken = {*wanted, *Level.objects.values_list("points", flat=True)}
    free = (points for points in range(POINTS_LIMIT, 0, -1) if points not in taken)
    for level in levels:
        # Past the history: nobody decided these points, and the level gets its own in this transaction.
        Level._base_manager.filter(id=level.id).update(points=next(free))


def _by_field(error: ValidationError) -> ValidationError:
    messages = messages_by_field(error)
    for text in messages.pop(NON_FIELD_ERRORS, []):
        messages.setdefault(TAKEN.get(text, NON_FIELD_ERRORS), []).append(text)
    return ValidationError(messages)
