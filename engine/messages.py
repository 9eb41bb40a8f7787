"""What products are told of an outcome: the payloads of the contract, from the same Outcome as the API's answer."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from boosts.models import Boost
from boosts.render import render_boost
from boosts.rules import BoostPhase
from core.json import iso_instant
from core.models import new_id_text
from engine.outcomes import Accepted
from engine.render import render_achieved, render_points
from engine.rule_book import RuleBook
from streaks.render import render_base_streak
from users.render import render_user
from webhooks.models import MessageType

Row = dict[str, Any]


def messages_of(outcome: Accepted, book: RuleBook) -> Iterator[Row]:
    """Yield the outbox's rows for an outcome, of the types that some endpoint wants, in the order of the rules."""
    if not book.wanted_messages:
        return
    user = render_user(outcome.user)
    for type_, content in _contents(outcome, book):
        if type_ in book.wanted_messages:
            yield _row(type_, {"type": type_, "user": user, **content}, outcome.at, outcome.user.id)


def boost_message(type_: MessageType, boost: Boost, phase: BoostPhase, at: datetime) -> Row:
    """Return the outbox's row for the start or the end of a boost, loaded with its points system."""
    json = {
        **render_boost(boost, phase),
        "userId": boost.external_id,
        "pointsSystemId": str(boost.system_id),
        "pointsSystemKey": boost.system.key,
        "pointsSystemName": boost.system.name,
    }
    return _row(type_, {"type": type_, "timestamp": iso_instant(at), "boost": json}, at, None)


def _row(type_: MessageType, payload: Row, at: datetime, user_id: str | None) -> Row:
    return {"id": new_id_text(), "type": type_, "user_id": user_id, "payload": payload, "created": at}


def _contents(outcome: Accepted, book: RuleBook) -> Iterator[tuple[MessageType, Row]]:
    yield from _of_streak(outcome, book)
    if not outcome.quiet:
        for completion in outcome.completions:
            yield MessageType.ACHIEVEMENT_COMPLETED, {"achievement": render_achieved(completion, book)}
    for points in render_points(outcome, book).values():
        yield MessageType.POINTS_CHANGED, {"points": points}
        if change := outcome.levels.get(points["id"]):
            yield (
                MessageType.LEVEL_CHANGED,
                {
                    "points": {**book.system_json[points["id"]], "total": points["total"]},
                    "previousLevel": book.level_json.get(change.before or ""),
                    "newLevel": book.level_json.get(change.after or ""),
                },
            )


def _of_streak(outcome: Accepted, book: RuleBook) -> Iterator[tuple[MessageType, Row]]:
    if outcome.lost_streak:
        yield MessageType.STREAK_LOST, {"length": outcome.lost_streak}
    if outcome.extended:
        type_ = MessageType.STREAK_STARTED if outcome.streak.length == 1 else MessageType.STREAK_EXTENDED
        yield type_, {"streak": render_base_streak(outcome.streak, book.rules.streak)}
