"""`ETag` and `If-Match`: who read rules and writes them back can ask that nobody has changed them in between."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Max, Model, QuerySet
from rest_framework.request import Request

from api.errors import ApiError
from core.versions import changes_since, in_sentences, versions_of, with_versions

ROWS_TOLD_MAX: Final = 5
"""Of how many rows an error tells the changes."""

ROWS_NAMED_MAX: Final = 100
"""How many rows an ETag names one by one, so that it fits into any proxy's headers."""

# A proxy that compresses answers makes an ETag weak; it still names one version.
_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18}(?:\+[0-9]{1,18})*)"')
_NOT_FROM_HERE: Final = "If-Match is not the ETag of an answer from here: read it again."


def etag(up_to: int, named: Iterable[int] = ()) -> dict[str, str]:
    """Return the header that names a row's or a list's newest change by its number, and later ones of single rows."""
    return {"ETag": '"' + "+".join(str(version) for version in (up_to, *named)) + '"'}


def newest_version(rows: QuerySet[Any]) -> int:
    """Return the version of a list: the number of the newest change of any row, archived ones included."""
    newest: int | None = with_versions(rows).aggregate(newest=Max("version"))["newest"]
    return newest or 0


@dataclass(frozen=True)
class _Seen:
    """What a caller has seen: every change up to a number, and some later ones, each of which made a row what it is.

    Since one sequence numbers all changes, the number of a row's newest change is no other row's.
    """

    up_to: int = 0
    named: frozenset[int] = frozenset()

    def has(self, version: int) -> bool:
        """Tell whether a row of this version is as it was seen."""
        return version <= self.up_to or version in self.named


class Precondition:
    """What `If-Match` asks for: that the rows that a call names are as they were seen. Else nothing is done.

    All changes are numbered by one sequence, so the ETag of a list holds for each of its rows, too.
    """

    def __init__(self, request: Request) -> None:
        self._seen = _seen(request.headers.get("If-Match"))
        self._own: dict[Any, int] = {}
        self._late: list[str] = []

    def check(self, rows: QuerySet[Any], among: QuerySet[Any]) -> None:
        """Raise ApiError where one of `rows`, which are among those of a list, was changed."""
        if self._seen is None:
            return
        if max(self._seen.named) > newest_version(among):
            raise ApiError(412, _NOT_FROM_HERE)
        changed = with_versions(rows).filter(version__gt=self._seen.up_to).exclude(version__in=self._seen.named)
        if told := list(changed[:ROWS_TOLD_MAX]):
            raise ApiError(412, _told(told, self._seen.up_to))

    def check_locked(self, rows: Sequence[Any]) -> None:
        """Raise ApiError where somebody else was faster between `check` and the locks of these rows."""
        if self._seen is None or not rows:
            return
        versions = versions_of(type(rows[0]), [row.pk for row in rows])
        others = [row for row in rows if versions[row.pk] != self._own.get(row.pk)]
        if changed := [row for row in others if not self._seen.has(versions[row.pk])]:
            self._late.append(_told(changed, self._seen.up_to))
            raise ApiError(412, self._late[-1])

    def check_none_was_faster(self) -> None:
        """Raise ApiError where `check_locked` refused a row: for a call of which nothing was done."""
        if self._late:
            raise ApiError(412, self._late[0])

    def note_own(self, model: type[Model], keys: Collection[Any]) -> None:
        """Note that the call itself has made these rows what they are; nobody else can change them yet."""
        self._own |= versions_of(model, keys)

    def etag_after(self, rows: QuerySet[Any]) -> dict[str, str]:
        """Return the header for the answer to the change of some rows of a list.

        It names the newest change of the list if the caller has seen all of them: those that `If-Match` names, and the
        call's own. Else it names these alone, so that it hides nothing that others have changed.
        """
        seen = self._seen or _Seen()
        later = list(with_versions(rows).filter(version__gt=seen.up_to).values_list("version", flat=True))
        known = sorted(seen.named.union(self._own.values()).intersection(later))
        if len(known) == len(later):
            return etag(max(later, default=seen.up_to))
        return etag(seen.up_to, known[-ROWS_NAMED_MAX:])


def _seen(header: str | None) -> _Seen | None:
    """Return what the header says was seen; None if anything goes. Raises ApiError.

    Of several ETags only what is older than each of them was surely seen; a later row has to be one that they name.
    """
    if header is None or header.strip() == "*":
        return None
    found = [_ETAG.fullmatch(part.strip()) for part in header.split(",")]
    if not all(found):
        raise ApiError(412, _NOT_FROM_HERE)
    versions = [[int(number) for number in each[1].split("+")] for each in found if each]
    return _Seen(min(first for first, *_ in versions), frozenset(number for each in versions for number in each))


def _told(rows: Sequence[Any], since: int) -> str:
    changes = [f"«{row}»: {text}" for row in rows for text in in_sentences(changes_since(row, since))]
    return " ".join(["This was changed since you read it.", *changes])
