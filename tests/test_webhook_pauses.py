"""A receiver that answers with `Retry-After` is left alone for that long, as a whole, and is then asked slowly."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from tests.conftest import Api, Game
from tests.receiver import Answer, Receiver, listening, status
from tests.test_parallel import in_parallel
from tests.test_webhooks import World, event, events, sequences, subscribe
from tests.test_webhooks_admin import HOOK, NOON
from webhooks import delivery, sequencing, services
from webhooks.delivery import IN_FLIGHT_MAX, PACE_DOUBLES_S, Claimed, Result, claim, record
from webhooks.models import Delivery, DeliveryAttempt, Endpoint, EndpointHealth
from webhooks.rules import PAUSE_MAX, asked_pause
from webhooks.watch import backlog

MINUTE = timedelta(minutes=1)


# --- What an answer asks for -----------------------------------------------------------------------------------------
@given(seconds=st.integers(min_value=1, max_value=10**12))
def test_whole_seconds_and_a_date_ask_for_the_same_pause_which_is_a_day_at_most(seconds: int) -> None:
    pause = asked_pause(429, str(seconds), NOON)
    assert pause == min(timedelta(seconds=seconds), PAUSE_MAX)
    until = NOON + timedelta(seconds=min(seconds, 10**9))
    for date in (
        format_datetime(until, usegmt=True),
        f"{until:%A, %d-%b-%y %H:%M:%S GMT}",
        f"{until:%a %b %d %H:%M:%S %Y}",
    ):
        # A year of two digits is that of the past where it would lie far ahead, which the oldest format cannot help.
        if until < NOON + timedelta(days=365) or "-" not in date:
            assert asked_pause(503, date, NOON) == pause


@given(text=st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,9} \d\d:\d\d:\d\d [+-]?\w{0,9}\Z"))
@example(text="-5")
@example(text="0")
@example(text="1.5")
@example(text="soon")
@example(text="²")
@example(text="9" * 5000)
@example(text="Mon, 01 Jan 0001 00:00:00 +2359")
@example(text="Fri, 31 Dec 9999 23:59:59 -2359")
@example(text="Mon, 01 Jan 2024 00:00:00 +99999999")
def test_whatever_else_it_says_a_pause_is_more_than_nothing_and_a_day_at_most(text: str) -> None:
    pause = asked_pause(429, text, NOON)
    assert pause is None or timedelta() < pause <= PAUSE_MAX


@pytest.mark.parametrize("text", ["", "-5", "0", "1.5", "soon", "30 seconds", format_datetime(NOON, usegmt=True)])
def test_what_cannot_be_read_is_negative_or_over_asks_for_no_pause(text: str) -> None:
    assert asked_pause(503, text, NOON) is None


@pytest.mark.parametrize(
    ("code", "asks"), [(429, True), (503, True), (500, True), (302, True), (202, False), (410, False)]
)
def test_any_answer_after_which_a_message_is_tried_again_can_ask_for_a_pause(code: int, asks: bool) -> None:
    assert (asked_pause(code, "30", NOON) is not None) == asks


# --- Real receivers --------------------------------------------------------------------------------------------------
@pytest.fixture
def receiver(settings: Settings, transactional_db: None) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOWED_HOSTS = {"127.0.0.1"}
    with listening() as found:
        yield found


@pytest.fixture
def workers(receiver: Receiver) -> Iterator[tuple[World, World]]:
    """Two workers side by side."""
    pair = World(), World()
    yield pair
    for world in pair:
        world.sender.close()


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


def busy(code: int, retry_after: str) -> Answer:
    """Return the behaviour of asking for a pause."""
    headers: dict[str, Any] = {"Retry-After": retry_after}
    return status(code, **headers)


@pytest.mark.parametrize(("code", "retry_after"), [(429, "3600"), (503, None), (500, "3600")])
def test_no_worker_sends_an_endpoint_anything_before_the_time_that_it_asked_for(
    code: int, retry_after: str | None, game: Game, receiver: Receiver, workers: tuple[World, World]
) -> None:
    game.trigger(points=10)
    one, other = workers
    receiver.answer = busy(code, retry_after or in_an_hour())
    subscribe(receiver)
    with listening() as elsewhere:
        subscribe(elsewhere)
        events(2, "alice")
        one.settle()
        assert len(receiver.received) == 1
        # Bob's message was never refused, but it is for the same endpoint.
        event("bob")
        for world in workers:
            world.later(minutes=50)
        assert len(receiver.received) == 1
        # Other endpoints have nothing to do with it.
        assert len(elsewhere.received) == 3

        receiver.answer = status(200)
        other.later(minutes=11)
        one.later(minutes=11)
    assert sequences(receiver.of("alice")) == [1, 1, 2]
    assert sequences(receiver.of("bob")) == [1]
    assert DeliveryAttempt.objects.exclude(pause_s=None).get().pause_s in range(3500, 3602)


@pytest.mark.parametrize("retry_after", ["-3600", "in an hour", "Mon, 01 Jan 2024 00:00:00 GMT"])
def test_a_retry_after_without_sense_leaves_it_at_the_usual_times(
    retry_after: str, game: Game, receiver: Receiver, workers: tuple[World, World]
) -> None:
    game.trigger(points=10)
    world, _ = workers
    receiver.answer = busy(429, retry_after)
    subscribe(receiver)
    event("alice")
    world.settle()
    receiver.answer = status(200)
    event("bob")
    world.settle()
    assert len(receiver.of("bob")) == 1
    world.later(seconds=7)
    assert len(receiver.of("alice")) == 2


# --- At given moments ------------------------------------------------------------------------------------------------
@pytest.fixture
def crm(api: Api, game: Game) -> Endpoint:
    """An endpoint for which messages of 40 users wait at noon."""
    endpoint, _ = services.create_endpoint(name="CRM", url=HOOK, types=["streak.started"])
    for number in range(40):
        api.event(f"user-{number}")
    sequencing.sequence(NOON)
    return endpoint


def answer(claimed: Claimed, code: int, at: datetime, pause: timedelta | None = None) -> Result:
    return Result(claimed, at, 12, code, pause=pause)


def test_after_a_pause_messages_come_back_one_by_one_then_more_and_more(crm: Endpoint) -> None:
    refused = claim({}, NOON)
    assert len(refused) == IN_FLIGHT_MAX
    record([answer(each, 429, NOON, 30 * MINUTE) for each in refused], NOON)
    over = NOON + 30 * MINUTE
    assert claim({}, over - timedelta(milliseconds=1)) == []

    (probe,) = claim({}, over)
    assert claim({crm.id: 1}, over + timedelta(seconds=PACE_DOUBLES_S - 1)) == []
    # Where the endpoint is not ready yet, one message has found it out.
    record([answer(probe, 429, over, MINUTE)], over)
    assert claim({}, over + MINUTE / 2) == []

    again = over + MINUTE
    at_once = [len(claim({}, again + timedelta(seconds=PACE_DOUBLES_S * step))) for step in range(6)]
    assert at_once == [1, 2, 4, 8, IN_FLIGHT_MAX, 9]


def test_of_two_pauses_the_longer_one_holds_and_a_success_beside_them_ends_none(crm: Endpoint) -> None:
    first, second, third, *_ = claim({}, NOON)
    record([answer(first, 429, NOON, 30 * MINUTE), answer(second, 200, NOON)], NOON)
    record([answer(third, 429, NOON, MINUTE)], NOON + MINUTE)
    health = EndpointHealth.objects.get()
    assert (health.paused_until, health.failing_since) == (NOON + 30 * MINUTE, NOON + MINUTE)
    assert claim({}, NOON + 29 * MINUTE) == []


def test_a_refused_message_waits_for_the_later_of_its_own_time_and_the_pause(crm: Endpoint) -> None:
    first, second, *_ = claim({}, NOON)
    record([answer(first, 429, NOON, timedelta(seconds=1)), answer(second, 429, NOON, MINUTE)], NOON)
    own, pause = (Delivery.objects.get(id=each.delivery).next_attempt_at for each in (first, second))
    assert own is not None
    assert timedelta(seconds=5) <= own - NOON <= timedelta(seconds=6)
    assert pause == NOON + MINUTE


def test_an_endpoint_that_asks_for_pauses_for_five_days_is_disabled_as_any_that_fails(crm: Endpoint) -> None:
    for day in range(6):
        now = NOON + timedelta(days=day)
        record([answer(each, 503, now, PAUSE_MAX) for each in claim({}, now)], now)
        crm.refresh_from_db()
        assert crm.status == ("active" if day < 5 else "disabled")
    # Whoever enables it has seen to it: nothing is left of the pause.
    services.enable(endpoint=crm)
    assert len(claim({}, now)) == IN_FLIGHT_MAX


def test_replays_and_test_messages_wait_for_the_end_of_the_pause_too(crm: Endpoint) -> None:
    delivered, refused, *_ = claim({}, NOON)
    record([answer(delivered, 200, NOON), answer(refused, 429, NOON, 30 * MINUTE)], NOON)
    assert services.replay(deliveries=Delivery.objects.filter(id=delivered.delivery), now=NOON) == 1
    services.send_test(endpoint=crm)
    sequencing.sequence(NOON)
    assert claim({}, NOON + 29 * MINUTE) == []


@pytest.mark.django_db(transaction=True)
def test_operators_who_retry_while_workers_claim_have_nothing_sent_twice(crm: Endpoint) -> None:
    refused = [*claim({}, NOON), *claim({}, NOON), *claim({}, NOON)]
    record([answer(each, 500, NOON) for each in refused], NOON)
    of_crm = Delivery.objects.filter(endpoint=crm)

    def work(number: int) -> list[int]:
        if number % 2:
            services.retry_now(deliveries=of_crm, now=NOON + MINUTE / 60)
            return []
        return [each.delivery for _ in range(3) for each in claim({}, NOON + MINUTE / 60)]

    sent = [id_ for ids in in_parallel(8, work) for id_ in ids]
    assert len(sent) == len(set(sent))
    services.retry_now(deliveries=of_crm, now=NOON + MINUTE / 60)
    sent += [each.delivery for _ in range(3) for each in claim({}, NOON + MINUTE / 60)]
    assert sorted(sent) == sorted(each.delivery for each in refused)


def test_monitoring_sees_no_backlog_that_is_overdue_in_a_pause(crm: Endpoint) -> None:
    record([answer(each, 429, NOON, 30 * MINUTE) for each in claim({}, NOON)], NOON)
    assert backlog(NOON + 29 * MINUTE).overdue_s == 0
    assert backlog(NOON + 31 * MINUTE).overdue_s == 60


def test_a_pause_is_logged_once(crm: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=delivery.__name__)
    record([answer(each, 429, NOON, 30 * MINUTE) for each in claim({}, NOON)], NOON)
    (line,) = [each.getMessage() for each in caplog.records if each.name == delivery.__name__]
    assert line == f"Endpoint {crm.id} asked for a pause: nothing is sent to it before 2026-03-10 12:30:00+00:00."
