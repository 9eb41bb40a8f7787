"""What is said of a delivery, in the same words wherever one is shown: what becomes of it, and when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, models
from django.db.models import Prefetch, Q, QuerySet

from core.json import encode_text
from webhooks.models import PENDING, Delivery, DeliveryAttempt, DeliveryStatus, EndpointStatus
from webhooks.watch import TRIED, clock_time, paused_until

# The first of a user's messages that are on their way to an endpoint, for each of the given ones.
_AHEAD: Final = """
SELECT n.id, first.id
FROM json_to_recordset(%s) AS n(id bigint, endpoint_id uuid, user_id uuid)
CROSS JOIN LATERAL (
    SELECT id FROM webhooks_delivery d
    WHERE d.endpoint_id = n.endpoint_id AND d.user_id = n.user_id AND d.status IN ('ready', 'waiting')
    ORDER BY id LIMIT 1
) AS first
WHERE first.id <> n.id
"""


class Kind(models.TextChoices):
    """What becomes of a delivery. It says more than the stored status, which is only for workers."""

    DUE = "due", "Due now"
    SENDING = "sending", "Being sent"
    PAUSED = "paused", "Paused"
    FAILING = "failing", "Failing"
    WAITING = "waiting", "Waiting"
    ON_HOLD = "on_hold", "On hold"
    DELIVERED = "delivered", "Delivered"
    GIVEN_UP = "given_up", "Given up"


@dataclass(frozen=True, slots=True)
class State:
    """What becomes of a delivery, and details of that, such as "tried 3 times, next 17:42 UTC"."""

    kind: Kind
    details: str = ""

    @property
    def words(self) -> str:
        """All of it, as it goes on after "it is"."""
        return ", ".join(filter(None, (self.kind.label.lower(), self.details)))


def with_tries(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Bring along what `state_of` looks at."""
    tries = DeliveryAttempt.objects.defer("answer").order_by("id")
    return deliveries.select_related("endpoint__health").prefetch_related(Prefetch("tries", tries))


def state_of(delivery: Delivery, now: datetime) -> State:
    """Say what becomes of a delivery that came `with_tries`."""
    numbers = [each.number for each in delivery.tries.all()]
    if delivery.status == DeliveryStatus.DELIVERED:
        return State(Kind.DELIVERED, _tried(numbers) if len(numbers) > 1 else "")
    if delivery.status == DeliveryStatus.FAILED:
        return State(Kind.GIVEN_UP, _tried(numbers))
    if delivery.endpoint.status != EndpointStatus.ACTIVE:
        return State(Kind.ON_HOLD, f"its endpoint is {EndpointStatus(delivery.endpoint.status).label.lower()}")
    if delivery.status == DeliveryStatus.WAITING:
        return State(Kind.WAITING)
    return _state_of_ready(delivery, numbers, now)


def _state_of_ready(delivery: Delivery, numbers: Sequence[int], now: datetime) -> State:
    next_at = delivery.next_attempt_at or now
    is_claimed = delivery.attempts > 0 and delivery.attempts not in numbers
    if is_claimed and next_at > now:
        return State(Kind.SENDING, f"{_tried(numbers)} before" if numbers else "")
    until = paused_until(delivery.endpoint, now)
    due = max(next_at, until or next_at)
    if numbers:
        return State(Kind.FAILING, f"{_tried(numbers)}, {f'next {clock_time(due, now)}' if due > now else 'due now'}")
    if until:
        return State(Kind.PAUSED, f"its endpoint asked for that, next {clock_time(due, now)}")
    return State(Kind.DUE)


def _tried(numbers: Sequence[int]) -> str:
    return "tried once" if len(numbers) == 1 else f"tried {len(numbers)} times"


def ahead_of(deliveries: Iterable[Delivery]) -> Mapping[int, Delivery]:
    """Return, by the ids of those that wait, the user's message that has to be settled first, `with_tries`."""
    waiting = [each for each in deliveries if each.status == DeliveryStatus.WAITING]
    if not waiting:
        return {}
    rows = [{"id": each.id, "endpoint_id": each.endpoint_id, "user_id": each.user_id} for each in waiting]
    with connection.cursor() as cursor:
        cursor.execute(_AHEAD, [encode_text(rows)])
        firsts: dict[int, int] = dict(cursor.fetchall())
    found = with_tries(Delivery.objects.filter(id__in=set(firsts.values()))).in_bulk()
    return {id_: found[first] for id_, first in firsts.items() if first in found}


_TO_ACTIVE: Final = Q(endpoint__status=EndpointStatus.ACTIVE)
LISTED: Final[Mapping[str, tuple[str, Q]]] = {
    "new": ("Not tried yet", _TO_ACTIVE & Q(status=DeliveryStatus.READY) & ~Q(TRIED)),
    Kind.FAILING: ("Failing", _TO_ACTIVE & Q(status=DeliveryStatus.READY) & Q(TRIED)),
    Kind.WAITING: ("Waiting for an earlier message", _TO_ACTIVE & Q(status=DeliveryStatus.WAITING)),
    Kind.ON_HOLD: ("On hold", ~_TO_ACTIVE & Q(status__in=PENDING)),
    Kind.DELIVERED: ("Delivered", Q(status=DeliveryStatus.DELIVERED)),
    Kind.GIVEN_UP: ("Given up", Q(status=DeliveryStatus.FAILED)),
}
"""What the log can be filtered by: a name, and the condition of the deliveries of which that is said."""
