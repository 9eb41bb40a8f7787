"""The keys as the rule book and the pipeline read them, and when they were last used."""

from collections import defaultdict
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec
from django.db import Error, connection
from django.utils import timezone

from access.keys import KeyRule, prefix_of, verified
from access.models import ApiKey, ApplicationKey
from core.models import ConfigurationStatus

KEYS_REMEMBERED_MAX: Final = 10_000
"""How many application keys a process remembers, and, apart from that, the last uses of how many keys."""

USE_INTERVAL: Final = timedelta(minutes=1)
"""How often the use of a key is written at most."""

LOAD_APPLICATION_KEYS: Final = """
SELECT k.id, k.external_id
FROM json_array_elements_text(%s) AS n(id) JOIN access_applicationkey k ON k.id = n.id::uuid AND k.status = 'active'
"""

# Only of a key that is active, so that a revoked one shows when it was last let in.
_NOTE_USE: Final = """
INSERT INTO access_keyuse (key_id, last_used)
SELECT id, %(now)s FROM access_apikey WHERE id = %(key)s AND status = 'active'
UNION ALL
SELECT id, %(now)s FROM access_applicationkey WHERE id = %(key)s AND status = 'active'
ON CONFLICT (key_id) DO UPDATE SET last_used = excluded.last_used
WHERE access_keyuse.last_used <= %(before)s
"""


class ApplicationKeyRow(msgspec.Struct, frozen=True):
    """An active application key as loaded."""

    id: str
    external_id: str


_decoder = msgspec.json.Decoder(list[ApplicationKeyRow])


def decode_application_keys(rows: str) -> dict[str, frozenset[str]]:
    """Return the ids of LOAD_APPLICATION_KEYS' rows, a JSON array, by the external id of the keys' user."""
    ids: dict[str, set[str]] = defaultdict(set)
    for row in _decoder.decode(rows):
        ids[row.external_id].add(row.id)
    return {external_id: frozenset(its_ids) for external_id, its_ids in ids.items()}


def load_keys() -> dict[str, KeyRule]:
    """Return every active key of a backend by its prefix."""
    keys = ApiKey.objects.filter(status=ConfigurationStatus.ACTIVE)
    return {key.prefix: KeyRule(id=str(key.id), hashed_key=key.hashed_key, name=key.name) for key in keys}


def read_application_key(text: str) -> KeyRule | None:
    """Return the active application key whose text this is, by one query."""
    try:
        return verified(_read(prefix_of(text)), text)
    except ApplicationKey.DoesNotExist:
        return None


def recall_application_key(text: str) -> KeyRule | None:
    """Return the application key whose text this is as this process has read it once: it may be revoked."""
    try:
        return verified(_recall(prefix_of(text)), text)
    except ApplicationKey.DoesNotExist:
        return None


def _read(prefix: str) -> KeyRule:
    if "\x00" in prefix:
        raise ApplicationKey.DoesNotExist
    key = ApplicationKey.objects.get(prefix=prefix, status=ConfigurationStatus.ACTIVE)
    return KeyRule(id=str(key.id), hashed_key=key.hashed_key, external_id=key.external_id)


# Remembers no exceptions, so a key that does not exist yet is looked for again.
_recall = lru_cache(maxsize=KEYS_REMEMBERED_MAX)(_read)

_uses_noted: dict[str, datetime] = {}


def is_use_noted(key_id: str) -> bool:
    """Tell whether this process has written down within the last minute that the key was used."""
    noted = _uses_noted.get(key_id)
    return noted is not None and timedelta() <= timezone.now() - noted < USE_INTERVAL


def note_use(key_id: str) -> None:
    """Write down that the key was used, at most once a minute; in between, ask nothing of the database."""
    if is_use_noted(key_id):
        return
    now = timezone.now()
    if len(_uses_noted) >= KEYS_REMEMBERED_MAX:
        _uses_noted.clear()
    # Before it is written, so that of many threads that come at once only one does.
    _uses_noted[key_id] = now
    try:
        with connection.cursor() as cursor:
            cursor.execute(_NOTE_USE, {"key": key_id, "now": now, "before": now - USE_INTERVAL})
    except Error:
        _uses_noted.pop(key_id, None)
        raise
