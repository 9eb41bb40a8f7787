"""Logins that are tried too often are turned away before a password is looked at, and cost nobody else anything."""

from collections.abc import Callable
from ipaddress import IPv6Address
from secrets import randbits, token_hex
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from limits import parse

from access.logins import address_of, strangers
from tests.test_refused_pages import said_in

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as TestResponse

SERVERS = ["", *filter(None, [project_settings.REDIS_URL])]
PASSWORD = "correct horse battery"


@pytest.fixture(params=SERVERS, ids=lambda url: "redis" if url else "memory")
def limited(request: Any, settings: Any) -> None:
    """Three tries an address and five a name, in this process and, where there is one, in Redis."""
    settings.REDIS_URL = request.param
    settings.LOGIN_RATE_ADDRESS, settings.LOGIN_RATE_NAME = parse("3/hour"), parse("5/hour")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick, since it is not looked at


@pytest.fixture
def name(db: None, limited: None) -> str:
    """An operator whom no test before has tried to log in as, not in another process or run either: Redis remembers."""
    return str(User.objects.create_superuser(new_name(), password=PASSWORD).username)


def new_name() -> str:
    """Return a name that nobody has tried before."""
    return f"olivia-{token_hex(6)}"


def new_address() -> str:
    """Return an address of a network that nobody has used before."""
    return str(IPv6Address(0x20010DB8 << 96 | randbits(32) << 64 | 1))


def attempt(name: str, password: str = "wrong", *, address: str, browser: Client | None = None) -> "TestResponse":
    return (browser or Client()).post(
        "/admin/login/", {"username": name, "password": password, "next": "/admin/"}, REMOTE_ADDR=address
    )


def test_an_address_that_tries_too_often_is_told_when_to_try_again(
    name: str, django_assert_num_queries: Callable[..., Any]
) -> None:
    address = new_address()
    for _ in range(3):
        assert attempt(new_name(), address=address).status_code == 200
    with django_assert_num_queries(0):  # nobody is looked up, so no password is looked at
        refused = attempt(name, PASSWORD, address=address)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600
    assert "Too many logins were tried" in said_in(refused)
    assert "Try again in" in said_in(refused)
    assert attempt(name, PASSWORD, address=new_address()).status_code == 302


def test_a_name_that_is_tried_from_many_addresses_is_turned_away_whether_it_exists_or_not(name: str) -> None:
    for tried in (name, new_name()):
        addresses = [new_address() for _ in range(5)]
        assert [attempt(tried, address=each).status_code for each in addresses] == [200] * 5
        assert attempt(tried, address=addresses[0]).status_code == 200  # the one try that each address has
        assert attempt(tried.upper(), address=addresses[0]).status_code == 429


def test_an_attack_on_a_name_locks_its_operator_out_of_no_browser(name: str) -> None:
    desk = Client()
    assert attempt(name, PASSWORD, address=new_address(), browser=desk).status_code == 302
    attacker = new_address()
    for _ in range(10):
        attempt(name, address=attacker)
        attempt(name, address=new_address())
    desk.post("/admin/logout/")
    assert attempt(name, PASSWORD, address=new_address()).status_code == 302  # a new browser, at its first try
    assert attempt(name, PASSWORD, address=attacker, browser=desk).status_code == 302  # one that is known, anywhere


def test_a_known_browser_may_not_guess_for_ever_nor_try_other_names(name: str) -> None:
    desk, address = Client(), new_address()
    assert attempt(name, PASSWORD, address=address, browser=desk).status_code == 302
    assert {attempt(name, address=address, browser=desk).status_code for _ in range(10)} == {200}
    assert attempt(name, PASSWORD, address=address, browser=desk).status_code == 429
    others = [attempt(new_name(), address=address, browser=desk).status_code for _ in range(3)]
    assert others == [200, 200, 429]


def test_a_mark_that_was_made_up_is_that_of_a_stranger(name: str) -> None:
    address = new_address()
    for _ in range(3):
        attempt(name, address=address)
    forged = Client()
    forged.cookies["known_browser"] = "WyJhIiwiYiJd:1vabcd:forged"
    assert attempt(name, PASSWORD, address=address, browser=forged).status_code == 429


def test_a_flood_of_strangers_takes_few_threads_and_leaves_known_browsers_theirs(name: str) -> None:
    desk = Client()
    assert attempt(name, PASSWORD, address=new_address(), browser=desk).status_code == 302
    taken = 0
    while strangers.acquire(blocking=False):
        taken += 1
    try:
        busy = attempt(name, PASSWORD, address=new_address())
        assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")
        assert attempt(name, PASSWORD, address=new_address(), browser=desk).status_code == 302
    finally:
        for _ in range(taken):
            strangers.release()
    assert taken == 2
    assert attempt(name, PASSWORD, address=new_address()).status_code == 302


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counts"),
    [
        (0, "203.0.113.9", "198.51.100.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "198.51.100.1"),
        (1, "", "198.51.100.1"),
        (1, "nonsense", "unknown"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_address_that_counts_is_the_one_that_the_outermost_proxy_saw(
    proxies: int, forwarded: str, counts: str, settings: Any
) -> None:
    settings.PROXY_COUNT = proxies
    request = RequestFactory().post("/", REMOTE_ADDR="198.51.100.1", headers={"X-Forwarded-For": forwarded})
    assert address_of(request) == counts
