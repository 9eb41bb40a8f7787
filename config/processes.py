"""Starting the processes that make up a running Pointsmith, and stopping all when one ends."""

import logging
import os
import resource
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, cast
from urllib.request import urlopen

from django.conf import settings
from django.core.management import CommandError

from config.guard import DISMISSED

logger = logging.getLogger(__name__)

START_S_MAX: Final = 30
STOP_S_MAX: Final = 15
WORKER_STOP_S_MAX: Final = 10


WEB_WORKERS: Final = 2

WEB_BACKLOG: Final = 1024
"""How many connections the kernel keeps waiting until a web process takes them."""

OPEN_FILES_WANTED: Final = 65_536
"""How many open files, connections among them, a process may have, where the system allows so many."""


def web_command(host: str, port: int, workers: int = WEB_WORKERS) -> list[str]:
    """Return the command of the web server: ASGI, `workers` processes with an event loop each."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--no-ws"),
        *("--log-level", "error", "--host", host, "--port", str(port), "--workers", str(workers)),
        # HTTP/1.1 alone: until a connection has said which of both it speaks, granian lets it be silent for ever.
        *("--http", "1", "--backlog", str(WEB_BACKLOG), "--backpressure", str(settings.WEB_CONNECTIONS_MAX)),
        *("--respawn-failed-workers", "--workers-kill-timeout", str(WORKER_STOP_S_MAX), "config.asgi:application"),
    ]


def worker_command() -> list[str]:
    """Return the command of the background worker."""
    return _celery("worker", "--concurrency", "2")


def clock_command() -> list[str]:
    """Return the command of the clock, which tells the workers what is due.

    A process of its own: the worker would not notice the death of a clock inside it, and all would stand still.
    """
    # Without a file of its process id: what is left of one after a crash would keep it from starting again.
    return _celery("beat", "--pidfile", "")


def _celery(*arguments: str) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "--quiet", "--app", "config.celery"),
        *(*arguments, "--loglevel", "warning"),
    ]


def queue_command() -> list[str]:
    """Return the command of the process that works on the queue of batch events."""
    return [sys.executable, "manage.py", "work_queue"]


def webhooks_command() -> list[str]:
    """Return the command of the process that sends webhooks."""
    return [sys.executable, "manage.py", "deliver_webhooks"]


def work_commands() -> list[list[str]]:
    """Return the commands of everything that works in the background."""
    return [worker_command(), clock_command(), queue_command(), webhooks_command()]


@contextmanager
def held_port(port: int) -> Iterator[None]:
    """Keep a port for what this process starts. Raises CommandError where it is taken.

    Web processes share a port, so the system lets those of a second start share it, too: nobody would notice. A name
    that only one process of a machine can have says whose it is, from long before the web server listens. It is a
    socket's name, so it needs no file, and ends with the process, however that ends.
    """
    with socket.socket(socket.AF_UNIX) as name, socket.socket() as probe:
        try:
            name.bind(f"\0pointsmith-port-{port}")
        except OSError as error:
            raise _taken(port, "another Pointsmith") from error
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise _taken(port, "another program")
        yield


def _taken(port: int, owner: str) -> CommandError:
    return CommandError(f"Port {port} is taken by {owner}: choose one with PORT={port + 1}.")


def run_together(
    commands: Sequence[Sequence[str]], *, port: int | None = None, when_ready: Callable[[], None] = lambda: None
) -> None:
    """Run the commands until this process is told to stop, or until one of them ends; then stop the others.

    `when_ready` is called once the web server answers on `port`, which is held already; without a port at once. Exits
    with 0 where it was told to stop, else with 1, so that a supervisor starts all of them again.
    """
    if settings.EMBEDDED:
        # This process outlives the others, so the database is not stopped under them.
        settings.EMBEDDED_POSTGRES.ensure_running()
    _allow_open_files()
    environment = os.environ | ({"PORT": str(port)} if port else {})
    signal.signal(signal.SIGTERM, _interrupt)
    guard = Guard()
    processes = [guard.process, *(_start(command, environment, guard) for command in commands)]
    try:
        if port is None or _answers(port, processes):
            when_ready()
        _report_first_end(processes)
        raise SystemExit(1)
    except KeyboardInterrupt:
        raise SystemExit(0) from None
    finally:
        _stop(processes[1:])
        guard.dismiss()


class Guard:
    """Ends all that this process started, should this process be killed: `config/guard.py` says how."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        script = str(settings.BASE_DIR / "config" / "guard.py")
        command = [sys.executable, "-I", "-S", script, " ".join(Path(each).name for each in sys.argv[:2])]
        self.process = subprocess.Popen(command, stdin=reading, start_new_session=True)  # noqa: S603
        os.close(reading)

    def enter(self) -> None:
        """Tell the guard of the process that calls this, which begins a group of its own."""
        os.write(self._writing, b"%d\n" % os.getpid())

    def dismiss(self) -> None:
        """Let the guard go: everything is ended. It may have ended before, so that nobody reads."""
        with suppress(BrokenPipeError):
            os.write(self._writing, DISMISSED)
        os.close(self._writing)
        self.process.wait()


def _start(command: Sequence[str], environment: Mapping[str, str], guard: Guard) -> subprocess.Popen[bytes]:
    # In a session of its own: a Ctrl-C is for this process, which then stops the others in order, children included.
    return subprocess.Popen(  # noqa: S603
        command, env=environment, cwd=settings.BASE_DIR, start_new_session=True, preexec_fn=guard.enter
    )


def _allow_open_files() -> None:
    """Raise the limit that the processes inherit: the usual one, 1,024, is less than WEB_CONNECTIONS_MAX."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _answers(port: int, processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    """Wait until the web server answers on `port`; return False where a process ended before."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        # Not just a connection: the port is open before the workers have read the application.
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
        time.sleep(0.1)
    return False


def _report_first_end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until one of the processes ends and say so."""
    ended = {os.pidfd_open(process.pid): process for process in processes}
    (first, *_), _, _ = select.select(list(ended), [], [])
    process = ended[first]
    logger.error("Ended with status %s, so all stops: %s", process.wait(), _command_of(process))


def _command_of(process: subprocess.Popen[bytes]) -> str:
    return shlex.join(cast(Sequence[str], process.args))


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
            logger.error("Killed, after %s s in which it did not stop: %s", STOP_S_MAX, _command_of(process))
        # Whoever was killed itself could not stop its children any more.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
