"""`manage.py create_api_key`: a key for a product's backend, or for one user."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from access.services import create_api_key, create_application_key
from core.history import acting


class Command(BaseCommand):
    """Makes an API key and prints it alone on the last line, so that a script can take it from there."""

    help = "Make an API key; it is printed alone on the last line and cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the key's name, or its user, and its kind."""
        parser.add_argument("name", help="who will use the key, for example «study app backend»; or a user's id")
        kind = parser.add_mutually_exclusive_group(required=True)
        kind.add_argument("--admin", action="store_true", help="a key that may call everything")
        kind.add_argument("--user", action="store_true", help="a key for the user with that id, and for no other")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make the key and print it."""
        name = options["name"]
        with acting("manage.py create_api_key"):
            text = _user_key(name) if options["user"] else create_api_key(name=name)[1]
        kind = "application key of the user" if options["user"] else "admin key"
        self.stderr.write(f"Made the {kind} «{name}». Keep it: it is not shown again.")
        self.stdout.write(text)


def _user_key(external_id: str) -> str:
    try:
        return create_application_key(external_id=external_id)[1]
    except ValidationError as error:
        raise CommandError(f"The user's id is not valid. {' '.join(error.messages)}") from error
