"""What a text must not have by which programs and people tell things apart: what is not seen, or is lost on the way."""

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def has_control_characters(text: str) -> bool:
    """Tell whether the text has line breaks, tabs or other control characters: of C0 or C1, or DEL."""
    return _CONTROL.search(text) is not None


def user_id_problem(external_id: str) -> str | None:
    """Return why no user can be made known by this id, in words that follow the name of it; None if one can.

    Users who have such an id already keep it. Only what is white space for Unicode counts as such: characters without
    a width belong to letters of some languages.
    """
    if external_id != external_id.strip():
        return "must not begin or end with white space."
    if has_control_characters(external_id):
        return "must not have control characters such as line breaks."
    return None
