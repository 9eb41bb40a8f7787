"""Counting how often somebody calls: in Redis for all processes together, or in this process."""

import logging
import math
import time
from functools import cache
from threading import Lock
from typing import Final

from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

REDIS_S_MAX: Final = 0.5
"""How long a call may wait for Redis to connect, and to answer."""

PAUSE_S: Final = 1
"""For how long Redis is not asked again where it was away: not every call should wait, nor fill the log."""


class CallCounter:
    """Counts calls by key: in Redis for all processes together, without it for this process alone.

    Two numbers a key, however high the rate is: the calls in the window before this one count in part.
    """

    def __init__(self, redis_url: str) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(_redis(redis_url) if redis_url else MemoryStorage())
        self._asks_again_at = 0.0

    def count(self, rate: RateLimitItem, key: str) -> int:
        """Count a call; return in how many seconds to try again: 0 where it is within the rate, or Redis is away."""
        if time.monotonic() < self._asks_again_at:
            return 0
        try:
            if self._limiter.hit(rate, key):
                return 0
            reset_time = self._limiter.get_window_stats(rate, key).reset_time
        except RedisError as error:
            self._asks_again_at = time.monotonic() + PAUSE_S
            logger.warning("Redis does not answer, so no rate limit holds for %s s: %s", PAUSE_S, error)
            return 0
        return max(1, math.ceil(reset_time - time.time()))


def counter(redis_url: str) -> CallCounter:
    """Return the counter, which all threads of this process share from their first call on; '' is for no Redis."""
    with _making:
        return _made(redis_url)


_making: Final = Lock()


@cache
def _made(redis_url: str) -> CallCounter:
    return CallCounter(redis_url)


def _redis(url: str) -> RedisStorage:
    return RedisStorage(
        url,
        socket_connect_timeout=REDIS_S_MAX,
        socket_timeout=REDIS_S_MAX,
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type] # goes to redis.from_url as it is
    )
