"""One worker of webhooks: gives messages their positions, claims, sends and records."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.db import connection
from django.utils import timezone

from webhooks import delivery, sequencing
from webhooks.sending import Sender

logger = logging.getLogger(__name__)

IDLE_S: Final = 0.1
"""How long the worker waits for a result where there is nothing to do."""
SEQUENCED_S: Final = 0.05
"""How often new messages are looked for: many at once cost little more than one."""
AWAY_S: Final = 1.0
"""How long a database that is away is left alone."""
STOP_S_MAX: Final = 8.0
"""How long the worker waits for what is in flight when told to stop; what then is not recorded is sent again."""


class Courier:
    """Works on all endpoints at once; `clock` says what is due."""

    def __init__(self, sender: Sender, *, clock: Callable[[], datetime] = timezone.now) -> None:
        self._sender = sender
        self._clock = clock
        self._unrecorded: list[delivery.Result] = []
        self._sequences_at = 0.0

    def work(self) -> None:
        """Do what there is to do, once; wait a moment where there is nothing."""
        found = sum(self._attempt(step) for step in (self._place, self._claim))
        self._unrecorded += self._sender.results(wait_s=0 if found else IDLE_S)
        self._attempt(self._record)

    def _attempt(self, step: Callable[[], int]) -> int:
        """Take one step and return how much there was to do. What fails is no reason not to take the others."""
        try:
            return step()
        except Exception:
            logger.exception("Webhooks: %s failed; trying again.", step.__name__.strip("_"))
            connection.close()
            time.sleep(AWAY_S)
            return 0

    def _place(self) -> int:
        """Give new messages their positions, now and then."""
        if time.monotonic() < self._sequences_at:
            return 0
        now = self._clock()
        found = sequencing.sequence(now) + sequencing.close_windows(now)
        self._sequences_at = time.monotonic() + SEQUENCED_S
        return found

    def _claim(self) -> int:
        """Claim what is due and begin to send it, unless what came of the last could not be recorded yet."""
        if self._unrecorded:
            return 0
        claimed = delivery.claim(self._sender.in_flight, self._clock())
        for each in claimed:
            self._sender.send(each)
        return len(claimed)

    def _record(self) -> int:
        """Record what came of the tries."""
        results, count = self._unrecorded, len(self._unrecorded)
        if results:
            delivery.record(results, self._clock())
            self._unrecorded = []
        return count

    def finish(self) -> None:
        """Record what is in flight, as long as that does not take too long, and stop."""
        deadline = time.monotonic() + STOP_S_MAX
        while self._sender.in_flight and time.monotonic() < deadline:
            self._unrecorded += self._sender.results(wait_s=IDLE_S)
            self._attempt(self._record)
        self._sender.close()
