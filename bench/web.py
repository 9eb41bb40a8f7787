"""The web server under test: as `make serve` runs it, on a free port of 127.0.0.1."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.errors import BenchError

ROOT: Final = Path(__file__).resolve().parent.parent
HOST: Final = "127.0.0.1"
START_S_MAX: Final = 60
STOP_S_MAX: Final = 30
WORK_S: Final = 20
LOG_TAIL_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Memory:
    """What one process holds, in MB: `resident` in all, `unique` without what it shares with others."""

    resident: float
    unique: float


@dataclass(frozen=True, slots=True)
class Web:
    """A server that runs."""

    port: int
    process: psutil.Process

    def worker_memory(self) -> list[Memory]:
        """Return what each worker holds: those processes that have started no other."""
        children = self.process.children(recursive=True)
        parents = {child.ppid() for child in children}
        return [_memory_of(child) for child in children if child.pid not in parents and not _is_tracker(child)]


def django_environment(database_url: str, var_dir: Path) -> dict[str, str]:
    """Return the environment of every Django process of the bench: its database, nothing else of the caller's."""
    ours = {"DATABASE_URL": database_url, "REDIS_URL": "", "VAR_DIR": str(var_dir), "LOG_LEVEL": "WARNING"}
    return {**os.environ, **ours, "PRODUCTION": "false", "DEBUG": "false"}


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run one of Django's commands and return what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"manage.py {arguments[0]} failed:\n{done.stderr[-LOG_TAIL_CHARACTERS:]}")
    return done.stdout


def run_code(environment: Mapping[str, str], code: str) -> str:
    """Run Python in a Django process of its own and return what it printed."""
    return manage(environment, "shell", "--verbosity", "0", "-c", code)


@contextmanager
def serve(environment: Mapping[str, str], log: Path) -> Iterator[Web]:
    """Serve the project until the block ends."""
    port = _free_port()
    with log.open("wb") as output:
        # A session of its own: a Ctrl-C is for the bench alone, which then stops everything in order.
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, port, log)
        yield Web(port, psutil.Process(process.pid))
    finally:
        _stop(process)


def worker_memory_of(environment: Mapping[str, str], log: Path) -> dict[str, float]:
    """Return what each process of `manage.py work` holds, in MB resident, after WORK_S of working off what waits."""
    with running(environment, "work", log) as process:
        time.sleep(WORK_S)
        if process.poll() is not None:
            raise BenchError(f"The worker ended. Its log:\n{log.read_text()[-LOG_TAIL_CHARACTERS:]}")
        held: dict[str, float] = {}
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if not _is_tracker(each):
                    name = _work_of(each.cmdline())
                    held[name] = max(held.get(name, 0), each.memory_info().rss / 1e6)
    return held


def _work_of(command: Sequence[str]) -> str:
    """Return which of the worker's processes has this command; of several alike, only the largest is told of."""
    known = ("worker", "beat", "work_queue", "deliver_webhooks")
    return next((word for word in known if word in command), Path(command[0]).name if command else "other")


@contextmanager
def running(environment: Mapping[str, str], command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of Django's commands, a worker, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", command], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(STOP_S_MAX)


def call(port: int, method: str, path: str, api_key: str = "", body: Any = None) -> Any:
    """Send one JSON request and return the JSON answer. Raises BenchError unless it is of the 200s."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        headers = {"Content-Type": "application/json", "X-API-KEY": api_key}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        raise BenchError(f"{method} {path} was answered {response.status}: {text.decode(errors='replace')}")
    return json.loads(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            call(port, "GET", "/readyz")
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return
    raise BenchError(f"The web server did not start. Its log:\n{log.read_text()[-LOG_TAIL_CHARACTERS:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server and its workers, which are looked up before: an orphan could not be found any more."""
    family = _family_of(process.pid)
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_S_MAX)
    for each in alive:
        each.kill()
    process.wait()


def _family_of(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _is_tracker(process: psutil.Process) -> bool:
    """Tell whether it is the small helper that `multiprocessing` starts beside its workers."""
    return "resource_tracker" in " ".join(process.cmdline())


def _memory_of(process: psutil.Process) -> Memory:
    memory = process.memory_full_info()
    return Memory(resident=memory.rss / 1e6, unique=memory.uss / 1e6)
