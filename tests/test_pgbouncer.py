"""Pointsmith behind PgBouncer with transaction pooling, by the ini of docs/scaling.md.

Needs pgbouncer (make test-pgbouncer). Its connections to PostgreSQL are fewer than those to it, so that statements of
one session meet many servers.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import psycopg
import pytest
from django.conf import settings

from core.embedded_postgres import DATABASE, ROLE
from tests.clusters import Cluster, one_server
from tests.processes import WAIT_S_MAX, until
from tests.servers import answers, log_in, serving, set_up

pytestmark = pytest.mark.pgbouncer

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "scaling.md"
PORT: Final = 6432
SERVER_CONNECTIONS: Final = 4
CLIENTS: Final = 16
EVENTS: Final = 25
USERS: Final = 8


@contextmanager
def pooled(server: Cluster) -> Iterator[str]:
    """Run PgBouncer in front of the server for as long as the context lasts; give the address to connect to."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "pgbouncer is not installed: apt-get install pgbouncer"
    home, account = server.layout.home, server.layout.account
    users, ini = home / "userlist.txt", home / "pgbouncer.ini"
    users.write_text(f'"{ROLE}" ""\n')
    ini.write_text(documented_ini(server, users))
    for path in (users, ini):
        if account:
            os.chown(path, account.uid, account.gid)
    uid, gid = server.layout.run_as
    process = subprocess.Popen([program, "-q", str(ini)], user=uid, group=gid, cwd="/")
    try:
        until(lambda: (home / f".s.PGSQL.{PORT}").exists(), look_s=0.02)
        yield f"postgres://{ROLE}@/{DATABASE}?host={quote(str(home), safe='')}&port={PORT}"
    finally:
        process.terminate()
        process.wait(WAIT_S_MAX)


def documented_ini(server: Cluster, users: Path) -> str:
    """Return the documentation's ini but for where everything is, who may enter, and how small the pool is."""
    block = re.search(r"```ini\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert block
    ini = block[1]
    for setting, value in {
        "host": f"{server.layout.sockets} ",
        "listen_addr": "\nunix_socket_dir = " + str(server.layout.home),
        "auth_type": "trust",
        "auth_file": str(users),
        "default_pool_size": str(SERVER_CONNECTIONS),
    }.items():
        ini, count = re.subn(rf"\b{setting}( ?= ?)[^ \n]+", lambda found: setting + found[1] + value, ini)  # noqa: B023
        assert count == 1, setting
    return ini


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, dict[str, str], httpx.Client]]:
    with one_server() as server, pooled(server) as url:
        key = set_up(server.url)
        environment = {"DATABASE_URL": url, "DATABASE_POOLER": "pgbouncer"}
        var_dir = tmp_path_factory.mktemp("var")
        with serving(var_dir, **environment) as port:
            until(lambda: answers(port), look_s=0.1)
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers={"X-API-KEY": key}, timeout=WAIT_S_MAX
            ) as client:
                yield server, environment | {"VAR_DIR": str(var_dir)}, client


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py through PgBouncer, too."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def server_connections(server: Cluster) -> int:
    """Return how many connections PgBouncer has to PostgreSQL."""
    others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    return int(server.ask(f"SELECT count(*) FROM pg_stat_activity WHERE {others}"))


def test_events_of_parallel_clients_are_right_to_the_last_unit(running: Any) -> None:
    server, environment, client = running

    def send(number: int) -> Counter[str]:
        sent: Counter[str] = Counter()
        for each in range(EVENTS):
            user = f"user-{(number + each) % USERS}"
            answer = client.post("/v1/metrics/lessons/event", json={"user": {"id": user}, "value": each + 1})
            assert answer.status_code == 201, answer.text
            sent[user] += each + 1
            assert client.get(f"/v1/users/{user}/points/xp").is_success
        return sent

    with ThreadPoolExecutor(CLIENTS) as clients:
        sent = sum(clients.map(send, range(CLIENTS)), Counter())

    assert sum(sent.values()) == CLIENTS * EVENTS * (EVENTS + 1) // 2
    for user, value in sent.items():
        assert client.get(f"/v1/users/{user}/metrics/lessons").json()["current"] == value
        assert client.get(f"/v1/users/{user}/points/xp").json()["total"] == value
    assert 1 <= server_connections(server) <= SERVER_CONNECTIONS
    proof = manage(environment, "verify")
    assert proof.returncode == 0, proof.stdout + proof.stderr


def test_files_that_are_streamed_are_whole_while_others_use_the_connections(running: Any) -> None:
    _, _, client = running
    names = [f"streamed-{number:03}" for number in range(300)]
    log_in(client)
    assert client.get("/admin/").is_success
    page = client.get("/admin/users/enduser/export/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    form = {"resource": "0", "format": "0", "csrfmiddlewaretoken": token[1]}

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers_to = clients.map(lambda name: client.post("/v1/users", json={"id": name}).status_code, names)
        assert set(answers_to) == {201}
        files = clients.map(lambda _: client.post("/admin/users/enduser/export/", data=form), range(4))
        others = clients.map(lambda name: client.get(f"/v1/users/{name}").status_code, names)
        for file in files:
            assert file.is_success
            assert set(names) <= {row[0] for row in csv.reader(file.text.splitlines())}
        assert set(others) == {200}


def test_no_connection_keeps_a_setting_for_who_comes_next(running: Any) -> None:
    server, _, client = running
    body = {"user": {"id": "zoe"}, "value": 1}
    with ThreadPoolExecutor(CLIENTS) as clients:
        sent = clients.map(lambda _: client.post("/v1/metrics/lessons/event", json=body).status_code, range(CLIENTS))
        assert set(sent) == {201}
    # PgBouncer itself carries these from connection to connection; what is of a transaction ends with it.
    carried = "('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')"
    # As many at once as there are connections, which takes each of them.
    statement = (
        "SELECT name, setting FROM pg_settings, pg_sleep(0.2) WHERE source = 'session' "
        f"AND name NOT IN {carried} AND name NOT LIKE 'transaction%'"
    )
    where = {"host": str(server.layout.home), "port": PORT, "user": ROLE, "dbname": DATABASE}

    def left_behind(_: int) -> list[Any]:
        with psycopg.connect(**where, autocommit=True) as asking:  # type: ignore[arg-type]
            return asking.execute(statement.encode()).fetchall()

    with ThreadPoolExecutor(SERVER_CONNECTIONS) as at_once:
        assert list(at_once.map(left_behind, range(SERVER_CONNECTIONS))) == [[]] * SERVER_CONNECTIONS
