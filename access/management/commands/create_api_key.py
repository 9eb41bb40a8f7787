"""`manage.py create_api_key NAME --admin`: a key for a product's backend."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from access.services import create_api_key


class Command(BaseCommand):
    """Makes an API key and prints it alone on the last line, so that a script can take it from there."""

    help = "Make an API key; it is printed alone on the last line and cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the key's name and its kind."""
        parser.add_argument("name", help="who will use the key, for example «study app backend»")
        parser.add_argument("--admin", action="store_true", required=True, help="a key that may call everything")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make the key and print it."""
        key, text = create_api_key(name=options["name"])
        self.stderr.write(f"Made the admin key «{key.name}». Keep it: it is not shown again.")
        self.stdout.write(text)
