"""The queue of batch events: accepted durably, processed in the background by the one pipeline, in sets.

Users are spread over shards. A worker locks the rows of some shards that nobody else works on and processes the
oldest events of their users, in order, in the transaction that also takes them off the queue: so a crash leaves all as
it was, and nothing is paid twice. A set that fails is processed event by event, and the one that fails alone is set
aside with its error. All events of a user whom somebody else holds locked are left out for a moment, and others go on.
"""

import logging
import time
import traceback
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from msgspec import UNSET, Struct, UnsetType

from core.json import encode_text
from core.warnings import FieldWarning
from engine.coalescing import LOCK_MS_MAX, is_held
from engine.inputs import EventInput
from engine.models import QueuedEvent, QueuedEventStatus
from engine.outcomes import Outcome, Rejected
from engine.pipeline import Clock, process
from users import rules
from users.rules import UserChanges

logger = logging.getLogger(__name__)

Claimed = tuple[int, str, str, str, datetime]
"""A queued event's id, external id, metric key, text and time."""

SHARDS: Final = 16
SHARDS_CLAIMED: Final = 4
"""How many shards one transaction takes: sets stay large where few users wait, and four workers can work at once."""
SET_MAX: Final = 500
"""How many events one transaction processes."""
ASIDE_S: Final = 1.0
"""How long a worker lets the events of a user be whom somebody else holds locked."""
TRIES_MAX: Final = 20
"""How many sets in a row may turn out to be of users alone whom somebody else holds locked."""
DEPTH_SHOWN_MAX: Final = 100_000
KEPT: Final = timedelta(days=30)
"""How long an event that a rule rejected can be looked at."""
PRUNED_AT_ONCE: Final = 10_000

_ENQUEUE: Final = """
WITH n AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS n(
        place int, shard smallint, external_id text, metric_key text, event text, accepted timestamptz)
), shards AS (
    INSERT INTO engine_queueshard (shard) SELECT DISTINCT shard FROM n ORDER BY shard ON CONFLICT DO NOTHING
)
INSERT INTO engine_queuedevent (shard, external_id, metric_key, event, accepted, status, reason)
SELECT shard, external_id, metric_key, event, accepted, 'waiting', '' FROM n ORDER BY place
"""

_CLAIM: Final = """
SELECT s.shard
FROM engine_queueshard s
CROSS JOIN LATERAL (
    SELECT id FROM engine_queuedevent
    WHERE shard = s.shard AND status = 'waiting' AND external_id <> ALL(%(aside)s) ORDER BY id LIMIT 1
) AS oldest
ORDER BY oldest.id
LIMIT %(count)s
FOR UPDATE OF s SKIP LOCKED
"""

# Not in the statement that locks: what it saw may have been processed before it had the lock.
_OLDEST: Final = """
SELECT id, external_id, metric_key, event, accepted FROM engine_queuedevent
WHERE shard = ANY(%(shards)s) AND status = 'waiting' AND external_id <> ALL(%(aside)s) ORDER BY id LIMIT %(count)s
"""

_ONE: Final = """
SELECT id, external_id, metric_key, event, accepted FROM engine_queuedevent WHERE id = %s AND status = 'waiting'
"""

# Those who are free are locked; nobody is waited for.
_HELD: Final = """
WITH free AS MATERIALIZED (
    SELECT id FROM users_enduser WHERE external_id = ANY(%(users)s) FOR NO KEY UPDATE SKIP LOCKED
)
SELECT u.external_id FROM users_enduser u
WHERE u.external_id = ANY(%(users)s) AND NOT EXISTS (SELECT FROM free f WHERE f.id = u.id)
"""

_TAKE_OFF: Final = "DELETE FROM engine_queuedevent WHERE id = ANY(%s)"

_REJECT: Final = """
UPDATE engine_queuedevent e SET status = 'rejected', reason = n.reason, settled = %s
FROM json_to_recordset(%s) AS n(id bigint, reason text) WHERE e.id = n.id
"""

_PRUNE: Final = """
DELETE FROM engine_queuedevent WHERE id IN (
    SELECT id FROM engine_queuedevent WHERE status = 'rejected' AND settled < %s LIMIT %s)
"""

_DEPTH: Final = """
SELECT (SELECT count(*) FROM (SELECT FROM engine_queuedevent WHERE status = 'waiting' LIMIT %s) AS counted),
       (SELECT min(oldest.accepted) FROM engine_queueshard s CROSS JOIN LATERAL (
            SELECT accepted FROM engine_queuedevent
            WHERE shard = s.shard AND status = 'waiting' ORDER BY id LIMIT 1) AS oldest),
       (SELECT count(*) FROM (SELECT FROM engine_queuedevent WHERE status = 'failed' LIMIT %s) AS counted)
"""

# A connection that was lost, a deadlock, a server that stops or has no room: the same set may well pass the next time.
_TRANSIENT_SQLSTATES: Final = ("08", "40", "53", "55", "57", "58")


class StoredInput(Struct, omit_defaults=True):
    """An event's input as the queue keeps it, without its user's id, its metric and its time, which have columns."""

    value: Decimal
    attributes: dict[str, str] = {}
    idempotency_key: str | None = None
    name: str | None | UnsetType = UNSET
    email: str | None | UnsetType = UNSET
    tz: str | None | UnsetType = UNSET
    device_tokens: tuple[str, ...] | None | UnsetType = UNSET
    subscribe_to_emails: bool | UnsetType = UNSET
    sign_up_date: date | None | UnsetType = UNSET
    user_attributes: dict[str, str | None] | UnsetType = UNSET
    warnings: tuple[FieldWarning, ...] = ()


_USER_FIELDS: Final = tuple(
    each for each in UserChanges.__struct_fields__ if each not in ("external_id", "attributes", "warnings")
)
_decoder = msgspec.json.Decoder(StoredInput)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How much waits, up to DEPTH_SHOWN_MAX, how old the oldest of it is, and how much failed and was set aside."""

    waiting: int
    oldest_s: float
    failed: int


def encode_input(given: EventInput) -> str:
    """Return an event's input as text."""
    user = {name: value for name in _USER_FIELDS if (value := getattr(given.user, name)) is not rules.UNSET}
    if isinstance(given.user.attributes, Mapping):
        user["user_attributes"] = dict(given.user.attributes)
    stored = StoredInput(
        given.value, dict(given.attributes), given.idempotency_key, warnings=given.user.warnings, **user
    )
    return encode_text(stored)


def decode_input(external_id: str, metric_key: str, text: str, at: datetime) -> EventInput:
    """Return the input that `encode_input` made the text of."""
    stored = _decoder.decode(text)
    given = {name: value for name in _USER_FIELDS if (value := getattr(stored, name)) is not UNSET}
    if stored.user_attributes is not UNSET:
        given["attributes"] = stored.user_attributes
    return EventInput(
        user=UserChanges(external_id, warnings=stored.warnings, **given),
        metric_key=metric_key,
        value=stored.value,
        attributes=stored.attributes,
        idempotency_key=stored.idempotency_key,
        at=at,
    )


def shard_of(external_id: str) -> int:
    """Return the shard of a user: the same in every process and for ever."""
    return zlib.crc32(external_id.encode()) % SHARDS


def enqueue(inputs: Sequence[EventInput], *, now: datetime) -> None:
    """Accept events: once this returns outside a transaction they are stored, and will be processed in their order."""
    rows = [
        {
            "place": place,
            "shard": shard_of(given.user.external_id),
            "external_id": given.user.external_id,
            "metric_key": given.metric_key,
            "event": encode_input(given),
            "accepted": now,
        }
        for place, given in enumerate(inputs)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ENQUEUE, [encode_text(rows)])


class Aside:
    """The users whom other work held locked a moment ago, as one worker has found out; it lets them be for ASIDE_S."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}

    def put(self, external_ids: Iterable[str]) -> None:
        """Leave the events of these users out for a moment."""
        until_s = time.monotonic() + ASIDE_S
        for external_id in external_ids:
            logger.info("Other work holds the user %s locked: their batch events wait.", external_id)
            self._until_s[external_id] = until_s

    def users(self) -> list[str]:
        """Return the users whose events are to be left out now."""
        now_s = time.monotonic()
        self._until_s = {user: until_s for user, until_s in self._until_s.items() if until_s > now_s}
        return list(self._until_s)


def work(*, clock: Clock = timezone.now, aside: Aside | None = None) -> int:
    """Process the oldest events that nobody else works on; return how many left the queue or were settled.

    `aside` is what a worker remembers from one call to the next. Raises DatabaseError where the database is away or
    busy: nothing happened then, and the next call may well succeed.
    """
    aside = Aside() if aside is None else aside
    is_careful = bool(aside.users())
    for _ in range(TRIES_MAX):
        tried = _work_on_set(clock, aside, is_careful=is_careful)
        if tried.error is None and (tried.done or not tried.claimed):
            return tried.done
        if tried.error is not None and (is_careful or not is_held(tried.error)):
            logger.error(
                "A set of %s events failed; each is processed alone.", len(tried.claimed), exc_info=tried.error
            )
            return _work_one_by_one(tried.claimed, clock, aside)
        is_careful = True
    return 0


@dataclass(frozen=True, slots=True)
class _Tried:
    """A set that was worked on: how many of its events were done; or the error, where another way may help."""

    claimed: Sequence[Claimed]
    done: int = 0
    error: Exception | None = None


def _work_on_set(clock: Clock, aside: Aside, *, is_careful: bool) -> _Tried:
    """Process a set. If `is_careful`, whoever is held locked is found first and put aside, which costs a statement."""
    claimed: list[Claimed] = []
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            users = aside.users()
            cursor.execute(_CLAIM, {"aside": users, "count": SHARDS_CLAIMED})
            shards = [shard for (shard,) in cursor.fetchall()]
            if not shards:
                return _Tried(())
            cursor.execute(_OLDEST, {"shards": shards, "aside": users, "count": SET_MAX})
            claimed = cursor.fetchall()
            held = _held_among(claimed) if is_careful else frozenset()
            free = [event for event in claimed if event[1] not in held]
            _process(free, clock)
    except Exception as error:
        if not claimed or (is_transient(error) and not is_held(error)):
            raise
        return _Tried(claimed, error=error)
    aside.put(held)
    return _Tried(claimed, done=len(free))


def _held_among(claimed: Sequence[Claimed]) -> frozenset[str]:
    """Return which of the events' users somebody else holds locked, and lock the others.

    A user who is just being made by somebody else is not found.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HELD, {"users": list({external_id for _, external_id, *_ in claimed})})
        return frozenset(external_id for (external_id,) in cursor.fetchall())


def _work_one_by_one(claimed: Sequence[Claimed], clock: Clock, aside: Aside) -> int:
    """Process each event alone, but none of a user who turned out to be held: their order would be lost."""
    held: set[str] = set(aside.users())
    done = 0
    for id_, external_id, *_ in claimed:
        if external_id in held:
            continue
        if _work_alone(id_, clock):
            done += 1
        else:
            held.add(external_id)
            aside.put([external_id])
    return done


def _work_alone(id_: int, clock: Clock) -> bool:
    """Process one event, if it still waits, and set it aside where it fails; return False if its user is held."""
    shard = QueuedEvent.objects.filter(id=id_).values_list("shard", flat=True).first()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # Waits for whoever holds the shard, so that a user's events keep their order.
            cursor.execute("SELECT FROM engine_queueshard WHERE shard = %s FOR UPDATE", [shard])
            cursor.execute(_ONE, [id_])
            _process(cursor.fetchall(), clock)
    except Exception as error:
        if is_held(error):
            return False
        if is_transient(error):
            raise
        logger.exception("The queued event %s failed and is set aside.", id_)
        text = "".join(traceback.format_exception_only(error)).strip()
        waiting = QueuedEvent.objects.filter(id=id_, status=QueuedEventStatus.WAITING)
        waiting.update(status=QueuedEventStatus.FAILED, reason=text, settled=clock())
    return True


def _process(events: Sequence[Claimed], clock: Clock) -> None:
    """Process claimed events and take them off the queue, all in the caller's transaction."""
    if not events:
        return
    inputs = [decode_input(external_id, key, text, at) for _, external_id, key, text, at in events]
    ids = [id_ for id_, *_ in events]
    _settle(ids, process(inputs, clock=clock, lock_ms_max=LOCK_MS_MAX).outcomes, clock())


def _settle(ids: Iterable[int], outcomes: Iterable[Outcome], now: datetime) -> None:
    done, rejected = [], []
    for id_, outcome in zip(ids, outcomes, strict=True):
        if isinstance(outcome, Rejected):
            rejected.append({"id": id_, "reason": outcome.message})
        else:
            done.append(id_)
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_OFF, [done])
        if rejected:
            cursor.execute(_REJECT, [now, encode_text(rejected)])


def is_transient(error: Exception) -> bool:
    """Tell whether the same may well succeed the next time: the database was away or busy, the events are sound."""
    if isinstance(error, InterfaceError):
        return True
    sqlstate: str | None = getattr(error.__cause__, "sqlstate", None)
    if isinstance(error, DatabaseError) and sqlstate:
        return sqlstate.startswith(_TRANSIENT_SQLSTATES)
    return isinstance(error, OperationalError)


def retry(*, events: QuerySet[QueuedEvent]) -> int:
    """Let those of the events that failed wait again, at their old places; return how many did."""
    failed = events.filter(status=QueuedEventStatus.FAILED)
    return int(failed.update(status=QueuedEventStatus.WAITING, reason="", settled=None))


def depth(now: datetime) -> QueueDepth:
    """Return how much waits in the queue."""
    with connection.cursor() as cursor:
        cursor.execute(_DEPTH, [DEPTH_SHOWN_MAX, DEPTH_SHOWN_MAX])
        waiting, oldest, failed = cursor.fetchone()
    return QueueDepth(waiting, max(0.0, (now - oldest).total_seconds()) if oldest else 0.0, failed)


def prune_rejected(now: datetime) -> int:
    """Delete what was rejected long ago, in chunks; return how much that was."""
    pruned = 0
    while chunk := _prune_chunk(now - KEPT):
        pruned += chunk
    return pruned


def _prune_chunk(before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE, [before, PRUNED_AT_ONCE])
        return int(cursor.rowcount)
