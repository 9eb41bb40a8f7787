"""What `work`, `serve` and `run_demo` have in common: they end together, and leave nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from config.processes import held_port
from tests.processes import WAIT_S_MAX, free_port, until
from tests.servers import answers

RUN = """
import sys
import django
django.setup()
from config.processes import run_together
run_together([["sh", "-c", each] for each in sys.argv[1:]], when_ready=lambda: print("ready", flush=True))
"""

FOR_EVER = "exec sleep 1000"
WITH_A_CHILD = "sleep 1000 & echo $$; wait"


@contextmanager
def started(var_dir: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start Python with the arguments, on no database; kill it if it does not end by itself."""
    environment = {
        "PATH": os.environ["PATH"],
        "VAR_DIR": str(var_dir),
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()


def rest_of(process: "subprocess.Popen[str]") -> str:
    """Return what is still printed until nobody is left who could print: children have the same output."""
    return process.communicate(timeout=WAIT_S_MAX)[0]


def lines_until(process: "subprocess.Popen[str]", word: str) -> list[str]:
    assert process.stdout
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.strip())
        if word in line:
            return lines
    raise AssertionError(lines)


def children_of(pid: int) -> dict[int, str]:
    """Return the commands of a process's children, by their ids."""
    ids = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return {each: Path(f"/proc/{each}/cmdline").read_text().replace("\0", " ") for each in ids}


def test_when_one_process_ends_even_well_all_end_with_an_error_that_names_it(tmp_path: Path) -> None:
    for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)):
        with started(tmp_path, "-c", RUN, FOR_EVER, script) as process:
            printed = rest_of(process)
            assert f"Ended with status {status}, so all stops: sh -c '{script}'" in printed
            assert process.returncode == 1


def test_when_told_to_stop_all_end_well(tmp_path: Path) -> None:
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        with started(tmp_path, "-c", RUN, FOR_EVER, WITH_A_CHILD) as process:
            lines_until(process, "ready")
            process.send_signal(signal_)
            assert "Ended" not in rest_of(process)
            assert process.returncode == 0


def test_the_children_of_a_process_that_was_killed_are_not_left_behind(tmp_path: Path) -> None:
    with started(tmp_path, "-c", RUN, WITH_A_CHILD, FOR_EVER) as process:
        printed = lines_until(process, "ready")
        while not (ids := [line for line in printed if line.isdigit()]):
            printed += lines_until(process, "")
        os.kill(int(ids[0]), signal.SIGKILL)
        # It would not come to an end while the child still held the output.
        assert "Ended with status -9" in rest_of(process)
        assert process.returncode == 1


def test_all_end_with_a_parent_that_was_killed_and_so_do_their_children(tmp_path: Path) -> None:
    with started(tmp_path, "-c", RUN, WITH_A_CHILD, FOR_EVER) as process:
        lines_until(process, "ready")
        process.kill()
        # Nobody has the output open any more.
        assert "is gone, so what it started is ended" in rest_of(process)


def test_all_end_with_an_error_without_their_guard(tmp_path: Path) -> None:
    with started(tmp_path, "-c", RUN, WITH_A_CHILD, FOR_EVER) as process:
        lines_until(process, "ready")
        (guard,) = [pid for pid, command in children_of(process.pid).items() if "guard.py" in command]
        os.kill(guard, signal.SIGKILL)
        assert "Ended with status -9, so all stops:" in rest_of(process)
        assert process.returncode == 1


def test_a_web_server_that_was_killed_leaves_its_port_to_the_next(tmp_path: Path) -> None:
    port = free_port()
    serve = ("manage.py", "serve", "--port", str(port), "--workers", "2")
    with started(tmp_path, *serve) as first:
        until(lambda: answers(port))
        first.kill()
        assert "is gone" in rest_of(first)
    assert not answers(port)
    with started(tmp_path, *serve) as second:
        until(lambda: answers(port))
        second.terminate()
        rest_of(second)
        assert second.returncode == 0


def test_of_two_starts_at_the_same_moment_one_has_the_port_and_the_other_is_told(tmp_path: Path) -> None:
    port = free_port()
    serve = ("manage.py", "serve", "--port", str(port), "--workers", "1")
    with started(tmp_path / "a", *serve) as first, started(tmp_path / "b", *serve) as second:
        until(lambda: first.poll() is not None or second.poll() is not None)
        loser, winner = (first, second) if first.poll() is not None else (second, first)
        assert f"Port {port} is taken by another Pointsmith: choose one with PORT={port + 1}." in rest_of(loser)
        assert loser.returncode == 1
        until(lambda: answers(port))
        winner.terminate()
        assert "taken" not in rest_of(winner)
        assert winner.returncode == 0


def test_a_port_that_is_taken_is_told_before_the_demo_makes_its_database(tmp_path: Path) -> None:
    port = free_port()
    demo = ("manage.py", "run_demo", "--port", str(port))
    with held_port(port), started(tmp_path, *demo) as process:
        assert f"Port {port} is taken by another Pointsmith" in rest_of(process)
    with socket.create_server(("127.0.0.1", port)), started(tmp_path, *demo) as process:
        assert f"Port {port} is taken by another program" in rest_of(process)


def test_workers_end_when_what_started_them_was_killed(tmp_path: Path) -> None:
    with started(tmp_path, "manage.py", "work") as process:
        lines_until(process, "are running")
        process.kill()
        assert "is gone" in rest_of(process)


def test_without_its_clock_the_worker_ends_with_an_error(tmp_path: Path) -> None:
    with started(tmp_path, "manage.py", "work") as process:
        lines_until(process, "are running")
        (clock,) = [pid for pid, command in children_of(process.pid).items() if " beat " in command]
        os.kill(clock, signal.SIGKILL)
        printed = rest_of(process)
        assert "Ended with status -9, so all stops:" in printed
        assert " beat " in printed
        assert process.returncode == 1
