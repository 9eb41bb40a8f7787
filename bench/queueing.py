"""Batch events at a steady pace: how long the oldest of them waits, with web and worker side by side."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg

from bench.databases import QUEUE_DATABASE, Server, count_rows, create_anew, settle
from bench.errors import BenchError
from bench.figures import Bar, Ratio
from bench.game import CATEGORIES, METRIC_KEY, external_id, fill, set_up_game
from bench.web import call, django_environment, manage, running, serve

USERS: Final = 10_000
RATE: Final = 2_000
"""Events a second."""
BATCH: Final = 1_000
SECONDS: Final = 15
DRAINED_S_MAX: Final = 60
SAMPLE_S: Final = 0.1
LAG_S_MAX: Final = 2.0

_OLDEST_S: Final = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(accepted)), 0)::float8
FROM engine_queuedevent WHERE status = 'waiting'
"""


@dataclass(frozen=True, slots=True)
class QueueRun:
    """`lag` is the age of the oldest event that waits; `drained_s` how long after the last batch all were processed."""

    events: int
    rate: float
    lag_p50_s: float
    lag_longest_s: float
    drained_s: float

    def ratios(self) -> list[Ratio]:
        """Return nothing: nothing else takes turns with it."""
        return []

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        return [
            Bar(
                f"the longest wait of a batch event at {RATE:,} a second",
                self.lag_longest_s,
                LAG_S_MAX,
                " s",
                is_most=True,
            )
        ]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        return [
            f"batch events at {self.rate:,.0f}/s, {self.events:,} in all, each stored once: the oldest that waited was "
            f"{self.lag_p50_s:.2f} s old at p50, {self.lag_longest_s:.2f} s at most"
        ]


def measure_queue(server: Server, folder: Path) -> QueueRun:
    """Send batches at RATE for SECONDS. Raises BenchError unless each event that was accepted is stored once."""
    url = create_anew(server, QUEUE_DATABASE)
    environment = django_environment(url, folder)
    manage(environment, "migrate", "--verbosity", "0")
    api_key = manage(environment, "create_api_key", "bench", "--admin").split()[-1]
    with (
        serve(environment, folder / "queue-web.log") as web,
        running(environment, "work_queue", folder / "queue-worker.log"),
    ):
        set_up_game(web.port, api_key)
        fill(url, USERS)
        settle(url)
        before = count_rows(url, "metrics_event")
        run = _send_and_watch(url, web.port, api_key)
        stored = count_rows(url, "metrics_event") - before
        if stored != run.events:
            raise BenchError(f"{run.events} events were accepted in batches, but {stored} are stored.")
        manage(environment, "verify")
    return run


def _send_and_watch(url: str, port: int, api_key: str) -> QueueRun:
    lags, sent, started = list[float](), 0, time.monotonic()
    batches = _batches()
    with psycopg.connect(url, autocommit=True) as watch:
        while (now := time.monotonic()) < started + SECONDS:
            if sent <= RATE * (now - started):
                call(port, "POST", "/admin-api/v1/metrics/events", api_key, next(batches))
                sent += BATCH
            lags.append(_oldest_s(watch))
            time.sleep(SAMPLE_S)
        ended = time.monotonic()
        while lags[-1] and time.monotonic() < ended + DRAINED_S_MAX:
            lags.append(_oldest_s(watch))
    drained_s = time.monotonic() - ended
    return QueueRun(sent, sent / (ended - started), median(lags), max(lags), drained_s)


def _oldest_s(watch: psycopg.Connection[Any]) -> float:
    row = watch.execute(_OLDEST_S).fetchone()
    return float(row[0]) if row else 0.0


def _batches() -> Iterator[list[dict[str, Any]]]:
    numbers, serial = cycle(range(1, USERS + 1)), 0
    while True:
        serial += 1
        yield [
            {
                "key": METRIC_KEY,
                "user": {"id": external_id(number)},
                "value": 1,
                "attributes": {"category": CATEGORIES[number % 2]},
                "idempotencyKey": f"{serial}-{number}",
            }
            for number in islice(numbers, BATCH)
        ]
