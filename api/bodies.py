"""What request bodies look like, and how they are read: strictly, with one clear sentence for what is wrong."""

import re
from collections.abc import Hashable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, Final, TypeVar, cast
from zoneinfo import available_timezones

import msgspec
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from api.errors import ApiError, describe, invalid, too_large
from core.json import parse_day
from metrics.rules import VALUE_LIMIT, quantize
from users import rules

Body = TypeVar("Body")

ExternalId = Annotated[str, Meta(min_length=1, max_length=255, description="Your own id of the user.")]
AttributeValue = Annotated[str, Meta(max_length=1000)]


class UserFields(Struct, rename="camel", frozen=True):
    """A user's fields: those given change, null clears one."""

    name: Annotated[str, Meta(max_length=255)] | None | UnsetType = UNSET
    email: Annotated[str, Meta(max_length=254)] | None | UnsetType = UNSET
    tz: Annotated[str, Meta(max_length=64, description="An IANA name such as Europe/London.")] | None | UnsetType = (
        UNSET
    )
    sign_up_date: Annotated[str, Meta(max_length=40)] | None | UnsetType = UNSET
    device_tokens: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=4096)]], Meta(max_length=100)] | None | UnsetType
    ) = UNSET
    subscribe_to_emails: bool | UnsetType = UNSET
    attributes: dict[str, AttributeValue | None] | UnsetType = UNSET


class IdentifiedUser(UserFields, rename="camel", frozen=True, kw_only=True):
    """A user's id and fields."""

    id: ExternalId


class EventBody(Struct, rename="camel", frozen=True):
    """An event: who did how much of the metric, with the event's own attributes."""

    user: IdentifiedUser
    value: Annotated[Raw, Meta(extra_json_schema={"type": "number", "description": "Kept exactly, to 9 places."})]
    attributes: dict[str, AttributeValue] | None = None


class BatchedEvent(Struct, rename="camel", frozen=True):
    """One event of a batch: as an event on its own, with its metric and idempotency key inside."""

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


class CompletionBody(Struct, rename="camel", frozen=True):
    """Who completed the achievement."""

    user: IdentifiedUser


@cache
def _decoder(type_: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


def read_body(request: HttpRequest, type_: type[Body], *, size_max: int | None = None) -> Body:
    """Return the request's JSON body as `type_`. Raises ApiError: 400 unreadable, 413 too large, 422 of another form.

    `size_max` takes the place of the limit that holds for all other bodies.
    """
    raw = request.body if size_max is None else _read_up_to(request, size_max)
    if not raw.isascii():
        # The decoder looks only into the texts that it decodes, not into those of a part that is read later.
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            raise _unreadable(error) from error
    return read_part(raw, type_)


def _read_up_to(request: HttpRequest, size_max: int) -> bytes:
    raw: bytes = request.read(size_max + 1)
    if len(raw) > size_max:
        raise too_large(size_max)
    return raw


def read_part(raw: bytes | Raw, type_: type[Body], *, whole: str = "The body") -> Body:
    """Return a body, or a part that errors call `whole`, as `type_`. Raises ApiError as `read_body` does."""
    try:
        part: Body = _decoder(cast(Hashable, type_)).decode(raw)
    except msgspec.ValidationError as error:
        raise invalid(describe(error, whole=whole)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(error) from error
    if b"\\u0000" in bytes(raw):
        _refuse_nul(msgspec.to_builtins(part, builtin_types=(Raw,)))
    return part


def _unreadable(error: Exception) -> ApiError:
    return ApiError(400, f"The body is not readable JSON: {error}.")


def _refuse_nul(body: object) -> None:
    for path, text in _texts(body, ""):
        if "\x00" in text:
            raise invalid(f"{path.lstrip('.') or 'The body'} must not contain the NUL character.")


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


def user_changes(external_id: str, fields: UserFields, root: str = "") -> rules.UserChanges:
    """Return what the body says of its user. `root` is where the fields stand in the body. Raises ApiError."""
    return rules.UserChanges(
        external_id=external_id,
        name=_given(fields.name),
        email=_email(fields.email, root),
        tz=_time_zone(fields.tz, root),
        device_tokens=_device_tokens(fields.device_tokens),
        subscribe_to_emails=_given(fields.subscribe_to_emails),
        sign_up_date=_sign_up_date(fields.sign_up_date, root),
        attributes=_given(fields.attributes),
    )


T = TypeVar("T")


def _given(value: T | UnsetType) -> T | rules.Unset:
    return rules.UNSET if isinstance(value, UnsetType) else value


def _email(value: str | None | UnsetType, root: str) -> str | None | rules.Unset:
    if isinstance(value, str):
        try:
            validate_email(value)
        except ValidationError as error:
            raise invalid(f"{root}email must be an email address.") from error
    return _given(value)


def _time_zone(value: str | None | UnsetType, root: str) -> str | None | rules.Unset:
    if isinstance(value, str) and value not in _time_zones():
        raise invalid(f"{root}tz must be an IANA time zone name such as Europe/London.")
    return _given(value)


@cache
def _time_zones() -> set[str]:
    return available_timezones() - {"localtime", "Factory"}


def _device_tokens(value: list[str] | None | UnsetType) -> tuple[str, ...] | None | rules.Unset:
    return tuple(value) if isinstance(value, list) else _given(value)


def _sign_up_date(value: str | None | UnsetType, root: str) -> date | None | rules.Unset:
    if not isinstance(value, str):
        return _given(value)
    if day := parse_day(value):
        return day
    try:
        # An instant, but not in the other forms of ISO 8601, as for days.
        if not re.match(r"\d{4}-\d{2}-\d{2}[T ]", value):
            raise ValueError(value)
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC).date()
    except (ValueError, OverflowError) as error:
        raise invalid(f"{root}signUpDate must be a date such as 2026-01-31.") from error


IDEMPOTENCY_KEY_LENGTH_MAX: Final = 255


def read_idempotency_key(request: HttpRequest) -> str | None:
    """Return the Idempotency-Key header, None where there is none. Raises ApiError."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and (not 1 <= len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX or "\x00" in key):
        raise invalid("The Idempotency-Key header must have 1 to 255 characters.")
    return key
