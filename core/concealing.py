"""Secrets that the database keeps encrypted with the app's key: a copy of the database does not give them away."""

import base64
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

__all__ = ("InvalidToken", "conceal", "reveal")

OF_WEBHOOKS: Final = "pointsmith webhook secrets"
OF_SUBMISSIONS: Final = "pointsmith secrets shown once"


def conceal(secret: str, purpose: str) -> str:
    """Return the secret as the database keeps it; what is kept for one purpose cannot be read for another."""
    return _cipher(_keys(), purpose).encrypt(secret.encode()).decode()


def reveal(concealed: str, purpose: str) -> str:
    """Return the secret that `conceal` hid. Raises InvalidToken if the app's key is another."""
    return _revealed(_keys(), concealed, purpose)


def _keys() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=1_000)
def _revealed(keys: tuple[str, ...], concealed: str, purpose: str) -> str:
    return _cipher(keys, purpose).decrypt(concealed.encode()).decode()


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...], purpose: str) -> MultiFernet:
    """Return the cipher of the app's keys: the first encrypts, all decrypt."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key, purpose))) for key in keys])


def _derived(key: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(key.encode())
