"""A batch of 1,000 events of 1,000 users through the pipeline, in turns with a COPY of the rows that it left."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.databases import BATCH_DATABASE, Server, drop
from bench.figures import Bar, Ratio
from bench.game import prepare_game
from bench.web import manage, run_code

BATCH: Final = 1_000
BATCHES: Final = 5
"""How many of each kind take turns in a round."""
RATIO_MIN: Final = 0.35


@dataclass(frozen=True, slots=True)
class BatchRound:
    """Events a second, processed and copied; `awards` is how many rows of the ledger a copy had beside the events."""

    processed: float
    copied: float
    awards: int

    @property
    def ratio(self) -> float:
        """How fast processing is, COPY being 1."""
        return self.processed / self.copied


@dataclass(frozen=True, slots=True)
class BatchRun:
    """What the worker measured."""

    users: int
    rounds: list[BatchRound]

    def ratios(self) -> list[Ratio]:
        """Return how fast processing is, COPY being 1."""
        return [Ratio("batch / COPY", [each.ratio for each in self.rounds])]

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        return [Bar(f"a batch of {BATCH:,} / COPY of its rows", self.ratios()[0].median, RATIO_MIN)]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        processed, copied = (median(getattr(each, of) for each in self.rounds) for of in ("processed", "copied"))
        awards = self.rounds[0].awards / BATCH / BATCHES
        return [
            f"batches of {BATCH:,} events of {BATCH:,} users: {processed:,.0f} events/s processed; COPY of the same "
            f"events with {awards:.1f} awards each: {copied:,.0f}; ratio {self.ratios()[0].median:.2f}"
        ]


def measure_batch(server: Server, folder: Path, *, users: int, rounds: int) -> BatchRun:
    """Process batches in a database of its own. Raises BenchError unless each event is stored once."""
    environment, _ = prepare_game(server, folder, BATCH_DATABASE, max(users, BATCH))
    said = run_code(environment, f"from bench.batching import run; run({max(users, BATCH)}, {rounds})")
    manage(environment, "verify")
    drop(server, BATCH_DATABASE)
    return msgspec.json.decode(said.splitlines()[-1], type=BatchRun)
