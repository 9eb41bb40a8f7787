"""`manage.py work`: the background worker, the clock, the queue of batch events and webhooks."""

from typing import Any

from django.core.management.base import BaseCommand

from config.processes import queue_command, run_together, webhooks_command, worker_command


class Command(BaseCommand):
    """Runs Celery's worker and beat, works on the queue and sends webhooks, until it is interrupted."""

    help = "Run the background worker, the clock, the queue of batch events and webhooks."

    def handle(self, *_: Any, **options: Any) -> None:
        """Work."""
        run_together([worker_command(), queue_command(), webhooks_command()])
