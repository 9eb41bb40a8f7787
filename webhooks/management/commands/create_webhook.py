"""`manage.py create_webhook URL --types a,b`: make an endpoint; its secret is alone on the last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from core.history import acting
from core.services import messages_by_field
from webhooks.models import MessageType
from webhooks.services import create_endpoint


class Command(BaseCommand):
    """Makes an endpoint and prints its secret, which cannot be had again."""

    help = "Make a webhook endpoint; its secret is alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the address and the types of messages."""
        parser.add_argument("url", help="where messages are sent")
        parser.add_argument(
            "--types", default=",".join(MessageType.values), help="which messages, separated by commas (default: all)"
        )
        parser.add_argument("--name", default="")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it."""
        if not options["url"]:
            raise CommandError("The address is empty. A feed, which has none, is made in the admin.")
        types = [each.strip() for each in options["types"].split(",") if each.strip()]
        try:
            with acting("manage.py create_webhook"):
                endpoint, secret = create_endpoint(url=options["url"], types=types, name=options["name"])
        except ValidationError as error:
            problems = messages_by_field(error).items()
            raise CommandError(" ".join(f"{field} {text}" for field, texts in problems for text in texts)) from error
        self.stdout.write(f"{endpoint} ({endpoint.id}) gets {', '.join(types)}. Its secret, shown only this once:")
        self.stdout.write(secret)
