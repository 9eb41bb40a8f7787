"""What the clock starts. Each task may run beside itself, and finds by itself what is to be done."""

from celery import shared_task

from analytics import services


@shared_task
def fold_deltas() -> None:
    """Add the changes that wait to the kept counters."""
    services.fold_deltas()
