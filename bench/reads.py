"""How long histories and sums take with a million users and ten million awards, from kept counters and roll-ups."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.databases import Server, contents_of, keep
from bench.web import django_environment, manage, run_code

READS_DATABASE: Final = "pointsmith_bench_reads"
FILLED_BY: Final = "bench.reads_fill"
COUNTED_MS_MAX: Final = 50
"""What a read from counters may take, at the median."""
HISTORY_MS_MAX: Final = 5
"""What a read from roll-ups may take, at the median."""
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
    recount_s: float
    deltas: int
    fold_s: float
    reads: list[Read]

    def missed_bars(self) -> list[str]:
        """Return a sentence for every bar that was missed."""
        slow = [each for each in self.reads if each.p50_ms >= each.p50_ms_max]
        return [f"{each.name}: half of them take {each.p50_ms_max} ms or more." for each in slow]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        head = (
            f"reads with {self.users:,} users and {self.awards:,} awards, judged by their p50; recounted in "
            f"{self.recount_s:.1f} s, {self.deltas:,} deltas folded in {self.fold_s:.2f} s"
        )
        return [head, *map(_line, self.reads)]


def _line(read: Read) -> str:
    figures = f"p50 {read.p50_ms:7.1f} ms, of which {read.sql_p50_ms:7.1f} ms are SQL; p99 {read.p99_ms:7.1f} ms"
    return f"  {read.name:<46}{figures}; p50 below {read.p50_ms_max:,}"


def measure_reads(server: Server, folder: Path, users: int) -> ReadsRun:
    """Read a database of its own. Raises BenchError unless the sums are what the rows add up to."""
    kept = f"{READS_DATABASE}_{users}"
    url = keep(server, kept, contents_of(users, FILLED_BY), lambda url: _fill(url, folder, users))
    said = run_code(django_environment(url, folder), "from bench.reading import run; run()")
    return msgspec.json.decode(said.splitlines()[-1], type=ReadsRun)


def _fill(url: str, folder: Path, users: int) -> None:
    environment = django_environment(url, folder)
    manage(environment, "migrate", "--verbosity", "0")
    run_code(environment, f"from {FILLED_BY} import fill; fill({users})")
