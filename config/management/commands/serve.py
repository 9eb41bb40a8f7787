"""`manage.py serve`: the web server alone."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config.processes import WEB_WORKERS, held_port, run_together, web_command


class Command(BaseCommand):
    """Serves the API and the admin with granian, until it is interrupted."""

    help = "Serve the API and the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take where to listen and how much of the machine to use."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=WEB_WORKERS, help="processes")

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve."""
        command = web_command(options["host"], options["port"], options["workers"])
        with held_port(options["port"]):
            run_together([command], port=options["port"])
