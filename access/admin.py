"""API keys in the admin."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from access.keys import generator
from access.models import ApiKey
from access.services import revoke_api_keys
from core.admin import ConfigurationAdmin


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg] # Django's forms take no parameter at run time
    """Makes the key when it is added; afterwards only its name can change."""

    class Meta:
        model = ApiKey
        fields = ("name",)

    def clean(self) -> dict[str, Any]:
        """Make the key, whose text lives on the instance until it was shown."""
        if self.instance._state.adding:
            self.instance.text, self.instance.prefix, self.instance.hashed_key = generator.generate()
        return super().clean() or {}


@admin.register(ApiKey)
class ApiKeyAdmin(ConfigurationAdmin):
    """API keys: shown once, then only their prefix."""

    form = ApiKeyForm
    list_display = ("name", "shown_prefix", "shown_status", "created")
    search_fields = ("name", "prefix")
    actions = ("revoke_selected",)

    @admin.display(description="Begins with", ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        """Show how the key begins."""
        return f"{key.prefix}…"

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new key, this once."""
        text = format_html(
            "Your new API key, shown only this once: <code id='new-api-key' class='select-all'>{}</code>", obj.text
        )
        messages.warning(request, text)
        response: HttpResponse = self.response_post_save_add(request, obj)
        return response

    @admin.action(description="Revoke", permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke the keys for good."""
        count = revoke_api_keys(keys=queryset)
        messages.success(request, f"{count} revoked: calls with them are refused from now on.")
