"""Reading levels."""

from collections import defaultdict

from core.models import ConfigurationStatus
from levels.models import Level
from levels.rules import Ladder, ladder_of, level_for
from points.models import PointsSystem


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
    reached = level_for(ladder_of((level.points, str(level.id)) for level in levels), total)
    return next((level for level in levels if str(level.id) == reached), None)
