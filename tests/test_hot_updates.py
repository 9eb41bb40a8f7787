"""Rows that every event updates are updated in place: no index has a column that changes (PostgreSQL's HOT updates)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest
from django.db import connection

from engine.inputs import EventInput
from engine.pipeline import process
from streaks.models import StreakMetric, StreakSettings
from tests.conftest import Game
from users.rules import UserChanges

pytestmark = pytest.mark.django_db

NOON: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENTS: Final = 20
TABLES: Final = (
    "metrics_metrictotal",
    "points_pointsbalance",
    "metrics_metricday",
    "points_pointsday",
    "streaks_streak",
)


def updates_of(tables: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return how many updates each table has had in this transaction, and how many of them were HOT."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = ANY(%s)",
            [list(tables)],
        )
        return {table: (updates, hot) for table, updates, hot in cursor.fetchall()}


def test_events_of_one_day_update_totals_balances_days_and_streaks_without_touching_an_index(game: Game) -> None:
    game.trigger(points=10, every=1, event_filters=[(game.category, "listening")])
    settings = StreakSettings.objects.create()
    StreakMetric.objects.create(settings=settings, metric=game.lessons, threshold=Decimal(5))
    before = updates_of(TABLES)
    for number in range(EVENTS):
        at = NOON + timedelta(minutes=number)
        process([EventInput(UserChanges("alice"), "lessons", Decimal(1), {"category": "listening"}, at=at)])
    after = updates_of(TABLES)
    for table in TABLES:
        updates, hot = (now - then for now, then in zip(after[table], before.get(table, (0, 0)), strict=True))
        assert updates >= EVENTS - 1, table
        # A streak's index has the day that counted last, which changes once a day: here with the fifth event.
        assert updates - hot <= (1 if table == "streaks_streak" else 0), table
