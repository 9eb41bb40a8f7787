"""The boost calendar inside another page."""

from typing import Any

from django import template
from django.utils import timezone

from backoffice.boost_calendar import calendar_context
from points.models import PointsSystem

register = template.Library()


@register.inclusion_tag("backoffice/boost_calendar_in_tab.html", takes_context=True)
def boost_calendar(context: dict[str, Any], system: PointsSystem) -> dict[str, Any]:
    """Show the month of one points system in its tab of boosts, to who may see them."""
    request = context["request"]
    if not request.user.has_perm("boosts.view_boost"):
        return {}
    return {**calendar_context([system], request.GET, timezone.now()), "query": "", "fragment": "#dataset-boost"}
