"""What a file says, whatever it looks like: the same adjustments are known again after a spreadsheet saved them.

The order of columns and rows, line ends, the encoding, what separates the cells and how numbers are written do not
matter. A file of a million rows is looked at in constant memory: the digests of the rows are added up.
"""

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import IO, Final

from core.csv import read_text
from core.json import encode
from imports.files import FileRow
from imports.kinds import CellError, Kind, cells_of

_DIGESTS: Final = 2**256
"""How many different digests there are."""


def content_digest(kind: Kind, columns: Sequence[str], rows: Iterable[FileRow]) -> str:
    """Return a digest of what the rows say, for which each of them is read."""
    total = sum(int.from_bytes(hashlib.sha256(_said(kind, columns, row.cells)).digest()) for row in rows)
    return f"{total % _DIGESTS:064x}"


def bytes_digest(file: IO[bytes]) -> str:
    """Return the SHA-256 of the file as it is, by which files were known at first."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type] # any file that can be read will do


def _said(kind: Kind, columns: Sequence[str], row: Sequence[str]) -> bytes:
    """Return what a row says in one form. Empty cells say nothing."""
    try:
        cells = cells_of(kind, columns, row)
    except CellError:
        return encode(row)  # it will be refused
    return encode(sorted((name, _plain(kind, name, cell)) for name, cell in cells.items() if cell))


def _plain(kind: Kind, column: str, cell: str) -> str:
    if column not in kind.numbers:
        return read_text(cell).replace("\r\n", "\n").replace("\r", "\n")
    try:
        return str(Decimal(cell).normalize())
    except InvalidOperation:
        return cell
