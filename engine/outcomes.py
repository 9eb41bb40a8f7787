"""What the pipeline made of an input: the API's answers (and later the webhooks) are rendered from this alone."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.refusal import RefusalReason
from engine.inputs import EventInput
from metrics.rules import MetricRule
from points.rules import Award
from users.rules import User


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as it is stored."""

    id: str
    metric: MetricRule
    source: EventInput
    at: datetime
    total: Decimal


@dataclass(frozen=True, slots=True)
class AwardRecord:
    """A line of the ledger as it is stored."""

    id: str
    award: Award
    event_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """The input took effect; `event` is None where it only identified a user."""

    user: User
    at: datetime
    event: EventRecord | None
    awards: tuple[AwardRecord, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The event's idempotency key was used before: nothing changed."""

    event_id: str
    metric: MetricRule
    total: Decimal
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rules refused the input: nothing changed. `message` is one sentence for whoever sent it."""

    reason: RefusalReason
    message: str


Outcome = Accepted | Replayed | Rejected
