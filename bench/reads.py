"""How long histories and sums take with a million users and ten million awards, from kept counters and roll-ups."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.data import data_key, keep_data
from bench.databases import Server
from bench.figures import Bar, Ratio
from bench.web import django_environment, run_code

COUNTED_MS_MAX: Final = 50
"""What a read from counters may take, at the median."""
HISTORY_MS_MAX: Final = 5
"""What a read from roll-ups may take, at the median."""
USER_MS_MAX: Final = 10
"""What any other read of one user may take, at the median."""
SCAN_MS_MAX: Final = 2_000
"""What a read of all users may take, at the median."""


@dataclass(frozen=True, slots=True)
class Read:
    """One kind of read, asked `calls` times one after another through all of Django; `sql_p50_ms` is the database's."""

    name: str
    calls: int
    p50_ms: float
    p99_ms: float
    sql_p50_ms: float
    p50_ms_max: int


@dataclass(frozen=True, slots=True)
class ReadsRun:
    """What one run measured. The deltas waited while the reads «with ... waiting» were asked.

    The medians are judged: the machine is shared with the server that is asked, so the slowest of a hundred tell more
    of what else it did.
    """

    users: int
    awards: int
    events: int
    recount_s: float
    deltas: int
    fold_s: float
    reads: list[Read]

    def ratios(self) -> list[Ratio]:
        """Return nothing: no two reads take turns with each other."""
        return []

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        return [Bar(f"p50 of {each.name}", each.p50_ms, each.p50_ms_max, " ms", is_most=True) for each in self.reads]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        head = (
            f"reads with {self.users:,} users, {self.awards:,} awards and {self.events:,} events, judged by their p50; "
            f"recounted in {self.recount_s:.1f} s, {self.deltas:,} deltas folded in {self.fold_s:.2f} s"
        )
        return [head, *map(_line, self.reads)]


def _line(read: Read) -> str:
    figures = f"p50 {read.p50_ms:7.1f} ms, of which {read.sql_p50_ms:7.1f} ms are SQL; p99 {read.p99_ms:7.1f} ms"
    return f"  {read.name:<48}{figures}; p50 below {read.p50_ms_max:,}"


def measure_reads(server: Server, folder: Path, users: int) -> ReadsRun:
    """Read the large database. Raises BenchError unless the sums are what the rows add up to."""
    url = keep_data(server, folder, users)
    code = f"from bench.reading import run; run({data_key(folder, users)!r}, {users})"
    return msgspec.json.decode(run_code(django_environment(url, folder), code).splitlines()[-1], type=ReadsRun)
