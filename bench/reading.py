"""The part of the reads' bench that runs in a Django process of its own: reads and measures.

Started by `bench.reads` as `manage.py shell -c "from bench.reading import run; run(...)"`; its last line is JSON.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from statistics import median
from typing import Any, Final

import msgspec
from django.core.cache import cache
from django.db import connection
from django.test import Client

from access.services import create_api_key
from analytics.services import fold_deltas, recount
from bench.errors import BenchError
from bench.reads import COUNTED_MS_MAX, HISTORY_MS_MAX, SCAN_MS_MAX, Read, ReadsRun
from bench.reads_fill import AWARDS_OF_ONE

DELTAS_MAX: Final = 50_000
ROUNDS: Final = 3

# Awards of this moment: balances move and say so, as the pipeline has them do it.
_MOVE: Final = """
WITH moved AS (
    UPDATE points_pointsbalance b SET total = b.total + 77
    FROM (SELECT user_id, total FROM points_pointsbalance LIMIT %(count)s) AS old WHERE old.user_id = b.user_id
    RETURNING b.system_id, old.total AS before, b.total AS after
)
INSERT INTO core_delta (kind, subject, before, after, users) SELECT 'balance', system_id, before, after, 1 FROM moved
"""
_SUMS: Final = """
SELECT (SELECT count(*) FROM users_enduser), count(*) FILTER (WHERE total >= 512),
       (SELECT count(*) FROM points_pointsaward)
FROM points_pointsbalance
"""


def run() -> None:
    """Read, and print the figures as JSON. The database is as before then, but for points that moved."""
    fold_deltas()  # what a bench that was stopped left behind
    recount_s, today = _seconds(recount), _last_day()
    backend = _Backend(create_api_key(name="bench")[1])
    reads = _measure([*_counted(backend), *_filtered(backend), *_histories(backend, today)])
    deltas = _execute(_MOVE, count=DELTAS_MAX)
    reads += _measure(_counted(backend, f", {deltas:,} deltas waiting"))
    folded: list[int] = []
    fold_s = _seconds(lambda: folded.append(fold_deltas()))
    if folded != [deltas]:
        raise BenchError(f"{deltas} deltas waited and {folded} were folded.")
    users, awards = _check_sums(backend, today)
    print(msgspec.json.encode(ReadsRun(users, awards, recount_s, deltas, fold_s, reads)).decode())


def _last_day() -> date:
    """Return the day on which the database was filled."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(day) FROM points_pointsday")
        day: date = cursor.fetchone()[0]
    return day


class _Backend:
    """A product's backend, over Django's test client."""

    def __init__(self, key: str) -> None:
        self.client = Client(headers={"X-API-KEY": key})

    def get(self, path: str) -> Any:
        """Return the answer to a GET. Raises BenchError unless it is a 200."""
        answer = self.client.get(path)
        if answer.status_code != 200:
            raise BenchError(f"GET {path} was answered {answer.status_code}: {answer.content!r}")
        return answer.json()


@dataclass(frozen=True, slots=True)
class _Question:
    """Something to read `calls` times a round."""

    name: str
    calls: int
    p50_ms_max: int
    ask: Callable[[], object]


def _counted(backend: _Backend, when: str = "") -> list[_Question]:
    summary = _Question("summary" + when, 70, COUNTED_MS_MAX, lambda: backend.get("/v1/points/xp/summary"))
    levels = _Question("level summary" + when, 70, COUNTED_MS_MAX, lambda: backend.get("/v1/points/xp/level-summary"))
    return [summary, levels]


def _filtered(backend: _Backend) -> list[_Question]:
    path = "/v1/points/xp/summary?userAttributes=plan:pro"

    def anew() -> None:
        cache.clear()
        backend.get(path)

    return [
        _Question("summary of half the users", 7, SCAN_MS_MAX, anew),
        _Question("summary of half the users, kept", 70, COUNTED_MS_MAX, lambda: backend.get(path)),
    ]


def _histories(backend: _Backend, today: date) -> list[_Question]:
    """Return reads of the first and of the last 90 days of the user with the most awards."""
    questions = []
    for of in ("points/xp", "metrics/lessons"):
        for age, start in (("newest", today - timedelta(days=89)), ("oldest", today - timedelta(days=399))):
            span = f"aggregation=daily&startDate={start}&endDate={start + timedelta(days=89)}"
            path = f"/v1/users/user-100/{of}/event-summary?{span}"
            name = f"{of.split('/')[0]}, the {age} 90 days of {AWARDS_OF_ONE:,} awards"
            questions.append(_Question(name, 70, HISTORY_MS_MAX, partial(backend.get, path)))
    return questions


def _measure(questions: Sequence[_Question]) -> list[Read]:
    """Ask all in turns, so that what else the machine does meets each of them alike."""
    latencies_ms: list[list[float]] = [[] for _ in questions]
    sql_ms: list[list[float]] = [[] for _ in questions]
    for _ in range(ROUNDS):
        for question, its_latencies_ms, its_sql_ms in zip(questions, latencies_ms, sql_ms, strict=True):
            _ask(question, its_latencies_ms, its_sql_ms)
    return [
        _read(question, sorted(its_latencies_ms), its_sql_ms)
        for question, its_latencies_ms, its_sql_ms in zip(questions, latencies_ms, sql_ms, strict=True)
    ]


def _ask(question: _Question, latencies_ms: list[float], sql_ms: list[float]) -> None:
    """Ask once without looking, then `calls` times; add what each took."""

    def timed(execute: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            sql_ms[-1] += (time.perf_counter() - start) * 1000

    question.ask()
    with connection.execute_wrapper(timed):
        for _ in range(question.calls):
            sql_ms.append(0.0)
            latencies_ms.append(_seconds(question.ask) * 1000)


def _read(question: _Question, latencies_ms: list[float], sql_ms: list[float]) -> Read:
    calls = len(latencies_ms)
    p50, p99 = (latencies_ms[(calls - 1) * percent // 100] for percent in (50, 99))
    return Read(question.name, calls, p50, p99, median(sql_ms), question.p50_ms_max)


def _check_sums(backend: _Backend, today: date) -> tuple[int, int]:
    """Return how many users and awards there are. Raises BenchError unless the answers are what the rows add up to."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS)
        users, high, awards = cursor.fetchone()
    ranges, levels = backend.get("/v1/points/xp/summary"), backend.get("/v1/points/xp/level-summary")
    told = sum(each["users"] for each in ranges), sum(e["users"] for e in levels if e["level"]["points"] >= 512)
    if told != (users, high):
        raise BenchError(f"Of {users} users {high} have 512 points or more; the answers say {told}.")
    days = backend.get(
        f"/v1/users/user-100/points/xp/event-summary?aggregation=daily&startDate={today - timedelta(days=400)}"
        f"&endDate={today}"
    )
    if sum(each["change"] for each in days) < AWARDS_OF_ONE:
        raise BenchError("The days of the user with the most awards do not add up.")
    return int(users), int(awards)


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def _execute(statement: str, **parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
