"""Forms and filters read days and numbers in one way, and refuse whatever could mean two things."""

from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory
from django.urls import get_resolver

from boosts.models import Boost
from core import form_fields
from points.models import PointsTrigger
from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of, trigger_form

OURS = {"access", "achievements", "backoffice", "boosts", "core", "imports", "levels", "points", "preview", "webhooks"}
DAYS = (
    "05/12/2026",
    "12/05/2026",
    "5.12.2026",
    "05-12-2026",
    "Dec 5 2026",
    "26-12-05",
    "2026/12/05",
    "2026-5-1",
    "２０２６-12-05",  # noqa: RUF001
)
TIMES = ("5pm", "17.30", "5:30 PM", "5:30", "17:3", "１７:30")  # noqa: RUF001
MOMENTS = (*DAYS, "2026-5-1 17:30", "2026-12-05 5:30", "２０２６-12-05 17:30", "2026-12-05 １７:30")  # noqa: RUF001
NUMBERS = ("１２", "7,5", "1,000", "1_000", "1 000", "1.000.000", "1e3", "0x10", "٣", "NaN", "Infinity", "½", "--1")  # noqa: RUF001
READ_AS_WRITTEN = {
    forms.DateField: (DAYS, form_fields.DAY),
    forms.TimeField: (TIMES, form_fields.TIME),
    forms.DateTimeField: (MOMENTS, form_fields.MOMENT),
    forms.DecimalField: (NUMBERS, form_fields.NUMBER),
    forms.IntegerField: ((*NUMBERS, "1.000", "1.0", "7.5"), form_fields.WHOLE_NUMBER),
}


def forms_of_the_admin() -> Iterator[tuple[str, Any]]:
    """Yield every registered admin's form, and those of the rows inside it."""
    request = RequestFactory().get("/admin/")
    request.user = User(username="olivia", is_staff=True, is_superuser=True, is_active=True)
    for model, admin_ in admin.site._registry.items():
        yield model.__name__, admin_.get_form(request)
        for inline in admin_.get_inline_instances(request):
            yield f"{model.__name__}, {inline.model.__name__}", inline.get_formset(request).form


def other_forms() -> Iterator[tuple[str, Any]]:
    """Yield every other form of this project: filters, dialogs, pages of their own."""
    assert get_resolver().url_patterns  # by which every page's module is loaded
    waiting: list[Any] = [forms.BaseForm]
    while waiting:
        for found in waiting.pop().__subclasses__():
            waiting.append(found)
            # Forms of rows are those above: an admin makes their fields.
            if found.__module__.split(".")[0] in OURS and not issubclass(found, forms.BaseModelForm):
                yield found.__name__, found


def test_no_field_of_any_form_reads_what_could_mean_two_things(db: None) -> None:
    seen = set()
    for name, form in [*forms_of_the_admin(), *other_forms()]:
        for field_name, field in form.base_fields.items():
            kind = next((kind for kind in READ_AS_WRITTEN if isinstance(field, kind)), None)
            if kind is None:
                continue
            seen.add((name, field_name))
            texts, sentence = READ_AS_WRITTEN[kind]
            for text in texts:
                with pytest.raises(ValidationError) as refused:
                    field.clean(text)
                assert sentence in refused.value.messages, (name, field_name, text)
            assert field.widget.input_type != "number", (name, field_name)  # which sends nothing of what it cannot read
    assert {
        ("Boost", "start"),
        ("Boost", "multiplier"),
        ("PointsTrigger", "points"),
        ("StreakSettings, StreakMetric", "threshold"),
        ("ChangesForm", "since"),
        ("LedgerFilterForm", "until"),
        ("AdjustForm", "points"),
        ("SinceForm", "since"),
    } <= seen


@pytest.mark.parametrize(
    ("text", "meant"), [("1.000", "1 or 1000"), ("12.500", "12.5 or 12500"), ("-1.250", "-1.25 or -1250")]
)
def test_three_decimals_that_end_in_zero_could_be_thousands_and_are_refused(text: str, meant: str) -> None:
    with pytest.raises(ValidationError, match=f"{text} could mean {meant}: write the one that you mean."):
        form_fields.NumberField().clean(text)


@pytest.mark.parametrize("text", ["1.5", "1.125", "0.500", "1000", "1000.5", "+2", "-2", ".5", "1.0000", " 2 "])
def test_a_number_with_a_point_is_read_as_it_is_written(text: str) -> None:
    assert float(form_fields.NumberField().clean(text) or 0) == float(text)


@pytest.mark.parametrize(
    ("field", "text", "read"),
    [
        (form_fields.DayField(), " 2026-05-01 ", "2026-05-01"),
        (form_fields.TimeField(), "05:30", "05:30:00"),
        (form_fields.TimeField(), "05:30:15.25", "05:30:15.250000"),
        (form_fields.MomentField(), "2026-05-01 05:30", "2026-05-01 05:30:00+00:00"),
        (form_fields.MomentField(), "2026-05-01T05:30", "2026-05-01 05:30:00+00:00"),
    ],
)
def test_a_day_and_a_time_with_all_of_their_digits_are_read(field: forms.Field, text: str, read: str) -> None:
    assert str(field.clean(text)) == read


def test_a_boost_s_days_are_taken_only_as_year_month_day(operator: Client, game: Game) -> None:
    form = {
        "system": str(game.xp.id),
        "name": "Double XP",
        "multiplier": "2",
        "rounding": "down",
        "start": "05/12/2126",
        "filters-TOTAL_FORMS": "0",
        "filters-INITIAL_FORMS": "0",
    }
    refused = operator.post("/admin/boosts/boost/add/", form)
    assert form_fields.DAY in text_of(refused)
    assert not Boost.objects.exists()
    assert operator.post("/admin/boosts/boost/add/", form | {"start": "2126-12-05"}).status_code == 302
    assert str(Boost.objects.get().start) == "2126-12-05"


def test_points_are_taken_only_in_digits(operator: Client, game: Game) -> None:
    for text in ("1.000", "1,000"):
        refused = operator.post("/admin/points/pointstrigger/add/", trigger_form(game, points=text))
        assert form_fields.WHOLE_NUMBER in text_of(refused)
    assert not PointsTrigger.objects.exists()


def test_the_draft_of_a_preview_reads_numbers_as_forms_do(operator: Client, game: Game) -> None:
    address = f"/admin/points/pointssystem/{game.xp.id}/preview/"
    assert form_fields.WHOLE_NUMBER in text_of(operator.get(address, {"draft": "1", "max": "1.000"}))


def test_the_calendar_beside_a_field_writes_what_the_field_reads(operator: Client) -> None:
    catalogue = operator.get("/admin/jsi18n/").content.decode()
    formats = catalogue[catalogue.index('"DATE_INPUT_FORMATS"') :]
    assert formats[formats.index("[") + 1 :].split()[0].rstrip(",") == '"%Y-%m-%d"'
    assert "%m/%d" not in catalogue
