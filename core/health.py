"""Two questions that a load balancer asks."""

import logging
import time

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from redis.exceptions import RedisError

from core.replica import replicas

logger = logging.getLogger(__name__)


def healthz(_: HttpRequest) -> JsonResponse:
    """Answer that this process is alive, without asking anything else."""
    return JsonResponse({"status": "ok"})


def readyz(_: HttpRequest) -> JsonResponse:
    """Answer 200 where this process can do its work, else 503 with what is missing; and how the replicas are."""
    problems = {name: problem for name, problem in (("database", _database()), ("redis", _redis())) if problem}
    if problems:
        return JsonResponse({"status": "unavailable", "problems": problems}, status=503, headers={"Retry-After": "1"})
    return JsonResponse({"status": "ok"} | ({"replicas": _replicas()} if settings.REPLICAS else {}))


def _replicas() -> dict[str, str]:
    """Return what is known of each. None of them has to be there: the primary answers for those that are not."""
    states = {replica.alias: replica.state_once_asked() for replica in replicas.all}
    return {alias: state.describe(time.monotonic()) for alias, state in states.items()}


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        logger.exception("The database does not answer.")
        return "does not answer"
    return f"{len(waiting)} migrations are not applied" if waiting else ""


def _redis() -> str:
    if not settings.REDIS_URL:
        return ""
    try:
        cache.get("readyz")
    except RedisError:
        logger.exception("Redis does not answer.")
        return "does not answer"
    return ""
