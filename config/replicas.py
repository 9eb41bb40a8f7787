"""`REPLICA_URLS`: the replicas of the database, as Django's DATABASES has them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from environ import Env

SCHEMES: Final = ("postgres://", "postgresql://")
POOL_WAIT_S_MAX: Final = 2
"""The primary can answer instead, so nobody waits long for a replica's connection."""


def read_replicas(urls: Sequence[str], *, embedded: bool) -> dict[str, dict[str, Any]]:
    """Return where each replica is, by its alias: `replica_1`, `replica_2`... Raises ImproperlyConfigured."""
    urls = [url.strip() for url in urls if url.strip()]
    if urls and embedded:
        raise ImproperlyConfigured("REPLICA_URLS needs DATABASE_URL: nothing replicates the embedded PostgreSQL.")
    return {f"replica_{number}": _read(url, number) for number, url in enumerate(urls, start=1)}


def _read(url: str, number: int) -> dict[str, Any]:
    try:
        server: dict[str, Any] = Env.db_url_config(url) if url.startswith(SCHEMES) else {}
    except ValueError as error:
        raise _refusal(number) from error
    if not server.get("NAME"):
        raise _refusal(number)
    return server


def _refusal(number: int) -> ImproperlyConfigured:
    # Without the address itself, which may hold a password.
    return ImproperlyConfigured(
        f"REPLICA_URLS: address {number} must be of the form postgres://user:password@host:5432/database."
    )


def replica_settings(server: Mapping[str, Any], connecting: Mapping[str, Any]) -> dict[str, Any]:
    """Return a replica's entry in DATABASES: where it is, and how this process connects; tests never write to it."""
    options = {**connecting["OPTIONS"], **server.get("OPTIONS", {})}
    if "pool" in options:
        options["pool"] = {**options["pool"], "timeout": POOL_WAIT_S_MAX}
    return {**server, **connecting, "OPTIONS": options, "TEST": {"MIRROR": "default"}}
