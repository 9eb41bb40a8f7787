"""The databases of a bench, on a server of its own in `var/bench`, or on that of BENCH_DATABASE_URL.

Large ones are filled once and kept: their comment says what is in them.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit
from uuid import UUID

import psycopg
from psycopg import sql

from bench.errors import BenchError
from core.embedded_postgres import EmbeddedPostgres

ENGINE_DATABASE: Final = "pointsmith_bench"
BASELINE_DATABASE: Final = "pointsmith_bench_pg8"
BATCH_DATABASE: Final = "pointsmith_bench_batch"
MANY_DATABASE: Final = "pointsmith_bench_rules_many"
FEW_DATABASE: Final = "pointsmith_bench_rules_few"
QUEUE_DATABASE: Final = "pointsmith_bench_queue"
WEBHOOKS_DATABASE: Final = "pointsmith_bench_webhooks"

ROOT: Final = Path(__file__).resolve().parent.parent
FILE_COPY_SINCE: Final = 150_000


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
    drop(server, database)
    with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    return server.url(database)


def drop(server: Server, database: str) -> None:
    """Drop a database, if there is one."""
    with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


def keep(server: Server, database: str, contents: str, fill: Callable[[str], None]) -> str:
    """Return the address of a database that holds `contents`: an earlier bench's, or one made anew for `fill`."""
    if _comment_on(server, database) != contents:
        fill(create_anew(server, database))
        with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
            comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), sql.Literal(contents))
            connection.execute(comment)
    return server.url(database)


def _comment_on(server: Server, database: str) -> str | None:
    with psycopg.connect(server.maintenance_url) as connection:
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        row = connection.execute(query, [database]).fetchone()
    return row[0] if row else None


def contents_of(users: int, filled_by: str) -> str:
    """Return what a kept database holds, in words: so many users, as the module fills them into the tables of now."""
    files = [*sorted(ROOT.glob("*/migrations/*.py")), ROOT / f"{filled_by.replace('.', '/')}.py"]
    digest = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return f"{users} users by {filled_by}, {digest[:16]}"


def copy(server: Server, source: str, database: str) -> str:
    """Make `database` a copy of `source` and return its address."""
    drop(server, database)
    with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
        # Files, not write-ahead log: which is what older servers do without being told.
        by_files = " STRATEGY FILE_COPY" if connection.info.server_version >= FILE_COPY_SINCE else ""
        names = (sql.Identifier(database), sql.Identifier(source))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}" + by_files).format(*names))
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


def count_new(url: str, table: str, since: datetime) -> int:
    """Return how many rows were made since then: their ids begin with the milliseconds at which they were made."""
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    with psycopg.connect(url) as connection:
        query = sql.SQL("SELECT count(*) FROM {} WHERE id >= {}")
        row = connection.execute(query.format(sql.Identifier(table), sql.Literal(first))).fetchone()
    return int(row[0]) if row else 0


def server_version(url: str) -> str:
    """Return PostgreSQL's version."""
    with psycopg.connect(url) as connection:
        return connection.info.parameter_status("server_version") or "unknown"
