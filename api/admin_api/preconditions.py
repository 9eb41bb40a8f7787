"""`ETag` and `If-Match`: who read rules and writes them back can ask that nobody has changed them in between."""

import re
from collections.abc import Sequence
from typing import Any, Final

from django.db.models import Max, QuerySet
from rest_framework.request import Request

from api.errors import ApiError, invalid
from core.versions import changes_since, in_sentences, versions_of, with_versions

ROWS_TOLD_MAX: Final = 5
"""Of how many rows an error tells the changes."""

# A proxy that compresses answers makes an ETag weak; it still names one version.
_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})"')


def etag(version: int) -> dict[str, str]:
    """Return the header that names a version, which is the number of a row's or a list's newest change."""
    return {"ETag": f'"{version}"'}


def newest_version(rows: QuerySet[Any]) -> int:
    """Return the version of a list: the number of the newest change of any row, archived ones included."""
    newest: int | None = with_versions(rows).aggregate(newest=Max("version"))["newest"]
    return newest or 0


class Precondition:
    """What `If-Match` asks for: that the rows that a call names are as they were at a version. Else nothing is done.

    All changes are numbered by one sequence, so the ETag of a list holds for each of its rows, too.
    """

    def __init__(self, request: Request) -> None:
        self._since = _since(request.headers.get("If-Match"))
        self._own: dict[Any, int] = {}

    def check(self, rows: QuerySet[Any], among: QuerySet[Any]) -> None:
        """Raise ApiError where one of `rows`, which are among those of a list, was changed."""
        if self._since is None:
            return
        if self._since > newest_version(among):
            raise ApiError(412, "If-Match is not the ETag of an answer from here: read it again.")
        if changed := with_versions(rows).filter(version__gt=self._since)[:ROWS_TOLD_MAX]:
            raise ApiError(412, _told(list(changed), self._since))

    def check_locked(self, rows: Sequence[Any]) -> None:
        """Raise ApiError where somebody else was faster between `check` and the locks of these rows."""
        if self._since is None or not rows:
            return
        versions = versions_of(type(rows[0]), [row.pk for row in rows])
        if changed := [row for row in rows if versions[row.pk] > self._own.get(row.pk, self._since)]:
            raise invalid(_told(changed, self._since))

    def note_own(self, rows: Sequence[Any]) -> None:
        """Note that the call itself has changed these rows, which are still locked."""
        if self._since is not None and rows:
            self._own |= versions_of(type(rows[0]), [row.pk for row in rows])


def _since(header: str | None) -> int | None:
    """Return the version that the header names, the newest of several; None where anything goes. Raises ApiError."""
    if header is None or header.strip() == "*":
        return None
    named = [_ETAG.fullmatch(part.strip()) for part in header.split(",")]
    if not all(named):
        raise ApiError(412, "If-Match is not the ETag of an answer from here: read it again.")
    return max(int(each[1]) for each in named if each)


def _told(rows: Sequence[Any], since: int) -> str:
    changes = [f"«{row}»: {text}" for row in rows for text in in_sentences(changes_since(row, since))]
    return " ".join(["This was changed since you read it.", *changes])
