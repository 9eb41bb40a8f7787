"""What the pipeline made of an input: the API's answers (and later the webhooks) are rendered from this alone."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct, field

from achievements.rules import Completion
from core.refusal import RefusalReason
from core.warnings import FieldWarning
from levels.rules import LevelChange
from metrics.rules import REPORTED, MetricRule
from points.rules import Award
from streaks.rules import Streak
from users.rules import User


class EventRecord(Struct, frozen=True, gc=False):
    """An event as it is stored, and the user's total after it."""

    id: str
    metric: MetricRule
    value: Decimal
    at: datetime
    total: Decimal
    attributes: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    fingerprint: int | None = None
    kind: str = REPORTED


class AwardRecord(Struct, frozen=True, gc=False):
    """A line of the ledger as it is stored."""

    id: str
    award: Award
    event_id: str | None
    at: datetime


class Accepted(Struct, frozen=True, gc=False):
    """The input took effect; `event` is None where there was none.

    `extended` is whether it extended the streak, `lost_streak` how long one was that ended with it; `completions` are
    the achievements that it completed, in their order, and `quiet` if nobody should be told of them; `levels` are the
    changes by system id; `warnings` name fields of the user that cannot be stored and stayed as they were.
    """

    user: User
    at: datetime
    streak: Streak
    event: EventRecord | None = None
    awards: tuple[AwardRecord, ...] = ()
    extended: bool = False
    lost_streak: int = 0
    completions: tuple[Completion, ...] = ()
    quiet: bool = False
    levels: Mapping[str, LevelChange] = field(default_factory=dict)
    warnings: tuple[FieldWarning, ...] = ()


class Replayed(Struct, frozen=True, gc=False):
    """The event's idempotency key was used before: nothing changed."""

    event_id: str
    metric: MetricRule
    total: Decimal
    streak: Streak
    idempotency_key: str


class CompletedBefore(Struct, frozen=True, gc=False):
    """The achievement was completed by an earlier input: nothing changed."""

    completion: Completion


class Rejected(Struct, frozen=True, gc=False):
    """The rules refused the input: nothing changed. `message` is one sentence for whoever sent it."""

    reason: RefusalReason
    message: str


Outcome = Accepted | Replayed | CompletedBefore | Rejected
