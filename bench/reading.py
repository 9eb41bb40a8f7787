"""The part of the reads' bench that runs in a Django process of its own: reads and measures.

Started by `bench.reads` as `manage.py shell -c "from bench.reading import run; run(...)"`; its last line is JSON.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any, Final

import msgspec
from django.core.cache import cache
from django.db import connection
from django.test import Client

from analytics.services import fold_deltas, recount
from bench.data_fill import HEAVY_USER
from bench.errors import BenchError
from bench.figures import percentile
from bench.game import METRIC_KEY, external_id
from bench.reads import COUNTED_MS_MAX, HISTORY_MS_MAX, SCAN_MS_MAX, USER_MS_MAX, Read, ReadsRun

DELTAS: Final = 50_000
ROUNDS: Final = 3
STREAK_IDS: Final = 100
HIGH: Final = 500
"""The points of a level, to compare what is counted with the balances."""

# As events of this moment would have them waiting, but up and down, so that all in all they change nothing.
_MOVE: Final = """
INSERT INTO core_delta (kind, subject, before, after, users)
SELECT 'balance', b.system_id, CASE way WHEN 1 THEN total ELSE total + 77 END,
       CASE way WHEN 1 THEN total + 77 ELSE total END, 1
FROM (
    SELECT system_id, total FROM points_pointsbalance
    WHERE system_id = (SELECT id FROM points_pointssystem WHERE key = 'xp') LIMIT %(count)s / 2
) AS b CROSS JOIN generate_series(1, 2) AS way
"""
_SUMS: Final = """
SELECT (SELECT count(*) FROM users_enduser), count(*) FILTER (WHERE total >= %(high)s),
       (SELECT count(*) FROM points_pointsaward), (SELECT count(*) FROM metrics_event)
FROM points_pointsbalance WHERE system_id = (SELECT id FROM points_pointssystem WHERE key = 'xp')
"""
_OF_HEAVY: Final = """
SELECT total FROM points_pointsbalance b JOIN users_enduser u ON u.id = b.user_id
JOIN points_pointssystem s ON s.id = b.system_id WHERE (u.external_id, s.key) = (%(user)s, 'xp')
"""


def run(api_key: str, users: int) -> None:
    """Read, and print the figures as JSON. The database is afterwards as it was before."""
    fold_deltas()  # what a bench that was stopped left behind
    recount_s, today = _seconds(recount), datetime.now(UTC).date()
    backend = _Backend(api_key, users)
    reads = _measure([*_of_users(backend), *_of_rules(backend), *_filtered(backend), *_histories(backend, today)])
    reads += _measure(_counted(backend))
    deltas = _execute(_MOVE, count=DELTAS)
    reads += _measure(_counted(backend, f", {deltas:,} deltas waiting"))
    folded: list[int] = []
    fold_s = _seconds(lambda: folded.append(fold_deltas()))
    if folded != [deltas]:
        raise BenchError(f"{deltas} deltas waited and {folded} were folded.")
    counts = _check_sums(backend, today)
    print(msgspec.json.encode(ReadsRun(*counts, recount_s, deltas, fold_s, reads)).decode())


class _Backend:
    """A product's backend, over Django's test client."""

    def __init__(self, key: str, users: int) -> None:
        self.client = Client(headers={"X-API-KEY": key})
        self.users = users

    def anybody(self) -> str:
        """Return one of the users, but not the one with the most events."""
        return external_id(random.randint(min(2, self.users), self.users))

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


def _of_users(backend: _Backend) -> list[_Question]:
    """Return every read of a user's own, each time of another one."""
    paths = {
        "a user": "",
        "a user's metrics": "/metrics",
        "a user's metric": f"/metrics/{METRIC_KEY}",
        "a user's points": "/points/xp",
        "a user's boosts": "/points/xp/boosts",
        "a user's streak": "/streak",
        "a user's achievements": "/achievements",
    }
    several = _Question(f"streaks of {STREAK_IDS} users", 70, COUNTED_MS_MAX, lambda: backend.get(_streaks(backend)))
    return [*(_question(backend, name, end) for name, end in paths.items()), several]


def _question(backend: _Backend, name: str, end: str) -> _Question:
    return _Question(name, 70, USER_MS_MAX, lambda: backend.get(f"/v1/users/{backend.anybody()}{end}"))


def _streaks(backend: _Backend) -> str:
    return "/v1/streaks?" + "&".join(f"userIds={backend.anybody()}" for _ in range(STREAK_IDS))


def _of_rules(backend: _Backend) -> list[_Question]:
    """Return every read of what is the same for all."""
    paths = {
        "achievements, with their rarity": "/v1/achievements",
        "a points system": "/v1/points/xp",
        "its levels": "/v1/points/xp/levels",
        "its boosts": "/v1/points/xp/boosts",
    }
    return [_Question(name, 70, COUNTED_MS_MAX, partial(backend.get, path)) for name, path in paths.items()]


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
    """Return reads of the newest 90 days of anybody, and of the newest and oldest of the most active user."""
    questions = []
    for of in ("points/xp", f"metrics/{METRIC_KEY}"):
        newest = _history(of, today)
        name = f"{of.split('/')[0]} by day, 90 days of a user"
        questions.append(_question(backend, name, newest))
        for age, last in (("newest", today), ("oldest", today - timedelta(days=275))):
            path = f"/v1/users/{HEAVY_USER}{_history(of, last)}"
            name = f"{of.split('/')[0]} by day, the {age} 90 of the most active"
            questions.append(_Question(name, 70, HISTORY_MS_MAX, partial(backend.get, path)))
    return questions


def _history(of: str, last: date) -> str:
    first = last - timedelta(days=89)
    return f"/{of}/event-summary?aggregation=daily&startDate={first}&endDate={last}"


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
    p50, p99 = (percentile(latencies_ms, percent) for percent in (50, 99))
    return Read(question.name, len(latencies_ms), p50, p99, median(sql_ms), question.p50_ms_max)


def _check_sums(backend: _Backend, today: date) -> tuple[int, int, int]:
    """Return how many users, awards and events there are. Raises BenchError unless the answers add up to them."""
    users, high, awards, events = _row(_SUMS, high=HIGH)
    ranges, levels = backend.get("/v1/points/xp/summary"), backend.get("/v1/points/xp/level-summary")
    told = sum(each["users"] for each in ranges), sum(e["users"] for e in levels if e["level"]["points"] >= HIGH)
    if told != (users, high):
        raise BenchError(f"Of {users} users {high} have {HIGH} points or more; the answers say {told}.")
    days = backend.get(
        f"/v1/users/{HEAVY_USER}/points/xp/event-summary?aggregation=daily&startDate={today - timedelta(days=400)}"
        f"&endDate={today}"
    )
    if sum(each["change"] for each in days) != _row(_OF_HEAVY, user=HEAVY_USER)[0]:
        raise BenchError("The days of the most active user do not add up to the balance.")
    return int(users), int(awards), int(events)


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def _execute(statement: str, **parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def _row(statement: str, **parameters: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[Any, ...] = cursor.fetchone()
    return row
