"""The game under load: a study app with one metric, five triggers and users with a past of one event.

It is set up by the Admin API, as an operator's program would do; only the users and their past are filled in by SQL.
"""

from pathlib import Path
from typing import Any, Final

import psycopg

from bench.databases import Server, create_anew, settle
from bench.web import call, django_environment, manage, serve

METRIC_KEY: Final = "lessons"
CATEGORIES: Final = ("writing", "reading")
PLANS: Final = ("pro", "free")


def external_id(number: int) -> str:
    """Return the product's id of the user with this number, from 1."""
    return f"user-{number}"


def plan_of(number: int) -> str:
    """Return the plan attribute of the user with this number."""
    return PLANS[number % 2]


def set_up_game(port: int, api_key: str) -> None:
    """Set the study app up by the Admin API."""
    metric = _create(port, api_key, "metrics", [{"name": "Lessons completed", "key": METRIC_KEY}])[0]["id"]
    plan, category = _create(
        port,
        api_key,
        "attributes",
        [{"name": "Plan", "key": "plan", "type": "user"}, {"name": "Category", "key": "category", "type": "event"}],
    )
    triggers = _triggers(metric, plan["id"], category["id"])
    _create(port, api_key, "points", [{"name": "XP", "key": "xp", "triggers": triggers}])


def _triggers(metric: str, plan: str, category: str) -> list[dict[str, Any]]:
    def each(points: int, every: int, **filters: Any) -> dict[str, Any]:
        fields = {"type": "metric", "metricId": metric, "metricThreshold": every, "points": points, "status": "active"}
        return fields | filters

    return [
        each(10, 10),
        each(50, 100),
        each(1, 1, userAttributes=[{"attributeId": plan, "attributeValue": PLANS[0]}]),
        each(100, 1000),
        each(5, 1, eventAttributes=[{"attributeId": category, "attributeValue": CATEGORIES[0]}]),
    ]


def _create(port: int, api_key: str, kind: str, items: list[dict[str, Any]]) -> Any:
    return call(port, "POST", f"/admin-api/v1/{kind}", api_key, items)["created"]


# Ids in the order of time, as the engine makes them, so that the indexes are as compact.
_ID: Final = """
(lpad(to_hex(1750000000000 + n), 12, '0') || '7' || substr(md5('{kind}' || n), 1, 3)
 || '8' || substr(md5('{kind}' || n), 4, 15))::uuid
"""

# Each user has one event, 1 to 100 lessons, and everything that it paid; `manage.py verify` finds no fault in it.
_FILL: Final = """
INSERT INTO users_enduser (id, external_id, name, email, tz, attributes, subscribe_to_emails, control, created, updated)
SELECT {user_id}, 'user-' || n, 'User ' || n, 'user-' || n || '@example.com', 'Europe/London',
       jsonb_build_object('plan', CASE WHEN n % 2 = 0 THEN 'pro' ELSE 'free' END), true, false, now(), now()
FROM generate_series(1, :users) AS n;

INSERT INTO metrics_event (id, user_id, metric_id, value, attributes, kind, at, created)
SELECT {event_id}, {user_id}, m.id, 1 + n % 100, '{{"category": "writing"}}', 'event', now() - interval '1 day', now()
FROM generate_series(1, :users) AS n CROSS JOIN metrics_metric m;

INSERT INTO metrics_metrictotal (user_id, metric_id, filter, total, peak, at)
SELECT e.user_id, e.metric_id, f, e.value, e.value, e.at
FROM metrics_event e CROSS JOIN unnest(ARRAY['', '{{"category":"writing"}}']) AS f;

INSERT INTO points_pointsaward
    (id, user_id, system_id, seq, trigger_id, event_id, cause, awarded, total, boosts, created)
SELECT gen_random_uuid(), user_id, system_id, row_number() OVER ledger, trigger_id, event_id,
       'metric', points, sum(points) OVER ledger, '[]', at
FROM (
    SELECT e.user_id, t.system_id, t.id AS trigger_id, t.created, e.id AS event_id, e.at,
           floor(e.value / t.metric_threshold)::bigint * t.points AS points
    FROM metrics_event e
    JOIN users_enduser u ON u.id = e.user_id
    JOIN points_pointstrigger t ON t.metric_id = e.metric_id AND t.metric_threshold <= e.value
    WHERE NOT EXISTS (
        SELECT FROM points_triggerfilter f JOIN users_attribute a ON a.id = f.attribute_id
        WHERE f.trigger_id = t.id AND a.type = 'user' AND u.attributes ->> a.key IS DISTINCT FROM f.value)
) AS paid
WINDOW ledger AS (PARTITION BY user_id, system_id ORDER BY created, trigger_id);

INSERT INTO points_pointsbalance (user_id, system_id, total, seq)
SELECT DISTINCT ON (user_id, system_id) user_id, system_id, total, seq
FROM points_pointsaward ORDER BY user_id, system_id, seq DESC;

INSERT INTO metrics_metricday (user_id, metric_id, day, change)
SELECT user_id, metric_id, at::date, value FROM metrics_event;

INSERT INTO points_pointsday (user_id, system_id, day, change)
SELECT user_id, system_id, created::date, sum(awarded) FROM points_pointsaward
GROUP BY user_id, system_id, created::date;

INSERT INTO core_delta (kind, subject, after, users)
SELECT 'user', NULL, NULL, count(*) FROM users_enduser
UNION ALL
SELECT 'balance', system_id, total, count(*) FROM points_pointsbalance GROUP BY system_id, total;
""".format(user_id=_ID.format(kind="user"), event_id=_ID.format(kind="event"))


def prepare_game(server: Server, folder: Path, database: str, users: int) -> tuple[dict[str, str], str]:
    """Make a database with the game and its users; return the environment for Django on it, and an API key."""
    url = create_anew(server, database)
    environment = django_environment(url, folder)
    manage(environment, "migrate", "--verbosity", "0")
    api_key = manage(environment, "create_api_key", "bench", "--admin").split()[-1]
    with serve(environment, folder / f"{database}.log") as web:
        set_up_game(web.port, api_key)
    fill(url, users)
    settle(url)
    return environment, api_key


def fill(url: str, users: int) -> None:
    """Add the users and the past of each."""
    with psycopg.connect(url) as connection:
        connection.execute(_FILL.replace(":users", str(users)).encode())
