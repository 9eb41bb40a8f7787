"""Reading levels."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from core.models import ConfigurationStatus
from levels.models import Level
from levels.rules import Ladder, ladder_of, level_for
from points.models import PointsBalance, PointsSystem
from users.models import EndUser


def load_levels() -> list[Level]:
    """Return every active level of an active points system, in the order of creation."""
    return list(Level.objects.filter(status=ConfigurationStatus.ACTIVE, system__status=ConfigurationStatus.ACTIVE))


def ladders(levels: list[Level]) -> dict[str, Ladder]:
    """Return the ladder of each points system, by its id."""
    by_system: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for level in levels:
        by_system[str(level.system_id)].append((level.points, str(level.id)))
    return {system_id: ladder_of(steps) for system_id, steps in by_system.items()}


def read_levels(system: PointsSystem) -> list[Level]:
    """Return the system's active levels, the lowest first."""
    return list(Level.objects.filter(system=system, status=ConfigurationStatus.ACTIVE).order_by("points"))


def level_at(levels: list[Level], total: int) -> Level | None:
    """Return the highest of the `levels` of one points system whose points are at most `total`."""
    reached = level_for(ladder_from(levels), total)
    return next((level for level in levels if str(level.id) == reached), None)


def ladder_from(levels: Iterable[Level]) -> Ladder:
    """Return the ladder of the levels of one points system."""
    return ladder_of((level.points, str(level.id)) for level in levels)


def count_users_between(system_id: UUID, ranges: Iterable[tuple[int, int | None]]) -> int:
    """Return how many users with an award have a total in one of the ranges (from, below): one look at each balance."""
    condition = Q()
    for start, end in ranges:
        condition |= Q(total__gte=start) if end is None else Q(total__gte=start, total__lt=end)
    return PointsBalance.objects.filter(condition, system_id=system_id).count() if condition else 0


def count_users_without_awards(system_id: UUID) -> int:
    """Return how many users have no award in the points system yet."""
    return EndUser.objects.count() - PointsBalance.objects.filter(system_id=system_id).count()
