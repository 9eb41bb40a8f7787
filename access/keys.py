"""Making keys and recognising them, by `djangorestframework-api-key`'s generator and SHA-512 hasher."""

from collections.abc import Mapping
from dataclasses import dataclass

from rest_framework_api_key.crypto import KeyGenerator

generator = KeyGenerator(prefix_length=8, secret_key_length=32)


@dataclass(frozen=True, slots=True)
class KeyRule:
    """An active key as the rule book knows it."""

    id: str
    hashed_key: str


def find_key(keys: Mapping[str, KeyRule], text: str) -> KeyRule | None:
    """Return the key of `keys` (by prefix) whose text this is, comparing in constant time."""
    key = keys.get(text.partition(".")[0])
    return key if key is not None and generator.verify(text, key.hashed_key) else None
