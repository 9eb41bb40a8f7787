"""A user on the wire."""

from typing import TypedDict

from core.json import iso_instant
from users.models import Attribute
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
