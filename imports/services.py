"""What operators do with imports: upload a file, confirm or cancel, try again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import IO, Final

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from core.json import encode_text
from imports.content import content_digest
from imports.files import FileError, FileRow, opened
from imports.kinds import KINDS, check_header, user_id_in
from imports.models import ERRORS_MAX, PLACE_LENGTH_MAX, ImportKind, ImportRun, ImportStatus
from imports.store import REFUSE_EXCESS, STAGE, forget_rows
from users.models import AttributeType
from users.store import load_archived_user_keys, load_attribute_keys

USER_ROWS_MAX: Final = 1000
"""How many rows of one user a file can have, since they are worked on together."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """What was found in a file: its columns, and a digest by which another file that says the same is known."""

    columns: list[str]
    digest: str


def read_file(kind: ImportKind, file: IO[bytes]) -> FileContent:
    """Read all of the file. Raises FileError where it cannot be imported as it is."""
    with opened(file) as (header, rows):
        check_header(KINDS[kind], header, load_attribute_keys()[AttributeType.USER] | load_archived_user_keys())
        first = next(rows, None)
        if first is None:
            raise FileError("The file has only a header: there are no rows to import.")
        return FileContent(header, content_digest(KINDS[kind], header, chain([first], rows)))


@transaction.atomic
def stage_rows(*, run: ImportRun, file: IO[bytes]) -> None:
    """Keep the rows of a file that can be read for the workers, who check them from then on."""
    user_column = run.columns.index(KINDS[ImportKind(run.kind)].columns[0])
    with connection.cursor() as cursor, opened(file) as (_, rows):
        with cursor.copy(STAGE) as copy:
            for row in rows:
                copy.write_row((run.id, _place(row, user_column), row.line, encode_text(row.cells)))
                run.rows += 1
        message = f"One user can have at most {USER_ROWS_MAX:,} rows in a file: put the others into another file."
        column = run.columns[user_column]
        limits = {"most": USER_ROWS_MAX, "errors": ERRORS_MAX}
        cursor.execute(REFUSE_EXCESS, {"run": run.id, "column": column, "message": message, **limits})
        run.errors = run.rows_done = cursor.rowcount
    run.save(update_fields=["rows", "rows_done", "errors"])


def _place(row: FileRow, user_column: int) -> str:
    """Return where the row is in the order of work: with its user's others, or anywhere where it names none."""
    cell = row.cells[user_column] if user_column < len(row.cells) else ""
    return user_id_in(cell)[:PLACE_LENGTH_MAX] or str(row.line)


@transaction.atomic
def confirm_import(*, run: ImportRun, now: datetime) -> None:
    """Let the workers import what was checked. Raises ValidationError where that cannot be, or would count twice."""
    run = _locked(run, (ImportStatus.CHECKED,), "can be confirmed only once, when it was checked without errors.")
    run.status, run.confirmed = ImportStatus.IMPORTING, now
    run.validate_constraints()
    run.rows_done, run.tally, run.last_place, run.last_line = 0, {}, "", 0
    run.save(update_fields=["status", "confirmed", "rows_done", "tally", "last_place", "last_line"])


@transaction.atomic
def cancel_import(*, run: ImportRun, now: datetime) -> None:
    """Forget a file that was not confirmed. Raises ValidationError for another."""
    waiting = (ImportStatus.CHECKING, ImportStatus.CHECKED)
    run = _locked(run, waiting, "was confirmed or ended already, so it cannot be cancelled.")
    run.status, run.finished = ImportStatus.CANCELLED, now
    run.save(update_fields=["status", "finished"])
    forget_rows(run.id)


@transaction.atomic
def retry_import(*, run: ImportRun) -> None:
    """Let the workers go on where an import stopped. Raises ValidationError for one that did not."""
    run = _locked(run, (ImportStatus.FAILED,), "did not stop, so it need not be tried again.")
    run.status = ImportStatus.IMPORTING if run.confirmed else ImportStatus.CHECKING
    run.finished = None
    run.save(update_fields=["status", "finished"])


def _locked(run: ImportRun, statuses: Sequence[ImportStatus], refusal: str) -> ImportRun:
    """Return the run as it is now, locked. Raises ValidationError where its status is none of these.

    With all runs of files that say the same, in one order: of two that are confirmed at once, one waits for the other.
    """
    of_file = ImportRun.objects.select_for_update(no_key=True).filter(digest=run.digest).order_by("id")
    run = next(each for each in of_file if each.id == run.id)
    if run.status not in statuses:
        raise ValidationError(f"«{run}» {refusal}")
    return run
