"""What the clock starts for imports."""

from datetime import timedelta
from typing import Final

from celery import shared_task
from django.utils import timezone

from imports.models import ImportRun, ImportStatus
from imports.services import cancel_import
from imports.work import work_on_imports

TASK_S_MAX: Final = 8
"""How long a task works before the worker does what else is waiting; the next one goes on where it stopped."""

KEPT: Final = timedelta(days=7)
"""How long a file waits for somebody to confirm it."""


@shared_task
def work_on() -> None:
    """Check and import what waits."""
    work_on_imports(seconds_max=TASK_S_MAX)


@shared_task
def cancel_forgotten() -> None:
    """Cancel what nobody confirmed, so that its rows, which say much of users, are not kept for ever."""
    now = timezone.now()
    for run in ImportRun.objects.filter(status=ImportStatus.CHECKED, created__lt=now - KEPT):
        cancel_import(run=run, now=now)
