"""What the clock does besides time triggers: streaks that nobody extended end, boosts begin and end."""

from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection, transaction

from boosts import store as boosts_store
from boosts.rules import FIRST_ZONE, LAST_ZONE
from core.json import encode_text
from engine.inputs import IdentifyInput
from engine.pipeline import process
from streaks import store as streaks_store
from streaks.rules import Frequency, last_expired
from users.rules import UserChanges, local_date, local_dates

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
        cursor.execute(boosts_store.MARK_STARTED, parameters)
        started = [str(id_) for (id_,) in cursor.fetchall()]
        cursor.execute(boosts_store.MARK_ENDED, parameters)
        return started, [str(id_) for (id_,) in cursor.fetchall()]
