"""What every admin shares: look-ups by what its list shows alone, and no address or form that it cannot read."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import BadRequest, FieldDoesNotExist, ValidationError
from django.core.paginator import EmptyPage, Page, Paginator
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from unfold import admin as unfold_admin
from unfold import paginator as unfold_paginator

from core.form_fields import field_class_of

LOOKUPS: Final = frozenset(
    {"exact", "iexact", "in", "isnull", "contains", "icontains", "startswith", "istartswith", "gt", "gte", "lt", "lte"}
)
"""How an address may compare: not by regular expressions, which a database can be kept busy with."""
PAGES_MAX: Final = 10_000


class InfinitePaginator(unfold_paginator.InfinitePaginator):
    """Pages of a list that takes too long to be counted: each is read with one row more, to tell whether more follow.

    Unfold's templates know a list that is not counted by the name of this class.
    """

    template_name = "core/pagination_uncounted.html"
    has_more = False

    def validate_number(self, number: Any) -> int:
        """Return the number of a page. Raises EmptyPage for one that lies so far back that nobody means it."""
        valid: int = super().validate_number(number)
        if valid > PAGES_MAX:
            raise EmptyPage("That page is too far back: search or filter instead.")
        return valid

    def page(self, number: Any) -> Page:  # type: ignore[type-arg] # Django's class takes no parameter at run time
        """Return a page, and remember whether there is another one after it."""
        number = self.validate_number(number)
        start = (number - 1) * self.per_page
        rows = list(self.object_list[start : start + self.per_page + 1])
        self.has_more = len(rows) > self.per_page
        return _UncountedPage(rows[: self.per_page], number, self)


class _UncountedPage(Page):  # type: ignore[type-arg] # as above
    """A page that knows whether another one follows without knowing how many there are."""

    def has_next(self) -> bool:
        """Tell whether another page follows."""
        paginator: Any = self.paginator
        return bool(paginator.has_more)


class KnownChoices(AutocompleteSelect):
    """A field that completes what is typed. It looks up the rows that were chosen, so far as these are ids at all."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        """Return the options for the chosen rows; what is no id is said by the field's own error."""
        key = self.field.target_field
        return super().optgroups(name, [each for each in value if not each or _is_key(key, each)], attr)


class ReadsOneWay:
    """Has an admin, or rows inside a form, read days and numbers by the fields of `core.form_fields`."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field of a form for a column."""
        form_class = None if db_field.choices else field_class_of(db_field)
        given = {"form_class": form_class, **kwargs} if form_class else kwargs
        return super().formfield_for_dbfield(db_field, request, **given)  # type: ignore[misc] # of the admin

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field for a reference."""
        admin: Any = self
        if "widget" not in kwargs and db_field.name in admin.get_autocomplete_fields(request):
            kwargs["widget"] = KnownChoices(db_field, admin.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc] # of the admin


class TabularInline(ReadsOneWay, unfold_admin.TabularInline):
    """Rows inside a form."""


class ModelAdmin(ReadsOneWay, unfold_admin.ModelAdmin):
    """The admin that all others derive from."""

    paginator: Any = Paginator

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow an address to look up by what the list shows or filters by, and by nothing else of a row.

        Or else whoever may see the list could ask for the beginning of a secret, letter by letter.
        """
        path, _, comparison = lookup.rpartition(LOOKUP_SEP)
        path = path if path and comparison in LOOKUPS else lookup
        if _field_of(self.opts.model, path.split(LOOKUP_SEP)[0]) is None:
            return True  # Django says that there is no such filter
        return path in set(self._shown_paths(request)) and super().lookup_allowed(lookup, value, request)

    def _shown_paths(self, request: HttpRequest) -> Iterator[str]:
        """Yield what an address may look up by; a row that is referred to is known by its key."""
        for path in (*self._filtered_by(request), *self._columns(request)):
            yield path
            field = _field_of(self.opts.model, path)
            if field is not None and field.is_relation:
                yield from (f"{path}{LOOKUP_SEP}{key}" for key in ("id", "pk"))

    def _filtered_by(self, request: HttpRequest) -> Iterator[str]:
        for item in self.get_list_filter(request):
            if isinstance(item, str):
                yield item
            elif isinstance(item, tuple | list):
                yield str(item[0])
            elif name := getattr(item, "parameter_name", ""):
                yield name

    def _columns(self, request: HttpRequest) -> Iterator[str]:
        """Yield the columns of the list, those that are shown by a method by what the method sorts by."""
        for name in self.get_list_display(request):
            sorted_by = getattr(getattr(self, str(name), None), "admin_order_field", None)
            yield sorted_by.removeprefix("-") if isinstance(sorted_by, str) else str(name)

    def get_paginator(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Paginator:  # type: ignore[type-arg] # as above
        """Count the entries of one row's history, which are few, however long the list of rows is."""
        if getattr(queryset, "model", None) is LogEntry:
            return Paginator(queryset, *args, **kwargs)
        paginator: Paginator[Any] = super().get_paginator(request, queryset, *args, **kwargs)
        return paginator

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Refuse what was selected but is no id."""
        self._check_selected(request)
        response: HttpResponse = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context and isinstance(context["cl"].paginator, InfinitePaginator):
            # Or else the page names the number that stands for not having counted.
            context["cl"].result_count = ""
            context["selection_note_all"] = "All selected"
        return response

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Refuse it in a tab too."""
        self._check_selected(request)
        response: HttpResponse | None = super().response_action(request, queryset)
        return response

    def _check_selected(self, request: HttpRequest) -> None:
        if not all_keys(self.opts.pk, request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("What was selected is not in the list.")


def all_keys(key: Any, texts: Iterable[str]) -> bool:
    """Tell whether each of the texts can be the key of a row."""
    return all(_is_key(key, text) for text in texts)


def _is_key(key: Any, text: Any) -> bool:
    try:
        value = key.to_python(text)
    except (ValidationError, ValueError, TypeError):
        return False
    return not isinstance(value, int) or abs(value) < 2**63


def _field_of(model: Any, name: str) -> Any:
    try:
        return model._meta.get_field("id" if name == "pk" else name)
    except FieldDoesNotExist:
        return None
