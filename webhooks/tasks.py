"""What the clock starts for webhooks; what is sent, a process of its own sends (see `webhooks.courier`)."""

from typing import Final

from celery import shared_task
from django.utils import timezone

from webhooks import services

TASK_S_MAX: Final = 8
"""How long the task works before the worker does what else is waiting; the next one goes on."""


@shared_task
def prune_log() -> None:
    """Forget the messages that were kept long enough."""
    services.prune_log(timezone.now(), seconds_max=TASK_S_MAX)
