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
        try:
            self._record(wait_s=0 if self._begin() else IDLE_S)
        except Exception:
            # Whatever it is, the other processes are not to be stopped for it; what was claimed comes again.
            logger.exception("Webhooks cannot be worked on; trying again.")
            connection.close()
            time.sleep(AWAY_S)

    def _begin(self) -> int:
        """Claim and begin to send what is due; return how much there was to do."""
        now = self._clock()
        found = 0
        if time.monotonic() >= self._sequences_at:
            found = sequencing.close_windows(now) + sequencing.sequence(now)
            self._sequences_at = time.monotonic() + SEQUENCED_S
        claimed = delivery.claim(self._sender.in_flight, now)
        for each in claimed:
            self._sender.send(each)
        return found + len(claimed)

    def _record(self, *, wait_s: float) -> None:
        self._unrecorded += self._sender.results(wait_s=wait_s)
        if self._unrecorded:
            delivery.record(self._unrecorded, self._clock())
            self._unrecorded = []

    def finish(self) -> None:
        """Record what is in flight, as long as that does not take too long, and stop."""
        deadline = time.monotonic() + STOP_S_MAX
        while self._sender.in_flight and time.monotonic() < deadline:
            self._record(wait_s=IDLE_S)
        self._sender.close()
