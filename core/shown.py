"""What a form showed when it was opened, and what its operator changed of that.

A form that changes a row carries, signed, the row's version and what a browser sends if nothing is touched. With that,
what was sent is read as a list of edits: a field that says what it showed is not touched, whatever is stored.
The edits are applied to the row as it is stored, so the rest of the form shows and keeps the current values.

Everything here is in the words of a browser: names of inputs, and lists of texts. So one way serves every model and
field, those without a history too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django import forms
from django.core import signing
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from msgspec import Struct, field

SHOWN_FIELD: Final = "_shown"
"""The name of the hidden input."""
SALT: Final = "core.shown"

Values = Mapping[str, list[str]]
"""What a browser sends, by the names of the inputs."""


class Parts(Struct):
    """The rows of an inline formset: the names of their fields, and the values by the row's key."""

    fields: list[str]
    rows: dict[str, dict[str, list[str]]] = field(default_factory=dict)


class Shown(Struct):
    """A form: the version of its row, the values of its inputs, those that are lists, and its parts by prefix."""

    version: int
    fields: dict[str, list[str]]
    lists: list[str]
    parts: dict[str, Parts]

    def seal(self) -> str:
        """Return it as the text of the hidden input."""
        return signing.dumps(msgspec.to_builtins(self), salt=SALT, compress=True)


def unseal(text: str) -> Shown | None:
    """Return what a form showed, None if the text is not one that this server has signed."""
    try:
        return msgspec.convert(signing.loads(text, salt=SALT), Shown)
    except (signing.BadSignature, msgspec.ValidationError):
        return None


# --- What a form sends -----------------------------------------------------------------------------------------------
def shown_by(form: Any, formsets: Iterable[Any], version: int) -> Shown:
    """Return what an unbound form and its unbound formsets show.

    A form's `asides` name the fields that are no values of the row, such as a box that asks whether to tell users.
    """
    inputs = [each for bound in form if bound.name not in getattr(form, "asides", ()) for each in sent_of(bound)]
    return Shown(
        version=version,
        fields={name: values for name, values, _ in inputs},
        lists=[name for name, _, is_list in inputs if is_list],
        parts={formset.prefix: _parts_of(formset) for formset in formsets},
    )


def _parts_of(formset: Any) -> Parts:
    own = (formset.model._meta.pk.name, formset.fk.name, forms.formsets.DELETION_FIELD_NAME)
    names = [name for name in formset.empty_form.fields if name not in own]
    rows = {str(form.instance.pk): {name: _value_of(form[name]) for name in names} for form in formset.initial_forms}
    return Parts(names, rows)


def _value_of(bound: forms.BoundField) -> list[str]:
    return [value for _, values, _ in sent_of(bound) for value in values]


def sent_of(bound: forms.BoundField) -> Iterator[tuple[str, list[str], bool]]:
    """Yield each input of a field that nobody touches: its name, what a browser sends, and whether that is a list."""
    if not bound.field.disabled:
        yield from inputs_of(bound.field.widget, bound.html_name, bound.value())


def inputs_of(widget: Any, name: str, value: Any) -> Iterator[tuple[str, list[str], bool]]:
    """Yield the same of a widget with the name and the value that it is rendered with."""
    widget = getattr(widget, "widget", widget)  # the admin wraps those of references
    if hasattr(widget, "decompress"):  # several inputs, such as a day and a time
        values = value if isinstance(value, list) else widget.decompress(value)
        for part, suffix, its in zip(widget.widgets, widget.widgets_names, values, strict=True):
            yield from inputs_of(part, f"{name}{suffix}", its)
    elif isinstance(widget, forms.ClearableFileInput):  # the file itself is sent only if one was chosen
        yield widget.clear_checkbox_name(name), [], False
    elif isinstance(widget, forms.CheckboxInput):
        yield name, ["on"] if widget.check_test(value) else [], False
    elif getattr(widget, "allow_multiple_selected", False):
        yield name, [str(each) for each in value or []], True
    else:
        text = widget.format_value(value)
        yield name, [str(each) for each in (text if isinstance(text, list) else [text]) if each is not None], False


def is_same(sent: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether two inputs say the same: a browser sends line ends of its own, and may leave out what is empty."""
    return _plain(sent) == _plain(other)


def _plain(values: Sequence[str]) -> list[str]:
    return [value.replace("\r\n", "\n") for value in values if value]


# --- Edits -----------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Row:
    """A row of an inline formset; a new one has no key."""

    key: str
    values: dict[str, list[str]]
    is_deleted: bool = False


def rebase(sent: QueryDict, was: Shown, now: Shown) -> QueryDict:
    """Return what was sent with what the operator did not touch replaced by how it is now."""
    merged = sent.copy()
    for name, current in now.fields.items():
        _put(merged, name, _merged(sent.getlist(name), was.fields.get(name, []), current, name in now.lists))
    for prefix, parts in now.parts.items():
        if f"{prefix}-{forms.formsets.TOTAL_FORM_COUNT}" in sent:
            rows = _merged_rows(_rows_of(sent, prefix, parts), was.parts.get(prefix, Parts([])), parts)
            _put_rows(merged, prefix, parts, rows)
    return merged


def changes_anything(sent: QueryDict, files: MultiValueDict[str, Any], now: Shown) -> bool:
    """Tell whether what was sent differs from how the row is now."""
    if any(files.values()) or any(not is_same(sent.getlist(name), values) for name, values in now.fields.items()):
        return True
    return any(
        row.is_deleted or not row.key or not _are_same(row.values, parts.rows.get(row.key, {}))
        for prefix, parts in now.parts.items()
        for row in _rows_of(sent, prefix, parts)
        if row.key or any(_plain(values) for values in row.values.values())
    )


def disputed(sent: QueryDict, was: Shown, now: Shown) -> list[str]:
    """Return the names of the inputs that the operator changed, and others too, to something else."""
    found = []
    for name, current in now.fields.items():
        before, mine = was.fields.get(name, []), sent.getlist(name)
        if not (is_same(before, current) or is_same(before, mine) or is_same(current, mine)):
            found.append(name)
    return found


def _merged(mine: list[str], was: list[str], now: list[str], is_list: bool = False) -> list[str]:
    if is_list:  # each choice by itself
        kept = [value for value in now if value in mine or value not in was]
        return kept + [value for value in mine if value not in was and value not in now]
    return now if is_same(mine, was) else mine


def _are_same(values: Values, others: Values) -> bool:
    return all(is_same(its, others.get(name, [])) for name, its in values.items())


def _rows_of(sent: QueryDict, prefix: str, parts: Parts) -> list[_Row]:
    pattern = re.compile(rf"{re.escape(prefix)}-([0-9]{{1,4}})-")
    numbers = sorted({int(found[1]) for name in sent if (found := pattern.match(name))})
    return [
        _Row(
            key=sent.get(f"{prefix}-{number}-id", ""),
            values={name: sent.getlist(f"{prefix}-{number}-{name}") for name in parts.fields},
            is_deleted=f"{prefix}-{number}-{forms.formsets.DELETION_FIELD_NAME}" in sent,
        )
        for number in numbers
    ]


def _merged_rows(sent: Sequence[_Row], was: Parts, now: Parts) -> list[_Row]:
    """Return the rows that there are now with the operator's edits, then the operator's new ones."""
    mine = {row.key: row for row in sent if row.key}
    return [
        *(_merged_row(mine.get(key), was.rows.get(key), _Row(key, values)) for key, values in now.rows.items()),
        *(_Row("", row.values) for row in sent if row.key not in now.rows and _is_wanted(row, was, now)),
    ]


def _merged_row(mine: _Row | None, was: Values | None, now: _Row) -> _Row:
    if mine is None or was is None:
        return now
    values = {name: _merged(mine.values[name], was.get(name, []), its) for name, its in now.values.items()}
    return _Row(now.key, values, mine.is_deleted)


def _is_wanted(row: _Row, was: Parts, now: Parts) -> bool:
    """Tell whether a row that is not stored, or no longer, is one that the operator asks for."""
    if row.is_deleted or not any(_plain(values) for values in row.values.values()):
        return False
    if row.key:  # others have removed it: it is wanted only if the operator changed it
        return not _are_same(row.values, was.rows.get(row.key, {}))
    added_by_others = [values for key, values in now.rows.items() if key not in was.rows]
    return not any(_are_same(row.values, values) for values in added_by_others)


def _put_rows(merged: QueryDict, prefix: str, parts: Parts, rows: Sequence[_Row]) -> None:
    for name in [name for name in merged if re.match(rf"{re.escape(prefix)}-[0-9]+-", name)]:
        del merged[name]
    merged[f"{prefix}-{forms.formsets.TOTAL_FORM_COUNT}"] = str(len(rows))
    merged[f"{prefix}-{forms.formsets.INITIAL_FORM_COUNT}"] = str(len(parts.rows))
    for number, row in enumerate(rows):
        _put(merged, f"{prefix}-{number}-id", [row.key])
        for name, values in row.values.items():
            _put(merged, f"{prefix}-{number}-{name}", values)
        if row.is_deleted:
            merged[f"{prefix}-{number}-{forms.formsets.DELETION_FIELD_NAME}"] = "on"


def _put(merged: QueryDict, name: str, values: list[str]) -> None:
    merged.setlist(name, values)
    if not values:  # as a browser leaves out a box that is not ticked
        del merged[name]
