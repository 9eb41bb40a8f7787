"""Reading query parameters."""

import re
from collections.abc import Callable, Collection
from datetime import date
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest
from rest_framework.request import Request

from api.errors import invalid
from api.unknown_fields import NAME_LENGTH_MAX, nearest_of
from core.json import parse_day
from users.models import AttributeType
from users.store import load_attribute_keys

Choice = TypeVar("Choice", bound=StrEnum)
Whole = Callable[[list[str]], Collection[str | None]]

DAY_MIN: Final = date(1900, 1, 1)
DAY_MAX: Final = date(2999, 12, 31)


def check_parameters(request: Request | HttpRequest, *known: str) -> None:
    """Raise ApiError where the query has a parameter that the call does not know: `dryRun` must not delete anything.

    `format` is let through, since some clients send it with every call: answers are JSON whatever it says.
    """
    for name in request.GET:
        if name not in (*known, "format"):
            shown = name[:NAME_LENGTH_MAX]
            nearest = nearest_of(shown, known)
            allowed = f"it can have {', '.join(known)}." if known else "it has none."
            raise invalid(
                f"{shown} is not a parameter of this call; {f'did you mean {nearest}?' if nearest else allowed}"
            )


def whole_number(request: Request, name: str, *, least: int, most: int | None = None, default: int) -> int:
    """Return the whole number of the query parameter `name`, `default` where it is absent. Raises ApiError."""
    text = request.query_params.get(name)
    if text is None:
        return default
    number = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
    if number < least or (most is not None and number > most):
        limits = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise invalid(f"{name} must be a whole number {limits}.")
    return number


def flag(request: Request, name: str) -> bool:
    """Tell whether the query parameter `name` is `true`; anything else is as if it were absent."""
    return request.query_params.get(name) == "true"


def strict_flag(request: Request, name: str) -> bool:
    """Tell whether the query parameter `name` is `true`. Raises ApiError for anything but `true` and `false`."""
    given = request.query_params.get(name, "false")
    if given not in ("true", "false"):
        raise invalid(f"{name} must be true or false.")
    return bool(given == "true")


def texts(request: Request, name: str, *, most: int, whole: Whole | None = None) -> list[str]:
    """Return the texts of the query parameter `name`, given repeatedly or with commas, each once. Raises ApiError.

    A comma that is percent-encoded may belong to a text: `whole` returns those of the texts with commas that are meant
    as they are. The commas in others separate too, since many clients encode all commas.
    """
    parts = [_decoded(part) for value in _values_as_sent(request, name) for part in value.split(b",")]
    with_commas = [part for part in parts if "," in part]
    as_they_are = whole(with_commas[: most + 1]) if whole and with_commas else ()
    given = [text for part in parts for text in ([part] if part in as_they_are else part.split(","))]
    found = list(dict.fromkeys(text for text in given if text))
    if not 1 <= len(found) <= most:
        raise invalid(f"{name} must name 1 to {most}, repeated or separated by commas.")
    if any("\x00" in text for text in found):
        raise invalid(f"{name} must have no NUL.")
    return found


def _values_as_sent(request: Request, name: str) -> list[bytes]:
    """Return the values of a query parameter, still encoded."""
    query: bytes = request._request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
    pairs = [pair.partition(b"=") for pair in query.split(b"&")]
    return [value for key, _, value in pairs if _decoded(key) == name]


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8", "replace")


def choice(request: Request, name: str, choices: type[Choice]) -> Choice:
    """Return the one of `choices` that the query parameter `name` says; it is required. Raises ApiError."""
    text = request.query_params.get(name)
    if text not in list(choices):
        raise invalid(f"{name} is required and must be one of {', '.join(choices)}.")
    return choices(text)


def day(request: Request, name: str) -> date:
    """Return the date of the query parameter `name`, which is required. Raises ApiError."""
    given = parse_day(request.query_params.get(name, ""))
    if given is None or not DAY_MIN <= given <= DAY_MAX:
        raise invalid(f"{name} is required and must be a date (YYYY-MM-DD) from {DAY_MIN} to {DAY_MAX}.")
    return given


def days(request: Request, *, most: int) -> tuple[date, date]:
    """Return the dates of the query parameters startDate and endDate, at most `most` days apart. Raises ApiError."""
    start, end = day(request, "startDate"), day(request, "endDate")
    if start > end:
        raise invalid("startDate must not be after endDate.")
    if (end - start).days > most:
        raise invalid(f"endDate must be at most {most} days after startDate.")
    return start, end


def attribute_values(request: Request, name: str) -> dict[str, str] | None:
    """Return the user attributes of the query parameter `name`, None where it is absent. Raises ApiError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    pairs = [part.partition(":") for part in text.split(",")]
    if any(not (key and colon and value) or "\x00" in value for key, colon, value in pairs):
        raise invalid(f"{name} must be like plan:pro,country:de.")
    found = {key: value for key, _, value in pairs}
    if len(found) < len(pairs):
        raise invalid(f"{name} must name each attribute only once.")
    unknown = sorted(found.keys() - load_attribute_keys()[AttributeType.USER])
    if unknown:
        raise invalid(f"{name}: Invalid attribute keys: {', '.join(unknown)}. Set them up as user attributes first.")
    return found
