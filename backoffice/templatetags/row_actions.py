"""Which of the actions on one row a list offers."""

from typing import Any

from django import template
from django.db.models import Model

register = template.Library()


@register.simple_tag
def offered_actions(actions: list[dict[str, Any]] | None, changes: Any, row: Model) -> list[dict[str, Any]]:
    """Return those of unfold's row actions that make sense for the row as it is now, if its admin knows.

    The list of a tab brings its own actions along: unfold gives the page's lists none.
    """
    # Not by the class: libraries of tags are loaded while unfold's own classes are still being made.
    is_offered = getattr(changes.model_admin, "is_offered", lambda *_: True)
    offered = actions or getattr(changes, "actions_row", [])
    return [action for action in offered if is_offered(action["raw_path"].rsplit(":")[-1], row)]
