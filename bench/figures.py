"""What every part of the bench hands on: lines for people, ratios for comparisons, and bars that are met or missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure has to be: at least `bar`, or where `is_most` at most that."""

    what: str
    value: float
    bar: float
    unit: str = ""
    is_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure is good enough."""
        return self.value <= self.bar if self.is_most else self.value >= self.bar

    @property
    def sentence(self) -> str:
        """The bar and how it went, for people."""
        word = "met   " if self.is_met else "MISSED"
        side = "at most" if self.is_most else "at least"
        return f"{word} {self.what}: {_number(self.value)}{self.unit}, has to be {side} {_number(self.bar)}{self.unit}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """What is compared from one run to another: a ratio within each of the rounds, of two things that took turns.

    More is better, but for a `is_cost`, which is how many times as dear something is.
    """

    name: str
    rounds: list[float]
    is_cost: bool = False

    @property
    def median(self) -> float:
        """The median over the rounds: the machine drifts from one to the next."""
        return median(self.rounds)


class Section(Protocol):
    """The results of one part of the bench."""

    def lines(self) -> list[str]:
        """Return the figures for people to read."""

    def ratios(self) -> list[Ratio]:
        """Return what can be compared with another run, on another machine too."""

    def bars(self) -> list[Bar]:
        """Return what has to be met."""


def percentile(ascending: Sequence[float], percent: int) -> float:
    """Return what `percent` of the values, which are in ascending order, do not exceed."""
    return ascending[(len(ascending) - 1) * percent // 100]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2f}"
