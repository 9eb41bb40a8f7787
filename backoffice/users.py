"""The product's users in the admin: the list, a user's page, their awards explained, and adjusting their points."""

from functools import partial
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from unfold.decorators import display
from unfold.views import ChangeList

from backoffice.adjusting import (
    EFFECT_CHANGED,
    MAY_ADJUST,
    AdjustForm,
    EffectChangedError,
    ReverseForm,
    check_shown,
    given_values,
    preview_of,
    reversal_reason,
    said_of,
    token_of,
)
from backoffice.award_facts import award_facts, find_award
from backoffice.award_words import context_of
from backoffice.exports import LedgerResource, StreamedExportMixin
from backoffice.ledger import LedgerFilterForm, award_address, filter_of, ledger_page, lines_of, systems_of
from backoffice.user_cards import attribute_lines, medals, metric_table, profile_lines, streak_card, system_cards
from backoffice.user_search import FOUND_MAX, find_users
from core.admin_base import InfinitePaginator, ModelAdmin
from core.csv import csv_response
from core.refusal import Refusal
from engine.adjustments import Adjusted, adjust_points, reversal_problem
from points.models import AwardCause, PointsAdjustment, PointsAward, PointsSystem
from users.models import EndUser

PAGES_MAX: Final = 100
"""How many pages of the list there are: the newest users. Others are searched for, which stays quick."""


class FirstPages(ChangeList):
    """The first pages of a list that is too long to skip through."""

    def get_results(self, request: HttpRequest) -> None:
        """Refuse what lies further back, as what does not exist."""
        if self.page_num > PAGES_MAX:
            raise IncorrectLookupParameters
        super().get_results(request)


class EndUserAdmin(StreamedExportMixin, ModelAdmin):
    """The product's users. The product changes them, through the API; operators look, and adjust points."""

    empty_hint = "Users appear here when the product first reports an event of theirs, or when they are imported."
    list_display = ("shown_id", "name", "email", "tz", "created")
    # Sorting a million users takes longer than finding one.
    sortable_by = ()
    search_fields = ("external_id", "email", "name")
    search_help_text = f"By the beginning of the ID, email or name: the first {FOUND_MAX} of each are found"
    # Ids are in time order: the newest users first, without an index of its own on when they were created.
    ordering = ("-id",)
    list_per_page = 25
    # Counting a million users takes longer than showing a page.
    paginator: Any = InfinitePaginator
    show_full_result_count = False
    change_form_outer_before_template = "backoffice/user.html"

    class Media:
        css = {"all": ("backoffice/user.css",)}

    @display(description="ID")
    def shown_id(self, user: EndUser) -> str:
        """Show as much of the ID as leaves room for the rest; all of it is there to point at."""
        return format_html("<span title='{}'>{}</span>", user.external_id, Truncator(user.external_id).chars(48))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return FirstPages

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[EndUser], search_term: str
    ) -> tuple[QuerySet[EndUser], bool]:
        """Find by the beginning of the ID, email or name; all of them where they are to be exported."""
        if not search_term:
            return queryset, False
        is_export = request.path == reverse("admin:users_enduser_export")
        return find_users(queryset, search_term, all_=is_export), False

    # --- A user's page -----------------------------------------------------------------------------------------------
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show who the user is, what they hold and did, and a page of the ledger."""
        user = self.get_object(request, object_id)
        context = {} if user is None else self._page_of(request, user)
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def _page_of(self, request: HttpRequest, user: EndUser) -> dict[str, Any]:
        systems = systems_of(user)
        form = LedgerFilterForm(systems, request.GET)
        asked, now = filter_of(form), timezone.now()
        streak = streak_card(user, now)
        done, waiting = medals(user, streak["length"])
        return {
            "title": user.name or user.external_id,
            "subtitle": None,
            "end_user": user,
            "profile": profile_lines(user, now),
            "attributes": attribute_lines(user),
            "system_cards": system_cards(user, systems, chosen=asked.system.id if asked.system else None),
            "streak": streak,
            "medals": done,
            "open_medals": waiting,
            "metric_table": metric_table(user),
            "ledger_form": form,
            "ledger": ledger_page(user, asked),
            "may_adjust": request.user.has_perm(MAY_ADJUST),
        }

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Show no fields of a user: the page says them in words."""
        return () if obj else super().get_fieldsets(request, obj)

    # --- Pages below it ----------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the explanations of awards, the ledger as a file, and adjusting."""
        view = self.admin_site.admin_view
        award = "<uuid:object_id>/awards/<uuid:award_id>/"
        return [
            path("<uuid:object_id>/ledger/", view(self._ledger), name="users_enduser_ledger"),
            path(award, view(self._award), name="users_enduser_award"),
            path("<uuid:object_id>/adjust/", view(self._adjust), name="users_enduser_adjust"),
            path(f"{award}reverse/", view(self._reverse), name="users_enduser_reverse"),
            *super().get_urls(),
        ]

    def _ledger(self, request: HttpRequest, object_id: Any) -> HttpResponseBase:
        """Answer with the lines that the filter in the address lets through, as a file."""
        user = self._find(request, object_id)
        form = LedgerFilterForm(systems_of(user), request.GET)
        if not form.is_valid():
            return HttpResponseRedirect(f"{_page_address(user)}?{request.GET.urlencode()}#ledger")
        lines = lines_of(user, filter_of(form))
        return csv_response(LedgerResource().stream_rows(lines), f"ledger-{timezone.now():%Y-%m-%d}.csv")

    def _award(self, request: HttpRequest, object_id: Any, award_id: Any) -> HttpResponse:
        """Explain an award."""
        user, award = self._find_award(request, object_id, award_id)
        context = context_of(award_facts(award))
        is_adjustment = award.cause == AwardCause.ADJUSTMENT and request.user.has_perm(MAY_ADJUST)
        problem = reversal_problem(award.adjustment) if is_adjustment else ""
        context |= {"may_reverse": is_adjustment and not problem, "not_reversible": problem}
        return self._page(request, "backoffice/award.html", user, context["page"]["heading"], context)

    def _adjust(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Ask how many points, show what that would do, and do it once that is confirmed."""
        user = self._find(request, object_id, permission=MAY_ADJUST)
        form = AdjustForm(request.POST or None, initial={"system": request.GET.get("system", "")})
        context: dict[str, Any] = {"form": form}
        if request.method == "POST" and form.is_valid():
            system, points, reason = (form.cleaned_data[name] for name in ("system", "points", "reason"))
            try:
                if "confirmed" in request.POST and (made := self._move(request, user, system, form, points, context)):
                    return self._made(request, user, system, made)
                context |= {"preview": preview_of(user, system, points), "answers": given_values(form)}
                context |= {"system": system, "points": f"{points:+,}", "reason": reason}
            except Refusal as refusal:
                form.add_error(None, refusal.message)
        return self._page(request, "backoffice/adjust.html", user, "Adjust points", context)

    def _reverse(self, request: HttpRequest, object_id: Any, award_id: Any) -> HttpResponse:
        """Show what taking an adjustment back would do, and do it once that is confirmed."""
        user, award = self._find_award(request, object_id, award_id, permission=MAY_ADJUST)
        if award.cause != AwardCause.ADJUSTMENT:
            raise Http404
        form = ReverseForm(request.POST or None, initial={"reason": reversal_reason(award)})
        context: dict[str, Any] = {"form": form, "award": award, "problem": reversal_problem(award.adjustment)}
        system, points, reverses = award.system, -award.awarded, award.adjustment
        try:
            if request.method == "POST" and form.is_valid():
                made = self._move(request, user, system, form, points, context, reverses=reverses)
                if made:
                    return self._made(request, user, system, made)
            if not context["problem"]:
                context["preview"] = preview_of(user, system, points)
        except Refusal as refusal:
            context["problem"] = refusal.message
        return self._page(request, "backoffice/reverse.html", user, f"Reverse line {award.seq:,}", context)

    def _move(
        self,
        request: HttpRequest,
        user: EndUser,
        system: PointsSystem,
        form: AdjustForm | ReverseForm,
        points: int,
        context: dict[str, Any],
        reverses: PointsAdjustment | None = None,
    ) -> Adjusted | None:
        """Move the points if that does what the operator was shown; else return None, and let the page say so."""
        try:
            return adjust_points(
                user=user,
                system_key=system.key,
                points=points,
                reason=form.cleaned_data["reason"],
                operator=request.user.get_username(),
                token=token_of(form),
                reverses=reverses,
                check=partial(check_shown, system=system, mark=request.POST.get("shown", "")),
            )
        except EffectChangedError:
            context["changed"] = EFFECT_CHANGED
            return None

    def _made(self, request: HttpRequest, user: EndUser, system: PointsSystem, made: Adjusted) -> HttpResponse:
        """Say what an adjustment did, note it in the user's history, and go to its explanation."""
        if made.again:
            messages.warning(request, said_of(made, system))
        else:
            messages.success(request, said_of(made, system))
            self.log_change(request, user, f"Adjusted {system} by {made.awarded:+,}.")
        return HttpResponseRedirect(award_address(user.id, made.award_id))

    def _page(
        self, request: HttpRequest, template: str, user: EndUser, title: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {"title": title, "end_user": user, "opts": self.opts, "original": user, "media": self.media}
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **shared, **context})

    def _find(self, request: HttpRequest, object_id: Any, permission: str = "") -> EndUser:
        """Return the user. Raises Http404, and PermissionDenied where the operator may not."""
        if not self.has_view_permission(request) or (permission and not request.user.has_perm(permission)):
            raise PermissionDenied
        user: EndUser | None = self.get_object(request, str(object_id))
        if user is None:
            raise Http404
        return user

    def _find_award(
        self, request: HttpRequest, object_id: Any, award_id: Any, permission: str = ""
    ) -> tuple[EndUser, PointsAward]:
        user = self._find(request, object_id, permission)
        award = find_award(user, award_id)
        if award is None:
            raise Http404
        return user, award

    # --- Permissions -------------------------------------------------------------------------------------------------
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: the product makes its users known."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: the product changes its users."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: the ledger names them."""
        return False


def _page_address(user: EndUser) -> str:
    return reverse("admin:users_enduser_change", args=(user.id,))
