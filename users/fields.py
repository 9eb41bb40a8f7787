"""What can be said of a user, and its form: shared by request bodies and imported files."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Final
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from email_validator import EmailNotValidError
from email_validator import validate_email as validate_any_email
from msgspec import UNSET, Meta, UnsetType

from core.fields import Fields
from core.json import parse_day
from core.refusal import Refusal, RefusalReason
from core.warnings import FieldWarning
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


PROFILE_FIELDS: Final = {
    "name": "name",
    "email": "email",
    "tz": "tz",
    "device_tokens": "deviceTokens",
    "subscribe_to_emails": "subscribeToEmails",
    "sign_up_date": "signUpDate",
}
"""What no rule of points looks at, with the names on the wire: such a field never costs an event. A user's zone says
only which day it is."""


def changes_of(external_id: str, fields: UserFields, root: str = "") -> rules.UserChanges:
    """Return what the fields say of their user. `root` is where they stand in what was sent. Raises Refusal."""
    changes = usable_changes_of(external_id, fields, root)
    if changes.warnings:
        raise Refusal(RefusalReason.INVALID, changes.warnings[0].message)
    return changes


def usable_changes_of(external_id: str, fields: UserFields, root: str = "") -> rules.UserChanges:
    """Return what can be stored of what the fields say of their user; its `warnings` name the others."""
    given: dict[str, Any] = {}
    warnings: list[FieldWarning] = []
    for name, wire_name in PROFILE_FIELDS.items():
        if (value := getattr(fields, name)) is UNSET:
            continue
        try:
            given[name] = _READERS[name](value) if name in _READERS and value is not None else value
        except ValueError as error:
            warnings.append(FieldWarning(f"{root}{wire_name}", f"{root}{wire_name} {error}"))
    if fields.attributes is not UNSET:
        given["attributes"] = fields.attributes
    return rules.UserChanges(external_id, warnings=tuple(warnings), **given)


def _email(value: str) -> str:
    if not _is_email(value):
        raise ValueError("must be an email address.")
    return value


def _is_email(value: str) -> bool:
    """Tell whether it is an address as people have them, in letters of any language on both sides of the @."""
    try:
        validate_email(value)
    except ValidationError:
        try:
            # Slower, so only for what Django does not know: letters beyond ASCII before the @, and quoted ones.
            validate_any_email(
                value,
                allow_smtputf8=True,
                allow_quoted_local=True,
                check_deliverability=False,
                globally_deliverable=False,
            )
        except EmailNotValidError:
            return False
    return True


def _time_zone(value: str) -> str:
    if value not in _time_zones():
        raise ValueError("must be an IANA time zone name such as Europe/London.")
    return value


@cache
def _time_zones() -> set[str]:
    return available_timezones() - {"localtime", "Factory"}


def _sign_up_date(value: str) -> date:
    if day := parse_day(value):
        return day
    try:
        # An instant, but not in the other forms of ISO 8601, as for days.
        if not re.match(r"\d{4}-\d{2}-\d{2}[T ]", value):
            raise ValueError(value)
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC).date()
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a date such as 2026-01-31.") from error


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "email": _email,
    "tz": _time_zone,
    "device_tokens": tuple,
    "sign_up_date": _sign_up_date,
}
"""What makes the stored value of one that was sent. Raises ValueError with what is allowed."""
