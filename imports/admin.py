"""Imports in the admin: upload a file, see what is wrong with it, confirm it, watch it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget

from core.admin import GuardedAdmin
from core.csv import csv_response
from imports.content import bytes_digest
from imports.examples import MissingError, example_rows, missing_for_example
from imports.files import FILE_BYTES_MAX, FileError
from imports.kinds import KINDS
from imports.models import FILE_NAME_LENGTH_MAX, ImportKind, ImportRun, ImportStatus
from imports.render import STATUS_COLOURS, error_rows, run_card
from imports.services import cancel_import, confirm_import, read_file, retry_import, stage_rows


class CsvInput(UnfoldAdminFileFieldWidget):
    """Asks for a CSV file."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Leave out what unfold adds for conditional fields: Alpine may not set a file input's value."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["attrs"].pop("x-model.fill", None)
        return context


class ImportForm(forms.ModelForm):  # type: ignore[type-arg] # Django's forms take no parameter at run time
    """A file to import, which is read once here so that all that is wrong with it as a file is said at once."""

    file = forms.FileField(
        widget=CsvInput(attrs={"accept": ".csv,.tsv,.txt,text/csv,text/tab-separated-values"}),
        help_text=f"CSV in UTF-8 or UTF-16, with commas, semicolons or tabs, up to {FILE_BYTES_MAX // 1_000_000} MB.",
        error_messages={"empty": "The file is empty: it needs a header line with the names of the columns, and rows."},
    )

    class Meta:
        model = ImportRun
        fields = ("kind", "file", "again")

    def clean(self) -> dict[str, Any]:
        """Read the file. Refuse one that cannot be read, and adjustments that were imported already."""
        data = super().clean() or {}
        kind, file = data.get("kind"), data.get("file")
        if kind != ImportKind.ADJUSTMENTS:
            data["again"] = False  # the field is hidden
        if kind and file:
            try:
                self._read(ImportKind(kind), file)
            except FileError as error:
                self.add_error("file", str(error))
            else:
                if kind == ImportKind.ADJUSTMENTS and not data["again"]:
                    self._check_again(file)
        return data

    def _read(self, kind: ImportKind, file: Any) -> None:
        if file.size > FILE_BYTES_MAX:
            raise FileError(f"The file is too large: at most {FILE_BYTES_MAX // 1_000_000} MB are read. Split it.")
        content = read_file(kind, file.file)
        self.instance.columns, self.instance.digest = content.columns, content.digest
        self.instance.file_name = file.name[-FILE_NAME_LENGTH_MAX:]

    def _check_again(self, file: Any) -> None:
        # Runs of before files were known by what they say have the digest of their bytes.
        digests = (self.instance.digest, bytes_digest(file.file))
        same = ImportRun.objects.filter(kind=ImportKind.ADJUSTMENTS, digest__in=digests, confirmed__isnull=False)
        if earlier := same.first():
            self.add_error(
                "file",
                f"A file that says the same was imported on {earlier.confirmed:%Y-%m-%d} by {earlier.operator}: its "
                "points would move a second time. Tick «Import again» if they should.",
            )


@admin.register(ImportRun)
class ImportRunAdmin(GuardedAdmin):
    """Files that were imported, or wait to be."""

    empty_hint = "Bring users, what they had done before, or points from a CSV file. Every file is checked first."
    form = ImportForm
    fields = ("kind", "file", "again")
    conditional_fields = {"again": f"kind == '{ImportKind.ADJUSTMENTS}'"}
    list_display = ("file_name", "kind", "shown_status", "shown_rows", "shown_errors", "operator", "created")
    list_filter = ("status", "kind")
    list_per_page = 50
    change_form_before_template = "imports/kinds.html"
    change_form_outer_before_template = "imports/run.html"

    @display(description="Status", label={status.label: STATUS_COLOURS[status] for status in ImportStatus})
    def shown_status(self, run: ImportRun) -> str:
        """Show the status as a coloured label."""
        return run.get_status_display()

    @display(description="Rows", ordering="rows")
    def shown_rows(self, run: ImportRun) -> str:
        """Show how many rows there are, and of a pass under way how many are done."""
        return f"{run.rows:,}" if run.finished else f"{run.rows_done:,} of {run.rows:,}"

    @display(description="Not imported", ordering="errors")
    def shown_errors(self, run: ImportRun) -> str:
        """Show how many rows are wrong."""
        return f"{run.errors:,}" if run.errors else ""

    # --- Uploading ---------------------------------------------------------------------------------------------------
    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only the kinds that the operator may import."""
        kwargs["choices"] = [(kind, kind.label) for kind in _kinds_for(request)]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Explain the columns of each kind of file beside the form."""
        kinds = [(kind, KINDS[kind], missing_for_example(kind)) for kind in _kinds_for(request)]
        response: HttpResponse = super().add_view(request, form_url, {**(extra_context or {}), "kinds": kinds})
        return response

    def save_model(self, request: HttpRequest, obj: ImportRun, form: Any, change: bool) -> None:
        """Keep the file's rows with the run: they were read without an error before."""
        obj.operator, obj.created = request.user.get_username(), timezone.now()
        super().save_model(request, obj, form, change)
        stage_rows(run=obj, file=form.cleaned_data["file"].file)

    def response_add(self, request: HttpRequest, obj: ImportRun, post_url_continue: str | None = None) -> HttpResponse:
        """Go to the run's page, where its check is shown."""
        return _to_page(obj)

    # --- Watching and confirming -------------------------------------------------------------------------------------
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show where the import is."""
        run = self.get_object(request, object_id)
        context = {"title": str(run), "subtitle": None, "card": run_card(run)} if run else {}
        may = run is not None and self.has_add_permission(request) and ImportKind(run.kind) in _kinds_for(request)
        given = {**(extra_context or {}), **context, "may_decide": may}
        response: HttpResponse = super().change_view(request, object_id, form_url, given)
        return response

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Show no field of a run: its page says it in words."""
        return () if obj else super().get_fieldsets(request, obj)

    def get_urls(self) -> list[URLPattern]:
        """Add the decisions and the files to download."""
        view = self.admin_site.admin_view
        decisions: dict[str, tuple[Callable[..., None], str]] = {
            "confirm": (lambda run: confirm_import(run=run, now=timezone.now()), "Confirmed."),
            "cancel": (lambda run: cancel_import(run=run, now=timezone.now()), "Cancelled."),
            "retry": (retry_import, "Tried again."),
        }
        mine = [
            path(
                f"<uuid:object_id>/{name}/",
                view(require_POST(partial(self._decide, do=do, done=done))),
                name=f"imports_importrun_{name}",
            )
            for name, (do, done) in decisions.items()
        ]
        mine += [
            path("<uuid:object_id>/errors/", view(self._errors), name="imports_importrun_errors"),
            path("example/<str:kind>/", view(self._example), name="imports_importrun_example"),
        ]
        return [*mine, *super().get_urls()]

    def _decide(
        self, request: HttpRequest, *, object_id: Any, do: Callable[..., None], done: str
    ) -> HttpResponseRedirect:
        """Do what the operator decided about a run, or say why that cannot be."""
        run = self._find(request, object_id)
        if not self.has_add_permission(request) or ImportKind(run.kind) not in _kinds_for(request):
            raise PermissionDenied
        try:
            do(run=run)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            self.log_change(request, run, done)
        return _to_page(run)

    def _errors(self, request: HttpRequest, object_id: Any) -> StreamingHttpResponse:
        """Answer with all errors of a run as a file."""
        run = self._find(request, object_id)
        return csv_response(error_rows(run), f"errors-{run.created:%Y-%m-%d-%H%M}.csv")

    def _example(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """Answer with a file to begin with, or say what there must be first."""
        # Examples name users.
        if not self.has_view_permission(request) or not request.user.has_perm("users.view_enduser"):
            raise PermissionDenied
        if kind not in ImportKind.values:
            raise Http404
        try:
            return csv_response(example_rows(ImportKind(kind)), f"{kind}.csv")
        except MissingError as missing:
            messages.warning(request, f"{missing.text} {missing.link} first.")
            return HttpResponseRedirect(reverse("admin:imports_importrun_changelist"))

    def _find(self, request: HttpRequest, object_id: Any) -> ImportRun:
        if not self.has_view_permission(request):
            raise PermissionDenied
        run: ImportRun | None = self.get_object(request, str(object_id))
        if run is None:
            raise Http404
        return run

    # --- Permissions -------------------------------------------------------------------------------------------------
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse who may change nothing that a file can."""
        return super().has_add_permission(request) and bool(_kinds_for(request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: what was imported stays as it was. Confirming is for who may add imports."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: it says who imported what."""
        return False


def _kinds_for(request: HttpRequest) -> list[ImportKind]:
    """Return the kinds of files that the operator may import, beside being allowed to import."""
    return [kind for kind, about in KINDS.items() if request.user.has_perm(about.permission)]


def _to_page(run: ImportRun) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:imports_importrun_change", args=(run.id,)))
