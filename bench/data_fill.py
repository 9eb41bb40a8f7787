"""Filling the large database: a year of a million users, ten million events and as many awards, all of it in SQL.

Started by `bench.data` as `manage.py shell -c "from bench.data_fill import fill; fill(...)"`. First users are drawn,
the days on which each was active, and the events of those days, into tables of its own; then all that the rules make
of them follows by window functions. `manage.py verify` proves that it is what the engine would have kept.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from analytics.services import recount
from bench.data_rules import BOOKWORM_CARDS, FIRE_DAYS, create_rules
from bench.game import CATEGORIES, METRIC_KEY, PLANS
from boosts.models import Boost
from config.demo import FIRST_NAMES, LAST_NAMES
from core.json import encode_text
from metrics.models import Metric
from metrics.rules import canonical_filter
from points.models import PointsSystem, PointsTrigger
from points.rules import AppliedBoost, Rounding
from points.versions import current_versions

LAUNCH_DAYS_AGO: Final = 30
HEAVY_USER: Final = "user-1"
"""One who has been active on each day of the year, with some 50,000 events: a test account, or a bot."""
HEAVY_EVENTS_A_DAY: Final = 138
CONNECTIONS: Final = 2
LARGEST: Final = ("points_pointsaward", "metrics_event")
"""The tables that take longest, and are begun with."""
GEMS_RULE: Final = 20
"""Where the numbers of the second system's rules begin."""

_SETTINGS: Final = {
    # Who is checked against whom is known to be right, and checking it would take as long as all the rest.
    "session_replication_role": "replica",
    "synchronous_commit": "off",
    "work_mem": "256MB",
    "maintenance_work_mem": "512MB",
}


def _id(at: str, number: str) -> str:
    """Return the SQL of a UUIDv7 of a time and a number: in the order of time, as the engine makes them.

    So indexes are as compact as the engine's. Put together of bytes, which takes half the time of hexadecimal text.
    """
    digest = f"int8send({number})"
    milliseconds = f"substr(int8send((date_part('epoch', {at}) * 1000)::bigint), 3)"
    parts = (milliseconds, r"'\x7a'::bytea", f"substr({digest}, 1, 1)", r"'\x8a'::bytea", f"substr({digest}, 2)")
    return f"encode({' || '.join(parts)}, 'hex')::uuid"


# What is drawn, ten events a user on average. Most users come late in the year, stay for some weeks and do little; few
# do very much.
_DRAW: Final = (
    """
    CREATE UNLOGGED TABLE fill.person AS
    SELECT row_number() OVER (ORDER BY age DESC) AS n, age, first_name, last_name, zone, country, chance, effort,
           least(age, life) AS life
    FROM (
        SELECT 2 + floor(363 * random() ^ 1.2)::int AS age,
               floor(-ln(1 - random()) * 57)::int AS life,
               least(0.9, 0.05 / (1 - random()) ^ 0.6) AS chance,
               1 + floor(least(6, 1 / sqrt(1 - random())))::int AS effort,
               floor(random() * (SELECT cardinality(first_names) FROM fill.given))::int AS first_name,
               floor(random() * (SELECT cardinality(last_names) FROM fill.given))::int AS last_name,
               (ARRAY['Europe/London', 'Europe/Berlin', 'America/New_York', 'America/Sao_Paulo', 'Asia/Tokyo',
                      'Asia/Kolkata', NULL])[1 + floor(7 * random() ^ 1.5)::int] AS zone,
               (ARRAY['GB', 'DE', 'US', 'BR', 'JP', 'IN', 'FR', 'ES'])[1 + floor(8 * random() ^ 1.5)::int] AS country
        FROM fill.given, generate_series(1, users)
    ) AS drawn
    """,
    f"""
    UPDATE fill.person SET age = 364, life = 364, chance = 1, effort = {HEAVY_EVENTS_A_DAY}
    WHERE n = 1 AND (SELECT users FROM fill.given) >= 1000
    """,
    f"""
    CREATE UNLOGGED TABLE fill.session AS
    SELECT n, day, (day + time '06:00' + random() * interval '8 hours') AT TIME ZONE coalesce(zone, 'UTC') AS start,
           CASE WHEN effort = {HEAVY_EVENTS_A_DAY} THEN effort ELSE 1 + floor(random() * effort)::int END AS events
    FROM (
        SELECT p.*, g.today - p.age + d AS day
        FROM fill.given g, fill.person p, generate_series(0, p.life) AS d
        WHERE d = 0 OR random() < p.chance
    ) AS active
    """,
    # A session's events are more than half a minute apart, so no two happen at one moment.
    f"""
    CREATE UNLOGGED TABLE fill.event AS
    SELECT *, {_id("at", "hashint8extended(n, (date_part('epoch', at) * 1000000)::bigint)")} AS id
    FROM (
        SELECT n, day, at, is_lesson, CASE WHEN is_lesson THEN 1 ELSE value END AS value,
               categories[category] AS category
        FROM (
            SELECT s.n, s.day, s.start + i * interval '210 s' + random() * interval '170 s' AS at,
                   random() < 0.35 AS is_lesson, 4 + floor(37 * random())::int AS value,
                   1 + floor(2 * random())::int AS category
            FROM fill.session s, generate_series(0, s.events - 1) AS i
        ) AS e CROSS JOIN fill.given g
        WHERE at < g.now
    ) AS happened
    """,
)

# What the rules make of it. `rule` is a trigger's place in the order in which they fire within an event.
_DERIVE: Final = (
    f"""
    CREATE UNLOGGED TABLE fill.member AS
    SELECT n, {_id("first.at", "hashint8extended(n, 1)")} AS user_id, first.at AS created, first.day,
           first.id AS event_id
    FROM (SELECT DISTINCT ON (n) n, at, day, id FROM fill.event ORDER BY n, at) AS first
    """,
    """
    CREATE UNLOGGED TABLE fill.running AS
    SELECT *, sum(value) OVER so_far AS total
    FROM fill.event
    WINDOW so_far AS (PARTITION BY n, is_lesson ORDER BY at)
    """,
    # Days in a row: the day less its number is the same for all of them.
    """
    CREATE UNLOGGED TABLE fill.streak_day AS
    SELECT n, day, at, id, row_number() OVER (PARTITION BY n, island ORDER BY day) AS length, is_last
    FROM (
        SELECT *, day - (row_number() OVER by_day)::int AS island, lead(day) OVER by_day IS NULL AS is_last
        FROM (SELECT DISTINCT ON (n, day) n, day, at, id FROM fill.event ORDER BY n, day, at) AS first
        WINDOW by_day AS (PARTITION BY n ORDER BY day)
    ) AS days
    """,
    f"""
    CREATE UNLOGGED TABLE fill.completion AS
    WITH bookworm AS MATERIALIZED (
        SELECT n, day, at, id FROM fill.running
        WHERE NOT is_lesson AND total >= {BOOKWORM_CARDS} AND total - value < {BOOKWORM_CARDS}
    ), on_fire AS MATERIALIZED (
        SELECT DISTINCT ON (n) n, day, at, id FROM fill.streak_day WHERE length = {FIRE_DAYS} ORDER BY n, day
    )
    SELECT 'Bookworm' AS name, n, day, at, id FROM bookworm
    UNION ALL
    SELECT 'On fire', n, day, at, id FROM on_fire
    UNION ALL
    SELECT 'Scholar', n, day, at, id
    FROM (
        SELECT DISTINCT ON (n) *
        FROM (SELECT * FROM bookworm UNION ALL SELECT * FROM on_fire) AS either
        WHERE n IN (SELECT n FROM bookworm) AND n IN (SELECT n FROM on_fire)
        ORDER BY n, at DESC
    ) AS later
    """,
    f"""
    CREATE UNLOGGED TABLE fill.fired AS
    SELECT n, day, at, id, v.rule, v.times
    FROM fill.running r CROSS JOIN LATERAL (VALUES
        (1, CASE WHEN NOT is_lesson THEN total / 25 - (total - value) / 25 END),
        (2, CASE WHEN is_lesson THEN 1 END),
        (3, CASE WHEN is_lesson AND total % 10 = 0 THEN 1 END),
        (4, CASE WHEN is_lesson AND category = %(writing)s AND n % 2 = 0 THEN 1 END),
        ({GEMS_RULE}, CASE WHEN is_lesson AND total % 10 = 0 THEN 1 END)
    ) AS v(rule, times)
    WHERE v.times > 0
    UNION ALL
    SELECT n, day, created, event_id, 0, 1 FROM fill.member
    UNION ALL
    SELECT n, day, at, id, 5, 1 FROM fill.streak_day WHERE length % {FIRE_DAYS} = 0
    UNION ALL
    SELECT n, day, at, id, CASE name WHEN 'On fire' THEN 6 WHEN 'Scholar' THEN 7 ELSE {GEMS_RULE + 1} END, 1
    FROM fill.completion
    """,
    """
    CREATE UNLOGGED TABLE fill.award AS
    SELECT *, row_number() OVER ledger AS seq, sum(awarded) OVER ledger AS total
    FROM (
        SELECT f.n, f.day, f.at, f.id AS event_id, f.rule, r.system_id, r.trigger_id, r.rule_version,
               r.cause, is_boosted, f.times * r.points * (1 + is_boosted::int) AS awarded
        FROM fill.fired f JOIN fill.rule r USING (rule) CROSS JOIN fill.given g
        CROSS JOIN LATERAL (SELECT f.rule < %(gems)s AND f.day BETWEEN g.launch AND g.launch + 1 AS is_boosted) AS b
    ) AS paid
    WINDOW ledger AS (PARTITION BY n, system_id ORDER BY at, rule)
    """,
)

# Into the engine's tables: in the order of time where the engine adds rows, of users where it updates them.
_STORE: Final = {
    "users_enduser": """
    INSERT INTO users_enduser (id, external_id, name, email, tz, attributes, subscribe_to_emails, sign_up_date, control,
                               created, updated)
    SELECT m.user_id, 'user-' || n, f || ' ' || l, lower(f || '.' || l) || n || '@example.com', zone,
           jsonb_build_object('plan', plans[1 + n % 2], 'country', country), true, m.day, false, m.created, m.created
    FROM fill.member m JOIN fill.person p USING (n) CROSS JOIN fill.given g
    CROSS JOIN LATERAL (VALUES (first_names[1 + first_name], last_names[1 + last_name])) AS name(f, l)
    ORDER BY n
    """,
    "metrics_event": """
    INSERT INTO metrics_event (id, user_id, metric_id, value, attributes, idempotency_key, kind, at, created)
    SELECT e.id, m.user_id, CASE WHEN is_lesson THEN g.lessons ELSE g.flashcards END, value,
           jsonb_build_object('category', category), 'event-' || row_number() OVER (ORDER BY at), 'event', at, at
    FROM fill.event e JOIN fill.member m USING (n) CROSS JOIN fill.given g
    ORDER BY at
    """,
    "metrics_metrictotal": """
    INSERT INTO metrics_metrictotal (user_id, metric_id, filter, total, peak, at)
    SELECT m.user_id, CASE WHEN is_lesson THEN g.lessons ELSE g.flashcards END, f.filter, f.total, f.total, f.at
    FROM (
        SELECT n, is_lesson, sum(value) AS total, max(at) AS at,
               coalesce(sum(value) FILTER (WHERE category = %(writing)s), 0) AS writing,
               max(at) FILTER (WHERE category = %(writing)s) AS written
        FROM fill.event GROUP BY n, is_lesson
    ) AS t JOIN fill.member m USING (n) CROSS JOIN fill.given g
    CROSS JOIN LATERAL (VALUES ('', t.total, t.at), (g.filter, t.writing, t.written)) AS f(filter, total, at)
    WHERE f.filter = '' OR (is_lesson AND f.at IS NOT NULL)
    ORDER BY n
    """,
    "metrics_metricday": """
    INSERT INTO metrics_metricday (user_id, metric_id, day, change)
    SELECT m.user_id, CASE WHEN is_lesson THEN g.lessons ELSE g.flashcards END, t.day, t.change
    FROM (SELECT n, is_lesson, day, sum(value) AS change FROM fill.event GROUP BY n, is_lesson, day) AS t
    JOIN fill.member m USING (n) CROSS JOIN fill.given g
    ORDER BY t.day
    """,
    "streaks_streakperiod": """
    INSERT INTO streaks_streakperiod (user_id, frequency, period, length, extended)
    SELECT m.user_id, 'daily', s.day, s.length, s.at FROM fill.streak_day s JOIN fill.member m USING (n) ORDER BY s.day
    """,
    # By now it has ended where the user's yesterday did not count.
    "streaks_streak": """
    INSERT INTO streaks_streak (user_id, frequency, length, started, period, extended, amounts)
    SELECT user_id, 'daily', CASE WHEN runs THEN length ELSE 0 END, CASE WHEN runs THEN day - length::int + 1 END,
           CASE WHEN runs THEN day END, CASE WHEN runs THEN at END, '{}'
    FROM (
        SELECT m.user_id, s.*, s.day >= (g.now AT TIME ZONE coalesce(p.zone, 'UTC'))::date - 1 AS runs
        FROM fill.streak_day s JOIN fill.member m USING (n) JOIN fill.person p USING (n) CROSS JOIN fill.given g
        WHERE s.is_last ORDER BY n
    ) AS newest
    """,
    "achievements_completion": f"""
    INSERT INTO achievements_completion (id, user_id, achievement_id, event_id, quiet, at)
    SELECT {_id("c.at", "hashtextextended(c.name, c.n)")}, m.user_id, a.id, c.id, false, c.at
    FROM fill.completion c JOIN fill.member m USING (n) JOIN achievements_achievement a USING (name)
    ORDER BY c.at
    """,
    "points_pointsaward": f"""
    INSERT INTO points_pointsaward
        (id, user_id, system_id, seq, trigger_id, rule_version, event_id, cause, awarded, total, boosts, created)
    SELECT {_id("a.at", "uuid_hash_extended(a.event_id, rule)")}, m.user_id, system_id, seq, trigger_id, rule_version,
           a.event_id, cause, awarded, total, CASE WHEN is_boosted THEN g.boosts ELSE '[]' END, at
    FROM fill.award a JOIN fill.member m USING (n) CROSS JOIN fill.given g
    ORDER BY at, rule
    """,
    "points_pointsbalance": """
    INSERT INTO points_pointsbalance (user_id, system_id, total, seq)
    SELECT m.user_id, b.system_id, b.total, b.seq
    FROM (SELECT n, system_id, sum(awarded) AS total, count(*) AS seq FROM fill.award GROUP BY n, system_id) AS b
    JOIN fill.member m USING (n)
    ORDER BY n
    """,
    "points_pointsday": """
    INSERT INTO points_pointsday (user_id, system_id, day, change)
    SELECT m.user_id, d.system_id, d.day, d.change
    FROM (SELECT n, system_id, day, sum(awarded) AS change FROM fill.award GROUP BY n, system_id, day) AS d
    JOIN fill.member m USING (n)
    ORDER BY d.day
    """,
}

# A primary key that others refer to has to stay; all else is quicker made at the end.
_INDEXES: Final = """
SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %%I', i.indexrelid::regclass)
            ELSE format('ALTER TABLE %%I DROP CONSTRAINT %%I', t.relname, c.conname) END,
       CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
            ELSE format('ALTER TABLE %%I ADD CONSTRAINT %%I %%s', t.relname, c.conname, pg_get_constraintdef(c.oid)) END
FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u') AND c.conrelid = t.oid
WHERE t.oid = %(table)s::text::regclass
  AND NOT EXISTS (SELECT FROM pg_constraint r WHERE r.contype = 'f' AND r.conindid = i.indexrelid)
"""


def fill(users: int) -> None:
    """Fill in the year until this moment, count it, and bring the database to rest."""
    fill_year(users, datetime.now(UTC), connections=CONNECTIONS)
    with _step("statistics and rest"):
        _run("VACUUM ANALYZE")
        _run("CHECKPOINT")


def fill_year(users: int, now: datetime, *, connections: int = 1) -> None:
    """Set the game up and fill in the year until `now`. The database has to be migrated, and empty.

    With more `connections` than one the tables are filled side by side, which needs what was drawn to be committed.
    """
    launch = now.date() - timedelta(days=LAUNCH_DAYS_AGO)
    boost = create_rules(now, launch)
    _prepare()
    _run("SELECT setseed(0.42)")
    _give(users, now, launch, boost)
    for statement in (*_DRAW, *_DERIVE):
        with _step(_name_of(statement)):
            _run(statement)
    # First the users: emptying their table empties all others.
    first, *others = _STORE
    _store(first)
    if connections == 1:
        for table in others:
            _store(table)
    else:
        with ThreadPoolExecutor(connections, initializer=_prepare) as pool:
            list(pool.map(_store, sorted(others, key=lambda table: table not in LARGEST)))
    _run("DROP SCHEMA fill CASCADE")
    for name in _SETTINGS:
        _run(f"RESET {name}")
    with _step("counters"):
        recount()


def _give(users: int, now: datetime, launch: date, boost: Boost) -> None:
    """Lay out what the statements refer to: they take no parameters where PostgreSQL allows none."""
    _run("DROP SCHEMA IF EXISTS fill CASCADE")
    _run("CREATE SCHEMA fill")
    _run(
        "CREATE TABLE fill.given (users int, now timestamptz, today date, launch date, lessons uuid, flashcards uuid, "
        "boosts jsonb, filter text, first_names text[], last_names text[], plans text[], categories text[])"
    )
    metrics = dict(Metric.objects.values_list("key", "id"))
    applied = AppliedBoost(
        str(boost.id), boost.name, boost.start, boost.end, boost.multiplier, Rounding(boost.rounding)
    )
    with connection.cursor() as cursor:
        filter_ = canonical_filter({"category": CATEGORIES[0]})
        game = [metrics[METRIC_KEY], metrics["flashcards"], encode_text([applied]), filter_]
        words = [list(each) for each in (FIRST_NAMES, LAST_NAMES, PLANS, CATEGORIES)]
        row: list[Any] = [users, now, now.date(), launch, *game, *words]
        cursor.execute(f"INSERT INTO fill.given VALUES ({', '.join(['%s'] * len(row))})", row)
    columns = "rule int, system_id uuid, trigger_id uuid, rule_version bigint, cause text, points int"
    _run(f"CREATE TABLE fill.rule ({columns})")
    for key, first in (("xp", 0), ("gems", GEMS_RULE)):
        _give_rules(PointsSystem.objects.get(key=key), first)


def _give_rules(system: PointsSystem, first: int) -> None:
    triggers = PointsTrigger.objects.filter(system=system, status="active").order_by("created", "id")
    versions = current_versions(triggers)
    with connection.cursor() as cursor:
        for rule, each in enumerate(triggers, start=first):
            row: list[Any] = [rule, system.id, each.id, versions[str(each.id)].number, each.type, each.points]
            cursor.execute("INSERT INTO fill.rule VALUES (%s, %s, %s, %s, %s, %s)", row)


def _prepare() -> None:
    """Set this connection up for filling."""
    for name, value in _SETTINGS.items():
        _run(f"SET {name} = '{value}'")


def _store(table: str) -> None:
    """Fill a table. Emptied in the same transaction, it needs no write-ahead log where nothing is replicated."""
    with _step(table), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_INDEXES, {"table": table})
        indexes: list[tuple[str, str]] = cursor.fetchall()
        cursor.execute(f"TRUNCATE {table} CASCADE")
        for drop, _ in indexes:
            cursor.execute(drop)
        _run(_STORE[table])
        for _, create in indexes:
            cursor.execute(create)


def _run(statement: str) -> None:
    """Run a statement, its few words of the game written into it."""
    words = {"writing": f"'{CATEGORIES[0]}'", "gems": str(GEMS_RULE)}
    for name, word in words.items():
        statement = statement.replace(f"%({name})s", word)
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _name_of(statement: str) -> str:
    return statement.split("fill.", 1)[1].split(maxsplit=1)[0]


@contextmanager
def _step(name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"  {name}: {time.monotonic() - start:.1f} s", flush=True)
