"""Webhooks arrive: at least once, signed, in order for each user, however the receiver behaves."""

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import trophy
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook

from achievements.services import create_achievement
from boosts.models import Boost
from boosts.services import create_live_boost, finish_boosts
from core.services import update_checked
from engine.clock import mark_boosts
from engine.inputs import EventInput
from engine.pipeline import process
from levels.services import create_level
from tests import receiver as behaviours
from tests.conftest import Api, Game, make_game
from tests.processes import WAIT_S_MAX, until, worker_environment
from tests.receiver import Received, Receiver, listening, status
from tests.test_outbox import PAYLOADS
from tests.test_parallel import in_parallel
from users.rules import UserChanges
from webhooks import services
from webhooks.courier import Courier
from webhooks.delivery import IN_FLIGHT_MAX
from webhooks.models import CollapsedChange, Delivery, DeliveryAttempt, Endpoint, MessageType, OutboxMessage
from webhooks.rules import RETRY_DELAYS_S, TRIES_MAX, retry_delay
from webhooks.sending import TOTAL_S_MAX, Sender

pytestmark = pytest.mark.django_db(transaction=True)

ALL = list(MessageType.values)


class World:
    """A courier whose clock the test moves."""

    def __init__(self, total_s_max: float = TOTAL_S_MAX) -> None:
        self.ahead = timedelta()
        self.sender = Sender(total_s_max=total_s_max)
        self.courier = Courier(self.sender, clock=lambda: timezone.now() + self.ahead)

    def work(self, condition: Callable[[], bool]) -> None:
        """Deliver until the condition holds."""

        def holds() -> bool:
            self.courier.work()
            return condition()

        until(holds, look_s=0)

    def settle(self) -> None:
        """Deliver until no window is to be closed, nothing is due and nothing is in flight."""
        self.work(lambda: not self.sender.in_flight and not self._is_to_be_told())
        self.work(lambda: not self.sender.in_flight and not self._is_due())

    def _is_to_be_told(self) -> bool:
        now = timezone.now() + self.ahead
        closed = CollapsedChange.objects.filter(Q(due__lte=now) | Q(endpoint__collapse_minutes=0))
        return closed.exists() or OutboxMessage.objects.filter(position=None).exists()

    def _is_due(self) -> bool:
        now = timezone.now() + self.ahead
        due = Delivery.objects.filter(status="ready", next_attempt_at__lte=now, endpoint__status="active")
        return due.exclude(endpoint__health__paused_until__gt=now).exists()

    def later(self, **time_: float) -> None:
        """Let time pass, then deliver what is due."""
        self.ahead += timedelta(**time_)
        self.settle()


@pytest.fixture(autouse=True)
def allowed(settings: Settings) -> None:
    """The receivers of these tests are inside, so they must be allowed by name."""
    settings.WEBHOOK_ALLOWED_HOSTS = {"127.0.0.1"}


@pytest.fixture
def game(transactional_db: None) -> Game:
    game = make_game()
    game.trigger(points=10)
    return game


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.sender.close()


@pytest.fixture
def hasty_world() -> Iterator[World]:
    """A courier that soon gives a try up, for receivers that do not answer; others may take their time."""
    world = World(total_s_max=2)
    yield world
    world.sender.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as found:
        yield found


def subscribe(receiver: Receiver, *types: str, **fields: Any) -> tuple[Endpoint, str]:
    """Make an endpoint for the receiver; return it with its secret."""
    return services.create_endpoint(url=receiver.url, types=list(types) or ["points.changed"], **fields)


def event(user: str = "alice", value: int = 1) -> None:
    """Report lessons of a user."""
    process([EventInput(UserChanges(user), "lessons", Decimal(value))])


def events(count: int, user: str = "alice") -> None:
    """Report one lesson after the other."""
    for _ in range(count):
        event(user)


def sequences(received: list[Received]) -> list[int]:
    """Return the messages' numbers, in the order of arrival."""
    return [each.json["sequence"] for each in received]


def test_a_message_arrives_signed_in_both_ways_with_the_contracts_payload(
    game: Game, world: World, receiver: Receiver
) -> None:
    create_level(system=game.xp, key="bronze", name="Bronze", points=10)
    _, secret = subscribe(receiver, *ALL)
    event()
    world.settle()

    assert [each.json["type"] for each in receiver.received] == [
        "streak.started",
        "points.changed",
        "points.level_changed",
    ]
    for number, each in enumerate(receiver.received, 1):
        assert Webhook(secret).verify(each.body, each.headers) == each.json
        plain = hmac.new(secret.encode(), each.body, hashlib.sha256).digest()
        assert each.headers["X-Trophy-Signature"] == base64.b64encode(plain).decode()
        assert each.headers["webhook-id"] == each.json["id"]
        assert each.json["sequence"] == number
        assert each.headers["Content-Type"] == "application/json"
        PAYLOADS[each.json["type"]].model_validate(each.json)
        datetime.fromisoformat(each.json["timestamp"])
    changed = trophy.WebhooksPointsChangedPayload.model_validate(receiver.received[1].json)
    assert (changed.user.id, changed.points.total, changed.points.added) == ("alice", 10, 10)


def test_every_type_of_message_is_read_by_the_sdks_models(
    game: Game, world: World, receiver: Receiver, api: Api
) -> None:
    subscribe(receiver, *ALL)
    create_level(system=game.xp, key="bronze", name="Bronze", points=10)
    create_achievement(name="Done", type="api", key="done", status="active")
    boost = create_live_boost(system=game.xp, name="Twice", start=timezone.now().date(), multiplier=Decimal(2))
    now = timezone.now()
    for days in (0, 1, 9):
        process([EventInput(UserChanges("alice"), "lessons", Decimal(1), at=now + timedelta(days=days))])
    api.send("POST", "/v1/achievements/done/complete", {"user": {"id": "alice"}})
    mark_boosts(now + timedelta(days=1))
    finish_boosts(boosts=Boost.objects.filter(id=boost.id))
    mark_boosts(now + timedelta(days=1))
    world.settle()

    assert {each.json["type"] for each in receiver.received} == set(ALL)
    for each in receiver.received:
        PAYLOADS[each.json["type"]].model_validate(each.json)
        assert ("sequence" in each.json) == ("boost" not in each.json)


def test_nothing_is_written_where_nobody_wants_it(game: Game, world: World, receiver: Receiver) -> None:
    subscribe(receiver, "streak.lost")
    event()
    assert not OutboxMessage.objects.exists()


BAD_ANSWERS: dict[str, tuple[Any, int | None, str]] = {
    "500": (status(500, b"sorry"), 500, ""),
    "404": (status(404), 404, ""),
    "a redirect": (status(301, Location="http://169.254.169.254/latest"), 301, ""),
    "closing": (behaviours.close, None, "RemoteProtocolError"),
    "garbage": (behaviours.garbage, None, "RemoteProtocolError"),
    "silence": (Receiver.hang, None, "No whole answer came within 2 seconds."),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_what_does_not_arrive_is_tried_again_and_arrives_when_the_receiver_recovers(
    name: str, game: Game, hasty_world: World, receiver: Receiver
) -> None:
    answer, code, error = BAD_ANSWERS[name]
    receiver.answer = receiver.hang if answer is Receiver.hang else answer
    subscribe(receiver)
    events(3)
    event("bob")
    hasty_world.settle()
    assert len(receiver.received) == 2  # the first of each user; the others wait for it
    attempt = DeliveryAttempt.objects.order_by("id")[0]
    assert attempt.status_code == code
    assert attempt.error.startswith(error)

    receiver.answer, receiver.received = status(200), []
    hasty_world.later(seconds=4)
    assert not receiver.received
    hasty_world.later(seconds=4)

    assert sequences(receiver.of("alice")) == [1, 2, 3]
    assert sequences(receiver.of("bob")) == [1]
    assert set(Delivery.objects.values_list("status", flat=True)) == {"delivered"}


def test_a_body_without_an_end_is_read_only_a_little(game: Game, world: World, receiver: Receiver) -> None:
    receiver.answer = behaviours.endless
    subscribe(receiver)
    event()
    world.settle()
    assert Delivery.objects.get().status == "delivered"
    assert len(DeliveryAttempt.objects.get().answer) == 64 * 1024


def test_the_answer_is_kept_even_where_it_is_no_text(game: Game, world: World, receiver: Receiver) -> None:
    receiver.answer = status(200, b"a\x00b\xff")
    subscribe(receiver)
    event()
    world.settle()
    assert DeliveryAttempt.objects.get().answer == "a�b�"


def test_tries_come_at_the_times_that_were_promised_then_it_is_given_up_and_the_next_goes(
    game: Game, world: World, receiver: Receiver
) -> None:
    receiver.answer = status(500)
    subscribe(receiver)
    events(2)
    world.settle()
    for delay_s in RETRY_DELAYS_S:
        world.later(seconds=delay_s * 0.99 - 1)
        tries = sequences(receiver.received).count(1)
        world.later(seconds=delay_s * 0.21 + 2)
        assert sequences(receiver.received).count(1) == tries + 1
    first, second = Delivery.objects.order_by("id")
    assert (first.status, first.attempts) == ("failed", TRIES_MAX)
    assert (second.status, second.attempts) == ("ready", 1)
    assert [each.number for each in first.tries.order_by("id")] == list(range(1, TRIES_MAX + 1))


def test_the_delays_have_up_to_a_fifth_of_jitter() -> None:
    assert retry_delay(1, 0) == timedelta(seconds=5)
    assert retry_delay(1, 1) == timedelta(seconds=6)
    assert retry_delay(8, 0.5) == timedelta(hours=11)
    assert retry_delay(9, 0.5) is None


def test_410_disables_the_endpoint(game: Game, world: World, receiver: Receiver) -> None:
    endpoint, _ = subscribe(receiver)
    receiver.answer = status(410)
    events(2)
    world.settle()
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_reason) == ("disabled", "It answered 410: it is gone.")
    assert len(receiver.received) == 1
    event()
    assert OutboxMessage.objects.count() == 2

    receiver.answer = status(200)
    services.enable(endpoint=endpoint)
    world.settle()
    assert sequences(receiver.received) == [1, 2]


def test_an_endpoint_that_fails_for_five_days_is_disabled_and_one_success_in_between_counts(
    game: Game, world: World, receiver: Receiver
) -> None:
    endpoint, _ = subscribe(receiver)
    receiver.answer = status(500)
    event("u1")
    world.settle()
    world.later(days=4)
    receiver.answer = status(200)
    world.later(days=0.9)
    receiver.answer = status(500)
    for number in range(2, 8):
        event(f"u{number}")
        world.later(days=0.9)
    endpoint.refresh_from_db()
    assert endpoint.status == "active"
    event("u9")
    world.later(days=0.9)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_reason) == ("disabled", "It failed for 5 days.")


def test_an_endpoint_that_hangs_slows_no_other(game: Game, hasty_world: World, receiver: Receiver) -> None:
    with listening() as hanging:
        hanging.answer = hanging.hang
        slow, _ = subscribe(hanging)
        subscribe(receiver)
        for number in range(100):
            event(f"user-{number}")
        hasty_world.work(lambda: len(receiver.received) >= 100)
        assert hasty_world.sender.in_flight[slow.id] <= IN_FLIGHT_MAX
        # What waits behind those that hang need not hang as well for the test to end.
        hanging.answer = status(200)
        hasty_world.settle()


def test_users_do_not_wait_for_each_other(game: Game, world: World, receiver: Receiver) -> None:
    def refuse_alice(handler: Any, received: Received) -> None:
        status(500 if received.json["user"]["id"] == "alice" else 200)(handler, received)

    receiver.answer = refuse_alice
    subscribe(receiver)
    events(5, "alice")
    events(5, "bob")
    world.settle()
    assert sequences(receiver.of("alice")) == [1]
    assert sequences(receiver.of("bob")) == [1, 2, 3, 4, 5]


def test_parallel_events_of_one_user_arrive_in_one_unbroken_order(game: Game, world: World, receiver: Receiver) -> None:
    subscribe(receiver)
    in_parallel(8, lambda _: events(10))
    world.settle()
    assert sequences(receiver.received) == list(range(1, 81))
    totals = [each.json["points"]["total"] for each in receiver.received]
    assert totals == sorted(totals)


@contextmanager
def courier_process() -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py deliver_webhooks` on the tests' database."""
    environment = worker_environment() | {"WEBHOOK_ALLOWED_HOSTS": "127.0.0.1", "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "manage.py", "deliver_webhooks"]
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_killed_between_sending_and_recording_repeats_that_message_alone_under_its_id(
    game: Game, world: World, receiver: Receiver
) -> None:
    subscribe(receiver)
    event()
    # Secrets are encrypted with the app's key, which both processes have from the same place.
    receiver.answer = receiver.hang
    with courier_process() as process:
        until(lambda: bool(receiver.received))
        process.kill()
        process.wait()
    receiver.answer = status(200)
    events(2)
    world.settle()
    assert len(receiver.received) == 1
    world.later(seconds=61)

    assert sequences(receiver.received) == [1, 1, 2, 3]
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 3


def test_two_workers_share_the_work_without_repeating_or_mixing_up(game: Game, receiver: Receiver) -> None:
    subscribe(receiver)
    with courier_process(), courier_process():
        for number in range(20):
            events(10, f"user-{number}")
        until(lambda: len(receiver.received) >= 200)
        until(lambda: Delivery.objects.filter(status="delivered").count() == 200)
    assert len(receiver.received) == 200
    for number in range(20):
        assert sequences(receiver.of(f"user-{number}")) == list(range(1, 11))


def test_a_worker_told_to_stop_records_what_it_sent(game: Game, receiver: Receiver) -> None:
    subscribe(receiver)
    with courier_process() as process:
        for number in range(50):
            event(f"user-{number}")
        until(lambda: len(receiver.received) >= 5)
        process.terminate()
        assert process.wait(WAIT_S_MAX) == 0
    assert Delivery.objects.filter(status="delivered").count() == len(receiver.received)


# --- Where messages may go -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://192.0.0.192/", "not an address"])
def test_an_address_inside_the_network_is_refused_when_it_is_saved(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        services.create_endpoint(url=url, types=["points.changed"])
    assert list(refused.value.message_dict) == ["url"]
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("url", ["https://example.com/hook", "https://8.8.8.8:8443/", ""])
def test_public_addresses_and_feeds_are_taken(url: str) -> None:
    assert services.create_endpoint(url=url, types=["points.changed"])[0].url == url


def test_production_wants_https(settings: Settings) -> None:
    settings.PRODUCTION = True
    with pytest.raises(ValidationError, match="must begin with https://"):
        services.create_endpoint(url="http://example.com", types=["points.changed"])


def test_a_name_that_turns_out_to_be_inside_is_refused_when_it_is_connected_to(
    game: Game, world: World, receiver: Receiver, settings: Settings
) -> None:
    # This machine's own name looks like any other, and its addresses are inside.
    name = socket.gethostname()
    with listening("0.0.0.0") as inside:
        services.create_endpoint(url=inside.url.replace("0.0.0.0", name), types=["points.changed"])
        event()
        world.settle()
        assert not inside.received
        assert "must be a public address" in DeliveryAttempt.objects.get().error

        settings.WEBHOOK_ALLOWED_HOSTS = {name.lower()}
        world.later(seconds=7)
        assert sequences(inside.received) == [1]


def test_an_address_that_is_no_longer_allowed_is_refused_when_it_is_connected_to(
    game: Game, world: World, receiver: Receiver, settings: Settings
) -> None:
    subscribe(receiver)
    settings.WEBHOOK_ALLOWED_HOSTS = set()
    event()
    world.settle()
    assert not receiver.received
    assert DeliveryAttempt.objects.get().error.startswith("The address must be a public address")


# --- Secrets ---------------------------------------------------------------------------------------------------------
def test_secrets_are_encrypted_at_rest(receiver: Receiver, settings: Settings) -> None:
    endpoint, secret = subscribe(receiver)
    assert secret.startswith("whsec_")
    assert secret not in json.dumps(list(Endpoint.objects.values()), default=str)
    assert endpoint.signing_secrets == (secret,)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the app"
    assert endpoint.signing_secrets == (secret,)


def test_while_a_secret_is_rotated_the_old_one_and_the_new_one_verify(
    game: Game, world: World, receiver: Receiver
) -> None:
    endpoint, old = subscribe(receiver)
    new = services.rotate_secret(endpoint=endpoint)
    event()
    world.settle()
    (both,) = receiver.received
    for secret in (old, new):
        Webhook(secret).verify(both.body, both.headers)
    plain = hmac.new(old.encode(), both.body, hashlib.sha256).digest()
    assert both.headers["X-Trophy-Signature"] == base64.b64encode(plain).decode()

    services.finish_rotation(endpoint=endpoint)
    event()
    world.settle()
    after = receiver.received[1]
    Webhook(new).verify(after.body, after.headers)
    assert after.headers["webhook-signature"].count("v1,") == 1
    with pytest.raises(ValidationError, match="only one secret"):
        services.finish_rotation(endpoint=endpoint)


def test_create_webhook_prints_the_secret_alone_on_the_last_line(
    game: Game, world: World, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("create_webhook", receiver.url, types="points.changed,streak.lost")
    secret = capsys.readouterr().out.splitlines()[-1]
    event()
    world.settle()
    Webhook(secret).verify(receiver.received[0].body, receiver.received[0].headers)
    assert Endpoint.objects.get().types == ["points.changed", "streak.lost"]
    with pytest.raises(CommandError, match=r"types must be some of .*, not points.chnged"):
        call_command("create_webhook", receiver.url, types="points.chnged")


# --- Collapsing ------------------------------------------------------------------------------------------------------
def test_points_changes_are_told_once_per_user_and_system_when_the_window_closes(
    game: Game, world: World, receiver: Receiver
) -> None:
    game.trigger(points=1, system=game.energy)
    subscribe(receiver, "points.changed", "streak.started", collapse_minutes=15)
    events(3, "alice")
    event("bob")
    world.settle()
    assert [each.json["type"] for each in receiver.received] == ["streak.started"] * 2
    world.later(minutes=14)
    event("alice")
    world.settle()
    assert len(receiver.received) == 2
    world.later(minutes=1.1)

    told = {
        (each.json["user"]["id"], each.json["points"]["key"]): each.json["points"]
        for each in receiver.received
        if each.json["type"] == "points.changed"
    }
    assert {key: (points["total"], points["added"], len(points["awards"])) for key, points in told.items()} == {
        ("alice", "xp"): (40, 40, 4),
        ("bob", "xp"): (10, 10, 1),
        ("alice", "energy"): (4, 4, 4),
        ("bob", "energy"): (1, 1, 1),
    }
    for each in receiver.of("alice"):
        PAYLOADS[each.json["type"]].model_validate(each.json)
    numbers = sequences(receiver.of("alice"))
    assert numbers == sorted(set(numbers))
    assert len(receiver.received) == 6
    event("alice")
    world.settle()
    world.later(minutes=16)
    assert len(receiver.received) == 8


def test_each_endpoint_has_its_own_way(game: Game, world: World, receiver: Receiver) -> None:
    with listening() as other:
        subscribe(other, "points.changed")
        subscribe(receiver, "points.changed", collapse_minutes=1)
        events(3)
        world.settle()
        assert (len(other.received), len(receiver.received)) == (3, 0)
        world.later(minutes=1.1)
        assert (len(other.received), len(receiver.received)) == (3, 1)


# --- Afterwards ------------------------------------------------------------------------------------------------------
def test_replaying_sends_again_under_the_same_ids_in_order(game: Game, world: World, receiver: Receiver) -> None:
    endpoint, _ = subscribe(receiver)
    events(3)
    world.settle()
    first, receiver.received = receiver.received, []

    assert services.replay(deliveries=Delivery.objects.all(), now=timezone.now()) == 3
    world.settle()
    assert sequences(receiver.received) == [1, 2, 3]
    assert [each.json for each in receiver.received] == [each.json for each in first]
    assert services.replay_failed(endpoint=endpoint, since=timezone.now() - timedelta(days=1), now=timezone.now()) == 0


def test_all_that_failed_since_is_replayed_once(game: Game, world: World, receiver: Receiver) -> None:
    endpoint, _ = subscribe(receiver)
    receiver.answer = status(410)
    for number in range(3):
        event(f"user-{number}")
    world.settle()
    assert Delivery.objects.filter(status="failed").count() == 3
    receiver.answer, receiver.received = status(200), []
    services.enable(endpoint=Endpoint.objects.get())
    since = timezone.now() - timedelta(hours=1)
    assert services.replay_failed(endpoint=endpoint, since=since, now=timezone.now()) == 3
    world.settle()
    assert len(receiver.received) == 3
    assert services.replay_failed(endpoint=endpoint, since=since, now=timezone.now()) == 0


def test_a_test_message_arrives_and_is_in_nobodys_order(game: Game, world: World, receiver: Receiver) -> None:
    endpoint, secret = subscribe(receiver)
    services.send_test(endpoint=endpoint)
    world.settle()
    (sent,) = receiver.received
    assert Webhook(secret).verify(sent.body, sent.headers)["type"] == "endpoint.test"
    assert "sequence" not in sent.json


def test_the_log_is_kept_for_thirty_days_but_for_what_is_still_to_be_sent(
    game: Game, world: World, receiver: Receiver
) -> None:
    subscribe(receiver)
    events(2)
    world.settle()
    receiver.answer = status(500)
    event()
    world.settle()
    assert services.prune_log(timezone.now() + timedelta(days=29)) == 0
    services.prune_log(timezone.now() + timedelta(days=31))
    assert Delivery.objects.get().status == "ready"
    assert OutboxMessage.objects.get().sequence == 3
    assert DeliveryAttempt.objects.count() == 1


def test_a_disabled_endpoint_gets_what_waited_when_it_is_enabled(game: Game, world: World, receiver: Receiver) -> None:
    endpoint, _ = subscribe(receiver)
    events(2)
    services.disable(endpoint=endpoint)
    world.settle()
    assert not receiver.received
    with pytest.raises(ValidationError, match="is not active"):
        services.disable(endpoint=endpoint)


def test_an_endpoint_is_checked_again_when_its_address_changes(receiver: Receiver) -> None:
    endpoint, _ = subscribe(receiver)
    with pytest.raises(ValidationError):
        update_checked(endpoint, url="http://10.0.0.1/")


def test_positions_are_given_after_commit_in_one_order(game: Game, world: World, receiver: Receiver) -> None:
    subscribe(receiver)
    in_parallel(4, lambda number: events(10, f"user-{number}"))
    world.settle()
    positions = list(OutboxMessage.objects.order_by("position").values_list("position", flat=True))
    assert positions == list(range(1, 41))
    with connection.cursor() as cursor:
        cursor.execute("SELECT position FROM webhooks_sequencer")
        assert cursor.fetchone() == (40,)


def test_a_secret_that_cannot_be_read_any_more_is_that_endpoints_trouble_alone(
    game: Game, world: World, receiver: Receiver, settings: Settings
) -> None:
    lost, _ = subscribe(receiver)
    settings.SECRET_KEY = "another key of the app"
    with listening() as other:
        subscribe(other)
        event()
        world.settle()
        assert (len(receiver.received), len(other.received)) == (0, 1)
    assert "another SECRET_KEY" in DeliveryAttempt.objects.get(delivery__endpoint=lost).error

    services.rotate_secret(endpoint=lost)
    world.later(seconds=7)
    assert sequences(receiver.received) == [1]


def test_what_was_collapsed_waits_where_the_endpoint_was_disabled_meanwhile(
    game: Game, world: World, receiver: Receiver
) -> None:
    endpoint, _ = subscribe(receiver, collapse_minutes=1)
    events(2)
    world.settle()
    services.disable(endpoint=endpoint)
    world.later(minutes=2)
    assert not receiver.received
    services.enable(endpoint=endpoint)
    world.settle()
    assert [each.json["points"]["added"] for each in receiver.received] == [20]


def test_410_disables_whatever_else_arrived_at_the_same_moment(game: Game, world: World, receiver: Receiver) -> None:
    def refuse_alice(handler: Any, received: Received) -> None:
        status(410 if received.json["user"]["id"] == "alice" else 200)(handler, received)

    receiver.answer = refuse_alice
    endpoint, _ = subscribe(receiver)
    for user in ("alice", "bob", "charlie"):
        event(user)
    world.settle()
    endpoint.refresh_from_db()
    assert endpoint.status == "disabled"


def test_a_window_that_nobody_wants_any_more_is_told_at_once_and_nothing_older_follows(
    game: Game, world: World, receiver: Receiver
) -> None:
    endpoint, _ = subscribe(receiver, collapse_minutes=15)
    events(2)
    world.settle()
    update_checked(endpoint, collapse_minutes=0)
    events(2)
    world.settle()
    world.later(seconds=1)
    events(1)
    world.later(minutes=16)
    totals = [each.json["points"]["total"] for each in receiver.received]
    assert totals == sorted(totals)
    assert totals[-1] == 50
    assert sum(each.json["points"]["added"] for each in receiver.received) == 50


def test_numbers_in_messages_are_exact(game: Game, world: World, receiver: Receiver) -> None:
    subscribe(receiver, "achievement.completed")
    value = Decimal("1234567890.123456789")
    goal: dict[str, Any] = {"type": "metric", "metric": game.lessons, "metric_value": value, "status": "active"}
    create_achievement(name="Far", **goal)
    process([EventInput(UserChanges("alice"), "lessons", Decimal(1234567891))])
    world.settle()
    assert b"1234567890.123456789" in receiver.received[0].body


def test_two_operators_who_replay_at_once_have_each_message_sent_once(
    game: Game, world: World, receiver: Receiver
) -> None:
    subscribe(receiver)
    for number in range(20):
        event(f"user-{number}")
    world.settle()
    settled = Delivery.objects.filter(status="delivered")
    counts = in_parallel(4, lambda _: services.replay(deliveries=settled, now=timezone.now()))
    assert sum(counts) == 20
