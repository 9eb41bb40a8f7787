"""`CORS_ALLOWED_ORIGINS`: whose pages may call the Application API from a browser."""

import re
from collections.abc import Sequence
from typing import Final

from django.core.exceptions import ImproperlyConfigured

ORIGIN: Final = re.compile(
    r"(?P<site>(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[a-z0-9.-]+|\[[0-9a-f:.]+]))(?::(?P<port>[0-9]{1,9}))?"
)
USUAL_PORTS: Final = {"http": 80, "https": 443}
"""The ports that browsers leave out."""
PORT_MAX: Final = 65_535


def read_origins(given: Sequence[str]) -> list[str]:
    """Return the origins as browsers send them. Raises ImproperlyConfigured for what no browser would send."""
    origins = [origin.strip() for origin in given if origin.strip()]
    for origin in origins:
        if problem := _problem(origin):
            raise ImproperlyConfigured(f"CORS_ALLOWED_ORIGINS: «{origin}» {problem}")
    return origins


def _problem(origin: str) -> str | None:
    match = ORIGIN.fullmatch(origin)
    if match is None:
        return (
            "must be like https://app.example.com, in small letters, with a port only if it is not the usual one, and "
            "without a path or a slash at the end. Name each site by itself."
        )
    site, port = match["site"], match["port"]
    if port is None:
        return None
    number = int(port)
    if not 1 <= number <= PORT_MAX:
        return f"has a port that there is not: it must be from 1 to {PORT_MAX}."
    if number == USUAL_PORTS.get(match["scheme"]):
        return f"must be {site}: browsers leave out the usual port."
    return f"must be {site}:{number}: browsers leave out zeros before a port." if port.startswith("0") else None
