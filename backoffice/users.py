"""A user's page: who they are, what they hold and why."""

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from backoffice.exports import StreamedExportMixin
from backoffice.ledger import ledger_page, medals, metric_rows, streak_card, system_cards
from users.models import EndUser


class EndUserAdmin(StreamedExportMixin, ModelAdmin):
    """The product's users. The product changes them, through the API; operators look."""

    list_display = ("shown_id", "name", "email", "tz", "created")
    search_fields = ("external_id",)
    search_help_text = "Search by the beginning of the user's ID"
    # Ids are in time order: the newest users first, without an index of its own on when they were created.
    ordering = ("-id",)
    list_per_page = 50
    # Counting a million users takes longer than showing fifty.
    paginator = InfinitePaginator
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("external_id", "name", "email", "tz", "subscribe_to_emails", "sign_up_date")}),
        ("More", {"fields": ("attributes", "device_tokens", "control", "created", "updated")}),
    )
    change_form_outer_before_template = "backoffice/user.html"

    @display(description="ID", ordering="external_id")
    def shown_id(self, user: EndUser) -> str:
        """Show as much of the ID as leaves room for the rest; all of it is there to point at."""
        return format_html("<span title='{}'>{}</span>", user.external_id, Truncator(user.external_id).chars(48))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[EndUser], search_term: str
    ) -> tuple[QuerySet[EndUser], bool]:
        """Find by the beginning of the id, which its index serves."""
        return (queryset.filter(external_id__startswith=search_term) if search_term else queryset), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what the user holds and did, and a page of the ledger, before the profile."""
        user = self.get_object(request, object_id)
        context = {} if user is None else self._points_of(request, user)
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def _points_of(self, request: HttpRequest, user: EndUser) -> dict[str, Any]:
        cards = system_cards(user, chosen=request.GET.get("system", ""))
        chosen = next((card["system"] for card in cards if card["chosen"]), None)
        return {
            "system_cards": cards,
            "streak": streak_card(user, timezone.now()),
            "medals": medals(user),
            "metric_table": metric_rows(user),
            "ledger": ledger_page(user, chosen, before=request.GET.get("before", "")) if chosen else None,
        }

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: the product makes its users known."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: the product changes its users."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: the ledger names them."""
        return False
