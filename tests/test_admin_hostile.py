"""Whatever an address or a form of the admin says, no page ends in an error: it is refused, or passed over."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - fixtures
from tests.test_admin import text_of, trigger_form
from tests.test_reads_one_way import other_forms
from tests.test_roles import rows as rows  # noqa: PLC0414

HOSTILE: Final = (
    "\x00",
    "a\x00b",
    "not-a-uuid",
    "00000000-0000-0000-0000-000000000000",
    "0",
    "1",
    "-1",
    "9" * 10,
    "9" * 30,
    "9" * 5_000,
    "1e999",
    "NaN",
    "٣",
    "2026-02-30",
    "0000-00-00",
    "9999-12-31",
    "10000-01-01",
    "2026-11-30T25:61",
    "\ud800",
    "\udcff",
    "\N{MATHEMATICAL BOLD DIGIT ONE}",
    "a" * 5_000,
    "%",
    "%s",
    "_00",
    "'; --",
    "../..",
    "[",
    "(",
    "\\",
    "archived",
    "True",
    "",
)
"""What is none of most columns, and what pages have been seen to fail at."""

OF_LISTS: Final = (
    *("q", "o", "p", "e", "all", "_popup", "_to_field", "_facets", "_changelist_filters", "archived", "resource"),
    *("action", "_selected_action", "select_across", "index", "dataset", "confirmed", "format"),
)
OF_OTHERS: Final = (
    *("before", "after", "month", "days", "from", "to", "draft", "s", "extended", "next", "p", "_popup", "confirmed"),
    *("term", "app_label", "model_name", "field_name", "system", "since", "until", "cause", "version", "token"),
    *("username", "password", "old_password", "new_password1", "new_password2", "points", "reason", "by", "of"),
)
OF_ROWS_INSIDE: Final = ("TOTAL_FORMS", "INITIAL_FORMS", "0-id", "0-DELETE")
COMPARISONS: Final = ("", "__exact", "__in", "__isnull", "__gt", "__contains", "__regex", "__year", "__id__exact")
MAKES: Final = {
    "autocomplete": {"app_label": "points", "model_name": "pointstrigger", "field_name": "system"},
    "changelist": {"action": "archive_selected", "index": "0", "_selected_action": "1"},
    "_preview": {"draft": "1"},
}
"""What a page needs to be told to come so far that it reads the rest."""


def request_of_a_superuser() -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = User(username="olivia", is_staff=True, is_superuser=True, is_active=True)
    return request


def patterns(resolver: URLResolver, above: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Yield every address below a resolver as its parts up to each argument, with the pattern that it ends in."""
    for each in resolver.url_patterns:
        route = above + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from patterns(each, route)
        else:
            yield route, each


def admin_pages() -> list[tuple[str, str]]:
    """Return the route and the name of every page of the admin but the one that ends the visit."""
    found = [(route, str(each.name)) for route, each in patterns(get_resolver()) if route.startswith("admin/")]
    return [(route, name) for route, name in found if name != "logout" and "(?P" not in route]


def parameters_of(name: str) -> list[str]:
    """Return the names that a page of the admin reads from its address or form."""
    request = request_of_a_superuser()
    admins = {f"{each.opts.app_label}_{each.opts.model_name}": each for each in admin.site._registry.values()}
    admin_ = admins.get(name.rpartition("_")[0])
    if admin_ is None:
        return [*OF_OTHERS, *(field for _, form in other_forms() for field in getattr(form, "base_fields", {}))]
    columns = [field.name for field in admin_.opts.concrete_fields]
    if name.endswith("_changelist"):
        filters = [str(getattr(item, "parameter_name", item)) for item in admin_.get_list_filter(request)]
        return [*OF_LISTS, *filters, *(column + comparison for column in columns for comparison in COMPARISONS)]
    rows_inside = [each.get_formset(request) for each in admin_.get_inline_instances(request)]
    prefixes = [(formset.get_default_prefix(), formset.form.base_fields) for formset in rows_inside]
    return [
        *(*columns, *admin_.get_form(request).base_fields, *OF_OTHERS),
        *(
            f"{prefix}-{part}"
            for prefix, _ in prefixes
            for part in ("TOTAL_FORMS", "INITIAL_FORMS", "0-id", "0-DELETE")
        ),
        *(f"{prefix}-0-{field}" for prefix, fields in prefixes for field in fields),
    ]


def needs_of(name: str) -> dict[str, str]:
    """Return what else a browser sends with a form of the page."""
    made = {key: value for end, values in MAKES.items() if name.endswith(end) for key, value in values.items()}
    for part in parameters_of(name):
        if part.endswith("-TOTAL_FORMS"):
            made |= {part: "1", part.replace("TOTAL", "INITIAL"): "0"}
    return made


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block did to the database."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def address_of(route: str, arguments: list[str]) -> str:
    """Return the address of a route with these arguments in their order."""
    parts = route.replace("<", "\n<").replace(">", ">\n").split("\n")
    given_ = iter(arguments)
    filled = [next(given_) if part.startswith("<") else part for part in parts]
    return "/" + "".join(filled)


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_no_page_of_the_admin_ends_in_an_error(data: st.DataObject, operator: Client, rows: dict[str, Any]) -> None:
    route, name = data.draw(st.sampled_from(admin_pages()), "page")
    of_page = [row for model, row in rows.items() if name.startswith(model.replace("/", "_"))]
    right = [str(row.pk) for row in of_page] * 3
    arguments = [
        data.draw(st.sampled_from([*right, *(each for each in HOSTILE if each and each.isprintable())]), "argument")
        for _ in range(route.count("<"))
    ]
    names = st.sampled_from(parameters_of(name))
    said = data.draw(st.dictionaries(names, st.sampled_from(HOSTILE), min_size=1, max_size=8), "parameters")
    sent = {key: value.encode("utf-8", "surrogatepass") for key, value in (needs_of(name) | said).items()}
    address = address_of(route, arguments)
    with undone():
        answer = operator.post(address, sent) if data.draw(st.booleans(), "post") else operator.get(address, sent)
        assert answer.status_code < 500, answer


@pytest.mark.parametrize(
    "address",
    [
        *("imports/importrun/?status=%00", "webhooks/delivery/?status=%00", "imports/importrun/?status__exact=%00"),
        "autocomplete/?term=%00&app_label=points&model_name=pointstrigger&field_name=system",
        *("points/pointssystem/?q=%00", "%00/", "users/enduser/?q=a%00"),
        *("metrics/metric/?_to_field=name", "access/apikey/?hashed_key=a"),
    ],
)
def test_a_crafted_address_is_refused_or_not_found(address: str, operator: Client, rows: dict[str, Any]) -> None:
    assert operator.get(f"/admin/{address}", follow=True).status_code in (400, 404)


def test_a_selection_that_is_none_is_refused(operator: Client, rows: dict[str, Any]) -> None:
    numbered = ("webhooks/delivery", "engine/queuedevent")
    for model in ("points/pointstrigger", "access/apikey", *numbered):
        for selected in ("9" * 30 if model in numbered else "1", "not-a-uuid", "\x00"):
            form = {"action": "archive_selected", "index": "0", "_selected_action": selected}
            assert operator.post(f"/admin/{model}/", form).status_code in (400, 403), (model, selected)


def test_a_form_with_a_reference_that_is_none_is_shown_with_its_error(operator: Client, game: Game) -> None:
    page = operator.post("/admin/points/pointstrigger/add/", trigger_form(game, system="not-a-uuid"))
    assert page.status_code == 200
    assert "“not-a-uuid” is not a valid UUID." in text_of(page)
    assert operator.get("/admin/points/pointstrigger/add/?system=not-a-uuid").status_code == 200


def test_a_page_too_far_back_is_taken_for_the_first(operator: Client, rows: dict[str, Any]) -> None:
    for model in ("webhooks/delivery", "engine/queuedevent", "boosts/boost", "users/enduser", "access/applicationkey"):
        for page in ("10001", "9" * 18, "9" * 30, "0", "-1", "x"):
            assert operator.get(f"/admin/{model}/?p={page}", follow=True).status_code == 200, (model, page)
