"""`manage.py deliver_webhooks`: sends messages as they come."""

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from webhooks.courier import Courier
from webhooks.sending import Sender


class Command(BaseCommand):
    """Delivers until it is interrupted; as many as wanted work side by side, on as many machines."""

    help = "Send webhooks as they come. Can run more than once, on more than one machine."

    def handle(self, *_: Any, **options: Any) -> None:
        """Deliver."""
        stopped = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        courier = Courier(Sender())
        while not stopped.is_set():
            courier.work()
        courier.finish()
