"""Which of the actions on one row a list offers."""

from typing import Any

from django import template
from django.db.models import Model

register = template.Library()


@register.simple_tag
def offered_actions(actions: list[dict[str, Any]] | None, admin: Any, row: Model) -> list[dict[str, Any]]:
    """Return those of unfold's row actions that make sense for the row as it is now, if its admin knows."""
    # Not by the class: libraries of tags are loaded while unfold's own classes are still being made.
    is_offered = getattr(admin, "is_offered", lambda *_: True)
    return [action for action in actions or [] if is_offered(action["raw_path"].rsplit(":")[-1], row)]
