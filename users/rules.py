"""Who a user is after an update: pure."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from msgspec import Struct
from msgspec.structs import replace

from core.refusal import Refusal, RefusalReason
from core.warnings import FieldWarning


class Unset(Enum):
    """The field was not given, which is not the same as null."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class UserChanges(Struct, frozen=True, gc=False):
    """What an input says of its user: only the fields given change, null clears one.

    `warnings` name the fields that were given but left out, because they cannot be stored.
    """

    external_id: str
    name: str | None | Unset = UNSET
    email: str | None | Unset = UNSET
    tz: str | None | Unset = UNSET
    device_tokens: tuple[str, ...] | None | Unset = UNSET
    subscribe_to_emails: bool | Unset = UNSET
    sign_up_date: date | None | Unset = UNSET
    attributes: Mapping[str, str | None] | Unset = UNSET
    warnings: tuple[FieldWarning, ...] = ()


class User(Struct, frozen=True, gc=False):
    """A user's fields. `id` is Pointsmith's own, `external_id` the product's."""

    id: str
    external_id: str
    name: str | None
    email: str | None
    tz: str | None
    attributes: Mapping[str, str]
    device_tokens: tuple[str, ...] | None
    subscribe_to_emails: bool
    sign_up_date: date | None
    control: bool
    created: datetime
    updated: datetime


def new_user(id_: str, external_id: str, created: datetime) -> User:
    """Return a user of whom nothing but the external id is known."""
    return User(
        id=id_,
        external_id=external_id,
        name=None,
        email=None,
        tz=None,
        attributes={},
        device_tokens=None,
        subscribe_to_emails=True,
        sign_up_date=None,
        control=False,
        created=created,
        updated=created,
    )


class UserAttributeKeys(Struct, frozen=True, gc=False):
    """The keys of the users' attributes. What is stored under an archived one can only be removed."""

    active: frozenset[str] = frozenset()
    archived: frozenset[str] = frozenset()


def apply_changes(user: User, changes: UserChanges, known_attributes: UserAttributeKeys, at: datetime) -> User:
    """Return `user` after `changes`; the same object where nothing changed.

    Raises Refusal for an attribute that was not set up, a subscription without an email, a sign-up in the future.
    """
    changed, warnings = apply_usable(user, changes, known_attributes, at)
    if warnings:
        raise Refusal(RefusalReason.INVALID, warnings[0].message.removeprefix(_OF_USER))
    return changed


def apply_usable(
    user: User, changes: UserChanges, known_attributes: UserAttributeKeys, at: datetime
) -> tuple[User, tuple[FieldWarning, ...]]:
    """Return `user` after `changes`, and a warning for each field that cannot be stored and stays as it was.

    The user is the same object where nothing changed. Raises Refusal for an attribute that was not set up: a rule may
    ask for it.
    """
    given, warnings = _given_fields(changes), changes.warnings
    if isinstance(changes.attributes, Mapping):
        given["attributes"] = merge_attributes(user.attributes, changes.attributes, known_attributes)
    if changes.subscribe_to_emails is False:
        given["email"] = None
    if changes.subscribe_to_emails is True and not given.get("email", user.email):
        del given["subscribe_to_emails"]
        warnings += (_NO_EMAIL,)
    if _is_sign_up_ahead(user, changes, at):
        del given["sign_up_date"]
        warnings += (_SIGN_UP_AHEAD,)
    if all(getattr(user, field) == value for field, value in given.items()):
        return user, warnings
    return replace(user, **given, updated=at), warnings


def _given_fields(changes: UserChanges) -> dict[str, object]:
    fields = ("name", "email", "tz", "device_tokens", "subscribe_to_emails", "sign_up_date")
    return {field: value for field in fields if (value := getattr(changes, field)) is not UNSET}


def merge_attributes(
    stored: Mapping[str, str], given: Mapping[str, str | None], known: UserAttributeKeys
) -> Mapping[str, str]:
    """Return `stored` with `given` merged in by key; null removes one. Raises Refusal for keys that are not `known`."""
    check_user_attributes(given, known)
    merged = {**stored, **given}
    return {key: value for key, value in merged.items() if value is not None}


def check_user_attributes(given: Mapping[str, str | None], known: UserAttributeKeys) -> None:
    """Raise Refusal, naming the keys, where `given` has some that were not set up, or archived ones with a value."""
    archived = [key for key, value in given.items() if key in known.archived and value is not None]
    if archived:
        names = ", ".join(archived)
        how = "An attribute that is archived or being emptied takes no values; null removes one."
        raise Refusal(RefusalReason.INVALID, f"Invalid attribute keys: {names}. {how}")
    check_attribute_keys([key for key in given if key not in known.archived], known.active, "user")


def check_attribute_keys(given: Iterable[str], known: Collection[str], whose: str) -> None:
    """Raise Refusal, naming the keys, where `given` has some that were not set up. `whose` is `user` or `event`."""
    unknown = [key for key in given if key not in known]
    if unknown:
        names = ", ".join(unknown)
        raise Refusal(
            RefusalReason.INVALID, f"Invalid attribute keys: {names}. Set them up as {whose} attributes first."
        )


def matches(attribute_filter: Collection[tuple[str, str]], attributes: Mapping[str, str]) -> bool:
    """Tell whether `attributes` has every (key, value) of the filter; an empty filter matches all."""
    return all(attributes.get(key) == value for key, value in attribute_filter)


_OF_USER: Final = "user."
"""How the sentence about a field begins in a report; in a body that is about the user it begins with the field."""

_NO_EMAIL: Final = FieldWarning(
    "user.subscribeToEmails", "user.subscribeToEmails can be true only for a user with an email."
)
_SIGN_UP_AHEAD: Final = FieldWarning(
    "user.signUpDate", "user.signUpDate must not be after today in the user's time zone."
)


def _is_sign_up_ahead(user: User, changes: UserChanges, at: datetime) -> bool:
    """Tell whether a sign-up is given that is after today where the user is; the stored one was not, whatever zone."""
    day, tz = changes.sign_up_date, user.tz if changes.tz is UNSET else changes.tz
    return isinstance(day, date) and day != user.sign_up_date and day > local_date(at, tz)


def local_dates(at: datetime) -> dict[str, date]:
    """Return the calendar date of `at` in every zone by its IANA name.

    For SQL about users of all zones: PostgreSQL may come with other zones than those that users can have.
    """
    return {tz: local_date(at, tz) for tz in _zones()}


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def local_date(at: datetime, tz: str | None) -> date:
    """Return the calendar date of `at` where the user is; without a zone that is UTC."""
    return at.astimezone(ZoneInfo(tz) if tz else UTC).date()
