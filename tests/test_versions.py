"""Versions of configuration: they grow with each change that the history tells of, and say what changed since."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from boosts.models import Boost
from boosts.services import activate_boosts, create_boost
from core.history import acting
from core.services import archive, update_checked
from core.versions import changes_since, in_sentences, version_of, versions_of, with_versions
from engine.clock import mark_boosts
from points.models import PointsTrigger
from points.services import update_trigger
from streaks.models import StreakSettings
from tests.conftest import Game


def test_a_version_grows_with_each_change_of_the_row_and_of_its_parts(game: Game) -> None:
    trigger = game.trigger(points=20)
    versions = [version_of(trigger)]
    update_trigger(trigger=trigger, points=30)
    versions.append(version_of(trigger))
    update_trigger(trigger=trigger, user_filters=[(game.plan, "pro")])
    versions.append(version_of(trigger))
    update_trigger(trigger=trigger, user_filters=[])
    versions.append(version_of(trigger))
    archive(row=trigger)
    versions.append(version_of(trigger))
    assert versions == sorted(set(versions))


def test_a_version_stays_where_nothing_was_decided(game: Game) -> None:
    today = timezone.now().astimezone(UTC).date()
    boost = create_boost(system=game.xp, name="Double", multiplier=Decimal(2), start=today - timedelta(days=2))
    activate_boosts(boosts=Boost.objects.all())
    boost_version, xp_version = version_of(boost), version_of(game.xp)
    assert mark_boosts(timezone.now()) == ([str(boost.id)], [])
    update_checked(game.xp, name=game.xp.name)
    game.trigger(points=20)
    assert (version_of(boost), version_of(game.xp)) == (boost_version, xp_version)
    assert changes_since(boost, boost_version).entries == []


def test_a_row_without_any_history_has_the_version_0(game: Game) -> None:
    settings = StreakSettings(id=1)
    settings.save()
    StreakSettings.history.all().delete()
    assert version_of(settings) == 0


def test_the_versions_of_many_rows_are_read_by_one_query_with_the_rows(game: Game) -> None:
    triggers = [game.trigger(points=each, user_filters=[(game.plan, "pro")]) for each in (1, 2, 3)]
    expected = {trigger.id: version_of(trigger) for trigger in triggers}
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert versions_of(PointsTrigger, list(expected)) == expected
        assert {row.id: row.version for row in with_versions(PointsTrigger.objects.all())} == expected
    assert len(queries) == 2


def test_what_changed_since_a_version_is_told_with_who_when_and_both_values(game: Game) -> None:
    trigger = game.trigger(points=20)
    shown = version_of(trigger)
    with time_machine.travel(datetime(2030, 1, 2, 3, 4, tzinfo=UTC), tick=False):
        with acting("Ana"):
            update_trigger(trigger=trigger, points=30)
        with acting("Ben"):
            update_trigger(trigger=trigger, points=40, user_filters=[(game.plan, "pro")])
    assert in_sentences(changes_since(trigger, shown)) == [
        "2030-01-02 03:04 UTC, Ana, changed: Points: 20 → 30.",
        "2030-01-02 03:04 UTC, Ben, changed: Points: 30 → 40; Filter: none → plan = pro.",
    ]
    assert in_sentences(changes_since(trigger, version_of(trigger))) == []
