"""What the addresses name, or a 404."""

from collections.abc import Collection

from api.errors import not_found
from metrics.models import Metric
from metrics.store import read_metric
from points.models import PointsSystem
from points.store import read_system
from users.models import EndUser
from users.store import read_user


def find_user(external_id: str) -> EndUser:
    """Return the user whom the product knows by this id. Raises ApiError."""
    user = read_user(external_id)
    if user is None:
        raise not_found("User", external_id)
    return user


def known_ids(external_ids: Collection[str]) -> set[str | None]:
    """Return those of the ids that users have."""
    possible = [each for each in external_ids if "\x00" not in each]
    return set(EndUser.objects.filter(external_id__in=possible).values_list("external_id", flat=True))


def find_system(key: str) -> PointsSystem:
    """Return the active points system with this key. Raises ApiError."""
    system = read_system(key)
    if system is None:
        raise not_found("Points system", key)
    return system


def find_metric(key: str) -> Metric:
    """Return the active metric with this key. Raises ApiError."""
    metric = read_metric(key)
    if metric is None:
        raise not_found("Metric", key)
    return metric
