"""The cast of all tests: a study app that counts lessons and flashcards, and pays XP, gems and energy."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.test import Client
from pytest_django.live_server_helper import LiveServer
from trophy import TrophyApi
from trophy.environment import TrophyApiEnvironment

from access.services import create_api_key
from core.services import create_checked
from metrics.models import Metric
from points.models import PointsSystem, PointsTrigger, TriggerStatus
from points.services import create_trigger
from users.models import Attribute

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as TestResponse


@dataclass
class Game:
    """A study app's configuration, and shortcuts to add to it."""

    lessons: Metric
    flashcards: Metric
    plan: Attribute
    category: Attribute
    xp: PointsSystem
    energy: PointsSystem

    def trigger(self, points: int, every: int = 1, **fields: Any) -> PointsTrigger:
        """Add an active metric trigger on lessons in XP, unless `fields` say otherwise."""
        given: dict[str, Any] = {"system": self.xp, "type": "metric", "status": TriggerStatus.ACTIVE}
        of_metric = {"metric": self.lessons, "metric_threshold": every}
        return create_trigger(points=points, **(given | of_metric | fields))

    def creation_trigger(self, points: int, **fields: Any) -> PointsTrigger:
        """Add an active user-creation trigger in XP, unless `fields` say otherwise."""
        given: dict[str, Any] = {"system": self.xp, "type": "user_creation", "status": TriggerStatus.ACTIVE}
        return create_trigger(points=points, **(given | fields))


def make_game() -> Game:
    """Set the study app up."""
    return Game(
        lessons=create_checked(Metric, name="Lessons completed", key="lessons"),
        flashcards=create_checked(Metric, name="Flashcards flipped", key="flashcards"),
        plan=create_checked(Attribute, name="Plan", key="plan", type="user"),
        category=create_checked(Attribute, name="Category", key="category", type="event"),
        xp=create_checked(PointsSystem, name="XP", key="xp"),
        energy=create_checked(PointsSystem, name="Energy", key="energy", max_points=10),
    )


@pytest.fixture(autouse=True)
def media_root(settings: Any, tmp_path: Path) -> None:
    """Keep uploads of a test out of the project."""
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def game(db: None) -> Game:
    """A study app without triggers."""
    return make_game()


def as_wsgi(header: str) -> str:
    """Return a header that is sent as UTF-8 as WSGI hands it on: each byte as the character of its number."""
    return header.encode().decode("latin-1")


@dataclass
class Api:
    """A product's backend with a good key, over Django's test client."""

    key: str
    client: Client = field(default_factory=Client)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> "TestResponse":
        """Send a request with `body` as JSON; bytes and text go as they are. Headers are sent as UTF-8."""
        data = (
            body if isinstance(body, bytes | str) else json.dumps({} if body is None else body, cls=DjangoJSONEncoder)
        )
        headers = {name: as_wsgi(value) for name, value in ({"X-API-KEY": self.key} | headers).items()}
        # The path as it is sent, which servers keep and Django's test client does not.
        sent: Any = {"REQUEST_URI": path}
        return self.client.generic(method, path, data, content_type="application/json", headers=headers, **sent)

    def get(self, path: str) -> "TestResponse":
        """Send a GET."""
        return self.client.get(path, headers={"X-API-KEY": self.key}, REQUEST_URI=path)

    def event(
        self,
        user: str | dict[str, Any],
        value: Any = 1,
        *,
        metric: str = "lessons",
        key: str | None = None,
        **attributes: str,
    ) -> "TestResponse":
        """Report an event of a user, given by id or with fields; `key` makes it idempotent."""
        body = {"user": {"id": user} if isinstance(user, str) else user, "value": value}
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.send(
            "POST", f"/v1/metrics/{metric}/event", body | ({"attributes": attributes} if attributes else {}), **headers
        )

    def points(self, user: str, system: str = "xp") -> Any:
        """Return what the API says of a user's points."""
        return self.get(f"/v1/users/{user}/points/{system}").json()


@pytest.fixture
def api(db: None) -> Api:
    """A product's backend."""
    return Api(create_api_key(name="tests")[1])


@pytest.fixture
def sdk(transactional_db: None, live_server: LiveServer) -> Iterator[TrophyApi]:
    """The official SDK with a good key, pointed at a real server."""
    _, key = create_api_key(name="SDK")
    environment = TrophyApiEnvironment(api=f"{live_server.url}/v1", admin=f"{live_server.url}/admin-api/v1")
    with httpx.Client() as client:
        yield TrophyApi(api_key=key, environment=environment, max_retries=0, httpx_client=client)


@contextmanager
def other_caller(sdk: TrophyApi, key: str) -> Iterator[TrophyApi]:
    """Give the SDK with another key, pointed at the same server."""
    with httpx.Client() as client:
        environment = sdk._client_wrapper.get_environment()
        yield TrophyApi(api_key=key, environment=environment, max_retries=0, httpx_client=client)
