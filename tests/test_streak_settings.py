"""The settings of streaks by the Admin API: one sentence for what cannot be, and the same rules as the admin's form."""

import threading
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core.services import archive, create_checked
from metrics.models import Metric
from streaks.models import StreakMetric, StreakSettings
from tests.conftest import Api, Game, make_game
from tests.test_parallel import in_parallel

PATH = "/admin-api/v1/streaks/settings"
DEFAULTS = {
    "frequency": "daily",
    "evaluationMode": "OR",
    "customizationEnabled": False,
    "daysOff": [],
    "metrics": [],
    "freezes": None,
}


def change(api: Api, **fields: Any) -> Any:
    """Change the settings and return them."""
    answer = api.send("PATCH", PATH, fields)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_the_settings_are_changed_field_by_field_and_metrics_as_a_whole(api: Api, game: Game) -> None:
    assert api.get(PATH).json() == DEFAULTS
    weekly = DEFAULTS | {"frequency": "weekly", "evaluationMode": "AND"}
    assert change(api, frequency="weekly", evaluationMode="AND") == weekly
    both = [{"key": "flashcards", "threshold": 2.5}, {"key": "lessons", "threshold": 3}]
    assert change(api, metrics=both) == weekly | {"metrics": both}
    assert change(api, frequency="monthly")["metrics"] == both
    one = [{"key": "lessons", "threshold": 0.000000001}]
    assert change(api, metrics=one)["metrics"] == one
    assert api.get(PATH).json()["metrics"] == one
    assert change(api) == weekly | {"frequency": "monthly", "metrics": one}
    assert change(api, metrics=[], frequency="daily", evaluationMode="OR") == DEFAULTS
    assert StreakSettings.objects.count() == 1


def test_what_there_is_not_can_be_said_not_to_be(api: Api, game: Game) -> None:
    assert change(api, customizationEnabled=False, daysOff=[], freezes=None) == DEFAULTS


def test_a_change_is_in_force_for_the_next_event(api: Api, game: Game) -> None:
    change(api, metrics=[{"key": "flashcards", "threshold": 2}])
    assert api.event("alice", 5).json()["currentStreak"]["length"] == 0
    assert api.event("alice", 2, metric="flashcards").json()["currentStreak"]["length"] == 1
    change(api, frequency="weekly")
    assert api.event("alice", 2, metric="flashcards").json()["currentStreak"]["frequency"] == "weekly"


GOOD = {"key": "lessons", "threshold": 1}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"frequency": "hourly"}, "frequency must be daily or weekly or monthly."),
    ({"frequency": None}, "frequency must be a string, not null."),
    ({"evaluationMode": "or"}, "evaluationMode must be OR or AND."),
    ({"metrics": None}, "metrics must be an array, not null."),
    ({"metrics": [{"key": "lessons"}]}, "metrics[0].threshold is required."),
    ({"metrics": [GOOD, {"key": "steps", "threshold": 1}]}, "metrics[1].key: there is no metric with the key steps."),
    ({"metrics": [GOOD, GOOD]}, "metrics: Each metric can be named only once."),
    ({"metrics": [GOOD | {"threshold": 0}]}, "metrics[0].threshold must be greater than 0."),
    ({"metrics": [GOOD | {"threshold": -1}]}, "metrics[0].threshold must be greater than 0."),
    ({"metrics": [GOOD | {"threshold": "1"}]}, "metrics[0].threshold must be a number."),
    ({"metrics": [GOOD | {"threshold": 1e300}]}, "metrics[0].threshold: Ensure that there are no more than 24 digits"),
    ({"metrics": [GOOD | {"threshold": 0.1234567891}]}, "metrics[0].threshold: Ensure that there are no more than 9"),
    ({"metrics": [GOOD] * 101}, "metrics must be an array of at most 100 items."),
    (
        {"customizationEnabled": True},
        "customizationEnabled: a streak that users customize is not offered by Pointsmith.",
    ),
    ({"customizationEnabled": None}, "customizationEnabled must be true or false, not null."),
    ({"daysOff": [0, 6]}, "daysOff: a streak with days off is not offered by Pointsmith."),
    ({"freezes": {"startCount": 1, "maxCount": 2}}, "freezes: a streak with freezes is not offered by Pointsmith."),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_and_nothing_of_it_is_stored(
    fields: dict[str, Any], sentence: str, api: Api, game: Game
) -> None:
    before = change(api, metrics=[{"key": "flashcards", "threshold": 5}])
    answer = api.send("PATCH", PATH, {"frequency": "weekly"} | fields)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(sentence)
    assert api.get(PATH).json() == before


def test_an_archived_metric_is_refused_as_in_the_form_unless_another_has_its_key(api: Api, game: Game) -> None:
    archive(row=game.flashcards)
    answer = api.send("PATCH", PATH, {"metrics": [GOOD | {"key": "flashcards"}]})
    assert answer.json() == {
        "error": "metrics: «Flashcards flipped» is archived: restore it first, or choose another metric."
    }
    create_checked(Metric, name="New flashcards", key="flashcards")
    assert change(api, metrics=[GOOD | {"key": "flashcards"}])["metrics"] == [GOOD | {"key": "flashcards"}]
    assert StreakMetric.objects.get().metric.name == "New flashcards"


def test_a_metric_that_counts_cannot_be_deleted_and_the_issue_says_why(api: Api, game: Game) -> None:
    change(api, metrics=[GOOD])
    answer = api.send("DELETE", f"/admin-api/v1/metrics?ids={game.lessons.id}").json()
    assert answer["issues"][0]["message"].endswith("it is used by the streak settings (Lessons completed).")


def test_the_admin_s_form_shows_what_the_api_set(api: Api, game: Game) -> None:
    change(api, frequency="monthly", evaluationMode="AND", metrics=[GOOD | {"threshold": 2.5}])
    operator = Client()
    operator.force_login(User.objects.create_superuser("olivia"))
    page = operator.get("/admin/streaks/streaksettings/", follow=True).content.decode()
    assert '<option value="monthly" selected>' in page
    assert '<option value="AND" selected>' in page
    assert 'value="2.5"' in page


@pytest.mark.django_db(transaction=True)
def test_changes_at_the_same_moment_follow_each_other(api: Api, transactional_db: None) -> None:
    make_game()
    start = threading.Barrier(8)

    def replace(number: int) -> int:
        start.wait()
        return Api(api.key).send("PATCH", PATH, {"metrics": [GOOD | {"threshold": number + 1}]}).status_code

    assert Counter(in_parallel(8, replace)) == {200: 8}
    assert StreakMetric.objects.count() == 1
