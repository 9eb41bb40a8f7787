"""`manage.py verify`: prove every balance from its ledger."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engine.verify import verify


class Command(BaseCommand):
    """Proves what is derived from what is recorded; exits 1 on any difference, naming it."""

    help = "Prove balances, ledgers, totals and peaks from what was recorded; exit 1 on any difference."

    def handle(self, *_: Any, **options: Any) -> None:
        """Verify."""
        wrong = 0
        for finding in verify():
            mark = self.style.ERROR("WRONG") if finding.count else self.style.SUCCESS("ok   ")
            self.stdout.write(f"{mark} {finding.check.claim}")
            for difference in finding.differences:
                self.stdout.write(f"      {difference}")
            if finding.count > len(finding.differences):
                self.stdout.write(f"      … {finding.count:,} in all")
            wrong += finding.count
        if wrong:
            raise CommandError(f"{wrong:,} differences.", returncode=1)
