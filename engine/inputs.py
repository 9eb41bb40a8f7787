"""What the pipeline takes in: plain values, checked for form by the edge that made them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct, field

from points.rules import Adjustment
from users.rules import UserChanges


class EventInput(Struct, frozen=True, gc=False):
    """An event of one user. `value` is a multiple of 10^-9 below 10^15 in size.

    `at` is when it happened; None means once the user's lock is held. `api_key_id` is the key that sent it, checked
    again once the lock is held; None is the server itself.
    """

    user: UserChanges
    metric_key: str
    value: Decimal
    attributes: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    at: datetime | None = None
    api_key_id: str | None = None


class IdentifyInput(Struct, frozen=True, gc=False):
    """A user who is made known, or changed. Where `must_exist`, an unknown one is refused."""

    user: UserChanges
    must_exist: bool = False
    at: datetime | None = None
    api_key_id: str | None = None


class CompleteInput(Struct, frozen=True, gc=False):
    """A user who completed an achievement of type `api`, found by its key, as the product says."""

    user: UserChanges
    achievement_key: str
    at: datetime | None = None
    api_key_id: str | None = None


class BackdateInput(Struct, frozen=True, gc=False):
    """A known user who is looked at for an achievement that was activated: completed quietly if they qualify."""

    user: UserChanges
    achievement_id: str
    at: datetime | None = None
    api_key_id: None = None


class OpeningInput(Struct, frozen=True, gc=False):
    """What a known user had done of a metric before Pointsmith counted: moves its total, once, and fires nothing."""

    user: UserChanges
    metric_key: str
    value: Decimal
    at: datetime | None = None
    api_key_id: None = None


class AdjustInput(Struct, frozen=True, gc=False):
    """Points that an operator gives a known user in a points system, or takes."""

    user: UserChanges
    system_key: str
    adjustment: Adjustment
    at: datetime | None = None
    api_key_id: None = None


class CompletedInput(Struct, frozen=True, gc=False):
    """Achievements that a known user is recorded to have completed together, whatever they ask for now.

    Only previews of the past have it: live, completions come of the other inputs.
    """

    user: UserChanges
    achievement_ids: tuple[str, ...]
    at: datetime | None = None
    api_key_id: None = None


Input = EventInput | IdentifyInput | CompleteInput | BackdateInput | OpeningInput | AdjustInput
