"""The part of the reads' bench that runs in a Django process of its own: fills, reads and measures.

Started by `bench.reads` as `manage.py shell -c "from bench.reading import run; run(...)"`; its last line is JSON.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final

import msgspec
from django.core.cache import cache
from django.db import connection
from django.test import Client

from access.services import create_api_key
from analytics.services import fold_deltas, recount
from bench.errors import BenchError
from bench.reads import KEPT_P99_MS_MAX, SCAN_P99_MS_MAX, Read, ReadsRun
from core.services import create_checked
from levels.models import Level
from metrics.models import Metric
from points.models import PointsSystem
from users.models import Attribute

AWARDS_OF_EACH: Final = 10
AWARDS_OF_ONE: Final = 50_000
DELTAS: Final = 50_000
LEVELS: Final = 20
TODAY: Final = datetime.now(UTC).date()

# Ids in the order of time, as the engine makes them, so that the indexes are as compact.
_ID: Final = """
(lpad(to_hex(1750000000000 + {number}), 12, '0') || '7' || substr(md5('{kind}' || {number}), 1, 3)
 || '8' || substr(md5('{kind}' || {number}), 4, 15))::uuid
"""

# Who is checked against whom is known to be right, and checking it would take as long as all the rest.
_TRUST: Final = "SET session_replication_role = replica"

# Every hundredth has no award; each award of one user is as large as the others, two a day.
_FILL_USERS: Final = f"""
INSERT INTO users_enduser (id, external_id, name, email, attributes, subscribe_to_emails, control, created, updated)
SELECT {_ID.format(kind="user", number="n")}, 'user-' || n, 'User ' || n, 'user-' || n || '@example.com',
       jsonb_build_object('plan', CASE WHEN n %% 2 = 0 THEN 'pro' ELSE 'free' END), true, false, now(), now()
FROM generate_series(1, %(users)s) AS n
"""
_FILL_AWARDS: Final = f"""
INSERT INTO points_pointsaward (id, user_id, system_id, seq, cause, awarded, total, boosts, created)
SELECT {_ID.format(kind="award", number="((n - 1) * %(each)s + seq)")}, {_ID.format(kind="user", number="n")},
       %(system)s, seq, 'metric', amount, amount * seq, '[]', %(today)s::date - ((seq + 1) / 2)::int
FROM generate_series(1::bigint, %(users)s) AS n, LATERAL (SELECT 1 + (hashtext(n::text) & 8191)) AS a(amount),
     generate_series(1::bigint, %(each)s) AS seq
WHERE n %% 100 <> 0
"""
_FILL_AWARDS_OF_ONE: Final = """
INSERT INTO points_pointsaward (id, user_id, system_id, seq, cause, awarded, total, boosts, created)
SELECT gen_random_uuid(), u.id, %(system)s, seq, 'metric', 1, seq, '[]',
       %(today)s::date - (400 - 400 * (seq - 1) / %(count)s)::int
FROM users_enduser u, generate_series(1::bigint, %(count)s) AS seq WHERE u.external_id = 'user-100'
"""
_FILL_BALANCES: Final = """
INSERT INTO points_pointsbalance (user_id, system_id, total, seq)
SELECT user_id, system_id, max(total), max(seq) FROM points_pointsaward GROUP BY user_id, system_id
"""
_FILL_DAYS: Final = """
INSERT INTO points_pointsday (user_id, system_id, day, change)
SELECT user_id, system_id, (created AT TIME ZONE 'UTC')::date, sum(awarded) FROM points_pointsaward GROUP BY 1, 2, 3
"""
_FILL_METRIC_DAYS: Final = """
INSERT INTO metrics_metricday (user_id, metric_id, day, change)
SELECT user_id, %(metric)s, day, change FROM points_pointsday
"""
_FILL_TOTALS: Final = """
INSERT INTO metrics_metrictotal (user_id, metric_id, filter, total, peak, at)
SELECT user_id, %(metric)s, '', total, total, now() FROM points_pointsbalance
"""
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


def run(users: int) -> None:
    """Fill the database, read, and print the figures as JSON."""
    system, metric = _set_up()
    fill_s = _seconds(lambda: _fill(users, system, metric))
    recount_s = _seconds(recount)
    backend = _Backend(create_api_key(name="bench")[1])
    reads = [*_counted(backend, ""), *_filtered(backend), *_histories(backend)]
    _execute(_MOVE, count=DELTAS)
    reads += _counted(backend, f", {DELTAS:,} deltas waiting")
    folded: list[int] = []
    fold_s = _seconds(lambda: folded.append(fold_deltas()))
    if folded != [DELTAS]:
        raise BenchError(f"{DELTAS} deltas waited and {folded} were folded.")
    awards = _check_sums(backend)
    print(msgspec.json.encode(ReadsRun(users, awards, fill_s, recount_s, DELTAS, fold_s, reads)).decode())


def _set_up() -> tuple[PointsSystem, Metric]:
    create_checked(Attribute, name="Plan", key="plan", type="user")
    system = create_checked(PointsSystem, name="XP", key="xp")
    for number in range(LEVELS):
        points = 0 if number == 0 else 2**number
        create_checked(Level, system=system, name=f"Level {number}", key=f"level-{number}", points=points)
    return system, create_checked(Metric, name="Lessons", key="lessons")


def _fill(users: int, system: PointsSystem, metric: Metric) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TRUST)
        cursor.execute(_FILL_USERS, {"users": users})
        cursor.execute(_FILL_AWARDS, {"users": users, "each": AWARDS_OF_EACH, "system": system.id, "today": TODAY})
        cursor.execute(_FILL_AWARDS_OF_ONE, {"system": system.id, "count": AWARDS_OF_ONE, "today": TODAY})
        cursor.execute(_FILL_BALANCES)
        cursor.execute(_FILL_DAYS)
        cursor.execute(_FILL_METRIC_DAYS, {"metric": metric.id})
        cursor.execute(_FILL_TOTALS, {"metric": metric.id})
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


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


def _counted(backend: _Backend, when: str) -> list[Read]:
    paths = {"summary": "/v1/points/xp/summary", "level summary": "/v1/points/xp/level-summary"}
    return [
        _measure(name + when, 200, KEPT_P99_MS_MAX, lambda path=path: backend.get(path))  # type: ignore[misc]
        for name, path in paths.items()
    ]


def _filtered(backend: _Backend) -> list[Read]:
    path = "/v1/points/xp/summary?userAttributes=plan:pro"

    def anew() -> None:
        cache.clear()
        backend.get(path)

    return [
        _measure("summary of half the users", 20, SCAN_P99_MS_MAX, anew),
        _measure("summary of half the users, kept", 200, KEPT_P99_MS_MAX, lambda: backend.get(path)),
    ]


def _histories(backend: _Backend) -> list[Read]:
    """Read the last 90 days of the user with the most awards."""
    reads = []
    for of in ("points/xp", "metrics/lessons"):
        for start in (TODAY - timedelta(days=89), TODAY - timedelta(days=399)):
            span = f"aggregation=daily&startDate={start}&endDate={start + timedelta(days=89)}"
            path = f"/v1/users/user-100/{of}/event-summary?{span}"
            age = "the newest" if start > TODAY - timedelta(days=90) else "the oldest"
            name = f"{of.split('/')[0]}, {age} 90 days of {AWARDS_OF_ONE:,} awards"
            reads.append(_measure(name, 200, KEPT_P99_MS_MAX, lambda path=path: backend.get(path)))  # type: ignore[misc]
    return reads


def _measure(name: str, calls: int, p99_ms_max: int, do: Callable[[], object]) -> Read:
    sql_ms: list[float] = []

    def timed(execute: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            sql_ms[-1] += (time.perf_counter() - start) * 1000

    def once() -> float:
        sql_ms.append(0.0)
        return _seconds(do) * 1000

    do()
    with connection.execute_wrapper(timed):
        latencies_ms = sorted(once() for _ in range(calls))
    p50, p99 = (latencies_ms[(calls - 1) * percent // 100] for percent in (50, 99))
    return Read(name, calls, p50, p99, median(sql_ms), p99_ms_max)


def _check_sums(backend: _Backend) -> int:
    """Return how many awards there are. Raises BenchError unless the answers are what the rows add up to."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS)
        users, high, awards = cursor.fetchone()
    ranges, levels = backend.get("/v1/points/xp/summary"), backend.get("/v1/points/xp/level-summary")
    told = sum(each["users"] for each in ranges), sum(e["users"] for e in levels if e["level"]["points"] >= 512)
    if told != (users, high):
        raise BenchError(f"Of {users} users {high} have 512 points or more; the answers say {told}.")
    days = backend.get(
        f"/v1/users/user-100/points/xp/event-summary?aggregation=daily&startDate={TODAY - timedelta(days=400)}"
        f"&endDate={TODAY}"
    )
    if sum(each["change"] for each in days) < AWARDS_OF_ONE:
        raise BenchError("The days of the user with the most awards do not add up.")
    return int(awards)


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def _execute(statement: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
