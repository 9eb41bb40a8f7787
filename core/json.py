"""JSON as the wire wants it: numbers exact, times in ISO 8601 with a Z."""

import re
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

import msgspec

# Of any number that a column holds; the default context would round to 28 digits.
_EXACT = Context(prec=60)
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(value: Any) -> bytes:
    """Return `value` as JSON. Decimals become numbers, written out exactly."""
    return _encoder.encode(value)


def plain_number(number: Decimal) -> int | Decimal:
    """Return `number` without trailing zeros, whole numbers as integers: 5, not 5.000000000."""
    whole = int(number)
    return whole if whole == number else number.normalize(_EXACT)


def iso_instant(instant: datetime) -> str:
    """Return `instant` in UTC as `2026-01-31T09:00:00.123Z`: milliseconds, as the contract's examples have them."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_day(text: str) -> date | None:
    """Return the day of `2026-01-31`, None for anything else.

    Not the other forms of ISO 8601, which read as another date to many: weeks, ordinal days.
    """
    try:
        return date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
    except ValueError:
        return None


def encode_text(value: Any) -> str:
    """Return `value` as JSON text, for a parameter of SQL."""
    return _encoder.encode(value).decode()
