"""msgspec's messages, in the words of whoever sent the data."""

import re
from collections.abc import Callable
from typing import Any, Final

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


_ANY_KEY: Final = "[...]"
"""What stands in msgspec's paths for the key of an object that may have any keys."""
KEY_LENGTH_MAX: Final = 64
"""Of a longer key only the beginning is repeated."""


def describe(error: msgspec.ValidationError, root: str = "", whole: str = "The body", key: str | None = None) -> str:
    """Return one sentence that names the field and what is allowed there.

    `root` is where the value stands, `whole` what it is called, `key` the one that `key_at_fault` found.
    """
    text, _, place = str(error).partition(" - at `$")
    at_key = f".{key[:KEY_LENGTH_MAX]}" if key else ""
    path = (root + place.rstrip("`")).replace(_ANY_KEY, at_key, 1).replace(_ANY_KEY, "").lstrip(".")
    if missing := re.fullmatch(r"Object missing required field `(.+)`", text):
        return f"{path}.{missing[1]} is required.".lstrip(".")
    subject = path or whole
    if expected := re.fullmatch(r"Expected (`.+?`(?: [^,]*)?)(?:, got `(.+)`)?", text):
        return f"{subject} must be {_in_words(expected[1])}{_unlike(expected[1], expected[2])}."
    return f"{subject}: {text[0].lower()}{text[1:]}."


def key_at_fault(error: msgspec.ValidationError, raw: bytes, read: Callable[[bytes], object]) -> str | None:
    """Return which key of an object with any keys, such as `attributes`, the error of `read` is about, if it is one.

    msgspec does not say it. So the object is halved until one key is left: each look costs half of the one before.
    """
    before, is_any_key, _ = str(error).partition(" - at `$")[2].partition(_ANY_KEY)
    if not is_any_key:
        return None

    def is_wrong(keys: list[str]) -> bool:
        keyed.clear()
        keyed.update({key: values[key] for key in keys})
        try:
            read(msgspec.json.encode(body))
        except msgspec.ValidationError as found:
            return str(found) == str(error)
        return False

    try:
        body = msgspec.json.decode(raw)
        keyed = _at(body, before)
        values = dict(keyed)
        keys = list(values)
        while len(keys) > 1:
            half = keys[: len(keys) // 2]
            keys = half if is_wrong(half) else keys[len(half) :]
        return keys[0] if is_wrong(keys) else None
    except (msgspec.MsgspecError, LookupError, TypeError, RecursionError):
        return None


def _at(body: Any, path: str) -> dict[str, Any]:
    """Return the object at one of msgspec's paths, such as `.user.attributes`."""
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        body = body[name] if name else body[int(index)]
    found: dict[str, Any] = body
    return found


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
