"""Reading query parameters."""

import re

from rest_framework.request import Request

from api.errors import invalid
from users.models import AttributeType
from users.store import load_attribute_keys


def whole_number(request: Request, name: str, *, least: int, most: int | None = None, default: int) -> int:
    """Return the whole number of the query parameter `name`, `default` where it is absent. Raises ApiError."""
    text = request.query_params.get(name)
    if text is None:
        return default
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
    if number < least or (most is not None and number > most):
        limits = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise invalid(f"{name} must be a whole number {limits}.")
    return number


def flag(request: Request, name: str) -> bool:
    """Tell whether the query parameter `name` is `true`; anything else is as if it were absent."""
    return request.query_params.get(name) == "true"


def texts(request: Request, name: str, *, most: int) -> list[str]:
    """Return the texts of the query parameter `name`, given repeatedly or with commas, each once. Raises ApiError."""
    given = [part for value in request.query_params.getlist(name) for part in value.split(",")]
    found = list(dict.fromkeys(part for part in given if part))
    if not 1 <= len(found) <= most:
        raise invalid(f"{name} must name 1 to {most}, repeated or separated by commas.")
    if any("\x00" in part for part in found):
        raise invalid(f"{name} must have no NUL.")
    return found


def attribute_values(request: Request, name: str) -> dict[str, str] | None:
    """Return the user attributes of the query parameter `name`, None where it is absent. Raises ApiError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    pairs = [part.partition(":") for part in text.split(",")]
    if any(not (key and colon and value) or "\x00" in value for key, colon, value in pairs):
        raise invalid(f"{name} must be like plan:pro,country:de.")
    found = {key: value for key, _, value in pairs}
    unknown = sorted(found.keys() - load_attribute_keys()[AttributeType.USER])
    if unknown:
        raise invalid(f"{name}: Invalid attribute keys: {', '.join(unknown)}. Set them up as attributes first.")
    return found
