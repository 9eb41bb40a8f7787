"""Reading query parameters."""

import re

from rest_framework.request import Request

from api.errors import invalid


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
