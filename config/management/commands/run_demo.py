"""`manage.py run_demo`, which `make run` calls: everything, seeded, in one command."""

import json
import secrets
from argparse import ArgumentParser
from typing import Any, Final, TypedDict

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import BaseCommand

from access.keys import find_key
from access.services import create_api_key
from access.store import load_keys
from backoffice.roles import ADMINISTRATOR, SUPPORT, VIEWER
from backoffice.roles import OPERATOR as OPERATOR_ROLE
from config.processes import held_port, run_together, web_command, work_commands

OPERATOR: Final = "operator"
OTHERS: Final = {"vera": VIEWER, "sam": SUPPORT, "otto": OPERATOR_ROLE, "ada": ADMINISTRATOR}
"""One more login for each role, to see what it may do."""

BANNER: Final = """
  Pointsmith is at  {url}

  Admin             {url}/admin/       login {operator} / {password}
                    or {others}, with the same password
  API reference     {url}/docs/
  API key           {key}

  Award some points:

    curl {url}/v1/metrics/lessons-completed/event \\
      -H 'X-API-KEY: {key}' -H 'Content-Type: application/json' \\
      -d '{{"user": {{"id": "learner-1"}}, "value": 1}}'

  Ctrl-C stops it; the data stay for the next time.
"""


class Secrets(TypedDict):
    """What the demo has to remember in order to show it again."""

    password: str
    key: str


class Command(BaseCommand):
    """Migrates, seeds, prints where to click, and serves the web and the worker until it is interrupted."""

    help = "Run everything, seeded with a demo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the port."""
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *_: Any, **options: Any) -> None:
        """Run."""
        with held_port(options["port"]):
            self._run(options["port"])

    def _run(self, port: int) -> None:
        call_command("migrate", verbosity=0)
        call_command("seed_demo", stdout=self.stdout)
        banner = BANNER.format(url=f"http://127.0.0.1:{port}", operator=OPERATOR, others=_others(), **_secrets())
        commands = [web_command("127.0.0.1", port), *work_commands()]
        run_together(commands, port=port, when_ready=lambda: self._show(banner))

    def _show(self, banner: str) -> None:
        self.stdout.write(banner)
        self.stdout.flush()


def _secrets() -> Secrets:
    """Return the demo's login and key, from the file that keeps them where they are still good."""
    file = settings.VAR_DIR / "demo.json"
    known: Secrets = json.loads(file.read_text()) if file.exists() else {"password": "", "key": ""}
    operator = User.objects.filter(username=OPERATOR).first()
    are_there = User.objects.filter(username__in=OTHERS).count() == len(OTHERS)
    if operator is None or not are_there or not operator.check_password(known["password"]):
        known["password"] = secrets.token_urlsafe(9)
        _set_operators(known["password"])
    if find_key(load_keys(), known["key"]) is None:
        known["key"] = create_api_key(name="Demo backend")[1]
    file.touch(mode=0o600)
    file.write_text(json.dumps(known))
    return known


def _set_operators(password: str) -> None:
    """Let a superuser and one operator of each role in with the password."""
    operator, _ = User.objects.get_or_create(username=OPERATOR, defaults={"is_staff": True, "is_superuser": True})
    operators = [operator]
    for name, role in OTHERS.items():
        other, _ = User.objects.get_or_create(username=name, defaults={"is_staff": True})
        other.groups.set(Group.objects.filter(name=role))
        operators.append(other)
    for each in operators:
        each.set_password(password)
        each.save(update_fields=["password"])


def _others() -> str:
    return ", ".join(f"{name} ({role.lower()})" for name, role in OTHERS.items())
