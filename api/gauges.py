"""`GET /metrics`: what an operations team watches, in Prometheus's format."""

import time
from collections.abc import Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api.authentication import authenticate
from api.errors import require_method
from api.scope import refuse_application_key
from core.replica import replicas
from engine import queue
from webhooks import watch

BEARER: Final = "Bearer "


class QueueCollector(Collector):
    """The queue of batch events, asked at each scrape: every process gives the same answer."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        depth = queue.depth(timezone.now())
        for name, text, value in (
            ("waiting_events", f"Batch events that wait, {queue.DEPTH_SHOWN_MAX} at most.", depth.waiting),
            ("oldest_seconds", "How long the oldest of them has waited.", depth.oldest_s),
            ("failed_events", "Batch events that failed and were set aside.", depth.failed),
        ):
            yield GaugeMetricFamily(f"pointsmith_queue_{name}", text, value)


class WebhookCollector(Collector):
    """Delivery to active endpoints, likewise."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        backlog, most = watch.backlog(timezone.now()), f"{watch.BACKLOG_SHOWN_MAX} at most."
        for name, text, value in (
            ("fresh_messages", f"Messages that no worker has taken up yet, {most}", backlog.fresh),
            (
                "waiting_deliveries",
                f"Deliveries to active endpoints that wait or are tried again, {most}",
                backlog.waiting,
            ),
            ("overdue_seconds", "For how long what should have gone out first has been due.", backlog.overdue_s),
            ("failing_endpoints", "Active endpoints whose last messages did not arrive.", backlog.failing),
        ):
            yield GaugeMetricFamily(f"pointsmith_webhook_{name}", text, value)


class ReplicaCollector(Collector):
    """The replicas as the process that answers sees them, which may be another at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; no lag of a replica that does not answer."""
        in_use = GaugeMetricFamily("pointsmith_replica_in_use", "1 where reads go to it.", labels=["replica"])
        lag = GaugeMetricFamily("pointsmith_replica_lag_seconds", "How far it is behind, at most.", labels=["replica"])
        states = {replica.alias: replica.state_once_asked() for replica in replicas.all}
        now_s = time.monotonic()
        for alias, state in states.items():
            in_use.add_metric([alias], state.is_fit(now_s))
            if (lag_s := state.known_lag_s(now_s)) is not None:
                lag.add_metric([alias], lag_s)
        yield from (in_use, lag) if states else ()


def gauges(request: HttpRequest) -> HttpResponse:
    """Answer with every gauge. Takes the key as a bearer token, too, since that is how Prometheus sends one."""
    require_method(request, "GET", "HEAD")
    credentials = request.META.get("HTTP_AUTHORIZATION", "")
    if credentials.startswith(BEARER):
        request.META["HTTP_X_API_KEY"] = credentials.removeprefix(BEARER)
    refuse_application_key(authenticate(request))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(QueueCollector())
    registry.register(WebhookCollector())
    registry.register(ReplicaCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
