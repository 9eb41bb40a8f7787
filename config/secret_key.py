"""The secret key: that of a development server is random, made once and kept in `var/`; that of production is given."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

LENGTH_MIN: Final = 50
DIFFERENT_MIN: Final = 10
"""Fewer different characters are no random key: 50 random hexadecimal digits practically always have more."""
STEPS_MIN: Final = 30
"""Fewer different steps are no random key: 50 random decimal digits practically always have more."""

HOW_TO_MAKE_ONE: Final = "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"


def check_secret_key(key: str) -> None:
    """Raise ImproperlyConfigured where somebody might guess the key, and sign themselves in as anybody."""
    if len(key) < LENGTH_MIN:
        problem = f"has only {len(key)} characters" if key else "is not set"
    elif key.startswith("django-insecure"):
        problem = "is one that Django made for development"
    elif len(set(key)) < DIFFERENT_MIN:
        problem = f"has only {len(set(key))} different characters"
    elif _different_steps(key) < STEPS_MIN:
        problem = "repeats a shorter text, or counts up like abc"
    else:
        return
    raise ImproperlyConfigured(
        f"PRODUCTION needs a SECRET_KEY of {LENGTH_MIN} random characters or more, and this one {problem}. "
        f"Make one by: {HOW_TO_MAKE_ONE}"
    )


def _different_steps(key: str) -> int:
    """Return in how many different ways the key goes on from a character to the next two.

    How far each is from the one before is what counts: `abc`, `bcd` and `345` are one step. A text that is repeated
    takes no new steps from its second time on, and an alphabet takes one all along.
    """
    codes = [ord(character) for character in key]
    distances = [following - code for code, following in pairwise(codes)]
    return len(set(pairwise(distances)))


def development_secret_key(var_dir: Path) -> str:
    """Return the key kept in `var_dir`, making it at the first call. Two processes that start at once agree on one."""
    file = var_dir / "secret_key"
    if not file.exists():
        draft = var_dir / f"secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(get_random_secret_key())
        # A hard link fails where the other process was first, and its whole file is there already.
        try:
            file.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text()
