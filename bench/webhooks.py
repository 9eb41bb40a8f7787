"""Webhooks to a fast receiver: how many a second one worker delivers, beside an endpoint that hangs."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from bench.databases import WEBHOOKS_DATABASE, Server, create_anew, settle
from bench.errors import BenchError
from bench.figures import Bar, Ratio
from bench.web import ROOT, STOP_S_MAX, django_environment, manage, running

USERS: Final = 1_000
MESSAGES: Final = 5_000
DELIVERED_S_MAX: Final = 120
RATE_MIN: Final = 300

# Endpoints by a service, since their secrets are encrypted; messages in SQL, as an event would write them.
_ENDPOINTS: Final = """
from webhooks.services import create_endpoint
for url in ("http://127.0.0.1:{fast}/hook", "http://127.0.0.1:{hanging}/hook"):
    create_endpoint(url=url, types=["points.changed"])
"""
_FILL: Final = f"""
INSERT INTO users_enduser (id, external_id, attributes, subscribe_to_emails, control, created, updated)
SELECT gen_random_uuid(), 'user-' || n, '{{}}', true, false, now(), now() FROM generate_series(1, {USERS}) AS n;
INSERT INTO webhooks_outboxmessage (id, type, user_id, sequence, payload, created)
SELECT gen_random_uuid(), 'points.changed', u.id, m,
       jsonb_build_object('type', 'points.changed', 'user', jsonb_build_object('id', u.external_id),
                          'points', jsonb_build_object('id', gen_random_uuid(), 'total', m, 'awards', '[]'::jsonb),
                          'filler', repeat('x', 1000)), now()
FROM generate_series(1, {MESSAGES // USERS}) AS m CROSS JOIN users_enduser u ORDER BY m, u.external_id;
"""
_DELIVERED: Final = """
SELECT count(*), min(d.settled), max(d.settled) FROM webhooks_delivery d
JOIN webhooks_endpoint e ON e.id = d.endpoint_id WHERE d.status = 'delivered' AND e.url LIKE %s
"""


@dataclass(frozen=True, slots=True)
class WebhookRun:
    """`rate` is messages a second to the fast receiver, from the first record to the last."""

    messages: int
    rate: float

    def ratios(self) -> list[Ratio]:
        """Return nothing: nothing else takes turns with it."""
        return []

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        return [Bar("webhooks delivered by one worker", self.rate, RATE_MIN, "/s")]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        return [
            f"webhooks: {self.rate:,.0f}/s by one worker to a fast receiver, {self.messages:,} in all, "
            "beside an endpoint that hangs"
        ]


def measure_webhooks(server: Server, folder: Path) -> WebhookRun:
    """Deliver MESSAGES. Raises BenchError unless each arrived, once."""
    url = create_anew(server, WEBHOOKS_DATABASE)
    environment = django_environment(url, folder) | {"WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}
    manage(environment, "migrate", "--verbosity", "0")
    with _receivers() as (fast, hanging):
        manage(environment, "shell", "--verbosity", "0", "-c", _ENDPOINTS.format(fast=fast, hanging=hanging))
        with psycopg.connect(url) as connection:
            connection.execute(_FILL.encode())
        settle(url)
        with running(environment, "deliver_webhooks", folder / "webhooks.log"):
            return WebhookRun(MESSAGES, MESSAGES / _delivered_s(url, fast))


def _delivered_s(url: str, port: int) -> float:
    """Wait until all are delivered; return how many seconds the first to the last took."""
    deadline = time.monotonic() + DELIVERED_S_MAX
    with psycopg.connect(url, autocommit=True) as watch:
        while time.monotonic() < deadline:
            row = watch.execute(_DELIVERED, [f"%:{port}/%"]).fetchone()
            if row and row[0] == MESSAGES:
                return float((row[2] - row[1]).total_seconds())
            time.sleep(0.1)
    raise BenchError(f"Not all of {MESSAGES} messages were delivered within {DELIVERED_S_MAX} s.")


@contextmanager
def _receivers() -> Iterator[tuple[int, int]]:
    """Run, in a process of its own, a server that answers at once and one that never does; yield their ports."""
    process = subprocess.Popen([sys.executable, "-m", "bench.receiving"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise BenchError("The receivers cannot be read.")
    try:
        fast, hanging = (int(port) for port in process.stdout.readline().split())
        yield fast, hanging
    finally:
        process.terminate()
        process.wait(STOP_S_MAX)
