"""Webhooks that the product asks for: a feed without gaps; what is kept for how long; what monitoring sees."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.services import archive
from tests.conftest import Api, Game, make_game
from tests.test_outbox import PAYLOADS
from tests.test_webhooks_admin import HOOK, NOON, deliver
from webhooks import delivery, feed, sequencing, services
from webhooks.models import (
    Delivery,
    DeliveryAttempt,
    Endpoint,
    EndpointStatus,
    MessageType,
    OutboxMessage,
    Sequencer,
)
from webhooks.tasks import prune_log
from webhooks.watch import Backlog, backlog

PATH = "/admin-api/v1/webhook-events"


@pytest.fixture
def warehouse(game: Game) -> Endpoint:
    """A feed of points and streaks, of users who get 10 XP for a lesson."""
    game.trigger(points=10)
    return services.create_endpoint(types=["points.changed", "streak.started"])[0]


def read(api: Api, endpoint: Endpoint, **query: int) -> Any:
    """Return the answer of the feed, once all that was committed has its position."""
    sequencing.sequence(timezone.now())
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    return api.get(f"{PATH}?endpoint={endpoint.id}&{parameters}").json()


def read_all(api: Api, endpoint: Endpoint, *, limit: int = 100) -> list[Any]:
    """Return all events, as a reader gets them that comes again while there is more."""
    after, events, more = 0, [], True
    while more:
        answer = read(api, endpoint, after=after, limit=limit)
        events += answer["events"]
        after, more = answer["next"], answer["hasMore"]
    return events


# --- The feed --------------------------------------------------------------------------------------------------------
def test_a_feed_has_the_bodies_that_a_webhook_has_in_the_order_of_what_happened(
    api: Api, game: Game, warehouse: Endpoint
) -> None:
    services.create_endpoint(url=HOOK, types=["points.changed", "streak.started"])
    for user in ("alice", "bob", "alice"):
        api.event(user)

    answer = read(api, warehouse)

    assert [(each["type"], each["user"]["id"], each["sequence"]) for each in answer["events"]] == [
        ("streak.started", "alice", 1),
        ("points.changed", "alice", 2),
        ("streak.started", "bob", 1),
        ("points.changed", "bob", 2),
        ("points.changed", "alice", 3),
    ]
    assert answer["hasMore"] is False
    for each in answer["events"]:
        PAYLOADS[each["type"]].model_validate(each)
    raw = api.get(f"{PATH}?endpoint={warehouse.id}").content.decode()
    sent = {claimed.body for claimed in delivery.claim({}, timezone.now())}
    assert len(sent) == 2
    assert all(body in raw for body in sent)


def test_a_feed_is_read_page_by_page_without_gaps_or_repeats(api: Api, game: Game, warehouse: Endpoint) -> None:
    for number in range(7):
        api.event(f"user-{number}")
    first = read(api, warehouse, limit=5)
    assert (len(first["events"]), first["hasMore"]) == (5, True)
    second = read(api, warehouse, limit=5, after=first["next"])
    third = read(api, warehouse, limit=5, after=second["next"])
    assert (len(third["events"]), third["hasMore"]) == (4, False)
    again = read(api, warehouse, limit=5, after=third["next"])
    assert again == {"events": [], "next": third["next"], "hasMore": False}
    ids = [each["id"] for answer in (first, second, third) for each in answer["events"]]
    assert ids == [str(each) for each in OutboxMessage.objects.order_by("position").values_list("id", flat=True)]
    api.event("late")
    assert len(read(api, warehouse, after=third["next"])["events"]) == 2
    # The same place gives the same answer, however often it is asked.
    assert read(api, warehouse, limit=5) == first


def test_a_feed_has_only_what_it_wants_and_what_is_for_it_alone(api: Api, game: Game, warehouse: Endpoint) -> None:
    hook, _ = services.create_endpoint(url=HOOK, types=list(MessageType.values))
    services.create_endpoint(types=["points.changed"], collapse_minutes=15)
    services.send_test(endpoint=hook)
    game.creation_trigger(points=5, system=game.energy)
    api.event("alice")
    game.trigger(points=1, system=game.energy)
    sequencing.sequence(timezone.now())
    sequencing.close_windows(timezone.now() + timedelta(minutes=16))
    types = [each["type"] for each in read_all(api, warehouse)]
    assert types == ["streak.started", "points.changed", "points.changed"]


def test_a_feed_that_collapses_has_each_change_only_in_the_sum(api: Api, game: Game, warehouse: Endpoint) -> None:
    calm, _ = services.create_endpoint(types=["points.changed", "streak.started"], collapse_minutes=15)
    for _ in range(3):
        api.event("alice")
    assert [each["type"] for each in read_all(api, calm)] == ["streak.started"]
    sequencing.close_windows(timezone.now() + timedelta(minutes=16))
    started, changed = read_all(api, calm)
    assert (changed["points"]["added"], changed["points"]["total"], len(changed["points"]["awards"])) == (30, 30, 3)
    assert started["sequence"] < changed["sequence"]
    assert len(read_all(api, warehouse)) == 4


def test_a_feed_begins_where_it_was_made(api: Api, game: Game, warehouse: Endpoint) -> None:
    api.event("alice")
    sequencing.sequence(timezone.now())
    later, _ = services.create_endpoint(types=["points.changed"])
    assert read(api, later) == {"events": [], "next": later.starts_after, "hasMore": False}
    api.event("bob")
    assert [each["user"]["id"] for each in read_all(api, later)] == ["bob"]


def fill(count: int, type_: str = "streak.lost") -> None:
    """Store messages that nobody wants, with their positions."""
    start = Sequencer.objects.get_or_create(id=1)[0].position
    OutboxMessage.objects.bulk_create(
        OutboxMessage(type=type_, payload={"type": type_}, created=NOON, position=start + number)
        for number in range(1, count + 1)
    )
    Sequencer.objects.update(position=start + count)


def test_a_call_looks_at_a_bounded_number_of_messages_and_moves_on(api: Api, game: Game, warehouse: Endpoint) -> None:
    fill(feed.SCANNED_MAX + 5)
    api.event("alice")
    first = read(api, warehouse)
    assert first == {"events": [], "next": feed.SCANNED_MAX, "hasMore": True}
    second = read(api, warehouse, after=first["next"])
    assert [each["type"] for each in second["events"]] == ["streak.started", "points.changed"]
    assert second["hasMore"] is False
    assert len(read_all(api, warehouse, limit=1)) == 2


BAD_QUERIES = {
    "": (422, "endpoint must be a valid UUID."),
    "endpoint=nonsense": (422, "endpoint must be a valid UUID."),
    "endpoint=01a21069-0a04-7551-9be8-b7969a5583e2": (
        404,
        "Webhook endpoint not found: 01a21069-0a04-7551-9be8-b7969a5583e2.",
    ),
    "endpoint={0}&after=-1": (422, "after must be a whole number from 0 to 999999999999999999."),
    "endpoint={0}&after=x": (422, "after must be a whole number from 0 to 999999999999999999."),
    "endpoint={0}&after=9999999999999999999": (422, "after must be a whole number from 0 to 999999999999999999."),
    "endpoint={0}&limit=0": (422, "limit must be a whole number from 1 to 100."),
    "endpoint={0}&limit=101": (422, "limit must be a whole number from 1 to 100."),
}


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_feed_refuses(query: str, api: Api, game: Game, warehouse: Endpoint) -> None:
    answer = api.get(f"{PATH}?{query.format(warehouse.id)}")
    assert (answer.status_code, answer.json()["error"]) == BAD_QUERIES[query]


def test_only_an_active_endpoint_without_address_is_a_feed(api: Api, game: Game, warehouse: Endpoint) -> None:
    hook, _ = services.create_endpoint(url=HOOK, types=["points.changed"])
    with_address = api.get(f"{PATH}?endpoint={hook.id}")
    assert with_address.status_code == 422
    assert "endpoint must be one without address" in with_address.json()["error"]
    services.disable(endpoint=warehouse)
    disabled = api.get(f"{PATH}?endpoint={warehouse.id}")
    assert disabled.status_code == 422
    assert "is disabled, and can be enabled in the admin" in disabled.json()["error"]
    archive(row=warehouse)
    assert api.get(f"{PATH}?endpoint={warehouse.id}").status_code == 404
    assert Client().get(f"{PATH}?endpoint={warehouse.id}").status_code == 401
    assert api.send("POST", PATH).status_code == 405


def test_a_feed_takes_a_position_beyond_all(api: Api, game: Game, warehouse: Endpoint) -> None:
    assert read(api, warehouse, after=10**18 - 1) == {"events": [], "next": 10**18 - 1, "hasMore": False}


def test_the_reference_describes_the_feed(api: Api) -> None:
    text = api.get("/docs/openapi.yaml").content.decode()
    assert f"{PATH}:" in text
    assert "WebhookEventsJson" in text


@contextmanager
def elsewhere() -> Iterator[Any]:
    """Give a cursor on a connection of its own, whose transaction is committed at the end."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            yield cursor
        other.commit()
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_late_never_slips_under_a_position_that_was_read(transactional_db: None) -> None:
    endpoint, _ = services.create_endpoint(types=["points.boost_started"])
    insert = (
        "INSERT INTO webhooks_outboxmessage (id, type, payload, created) "
        "VALUES (gen_random_uuid(), 'points.boost_started', %s, now())"
    )

    def positions(after: int) -> list[tuple[Any, int]]:
        page = feed.read_feed(endpoint, after=after, limit=100)
        return [(each.payload, each.position) for each in page.messages]

    with elsewhere() as slow:
        # It has the lower number, and is not committed yet.
        slow.execute(insert, ['"first"'])
        with elsewhere() as quick:
            quick.execute(insert, ['"second"'])
        sequencing.sequence(NOON)
        seen = positions(0)
        assert seen == [('"second"', 1)]
    sequencing.sequence(NOON)
    assert positions(1) == [('"first"', 2)]
    numbers = OutboxMessage.objects.order_by("position").values_list("number", flat=True)
    assert list(numbers) == sorted(numbers, reverse=True)


@pytest.mark.django_db(transaction=True)
def test_positions_that_are_being_given_are_not_read_before_they_are_committed(transactional_db: None) -> None:
    make_game()
    endpoint, _ = services.create_endpoint(types=["points.boost_started"])
    fill(1, "points.boost_started")
    OutboxMessage.objects.create(type="points.boost_started", payload={}, created=NOON)
    with elsewhere() as sequencer:
        sequencer.execute("UPDATE webhooks_outboxmessage SET position = 2 WHERE position IS NULL")
        page = feed.read_feed(endpoint, after=0, limit=100)
        assert (page.next, page.has_more) == (1, False)
    assert feed.read_feed(endpoint, after=1, limit=100).next == 2


# --- How long it is kept ---------------------------------------------------------------------------------------------
def test_the_log_is_forgotten_after_30_days_but_for_what_is_still_to_be_sent(
    api: Api, game: Game, settings: Any
) -> None:
    endpoint, _ = services.create_endpoint(url=HOOK, types=["streak.started"])
    with time_machine.travel(NOON, tick=False):
        for user in ("alice", "bob"):
            api.event(user)
    deliver(at=NOON)
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        api.event("charlie")
    deliver(at=NOON + timedelta(days=2))
    waiting = services.send_test(endpoint=endpoint)
    OutboxMessage.objects.filter(number=waiting.number).update(created=NOON)
    sequencing.sequence(NOON)
    unplaced = OutboxMessage.objects.create(type="streak.lost", payload={}, created=NOON)

    assert services.prune_log(NOON + timedelta(days=30)) == 0
    assert services.prune_log(NOON + timedelta(days=31), seconds_max=0) == 0
    assert services.prune_log(NOON + timedelta(days=31)) == 4

    kept = set(Delivery.objects.values_list("message_id", flat=True))
    assert len(kept) == 2
    assert waiting.number in kept
    assert DeliveryAttempt.objects.count() == 1
    assert set(OutboxMessage.objects.values_list("number", flat=True)) == kept | {unplaced.number}
    assert services.prune_log(NOON + timedelta(days=31)) == 0


def test_the_clock_prunes_by_the_setting(api: Api, game: Game, settings: Any) -> None:
    services.create_endpoint(types=["streak.started"])
    api.event("alice")
    sequencing.sequence(timezone.now())
    OutboxMessage.objects.update(created=timezone.now() - timedelta(days=8))
    prune_log()
    assert OutboxMessage.objects.count() == 1
    settings.WEBHOOK_LOG_DAYS = 7
    prune_log()
    assert not OutboxMessage.objects.exists()
    assert settings.CELERY_BEAT_SCHEDULE["prune-webhook-log"]["task"] == prune_log.name


def test_pruning_goes_past_old_messages_that_are_still_to_be_sent(api: Api, game: Game) -> None:
    services.create_endpoint(url=HOOK, types=["streak.started"])
    with time_machine.travel(NOON, tick=False):
        for number in range(3):
            api.event(f"user-{number}")
    sequencing.sequence(NOON)
    last = Delivery.objects.order_by("-id").first()
    assert last
    Delivery.objects.filter(id=last.id).update(status="delivered", next_attempt_at=None)
    assert services.prune_log(NOON + timedelta(days=31)) == 2
    assert Delivery.objects.filter(status="ready").count() == OutboxMessage.objects.count() == 2


# --- What monitoring sees --------------------------------------------------------------------------------------------
def test_the_gauges_tell_what_waits_for_how_long_and_what_fails(api: Api, game: Game) -> None:
    assert backlog(NOON) == Backlog(fresh=0, waiting=0, overdue_s=0.0, failing=0)
    endpoint, _ = services.create_endpoint(url=HOOK, types=["streak.started", "points.changed"])
    services.create_endpoint(types=["streak.started"])
    game.trigger(points=10)
    with time_machine.travel(NOON, tick=False):
        api.event("alice")
    assert backlog(NOON + timedelta(seconds=3)) == Backlog(fresh=2, waiting=0, overdue_s=3.0, failing=0)
    sequencing.sequence(NOON + timedelta(seconds=3))
    assert backlog(NOON + timedelta(seconds=7)) == Backlog(fresh=0, waiting=2, overdue_s=4.0, failing=0)
    gauges = api.get("/metrics").content.decode()
    assert "pointsmith_webhook_waiting_deliveries 2.0" in gauges
    assert "pointsmith_queue_waiting_events 0.0" in gauges

    deliver(500, at=NOON + timedelta(seconds=7))
    # What is tried again later is not overdue.
    assert backlog(NOON + timedelta(seconds=8)) == Backlog(fresh=0, waiting=2, overdue_s=0.0, failing=1)
    assert "pointsmith_webhook_failing_endpoints 1.0" in api.get("/metrics").content.decode()
    services.disable(endpoint=endpoint)
    assert backlog(NOON + timedelta(days=1)) == Backlog(fresh=0, waiting=0, overdue_s=0.0, failing=0)
    assert Endpoint.objects.filter(status=EndpointStatus.ACTIVE).count() == 1
