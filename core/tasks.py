"""Housekeeping by the clock."""

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from core.once import forget_submissions


@shared_task
def clear_expired_sessions() -> None:
    """Delete the operators' sessions that have expired."""
    call_command("clearsessions")


@shared_task
def forget_old_submissions() -> None:
    """Forget the secrets that forms showed some minutes ago, and forms that were sent long ago."""
    forget_submissions(timezone.now())
