"""Attributes in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.admin import ConfigurationAdmin, LiveFilter
from users.models import Attribute


@admin.register(Attribute)
class AttributeAdmin(ConfigurationAdmin):
    """Attributes that users and events may carry."""

    list_display = ("name", "key", "type", "shown_status", "created")
    list_filter = (LiveFilter, "type")
    search_fields = ("name", "key")
    fields = ("name", "key", "type")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the key and type for ever: what was stored under them could not be found otherwise."""
        return ("key", "type") if obj else ()
