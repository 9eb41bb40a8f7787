"""Levels in the admin."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from core.admin import BadgedAdmin, LiveFilter, with_badge
from levels.models import Level
from points.admin import to_tab


@admin.register(Level)
class LevelAdmin(BadgedAdmin):
    """Names for how many points a user has."""

    empty_hint = "A level is a name for how many points a user has."
    list_display: Sequence[Any] = ("shown_name", "system", "shown_points", "key", "shown_status", "updated")
    list_filter = (LiveFilter, "system")
    list_select_related = ("system",)
    search_fields: Sequence[str] = ("name", "key")
    autocomplete_fields = ("system",)
    ordering: Sequence[str] = ("system__created", "points")
    fieldsets = (
        (None, {"fields": ("system", "name", "key", "points", "description")}),
        BadgedAdmin.badge_fieldset,
    )
    actions_row = ("archive_one",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the key and the points system for ever: products ask for levels by them."""
        return ("system", "key", "shown_badge") if obj else ("shown_badge",)

    @display(description="Level", header=True, ordering="name")
    def shown_name(self, level: Level) -> list[Any]:
        """Show the badge, the name and the description."""
        return with_badge(level, level.name, level.description[:80])

    @display(description="From points", ordering="points")
    def shown_points(self, level: Level) -> str:
        """Show the total from which on users have it."""
        return f"{level.points:,}"

    def response_post_save_add(self, request: HttpRequest, obj: Level) -> HttpResponse:
        """Go back to the points system's levels."""
        return to_tab(obj.system_id, Level)

    def response_post_save_change(self, request: HttpRequest, obj: Level) -> HttpResponse:
        """Go back to the points system's levels."""
        return to_tab(obj.system_id, Level)
