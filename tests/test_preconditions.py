"""ETag and If-Match in the Admin API: what was changed since it was read is not overwritten unknowingly."""

from typing import Any

import pytest
from django.test import Client

from achievements.services import create_achievement
from core.history import acting
from core.models import ConfigurationStatus
from core.services import archive, create_checked, update_checked
from levels.models import Level
from points.models import PointsTrigger
from points.services import update_trigger
from tests.conftest import Api, Game, make_game
from tests.test_admin import meeting
from tests.test_admin_api import triggers_path
from tests.test_contract import ADMIN


def by_olivia(trigger: PointsTrigger, **fields: Any) -> None:
    with acting("olivia"):
        update_trigger(trigger=trigger, **fields)


def test_what_was_changed_since_it_was_read_is_not_overwritten(api: Api, game: Game) -> None:
    trigger, path = game.trigger(points=20), triggers_path(game.xp)
    etag = api.get(f"{path}/{trigger.id}").headers["ETag"]
    by_olivia(trigger, points=30)
    answer = api.send("PATCH", path, [{"id": str(trigger.id), "metricThreshold": 2}], **{"If-Match": etag})
    assert answer.status_code == 412
    message = answer.json()["error"]
    assert message.startswith("This was changed since you read it. ")
    assert "olivia" in message
    assert "Points: 20 → 30" in message
    trigger.refresh_from_db()
    assert (trigger.points, trigger.metric_threshold) == (30, 1)


def test_the_answer_to_a_change_has_the_version_for_the_next(api: Api, game: Game) -> None:
    trigger, path = game.trigger(points=20), triggers_path(game.xp)
    etag = api.get(f"{path}/{trigger.id}").headers["ETag"]
    for points in (30, 40, 50):
        item = {"id": str(trigger.id), "points": points}
        answer = api.send("PATCH", path, [item], **{"If-Match": etag})
        assert (answer.status_code, answer.json()["issues"]) == (200, [])
        assert answer.headers["ETag"] != etag
        etag = answer.headers["ETag"]
    assert api.get(f"{path}/{trigger.id}").headers["ETag"] == etag == api.get(path).headers["ETag"]


def test_without_if_match_the_last_change_holds_as_before(api: Api, game: Game) -> None:
    trigger, path = game.trigger(points=20), triggers_path(game.xp)
    by_olivia(trigger, points=30)
    for headers in ({}, {"If-Match": "*"}):
        answer = api.send("PATCH", path, [{"id": str(trigger.id), "points": 40}], **headers)
        assert (answer.status_code, answer.json()["issues"]) == (200, [])


def test_the_etag_of_a_list_holds_for_the_rows_that_are_changed(api: Api, game: Game) -> None:
    first, second, path = game.trigger(points=1), game.trigger(points=2), triggers_path(game.xp)
    etag = api.get(path).headers["ETag"]
    by_olivia(second, points=3)
    both = [{"id": str(each.id), "points": 9} for each in (first, second)]
    assert api.send("PATCH", path, both, **{"If-Match": etag}).status_code == 412
    assert list(PointsTrigger.objects.order_by("created").values_list("points", flat=True)) == [1, 3]
    assert api.send("PATCH", path, both[:1], **{"If-Match": etag}).json()["issues"] == []


def test_of_several_etags_each_holds_for_its_own_row(api: Api, game: Game) -> None:
    first, second, path = game.trigger(points=1), game.trigger(points=2), triggers_path(game.xp)
    of_first = api.get(f"{path}/{first.id}").headers["ETag"]
    by_olivia(first, points=5)
    by_olivia(second, points=6)
    of_second = api.get(f"{path}/{second.id}").headers["ETag"]
    both = [{"id": str(each.id), "points": 9} for each in (first, second)]
    answer = api.send("PATCH", path, both, **{"If-Match": f"{of_first}, {of_second}"})
    assert answer.status_code == 412
    assert "Points: 1 → 5" in answer.json()["error"]
    assert points_in(path, api) == [5, 6]
    of_first = api.get(f"{path}/{first.id}").headers["ETag"]
    assert api.send("PATCH", path, both, **{"If-Match": f"{of_first}, {of_second}"}).json()["issues"] == []
    assert points_in(path, api) == [9, 9]


def test_the_etag_of_a_change_hides_nothing_that_others_have_changed(api: Api, game: Game) -> None:
    first, second, path = game.trigger(points=1), game.trigger(points=2), triggers_path(game.xp)
    etag = api.get(path).headers["ETag"]
    by_olivia(second, points=3)
    answer = api.send("PATCH", path, [{"id": str(first.id), "points": 9}], **{"If-Match": etag})
    assert (answer.status_code, answer.json()["issues"]) == (200, [])
    etag = answer.headers["ETag"]
    assert etag != api.get(path).headers["ETag"]
    lost = api.send("PATCH", path, [{"id": str(second.id), "points": 8}], **{"If-Match": etag})
    assert lost.status_code == 412
    assert "Points: 2 → 3" in lost.json()["error"]
    again = api.send("PATCH", path, [{"id": str(first.id), "points": 10}], **{"If-Match": etag})
    assert (again.status_code, points_in(path, api)) == (200, [10, 3])


def test_what_was_not_read_is_not_among_what_a_change_has_shown(api: Api, game: Game) -> None:
    first, second, path = game.trigger(points=1), game.trigger(points=2), triggers_path(game.xp)
    changed = api.send("PATCH", path, [{"id": str(first.id), "points": 9}]).headers["ETag"]
    item = {"type": "metric", "metricId": str(game.lessons.id), "metricThreshold": 1, "points": 4, "status": "active"}
    made = api.send("POST", path, [item])
    assert made.json()["issues"] == []
    new = made.json()["created"][0]["id"]
    deleted = api.send("DELETE", f"{path}?ids={first.id}").headers["ETag"]
    for etag in (changed, made.headers["ETag"], deleted):
        change = [{"id": str(second.id), "points": 8}]
        assert api.send("PATCH", path, change, **{"If-Match": etag}).status_code == 412
        assert api.send("POST", path, [item], **{"If-Match": etag}).status_code == 412
    of_new = {"If-Match": made.headers["ETag"]}
    assert api.send("PATCH", path, [{"id": new, "points": 5}], **of_new).json()["issues"] == []
    assert points_in(path, api) == [2, 5]


def test_changes_by_the_call_go_on_from_the_list_that_was_read_while_nobody_else_changes_it(
    api: Api, game: Game
) -> None:
    rows, path = [game.trigger(points=points) for points in (1, 2, 3)], triggers_path(game.xp)
    etag = api.get(path).headers["ETag"]
    for row in rows:
        answer = api.send("PATCH", path, [{"id": str(row.id), "points": 9}], **{"If-Match": etag})
        assert (answer.status_code, answer.json()["issues"]) == (200, [])
        etag = answer.headers["ETag"]
    assert etag == api.get(path).headers["ETag"]
    assert points_in(path, api) == [9, 9, 9]


def points_in(path: str, api: Api) -> list[int]:
    """Return the points of the triggers of a list."""
    return [each["points"] for each in api.get(path).json()]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_who_is_too_late_by_a_moment_is_told_so_by_412(transactional_db: None, api: Api, method: str) -> None:
    game = make_game()
    trigger, path = game.trigger(points=20), triggers_path(game.xp)
    etag = api.get(f"{path}/{trigger.id}").headers["ETag"]
    address, body = path, [{"id": str(trigger.id), "points": 40}]
    if method == "DELETE":
        address, body = f"{path}?ids={trigger.id}", []
    answer = meeting(
        lambda: by_olivia(trigger, points=30),
        lambda: api.send(method, address, body, **{"If-Match": etag}),
    )
    assert answer.status_code == 412
    assert "Points: 20 → 30" in answer.json()["error"]
    trigger.refresh_from_db()
    assert (trigger.points, trigger.status) == (30, ConfigurationStatus.ACTIVE)


@pytest.mark.django_db(transaction=True)
def test_an_item_that_is_too_late_by_a_moment_has_an_issue_where_others_are_done(
    transactional_db: None, api: Api
) -> None:
    game = make_game()
    late, path = game.trigger(points=20), triggers_path(game.xp)
    other = game.trigger(points=1)
    etag = api.get(path).headers["ETag"]
    items = [{"id": str(each.id), "points": 40} for each in (late, other)]
    answer = meeting(
        lambda: by_olivia(late, points=30),
        lambda: api.send("PATCH", path, items, **{"If-Match": etag}),
    )
    assert answer.status_code == 200
    (issue,) = answer.json()["issues"]
    assert issue["id"] == str(late.id)
    assert "Points: 20 → 30" in issue["message"]
    assert points_in(path, api) == [30, 40]
    assert api.send("PATCH", path, items[:1], **{"If-Match": answer.headers["ETag"]}).status_code == 412


def test_a_part_that_changed_counts(api: Api, game: Game) -> None:
    trigger, path = game.trigger(points=20), triggers_path(game.xp)
    etag = api.get(f"{path}/{trigger.id}").headers["ETag"]
    by_olivia(trigger, user_filters=[(game.plan, "pro")])
    answer = api.send("PATCH", path, [{"id": str(trigger.id), "points": 30}], **{"If-Match": etag})
    assert answer.status_code == 412
    assert "plan" in answer.json()["error"].lower()


def test_rows_are_added_only_to_the_list_that_was_read(api: Api, game: Game) -> None:
    path, items = f"{ADMIN}/metrics", [{"name": "New", "key": "new"}]
    etag = api.get(f"{path}?limit=1").headers["ETag"]
    with acting("olivia"):
        update_checked(game.lessons, name="Lessons")
    assert api.send("POST", path, items, **{"If-Match": etag}).status_code == 412
    etag = api.get(path).headers["ETag"]
    made = api.send("POST", path, items, **{"If-Match": etag})
    assert made.status_code == 201
    assert made.headers["ETag"] == api.get(path).headers["ETag"] != etag


def test_what_was_changed_since_it_was_read_is_not_deleted(api: Api, game: Game) -> None:
    trigger, path = game.trigger(points=20), triggers_path(game.xp)
    etag = api.get(f"{path}/{trigger.id}").headers["ETag"]
    by_olivia(trigger, points=30)
    address = f"{path}?ids={trigger.id}"
    assert api.send("DELETE", address, **{"If-Match": etag}).status_code == 412
    etag = api.get(f"{path}/{trigger.id}").headers["ETag"]
    assert api.send("DELETE", address, **{"If-Match": etag}).json()["issues"] == []


def test_a_row_that_was_archived_since_says_so(api: Api, game: Game) -> None:
    path = f"{ADMIN}/metrics"
    etag = api.get(f"{path}/{game.flashcards.id}").headers["ETag"]
    with acting("olivia"):
        archive(row=game.flashcards)
    answer = api.send("PATCH", path, [{"id": str(game.flashcards.id), "name": "New"}], **{"If-Match": etag})
    assert answer.status_code == 412
    assert "olivia, archived" in answer.json()["error"]


def test_a_row_that_is_named_twice_may_be_changed_by_the_call_itself(api: Api, game: Game) -> None:
    trigger, path = game.trigger(points=20), triggers_path(game.xp)
    etag = api.get(path).headers["ETag"]
    items = [{"id": str(trigger.id), "points": 30}, {"id": str(trigger.id), "metricThreshold": 2}]
    answer = api.send("PATCH", path, items, **{"If-Match": etag})
    assert (answer.json()["issues"], len(answer.json()["updated"])) == ([], 2)


def test_levels_exchange_their_points_under_a_condition(api: Api, game: Game) -> None:
    path = f"{ADMIN}/points/{game.xp.id}/levels"
    levels = [create_checked(Level, system=game.xp, name=f"L{n}", key=f"l{n}", points=n) for n in (1, 2)]
    items = [{"id": str(level.id), "points": 3 - level.points} for level in levels]
    etag = api.get(path).headers["ETag"]
    answer = api.send("PATCH", path, items, **{"If-Match": etag})
    assert answer.json()["issues"] == []
    assert answer.headers["ETag"] == api.get(path).headers["ETag"]
    assert api.send("PATCH", path, items, **{"If-Match": etag}).status_code == 412


def test_the_settings_of_streaks_have_a_version_too(api: Api, game: Game) -> None:
    path = f"{ADMIN}/streaks/settings"
    first = api.get(path).headers["ETag"]
    changed = api.send("PATCH", path, {"frequency": "weekly"}, **{"If-Match": first})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == api.get(path).headers["ETag"] != first
    answer = api.send("PATCH", path, {"metrics": [{"key": "lessons", "threshold": 1}]}, **{"If-Match": first})
    assert answer.status_code == 412
    assert api.get(path).json()["metrics"] == []


@pytest.mark.parametrize(
    "header",
    [
        '"999999999999"',
        '"abc"',
        "12",
        "",
        '"1',
        'W/"x"',
        '"1" "2"',
        '"9999999999999999999"',
        '"1+"',
        '"+1"',
        '"1+a"',
        '"0+999999999999"',
    ],
)
def test_what_is_no_etag_from_here_changes_nothing(api: Api, game: Game, header: str) -> None:
    answer = api.send(
        "PATCH", f"{ADMIN}/metrics", [{"id": str(game.lessons.id), "name": "New"}], **{"If-Match": header}
    )
    assert answer.status_code == 412
    assert answer.json()["error"].startswith("If-Match is not the ETag of an answer from here")


def test_an_etag_that_a_proxy_made_weak_still_holds(api: Api, game: Game) -> None:
    etag = api.get(f"{ADMIN}/metrics").headers["ETag"]
    item = {"id": str(game.lessons.id), "name": "New"}
    answer = api.send("PATCH", f"{ADMIN}/metrics", [item], **{"If-Match": f"W/{etag}"})
    assert (answer.status_code, answer.json()["issues"]) == (200, [])


def test_every_list_and_every_row_has_a_version(api: Api, game: Game) -> None:
    achievement = create_achievement(name="Share", type="api", key="share")
    level = create_checked(Level, system=game.xp, name="Gold", key="gold", points=1)
    trigger = game.trigger(points=1)
    for path, row in (
        ("attributes", game.plan),
        ("metrics", game.lessons),
        ("achievements", achievement),
        ("points", game.xp),
        (f"points/{game.xp.id}/levels", level),
        (f"points/{game.xp.id}/triggers", trigger),
    ):
        of_list, of_row = (api.get(f"{ADMIN}/{each}").headers["ETag"] for each in (path, f"{path}/{row.id}"))
        assert int(of_list.strip('"')) >= int(of_row.strip('"')) > 0
    assert api.get(f"{ADMIN}/points/{game.energy.id}/boosts").headers["ETag"] == '"0"'


def test_the_reference_tells_of_it() -> None:
    schema = Client().get("/docs/openapi.yaml?format=json").json()
    patch = schema["paths"]["/admin-api/v1/metrics"]["patch"]
    assert "If-Match" in [each["name"] for each in patch["parameters"]]
    assert "412" in patch["responses"]
    assert "ETag" in schema["paths"]["/admin-api/v1/metrics/{id}"]["get"]["responses"]["200"]["headers"]
    assert "If-Match" not in str(schema["paths"]["/admin-api/v1/metrics/events"])
