"""msgspec's messages, in the words of whoever sent the data."""

import re
from typing import Final

import msgspec

_TYPES: Final = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
    "date": "a date (YYYY-MM-DD)",
    "uuid": "a UUID",
}


def describe(error: msgspec.ValidationError, root: str = "", whole: str = "The body") -> str:
    """Return one sentence that names the field and what is allowed there.

    `root` is where the value stands, `whole` what it is called.
    """
    text, _, place = str(error).partition(" - at `$")
    path = (root + place.rstrip("`")).replace("[...]", "").lstrip(".")
    if missing := re.fullmatch(r"Object missing required field `(.+)`", text):
        return f"{path}.{missing[1]} is required.".lstrip(".")
    subject = path or whole
    if expected := re.fullmatch(r"Expected (`.+?`(?: [^,]*)?)(?:, got `(.+)`)?", text):
        return f"{subject} must be {_in_words(expected[1])}{_unlike(expected[1], expected[2])}."
    return f"{subject}: {text[0].lower()}{text[1:]}."


def _unlike(expected: str, got: str | None) -> str:
    # A fraction is a number too: "a whole number, not a number" would be a riddle.
    if got is None or (got == "float" and "int" in expected):
        return ""
    return f", not {_TYPES.get(got, got)}"


def _in_words(expected: str) -> str:
    kinds, _, condition = expected.lstrip("`").partition("`")
    words = " or ".join(_TYPES.get(kind, kind) for kind in kinds.split(" | "))
    condition = condition.replace("of length >= 1", "that is not empty").replace("of length <=", "of at most")
    if "of at most" in condition:
        condition += " items" if "array" in kinds else " characters"
    return words + condition.replace(">=", "of at least").replace("<=", "of at most")
