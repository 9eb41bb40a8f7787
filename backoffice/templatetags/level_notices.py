"""The notices of edited levels: how far they have come."""

from datetime import timedelta
from typing import Any, Final

from django import template
from django.db.models import Q
from django.utils import timezone

from backoffice.user_cards import moment
from levels.models import LevelNotice
from points.models import PointsSystem

register = template.Library()

SHOWN: Final = timedelta(days=1)
"""How long a finished notice is shown."""


@register.inclusion_tag("levels/notices.html")
def level_notices(system: PointsSystem | None = None) -> dict[str, Any]:
    """Show the notices that are under way or were finished lately, of one points system or of all."""
    since = timezone.now() - SHOWN
    notices = LevelNotice.objects.filter(Q(finished__isnull=True) | Q(finished__gte=since)).select_related("system")
    if system is not None:
        notices = notices.filter(system=system)
    return {"notices": [_words(notice) for notice in notices.order_by("-created", "-id")[:10]]}


def _words(notice: LevelNotice) -> str:
    edit = f"{notice.system}, levels edited at {moment(notice.created)} UTC:"
    told = f"{notice.told:,} {'user' if notice.told == 1 else 'users'} told"
    if notice.finished is None:
        return f"{edit} telling users, {notice.users:,} looked at and {told} so far."
    return f"{edit} {told}, finished at {moment(notice.finished)} UTC."
