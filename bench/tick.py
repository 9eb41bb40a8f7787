"""A time tick over all users, in turns with the least that it could be: one INSERT ... SELECT of its awards."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.databases import Server, contents_of, copy, drop, keep
from bench.web import django_environment, manage, run_code

TICK_DATABASE: Final = "pointsmith_bench_tick"
FILLED_BY: Final = "bench.tick_fill"
ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class TickRound:
    """One tick, and the copying of its awards.

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
    def ratio(self) -> float:
        """Return the median of the ratios, each taken within its round: the machine drifts from round to round."""
        return median(each.raw_s / each.tick_s for each in self.rounds)

    @property
    def chunk_p99_ms(self) -> float:
        """Return how long all but one of a hundred chunks took at most, the median of the rounds."""
        return median(each.chunk_p99_ms for each in self.rounds)


def measure_tick(server: Server, folder: Path, users: int) -> TickRun:
    """Pay the users of a database of its own. Raises BenchError unless each tick paid each of them once."""
    kept = f"{TICK_DATABASE}_{users}"
    keep(server, kept, contents_of(users, FILLED_BY), lambda url: _fill(url, folder, users))
    environment = django_environment(copy(server, kept, TICK_DATABASE), folder)
    said = run_code(environment, f"from bench.paying import run; run({users}, {ROUNDS})")
    manage(environment, "verify")
    drop(server, TICK_DATABASE)
    return msgspec.json.decode(said.splitlines()[-1], type=TickRun)


def _fill(url: str, folder: Path, users: int) -> None:
    environment = django_environment(url, folder)
    manage(environment, "migrate", "--verbosity", "0")
    run_code(environment, f"from {FILLED_BY} import fill; fill({users})")
