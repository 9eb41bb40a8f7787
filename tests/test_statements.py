"""How much an event asks of the database."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.inputs import EventInput
from engine.outcomes import Accepted
from engine.pipeline import process
from engine.rule_book import current_rule_book
from tests.conftest import Api, Game, make_game
from users.rules import UserChanges

pytestmark = pytest.mark.django_db(transaction=True)
STATEMENTS_MAX = 12


@pytest.fixture
def game(transactional_db: None) -> Game:
    game = make_game()
    game.creation_trigger(points=5)
    game.trigger(points=10, every=2, event_filters=[(game.category, "listening")])
    game.trigger(points=-1, system=game.energy)
    current_rule_book()
    return game


def events(count: int) -> Iterator[EventInput]:
    for number in range(count):
        user = UserChanges(f"user-{number % 100}", name=f"User {number}", attributes={"plan": "pro"})
        yield EventInput(user, "lessons", Decimal(2), {"category": "listening"}, idempotency_key=f"{count}-{number}")


def statements_of(count: int) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        outcomes = process(list(events(count))).outcomes
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    return [query["sql"] for query in captured]


def test_500_events_cost_as_many_statements_as_one_and_both_at_most_12(game: Game) -> None:
    one, many = statements_of(1), statements_of(500)
    assert one[0] == "BEGIN"
    assert one[-1] == "COMMIT"
    assert len(one) == len(many) <= STATEMENTS_MAX


def test_an_event_over_http_asks_nothing_beyond_the_pipeline(api: Api, game: Game) -> None:
    api.event("alice", 1)
    with CaptureQueriesContext(connection) as captured:
        assert api.event("alice", 1, key="once", category="listening").status_code == 201
    assert len(captured) <= STATEMENTS_MAX
