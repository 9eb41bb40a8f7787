"""Finding users among a million: by the beginning of the ID, email or name, whatever the case, each by its index."""

from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet, Value
from django.db.models.functions import Collate, Upper

from users.models import EndUser

FOUND_MAX: Final = 100
"""How many users are found by each column at most: whoever gets as many types more of what they look for."""


def find_users(users: QuerySet[EndUser], term: str, *, all_: bool = False) -> QuerySet[EndUser]:
    """Return those of `users` whose ID, email or name begins with `term`, or whose Pointsmith ID it is.

    At most FOUND_MAX by each column, the first in the order of the alphabet, unless all are wanted: each is found by
    walking along its index. One condition with OR would have the planner guess how many match, and read a million
    rows from the newest on where those that match are all old.
    """
    parts = [_ids_by(column, term, all_=all_) for column in ("external_id", "email", "name")]
    if (id_ := _uuid(term)) is not None:
        parts.append(EndUser.objects.filter(id=id_).values("id"))
    return users.filter(id__in=parts[0].union(*parts[1:], all=True))


def _ids_by(column: str, term: str, *, all_: bool) -> QuerySet[EndUser, Any]:
    """Return the ids of users by the index on `column`, whose expression this is."""
    # As the column's own collation turns letters: an ID's knows those of ASCII alone.
    wanted = Collate(Value(term), "C") if column == "external_id" else Value(term)
    found = EndUser.objects.annotate(found_by=Collate(Upper(column), "C")).filter(found_by__startswith=Upper(wanted))
    ids = found.values("id")
    return ids if all_ else ids.order_by("found_by")[:FOUND_MAX]


def _uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None
