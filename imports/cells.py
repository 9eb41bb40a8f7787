"""What a cell of a CSV file stands for, in both directions.

An empty cell says nothing, `null` clears a field. A spreadsheet would run a text that begins like a formula, so such
a text is written with an apostrophe before it, which is taken away when it is read; so is a text that would otherwise
stand for something else: the empty one and `null`.
"""

import re
from typing import Final

NULL: Final = "null"

# A text that needs an apostrophe, or that has one (or more) in its place already.
_AMBIGUOUS: Final = re.compile(r"'*(?:null|[=+\-@\t\r].*)?", re.DOTALL)


def write_text(text: str | None) -> str:
    """Return the cell for a text, empty for none."""
    if text is None:
        return ""
    return f"'{text}" if _AMBIGUOUS.fullmatch(text) else text


def read_text(cell: str) -> str:
    """Return the text of a cell that is neither empty nor `null`: what `write_text` was given."""
    return cell[1:] if cell.startswith("'") and _AMBIGUOUS.fullmatch(cell) else cell
