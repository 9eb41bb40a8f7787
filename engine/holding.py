"""Where other work holds a user locked, the background work that has come to them waits, and all else goes on."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import OperationalError
from django.db.models import QuerySet

from engine.coalescing import is_held

logger = logging.getLogger(__name__)

BACKGROUND_LOCK_MS_MAX: Final = 1000
"""How long background work waits for one user's lock: it holds those of the users before them in the meantime."""

# The next users in the order of their locks. The same statement says how long to wait for each lock: another one would
# be a round trip.
NEXT_USERS: Final = f"""
SELECT max(external_id), count(*), set_config('lock_timeout', '{BACKGROUND_LOCK_MS_MAX}', true) FROM (
    SELECT external_id FROM users_enduser
    WHERE external_id > %(after)s AND (%(until)s::text IS NULL OR external_id <= %(until)s::text)
    ORDER BY external_id LIMIT %(size)s
) AS w
"""


class HeldUpError(Exception):
    """Work has come to a user who stays locked by other work: nothing happened, and a later call goes on with it."""

    def __init__(self, work_id: str) -> None:
        super().__init__(work_id)
        self.work_id = work_id


@contextmanager
def held_up(work_id: str) -> Iterator[None]:
    """Raise HeldUpError where what is done here waits too long for a lock. `work_id` is the row of the work."""
    try:
        yield
    except OperationalError as error:
        if not is_held(error):
            raise
        raise HeldUpError(work_id) from error


def work_off(
    waiting: QuerySet[Any], next_chunk: Callable[[QuerySet[Any]], int | None], *, what: str, seconds_max: float
) -> int:
    """Do chunk after chunk of the rows of work that wait; return the sum of what the chunks return.

    `next_chunk` returns None if there is none. After `seconds_max` the rest is left to the next call, and so is work
    that has come to a user whom other work holds locked: the log calls it `what`.
    """
    done, begun_s = 0, time.monotonic()
    while time.monotonic() < begun_s + seconds_max:
        try:
            count = next_chunk(waiting)
        except HeldUpError as error:
            logger.info("%s %s waits for a user whom other work holds locked.", what, error.work_id)
            waiting = waiting.exclude(pk=error.work_id)
            continue
        if count is None:
            break
        done += count
    return done
