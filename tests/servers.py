"""Web servers for tests, in processes of their own, and what they find in the database."""

import json
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

from tests.processes import WAIT_S_MAX, free_port

LOGIN: Final = {"username": "olivia", "password": "a password of hers"}
SET_UP: Final = """
import json, sys
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from access.services import create_api_key
from analytics.rollup import roll_up
from levels.models import Level
from tests.conftest import make_game
call_command("migrate", verbosity=0)
game = make_game()
game.trigger(points=1)
Level.objects.create(system=game.xp, name="Begun", key="begun", points=1)
User.objects.create_superuser(**json.loads(sys.argv[1]))
# As a worker would have done for some time.
roll_up()
print(create_api_key(name="tests")[1])
"""


def log_in(client: httpx.Client) -> None:
    """Log the operator in, as a browser does."""
    page = client.get("/admin/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    answer = client.post("/admin/login/", data=LOGIN | {"csrfmiddlewaretoken": token[1]})
    assert answer.status_code == 302, answer.text


def set_up(url: str) -> str:
    """Migrate a database and set up the study app in it, with a level and an operator; return a key for its backend."""
    script = [sys.executable, "-c", SET_UP, json.dumps(LOGIN)]
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(script, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()[-1]


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
