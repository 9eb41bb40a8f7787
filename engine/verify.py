"""Proving what is derived from what is recorded: each check is one statement that returns the differences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction

from engine.verify_roll_up import ROLL_UP_CHECKS

SHOWN_MAX: Final = 20
OF_USERS: Final = (
    "metrics_event",
    "metrics_metrictotal",
    "metrics_metricday",
    "points_pointsaward",
    "points_pointsbalance",
    "points_pointsday",
    "streaks_streak",
    "streaks_streakperiod",
)
"""Tables without a foreign key to their users."""


@dataclass(frozen=True)
class Check:
    """A statement of what must hold, and the SQL that finds where it does not: one text a row."""

    claim: str
    sql: str


CHECKS: Final = (
    Check(
        "Every ledger counts 1, 2, 3... and each line's total is the one before it plus what was awarded.",
        """
        SELECT format('user %s, system %s, line %s: awarded %s, total %s after %s', u.external_id, s.key, a.seq,
                      a.awarded, a.total, a.total_before)
        FROM (
            SELECT *, lag(seq, 1, 0::bigint) OVER ledger AS seq_before,
                   lag(total, 1, 0::bigint) OVER ledger AS total_before
            FROM points_pointsaward
            WINDOW ledger AS (PARTITION BY user_id, system_id ORDER BY seq)
        ) AS a
        LEFT JOIN users_enduser u ON u.id = a.user_id LEFT JOIN points_pointssystem s ON s.id = a.system_id
        WHERE a.seq <> a.seq_before + 1 OR a.total <> a.total_before + a.awarded OR a.total < 0
        """,
    ),
    Check(
        "Every balance is the last line of its ledger, and every ledger has a balance.",
        """
        SELECT format('user %s, system %s: balance %s at line %s, ledger %s at line %s', u.external_id, s.key,
                      b.total, b.seq, a.total, a.seq)
        FROM points_pointsbalance b
        FULL JOIN (
            SELECT DISTINCT ON (user_id, system_id) user_id, system_id, total, seq
            FROM points_pointsaward ORDER BY user_id, system_id, seq DESC
        ) AS a USING (user_id, system_id)
        LEFT JOIN users_enduser u ON u.id = user_id LEFT JOIN points_pointssystem s ON s.id = system_id
        WHERE (b.total, b.seq) IS DISTINCT FROM (a.total, a.seq)
        """,
    ),
    Check(
        "Every total is the sum of its matching events, its peak the highest that the sum ever was.",
        """
        SELECT format('user %s, metric %s, filter «%s»: total %s and peak %s, by the events %s and %s',
                      u.external_id, m.key, t.filter, t.total, t.peak, e.total, e.peak)
        FROM metrics_metrictotal t
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(value), 0) AS total, greatest(0, max(running)) AS peak
            FROM (
                SELECT value, sum(value) OVER (ORDER BY at, id) AS running FROM metrics_event
                WHERE user_id = t.user_id AND metric_id = t.metric_id
                  AND attributes @> (CASE t.filter WHEN '' THEN '{}' ELSE t.filter END)::jsonb
            ) AS matching
        ) AS e
        LEFT JOIN users_enduser u ON u.id = t.user_id LEFT JOIN metrics_metric m ON m.id = t.metric_id
        WHERE (t.total, t.peak) IS DISTINCT FROM (e.total, e.peak)
        """,
    ),
    Check(
        "Every user with events of a metric has a total of it.",
        """
        SELECT format('user %s, metric %s: %s events and no total', u.external_id, m.key, e.events)
        FROM (SELECT user_id, metric_id, count(*) AS events FROM metrics_event GROUP BY user_id, metric_id) AS e
        LEFT JOIN metrics_metrictotal t ON (t.user_id, t.metric_id, t.filter) = (e.user_id, e.metric_id, '')
        LEFT JOIN users_enduser u ON u.id = e.user_id LEFT JOIN metrics_metric m ON m.id = e.metric_id
        WHERE t.user_id IS NULL
        """,
    ),
    Check(
        "A user's events of a metric never happened at one moment.",
        """
        SELECT format('user %s, metric %s: %s events at %s', u.external_id, m.key, e.events, e.at)
        FROM (
            SELECT user_id, metric_id, at, count(*) AS events FROM metrics_event
            GROUP BY user_id, metric_id, at HAVING count(*) > 1
        ) AS e
        LEFT JOIN users_enduser u ON u.id = e.user_id LEFT JOIN metrics_metric m ON m.id = e.metric_id
        """,
    ),
    Check(
        "Whatever the ledger, the events and the completions name exists.",
        """
        SELECT format('award %s names a missing event, trigger or system', a.id) FROM points_pointsaward a
        WHERE (a.event_id IS NOT NULL AND NOT EXISTS (SELECT FROM metrics_event e WHERE e.id = a.event_id))
           OR (a.trigger_id IS NOT NULL AND NOT EXISTS (SELECT FROM points_pointstrigger t WHERE t.id = a.trigger_id))
           OR NOT EXISTS (SELECT FROM points_pointssystem s WHERE s.id = a.system_id)
        UNION ALL
        SELECT format('award of trigger %s: there is no history of its version %s', v.trigger_id, v.rule_version)
        FROM (
            SELECT DISTINCT trigger_id, rule_version FROM points_pointsaward
            WHERE trigger_id IS NOT NULL AND rule_version IS NOT NULL
        ) AS v
        WHERE NOT EXISTS (
            SELECT FROM points_historicalpointstrigger h
            WHERE h.id = v.trigger_id AND h.history_id <= v.rule_version)
        UNION ALL
        SELECT format('event %s names a missing metric', e.id) FROM metrics_event e
        WHERE NOT EXISTS (SELECT FROM metrics_metric m WHERE m.id = e.metric_id)
        UNION ALL
        SELECT format('completion %s names a missing achievement or event', c.id) FROM achievements_completion c
        WHERE NOT EXISTS (SELECT FROM achievements_achievement a WHERE a.id = c.achievement_id)
           OR (c.event_id IS NOT NULL AND NOT EXISTS (SELECT FROM metrics_event e WHERE e.id = c.event_id))
        """,
    ),
    Check(
        "Every adjustment, and nothing else, is an operator's who says why.",
        """
        SELECT format('award %s of cause %s', a.id, a.cause) FROM points_pointsaward a
        LEFT JOIN points_pointsadjustment j ON j.award_id = a.id
        WHERE (a.cause = 'adjustment') <> (j.award_id IS NOT NULL)
           OR (a.cause = 'adjustment' AND a.trigger_id IS NOT NULL)
        """,
    ),
    Check(
        "Every adjustment moved at most what was asked for, and one that reverses another asked for the opposite.",
        """
        SELECT format('award %s: asked %s, moved %s, reverses %s', a.id, r.points, a.awarded, b.awarded)
        FROM points_adjustmentrequest r
        JOIN points_pointsaward a ON a.id = r.adjustment_id
        LEFT JOIN points_pointsaward b ON b.id = r.reverses_id
        WHERE sign(a.awarded) <> sign(r.points) OR abs(a.awarded) > abs(r.points)
           OR (b.id IS NOT NULL AND (r.points <> -b.awarded OR b.seq >= a.seq
                                     OR (a.user_id, a.system_id) <> (b.user_id, b.system_id)))
        """,
    ),
    Check(
        "Every running streak is as long as the last period in its history says.",
        """
        SELECT format('user %s: streak %s since %s, by its history %s', u.external_id, s.length, s.started, p.length)
        FROM streaks_streak s
        LEFT JOIN streaks_streakperiod p
               ON (p.user_id, p.frequency, p.extended) = (s.user_id, s.frequency, s.extended)
        LEFT JOIN users_enduser u ON u.id = s.user_id
        WHERE s.length > 0 AND s.length IS DISTINCT FROM p.length
        """,
    ),
    Check(
        "Every running streak has as many periods in its history, from the one that began it, as it is long.",
        """
        SELECT format('user %s: streak %s since %s, and %s periods', u.external_id, s.length, s.started, p.periods)
        FROM streaks_streak s
        CROSS JOIN LATERAL (
            SELECT count(*) AS periods FROM streaks_streakperiod p
            WHERE p.user_id = s.user_id AND p.frequency = s.frequency AND p.extended >= (
                SELECT max(b.extended) FROM streaks_streakperiod b
                WHERE b.user_id = s.user_id AND b.frequency = s.frequency AND b.length = 1)
        ) AS p
        LEFT JOIN users_enduser u ON u.id = s.user_id
        WHERE s.length > 0 AND s.length <> p.periods
        """,
    ),
    Check(
        "Every balance is the sum of what it moved by day by day.",
        """
        SELECT format('user %s, system %s: balance %s, by its days %s', u.external_id, s.key, b.total, d.total)
        FROM points_pointsbalance b
        FULL JOIN (
            SELECT user_id, system_id, sum(change) AS total FROM points_pointsday GROUP BY user_id, system_id
        ) AS d USING (user_id, system_id)
        LEFT JOIN users_enduser u ON u.id = user_id LEFT JOIN points_pointssystem s ON s.id = system_id
        WHERE b.total IS DISTINCT FROM d.total
        """,
    ),
    Check(
        "Every total is the sum of what it moved by day by day.",
        """
        SELECT format('user %s, metric %s: total %s, by its days %s', u.external_id, m.key, t.total, d.total)
        FROM (SELECT * FROM metrics_metrictotal WHERE filter = '') AS t
        FULL JOIN (
            SELECT user_id, metric_id, sum(change) AS total FROM metrics_metricday GROUP BY user_id, metric_id
        ) AS d USING (user_id, metric_id)
        LEFT JOIN users_enduser u ON u.id = user_id LEFT JOIN metrics_metric m ON m.id = metric_id
        WHERE coalesce(t.total, 0) <> coalesce(d.total, 0)
        """,
    ),
    Check(
        "Every message that waits to be sent stands behind one of the same user that is being sent.",
        """
        SELECT format('user %s: %s messages to endpoint %s wait behind none', u.external_id, d.waiting, d.endpoint_id)
        FROM (
            SELECT endpoint_id, user_id, count(*) FILTER (WHERE status = 'waiting') AS waiting
            FROM webhooks_delivery WHERE status IN ('ready', 'waiting')
            GROUP BY endpoint_id, user_id HAVING NOT bool_or(status = 'ready')
        ) AS d
        LEFT JOIN users_enduser u ON u.id = d.user_id
        """,
    ),
    Check(
        "A user's messages have each a number of their own, up to the user's last.",
        """
        SELECT format('user %s: message %s is there %s times, the last is %s', u.external_id, m.sequence, m.messages,
                      s.last)
        FROM (
            SELECT user_id, sequence, count(*) AS messages FROM webhooks_outboxmessage
            WHERE user_id IS NOT NULL GROUP BY user_id, sequence
        ) AS m
        LEFT JOIN webhooks_usersequence s ON s.user_id = m.user_id
        LEFT JOIN users_enduser u ON u.id = m.user_id
        WHERE m.messages > 1 OR m.sequence IS NULL OR s.last IS NULL OR m.sequence > s.last
        """,
    ),
    Check(
        "Every counter is what there is of its kind, less what still waits to be added to it.",
        # Ranges begin at 1, 2, 3... 10, 11, 21... 91, 101...: one less has the total's first digit, then zeros.
        """
        WITH counted AS (
            SELECT 'user' AS kind, '00000000-0000-0000-0000-000000000000'::uuid AS subject, NULL::bigint AS total,
                   count(*) AS users
            FROM users_enduser
            UNION ALL
            SELECT 'completion', achievement_id, NULL, count(*) FROM achievements_completion GROUP BY achievement_id
            UNION ALL
            SELECT 'balance', system_id, total, count(*) FROM points_pointsbalance GROUP BY system_id, total
            UNION ALL
            SELECT kind, coalesce(subject, '00000000-0000-0000-0000-000000000000'), after, -users FROM core_delta
            UNION ALL
            SELECT kind, subject, before, users FROM core_delta WHERE before IS NOT NULL
        ), truth AS (
            SELECT kind, subject, 0 AS place, users FROM counted WHERE kind <> 'balance'
            UNION ALL
            SELECT 'points', subject, rpad(left(less_one, 1), length(less_one), '0')::bigint + 1, users
            FROM (
                SELECT *, (total - 1)::text AS less_one FROM counted WHERE kind = 'balance' AND total > 0
            ) AS held
            UNION ALL
            SELECT 'level', c.subject,
                   (SELECT max(place) FROM analytics_counter l
                    WHERE l.kind = 'level' AND l.subject = c.subject AND l.place <= c.total), c.users
            FROM counted c WHERE c.kind = 'balance'
        )
        SELECT format('counter %s of %s from %s: %s users, by the rows %s', kind, subject, place, c.users, t.users)
        FROM analytics_counter c
        FULL JOIN (
            SELECT kind, subject, place, sum(users) AS users FROM truth WHERE place IS NOT NULL
            GROUP BY kind, subject, place
        ) AS t USING (kind, subject, place)
        WHERE coalesce(c.users, 0) <> coalesce(t.users, 0)
        """,
    ),
    Check(
        "Whatever is kept of a user is of one who is there.",
        " UNION ALL ".join(
            f"""
            SELECT format('{table}: %s rows of user %s, who is not there', count(*), o.user_id) FROM {table} o
            WHERE NOT EXISTS (SELECT FROM users_enduser u WHERE u.id = o.user_id) GROUP BY o.user_id
            """
            for table in OF_USERS
        ),
    ),
    *(Check(claim, sql) for claim, sql in ROLL_UP_CHECKS),
)


@dataclass(frozen=True)
class Finding:
    """A check that was made; `differences` has at most SHOWN_MAX of those found, `count` is of all."""

    check: Check
    count: int
    differences: list[str]


def verify() -> Iterator[Finding]:
    """Yield a finding for each check, all on one snapshot, so that events arriving meanwhile make no difference."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for check in CHECKS:
            cursor.execute(f"SELECT d.text, count(*) OVER () FROM ({check.sql}) AS d(text) LIMIT {SHOWN_MAX}")
            rows = cursor.fetchall()
            yield Finding(check, rows[0][1] if rows else 0, [text for text, _ in rows])
