"""Whom the activation of an achievement would give it to, and for how many points: counted before it happens."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from time import monotonic
from typing import Final

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg.errors import QueryCanceled

from achievements.models import Achievement
from achievements.rules import AchievementRule, AchievementType
from achievements.store import achievement_rules
from core.json import encode_text
from core.models import ConfigurationStatus
from metrics.rules import filter_items
from points.models import PointsTrigger, TriggerStatus
from streaks.rules import Frequency, last_expired
from users.rules import local_date, local_dates

ESTIMATES_S_MAX: Final = 5
"""How long a page may count, over all achievements that it is about."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many users qualify already, and the points, by the name of the system, that they would be awarded.

    The points are those of the triggers: before boosts, maxima and what users do not have to lose.
    """

    users: int
    points: Mapping[str, int] = field(default_factory=dict)


_TOTALS: Final = """
JOIN (
    SELECT t.user_id FROM metrics_metrictotal t
    WHERE t.metric_id = %(metric)s::uuid AND t.filter = %(filter)s AND t.total >= %(value)s::numeric
    UNION ALL
    SELECT e.user_id FROM metrics_event e
    WHERE %(filter)s <> '' AND e.metric_id = %(metric)s::uuid AND e.attributes @> %(filter_json)s::jsonb
      AND NOT EXISTS (
          SELECT FROM metrics_metrictotal t
          WHERE t.user_id = e.user_id AND t.metric_id = e.metric_id AND t.filter = %(filter)s)
    GROUP BY e.user_id HAVING sum(e.value) >= %(value)s::numeric
) AS reached ON reached.user_id = u.id
"""
"""Who has the total, which where nobody needed it yet must be added up from the events."""

_STREAKS: Final = """
JOIN streaks_streak s ON s.user_id = u.id AND s.length >= %(length)s::int
  AND s.period > (%(expired)s::jsonb ->> concat(u.tz, ' ', s.frequency))::date
"""
"""Whose streak is long enough and has not expired by their own date."""

_PREREQUISITES: Final = """
JOIN (
    SELECT p.user_id FROM achievements_completion p
    WHERE p.achievement_id = ANY(%(prerequisites)s::uuid[])
    GROUP BY p.user_id HAVING count(*) = cardinality(%(prerequisites)s::uuid[])
) AS reached ON reached.user_id = u.id
"""

_JOINS: Final = {
    AchievementType.METRIC: _TOTALS,
    AchievementType.STREAK: _STREAKS,
    AchievementType.COMPOSITE: _PREREQUISITES,
}

_COUNTS: Final = """
WITH qualified AS MATERIALIZED (
    SELECT u.attributes FROM users_enduser u {join}
    WHERE u.attributes @> %(attributes)s::jsonb AND NOT EXISTS (
        SELECT FROM achievements_completion c WHERE c.user_id = u.id AND c.achievement_id = %(achievement)s::uuid)
)
SELECT (SELECT count(*) FROM qualified q WHERE q.attributes @> f.filter::jsonb)
FROM json_array_elements_text(%(filters)s::json) WITH ORDINALITY AS f(filter, place) ORDER BY f.place
"""


def backdating_estimates(
    achievements: Iterable[Achievement], now: datetime, *, s_max: float = ESTIMATES_S_MAX
) -> list[Estimate | None]:
    """Return the estimate of each achievement, all of them within `s_max` seconds; None for those left by then."""
    deadline = monotonic() + s_max
    return [backdating_estimate(each, now, s_max=deadline - monotonic()) for each in achievements]


def backdating_estimate(achievement: Achievement, now: datetime, *, s_max: float = ESTIMATES_S_MAX) -> Estimate | None:
    """Count, at `now`, who would get the achievement if it were activated; None where that takes over `s_max` seconds.

    Achievements that wait for this one, and would be completed with it, are not followed.
    """
    (rule,) = achievement_rules([achievement])
    if rule.type == AchievementType.API:
        return Estimate(users=0)
    if s_max <= 0:
        return None
    triggers = list(_triggers_of(achievement))
    filters = [encode_text({each.attribute.key: each.value for each in trigger.filters.all()}) for trigger in triggers]
    counts = _count(rule, ["{}", *filters], now, s_max)
    if counts is None:
        return None
    users, *payees = counts
    points: dict[str, int] = defaultdict(int)
    for trigger, count in zip(triggers, payees, strict=True):
        points[trigger.system.name] += trigger.points * count
    return Estimate(users, dict(points))


def _triggers_of(achievement: Achievement) -> QuerySet[PointsTrigger]:
    active = PointsTrigger.objects.filter(achievement=achievement, status=TriggerStatus.ACTIVE)
    of_active = active.filter(system__status=ConfigurationStatus.ACTIVE)
    return of_active.select_related("system").prefetch_related("filters__attribute")


def _count(rule: AchievementRule, filters: list[str], now: datetime, s_max: float) -> list[int] | None:
    """Return how many of those who qualify match each of the filters by user attributes; None if it takes too long."""
    parameters = {
        "achievement": rule.id,
        "attributes": encode_text(dict(rule.user_filter)),
        "metric": rule.metric_id,
        "value": rule.metric_value,
        "filter": rule.event_filter,
        "filter_json": encode_text(dict(filter_items(rule.event_filter))),
        "length": rule.streak_length,
        "expired": encode_text(_expired_periods(now)),
        "prerequisites": list(rule.prerequisites),
        "filters": encode_text(filters),
    }
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # The planner thinks that few qualify; where many do, looking each up takes far longer than hashing all.
            milliseconds = max(1, int(s_max * 1000))
            cursor.execute(f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL enable_nestloop = off")
            cursor.execute(_COUNTS.format(join=_JOINS[rule.type]), parameters)
            return [count for (count,) in cursor.fetchall()]
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):  # the time was up
            return None
        raise


def _expired_periods(now: datetime) -> dict[str, date]:
    """Return the newest period that lets a streak have expired, by zone ('' for users without one) and frequency."""
    today_of_zone = {"": local_date(now, None), **local_dates(now)}
    return {
        f"{tz} {frequency}": last_expired(today, frequency)
        for tz, today in today_of_zone.items()
        for frequency in Frequency
    }
