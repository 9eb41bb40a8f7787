"""How events move a metric's totals: pure, exact decimals, no floats."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec import Struct

DECIMAL_PLACES: Final = 9
VALUE_LIMIT: Final = 10**15
NO_FILTER: Final = ""
REPORTED: Final = "event"
OPENING: Final = "opening"
FILTER_LENGTH_MAX: Final = 500

# Sums are exact: 60 digits hold every total that a column of 38 can, and a rounding would raise instead of passing.
EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
_ROUNDING: Final = Context(prec=60)
_QUANTUM: Final = Decimal(1).scaleb(-DECIMAL_PLACES)


@dataclass(frozen=True, slots=True)
class MetricRule:
    """An active metric as the rule book knows it."""

    id: str
    key: str
    name: str


class Total(Struct, frozen=True, gc=False):
    """A user's sum over the matching events, its highest value ever (from 0), and when the newest of them happened."""

    total: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)
    at: datetime | None = None


class KeyedEvent(Struct, frozen=True, gc=False):
    """An event that was stored under an idempotency key.

    `attributes` can lack some that were sent, because their definitions were removed since; `fingerprint` is of all of
    them, and None for an event that was stored before fingerprints were kept.
    """

    id: str
    value: Decimal
    attributes: Mapping[str, str]
    fingerprint: int | None


def former_key(key: str) -> str | None:
    """Return the text that the key was stored as when headers were read as Latin-1; None if that is the same."""
    return None if key.isascii() else key.encode().decode("latin-1")


def fingerprint_of(attributes: Mapping[str, str]) -> int:
    """Return the fingerprint of an event's attributes: 64 bits, signed, the same in every process and for ever."""
    digest = blake2b(canonical_filter(attributes).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def differences(stored: KeyedEvent, value: Decimal, attributes: Mapping[str, str]) -> list[str]:
    """Return, in words, how an event with the key of a stored one differs from it: nothing if it is sent again.

    An event that was stored before fingerprints were kept differs from none.
    """
    if stored.fingerprint is None:
        return []
    found = []
    if value != stored.value:
        found.append(f"its value was {_plain(stored.value)}, not {_plain(value)}")
    if fingerprint_of(attributes) != stored.fingerprint:
        keys = sorted(attributes.keys() | stored.attributes.keys())
        named = ", ".join(key for key in keys if attributes.get(key) != stored.attributes.get(key))
        found.append(f"it had other event attributes ({named})" if named else "it had other event attributes")
    return found


def _plain(value: Decimal) -> str:
    """Return the number as people write it: 5 and 0.1, not 5.000000000."""
    return f"{value.normalize(EXACT):f}"


def quantize(value: Decimal) -> Decimal:
    """Return `value` at the 9 decimal places that are kept, rounded half to even. |value| must be below 10^15."""
    return value.quantize(_QUANTUM, context=_ROUNDING)


def add_value(total: Total, value: Decimal, at: datetime) -> Total:
    """Return `total` after one more event."""
    sum_ = EXACT.add(total.total, value)
    return Total(total=sum_, peak=max(total.peak, sum_), at=at)


def next_instant(at: datetime, last: Total | None) -> datetime:
    """Return when an event counts as having happened: `at`, but always after the event before it.

    A microsecond later than the last one where clocks disagree, so that the events of a user and metric have one order.
    """
    if last is None or last.at is None or at > last.at:
        return at
    return last.at + timedelta(microseconds=1)


def canonical_filter(attributes: Mapping[str, str]) -> str:
    """Return the one text that stands for this event-attribute filter: JSON with sorted keys, '' where it is empty."""
    if not attributes:
        return NO_FILTER
    return json.dumps(dict(sorted(attributes.items())), ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=10_000)
def filter_items(canonical: str) -> tuple[tuple[str, str], ...]:
    """Return the (key, value) pairs of a canonical filter."""
    return tuple(json.loads(canonical).items()) if canonical else ()


def matching_filters(filters: Iterable[str], attributes: Mapping[str, str]) -> list[str]:
    """Return those canonical filters whose every pair the event's attributes have; '' always is one."""
    return [each for each in filters if all(attributes.get(key) == value for key, value in filter_items(each))]
