"""Making keys and recognising them, by `djangorestframework-api-key`'s generator and SHA-512 hasher."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rest_framework_api_key.crypto import KeyGenerator

APPLICATION_PREFIX: Final = "app_"
"""How every application key begins, and no other key."""


class ApplicationKeyGenerator(KeyGenerator):
    """Makes keys whose kind can be seen."""

    def get_prefix(self) -> str:
        """Return the part of a new key by which it is found."""
        return APPLICATION_PREFIX + str(super().get_prefix())


generator = KeyGenerator(prefix_length=8, secret_key_length=32)
application_generator = ApplicationKeyGenerator(prefix_length=8, secret_key_length=32)


@dataclass(frozen=True, slots=True)
class KeyRule:
    """An active key. An application key has the external id of its one user; a backend's has none, and may do all.

    `name` is who uses a backend's key, for the history of what is changed with it.
    """

    id: str
    hashed_key: str
    external_id: str | None = None
    name: str = ""


def is_application_key(text: str) -> bool:
    """Tell which kind of key the text would be."""
    return text.startswith(APPLICATION_PREFIX)


def prefix_of(text: str) -> str:
    """Return the part of a key by which it is found."""
    return text.partition(".")[0]


def verified(key: KeyRule | None, text: str) -> KeyRule | None:
    """Return the key where the text is its own, comparing in constant time."""
    return key if key is not None and generator.verify(text, key.hashed_key) else None


def find_key(keys: Mapping[str, KeyRule], text: str) -> KeyRule | None:
    """Return the key of `keys` (by prefix) whose text this is."""
    return verified(keys.get(prefix_of(text)), text)
