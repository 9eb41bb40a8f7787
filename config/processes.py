"""Starting the processes that make up a running Pointsmith, and stopping all when one ends."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Final
from urllib.request import urlopen

from django.conf import settings
from django.core.management import CommandError

START_S_MAX: Final = 30
STOP_S_MAX: Final = 15
WORKER_STOP_S_MAX: Final = 10


def web_command(host: str, port: int, workers: int, threads: int) -> list[str]:
    """Return the command of the web server: WSGI, `workers` processes of `threads` threads."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "warning"),
        *("--host", host, "--port", str(port), "--workers", str(workers), "--blocking-threads", str(threads)),
        *("--respawn-failed-workers", "--workers-kill-timeout", str(WORKER_STOP_S_MAX), "config.wsgi:application"),
    ]


def worker_command() -> list[str]:
    """Return the command of the background worker, with the clock inside it."""
    return [
        *(sys.executable, "-m", "celery", "--quiet", "--app", "config.celery", "worker", "--beat"),
        *("--concurrency", "2", "--loglevel", "warning"),
    ]


def queue_command() -> list[str]:
    """Return the command of the process that works on the queue of batch events."""
    return [sys.executable, "manage.py", "work_queue"]


def webhooks_command() -> list[str]:
    """Return the command of the process that sends webhooks."""
    return [sys.executable, "manage.py", "deliver_webhooks"]


def run_together(
    commands: Sequence[Sequence[str]], *, port: int | None = None, when_ready: Callable[[], None] = lambda: None
) -> None:
    """Run the commands until one of them ends or this process is told to stop; then stop the others.

    `when_ready` is called once the web server answers on `port`. Exits with the status of the command that ended first.
    """
    if port is not None:
        _refuse_taken(port)
    if settings.EMBEDDED:
        # This process outlives the others, so the database is not stopped under them.
        settings.EMBEDDED_POSTGRES.ensure_running()
    environment = os.environ | ({"PORT": str(port)} if port else {})
    signal.signal(signal.SIGTERM, _interrupt)
    processes = [_start(command, environment) for command in commands]
    try:
        if port is None or _answers(port, processes):
            when_ready()
        raise SystemExit(_first_status(processes))
    except KeyboardInterrupt:
        raise SystemExit(0) from None
    finally:
        _stop(processes)


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # In a session of its own: a Ctrl-C is for this process, which then stops the others in order, children included.
    return subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, start_new_session=True)  # noqa: S603


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise CommandError(f"Port {port} is taken by another program: choose one with PORT={port + 1}.")


def _answers(port: int, processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    """Wait until the web server answers on `port`; return False where a process ended before."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        # Not just a connection: the port is open before the workers have read the application.
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
        time.sleep(0.1)
    return False


def _first_status(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until one of the processes ends and return its exit status."""
    ended = {os.pidfd_open(process.pid): process for process in processes}
    (first, *_), _, _ = select.select(list(ended), [], [])
    return ended[first].wait()


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(timeout=STOP_S_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
