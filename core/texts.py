"""What a text must not have by which programs and people tell things apart: what is not seen, or is lost on the way."""

import re
import unicodedata
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Beyond separators and what only formats: joiners, fillers and selectors that Unicode counts among letters and marks.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def has_control_characters(text: str) -> bool:
    """Tell whether the text has line breaks, tabs or other control characters: of C0 or C1, or DEL."""
    return _CONTROL.search(text) is not None


def user_id_problem(external_id: str) -> str | None:
    """Return why no user can be made known by this id, in words that follow the name of it; None if one can.

    Users who have such an id already keep it. Only what is white space for Unicode counts as such: characters without
    a width belong to letters of some languages; an id of nothing else cannot be seen.
    """
    if external_id != external_id.strip():
        return "must not begin or end with white space."
    if has_control_characters(external_id):
        return "must not have control characters such as line breaks."
    if external_id in (".", ".."):
        return "must not be . or .., which browsers take out of addresses."
    if not external_id.isascii() and not any(_is_visible(character) for character in external_id):
        return "must have a visible character."
    return None


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cf", "Zs", "Zl", "Zp") and not _BLANK.match(character)
