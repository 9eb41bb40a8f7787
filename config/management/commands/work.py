"""`manage.py work`: the background worker and the clock."""

from typing import Any

from django.core.management.base import BaseCommand

from config.processes import run_together, worker_command


class Command(BaseCommand):
    """Runs Celery's worker and beat, until it is interrupted."""

    help = "Run the background worker and the clock."

    def handle(self, *_: Any, **options: Any) -> None:
        """Work."""
        run_together([worker_command()])
