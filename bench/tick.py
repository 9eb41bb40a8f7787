"""A time tick over all users, in turns with the least that it could be: one INSERT of its awards, one UPDATE."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.databases import Server, contents_of, copy, drop, keep
from bench.figures import Bar, Ratio
from bench.web import django_environment, manage, run_code

RATE_MIN: Final = 20_000
RATIO_MIN: Final = 0.6
CHUNK_P99_MS_MAX: Final = 100
PEAK_MB_MAX: Final = 300
TICK_DATABASE: Final = "pointsmith_bench_tick"
FILLED_BY: Final = "bench.tick_fill"


@dataclass(frozen=True, slots=True)
class TickRound:
    """One tick, and storing the same awards and balances raw.

    A chunk is measured from one reading of its clock to the next, so a little longer than it holds its users' locks.
    """

    tick_s: float
    raw_s: float
    chunks: int
    chunk_p50_ms: float
    chunk_p99_ms: float
    chunk_longest_ms: float


@dataclass(frozen=True, slots=True)
class TickRun:
    """What the worker measured; each round paid every user once. `peak_mb` is the most memory that it held."""

    users: int
    rounds: list[TickRound]
    peak_mb: float

    @property
    def rate(self) -> float:
        """Return the users paid a second, the median of the rounds."""
        return self.users / median(each.tick_s for each in self.rounds)

    @property
    def chunk_p99_ms(self) -> float:
        """Return how long all but one of a hundred chunks took at most, the median of the rounds."""
        return median(each.chunk_p99_ms for each in self.rounds)

    def ratios(self) -> list[Ratio]:
        """Return how fast paying is, the raw statements being 1."""
        return [Ratio("tick / INSERT and UPDATE", [each.raw_s / each.tick_s for each in self.rounds])]

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        return [
            Bar("a tick / INSERT of its awards and UPDATE of balances", self.ratios()[0].median, RATIO_MIN),
            Bar("users paid by a tick", self.rate, RATE_MIN, "/s"),
            Bar("p99 of a tick's chunks", self.chunk_p99_ms, CHUNK_P99_MS_MAX, " ms", is_most=True),
            Bar("memory of a worker that pays a tick", self.peak_mb, PEAK_MB_MAX, " MB", is_most=True),
        ]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        longest_ms = max(each.chunk_longest_ms for each in self.rounds)
        p50_ms = median(each.chunk_p50_ms for each in self.rounds)
        return [
            f"time tick: {self.rate:,.0f} users/s of {self.users:,}, each paid once a tick, with two boosts; "
            f"{self.ratios()[0].median:.2f} of INSERT ... SELECT of the awards and UPDATE of the balances",
            f"its chunks: p50 {p50_ms:.0f} ms, p99 {self.chunk_p99_ms:.0f} ms, longest {longest_ms:.0f} ms; "
            f"the worker held at most {self.peak_mb:.0f} MB",
        ]


def measure_tick(server: Server, folder: Path, *, users: int, rounds: int) -> TickRun:
    """Pay the users of a database of its own. Raises BenchError unless each tick paid each of them once."""
    kept = f"{TICK_DATABASE}_{users}"
    keep(server, kept, contents_of(users, FILLED_BY), lambda url: _fill(url, folder, users))
    environment = django_environment(copy(server, kept, TICK_DATABASE), folder)
    said = run_code(environment, f"from bench.paying import run; run({users}, {rounds})")
    manage(environment, "verify")
    drop(server, TICK_DATABASE)
    return msgspec.json.decode(said.splitlines()[-1], type=TickRun)


def _fill(url: str, folder: Path, users: int) -> None:
    environment = django_environment(url, folder)
    manage(environment, "migrate", "--verbosity", "0")
    run_code(environment, f"from {FILLED_BY} import fill; fill({users})")
