"""Reads from a replica, with real servers: a primary, a standby that streams from it, and Pointsmith in front.

One Pointsmith lets a replica be half a second behind, another an hour: what that one answers shows where it comes from.
"""

import csv
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured

from config.replicas import read_replicas, replica_settings
from tests.clusters import Cluster, primary_and_standby
from tests.processes import WAIT_S_MAX, until
from tests.servers import answers, log_in, serving, set_up


class Server:
    """Pointsmith in front of a primary and a standby, and a product's backend that calls it."""

    def __init__(self, url: str, key: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=WAIT_S_MAX, headers={"X-API-KEY": key})

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def event(self, user: str, value: int = 1) -> Any:
        answer = self.client.post("/v1/metrics/lessons/event", json={"user": {"id": user}, "value": value})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def points(self, user: str) -> int:
        return int(self.get(f"/v1/users/{user}/points/xp")["total"])

    def counted(self) -> int:
        """Return how many users the summary counts."""
        return sum(each["users"] for each in self.get("/v1/points/xp/summary"))

    def state(self) -> str:
        return str(self.get("/readyz")["replicas"]["replica_1"])

    def gauges(self) -> str:
        key = self.client.headers["X-API-KEY"]
        return self.client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text

    def events_in_figures(self) -> int:
        """Return how many events the home page's figures have, which it brings up to date before it reads them."""
        answer = self.client.get("/admin/activity.csv")
        assert answer.status_code == 200, answer.text
        return sum(int(row[1]) for row in list(csv.reader(answer.text.splitlines()))[1:])


class Place:
    """Both databases, and both servers in front of them."""

    def __init__(self, primary: Cluster, standby: Cluster, strict: Server, patient: Server) -> None:
        self.primary, self.standby, self.strict, self.patient = primary, standby, strict, patient

    def hold_back(self) -> None:
        """Have the standby receive what the primary writes, but show nothing of it."""
        self.standby.ask("SELECT pg_wal_replay_pause()")
        until(lambda: self.standby.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def catch_up(self) -> None:
        """Have the standby show all that was written by now."""
        self.standby.ask("SELECT pg_wal_replay_resume()")
        position = self.primary.ask("SELECT pg_current_wal_lsn()::text")
        until(lambda: bool(self.standby.ask(f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn")))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    keys: list[str] = []
    with ExitStack() as stack:
        primary, standby = stack.enter_context(primary_and_standby(lambda url: keys.append(set_up(url))))
        ports = [
            stack.enter_context(
                serving(
                    tmp_path_factory.mktemp("var"),
                    DATABASE_URL=primary.url,
                    REPLICA_URLS=standby.url,
                    REPLICA_LAG_MAX_S=lag_s_max,
                )
            )
            for lag_s_max in ("0.5", "3600")
        ]
        for port in ports:
            until(lambda port=port: answers(port), look_s=0.1)  # type: ignore[misc]
        strict, patient = (Server(f"http://127.0.0.1:{port}", keys[0]) for port in ports)
        yield Place(primary, standby, strict, patient)


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    """Both servers read from the replica."""
    for server in (running.strict, running.patient):
        until(lambda server=server: server.state() == "in use", look_s=0.05)  # type: ignore[misc]
    yield running
    running.standby.start_again()
    running.catch_up()


def test_a_summary_comes_from_the_replica_and_what_a_user_has_from_the_primary(place: Place) -> None:
    place.patient.event("alice")
    place.catch_up()
    before = place.patient.counted()
    place.hold_back()

    place.patient.event("bob", 7)

    assert place.patient.points("bob") == 7
    assert place.patient.get("/v1/users/bob")["id"] == "bob"
    assert place.patient.counted() == before
    place.catch_up()
    assert place.patient.counted() == before + 1


def test_the_admin_s_figures_come_from_the_replica_and_sessions_from_the_primary(place: Place) -> None:
    place.hold_back()
    log_in(place.patient.client)
    before = place.patient.events_in_figures()

    place.patient.event("charlie")
    assert place.patient.events_in_figures() == before

    place.catch_up()
    assert place.patient.events_in_figures() > before


def test_a_replica_that_is_too_far_behind_is_left_out_until_it_has_caught_up(place: Place) -> None:
    place.hold_back()
    place.strict.event("dora")
    until(lambda: place.strict.state().startswith("left out"), look_s=0.05)

    assert re.fullmatch(r"left out: \d+\.\d s behind", place.strict.state())
    assert place.strict.counted() == place.primary.ask("SELECT count(*) FROM users_enduser")
    assert 'pointsmith_replica_in_use{replica="replica_1"} 0.0' in place.strict.gauges()

    place.catch_up()
    until(lambda: place.strict.state() == "in use", look_s=0.05)
    assert 'pointsmith_replica_in_use{replica="replica_1"} 1.0' in place.strict.gauges()


def test_an_idle_primary_leaves_no_replica_behind(place: Place) -> None:
    place.strict.event("erin")
    place.catch_up()

    newest = "SELECT clock_timestamp() - pg_last_xact_replay_timestamp() > interval '0.7 s'"
    until(lambda: bool(place.standby.ask(newest)), look_s=0.05)

    until(lambda: place.strict.state() == "in use", look_s=0.05)


def test_what_a_read_has_to_write_the_primary_gets(place: Place) -> None:
    place.patient.event("frank", 30)
    place.catch_up()
    system = place.primary.ask("SELECT id FROM points_pointssystem WHERE key = 'xp'")
    body = [{"name": "Advanced", "key": "advanced", "points": 20}]
    answer = place.patient.client.post(f"/admin-api/v1/points/{system}/levels", json=body)
    assert answer.status_code == 201, answer.text

    # The counters are not of these levels yet: the first who asks counts them.
    levels = {each["level"]["key"]: each["users"] for each in place.patient.get("/v1/points/xp/level-summary")}

    assert levels["advanced"] == 1


def test_no_request_fails_when_a_replica_stops(place: Place) -> None:
    assert place.strict.counted() == place.patient.counted()

    place.standby.stop()

    users = place.primary.ask("SELECT count(*) FROM users_enduser")
    assert [place.strict.counted() for _ in range(5)] == [users] * 5
    assert place.strict.state() == "left out: does not answer as a standby"
    assert "pointsmith_replica_lag_seconds{" not in place.strict.gauges()


@pytest.mark.parametrize("url", ["mysql://a@b/c", "postgres://", "somewhere"])
def test_an_address_that_is_none_is_refused_by_its_number_without_being_shown(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="REPLICA_URLS: address 2 must be of the form postgres://") as error:
        read_replicas(["postgres://alice@b/c", url], embedded=False)

    assert url not in str(error.value).replace("postgres://user", "")


def test_the_embedded_database_has_no_replicas() -> None:
    with pytest.raises(ImproperlyConfigured, match="REPLICA_URLS needs DATABASE_URL"):
        read_replicas(["postgres://alice@b/c"], embedded=True)


def test_a_replica_has_its_own_address_and_the_primary_s_way_of_connecting() -> None:
    server = read_replicas(["postgres://alice@b/c?sslmode=require"], embedded=False)["replica_1"]

    entry = replica_settings(server, {"CONN_MAX_AGE": 0, "OPTIONS": {"server_side_binding": True, "pool": {}}})

    assert (entry["HOST"], entry["NAME"], entry["CONN_MAX_AGE"]) == ("b", "c", 0)
    assert entry["OPTIONS"] == {"server_side_binding": True, "sslmode": "require", "pool": {"timeout": 2}}
