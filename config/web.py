"""What a web process starts besides serving."""

import atexit
import sys
from typing import Final

from django.conf import settings

from engine import coalescing
from engine.coalescing import Coalescer

SWITCH_S: Final = 0.05
"""How long a thread that wants to run Python waits before it asks the one that does to stop.

The thread that processes events lets the others run whenever it asks the database anything. Where all those that it
has just answered ask it to stop every 5 ms, Python's default, a sixth of a web process's time goes into that.
"""


def start_coalescing() -> Coalescer:
    """Let events that wait at the same moment share a transaction, and see to it that those that wait are answered."""
    sys.setswitchinterval(SWITCH_S)
    coalescer = coalescing.start(waiting_max=settings.EVENTS_WAITING_MAX)
    atexit.register(coalescer.stop)
    return coalescer
