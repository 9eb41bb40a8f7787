"""Secrets that sign messages: made here, shown once, kept encrypted with the app's key."""

import base64
import secrets
from typing import Final

from core import concealing
from core.concealing import OF_WEBHOOKS, InvalidToken

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return a secret of the Standard Webhooks form: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def conceal(secret: str) -> str:
    """Return the secret as the database keeps it."""
    return concealing.conceal(secret, OF_WEBHOOKS)


def reveal(concealed: str) -> str:
    """Return the secret that `conceal` hid. Raises InvalidToken where the app's key is another."""
    return concealing.reveal(concealed, OF_WEBHOOKS)


def is_readable(concealed: str) -> bool:
    """Tell whether the app's keys can still read the secret."""
    try:
        reveal(concealed)
    except InvalidToken:
        return False
    return True
