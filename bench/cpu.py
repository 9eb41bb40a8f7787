"""Who spends the CPU while events go in: the web server, PostgreSQL, and the clients that send them."""

from dataclasses import dataclass

import psutil
import psycopg

from bench.web import Web


@dataclass(frozen=True, slots=True)
class CpuSplit:
    """Seconds of CPU since the processes began; `postgres` is None where the server runs on another machine."""

    web: float
    postgres: float | None

    def since(self, earlier: "CpuSplit") -> "CpuSplit":
        """Return what was spent since an earlier reading."""
        both = None if self.postgres is None or earlier.postgres is None else self.postgres - earlier.postgres
        return CpuSplit(self.web - earlier.web, both)


def find_postmaster(url: str) -> psutil.Process | None:
    """Return the process that all of PostgreSQL's are children of, None where it runs on another machine."""
    with psycopg.connect(url) as connection:
        if not (connection.info.host.startswith("/") or connection.info.hostaddr in ("127.0.0.1", "::1")):
            return None
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        try:
            return psutil.Process(row[0]).parent() if row else None
        except psutil.NoSuchProcess:  # in a container of its own
            return None


def read_cpu(web: Web | None, postmaster: psutil.Process | None) -> CpuSplit:
    """Read what was spent so far, by processes that have ended since too."""
    return CpuSplit(
        web=_spent_s(web.process) if web else 0.0,
        postgres=_spent_s(postmaster) if postmaster else None,
    )


def _spent_s(parent: psutil.Process) -> float:
    spent_s = 0.0
    for process in (parent, *parent.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        # Of children that have ended, each parent has the sum.
        spent_s += times.user + times.system + times.children_user + times.children_system
    return spent_s
