"""What tests with other processes and connections share."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from django.db import connection

WAIT_S_MAX: Final = 120
"""Far more than anything takes, for a busy machine is no failure."""
LOOK_S: Final = 0.01


def worker_environment() -> dict[str, str]:
    """Return the environment of another process on the tests' database."""
    given = {key: str(value) for key, value in connection.settings_dict.items() if isinstance(value, str | int)}
    user = f"{quote(given['USER'])}:{quote(given['PASSWORD'])}" if given["PASSWORD"] else quote(given["USER"])
    url = f"postgres://{user}@/{given['NAME']}?host={quote(given['HOST'], safe='')}&port={given['PORT'] or 5432}"
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], bool], *, look_s: float = LOOK_S) -> None:
    """Return once the condition, which asks the database, holds. Raises AssertionError where it never does.

    Between two looks, `look_s` apart, the processor is for those that are waited for. A condition that itself waits
    or works needs no pause: 0.
    """
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("It never came to that.")
        time.sleep(look_s)


def somebody_waits() -> bool:
    """Tell whether a transaction of this database waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )
        return bool(cursor.fetchone()[0])


def break_storing(of_user: str) -> None:
    """Make the database refuse every event of a user, as a defect would that nobody foresaw."""
    with connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.user_id = (SELECT id FROM users_enduser WHERE external_id = '{of_user}') THEN
                    RAISE EXCEPTION 'the moon is wrong';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON metrics_event FOR EACH ROW EXECUTE FUNCTION refuse();
        """)


def mend_storing() -> None:
    """Take that back."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER IF EXISTS refuse ON metrics_event; DROP FUNCTION IF EXISTS refuse()")


@contextmanager
def locked(*external_ids: str) -> Iterator[None]:
    """Hold the locks of users on a connection of its own, as an operator's forgotten session does."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM users_enduser WHERE external_id = ANY(%s) FOR UPDATE", [list(external_ids)])
        yield
    finally:
        other.close()


@contextmanager
def stalled_storing(of_user: str) -> Iterator[None]:
    """Let the database stand still in the middle of storing an event of a user, until the end."""
    with connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.user_id = (SELECT id FROM users_enduser WHERE external_id = '{of_user}') THEN
                    PERFORM pg_sleep({WAIT_S_MAX});
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON metrics_event FOR EACH ROW EXECUTE FUNCTION refuse();
        """)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM ({_STALLED}) AS s")
        until(lambda: not somebody_stands_still())
        mend_storing()


_STALLED: Final = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'
"""


def somebody_stands_still() -> bool:
    """Tell whether a transaction of this database stands still in `stalled_storing`."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({_STALLED})")
        return bool(cursor.fetchone()[0])
