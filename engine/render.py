"""An outcome on the wire."""

from collections import defaultdict
from decimal import Decimal
from typing import Any, NotRequired, TypedDict

from core.json import iso_instant, plain_number
from engine.outcomes import Accepted, AwardRecord, Replayed
from engine.rule_book import RuleBook
from points.render import AwardJson, EventPointsJson


class EventStreakJson(TypedDict):
    """The user's streak after an event."""

    length: int
    frequency: str
    started: str | None
    periodStart: str | None
    periodEnd: str | None
    expires: str | None
    extended: bool


class EventJson(TypedDict):
    """The answer to an event; the last two fields are there only when an idempotency key was sent."""

    eventId: str
    metricId: str
    total: int | Decimal
    achievements: list[Any]
    currentStreak: EventStreakJson
    points: dict[str, EventPointsJson]
    leaderboards: dict[str, Any]
    idempotencyKey: NotRequired[str]
    idempotentReplayed: NotRequired[bool]


NO_STREAK: EventStreakJson = {
    "length": 0,
    "frequency": "daily",
    "started": None,
    "periodStart": None,
    "periodEnd": None,
    "expires": None,
    "extended": False,
}
"""Before any streak."""


def render_event(outcome: Accepted | Replayed, book: RuleBook) -> EventJson:
    """Return the answer to an event, decided by `book`."""
    if isinstance(outcome, Replayed):
        return _event_json(outcome.event_id, outcome.metric.id, outcome.total, {}, outcome.idempotency_key, True)
    event = outcome.event
    if event is None:
        raise TypeError("Only an event has this answer.")
    points = render_points(outcome.awards, book)
    return _event_json(event.id, event.metric.id, event.total, points, event.source.idempotency_key, False)


def render_points(awards: tuple[AwardRecord, ...], book: RuleBook) -> dict[str, EventPointsJson]:
    """Return what `awards` moved, by the key of the points system."""
    by_system: dict[str, list[AwardRecord]] = defaultdict(list)
    for record in awards:
        by_system[record.award.trigger.system_id].append(record)
    return {
        book.systems[system_id].key: {
            **book.system_json[system_id],
            "total": records[-1].award.total,
            "added": sum(record.award.awarded for record in records),
            "awards": [_award_json(record, book) for record in records],
        }
        for system_id, records in by_system.items()
    }


def _award_json(record: AwardRecord, book: RuleBook) -> AwardJson:
    return {
        "id": record.id,
        "awarded": record.award.awarded,
        "date": iso_instant(record.at),
        "total": record.award.total,
        "trigger": book.trigger_json[record.award.trigger.id],
        "boosts": [],
    }


def _event_json(
    event_id: str, metric_id: str, total: Decimal, points: dict[str, EventPointsJson], key: str | None, replayed: bool
) -> EventJson:
    json: EventJson = {
        "eventId": event_id,
        "metricId": metric_id,
        "total": plain_number(total),
        "achievements": [],
        "currentStreak": NO_STREAK,
        "points": points,
        "leaderboards": {},
    }
    if key is not None:
        json["idempotencyKey"] = key
        json["idempotentReplayed"] = replayed
    return json
