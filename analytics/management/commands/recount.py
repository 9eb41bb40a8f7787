"""`manage.py recount`: count anew what is kept counted."""

from typing import Any

from django.core.management.base import BaseCommand

from analytics import rollup
from analytics.services import recount


class Command(BaseCommand):
    """Counts users, completions, points and levels, and rolls all up, anew; events may go on meanwhile."""

    help = "Count, and roll up, everything anew, for when rows were written past the engine."

    def handle(self, *_: Any, **options: Any) -> None:
        """Recount."""
        recount()
        rollup.rebuild()
        self.stdout.write("Everything was counted anew.")
