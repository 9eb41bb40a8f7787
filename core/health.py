"""Two questions that a load balancer asks."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import cache as remember
from threading import Lock
from typing import Final

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from redis.exceptions import RedisError

from core.replica import replicas

logger = logging.getLogger(__name__)

LOOK_AGAIN_S: Final = 1
"""How long what was found missing, or not, is told to whoever asks: strangers must not keep the database busy."""


def healthz(_: HttpRequest) -> JsonResponse:
    """Answer that this process is alive, without asking anything else."""
    return JsonResponse({"status": "ok"})


def readyz(_: HttpRequest) -> JsonResponse:
    """Answer 200 where this process can do its work, else 503 with what is missing; and how the replicas are."""
    problems = _watch.problems(time.monotonic)
    if problems:
        return JsonResponse({"status": "unavailable", "problems": problems}, status=503, headers={"Retry-After": "1"})
    return JsonResponse({"status": "ok"} | ({"replicas": _replicas()} if settings.REPLICAS else {}))


class Watch:
    """Looks at most once a second, however many ask; those who ask during a look wait for what it finds."""

    def __init__(self, look: Callable[[], Mapping[str, str]]) -> None:
        self._look, self._looking = look, Lock()
        self._found: Mapping[str, str] = {}
        self._looks_again_at_s = float("-inf")

    def problems(self, clock: Callable[[], float]) -> Mapping[str, str]:
        """Return what is missing and why, as of the last second of `clock`, in seconds."""
        with self._looking:
            if clock() >= self._looks_again_at_s:
                self._found = self._look()
                self._looks_again_at_s = clock() + LOOK_AGAIN_S
            return self._found


def _look() -> dict[str, str]:
    return {name: problem for name, problem in (("database", _database()), ("redis", _redis())) if problem}


_watch: Final = Watch(_look)


def _replicas() -> dict[str, str]:
    """Return what is known of each. None of them has to be there: the primary answers for those that are not."""
    states = {replica.alias: replica.state_once_asked() for replica in replicas.all}
    return {alias: state.describe(time.monotonic()) for alias, state in states.items()}


def _database() -> str:
    try:
        waiting = _migrations() - MigrationRecorder(connection).applied_migrations().keys()
    except DatabaseError:
        logger.exception("The database does not answer.")
        return "does not answer"
    return f"{len(waiting)} migrations are not applied" if waiting else ""


@remember
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of this version of the code, by app and name."""
    return frozenset(MigrationLoader(None).graph.nodes)


def _redis() -> str:
    if not settings.REDIS_URL:
        return ""
    try:
        cache.get("readyz")
    except RedisError:
        logger.exception("Redis does not answer.")
        return "does not answer"
    return ""
