"""The boost calendar: which days each boost covers, and what awards are multiplied by on each."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User as Account
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from boosts.models import Boost
from boosts.rules import (
    BoostRule,
    Planned,
    Rate,
    boosts_of,
    day_rates,
    days_between,
    effective_days,
    rate_of,
    shown_days,
)
from boosts.services import create_boost, finish_boosts
from core.services import archive
from points.rules import AppliedBoost, Rounding, boosted
from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of
from users.rules import User

DAY = timedelta(days=1)
NOW = datetime(2026, 2, 10, 12, tzinfo=UTC)
ALICE: dict[str, Any] = {
    **dict.fromkeys(("name", "email", "tz", "device_tokens", "sign_up_date")),
    "id": "1",
    "external_id": "alice",
    "subscribe_to_emails": True,
    "control": False,
    "created": NOW,
    "updated": NOW,
}
DAYS = days_between(date(2026, 2, 1), date(2026, 2, 28))

days = st.dates(date(2026, 1, 1), date(2026, 3, 31))
multipliers = st.decimals("0.0001", "99.9999", places=4).filter(lambda each: each != 1)


@st.composite
def planned(draw: st.DrawFn) -> Planned:
    first = draw(days)
    last = draw(st.none() | st.integers(-2, 40).map(lambda length: first + length * DAY))
    drawn = (draw(multipliers), draw(st.sampled_from(Rounding)), draw(st.booleans()), draw(st.booleans()))
    return Planned(str(draw(st.uuids())), first, last, *drawn)


# --- Laws of the days ------------------------------------------------------------------------------------------------
@given(days, st.none() | days)
def test_what_is_shown_of_a_boost_is_its_days_that_are_in_the_month(first: date, last: date | None) -> None:
    place = shown_days(first, last, DAYS)
    covered = [index for index, day in enumerate(DAYS) if first <= day and (last is None or day <= last)]
    assert place == ((covered[0], covered[-1]) if covered else None)


@given(st.lists(planned(), max_size=6))
def test_a_day_multiplies_by_what_counts_on_it(boosts: list[Planned]) -> None:
    for rate in day_rates(boosts, DAYS):
        on = [
            each
            for each in boosts
            if each.counts and each.first <= rate.day and (each.last is None or rate.day <= each.last)
        ]
        assert rate.at_most == rate_of(on)
        assert rate.everyone == rate_of([each for each in on if each.is_for_everyone])


@given(st.lists(planned(), max_size=6))
def test_drafts_change_no_day(boosts: list[Planned]) -> None:
    assert day_rates(boosts, DAYS) == day_rates([each for each in boosts if each.counts], DAYS)


@given(st.lists(planned(), min_size=1, max_size=4), st.randoms())
def test_the_order_of_boosts_does_not_matter(boosts: list[Planned], random: Any) -> None:
    shuffled = random.sample(boosts, len(boosts))
    assert rate_of(boosts) == rate_of(shuffled)


@given(st.lists(planned(), min_size=1, max_size=4), st.integers(1, 10_000))
def test_a_day_multiplies_an_award_as_the_engine_does(boosts: list[Planned], points: int) -> None:
    active = [
        BoostRule(
            AppliedBoost(each.id, "", each.first, each.last, each.multiplier, each.rounding),
            system_id="xp",
            order=order,
            activated=NOW - 90 * DAY,
            user_filter=() if each.is_for_everyone else (("plan", "pro"),),
        )
        for order, each in enumerate(boosts)
        if each.counts
    ]
    (rate,) = day_rates(boosts, [NOW.date()])
    cases: list[tuple[dict[str, str], Rate | None]] = [({}, rate.everyone), ({"plan": "pro"}, rate.at_most)]
    for attributes, expected in cases:
        user = User(**ALICE, attributes=attributes)
        applied = boosts_of(active, user, NOW).get("xp", ())
        assert (expected is None) == (not applied)
        if expected is not None:
            exact = points * expected.multiplier
            got = boosted(points, applied)
            assert abs(exact - got) < 1
            assert expected.rounding != Rounding.DOWN or got <= exact
            assert expected.rounding != Rounding.UP or got >= exact


def test_a_boost_counts_from_its_activation_until_it_was_stopped() -> None:
    start, end = date(2026, 2, 1), date(2026, 2, 20)
    assert effective_days(start, end, None, None) == (start, end)
    assert effective_days(start, end, NOW, None) == (date(2026, 2, 10), end)
    assert effective_days(start, end, NOW - 30 * DAY, NOW) == (start, date(2026, 2, 10))
    assert effective_days(start, None, NOW - 30 * DAY, NOW) == (start, date(2026, 2, 10))
    first, last = effective_days(date(2026, 2, 15), end, NOW - DAY, NOW)
    assert last is not None
    assert last < first, "stopped before it began"


# --- The page --------------------------------------------------------------------------------------------------------
@pytest.fixture
def february(game: Game) -> Game:
    """A month with boosts of every kind, made on its first day."""
    with time_machine.travel(datetime(2026, 2, 1, 0, 30, tzinfo=UTC), tick=False):
        make(game, "Double", date(2026, 2, 10), date(2026, 2, 12))
        pro = [(game.plan, "pro")]
        make(game, "Pro", date(2026, 2, 12), None, multiplier=Decimal("1.25"), rounding="nearest", user_filters=pro)
        make(game, "Idea", date(2026, 2, 3), date(2026, 2, 4), status="inactive")
        make(game, "Gone", date(2026, 2, 5), date(2026, 2, 6))
        archive(row=Boost.objects.get(name="Gone"))
        for user in ("alice", "bob"):
            make(game, "Thanks", date(2026, 2, 5), date(2026, 2, 6), external_id=user)
    return game


def make(game: Game, name: str, start: date, end: date | None, **fields: Any) -> Boost:
    given_: dict[str, Any] = {"multiplier": Decimal(2), "status": "active"} | fields
    return create_boost(system=game.xp, name=name, start=start, end=end, **given_)


def read(client: Client, query: str = "", page: str = "/admin/boost-calendar/") -> str:
    with time_machine.travel(NOW, tick=False):
        client.force_login(client_user())
        answer = client.get(page + query)
    assert answer.status_code == 200
    return text_of(answer)


def client_user() -> Account:
    return Account.objects.get(username="olivia")


def test_a_month_shows_each_boost_and_what_each_day_multiplies_by(operator: Client, february: Game) -> None:
    page = read(operator)
    assert "February 2026" in page
    assert "Double x2 Active everyone 2026-02-10 to 2026-02-12" in page
    assert "Pro x1.25 Scheduled plan = pro 2026-02-12 to no end" in page
    assert "Idea x2 Draft: does not count everyone 2026-02-03 to 2026-02-04" in page
    assert "Gone" not in page
    assert "2 boosts for one user each" in page
    assert "2026-02-10 (today) x2, rounded down x2, rounded down" in page
    assert "2026-02-12 x2, rounded down x2.5, rounded down" in page
    assert "2026-02-13 x1 x1.25, rounded to the nearest, halves up" in page
    assert "2026-02-03 x" not in page, "a draft counts on no day"


def test_other_months_and_other_systems_have_addresses(operator: Client, february: Game) -> None:
    march = read(operator, "?month=2026-03")
    assert "March 2026" in march
    assert "Pro x1.25" in march
    assert "Double x2" not in march
    assert "No boost touches this month." in read(operator, "?month=2026-01&system=xp")
    assert "Pro x1.25" not in read(operator, "?system=energy")
    assert "There is no active points system with that key." in read(operator, "?system=none")
    for odd in ("x", "2026-13", "0001-01", "9999-12", "2026-1"):
        assert "February 2026" in read(operator, f"?month={odd}")


def test_a_boost_that_was_stopped_ends_on_that_day(operator: Client, february: Game) -> None:
    with time_machine.travel(NOW + DAY, tick=False):
        finish_boosts(boosts=Boost.objects.filter(name="Double"))
    with time_machine.travel(NOW + 2 * DAY, tick=False):
        operator.force_login(client_user())
        page = text_of(operator.get("/admin/boost-calendar/?system=xp"))
    assert "Double x2 Finished everyone 2026-02-10 to 2026-02-11" in page
    assert "2026-02-12 (today) x1 x1.25" in page


def test_the_tab_of_a_systems_boosts_has_its_calendar(operator: Client, february: Game) -> None:
    page = read(operator, "?month=2026-02", f"/admin/points/pointssystem/{february.xp.pk}/change/")
    assert "Double x2 Active everyone 2026-02-10 to 2026-02-12" in page
    assert "No boost touches this month." in read(
        operator, "?month=2026-02", f"/admin/points/pointssystem/{february.energy.pk}/change/"
    )
