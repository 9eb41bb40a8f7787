"""The tabs of a points system's page: each list is sorted and paged by itself, and acts where the operator is."""

import re
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from boosts.models import Boost
from boosts.services import create_boost
from core.services import create_checked
from levels.models import Level
from points.models import PointsSystem, PointsTrigger
from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of


def today() -> date:
    return timezone.now().astimezone(UTC).date()


def url_of(system: PointsSystem, query: str = "") -> str:
    return f"/admin/points/pointssystem/{system.id}/change/{query}"


def make_levels(game: Game, count: int) -> list[Level]:
    return [
        create_checked(Level, system=game.xp, name=f"Level {n:02}", key=f"level-{n}", points=n) for n in range(count)
    ]


def act_in_tab(operator: Client, url: str, tab: str, action: str, *rows: Any) -> Any:
    """Run a bulk action of a tab and follow it to where it leads."""
    form = {"dataset": tab, "action": action, "_selected_action": [str(row.id) for row in rows]}
    return operator.post(url, form, follow=True)


def names_in(answer: Any) -> list[str]:
    """Return the names of the levels shown, in their order."""
    return re.findall(r"Level \d\d", text_of(answer))


def test_archiving_the_last_row_of_the_last_page_leads_to_the_page_before_it(operator: Client, game: Game) -> None:
    *_, last = make_levels(game, 41)
    url = url_of(game.xp, "?level-p=3")
    assert names_in(operator.get(url)) == ["Level 40"]
    done = act_in_tab(operator, url, "LevelsTab", "archive_selected", last)
    assert done.status_code == 200
    assert "1 archived." in text_of(done)
    assert names_in(done) == [f"Level {n:02}" for n in range(20, 40)]


@pytest.mark.parametrize(("number", "first"), [("99", 40), ("0", 0), ("-1", 0), ("x", 0), ("9" * 30, 40)])
def test_a_page_that_is_none_is_the_nearest_one(number: str, first: int, operator: Client, game: Game) -> None:
    make_levels(game, 41)
    shown = operator.get(url_of(game.xp, f"?level-p={number}"))
    assert shown.status_code == 200
    assert names_in(shown)[0] == f"Level {first:02}"


@pytest.mark.parametrize("model", ["pointstrigger", "boost", "level"])
def test_no_tab_fails_on_a_page_that_is_none(model: str, operator: Client, game: Game) -> None:
    for number in range(1, 22):
        game.trigger(number)
        create_boost(system=game.xp, name=f"Boost {number}", multiplier=Decimal(2), start=today())
    make_levels(game, 21)
    assert operator.get(url_of(game.xp, f"?{model}-p=99")).status_code == 200


def test_each_tab_is_sorted_by_itself_and_its_headers_stay_in_it(operator: Client, game: Game) -> None:
    make_levels(game, 3)
    for points in (5, 30, 20):
        game.trigger(points)
    headers = re.findall(r'href="(\?[^"]*-o=[^"]*)"', operator.get(url_of(game.xp)).content.decode())
    (down,) = {each for each in headers if each.startswith("?level-o=-2#")}
    assert down == "?level-o=-2#dataset-level"
    page = operator.get(url_of(game.xp, "?level-o=-2&pointstrigger-o=2"))
    text = text_of(page)
    assert names_in(page) == ["Level 02", "Level 01", "Level 00"]
    assert text.index("+5 ") < text.index("+20 ") < text.index("+30 ")
    both = "?level-o=2.-2"
    assert operator.get(url_of(game.xp, both)).status_code == 200
    for wrong in ("?level-o=x", "?level-o=99", "?level-o=", "?o=1"):
        assert names_in(operator.get(url_of(game.xp, wrong))) == ["Level 00", "Level 01", "Level 02"]


def test_another_order_begins_on_the_first_page_and_another_page_keeps_the_order(operator: Client, game: Game) -> None:
    make_levels(game, 41)
    page = operator.get(url_of(game.xp, "?level-o=-2&level-p=2")).content.decode()
    assert 'href="?level-o=2#dataset-level"' in page
    assert 'href="?level-o=-2&amp;level-p=3"' in page


def test_cancel_leads_back_to_the_tab_and_to_the_list_where_that_was_the_place(operator: Client, game: Game) -> None:
    boost = create_boost(system=game.xp, name="Double", multiplier=Decimal(2), start=today(), status="active")
    url = url_of(game.xp, "?boost-o=1")
    asked = act_in_tab(operator, url, "BoostsTab", "finish_selected", boost).content.decode()
    assert f'<a href="{url}#dataset-boost"' in asked
    assert f'action="{url}#dataset-boost"' in asked
    form = {"action": "finish_selected", "_selected_action": str(boost.id)}
    assert '<a href="/admin/boosts/boost/"' in operator.post("/admin/boosts/boost/", form).content.decode()


def test_a_tab_offers_no_restoring_because_it_lists_nothing_archived(operator: Client, game: Game) -> None:
    game.trigger(5)
    make_levels(game, 1)
    create_boost(system=game.xp, name="Double", multiplier=Decimal(2), start=today())
    page = operator.get(url_of(game.xp)).content.decode()
    assert 'value="archive_selected"' in page
    assert "restore_selected" not in page


def test_the_rows_of_a_tab_offer_the_actions_that_fit_them(operator: Client, game: Game) -> None:
    trigger = game.trigger(5)
    boost = create_boost(system=game.xp, name="Double", multiplier=Decimal(2), start=today())
    (level,) = make_levels(game, 1)
    page = operator.get(url_of(game.xp)).content.decode()
    for path in (
        f"points/pointstrigger/{trigger.id}/deactivate_one/",
        f"boosts/boost/{boost.id}/activate_one/",
        f"levels/level/{level.id}/archive_one/",
    ):
        assert f'hx-get="/admin/{path}"' in page
    assert f"{trigger.id}/activate_one/" not in page
    assert f"{boost.id}/finish_one/" not in page


def test_an_action_on_a_row_of_a_tab_reads_the_tab_anew(operator: Client, game: Game) -> None:
    boost = create_boost(system=game.xp, name="Double", multiplier=Decimal(2), start=today())
    url, answer = f"/admin/boosts/boost/{boost.id}/activate_one/", {"_form_submitted": "True"}
    here = f"http://testserver{url_of(game.xp)}"
    in_tab = operator.post(url, answer, headers={"HX-Current-URL": f"{here}#dataset-boost"})
    assert (in_tab["HX-Refresh"], "HX-Redirect" in in_tab) == ("true", False)
    assert Boost.objects.get().status == "active"
    elsewhere = operator.post(url, answer, headers={"HX-Current-URL": here})
    assert (elsewhere["HX-Redirect"], "HX-Refresh" in elsewhere) == (here, False)


def test_an_action_of_a_tab_of_a_system_that_is_none_answers_no_error(operator: Client, game: Game) -> None:
    game.trigger(5)
    trigger = PointsTrigger.objects.get()
    answer = act_in_tab(operator, "/admin/points/pointssystem/x/change/", "TriggersTab", "archive_selected", trigger)
    assert answer.status_code == 200
    trigger.refresh_from_db()
    assert trigger.status == "active"
