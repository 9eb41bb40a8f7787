"""Reading how often a key may call."""

from django.core.exceptions import ImproperlyConfigured
from limits import RateLimitItem, parse_many


def read_rate_limit(name: str, text: str) -> RateLimitItem | None:
    """Return the rate that the setting `name` gives, None where it is empty. Raises ImproperlyConfigured."""
    if not text:
        return None
    try:
        (rate,) = parse_many(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be one rate such as 100/second, or empty; it is {text!r}.") from error
    if rate.amount < 1:
        raise ImproperlyConfigured(f"{name} must allow at least one request, or be empty; it is {text!r}.")
    return rate
