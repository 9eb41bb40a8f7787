"""`manage.py work`: the background worker, the clock, the queue of batch events and webhooks."""

from typing import Any

from django.core.management.base import BaseCommand

from config.processes import run_together, work_commands


class Command(BaseCommand):
    """Runs Celery's worker and beat, works on the queue and sends webhooks, until it is interrupted or one ends."""

    help = "Run the background worker, the clock, the queue of batch events and webhooks."

    def handle(self, *_: Any, **options: Any) -> None:
        """Work."""
        run_together(work_commands(), when_ready=self._say)

    def _say(self) -> None:
        self.stdout.write("The background worker, the clock, the queue and webhooks are running; Ctrl-C stops them.")
        self.stdout.flush()
