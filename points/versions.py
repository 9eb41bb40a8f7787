"""Rules as they were when they paid: each line of the ledger names the version of its rule, the histories keep it.

The version of a trigger is a number: the greatest among the newest records of all that says what it pays and what it is
called. That is the trigger itself, its filters with their attributes, its metric, its achievement and its points
system. The rule as it was at a version has the newest record of each up to that number. That is exact, because changes
of configuration wait for each other: each bumps the revision of the rule book before its records get their numbers.

An adjustment has the version of its points system. Lines that were stored before there were versions have none: their
rule is looked up by time, which leaves a doubt where it was changed at about that time, or before the history began.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Model
from msgspec import Struct
from msgspec.json import Decoder

from achievements.models import Achievement
from core.history import CREATED, DELETED, history_of
from core.json import encode_text
from metrics.models import Metric
from points.models import PointsAward, PointsSystem, PointsTrigger, TriggerFilter
from users.models import Attribute

DOUBT: Final = timedelta(minutes=10)
"""Time alone does not tell which rule paid where it was changed so shortly before or after."""

_KEPT_MAX: Final = 20_000
"""How many rules a process keeps, before it begins again with none."""


# --- The statements --------------------------------------------------------------------------------------------------
def _records(model: type[Model], condition: str) -> str:
    """Return the records `h` of a model that meet the condition: found by it, whatever the planner knows (OFFSET 0)."""
    return f"(SELECT h.* FROM {history_of(model)._meta.db_table} h WHERE {condition} OFFSET 0)"


def _newest(model: type[Model], condition: str) -> str:
    return f"(SELECT r.* FROM {_records(model, condition)} AS r ORDER BY r.history_id DESC LIMIT 1)"


def _of_rule(until: str, *, of_filters: str = "") -> str:
    """Return the records that the version of a trigger `t` is made of; those of filters may have their own limit."""
    attributes = f"SELECT f.attribute_id FROM {_records(TriggerFilter, 'h.trigger_id = t.id')} AS f"
    sources: Sequence[tuple[type[Model], str, str]] = (
        (PointsTrigger, "h.id = t.id", until),
        (TriggerFilter, "h.trigger_id = t.id", of_filters or until),
        (Attribute, f"h.id = ANY(ARRAY({attributes}))", until),
        (PointsSystem, "h.id = t.system_id", until),
        (Metric, "h.id = t.metric_id", until),
        (Achievement, "h.id = t.achievement_id", until),
    )
    return " UNION ALL ".join(
        f"SELECT r.history_id FROM {_records(model, f'{condition} AND {limit}')} AS r"
        for model, condition, limit in sources
    )


def _saved(trigger_id: str, until: str) -> str:
    """Return when the trigger or one of its filters was saved last."""
    own = _records(PointsTrigger, f"h.id = {trigger_id} AND {until}")
    filters = _records(TriggerFilter, f"h.trigger_id = {trigger_id} AND {until}")
    both = f"SELECT history_date FROM {own} AS r UNION ALL SELECT history_date FROM {filters} AS r"
    return f"(SELECT max(r.history_date) FROM ({both}) AS r)"


VERSION: Final = f"(SELECT max(r.history_id) FROM ({_of_rule('true')}) AS r)"
"""The version of the trigger `t` as it is now."""

_NOW: Final = f"""
SELECT t.id::text, {VERSION}, {_saved("t.id", "true")} FROM points_pointstrigger t WHERE t.id = ANY(%s::uuid[])
"""

_SYSTEMS_NOW: Final = f"""
SELECT s.id::text, (SELECT max(r.history_id) FROM {_records(PointsSystem, "h.id = s.id")} AS r)
FROM points_pointssystem s WHERE s.id = ANY(%s::uuid[])
"""

# Before the history began, the rule is taken to have been as it was then.
_IN_DOUBT: Final = f"h.history_date BETWEEN k.at - interval '{DOUBT}' AND k.at + interval '{DOUBT}'"
_AT_TIME: Final = f"""
SELECT k.id::text, (SELECT max(r.history_id) FROM ({_of_rule("h.history_date <= a.at")}) AS r),
       k.at < a.at OR EXISTS (SELECT FROM ({
    _of_rule(f"{_IN_DOUBT} AND h.history_type <> '{CREATED}'", of_filters=f"{_IN_DOUBT} AND h.act <> first.act")
}) AS r)
FROM json_to_recordset(%s) AS k(id uuid, trigger_id uuid, at timestamptz)
CROSS JOIN LATERAL (
    SELECT r.* FROM {_records(PointsTrigger, "h.id = k.trigger_id")} AS r ORDER BY r.history_id LIMIT 1
) AS first
CROSS JOIN LATERAL (SELECT greatest(k.at, first.history_date) AS at) AS a
CROSS JOIN LATERAL {_newest(PointsTrigger, "h.id = k.trigger_id AND h.history_date <= a.at")} AS t
"""

_UNTIL: Final = "h.history_id <= k.version"
_READ: Final = f"""
SELECT coalesce(json_agg(json_build_object(
    'version', k.version, 'trigger', to_json(t), 'created', o.created, 'saved', {_saved("k.trigger_id", _UNTIL)},
    'metric', m.name, 'achievement', a.name, 'system', s.name, 'max_points', s.max_points,
    'filters', (
        SELECT coalesce(json_agg(json_build_object(
            'id', f.id, 'value', f.value, 'attribute_id', e.id, 'key', e.key, 'name', e.name, 'type', e.type
        ) ORDER BY e.key, f.id), '[]')
        FROM (
            SELECT DISTINCT ON (r.id) r.* FROM {_records(TriggerFilter, f"h.trigger_id = k.trigger_id AND {_UNTIL}")} r
            ORDER BY r.id, r.history_id DESC
        ) AS f
        CROSS JOIN LATERAL {_newest(Attribute, f"h.id = f.attribute_id AND {_UNTIL}")} AS e
        WHERE f.history_type <> '{DELETED}')
)), '[]')::text
FROM json_to_recordset(%s) AS k(trigger_id uuid, version bigint)
JOIN points_pointstrigger o ON o.id = k.trigger_id
CROSS JOIN LATERAL {_newest(PointsTrigger, f"h.id = k.trigger_id AND {_UNTIL}")} AS t
LEFT JOIN LATERAL {_newest(PointsSystem, f"h.id = t.system_id AND {_UNTIL}")} AS s ON true
LEFT JOIN LATERAL {_newest(Metric, f"h.id = t.metric_id AND {_UNTIL}")} AS m ON true
LEFT JOIN LATERAL {_newest(Achievement, f"h.id = t.achievement_id AND {_UNTIL}")} AS a ON true
"""


# --- What the rule book keeps ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Version:
    """The version of a trigger as it is now, and when the trigger or one of its filters was saved last."""

    number: int
    saved: datetime


NO_VERSIONS: Final[Mapping[str, Version]] = {}


def current_versions(triggers: Iterable[PointsTrigger]) -> dict[str, Version]:
    """Return the versions of these triggers by id, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW, [[trigger.id for trigger in triggers]])
        return {id_: Version(number, saved) for id_, number, saved in cursor.fetchall() if number is not None}


def current_system_versions(systems: Iterable[PointsSystem]) -> dict[str, int]:
    """Return the versions of these points systems by id, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_SYSTEMS_NOW, [[system.id for system in systems]])
        return {id_: number for id_, number in cursor.fetchall() if number is not None}


# --- What the ledger names -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class PastRule:
    """A trigger as it was at a version, with its points system, metric, achievement and filters as they were.

    `is_doubtful` if the version was found by time, and another may have been the one that paid.
    """

    trigger: PointsTrigger
    version: int
    is_doubtful: bool = False


class _FilterRow(Struct, frozen=True):
    id: UUID
    value: str
    attribute_id: UUID
    key: str
    name: str
    type: str


class _TriggerRow(Struct, frozen=True):
    id: UUID
    system_id: UUID
    type: str
    points: int
    status: str
    metric_id: UUID | None
    metric_threshold: int | None
    streak_length: int | None
    achievement_id: UUID | None
    time_unit: str | None
    time_interval: int | None
    block_if_out_of_points: bool


class _Row(Struct, frozen=True):
    version: int
    trigger: _TriggerRow
    created: datetime
    saved: datetime
    metric: str | None
    achievement: str | None
    system: str | None
    max_points: int | None
    filters: list[_FilterRow]


_decoder: Final = Decoder(list[_Row])
_kept: dict[tuple[str, int], PointsTrigger] = {}


def past_rules(awards: Iterable[PointsAward]) -> dict[UUID, PastRule]:
    """Return by the award's id the rule of each award of a trigger, as it was when it paid.

    In two statements at most, and none for versions that this process has read before: they never change.
    """
    versions, doubtful = _versions_of([award for award in awards if award.trigger_id is not None])
    triggers = _triggers_at(set(versions.values()))
    return {
        id_: PastRule(triggers[key], key[1], is_doubtful=id_ in doubtful)
        for id_, key in versions.items()
        if key in triggers
    }


def recall_rules(awards: list[PointsAward]) -> list[PointsAward]:
    """Let the `trigger` of each award be the rule as it was when it paid; return the awards."""
    rules = past_rules(awards)
    for award in awards:
        if (rule := rules.get(award.id)) is not None:
            award.trigger = rule.trigger
    return awards


def rule_at(trigger: PointsTrigger, version: int | None) -> PointsTrigger:
    """Return the trigger as it was at one of its versions; as it is without one."""
    key = (str(trigger.id), version or 0)
    return _triggers_at({key}).get(key, trigger) if version is not None else trigger


def past_maximum(award: PointsAward) -> int | None:
    """Return the maximum that the award's points system had when it was made; None if it had no maximum."""
    records = history_of(PointsSystem)._default_manager.filter(id=award.system_id).order_by("history_id")
    by_then = (
        {"history_date__lte": award.created} if award.rule_version is None else {"history_id__lte": award.rule_version}
    )
    record: Any = records.filter(**by_then).last() or records.first()
    return award.system.max_points if record is None else record.max_points


def _versions_of(awards: Sequence[PointsAward]) -> tuple[dict[UUID, tuple[str, int]], set[UUID]]:
    """Return by the award's id its trigger's id and version, and of which awards the version is doubtful."""
    known = {
        award.id: (str(award.trigger_id), award.rule_version) for award in awards if award.rule_version is not None
    }
    others = {award.id: str(award.trigger_id) for award in awards if award.rule_version is None}
    doubtful = set()
    if others:
        asked = [
            {"id": award.id, "trigger_id": others[award.id], "at": award.created}
            for award in awards
            if award.id in others
        ]
        with connection.cursor() as cursor:
            cursor.execute(_AT_TIME, [encode_text(asked)])
            for id_, version, is_doubtful in cursor.fetchall():
                known[UUID(id_)] = (others[UUID(id_)], version)
                if is_doubtful:
                    doubtful.add(UUID(id_))
    return known, doubtful


def _triggers_at(keys: set[tuple[str, int]]) -> Mapping[tuple[str, int], PointsTrigger]:
    found = {key: trigger for key in keys if (trigger := _kept.get(key)) is not None}
    if missing := keys - found.keys():
        asked = [{"trigger_id": trigger_id, "version": version} for trigger_id, version in missing]
        with connection.cursor() as cursor:
            cursor.execute(_READ, [encode_text(asked)])
            rows = _decoder.decode(cursor.fetchone()[0])
        read = {(str(row.trigger.id), row.version): _trigger_of(row) for row in rows}
        found |= read
        if len(_kept) + len(read) > _KEPT_MAX:
            _kept.clear()
        _kept.update(read)
    return found


def _trigger_of(row: _Row) -> PointsTrigger:
    """Return a trigger that says what the row says: to be looked at, not to be saved."""
    then = row.trigger
    trigger = PointsTrigger(
        **{name: getattr(then, name) for name in then.__struct_fields__}, created=row.created, updated=row.saved
    )
    trigger.system = PointsSystem(id=then.system_id, name=row.system or "", max_points=row.max_points)
    if then.metric_id is not None:
        trigger.metric = Metric(id=then.metric_id, name=row.metric or "")
    if then.achievement_id is not None:
        trigger.achievement = Achievement(id=then.achievement_id, name=row.achievement or "")
    filters = TriggerFilter.objects.none()
    filters._result_cache = [_filter_of(trigger, each) for each in row.filters]
    trigger._prefetched_objects_cache = {"filters": filters}  # type: ignore[attr-defined]
    return trigger


def _filter_of(trigger: PointsTrigger, row: _FilterRow) -> TriggerFilter:
    attribute = Attribute(id=row.attribute_id, key=row.key, name=row.name, type=row.type)
    return TriggerFilter(id=row.id, trigger=trigger, attribute=attribute, value=row.value)
