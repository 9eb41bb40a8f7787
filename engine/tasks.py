"""What the clock starts. Each task may run beside itself, and finds by itself what is to be done."""

from celery import shared_task
from django.utils import timezone

from engine import backdate, clock


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
