"""What operators do with backtests: start one, cancel it."""

from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from points.models import PointsSystem
from preview.drafts import Draft, Parts, differences, encode_draft
from preview.models import KEPT_MAX, OPEN, Backtest, BacktestStatus

DAYS_CHOICES: Final = (7, 30, 90)
"""Over how many days back from now a draft can be tried."""


@transaction.atomic
def start_backtest(*, parts: Parts, draft: Draft, query: str, days: int, operator: str) -> Backtest:
    """Let a worker play the draft over the last days, the day that they began with from its midnight in UTC.

    Raises ValidationError for another number of days than DAYS_CHOICES.
    """
    if days not in DAYS_CHOICES:
        raise ValidationError({"days": f"must be one of {', '.join(map(str, DAYS_CHOICES))}."})
    now = timezone.now()
    backtest = Backtest(
        system=parts.system,
        operator=operator,
        draft=encode_draft(draft),
        query=query,
        changes=differences(parts, draft),
        days=days,
        start=start_of(now, days),
        created=now,
    )
    backtest.save(force_insert=True)
    _forget_old(parts.system)
    return backtest


def start_of(now: datetime, days: int) -> datetime:
    """Return the midnight in UTC with which a stretch of so many days up to now begins."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)


def cancel_backtest(backtest: Backtest) -> bool:
    """End a backtest that has not ended; return whether it had not."""
    unfinished = Backtest.objects.filter(id=backtest.id, status__in=OPEN)
    return bool(unfinished.update(status=BacktestStatus.CANCELLED, finished=timezone.now()))


def _forget_old(system: PointsSystem) -> None:
    """Keep the newest KEPT_MAX, and those that have not ended."""
    ended = Backtest.objects.filter(system=system).exclude(status__in=OPEN).order_by("-id")
    Backtest.objects.filter(id__in=list(ended.values_list("id", flat=True)[KEPT_MAX:])).delete()
