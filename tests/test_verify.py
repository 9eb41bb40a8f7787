"""`manage.py verify` finds whatever does not add up, and says where."""

import io
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from analytics.rollup import roll_up
from engine.adjustments import adjust_points
from engine.inputs import AdjustInput, OpeningInput
from engine.pipeline import process
from points.rules import Adjustment
from tests.conftest import Api, Game, make_game
from users.models import EndUser
from users.rules import UserChanges
from webhooks.sequencing import sequence
from webhooks.services import create_endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def played(transactional_db: None, api: Api) -> Game:
    game = make_game()
    create_endpoint(url="https://example.com/hook", types=["points.changed"])
    game.trigger(points=10)
    game.trigger(points=1, event_filters=[(game.category, "listening")])
    for value in (1, 2, -1):
        api.event("alice", value, category="listening")
    api.event("bob", 1)
    bob = UserChanges("bob")
    process([OpeningInput(bob, "lessons", Decimal(7)), AdjustInput(bob, "xp", Adjustment(5, "Goodwill", "maria"))])
    user = EndUser.objects.get(external_id="bob")
    adjust_points(user=user, system_key="xp", points=2, reason="Goodwill", operator="maria", token=uuid4())
    sequence(timezone.now())
    roll_up()
    return game


def test_what_the_pipeline_stored_adds_up(played: Game) -> None:
    out = io.StringIO()
    call_command("verify", stdout=out)
    assert "WRONG" not in out.getvalue()


DAMAGE = {
    "a balance that is not its ledger's": "UPDATE points_pointsbalance SET total = total + 1",
    "a line that is missing": "DELETE FROM points_pointsaward WHERE seq = 1",
    "a line that was changed": "UPDATE points_pointsaward SET awarded = awarded + 1 WHERE seq = 2",
    "a balance without a ledger": (
        "DELETE FROM points_adjustmentrequest; DELETE FROM points_pointsadjustment; DELETE FROM points_pointsaward"
    ),
    "an adjustment without a reason": "DELETE FROM points_adjustmentrequest; DELETE FROM points_pointsadjustment",
    "an adjustment that moved more than was asked": "UPDATE points_adjustmentrequest SET points = 1",
    "a ledger without a balance": "DELETE FROM points_pointsbalance",
    "a total that is not the sum": "UPDATE metrics_metrictotal SET total = total - 1",
    "a peak that never was": "UPDATE metrics_metrictotal SET peak = peak + 1",
    "a filtered total that is not the sum": "UPDATE metrics_metrictotal SET total = 0, peak = 0 WHERE filter <> ''",
    "a total that is missing": "DELETE FROM metrics_metrictotal",
    "an event that is missing": "DELETE FROM metrics_event",
    "an event of nobody": "UPDATE metrics_event SET user_id = gen_random_uuid()",
    "a trigger that is missing": "DELETE FROM points_triggerfilter; DELETE FROM points_pointstrigger",
    "a version of a rule that never was": "UPDATE points_pointsaward SET rule_version = 0",
    "a streak that its history does not know": "UPDATE streaks_streak SET length = length + 1",
    "a period that follows on none": "UPDATE streaks_streakperiod SET length = 5; UPDATE streaks_streak SET length = 5",
    "points on a day that were not awarded": "UPDATE points_pointsday SET change = change + 1",
    "a day that is missing": "DELETE FROM metrics_metricday",
    "messages that wait behind none": "UPDATE webhooks_delivery SET status = 'waiting', next_attempt_at = NULL",
    "a number of two messages": "UPDATE webhooks_outboxmessage SET sequence = 1",
    "a number above the last": "UPDATE webhooks_usersequence SET last = 0",
    "a completion of nothing": """
        INSERT INTO achievements_completion (id, user_id, achievement_id, quiet, at)
        SELECT gen_random_uuid(), id, gen_random_uuid(), false, now() FROM users_enduser""",
    "a counter that counts too many": """
        INSERT INTO analytics_counter (kind, subject, place, users)
        VALUES ('user', '00000000-0000-0000-0000-000000000000', 0, 7)""",
    "a rolled-up ledger that is not its lines": "UPDATE analytics_ledgermark SET earned = earned + 1",
    "a rolled-up day that is missing": "DELETE FROM analytics_systemday",
    "a boost's day that never was": """
        INSERT INTO analytics_boostday (system_id, boost_id, day, awards, awarded, without)
        SELECT id, id, now(), 1, 2, 1 FROM points_pointssystem""",
    "a tally of earned points that counts too many": "UPDATE analytics_earnedtally SET users = users + 1",
    "a tally of first days that sums too much": "UPDATE analytics_earlytally SET points = points + 1",
    "a tally of a level that nobody reached": """
        INSERT INTO analytics_leveltally (system_id, threshold, place, users)
        SELECT id, 10, 0, 1 FROM points_pointssystem""",
    "a rolled-up day with too many events": "UPDATE analytics_eventday SET events = events + 1",
    "a day with too many active users": "UPDATE analytics_activeday SET users = users + 1",
    "a day that was the first of too many": "UPDATE analytics_activeday SET week_firsts = week_firsts + 1",
    "a top earner who is missing": "DELETE FROM analytics_topearner",
    "a cohort that is too large": "UPDATE analytics_cohortweek SET users = users + 1",
    "a user who is marked on another day": "UPDATE analytics_usermark SET days = days + 2",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_fails_and_names(damage: str, played: Game) -> None:
    with connection.cursor() as cursor:
        for statement in DAMAGE[damage].split(";"):
            cursor.execute(statement)
    out = io.StringIO()
    with pytest.raises(CommandError) as failure:
        call_command("verify", stdout=out)
    assert failure.value.returncode == 1
    assert "WRONG" in out.getvalue()
    assert any(name in out.getvalue() for name in ("alice", "award ", "completion ", "counter ", "roll-up "))
