"""Whether a run is worse than the one that was kept, by more than chance: pure, for `make bench-check`.

A ratio is a fall where even the good end of what the new run may mean is below ALLOWED of the kept median. That end is
of an interval for the median: if the rounds were drawn anew from those that were measured (a bootstrap), the median
would be above it in one of twenty cases at most. Rounds that agree make it narrow, rounds that scatter make it wide;
with five rounds or fewer it is the best of them. So a noisy run does not fail by accident, and a quiet one is judged
sharply. A cost is judged the same way, by its reciprocal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Final

from bench.figures import Ratio

ALLOWED: Final = 0.7
QUANTILE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ratio now and as it was kept, both as «more is better»; `best` is the most that the new rounds may mean."""

    name: str
    kept: float
    now: float
    best: float

    @property
    def has_fallen(self) -> bool:
        """Whether it is worse by more than is allowed and by more than chance."""
        return self.best < ALLOWED * self.kept

    @property
    def sentence(self) -> str:
        """How it went, for people."""
        word = "FELL " if self.has_fallen else "holds"
        return (
            f"{word} {self.name}: {self.now:.2f} now, at best {self.best:.2f}; kept {self.kept:.2f}, "
            f"of which {ALLOWED:.0%} is {ALLOWED * self.kept:.2f}"
        )


def compare(ratios: Sequence[Ratio], kept: Mapping[str, float]) -> list[Comparison]:
    """Compare each ratio of a run with the one of its name in `kept`; one that was never kept is left out.

    Raises ValueError where a ratio or what was kept is not positive: no such thing was measured.
    """
    return [_compare(ratio, kept[ratio.name]) for ratio in ratios if ratio.name in kept]


def _compare(ratio: Ratio, kept: float) -> Comparison:
    if kept <= 0 or not ratio.rounds or min(ratio.rounds) <= 0:
        raise ValueError(f"«{ratio.name}» cannot be compared: {ratio.rounds} with {kept}.")
    rounds = [1 / each for each in ratio.rounds] if ratio.is_cost else ratio.rounds
    name = f"{ratio.name} (its reciprocal)" if ratio.is_cost else ratio.name
    return Comparison(name, 1 / kept if ratio.is_cost else kept, median(rounds), upper_end(rounds))


def upper_end(rounds: Sequence[float]) -> float:
    """Return the least round that medians of rounds drawn anew, with replacement, exceed with at most 1 - QUANTILE.

    Exact, without drawing: such a median is at most the k-th smallest round where more than half of the draws are.
    """
    ascending, count = sorted(rounds), len(rounds)
    more_than_half = range(count // 2 + 1, count + 1)
    for place, value in enumerate(ascending, start=1):
        share = place / count
        if (
            sum(comb(count, drawn) * share**drawn * (1 - share) ** (count - drawn) for drawn in more_than_half)
            >= QUANTILE
        ):
            return value
    return ascending[-1]
