"""Checking and importing files, chunk by chunk of users: each in a transaction that also moves the run's row.

A crash repeats no row and leaves out none: the row of the run is locked while a chunk of it is worked on, and says
where the next begins. Rows go in the order of their users and, for each, in that of the file; a chunk has all rows of
its users. Since users are decided on each for themselves, checking a chunk without storing it says exactly what the
import would do at that moment. What changes between the check and the import is decided once more: a row that is
refused by then is kept as an error of the run, and the others are imported.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from engine.holding import BACKGROUND_LOCK_MS_MAX, HeldUpError, held_up
from engine.outcomes import Accepted, Outcome, Rejected
from engine.pipeline import Clock, preview, process
from imports.kinds import KINDS, CellError, ImportedInput, Kind, cells_of, column_of
from imports.models import ERRORS_MAX, WORKED_ON, ImportKind, ImportRun, ImportStatus, RowError
from imports.store import NEXT_ROWS, forget_rows

logger = logging.getLogger(__name__)

CHUNK: Final = 250


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as it was kept."""

    place: str
    line: int
    cells: list[str]


class _ChunkError(Exception):
    """Something that nobody foresaw went wrong with a run."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(run_id)
        self.run_id = run_id


def work_on_imports(clock: Clock = timezone.now, *, seconds_max: float = math.inf) -> int:
    """Check and import what waits, the oldest file first; return how many rows there were.

    To be called again and again, by as many workers as wanted: after `seconds_max` the rest is left to the next call.
    A run that fails for a reason nobody foresaw is stopped and says so, and holds up no other. Nor does one that has
    come to a user whom other work holds locked: a later call goes on with it.
    """
    rows, begun_s = 0, time.monotonic()
    waiting = ImportRun.objects.filter(status__in=WORKED_ON).order_by("id")
    while time.monotonic() < begun_s + seconds_max:
        try:
            count = _next_chunk(waiting, clock)
        except _ChunkError as error:
            logger.exception("The import %s stopped.", error.run_id)
            ImportRun.objects.filter(id=error.run_id, status__in=WORKED_ON).update(
                status=ImportStatus.FAILED, finished=clock()
            )
            continue
        except HeldUpError as error:
            logger.info("The import %s waits for a user whom other work holds locked.", error.work_id)
            waiting = waiting.exclude(id=error.work_id)
            continue
        if count is None:
            break
        rows += count
    return rows


@transaction.atomic
def _next_chunk(waiting: QuerySet[ImportRun], clock: Clock) -> int | None:
    """Work on the next rows of the oldest run that no other worker has; None where there is none."""
    run = waiting.select_for_update(skip_locked=True, no_key=True).first()
    if run is None:
        return None
    try:
        _expect_growth()
        return _work_on(run, clock)
    except (OperationalError, InterfaceError, HeldUpError):
        raise  # a lock is taken, the database is away, or it ended a deadlock with this transaction: it is tried again
    except Exception as error:
        raise _ChunkError(run.id) from error


def _expect_growth() -> None:
    """Have this transaction find each row by its key.

    The planner would read whole tables that it takes to be empty, as they were before a first import filled them.
    """
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL enable_{way} = off" for way in ("seqscan", "hashjoin", "mergejoin")))


def _work_on(run: ImportRun, clock: Clock) -> int:
    has_enough_errors = run.status == ImportStatus.CHECKING and run.errors >= ERRORS_MAX
    rows = [] if has_enough_errors else _next_rows(run)
    if rows:
        _decide_rows(run, rows, clock)
        run.rows_done += len(rows)
        run.last_place, run.last_line = rows[-1].place, rows[-1].line
    else:
        # In a transaction of its own: this can take a moment, and nobody is locked.
        _end_pass(run, clock())
    run.save(update_fields=["status", "rows_done", "errors", "tally", "last_place", "last_line", "finished"])
    return len(rows)


def _next_rows(run: ImportRun) -> list[_Row]:
    with connection.cursor() as cursor:
        cursor.execute(NEXT_ROWS, {"run": run.id, "place": run.last_place, "line": run.last_line, "count": CHUNK})
        return [_Row(place, line, msgspec.json.decode(cells)) for place, line, cells in cursor.fetchall()]


def _end_pass(run: ImportRun, now: datetime) -> None:
    """Say what became of the run, and forget its rows unless they are still to be imported."""
    if run.status == ImportStatus.IMPORTING:
        run.status, run.finished = ImportStatus.DONE, now
    elif run.errors:
        run.status, run.finished = ImportStatus.REFUSED, now
    else:
        run.status = ImportStatus.CHECKED
    if run.finished:
        forget_rows(run.id)


def _decide_rows(run: ImportRun, rows: Sequence[_Row], clock: Clock) -> None:
    """Import the rows, or only see what would become of them, and keep what was wrong."""
    kind = KINDS[ImportKind(run.kind)]
    inputs, errors = _read_rows(kind, run, rows)
    outcomes = _decide(run, list(inputs.values()), clock) if inputs else []
    accepted = []
    for (line, given), outcome in zip(inputs.items(), outcomes, strict=True):
        if isinstance(outcome, Accepted):
            accepted.append((given, outcome))
        elif isinstance(outcome, Rejected):
            errors[line] = CellError(column_of(kind, outcome.message), outcome.message)
    run.tally = dict(Counter(run.tally) + kind.tally(accepted))
    run.errors += len(errors)
    RowError.objects.bulk_create(
        RowError(run=run, line=line, column=error.column, message=error.message) for line, error in errors.items()
    )


def _decide(run: ImportRun, inputs: Sequence[ImportedInput], clock: Clock) -> Sequence[Outcome]:
    if run.status == ImportStatus.IMPORTING:
        with held_up(str(run.id)):
            return process(inputs, clock=clock, lock_ms_max=BACKGROUND_LOCK_MS_MAX).outcomes
    return preview(inputs, clock=clock).outcomes


def _read_rows(
    kind: Kind, run: ImportRun, rows: Sequence[_Row]
) -> tuple[dict[int, ImportedInput], dict[int, CellError]]:
    """Return the inputs and the errors of the rows by their lines."""
    inputs: dict[int, ImportedInput] = {}
    errors: dict[int, CellError] = {}
    line_of: dict[Hashable, int] = {}
    for row in rows:
        try:
            given = kind.read(cells_of(kind, run.columns, row.cells), run.operator)
            _check_once(kind.once(given), row.line, line_of)
            inputs[row.line] = given
        except CellError as error:
            errors[row.line] = error
    return inputs, errors


def _check_once(subject: Hashable | None, line: int, line_of: dict[Hashable, int]) -> None:
    if subject is not None and (first := line_of.setdefault(subject, line)) != line:
        raise CellError("", f"Line {first} is about the same user and metric: keep one of them.")
