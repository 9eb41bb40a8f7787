"""What a web process starts besides serving."""

import atexit

from django.conf import settings

from engine import coalescing


def start_coalescing() -> None:
    """Let events that wait at the same moment share a transaction, and see to it that those that wait are answered."""
    coalescer = coalescing.start(waiting_max=settings.EVENTS_WAITING_MAX)
    atexit.register(coalescer.stop)
