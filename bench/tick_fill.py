"""Filling the database of the tick's bench: users with a past of one award, and a time trigger with two boosts.

Started by `bench.tick` as `manage.py shell -c "from bench.tick_fill import fill; fill(...)"`.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from boosts.models import Boost
from boosts.services import create_boost
from core.services import create_checked
from levels.models import Level
from points.models import PointsSystem, PointsTrigger
from points.services import create_trigger
from users.models import Attribute
from webhooks.models import Endpoint

START: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
LEVELS: Final = 20

# Users of many zones, half of them with a second boost, each with a past of one award.
_FILL: Final = """
INSERT INTO users_enduser (id, external_id, name, email, tz, attributes, subscribe_to_emails, control, created, updated)
SELECT (lpad(to_hex(1750000000000 + n), 12, '0') || '7' || substr(md5('user' || n), 1, 3)
        || '8' || substr(md5('user' || n), 4, 15))::uuid,
       'user-' || n, 'User ' || n, 'user-' || n || '@example.com',
       (ARRAY['Europe/London', 'America/New_York', 'Asia/Tokyo', 'Pacific/Kiritimati', NULL])[1 + n %% 5],
       jsonb_build_object('plan', CASE WHEN n %% 2 = 0 THEN 'pro' ELSE 'free' END), true, false,
       %(created)s, %(created)s
FROM generate_series(1, %(users)s) AS n;
"""
_FILL_LEDGER: Final = """
INSERT INTO points_pointsaward (id, user_id, system_id, seq, trigger_id, cause, awarded, total, boosts, created)
SELECT gen_random_uuid(), u.id, %(system)s, 1, %(trigger)s, 'user_creation', 1 + (hashtext(external_id) & 8191),
       1 + (hashtext(external_id) & 8191), '[]', %(created)s
FROM users_enduser u
"""
_FILL_BALANCES: Final = """
INSERT INTO points_pointsbalance (user_id, system_id, total, seq)
SELECT user_id, system_id, total, seq FROM points_pointsaward
"""
_FILL_DAYS: Final = """
INSERT INTO points_pointsday (user_id, system_id, day, change)
SELECT user_id, system_id, created::date, awarded FROM points_pointsaward
"""
_FILL_DELTAS: Final = """
INSERT INTO core_delta (kind, subject, after, users)
SELECT 'user', NULL, NULL, count(*) FROM users_enduser
UNION ALL
SELECT 'balance', system_id, total, count(*) FROM points_pointsbalance GROUP BY system_id, total
"""


def fill(users: int) -> None:
    """Set the game up, and fill in its users and what they have."""
    system = _set_up()
    welcome = create_trigger(system=system, type="user_creation", points=1)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FILL, {"users": users, "created": START})
        cursor.execute(_FILL_LEDGER, {"system": system.id, "trigger": welcome.id, "created": START})
        for statement in (_FILL_BALANCES, _FILL_DAYS, _FILL_DELTAS):
            cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def _set_up() -> PointsSystem:
    plan = create_checked(Attribute, name="Plan", key="plan", type="user")
    system = create_checked(PointsSystem, name="XP", key="xp", max_points=1_000_000_000)
    for number in range(LEVELS):
        points = 0 if number == 0 else 2**number
        create_checked(Level, system=system, name=f"Level {number}", key=f"level-{number}", points=points)
    create_checked(Endpoint, url="https://example.com/hook", types=["points.level_changed"])
    create_trigger(system=system, type="time", status="active", points=7, time_unit="hour", time_interval=1)
    boost: dict[str, Any] = {"system": system, "start": date(2026, 1, 1), "status": "active"}
    create_boost(name="For all", multiplier=Decimal("1.5"), rounding="nearest", **boost)
    create_boost(name="For pros", multiplier=Decimal("2.25"), rounding="down", user_filters=[(plan, "pro")], **boost)
    PointsTrigger.objects.update(time_started=START)
    Boost.objects.update(activated=START)
    return system
