"""What the clock starts. Each task may run beside itself, and finds by itself what is to be done."""

from datetime import timedelta
from typing import Final

from celery import shared_task
from django.utils import timezone

from engine import backdate, clock, emptying, level_notices, queue, tick

TASK_S_MAX: Final = 8
"""How long a task works before the worker does what else is waiting; the next one goes on where it stopped."""

SETTLING: Final = timedelta(seconds=5)
"""How old a due instant or an activation is before it is worked on: what was on its way then is stored by now."""


@shared_task
def pay_time_triggers() -> None:
    """Pay the time triggers that are due."""
    tick.pay_due_ticks(timezone.now() - SETTLING, seconds_max=TASK_S_MAX)


@shared_task
def end_streaks() -> None:
    """End the streaks that expired."""
    clock.end_expired_streaks(timezone.now(), seconds_max=TASK_S_MAX)


@shared_task
def mark_boosts() -> None:
    """Make the starts and the ends of boosts known."""
    clock.mark_boosts(timezone.now())


@shared_task
def prune_rejected_events() -> None:
    """Forget the batch events that a rule rejected long ago."""
    queue.prune_rejected(timezone.now())


@shared_task
def look_back() -> None:
    """Give achievements that were activated, or ask for something else now, to who qualifies already."""
    backdate.look_back(created_before=timezone.now() - SETTLING, seconds_max=TASK_S_MAX)


@shared_task
def tell_levels() -> None:
    """Tell the users whose level an edit changed, where that was asked for."""
    level_notices.tell_levels(created_before=timezone.now() - SETTLING, seconds_max=TASK_S_MAX)


@shared_task
def empty_attributes() -> None:
    """Remove what is stored under the keys of attributes that begin empty."""
    emptying.empty_attributes(created_before=timezone.now() - SETTLING, seconds_max=TASK_S_MAX)
