"""Housekeeping by the clock."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def clear_expired_sessions() -> None:
    """Delete the operators' sessions that have expired."""
    call_command("clearsessions")
