"""A form that adds something adds it once, however often it is sent, and each answer leads to it."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.models import ApiKey
from boosts.models import Boost
from core.models import Submission
from core.tasks import forget_old_submissions
from imports.models import ImportRun
from points.models import PointsTrigger
from preview.models import Backtest
from tests.conftest import Game, make_game
from tests.page_forms import Sent, form_on
from tests.test_admin import text_of, trigger_form
from tests.test_admin_rules import achievement_form, boost_form
from tests.test_parallel import in_parallel
from webhooks.models import Endpoint

SECRET = re.compile(r"<code id='new-(?:api-key|secret)'[^>]*>([^<]+)</code>")


@pytest.fixture
def ana(db: None) -> Client:
    return client_of("ana")


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(name))
    return client


def add_page(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def open_form(client: Client, model: Any, **typed: Any) -> dict[str, Any]:
    """Return what a browser sends of a new add form that was filled in."""
    form: Sent = form_on(client.get(add_page(model)), f"{model._meta.model_name}_form")
    assert form["_submission"][0]
    return form | typed


def typed_by_model(game: Game) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is typed into the add form of each model. A file is read only once, so each sending makes its own."""
    operator = {"username": "carla", "password1": "quiet-Meadow-77x", "password2": "quiet-Meadow-77x", "role": ""}
    csv = b"id,name\nalice,Alice\n"
    return {
        "points.pointstrigger": lambda: trigger_form(game),
        "boosts.boost": lambda: boost_form(game),
        "levels.level": lambda: {"system": str(game.xp.id), "name": "Adept", "key": "adept", "points": "40"},
        "achievements.achievement": lambda: achievement_form(type="streak", streak_length="3"),
        "points.pointssystem": lambda: {"name": "Gems", "key": "gems"},
        "metrics.metric": lambda: {"name": "Words", "key": "words", "unit_type": "number"},
        "users.attribute": lambda: {"name": "Team", "key": "team", "type": "user"},
        "access.apikey": lambda: {"name": "Backend"},
        "access.applicationkey": lambda: {"external_id": "alice"},
        "webhooks.endpoint": lambda: {"url": "https://example.com/hook", "types": ["points.changed"]},
        "imports.importrun": lambda: {"kind": "users", "file": SimpleUploadedFile("users.csv", csv)},
        "auth.user": lambda: operator,
        "auth.group": lambda: {"name": "Interns"},
    }


def models_with_an_add_form(rf: Any) -> Iterator[Any]:
    request = rf.get("/")
    request.user = User.objects.get(username="ana")
    return (model for model, of_model in admin.site._registry.items() if of_model.has_add_permission(request))


def test_every_add_form_that_is_sent_twice_adds_once_and_both_answers_lead_to_it(
    ana: Client, game: Game, rf: Any
) -> None:
    typed = typed_by_model(game)
    models = {model._meta.label_lower: model for model in models_with_an_add_form(rf)}
    assert set(models) == set(typed)
    for name, model in models.items():
        before, form = model._base_manager.count(), open_form(ana, model)
        answers = [ana.post(add_page(model), form | typed[name]()) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302], (name, text_of(answers[0])[-900:])
        assert answers[0]["Location"] == answers[1]["Location"]
        assert model._base_manager.count() == before + 1, name
        row = model._base_manager.latest("pk")
        assert "Not saved" not in text_of(ana.get(answers[1]["Location"]))
        assert Submission.objects.filter(model=name, object_id=str(row.pk)).count() == 1


def test_a_form_that_was_refused_can_be_sent_again_and_adds_then(ana: Client, game: Game) -> None:
    form = open_form(ana, PointsTrigger, **trigger_form(game, points="much"))
    page = ana.post(add_page(PointsTrigger), form)
    assert form_on(page, "pointstrigger_form")["_submission"] == form["_submission"]
    assert ana.post(add_page(PointsTrigger), form | {"points": "5"}).status_code == 302
    assert PointsTrigger.objects.count() == 1


def test_a_form_that_is_sent_again_with_other_values_asks_before_it_adds_another(ana: Client, game: Game) -> None:
    form = open_form(ana, Boost, **boost_form(game))
    ana.post(add_page(Boost), form)
    other = form | {"name": "Triple XP", "multiplier": "3"}
    asked = ana.post(add_page(Boost), other)
    assert "this form was sent before, with other values, and made «Double XP" in text_of(asked)
    assert "Please correct" not in text_of(asked)
    assert Boost.objects.count() == 1
    assert ana.post(add_page(Boost), other | form_on(asked, "boost_form")).status_code == 302
    assert set(Boost.objects.values_list("name", flat=True)) == {"Double XP", "Triple XP"}


def test_two_forms_with_the_same_values_add_two(ana: Client, game: Game) -> None:
    for _ in range(2):
        assert ana.post(add_page(Boost), open_form(ana, Boost, **boost_form(game))).status_code == 302
    assert Boost.objects.count() == 2


@pytest.mark.parametrize("token", [None, "", "no token"])
def test_a_form_without_a_token_adds_each_time(token: str | None, ana: Client, game: Game) -> None:
    form = boost_form(game) | ({} if token is None else {"_submission": token})
    for _ in range(2):
        assert ana.post(add_page(Boost), form).status_code == 302
    assert Boost.objects.count() == 2


def test_a_form_whose_row_is_gone_says_so(ana: Client) -> None:
    form = open_form(ana, Group, name="Interns")
    ana.post(add_page(Group), form)
    Group.objects.filter(name="Interns").delete()
    assert "What it made is gone." in text_of(ana.post(add_page(Group), form, follow=True))
    assert not Group.objects.filter(name="Interns").exists()


# --- What is shown once ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("model", "typed"),
    [(ApiKey, {"name": "Backend"}), (Endpoint, {"url": "https://example.com/hook", "types": ["points.changed"]})],
)
def test_the_second_answer_shows_the_secret_too_since_it_is_the_one_that_a_browser_shows(
    model: Any, typed: dict[str, Any], ana: Client
) -> None:
    form = open_form(ana, model, **typed)
    first, second = (SECRET.findall(ana.post(add_page(model), form, follow=True).content.decode()) for _ in range(2))
    assert len(first) == 1
    assert first == second
    assert first[0] not in str(Submission.objects.values())


def test_a_secret_is_shown_again_for_ten_minutes_and_to_nobody_else(ana: Client) -> None:
    form = open_form(ana, ApiKey, name="Backend")
    (secret,) = SECRET.findall(ana.post(add_page(ApiKey), form, follow=True).content.decode())
    of_ben = client_of("ben").post(add_page(ApiKey), form, follow=True)
    assert secret not in of_ben.content.decode()
    assert "Its secret was shown then, and cannot be shown again." in text_of(of_ben)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert "cannot be shown again" in text_of(ana.post(add_page(ApiKey), form, follow=True))
        forget_old_submissions()
    assert Submission.objects.get().secret == ""
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        forget_old_submissions()
    assert not Submission.objects.exists()
    assert ApiKey.objects.filter(name="Backend").count() == 1


# --- Backtests -------------------------------------------------------------------------------------------------------
def test_a_backtest_is_started_once_from_each_page_and_number_of_days(ana: Client, game: Game) -> None:
    page = reverse("admin:points_pointssystem_preview", args=(game.xp.id,))
    content = ana.get(page).content.decode()
    (token,) = re.findall(r'name="_submission" value="([^"]+)"', content)
    start = reverse("admin:points_pointssystem_start", args=(game.xp.id,))
    form = {"_submission": token, "query": "", "days": "30"}
    first, second, other = (ana.post(start, form | more) for more in ({}, {}, {"days": "7"}))
    assert first["Location"] == second["Location"] != other["Location"]
    assert sorted(Backtest.objects.values_list("days", flat=True)) == [7, 30]


# --- At the same moment ----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_of_parallel_sendings_of_one_form_one_adds_and_all_lead_to_it(transactional_db: None) -> None:
    game, ana = make_game(), client_of("ana")
    form = open_form(ana, Boost, **boost_form(game))
    sessions = dict(ana.cookies)

    def send(_: int) -> Any:
        client = Client()
        client.cookies.update(sessions)
        return client.post(add_page(Boost), form)

    answers = in_parallel(4, send)
    assert [answer.status_code for answer in answers] == [302] * 4
    assert len({answer["Location"] for answer in answers}) == 1
    assert Boost.objects.count() == 1


def test_an_upload_with_another_file_is_another_import(ana: Client) -> None:
    def upload(form: dict[str, Any], name: str) -> Any:
        file = SimpleUploadedFile("users.csv", f"id,name\nalice,{name}\n".encode())
        return ana.post(add_page(ImportRun), form | {"kind": "users", "file": file})

    form = open_form(ana, ImportRun)
    assert upload(form, "Alice").status_code == 302
    asked = upload(form, "Alicia")
    assert "this form was sent before, with other values" in text_of(asked)
    assert ImportRun.objects.count() == 1
