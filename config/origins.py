"""`CORS_ALLOWED_ORIGINS`: whose pages may call the Application API from a browser."""

import re
from collections.abc import Sequence
from typing import Final

from django.core.exceptions import ImproperlyConfigured

ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]-]+")


def read_origins(given: Sequence[str]) -> list[str]:
    """Return the origins as browsers send them. Raises ImproperlyConfigured for what no browser would send."""
    origins = [origin.strip() for origin in given if origin.strip()]
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ImproperlyConfigured(
                f"CORS_ALLOWED_ORIGINS: «{origin}» must be like https://app.example.com, in small letters, with a port "
                "only if it is not the usual one, and without a path or a slash at the end. Name each site by itself."
            )
    return origins
