"""What docs/webhooks.md shows works as printed."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.processes import until
from webhooks import services
from webhooks.courier import Courier
from webhooks.delivery import claim
from webhooks.models import Delivery, MessageType
from webhooks.rules import RETRY_DELAYS_S, signed_headers
from webhooks.secrets import new_secret, reveal
from webhooks.sending import Sender
from webhooks.sequencing import sequence

GUIDE = (Path(__file__).parent.parent / "docs" / "webhooks.md").read_text()
RECEIVER, BY_HAND = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@contextmanager
def receiver(secret: str) -> Iterator[str]:
    """Run the guide's receiver, and give its address once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", RECEIVER], env=environment, stderr=subprocess.DEVNULL)
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        process.kill()
        process.wait()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_its_secret", [True, False])
def test_the_receiver_takes_what_its_secret_signed_and_nothing_else(is_its_secret: bool, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = {"127.0.0.1"}
    endpoint, secret = services.create_endpoint(url="http://127.0.0.1:1/hook", types=list(MessageType.values))
    with receiver(secret if is_its_secret else new_secret()) as url:
        endpoint.url = url
        endpoint.save(update_fields=["url"])
        services.send_test(endpoint=endpoint)
        courier = Courier(Sender())

        def is_tried() -> bool:
            courier.work()
            return Delivery.objects.filter(tries__isnull=False).exists()

        until(is_tried, look_s=0)
        courier.finish()
    assert Delivery.objects.get().tries.get().status_code == (204 if is_its_secret else 401)


@pytest.mark.django_db
def test_the_check_by_hand_knows_what_is_genuine() -> None:
    endpoint, secret = services.create_endpoint(url="https://example.com/hook", types=list(MessageType.values))
    services.send_test(endpoint=endpoint)
    sequence(timezone.now())
    (claimed,) = claim({}, timezone.now())
    headers = signed_headers(
        [reveal(each) for each in claimed.secrets], claimed.message_id, timezone.now(), claimed.body
    )
    shown: dict[str, Any] = {}
    exec(BY_HAND, shown)
    body, signature = claimed.body.encode(), headers["X-Trophy-Signature"]
    assert shown["is_genuine"](secret, body, signature)
    assert not shown["is_genuine"](secret, body + b" ", signature)
    assert not shown["is_genuine"](new_secret(), body, signature)


def test_the_table_of_tries_is_the_rule() -> None:
    row = re.search(r"\| after \| at once \| (.*) \|\n", GUIDE)
    assert row
    seconds = {"s": 1, "min": 60, "h": 3600}
    printed = [cell.split() for cell in row[1].split(" | ")]
    assert tuple(int(count) * seconds[unit] for count, unit in printed) == RETRY_DELAYS_S
