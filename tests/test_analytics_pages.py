"""The home page and the Analytics tab: what operators see of the roll-up, for which days, and as a file."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analytics import reports
from analytics.models import RollUpProgress
from analytics.rollup import roll_up
from boosts.models import Boost
from boosts.services import create_boost
from engine.inputs import AdjustInput, EventInput
from engine.pipeline import process
from points.rules import Adjustment
from streaks.rules import Frequency
from tests.conftest import Api, Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of
from tests.test_summaries import add_level
from users.rules import UserChanges

TODAY = date(2026, 3, 20)
"""A Friday."""


@pytest.fixture(autouse=True)
def now() -> Any:
    """Friday 20 March 2026, noon in UTC."""
    with time_machine.travel(datetime(2026, 3, 20, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def study(game: Game) -> Game:
    """Each lesson pays 10 XP, each flashcard takes 1; levels from 0 and 100."""
    game.trigger(points=10)
    game.trigger(points=-1, metric=game.flashcards)
    add_level(game, 0)
    add_level(game, 100)
    return game


def study_on(day: date, user: str, value: int, metric: str = "lessons") -> None:
    """Report on the morning of a day."""
    at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    process([EventInput(UserChanges(user), metric, Decimal(value), at=at)], clock=lambda: at)


def days_ago(count: int) -> date:
    return TODAY - timedelta(days=count)


def url_of(game: Game, query: str = "") -> str:
    return reverse("admin:points_pointssystem_analytics", args=(game.xp.id,)) + query


def table_of(operator: Client, address: str, panel: str) -> list[list[str]]:
    """Return the table of a panel as its file has it, without the headers."""
    separator = "&" if "?" in address else "?"
    answer: Any = operator.get(f"{address}{separator}csv={panel}")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))[1:]


# --- The tab ---------------------------------------------------------------------------------------------------------
def test_an_event_shows_at_once_in_the_tab(operator: Client, api: Api, study: Game) -> None:
    roll_up()
    assert "0 awarded" not in text_of(operator.get(url_of(study)))
    api.event("alice", 4)
    page = text_of(operator.get(url_of(study)))
    assert "Points awarded 40" in page
    assert table_of(operator, url_of(study), "points")[-1] == ["2026-03-20", "40", "0", "0", "40", "40", "0"]


def test_the_sums_are_compared_with_those_of_as_many_days_before(operator: Client, study: Game) -> None:
    study_on(days_ago(10), "alice", 4)
    study_on(days_ago(3), "alice", 6)
    study_on(days_ago(2), "alice", 15, "flashcards")
    roll_up()
    page = text_of(operator.get(url_of(study, "?days=7")))
    assert "2026-03-14 to 2026-03-20, compared with 2026-03-07 to 2026-03-13" in page
    assert "Points awarded 60 +50 % vs the 7 days before" in page
    assert "Points deducted 15 None in the 7 days before" in page
    points = table_of(operator, url_of(study, "?days=7"), "points")
    assert [row[0] for row in points] == [str(days_ago(count)) for count in range(6, -1, -1)]
    assert points[3] == ["2026-03-17", "60", "0", "0", "60", "60", "40"]
    assert points[4] == ["2026-03-18", "0", "15", "0", "-15", "60", "0"]


def test_points_are_told_by_type_and_trigger_with_their_shares(operator: Client, study: Game) -> None:
    study.creation_trigger(points=20)
    study_on(days_ago(1), "alice", 6)
    study_on(days_ago(1), "alice", 20, "flashcards")
    roll_up()
    types = table_of(operator, url_of(study), "types")
    assert types == [["Metric", "2", "60", "20", "0", "80", ""], ["User creation", "1", "20", "0", "0", "20", ""]]
    names = [row[:2] for row in table_of(operator, url_of(study), "triggers")]
    assert names[0] == ["'+10 · Lessons completed: every 1", "1"]
    assert len(names) == 3


def adjust_on(day: date, user: str, *points: int) -> None:
    moment = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=9)
    for each in points:
        adjustment = AdjustInput(UserChanges(user), "xp", Adjustment(each, "Goodwill", "maria"))
        process([adjustment], clock=lambda: moment)


def test_adjustments_and_their_reversals_are_a_line_of_their_own_in_every_figure(operator: Client, study: Game) -> None:
    study_on(days_ago(2), "alice", 3)
    adjust_on(days_ago(1), "alice", 250, -250)
    adjust_on(days_ago(0), "alice", 7)
    roll_up()
    home = text_of(operator.get("/admin/?days=7"))
    for words in ("XP awarded 30", "XP spent 0", "XP adjusted +7 257 given and 250 taken by operators"):
        assert words in home
    answer = operator.get(url_of(study, "?days=7"))
    assert "30 awarded, 0 deducted and +7 adjusted in all." in answer.content.decode()
    tab = text_of(answer)
    for words in (
        "Points awarded 30",
        "Points deducted 0",
        "Points adjusted +7 257 given and 250 taken",
        "Net change 37",
    ):
        assert words in tab
    points = table_of(operator, url_of(study, "?days=7"), "points")
    assert [row[1:6] for row in points[-3:]] == [
        ["30", "0", "0", "30", "30"],
        ["0", "0", "0", "0", "30"],
        ["0", "0", "7", "7", "30"],
    ]
    assert [row[:6] for row in table_of(operator, url_of(study), "types")] == [
        ["Metric", "1", "30", "0", "0", "100"],
        ["Adjustment", "3", "0", "0", "7", ""],
    ]
    assert table_of(operator, url_of(study), "triggers")[-1][:6] == ["Adjustment", "3", "0", "0", "7", ""]
    assert [row[2:] for row in table_of(operator, url_of(study), "top-users")] == [["30", "37"]]
    assert table_of(operator, url_of(study), "earned") == [["20 to 49", "1", "100.0"]]


def test_users_are_counted_by_what_they_earned(operator: Client, study: Game) -> None:
    study_on(days_ago(40), "alice", 100)
    study_on(days_ago(1), "bob", 1)
    study_on(days_ago(1), "charlie", 3)
    roll_up()
    assert [row[:2] for row in table_of(operator, url_of(study), "earned")] == [
        ["10 to 19", "1"],
        ["20 to 49", "1"],
        ["50 to 99", "0"],
        ["100 to 199", "0"],
        ["200 to 499", "0"],
        ["500 to 999", "0"],
        ["1,000 to 1,999", "1"],
    ]
    assert [row[0] for row in table_of(operator, url_of(study), "top-users")] == ["alice", "charlie", "bob"]
    page = text_of(operator.get(url_of(study)))
    assert "Users 3 Mean 346.7 Median 30" in page


def test_the_first_days_are_told_by_the_week_of_sign_up(operator: Client, study: Game) -> None:
    study_on(date(2026, 2, 23), "alice", 5)
    study_on(date(2026, 3, 20), "alice", 50)
    study_on(date(2026, 2, 25), "bob", 1)
    study_on(date(2026, 2, 25), "charlie", 5, "flashcards")
    study_on(date(2026, 3, 20), "dave", 2)
    roll_up()
    cohorts = table_of(operator, url_of(study), "cohorts")
    assert cohorts == [
        ["2026-02-23", "3", "2", "20.0", "10"],
        ["2026-03-16 (still running)", "1", "1", "20.0", "20"],
    ]
    first_days = table_of(operator, url_of(study), "first-days")
    assert [row[:2] for row in first_days] == [["0", "1"], ["10 to 19", "1"], ["20 to 49", "1"], ["50 to 99", "1"]]


def test_the_funnel_tells_how_many_reached_a_level_and_how_long_half_took(operator: Client, study: Game) -> None:
    for user in ("alice", "bob", "charlie", "dave"):
        study_on(days_ago(10), user, 1)
    for user, count in (("alice", 8), ("bob", 7), ("charlie", 6)):
        study_on(days_ago(count), user, 20)
    roll_up()
    assert table_of(operator, url_of(study), "levels") == [
        ["Level 0", "0", "4", "100.0", "100.0", "0 min"],
        ["Level 100", "100", "3", "75.0", "75.0", "3.0 days"],
    ]


def test_a_boost_is_shown_with_and_without(operator: Client, study: Game) -> None:
    boost = create_boost(system=study.xp, name="Double", multiplier=Decimal(2), start=TODAY, status="active")
    Boost.objects.filter(id=boost.id).update(activated=datetime(2026, 3, 1, tzinfo=UTC))
    study_on(TODAY, "alice", 3)
    roll_up()
    assert table_of(operator, url_of(study), "boosts") == [["Double", "x2", "1", "60", "30", "30"]]


def test_a_tab_without_anything_says_what_to_do(operator: Client, game: Game) -> None:
    roll_up()
    page = text_of(operator.get(url_of(game)))
    assert page.count("No points moved in these days.") == 3
    for hint in ("Nobody earned points yet.", "No level yet", "No boost multiplied anything"):
        assert hint in page
    assert "<canvas" not in operator.get(url_of(game)).content.decode()


def test_every_chart_has_a_table_a_name_and_a_file(operator: Client, study: Game) -> None:
    study_on(days_ago(1), "alice", 20)
    boost = create_boost(system=study.xp, name="Double", multiplier=Decimal(2), start=TODAY, status="active")
    Boost.objects.filter(id=boost.id).update(activated=datetime(2026, 3, 1, tzinfo=UTC))
    study_on(TODAY, "alice", 20)
    roll_up()
    page = operator.get(url_of(study, "?from=2026-03-01&to=2026-03-20")).content.decode()
    panels = re.findall(r'<section id="([a-z-]+)" aria-labelledby="\1-title".*?</section>', page, re.DOTALL)
    assert len(panels) == 9
    assert page.count("<canvas") == page.count('role="img" aria-label="') == page.count("<details>") == 8
    assert page.count('<th scope="row"') > 20
    for panel in panels:
        assert f'href="?from=2026-03-01&amp;to=2026-03-20&amp;csv={panel}"' in page
        assert table_of(operator, url_of(study, "?from=2026-03-01&to=2026-03-20"), panel)


# --- Which days ------------------------------------------------------------------------------------------------------
BAD_PERIODS = {
    "?days=8": "Days must be one of 7, 30, 90.",
    "?days=x": "Days must be one of 7, 30, 90.",
    "?from=2026-03-01": "To must be a date such as 2026-03-20.",
    "?from=yesterday&to=2026-03-02": "From must be a date such as 2026-03-20.",
    "?from=2026-03-05&to=2026-03-02": "From must not be after to.",
    "?from=2026-03-05&to=2026-03-21": "To must not be after today, 2026-03-20 in UTC.",
    "?from=2025-01-01&to=2026-03-20": "From must be at most 400 days before to.",
    "?from=0001-01-01&to=0001-01-02": "From must be at most 400 days before to.",
    "?from=9999-01-01&to=9999-12-31": "To must not be after today, 2026-03-20 in UTC.",
}


@pytest.mark.parametrize("query", BAD_PERIODS)
def test_a_period_that_is_none_is_named_and_the_last_30_days_are_shown(
    query: str, operator: Client, study: Game
) -> None:
    for address in (url_of(study, query), f"/admin/{query}"):
        page = operator.get(address)
        assert page.status_code == 200
        assert f"{BAD_PERIODS[query]} The last 30 days are shown. 7 days" in text_of(page)
        assert "2026-02-19 to 2026-03-20" in text_of(page)


def test_a_year_is_told_by_weeks(operator: Client, study: Game) -> None:
    study_on(date(2025, 12, 31), "alice", 1)
    study_on(date(2026, 1, 1), "alice", 2)
    roll_up()
    rows = table_of(operator, url_of(study, "?from=2025-03-21&to=2026-03-20"), "points")
    assert rows[0][0] == "2025-03-17"
    assert ["2025-12-29", "30", "0", "0", "30", "30", "0"] in rows
    assert len(rows) == 53


# --- Who may look ----------------------------------------------------------------------------------------------------
def with_permissions(*names: str) -> Client:
    """Return the client of an operator who has only these permissions."""
    user = User.objects.create_user("viktor", is_staff=True)
    for name in names:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(user)
    return client


def test_the_tab_needs_the_permission_to_view_points_systems(study: Game) -> None:
    assert with_permissions("points.view_pointstrigger").get(url_of(study)).status_code == 403
    assert Client().get(url_of(study)).status_code == 302


def test_who_may_only_look_sees_the_tab(study: Game) -> None:
    viewer = with_permissions("points.view_pointssystem")
    assert viewer.get(url_of(study)).status_code == 200
    assert f'href="{url_of(study)}"' in viewer.get(f"/admin/points/pointssystem/{study.xp.id}/change/").content.decode()


def test_the_home_page_shows_only_what_the_operator_may_look_at(api: Api, study: Game) -> None:
    api.event({"id": "alice", "name": "Alice Adeyemi"}, 5)
    roll_up()
    page = text_of(with_permissions("points.view_pointssystem").get("/admin/"))
    assert "XP awarded 50" in page
    for hidden in ("Active users", "Alice Adeyemi", "Boosts that run", "Event queue", "endpoints failing"):
        assert hidden not in page
    User.objects.all().delete()
    assert "Events" not in text_of(with_permissions("metrics.view_metric").get("/admin/"))
    User.objects.all().delete()
    assert with_permissions("metrics.view_metric").get("/admin/activity.csv").status_code == 403


def test_no_page_is_there_for_a_system_that_is_not(operator: Client, study: Game) -> None:
    address = url_of(study).replace(str(study.xp.id), str(study.lessons.id))
    assert operator.get(address).status_code == 404
    assert operator.get(url_of(study, "?csv=nothing")).status_code == 404


# --- The home page ---------------------------------------------------------------------------------------------------
def test_the_home_page_tells_how_the_product_is_used(operator: Client, study: Game) -> None:
    study_on(date(2026, 2, 3), "alice", 1)  # in the same days of last month
    study_on(date(2026, 2, 27), "dave", 1)  # later in last month
    study_on(date(2026, 3, 9), "alice", 2)  # the same days of last week
    study_on(date(2026, 3, 14), "eve", 2)  # Saturday of last week
    study_on(date(2026, 3, 17), "bob", 3)
    study_on(date(2026, 3, 19), "bob", 3)
    study_on(date(2026, 3, 19), "charlie", 3)
    study_on(date(2026, 3, 20), "charlie", 3)
    page = text_of(operator.get("/admin/?days=30"))
    roll_up()
    page = text_of(operator.get("/admin/?days=30"))
    assert "Events 7 +600 % vs the 30 days before" in page
    assert "Active users today 1 -50 % vs yesterday" in page
    assert "Active users this week 2 +100 % vs the same days of last week" in page
    assert "Active users this month 4 +300 % vs the same days of last month" in page
    assert "XP awarded 170" in page
    assert "XP spent 0" in page
    assert table_of(operator, "/admin/activity.csv?days=7", "activity")[-2:] == [
        ["2026-03-19", "2", "2"],
        ["2026-03-20", "1", "1"],
    ]


def test_the_home_page_shows_top_users_of_the_system_that_is_asked_for(operator: Client, study: Game) -> None:
    study.creation_trigger(points=7, system=study.energy)
    study_on(days_ago(2), "alice", 1)
    study_on(days_ago(1), "bob", 5)
    roll_up()
    page = text_of(operator.get("/admin/"))
    assert "Most XP earned" in page
    assert page.index("bob") < page.index("alice")
    assert "Most Energy earned" in text_of(operator.get("/admin/?system=energy&days=7"))
    assert "Most XP earned" in text_of(operator.get("/admin/?system=nothing"))


def test_the_home_page_shows_boosts_that_run_or_come_and_health(operator: Client, study: Game) -> None:
    for name, start, end in (("Past", -9, -5), ("Running", -2, 3), ("Coming", 5, 9)):
        days = {"start": TODAY + timedelta(days=start), "end": TODAY + timedelta(days=end)}
        boost = create_boost(system=study.xp, name=name, multiplier=Decimal(3), status="active", **days)  # type: ignore[arg-type]
        assert boost.name == name
    page = text_of(operator.get("/admin/"))
    assert "Running Running x3 XP, until 2026-03-23 Scheduled Coming x3 XP, from 2026-03-25, until 2026-03-29" in page
    assert "Past" not in page
    assert "Well Event queue 0 waiting, 0 failed Well Webhooks 0 waiting, 0 endpoints failing" in page


def test_without_events_the_home_page_says_how_to_begin(operator: Client, db: None) -> None:
    page = text_of(operator.get("/admin/"))
    for link in ("Add a metric", "Add a points system", "Add a trigger", "/v1/metrics/YOUR-METRIC/event"):
        assert link in page


def test_the_first_steps_that_are_done_are_ticked_and_gone_after_the_first_event(
    operator: Client, api: Api, game: Game
) -> None:
    page = text_of(operator.get("/admin/"))
    assert "Add a metric" not in page
    assert "Add a trigger" in page
    assert "/v1/metrics/lessons/event" in page
    game.trigger(points=1)
    api.event("alice", 1)
    roll_up()
    for days in ("", "?from=2026-01-01&to=2026-01-02"):
        assert "first-steps" not in operator.get(f"/admin/{days}").content.decode()
    assert "No event in these days." in text_of(operator.get("/admin/?from=2026-01-01&to=2026-01-02"))


def test_while_the_first_roll_up_is_under_way_the_pages_say_so(operator: Client, api: Api, study: Game) -> None:
    api.event("alice", 1)
    for address in ("/admin/", url_of(study)):
        assert "The first roll-up of what was recorded is under way" in text_of(operator.get(address))
    roll_up()
    assert RollUpProgress.objects.get(walk="sweep").completed is not None
    for address in ("/admin/", url_of(study)):
        assert "under way" not in text_of(operator.get(address))


# --- How much it asks of the database --------------------------------------------------------------------------------
def queries_of(operator: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert operator.get(address).status_code == 200
    return len(captured)


def test_the_number_of_queries_does_not_grow_with_what_is_there(operator: Client, study: Game) -> None:
    study_on(days_ago(1), "alice", 20)
    roll_up()
    addresses = (url_of(study, "?days=90"), "/admin/?days=90")
    few = [queries_of(operator, address) for address in addresses]
    for number in range(2, 12):
        study.trigger(points=number, every=number)
        add_level(study, 100 * number)
        boost = create_boost(system=study.xp, name=f"{number}", multiplier=Decimal(number), start=days_ago(30))
        Boost.objects.filter(id=boost.id).update(status="active", activated=datetime(2026, 1, 1, tzinfo=UTC))
    for number in range(30):
        study_on(days_ago(30 - number), f"user-{number}", number + 1)
    roll_up()
    assert [queries_of(operator, address) for address in addresses] == few


@pytest.mark.parametrize("today", [date(2026, 3, 31), date(2026, 3, 1), date(2026, 1, 1), date(2026, 3, 2)])
def test_active_users_are_those_with_an_event_on_one_of_the_days(today: date, study: Game) -> None:
    users = {
        f"user-{number}": {today - timedelta(days=(number * 7 + step * number) % 75) for step in range(number % 5 + 1)}
        for number in range(40)
    }
    for user, days in users.items():
        for day in sorted(days):
            study_on(day, user, 1)
    roll_up()
    found = reports.active_users(today)
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    last_month = (first - timedelta(days=1)).replace(day=1)

    def active(start: date, end: date) -> int:
        return sum(any(start <= day <= end for day in days) for days in users.values())

    by_then = min(last_month + (today - first), first - timedelta(days=1))
    assert (found[Frequency.DAILY].now, found[Frequency.DAILY].before) == (
        active(today, today),
        active(*[today - timedelta(days=1)] * 2),
    )
    assert found[Frequency.WEEKLY].now == active(monday, today)
    assert found[Frequency.WEEKLY].before == active(monday - timedelta(days=7), today - timedelta(days=7))
    assert (found[Frequency.MONTHLY].now, found[Frequency.MONTHLY].before) == (
        active(first, today),
        active(last_month, by_then),
    )
