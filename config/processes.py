"""Starting the processes that make up a running Pointsmith, and stopping all when one ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final

from django.conf import settings

STOP_S_MAX: Final = 15


def web_command(host: str, port: int, workers: int, threads: int) -> list[str]:
    """Return the command of the web server: WSGI, `workers` processes of `threads` threads."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "warning"),
        *("--host", host, "--port", str(port), "--workers", str(workers), "--blocking-threads", str(threads)),
        *("--respawn-failed-workers", "config.wsgi:application"),
    ]


def worker_command() -> list[str]:
    """Return the command of the background worker, with the clock inside it."""
    return [
        *(sys.executable, "-m", "celery", "--quiet", "--app", "config.celery", "worker", "--beat"),
        *("--concurrency", "2", "--loglevel", "warning"),
    ]


def run_together(commands: Sequence[Sequence[str]], *, port: int | None = None) -> None:
    """Run the commands until one of them ends or this process is told to stop; then stop the others.

    Exits with the status of the one that ended first.
    """
    if settings.EMBEDDED:
        # This process outlives the others, so the database is not stopped under them.
        settings.EMBEDDED_POSTGRES.ensure_running()
    environment = os.environ | ({"PORT": str(port)} if port else {})
    signal.signal(signal.SIGTERM, _interrupt)
    processes = [subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR) for command in commands]  # noqa: S603
    try:
        _, status = os.wait()
        raise SystemExit(os.waitstatus_to_exitcode(status))
    except KeyboardInterrupt:
        raise SystemExit(0) from None
    finally:
        _stop(processes)


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
            process.kill()
