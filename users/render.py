"""A user on the wire."""

from collections.abc import Iterable
from typing import TypedDict

from core.json import iso_instant
from users.models import Attribute, AttributeFilter
from users.rules import User


class UserJson(TypedDict):
    """A user with all of their fields."""

    id: str
    email: str | None
    name: str | None
    tz: str | None
    signUpDate: str | None
    deviceTokens: list[str]
    subscribeToEmails: bool
    attributes: dict[str, str]
    control: bool
    created: str
    updated: str


def render_user(user: User) -> UserJson:
    """Return the wire's shape of `user`."""
    return {
        "id": user.external_id,
        "email": user.email,
        "name": user.name,
        "tz": user.tz,
        "signUpDate": user.sign_up_date.isoformat() if user.sign_up_date else None,
        "deviceTokens": list(user.device_tokens or ()),
        "subscribeToEmails": user.subscribe_to_emails,
        "attributes": dict(user.attributes),
        "control": user.control,
        "created": iso_instant(user.created),
        "updated": iso_instant(user.updated),
    }


class AdminAttributeJson(TypedDict):
    """An attribute as it was set up."""

    id: str
    name: str
    key: str
    type: str


def render_admin_attribute(attribute: Attribute) -> AdminAttributeJson:
    """Return the Admin API's shape of an attribute."""
    return {"id": str(attribute.id), "name": attribute.name, "key": attribute.key, "type": attribute.type}


class AttributeValueJson(TypedDict):
    """One attribute and the value that it must have."""

    key: str
    value: str


def render_filters(filters: Iterable[AttributeFilter]) -> list[AttributeValueJson]:
    """Return the wire's shape of filters that were loaded with their attributes."""
    return [{"key": each.attribute.key, "value": each.value} for each in filters]


class AdminFilterJson(TypedDict):
    """An attribute, by its id, and the value that it must have."""

    attributeId: str
    attributeValue: str


def render_admin_filters(filters: Iterable[AttributeFilter]) -> list[AdminFilterJson]:
    """Return the Admin API's shape of filters."""
    return [{"attributeId": str(each.attribute_id), "attributeValue": each.value} for each in filters]
