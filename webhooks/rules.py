"""When a message is tried again and how it is signed: pure."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec
from standardwebhooks import Webhook

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
RETRY_DELAYS_S: Final = (5, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR)
"""How long to wait after each failed try but the last, as Standard Webhooks recommends."""
TRIES_MAX: Final = len(RETRY_DELAYS_S) + 1
JITTER_MAX: Final = 0.2
FAILING_MAX: Final = timedelta(days=5)
"""How long an endpoint may fail before it is disabled."""
GONE: Final = 410
PAUSE_MAX: Final = timedelta(hours=24)
"""How long an endpoint may ask to be left alone; what asks for more gets this."""


def retry_delay(tries: int, jitter: float) -> timedelta | None:
    """Return how long to wait after `tries` failed ones, None to give up; `jitter` is from 0 to 1.

    Up to a fifth is added, so that an endpoint which comes back is not asked by all at once.
    """
    if not 1 <= tries < TRIES_MAX:
        return None
    return timedelta(seconds=RETRY_DELAYS_S[tries - 1] * (1 + JITTER_MAX * jitter))


def asked_pause(status_code: int, retry_after: str, now: datetime) -> timedelta | None:
    """Return for how long an answer asks that nothing is sent: more than 0 and at most PAUSE_MAX, or None.

    Its `Retry-After` has whole seconds or a date, as HTTP defines it (RFC 9110). What cannot be read, is negative or
    lies in the past asks for no pause; neither does the answer to a message that arrived, or that is not tried again.
    """
    if is_delivered(status_code) or status_code == GONE:
        return None
    text = retry_after.strip()
    try:
        pause = timedelta(seconds=min(int(text), _PAUSE_S_MAX)) if _is_whole(text) else _moment_of(text) - now
    except (ValueError, OverflowError, TypeError):
        return None
    return min(pause, PAUSE_MAX) if pause > timedelta() else None


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _moment_of(http_date: str) -> datetime:
    """Return the moment of a date as HTTP writes it, always in UTC. Raises ValueError, OverflowError or TypeError."""
    moment = parsedate_to_datetime(http_date)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_PAUSE_S_MAX: Final = int(PAUSE_MAX.total_seconds())
AWARDS_MAX: Final = 100
"""How many awards a message about collapsed changes has at most: the newest."""


def merge_changes(told: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of `points.changed` for two changes in a row, as if they were one."""
    earlier, later = told["points"], change["points"]
    merged = {
        **later,
        "added": earlier["added"] + later["added"],
        "awards": [*earlier["awards"], *later["awards"]][-AWARDS_MAX:],
    }
    if "level" in earlier and "level" not in later:
        merged["level"] = earlier["level"]
    return {**change, "points": merged}


_payloads: Final = msgspec.json.Decoder(float_hook=Decimal)


def decode_payload(text: str) -> Any:
    """Return a payload with its numbers as they were written, not through a float."""
    return _payloads.decode(text)


def is_delivered(status_code: int | None) -> bool:
    """Tell whether an answer means that the message arrived. A redirect does not: it is not followed."""
    return status_code is not None and 200 <= status_code < 300


def signed_headers(secrets: Sequence[str], message_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the headers that prove a message: by Standard Webhooks, and as the original signs.

    While a secret is rotated there are two, the newest first: both sign by Standard Webhooks. The original's header has
    room for one signature, the old secret's, until the rotation is finished.
    """
    signatures = [Webhook(each).sign(message_id, at.astimezone(UTC), body) for each in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
        "X-Trophy-Signature": _plain_signature(secrets[-1], body),
    }


def _plain_signature(secret: str, body: str) -> str:
    """Return the base64 HMAC-SHA256 of the body, keyed by the secret's text as it was shown."""
    return base64.b64encode(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()).decode()
