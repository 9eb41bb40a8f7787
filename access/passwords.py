"""What a password of an operator must not be: what somebody who knows them a little, or has a list, would try first."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

LEFT_MIN: Final = 8
"""How many letters and figures of a password must be neither name nor date."""
DIFFERENT_MIN: Final = 5
HELP: Final = (
    "Your password must not be a common one, a date, or like your name, login or email address, "
    "whatever is added to it."
)
LIKE_NAME: Final = "The password is too much like the name, login or email address."
DATE: Final = "The password is little more than a date."
NAME_AND_DATE: Final = "The password is little more than a name and a date."
COMMON: Final = "The password is a common one, or one with something added."
TOO_FEW: Final = f"The password needs at least {DIFFERENT_MIN} different characters, which are not just in a row."

_DATE: Final = re.compile(r"(19|20)\d\d[-./ ]?\d{1,2}[-./ ]?\d{1,2}|\d{1,2}[-./ ]?\d{1,2}[-./ ]?(19|20)?\d\d")
_ROWS: Final = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm")
_PART_LENGTH_MIN: Final = 3


class GuessablePasswordValidator:
    """Refuses passwords that are guessed first."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is little more than something that others know or try."""
        folded = password.casefold()
        names = sorted(_names_of(user), key=len, reverse=True)
        without_dates = _DATE.sub(" ", folded)
        for left, problem in (
            (_without(folded, names), LIKE_NAME),
            (without_dates, DATE),
            (_without(without_dates, names), NAME_AND_DATE),
        ):
            if left != folded and len(_plain(left)) < LEFT_MIN:
                raise ValidationError(problem, code="password_guessable")
        if any(each in _common() for each in _cores(folded)):
            raise ValidationError(COMMON, code="password_too_common")
        plain = _plain(folded)
        if len(set(folded)) < DIFFERENT_MIN or any(plain in row or plain in row[::-1] for row in _ROWS):
            raise ValidationError(TOO_FEW, code="password_too_plain")

    def get_help_text(self) -> str:
        """Say what is asked, before anything is typed."""
        return HELP


def _names_of(user: Any) -> Iterator[str]:
    """Yield the parts of what an operator is called, and all of it without the signs between them."""
    for field in ("username", "first_name", "last_name", "email"):
        text = str(getattr(user, field, None) or "").casefold()
        for part in (_plain(text), *re.split(r"[\W_]+", text)):
            if len(part) >= _PART_LENGTH_MIN:
                yield part


def _without(text: str, parts: list[str]) -> str:
    for part in parts:
        text = text.replace(part, " ")
    return text


def _plain(text: str) -> str:
    """Return the letters and figures alone."""
    return re.sub(r"[\W_]+", "", text)


def _cores(folded: str) -> Iterator[str]:
    """Yield what a password may be at heart: without signs, without what is around its letters, once, not twice."""
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)
    for text in (folded, _plain(folded), bare, _plain(bare)):
        yield text
        half = text[: len(text) // 2]
        if half and half * 2 == text:
            yield half


@cache
def _common() -> frozenset[str]:
    return frozenset(CommonPasswordValidator().passwords)
