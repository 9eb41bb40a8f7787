"""CSV in both directions: what a cell stands for, and files on their way to a browser, row by row.

A spreadsheet runs a text that begins like a formula, and one that splits a file at other places than ours (at
semicolons, at line ends within quotation marks) sees such beginnings also within a text. So a text is written with an
apostrophe before each of them, which is taken away when it is read; so is a text that would otherwise stand for
something else: the empty one and `null`. An empty cell says nothing, `null` clears a field.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from django.http import StreamingHttpResponse

from core.json import plain_number

CsvValue = str | int | float | Decimal | None
"""What a cell is made of: numbers are written as they are, texts so that no spreadsheet runs them."""

NULL: Final = "null"

BYTE_ORDER_MARK: Final = "\ufeff"
"""Begins each file: without it Excel takes UTF-8 for the encoding of its country, and `Zoë` becomes gibberish."""

# How a formula begins. The full-width forms are taken for the others by spreadsheets of East Asia.
_FORMULA: Final = r"[=+\-@＝＋－＠]"  # noqa: RUF001
# What a spreadsheet may pass over before it.
_PASSED_OVER: Final = rf"\s'\"{BYTE_ORDER_MARK}"
# A text that needs an apostrophe, or that has one (or more) in its place already.
_AMBIGUOUS: Final = re.compile(rf"'*(?:null)?\Z|'*[\t\r\n]|[{_PASSED_OVER}]*{_FORMULA}")

# Where a cell may begin for a spreadsheet that splits otherwise, and all that stands between there and a formula. Such
# a stretch is looked at once, from its beginning, so that the time does not grow with the square of its length.
_SEPARATOR: Final = r"[;|\t\r\n]"
_STRETCH: Final = re.compile(rf"(?<![;|{_PASSED_OVER}])[;|{_PASSED_OVER}]++(?={_FORMULA})")
_INNER_BEGINNING: Final = re.compile(rf"(?<={_SEPARATOR})")
_INNER_APOSTROPHE: Final = re.compile(rf"(?<={_SEPARATOR})'")

_WHITE_SPACE: Final = "".join(filter(str.isspace, map(chr, range(0x3001)))) + BYTE_ORDER_MARK


def write_text(text: str) -> str:
    """Return the cell for a text."""
    guarded = _STRETCH.sub(lambda found: _INNER_BEGINNING.sub("'", found[0]), text)
    return f"'{guarded}" if _AMBIGUOUS.match(text) else guarded


def read_text(cell: str) -> str:
    """Return the text of a cell that is neither empty nor `null`: what `write_text` was given."""
    guarded = cell[1:] if cell.startswith("'") and _AMBIGUOUS.match(cell) else cell
    return _STRETCH.sub(lambda found: _INNER_APOSTROPHE.sub("", found[0]), guarded)


def trimmed(cell: str) -> str:
    """Return a cell without the white space around it, of whatever alphabet, and without byte order marks."""
    return cell.strip(_WHITE_SPACE)


def write_cell(value: CsvValue) -> str:
    """Return the cell for a value: empty for None."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{Decimal(plain_number(value)):f}"
    return write_text(value) if isinstance(value, str) else str(value)


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        """Return the text."""
        return text


def csv_response(rows: Iterable[Iterable[CsvValue]], file_name: str) -> StreamingHttpResponse:
    """Answer with a file for downloading, whose rows are made as they are sent."""
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"', "X-Content-Type-Options": "nosniff"}
    return StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8", headers=headers)


def _lines(rows: Iterable[Iterable[CsvValue]]) -> Iterator[str]:
    # Everything is quoted, so that a spreadsheet that splits at semicolons too leaves a text in its one cell.
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    mark = BYTE_ORDER_MARK
    for row in rows:
        yield mark + writer.writerow([write_cell(value) for value in row])
        mark = ""
