"""Where other work holds a user locked, the background work that has come to them waits, and all else goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError

from engine.coalescing import is_held

BACKGROUND_LOCK_MS_MAX: Final = 1000
"""How long background work waits for one user's lock: it holds those of the users before them in the meantime."""


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
