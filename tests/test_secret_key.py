"""The secret key of production is one that nobody guesses: random keys of every kind pass, patterns do not."""

import secrets
import string
from random import Random

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.secret_key import HOW_TO_MAKE_ONE, check_secret_key

PATTERNS = [
    "abcdefghijk" * 5 + "abc",
    "0123456789" * 5 + "01x",
    string.ascii_lowercase * 2 + "x",
    "password" * 6 + "12x",
    "x" + "changeme!Z" * 6,
    string.ascii_letters + string.digits,
    "0123456789abcdef" * 4,
    string.ascii_letters[::-1],
    "qwertyuiopasdfghjklzxcvbnm" * 2,
    "correct-horse-battery" * 3,
]
ALPHABETS = {
    "token_urlsafe": (string.ascii_letters + string.digits + "-_", 50),
    "token_urlsafe of 50 bytes": (string.ascii_letters + string.digits + "-_", 67),
    "Django's own": ("abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)", 50),
    "hex of 32 bytes": ("0123456789abcdef", 64),
    "hex of 25 bytes": ("0123456789ABCDEF", 50),
}


@pytest.mark.parametrize("key", PATTERNS)
def test_a_pattern_is_refused_and_told_how_to_make_a_key(key: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="this one repeats a shorter text, or counts up like abc") as refused:
        check_secret_key(key)
    assert HOW_TO_MAKE_ONE in str(refused.value)


@pytest.mark.parametrize("kind", ALPHABETS)
def test_random_keys_pass(kind: str) -> None:
    alphabet, length = ALPHABETS[kind]
    random = Random(kind)  # the same keys each time
    for _ in range(5_000):
        check_secret_key("".join(random.choices(alphabet, k=length)))
    check_secret_key(secrets.token_urlsafe(50))
