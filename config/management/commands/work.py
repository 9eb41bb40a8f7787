"""`manage.py work`: the background worker, the clock and the queue of batch events."""

from typing import Any

from django.core.management.base import BaseCommand

from config.processes import queue_command, run_together, worker_command


class Command(BaseCommand):
    """Runs Celery's worker and beat, and works on the queue, until it is interrupted."""

    help = "Run the background worker, the clock and the queue of batch events."

    def handle(self, *_: Any, **options: Any) -> None:
        """Work."""
        run_together([worker_command(), queue_command()])
