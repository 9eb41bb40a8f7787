"""Application keys on the wire."""

from typing import TypedDict

from access.models import ApplicationKey


class ApplicationKeyJson(TypedDict):
    """A key for one user; its text is not kept."""

    id: str
    userId: str
    prefix: str


class NewApplicationKeyJson(ApplicationKeyJson):
    """A key that was made just now, with its text."""

    key: str


def render_application_key(key: ApplicationKey) -> ApplicationKeyJson:
    """Return the Admin API's shape of a key."""
    return {"id": str(key.id), "userId": key.external_id, "prefix": key.prefix}
