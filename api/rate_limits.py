"""How often a key may call. Off, and without any cost, unless a setting says otherwise."""

import logging
import math
import time
from functools import cache
from typing import Final

from django.conf import settings
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from access.keys import KeyRule
from api.errors import ApiError

logger = logging.getLogger(__name__)

REDIS_S_MAX: Final = 0.5
"""How long a request may wait for Redis to connect, and to answer."""


def check_rate(key: KeyRule) -> None:
    """Count a call with the key. Raises ApiError where there were too many; while Redis is away all calls pass."""
    rate = settings.RATE_LIMIT_ADMIN_KEY if key.external_id is None else settings.RATE_LIMIT_APPLICATION_KEY
    if rate is None:
        return
    try:
        retry_after_s = _count(rate, key.id)
    except RedisError as error:
        logger.warning("Redis does not answer, so no rate limit holds: %s", error)
        return
    if retry_after_s:
        raise ApiError(429, f"Too many requests with this API key: at most {rate}.", retry_after_s=retry_after_s)


def _count(rate: RateLimitItem, key_id: str) -> int:
    """Return in how many seconds to try again, 0 where the call is within the rate. Raises RedisError."""
    limiter = _limiter(settings.REDIS_URL)
    if limiter.hit(rate, key_id):
        return 0
    return max(1, math.ceil(limiter.get_window_stats(rate, key_id).reset_time - time.time()))


@cache
def _limiter(redis_url: str) -> SlidingWindowCounterRateLimiter:
    """Return what counts: for all processes in Redis, without it for this process alone.

    Two counters a key, however high the rate is: calls in the window before this one count in part.
    """
    if not redis_url:
        return SlidingWindowCounterRateLimiter(MemoryStorage())
    return SlidingWindowCounterRateLimiter(
        RedisStorage(
            redis_url,
            socket_connect_timeout=REDIS_S_MAX,
            socket_timeout=REDIS_S_MAX,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type] # goes to redis.from_url as it is
        )
    )
