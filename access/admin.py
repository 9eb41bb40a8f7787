"""Keys in the admin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.text import Truncator
from rest_framework_api_key.crypto import KeyGenerator
from unfold.decorators import display

from access.keys import application_generator, generator
from access.models import ApiKey, ApplicationKey, KeyUse
from access.services import revoke_keys
from core.admin import ConfigurationAdmin, LiveFilter, ask_first, dialog, row_action
from core.admin_base import InfinitePaginator
from core.models import ConfigurationStatus
from core.once_admin import SHOWN_BEFORE

FINAL: Final = "Calls with a revoked key are refused from the next one on. That is final: it cannot be brought back."


class KeyForm(forms.ModelForm):  # type: ignore[type-arg] # Django's forms take no parameter at run time
    """Makes the key when it is added."""

    generator: ClassVar[KeyGenerator] = generator

    def clean(self) -> dict[str, Any]:
        """Make the key, whose text lives on the instance until it was shown."""
        if self.instance._state.adding:
            self.instance.text, self.instance.prefix, self.instance.hashed_key = self.generator.generate()
        return super().clean() or {}


class RevokedFilter(LiveFilter):
    """Hides what is revoked, unless it is asked for. Asks for one status, which an index with the order serves."""

    title = "revoked"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return what was asked for."""
        if self.value() == "with":
            return queryset
        revoked = self.value() == "only"
        return queryset.filter(status=ConfigurationStatus.ARCHIVED if revoked else ConfigurationStatus.ACTIVE)


class KeyAdmin(ConfigurationAdmin):
    """Keys of either kind: shown once, then only how they begin, and when they were last used."""

    list_filter = (RevokedFilter,)
    actions = ("revoke_selected",)
    actions_row = ("revoke_one",)
    actions_detail = actions_row
    archived_label = "Revoked"
    archived_hint = "Calls with this key are refused, for good."
    offered_in = {"revoke_one": (ConfigurationStatus.ACTIVE,)}
    readonly_fields = ("shown_prefix", "shown_status", "created", "shown_last_used")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[str]:
        """Show of a key that was made all that is known of it."""
        asked = tuple(self.form.base_fields)
        return (*asked, *self.readonly_fields) if obj else asked

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Bring along when each was last used."""
        last_used = KeyUse.objects.filter(key_id=OuterRef("id")).values("last_used")
        keys: QuerySet[Any] = super().get_queryset(request).annotate(last_used=Subquery(last_used))
        return keys

    @admin.display(description="Begins with", ordering="prefix")
    def shown_prefix(self, key: ApiKey | ApplicationKey) -> str:
        """Show how the key begins."""
        return f"{key.prefix}…"

    @display(description="Status", label={"Active": "success", "Revoked": "danger"}, ordering="status")
    def shown_status(self, row: ApiKey | ApplicationKey) -> str:
        """Show whether the key is valid."""
        return "Active" if row.status == ConfigurationStatus.ACTIVE else "Revoked"

    @admin.display(description="Last used")
    def shown_last_used(self, key: Any) -> datetime | str:
        """Show when the key was last used, to about a minute."""
        return key.last_used or "never"

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new key, this once."""
        if not obj.text:
            messages.warning(request, SHOWN_BEFORE.format(obj))
            return self.response_post_save_add(request, obj)  # type: ignore[no-any-return]
        text = format_html(
            "Your new {}, shown only this once: <code id='new-api-key' class='break-words select-all'>{}</code>",
            self.opts.verbose_name,
            obj.text,
        )
        messages.warning(request, text)
        response: HttpResponse = self.response_post_save_add(request, obj)
        return response

    @admin.action(description="Revoke", permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Revoke the keys for good, once the operator has been told that it is."""
        keys = [key for key in queryset if self.is_offered("revoke_one", key)]
        asked = ("Revoke these keys?", FINAL, "Revoke", keys, lambda: [""] * len(keys))
        page = ask_first(request, self, *asked) if keys else None
        if page is None:
            self._revoke(request, queryset.filter(id__in=[key.id for key in keys]))
        return page

    @row_action("Revoke", "block", dialog("Revoke «{row}»?", FINAL, "Revoke"))
    def revoke_one(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Revoke one key for good."""
        self._revoke(request, rows)

    def _revoke(self, request: HttpRequest, keys: QuerySet[Any]) -> None:
        if count := revoke_keys(keys=keys):
            messages.success(request, f"{count} revoked: calls with them are refused from now on.")
        else:
            messages.warning(request, "Nothing to revoke: none of them is active.")


class ApiKeyForm(KeyForm):
    """Asks for the name, which can change later."""

    class Meta:
        model = ApiKey
        fields = ("name",)


@admin.register(ApiKey)
class ApiKeyAdmin(KeyAdmin):
    """The keys of products' backends."""

    form = ApiKeyForm
    list_display = ("name", "shown_prefix", "shown_status", "created", "shown_last_used")
    search_fields = ("name", "prefix")


class ApplicationKeyForm(KeyForm):
    """Asks for the user."""

    generator = application_generator

    class Meta:
        model = ApplicationKey
        fields = ("external_id",)


@admin.register(ApplicationKey)
class ApplicationKeyAdmin(KeyAdmin):
    """The keys of single users, of which there may be millions."""

    form = ApplicationKeyForm
    empty_hint = "An application key lets an app on a user's own device do that user's operations, and no others."
    list_display = ("shown_user", "shown_prefix", "shown_status", "shown_created", "shown_last_used")
    search_fields = ("external_id", "prefix")
    search_help_text = "Search by the beginning of the user's ID or of the key"
    # Ids are in time order: the newest first. Counting all of them, to select them too, takes too long.
    ordering = ("-id",)
    paginator: Any = InfinitePaginator
    show_full_result_count = False
    list_disable_select_all = True

    @display(description="User ID", ordering="external_id")
    def shown_user(self, key: ApplicationKey) -> str:
        """Show as much of the ID as leaves room for the rest; all of it is there to point at."""
        return format_html("<span title='{}'>{}</span>", key.external_id, Truncator(key.external_id).chars(48))

    @admin.display(description="Created", ordering="id")
    def shown_created(self, key: ApplicationKey) -> datetime:
        """Show when the key was made, which is the order of the ids."""
        return key.created

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ApplicationKey], search_term: str
    ) -> tuple[QuerySet[ApplicationKey], bool]:
        """Find by how the user's id or the key begins, which their indexes serve."""
        if not search_term:
            return queryset, False
        return queryset.filter(Q(external_id__startswith=search_term) | Q(prefix__startswith=search_term)), False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse for one key: there is nothing to change but to revoke it."""
        return super().has_change_permission(request, obj) and not isinstance(obj, ApplicationKey)
