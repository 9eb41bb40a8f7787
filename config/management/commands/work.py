"""`manage.py work`: the background worker, the clock, the queue of batch events and webhooks."""

from typing import Any

from django.core.management.base import BaseCommand

from config.processes import clock_command, run_together, worker_command


class Command(BaseCommand):
    """Runs Celery's worker and beat, until it is interrupted or one of them ends."""

    help = "Run the background worker, the clock, the queue of batch events and webhooks."

    def handle(self, *_: Any, **options: Any) -> None:
        """Work."""
        run_together([worker_command(), clock_command()], when_ready=self._say)

    def _say(self) -> None:
        self.stdout.write("The background worker and the clock are running; Ctrl-C stops them.")
        self.stdout.flush()
