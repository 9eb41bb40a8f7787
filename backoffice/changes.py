"""The page «Changes»: the newest changes of all configuration, by model, operator and date."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from access.models import ApplicationKey
from boosts.models import Boost
from core.admin import number_of
from core.changes import parts_of, read_page, tracked_models
from core.form_fields import DayField
from core.history import history_of

OF_ONE_USER: Final = "boosts.boost.of-one-user"
ALL: Final = ""


class ChangesForm(forms.Form):
    """Asks which changes to show."""

    of = forms.ChoiceField(label="Of", required=False, widget=UnfoldAdminSelectWidget)
    by = forms.CharField(
        label="By",
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "An operator, a key, «config apply»"}),
    )
    since = DayField(label="From", required=False, widget=UnfoldAdminDateWidget(attrs={"type": "date"}))
    until = DayField(label="To", required=False, widget=UnfoldAdminDateWidget(attrs={"type": "date"}))

    def __init__(self, *args: Any, models: list[type[Model]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(model._meta.label_lower, str(model._meta.verbose_name_plural).capitalize()) for model in models]
        named = [(label, name.replace("Api ", "API ")) for label, name in named]
        of_one_user = [(OF_ONE_USER, "Boosts of one user")] if Boost in models else []
        field = self.fields["of"]
        field.choices = [(ALL, "All rules"), *sorted([*named, *of_one_user], key=lambda each: each[1])]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse days in the wrong order."""
        data = super().clean() or {}
        if data.get("since") and data.get("until") and data["until"] < data["since"]:
            self.add_error("until", "must not be before the first day.")
        return data


def changes(request: HttpRequest) -> HttpResponse:
    """Show a page of the changes of what the operator may see."""
    if not request.user.has_perm("core.view_changes"):
        raise PermissionDenied
    visible = [model for model in tracked_models() if _may_see(request, model)]
    form = ChangesForm(request.GET, models=visible)
    before = number_of(request.GET.get("before", ""))
    sources = _sources(visible, form.cleaned_data) if form.is_valid() else []
    asked = request.GET.copy()
    asked.pop("before", None)
    context = {
        **admin.site.each_context(request),
        "title": "Changes",
        "form": form,
        "page": read_page(sources, before=before),
        "is_newest": before is None,
        "is_filtered": any(asked.values()),
        "query": asked.urlencode(),
    }
    return TemplateResponse(request, "backoffice/changes.html", context)


def _may_see(request: HttpRequest, model: type[Model]) -> bool:
    return request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")


def _sources(visible: list[type[Model]], asked: dict[str, Any]) -> list[QuerySet[Any]]:
    """Return the records that are asked for.

    What is of single users is left out unless it is asked for: products make it all day long, and it would bury what
    operators decide.
    """
    of = asked["of"]
    if of == OF_ONE_USER:
        sources = [history_of(Boost)._default_manager.filter(external_id__isnull=False)]
    else:
        chosen = [model for model in visible if of in (ALL, model._meta.label_lower)]
        chosen = [model for model in chosen if of or model is not ApplicationKey]
        sources = [history_of(each)._default_manager.all() for model in chosen for each in (model, *parts_of(model))]
        sources = [
            records.filter(external_id__isnull=True) if records.model is history_of(Boost) else records
            for records in sources
        ]
    return [_narrowed(records, asked) for records in sources]


def _narrowed(records: QuerySet[Any], asked: dict[str, Any]) -> QuerySet[Any]:
    """Return the records by whom, and of the days, that are asked for."""
    if asked["by"]:
        records = records.filter(actor__icontains=asked["by"])
    if asked["since"]:
        records = records.filter(history_date__gte=datetime.combine(asked["since"], time(), UTC))
    if asked["until"]:
        records = records.filter(history_date__lt=datetime.combine(asked["until"], time(), UTC) + timedelta(days=1))
    return records
