"""What the Admin API's resources share: lists, single rows, up to 100 items a call with an issue for each bad one."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

from api.admin_api.preconditions import Precondition, etag, newest_version
from api.admin_api.turns import in_turns, take_turns
from api.bodies import read_body, read_part
from api.errors import ApiError, invalid, not_found
from api.openapi import whole_number_parameter
from api.parameters import check_parameters, texts, whole_number
from core.fields import Fields
from core.models import Configuration, ConfigurationStatus
from core.services import archive, messages_by_field
from core.versions import with_versions

ITEMS_MAX: Final = 100
LIST_DEFAULT: Final = 10
PAGE: Final = [
    whole_number_parameter("limit", 1, ITEMS_MAX, LIST_DEFAULT, "How many to return."),
    whole_number_parameter("skip", 0, None, 0, "How many to pass over from the start."),
]
IDS: Final = [OpenApiParameter("ids", str, many=True, required=True, description="Up to 100, also comma-separated.")]

MADE_NO_ROOM: Final = "This exchanges a value with another item of the call, which was refused."

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
class Place:
    """A field of which each row has a value of its own, such as a level's points: rows can exchange theirs in one call.

    `make_room` moves the values of some rows out of the way, for the moment until they get their new ones.
    """

    field: str
    make_room: Callable[[Sequence[Any]], None]


@dataclass(frozen=True)
class Resource(Generic[Row]):
    """Rows of one kind: `what` they are called, which there are, what they look like, how the wire names fields.

    `parts` are what a list brings along of other tables, all rows' at once. `options` are parameters of all writes.
    """

    what: str
    rows: QuerySet[Row]
    render: Callable[[Row], Any]
    wire_names: Mapping[str, str] = field(default_factory=lambda: WIRE_NAMES)
    parts: Sequence[str] = ()
    place: Place | None = None
    options: Sequence[str] = ()

    def list(self, request: Request) -> Response:
        """Answer with a page of the rows, in the order of creation."""
        check_parameters(request, "limit", "skip")
        limit = whole_number(request, "limit", least=1, most=ITEMS_MAX, default=LIST_DEFAULT)
        skip = whole_number(request, "skip", least=0, default=0)
        version = newest_version(self.rows)  # before the rows, so that a change between the two is noticed
        rows = self.live().order_by("created", "id")[skip : skip + limit]
        return Response([self.render(row) for row in rows.prefetch_related(*self.parts)], headers=etag(version))

    def get(self, request: Request, id_: str) -> Response:
        """Answer with one row."""
        check_parameters(request)
        row = self.find(id_)
        return Response(self.render(row), headers=etag(row.version))  # type: ignore[attr-defined] # as `find` reads it

    def find(self, id_: str) -> Row:
        """Return one row with its version. Raises ApiError."""
        row: Row | None = with_versions(self.live()).filter(id=parse_id(id_)).first()
        if row is None:
            raise not_found(self.what, id_)
        return row

    def create(self, request: Request, type_: type[Any], create: Callable[[Any], Any]) -> Response:
        """Make what `create` returns the wire's shape of, for each item that is a valid `type_`."""
        check_parameters(request, *self.options)
        precondition = Precondition(request)
        precondition.check(self.rows, among=self.rows)
        created, issues = [], []

        def make(item: Any) -> Any:
            json = create(item)
            precondition.note_own(self.rows.model, [json["id"]])
            return json

        for index, raw in enumerate(_items(request)):
            try:
                item = read_part(raw, type_, whole="The item")
                created.append(attempt(partial(make, item), self.wire_names))
            except ApiError as error:
                issues.append(IssueJson(index=index, severity="error", message=error.message))
        body = {"created": created, "issues": issues}
        return Response(body, status=201 if created else 200, headers=precondition.etag_after(self.rows))

    def update(self, request: Request, type_: type[Any], update: Callable[[Row, Any], Row]) -> Response:
        """Change the row of each item that is a valid `type_`, under the row's lock.

        What the call leaves behind has to be valid, not what it passes through.
        """
        check_parameters(request, *self.options)
        raws = _items(request)
        precondition = Precondition(request)
        changes = _Changes(self, raws, type_, update, precondition)
        changes.check()
        take_turns(changes.turns(), changes.take)
        if not changes.done:
            precondition.check_none_was_faster()
        issues = [_update_issue(raws[index], index, message) for index, message in sorted(changes.refused.items())]
        body = {"updated": [json for _, json in sorted(changes.done.items())], "issues": issues}
        return Response(body, headers=precondition.etag_after(self.rows))

    def delete(self, request: Request) -> Response:
        """Archive the rows whose ids the address names, one after the other, but for those that are in use."""
        check_parameters(request, "ids", *self.options)

        def put_away(id_: str) -> DeletedJson:
            (row,) = self.lock(id_)
            precondition.check_locked([row])
            archive(row=row)
            precondition.note_own(type(row), [row.pk])
            return {"id": str(row.id)}

        deleted: dict[str, DeletedJson] = {}
        refused: dict[str, str] = {}

        def take(id_: str) -> bool:
            try:
                deleted[id_] = attempt(partial(put_away, id_), self.wire_names)
            except ApiError as error:
                refused[id_] = error.message
            return id_ in deleted

        ids, precondition = texts(request, "ids", most=ITEMS_MAX), Precondition(request)
        precondition.check(self.named(ids), among=self.rows)
        take_turns(ids, take)
        if not deleted:
            precondition.check_none_was_faster()
        issues = [IssueJson(id=id_, severity="error", message=refused[id_]) for id_ in ids if id_ not in deleted]
        body = {"deleted": [deleted[id_] for id_ in ids if id_ in deleted], "issues": issues}
        return Response(body, headers=precondition.etag_after(self.rows))

    def named(self, ids: Iterable[str]) -> QuerySet[Row]:
        """Return the rows with these ids, archived ones included."""
        return self.rows.filter(id__in=[uuid for id_ in ids if (uuid := _uuid(id_))])

    def lock(self, *ids: str) -> Sequence[Row]:
        """Return the rows in the order of `ids`, locked in that of their own ids. Raises ApiError."""
        uuids = [parse_id(id_) for id_ in ids]
        found = self.live().filter(id__in=uuids).order_by("id").select_for_update(of=("self",), no_key=True)
        rows = {row.id: row for row in found}
        for uuid, id_ in zip(uuids, ids, strict=True):
            if uuid not in rows:
                raise not_found(f"{self.what} by ID", id_)
        return [rows[uuid] for uuid in uuids]

    def live(self) -> QuerySet[Row]:
        """Return the rows that are not archived."""
        return self.rows.exclude(status=ConfigurationStatus.ARCHIVED)


class _Changes(Generic[Row]):
    """The items of a PATCH on their way: what became of those that were tried, by their numbers."""

    def __init__(
        self,
        resource: Resource[Row],
        raws: Sequence[Raw],
        type_: type[Any],
        update: Callable[[Row, Any], Row],
        precondition: Precondition,
    ) -> None:
        self._resource = resource
        self._update = update
        self._precondition = precondition
        self._items: dict[int, Any] = {}
        self.done: dict[int, Any] = {}
        self.refused: dict[int, str] = {}
        for index, raw in enumerate(raws):
            try:
                self._items[index] = read_part(raw, type_, whole="The item")
            except ApiError as error:
                self.refused[index] = error.message
        times = Counter(_uuid(item.id) for item in self._items.values())
        self._once = {index for index, item in self._items.items() if times[_uuid(item.id)] == 1}

    def check(self) -> None:
        """Raise ApiError where somebody has changed one of the rows."""
        ids = [item.id for item in self._items.values()]
        self._precondition.check(self._resource.named(ids), among=self._resource.rows)

    def turns(self) -> list[list[int]]:
        """Return the items that can be tried: one by one, but those together that exchange the values of a place."""
        turns = in_turns(max(self._items, default=-1) + 1, self._waits_for())
        return [turn for turn in turns if turn[0] in self._items]

    def _waits_for(self) -> dict[int, int]:
        """Return, for each item that gives its row a value which another item takes from its own row, that item."""
        place = self._resource.place
        if place is None:
            return {}
        wants = {index: getattr(self._items[index], place.field) for index in self._once}
        ids = {index: _uuid(self._items[index].id) for index in self._once}
        rows = self._resource.live().filter(id__in=[id_ for id_ in ids.values() if id_])
        has = dict(rows.values_list("id", place.field))
        movers = [n for n, id_ in ids.items() if id_ in has and wants[n] not in (UNSET, None, has[id_])]
        leavers = {has[ids[n]]: n for n in movers}
        return {n: leavers[wants[n]] for n in movers if wants[n] in leavers}

    def take(self, turn: Sequence[int]) -> bool:
        """Try the items of a turn, all of them or none. Return True where nothing is left to be tried again."""
        at = turn[0]

        def change() -> list[Any]:
            nonlocal at
            rows = self._resource.lock(*(self._items[index].id for index in turn))
            self._precondition.check_locked(rows)
            if len(turn) > 1 and self._resource.place:
                self._resource.place.make_room(rows)
            changed = []
            for at, row in zip(turn, rows, strict=True):
                changed.append(self._update(row, self._items[at]))
            self._precondition.note_own(self._resource.rows.model, [row.pk for row in changed])
            return [self._resource.render(row) for row in changed]

        try:
            self.done |= zip(turn, attempt(change, self._resource.wire_names), strict=True)
        except ApiError as error:
            self.refused |= dict.fromkeys(turn, MADE_NO_ROOM) | {at: error.message}
            # A row that is named twice must get its changes in their order.
            return not self._once.issuperset(turn)
        for index in turn:
            self.refused.pop(index, None)
        return True


def attempt(do: Callable[[], Done], wire_names: Mapping[str, str] = WIRE_NAMES) -> Done:
    """Return what `do` returns, in a transaction of its own. Raises ApiError with one sentence for what is wrong."""
    try:
        with transaction.atomic():
            return do()
    except ValidationError as error:
        raise invalid(_sentence(error, wire_names)) from error
    except IntegrityError as error:
        raise invalid("This collides with a change made at the same moment; read it again and retry.") from error


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


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
