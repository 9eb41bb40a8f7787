"""What the admin of every configuration shares: it is archived instead of deleted."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import wraps
from hashlib import sha256
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import ForeignKey, Model, QuerySet, TextField
from django.forms.renderers import BaseRenderer
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminImageFieldWidget, UnfoldAdminTextareaWidget

from core.admin_base import ModelAdmin
from core.changes import history_of_row
from core.history import Tracked
from core.images import BADGE_CONTENT_TYPES, BADGE_STORED_PIXELS_MAX, BadgeField, local_badge_url, thumbnail_url
from core.json import plain_number
from core.models import Badged, Configuration, ConfigurationStatus
from core.once_admin import OnceAdmin
from core.services import archive, restore, sentences_of
from core.shown import inputs_of, is_same
from core.versioned_admin import VersionedAdmin
from core.versions import changes_since, in_sentences, version_of, versions_of

STATUS_COLOURS = {
    "Active": "success",
    "Scheduled": "info",
    "Inactive": "warning",
    "Locked": "warning",
    "Archived": "danger",
    "Being emptied": "info",
}


class LiveFilter(admin.SimpleListFilter):
    """Hides what is archived, unless it is asked for."""

    title = "archived"
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        """Offer to see only what is out of use, or all."""
        return (("only", f"Only {self.title}"), ("with", "Both"))

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Say what is shown where nothing is chosen: Django's own word for that is All."""
        unfiltered, *chosen = super().choices(changelist)
        yield {**unfiltered, "display": f"Not {self.title}"}
        yield from chosen

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return what was asked for; who asks for the status of what is archived is shown it."""
        by_status = (request.GET.get("status__exact"), request.GET.get("status"))
        if self.value() == "with" or ConfigurationStatus.ARCHIVED in by_status:
            return queryset
        if self.value() == "only":
            return queryset.filter(status=ConfigurationStatus.ARCHIVED)
        return queryset.exclude(status=ConfigurationStatus.ARCHIVED)


def dialog(title: str, description: str, submit: str, form_class: Any = None) -> dict[str, Any]:
    """Return what unfold shows before it runs an action on one row; the row's name stands for {row} in the title."""
    return {"title": title, "description": description, "form_submit_text": submit, "form_class": form_class}


RowsAction = Callable[[Any, HttpRequest, QuerySet[Any]], None]
"""A method of an admin that does something to the rows that it is given, and tells the operator what came of it."""


def row_action(
    description: str, icon: str, asks: Mapping[str, Any], *, permission: str = "change"
) -> Callable[[RowsAction], Any]:
    """Make of a method an action on one row, which asks first with a `dialog` and then goes on where the operator was.

    `permission` is what the admin's `has_..._permission` must grant. It answers 404 where there is no such row, as for
    an id that is none. The answer to the dialog holds only for the row as it was when it was asked about.
    """

    def decorate(method: RowsAction) -> Any:
        @wraps(method)
        @transaction.atomic
        def run(admin_: Any, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
            rows = admin_.model._default_manager.filter(pk=object_id)
            if changes := _changes_since_asked(admin_, rows.first(), form):
                messages.warning(request, " ".join((ASKED_BEFORE, *changes)))
            else:
                method(admin_, request, rows)
            return back_to_list(request, admin_.model)

        @wraps(action(run, description=description, icon=icon, permissions=[permission], dialog=asks))
        def view(admin_: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            row = admin_.get_object(request, object_id)
            if row is None:
                raise Http404
            named = {**asks, "title": asks["title"].format(row=row)}
            if isinstance(row, Tracked):
                named["form_class"] = _dialog_form(asks["form_class"], version_of(row))
            answer: HttpResponse = action(run, permissions=[permission], dialog=named)(
                admin_, request, object_id=object_id
            )
            return answer

        return view

    return decorate


ASKED_BEFORE: Final = "Nothing was done: this has changed since you were asked. Look again."


def _dialog_form(form_class: Any, version: int) -> Any:
    """Return the form of a dialog, with the version of the row that it asks about."""

    class DialogForm(form_class or BaseDialogForm):  # type: ignore[misc]
        shown = forms.IntegerField(required=False, initial=version, widget=forms.HiddenInput())

    return DialogForm


def _changes_since_asked(admin_: Any, row: Any, form: forms.Form) -> list[str]:
    """Lock the row, and return in sentences what changed since the dialog; a script may leave out what it was shown."""
    shown = form.cleaned_data.get("shown")
    if not isinstance(row, Tracked) or shown is None:
        return []
    admin_.lock_row(row)
    return in_sentences(changes_since(row, shown)) if version_of(row) != shown else []


def only_for(type_: str) -> str:
    """Return the condition, in the browser, for what belongs to rows of this type. Who may only look sees it always."""
    return f"typeof type === 'undefined' || type == '{type_}'"


class ConfigurationForm(forms.ModelForm):  # type: ignore[type-arg] # Django's forms take no parameter at run time
    """A form that checks constraints over all of a row, and shows decimals as people write them: 2, not 2.0000."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        decimals = {name: value for name, value in self.initial.items() if isinstance(value, Decimal)}
        self.initial.update({name: plain_number(value) for name, value in decimals.items()})
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):  # and decimals, which Django derives from it
                # Which numbers are allowed is for the model to say: Django's field has other limits, or repeats them.
                field.validators = []

    def clean(self) -> dict[str, Any]:
        """Keep what nobody touched exactly as it is stored: a form would trim it, or give it other line ends."""
        self._stored = self._columns()
        data = super().clean() or {}
        if not self.instance._state.adding:
            columns = {field.name: field for field in self.instance._meta.concrete_fields}
            for name in [name for name in data if name in columns and self._is_untouched(name)]:
                data[name] = getattr(self.instance, name)
        return data

    def _is_untouched(self, name: str) -> bool:
        field = self.fields[name]
        if isinstance(field, forms.FileField):
            return False
        shown = field.prepare_value(self.get_initial_for_field(field, name))
        inputs = inputs_of(field.widget, self.add_prefix(name), shown)
        sent: Any = self.data
        return all(is_same(sent.getlist(input_), values) for input_, values, _ in inputs)

    def changed_columns(self) -> list[str]:
        """Return the columns of the row that the valid form changed: what it asks for, and what its checks set."""
        return [name for name, value in self._columns().items() if value != self._stored[name]]

    def _columns(self) -> dict[str, Any]:
        fields = self.instance._meta.concrete_fields
        return {field.attname: self.instance.serializable_value(field.attname) for field in fields}

    def _post_clean(self) -> None:
        """Refuse what the database would, such as a key that is taken.

        Django passes over constraints on fields that are not asked for; keys are unique by the status, which is not.
        What cannot be read is not part of the row, which may then lack it: that is no second error.
        """
        unreadable = {name: errors.copy() for name, errors in self.errors.items()}
        super()._post_clean()  # type: ignore[misc] # Django's own
        self.errors.update(unreadable)
        if not self.errors:
            try:
                self.instance.validate_constraints()
            except ValidationError as error:
                self.add_error(None, error.messages)


class TypedForm(ConfigurationForm):
    """A form of rows of several types. The page hides the fields that belong to other types than the chosen one."""

    fields_of_type: ClassVar[Mapping[str, Sequence[str]]]

    def clean(self) -> dict[str, Any]:
        """Empty the hidden fields, and forget what was wrong with them: nobody could see it."""
        data = super().clean()
        if "type" in data:
            others = (fields for type_, fields in self.fields_of_type.items() if type_ != data["type"])
            for field in {field for fields in others for field in fields}:
                data[field] = None
                self.errors.pop(field, None)
        return data

    def _post_clean(self) -> None:
        """Look at the row only if it has a type: nothing can be said of its fields else."""
        if "type" not in self.errors:
            super()._post_clean()


def without_zeros(contents: str) -> str:
    """Return a decimal that is only shown as people write it."""
    return contents.rstrip("0").rstrip(".") if "." in contents else contents


NOTHING_TO_ARCHIVE: Final = "Nothing to archive: what was chosen is archived already."
NOTHING_TO_RESTORE: Final = "Nothing to restore: only what is archived can be."


class GuardedAdmin(OnceAdmin, VersionedAdmin):
    """An admin that refuses an action to who may not do it, where Django would take it for a look at the list."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Refuse actions that the operator may not do."""
        self._check_actions(request)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Refuse them in a tab too."""
        self._check_actions(request)
        response: HttpResponse | None = super().response_action(request, queryset)
        return response

    def _check_actions(self, request: HttpRequest) -> None:
        asked = set(request.POST.getlist("action")) & {"delete_selected", *map(str, self.actions or ())}
        if asked and not asked <= set(self.get_actions(request)):
            raise PermissionDenied


class HistoryAdmin(GuardedAdmin):
    """The admin of a table whose changes are recorded: a row's history says who changed what, from what to what."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the row's history, by numbers that the address gives page by page."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            missing: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return missing
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        before = number_of(request.GET.get("before", ""))
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row}",
            "opts": self.opts,
            "object": row,
            "original": row,
            "page": history_of_row(row, before=before),
            "is_newest": before is None,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "core/history.html", context)


def number_of(text: str) -> int | None:
    """Return the number that an address gives, None where it is none that a row can have."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class ConfigurationAdmin(HistoryAdmin):
    """The admin of a table of configuration.

    `offered_in` says, by the name of an action on one row, at which statuses it makes sense; others always do.
    `empty_hint` says what the rows are for where there are none. `archived_hint` says, on the page of a row that is
    archived, what that means; such a row can be looked at and restored.
    """

    form: type[forms.ModelForm] = ConfigurationForm  # type: ignore[type-arg] # as above
    list_filter: Sequence[Any] = (LiveFilter,)
    list_per_page = 50
    actions: Sequence[str] = ("archive_selected", "restore_selected")
    actions_row: Sequence[str] = ("archive_one", "restore_one")
    actions_detail: Sequence[Any] = ("archive_one", "restore_one")
    change_form_outer_before_template = "core/archived.html"
    empty_hint = ""
    archived_label = "Archived"
    archived_hint = "It is out of the rules, and cannot be changed unless it is restored. Its past stays."
    offered_in: ClassVar[dict[str, tuple[str, ...]]] = {}
    warn_unsaved_form = True

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save of a stored row only what the form changed: actions and the clock change it at the same time."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        changed = form.changed_columns() if isinstance(form, ConfigurationForm) else form.changed_data
        obj.save(update_fields=[*changed, "updated"])

    @display(description="Status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, row: Any) -> str:
        """Show the status as a coloured label."""
        return str(row.get_status_display())

    @admin.action(description="Archive", permissions=["change"])
    def archive_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Archive what can be; say of each other why not."""
        live = queryset.exclude(status=ConfigurationStatus.ARCHIVED)
        each_or_message(request, live, archive, "archived", NOTHING_TO_ARCHIVE)
        return None

    @admin.action(description="Restore", permissions=["change"])
    def restore_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Bring back what can be; say of each other why not."""
        archived = queryset.filter(status=ConfigurationStatus.ARCHIVED)
        each_or_message(request, archived, restore, "restored", NOTHING_TO_RESTORE)
        return None

    @row_action(
        "Archive",
        "archive",
        dialog("Archive «{row}»?", "It leaves the rules at once; its past stays. It can be restored.", "Archive"),
    )
    def archive_one(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Archive one row."""
        self.archive_selected(request, rows)

    @row_action("Restore", "unarchive", dialog("Restore «{row}»?", "It can be changed and used again.", "Restore"))
    def restore_one(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Bring one row back."""
        self.restore_selected(request, rows)

    def is_offered(self, action_name: str, row: Any) -> bool:
        """Tell whether an action on one row, by its unfold name (such as points_pointstrigger_activate_one), fits."""
        name = action_name.removeprefix(f"{self.opts.app_label}_{self.opts.model_name}_")
        if name in ("archive_one", "restore_one"):
            return is_archived(row) == (name == "restore_one")
        return self.status_of(row) in self.offered_in.get(name, (self.status_of(row),))

    def status_of(self, row: Any) -> str:
        """Return the status by which actions are offered."""
        return str(row.status)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer, on the page of a row, the actions that fit it."""
        found = super().get_actions_detail(request, object_id)
        row = self.get_object(request, object_id) if found else None
        return [each for each in found if row is not None and self.is_offered(each.action_name, row)]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse for a row that is archived: its page is shown, read only."""
        return super().has_change_permission(request, obj) and not is_archived(obj)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say that a row is archived, also to who sends a form that was opened before it was."""
        row = self.get_object(request, unquote(object_id))
        if not is_archived(row):
            response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
            return response
        if request.method == "POST" and "dataset" not in request.POST and self.has_change_permission(request):
            return self.response_closed(request, row)
        context = {**(extra_context or {}), "archived_row": row}
        shown: HttpResponse = super().change_view(request, object_id, form_url, context)
        return shown

    def response_closed(self, request: HttpRequest, row: Any) -> HttpResponse:
        """Say on its page that a row is archived, and who changed it since the form was opened."""
        closed = f"Not saved: «{row}» is {self.archived_label.lower()}, and cannot be changed."
        messages.error(request, " ".join([closed, *self.changes_while_open(request, row)]))
        return HttpResponseRedirect(request.get_full_path())

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out of what the address proposes for a new row the references to what is not there, or archived."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {name: value for name, value in given.items() if self._can_be_proposed(name, value)}

    def _can_be_proposed(self, name: str, value: Any) -> bool:
        field = next((each for each in self.opts.concrete_fields if each.name == name), None)
        if not isinstance(field, ForeignKey):
            return True
        try:
            row = field.related_model._default_manager.filter(pk=value).first()
        except (ValidationError, ValueError):
            return False
        return row is not None and getattr(row, "status", "") != ConfigurationStatus.ARCHIVED

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Offer nothing that is archived where a form asks what to choose from."""
        if request.path == reverse("admin:autocomplete"):
            queryset = queryset.exclude(status=ConfigurationStatus.ARCHIVED)
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: configuration is archived, so that what was awarded by it stays explained."""
        return False


def is_archived(row: Any) -> bool:
    """Tell whether a row, if it is one of configuration, is archived."""
    return isinstance(row, Configuration) and row.status == ConfigurationStatus.ARCHIVED


def kept_rows(formset: Any) -> list[dict[str, Any]]:
    """Return the data of a valid formset's rows but for those that are empty or to be deleted."""
    return [form.cleaned_data for form in formset.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]


class BadgeInput(UnfoldAdminImageFieldWidget):
    """Asks for an image, and shows the chosen one at once."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Leave out what unfold adds for conditional fields: Alpine may not set a file input's value."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["attrs"].pop("x-model.fill", None)
        return context

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        """Render the project's template, which Django's renderer of forms does not look for."""
        return render_to_string("core/badge_input.html", self.get_context(name, value, attrs))


class BadgedAdmin(ConfigurationAdmin):
    """The admin of configuration with an image."""

    formfield_overrides = {
        BadgeField: {"widget": BadgeInput(attrs={"accept": ",".join(BADGE_CONTENT_TYPES)})},
        TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 3})},
    }
    badge_fieldset = (
        "Badge",
        {
            "fields": ("shown_badge", "badge", "badge_url"),
            "description": f"An uploaded image is stored with at most {BADGE_STORED_PIXELS_MAX} pixels a side.",
        },
    )

    @admin.display(description="Current badge")
    def shown_badge(self, row: Badged) -> str:
        """Show the badge as the product will. What is not stored yet has none: an upload has no address before."""
        url = "" if row._state.adding else local_badge_url(row.badge, row.badge_url)
        image = "<img src='{}' alt='Badge' width='64' height='64' style='object-fit: contain; height: 64px'>"
        return format_html(image, url) if url else "none"


def with_badge(row: Badged, title: str, subtitle: str = "") -> list[Any]:
    """Return what a list shows in the column of names: the badge as a thumbnail, or two letters in its place."""
    url = thumbnail_url(row.badge, row.badge_url)
    image = {"path": url, "squared": True, "borderless": True, "width": 32, "height": 32} if url else None
    return [title, subtitle, title[:2].upper(), image]


def each_or_message(request: HttpRequest, rows: QuerySet[Any], do: Callable[..., None], done: str, none: str) -> None:
    """Do it to each row; tell the operator how many worked, of each other why not, or that there were `none`."""
    outcomes = [_attempt(request, row, do, done) for row in rows]
    if any(outcomes):
        messages.success(request, f"{sum(outcomes)} {done}.")
    elif not outcomes:
        messages.warning(request, none)


def _attempt(request: HttpRequest, row: Any, do: Callable[..., None], done: str) -> bool:
    """Do it to one row and return whether it worked; tell the operator which did not, and why."""
    name = f"«{row}»"
    try:
        do(row=row)
    except ValidationError as error:
        text = sentences_of(error)
        messages.error(request, text if text.startswith(name) else f"{name} cannot be {done}: {text}")
        return False
    return True


def all_or_message(request: HttpRequest, do: Callable[[], int], done: str, none: str) -> None:
    """Do it to all rows or none; tell the operator how many there were, that there were `none`, or why not."""
    try:
        count = do()
    except ValidationError as error:
        messages.error(request, sentences_of(error))
    else:
        if count:
            messages.success(request, f"{count} {done}.")
        else:
            messages.warning(request, none)


def ask_first(
    request: HttpRequest,
    admin_: ModelAdmin,
    title: str,
    text: str,
    submit: str,
    rows: Sequence[Any],
    details: Callable[[], Sequence[str]],
    *,
    also: Iterable[Any] = (),
    choice: tuple[str, str, str] | None = None,
) -> HttpResponse | None:
    """Return a page that asks before an action on the selected `rows`, with the details of each; None once confirmed.

    A confirmation holds only for the rows that were shown, as they were, and for what `also` says something of them. A
    `choice` is a box to tick: the name that the answer has then, its label and a text that helps.
    """
    mark = _mark_of([*rows, *also])
    is_confirmed = "confirmed" in request.POST
    if is_confirmed and request.POST.get("shown", mark) == mark:
        return None
    asked = ("action", "select_across", "index", "dataset", ACTION_CHECKBOX_NAME)
    answers = [(name, value) for name in asked for value in request.POST.getlist(name)]
    back = request.get_full_path() + (tab_of(admin_.model) if "dataset" in request.POST else "")
    context: dict[str, Any] = {"title": title, "text": text, "submit": submit, "choice": choice}
    context |= {"rows": list(zip(rows, details(), strict=True)), "answers": [*answers, ("shown", mark)], "back": back}
    context |= {"opts": admin_.opts, "changed": ASKED_BEFORE if is_confirmed else ""}
    return TemplateResponse(request, "core/confirm.html", {**admin_.admin_site.each_context(request), **context})


def _mark_of(rows: Iterable[Any]) -> str:
    """Return what stands for rows of configuration as they are."""
    keys: dict[type[Model], set[Any]] = defaultdict(set)
    for row in rows:
        keys[type(row)].add(row.pk)
    versions = [version for model, its in keys.items() for version in versions_of(model, its).items()]
    return sha256(repr(sorted((str(key), version) for key, version in versions)).encode()).hexdigest()


def back_to_list(request: HttpRequest, model: type[Model]) -> HttpResponse:
    """Return the answer to a row action's dialog: go on where the operator was."""
    fallback = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    here = request.headers.get("HX-Current-URL", fallback)
    # A browser that is told to go to a tab of the page where it is just stays: that page is to be read anew.
    return HttpResponse(headers={"HX-Refresh": "true"} if "#" in here else {"HX-Redirect": here})


def tab_of(model: type[Model]) -> str:
    """Return the end of a page's address that opens the tab which lists this model."""
    return f"#dataset-{model._meta.model_name}"
