"""What operators move by hand: adjustments of points, and what users had done before Pointsmith counted."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from engine.inputs import AdjustInput, OpeningInput
from engine.outcomes import Accepted, Outcome, Rejected
from engine.pipeline import process
from levels.services import create_level
from metrics.models import Event
from points.models import PointsAdjustment, PointsAward
from points.rules import Adjustment
from tests.conftest import Api, Game
from users.models import EndUser
from users.rules import UserChanges
from webhooks.models import Endpoint, OutboxMessage


def adjust(user: str, points: int, *, system: str = "xp", reason: str = "Goodwill") -> Outcome:
    """Adjust a user's points as the operator maria."""
    return process([AdjustInput(UserChanges(user), system, Adjustment(points, reason, "maria"))]).outcomes[0]


def open_with(user: str, value: Any, *, metric: str = "lessons") -> Outcome:
    """Say what a user had done of a metric before."""
    return process([OpeningInput(UserChanges(user), metric, Decimal(value))]).outcomes[0]


@pytest.fixture
def alice(api: Api, game: Game) -> str:
    """A known user who has nothing yet."""
    api.send("POST", "/v1/users", {"id": "alice"})
    return "alice"


def test_an_adjustment_is_a_line_of_the_ledger_with_its_reason_and_operator(api: Api, alice: str) -> None:
    adjust(alice, 50)
    adjust(alice, -20, reason="Paid twice by mistake")

    assert list(PointsAward.objects.order_by("seq").values_list("seq", "cause", "awarded", "total")) == [
        (1, "adjustment", 50, 50),
        (2, "adjustment", -20, 30),
    ]
    assert list(PointsAdjustment.objects.order_by("award__seq").values_list("reason", "operator")) == [
        ("Goodwill", "maria"),
        ("Paid twice by mistake", "maria"),
    ]
    newest = api.points(alice)["awards"][0]
    assert (newest["awarded"], newest["total"], newest["boosts"]) == (-20, 30, [])
    assert "trigger" not in newest


def test_an_adjustment_is_clamped_as_any_award(api: Api, alice: str) -> None:
    adjust(alice, 50, system="energy")
    assert api.points(alice, "energy")["total"] == 10
    adjust(alice, -50, system="energy")
    assert api.points(alice, "energy")["total"] == 0


@pytest.mark.parametrize(
    ("user", "system", "points", "message"),
    [
        ("alice", "xp", -5, "points: -5 xp would move nothing, the user has 0."),
        ("alice", "gold", 5, "Points system not found: gold."),
        ("nobody", "xp", 5, "User not found: nobody."),
    ],
)
def test_an_adjustment_that_cannot_be_says_why_and_stores_nothing(
    alice: str, user: str, system: str, points: int, message: str
) -> None:
    outcome = adjust(user, points, system=system)

    assert isinstance(outcome, Rejected)
    assert outcome.message == message
    assert not PointsAward.objects.exists()
    assert list(EndUser.objects.values_list("external_id", flat=True)) == ["alice"]


def test_an_adjustment_is_not_boosted_and_changes_levels_and_is_told(api: Api, game: Game, alice: str) -> None:
    Endpoint.objects.create(url="https://example.com", types=["points.changed", "points.level_changed"])
    create_level(system=game.xp, key="bronze", name="Bronze", points=100)
    boost = {"name": "Twice", "start": "2000-01-01", "multiplier": 2}
    api.send("POST", f"/admin-api/v1/points/{game.xp.id}/boosts", [boost])

    adjust(alice, 100)

    assert api.points(alice)["total"] == 100
    assert list(OutboxMessage.objects.order_by("id").values_list("type", flat=True)) == [
        "points.changed",
        "points.level_changed",
    ]


def test_an_adjustment_is_explained_on_the_users_page(admin_client: Client, alice: str) -> None:
    adjust(alice, 50, reason="Sorry for the <b>outage</b>")
    user = EndUser.objects.get()

    page = admin_client.get(f"/admin/users/enduser/{user.id}/change/").content.decode()

    assert "Adjustment: Sorry for the &lt;b&gt;outage&lt;/b&gt;" in page
    assert "by maria" in page


def test_an_opening_moves_the_total_and_the_peak_and_fires_nothing(api: Api, game: Game, alice: str) -> None:
    game.trigger(10, every=5)

    outcome = open_with(alice, "12.5")

    assert isinstance(outcome, Accepted)
    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 12.5
    assert Event.objects.get().kind == "opening"
    assert not PointsAward.objects.exists()
    assert api.get("/v1/users/alice/streak").json()["length"] == 0


def test_events_go_on_from_the_opening(api: Api, game: Game, alice: str) -> None:
    game.trigger(10, every=5)
    open_with(alice, 14)

    answer = api.event(alice, 1).json()

    assert answer["total"] == 15
    assert answer["points"]["xp"]["added"] == 10


def test_an_opening_that_cannot_be_says_why_and_stores_nothing(alice: str) -> None:
    open_with(alice, 3)

    messages = [
        outcome.message
        for outcome in (open_with(alice, 4), open_with("nobody", 3), open_with(alice, 3, metric="steps"))
        if isinstance(outcome, Rejected)
    ]

    assert messages == [
        "The user has an opening balance of lessons already.",
        "User not found: nobody.",
        "Metric not found: steps.",
    ]
    assert Event.objects.count() == 1


def test_one_set_takes_a_users_opening_only_once(alice: str) -> None:
    opening = OpeningInput(UserChanges(alice), "lessons", Decimal(3))

    first, second = process([opening, opening]).outcomes

    assert isinstance(first, Accepted)
    assert isinstance(second, Rejected)
