"""The rule book: all active configuration, compiled, immutable, cached in each process."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from django.db import connection

from access.keys import KeyRule
from access.store import load_keys
from achievements.render import AchievementJson, render_achievement
from achievements.store import achievement_rules, load_achievements
from boosts.store import load_boosts
from core.json import iso_instant
from engine.rules import Rules, compile_rules
from levels.render import LevelJson, render_level
from levels.store import ladders, load_levels
from metrics.store import load_metrics
from points.models import PointsTrigger
from points.render import SystemJson, TriggerJson, render_system, render_trigger
from points.store import load_systems, load_triggers, system_rule, trigger_rules
from points.versions import Version, current_system_versions, current_versions
from streaks.store import load_rule
from users.models import AttributeType
from users.store import load_archived_user_keys, load_attribute_keys
from webhooks.store import load_wanted_types

REVISION = "SELECT coalesce((SELECT revision FROM core_configurationrevision), 0)"


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The configuration at one revision: what decides, who may ask (keys by hash), what the wire
    calls it by id, and which types of messages some endpoint wants.
    """

    revision: int
    rules: Rules
    keys: Mapping[str, KeyRule]
    system_json: Mapping[str, SystemJson]
    trigger_json: Mapping[str, TriggerJson]
    achievement_json: Mapping[str, AchievementJson]
    level_json: Mapping[str, LevelJson]
    wanted_messages: frozenset[str]


_cached: RuleBook | None = None
_reading: Final = Lock()


def cached_rule_book() -> RuleBook:
    """Return this process's rule book as it is, however old; read it first where there is none yet."""
    return _cached or current_rule_book()


def current_rule_book() -> RuleBook:
    """Return the rule book of the newest revision that this connection sees: one statement unless it changed."""
    return rule_book_at(current_revision())


def current_revision() -> int:
    """Return the newest revision of the configuration that this connection sees."""
    with connection.cursor() as cursor:
        cursor.execute(REVISION)
        revision: int = cursor.fetchone()[0]
        return revision


def rule_book_at(revision: int) -> RuleBook:
    """Return the rule book of `revision`, just read from the database, or a newer one."""
    global _cached
    book = _cached
    if book is None or book.revision != revision:
        # One thread reads it for all that want it.
        with _reading:
            book = _cached
            if book is None or book.revision != revision:
                book = _cached = _read_rule_book(revision)
    return book


def _read_rule_book(revision: int) -> RuleBook:
    """Read until the revision is the same before and after: then no change came between the statements."""
    while True:
        book = _compile(revision)
        after = current_revision()
        if after == revision:
            return book
        revision = after


def _compile(revision: int) -> RuleBook:
    attributes, keys, levels = load_attribute_keys(), load_keys(), load_levels()
    systems, triggers, achievements = load_systems(), load_triggers(), load_achievements()
    versions, system_versions = current_versions(triggers), current_system_versions(systems)
    rules = compile_rules(
        metrics=load_metrics().values(),
        systems=[system_rule(system, system_versions.get(str(system.id))) for system in systems],
        triggers=trigger_rules(triggers, versions),
        achievements=achievement_rules(achievements),
        boosts=load_boosts(),
        ladders=ladders(levels),
        streak=load_rule(),
        key_ids=frozenset(key.id for key in keys.values()),
        user_attributes=attributes[AttributeType.USER],
        archived_user_attributes=load_archived_user_keys(),
        event_attributes=attributes[AttributeType.EVENT],
    )
    return RuleBook(
        revision=revision,
        rules=rules,
        keys=keys,
        system_json={str(system.id): render_system(system) for system in systems},
        trigger_json={str(each.id): _trigger_json(each, versions.get(str(each.id))) for each in triggers},
        achievement_json={str(achievement.id): render_achievement(achievement) for achievement in achievements},
        level_json={str(level.id): render_level(level) for level in levels},
        wanted_messages=load_wanted_types(),
    )


def _trigger_json(trigger: PointsTrigger, version: Version | None) -> TriggerJson:
    """Return a trigger as its awards show it, from the first answer on: saved when its history says that it was."""
    json = render_trigger(trigger)
    if version is not None:
        json["updated"] = iso_instant(version.saved)
    return json
