"""A second look at a body that has fields which nobody reads: which they are, and which were probably meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any, Final, cast

import msgspec
from msgspec import Raw
from msgspec import inspect as shapes

from core.fields import Fields
from core.warnings import WARNINGS_MAX, FieldWarning

NAME_LENGTH_MAX: Final = 64
"""Of a longer name only the beginning is repeated, and no nearest field is looked for."""

REFUSED_MAX: Final = 5
"""How many unknown fields one error names."""


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that a body may not have: where it stands, what it stands in, and what may be meant."""

    place: str
    name: str
    parent: type[Fields]
    nearest: str | None

    @property
    def path(self) -> str:
        """Return the field's path in the body, such as `triggers[0].userAttribute`."""
        return f"{self.place}.{self.name[:NAME_LENGTH_MAX]}".lstrip(".")

    @property
    def is_read_only(self) -> bool:
        """Tell whether answers have this field."""
        return self.name in self.parent.read_only()


def split_off(raw: bytes | Raw, type_: Any) -> tuple[bytes | Raw, list[UnknownField]]:
    """Return the JSON without the fields that `type_` does not know, and these. Raises msgspec.DecodeError."""
    found: list[UnknownField] = []
    return _known_of(raw, _shape(type_), "", found), found


@cache
def _shape(type_: Any) -> shapes.Type:
    return shapes.type_info(type_)


def _known_of(raw: bytes | Raw, shape: shapes.Type, place: str, found: list[UnknownField]) -> bytes | Raw:
    """Return the JSON without unknown fields, which are added to `found`."""
    first = bytes(raw).lstrip()[:1]
    for option in _options(shape):
        if isinstance(option, shapes.StructType) and first == b"{":
            return _known_of_object(raw, option, place, found)
        if isinstance(option, shapes.ListType) and first == b"[":
            items = msgspec.json.decode(raw, type=list[Raw])
            known = [_known_of(item, option.item_type, f"{place}[{n}]", found) for n, item in enumerate(items)]
            return msgspec.json.encode([Raw(item) for item in known])
    return raw


def _options(shape: shapes.Type) -> Sequence[shapes.Type]:
    if isinstance(shape, shapes.Metadata):
        return _options(shape.type)
    return shape.types if isinstance(shape, shapes.UnionType) else (shape,)


def _known_of_object(raw: bytes | Raw, shape: shapes.StructType, place: str, found: list[UnknownField]) -> bytes:
    known = {}
    fields = {field.encode_name: field.type for field in shape.fields}
    for name, value in msgspec.json.decode(raw, type=dict[str, Raw]).items():
        if name in fields:
            known[name] = Raw(_known_of(value, fields[name], f"{place}.{name}", found))
        else:
            nearest = nearest_of(name, tuple(fields)) if len(name) <= NAME_LENGTH_MAX else None
            found.append(UnknownField(place, name, cast(type[Fields], shape.cls), nearest))
    return msgspec.json.encode(known)


@lru_cache(maxsize=1024)
def nearest_of(name: str, fields: tuple[str, ...]) -> str | None:
    """Return the field that was probably meant, whatever its case and underscores."""
    plain = {_plain(field): field for field in fields}
    close = get_close_matches(_plain(name), plain, n=1)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def refuse(unknown: Sequence[UnknownField]) -> str:
    """Return what an error says of fields that a body may not have; nothing where it has none."""
    return " ".join(map(_refused, unknown[:REFUSED_MAX]))


def _refused(field: UnknownField) -> str:
    if field.is_read_only:
        verb = "changed" if "id" in field.parent.__struct_fields__ else "set"
        return f"{field.path} of {field.parent.called} cannot be {verb}: leave it out."
    allowed = ", ".join(field.parent.__struct_encode_fields__)
    meant = f"did you mean {field.nearest}?" if field.nearest else f"it can have {allowed}."
    return f"{field.path} is not a field of {field.parent.called}; {meant}"


def hints(unknown: Sequence[UnknownField]) -> list[str]:
    """Return, for an error that something is missing or wrong, which fields may be misspelled."""
    return [
        f"{field.path} is not a field of {field.parent.called}; did you mean {field.nearest}?"
        for field in unknown[:REFUSED_MAX]
        if field.nearest
    ]


def warn(unknown: Sequence[UnknownField]) -> list[FieldWarning]:
    """Return what an answer says of fields that were ignored."""
    return [FieldWarning(field.path, _ignored(field)) for field in unknown[:WARNINGS_MAX]]


def _ignored(field: UnknownField) -> str:
    name = field.name[:NAME_LENGTH_MAX]
    if field.is_read_only:
        return f"{name} of {field.parent.called} cannot be set here, and was ignored."
    meant = f" Did you mean {field.nearest}?" if field.nearest else ""
    return f"{name} is not a field of {field.parent.called}, and was ignored.{meant}"
