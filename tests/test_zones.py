"""A user's day is that of their own calendar: at both ends of the Earth, across clock changes, years and moves."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from boosts.models import Boost, BoostStatus
from boosts.rules import BoostPhase
from boosts.services import create_boost
from core.services import create_checked, update_checked
from engine.inputs import EventInput, IdentifyInput
from engine.outcomes import Accepted
from engine.pipeline import process
from streaks.models import StreakMetric, StreakPeriod, StreakSettings
from streaks.store import read_streaks
from tests.conftest import Game
from users.models import EndUser
from users.rules import UNSET, Unset, UserChanges

FIRST = "Pacific/Kiritimati"
"""Where each day begins first: 14 hours before UTC."""
LAST = "Pacific/Pago_Pago"
"""Where each day ends nearly last: 11 hours after UTC."""
INDIA = "Asia/Kolkata"
LONDON = "Europe/London"
ZONES = [FIRST, LAST, INDIA, LONDON]


def instant(text: str, zone: str | None, *, second_time: bool = False) -> datetime:
    """Return the moment at which a clock in the zone shows `text`; where it does so twice, maybe the second."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone or "UTC"), fold=int(second_time))
    return local.astimezone(UTC)


@dataclass
class Alice:
    """Alice, who reports from wherever she is; each answer is her streak's length, and + where it just grew."""

    zone: str | None

    def learns(self, text: str, value: str = "1", *, second_time: bool = False) -> str:
        """Report a lesson at a moment of her own clock."""
        return self._report(instant(text, self.zone, second_time=second_time), value, UNSET)

    def learns_on_arrival(self, zone: str | None, text: str) -> str:
        """Report a lesson with the event itself telling that she moved."""
        self.zone = zone
        return self._report(instant(text, zone), "1", zone)

    def lives_in(self, zone: str | None, text: str) -> None:
        """Tell that she moved, and nothing else; the moment is by the clock of where she came to."""
        self.zone = zone
        process([IdentifyInput(UserChanges("alice", tz=zone), at=instant(text, zone))])

    def has(self, text: str) -> int:
        """Return how long her streak is at a moment of her own clock."""
        streaks = read_streaks(list(EndUser.objects.all()), instant(text, self.zone))
        return streaks["alice"].length

    def _report(self, at: datetime, value: str, tz: str | None | Unset) -> str:
        event = EventInput(UserChanges("alice", tz=tz), "lessons", Decimal(value), at=at)
        outcome = process([event]).outcomes[0]
        assert isinstance(outcome, Accepted)
        return f"{outcome.streak.length}{'+' if outcome.extended else ''}"


@pytest.fixture
def alice(game: Game) -> Alice:
    return Alice(None)


def born_in(alice: Alice, zone: str | None) -> Alice:
    """Make Alice known in a zone."""
    alice.lives_in(zone, "2025-01-01 12:00")
    return alice


def set_frequency(frequency: str) -> None:
    create_checked(StreakSettings, frequency=frequency)


# --- A day -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("zone", ZONES)
def test_a_day_begins_and_ends_at_midnight_where_the_user_is(alice: Alice, zone: str) -> None:
    born_in(alice, zone)
    assert alice.learns("2026-06-10 00:00") == "1+"
    assert alice.learns("2026-06-10 23:59:59") == "1"
    assert alice.learns("2026-06-11 00:00") == "2+"
    assert alice.learns("2026-06-11 23:59:59") == "2"


@pytest.mark.parametrize("zone", ZONES)
def test_a_streak_lasts_to_the_last_second_of_the_next_day(alice: Alice, zone: str) -> None:
    born_in(alice, zone)
    alice.learns("2026-06-10 00:00")
    assert alice.has("2026-06-11 23:59:59") == 1
    assert alice.has("2026-06-12 00:00:00") == 0
    assert alice.learns("2026-06-11 23:59:59") == "2+"
    assert alice.learns("2026-06-13 00:00:00") == "1+"


def test_without_a_zone_the_day_is_that_of_utc(alice: Alice) -> None:
    born_in(alice, None)
    assert alice.learns("2026-06-10 23:59:59") == "1+"
    assert alice.learns("2026-06-11 00:00:00") == "2+"


def test_one_moment_is_another_day_at_each_end_of_the_earth(game: Game) -> None:
    at = datetime(2026, 6, 10, 10, 30, tzinfo=UTC)
    for user, zone in (("alice", FIRST), ("bob", LAST), ("charlie", None)):
        process([EventInput(UserChanges(user, tz=zone), "lessons", Decimal(1), at=at)])
    periods = dict(StreakPeriod.objects.values_list("user__external_id", "period"))
    assert periods == {"alice": date(2026, 6, 11), "bob": date(2026, 6, 9), "charlie": date(2026, 6, 10)}


# --- Clock changes ---------------------------------------------------------------------------------------------------
def test_the_day_of_23_hours_in_which_clocks_go_forward_is_one_day(alice: Alice) -> None:
    born_in(alice, LONDON)
    assert alice.learns("2026-03-28 23:59") == "1+"
    assert alice.learns("2026-03-29 00:00") == "2+"
    assert alice.learns("2026-03-29 00:59:59") == "2"
    assert alice.learns("2026-03-29 02:00") == "2"
    assert alice.learns("2026-03-29 23:59:59") == "2"
    assert alice.learns("2026-03-30 00:00") == "3+"
    assert alice.has("2026-03-31 23:59:59") == 3
    assert alice.has("2026-04-01 00:00") == 0


def test_the_day_of_25_hours_in_which_clocks_go_back_is_one_day(alice: Alice) -> None:
    born_in(alice, LONDON)
    assert alice.learns("2026-10-24 23:59") == "1+"
    assert alice.learns("2026-10-25 00:00") == "2+"
    assert alice.learns("2026-10-25 01:30") == "2"
    assert alice.learns("2026-10-25 01:30", second_time=True) == "2"
    assert alice.learns("2026-10-25 23:59:59") == "2"
    assert alice.learns("2026-10-26 00:00") == "3+"


@pytest.mark.parametrize(("before", "change"), [("2026-03-28", "2026-03-29"), ("2026-10-24", "2026-10-25")])
def test_a_streak_is_not_over_before_the_end_of_the_day_on_which_clocks_change(
    alice: Alice, before: str, change: str
) -> None:
    born_in(alice, LONDON)
    alice.learns(f"{before} 00:00")
    assert alice.has(f"{change} 23:59:59") == 1
    assert alice.learns(f"{change} 23:59:59") == "2+"


# --- Weeks, months and years -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("zone", ZONES)
def test_a_week_is_from_monday_to_sunday_where_the_user_is(alice: Alice, zone: str) -> None:
    set_frequency("weekly")
    born_in(alice, zone)
    assert alice.learns("2026-06-08 00:00") == "1+"
    assert alice.learns("2026-06-14 23:59:59") == "1"
    assert alice.learns("2026-06-15 00:00") == "2+"
    assert alice.has("2026-06-28 23:59:59") == 2
    assert alice.has("2026-06-29 00:00") == 0
    assert alice.learns("2026-06-28 23:59:59") == "3+"


@pytest.mark.parametrize(
    ("monday", "last_of_year", "first_of_year", "next_monday"),
    [
        ("2026-12-28", "2026-12-31", "2027-01-03", "2027-01-04"),
        ("2024-12-30", "2024-12-31", "2025-01-05", "2025-01-06"),
        ("2020-12-28", "2020-12-31", "2021-01-01", "2021-01-04"),
        ("2022-12-26", "2022-12-31", "2023-01-01", "2023-01-02"),
    ],
)
def test_the_week_across_new_year_is_one_week(
    game: Game, monday: str, last_of_year: str, first_of_year: str, next_monday: str
) -> None:
    set_frequency("weekly")
    alice = Alice(None)
    assert alice.learns(f"{monday} 08:00") == "1+"
    assert alice.learns(f"{last_of_year} 23:59") == "1"
    assert alice.learns(f"{first_of_year} 00:01") == "1"
    assert alice.learns(f"{next_monday} 00:00") == "2+"


def test_a_year_of_53_weeks_has_53_weeks(alice: Alice) -> None:
    set_frequency("weekly")
    lengths = [alice.learns(f"{date(2026, 1, 1) + timedelta(days=7 * week)} 12:00") for week in range(54)]
    assert lengths == [f"{week}+" for week in range(1, 55)]


@pytest.mark.parametrize("zone", ZONES)
def test_a_month_is_that_of_the_calendar_where_the_user_is(alice: Alice, zone: str) -> None:
    set_frequency("monthly")
    born_in(alice, zone)
    assert alice.learns("2026-01-31 23:59:59") == "1+"
    assert alice.learns("2026-02-01 00:00") == "2+"
    assert alice.learns("2026-02-28 23:59:59") == "2"
    assert alice.learns("2026-03-01 00:00") == "3+"
    assert alice.has("2026-04-30 23:59:59") == 3
    assert alice.has("2026-05-01 00:00") == 0


def test_every_month_of_a_leap_year_counts_whatever_its_length(alice: Alice) -> None:
    set_frequency("monthly")
    ends = [date(2028, month, 1) - timedelta(days=1) for month in range(2, 13)]
    assert [alice.learns(f"{end} 23:59") for end in ends] == [f"{month}+" for month in range(1, 12)]
    assert alice.learns("2028-12-31 23:59") == "12+"
    assert alice.learns("2029-01-01 00:00") == "13+"


def test_a_month_without_anything_ends_a_monthly_streak(alice: Alice) -> None:
    set_frequency("monthly")
    alice.learns("2026-01-31 23:59")
    assert alice.learns("2026-03-01 00:00") == "1+"


def test_the_leap_day_is_a_day_of_its_own(alice: Alice) -> None:
    assert alice.learns("2028-02-28 12:00") == "1+"
    assert alice.learns("2028-02-29 12:00") == "2+"
    assert alice.learns("2028-03-01 12:00") == "3+"


def test_missing_the_leap_day_ends_a_streak_and_in_other_years_there_is_none_to_miss(alice: Alice) -> None:
    alice.learns("2028-02-28 12:00")
    assert alice.learns("2028-03-01 12:00") == "1+"
    alice.learns("2029-02-28 12:00")
    assert alice.learns("2029-03-01 12:00") == "2+"


# --- Moving to the west, where it is still an earlier day ------------------------------------------------------------
def test_moving_west_neither_breaks_nor_doubles_a_streak(alice: Alice) -> None:
    born_in(alice, FIRST)
    alice.learns("2026-06-10 20:00")
    assert alice.learns("2026-06-11 00:30") == "2+"
    assert alice.learns_on_arrival(LAST, "2026-06-09 23:45") == "2"
    assert alice.learns("2026-06-10 12:00") == "2"
    assert alice.learns("2026-06-11 23:59:59") == "2"
    assert alice.learns("2026-06-12 00:00") == "3+"


def test_days_lived_twice_on_the_way_west_are_not_needed_for_the_streak(alice: Alice) -> None:
    born_in(alice, FIRST)
    alice.learns("2026-06-11 00:30")
    alice.lives_in(LAST, "2026-06-09 23:45")
    assert alice.has("2026-06-12 23:59:59") == 1
    assert alice.learns("2026-06-12 23:59:59") == "2+"


def test_moving_west_does_not_bring_a_streak_back_that_was_over(alice: Alice) -> None:
    born_in(alice, FIRST)
    alice.learns("2026-06-08 12:00")
    alice.learns("2026-06-09 12:00")
    assert alice.has("2026-06-11 00:30") == 0
    assert alice.learns_on_arrival(LAST, "2026-06-09 23:45") == "1+"


def test_what_was_done_for_a_day_to_come_counts_when_it_has_come(alice: Alice, game: Game) -> None:
    settings = create_checked(StreakSettings)
    create_checked(StreakMetric, settings=settings, metric=game.lessons, threshold=5)
    born_in(alice, FIRST)
    assert alice.learns("2026-06-10 23:00", "5") == "1+"
    assert alice.learns("2026-06-11 00:30", "3") == "1"
    alice.lives_in(LAST, "2026-06-09 23:45")
    assert alice.learns("2026-06-09 23:50", "4") == "1"
    assert alice.learns("2026-06-11 08:00", "2") == "2+"


def test_what_was_done_on_each_of_three_days_at_once_is_not_forgotten_by_moving(alice: Alice, game: Game) -> None:
    settings = create_checked(StreakSettings)
    create_checked(StreakMetric, settings=settings, metric=game.lessons, threshold=5)
    born_in(alice, LAST)
    assert alice.learns("2026-06-09 23:00", "4") == "0"
    alice.lives_in(LONDON, "2026-06-10 11:10")
    assert alice.learns("2026-06-10 11:10", "4") == "0"
    alice.lives_in(FIRST, "2026-06-11 00:20")
    assert alice.learns("2026-06-11 00:20", "4") == "0"
    alice.lives_in(LAST, "2026-06-09 23:30")
    assert alice.learns("2026-06-09 23:30") == "1+"
    alice.lives_in(LONDON, "2026-06-10 11:40")
    assert alice.learns("2026-06-10 11:40") == "2+"
    alice.lives_in(FIRST, "2026-06-11 00:50")
    assert alice.learns("2026-06-11 00:50") == "3+"


# --- Moving to the east, where it is a later day already --------------------------------------------------------------
def test_moving_east_neither_breaks_nor_doubles_a_streak(alice: Alice) -> None:
    born_in(alice, LAST)
    assert alice.learns("2026-06-09 22:00") == "1+"
    assert alice.learns("2026-06-10 23:00") == "2+"
    assert alice.learns_on_arrival(FIRST, "2026-06-12 00:30") == "3+"
    assert alice.learns("2026-06-12 23:00") == "3"
    assert alice.learns("2026-06-13 00:00") == "4+"


def test_moving_east_on_the_last_day_of_a_streak_does_not_break_it(alice: Alice) -> None:
    born_in(alice, LAST)
    alice.learns("2026-06-08 12:00")
    alice.learns("2026-06-09 12:00")
    assert alice.has("2026-06-10 23:30") == 2
    assert alice.learns_on_arrival(FIRST, "2026-06-12 00:30") == "3+"
    assert alice.learns("2026-06-13 00:30") == "4+"


def test_whoever_says_first_that_they_moved_east_has_the_rest_of_that_day(alice: Alice) -> None:
    born_in(alice, LAST)
    alice.learns("2026-06-09 12:00")
    alice.lives_in(FIRST, "2026-06-12 00:30")
    assert alice.has("2026-06-12 23:59:59") == 1
    assert alice.has("2026-06-13 00:00") == 0
    assert alice.learns("2026-06-12 23:59:59") == "2+"


def test_moving_east_does_not_count_a_day_by_itself(alice: Alice) -> None:
    born_in(alice, LAST)
    alice.learns("2026-06-09 12:00")
    assert alice.learns("2026-06-10 23:00", "0") == "1"
    alice.lives_in(FIRST, "2026-06-12 00:30")
    assert alice.learns("2026-06-12 12:00", "0") == "1"
    assert alice.has("2026-06-12 12:00") == 1
    assert StreakPeriod.objects.count() == 1


def test_moving_east_does_not_bring_a_streak_back_that_was_over(alice: Alice) -> None:
    born_in(alice, LAST)
    alice.learns("2026-06-08 12:00")
    assert alice.has("2026-06-10 00:00") == 0
    assert alice.learns_on_arrival(FIRST, "2026-06-11 01:30") == "1+"


@pytest.mark.parametrize(
    ("frequency", "last", "arrival"),
    [("weekly", "2026-06-14", "2026-06-22"), ("monthly", "2026-04-30", "2026-06-01")],
)
def test_weeks_and_months_survive_a_move_east_in_their_last_hour(
    alice: Alice, frequency: str, last: str, arrival: str
) -> None:
    set_frequency(frequency)
    born_in(alice, LAST)
    assert alice.learns(f"{last} 12:00") == "1+"
    assert alice.learns_on_arrival(FIRST, f"{arrival} 00:45") == "2+"


def test_whoever_flies_to_and_fro_each_day_has_a_streak_as_long_as_the_days_that_began(alice: Alice) -> None:
    born_in(alice, LAST)
    grown = [alice.learns_on_arrival(LAST, "2026-06-09 23:00")]
    for day in range(10, 14):
        grown.append(alice.learns_on_arrival(FIRST, f"2026-06-{day + 2} 00:10"))
        grown.append(alice.learns_on_arrival(LAST, f"2026-06-{day} 23:30"))
    assert grown == ["1+", "2+", "2", "3+", "3", "4+", "4", "5+", "5"]


def test_a_zone_that_is_forgotten_is_a_move_to_utc(alice: Alice) -> None:
    born_in(alice, FIRST)
    assert alice.learns("2026-06-11 00:30") == "1+"
    assert alice.learns_on_arrival(None, "2026-06-10 10:45") == "1"
    assert alice.learns("2026-06-12 00:00") == "2+"


# --- Boosts ----------------------------------------------------------------------------------------------------------
def double(game: Game, start: str, end: str | None) -> Boost:
    """Double what lessons pay, which is 10, from one day through another."""
    game.trigger(points=10)
    days: dict[str, Any] = {"start": date.fromisoformat(start), "end": end and date.fromisoformat(end)}
    boost = create_boost(system=game.xp, name="Double", multiplier=Decimal(2), status=BoostStatus.ACTIVE, **days)
    return active_for_long(boost)


def active_for_long(boost: Boost) -> Boost:
    """Make a boost active since long ago, so that any day can be looked at."""
    update_checked(boost, activated=datetime(2020, 1, 1, tzinfo=UTC))
    return boost


def paid(text: str, zone: str | None, *, second_time: bool = False) -> int:
    """Return what one lesson pays a user who comes from a zone at that moment of its clock."""
    at = instant(text, zone, second_time=second_time)
    outcome = process([EventInput(UserChanges("alice", tz=zone), "lessons", Decimal(1), at=at)]).outcomes[0]
    assert isinstance(outcome, Accepted)
    return sum(each.award.awarded for each in outcome.awards)


@pytest.mark.parametrize("zone", [*ZONES, None])
def test_a_boost_counts_from_its_first_midnight_to_its_last_where_the_user_is(game: Game, zone: str | None) -> None:
    double(game, "2026-06-10", "2026-06-11")
    assert paid("2026-06-09 23:59:59", zone) == 10
    assert paid("2026-06-10 00:00:00", zone) == 20
    assert paid("2026-06-11 23:59:59", zone) == 20
    assert paid("2026-06-12 00:00:00", zone) == 10


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_boost_of_a_day_on_which_clocks_change_is_of_that_day(game: Game, day: str) -> None:
    double(game, day, day)
    before, after = (date.fromisoformat(day) + timedelta(days=days) for days in (-1, 1))
    assert paid(f"{before} 23:59:59", LONDON) == 10
    assert paid(f"{day} 00:00", LONDON) == 20
    assert paid(f"{day} 01:30", LONDON, second_time=True) == 20
    assert paid(f"{day} 23:59:59", LONDON) == 20
    assert paid(f"{after} 00:00", LONDON) == 10


@pytest.mark.parametrize("day", ["2028-02-29", "2026-12-31", "2027-01-01"])
def test_a_boost_of_an_odd_day_is_of_that_day(game: Game, day: str) -> None:
    double(game, day, day)
    before, after = (date.fromisoformat(day) + timedelta(days=days) for days in (-1, 1))
    assert [paid(f"{each} 12:00", FIRST) for each in (before, day, after)] == [10, 20, 10]


def test_whoever_moves_with_the_event_has_the_boosts_of_where_they_came_to(game: Game) -> None:
    double(game, "2026-06-11", "2026-06-11")
    assert paid("2026-06-10 23:30", LAST) == 10
    assert paid("2026-06-11 01:00", INDIA) == 20
    assert paid("2026-06-10 12:00", LAST) == 10


def test_a_boost_is_scheduled_active_and_finished_by_the_first_and_the_last_zone_on_earth(game: Game) -> None:
    boost = double(game, "2026-06-10", "2026-06-11")
    begins, ends = instant("2026-06-10 00:00", FIRST), instant("2026-06-12 00:00", "Etc/GMT+12")
    second = timedelta(seconds=1)
    phases = [boost.phase(each) for each in (begins - second, begins, ends - second, ends)]
    assert phases == [BoostPhase.SCHEDULED, BoostPhase.ACTIVE, BoostPhase.ACTIVE, BoostPhase.FINISHED]


def test_one_user_s_boost_is_scheduled_active_and_finished_by_that_user_s_zone(game: Game) -> None:
    boost = double(game, "2026-06-10", "2026-06-11")
    update_checked(boost, external_id="alice")
    second = timedelta(seconds=1)
    for zone in (*ZONES, None):
        begins, ends = instant("2026-06-10 00:00", zone), instant("2026-06-12 00:00", zone)
        phases = [boost.phase(each, zone) for each in (begins - second, begins, ends - second, ends)]
        assert phases == [BoostPhase.SCHEDULED, BoostPhase.ACTIVE, BoostPhase.ACTIVE, BoostPhase.FINISHED]
