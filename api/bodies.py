"""What request bodies look like, and how they are read: strictly, with one clear sentence for what is wrong."""

import re
from collections.abc import Hashable, Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Generic, NamedTuple, TypeVar, cast

import msgspec
from django.http import HttpRequest
from msgspec import Meta, Raw
from msgspec.structs import replace

from api.errors import ApiError, invalid, too_large
from api.unknown_fields import UnknownField, hints, refuse, split_off, warn
from core.describe import describe, key_at_fault
from core.fields import Fields
from core.refusal import Refusal
from core.texts import has_control_characters
from core.warnings import FieldWarning, Warnings
from metrics.rules import VALUE_LIMIT, quantize
from users.fields import (
    PROFILE_FIELDS,
    AttributeValue,
    IdentifiedUser,
    UserFields,
    changes_of,
    usable_changes_of,
)
from users.rules import UserChanges

Body = TypeVar("Body")


class EventBody(Fields, frozen=True):
    """An event: who did how much of the metric, with the event's own attributes."""

    called: ClassVar = "an event"

    user: IdentifiedUser
    value: Annotated[Raw, Meta(extra_json_schema={"type": "number", "description": "Kept exactly, to 9 places."})]
    attributes: dict[str, AttributeValue] | None = None


class BatchedEvent(Fields, frozen=True):
    """One event of a batch: as an event on its own, with its metric and idempotency key inside."""

    called: ClassVar = "an event of a batch"

    key: Annotated[str, Meta(min_length=1, max_length=255, description="The key of the metric.")]
    user: IdentifiedUser
    value: Annotated[Raw, Meta(extra_json_schema={"type": "number", "description": "Kept exactly, to 9 places."})]
    attributes: dict[str, AttributeValue] | None = None
    idempotency_key: (
        Annotated[
            str,
            Meta(min_length=1, max_length=255, description="Of all events of a user and metric with it, one counts."),
        ]
        | None
    ) = None


class CompletionBody(Fields, frozen=True):
    """Who completed the achievement."""

    called: ClassVar = "a completion"

    user: IdentifiedUser


class Report(NamedTuple, Generic[Body]):
    """What a body reports of a user.

    `ignored` names the fields that nobody knows, `unreadable` the fields of the user's profile that were left out.
    """

    body: Body
    ignored: Warnings
    unreadable: tuple[FieldWarning, ...] = ()


@cache
def _decoder(type_: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


def read_body(request: HttpRequest, type_: type[Body], *, size_max: int | None = None) -> Body:
    """Return the request's JSON body as `type_`. Raises ApiError: 400 unreadable, 413 too large, 422 of another form.

    `size_max` takes the place of the limit that holds for all other bodies.
    """
    raw = request.body if size_max is None else _read_up_to(request, size_max)
    _check_utf_8(raw)
    return read_part(raw, type_)


def read_forgiving(raw: bytes, type_: type[Body]) -> tuple[Body, Warnings]:
    """Return a JSON body as `type_`, and a warning for each field that it does not know. Raises as `read_body` does."""
    _check_utf_8(raw)
    return read_part_forgiving(raw, type_)


def _check_utf_8(raw: bytes) -> None:
    """Raise ApiError where the body is not UTF-8.

    The decoder looks only into the texts that it decodes, not into those of a part that is read later.
    """
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            raise _unreadable(error) from error


def _read_up_to(request: HttpRequest, size_max: int) -> bytes:
    raw: bytes = request.read(size_max + 1)
    if len(raw) > size_max:
        raise too_large(size_max)
    return raw


def read_part(raw: bytes | Raw, type_: type[Body], *, whole: str = "The body") -> Body:
    """Return a body, or a part that errors call `whole`, as `type_`. Raises ApiError as `read_body` does."""
    try:
        return _decode(raw, type_, whole)
    except msgspec.ValidationError as error:
        _, unknown = _split_off(raw, type_, whole)
        raise invalid(refuse(unknown) or _told(error, raw, type_, whole)) from error


def read_part_forgiving(raw: bytes | Raw, type_: type[Body], *, whole: str = "The body") -> tuple[Body, Warnings]:
    """Return a body, or a part, as `type_`, and a warning for each field that it does not know. Raises ApiError.

    Only where something is unusual does the body get a second, slower look.
    """
    try:
        return _decode(raw, type_, whole), ()
    except msgspec.ValidationError:
        known, unknown = _split_off(raw, type_, whole)
    try:
        return _decode(known, type_, whole), warn(unknown)
    except msgspec.ValidationError as error:
        raise invalid(" ".join([_told(error, known, type_, whole), *hints(unknown)])) from error


def _told(error: msgspec.ValidationError, raw: bytes | Raw, type_: type[Body], whole: str) -> str:
    """Return one sentence for what is wrong, with the attribute's key where it is one."""
    return describe(error, whole=whole, key=key_at_fault(error, bytes(raw), _decoder(cast(Hashable, type_)).decode))


def read_report(raw: bytes, type_: type[Body]) -> Report[Body]:
    """Return a JSON body that reports something of its `user`. Raises ApiError as `read_body` does."""
    _check_utf_8(raw)
    return read_part_of_report(raw, type_)


def read_part_of_report(raw: bytes | Raw, type_: type[Body], *, whole: str = "The body") -> Report[Body]:
    """Return a body, or a part, that reports something of its `user`, whatever its fields about the user's profile are.

    A client that knows a name as a number, or that cut a letter of it in two, still tells what the user did.
    """
    try:
        return Report(*read_part_forgiving(raw, type_, whole=whole))
    except ApiError:
        readable, unreadable = _without_unreadable(raw)
        if not unreadable:
            raise
    return Report(*read_part_forgiving(readable, type_, whole=whole), unreadable)


def _without_unreadable(raw: bytes | Raw) -> tuple[bytes, tuple[FieldWarning, ...]]:
    """Return the body without those profile fields of its user that cannot be read, and a warning for each."""
    marked = _HALF_LETTER.sub(lambda found: _NUL if found[1] else found[0], bytes(raw))
    try:
        body = _decoder(dict[str, Raw]).decode(marked)
        user = _decoder(dict[str, Raw]).decode(body["user"])
    except (msgspec.DecodeError, KeyError, RecursionError):
        return bytes(raw), ()
    warnings = {name: told for name in PROFILE_FIELDS.values() if name in user and (told := _unread(name, user[name]))}
    known = {name: value for name, value in user.items() if name not in warnings}
    readable = msgspec.json.encode({**body, "user": known})
    if marked != bytes(raw) and _NUL in readable:
        # A letter is cut in two elsewhere, too.
        return bytes(raw), ()
    return readable, tuple(warnings.values())


# JSON's escapes, one by one; the group is half of a letter that needs two of them, without its other half. JavaScript
# writes one where a text was cut between them, and the decoder refuses the whole body for it, wherever it stands.
_HALF_LETTER: Final = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)
_NUL: Final = rb"\u0000"


def _unread(name: str, raw: Raw) -> FieldWarning | None:
    """Return why a profile field cannot be read, None if it can."""
    try:
        _decode(b'{"%s":%s}' % (name.encode(), bytes(raw)), UserFields, "user")
    except msgspec.ValidationError as error:
        return FieldWarning(f"user.{name}", describe(error, root="user"))
    except ApiError:
        return FieldWarning(f"user.{name}", f"user.{name} must not contain the NUL character, or half of another.")
    return None


def _decode(raw: bytes | Raw, type_: type[Body], whole: str) -> Body:
    """Return the part. Raises msgspec.ValidationError where it has another form, ApiError where it is unreadable."""
    try:
        part: Body = _decoder(cast(Hashable, type_)).decode(raw)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(error, whole) from error
    if b"\\u0000" in bytes(raw):
        _refuse_nul(msgspec.to_builtins(part, builtin_types=(Raw,)), whole)
    return part


def _split_off(raw: bytes | Raw, type_: type[Body], whole: str) -> tuple[bytes | Raw, list[UnknownField]]:
    """Return the part without unknown fields, and these. Raises ApiError where it is unreadable."""
    try:
        return split_off(raw, type_)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(error, whole) from error


def _unreadable(error: Exception, whole: str = "The body") -> ApiError:
    return ApiError(400, f"{whole} is not readable JSON: {error}.")


def _refuse_nul(body: object, whole: str) -> None:
    for path, text in _texts(body, ""):
        if "\x00" in text:
            raise invalid(f"{path.lstrip('.') or whole} must not contain the NUL character.")


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _texts(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")


def exact_number(name: str, raw: Raw) -> Decimal:
    """Return the number, taken from the JSON text itself, so that 0.1 is a tenth. Raises ApiError.

    What is too large or too small for a decimal is returned as infinite.
    """
    text = bytes(raw).decode("utf-8", "replace")
    if text[0] not in "-0123456789":
        raise invalid(f"{name} must be a number.")
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def read_value(raw: Raw) -> Decimal:
    """Return an event's value. Raises ApiError."""
    value = exact_number("value", raw)
    # Rounding can reach the limit that the number itself stayed below; abs() would overflow where the number is huge.
    if not value.copy_abs() < VALUE_LIMIT or not abs(quantize(value)) < VALUE_LIMIT:
        raise invalid("value must be above -10^15 and below 10^15.")
    return quantize(value)


def user_changes(external_id: str, fields: UserFields) -> UserChanges:
    """Return what a body that is about a user says of them. Raises ApiError."""
    try:
        return changes_of(external_id, fields)
    except Refusal as refusal:
        raise invalid(refusal.message) from refusal


def reported_user(user: IdentifiedUser, unreadable: tuple[FieldWarning, ...]) -> UserChanges:
    """Return what can be stored of what a report says of its user; `unreadable` is what was left out to read it."""
    changes = usable_changes_of(user.id, user, root="user.")
    return replace(changes, warnings=unreadable + changes.warnings) if unreadable else changes


IDEMPOTENCY_KEY_LENGTH_MAX: Final = 255


def idempotency_key_of(header: str | None) -> str | None:
    """Return the key that an Idempotency-Key header says, which is UTF-8 and comes as WSGI has it. Raises ApiError."""
    if header is None:
        return None
    name = "The Idempotency-Key header"
    try:
        # WSGI's text is the bytes of the header, each as the character of its number.
        return checked_idempotency_key(header if header.isascii() else header.encode("latin-1").decode(), name)
    except UnicodeError as error:
        raise invalid(f"{name} must be UTF-8.") from error


def checked_idempotency_key(key: str, name: str) -> str:
    """Return the key without blanks at its ends, which HTTP takes off in a header. Raises ApiError.

    So a key is one key in a header and in a batch. Its letters stay as they are: no Unicode form is made another.
    """
    key = key.strip(" \t")
    if not 1 <= len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX:
        raise invalid(f"{name} must have 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters.")
    if has_control_characters(key):
        raise invalid(f"{name} must not have control characters.")
    return key
