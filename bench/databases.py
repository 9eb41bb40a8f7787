"""The databases of a bench: made anew on a server of its own in `var/bench`, or on that of BENCH_DATABASE_URL."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from bench.errors import BenchError
from core.embedded_postgres import EmbeddedPostgres

ENGINE_DATABASE: Final = "pointsmith_bench"
BASELINE_DATABASE: Final = "pointsmith_bench_pg8"
TICK_DATABASE: Final = "pointsmith_bench_tick"
QUEUE_DATABASE: Final = "pointsmith_bench_queue"
WEBHOOKS_DATABASE: Final = "pointsmith_bench_webhooks"


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server: `maintenance_url` is a database that is there already."""

    maintenance_url: str
    pgbench: Path

    def url(self, database: str) -> str:
        """Return the address of one of its databases, for libpq and for DATABASE_URL alike."""
        return urlsplit(self.maintenance_url)._replace(path=f"/{database}").geturl()


def find_server(folder: Path) -> Server:
    """Return the server of BENCH_DATABASE_URL; without one, start the embedded server in `folder`."""
    embedded = EmbeddedPostgres(folder)
    given = os.environ.get("BENCH_DATABASE_URL")
    if given:
        installed = shutil.which("pgbench")
        return Server(given, Path(installed) if installed else embedded.binary("pgbench"))
    embedded.ensure_running()
    settings = embedded.connection_settings()
    query = f"host={quote(settings['HOST'], safe='')}&port={settings['PORT']}"
    return Server(f"postgres://{settings['USER']}@/{settings['NAME']}?{query}", embedded.binary("pgbench"))


def create_anew(server: Server, database: str) -> str:
    """Create an empty database in place of the last bench's and return its address."""
    with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
        name = sql.Identifier(database)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    return server.url(database)


def settle(url: str) -> None:
    """Bring a database that was just filled to rest: statistics, visibility, and nothing left to write back."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def count_rows(url: str, table: str) -> int:
    """Return how many rows a table has, counted one by one."""
    with psycopg.connect(url) as connection:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    if row is None:
        raise BenchError(f"The rows of {table} could not be counted.")
    return int(row[0])


def server_version(url: str) -> str:
    """Return PostgreSQL's version."""
    with psycopg.connect(url) as connection:
        return connection.info.parameter_status("server_version") or "unknown"
