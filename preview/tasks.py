"""What the clock starts for backtests."""

from celery import shared_task

from preview.work import work_on_backtests


@shared_task
def work_on() -> None:
    """Play the backtest that has waited longest."""
    work_on_backtests()
