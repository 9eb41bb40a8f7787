"""Versions of configuration: the number that a row has since its last change, and what changed since a version.

A version is the number of the newest record in the row's history, parts included, such as the filters of a trigger.
So it grows with every change that the history tells of, and with nothing else: not when the clock starts a boost, and
not when a row is saved as it was.
"""

from collections.abc import Collection
from typing import Any

from django.db.models import BigIntegerField, Model, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Greatest
from django.utils.timezone import localtime

from core.changes import Entry, Page, history_of_row, parts_of
from core.history import history_of, recording_of


def with_versions(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Add its `version` to each row of a model of configuration, read by the same statement as the row.

    Parts are read by later statements. If one changes in between, the version is older than what is shown of it, so
    the change is noticed. Who reads rows first and versions later would miss a change between the two.
    """
    sources = {rows.model: "id"} | {part: f"{recording_of(part).part_of}_id" for part in parts_of(rows.model)}
    newest = [_newest_record(model, reference) for model, reference in sources.items()]
    # PostgreSQL's greatest passes over null, which a part has that never was. 0 is for a row without any history.
    versioned: QuerySet[Any] = rows.annotate(version=Greatest(*newest, Value(0), output_field=BigIntegerField()))
    return versioned


def _newest_record(model: type[Model], reference: str) -> Subquery:
    records = history_of(model)._default_manager.filter(**{reference: OuterRef("pk")})
    return Subquery(records.order_by("-history_id").values("history_id")[:1])


def versions_of(model: type[Model], keys: Collection[Any]) -> dict[Any, int]:
    """Return the versions of the rows with these keys, by one query. Read them before the rows, or under their lock."""
    return dict(with_versions(model._base_manager.filter(pk__in=keys)).values_list("pk", "version"))


def version_of(row: Model) -> int:
    """Return the version of a row that is stored. Read it before the row, or under the row's lock."""
    return versions_of(type(row), [row.pk])[row.pk]


def changes_since(row: Model, version: int) -> Page:
    """Return who changed what of the row after `version`, the newest first; no entries if it is still that version."""
    return history_of_row(row, after=version)


def in_sentences(changes: Page) -> list[str]:
    """Return one sentence for each change, the oldest first: when, who, and each field's old and new value."""
    more = ["There are earlier changes, which the history shows."] if changes.older else []
    return [*more, *(_sentence(entry) for entry in reversed(changes.entries))]


def _sentence(entry: Entry) -> str:
    details = [f"{change.name}: {change.old} → {change.new}" for change in entry.changes]
    told = "; ".join([*details, *entry.notes])
    return (
        f"{localtime(entry.at):%Y-%m-%d %H:%M} UTC, {entry.actor}, {entry.verb.lower()}{f': {told}' if told else ''}."
    )
