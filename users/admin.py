"""Attributes in the admin."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.widgets import UnfoldBooleanSwitchWidget

from core.admin import ConfigurationAdmin, ConfigurationForm, LiveFilter
from users.models import Attribute, AttributeEmptying, AttributeStatus
from users.services import archived_attribute, begin_emptying


class AttributeForm(ConfigurationForm):
    """An attribute. A new one with a key that was archived is asked for by saying that it begins empty."""

    begin_empty = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Only for a key that was archived before. What users or events have under it is removed for ever, in "
        "the background; the attribute can be used when that is done.",
    )

    class Meta:
        model = Attribute
        fields = ("name", "key", "type")

    def clean(self) -> dict[str, Any]:
        """Offer to restore the attribute to which the key belongs."""
        data = super().clean()
        if self.instance._state.adding and data.get("key") and data.get("type"):
            self._check_archived(data)
        return data

    def _check_archived(self, data: dict[str, Any]) -> None:
        archived = archived_attribute(data["type"], data["key"])
        if archived is None:
            return
        if data.get("begin_empty"):
            self.instance.status = AttributeStatus.EMPTYING
            return
        page = reverse("admin:users_attribute_change", args=(archived.id,))
        sentence = (
            "The key belongs to <a href='{}' class='underline'>{}</a>, which was archived: restore that, or tick {}."
        )
        self.add_error("key", format_html(sentence, page, f"«{archived}»", "«Begin empty»"))


@admin.register(Attribute)
class AttributeAdmin(ConfigurationAdmin):
    """Attributes that users and events may carry."""

    list_display = ("name", "key", "type", "shown_status", "created")
    list_filter = (LiveFilter, "type")
    search_fields = ("name", "key")
    form = AttributeForm

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        """Ask of a new one whether it begins empty; show of one that did how far that is."""
        if obj is None:
            return ("name", "key", "type", "begin_empty")
        began_empty = AttributeEmptying.objects.filter(attribute=obj).exists()
        return ("name", "key", "type", *(("shown_emptying",) if began_empty else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the key and type for ever: what was stored under them could not be found otherwise."""
        return ("key", "type", "shown_emptying") if obj else ()

    @admin.display(description="Begins empty")
    def shown_emptying(self, attribute: Attribute) -> str:
        """Say how far the removal of what was stored under the key is."""
        emptying = attribute.emptying
        looked_at = f"{emptying.looked_at:,} users looked at, something removed of {emptying.emptied:,} of them"
        if emptying.finished:
            return f"Done {emptying.finished:%Y-%m-%d %H:%M} UTC: {looked_at}."
        return f"So far {looked_at}. The attribute can be used when that is done."

    def save_model(self, request: HttpRequest, obj: Attribute, form: Any, change: bool) -> None:
        """Have the workers empty a new one whose key was archived."""
        super().save_model(request, obj, form, change)
        if not change and obj.status == AttributeStatus.EMPTYING:
            begin_emptying(obj)
            messages.info(request, f"«{obj}» is being emptied. It can be used when that is done.")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Attribute], search_term: str
    ) -> tuple[QuerySet[Attribute], bool]:
        """Offer nothing that is being emptied where a form asks what to choose from."""
        if request.path == reverse("admin:autocomplete"):
            queryset = queryset.filter(status=AttributeStatus.ACTIVE)
        return super().get_search_results(request, queryset, search_term)
