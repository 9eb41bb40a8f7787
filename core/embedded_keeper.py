"""The keeper of the embedded PostgreSQL: a small process of its own that stops the server with its last user.

Every process that uses the server holds a shared lock on one file for as long as it lives. The kernel drops such a
lock however its process ends, `kill -9` included, so nobody has to be counted and nobody can be counted for ever.
The keeper waits until it can have that lock for itself alone: then nobody is left. `core.embedded_postgres` starts it.

Run as `python -I -S embedded_keeper.py TASK`, TASK being the JSON of a `KeeperTask`: it needs nothing but the standard
library, so that it starts fast, stays small and outlives an upgrade of the packages. It returns once the keeper, a
child of its own, is on its post; a keeper that itself is killed is replaced by the next process that comes.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HOLDERS_LOCK = "holders.lock"
KEEPER_LOCK = "keeper.lock"
SERVER_LOG = "server.log"

POLLS_PER_GRACE = 4
POLL_S_MIN = 0.05
STOP_S_MAX = 60
LOG_BYTES_MAX = 10_000_000


class KeeperTask(NamedTuple):
    """What a keeper has to know. `uid` and `gid` are those of the server where we are root, else None."""

    control: str
    data: str
    pg_ctl: str
    uid: int | None
    gid: int | None
    grace_s: float


def open_lock(path: Path) -> int:
    """Open a lock file, made if missing. Programs that we start do not inherit it; forked children do."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def try_lock(lock: int, mode: int) -> bool:
    """Take the lock if it is free at this moment. `mode` is `fcntl.LOCK_SH` or `fcntl.LOCK_EX`."""
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def run_tool(
    command: list[str], uid: int | None, gid: int | None, *, stdin: str = "", log: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs as its own account; what it says goes to `log`, or else is returned.

    The environment is fresh, for a PGDATA or a PGOPTIONS of the caller's is not meant for this server, and so is the
    folder, which the account may not be able to enter. The session is its own: a Ctrl-C is for the caller only.
    """
    return subprocess.run(  # noqa: S603 -- fixed programs, no shell
        command,
        input=stdin,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},
        umask=0o077,
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
        start_new_session=True,
    )


def recorded_pid(data: Path) -> int | None:
    """Return the process id in `postmaster.pid`, which outlives a server that was killed."""
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def is_postmaster(pid: int, data: Path) -> bool:
    """Tell whether that process is a PostgreSQL server of this data folder, and no stranger under a reused number."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return Path(os.fsdecode(arguments[0])).name == "postgres" and os.fsencode(data) in arguments


def stop_server(task: KeeperTask) -> None:
    """Stop the server of the task, if one runs, politely first."""
    data = Path(task.data)
    for mode in ("fast", "immediate"):
        # `pg_ctl stop` trusts the recorded number blindly and would signal a stranger that has it now.
        pid = recorded_pid(data)
        if pid is None or not is_postmaster(pid, data):
            return
        command = [task.pg_ctl, "stop", "-D", task.data, "-m", mode, "-w", "-t", str(STOP_S_MAX), "-s"]
        run_tool(command, task.uid, task.gid)


def wait_until_deserted(holders: int, task: KeeperTask) -> None:
    """Return, with the holders' lock held exclusively, once nobody has held it for the whole grace period.

    The grace is for one command after another, each of which would have to start the server again. Between two looks
    the lock is free. Asking again and again, not waiting in the kernel, leaves room to keep the log short as well.
    """
    deserted_since: float | None = None
    while True:
        if not try_lock(holders, fcntl.LOCK_EX):
            deserted_since = None
        else:
            now = time.monotonic()
            deserted_since = now if deserted_since is None else deserted_since
            if now - deserted_since >= task.grace_s:
                return
            fcntl.flock(holders, fcntl.LOCK_UN)
        shorten_log(Path(task.control) / SERVER_LOG)
        time.sleep(max(task.grace_s / POLLS_PER_GRACE, POLL_S_MIN))


def shorten_log(log: Path) -> None:
    """Empty a log that has grown too long. The server appends, so that it goes on at the new end."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        os.truncate(log, 0)


def detach() -> None:
    """Leave the terminal and the pipes of whoever started us, so that nobody waits for our end."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard_stream in (0, 1, 2):
        os.dup2(nowhere, standard_stream)
    os.close(nowhere)


def is_same_folder(folder: Path, opened: int) -> bool:
    """Tell whether the path still leads to the folder that was opened, and not to one made anew in its place."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(opened))
    except FileNotFoundError:
        return False


def keep(task: KeeperTask) -> None:
    """Watch over the server in a detached child; return at once if another keeper does already."""
    control = Path(task.control)
    keeper_lock = open_lock(control / KEEPER_LOCK)
    if not try_lock(keeper_lock, fcntl.LOCK_EX):
        return
    holders = open_lock(control / HOLDERS_LOCK)
    # Kept open: a folder deleted and made anew under our eyes is then told apart from this one for certain.
    data = os.open(task.data, os.O_RDONLY | os.O_DIRECTORY)
    if os.fork():
        return
    os.truncate(keeper_lock, 0)
    os.write(keeper_lock, f"{os.getpid()}\n".encode())
    detach()
    wait_until_deserted(holders, task)
    if is_same_folder(Path(task.data), data):
        stop_server(task)
    # In this order. Whoever comes now waits for the holders' lock, and then looks whether a keeper lives: it must not
    # take this one, which is as good as gone, for its keeper.
    fcntl.flock(keeper_lock, fcntl.LOCK_UN)
    fcntl.flock(holders, fcntl.LOCK_UN)


if __name__ == "__main__":
    keep(KeeperTask(**json.loads(sys.argv[1])))
