"""What a password of an operator must not be: what somebody who knows them a little, or has a list, would try first.

zxcvbn finds the names, dates, words and rows that a password is made of, and estimates how many guesses it takes.
"""

import re
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any, Final, TypeAlias

from django.core.exceptions import ValidationError
from zxcvbn import zxcvbn

GUESSES_MIN: Final = 5 * 10**8
GUESSES_MIN_OF_DIGITS: Final = 10**6
"""For digits alone, since a part of most random numbers looks like a date."""
LEFT_MIN: Final = 8
"""How many letters and digits of a password must be neither name nor date, where it has one."""
LENGTH_MAX: Final = 32
"""How much of a long password is looked at, which bounds the time that this takes."""
HELP: Final = (
    "Your password must not be a common one, a date, a row of letters or keys, or like your name, login or email "
    "address, whatever is added to it."
)
LIKE_NAME: Final = "The password is too much like the name, login or email address."
DATE: Final = "The password is little more than a date."
NAME_AND_DATE: Final = "The password is little more than a name and a date."
COMMON: Final = "The password is little more than common words or passwords."
ROW: Final = "The password is little more than a row of letters or keys, or repeats itself."

_KNOWN: Final = ("pointsmith", "correcthorsebatterystaple")
"""What is tried here first, and is in no list."""
_NAME_LENGTH_MIN: Final = 3
_SAME_LETTER: Final = str.maketrans("[{<|", "(((!")
"""Signs that stand for the same letter: each more of them would double the readings that zxcvbn tries."""
_LOCK: Final = Lock()

_Part: TypeAlias = dict[str, Any]


class GuessablePasswordValidator:
    """Refuses passwords that are guessed first."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is little more than something that others know or try."""
        names = set(_names_of(user))
        for text in _readings(password[:LENGTH_MAX]):
            guesses, parts = _estimate(text, names)
            guesses_min = GUESSES_MIN_OF_DIGITS if text.isdecimal() else GUESSES_MIN
            if guesses < guesses_min or _is_name_or_date(parts, names):
                raise ValidationError(_reason(parts, names), code="password_guessable")

    def get_help_text(self) -> str:
        """Say what is asked, before anything is typed."""
        return HELP


def _names_of(user: Any) -> Iterator[str]:
    """Yield the parts of what an operator is called, with their digits and without, and all of it without signs."""
    for field in ("username", "first_name", "last_name", "email"):
        text = str(getattr(user, field, None) or "").lower()
        for part in (_plain(text), *re.split(r"[\W_]+", text), *re.split(r"[\W\d_]+", text)):
            if len(part) >= _NAME_LENGTH_MIN and part not in _KNOWN:
                yield part


def _readings(text: str) -> Iterator[str]:
    """Yield a password as it is, and without its signs where it has only one kind, as in `p.a.s.s.w.o.r.d`."""
    yield text
    plain = _plain(text)
    if plain and len(set(re.findall(r"[\W_]", text))) == 1:
        yield plain


def _plain(text: str) -> str:
    """Return the letters and digits alone."""
    return re.sub(r"[\W_]+", "", text)


def _estimate(text: str, names: set[str]) -> tuple[int, list[_Part]]:
    """Return how many guesses a password takes, and the parts that it was read as."""
    # The library keeps the words that it is given in one place for all threads.
    with _LOCK:
        found: Any = zxcvbn(text.translate(_SAME_LETTER), user_inputs=[*_KNOWN, *sorted(names)])
    return int(found["guesses"]), list(_flat(found["sequence"]))


def _flat(parts: Iterable[_Part]) -> Iterator[_Part]:
    """Yield the parts, and after one that repeats itself what it repeats."""
    for part in parts:
        yield part
        yield from _flat(part.get("base_matches", ()))


def _is_name_or_date(parts: list[_Part], names: set[str]) -> bool:
    """Tell whether too few letters and digits are left without names as they are, and dates with signs."""
    others = [part for part in parts if not part.get("separator") and (part.get("l33t") or not _is_name(part, names))]
    return len(others) < len(parts) and sum(len(_plain(part["token"])) for part in others) < LEFT_MIN


def _is_name(part: _Part, names: set[str]) -> bool:
    return part.get("matched_word") in names


def _reason(parts: list[_Part], names: set[str]) -> str:
    """Return what a guessable password is: names and dates first, then whatever the most of it is."""
    name = any(_is_name(part, names) for part in parts)
    date = any(part["pattern"] == "date" for part in parts)
    if name:
        return NAME_AND_DATE if date else LIKE_NAME
    reasons = {"dictionary": COMMON, "date": DATE, "regex": DATE}
    known = [part for part in parts if part["pattern"] != "bruteforce"]
    # Where nothing is known, a sign that repeats itself was left out.
    return reasons.get(max(known, key=_weight)["pattern"], ROW) if known else ROW


def _weight(part: _Part) -> tuple[int, bool]:
    return len(part["token"]), part["pattern"] == "dictionary"
