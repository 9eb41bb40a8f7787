"""Webhooks in the admin: endpoints whose secrets are shown once, and a log of what was sent that can be replayed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks import Webhook

from core.form_fields import MOMENT
from core.services import archive
from tests.conftest import Api, Game
from tests.test_admin import text_of
from webhooks import delivery, sequencing, services
from webhooks.models import Delivery, DeliveryAttempt, Endpoint, EndpointHealth, MessageType, OutboxMessage
from webhooks.rules import signed_headers
from webhooks.secrets import reveal

ENDPOINTS = "/admin/webhooks/endpoint/"
LOG = "/admin/webhooks/delivery/"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOOK = "https://example.com/hook"


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


@pytest.fixture
def endpoint(db: None) -> Endpoint:
    """An endpoint that wants everything."""
    return services.create_endpoint(name="CRM", url=HOOK, types=list(MessageType.values))[0]


def endpoint_form(**fields: Any) -> dict[str, Any]:
    """Return what a browser sends to add an endpoint."""
    return {"name": "CRM", "url": HOOK, "types": ["points.changed", "streak.lost"], "collapse_minutes": "0"} | fields


def shown_secret(answer: Any) -> str:
    found = re.search(r"id='new-secret'[^>]*>(whsec_[^<]+)<", answer.content.decode())
    assert found
    return found[1]


def act(client: Client, action: str, row: Endpoint | Delivery, **fields: str) -> Any:
    """Answer the dialog of an action on one row, and return the page that the browser then goes to."""
    model = "endpoint" if isinstance(row, Endpoint) else "delivery"
    answer = client.post(f"/admin/webhooks/{model}/{row.pk}/{action}/", {"_form_submitted": "True"} | fields)
    assert answer.status_code == 200
    return client.get(answer.headers["HX-Redirect"]) if "HX-Redirect" in answer.headers else answer


def deliver(
    status_code: int | None = 200,
    *,
    at: datetime | None = None,
    answer: str = "",
    error: str = "",
    pause: timedelta | None = None,
) -> int:
    """Have everything that is due answered so, as a worker would; return how much that was."""
    now, done = at or timezone.now(), 0
    sequencing.sequence(now)
    while claimed := delivery.claim({}, now):
        results = [delivery.Result(each, now, 12, status_code, answer, error, pause) for each in claimed]
        delivery.record(results, now)
        done += len(claimed)
    return done


def claimed_in_order(now: datetime) -> list[delivery.Claimed]:
    """Claim everything that is due, the oldest first."""
    return sorted(delivery.claim({}, now), key=lambda claimed: claimed.delivery)


def give_up(at: datetime | None = None) -> None:
    """Have everything that is due refused for good."""
    deliver(410, at=at)
    Endpoint.objects.filter(status="disabled").update(status="active")


# --- Endpoints -------------------------------------------------------------------------------------------------------
def test_a_new_endpoint_s_secret_is_shown_once_signs_and_is_kept_encrypted(operator: Client) -> None:
    added = operator.post(f"{ENDPOINTS}add/", endpoint_form(), follow=True)

    secret = shown_secret(added)
    endpoint = Endpoint.objects.get()
    assert endpoint.signing_secrets == (secret,)
    assert (endpoint.types, endpoint.status) == (["points.changed", "streak.lost"], "active")
    page = f"{ENDPOINTS}{endpoint.id}/"
    for url in (ENDPOINTS, f"{page}change/", f"{page}history/", "/admin/", LOG):
        text = operator.get(url).content.decode()
        assert "whsec_" not in text
        assert endpoint.secret not in text
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM webhooks_endpoint e WHERE e::text LIKE %s", [f"%{secret[6:]}%"])
        assert cursor.fetchone() == (0,)


def test_a_feed_has_no_secret_to_show(operator: Client) -> None:
    added = operator.post(f"{ENDPOINTS}add/", endpoint_form(url=""), follow=True)
    assert "whsec_" not in added.content.decode()
    assert f"Read it with endpoint= {Endpoint.objects.get().id}" in text_of(added)
    page = text_of(operator.get(f"{ENDPOINTS}{Endpoint.objects.get().id}/change/"))
    assert f"GET /admin-api/v1/webhook-events?endpoint={Endpoint.objects.get().id}" in page
    for action in ("Send test event", "Rotate secret", "Replay all failed"):
        assert action not in page


BAD_ENDPOINTS: dict[str, tuple[dict[str, Any], str]] = {
    "an address inside the network": ({"url": "https://10.0.0.1/hook"}, "must be a public address"),
    "the address of the cloud's metadata": ({"url": "http://169.254.169.254/latest"}, "must be a public address"),
    "a name of this machine": ({"url": "https://localhost/hook"}, "must be a public address"),
    "no address at all": ({"url": "example"}, "must be an address such as https://example.com/hooks."),
    "a login": ({"url": "https://me:secret@example.com"}, "must have no login: messages are signed instead."),
    "no types": ({"types": []}, "This field is required."),
    "an unknown type": ({"types": ["points.gone"]}, "points.gone is not one of the available choices."),
    "a window of more than a day": ({"collapse_minutes": "1441"}, "less than or equal to 1440"),
}


@pytest.mark.parametrize("case", BAD_ENDPOINTS)
def test_an_endpoint_is_refused_with(case: str, operator: Client) -> None:
    fields, sentence = BAD_ENDPOINTS[case]
    answer = operator.post(f"{ENDPOINTS}add/", endpoint_form(**fields))
    assert answer.status_code == 200
    assert sentence in text_of(answer)
    assert not Endpoint.objects.exists()


def test_editing_an_endpoint_leaves_its_secret(operator: Client, endpoint: Endpoint) -> None:
    form = endpoint_form(name="Billing", types=["streak.lost"], collapse_minutes="15")
    assert operator.post(f"{ENDPOINTS}{endpoint.id}/change/", form).status_code == 302
    changed = Endpoint.objects.get()
    assert (changed.name, changed.types, changed.collapse_minutes) == ("Billing", ["streak.lost"], 15)
    assert changed.secret == endpoint.secret


@pytest.mark.parametrize(
    ("stored", "form", "sentence"),
    [
        ({"url": HOOK}, {"url": ""}, "cannot be taken from an endpoint, nor given to a feed"),
        ({"url": ""}, {}, "cannot be taken from an endpoint, nor given to a feed"),
        ({"url": ""}, {"url": "", "collapse_minutes": "5"}, "cannot be turned on or off for a feed"),
        ({"url": "", "collapse_minutes": 5}, {"url": ""}, "cannot be turned on or off for a feed"),
    ],
)
def test_a_feed_stays_a_feed(stored: dict[str, Any], form: dict[str, Any], sentence: str, operator: Client) -> None:
    endpoint, _ = services.create_endpoint(types=["points.changed"], **stored)
    answer = operator.post(f"{ENDPOINTS}{endpoint.id}/change/", endpoint_form(**form))
    assert answer.status_code == 200
    assert sentence in text_of(answer)
    unchanged = Endpoint.objects.get()
    assert (unchanged.url, unchanged.collapse_minutes) == (endpoint.url, endpoint.collapse_minutes)


def test_the_list_shows_types_status_and_how_much_waits(operator: Client, api: Api, game: Game) -> None:
    services.create_endpoint(name="CRM", url=HOOK, types=list(MessageType.values))
    services.create_endpoint(name="Mail", url=f"{HOOK}?mail", types=["streak.started"], collapse_minutes=15)
    for user in ("alice", "bob"):
        api.event(user)
    deliver(500, at=NOON)
    page = text_of(operator.get(ENDPOINTS))
    assert re.search(r"CRM https://example.com/hook all Failing since 2026-03-10 12:00 no 2 ", page)
    assert re.search(r"Mail https://example.com/hook\?mail Streak started Failing since .{16} 15 min 2 ", page)


def test_a_test_event_is_sent_and_found_in_the_log(operator: Client, endpoint: Endpoint) -> None:
    page = act(operator, "send_test_one", endpoint)
    link = re.search(rf"href='({LOG}[^']*)'>The log</a>", page.content.decode())
    assert link
    assert deliver() == 1
    log = text_of(operator.get(link[1].replace("&amp;", "&")))
    assert re.search(r"CRM Test Delivered 200", log)
    assert OutboxMessage.objects.get().endpoint == endpoint


@pytest.mark.parametrize("fields", [{"status": "disabled"}, {"status": "archived"}, {"url": ""}])
def test_no_test_event_goes_where_nothing_is_sent(fields: dict[str, str], operator: Client, endpoint: Endpoint) -> None:
    Endpoint.objects.update(**fields)
    page = operator.get(f"{ENDPOINTS}{endpoint.id}/change/")
    assert "Send test event" not in text_of(page)
    assert "is sent nothing" in text_of(act(operator, "send_test_one", endpoint))
    assert not OutboxMessage.objects.exists()


def test_a_secret_is_rotated_with_an_overlap(operator: Client, endpoint: Endpoint) -> None:
    (old,) = endpoint.signing_secrets
    first = shown_secret(act(operator, "rotate_one", endpoint))
    second = shown_secret(act(operator, "rotate_one", endpoint))
    assert len({old, first, second}) == 3
    # What receivers have is the old one, until they are given the last that was shown.
    assert Endpoint.objects.get().signing_secrets == (second, old)
    change = f"{ENDPOINTS}{endpoint.id}/change/"
    page = operator.get(change).content.decode()
    assert "Two secrets sign what is sent." in page
    assert "whsec_" not in page

    assert "Only the new secret" in text_of(act(operator, "finish_rotation_one", endpoint))
    assert Endpoint.objects.get().signing_secrets == (second,)
    assert "Finish rotation" not in text_of(operator.get(change))
    assert "there is no rotation to finish" in text_of(act(operator, "finish_rotation_one", endpoint))


def test_both_secrets_verify_during_a_rotation(endpoint: Endpoint) -> None:
    (old,) = endpoint.signing_secrets
    new = services.rotate_secret(endpoint=endpoint)
    services.send_test(endpoint=endpoint)
    sequencing.sequence(timezone.now())
    (claimed,) = delivery.claim({}, timezone.now())
    headers = signed_headers(
        [reveal(each) for each in claimed.secrets], claimed.message_id, datetime.now(UTC), claimed.body
    )
    for secret in (old, new):
        assert Webhook(secret).verify(claimed.body, headers)["type"] == "endpoint.test"


def test_a_feed_has_no_secret_to_rotate(operator: Client) -> None:
    feed, _ = services.create_endpoint(types=["points.changed"])
    assert "nothing that it tells is signed" in text_of(act(operator, "rotate_one", feed))
    assert Endpoint.objects.get().old_secret == ""


def test_an_operator_disables_and_enables_an_endpoint(operator: Client, endpoint: Endpoint) -> None:
    change = f"{ENDPOINTS}{endpoint.id}/change/"
    assert "1 disabled." in text_of(act(operator, "disable_one", endpoint))
    assert "It is disabled and gets nothing. An operator disabled it." in text_of(operator.get(change))
    assert "is not active: it stays as it is" in text_of(act(operator, "disable_one", endpoint))
    # Whoever did it knows of it.
    assert "Webhooks in trouble" not in text_of(operator.get("/admin/"))

    assert "1 enabled." in text_of(act(operator, "enable_one", endpoint))
    assert "disabled" not in text_of(operator.get(change))
    assert "is not disabled: it stays as it is" in text_of(act(operator, "enable_one", endpoint))


def test_enabling_says_why_an_address_is_not_allowed_any_more(operator: Client, endpoint: Endpoint) -> None:
    Endpoint.objects.update(status="disabled", url="https://10.0.0.1/hook")
    page = text_of(act(operator, "enable_one", endpoint))
    assert "«CRM» cannot be enabled: must be a public address" in page
    assert Endpoint.objects.get().status == "disabled"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda: deliver(410), "It answered 410: it is gone."),
        (lambda: deliver(500, at=NOON), "It has been failing since 2026-03-10 12:00 UTC"),
        (
            lambda: (
                EndpointHealth.objects.create(endpoint=Endpoint.objects.get(), failing_since=NOON - timedelta(days=5)),
                deliver(None, at=NOON, error="ConnectError"),
            ),
            "It failed for 5 days.",
        ),
    ],
)
def test_the_home_page_tells_of_endpoints_in_trouble(
    change: Callable[[], Any], sentence: str, operator: Client, endpoint: Endpoint, api: Api, game: Game
) -> None:
    assert "Webhooks in trouble" not in text_of(operator.get("/admin/"))
    api.event("alice")
    change()
    for page in ("/admin/", f"{ENDPOINTS}{endpoint.id}/change/"):
        assert sentence in text_of(operator.get(page))
    Endpoint.objects.update(status="disabled")
    services.enable(endpoint=Endpoint.objects.get())
    assert "Webhooks in trouble" not in text_of(operator.get("/admin/"))


def test_a_pause_that_an_endpoint_asked_for_is_told_wherever_it_is_shown_until_it_is_over(
    operator: Client, endpoint: Endpoint, api: Api, game: Game
) -> None:
    api.event("alice")
    deliver(429, at=NOON, pause=timedelta(minutes=30))
    with time_machine.travel(NOON + timedelta(minutes=29), tick=False):
        sentence = "asked for a pause (Retry-After): nothing is sent to it before 2026-03-10 12:30 UTC."
        for page in ("/admin/", f"{ENDPOINTS}{endpoint.id}/change/"):
            assert sentence in text_of(operator.get(page))
        assert "Paused until 2026-03-10 12:30" in text_of(operator.get(ENDPOINTS))
        sent = text_of(act(operator, "send_test_one", endpoint))
        assert "The test event goes out after the pause, at 2026-03-10 12:30 UTC." in sent
    refused = Delivery.objects.get()
    assert "429, asked for a pause of 1,800 s" in text_of(operator.get(f"{LOG}{refused.id}/change/"))
    with time_machine.travel(NOON + timedelta(minutes=31), tick=False):
        assert "Failing since 2026-03-10 12:00" in text_of(operator.get(ENDPOINTS))
        assert "asked for a pause" not in text_of(operator.get("/admin/"))


def test_an_archived_endpoint_comes_back_disabled(operator: Client, endpoint: Endpoint) -> None:
    act(operator, "archive_one", endpoint)
    assert Endpoint.objects.get().status == "archived"
    form = {"action": "restore_selected", "_selected_action": str(endpoint.id)}
    operator.post(f"{ENDPOINTS}?archived=only", form)
    assert Endpoint.objects.get().status == "disabled"


def test_who_may_only_look_changes_nothing_and_sees_no_secret(api: Api, game: Game, endpoint: Endpoint) -> None:
    api.event("alice")
    deliver()
    viewer, stranger = (User.objects.create_user(name, is_staff=True) for name in ("victor", "stan"))
    viewer.user_permissions.set(Permission.objects.filter(codename__in=("view_endpoint", "view_delivery")))
    victor, stan = Client(), Client()
    victor.force_login(viewer)
    stan.force_login(stranger)
    (sent, *_) = Delivery.objects.all()
    for page in (ENDPOINTS, f"{ENDPOINTS}{endpoint.id}/change/", LOG, f"{LOG}{sent.id}/change/"):
        assert stan.get(page).status_code == 403
        answer = victor.get(page)
        assert answer.status_code == 200
        assert endpoint.secret not in answer.content.decode()
        assert not re.search("_one/|_selected|Save", answer.content.decode())
    before = (Endpoint.objects.values().get(), Delivery.objects.count())
    for action in ("send_test_one", "rotate_one", "finish_rotation_one", "enable_one", "disable_one", "archive_one"):
        url = f"{ENDPOINTS}{endpoint.id}/{action}/"
        assert victor.post(url, {"_form_submitted": "True"}).status_code == 403
    for url in (
        f"{LOG}{sent.id}/replay_one/",
        f"{LOG}{sent.id}/retry_one/",
        f"{ENDPOINTS}{endpoint.id}/retry_now_one/",
    ):
        assert victor.post(url, {"_form_submitted": "True"}).status_code == 403
    assert (Endpoint.objects.values().get(), Delivery.objects.count()) == before
    EndpointHealth.objects.update_or_create(endpoint=endpoint, defaults={"failing_since": NOON})
    assert "Webhooks in trouble" in text_of(victor.get("/admin/"))
    assert "Webhooks in trouble" not in text_of(stan.get("/admin/"))


# --- The log ---------------------------------------------------------------------------------------------------------
def rows_of(answer: Any) -> int:
    """Return how many rows a list shows."""
    return int(answer.content.decode().count("field-shown_created"))


def test_the_log_is_found_by_endpoint_type_user_status_and_message(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    other, _ = services.create_endpoint(name="Mail", url=f"{HOOK}?mail", types=["streak.started"])
    game.trigger(points=10)
    for user in ("alice", "bob"):
        api.event(user)
    deliver()
    api.event("alice")
    deliver(500)
    changed = OutboxMessage.objects.filter(type="points.changed").first()
    assert changed
    counts = {
        "": 7,
        f"endpoint__id__exact={other.id}": 2,
        "type__exact=streak.started": 4,
        f"type__exact=streak.started&endpoint__id__exact={endpoint.id}": 2,
        "state=delivered": 6,
        "state=failing": 1,
        "state=failing&type__exact=streak.started": 0,
        "state=new": 0,
        "q=alice": 4,
        "q=alic": 0,
        "q=alice&type__exact=points.changed": 2,
        f"q={changed.id}": 1,
        f"q={other.id}": 0,
    }
    for query, count in counts.items():
        answer = operator.get(f"{LOG}?{query}")
        assert (query, rows_of(answer)) == (query, count)


def test_the_log_asks_as_much_for_a_full_page_as_for_one_row(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            operator.get(LOG)
        assert not any("count(" in query["sql"].lower() for query in captured)
        return len(captured)

    api.event("alice")
    deliver(500)
    statements()
    one = statements()
    for number in range(60):
        api.event(f"user-{number}")
    deliver(500)
    assert rows_of(operator.get(LOG)) == 50
    assert statements() == one


def test_a_delivery_shows_the_body_that_is_sent_and_every_try(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    api.event("alice")
    sequencing.sequence(NOON)
    (claimed,) = delivery.claim({}, NOON)
    delivery.record([delivery.Result(claimed, NOON, 1234, 503, "<h1>busy</h1>" + "x" * 60_000)], NOON)
    deliver(None, at=NOON + timedelta(minutes=1), error="ConnectError: refused")
    sent = Delivery.objects.get()

    answer = operator.get(f"{LOG}{sent.id}/change/")

    page = text_of(answer)
    assert re.search(r"1 2026-03-10 12:00:00 1,234 ms 503 &lt;h1&gt;busy&lt;/h1&gt;x{900,990} ", page)
    assert "2 2026-03-10 12:01:00 12 ms none ConnectError: refused" in page
    assert len(answer.content) < 100_000
    body = re.search(r'<pre id="body"[^>]*>(.*?)</pre>', answer.content.decode(), re.DOTALL)
    assert body
    shown = "".join(line.strip() for line in body[1].replace("&quot;", '"').splitlines())
    assert shown.replace('": ', '":') == claimed.body
    assert '"sequence":1' in claimed.body
    assert "ConnectError: refused" in text_of(operator.get(LOG))


def test_nobody_adds_changes_or_deletes_what_is_logged(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    api.event("alice")
    deliver(500)
    before = list(Delivery.objects.values())
    change = f"{LOG}{before[0]['id']}/change/"
    assert operator.get(f"{LOG}add/").status_code == 403
    assert operator.post(f"{LOG}{before[0]['id']}/delete/", {"post": "yes"}).status_code == 403
    operator.post(change, {"status": "delivered", "attempts": "0"})
    assert list(Delivery.objects.values()) == before
    assert not re.search("Save|Delete", text_of(operator.get(change)))


def test_what_was_sent_is_replayed_under_the_same_id(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    api.event("alice")
    deliver()
    sent = Delivery.objects.get()
    assert "1 message is delivered once more." in text_of(act(operator, "replay_one", sent))
    # A second click while it is on its way changes nothing.
    assert "Nothing to replay" in text_of(act(operator, "replay_one", sent))
    (claimed,) = delivery.claim({}, timezone.now())
    assert claimed.message_id == str(sent.message.id)
    assert Delivery.objects.count() == 2


def test_many_are_replayed_in_the_order_of_each_user_once_each(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    game.trigger(points=10)
    api.event("alice")
    deliver()
    first = Delivery.objects.order_by("id").first()
    assert first
    # The first message was sent once more already, so the newest of its rows is the newest of all.
    act(operator, "replay_one", first)
    deliver()
    every = [str(id_) for id_ in Delivery.objects.values_list("id", flat=True)]
    assert len(every) == 3
    form = {"action": "replay_selected", "_selected_action": every}
    page = operator.post(LOG, form, follow=True)
    assert "2 messages are delivered once more." in text_of(page)
    replayed = Delivery.objects.exclude(id__in=every).order_by("id")
    assert [(each.status, each.message.sequence) for each in replayed] == [("ready", 1), ("waiting", 2)]


def test_the_log_says_what_becomes_of_each_message_and_when(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    game.trigger(points=10)
    for user in ("alice", "bob", "charlie"):
        api.event(user)
    sequencing.sequence(NOON)
    alice, bob, _ = claimed_in_order(NOON)
    delivery.record([delivery.Result(alice, NOON, 12, 500), delivery.Result(bob, NOON, 12, 200)], NOON)

    def words(user: str, type_: str = "streak.started") -> str:
        page = operator.get(f"{LOG}{Delivery.objects.get(user__external_id=user, type=type_).id}/change/")
        return text_of(page)

    with time_machine.travel(NOON + timedelta(seconds=2), tick=False):
        log = text_of(operator.get(LOG))
        failing = "tried once, next 12:00 UTC"
        assert f"Failing {failing}" in log
        assert f"Failing {failing}" in words("alice")
        waits = f"Waiting for an earlier message of this user, which is failing, {failing}"
        assert waits in log
        assert waits in words("alice", "points.changed")
        assert "Delivered" in words("bob")
        assert "Due now" in words("bob", "points.changed")
        assert "Being sent" in words("charlie")
        assert "for an earlier message of this user, which is being sent" in words("charlie", "points.changed")
        assert "Ready" not in log

    deliver(500, at=NOON + timedelta(minutes=1))
    deliver(500, at=NOON + timedelta(minutes=3))
    with time_machine.travel(NOON + timedelta(minutes=3), tick=False):
        assert re.search(r"Failing tried 3 times, next 12:0[89] UTC", words("alice"))
        trouble = text_of(operator.get(f"{ENDPOINTS}{endpoint.id}/change/"))
        assert re.search(r"messages are tried again, next 12:0\d UTC, and others wait", trouble)
    give_up(at=NOON + timedelta(days=1))
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        assert "Given up tried 4 times" in words("alice")
        deliver(503, at=NOON + timedelta(days=1), pause=timedelta(hours=13))
        assert "Failing tried once, next 2026-03-12 01:00 UTC" in words("alice", "points.changed")
        Endpoint.objects.update(status="disabled")
        assert "On hold its endpoint is disabled" in words("alice", "points.changed")


def test_the_filters_of_the_log_list_what_it_says(operator: Client, api: Api, game: Game, endpoint: Endpoint) -> None:
    game.trigger(points=10)
    for user in ("alice", "bob"):
        api.event(user)
    sequencing.sequence(NOON)
    alice, bob = claimed_in_order(NOON)
    delivery.record([delivery.Result(alice, NOON, 12, 500), delivery.Result(bob, NOON, 12, 410)], NOON)
    counts = {"on_hold": 3, "given_up": 1, "failing": 0, "waiting": 0, "new": 0, "delivered": 0}
    assert {kind: rows_of(operator.get(f"{LOG}?state={kind}")) for kind in counts} == counts
    Endpoint.objects.update(status="active")
    counts = {"on_hold": 0, "given_up": 1, "failing": 1, "waiting": 1, "new": 1, "delivered": 0}
    assert {kind: rows_of(operator.get(f"{LOG}?state={kind}")) for kind in counts} == counts


@time_machine.travel(NOON, tick=False)
def test_a_failing_message_is_retried_now(operator: Client, api: Api, game: Game, endpoint: Endpoint) -> None:
    game.trigger(points=10)
    api.event("alice")
    deliver(500)
    failing, waiting = Delivery.objects.order_by("id")
    assert delivery.claim({}, timezone.now()) == []
    assert "Retry now" in text_of(operator.get(f"{LOG}{failing.id}/change/"))
    assert "Retry now" not in text_of(operator.get(f"{LOG}{waiting.id}/change/"))
    assert "goes out after the user's message before it" in text_of(act(operator, "retry_one", waiting))

    assert "1 message is tried now." in text_of(act(operator, "retry_one", failing))
    (claimed,) = delivery.claim({}, timezone.now())
    assert (claimed.delivery, claimed.number) == (failing.id, 2)
    # It is on its way: a second click must not have it sent twice.
    assert "Nothing to retry" in text_of(act(operator, "retry_one", failing))
    assert delivery.claim({}, timezone.now()) == []


@time_machine.travel(NOON, tick=False)
def test_chosen_messages_and_all_of_an_endpoint_are_retried_now(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    for user in ("alice", "bob", "charlie"):
        api.event(user)
    deliver(500)
    *chosen, _ = Delivery.objects.order_by("id").values_list("id", flat=True)
    form = {"action": "retry_selected", "_selected_action": [str(id_) for id_ in chosen]}
    assert "2 messages are tried now." in text_of(operator.post(LOG, form, follow=True))
    assert [each.delivery for each in claimed_in_order(timezone.now())] == chosen
    assert "1 message is tried now." in text_of(act(operator, "retry_now_one", endpoint))
    assert len(delivery.claim({}, timezone.now())) == 1
    assert "Nothing to retry" in text_of(act(operator, "retry_now_one", endpoint))

    Endpoint.objects.update(status="disabled")
    assert "Retry now" not in text_of(operator.get(f"{ENDPOINTS}{endpoint.id}/change/"))
    assert "«CRM» is sent nothing" in text_of(act(operator, "retry_now_one", endpoint))


@time_machine.travel(NOON, tick=False)
def test_retrying_now_ends_the_pause_that_an_endpoint_asked_for(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    for user in ("alice", "bob", "charlie"):
        api.event(user)
    sequencing.sequence(timezone.now())
    first, second, third = claimed_in_order(NOON)
    refused = delivery.Result(first, timezone.now(), 12, 429, pause=timedelta(hours=1))
    delivery.record(
        [refused, *(delivery.Result(each, timezone.now(), 12, 200) for each in (second, third))], timezone.now()
    )
    services.send_test(endpoint=endpoint)
    sequencing.sequence(timezone.now())
    paused = Delivery.objects.order_by("-id")[0]
    assert "Paused its endpoint asked for that, next" in text_of(operator.get(f"{LOG}{paused.id}/change/"))

    assert "1 message is tried now." in text_of(act(operator, "retry_one", paused))
    assert "asked for a pause" not in text_of(operator.get("/admin/"))
    assert [each.delivery for each in delivery.claim({}, timezone.now())] == [paused.id]


def test_all_that_was_given_up_since_then_is_replayed(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    for hours, user in ((0, "alice"), (30, "bob"), (40, "charlie")):
        api.event(user)
        give_up(at=NOON + timedelta(hours=hours))
    # Charlie's arrived later, by a replay.
    charlies = Delivery.objects.filter(user__external_id="charlie")
    services.replay(deliveries=charlies, now=NOON + timedelta(hours=41))
    deliver(at=NOON + timedelta(hours=41))
    with time_machine.travel(NOON + timedelta(hours=48), tick=False):
        dialog = operator.get(f"{ENDPOINTS}{endpoint.id}/replay_failed_one/").content.decode()
        assert 'value="2026-03-11T12:00"' in dialog
        page = act(operator, "replay_failed_one", endpoint, since="2026-03-11T12:00")
        assert "1 message is delivered once more." in text_of(page)
        again = text_of(act(operator, "replay_failed_one", endpoint, since="2026-03-11T12:00"))
    assert "Nothing to replay" in again
    assert Delivery.objects.get(status="ready").user == Delivery.objects.filter(user__external_id="bob")[0].user


def test_a_bad_moment_is_refused_in_the_dialog(operator: Client, api: Api, game: Game, endpoint: Endpoint) -> None:
    api.event("alice")
    give_up()
    answer = act(operator, "replay_failed_one", endpoint, since="yesterday")
    assert MOMENT in text_of(answer)
    assert Delivery.objects.count() == 1


def test_what_an_archived_endpoint_missed_is_not_replayed(
    operator: Client, api: Api, game: Game, endpoint: Endpoint
) -> None:
    api.event("alice")
    give_up()
    archive(row=endpoint)
    assert "Nothing to replay" in text_of(act(operator, "replay_one", Delivery.objects.get()))
    since = "2026-01-01T00:00"
    assert "is archived: restore it first." in text_of(act(operator, "replay_failed_one", endpoint, since=since))
    assert Delivery.objects.count() == 1


def test_every_page_opens_where_there_is_nothing(operator: Client) -> None:
    for page in (ENDPOINTS, f"{ENDPOINTS}add/", LOG, f"{LOG}?type__exact=streak.lost"):
        assert operator.get(page).status_code == 200
    assert operator.get(f"{LOG}77/change/").status_code == 302
    assert not DeliveryAttempt.objects.exists()
