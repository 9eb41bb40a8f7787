"""What can be said of a user, and its form: shared by request bodies and imported files."""

import re
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, ClassVar, TypeVar
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from msgspec import UNSET, Meta, UnsetType

from core.fields import Fields
from core.json import parse_day
from core.refusal import Refusal, RefusalReason
from users import rules
from users.render import UserJson

ExternalId = Annotated[str, Meta(min_length=1, max_length=255, description="Your own id of the user.")]
AttributeValue = Annotated[str, Meta(max_length=1000)]


class UserFields(Fields, frozen=True):
    """A user's fields: those given change, null clears one."""

    called: ClassVar = "a user"
    shown_as: ClassVar = UserJson

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


class IdentifiedUser(UserFields, frozen=True, kw_only=True):
    """A user's id and fields."""

    id: ExternalId


def changes_of(external_id: str, fields: UserFields, root: str = "") -> rules.UserChanges:
    """Return what the fields say of their user. `root` is where they stand in what was sent. Raises Refusal."""
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


def _invalid(message: str) -> Refusal:
    return Refusal(RefusalReason.INVALID, message)


T = TypeVar("T")


def _given(value: T | UnsetType) -> T | rules.Unset:
    return rules.UNSET if isinstance(value, UnsetType) else value


def _email(value: str | None | UnsetType, root: str) -> str | None | rules.Unset:
    if isinstance(value, str):
        try:
            validate_email(value)
        except ValidationError as error:
            raise _invalid(f"{root}email must be an email address.") from error
    return _given(value)


def _time_zone(value: str | None | UnsetType, root: str) -> str | None | rules.Unset:
    if isinstance(value, str) and value not in _time_zones():
        raise _invalid(f"{root}tz must be an IANA time zone name such as Europe/London.")
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
        raise _invalid(f"{root}signUpDate must be a date such as 2026-01-31.") from error
