"""The operators' admin: every page opens, and impossible combinations are refused with a clear sentence."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from access.models import ApiKey
from core.models import ConfigurationStatus
from metrics.models import Metric
from points.models import PointsTrigger, TriggerStatus
from tests.conftest import Api, Game
from tests.processes import until


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def text_of(answer: Any) -> str:
    """Return the page's text without tags, on one line."""
    page = re.sub(r"<script.*?</script>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(page.replace("&#x27;", "'").split())


def meeting(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """Return what `second` returns, which meets with `first` done but not committed, and has to wait for it."""

    def elsewhere() -> Any:
        try:
            return second()
        finally:
            connection.close()

    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic(), connection.cursor() as cursor:
            first()
            answer = threads.submit(elsewhere)

            def has_met() -> bool:
                cursor.execute(waiting)
                return answer.done() or bool(cursor.fetchone()[0])

            until(has_met)
            assert not answer.done()
        return answer.result()


def trigger_form(game: Game, **fields: Any) -> dict[str, Any]:
    """Return what a browser sends to add a trigger."""
    return {
        "system": str(game.xp.id),
        "type": "metric",
        "points": "10",
        "metric": str(game.lessons.id),
        "metric_threshold": "5",
        "filters-TOTAL_FORMS": "0",
        "filters-INITIAL_FORMS": "0",
    } | fields


def with_filters(*filters: tuple[Any, str]) -> dict[str, str]:
    rows = {"filters-TOTAL_FORMS": str(len(filters))}
    for number, (attribute, value) in enumerate(filters):
        rows |= {f"filters-{number}-attribute": str(attribute.id), f"filters-{number}-value": value}
    return rows


def test_every_page_opens(operator: Client, api: Api, game: Game) -> None:
    trigger = game.trigger(points=10)
    api.event("alice", 1)
    user = api.get("/v1/users/alice").json()["id"]
    changes = {
        "access/apikey": ApiKey.objects.get().id,
        "metrics/metric": game.lessons.id,
        "points/pointssystem": game.xp.id,
        "points/pointstrigger": trigger.id,
        "users/attribute": game.plan.id,
    }
    for model, id_ in changes.items():
        for page in ("", "add/", f"{id_}/change/", f"{id_}/history/"):
            assert operator.get(f"/admin/{model}/{page}").status_code == 200, (model, page)
    for page in ("/admin/", "/admin/users/enduser/", f"/admin/users/enduser/?q={user}", "/admin/auth/user/", "/docs/"):
        assert operator.get(page).status_code == 200, page


def test_an_operator_adds_a_trigger_and_activates_it(operator: Client, api: Api, game: Game) -> None:
    filters = with_filters((game.plan, "pro"), (game.category, "listening"))
    assert operator.post("/admin/points/pointstrigger/add/", trigger_form(game, **filters)).status_code == 302
    trigger = PointsTrigger.objects.get()
    assert trigger.status == TriggerStatus.INACTIVE
    operator.post("/admin/points/pointstrigger/", {"action": "activate_selected", "_selected_action": str(trigger.id)})
    answer = api.event({"id": "alice", "attributes": {"plan": "pro"}}, 5, category="listening")
    assert answer.json()["points"]["xp"]["added"] == 10


@pytest.mark.parametrize("action", ["activate_one", "deactivate_one"])
def test_a_row_action_asks_first_and_acts_only_on_the_answer(action: str, operator: Client, game: Game) -> None:
    trigger = game.trigger(points=10)
    before = TriggerStatus.ACTIVE if action == "deactivate_one" else TriggerStatus.INACTIVE
    after = TriggerStatus.INACTIVE if action == "deactivate_one" else TriggerStatus.ACTIVE
    PointsTrigger.objects.update(status=before)
    url = f"/admin/points/pointstrigger/{trigger.id}/{action}/"
    assert "ctivate «+10 · Lessons completed: every 1»?" in text_of(operator.get(url))
    assert PointsTrigger.objects.get().status == before
    operator.post(url, {"_form_submitted": "True"})
    assert PointsTrigger.objects.get().status == after


BAD_TRIGGERS: dict[str, tuple[dict[str, str], str]] = {
    "no metric": ({"metric": ""}, "is required for a metric trigger."),
    "no threshold": ({"metric_threshold": ""}, "is required for a metric trigger."),
    "a threshold of 0": ({"metric_threshold": "0"}, "greater than or equal to 1"),
    "points of 0": ({"points": "0"}, "must not be 0."),
    "points beyond what a number can hold": ({"points": str(2**53)}, "less than or equal to"),
    "blocking while giving points": (
        {"block_if_out_of_points": "on"},
        "only for a metric trigger with negative points.",
    ),
    "no system": ({"system": ""}, "This field is required."),
}


@pytest.mark.parametrize("case", BAD_TRIGGERS)
def test_a_trigger_is_refused_with(case: str, operator: Client, game: Game) -> None:
    fields, sentence = BAD_TRIGGERS[case]
    answer = operator.post("/admin/points/pointstrigger/add/", trigger_form(game, **fields))
    assert answer.status_code == 200
    assert sentence in text_of(answer)
    assert not PointsTrigger.objects.exists()


def test_a_user_creation_trigger_drops_the_hidden_fields_of_a_metric(operator: Client, game: Game) -> None:
    form = trigger_form(game, type="user_creation", block_if_out_of_points="on")
    assert operator.post("/admin/points/pointstrigger/add/", form).status_code == 302
    trigger = PointsTrigger.objects.get()
    assert (trigger.metric, trigger.metric_threshold, trigger.block_if_out_of_points) == (None, None, False)


def test_filters_that_cannot_be_are_refused(operator: Client, game: Game) -> None:
    twice = with_filters((game.plan, "pro"), (game.plan, "free"))
    of_event = with_filters((game.category, "listening"))
    for form in (trigger_form(game, **twice), trigger_form(game, type="user_creation", **of_event)):
        answer = operator.post("/admin/points/pointstrigger/add/", form)
        assert answer.status_code == 200
        assert re.search(r"only once|duplicate|only for a metric trigger", text_of(answer))
    assert not PointsTrigger.objects.exists()


def test_the_type_of_an_active_trigger_stays(operator: Client, game: Game) -> None:
    trigger = game.trigger(points=10)
    answer = operator.post(
        f"/admin/points/pointstrigger/{trigger.id}/change/", trigger_form(game, type="user_creation")
    )
    assert "can be changed only while the trigger is inactive." in text_of(answer)
    trigger.refresh_from_db()
    assert trigger.type == "metric"


def test_what_an_active_trigger_needs_cannot_be_archived_and_the_message_names_it(operator: Client, game: Game) -> None:
    game.trigger(points=10, every=5, user_filters=[(game.plan, "pro")])
    for url, row in (("/admin/metrics/metric/", game.lessons), ("/admin/users/attribute/", game.plan)):
        form = {"action": "archive_selected", "_selected_action": str(row.id)}
        answer = operator.post(url, form, follow=True)
        assert "it is used by +10 · Lessons completed: every 5" in text_of(answer)
        row.refresh_from_db()
        assert row.status == ConfigurationStatus.ACTIVE


def test_archived_configuration_can_be_restored_unless_its_key_was_taken(operator: Client, game: Game) -> None:
    form = {"_selected_action": str(game.flashcards.id)}
    operator.post("/admin/metrics/metric/", form | {"action": "archive_selected"})
    Metric.objects.create(name="Other", key="flashcards")
    answer = operator.post("/admin/metrics/metric/?archived=only", form | {"action": "restore_selected"}, follow=True)
    assert "Key already in use by another metric." in text_of(answer)
    Metric.objects.filter(name="Other").update(key="other")
    operator.post("/admin/metrics/metric/?archived=only", form | {"action": "restore_selected"})
    game.flashcards.refresh_from_db()
    assert game.flashcards.status == ConfigurationStatus.ACTIVE


def test_a_key_that_is_taken_is_refused(operator: Client, game: Game) -> None:
    for model, form, sentence in (
        ("metrics/metric", {"unit_type": "number", "key": "lessons"}, "Key already in use by another metric."),
        ("users/attribute", {"type": "user", "key": "plan"}, "Key already in use by another attribute of this type."),
        ("points/pointssystem", {"key": "xp"}, "Key already in use by another points system."),
    ):
        answer = operator.post(f"/admin/{model}/add/", {"name": "Again", **form})
        assert answer.status_code == 200
        assert sentence in text_of(answer)


def test_an_api_key_is_shown_once_works_and_stops_when_revoked(operator: Client, game: Game) -> None:
    added = operator.post("/admin/access/apikey/add/", {"name": "Backend"}, follow=True)
    found = re.search(r"id='new-api-key'[^>]*>([^<]+)<", added.content.decode())
    assert found
    backend = Api(found[1])
    assert backend.event("alice").status_code == 201
    assert found[1] not in operator.get("/admin/access/apikey/").content.decode()
    key = ApiKey.objects.get()
    form = {"action": "revoke_selected", "_selected_action": str(key.id)}
    assert "That is final" in text_of(operator.post("/admin/access/apikey/", form))
    assert backend.event("alice").status_code == 201
    operator.post("/admin/access/apikey/", form | {"confirmed": "yes"})
    assert backend.event("alice").status_code == 401
    assert backend.get("/v1/users/alice").status_code == 401


def test_the_ledger_of_a_user_is_paged_by_its_numbers(operator: Client, api: Api, game: Game) -> None:
    game.trigger(points=2)
    for _ in range(30):
        api.event("alice", 1)
    page = operator.get("/admin/users/enduser/?q=ali")
    url = re.search(r'href="(/admin/users/enduser/[0-9a-f-]{36}/change/)', page.content.decode())
    assert url
    newest = operator.get(url[1])
    assert "60" in text_of(newest)
    assert "+2 · Lessons completed: every 1" in text_of(newest)
    further = re.search(r'href="(\?before=[^"#]*)', newest.content.decode())
    assert further
    older = text_of(operator.get(url[1] + further[1]))
    assert "5 20" in older
    assert "Older" not in older
