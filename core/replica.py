"""Reads that may be a few seconds old, from a replica of the database where one keeps up.

Nothing goes to a replica by default: only what a page or an endpoint reads inside `from_replica`, and of that only
what the stores read by `read_connection`, and models of the apps in REPLICA_APPS. All else is the primary's: what is
written or read in a transaction, keys, sessions, configuration, and what callers read of what they have just written.

For each replica a thread asks once a second how far it is, so that no request waits for one that does not answer.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

ASK_EVERY_S: Final = 1.0
ANSWER_S_MAX: Final = 2
"""How long a server may take to let a thread in, and a network to say that nobody is there."""
FORGOTTEN_AFTER_S: Final = 3.0
"""For how long an answer counts: a thread that got none yet is still waiting for one."""

# A position that the primary has reached is asked for first, so that a replica that has reached it is not behind.
# Otherwise it is behind by less than the age of the last transaction that it has. That alone would not do: an idle
# primary has no new transactions. A server that is no standby has no lag: who knows whose data it holds.
_POSITION: Final = "SELECT pg_current_wal_lsn()::text"
_LAG: Final = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL
       WHEN pg_last_wal_replay_lsn() >= %s::pg_lsn THEN 0
       ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float
"""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What was last heard of a replica: how far it is behind, None where it did not say; and when, by our own clock."""

    lag_s: float | None
    at_s: float

    def is_fit(self, now_s: float) -> bool:
        """Tell whether reads may go there."""
        lag_s = self.known_lag_s(now_s)
        return lag_s is not None and lag_s <= settings.REPLICA_LAG_MAX_S

    def known_lag_s(self, now_s: float) -> float | None:
        """Return how far it is behind, None where that is not known or no longer."""
        return None if now_s - self.at_s > FORGOTTEN_AFTER_S else self.lag_s

    def describe(self, now_s: float) -> str:
        """Return the state in words for whoever watches the server."""
        if self.is_fit(now_s):
            return "in use"
        lag_s = self.known_lag_s(now_s)
        return f"left out: {'does not answer as a standby' if lag_s is None else f'{lag_s:.1f} s behind'}"


class Replica:
    """One replica, and what this process knows of it from the first question on."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._state = ReplicaState(None, float("-inf"))
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        self._thread: threading.Thread | None = None
        self._begin = threading.Lock()
        self._was_asked = threading.Event()

    def state(self) -> ReplicaState:
        """Return what is known now; nothing before it has answered for the first time."""
        self._keep_asking()
        return self._state

    def state_once_asked(self) -> ReplicaState:
        """Return what is known, the first time after waiting for the answer."""
        self._keep_asking()
        self._was_asked.wait(3 * ANSWER_S_MAX)
        return self._state

    def note(self, lag_s: float | None) -> None:
        """Remember what was heard, and log it where it makes a difference."""
        now_s, before = time.monotonic(), self._state
        self._state = state = ReplicaState(lag_s, now_s)
        was_fit, is_first = before.is_fit(before.at_s), not self._was_asked.is_set()
        if state.is_fit(now_s) and not was_fit:
            logger.info("%s is in use.", self.alias)
        elif not state.is_fit(now_s) and (was_fit or is_first):
            logger.warning("%s is %s. The primary answers instead.", self.alias, state.describe(now_s))

    def _keep_asking(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._begin:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._ask_for_ever, name=self.alias, daemon=True)
                self._thread.start()

    def _ask_for_ever(self) -> None:
        while True:
            position = self._ask(DEFAULT_DB_ALIAS, _POSITION)
            # Without the primary there is nothing to compare with.
            self.note(None if position is None else self._ask(self.alias, _LAG, position))
            self._was_asked.set()
            time.sleep(ASK_EVERY_S)

    def _ask(self, alias: str, statement: str, *parameters: object) -> Any:
        """Return the one value that the server answers, None where it does not."""
        try:
            if alias not in self._connections:
                self._connections[alias] = _connect(alias)
            row = self._connections[alias].execute(statement.encode(), parameters).fetchone()
        except psycopg.Error as error:
            logger.debug("%s does not say where it is: %s", alias, error)
            with suppress(KeyError):
                self._connections.pop(alias).close()
            return None
        return row[0] if row else None


class Replicas:
    """All of them, by the settings."""

    @cached_property
    def all(self) -> list[Replica]:
        """Every replica in the order of REPLICA_URLS."""
        return [Replica(alias) for alias in settings.REPLICAS]

    def fit(self) -> list[Replica]:
        """Return those that reads may go to."""
        now_s = time.monotonic()
        return [replica for replica in self.all if replica.state().is_fit(now_s)]


replicas: Final = Replicas()
_chosen: ContextVar[str | None] = ContextVar("replica", default=None)


def _connect(alias: str) -> psycopg.Connection[Any]:
    """Return a connection of a thread's own that gives up soon where nobody is there."""
    given = connections[alias].get_connection_params()
    of_django = ("server_side_binding", "pool", "cursor_factory", "context", "prepare_threshold")
    return psycopg.connect(
        **{key: value for key, value in given.items() if key not in of_django},
        connect_timeout=ANSWER_S_MAX,
        tcp_user_timeout=ANSWER_S_MAX * 1_000,
        autocommit=True,
        prepare_threshold=None,
    )


def from_replica(read: Callable[[], Answer]) -> Answer:
    """Return what `read` returns, by a replica that is at most REPLICA_LAG_MAX_S behind, or else by the primary.

    Where the replica fails in the middle, `read` is called again with the primary: so it must do nothing but read, and
    return no query that is yet to run. What it writes all the same, the primary gets.
    """
    if not settings.REPLICAS or _chosen.get() or _in_transaction() or not (fit := replicas.fit()):
        return read()
    replica = random.choice(fit)  # noqa: S311 -- to share the work, not to keep a secret
    try:
        with _reading_from(replica.alias):
            return read()
    except (OperationalError, InterfaceError) as error:
        # It is gone, or the primary removed old rows that a long read still needed.
        logger.warning("%s failed in the middle of a read: %s", replica.alias, error)
        replica.note(None)
        return read()


def read_connection() -> BaseDatabaseWrapper:
    """Return the connection for a statement that only reads: inside `from_replica` that of the replica."""
    return connections[_alias()]


def _alias() -> str:
    chosen = _chosen.get()
    return DEFAULT_DB_ALIAS if chosen is None or _in_transaction() else chosen


def _in_transaction() -> bool:
    return connections[DEFAULT_DB_ALIAS].in_atomic_block


@contextmanager
def _reading_from(alias: str) -> Iterator[None]:
    token = _chosen.set(alias)
    try:
        yield
    finally:
        _chosen.reset(token)


class ReplicaRouter:
    """Sends reads of models in REPLICA_APPS where `read_connection` goes, and everything else to the primary."""

    def db_for_read(self, model: type[Model], **_: Any) -> str:
        """Return where to read."""
        return _alias() if model._meta.app_label in settings.REPLICA_APPS else DEFAULT_DB_ALIAS

    def db_for_write(self, model: type[Model], **_: Any) -> str:
        """Return the primary, wherever a row was read."""
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Model, other: Model, **_: Any) -> bool:
        """Let rows refer to each other wherever they were read: it is one database."""
        return True

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool:
        """Migrate the primary alone: replicas follow by themselves."""
        return db == DEFAULT_DB_ALIAS
