"""`manage.py work_queue`: processes batch events as they come."""

import logging
import signal
from threading import Event
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from core.garbage import spare_what_stays
from engine import queue

logger = logging.getLogger(__name__)

IDLE_S: Final = 0.1
"""How long an empty queue is left alone: the most that the first event of a quiet hour waits here."""
AWAY_S: Final = 1.0
"""How long a database that is away is left alone."""


class Command(BaseCommand):
    """Works on the queue until it is interrupted; as many as wanted work side by side, on as many machines."""

    help = "Process the events that were accepted in batches. Can run more than once, on more than one machine."

    def handle(self, *_: Any, **options: Any) -> None:
        """Work, finishing the set that is begun when told to stop."""
        spare_what_stays()
        stopped = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        aside = queue.Aside()
        while not stopped.is_set():
            stopped.wait(_work(aside))


def _work(aside: queue.Aside) -> float:
    """Process what waits; return how many seconds to leave the queue alone."""
    try:
        return 0 if queue.work(aside=aside) else IDLE_S
    except (DatabaseError, InterfaceError):
        logger.exception("The queue cannot be worked on; trying again.")
        connection.close()
        return AWAY_S
