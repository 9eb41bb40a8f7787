"""How often a key may call: off by default, for each key by itself, in this process or for all of them in Redis."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as project_settings
from django.core.exceptions import ImproperlyConfigured
from limits import parse
from trophy import TrophyApi
from trophy.core.api_error import ApiError

from access.services import create_api_key, create_application_key
from config.rate_limit import read_rate_limit
from metrics.models import Event
from tests.conftest import Api, Game
from tests.test_parallel import in_parallel

NINE = datetime(2026, 3, 10, 9, tzinfo=UTC)
SERVERS = ["", *filter(None, [project_settings.REDIS_URL])]


@pytest.fixture(params=SERVERS, ids=lambda url: "redis" if url else "memory")
def counted(request: Any, settings: Any) -> str:
    """Where calls are counted: in this process and, where there is one, in Redis."""
    settings.REDIS_URL = request.param
    return str(request.param)


ROADS: dict[str, Callable[[Api], Any]] = {
    "events": lambda caller: caller.event("alice"),
    "views": lambda caller: caller.send("PUT", "/v1/users/alice", {}),
    "what is not offered": lambda caller: caller.get("/v1/users/alice/wrapped"),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("kind", ["ADMIN", "APPLICATION"])
def test_a_key_that_calls_too_often_is_told_when_to_try_again(
    road: str, kind: str, counted: str, settings: Any, api: Api, game: Game
) -> None:
    settings.RATE_LIMIT_ADMIN_KEY = settings.RATE_LIMIT_APPLICATION_KEY = None
    setattr(settings, f"RATE_LIMIT_{kind}_KEY", parse("3/hour"))
    caller = api if kind == "ADMIN" else Api(create_application_key(external_id="alice")[1])
    assert all(ROADS[road](caller).status_code != 429 for _ in range(3))
    refused = ROADS[road](caller)
    assert refused.status_code == 429
    assert refused.json() == {"error": "Too many requests with this API key: at most 3 per 1 hour."}
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600
    assert Event.objects.count() == (3 if road == "events" else 0)


def test_each_key_and_kind_has_its_own_limit(counted: str, settings: Any, api: Api, game: Game) -> None:
    settings.RATE_LIMIT_ADMIN_KEY, settings.RATE_LIMIT_APPLICATION_KEY = parse("2/hour"), parse("1/hour")
    other = Api(create_api_key(name="other")[1])
    apps = [Api(create_application_key(external_id="alice")[1]) for _ in range(2)]
    assert [caller.event("alice").status_code for caller in (api, api, other, *apps)] == [201] * 5
    assert [caller.event("alice").status_code for caller in (api, other, *apps)] == [429, 201, 429, 429]


def test_one_limit_holds_for_all_roads_of_a_key_together(counted: str, settings: Any, api: Api, game: Game) -> None:
    settings.RATE_LIMIT_ADMIN_KEY = parse("2/hour")
    assert api.event("alice").status_code == 201
    assert api.get("/v1/users/alice").status_code == 200
    assert [api.event("alice").status_code, api.get("/admin-api/v1/metrics").status_code] == [429, 429]


def test_a_stranger_is_refused_as_a_stranger_and_counts_for_nobody(
    counted: str, settings: Any, api: Api, game: Game
) -> None:
    settings.RATE_LIMIT_ADMIN_KEY = parse("1/hour")
    assert [Api(f"{api.key}x").event("alice").status_code for _ in range(3)] == [401] * 3
    assert api.event("alice").status_code == 201


def test_without_a_limit_no_call_is_refused(settings: Any, api: Api, game: Game) -> None:
    settings.RATE_LIMIT_ADMIN_KEY = None
    assert {api.event("alice").status_code for _ in range(50)} == {201}


@pytest.mark.parametrize(("rate", "calls"), [("2/minute", 2), ("10/second", 10), ("5 per 2 hours", 5)])
def test_who_waits_as_long_as_told_is_let_in(rate: str, calls: int, settings: Any, api: Api, game: Game) -> None:
    settings.REDIS_URL, settings.RATE_LIMIT_ADMIN_KEY = "", parse(rate)
    with time_machine.travel(NINE + timedelta(seconds=0.3), tick=False) as clock:
        for _ in range(5):
            while (answer := api.event("alice")).status_code == 201:
                calls -= 1
            assert answer.status_code == 429
            clock.shift(int(answer.headers["Retry-After"]))
            assert api.event("alice").status_code == 201
    assert calls <= 0


def test_the_limit_slides_so_no_turn_of_the_clock_doubles_it(settings: Any, api: Api, game: Game) -> None:
    settings.REDIS_URL, settings.RATE_LIMIT_ADMIN_KEY = "", parse("10/minute")
    with time_machine.travel(NINE + timedelta(seconds=59), tick=False) as clock:
        before = Counter(api.event("alice").status_code for _ in range(20))
        clock.shift(2)
        after = Counter(api.event("alice").status_code for _ in range(20))
    assert before == {201: 10, 429: 10}
    assert after[201] <= 1


@pytest.mark.django_db(transaction=True)
def test_of_parallel_calls_no_more_than_the_limit_pass(
    counted: str, settings: Any, transactional_db: None, api: Api
) -> None:
    settings.RATE_LIMIT_ADMIN_KEY = parse("20/hour")
    statuses = in_parallel(8, lambda _: [Api(api.key).get("/v1/users/alice").status_code for _ in range(5)])
    found = Counter(status for thread in statuses for status in thread)
    assert found.keys() == {404, 429}
    assert 1 <= found[404] <= 20


def test_while_redis_is_away_calls_pass_and_the_log_says_so(
    settings: Any, api: Api, game: Game, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL, settings.RATE_LIMIT_ADMIN_KEY = "redis://127.0.0.1:1/0", parse("1/hour")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert {api.event("alice").status_code for _ in range(3)} == {201}
    assert "Redis does not answer, so no rate limit holds" in caplog.text
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "text", ["fast", "100", "100/fortnight", "-1/second", "0/second", "1/second; 5/minute", "1/s x"]
)
def test_a_setting_that_is_no_rate_is_refused_by_name(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"RATE_LIMIT_ADMIN_KEY must .* or"):
        read_rate_limit("RATE_LIMIT_ADMIN_KEY", text)


def test_an_empty_setting_is_no_limit() -> None:
    assert read_rate_limit("RATE_LIMIT_ADMIN_KEY", "") is None


def test_the_sdk_raises_with_the_header(sdk: TrophyApi, settings: Any) -> None:
    settings.REDIS_URL, settings.RATE_LIMIT_ADMIN_KEY = "", parse("1/hour")
    assert sdk.admin.metrics.list() == []
    with pytest.raises(ApiError) as raised:
        sdk.admin.metrics.list()
    assert raised.value.status_code == 429
    assert raised.value.headers is not None
    assert int(raised.value.headers["retry-after"]) >= 1
