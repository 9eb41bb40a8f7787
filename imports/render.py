"""What operators see of an import."""

from collections.abc import Iterator
from typing import Any, Final, TypedDict

from django.utils.html import format_html

from core.csv import CsvValue
from imports.kinds import KINDS
from imports.models import ImportKind, ImportRun, ImportStatus, RowError

ERRORS_SHOWN: Final = 100

STATUS_COLOURS: Final[dict[str, str]] = {
    ImportStatus.CHECKING: "info",
    ImportStatus.REFUSED: "danger",
    ImportStatus.CHECKED: "warning",
    ImportStatus.IMPORTING: "info",
    ImportStatus.DONE: "success",
    ImportStatus.CANCELLED: "default",
    ImportStatus.FAILED: "danger",
}


class RunCard(TypedDict):
    """What an import's page shows. `moves` says that it will look different in a moment."""

    run: ImportRun
    colour: str
    news: str
    effect: str
    confirm: str
    tally: list[str]
    errors: dict[str, Any]
    moves: bool


def run_card(run: ImportRun) -> RunCard:
    """Return what the page of an import shows."""
    return {
        "run": run,
        "colour": "warning" if is_incomplete(run) else STATUS_COLOURS[run.status],
        "news": _news(run),
        "effect": KINDS[ImportKind(run.kind)].effect if run.status == ImportStatus.CHECKED else "",
        "confirm": f"Import {_rows(run.rows)}",
        "tally": [f"{count:,} {label}" for label, count in sorted(run.tally.items())],
        "errors": _error_table(run),
        "moves": run.status in (ImportStatus.CHECKING, ImportStatus.IMPORTING),
    }


def is_incomplete(run: ImportRun) -> bool:
    """Tell whether an import ended and left some rows out."""
    return run.status == ImportStatus.DONE and run.errors > 0


def _news(run: ImportRun) -> str:
    """Say where the import is and what comes next, in words."""
    of_rows = f"{run.rows_done:,} of {_rows(run.rows)}"
    wrong = _rows(run.errors)
    return {
        ImportStatus.CHECKING: f"{of_rows} checked. Nothing is stored before you confirm; you may leave this page.",
        ImportStatus.REFUSED: (
            f"{wrong} cannot be imported, so nothing was. Correct the file and upload it again."
            + (f" The check stopped after {of_rows}." if run.rows_done < run.rows else "")
        ),
        ImportStatus.CHECKED: (
            f"Without errors: {_rows(run.rows)} can be imported as things are now. Nothing is stored yet."
        ),
        ImportStatus.IMPORTING: f"{of_rows} imported. You may leave this page.",
        ImportStatus.DONE: (
            f"{_rows(run.rows - run.errors)} imported. {wrong} could not be: something changed since the check."
            if run.errors
            else f"{_rows(run.rows)} imported."
        ),
        ImportStatus.CANCELLED: "Nothing was imported.",
        ImportStatus.FAILED: (
            f"It stopped after {of_rows}, for a reason that is in the server's log. No row counted twice: once the "
            "reason is gone, it can go on from there."
        ),
    }[ImportStatus(run.status)]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _error_table(run: ImportRun) -> dict[str, Any]:
    shown = RowError.objects.filter(run=run)[:ERRORS_SHOWN]
    column = "<code>{}</code>"
    rows = [[error.line, format_html(column, error.column) if error.column else "", error.message] for error in shown]
    return {"headers": ["Line", "Column", "What is wrong"], "rows": rows}


def error_rows(run: ImportRun) -> Iterator[list[CsvValue]]:
    """Yield the lines of the file that says what was wrong."""
    yield ["line", "column", "message"]
    for error in RowError.objects.filter(run=run).iterator():
        yield [error.line, error.column, error.message]
