"""The live rules played over the past pay what the ledger has, whatever was archived, and in whatever order it came."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from achievements.models import Achievement, AchievementStatus
from achievements.services import create_achievement
from core.models import ConfigurationStatus
from core.services import create_checked
from engine.inputs import AdjustInput, CompleteInput, EventInput, IdentifyInput, Input, OpeningInput
from engine.pipeline import process
from metrics.models import Metric
from points.models import PointsAward, PointsSystem
from points.rules import Adjustment
from preview.drafts import live_draft, read_parts
from preview.models import Backtest, BacktestStatus
from preview.services import start_backtest, start_of
from preview.work import work_on_backtests
from streaks.models import StreakMetric, StreakSettings
from tests.conftest import Game
from users.models import Attribute
from users.rules import UserChanges

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
DAYS = 7
HOUR = timedelta(hours=1)
ALICE = UserChanges("alice")
BARE: dict[str, Any] = {"metric": None, "metric_threshold": None}


@pytest.fixture(autouse=True)
def now() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def happen(given: Input, at: datetime) -> None:
    process([given], clock=lambda: at)


def study(
    at: datetime, value: str = "1", metric: str = "lessons", user: UserChanges = ALICE, **attributes: str
) -> None:
    happen(EventInput(user, metric, Decimal(value), attributes), at)


def played(system: PointsSystem) -> Backtest:
    """Run a backtest in which the draft is the live rules."""
    parts = read_parts(system)
    backtest = start_backtest(parts=parts, draft=live_draft(parts), query="", days=DAYS, operator="olivia")
    work_on_backtests()
    backtest.refresh_from_db()
    assert backtest.status == BacktestStatus.DONE, backtest.result
    return backtest


def assert_as_paid(system: PointsSystem) -> None:
    """Hold both rules to what the ledger has of each trigger, '' being adjustments, with nothing refused."""
    result = played(system).result
    paid: Counter[str] = Counter()
    lines = PointsAward.objects.filter(system=system, created__gte=start_of(NOW, DAYS))
    for trigger_id, awarded in lines.values_list("trigger", "awarded"):
        paid[str(trigger_id or "")] += awarded
    assert paid, "there is something to compare with"
    for rules in ("live", "draft"):
        assert {each["trigger_id"]: each[rules] for each in result["triggers"]} == paid
    assert (result["live_refused"], result["draft_refused"]) == (0, 0)


def test_events_with_an_attribute_that_was_archived_since_still_count(game: Game) -> None:
    game.trigger(points=10)
    study(NOW - HOUR, "3", category="verbs")
    Attribute.objects.filter(key="category").update(status=ConfigurationStatus.ARCHIVED)
    assert_as_paid(game.xp)


def test_events_of_a_metric_that_was_archived_since_still_make_streaks(game: Game) -> None:
    game.trigger(points=20, type="streak", streak_length=1, **BARE)
    study(NOW - HOUR, metric="flashcards")
    Metric.objects.filter(key="flashcards").update(status=ConfigurationStatus.ARCHIVED)
    create_checked(Metric, name="Flashcards anew", key="flashcards")
    assert_as_paid(game.xp)


def test_what_completes_or_moves_nothing_is_no_refused_event(game: Game) -> None:
    game.trigger(points=10)
    told = create_achievement(name="Told", type="api", key="told", status="active")
    study(NOW - 2 * HOUR)
    happen(CompleteInput(ALICE, "told"), NOW - HOUR)
    happen(AdjustInput(ALICE, "xp", Adjustment(-10, "why", "olivia")), NOW - HOUR)
    Achievement.objects.filter(id=told.id).update(status=AchievementStatus.INACTIVE)
    assert_as_paid(game.xp)
    game.xp.triggers.update(status="inactive")
    result = played(game.xp).result
    assert (result["live"], result["live_refused"]) == (0, 0), "nothing to take: the adjustment alone moves nothing"


def test_an_opening_balance_is_nothing_done_for_a_streak(game: Game) -> None:
    settings = create_checked(StreakSettings)
    create_checked(StreakMetric, settings=settings, metric=game.lessons, threshold=Decimal(3))
    game.trigger(points=20, type="streak", streak_length=1, **BARE)
    game.trigger(points=1)
    # Where alice is, it is still the day before when the days that are looked at begin.
    midnight = start_of(NOW, DAYS)
    happen(IdentifyInput(UserChanges("alice", tz="America/New_York")), midnight - 24 * HOUR)
    happen(OpeningInput(ALICE, "lessons", Decimal(2)), midnight - HOUR)
    study(midnight + HOUR)
    assert_as_paid(game.xp)


def test_achievements_that_one_event_completes_pay_in_the_order_of_their_triggers(game: Game) -> None:
    one, two = (
        create_achievement(name=f"{count}", type="metric", metric=game.lessons, metric_value=count, status="active")
        for count in (1, 2)
    )
    # Energy ends at 10, so the second of the two gets what the first leaves.
    for achievement in (two, one):
        game.trigger(points=6, system=game.energy, type="achievement", achievement=achievement, **BARE)
    study(NOW - HOUR, "2")
    assert_as_paid(game.energy)


def test_what_an_event_completes_pays_before_the_next_event_of_the_same_instant(game: Game) -> None:
    first = create_achievement(name="1", type="metric", metric=game.flashcards, metric_value=1, status="active")
    game.trigger(points=6, system=game.energy, type="achievement", achievement=first, **BARE)
    game.trigger(points=6, system=game.energy)
    study(NOW - HOUR, metric="flashcards")
    study(NOW - HOUR)
    assert_as_paid(game.energy)
