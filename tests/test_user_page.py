"""A user's page in the admin: what it shows, its ledger page by page, each award explained; searching for users."""

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

from achievements.services import create_achievement
from boosts.services import create_boost
from core.form_fields import DAY
from engine.inputs import AdjustInput, EventInput, Input, OpeningInput
from engine.pipeline import process
from engine.tick import pay_due_ticks
from levels.services import create_level
from points.models import PointsAward, PointsSystem, PointsTrigger
from points.rules import Adjustment, Rounding
from tests.conftest import Api, Game
from tests.test_admin import text_of
from users.models import EndUser
from users.rules import UserChanges

ALICE = UserChanges("alice", tz="Asia/Tokyo")
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def send(*inputs: Input, at: datetime = NOON) -> None:
    process(inputs, clock=lambda: at)


def lesson(value: Any = 1, *, key: str | None = None, **attributes: str) -> EventInput:
    return EventInput(ALICE, "lessons", Decimal(value), attributes, idempotency_key=key)


def user_page(user: str = "alice") -> str:
    return f"/admin/users/enduser/{EndUser.objects.get(external_id=user).id}/"


def award_page(award: PointsAward | None = None) -> str:
    award = award or PointsAward.objects.latest("created", "seq")
    return f"/admin/users/enduser/{award.user_id}/awards/{award.id}/"


def explained(operator: Client, award: PointsAward | None = None) -> str:
    return text_of(operator.get(award_page(award)))


# --- The page --------------------------------------------------------------------------------------------------------
def test_the_page_shows_the_profile_levels_streak_achievements_and_metrics(operator: Client, game: Game) -> None:
    create_level(system=game.xp, key="novice", name="Novice", points=0)
    create_level(system=game.xp, key="adept", name="Adept", points=100)
    create_achievement(name="Bookworm", type="metric", metric=game.lessons, metric_value=20, status="active")
    create_achievement(name="First steps", type="metric", metric=game.lessons, metric_value=1, status="active")
    game.trigger(points=10)
    changes = UserChanges("alice", name="Alice", tz="Asia/Tokyo", attributes={"plan": "pro"})
    send(EventInput(changes, "lessons", Decimal(4)), at=NOON - timedelta(days=1))
    send(lesson("0.5"))

    with time_machine.travel(NOON, tick=False):
        page = text_of(operator.get(f"{user_page()}change/"))

    for words in (
        "Asia/Tokyo, where it is 2026-06-15 21:00",
        "Plan pro",
        "Level Novice, Adept from 100",
        "60 to Adept",
        "2 days in a row since 2026-06-14",
        "Longest: 2 days",
        "2 of the last 182 days counted",
        "First steps 2026-06-14 12:00 UTC",
        "Bookworm 4.5 of 20 Lessons completed",
        "Lessons completed 4.5 4.5",
    ):
        assert words in page, words


def test_a_user_of_whom_nothing_is_known_gets_a_page_that_says_what_comes_next(operator: Client, api: Api) -> None:
    api.send("POST", "/v1/users", {"id": "alice"})
    page = text_of(operator.get(f"{user_page()}change/"))
    for words in ("No points yet.", "No running streak.", "Set attributes up", "Nothing measured yet.", "No line yet."):
        assert words in page, words


def test_the_calendar_has_weeks_and_months_where_streaks_have(operator: Client, api: Api, game: Game) -> None:
    for frequency, words in (("weekly", "1 of the last 26 weeks"), ("monthly", "1 of the last 6 months")):
        api.send("PATCH", "/admin-api/v1/streaks/settings", {"frequency": frequency})
        api.event("alice", 1)
        assert words in text_of(operator.get(f"{user_page()}change/"))


def queries_of(operator: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert operator.get(address).status_code == 200
    return len(captured)


def test_each_page_asks_as_much_for_many_lines_as_for_few(operator: Client, game: Game) -> None:
    game.trigger(points=10)
    create_boost(system=game.xp, name="Double", multiplier=2, start=date(2026, 1, 1), status="active")
    send(lesson(), AdjustInput(ALICE, "energy", Adjustment(1, "Sorry", "maria")))
    page = user_page()

    def counts() -> list[int]:
        award = award_page(PointsAward.objects.filter(cause="metric").latest("seq"))
        addresses = (f"{page}change/", f"{page}change/?system=xp&cause=metric", award)
        return [queries_of(operator, address) for address in addresses]

    counts()  # what is read once in a process
    few = counts()
    send(*[lesson() for _ in range(60)], *[AdjustInput(ALICE, "xp", Adjustment(1, "Sorry", "maria")) for _ in range(9)])
    assert counts() == few
    assert max(few) <= 32


# --- The ledger ------------------------------------------------------------------------------------------------------
def lines_of(page: Any) -> list[int]:
    """Return the numbers of the lines that a page of the ledger shows."""
    found = re.findall(r"Explain line ([0-9,]+):", page.content.decode())
    return [int(each.replace(",", "")) for each in found]


def link(page: Any, name: str) -> str:
    """Return where a link of the page leads to, without the place on the page."""
    found = re.search(rf'href="([^"]*)"[^>]*>{name}<', page.content.decode())
    assert found, name
    return found[1].replace("&amp;", "&").partition("#")[0]


@pytest.mark.parametrize("chosen", ["?system=xp", "?system=xp&cause=metric", ""])
def test_the_ledger_is_paged_from_line_to_line_and_back(chosen: str, operator: Client, game: Game) -> None:
    game.trigger(points=2)
    send(*[lesson() for _ in range(60)])
    address = f"{user_page()}change/"

    newest = operator.get(address + chosen)
    older = operator.get(address + link(newest, "Older →"))
    oldest = operator.get(address + link(older, "Older →"))

    assert [lines_of(page) for page in (newest, older, oldest)] == [
        [*range(60, 35, -1)],
        [*range(35, 10, -1)],
        [*range(10, 0, -1)],
    ]
    assert "Older →" not in oldest.content.decode()
    assert "← Newer" not in newest.content.decode()
    assert lines_of(operator.get(address + link(oldest, "← Newer"))) == [*range(35, 10, -1)]
    assert lines_of(operator.get(address + link(older, "← Newer"))) == [*range(60, 35, -1)]
    assert all(part in link(older, "Older →") for part in chosen.removeprefix("?").split("&"))


def test_lines_of_several_systems_at_one_moment_are_on_one_page_each(operator: Client, game: Game) -> None:
    game.trigger(points=1)
    game.trigger(points=1, system=game.energy)
    PointsSystem.objects.filter(id=game.energy.id).update(max_points=None)
    send(*[lesson() for _ in range(20)])
    PointsAward.objects.update(created=NOON)
    address = f"{user_page()}change/"

    newest = operator.get(address)
    older = operator.get(address + link(newest, "Older →"))

    assert sorted(lines_of(newest) + lines_of(older)) == sorted([*range(1, 21)] * 2)


def test_the_ledger_is_filtered_by_system_cause_and_days_and_so_is_its_file(operator: Client, game: Game) -> None:
    game.trigger(points=10)
    for day in range(4):
        send(lesson(), at=NOON + timedelta(days=day))
    send(AdjustInput(ALICE, "xp", Adjustment(5, "=Sorry", "maria")), at=NOON + timedelta(days=4))
    send(AdjustInput(ALICE, "energy", Adjustment(5, "Sorry", "maria")), at=NOON + timedelta(days=4))
    address = f"{user_page()}change/"

    for query, expected in {
        "?system=xp": [5, 4, 3, 2, 1],
        "?system=xp&since=2026-06-16&until=2026-06-17": [3, 2],
        "?system=xp&cause=adjustment": [5],
        "?cause=adjustment&until=2026-06-18": [],
        "?system=energy": [1],
    }.items():
        page = operator.get(address + query)
        assert lines_of(page) == expected, query
        if expected:
            file: Any = operator.get(link(page, "Download what is filtered as CSV"))
            rows = list(csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"))))
            assert [int(row[2]) for row in rows[1:]] == expected[::-1]
    assert "No line passes this filter." in text_of(operator.get(f"{address}?cause=time"))
    everything: Any = operator.get(f"{user_page()}ledger/")
    assert "'=Sorry" in everything.getvalue().decode("utf-8-sig")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?since=yesterday", DAY),
        ("?since=2026-06-16&until=2026-06-15", "To must not be before From."),
        ("?system=gold", "Select a valid choice."),
        ("?cause=luck", "Select a valid choice."),
        ("?before=1", "before: Enter a valid UUID."),
    ],
)
def test_a_filter_that_cannot_be_is_said_to_be_wrong(query: str, words: str, operator: Client, game: Game) -> None:
    game.trigger(points=10)
    send(lesson())
    assert words in text_of(operator.get(f"{user_page()}change/{query}"))
    assert words in text_of(operator.get(f"{user_page()}ledger/{query}", follow=True))


# --- Awards explained ------------------------------------------------------------------------------------------------
def test_a_metric_s_award_is_explained_to_the_last_step(operator: Client, game: Game) -> None:
    game.trigger(points=7, every=5)
    send(lesson(4), AdjustInput(ALICE, "xp", Adjustment(100, "Gift", "maria")))
    send(lesson("11.5", key="order-7", category="listening"))

    page = explained(operator)

    for words in (
        "Event +11.5 Lessons completed",
        "category = listening",
        "Idempotency key order-7",
        "2026-06-15 12:00:00 UTC",
        "2026-06-15 21:00:00 Asia/Tokyo",
        "rose from 4 to 15.5. The trigger fires at every 5: passed 5, 10, 15. x3",
        "7 points each time x 3. +21",
    ):
        assert words in page, words
    assert "+21 Balance 100 before + 21. 121" in page


def test_boosts_their_rounding_and_the_maximum_are_steps(operator: Client, game: Game) -> None:
    game.trigger(points=3, every=1, system=game.energy)
    with time_machine.travel(NOON - timedelta(days=1)):
        for name, multiplier, rounding in (("Weekend", "1.5", Rounding.UP), ("Spring", "1.1", Rounding.DOWN)):
            fields: dict[str, Any] = {"name": name, "multiplier": Decimal(multiplier), "rounding": rounding}
            create_boost(system=game.energy, start=date(2026, 6, 1), status="active", **fields)
    send(lesson())
    page = explained(operator)
    assert "Weekend, from 2026-06-01 on by the user's calendar; asks to be rounded up. x1.5" in page
    assert "3 x 1.5 x 1.1 = 4.95, rounded down once. The boosts disagree, and the strictest wins" in page
    assert "Balance 0 before + 4. 4" in page

    send(lesson(5))
    page = explained(operator)
    assert "15 x 1.5 x 1.1 = 24.75" in page
    assert "The user had 4, and Energy stops at the maximum of 10: there was room for 6. +6" in page


def test_a_filtered_trigger_is_explained_by_the_events_that_match_and_an_opening_is_named(
    operator: Client, api: Api, game: Game
) -> None:
    game.trigger(points=5, every=2, event_filters=[(game.category, "listening")])
    game.trigger(points=1, every=10)
    api.send("POST", "/v1/users", {"id": "alice"})
    send(OpeningInput(UserChanges("alice"), "lessons", Decimal(8)))
    send(lesson(1, category="grammar"), lesson(2, category="listening"), at=NOON + timedelta(hours=1))

    filtered, unfiltered = (explained(operator, award) for award in PointsAward.objects.order_by("seq"))

    assert "of events with category = listening rose from 0 to 2." in filtered
    assert (
        "rose from 9 to 11, of which 8 is the opening balance. The trigger fires at every 10: passed 10." in unfiltered
    )


def test_a_deduction_that_stopped_at_0_says_so(operator: Client, game: Game) -> None:
    game.trigger(points=-5, every=1)
    send(AdjustInput(ALICE, "xp", Adjustment(3, "Gift", "maria"))) if False else None
    send(lesson(0))
    send(AdjustInput(UserChanges("alice"), "xp", Adjustment(3, "Gift", "maria")), lesson(1))
    page = explained(operator, PointsAward.objects.get(cause="metric"))
    assert "The user had 3, and a balance is never below 0: no more could be taken. -3" in page
    assert "Balance 3 before - 3. 0" in page


def test_streaks_achievements_new_users_and_time_are_explained(operator: Client, api: Api, game: Game) -> None:
    none: dict[str, Any] = {"metric": None, "metric_threshold": None}
    goal = create_achievement(name="Bookworm", type="metric", metric=game.lessons, metric_value=2, status="active")
    game.creation_trigger(1)
    game.trigger(2, type="streak", streak_length=2, **none)
    game.trigger(3, type="achievement", achievement=goal, **none)
    send(lesson())
    send(lesson(), at=NOON + timedelta(days=1))
    words = {
        "user_creation": "First made known on 2026-06-15 12:00:00 UTC",
        "streak": "2026-06-16 made it 2 days in a row. The trigger fires at every 2.",
        "achievement": "Bookworm was completed, which happens once.",
    }
    assert sorted(PointsAward.objects.values_list("cause", flat=True)) == sorted(words)
    for award in PointsAward.objects.all():
        assert words[award.cause] in explained(operator, award)


def test_a_time_trigger_s_award_names_when_it_was_due(operator: Client, game: Game) -> None:
    none: dict[str, Any] = {"metric": None, "metric_threshold": None}
    with time_machine.travel(NOON):
        game.trigger(4, type="time", time_unit="hour", time_interval=1, **none)
    send(lesson())
    due = PointsTrigger.objects.get().counts_from
    assert due is not None
    due += timedelta(hours=1)
    pay_due_ticks(due + timedelta(seconds=5), clock=lambda: due + timedelta(seconds=6))
    page = explained(operator)
    assert f"Due at {due:%Y-%m-%d %H:%M:%S} UTC" in page
    assert "4 points each time x 1. +4" in page


def test_an_award_is_found_only_under_its_own_user_and_by_who_may_look(operator: Client, api: Api, game: Game) -> None:
    game.trigger(points=10)
    api.event("alice")
    api.event("bob")
    award = PointsAward.objects.get(user__external_id="alice")
    assert (
        operator.get(award_page(award).replace(str(award.user_id), user_page("bob").split("/")[-2])).status_code == 404
    )
    stranger = Client()
    stranger.force_login(User.objects.create_user("sam", is_staff=True))
    for address in (award_page(award), f"{user_page()}ledger/"):
        assert stranger.get(address).status_code == 403
    stranger.force_login(User.objects.create_user("vera", is_staff=True))
    User.objects.get(username="vera").user_permissions.add(Permission.objects.get(codename="view_enduser"))
    assert stranger.get(award_page(award)).status_code == 200


# --- Searching -------------------------------------------------------------------------------------------------------
def found(operator: Client, term: str) -> list[str]:
    page = operator.get("/admin/users/enduser/", {"q": term})
    assert page.status_code == 200
    return sorted(re.findall(r"<span title='([^']*)'>", page.content.decode()))


def test_users_are_found_by_the_beginning_of_id_email_or_name_whatever_the_case(operator: Client, api: Api) -> None:
    for id_, name, email in (
        ("Learner-1", "Zoé Ñandú", "zoe@example.com"),
        ("learner-2", "Bob", "Learned@example.com"),
        ("x_1", "100% Real", None),
        ("x-1", None, None),
    ):
        api.send("POST", "/v1/users", {"id": id_, "name": name, "email": email})
    assert found(operator, "LEARNER") == ["Learner-1", "learner-2"]
    assert found(operator, "learned@") == ["learner-2"]
    assert found(operator, "zoé ñ") == ["Learner-1"]
    assert found(operator, "earner") == []
    assert found(operator, "x_") == ["x_1"]
    assert found(operator, "100%") == ["x_1"]
    assert found(operator, "%") == []
    assert found(operator, str(EndUser.objects.get(external_id="x-1").id)) == ["x-1"]


def test_each_search_uses_an_index_in_the_order_of_what_it_looks_for(operator: Client, api: Api) -> None:
    api.send("POST", "/v1/users", {"id": "alice", "name": "Alice", "email": "alice@example.com"})
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as captured:
        assert found(operator, "ali") == ["alice"]
    statement = next(query["sql"] for query in captured if "UNION" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        plan = " ".join(line for (line,) in cursor.fetchall())
    for column in ("id", "email", "name"):
        assert f"users_enduser_search_{column}" in plan, plan
    assert "Index Cond" in plan


def test_the_list_ends_after_its_first_pages(operator: Client, api: Api) -> None:
    assert operator.get("/admin/users/enduser/?p=100").status_code == 200
    assert operator.get("/admin/users/enduser/?p=101", follow=True).request["QUERY_STRING"] == "e=1"
