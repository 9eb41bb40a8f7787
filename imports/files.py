"""Reading an uploaded CSV file row by row, in constant memory, with one clear sentence for what cannot be read."""

import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain, count
from typing import IO, Final

FILE_BYTES_MAX: Final = 100_000_000
LINE_LENGTH_MAX: Final = 200_000
COLUMNS_MAX: Final = 500


class FileError(Exception):
    """The file cannot be imported, and why, in one sentence."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row that is not empty, and the line of the file on which it begins."""

    line: int
    cells: list[str]


def digest_of(file: IO[bytes]) -> str:
    """Return the SHA-256 of the whole file."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type] # any file that can be read will do


@contextmanager
def opened(file: IO[bytes]) -> Iterator[tuple[list[str], Iterator[FileRow]]]:
    """Give the header and the rows of a file: UTF-8, with commas or semicolons. All raise FileError, also later on."""
    file.seek(0)
    # What is not UTF-8 is carried along at first, so that the line on which it stands can be named.
    text = TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        rows = _rows(text)
        header = next(rows, None)
        if header is None:
            raise FileError("The file is empty: it needs a header line with the names of the columns, and rows.")
        yield [name.strip() for name in header.cells], rows
    finally:
        text.detach()


def _rows(text: TextIOWrapper) -> Iterator[FileRow]:
    lines = _lines(text)
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), delimiter=_delimiter(first), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield FileRow(line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise FileError(
            f"From line {line} on, the file cannot be read: a quotation mark is not closed, more text follows a "
            "closing one, or a cell is longer than 131,072 characters."
        ) from error


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """Yield the lines with their ends. No more than a line is read at once, and of that no more than is allowed."""
    for number in count(1):
        line = text.readline(LINE_LENGTH_MAX + 1)
        if not line:
            return
        if not _is_utf8(line):
            raise FileError(f"Line {number} is not text in UTF-8: save the file from your spreadsheet as «CSV UTF-8».")
        if "\x00" in line:
            raise FileError(f"Line {number} has a NUL character, which no text can have: is it a CSV file?")
        if len(line) > LINE_LENGTH_MAX:
            raise FileError(f"Line {number} is too long: at most {LINE_LENGTH_MAX:,} characters are read.")
        yield line


def _is_utf8(line: str) -> bool:
    if line.isascii():
        return True
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _delimiter(header: str) -> str:
    """Return what separates the cells: spreadsheets in countries with a decimal comma write semicolons."""
    return ";" if header.count(";") > header.count(",") else ","
