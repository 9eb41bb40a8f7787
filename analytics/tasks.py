"""What the clock starts. Each task may run beside itself, and finds by itself what is to be done."""

from celery import shared_task

from analytics import rollup, services


@shared_task
def fold_deltas() -> None:
    """Add the changes that wait to the kept counters."""
    services.fold_deltas()


@shared_task
def roll_up() -> None:
    """Count what was awarded and reported since the last time."""
    rollup.roll_up()
