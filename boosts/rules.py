"""Which boosts apply, and what their status is: pure, whole days of the user's own calendar."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from points.rules import AppliedBoost
from users.rules import User, local_date, matches

FIRST_ZONE = timedelta(hours=14)
"""How far the zone is ahead of UTC where each day begins first (Pacific/Kiritimati)."""
LAST_ZONE = timedelta(hours=12)
"""How far the zone is behind UTC where each day ends last (Etc/GMT+12)."""


class BoostPhase(StrEnum):
    """Where a boost is in its life."""

    INACTIVE = "inactive"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class BoostRule:
    """An activated boost: it counts from `activated` to `finished` (None: not stopped), on its days."""

    applied: AppliedBoost
    system_id: str
    order: int
    activated: datetime
    finished: datetime | None = None
    user_filter: tuple[tuple[str, str], ...] = ()


def boosts_of(boosts: Iterable[BoostRule], user: User, at: datetime) -> dict[str, tuple[AppliedBoost, ...]]:
    """Return those of `boosts` that multiply what `user` is awarded at `at`, by the id of the points system."""
    today = local_date(at, user.tz)
    by_system: dict[str, tuple[AppliedBoost, ...]] = {}
    for rule in sorted(boosts, key=lambda rule: (rule.order, rule.applied.id)):
        if applies(rule, today, user.attributes, at):
            by_system[rule.system_id] = (*by_system.get(rule.system_id, ()), rule.applied)
    return by_system


def applies(rule: BoostRule, today: date, attributes: Mapping[str, str], at: datetime) -> bool:
    """Tell whether a boost multiplies at `at`, which is `today` where the user is."""
    boost = rule.applied
    return (
        boost.start <= today
        and (boost.end is None or today <= boost.end)
        and rule.activated <= at
        and (rule.finished is None or at < rule.finished)
        and matches(rule.user_filter, attributes)
    )


def phase_of(start: date, end: date | None, *, at: datetime, tz: str | None, is_of_user: bool) -> BoostPhase:
    """Return where an activated boost that was not stopped is at `at`.

    For everyone: scheduled until its first day has begun somewhere on Earth, finished when its last has ended
    everywhere. For one user's: by their zone `tz`, without one UTC.
    """
    if is_of_user:
        first = last = local_date(at, tz)
    else:
        first = (at.astimezone(UTC) + FIRST_ZONE).date()
        last = (at.astimezone(UTC) - LAST_ZONE).date()
    if first < start:
        return BoostPhase.SCHEDULED
    return BoostPhase.FINISHED if end is not None and last > end else BoostPhase.ACTIVE
