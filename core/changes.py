"""The histories of configuration as people read them: who did what when, and each field's old and new value in words.

Records of one act and of one row, with its parts (the filters of a trigger), are one entry.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db.models import CharField, FileField, ForeignKey, Model, OuterRef, QuerySet, Subquery, Value
from django.urls import NoReverseMatch, reverse
from django.utils.timezone import localtime

from core.history import CREATED, DELETED, History, Tracked, history_of, recording_of
from core.models import ConfigurationStatus

NOTHING: Final = "none"
RECORDS_MAX: Final = 50
"""How many records a page looks at."""

VERBS: Final = {"active": "Activated", "inactive": "Deactivated", "locked": "Locked", "disabled": "Disabled"}
"""How a change of the status is called, by the new one, where the model does not say otherwise."""

COLOURS: Final = {
    **dict.fromkeys(("Created", "Restored", "Activated", "Enabled"), "success"),
    **dict.fromkeys(("Deactivated", "Disabled", "Locked"), "warning"),
    **dict.fromkeys(("Archived", "Revoked", "Finished", "Deleted"), "danger"),
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that changed, in words."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody did to one row in one act. `number` is the first record's, before which older entries are."""

    number: int
    at: datetime
    actor: str
    verb: str
    what: str
    subject: str
    url: str
    changes: Sequence[FieldChange] = ()
    notes: Sequence[str] = ()

    @property
    def colour(self) -> str:
        """The colour of the verb's label."""
        return COLOURS.get(self.verb, "info")


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, the newest first; `older` is the number before which the next page begins, None at the end."""

    entries: Sequence[Entry]
    older: int | None


@dataclass(slots=True)
class _Record:
    """A record, the one before it of the same row, and the row that it is shown with."""

    model: type[Model]
    new: Any
    old: Any
    owner: tuple[type[Model], Any] = field(init=False)

    def __post_init__(self) -> None:
        part_of = recording_of(self.model).part_of
        if not part_of:
            self.owner = (self.model, self.new.id)
        else:
            reference = self.model._meta.get_field(part_of)
            self.owner = (reference.related_model, getattr(self.new, f"{part_of}_id"))  # type: ignore[assignment]

    @property
    def is_part(self) -> bool:
        """Whether it is of a part of the row."""
        return bool(recording_of(self.model).part_of)


# --- Which records ----------------------------------------------------------------------------------------------------
def tracked_models() -> list[type[Model]]:
    """Return every model of which a history is kept, without parts of others."""
    return [model for model in _all_tracked() if not recording_of(model).part_of]


def _all_tracked() -> list[type[Model]]:
    found, waiting = [], list(Tracked.__subclasses__())
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if not model._meta.abstract:
            found.append(model)
    return sorted(found, key=lambda model: model._meta.label)


def parts_of(model: type[Model]) -> list[type[Model]]:
    """Return the models of the parts that are shown in the history of a row of `model`."""
    return [
        each
        for each in _all_tracked()
        if (part_of := recording_of(each).part_of) and each._meta.get_field(part_of).related_model is model
    ]


def history_of_row(row: Model, *, before: int | None = None, after: int | None = None) -> Page:
    """Return the entries of one row that are older than the number `before`, and newer than the number `after`."""
    model = type(row)
    sources = [_records(model).filter(id=row.pk)]
    sources += [_records(each).filter(**{f"{recording_of(each).part_of}_id": row.pk}) for each in parts_of(model)]
    if after is not None:
        sources = [records.filter(history_id__gt=after) for records in sources]
    return read_page(sources, before=before)


def _records(model: type[Model]) -> QuerySet[Any]:
    return history_of(model)._default_manager.all()


def read_page(sources: Iterable[QuerySet[Any]], *, before: int | None = None) -> Page:
    """Return the newest entries of these records that are older than the number `before`.

    Pages are cut by number, at the index of each table, however much there is.
    """
    newest = [
        (records if before is None else records.filter(history_id__lt=before))
        .order_by("-history_id")
        .annotate(source=Value(records.model._meta.label, output_field=CharField()))
        .values_list("history_id", "source")[: RECORDS_MAX + 1]
        for records in sources
    ]
    if not newest:
        return Page((), None)
    first, *others = newest
    together = first.union(*others, all=True).order_by("-history_id")[: RECORDS_MAX + 1] if others else first
    found = list(together)
    records = _load(found[:RECORDS_MAX])
    older = found[RECORDS_MAX - 1][0] if len(found) > RECORDS_MAX else None
    return Page(_entries(records), older)


def _load(found: Sequence[tuple[int, str]]) -> list[_Record]:
    """Return the records with these numbers, each with the one before it, by two queries for each table."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, source in found:
        numbers[source].append(number)
    records: list[_Record] = []
    for model in _all_tracked():
        label = history_of(model)._meta.label
        if label in numbers:
            earlier = _records(model).filter(id=OuterRef("id"), history_id__lt=OuterRef("history_id"))
            last = Subquery(earlier.order_by("-history_id").values("history_id")[:1])
            rows = list(_records(model).filter(history_id__in=numbers[label]).annotate(last=last))
            olds = _records(model).in_bulk([row.last for row in rows if row.last])
            records += [_Record(model, row, olds.get(row.last)) for row in rows]
    return sorted(records, key=lambda record: -record.new.history_id)


# --- In words ---------------------------------------------------------------------------------------------------------
class _Words:
    """Values in words. What records refer to is loaded for all of them at once."""

    def __init__(self, records: Iterable[_Record]) -> None:
        wanted: dict[type[Model], set[Any]] = defaultdict(set)
        for record in records:
            wanted[record.owner[0]].add(record.owner[1])
            for reference in references_of(record.model):
                values = (getattr(each, reference.attname) for each in (record.new, record.old) if each is not None)
                wanted[_target(reference)] |= {value for value in values if value is not None}
        self.rows: dict[type[Model], dict[Any, Model]] = {
            model: _with_names(model).in_bulk(list(keys)) for model, keys in wanted.items()
        }

    def name(self, model: type[Model], key: Any) -> str:
        """Return the name of a row as it is now."""
        row = self.rows.get(model, {}).get(key)
        return str(row) if row is not None else str(key)

    def part(self, record: _Record, row: Any) -> str:
        """Return a part in words, as it was then."""
        fields = recording_of(record.model).fields_included(record.model)
        part = record.model(**{each.attname: getattr(row, each.attname) for each in fields})
        for reference in references_of(record.model):
            target = self.rows.get(_target(reference), {}).get(getattr(row, reference.attname))
            if target is not None:
                setattr(part, reference.name, target)
        return recording_of(record.model).part_in_words(part)

    def value(self, history: History, each: Any, value: Any) -> str:
        """Return the value of a field in words."""
        if each.name in history.in_words:
            return history.in_words[each.name](value or [])
        if isinstance(each, ForeignKey) and value is not None:
            return self.name(_target(each), value)
        if each.choices and value is not None:
            return str(dict(each.flatchoices).get(value, value))
        if isinstance(each, FileField) and value:
            return f"image {Path(value).stem[:8]}…"  # named by its content, of which the beginning tells it apart
        return in_words(value)


def in_words(value: Any) -> str:
    """Return a plain value as people write it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value.normalize():,f}"
    if isinstance(value, datetime):
        return f"{localtime(value):%Y-%m-%d %H:%M} UTC"
    return value.isoformat() if isinstance(value, date) else str(value)


def references_of(model: type[Model]) -> list[Any]:
    """Return the fields of a model that refer to other rows, and are recorded."""
    return [each for each in recording_of(model).fields_included(model) if isinstance(each, ForeignKey)]


def _target(reference: Any) -> type[Model]:
    target: type[Model] = reference.related_model
    return target


def _with_names(model: type[Model]) -> QuerySet[Any]:
    """Return the rows with what their names may say of others."""
    references = [each.name for each in model._meta.concrete_fields if isinstance(each, ForeignKey)]
    rows = model._base_manager.all()
    return rows.select_related(*references) if references else rows


# --- Entries ----------------------------------------------------------------------------------------------------------
def _entries(records: Sequence[_Record]) -> list[Entry]:
    words = _Words(records)
    # Within an act a row's records and its parts' alternate with other rows'.
    place = {record.new.act: index for index, record in reversed(list(enumerate(records)))}
    ordered = sorted(records, key=lambda each: (place[each.new.act], str(each.owner[1]), each.new.history_id))
    entries = [
        _entry(list(together), words) for _, together in groupby(ordered, lambda each: (each.new.act, each.owner))
    ]
    return sorted(entries, key=lambda entry: -entry.number)


def _entry(records: Sequence[_Record], words: _Words) -> Entry:
    """Return what the records say, which are of one act and one row with its parts, the oldest first."""
    own = [record for record in records if not record.is_part]
    parts = [record for record in records if record.is_part]
    changes = [*(_field_changes(own[0], own[-1], words) if own else ()), *_part_changes(parts, words)]
    model, key = records[0].owner
    newest = records[-1].new
    return Entry(
        number=records[0].new.history_id,
        at=newest.history_date,
        actor=newest.actor,
        verb=_verb(own[0], own[-1]) if own else "Changed",
        what=_name_of(model),
        subject=words.name(model, key),
        url=_url(model, key),
        changes=changes,
        notes=[record.new.history_change_reason for record in own if record.new.history_change_reason],
    )


def _verb(first: _Record, last: _Record) -> str:
    """Return what was done, in one word."""
    if first.new.history_type == CREATED:
        return "Created"
    if last.new.history_type == DELETED:
        return "Deleted"
    old, new = first.old, last.new
    if old is not None and getattr(old, "finished", None) is None and getattr(new, "finished", None) is not None:
        return "Finished"
    before, after = getattr(old, "status", None), getattr(new, "status", None)
    if old is None or before == after:
        return "Changed"
    verbs = VERBS | {ConfigurationStatus.ARCHIVED: "Archived"} | dict(recording_of(first.model).verbs)
    return "Restored" if before == ConfigurationStatus.ARCHIVED else verbs.get(str(after), "Changed")


def _field_changes(first: _Record, last: _Record, words: _Words) -> list[FieldChange]:
    """Return what changed from before the first record to after the last, of a new row all that was given."""
    history, is_new = recording_of(first.model), first.new.history_type == CREATED
    changes = []
    for each in history.fields_included(first.model):
        old = None if is_new else getattr(first.old, each.attname, None)
        new = getattr(last.new, each.attname)
        if each.primary_key or old == new or (is_new and new in (None, "", False)):
            continue
        old_words = NOTHING if is_new else words.value(history, each, old)
        changes.append(FieldChange(_name_of(each), old_words, words.value(history, each, new)))
    return changes


def _part_changes(parts: Sequence[_Record], words: _Words) -> list[FieldChange]:
    """Return the parts that are new, other or gone; one that was replaced by its like is neither."""
    gone, come = [], []
    for record in parts:
        kind = str(record.model._meta.verbose_name).split()[-1].capitalize()  # a trigger filter is its filter
        if record.new.history_type != CREATED:
            gone.append((kind, words.part(record, record.old or record.new)))
        if record.new.history_type != DELETED:
            come.append((kind, words.part(record, record.new)))
    for each in [each for each in gone if each in come]:
        gone.remove(each)
        come.remove(each)
    return [
        *(FieldChange(kind, text, NOTHING) for kind, text in gone),
        *(FieldChange(kind, NOTHING, text) for kind, text in come),
    ]


def _name_of(named: Any) -> str:
    name = str(getattr(named, "_meta", named).verbose_name)
    return name[:1].upper() + name[1:]


def _url(model: type[Model], key: UUID | int) -> str:
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=(key,))
    except NoReverseMatch:
        return ""
