"""Figures for people: cards, sparklines, and charts of Chart.js that each have a table and a file behind them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, TypedDict
from urllib.parse import urlencode

from django.utils.safestring import SafeString, mark_safe

from analytics.rules import DayRange, change_percent, period_starts
from core.csv import CsvValue
from core.json import encode_text
from streaks.rules import Frequency

Cell = str | int | float | None
"""What stands in a table: None where there is nothing to say."""

TEAL: Final = "#0d9488"
ROSE: Final = "#e11d48"
INDIGO: Final = "#6366f1"
AMBER: Final = "#b45309"
GREY: Final = "#8b93a1"

DAYS_APART_MAX: Final = 92
"""Above so many days a chart goes by weeks."""
BAR_PX: Final = 38
LABEL_LENGTH: Final = 20
CHART_PX: Final = 260
SPARK_WIDTH: Final = 120
SPARK_HEIGHT: Final = 32


class Dataset(TypedDict, total=False):
    """A series as Chart.js takes it."""

    label: str
    data: list[Any]
    type: str
    backgroundColor: str
    borderColor: str
    borderDash: list[int]
    borderWidth: int
    pointRadius: int
    pointStyle: str
    order: int
    stack: str
    maxBarThickness: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; `summary` tells in words what it shows, for who cannot see it."""

    labels: Sequence[str | list[str]]
    datasets: Sequence[Dataset]
    summary: str
    type: str = "bar"
    is_sideways: bool = False
    is_stacked: bool = False
    x_title: str = ""
    y_title: str = ""

    @property
    def data(self) -> str:
        """Its data as JSON."""
        return encode_text({"labels": list(self.labels), "datasets": list(self.datasets)})

    @property
    def height(self) -> int:
        """How many pixels it is high: sideways, as its bars need."""
        stacks = len({each.get("stack") for each in self.datasets})
        return 80 + (BAR_PX + 14 * (stacks - 1)) * len(self.labels) + 14 * stacks if self.is_sideways else CHART_PX

    @property
    def options(self) -> str:
        """Its options as JSON. Chart.js's own colours of text are set by the page, for the dark and the light one."""
        x: dict[str, Any] = {"stacked": self.is_stacked, "grid": {"display": self.is_sideways}}
        y: dict[str, Any] = {"stacked": self.is_stacked, "grid": {"display": not self.is_sideways}}
        ticks = {"maxRotation": 0, "autoSkipPadding": 12}
        x["ticks"] = ticks
        numbers = x if self.is_sideways else y
        numbers["beginAtZero"] = True
        numbers["ticks"] = {**ticks, "precision": 0}
        for axis, title in ((x, self.x_title), (y, self.y_title)):
            axis["title"] = {"display": bool(title), "text": title}
        options = {
            "animation": False,
            "responsive": True,
            "maintainAspectRatio": False,
            "indexAxis": "y" if self.is_sideways else "x",
            "interaction": {"mode": "index", "intersect": False, "axis": "y" if self.is_sideways else "x"},
            "plugins": {
                "legend": {
                    "display": len(self.datasets) > 1,
                    "align": "start",
                    "labels": {"usePointStyle": True, "pointStyleWidth": 14, "boxHeight": 8},
                }
            },
            "scales": {"x": x, "y": y},
        }
        return encode_text(options)


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page: a chart if there is something to draw, its table, and where the table is a file.

    `empty` says what to do where there is nothing; `facts` stand above the chart; one that `is_table` never has one.
    `links` are where the first cells of the rows lead to.
    """

    key: str
    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    chart: Chart | None = None
    note: str = ""
    empty: str = ""
    facts: Sequence[tuple[str, str]] = ()
    query: str = ""
    page: str = ""
    links: Sequence[str | None] = ()
    is_wide: bool = False
    is_table: bool = False

    @property
    def csv_address(self) -> str:
        """The address of the table as a file, on `page`: without one, on the page itself."""
        return f"{self.page}?{self.query}&{urlencode({'csv': self.key})}"

    @property
    def shown_rows(self) -> list[tuple[str | None, list[tuple[str, bool]]]]:
        """Each row with the link of its first cell, and its cells as text, each with whether numbers stand there."""
        links = self.links or [None] * len(self.rows)
        are_numbers = [are_numbers for _, are_numbers in self.shown_headers]
        return [
            (link, list(zip(map(show, row), are_numbers, strict=True)))
            for link, row in zip(links, self.rows, strict=True)
        ]

    @property
    def shown_headers(self) -> list[tuple[str, bool]]:
        """Each header, and whether numbers stand below it."""
        return [
            (header, any(isinstance(row[place], int | float) for row in self.rows))
            for place, header in enumerate(self.headers)
        ]

    def csv_rows(self) -> list[Sequence[CsvValue]]:
        """Return the table as a file has it; a text without letters stands for nothing there, such as no name."""
        return [self.headers, *([None if cell == "" else cell for cell in row] for row in self.rows)]


@dataclass(frozen=True, slots=True)
class Card:
    """A number, how it compares with before, and how it went from day to day."""

    title: str
    value: str
    change: int | None = None
    compared: str = ""
    spark: SafeString = field(default=SafeString(""))
    note: str = ""

    @property
    def shown_change(self) -> str:
        """The change as people write it."""
        return "" if self.change is None else f"{self.change:+,} %"


def show(cell: Cell) -> str:
    """Return a cell as text: numbers with thousands apart, nothing as a dash."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.1f}"


def label_lines(text: str, *more: str) -> list[str]:
    """Return a label as lines that a phone has room for: at most two of the text, then those that are given."""
    return [*textwrap.wrap(text, LABEL_LENGTH, max_lines=2, placeholder="…"), *more]


def number_card(title: str, now: int, before: int, series: Sequence[int], *, compared: str) -> Card:
    """Return a card of a sum, how it changed since `compared`, a stretch of time in words, and its course."""
    change = change_percent(now, before)
    return Card(title, f"{now:,}", change, f"{'in' if change is None else 'vs'} {compared}", sparkline(series))


def sparkline(series: Sequence[int]) -> SafeString:
    """Return a small line over the days, for the eye alone: the card says its number. None of fewer than two days."""
    if len(series) < 2:
        return SafeString("")
    least, span = min(0, *series), max(max(series) - min(0, *series), 1)
    step = SPARK_WIDTH / (len(series) - 1)
    points = " ".join(
        f"{number * step:.1f},{SPARK_HEIGHT - 1 - (value - least) / span * (SPARK_HEIGHT - 2):.1f}"
        for number, value in enumerate(series)
    )
    # Nothing in it but numbers.
    return mark_safe(  # noqa: S308
        f'<svg class="sparkline" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" preserveAspectRatio="none" '
        f'aria-hidden="true"><polyline points="{points}"/></svg>'
    )


def steps_of(days: DayRange) -> tuple[list[date], str]:
    """Return where the steps of a chart over these days begin, and what a step is: days, or weeks of many days."""
    if days.length <= DAYS_APART_MAX:
        return days.days, "Day"
    return period_starts(days.first, days.last, Frequency.WEEKLY), "Week from"


def by_step(days: DayRange, daily: Sequence[int]) -> list[int]:
    """Return the sums of a chart's steps from those of its days."""
    starts, _ = steps_of(days)
    sums, step = [0] * len(starts), 0
    for day, amount in zip(days.days, daily, strict=True):
        while step + 1 < len(starts) and starts[step + 1] <= day:
            step += 1
        sums[step] += amount
    return sums


def bars(label: str, data: Sequence[Any], colour: str, *, order: int = 1, stack: str = "") -> Dataset:
    """Return a series of bars; those of one stack stand on each other, and what has a lower order is drawn on top."""
    return Dataset(
        label=label,
        data=list(data),
        backgroundColor=colour,
        maxBarThickness=28,
        pointStyle="rect",
        order=order,
        stack=stack or label,
    )


def line(label: str, data: Sequence[int], colour: str, *, is_dashed: bool = False) -> Dataset:
    """Return a series as a line, on top of bars."""
    return Dataset(
        label=label,
        data=list(data),
        type="line",
        borderColor=colour,
        backgroundColor=colour,
        borderWidth=2,
        borderDash=[4, 4] if is_dashed else [],
        pointRadius=0,
        pointStyle="line",
        order=0,
        # Of its own, so that it is not piled upon the bars where those are.
        stack=label,
    )
