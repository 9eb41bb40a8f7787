"""`manage.py recount`: count anew what is kept counted."""

from typing import Any

from django.core.management.base import BaseCommand

from analytics.services import recount


class Command(BaseCommand):
    """Counts users, completions, points and levels anew; events may go on meanwhile."""

    help = "Count users, completions, points and levels anew, for when rows were written past the engine."

    def handle(self, *_: Any, **options: Any) -> None:
        """Recount."""
        recount()
        self.stdout.write("Everything was counted anew.")
