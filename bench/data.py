"""`make bench-data`: a database of a million users, ten million events and ten million awards, filled once and kept.

Benches measure in it, and so can anybody who wants to see a page or a query at that size: it is an ordinary database,
with a login for the admin and an API key.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypedDict

from bench.databases import ROOT, Server, find_server, keep
from bench.errors import BenchError
from bench.web import django_environment, manage, run_code

VERSION: Final = 1
"""To be raised with each change of what is filled in: databases that were filled by another are filled anew."""
DATA_DATABASE: Final = "pointsmith_bench_data"
USERS: Final = 1_000_000
OPERATOR: Final = "operator"
PASSWORD: Final = "bench"

_LOGIN: Final = f"""
from django.contrib.auth.models import User
User.objects.create_superuser({OPERATOR!r}, "", {PASSWORD!r})
"""
_COUNTS: Final = """
from core.json import encode_text
from django.db import connection
tables = ("users_enduser", "metrics_event", "points_pointsaward")
with connection.cursor() as cursor:
    cursor.execute("SELECT relname, reltuples::bigint FROM pg_class WHERE relname = ANY(%s)", [list(tables)])
    print(encode_text(dict(cursor.fetchall())))
"""


class Known(TypedDict):
    """What has to be remembered of a database that was filled: its key is shown once only."""

    api_key: str


def main() -> int:
    """Fill the database where there is none, and say how to use it; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _read_options()
    folder = bench_folder()
    try:
        server = find_server(folder)
        url = keep_data(server, folder, options.users)
    except BenchError as error:
        print(f"The database could not be filled. {error}", file=sys.stderr)
        return 1
    print(_words(url, folder, options.users))
    if options.verify:
        print(manage(django_environment(url, folder), "verify"))
    try:
        if options.serve:
            return _serve(django_environment(url, folder), options.serve)
        if options.hold:
            print("The server stays up until Ctrl-C.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return 130
    return 0


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.data", description="Fill a large database and keep it.")
    parser.add_argument("--users", type=int, default=USERS, help=f"how many users there are (default {USERS})")
    parser.add_argument("--verify", action="store_true", help="prove it, which takes some minutes")
    parser.add_argument("--serve", type=int, metavar="PORT", help="serve it on this port until Ctrl-C")
    parser.add_argument("--hold", action="store_true", help="keep PostgreSQL up until Ctrl-C")
    options = parser.parse_args()
    if options.users < 1:
        parser.error("--users must be at least 1.")
    return options


def bench_folder() -> Path:
    """Return the folder of everything that benches keep, made where it was not there."""
    folder = (Path(os.environ.get("VAR_DIR") or ROOT / "var") / "bench").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep_data(server: Server, folder: Path, users: int = USERS) -> str:
    """Return the address of the large database: filled now, or kept from before and migrated to the tables of now."""
    contents = f"{users} users by bench.data_fill, version {VERSION}"
    url = keep(server, _database(users), contents, lambda url: _fill(url, folder, users))
    manage(django_environment(url, folder), "migrate", "--verbosity", "0")
    return url


def data_key(folder: Path, users: int = USERS) -> str:
    """Return an API key of the database that `keep_data` returned."""
    known: Known = json.loads(_known_file(folder, users).read_text())
    return known["api_key"]


def _database(users: int) -> str:
    return DATA_DATABASE if users == USERS else f"{DATA_DATABASE}_{users}"


def _known_file(folder: Path, users: int) -> Path:
    return folder / f"{_database(users)}.json"


def _fill(url: str, folder: Path, users: int) -> None:
    print(f"Filling {_database(users)}: some minutes for a million users.", flush=True)
    started, environment = time.monotonic(), django_environment(url, folder)
    manage(environment, "migrate", "--verbosity", "0")
    code = f"from bench.data_fill import fill; fill({users})"
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
        raise BenchError("See above.")
    run_code(environment, _LOGIN)
    known = Known(api_key=manage(environment, "create_api_key", "bench", "--admin").split()[-1])
    file = _known_file(folder, users)
    file.touch(mode=0o600)
    file.write_text(json.dumps(known))
    print(f"Filled in {time.monotonic() - started:.0f} s.", flush=True)


def _words(url: str, folder: Path, users: int) -> str:
    counts: dict[str, int] = json.loads(run_code(django_environment(url, folder), _COUNTS).splitlines()[-1])
    told = ", ".join(f"{count:,} {table.split('_')[1]} rows" for table, count in sorted(counts.items()))
    return f"""
  About {told}.

  Serve it          make bench-serve PORT=8000, or: python -m bench.data --serve 8000
  Keep PostgreSQL up for commands of your own
                    python -m bench.data --hold, and then:
  Address           DATABASE_URL='{url}'
  Admin             login {OPERATOR} / {PASSWORD}
  API key           {data_key(folder, users)}
"""


def _serve(environment: Mapping[str, str], port: int) -> int:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port)], cwd=ROOT, env={**environment, "DEBUG": "true"}
    )
    try:
        return process.wait()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
