"""How often a key may call. Off, and without any cost, unless a setting says otherwise."""

from django.conf import settings
from limits import RateLimitItem

from access.keys import KeyRule
from api.errors import ApiError
from core.call_counter import counter


def check_rate(key: KeyRule) -> None:
    """Count a call with the key. Raises ApiError where there were too many; while Redis is away all calls pass."""
    rate = _rate_of(key)
    if rate is None:
        return
    if retry_after_s := counter(settings.REDIS_URL).count(rate, key.id):
        raise ApiError(429, f"Too many requests with this API key: at most {rate}.", retry_after_s=retry_after_s)


def waits_for_redis(key: KeyRule) -> bool:
    """Tell whether counting a call with the key means to ask Redis."""
    return _rate_of(key) is not None and bool(settings.REDIS_URL)


def _rate_of(key: KeyRule) -> RateLimitItem | None:
    rate: RateLimitItem | None = (
        settings.RATE_LIMIT_ADMIN_KEY if key.external_id is None else settings.RATE_LIMIT_APPLICATION_KEY
    )
    return rate
