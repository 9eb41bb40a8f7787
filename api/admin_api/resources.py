"""What the Admin API's resources share: lists, single rows, up to 100 items a call with an issue for each bad one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from msgspec import UNSET, Raw, Struct
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import read_body, read_part
from api.errors import ApiError, invalid, not_found
from api.openapi import whole_number_parameter
from api.parameters import check_parameters, texts, whole_number
from core.fields import Fields
from core.models import Configuration, ConfigurationStatus
from core.services import archive, messages_by_field

ITEMS_MAX: Final = 100
LIST_DEFAULT: Final = 10
PAGE: Final = [
    whole_number_parameter("limit", 1, ITEMS_MAX, LIST_DEFAULT, "How many to return."),
    whole_number_parameter("skip", 0, None, 0, "How many to pass over from the start."),
]
IDS: Final = [OpenApiParameter("ids", str, many=True, required=True, description="Up to 100, also comma-separated.")]

WIRE_NAMES: Final = {
    "metric": "metricId",
    "badge_url": "badge.url",
    "user_filters": "userAttributes",
    "event_filters": "eventAttributes",
    "achievement": "achievementId",
    "prerequisites": "achievementIds",
    "external_id": "userId",
}
"""The fields that the wire calls by another name than the tables do, beyond camelCase."""

Row = TypeVar("Row", bound=Configuration)
Done = TypeVar("Done")


class IssueJson(TypedDict):
    """What was wrong with one item: found by its index when creating, by its id when updating or deleting."""

    id: NotRequired[str]
    index: NotRequired[int]
    severity: str
    message: str


class DeletedJson(TypedDict):
    """What was deleted."""

    id: str


class Patch(Fields, frozen=True):
    """An item that changes a row; the fields given change."""

    id: str


class _Identified(Struct):
    """An item of which only the id is read, whatever else it has."""

    id: str


@dataclass(frozen=True)
class Resource(Generic[Row]):
    """Rows of one kind: `what` they are called, which there are, what they look like, how the wire names fields.

    `parts` are what a list brings along of other tables, all rows' at once.
    """

    what: str
    rows: QuerySet[Row]
    render: Callable[[Row], Any]
    wire_names: Mapping[str, str] = field(default_factory=lambda: WIRE_NAMES)
    parts: Sequence[str] = ()

    def list(self, request: Request) -> Response:
        """Answer with a page of the rows, in the order of creation."""
        check_parameters(request, "limit", "skip")
        limit = whole_number(request, "limit", least=1, most=ITEMS_MAX, default=LIST_DEFAULT)
        skip = whole_number(request, "skip", least=0, default=0)
        rows = self._live().order_by("created", "id")[skip : skip + limit]
        return Response([self.render(row) for row in rows.prefetch_related(*self.parts)])

    def get(self, id_: str) -> Response:
        """Answer with one row."""
        return Response(self.render(self.find(id_)))

    def find(self, id_: str) -> Row:
        """Return one row. Raises ApiError."""
        row = self._live().filter(id=parse_id(id_)).first()
        if row is None:
            raise not_found(self.what, id_)
        return row

    def create(self, request: Request, type_: type[Any], create: Callable[[Any], Any]) -> Response:
        """Make what `create` returns the wire's shape of, for each item that is a valid `type_`."""
        check_parameters(request)
        created, issues = [], []
        for index, raw in enumerate(_items(request)):
            try:
                created.append(self._attempt(create, raw, type_))
            except ApiError as error:
                issues.append(IssueJson(index=index, severity="error", message=error.message))
        return Response({"created": created, "issues": issues}, status=201 if created else 200)

    def update(self, request: Request, type_: type[Any], update: Callable[[Row, Any], Row]) -> Response:
        """Change the row of each item that is a valid `type_`, under the row's lock."""
        check_parameters(request)

        def change(item: Any) -> Any:
            return self.render(update(self._lock(item.id), item))

        updated, issues = [], []
        for index, raw in enumerate(_items(request)):
            try:
                updated.append(self._attempt(change, raw, type_))
            except ApiError as error:
                issues.append(_update_issue(raw, index, error.message))
        return Response({"updated": updated, "issues": issues})

    def delete(self, request: Request) -> Response:
        """Archive the rows whose ids the address names, one after the other, but for those that are in use."""
        check_parameters(request, "ids")

        def put_away(id_: str) -> DeletedJson:
            row = self._lock(id_)
            archive(row=row)
            return {"id": str(row.id)}

        deleted, issues = [], []
        for id_ in texts(request, "ids", most=ITEMS_MAX):
            try:
                deleted.append(attempt(partial(put_away, id_), self.wire_names))
            except ApiError as error:
                issues.append(IssueJson(id=id_, severity="error", message=error.message))
        return Response({"deleted": deleted, "issues": issues})

    def _lock(self, id_: str) -> Row:
        """Return one row, locked. Raises ApiError."""
        row = self._live().select_for_update(of=("self",), no_key=True).filter(id=parse_id(id_)).first()
        if row is None:
            raise not_found(f"{self.what} by ID", id_)
        return row

    def _attempt(self, do: Callable[[Any], Any], raw: Raw, type_: type[Any]) -> Any:
        """Do it for one item of a body. Raises ApiError with the sentence for the item's issue."""
        return attempt(partial(do, read_part(raw, type_, whole="The item")), self.wire_names)

    def _live(self) -> QuerySet[Row]:
        return self.rows.exclude(status=ConfigurationStatus.ARCHIVED)


def attempt(do: Callable[[], Done], wire_names: Mapping[str, str] = WIRE_NAMES) -> Done:
    """Return what `do` returns, in a transaction of its own. Raises ApiError with one sentence for what is wrong."""
    try:
        with transaction.atomic():
            return do()
    except ValidationError as error:
        raise invalid(_sentence(error, wire_names)) from error
    except IntegrityError as error:
        raise invalid("This collides with a change made at the same moment; read it again and retry.") from error


def parse_id(text: str, name: str = "id") -> UUID:
    """Return the UUID. Raises ApiError."""
    try:
        return UUID(text)
    except ValueError as error:
        raise invalid(f"{name} must be a valid UUID.") from error


def _items(request: Request) -> list[Raw]:
    items = read_body(request._request, list[Raw])
    if not items:
        raise invalid("The body must have at least 1 item.")
    if len(items) > ITEMS_MAX:
        raise invalid(f"The body must have at most {ITEMS_MAX} items.")
    return items


def _update_issue(raw: Raw, index: int, message: str) -> IssueJson:
    try:
        return IssueJson(id=msgspec.json.decode(raw, type=_Identified).id, severity="error", message=message)
    except (msgspec.DecodeError, RecursionError):
        return IssueJson(index=index, severity="error", message=message)


@contextmanager
def inside(place: str) -> Iterator[None]:
    """Let the errors of an item that stands at `place` in another one say so."""
    try:
        yield
    except ApiError as error:
        raise invalid(f"{place}.{error.message}") from error
    except ValidationError as error:
        raise ValidationError({f"{place}.{name}": texts for name, texts in messages_by_field(error).items()}) from error


def _sentence(error: ValidationError, wire_names: Mapping[str, str]) -> str:
    """Return one sentence for each field, in the wire's names."""
    return " ".join(
        f"{_subject(name, text, wire_names)}{text}"
        for name, texts in messages_by_field(error).items()
        for text in texts
    )


def _subject(field: str, text: str, wire_names: Mapping[str, str]) -> str:
    """Return how the sentence `text` about a field begins; one about no field says for itself what it is about."""
    *path, name = field.split(".")
    if name == NON_FIELD_ERRORS:
        return f"{'.'.join(path)}: " if path else ""
    first, *rest = name.split("_")
    wire_name = wire_names.get(name, first + "".join(part.capitalize() for part in rest))
    return ".".join([*path, wire_name]) + (" " if text[0].islower() else ": ")


def given_fields(item: Struct) -> dict[str, Any]:
    """Return the fields that an item gives, but for its id, by the names of the tables."""
    values = {name: getattr(item, name) for name in item.__struct_fields__ if name != "id"}
    return {name: value for name, value in values.items() if value is not UNSET}


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ApiError, naming what is allowed, where `value` is something else."""
    if value not in allowed:
        raise invalid(f"{name} must be {' or '.join(allowed)}.")
