"""A time tick over all users, in turns with the least that it could be: one INSERT ... SELECT of its awards."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.databases import TICK_DATABASE, Server, create_anew
from bench.web import django_environment, manage

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
    """Fill a database of its own and pay its users. Raises BenchError unless each tick paid each of them once."""
    environment = django_environment(create_anew(server, TICK_DATABASE), folder)
    manage(environment, "migrate", "--verbosity", "0")
    code = f"from bench.paying import run; run({users}, {ROUNDS})"
    said = manage(environment, "shell", "--verbosity", "0", "-c", code)
    manage(environment, "verify")
    return msgspec.json.decode(said.splitlines()[-1], type=TickRun)
