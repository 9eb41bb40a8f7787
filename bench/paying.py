"""The part of the tick's bench that runs in a Django process of its own, as a Celery worker would: pays and measures.

Started by `bench.tick` as `manage.py shell -c "from bench.paying import run; run(...)"`; its last line is JSON.
"""

import resource
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from bench.errors import BenchError
from bench.tick import TickRound, TickRun
from bench.tick_fill import START
from engine.tick import pay_due_ticks

HOUR: Final = timedelta(hours=1)

# A ledger and balances with all that the real ones have; what was paid lies ready for them.
_RAW_TABLES: Final = """
CREATE TABLE raw_award (LIKE points_pointsaward INCLUDING ALL);
CREATE UNLOGGED TABLE raw_source (LIKE points_pointsaward);
CREATE TABLE raw_balance (LIKE points_pointsbalance INCLUDING ALL);
INSERT INTO raw_balance SELECT * FROM points_pointsbalance;
"""
_RAW_CLEAR: Final = "TRUNCATE raw_award, raw_source"
_RAW_READY: Final = "INSERT INTO raw_source SELECT * FROM points_pointsaward WHERE created >= %s ORDER BY id"
_RAW_INSERT: Final = "INSERT INTO raw_award SELECT * FROM raw_source"
_RAW_UPDATE: Final = """
UPDATE raw_balance b SET total = s.total, seq = s.seq
FROM raw_source s WHERE (s.user_id, s.system_id) = (b.user_id, b.system_id)
"""


def run(users: int, rounds: int) -> None:
    """Pay a tick and store the same raw in turns; print the figures as JSON."""
    for statement in _RAW_TABLES.strip().split("\n"):
        _execute(statement)
    measured = [_run_round(users, number) for number in range(1, rounds + 1)]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(msgspec.json.encode(TickRun(users, measured, peak_mb)).decode())


def _run_round(users: int, number: int) -> TickRound:
    """Pay one tick, then store the same in two statements. Raises BenchError unless every user got one."""
    began, moments = timezone.now(), list[float]()

    def clock() -> datetime:
        moments.append(time.perf_counter())
        return timezone.now()

    tick_s = _seconds(lambda: pay_due_ticks(START + number * HOUR, clock=clock))
    _execute(_RAW_CLEAR)
    stored = _execute(_RAW_READY, began)
    if stored != users:
        raise BenchError(f"A tick of {users} users left {stored} awards.")
    _settle()
    raw_s = _seconds(_store_raw)
    _settle()
    chunks_ms = sorted((after - before) * 1000 for before, after in pairwise(moments)) or [tick_s * 1000]
    return TickRound(
        tick_s=tick_s,
        raw_s=raw_s,
        chunks=len(moments),
        chunk_p50_ms=chunks_ms[len(chunks_ms) // 2],
        chunk_p99_ms=chunks_ms[len(chunks_ms) * 99 // 100],
        chunk_longest_ms=chunks_ms[-1],
    )


@transaction.atomic
def _store_raw() -> None:
    """Store what the tick paid: in one transaction, and without looking at anybody."""
    _execute(_RAW_INSERT)
    _execute(_RAW_UPDATE)


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


@transaction.atomic
def _execute(statement: str, *arguments: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments or None)  # type: ignore[arg-type] # all are of SQL's plain types
        return int(cursor.rowcount)


def _settle() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
