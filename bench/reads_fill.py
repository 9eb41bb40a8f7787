"""Filling the database of the reads' bench: ten awards for nearly everyone, and very many for one.

Started by `bench.reads` as `manage.py shell -c "from bench.reads_fill import fill; fill(...)"`.
"""

from datetime import UTC, date, datetime
from typing import Final

from django.db import connection

from analytics.services import recount
from core.services import create_checked
from levels.models import Level
from metrics.models import Metric
from points.models import PointsSystem
from users.models import Attribute

AWARDS_OF_EACH: Final = 10
AWARDS_OF_ONE: Final = 50_000
LEVELS: Final = 20

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


def fill(users: int) -> None:
    """Set the game up, fill in its users and what they have until today, and count it all."""
    system, metric = _set_up()
    _fill(users, system, metric, datetime.now(UTC).date())
    recount()


def _set_up() -> tuple[PointsSystem, Metric]:
    create_checked(Attribute, name="Plan", key="plan", type="user")
    system = create_checked(PointsSystem, name="XP", key="xp")
    for number in range(LEVELS):
        points = 0 if number == 0 else 2**number
        create_checked(Level, system=system, name=f"Level {number}", key=f"level-{number}", points=points)
    return system, create_checked(Metric, name="Lessons", key="lessons")


def _fill(users: int, system: PointsSystem, metric: Metric, today: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TRUST)
        cursor.execute(_FILL_USERS, {"users": users})
        cursor.execute(_FILL_AWARDS, {"users": users, "each": AWARDS_OF_EACH, "system": system.id, "today": today})
        cursor.execute(_FILL_AWARDS_OF_ONE, {"system": system.id, "count": AWARDS_OF_ONE, "today": today})
        cursor.execute(_FILL_BALANCES)
        cursor.execute(_FILL_DAYS)
        cursor.execute(_FILL_METRIC_DAYS, {"metric": metric.id})
        cursor.execute(_FILL_TOTALS, {"metric": metric.id})
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
