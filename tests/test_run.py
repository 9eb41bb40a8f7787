"""`run_demo`, which is all of `make run` but the installing, as a stranger meets it: a fresh folder, a free port."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from tests.processes import WAIT_S_MAX


@contextmanager
def running_demo(var_dir: Path) -> Iterator[str]:
    """Run the demo on a database of its own in `var_dir`; give what it printed once it serves, and stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "VAR_DIR": str(var_dir), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run_demo", "--port", str(port)],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield _printed_until_it_serves(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_S_MAX)
    assert process.returncode == 0


def _printed_until_it_serves(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if "Ctrl-C stops it" in line:
            return printed
    raise AssertionError(printed)


def ask(printed: str, path: str, body: Any = None) -> Any:
    """Return the server's answer, with the key that was printed."""
    url, key = re.search(r"Pointsmith is at +(\S+)", printed), re.search(r"API key +(\S+)", printed)
    assert url
    assert key
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url[1] + path, data, {"X-API-KEY": key[1], "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=WAIT_S_MAX) as answer:
        return json.loads(answer.read())


def test_the_demo_awards_points_stops_cleanly_and_keeps_its_data(tmp_path: Path) -> None:
    event = {"user": {"id": "learner-1"}, "value": 1}
    with running_demo(tmp_path) as first:
        assert "Seeding" in first
        before = ask(first, "/v1/metrics/lessons-completed/event", event)
        assert before["points"]["xp"]["added"] >= 20
        assert ask(first, "/readyz") == {"status": "ok"}
    with running_demo(tmp_path) as second:
        assert "Seeding" not in second
        assert re.search(r"API key +(\S+)", second)[1] == re.search(r"API key +(\S+)", first)[1]  # type: ignore[index]
        after = ask(second, "/v1/metrics/lessons-completed/event", event)
        assert after["total"] == before["total"] + 1
