"""Batches of events: accepted durably as a whole, processed in order by the one pipeline, each exactly once."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from trophy import BatchMetricEvent, BatchMetricEventUser, TrophyApi
from trophy.errors import NotFoundError, UnprocessableEntityError

from core.services import archive
from engine import queue
from engine.models import QueuedEvent
from metrics.models import Event, MetricTotal
from points.models import PointsAward, PointsBalance
from tests.conftest import Api, Game, make_game
from tests.processes import (
    WAIT_S_MAX,
    break_storing,
    mend_storing,
    somebody_stands_still,
    stalled_storing,
    until,
    worker_environment,
)
from users.models import EndUser

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/admin-api/v1/metrics/events"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def game(transactional_db: None) -> Game:
    return make_game()


def item(user: str | dict[str, Any], value: Any = 1, *, metric: str = "lessons", **fields: Any) -> dict[str, Any]:
    """Return an event of a batch."""
    return {"key": metric, "user": {"id": user} if isinstance(user, str) else user, "value": value, **fields}


def send(api: Api, *items: Any) -> Any:
    """Send a batch."""
    return api.send("POST", PATH, list(items))


def work_all() -> int:
    """Work until nothing waits; return how many events that were."""
    done = 0
    while count := queue.work():
        done += count
    return done


def test_a_batch_is_accepted_then_processed_like_single_events(api: Api, game: Game) -> None:
    game.trigger(points=10, every=2)

    answer = send(
        api,
        item({"id": "alice", "name": "Alice", "tz": "Asia/Kolkata", "attributes": {"plan": "pro"}}, 0.1),
        item("alice", 1.9, attributes={"category": "math"}),
        item("bob", 2),
    )

    assert (answer.status_code, answer.json()) == (202, {"accepted": 3})
    assert not Event.objects.exists()
    assert work_all() == 3
    alice = api.get("/v1/users/alice").json()
    assert (alice["name"], alice["tz"], alice["attributes"]) == ("Alice", "Asia/Kolkata", {"plan": "pro"})
    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 2
    assert api.points("alice")["total"] == api.points("bob")["total"] == 10
    assert not QueuedEvent.objects.exists()
    call_command("verify")


def test_a_batch_removes_what_is_stored_under_an_archived_attribute_and_sets_nothing(api: Api, game: Game) -> None:
    api.send("POST", "/v1/users", {"id": "alice", "attributes": {"plan": "free"}})
    archive(row=game.plan)

    refused = send(api, item({"id": "alice", "attributes": {"plan": "pro"}}))
    assert refused.status_code == 422
    assert "archived or being emptied takes no values; null removes one." in refused.json()["error"]
    assert send(api, item({"id": "alice", "attributes": {"plan": None}})).status_code == 202
    work_all()
    assert api.get("/v1/users/alice").json()["attributes"] == {}


def test_the_official_sdk_sends_a_batch(sdk: TrophyApi, game: Game) -> None:
    event = BatchMetricEvent(key="lessons", user=BatchMetricEventUser(id="alice"), value=3, idempotency_key="order-1")

    assert sdk.admin.metrics.batch_events(request=[event, event]).accepted == 2

    work_all()
    assert sdk.users.single_metric("alice", "lessons").current == 3
    with pytest.raises(NotFoundError):
        sdk.admin.metrics.batch_events(request=[BatchMetricEvent(key="x", user=BatchMetricEventUser(id="a"), value=1)])
    with pytest.raises(UnprocessableEntityError):
        sdk.admin.metrics.batch_events(request=[])


def test_a_thousand_events_with_50_duplicates_give_the_exact_totals(api: Api, game: Game) -> None:
    game.trigger(points=1)
    keys = [*range(950), *range(50)]

    answer = send(api, *(item(f"user-{key % 100}", 1, idempotencyKey=f"key-{key}") for key in keys))

    assert answer.json() == {"accepted": 1000}
    assert work_all() == 1000
    assert Event.objects.count() == 950
    assert sum(MetricTotal.objects.values_list("total", flat=True)) == 950
    assert sum(PointsBalance.objects.values_list("total", flat=True)) == 950
    call_command("verify")


BAD_ITEMS: dict[str, tuple[Any, int, str]] = {
    "unknown metric": (item("a", metric="steps"), 404, "events[1]: Metric not found: steps."),
    "no user": ({"key": "lessons", "value": 1}, 422, "events[1]: user is required."),
    "empty user id": (item(""), 422, "events[1]: user.id must be a string that is not empty."),
    "value as text": (item("a", "3"), 422, "events[1]: value must be a number."),
    "huge value": (item("a", 10**15), 422, "events[1]: value must be above -10^15 and below 10^15."),
    "unknown user attribute": (
        item({"id": "a", "attributes": {"pln": "x"}}),
        422,
        "events[1]: Invalid attribute keys: pln. Set them up as user attributes first.",
    ),
    "unknown event attribute": (
        item("a", attributes={"categry": "x"}),
        422,
        "events[1]: Invalid attribute keys: categry. Set them up as event attributes first.",
    ),
    "empty idempotency key": (
        item("a", idempotencyKey=""),
        422,
        "events[1]: idempotencyKey must be a string that is not empty.",
    ),
    "not an object": (5, 422, "events[1]: The item must be an object, not a whole number."),
    "NUL": (item("a\x00"), 422, "events[1]: user.id must not contain the NUL character."),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_one_bad_event_is_named_and_none_is_accepted(name: str, api: Api, game: Game) -> None:
    bad, status, message = BAD_ITEMS[name]

    answer = send(api, item("alice"), bad)

    assert (answer.status_code, answer.json()) == (status, {"error": message})
    assert not QueuedEvent.objects.exists()


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_events(count: int, api: Api, game: Game) -> None:
    answer = send(api, *[item("alice")] * count)

    assert (answer.status_code, answer.json()) == (422, {"error": "The body must have 1 to 1,000 events."})


def test_a_batch_may_be_larger_than_other_bodies_but_not_without_limit(api: Api, game: Game) -> None:
    long = {"category": "x" * 1000}
    assert send(api, *[item("alice", attributes=long)] * 1000).status_code == 202

    answer = api.send("POST", PATH, b"[" + b" " * 8_000_000)

    assert (answer.status_code, answer.json()) == (413, {"error": "The body is too large: at most 8 MB is read."})


def test_other_methods_and_keys_are_refused(api: Api, game: Game) -> None:
    assert api.get(PATH).status_code == 405
    assert Api("nonsense").send("POST", PATH, [item("alice")]).status_code == 401


def test_a_users_events_are_processed_in_the_order_of_arrival(api: Api, game: Game) -> None:
    game.trigger(points=5, every=10)
    game.trigger(points=-5, block_if_out_of_points=True, metric=game.flashcards)

    send(api, item("alice", metric="flashcards"), item("alice", 10), item("alice", metric="flashcards"))
    work_all()

    assert [line.awarded for line in PointsAward.objects.order_by("seq")] == [5, -5]
    rejected = QueuedEvent.objects.get()
    assert (rejected.status, rejected.reason) == (
        "rejected",
        "Not enough points in xp: the event needs 5 and the user has 0.",
    )


def test_an_event_that_a_rule_rejects_is_kept_with_the_reason_and_not_tried_again(api: Api, game: Game) -> None:
    game.trigger(points=-5, block_if_out_of_points=True)
    send(api, item("alice"))

    assert (work_all(), work_all()) == (1, 0)
    rejected = QueuedEvent.objects.get()
    assert rejected.reason == "Not enough points in xp: the event needs 5 and the user has 0."
    assert not EndUser.objects.exists()
    assert queue.retry(events=QueuedEvent.objects.all()) == 0


def test_an_event_with_the_key_of_another_one_is_kept_with_what_differs(api: Api, game: Game) -> None:
    api.event("alice", 2, key="one")
    send(api, item("alice", 2, idempotencyKey="one"), item("alice", 5, idempotencyKey="one"))
    work_all()

    rejected = QueuedEvent.objects.get()
    assert (rejected.status, rejected.reason) == (
        "rejected",
        "The idempotency key was used for another event before: its value was 2, not 5.",
    )
    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 2


def test_rejected_events_are_forgotten_after_30_days(api: Api, game: Game) -> None:
    game.trigger(points=-5, block_if_out_of_points=True)
    with time_machine.travel(NOON, tick=False):
        send(api, item("alice"))
        work_all()

    assert queue.prune_rejected(NOON + timedelta(days=30)) == 0
    assert queue.prune_rejected(NOON + timedelta(days=31)) == 1
    assert not QueuedEvent.objects.exists()


def test_a_poison_event_is_set_aside_with_its_error_and_harms_no_other(api: Api, game: Game) -> None:
    for user in ("alice", "bob", "charlie"):
        api.event(user)
    break_storing("bob")
    try:
        send(api, *(item(user) for user in ("alice", "bob", "charlie", "alice")))
        work_all()

        failed = QueuedEvent.objects.get()
        assert (failed.external_id, failed.status) == ("bob", "failed")
        assert "the moon is wrong" in failed.reason
        assert [
            api.get(f"/v1/users/{user}/metrics/lessons").json()["current"] for user in ("alice", "bob", "charlie")
        ] == [
            3,
            1,
            2,
        ]
    finally:
        mend_storing()

    assert queue.retry(events=QueuedEvent.objects.all()) == 1
    assert work_all() == 1
    assert api.get("/v1/users/bob/metrics/lessons").json()["current"] == 2
    call_command("verify")


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py work_queue` on the tests' database, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "work_queue"], cwd=settings.BASE_DIR, env=worker_environment()
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_killed_in_the_middle_loses_nothing_and_pays_nothing_twice(api: Api, game: Game) -> None:
    game.trigger(points=10)
    users = [f"user-{number:03}" for number in range(100)]
    for user in users:
        api.send("POST", "/v1/users", {"id": user})
    send(api, *(item(user, idempotencyKey="once") for user in users))

    with stalled_storing(users[-1]), worker() as killed:
        until(somebody_stands_still)
        killed.kill()
        killed.wait()
    waiting = QueuedEvent.objects.filter(status="waiting").count()
    assert waiting > 1
    assert PointsAward.objects.count() == 100 - waiting

    with worker():
        until(lambda: not QueuedEvent.objects.exists())
    assert PointsAward.objects.count() == 100
    assert set(PointsBalance.objects.values_list("total", flat=True)) == {10}
    call_command("verify")


def test_a_worker_told_to_stop_finishes_its_set(api: Api, game: Game) -> None:
    send(api, *(item(f"user-{number}") for number in range(100)))
    with worker() as process:
        until(lambda: not QueuedEvent.objects.exists())
        process.terminate()
        assert process.wait(WAIT_S_MAX) == 0


def test_a_database_that_is_away_is_not_the_events_fault(api: Api, game: Game) -> None:
    send(api, item("alice"))
    connection.ensure_connection()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    other.close()

    with pytest.raises(DatabaseError):
        queue.work()
    connection.close()

    assert QueuedEvent.objects.get().status == "waiting"
    assert work_all() == 1


def test_workers_side_by_side_process_each_event_once_and_in_order(api: Api, game: Game) -> None:
    game.trigger(points=1)
    for start in range(0, 2000, 500):
        send(api, *(item(f"user-{n % 40}", 1, idempotencyKey=str(n)) for n in range(start, start + 500)))

    def work(_: int) -> int:
        try:
            return work_all()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) + work_all() == 2000
    assert Event.objects.count() == 2000
    for user in EndUser.objects.all():
        keys = list(Event.objects.filter(user=user).order_by("at").values_list("idempotency_key", flat=True))
        assert keys == sorted(keys, key=lambda key: int(key or ""))
    call_command("verify")


def test_batches_and_single_events_of_the_same_users_at_once_are_exact(api: Api, game: Game) -> None:
    game.trigger(points=1)

    def report(number: int) -> Counter[int]:
        backend = Api(api.key)
        try:
            if number == 0:
                return Counter(
                    send(backend, *(item(f"user-{n % 8}") for n in range(400))).status_code for _ in range(2)
                )
            if number == 1:
                return Counter({202: 0, 0: work_all() * 0})
            return Counter(backend.event(f"user-{n % 8}").status_code for n in range(100))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(report, range(4)))
    work_all()
    assert sum(MetricTotal.objects.values_list("total", flat=True)) == 1000
    call_command("verify")


def test_an_event_counts_as_happening_when_it_was_accepted(api: Api, game: Game) -> None:
    with time_machine.travel(NOON, tick=False):
        api.send("POST", "/v1/users", {"id": "alice"})
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        send(api, item("alice"))
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        work_all()
    assert Event.objects.get().at == NOON + timedelta(hours=1)


def test_an_event_that_waited_never_happens_before_what_overtook_it(api: Api, game: Game) -> None:
    with time_machine.travel(NOON, tick=False):
        send(api, item("alice"))
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        api.event("alice", metric="flashcards")
        work_all()
    assert [event.at for event in Event.objects.order_by("at")] == [NOON + timedelta(days=1)] * 2
    assert api.get("/v1/users/alice/streak").json()["length"] in (0, 1)
    call_command("verify")


def test_the_depth_of_the_queue_is_told(api: Api, game: Game) -> None:
    with time_machine.travel(NOON, tick=False):
        send(api, item("alice"), item("bob"))

    depth = queue.depth(NOON + timedelta(seconds=3))

    assert (depth.waiting, depth.oldest_s, depth.failed) == (2, 3.0, 0)
    gauges = api.get("/metrics")
    assert gauges.headers["Content-Type"].startswith("text/plain")
    assert "pointsmith_queue_waiting_events 2.0" in gauges.content.decode()
    work_all()
    assert queue.depth(NOON) == queue.QueueDepth(0, 0.0, 0)


def test_gauges_need_a_key_also_as_prometheus_sends_it(api: Api, game: Game, client: Client) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {api.key}"}).status_code == 200


def test_the_admin_shows_failed_and_rejected_events_and_retries(api: Api, game: Game, admin_client: Client) -> None:
    game.trigger(points=-5, block_if_out_of_points=True, metric=game.flashcards)
    api.event("bob")
    break_storing("bob")
    try:
        send(api, item("bob", 0.5), item({"id": "eve", "tz": "Etc/Unknown"}, metric="flashcards"))
        work_all()
    finally:
        mend_storing()
    failed = QueuedEvent.objects.get(status="failed")

    page = admin_client.get("/admin/engine/queuedevent/").content.decode()
    assert "the moon is wrong" in page
    assert "Not enough points in xp" in page
    detail = admin_client.get(f"/admin/engine/queuedevent/{failed.id}/change/").content.decode()
    assert "0.5" in detail
    rejected = QueuedEvent.objects.get(status="rejected")
    detail = admin_client.get(f"/admin/engine/queuedevent/{rejected.id}/change/").content.decode()
    assert "user.tz must be an IANA time zone name" in detail

    action = {"action": "retry_selected", "_selected_action": list(QueuedEvent.objects.values_list("id", flat=True))}
    answer = admin_client.post("/admin/engine/queuedevent/", action, follow=True)
    assert "1 will be tried again in a moment." in answer.content.decode()
    assert work_all() == 1
    assert api.get("/v1/users/bob/metrics/lessons").json()["current"] == 1.5
    assert [each.status for each in QueuedEvent.objects.all()] == ["rejected"]


def test_every_field_of_a_user_survives_the_queue(api: Api, game: Game) -> None:
    user = {
        "id": "alice",
        "name": "Älice",
        "email": "alice@example.com",
        "tz": "Europe/London",
        "deviceTokens": ["one", "two"],
        "subscribeToEmails": True,
        "signUpDate": "2026-01-31",
        "attributes": {"plan": "pro"},
    }
    send(api, item(user), item({"id": "alice", "name": None, "tz": None, "attributes": {"plan": None}}))
    work_all()

    stored = EndUser.objects.get()
    assert (stored.name, stored.tz, stored.attributes) == (None, None, {})
    assert (stored.email, stored.device_tokens, str(stored.sign_up_date)) == (
        "alice@example.com",
        ["one", "two"],
        "2026-01-31",
    )
