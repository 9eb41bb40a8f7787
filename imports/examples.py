"""Example files that pass their check on this server: of its own metrics, points systems, attributes and users."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Final

from core.csv import CsvValue, write_text
from core.models import ConfigurationStatus
from imports.kinds import ATTRIBUTE_PREFIX, KINDS, user_id_in
from imports.models import ImportKind
from metrics.models import Event, EventKind
from metrics.store import read_metrics
from points.models import PointsBalance, PointsSystem
from points.rules import POINTS_LIMIT
from users.models import AttributeType, EndUser
from users.store import load_attribute_keys

Row = tuple[CsvValue, ...]

USERS_LOOKED_AT: Final = 100
"""An example is of the newest users, so that it is made at once however many there are."""


@dataclass(frozen=True, slots=True)
class MissingError(Exception):
    """There can be no example yet: what to do first, and where."""

    text: str
    link: str
    address: str
    """The name of the page's address."""


_IMPORT_USERS: Final = ("Import users", "admin:imports_importrun_add")


def example_rows(kind: ImportKind) -> list[Row]:
    """Return the header and lines of a file to begin with. Raises MissingError where the server lacks what it needs."""
    return [_header(kind), *_ROWS[kind]()]


def missing_for_example(kind: ImportKind) -> MissingError | None:
    """Return what must be done before there can be an example, None if there can be one."""
    try:
        example_rows(kind)
    except MissingError as missing:
        return missing
    return None


def _header(kind: ImportKind) -> Row:
    about = KINDS[kind]
    columns = about.columns + tuple(name for name in about.more_columns if name != "deviceTokens")
    return (
        columns + tuple(f"{ATTRIBUTE_PREFIX}{key}" for key in _attribute_keys()) if about.takes_attributes else columns
    )


def _attribute_keys() -> list[str]:
    return sorted(load_attribute_keys()[AttributeType.USER])


def _users() -> Iterator[Row]:
    attributes = len(_attribute_keys())
    full = ("example-1", "Alice Adeyemi", "alice@example.com", "Europe/London", "2026-01-31", "true")
    yield full + ("example",) * attributes
    yield ("example-2", "Bob", *(None,) * (4 + attributes))


def _openings() -> Iterator[Row]:
    metrics = list(read_metrics()[:2])
    if not metrics:
        raise MissingError("An example is made of your own metrics.", "Set up a metric", "admin:metrics_metric_add")
    users = _newest_users()
    openings = Event.objects.filter(user__in=users, metric__in=metrics, kind=EventKind.OPENING)
    taken = set(openings.values_list("user_id", "metric_id"))
    free = [(user, metric) for metric, user in product(metrics, users) if (user.id, metric.id) not in taken]
    if not free:
        raise MissingError("The newest users have an opening balance of each metric already.", *_IMPORT_USERS)
    first, *others = free
    yield first[0].external_id, first[1].key, 120
    if others:
        # Of another user and of another metric, if there is one.
        user, metric = max(others, key=lambda pair: (pair[0] != first[0]) + (pair[1] != first[1]))
        yield user.external_id, metric.key, Decimal("7.5")


def _adjustments() -> Iterator[Row]:
    system = PointsSystem.objects.filter(status=ConfigurationStatus.ACTIVE).first()
    if system is None:
        text = "An example is made of your own points systems."
        raise MissingError(text, "Set up a points system", "admin:points_pointssystem_add")
    users = _newest_users()[:2]
    balances = dict(PointsBalance.objects.filter(user__in=users, system=system).values_list("user_id", "total"))
    most = POINTS_LIMIT if system.max_points is None else system.max_points
    for user in users:
        # A line that would move nothing is refused: who has all that a user can have is not given more.
        if balances.get(user.id, 0) < most:
            yield user.external_id, system.key, 50, "Sorry for the outage"
        if user == users[0]:
            yield user.external_id, system.key, -20, "Paid twice by mistake"


def _newest_users() -> list[EndUser]:
    """Return users whose ids can stand in a file. Raises MissingError where there are none."""
    newest = EndUser.objects.order_by("-id")[:USERS_LOOKED_AT]
    users = [user for user in newest if user_id_in(write_text(user.external_id)) == user.external_id]
    if not users:
        raise MissingError("An example is about users whom this server knows.", *_IMPORT_USERS)
    return users


_ROWS: Final[dict[ImportKind, Callable[[], Iterator[Row]]]] = {
    ImportKind.USERS: _users,
    ImportKind.OPENINGS: _openings,
    ImportKind.ADJUSTMENTS: _adjustments,
}
