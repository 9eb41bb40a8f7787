"""Lines inside a form of the admin: their references can be exchanged, and taken from lines that are deleted."""

from decimal import Decimal
from typing import Any

import pytest
from django.db.models.fields.files import FieldFile
from django.test import Client

from achievements.services import create_achievement, prerequisites_of
from core.services import create_checked
from metrics.models import Metric
from points.models import PointsTrigger
from streaks.models import StreakMetric, StreakSettings
from streaks.services import update_settings
from tests.conftest import Game
from users.models import Attribute

STREAKS = "/admin/streaks/streaksettings/1/change/"


def form_of(page: Any) -> dict[str, Any]:
    """Return what a browser would send from the form that the page shows, as it is."""
    form = page.context["adminform"].form
    sent = {name: form[name].value() for name in form.fields}
    for formset in (each.formset for each in page.context["inline_admin_formsets"]):
        sent |= {f"{formset.prefix}-{name}": value for name, value in formset.management_form.initial.items()}
        for line in formset.forms:
            sent |= {line.add_prefix(name): line[name].value() for name in line.fields}
    unsent = [name for name, value in sent.items() if value is None or value is False or isinstance(value, FieldFile)]
    return {name: value for name, value in sent.items() if name not in unsent}


@pytest.fixture
def thresholds(game: Game) -> dict[str, Decimal]:
    """Set up what counts for streaks."""
    create_checked(Metric, name="Videos", key="videos")
    update_settings(metrics=[(game.lessons, Decimal(2)), (game.flashcards, Decimal(5))])
    return stored()


def stored() -> dict[str, Decimal]:
    return dict(StreakMetric.objects.values_list("metric__key", "threshold"))


def save(admin_client: Client, **fields: str) -> None:
    answer = admin_client.post(STREAKS, form_of(admin_client.get(STREAKS)) | fields)
    assert answer.status_code == 302, answer.context["errors"]


def key(name: str) -> str:
    return str(Metric.objects.get(key=name).id)


def test_two_metrics_of_a_streak_exchange_their_lines(admin_client: Client, thresholds: dict[str, Decimal]) -> None:
    save(admin_client, **{"metrics-0-metric": key("flashcards"), "metrics-1-metric": key("lessons")})
    assert stored() == {"lessons": 5, "flashcards": 2}


def test_a_line_takes_the_metric_of_one_that_is_deleted(admin_client: Client, thresholds: dict[str, Decimal]) -> None:
    save(admin_client, **{"metrics-0-metric": key("flashcards"), "metrics-1-DELETE": "on"})
    assert stored() == {"flashcards": 2}


def test_a_new_line_takes_the_metric_of_one_that_is_deleted(
    admin_client: Client, thresholds: dict[str, Decimal]
) -> None:
    new = {"metrics-TOTAL_FORMS": "3", "metrics-2-metric": key("lessons"), "metrics-2-threshold": "9"}
    save(admin_client, **{"metrics-0-DELETE": "on", "metrics-2-settings": "1"} | new)
    assert stored() == {"lessons": 9, "flashcards": 5}


def test_lines_move_on_to_a_new_metric(admin_client: Client, thresholds: dict[str, Decimal]) -> None:
    save(admin_client, **{"metrics-0-metric": key("flashcards"), "metrics-1-metric": key("videos")})
    assert stored() == {"flashcards": 2, "videos": 5}


def test_lines_as_they_are_stay_as_they_are(admin_client: Client, thresholds: dict[str, Decimal]) -> None:
    before = list(StreakMetric.objects.order_by("id").values_list("id", "metric__key", "threshold"))
    save(admin_client, frequency="weekly")
    assert list(StreakMetric.objects.order_by("id").values_list("id", "metric__key", "threshold")) == before
    assert StreakSettings.objects.get().frequency == "weekly"


def test_the_same_metric_twice_is_refused_all_the_same(admin_client: Client, thresholds: dict[str, Decimal]) -> None:
    twice = form_of(admin_client.get(STREAKS)) | {"metrics-1-metric": key("lessons")}
    assert admin_client.post(STREAKS, twice).status_code == 200
    assert stored() == thresholds


def test_filters_of_a_trigger_exchange_their_attributes(admin_client: Client, game: Game) -> None:
    country = create_checked(Attribute, name="Country", key="country", type="user")
    trigger = game.trigger(10, user_filters=[(game.plan, "pro"), (country, "de")])
    url = f"/admin/points/pointstrigger/{trigger.id}/change/"
    form = form_of(admin_client.get(url))
    lines = {form[f"filters-{line}-attribute"]: line for line in (0, 1)}
    other = {game.plan.id: country.id, country.id: game.plan.id}
    exchanged = {f"filters-{line}-attribute": str(other[attribute]) for attribute, line in lines.items()}
    assert admin_client.post(url, form | exchanged).status_code == 302
    filters = PointsTrigger.objects.get(id=trigger.id).filters.values_list("attribute__key", "value")
    assert dict(filters) == {"plan": "de", "country": "pro"}


def test_prerequisites_exchange_their_lines(admin_client: Client, game: Game) -> None:
    parts = [create_achievement(name=name, type="api", key=name) for name in ("a", "b")]
    goal = create_achievement(name="Both", type="achievement", prerequisites=parts)
    url = f"/admin/achievements/achievement/{goal.id}/change/"
    form = form_of(admin_client.get(url))
    first, second = form["prerequisites-0-prerequisite"], form["prerequisites-1-prerequisite"]
    exchanged = {"prerequisites-0-prerequisite": str(second), "prerequisites-1-prerequisite": str(first)}
    answer = admin_client.post(url, form | exchanged)
    assert answer.status_code == 302, answer.context["errors"]
    assert set(prerequisites_of(goal)) == set(parts)
