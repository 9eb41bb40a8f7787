"""The kinds of files: their columns, how a row becomes an input of the pipeline, and what operators read about them."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from core.csv import NULL, read_text, trimmed
from core.describe import describe
from core.refusal import Refusal
from engine.inputs import AdjustInput, IdentifyInput, OpeningInput
from engine.outcomes import Accepted
from imports.files import COLUMNS_MAX, FileError
from imports.models import ImportKind
from points.models import REASON_LENGTH_MAX
from points.rules import POINTS_LIMIT, Adjustment
from users.fields import ExternalId, IdentifiedUser, changes_of
from users.rules import UserChanges

ImportedInput = IdentifyInput | OpeningInput | AdjustInput
Cells = Mapping[str, str]
"""The cells of a row by the name of their column."""

ATTRIBUTE_PREFIX: Final = "attributes."


class CellError(Exception):
    """A row cannot be imported: the column at fault, '' for none, and why, in one sentence."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.message = message


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. `columns` must all be there, and the first has the user's id.

    White space around a cell counts only in `free_texts` and attributes; `numbers` can be written in several ways.
    `read` makes an input of a row, or raises CellError; the operator is the text it is given. `once` returns what only
    one row of the file can be about, None where any number can. `tally` counts what became of accepted inputs.
    `permission` is needed beside that for imports.
    """

    columns: tuple[str, ...]
    more_columns: tuple[str, ...]
    takes_attributes: bool
    free_texts: tuple[str, ...]
    numbers: tuple[str, ...]
    permission: str
    about: str
    effect: str
    read: Callable[[Cells, str], ImportedInput]
    once: Callable[[ImportedInput], Hashable | None]
    tally: Callable[[Iterable[tuple[Any, Accepted]]], Counter[str]]


def cells_of(kind: Kind, columns: Sequence[str], row: Sequence[str]) -> Cells:
    """Return the cells of a row as they are read. Raises CellError for a row of another length than the header."""
    if len(row) != len(columns):
        raise CellError("", f"The line has {len(row)} cells, but the header has {len(columns)}.")
    return {
        column: cell if column in kind.free_texts or column.startswith(ATTRIBUTE_PREFIX) else trimmed(cell)
        for column, cell in zip(columns, row, strict=True)
    }


def user_id_in(cell: str) -> str:
    """Return the id in a cell that names a user."""
    return read_text(trimmed(cell))


def check_header(kind: Kind, header: Sequence[str], attribute_keys: Collection[str]) -> None:
    """Raise FileError where these cannot be the columns of a file of this kind.

    The keys are the users' attributes, also archived ones: a cell of null still takes those away.
    """
    allowed = [*kind.columns, *kind.more_columns]
    offered = ", ".join(allowed) + (", and attributes.KEY for attributes" if kind.takes_attributes else "")
    if len(header) > COLUMNS_MAX:
        raise FileError(f"The file has {len(header):,} columns: at most {COLUMNS_MAX} are read.")
    for name, count in Counter(header).items():
        if count > 1:
            raise FileError(f"The column «{name}» is there {count} times: each column can be there only once.")
    if missing := [name for name in kind.columns if name not in header]:
        raise FileError(f"The column {_quoted(missing)} is missing: the first line must name the columns.")
    others = [name for name in header if name not in allowed]
    attributes = [name for name in others if kind.takes_attributes and name.startswith(ATTRIBUTE_PREFIX)]
    if unknown := [name for name in others if name not in attributes]:
        raise FileError(f"The column {_quoted(unknown)} is not known: there can be {offered}.")
    keys = [name.removeprefix(ATTRIBUTE_PREFIX) for name in attributes]
    if unset := [key for key in keys if key not in attribute_keys]:
        raise FileError(f"Invalid attribute keys: {', '.join(unset)}. Set them up as user attributes first.")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"«{name}»" for name in names)


def column_of(kind: Kind, message: str) -> str:
    """Return the column that a sentence of the rules is about, '' where it names none: it begins with its subject."""
    if found := re.match(r"Invalid attribute keys: ([\w-]+)\.", message):
        return ATTRIBUTE_PREFIX + found[1]
    subject = message.split(" ", 1)[0].rstrip(":")
    columns = {"User": kind.columns[0], "The": kind.columns[0], "Metric": "metric", "Points": "system"}
    return columns.get(subject, subject if subject in (*kind.columns, *kind.more_columns) else "")


# --- Users -----------------------------------------------------------------------------------------------------------
def _read_user(cells: Cells, _: str) -> IdentifyInput:
    try:
        fields = msgspec.convert(_given_fields(cells), IdentifiedUser)
        return IdentifyInput(changes_of(fields.id, fields))
    except msgspec.ValidationError as error:
        raise _field_error(cells, describe(error)) from error
    except Refusal as refusal:
        raise _field_error(cells, refusal.message) from refusal


def _given_fields(cells: Cells) -> dict[str, Any]:
    """Return the fields of the cells that are not empty, as a request's body would have them."""
    fields: dict[str, Any] = {"id": user_id_in(cells["id"])}
    attributes = {}
    for column, cell in cells.items():
        if not cell or column == "id":
            continue
        if column.startswith(ATTRIBUTE_PREFIX):
            attributes[column.removeprefix(ATTRIBUTE_PREFIX)] = None if cell == NULL else read_text(cell)
        else:
            fields[column] = None if cell == NULL else _FIELDS.get(column, read_text)(cell)
    return {**fields, "attributes": attributes} if attributes else fields


def _read_flag(cell: str) -> bool:
    """Return what the cell says; spreadsheets write TRUE and FALSE."""
    if cell.lower() not in ("true", "false"):
        raise CellError("subscribeToEmails", "subscribeToEmails must be true or false.")
    return cell.lower() == "true"


def _read_tokens(cell: str) -> Any:
    try:
        return msgspec.json.decode(read_text(cell))
    except msgspec.DecodeError as error:
        raise CellError("deviceTokens", 'deviceTokens must be a JSON array such as ["token-1", "token-2"].') from error


_FIELDS: Final[dict[str, Callable[[str], Any]]] = {"subscribeToEmails": _read_flag, "deviceTokens": _read_tokens}


def _field_error(cells: Cells, message: str) -> CellError:
    """Return the error with the column that the message is about, which for attributes only their cells can tell."""
    subject = re.split(r"[ \[]", message, maxsplit=1)[0]
    if subject == "attributes":
        subject = next(name for name in cells if name.startswith(ATTRIBUTE_PREFIX) and len(cells[name]) > 1000)
        message = message.replace("attributes", subject, 1)
    return CellError(subject if subject in cells else "", message)


def _tally_users(done: Iterable[tuple[IdentifyInput, Accepted]]) -> Counter[str]:
    """Count users, not rows: one who has several is new if the first of them made them known."""
    labels: dict[str, str] = {}
    for given, outcome in done:
        user = outcome.user
        label = "changed users" if user.updated == outcome.at else "unchanged users"
        if labels.get(given.user.external_id) in (None, "unchanged users"):
            labels[given.user.external_id] = "new users" if user.created == outcome.at else label
    return Counter(labels.values())


# --- Opening balances ------------------------------------------------------------------------------------------------
def _read_opening(cells: Cells, _: str) -> OpeningInput:
    return OpeningInput(_known_user(cells), _key(cells, "metric"), _total(cells["total"]))


def _total(cell: str) -> Decimal:
    if not re.fullmatch(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?", cell):  # fifteen digits are below the limit
        raise CellError(
            "total",
            "total must be a number such as 12 or 12.5, above -10^15 and below 10^15, with at most 9 decimals and "
            "no thousands separators.",
        )
    return Decimal(cell)


def _once_a_metric(given: ImportedInput) -> Hashable | None:
    return (given.user.external_id, given.metric_key) if isinstance(given, OpeningInput) else None


def _tally_openings(done: Iterable[tuple[OpeningInput, Accepted]]) -> Counter[str]:
    return Counter(f"users with a total of {given.metric_key}" for given, _ in done)


# --- Points adjustments ----------------------------------------------------------------------------------------------
def _read_adjustment(cells: Cells, operator: str) -> AdjustInput:
    user, system = _known_user(cells), _key(cells, "system")
    points, reason = _points(cells["points"]), trimmed(read_text(cells["reason"]))
    if not 1 <= len(reason) <= REASON_LENGTH_MAX:
        raise CellError("reason", f"reason must have 1 to {REASON_LENGTH_MAX} characters.")
    return AdjustInput(user, system, Adjustment(points, reason, operator))


def _points(cell: str) -> int:
    points = int(cell) if re.fullmatch(r"[+-]?[0-9]{1,16}", cell) else 0
    if not 0 < abs(points) <= POINTS_LIMIT:
        raise CellError(
            "points",
            "points must be a whole number such as 50 or -20, not 0, at most 2^53 - 1 in size, without thousands "
            "separators.",
        )
    return points


def _tally_adjustments(done: Iterable[tuple[AdjustInput, Accepted]]) -> Counter[str]:
    tally: Counter[str] = Counter()
    for given, outcome in done:
        (record,) = outcome.awards
        awarded = record.award.awarded
        tally[f"{given.system_key} given" if awarded > 0 else f"{given.system_key} taken"] += abs(awarded)
        if awarded != given.adjustment.points:
            tally["rows cut short by a maximum or by what the user has"] += 1
    return tally


# --- What they share -------------------------------------------------------------------------------------------------
def _known_user(cells: Cells) -> UserChanges:
    try:
        return UserChanges(msgspec.convert(user_id_in(cells["user"]), ExternalId))
    except msgspec.ValidationError as error:
        raise CellError("user", describe(error, "user")) from error


def _key(cells: Cells, column: str) -> str:
    if not (key := read_text(cells[column])):
        raise CellError(column, f"{column} must be the key of a {'metric' if column == 'metric' else 'points system'}.")
    return key


def _any_number(_: ImportedInput) -> None:
    return None


KINDS: Final = {
    ImportKind.USERS: Kind(
        columns=("id",),
        more_columns=("name", "email", "tz", "signUpDate", "subscribeToEmails", "deviceTokens"),
        takes_attributes=True,
        free_texts=("name",),
        numbers=(),
        permission="users.change_enduser",
        about=(
            "One line for each user. Who is not known yet is made known, who is gets the fields that are given. "
            "An empty cell changes nothing; a cell that says null clears the field, or takes the attribute away. "
            "Importing the same file again changes nothing more."
        ),
        effect="Users who are new get what the active user-creation triggers pay, as by any other road.",
        read=_read_user,
        once=_any_number,
        tally=_tally_users,
    ),
    ImportKind.OPENINGS: Kind(
        columns=("user", "metric", "total"),
        more_columns=(),
        takes_attributes=False,
        free_texts=(),
        numbers=("total",),
        permission="metrics.add_event",
        about=(
            "What known users had done of a metric before Pointsmith counted, one line for each user and metric. "
            "The number is added to the total and its highest, once for each user and metric."
        ),
        effect="Totals move; no trigger fires, no streak or achievement looks at it. Events go on from there.",
        read=_read_opening,
        once=_once_a_metric,
        tally=_tally_openings,
    ),
    ImportKind.ADJUSTMENTS: Kind(
        columns=("user", "system", "points", "reason"),
        more_columns=(),
        takes_attributes=False,
        free_texts=(),
        numbers=("points",),
        permission="points.adjust_points",
        about=(
            "Points that known users are given, or that are taken from them, with the reason, which stands in their "
            "ledger beside your login. A user can have several lines; they count in their order."
        ),
        effect=(
            "Each line moves points once you confirm, and would move them again if it were imported again: a file that "
            "says the same as one that was imported before is refused unless you tick «Import again»."
        ),
        read=_read_adjustment,
        once=_any_number,
        tally=_tally_adjustments,
    ),
}
