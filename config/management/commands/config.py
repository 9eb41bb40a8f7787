"""`manage.py config export|plan|apply FILE`: the rules as a file that can be reviewed and brought to other servers."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config.rule_file.apply import apply
from config.rule_file.badges import Badges
from config.rule_file.export import rules_of, to_text, uploaded_badges
from config.rule_file.parse import parse
from config.rule_file.schema import RuleFileError
from config.rule_file.show import show
from config.rule_file.stored import read_stored_between_changes
from core.history import acting

PIPE: Final = "-"
HAS_CHANGES: Final = 2
"""The exit status of `plan --exit-code` where there is something to do."""

DESCRIPTION: Final = """\
Keep the rules in a file: attributes, metrics, streak settings, achievements, and points systems with their levels,
triggers and boosts. It holds no users and no keys, so it can be kept in git, reviewed, and applied to any server.
"""
EXAMPLES: Final = """\
examples:
  manage.py config export rules.yaml         write the rules of this server, and uploaded badges to badges/ beside it
  manage.py config plan rules.yaml           say what applying the file would change here
  manage.py config apply rules.yaml          make it so, all of it or nothing
  manage.py config apply rules.yaml --prune  archive, too, what is not in the file

What a file can say: docs/configuration-as-code.md
"""


class Command(BaseCommand):
    """Writes the rules to a file, says what a file would change, and applies it."""

    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do and the file."""
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        actions = parser.add_subparsers(dest="action", required=True, metavar="export|plan|apply")
        export = actions.add_parser("export", help="write the rules of this server to FILE")
        export.add_argument("file", metavar="FILE", help="where to write to; - is the standard output")
        plan = actions.add_parser("plan", help="say what applying FILE would change; nothing is stored")
        plan.add_argument("--exit-code", action="store_true", help=f"exit with {HAS_CHANGES} where it would change any")
        applying = actions.add_parser("apply", help="make the rules those of FILE, in one transaction")
        applying.add_argument(
            "--notify-users", action="store_true", help="send points.level_changed for users whose level changes"
        )
        for each in (plan, applying):
            each.add_argument("file", metavar="FILE", help="what to read; - is the standard input")
            each.add_argument("--prune", action="store_true", help="archive what is live here and not in the file")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do it."""
        try:
            if options["action"] == "export":
                self._export(options["file"])
            elif options["action"] == "plan":
                self._plan(options["file"], options["prune"], options["exit_code"])
            else:
                self._apply(options["file"], options["prune"], options["notify_users"])
        except RuleFileError as error:
            raise CommandError("Nothing was changed:\n" + "\n".join(f"  {each}" for each in error.problems)) from error
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror or error}") from error

    def _export(self, file: str) -> None:
        rules, left_out = rules_of(read_stored_between_changes(), timezone.now())
        for each in left_out:
            self.stderr.write(f"Left out: {each}")
        if file == PIPE:
            self.stdout.write(to_text(rules), ending="")
            return
        Path(file).write_text(to_text(rules), encoding="utf-8")
        badges, missing = _badges(file), []
        for name in sorted(uploaded_badges(rules)):
            if not badges.write(name):
                missing.append(name)
                self.stderr.write(f"Not on this server: {name}")
        self.stdout.write(f"Wrote {file}, and {len(uploaded_badges(rules)) - len(missing)} badges beside it.")

    def _plan(self, file: str, prune: bool, exit_code: bool) -> None:
        plan = apply(parse(_read(file)), _badges(file), prune=prune, is_trial=True)
        self._show(show(plan))
        if exit_code and plan.operations:
            sys.exit(HAS_CHANGES)

    def _apply(self, file: str, prune: bool, notify_users: bool) -> None:
        with acting("config apply"):
            plan = apply(parse(_read(file)), _badges(file), prune=prune, notify_users=notify_users)
        self._show(show(plan, is_done=True))

    def _show(self, lines: Iterable[str]) -> None:
        styles = {"+": self.style.SUCCESS, "~": self.style.WARNING, "-": self.style.ERROR}
        for line in lines:
            style = styles.get(line[0])
            self.stdout.write(style(line) if style else line)


def _read(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == PIPE else Path(file).read_bytes()


def _badges(file: str) -> Badges:
    return Badges(None if file == PIPE else Path(file).parent)
