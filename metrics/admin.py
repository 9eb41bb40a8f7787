"""Metrics in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.admin import ConfigurationAdmin, LiveFilter
from metrics.models import Metric


@admin.register(Metric)
class MetricAdmin(ConfigurationAdmin):
    """What users do, counted."""

    list_display = ("name", "key", "unit_type", "units", "shown_status", "created")
    list_filter = (LiveFilter, "unit_type")
    search_fields = ("name", "key")
    fields = ("name", "key", "unit_type", "units")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the key for ever: products report events under it."""
        return ("key",) if obj else ()
