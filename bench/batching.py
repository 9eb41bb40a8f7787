"""The part of the batches' bench that runs in a Django process of its own, as a worker of the queue would: processes.

Started by `bench.batch` as `manage.py shell -c "from bench.batching import run; run(...)"`; its last line is JSON.
"""

import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec
import psycopg
from django.db import connection
from django.utils import timezone
from psycopg import sql

from bench.batch import BATCH, BATCHES, BatchRound, BatchRun
from bench.errors import BenchError
from bench.game import CATEGORIES, METRIC_KEY, external_id, plan_of
from engine.inputs import EventInput
from engine.outcomes import Accepted
from engine.pipeline import process
from users.rules import UserChanges

LEDGER: Final = {"metrics_event": "raw_event", "points_pointsaward": "raw_award"}

# Tables with all that the real ones have, and as many rows.
_RAW_TABLES: Final = (
    *(f"CREATE TABLE {raw} (LIKE {real} INCLUDING ALL)" for real, raw in LEDGER.items()),
    *(f"INSERT INTO {raw} SELECT * FROM {real}" for real, raw in LEDGER.items()),
    "VACUUM ANALYZE",
    "CHECKPOINT",
)


def run(users: int, rounds: int) -> None:
    """Process batches and copy their rows in turns; print the figures as JSON."""
    with connection.cursor() as cursor:
        for statement in _RAW_TABLES:
            cursor.execute(statement)
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as raw:
        _run_batch(users, 0, raw)  # The rule book is read, the statements are prepared.
        measured = [_run_round(users, number, raw) for number in range(1, rounds + 1)]
    print(msgspec.json.encode(BatchRun(users, measured)).decode())


def _run_round(users: int, number: int, raw: "psycopg.Connection[object]") -> BatchRound:
    batches = [_run_batch(users, number * BATCHES + each, raw) for each in range(BATCHES)]
    process_s, copy_s, awards = (sum(figures) for figures in zip(*batches, strict=True))
    return BatchRound(BATCHES * BATCH / process_s, BATCHES * BATCH / copy_s, round(awards))


def _run_batch(users: int, serial: int, raw: "psycopg.Connection[object]") -> tuple[float, float, float]:
    """Process one batch, then copy the rows that it left; return the seconds of both and the number of awards."""
    began = timezone.now()
    inputs = _inputs(users, serial)
    outcomes: list[object] = []
    process_s = _seconds(lambda: outcomes.extend(process(inputs).outcomes))
    accepted = sum(isinstance(outcome, Accepted) for outcome in outcomes)
    texts = {}
    for real in LEDGER:
        query = sql.SQL("COPY (SELECT * FROM {} WHERE created >= {}) TO STDOUT")
        with raw.cursor().copy(query.format(sql.Identifier(real), sql.Literal(began))) as copy:
            texts[real] = b"".join(bytes(block) for block in copy)
    events, awards = (text.count(b"\n") for text in texts.values())
    if (accepted, events) != (BATCH, BATCH) or awards == 0:
        raise BenchError(f"Of {BATCH} events {accepted} were accepted, {events} stored, and {awards} awards.")
    return process_s, _seconds(lambda: _copy(raw, texts)), awards


def _copy(raw: "psycopg.Connection[object]", texts: dict[str, bytes]) -> None:
    """Store the rows in one transaction."""
    with raw.transaction(), raw.cursor() as cursor:
        for real, text in texts.items():
            with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(LEDGER[real]))) as copy:
                copy.write(text)


def _inputs(users: int, serial: int) -> list[EventInput]:
    """Return a batch as the queue hands it on: events of different users, accepted at one moment."""
    at = timezone.now()
    return [
        EventInput(
            user=UserChanges(external_id(number), attributes={"plan": plan_of(number)}),
            metric_key=METRIC_KEY,
            value=Decimal(random.randint(1, 20)),
            attributes={"category": random.choice(CATEGORIES)},
            idempotency_key=f"batch-{serial}-{number}",
            at=at,
        )
        for number in random.sample(range(1, users + 1), BATCH)
    ]


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start
