"""The large database of the benches is what the engine would have made of the same events."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from django.db import connection

from bench.data_fill import fill_year
from boosts.models import Boost
from engine.clock import end_expired_streaks
from engine.inputs import EventInput
from engine.pipeline import process
from engine.verify import CHECKS
from users.rules import UserChanges

pytestmark = pytest.mark.django_db

NOW: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
USERS: Final = 120

LEDGER: Final = """
SELECT u.external_id, s.key, a.seq, a.trigger_id, a.cause, a.awarded, a.total, a.boosts, a.created
FROM points_pointsaward a JOIN users_enduser u ON u.id = a.user_id JOIN points_pointssystem s ON s.id = a.system_id
ORDER BY 1, 2, 3
"""
STREAKS: Final = """
SELECT u.external_id, s.length, s.started, s.period, s.extended
FROM streaks_streak s JOIN users_enduser u ON u.id = s.user_id ORDER BY 1
"""
COMPLETIONS: Final = """
SELECT u.external_id, c.achievement_id, c.at FROM achievements_completion c JOIN users_enduser u ON u.id = c.user_id
ORDER BY 1, 2
"""
TOTALS: Final = """
SELECT u.external_id, t.metric_id, t.filter, t.total, t.peak, t.at
FROM metrics_metrictotal t JOIN users_enduser u ON u.id = t.user_id ORDER BY 1, 2, 3
"""
POINTS_DAYS: Final = """
SELECT u.external_id, d.system_id, d.day, d.change
FROM points_pointsday d JOIN users_enduser u ON u.id = d.user_id ORDER BY 1, 2, 3
"""
METRIC_DAYS: Final = """
SELECT u.external_id, d.metric_id, d.day, d.change
FROM metrics_metricday d JOIN users_enduser u ON u.id = d.user_id ORDER BY 1, 2, 3
"""
KEPT: Final = (LEDGER, STREAKS, COMPLETIONS, TOTALS, POINTS_DAYS, METRIC_DAYS)
EVENTS: Final = """
SELECT u.external_id, u.name, u.tz, u.attributes, m.key, e.value, e.attributes, e.idempotency_key, e.at
FROM metrics_event e JOIN users_enduser u ON u.id = e.user_id JOIN metrics_metric m ON m.id = e.metric_id
ORDER BY e.at
"""


def rows_of(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: list[Any] = cursor.fetchall()
    return rows


def test_a_filled_year_passes_every_check_of_verify_and_is_what_the_pipeline_makes_of_its_events() -> None:
    fill_year(USERS, NOW)
    for check in CHECKS:
        assert rows_of(check.sql) == [], check.claim
    filled, events = [rows_of(statement) for statement in KEPT], rows_of(EVENTS)
    assert all(filled), "Every kind of thing has happened to somebody."
    assert any(line[7] != "[]" for line in filled[0]), "So has the boost of the year."
    _forget_the_users()
    inputs = [
        EventInput(
            UserChanges(id_, name=name, attributes=json.loads(of_user), **({"tz": tz} if tz else {})),
            metric,
            value,
            json.loads(attributes),
            idempotency_key=key,
            at=at,
        )
        for id_, name, tz, of_user, metric, value, attributes, key, at in events
    ]
    process(inputs)
    end_expired_streaks(NOW)
    for statement, rows in zip(KEPT, filled, strict=True):
        assert rows_of(statement) == rows


def _forget_the_users() -> None:
    """Remove all that was filled in but the rules, and let the boost multiply again: it is over by now."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE users_enduser CASCADE")
        cursor.execute("TRUNCATE metrics_event, core_delta, analytics_counter")
    Boost.objects.filter(finished__isnull=False).update(finished=None, end_marked=None)
