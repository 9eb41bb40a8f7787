"""Reading an uploaded CSV file row by row, in constant memory, with one clear sentence for what cannot be read."""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from typing import IO, Final

from core.csv import trimmed

FILE_BYTES_MAX: Final = 100_000_000
LINE_LENGTH_MAX: Final = 200_000
COLUMNS_MAX: Final = 500

DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What can separate cells; spreadsheets in countries with a decimal comma write semicolons."""

_SAVE_AS: Final = "save it from your spreadsheet as «CSV UTF-8»."
_OTHER_FORMATS: Final = {
    b"PK\x03\x04": "is a workbook or another archive",
    b"\xd0\xcf\x11\xe0": "is a workbook of an old Excel",
    b"\x1f\x8b": "is compressed",
    b"%PDF": "is a PDF",
}
"""What a file that is not CSV begins with."""
_BOM_LENGTH_MAX: Final = max(map(len, _OTHER_FORMATS))

# What Excel, and others for its sake, write before the header. It is not a row.
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE | re.DOTALL)
_NOTHING: Final = re.compile(rf"[\s\"\ufeff{re.escape(''.join(DELIMITERS))}]*")


class FileError(Exception):
    """The file cannot be imported, and why, in one sentence."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row that is not empty, and the line of the file on which it begins."""

    line: int
    cells: list[str]


@contextmanager
def opened(file: IO[bytes]) -> Iterator[tuple[list[str], Iterator[FileRow]]]:
    """Give the header and the rows of a file. All raise FileError, also later on.

    It is UTF-8, or UTF-16 with a byte order mark. An encoding with one byte for a letter, such as Windows-1252, is
    refused: nothing tells it from others of its kind, and names would be garbled in silence.
    """
    file.seek(0)
    text = _as_text(file)
    try:
        rows = _rows(text)
        header = next(rows, None)
        if header is None:
            raise FileError("The file is empty: it needs a header line with the names of the columns, and rows.")
        yield [trimmed(name) for name in header.cells], rows
    finally:
        text.detach()


def _as_text(file: IO[bytes]) -> TextIOWrapper:
    """Return the file as text, in which what is not valid is carried along, so that its line can be named."""
    beginning = file.read(_BOM_LENGTH_MAX)
    file.seek(0)
    for mark, sentence in _OTHER_FORMATS.items():
        if beginning.startswith(mark):
            raise FileError(f"The file {sentence}, not CSV: {_SAVE_AS}")
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return TextIOWrapper(file, encoding="utf-16", errors="surrogatepass", newline="")
    return TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _rows(text: TextIOWrapper) -> Iterator[FileRow]:
    lines = _lines(text)
    passed_over, first, delimiter = _beginning(lines)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    line = passed_over + 1
    try:
        for cells in reader:
            if any(map(trimmed, cells)):
                yield FileRow(line, cells)
            line = passed_over + reader.line_num + 1
    except csv.Error as error:
        raise FileError(
            f"From line {line} on, the file cannot be read: a quotation mark is not closed, more text follows a "
            "closing one, or a cell is longer than 131,072 characters."
        ) from error


def _beginning(lines: Iterator[str]) -> tuple[int, str, str]:
    """Return how many lines come before the header, the header's first line, and what separates the cells."""
    told = ""
    for passed_over, line in enumerate(lines):
        if not told and (found := _SEPARATOR_LINE.fullmatch(line)):
            told = _told_delimiter(found[1])
        elif not _NOTHING.fullmatch(line):
            return passed_over, line, told or max(DELIMITERS, key=line.count)
    return 0, "", ","


def _told_delimiter(character: str) -> str:
    if character not in DELIMITERS:
        *others, last = DELIMITERS.values()
        raise FileError(
            f"The file says that «{character}» separates its cells: {', '.join(others)} and {last} are read."
        )
    return character


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """Yield the lines with their ends. No more than a line is read at once, and of that no more than is allowed."""
    number = 0
    while line := _next_line(text, number := number + 1):
        if not _is_valid(line):
            raise FileError(_encoding_problem(text, number))
        if "\x00" in line:
            raise FileError(
                f"Line {number} has a NUL character, which no text can have: is it UTF-16 without a byte order mark, "
                f"or no CSV file? If it is one, {_SAVE_AS}"
            )
        if len(line) > LINE_LENGTH_MAX:
            raise FileError(f"Line {number} is too long: at most {LINE_LENGTH_MAX:,} characters are read.")
        yield line


def _next_line(text: TextIOWrapper, number: int) -> str:
    try:
        return text.readline(LINE_LENGTH_MAX + 1)
    except UnicodeError as error:
        raise FileError(_encoding_problem(text, number)) from error


def _encoding_problem(text: TextIOWrapper, number: int) -> str:
    if text.encoding == "utf-16":
        return f"Line {number}, or one soon after it, is not text in UTF-16, as the file begins: {_SAVE_AS}"
    return (
        f"Line {number} is not text in UTF-8: the file may be in Windows-1252 or another encoding of one country, "
        f"which cannot be told from others; {_SAVE_AS}"
    )


def _is_valid(line: str) -> bool:
    if line.isascii():
        return True
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True
