"""An event in, points out."""

from tests.conftest import Api, Game


def test_an_event_pays_the_triggers_whose_threshold_it_crosses(api: Api, game: Game) -> None:
    game.trigger(points=10, every=2)
    answer = api.event("alice", 5)
    assert answer.status_code == 201
    points = answer.json()["points"]["xp"]
    assert (points["total"], points["added"]) == (20, 20)
    assert [award["awarded"] for award in points["awards"]] == [20]
