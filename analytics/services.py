"""Keeping the counters, and what needs them to be in step with the levels."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from django.core.cache import cache
from django.db import transaction
from redis.exceptions import RedisError

from analytics import store
from analytics.rules import PointsRange, points_ranges
from core.json import encode
from levels.models import Level
from levels.store import load_levels

CHUNK: Final = 20_000
CHUNKS_MAX: Final = 500
MATCHING_KEPT_S: Final = 60


def fold_deltas(*, chunk: int = CHUNK) -> int:
    """Add the deltas that wait to the counters, each exactly once, and follow the levels; return how many they were.

    Each chunk is a transaction of its own. Where another process is at it, this one leaves it the rest.
    """
    folded = 0
    for _ in range(CHUNKS_MAX):
        count = _fold_chunk(chunk)
        folded += count
        if count < chunk:
            break
    follow_levels()
    return folded


@transaction.atomic
def _fold_chunk(chunk: int) -> int:
    return store.fold(chunk) if store.try_lock_counters() else 0


def follow_levels() -> None:
    """Count the levels anew of every points system whose thresholds are not those that were counted."""
    needed = store.thresholds_to_count(load_levels())
    for system_id in {system_id for system_id, _ in needed ^ store.counted_thresholds()}:
        with transaction.atomic():
            if store.try_lock_counters():
                store.recount_levels(system_id, _thresholds_of(system_id, needed))


def recount() -> None:
    """Count everything anew, while events go on: the deltas that wait are neither lost nor counted twice."""
    needed = store.thresholds_to_count(load_levels())
    with transaction.atomic():
        store.lock_counters()
        store.recount_all_but_levels()
        for system_id in {system_id for system_id, _ in needed | store.counted_thresholds()}:
            store.recount_levels(system_id, _thresholds_of(system_id, needed))


def _thresholds_of(system_id: UUID, needed: set[tuple[UUID, int]]) -> set[int]:
    return {points for its_system, points in needed if its_system == system_id}


def summarize(system_id: UUID) -> list[PointsRange]:
    """Return how many users have how many points: exact, from the counters."""
    places = store.read_points(system_id)
    return points_ranges(places.counts | {0: places.rest})


def summarize_matching(system_id: UUID, attributes: Mapping[str, str]) -> list[PointsRange]:
    """Return how many of the users with all of these attributes have how many points, up to MATCHING_KEPT_S old."""
    digest = hashlib.sha256(encode(dict(sorted(attributes.items())))).hexdigest()
    key = f"points-summary:{system_id}:{digest}"
    try:
        counts = cache.get(key)
        if counts is None:
            counts = store.count_matching(system_id, attributes)
            cache.set(key, counts, MATCHING_KEPT_S)
    except RedisError:  # Without the cache the answer takes longer, but it is the same.
        counts = store.count_matching(system_id, attributes)
    return points_ranges(counts)


def count_level_users(system_id: UUID, levels: Sequence[Level]) -> list[int]:
    """Return how many users are on each of the system's levels, the lowest of which comes first: exact.

    From the counters; where the levels were edited since those were counted, they are counted first.
    """
    places = _level_places(system_id, {level.points for level in levels if level.points > 0})
    return [places.counts[level.points] if level.points else places.rest for level in levels]


def _level_places(system_id: UUID, thresholds: set[int]) -> store.Places:
    places = store.read_levels(system_id)
    if places.counts.keys() == thresholds:
        return places
    with transaction.atomic():
        store.lock_counters()
        # Again: whoever had the lock may have counted them.
        if store.read_levels(system_id).counts.keys() != thresholds:
            store.recount_levels(system_id, thresholds)
        return store.read_levels(system_id)
