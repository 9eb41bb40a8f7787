"""Adjusting a user's points by hand, and taking that back: an operator's verbs, through the one pipeline."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from core.models import ConfigurationStatus
from core.refusal import Refusal, RefusalReason
from engine.inputs import AdjustInput
from engine.outcomes import Accepted, Outcome, Rejected
from engine.pipeline import Clock, preview, process
from points.models import AdjustmentRequest, PointsAdjustment
from points.rules import Adjustment
from users.models import EndUser
from users.rules import UserChanges


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An adjustment that was made, or would be: `asked` for, `awarded` in the end, and the balance after it.

    `award_id` is its line of the ledger. `again` is whether an earlier sending of the same form had made it.
    """

    award_id: UUID
    asked: int
    awarded: int
    total: int
    again: bool = False

    @property
    def total_before(self) -> int:
        """The balance before it."""
        return self.total - self.awarded


def preview_adjustment(*, user: EndUser, system_key: str, points: int) -> Adjusted:
    """Return what adjusting would do at this moment; nothing is stored. Raises Refusal as adjusting would."""
    given = AdjustInput(UserChanges(user.external_id), system_key, Adjustment(points, "", ""))
    return _adjusted(points, preview([given]).outcomes[0])


@transaction.atomic
def adjust_points(
    *,
    user: EndUser,
    system_key: str,
    points: int,
    reason: str,
    operator: str,
    token: UUID,
    reverses: PointsAdjustment | None = None,
    check: Callable[[Adjusted], None] = lambda _: None,
    clock: Clock = timezone.now,
) -> Adjusted:
    """Give a user points, or take them, once for each `token`; the reason and the operator stand in the ledger.

    `reverses` is the adjustment that this one takes back. Raises Refusal where nothing would move, or where that one
    was reversed before, or reverses another itself; nothing is stored then. `check` is called under the user's lock
    with what is about to be committed, unless the token was used before; if it raises, nothing is stored either.
    """
    # As the pipeline will lock them: what is read next is true until this is committed.
    EndUser.objects.select_for_update(no_key=True).get(id=user.id)
    if made := _made_before(token):
        return made
    if reverses is not None:
        _check_reversible(reverses)
    given = AdjustInput(UserChanges(user.external_id), system_key, Adjustment(points, reason, operator))
    adjusted = _adjusted(points, process([given], clock=clock).outcomes[0])
    check(adjusted)
    AdjustmentRequest.objects.create(
        token=token, adjustment_id=adjusted.award_id, points=points, reverses_id=reverses and reverses.award_id
    )
    return adjusted


def reversal_problem(adjustment: PointsAdjustment) -> str:
    """Return why the adjustment cannot be reversed, in a sentence; '' where it can be."""
    system = adjustment.award.system
    if system.status == ConfigurationStatus.ARCHIVED:
        # Its key may be another system's by now.
        return f"{system} is archived: restore it first."
    asked = AdjustmentRequest.objects.select_related("adjustment__award")
    if asked.filter(adjustment=adjustment, reverses__isnull=False).exists():
        return "It reverses another adjustment itself: adjust the points again instead."
    if by := asked.filter(reverses=adjustment).first():
        award = by.adjustment.award
        return (
            f"It was reversed already, by {by.adjustment.operator} on {award.created:%Y-%m-%d} in line {award.seq:,}."
        )
    return ""


def _check_reversible(adjustment: PointsAdjustment) -> None:
    if problem := reversal_problem(adjustment):
        raise Refusal(RefusalReason.INVALID, problem)


def _made_before(token: UUID) -> Adjusted | None:
    request = AdjustmentRequest.objects.select_related("adjustment__award").filter(token=token).first()
    if request is None:
        return None
    award = request.adjustment.award
    return Adjusted(award.id, request.points, award.awarded, award.total, again=True)


def _adjusted(asked: int, outcome: Outcome) -> Adjusted:
    if isinstance(outcome, Rejected):
        raise Refusal(outcome.reason, outcome.message)
    if not isinstance(outcome, Accepted):
        raise TypeError(outcome)
    (record,) = outcome.awards
    return Adjusted(UUID(record.id), asked, record.award.awarded, record.award.total)
