"""`manage.py seed_demo`: the study app of the demo."""

from typing import Any

import click
from django.core.management.base import BaseCommand
from django.utils import timezone

from analytics.rollup import roll_up
from config import demo
from core.history import acting


class Command(BaseCommand):
    """Fills an empty Pointsmith with a study app and two months of events; leaves any other as it is."""

    help = "Seed the demo, where nothing is set up yet."

    def handle(self, *_: Any, **options: Any) -> None:
        """Seed."""
        if demo.has_rules():
            self.stdout.write("There are points systems already: the demo's data stay as they are.")
            return
        now = timezone.now()
        with acting("Demo"):
            demo.create_rules(now)
        total = sum(1 for _ in demo.demo_events(now))
        with click.progressbar(length=total, label="Seeding two months of a study app") as bar:
            count = demo.play(now, bar.update)
        roll_up()
        self.stdout.write(f"{count:,} events of {demo.USERS} users are in.")
