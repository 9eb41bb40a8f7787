"""Secrets that sign messages: made here, shown once, kept encrypted with the app's key."""

import base64
import secrets
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
_PURPOSE: Final = b"pointsmith webhook secrets"


def new_secret() -> str:
    """Return a secret of the Standard Webhooks form: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def conceal(secret: str) -> str:
    """Return the secret as the database keeps it."""
    return _cipher((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)).encrypt(secret.encode()).decode()


def reveal(concealed: str) -> str:
    """Return the secret that `conceal` hid. Raises cryptography.fernet.InvalidToken where the app's key is another."""
    return _revealed((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS), concealed)


def is_readable(concealed: str) -> bool:
    """Tell whether the app's keys can still read the secret."""
    try:
        reveal(concealed)
    except InvalidToken:
        return False
    return True


@lru_cache(maxsize=1_000)
def _revealed(keys: tuple[str, ...], concealed: str) -> str:
    return _cipher(keys).decrypt(concealed.encode()).decode()


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    """Return the cipher of the app's keys: the first encrypts, all decrypt."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
