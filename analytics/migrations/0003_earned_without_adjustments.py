"""Take adjustments out of what was earned and spent: they are a line of their own.

The marks are brought right from the lines that are counted, and the tallies from the marks.
"""

from django.db import migrations

# The first two digits of a number, then zeros: as the roll-up counts it.
PLACE = "rpad(left({0}::text, 2), length({0}::text), '0')::bigint"

STATEMENTS = (
    # Nobody rolls up in the meantime.
    "SELECT pg_advisory_xact_lock(hashtext('analytics_roll_up'))",
    """
    UPDATE analytics_ledgermark m
    SET earned = m.earned - a.earned, spent = m.spent - a.spent, early = m.early - a.early
    FROM (
        SELECT m.user_id, m.system_id, sum(greatest(a.awarded, 0)) AS earned, sum(greatest(-a.awarded, 0)) AS spent,
               coalesce(sum(greatest(a.awarded, 0)) FILTER (WHERE a.created < u.created + interval '14 days'), 0)
                   AS early
        FROM points_pointsadjustment j
        JOIN points_pointsaward a ON a.id = j.award_id
        JOIN users_enduser u ON u.id = a.user_id
        JOIN analytics_ledgermark m ON m.user_id = a.user_id AND m.system_id = a.system_id AND a.seq <= m.seq
        GROUP BY m.user_id, m.system_id
    ) AS a
    WHERE m.user_id = a.user_id AND m.system_id = a.system_id
    """,
    "DELETE FROM analytics_earnedtally",
    f"""
    INSERT INTO analytics_earnedtally (system_id, place, users, points)
    SELECT system_id, {PLACE.format("earned")}, count(*), sum(earned) FROM analytics_ledgermark WHERE earned > 0
    GROUP BY 1, 2
    """,
    "DELETE FROM analytics_earlytally",
    f"""
    INSERT INTO analytics_earlytally (system_id, week, place, users, points)
    SELECT m.system_id, date_trunc('week', u.created AT TIME ZONE 'UTC')::date, {PLACE.format("early")}, count(*),
           sum(early)
    FROM analytics_ledgermark m JOIN users_enduser u ON u.id = m.user_id WHERE early > 0 GROUP BY 1, 2, 3
    """,
    "DELETE FROM analytics_topearner",
    """
    INSERT INTO analytics_topearner (system_id, user_id, earned)
    SELECT system_id, user_id, earned FROM (
        SELECT *, row_number() OVER (PARTITION BY system_id ORDER BY earned DESC, user_id) AS place
        FROM analytics_ledgermark WHERE earned > 0
    ) AS ranked WHERE place <= 100
    """,
)


class Migration(migrations.Migration):
    """The sums of the roll-up."""

    dependencies = [
        ("analytics", "0002_roll_up"),
        ("points", "0003_adjustments"),
        ("users", "0001_initial"),
    ]

    operations = [migrations.RunSQL(list(STATEMENTS), migrations.RunSQL.noop)]
