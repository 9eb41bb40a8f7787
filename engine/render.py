"""An outcome on the wire."""

from collections import defaultdict
from decimal import Decimal
from typing import Any, NotRequired, TypedDict

from achievements.render import UserAchievementJson, with_achieved_at
from achievements.rules import Completion
from core.json import iso_instant, plain_number
from core.warnings import FieldWarning
from engine.outcomes import Accepted, AwardRecord, CompletedBefore, Replayed
from engine.rule_book import RuleBook
from levels.rules import LevelChange
from points.render import AwardJson, EventPointsJson, render_applied_boost
from streaks.render import EventStreakJson, render_event_streak


class EventJson(TypedDict):
    """The answer to an event; the fields of the idempotency key are there only when one was sent."""

    eventId: str
    metricId: str
    total: int | Decimal
    achievements: list[UserAchievementJson]
    currentStreak: EventStreakJson
    points: dict[str, EventPointsJson]
    leaderboards: dict[str, Any]
    idempotencyKey: NotRequired[str]
    idempotentReplayed: NotRequired[bool]
    warnings: NotRequired[list[FieldWarning]]


class CompletionJson(TypedDict):
    """The answer to an achievement's completion."""

    completionId: str
    achievement: UserAchievementJson
    points: dict[str, EventPointsJson]
    warnings: NotRequired[list[FieldWarning]]


def render_event(outcome: Accepted | Replayed, book: RuleBook) -> EventJson:
    """Return the answer to an event, decided by `book`."""
    if isinstance(outcome, Replayed):
        streak = render_event_streak(outcome.streak, book.rules.streak, extended=False)
        json = _event_json(outcome.event_id, outcome.metric.id, outcome.total, [], streak, {})
        return _with_key(json, outcome.idempotency_key, replayed=True)
    event = outcome.event
    if event is None:
        raise TypeError("Only an event has this answer.")
    streak = render_event_streak(outcome.streak, book.rules.streak, extended=outcome.extended)
    achievements = [render_achieved(each, book) for each in outcome.completions]
    json = _event_json(event.id, event.metric.id, event.total, achievements, streak, render_points(outcome, book))
    return _with_key(json, event.idempotency_key, replayed=False)


def render_completion(outcome: Accepted | CompletedBefore, book: RuleBook) -> CompletionJson:
    """Return the answer to the completion of an achievement by the product."""
    if isinstance(outcome, CompletedBefore):
        completion, points = outcome.completion, {}
    else:
        completion, points = outcome.completions[0], render_points(outcome, book)
    achievement = render_achieved(completion, book)
    return {"completionId": completion.id, "achievement": achievement, "points": points}


def render_achieved(completion: Completion, book: RuleBook) -> UserAchievementJson:
    """Return the wire's shape of an achievement that was completed."""
    return with_achieved_at(book.achievement_json[completion.achievement_id], completion.at)


def render_points(outcome: Accepted, book: RuleBook) -> dict[str, EventPointsJson]:
    """Return what an input moved, by the key of the points system; `level` is there where it changed."""
    by_system: dict[str, list[AwardRecord]] = defaultdict(list)
    for record in outcome.awards:
        by_system[record.award.system_id].append(record)
    return {
        book.rules.systems[system_id].key: _points_json(system_id, records, outcome.levels.get(system_id), book)
        for system_id, records in by_system.items()
    }


def _points_json(
    system_id: str, records: list[AwardRecord], level: LevelChange | None, book: RuleBook
) -> EventPointsJson:
    json = EventPointsJson(
        **book.system_json[system_id],  # type: ignore[typeddict-item] # the level comes below, or not at all
        total=records[-1].award.total,
        added=sum(record.award.awarded for record in records),
        awards=[_award_json(record, book) for record in records],
    )
    if level is not None:
        json["level"] = None if level.after is None else book.level_json[level.after]
    return json


def _award_json(record: AwardRecord, book: RuleBook) -> AwardJson:
    json: AwardJson = {
        "id": record.id,
        "awarded": record.award.awarded,
        "date": iso_instant(record.at),
        "total": record.award.total,
        "boosts": [render_applied_boost(boost, "active") for boost in record.award.boosts],
    }
    if record.award.trigger_id is not None:
        json["trigger"] = book.trigger_json[record.award.trigger_id]
    return json


def _event_json(
    event_id: str,
    metric_id: str,
    total: Decimal,
    achievements: list[UserAchievementJson],
    streak: EventStreakJson,
    points: dict[str, EventPointsJson],
) -> EventJson:
    return {
        "eventId": event_id,
        "metricId": metric_id,
        "total": plain_number(total),
        "achievements": achievements,
        "currentStreak": streak,
        "points": points,
        "leaderboards": {},
    }


def _with_key(json: EventJson, key: str | None, *, replayed: bool) -> EventJson:
    if key is not None:
        json["idempotencyKey"] = key
        json["idempotentReplayed"] = replayed
    return json
