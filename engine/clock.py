"""What the clock does besides time triggers: streaks that nobody extended end, boosts begin and end."""

import logging
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import OperationalError, connection, transaction

from boosts import store as boosts_store
from boosts.models import Boost
from boosts.rules import FIRST_ZONE, LAST_ZONE, BoostPhase
from core.history import CHANGED, record
from core.json import encode_text
from engine.coalescing import LOCK_MS_MAX, is_held
from engine.inputs import IdentifyInput
from engine.messages import boost_message
from engine.pipeline import process
from streaks import store as streaks_store
from streaks.rules import Frequency, last_expired
from users.rules import UserChanges, local_date, local_dates
from webhooks import store as webhooks_store
from webhooks.models import MessageType
from webhooks.store import load_wanted_types

logger = logging.getLogger(__name__)

CHUNK: Final = 500
"""How many users or boosts one transaction takes."""
FOUND_MAX: Final = 20_000
"""How many expired streaks are looked for at once."""


def end_expired_streaks(now: datetime, *, seconds_max: float = math.inf) -> int:
    """End every streak whose last day to be extended has passed where its user is; return how many.

    Each is ended by the pipeline, under the user's lock, as the user's next event would end it. After `seconds_max` it
    leaves the rest to the next call, as it does with the users whom other work holds locked.
    """
    ended, begun_s = 0, time.monotonic()
    while external_ids := _expired(now):
        for start in range(0, len(external_ids), CHUNK):
            if time.monotonic() > begun_s + seconds_max:
                return ended
            chunk = external_ids[start : start + CHUNK]
            ended += _end_streaks(chunk, now)
        if len(external_ids) < FOUND_MAX:
            break
    return ended


def _end_streaks(external_ids: Sequence[str], now: datetime) -> int:
    """End the streaks of these users; return of how many. Those who are held locked are left out.

    In a chunk that one of them is in, that takes a transaction for each user.
    """
    inputs = [IdentifyInput(UserChanges(each), must_exist=True) for each in external_ids]
    try:
        process(inputs, clock=lambda: now, lock_ms_max=LOCK_MS_MAX)
    except OperationalError as error:
        if not is_held(error):
            raise
        if len(external_ids) == 1:
            logger.info("The streak of the user %s ends later: other work holds them locked.", external_ids[0])
            return 0
        return sum(_end_streaks([each], now) for each in external_ids)
    return len(external_ids)


def _expired(now: datetime) -> list[str]:
    """Return the external ids of some users whose streak has expired; all of them, if fewer than FOUND_MAX."""
    today_of_zone = [(None, local_date(now, None)), *local_dates(now).items()]
    zones = [
        {"tz": tz, "frequency": frequency, "period": last_expired(today, frequency)}
        for tz, today in today_of_zone
        for frequency in Frequency
    ]
    latest_day = (now.astimezone(UTC) + FIRST_ZONE).date()
    latest = [{"frequency": frequency, "period": last_expired(latest_day, frequency)} for frequency in Frequency]
    with connection.cursor() as cursor:
        cursor.execute(streaks_store.EXPIRED, [encode_text(zones), encode_text(latest), FOUND_MAX])
        return [external_id for (external_id,) in cursor.fetchall()]


def mark_boosts(now: datetime) -> tuple[list[str], list[str]]:
    """Mark each boost that has begun, and each that is over, exactly once; return their ids.

    The marks are conditional updates: of several workers only one gets a boost, and a crash leaves it to the next.
    """
    at = now.astimezone(UTC)
    days = encode_text([{"tz": tz, "day": day} for tz, day in local_dates(now).items()])
    parameters: dict[str, Any] = {"now": now, "days": days, "utc": at.date(), "count": CHUNK}
    parameters |= {"first": (at + FIRST_ZONE).date(), "last": (at - LAST_ZONE).date()}
    started = _mark_all(boosts_store.MARK_STARTED, parameters, MessageType.BOOST_STARTED, BoostPhase.ACTIVE)
    return started, _mark_all(boosts_store.MARK_ENDED, parameters, MessageType.BOOST_FINISHED, BoostPhase.FINISHED)


def _mark_all(sql: str, parameters: dict[str, Any], type_: MessageType, phase: BoostPhase) -> list[str]:
    marked: list[str] = []
    while chunk := _mark_chunk(sql, parameters, type_, phase):
        marked += chunk
    return marked


@transaction.atomic
def _mark_chunk(sql: str, parameters: dict[str, Any], type_: MessageType, phase: BoostPhase) -> list[str]:
    """Mark some boosts, and put those that ever began in the outbox if some endpoint wants to know."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        marked = cursor.fetchall()
        record(Boost, [id_ for id_, _ in marked], CHANGED)
        began = [id_ for id_, has_begun in marked if has_begun]
        if began and type_ in load_wanted_types():
            boosts = Boost.objects.filter(id__in=began).select_related("system")
            messages = [boost_message(type_, boost, phase, parameters["now"]) for boost in boosts]
            rows = [{**message, "place": place} for place, message in enumerate(messages)]
            cursor.execute(webhooks_store.INSERT_USERLESS_MESSAGES, [encode_text(rows)])
    return [str(id_) for id_, _ in marked]
