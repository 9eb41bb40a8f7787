"""How long histories and sums take with a million users and ten million awards, from kept counters and roll-ups."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.databases import Server, create_anew
from bench.web import django_environment, manage

READS_DATABASE: Final = "pointsmith_bench_reads"
KEPT_P99_MS_MAX: Final = 50
"""What a read from counters or roll-ups may take."""
SCAN_P99_MS_MAX: Final = 2_000
"""What a read of all users may take."""


@dataclass(frozen=True, slots=True)
class Read:
    """One kind of read, asked `calls` times one after another through all of Django; `sql_p50_ms` is the database's."""

    name: str
    calls: int
    p50_ms: float
    p99_ms: float
    sql_p50_ms: float
    p99_ms_max: int


@dataclass(frozen=True, slots=True)
class ReadsRun:
    """What one run measured. The deltas waited while the reads «with ... waiting» were asked."""

    users: int
    awards: int
    fill_s: float
    recount_s: float
    deltas: int
    fold_s: float
    reads: list[Read]

    def missed_bars(self) -> list[str]:
        """Return a sentence for every bar that was missed."""
        slow = [each for each in self.reads if each.p99_ms > each.p99_ms_max]
        return [f"{each.name}: one in a hundred takes {each.p99_ms_max} ms or more." for each in slow]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        head = (
            f"reads with {self.users:,} users and {self.awards:,} awards: filled in {self.fill_s:.0f} s, recounted in "
            f"{self.recount_s:.1f} s, {self.deltas:,} deltas folded in {self.fold_s:.2f} s"
        )
        return [head, *map(_line, self.reads)]


def _line(read: Read) -> str:
    figures = f"p50 {read.p50_ms:7.1f} ms, p99 {read.p99_ms:7.1f} ms, of the p50 {read.sql_p50_ms:7.1f} ms are SQL"
    return f"  {read.name:<46}{figures}"


def measure_reads(server: Server, folder: Path, users: int) -> ReadsRun:
    """Fill a database of its own and read. Raises BenchError unless the sums are what the rows add up to."""
    environment = django_environment(create_anew(server, READS_DATABASE), folder)
    manage(environment, "migrate", "--verbosity", "0")
    said = manage(environment, "shell", "--verbosity", "0", "-c", f"from bench.reading import run; run({users})")
    return msgspec.json.decode(said.splitlines()[-1], type=ReadsRun)
