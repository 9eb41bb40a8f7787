"""Parts that the bodies of the Admin API share: filters, badges, exact numbers, days, other rows by their ids."""

from collections.abc import Sequence
from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Annotated, Any, ClassVar, Final

from django.db.models import QuerySet
from msgspec import Meta, Raw

from api.admin_api.resources import Row, parse_id
from api.bodies import exact_number
from api.errors import invalid
from core.fields import Fields
from core.json import parse_day
from core.models import ConfigurationStatus
from metrics.models import Metric
from users.models import Attribute
from users.services import Filters

# The default context would round to 28 digits.
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

Number = Annotated[Raw, Meta(extra_json_schema={"type": "number"})]
"""A number that is kept exactly; read it with `read_number`."""

Day = Annotated[str, Meta(extra_json_schema={"format": "date"})]
"""A day as YYYY-MM-DD; read it with `read_day`."""


class FilterItem(Fields, frozen=True):
    """An attribute, by its id, and the value that it must have."""

    called: ClassVar = "a filter"

    attribute_id: str
    attribute_value: str


class BadgeItem(Fields, frozen=True):
    """A badge by its address."""

    called: ClassVar = "a badge"

    url: str


def with_badge(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the table's fields: a badge by its address takes the place of an uploaded one."""
    if "badge" not in fields:
        return fields
    badge: BadgeItem | None = fields["badge"]
    return {**fields, "badge": "", "badge_url": badge.url if badge else ""}


def with_filters(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the services' keywords: filters by rows instead of ids, null as none. Raises ApiError."""
    keywords = dict(fields)
    for name, wire_name, keyword in (
        ("user_attributes", "userAttributes", "user_filters"),
        ("event_attributes", "eventAttributes", "event_filters"),
    ):
        if name in keywords:
            keywords[keyword] = _filters(wire_name, keywords.pop(name) or ())
    return keywords


def _filters(field: str, items: Sequence[FilterItem]) -> Filters:
    names = [f"{field}[{index}].attributeId" for index in range(len(items))]
    attributes = rows_of(names, Attribute.objects.all(), [item.attribute_id for item in items], "attribute")
    return [(attribute, item.attribute_value) for attribute, item in zip(attributes, items, strict=True)]


def rows_of(names: Sequence[str], rows: QuerySet[Row], ids: Sequence[str], what: str) -> list[Row]:
    """Return the row of each id; `names` are the fields that give them. Raises ApiError for one that is not there."""
    uuids = [parse_id(id_, name) for name, id_ in zip(names, ids, strict=True)]
    found = rows.in_bulk(uuids)
    for name, uuid, id_ in zip(names, uuids, ids, strict=True):
        if uuid not in found:
            raise invalid(f"{name}: there is no {what} with the id {id_}.")
    return [found[uuid] for uuid in uuids]


def row_of(name: str, rows: QuerySet[Row], id_: str | None, what: str) -> Row | None:
    """Return the row that the field `name` gives by its id, None for null. Raises ApiError."""
    return None if id_ is None else rows_of([name], rows, [id_], what)[0]


def metric_of(id_: str | None) -> Metric | None:
    """Return the metric that `metricId` gives, None for null. Raises ApiError."""
    return row_of("metricId", Metric.objects.filter(status=ConfigurationStatus.ACTIVE), id_, "active metric")


def read_number(name: str, raw: Raw) -> Decimal:
    """Return the number, taken from the JSON text itself, without the zeros that end it. Raises ApiError."""
    number = exact_number(name, raw)
    if not number.is_finite():
        raise invalid(f"{name} is too large or too small.")
    return number.normalize(_EXACT)


def read_optional_number(name: str, raw: Raw) -> Decimal | None:
    """Return the number as `read_number` does, None for null. Raises ApiError."""
    return None if bytes(raw) == b"null" else read_number(name, raw)


def read_day(name: str, text: str | None) -> date | None:
    """Return the day that the field `name` gives, None for null. Raises ApiError."""
    if text is None:
        return None
    day = parse_day(text)
    if day is None:
        raise invalid(f"{name} must be a date such as 2026-01-31.")
    return day
