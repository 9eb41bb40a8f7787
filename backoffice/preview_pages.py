"""The Preview tab of a points system: a draft of its rules, tried on made-up users and on real events."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid5

import msgspec
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from backoffice import preview_panels
from backoffice.analytics_pages import csv_of
from backoffice.charts import Panel
from backoffice.preview_forms import PreviewForm
from core.admin_base import ModelAdmin
from core.models import new_id
from core.once import SUBMISSION_FIELD, digest_of, find_submission, note_submission, token_of
from levels.store import read_levels
from points.models import PointsSystem, PointsTrigger
from preview.drafts import Parts, differences, read_parts, trial_of
from preview.models import Backtest, BacktestStatus
from preview.results import Result
from preview.rules import calculate, project
from preview.services import DAYS_CHOICES, cancel_backtest, start_backtest

MAY_PREVIEW: Final = "points.preview_points"
"""The permission that the tab needs."""
PROJECTED_DAYS: Final = 90


class PreviewAdmin(ModelAdmin):
    """Adds the tab's pages to the admin of points systems; mixed in before the rest."""

    def get_urls(self) -> list[URLPattern]:
        """Add the pages' addresses."""
        wrap, name = self.admin_site.admin_view, "points_pointssystem"
        return [
            path("<uuid:object_id>/preview/", wrap(self.preview_view), name=f"{name}_preview"),
            path("<uuid:object_id>/preview/backtests/", wrap(require_POST(self.start_view)), name=f"{name}_start"),
            path(
                "<uuid:object_id>/preview/backtests/<uuid:backtest_id>/",
                wrap(self.backtest_view),
                name=f"{name}_backtest",
            ),
            path(
                "<uuid:object_id>/preview/backtests/<uuid:backtest_id>/cancel/",
                wrap(require_POST(self.cancel_view)),
                name=f"{name}_cancel",
            ),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Show the draft that the address says and what it pays, or one of the tables as a file."""
        system = self._system_of(request, object_id)
        parts = read_parts(system)
        form = PreviewForm(parts, request.GET)
        figures = _figures_of(parts, form) if form.is_valid() else {}
        panels: list[Panel] = figures.get("panels", [])
        if "csv" in request.GET:
            return csv_of(panels, request.GET["csv"], f"{system.key}-preview-{{}}.csv")
        context = {
            **self._context_of(request, system),
            "form": form,
            "backtests": list(Backtest.objects.filter(system=system)[:10]),
            "days_choices": DAYS_CHOICES,
            "submission_field": SUBMISSION_FIELD,
            "submission": new_id(),
            **figures,
        }
        return TemplateResponse(request, "backoffice/preview.html", context)

    def start_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Start a backtest of the draft that was sent, as the query of its address."""
        system = self._system_of(request, object_id)
        query = request.POST.get("query", "")
        parts = read_parts(system)
        form = PreviewForm(parts, QueryDict(query))
        if not form.is_valid():
            messages.error(request, f"The draft cannot be tried. {' '.join(form.problems())}")
            return HttpResponseRedirect(f"{_address(system, 'preview')}?{query}")
        try:
            backtest_id = _start_once(request, parts, form)
        except ValidationError as error:
            messages.error(request, " ".join(f"{name} {' '.join(its)}" for name, its in error.message_dict.items()))
            return HttpResponseRedirect(f"{_address(system, 'preview')}?{query}")
        return HttpResponseRedirect(_address(system, "backtest", backtest_id))

    def backtest_view(self, request: HttpRequest, object_id: Any, backtest_id: Any) -> HttpResponse:
        """Show how far a backtest is, or what it found, or one of its tables as a file."""
        system = self._system_of(request, object_id)
        backtest = _backtest_of(system, backtest_id)
        context = {**self._context_of(request, system), "backtest": backtest}
        if backtest.status == BacktestStatus.DONE:
            result = msgspec.convert(backtest.result, Result)
            triggers = PointsTrigger.objects.filter(system=system).select_related("metric", "achievement")
            panels = preview_panels.backtest_panels(result, read_levels(system), list(triggers))
            if "csv" in request.GET:
                return csv_of(panels, request.GET["csv"], f"{system.key}-backtest-{{}}.csv")
            context |= {
                "result": result,
                "cards": preview_panels.backtest_cards(result),
                "panels": panels,
                "sample": preview_panels.sample_of(backtest),
            }
        response = TemplateResponse(request, "backoffice/backtest.html", context)
        if "HX-Request" in request.headers and not backtest.is_open:
            # The page asks how far it is: charts are drawn only by a page that is loaded.
            response["HX-Refresh"] = "true"
        return response

    def cancel_view(self, request: HttpRequest, object_id: Any, backtest_id: Any) -> HttpResponse:
        """Cancel a backtest."""
        system = self._system_of(request, object_id)
        backtest = _backtest_of(system, backtest_id)
        if not cancel_backtest(backtest):
            messages.error(request, "It had ended already.")
        return HttpResponseRedirect(_address(system, "backtest", backtest.id))

    def _system_of(self, request: HttpRequest, object_id: Any) -> PointsSystem:
        system = self.get_object(request, str(object_id))
        if not request.user.has_perm(MAY_PREVIEW) or not self.has_view_permission(request, system):
            raise PermissionDenied
        if system is None:
            raise Http404
        return system  # type: ignore[no-any-return]

    def _context_of(self, request: HttpRequest, system: PointsSystem) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": system.name,
            "subtitle": "Preview",
            "system": system,
            "system_options": self.opts,
        }


def _figures_of(parts: Parts, form: PreviewForm) -> dict[str, Any]:
    """Return what the draft pays the calculator's user and the archetypes."""
    draft, now = form.draft(), timezone.now()
    trial = trial_of(parts, draft)
    calculation = calculate(trial, form.doings(), now)
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    projections = [project(trial, each, today, PROJECTED_DAYS) for each in form.archetypes()]
    query = form.query()
    panels: Sequence[Panel] = [
        preview_panels.projected_totals(projections, query),
        preview_panels.level_days(parts, projections, query),
    ]
    return {
        "changes": differences(parts, draft),
        "calculation": calculation,
        "calculation_rows": preview_panels.calculation_rows(parts, calculation),
        "level": preview_panels.reached_level(parts, calculation),
        "panels": panels,
        "query": query,
    }


def _backtest_of(system: PointsSystem, backtest_id: Any) -> Backtest:
    backtest = Backtest.objects.filter(system=system, id=backtest_id).first()
    if backtest is None:
        raise Http404
    return backtest


@transaction.atomic
def _start_once(request: HttpRequest, parts: Parts, form: PreviewForm) -> Any:
    """Start a backtest and return its id; the id of the first one if the same page is sent again."""
    token, digest = token_of(request), digest_of(request)
    if token:
        token = uuid5(token, digest)  # another number of days from the same page is another backtest
    if token and (earlier := find_submission(token)):
        return earlier.object_id
    days = request.POST.get("days", "")
    backtest = start_backtest(
        parts=parts,
        draft=form.draft(),
        query=request.POST.get("query", ""),
        days=int(days) if days.isascii() and days.isdecimal() else 0,
        operator=request.user.get_username(),
    )
    if token:
        note_submission(token, digest, request.user, backtest)
    return backtest.id


def _address(system: PointsSystem, page: str, backtest_id: Any = None) -> str:
    more = () if backtest_id is None else (backtest_id,)
    return reverse(f"admin:points_pointssystem_{page}", args=(system.id, *more))
