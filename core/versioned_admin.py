"""Forms of the admin that overwrite nothing that others changed while they were open.

A form carries what it showed (see `core.shown`). When it is sent, the row is locked first. If others changed it since,
and the form would change it too, nothing is written: the page names who changed what and when, keeps what the operator
typed, shows the current values of all else, and carries the new version, so saving again is a decision.

A form that is sent without what it showed, as by a script, decides every field that it has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django import forms
from django.contrib.admin.helpers import AdminErrorList
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import localtime

from core.admin_base import ModelAdmin
from core.changes import NOTHING
from core.history import Tracked
from core.middleware import actor_of
from core.shown import SHOWN_FIELD, Shown, changes_anything, disputed, is_same, rebase, shown_by, unseal
from core.versions import changes_since, in_sentences, version_of

CHANGED_MEANWHILE: Final = "Not saved: this was changed while the page was open."
UNREADABLE: Final = (
    "Not saved: it cannot be told any more what this page showed when it was opened. Check the values, and save again."
)

QUESTION: Final = "question"
"""The code of what a form asks instead of being saved. Nothing is wrong with it: it is saved if it is sent again."""


def question(text: str) -> forms.ValidationError:
    """Return what keeps a form from being saved until it is sent again. The page shows it as a question."""
    return forms.ValidationError(text, code=QUESTION)


@dataclass(frozen=True, slots=True)
class NotSaved:
    """Why a form is not saved, whatever is in it.

    `sentences` say what others changed after it was opened, `entered` what the operator entered for the same fields.
    """

    error: str
    sentences: Sequence[str] = ()
    entered: Sequence[tuple[str, str]] = ()


class _RefusedForm:
    """Mixed into a form that is not saved: it is checked as usual, and never valid."""

    not_saved: ClassVar[NotSaved]

    def full_clean(self) -> None:
        """Check the form, and say why it is not saved all the same."""
        super().full_clean()  # type: ignore[misc] # a form's own
        if self.is_bound:  # type: ignore[attr-defined]
            self.add_error(None, question(self.not_saved.error))  # type: ignore[attr-defined]


class VersionedAdmin(ModelAdmin):
    """An admin whose forms notice what changed since they were opened."""

    def _changeform_view(
        self, request: HttpRequest, object_id: str | None, form_url: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        """Compare the version that was shown with the stored one, under the row's lock where the form is sent."""
        context = dict(extra_context or {})
        row = None if object_id is None else self.get_object(request, unquote(object_id))
        if row is not None and self.has_change_permission(request, row):
            if request.method == "POST":
                self.lock_row(row)
            # The version first: if a change comes between the two, it is noticed.
            version = self._version_of(row)
            row = self.get_object(request, unquote(str(object_id)))
            if row is not None and not self.has_change_permission(request, row):
                return self.response_closed(request, row)
            if row is not None:
                context |= self._compare(request, row, version)
        response: HttpResponse = super()._changeform_view(request, object_id, form_url, context)
        return response

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show, around a form that was not saved, the row as it is stored: its name, its badge, its status.

        Checking the form has put into the row in memory what was sent: a badge that is stored nowhere, for example.
        """
        row = context.get("original")
        stored = self.get_object(request, str(row.pk)) if row is not None and request.method == "POST" else None
        if stored is not None:
            context |= {"original": stored, "subtitle": str(stored)}
            context["adminform"].form.instance = stored
        context |= _ask(context["adminform"].form, [each.formset for each in context["inline_admin_formsets"]])
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def response_closed(self, request: HttpRequest, row: Any) -> HttpResponse:
        """Answer a form whose row others have made one that nobody changes, while the form waited for their lock."""
        raise PermissionDenied

    def changes_while_open(self, request: HttpRequest, row: Model) -> list[str]:
        """Return in sentences what was changed of a row with a history since the form that was sent showed it."""
        was = unseal(request.POST.get(SHOWN_FIELD, ""))
        return in_sentences(changes_since(row, was.version)) if was is not None and isinstance(row, Tracked) else []

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form's class; if it is known already why this form is not saved, one that says so."""
        form = super().get_form(request, obj, change=change, **kwargs)
        not_saved = getattr(request, "not_saved", None)
        return form if not_saved is None else type(form)(form.__name__, (_RefusedForm, form), {"not_saved": not_saved})

    def _compare(self, request: HttpRequest, row: Any, version: int) -> dict[str, Any]:
        """Return what the page needs; let a form that was sent change nothing else than the operator did."""
        now = shown_by(*self._unbound(request, row), version)
        context: dict[str, Any] = {"shown_field": SHOWN_FIELD, "shown": now.seal()}
        if request.method == "POST" and (not_saved := self._notice(request, row, now)):
            request.not_saved = not_saved  # type: ignore[attr-defined] # for `get_form`
            context["not_saved"] = not_saved
        return context

    def lock_row(self, row: Any) -> None:
        """Lock a row whose form was sent, after what every edit of it locks first."""
        list(type(row)._base_manager.select_for_update(no_key=True).filter(pk=row.pk).values_list("pk"))

    def _version_of(self, row: Model) -> int:
        if isinstance(row, Tracked):
            return version_of(row)
        newest = LogEntry.objects.filter(**_logged(row)).order_by("-id").values_list("id", flat=True).first()
        return newest or 0

    def _unbound(self, request: HttpRequest, row: Any) -> tuple[Any, list[Any]]:
        form = self.get_form(request, row, change=True)(instance=row)
        formsets = [
            formset(instance=row, prefix=formset.get_default_prefix(), queryset=inline.get_queryset(request))
            for formset, inline in self.get_formsets_with_inlines(request, row)
        ]
        return form, formsets

    def _notice(self, request: HttpRequest, row: Any, now: Shown) -> NotSaved | None:
        """Apply the operator's edits to the row as it is. Return what others changed, if both changed something."""
        if SHOWN_FIELD not in request.POST:
            return None
        was = unseal(request.POST[SHOWN_FIELD])
        if was is None:
            return NotSaved(UNREADABLE)
        if not self._has_changed(row, was, now):
            return None
        sent = request.POST
        request.POST = rebase(sent, was, now)  # type: ignore[assignment] # which can be set
        if not changes_anything(request.POST, request.FILES, now):
            return None
        form, _ = self._unbound(request, row)
        entered = [(_label(form, name), _in_words(form, name, sent.getlist(name))) for name in disputed(sent, was, now)]
        return NotSaved(CHANGED_MEANWHILE, list(self._sentences(row, form, was, now)), entered)

    def _has_changed(self, row: Model, was: Shown, now: Shown) -> bool:
        # Django's log also has entries of changes that changed nothing, and lacks those of commands.
        return was.version != now.version if isinstance(row, Tracked) else was.fields != now.fields

    def _sentences(self, row: Any, form: Any, was: Shown, now: Shown) -> Iterator[str]:
        if isinstance(row, Tracked):
            yield from in_sentences(changes_since(row, was.version))
            return
        for entry in LogEntry.objects.filter(**_logged(row), id__gt=was.version).select_related("user").order_by("id"):
            told = entry.get_change_message()
            yield f"{localtime(entry.action_time):%Y-%m-%d %H:%M} UTC, {actor_of(entry.user).name}: {told}"
        for name, current in now.fields.items():
            if not is_same(before := was.fields.get(name, []), current):
                yield f"{_label(form, name)}: {_change_in_words(form, name, before, current)}."


def _ask(form: Any, formsets: list[Any]) -> dict[str, Any]:
    """Take what a form asks out of its errors. Return both for the page, which tells them apart."""
    found = form.non_field_errors().as_data()
    questions = [each.message for each in found if each.code == QUESTION]
    if questions:
        errors = [each for each in found if each.code != QUESTION]
        del form.errors[NON_FIELD_ERRORS]
        if errors:
            form.add_error(None, errors)
    return {"questions": questions, "errors": AdminErrorList(form, formsets)}


def _logged(row: Model) -> dict[str, Any]:
    return {
        "content_type__app_label": row._meta.app_label,
        "content_type__model": row._meta.model_name,
        "object_id": str(row.pk),
    }


# --- In words ---------------------------------------------------------------------------------------------------------
def _label(form: Any, name: str) -> str:
    return str(form[name].label) if name in form.fields else name.replace("-", " ").capitalize()


def _change_in_words(form: Any, name: str, before: list[str], now: list[str]) -> str:
    if len(before) < 2 and len(now) < 2:
        return f"{_in_words(form, name, before)} → {_in_words(form, name, now)}"
    come, gone = ([each for each in one if each not in other] for one, other in ((now, before), (before, now)))
    changes = [f"with {_in_words(form, name, come)}"] if come else []
    return "now " + ", ".join([*changes, *([f"without {_in_words(form, name, gone)}"] if gone else [])])


def _in_words(form: Any, name: str, values: list[str]) -> str:
    """Return what a browser sent for a field as people read it: the names of what was chosen."""
    field = form.fields.get(name)
    if isinstance(field, forms.BooleanField):
        return "yes" if values else "no"
    given = [value for value in values if value]
    if isinstance(field, forms.ModelChoiceField):
        given = [_name_of(field, value) for value in given]
    elif isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        names = {str(value): str(label) for value, label in choices}
        given = [names.get(value, value) for value in given]
    return ", ".join(given) or NOTHING


def _name_of(field: Any, value: str) -> str:
    try:
        return str(forms.ModelChoiceField.to_python(field, value))
    except forms.ValidationError:
        return value
