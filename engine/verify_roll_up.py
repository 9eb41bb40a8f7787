"""What must hold of the roll-up: that it is what the lines and events before its marks add up to.

Each is a claim and the SQL that finds where it does not hold, as in `engine.verify`.
"""

from typing import Final

# The first two digits of a number, then zeros.
_PLACE: Final = "rpad(left({0}::text, 2), length({0}::text), '0')::bigint"

# What a trigger did, not an operator.
_IS_PAID: Final = "cause <> 'adjustment'"

_LINES: Final = """
SELECT a.*, (a.created AT TIME ZONE 'UTC')::date AS day, u.created AS since
FROM analytics_ledgermark m
JOIN points_pointsaward a ON a.user_id = m.user_id AND a.system_id = m.system_id AND a.seq <= m.seq
JOIN users_enduser u ON u.id = a.user_id
"""
_EVENTS: Final = """
SELECT e.*, (e.at AT TIME ZONE 'UTC')::date AS day
FROM analytics_eventmark m
JOIN metrics_event e ON e.user_id = m.user_id AND e.metric_id = m.metric_id AND e.at <= m.at AND e.kind = 'event'
"""

ROLL_UP_CHECKS: Final = (
    (
        "Every ledger that is rolled up has the sums of its lines up to its mark.",
        f"""
        SELECT format('roll-up of user %s, system %s: %s earned and %s spent up to line %s, by the ledger %s and %s',
                      m.user_id, m.system_id, m.earned, m.spent, m.seq, a.earned, a.spent)
        FROM analytics_ledgermark m
        LEFT JOIN (
            SELECT user_id, system_id, max(seq) AS seq, max(total) AS peak,
                   sum(CASE WHEN {_IS_PAID} THEN greatest(awarded, 0) ELSE 0 END) AS earned,
                   sum(CASE WHEN {_IS_PAID} THEN greatest(-awarded, 0) ELSE 0 END) AS spent,
                   sum(CASE WHEN {_IS_PAID} AND created < since + interval '14 days' THEN greatest(awarded, 0) ELSE 0
                       END) AS early
            FROM ({_LINES}) AS l GROUP BY user_id, system_id
        ) AS a USING (user_id, system_id)
        WHERE (m.seq, m.earned, m.spent, m.early, m.peak)
              IS DISTINCT FROM (a.seq, a.earned, a.spent, a.early, a.peak)
        """,
    ),
    (
        "Every day of a points system has the sums of its lines, by cause and trigger.",
        f"""
        SELECT format('roll-up of system %s on %s, %s, trigger %s: %s awarded and %s deducted, by the ledger %s and %s',
                      system_id, day, cause, trigger_id, d.awarded, d.deducted, l.awarded, l.deducted)
        FROM analytics_systemday d
        FULL JOIN (
            SELECT system_id, day, cause, coalesce(trigger_id, '00000000-0000-0000-0000-000000000000') AS trigger_id,
                   count(*) AS awards, sum(greatest(awarded, 0)) AS awarded, sum(greatest(-awarded, 0)) AS deducted
            FROM ({_LINES}) AS l GROUP BY 1, 2, 3, 4
        ) AS l USING (system_id, day, cause, trigger_id)
        WHERE (d.awards, d.awarded, d.deducted) IS DISTINCT FROM (l.awards, l.awarded, l.deducted)
        """,
    ),
    (
        "Every day of a boost has the sums of the lines that it multiplied.",
        f"""
        SELECT format('roll-up of boost %s on %s: %s instead of %s, by the ledger %s instead of %s',
                      boost_id, day, d.awarded, d.without, l.awarded, l.without)
        FROM analytics_boostday d
        FULL JOIN (
            SELECT l.system_id, l.day,
                   CASE WHEN b.external_id IS NULL THEN (s ->> 'id')::uuid
                        ELSE '00000000-0000-0000-0000-000000000000' END AS boost_id,
                   count(*) AS awards, sum(awarded) AS awarded,
                   sum(round(awarded / (s ->> 'multiplier')::numeric, 4)) AS without
            FROM ({_LINES}) AS l CROSS JOIN LATERAL jsonb_array_elements(l.boosts) AS s
            LEFT JOIN boosts_boost b ON b.id = (s ->> 'id')::uuid
            GROUP BY 1, 2, 3
        ) AS l USING (system_id, boost_id, day)
        WHERE (d.awards, d.awarded, d.without) IS DISTINCT FROM (l.awards, l.awarded, l.without)
        """,
    ),
    (
        "Every tally of what users earned, in all and in their first days, is that of the ledgers that are rolled up.",
        f"""
        WITH earned AS (
            SELECT system_id, {_PLACE.format("earned")} AS place, count(*) AS users, sum(earned) AS points
            FROM analytics_ledgermark WHERE earned > 0 GROUP BY 1, 2
        ), early AS (
            SELECT m.system_id, date_trunc('week', u.created AT TIME ZONE 'UTC')::date AS week,
                   {_PLACE.format("early")} AS place, count(*) AS users, sum(early) AS points
            FROM analytics_ledgermark m JOIN users_enduser u ON u.id = m.user_id WHERE early > 0 GROUP BY 1, 2, 3
        )
        SELECT format('roll-up of what users of system %s earned from %s: %s, by their ledgers %s', system_id, place,
                      t.users, e.users)
        FROM analytics_earnedtally t FULL JOIN earned e USING (system_id, place)
        WHERE (coalesce(t.users, 0), coalesce(t.points, 0)) <> (coalesce(e.users, 0), coalesce(e.points, 0))
        UNION ALL
        SELECT format('roll-up of what users of system %s since %s earned early from %s: %s, by their ledgers %s',
                      system_id, week, place, t.users, e.users)
        FROM analytics_earlytally t FULL JOIN early e USING (system_id, week, place)
        WHERE (coalesce(t.users, 0), coalesce(t.points, 0)) <> (coalesce(e.users, 0), coalesce(e.points, 0))
        """,
    ),
    (
        "Those who earned most of a points system are those of whom that is kept.",
        """
        SELECT format('roll-up of user %s, system %s: %s among those who earned most, by their ledger %s', user_id,
                      system_id, t.earned, m.earned)
        FROM analytics_topearner t
        FULL JOIN (
            SELECT system_id, user_id, earned FROM (
                SELECT *, row_number() OVER (PARTITION BY system_id ORDER BY earned DESC, user_id) AS place
                FROM analytics_ledgermark WHERE earned > 0
            ) AS ranked WHERE place <= 100
        ) AS m USING (system_id, user_id)
        WHERE t.earned IS DISTINCT FROM m.earned
        """,
    ),
    (
        "Every tally of who reached a level, and after how long, is that of the first lines that did.",
        f"""
        SELECT format('roll-up of system %s: %s users reached %s after %s minutes, by their ledgers %s', system_id,
                      t.users, threshold, place, l.users)
        FROM analytics_leveltally t
        FULL JOIN (
            SELECT system_id, threshold, {_PLACE.format("minutes")} AS place, count(*) AS users
            FROM (
                SELECT k.system_id, k.threshold,
                       floor(greatest(0, extract(epoch FROM a.created - u.created)) / 60)::bigint AS minutes
                FROM analytics_levelmark k
                JOIN analytics_ledgermark m
                  ON m.system_id = k.system_id AND m.peak >= k.threshold AND m.user_id <= k.upto
                JOIN users_enduser u ON u.id = m.user_id
                CROSS JOIN LATERAL (
                    SELECT created FROM points_pointsaward a
                    WHERE a.user_id = m.user_id AND a.system_id = k.system_id AND a.total >= k.threshold
                    ORDER BY a.seq LIMIT 1
                ) AS a
            ) AS reached
            GROUP BY 1, 2, 3
        ) AS l USING (system_id, threshold, place)
        WHERE coalesce(t.users, 0) <> coalesce(l.users, 0)
        """,
    ),
    (
        "Every day has its events and its active users, up to the marks.",
        f"""
        SELECT format('roll-up of metric %s on %s: %s events, by the rows %s', metric_id, day, d.events, e.events)
        FROM analytics_eventday d
        FULL JOIN (
            SELECT day, metric_id, count(*) AS events FROM ({_EVENTS}) AS e GROUP BY 1, 2
        ) AS e USING (day, metric_id)
        WHERE d.events IS DISTINCT FROM e.events
        UNION ALL
        SELECT format('roll-up of %s: %s active users, %s for the first time in the week and %s in the month, '
                      'by the events %s, %s and %s', day, d.users, d.week_firsts, d.month_firsts, e.users,
                      e.week_firsts, e.month_firsts)
        FROM analytics_activeday d
        FULL JOIN (
            SELECT day, count(*) AS users,
                   count(*) FILTER (WHERE day = min_of_week) AS week_firsts,
                   count(*) FILTER (WHERE day = min_of_month) AS month_firsts
            FROM (
                SELECT day, min(day) OVER (PARTITION BY user_id, date_trunc('week', day::timestamp)) AS min_of_week,
                       min(day) OVER (PARTITION BY user_id, date_trunc('month', day::timestamp)) AS min_of_month
                FROM (SELECT DISTINCT user_id, day FROM ({_EVENTS}) AS e) AS active
            ) AS dated
            GROUP BY day
        ) AS e USING (day)
        WHERE (d.users, d.week_firsts, d.month_firsts) IS DISTINCT FROM (e.users, e.week_firsts, e.month_firsts)
        """,
    ),
    (
        "Every user who is rolled up is in the cohort of their week, and marked on the days on which they were active.",
        f"""
        SELECT format('roll-up of the users since %s: %s, by the rows %s', week, c.users, u.users)
        FROM analytics_cohortweek c
        FULL JOIN (
            SELECT date_trunc('week', u.created AT TIME ZONE 'UTC')::date AS week, count(*) AS users
            FROM analytics_usermark m JOIN users_enduser u ON u.id = m.user_id GROUP BY 1
        ) AS u USING (week)
        WHERE c.users IS DISTINCT FROM u.users
        UNION ALL
        SELECT format('roll-up of user %s: active on %s and the days %s before, by the events on %s and the days %s',
                      user_id, m.last_day, m.days, e.last_day, e.days)
        FROM analytics_usermark m
        FULL JOIN (
            SELECT user_id, last_day, bit_or(1::bigint << (last_day - day)) FILTER (WHERE last_day - day <= 62) AS days
            FROM (SELECT user_id, day, max(day) OVER (PARTITION BY user_id) AS last_day FROM ({_EVENTS}) AS e) AS dated
            GROUP BY user_id, last_day
        ) AS e USING (user_id)
        WHERE m.last_day IS DISTINCT FROM e.last_day OR coalesce(m.days, 0) <> coalesce(e.days, 0)
        """,
    ),
)
