"""What was measured, as a table for people and as JSON for programs, and whether it is good enough."""

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.load import LoadFigures
from bench.queueing import QueueRun
from bench.reads import ReadsRun
from bench.tick import TickRun
from bench.web import Memory
from bench.webhooks import WebhookRun

CLIENT_COUNTS: Final = (1, 8, 32)

RATIO_AT_8_MIN: Final = 0.20
DECIDE_US_MAX: Final = 100
WORKER_MB_MAX: Final = 200
TICK_RATE_MIN: Final = 20_000
TICK_RATIO_MIN: Final = 0.15
TICK_CHUNK_P99_MS_MAX: Final = 100
TICK_MB_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class HttpFigures:
    """One phase of load in short."""

    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Round:
    """One round: the baseline, and HTTP by the number of clients."""

    baseline: float
    http: dict[int, HttpFigures]

    def ratio(self, clients: int) -> float:
        """Return how many HTTP events went in for one transaction of the baseline."""
        return self.http[clients].rate / self.baseline


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that one bench measured."""

    postgresql: str
    users: int
    rounds: list[Round]
    events: int
    awards: int
    decide_us: float
    workers: list[Memory]
    tick: TickRun
    reads: ReadsRun | None
    queue: QueueRun
    webhooks: WebhookRun

    def median(self, figure: Callable[[Round], float]) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(figure(each) for each in self.rounds)

    def ratio(self, clients: int) -> float:
        """Return the median of the ratios, each taken within its round: the machine drifts from round to round."""
        return self.median(lambda each: each.ratio(clients))


def in_short(figures: LoadFigures) -> HttpFigures:
    """Return a phase of load without its single latencies."""
    return HttpFigures(figures.rate, figures.percentile_ms(50), figures.percentile_ms(99))


def missed_bars(results: Results) -> list[str]:
    """Return a sentence for every bar that was missed."""
    largest = max(worker.resident for worker in results.workers)
    bars = (
        (results.ratio(8) >= RATIO_AT_8_MIN, f"HTTP/pgbench at 8 clients is below {RATIO_AT_8_MIN:.2f}."),
        (results.decide_us < DECIDE_US_MAX, f"decide takes {DECIDE_US_MAX} us an event or more."),
        (largest < WORKER_MB_MAX, f"A web process holds {WORKER_MB_MAX} MB or more."),
        *_tick_bars(results.tick),
    )
    of_reads = results.reads.missed_bars() if results.reads else []
    missed = [sentence for is_met, sentence in bars if not is_met]
    return [*missed, *of_reads, *results.queue.missed_bars(), *results.webhooks.missed_bars()]


def _tick_bars(tick: TickRun) -> list[tuple[bool, str]]:
    return [
        (tick.rate >= TICK_RATE_MIN, f"A tick pays fewer than {TICK_RATE_MIN:,} users a second."),
        (tick.ratio >= TICK_RATIO_MIN, f"A tick/INSERT of its awards is below {TICK_RATIO_MIN:.2f}."),
        (
            tick.chunk_p99_ms < TICK_CHUNK_P99_MS_MAX,
            f"More than one of a hundred chunks of a tick takes {TICK_CHUNK_P99_MS_MAX} ms or more.",
        ),
        (tick.peak_mb < TICK_MB_MAX, f"A worker that pays a tick holds {TICK_MB_MAX} MB or more."),
    ]


def table(results: Results) -> str:
    """Return the figures for people to read."""
    cells = [["", "pgbench tps", *(f"HTTP {count}, req/s" for count in CLIENT_COUNTS), "ratio 8", "ratio 32"]]
    cells += [_row(f"round {number}", each) for number, each in enumerate(results.rounds, start=1)]
    medians = [results.median(lambda each, c=count: each.http[c].rate) for count in CLIENT_COUNTS]  # type: ignore[misc]
    rates = [results.median(lambda each: each.baseline), *medians]
    cells.append(_cells("median", rates, [results.ratio(8), results.ratio(32)]))
    lines = ["".join(f"{cell:>16}" for cell in row) for row in cells]
    return "\n".join([*lines, "", *_latency_lines(results), *_other_lines(results)])


def _row(name: str, each: Round) -> list[str]:
    rates = [each.baseline, *(each.http[count].rate for count in CLIENT_COUNTS)]
    return _cells(name, rates, [each.ratio(8), each.ratio(32)])


def _cells(name: str, rates: list[float], ratios: list[float]) -> list[str]:
    return [name, *(f"{rate:,.0f}" for rate in rates), *(f"{ratio:.2f}" for ratio in ratios)]


def _latency_lines(results: Results) -> list[str]:
    lines = []
    for count in CLIENT_COUNTS:
        p50 = statistics.median(each.http[count].p50_ms for each in results.rounds)
        p99 = statistics.median(each.http[count].p99_ms for each in results.rounds)
        lines.append(f"HTTP {count:>2} clients: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return lines


def _other_lines(results: Results) -> list[str]:
    memory = "; ".join(f"{each.resident:.0f} MB ({each.unique:.0f} MB its own)" for each in results.workers)
    return [
        f"events over HTTP: {results.events:,}, each answered 201 and stored once, "
        f"with {results.awards / results.events:.2f} awards each; {results.users:,} users",
        f"decide: {results.decide_us:.1f} us an event (median)",
        f"web processes after the load: {memory}",
        *tick_lines(results.tick),
        *(results.reads.lines() if results.reads else ()),
        *results.queue.lines(),
        *results.webhooks.lines(),
    ]


def tick_lines(tick: TickRun) -> list[str]:
    """Return the figures of the time tick for people to read."""
    longest_ms = max(each.chunk_longest_ms for each in tick.rounds)
    p50_ms = statistics.median(each.chunk_p50_ms for each in tick.rounds)
    return [
        f"time tick: {tick.rate:,.0f} users/s of {tick.users:,}, each paid once a tick, with two boosts; "
        f"{tick.ratio:.2f} of one INSERT ... SELECT of the awards",
        f"its chunks: p50 {p50_ms:.0f} ms, p99 {tick.chunk_p99_ms:.0f} ms, longest {longest_ms:.0f} ms; "
        f"the worker held at most {tick.peak_mb:.0f} MB",
    ]


def write_json(results: Results, file: Path) -> None:
    """Keep the figures, with what they were measured on."""
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    ratios = {str(count): results.ratio(count) for count in CLIENT_COUNTS}
    ratios["tick"] = results.tick.ratio
    whole = {"machine": machine, **asdict(results), "ratios": ratios, "missed": missed_bars(results)}
    file.write_text(json.dumps(whole, indent=2) + "\n")
