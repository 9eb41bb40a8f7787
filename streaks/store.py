"""Streaks on the hot path, and reading them: SQL for many users at once."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import msgspec

from metrics.rules import quantize
from streaks import rules
from streaks.models import EvaluationMode, Streak, StreakMetric, StreakPeriod, StreakSettings
from streaks.rules import Frequency, StreakRule
from users.models import EndUser
from users.rules import local_date

LOAD: Final = """
SELECT k.external_id, s.frequency, s.length, s.started, s.period, s.extended, s.amounts
FROM known k CROSS JOIN LATERAL (SELECT * FROM streaks_streak WHERE user_id = k.id OFFSET 0) AS s
"""

SAVE: Final = """
INSERT INTO streaks_streak (user_id, frequency, length, started, period, extended, amounts)
SELECT n.user_id, n.frequency, n.length, n.started, n.period, n.extended, n.amounts
FROM json_to_recordset(%s) AS n(
    user_id uuid, frequency text, length int, started date, period date, extended timestamptz, amounts jsonb)
ON CONFLICT (user_id) DO UPDATE SET
    frequency = excluded.frequency, length = excluded.length, started = excluded.started, period = excluded.period,
    extended = excluded.extended, amounts = excluded.amounts
"""

# A period counts again only in a streak that began anew in it: after a change of the frequency and back, or a move to
# where it was not over yet.
SAVE_PERIODS: Final = """
INSERT INTO streaks_streakperiod (user_id, frequency, period, length, extended)
SELECT n.user_id, n.frequency, n.period, n.length, n.extended
FROM json_to_recordset(%s) AS n(user_id uuid, frequency text, period date, length int, extended timestamptz)
ON CONFLICT (user_id, frequency, period) DO UPDATE SET length = excluded.length, extended = excluded.extended
"""

# By each user's own date: `zones` has the newest period that let a streak expire in each zone, `latest` in any zone,
# so that the index finds the few that may have expired.
EXPIRED: Final = """
WITH zones AS MATERIALIZED (
    SELECT tz, frequency, period FROM json_to_recordset(%s) AS z(tz text, frequency text, period date)
), latest AS MATERIALIZED (
    SELECT frequency, period FROM json_to_recordset(%s) AS l(frequency text, period date)
)
SELECT u.external_id
FROM latest l
JOIN streaks_streak s ON s.frequency = l.frequency AND s.period <= l.period AND s.length >= 1
JOIN users_enduser u ON u.id = s.user_id
JOIN zones z ON z.tz IS NOT DISTINCT FROM u.tz AND z.frequency = s.frequency AND s.period <= z.period
LIMIT %s
"""


class StreakRow(msgspec.Struct, frozen=True):
    """A streak as loaded."""

    external_id: str
    frequency: Frequency
    length: int
    started: date | None
    period: date | None
    extended: datetime | None
    amounts: dict[str, dict[date, Decimal]]


_decoder = msgspec.json.Decoder(list[StreakRow])


def decode_streaks(rows: str) -> dict[str, rules.Streak]:
    """Return the streaks of LOAD's rows, a JSON array, by the user's external id."""
    return {
        row.external_id: rules.Streak(row.frequency, row.length, row.started, row.period, row.extended, row.amounts)
        for row in _decoder.decode(rows)
    }


def load_rule() -> StreakRule:
    """Return the streak's settings."""
    settings = StreakSettings.objects.first() or StreakSettings()
    thresholds = StreakMetric.objects.values_list("metric_id", "threshold")
    return StreakRule(
        frequency=Frequency(settings.frequency),
        requires_all=settings.evaluation_mode == EvaluationMode.AND,
        thresholds={str(metric_id): quantize(threshold) for metric_id, threshold in thresholds},
    )


def read_streaks(users: Sequence[EndUser], at: datetime) -> dict[str, rules.Streak]:
    """Return the streaks that the users have at `at` by external id; those who never had one are left out."""
    tz_of = {user.id: (user.external_id, user.tz) for user in users}
    streaks = {}
    for row in Streak.objects.filter(user_id__in=tz_of):
        external_id, tz = tz_of[row.user_id]
        streaks[external_id] = rules.after_expiry(streak_of(row), local_date(at, tz))
    return streaks


def streak_of(row: Streak) -> rules.Streak:
    """Return what the rules know of a stored streak, but for the amounts."""
    return rules.Streak(Frequency(row.frequency), row.length, row.started, row.period, row.extended)


def read_lengths(user: EndUser, frequency: Frequency, since: date) -> dict[date, int]:
    """Return how long the user's streak was in each period that counted, by its first day, from `since` on."""
    periods = StreakPeriod.objects.filter(user_id=user.id, frequency=frequency.value, period__gte=since)
    return dict(periods.values_list("period", "length"))
