"""Web servers for tests, in processes of their own, and what they find in the database."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from access.services import create_api_key
from analytics.rollup import roll_up
from levels.models import Level
from tests.conftest import make_game
from tests.processes import WAIT_S_MAX, free_port

LOGIN: Final = {"username": "olivia", "password": "a password of hers"}


def log_in(client: httpx.Client) -> None:
    """Log the operator in, as a browser does."""
    page = client.get("/admin/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    answer = client.post("/admin/login/", data=LOGIN | {"csrfmiddlewaretoken": token[1]})
    assert answer.status_code == 302, answer.text


@contextmanager
def committed_game(django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Have the study app in the tests' own database, committed, with one level, an operator and a key that is given."""
    with django_db_blocker.unblock():
        try:
            game = make_game()
            game.trigger(points=1)
            Level.objects.create(system=game.xp, name="Begun", key="begun", points=1)
            roll_up()
            get_user_model().objects.create_superuser(**LOGIN)
            yield create_api_key(name="tests")[1]
        finally:
            call_command("flush", interactive=False, verbosity=0, reset_sequences=False, inhibit_post_migrate=True)


@contextmanager
def serving(var_dir: Path, **environment: str) -> Iterator[int]:
    """Run the web server with these settings; give its port at once."""
    port = free_port()
    inherited = {name: os.environ[name] for name in os.environ.keys() - {"REDIS_URL", "DJANGO_SETTINGS_MODULE"}}
    own = {"VAR_DIR": str(var_dir), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    command = [sys.executable, "manage.py", "serve", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=inherited | own | environment)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(WAIT_S_MAX)


def answers(port: int) -> bool:
    """Tell whether a web server does so."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx.TransportError:
        return False
