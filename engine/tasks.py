"""What the clock starts. Each task may run beside itself, and finds by itself what is to be done."""

from typing import Final

from celery import shared_task
from django.utils import timezone

from engine import backdate, clock, tick

PAYING_S_MAX: Final = 8
"""How long one task pays time triggers before the worker does what else is waiting; the next goes on with it."""


@shared_task
def pay_time_triggers() -> None:
    """Pay the time triggers that are due."""
    tick.pay_due_ticks(timezone.now(), seconds_max=PAYING_S_MAX)


@shared_task
def end_streaks() -> None:
    """End the streaks that expired."""
    clock.end_expired_streaks(timezone.now())


@shared_task
def mark_boosts() -> None:
    """Make the starts and the ends of boosts known."""
    clock.mark_boosts(timezone.now())


@shared_task
def look_back() -> None:
    """Give achievements that were activated to who qualifies already."""
    backdate.look_back()
