"""What the clock does besides time triggers: streaks that nobody extended end, boosts begin and end."""

from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from boosts import store as boosts_store
from boosts.models import Boost
from boosts.rules import FIRST_ZONE, LAST_ZONE, BoostPhase
from core.json import encode_text
from engine.inputs import IdentifyInput
from engine.messages import boost_message
from engine.pipeline import process
from engine.rule_book import current_rule_book
from streaks import store as streaks_store
from streaks.rules import Frequency, last_expired
from users.rules import UserChanges, local_date, local_dates
from webhooks import store as webhooks_store
from webhooks.models import MessageType

CHUNK: Final = 500


def end_expired_streaks(now: datetime) -> int:
    """End every streak whose last day to be extended has passed where its user is; return how many.

    Each is ended by the pipeline, under the user's lock, as the user's next event would end it.
    """
    ended = 0
    while external_ids := _expired(now):
        process([IdentifyInput(UserChanges(each), must_exist=True) for each in external_ids], clock=lambda: now)
        ended += len(external_ids)
        if len(external_ids) < CHUNK:
            break
    return ended


def _expired(now: datetime) -> list[str]:
    """Return the external ids of some users whose streak has expired; all of them, where they are fewer than CHUNK."""
    today_of_zone = [(None, local_date(now, None)), *local_dates(now).items()]
    zones = [
        {"tz": tz, "frequency": frequency, "period": last_expired(today, frequency)}
        for tz, today in today_of_zone
        for frequency in Frequency
    ]
    latest_day = (now.astimezone(UTC) + FIRST_ZONE).date()
    latest = [{"frequency": frequency, "period": last_expired(latest_day, frequency)} for frequency in Frequency]
    with connection.cursor() as cursor:
        cursor.execute(streaks_store.EXPIRED, [encode_text(zones), encode_text(latest), CHUNK])
        return [external_id for (external_id,) in cursor.fetchall()]


@transaction.atomic
def mark_boosts(now: datetime) -> tuple[list[str], list[str]]:
    """Mark each boost that has begun, and each that is over, exactly once; return their ids.

    The marks are conditional updates: of several workers only one gets a boost, and a crash leaves it to the next.
    """
    at = now.astimezone(UTC)
    days = encode_text([{"tz": tz, "day": day} for tz, day in local_dates(now).items()])
    first, last = (at + FIRST_ZONE).date(), (at - LAST_ZONE).date()
    parameters: dict[str, Any] = {"now": now, "days": days, "utc": at.date(), "first": first, "last": last}
    with connection.cursor() as cursor:
        started = _mark(cursor, boosts_store.MARK_STARTED, parameters)
        ended = _mark(cursor, boosts_store.MARK_ENDED, parameters)
        _tell(cursor, MessageType.BOOST_STARTED, BoostPhase.ACTIVE, started, now)
        _tell(cursor, MessageType.BOOST_FINISHED, BoostPhase.FINISHED, ended, now)
    return started, ended


def _mark(cursor: CursorWrapper, sql: str, parameters: dict[str, Any]) -> list[str]:
    cursor.execute(sql, parameters)
    return [str(id_) for (id_,) in cursor.fetchall()]


def _tell(cursor: CursorWrapper, type_: MessageType, phase: BoostPhase, ids: list[str], now: datetime) -> None:
    """Put what became of these boosts in the outbox, if some endpoint wants to know."""
    if ids and type_ in current_rule_book().wanted_messages:
        boosts = Boost.objects.filter(id__in=ids).select_related("system")
        rows = [boost_message(type_, boost, phase, now) for boost in boosts]
        cursor.execute(webhooks_store.INSERT_MESSAGES, [encode_text(rows)])
