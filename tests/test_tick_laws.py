"""A tick, which is SQL, pays row for row what the rules would pay, whatever the users, boosts and triggers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boosts.models import Boost
from boosts.rules import BoostRule, boosts_of
from boosts.services import create_boost
from boosts.store import AFTER_ALL_OTHERS, boost_rules
from core.json import encode_text
from core.models import Delta
from core.services import update_checked
from engine.tick import pay_due_ticks
from points.models import PointsBalance, PointsDay, PointsTrigger
from points.rules import POINTS_LIMIT, STRICTEST, Award, Balance, Firing, pay
from points.store import load_triggers, system_rule, trigger_rules
from points.versions import current_versions
from tests.conftest import Game
from users.models import EndUser
from users.rules import local_date, matches
from users.store import user_of

DUE = datetime(2026, 3, 10, 12, tzinfo=UTC)
PAID = DUE + timedelta(hours=13)
START = DUE - timedelta(hours=1)
ZONES = [None, "Europe/London", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/St_Johns"]
NAMES = ["alice", "bob", "charlie", "Zoë", "zoe", "a b", "~", "Å"]
PLANS = [None, "pro", "free"]


@dataclass(frozen=True)
class Person:
    """A user to add, with what they hold in XP; None for no balance."""

    name: str
    tz: str | None
    plan: str | None
    created_s: int
    balance: int | None


@dataclass(frozen=True)
class Multiplier:
    """A boost to add: for one user, for those of a plan, or for all; seconds are from when the tick is due."""

    multiplier: Decimal
    rounding: str
    start: date
    days: int | None
    owner: str | None
    plan: str | None
    of_energy: bool
    activated_s: int
    finished_s: int | None


@dataclass(frozen=True)
class Payment:
    """A time trigger to add."""

    points: int
    plan: str | None


around = st.sampled_from([-3600, -1, 0, 1, 3600])
dates = st.dates(date(2026, 3, 8), date(2026, 3, 12))
totals = st.one_of(st.integers(1, 40), st.sampled_from([POINTS_LIMIT - 1, POINTS_LIMIT, 2**40 + 1]))
people = st.lists(
    st.builds(
        Person,
        name=st.sampled_from(NAMES),
        tz=st.sampled_from(ZONES),
        plan=st.sampled_from(PLANS),
        created_s=around,
        balance=st.none() | st.just(0) | totals,
    ),
    min_size=1,
    unique_by=lambda person: person.name,
)
multipliers = st.builds(
    Multiplier,
    multiplier=st.decimals("0.0001", "99.9999", places=4).filter(lambda each: each != 1)
    | st.sampled_from([Decimal("1.5"), Decimal("0.5"), Decimal("2.5")]),
    rounding=st.sampled_from([each.value for each in STRICTEST]),
    start=dates,
    days=st.none() | st.integers(0, 3),
    owner=st.sampled_from([None, None, *NAMES[:3]]),
    plan=st.sampled_from(PLANS),
    of_energy=st.sampled_from([False, False, False, True]),
    activated_s=st.sampled_from([-3600, -3600, -1, 0, 1]),
    finished_s=st.none() | around,
)
payments = st.builds(
    Payment,
    points=st.one_of(st.integers(-50, 50), st.sampled_from([POINTS_LIMIT, -POINTS_LIMIT, 2**45 + 1])).filter(bool),
    plan=st.sampled_from(PLANS),
)
maxima = st.none() | st.integers(1, 60) | st.just(POINTS_LIMIT)


def after_due(seconds: int) -> datetime:
    return DUE + timedelta(seconds=seconds)


def attributes(plan: str | None) -> dict[str, str]:
    return {} if plan is None else {"plan": plan}


def add_people(game: Game, chosen: Sequence[Person]) -> None:
    users = [
        EndUser(
            external_id=person.name,
            tz=person.tz,
            attributes=attributes(person.plan),
            created=after_due(person.created_s),
            updated=PAID,
        )
        for person in chosen
    ]
    EndUser.objects.bulk_create(users)
    PointsBalance.objects.bulk_create(
        PointsBalance(user=user, system=game.xp, total=person.balance, seq=5)
        for user, person in zip(users, chosen, strict=True)
        if person.balance is not None
    )


def add_boosts(game: Game, chosen: Sequence[Multiplier]) -> None:
    for number, given_ in enumerate(chosen):
        boost = create_boost(
            system=game.energy if given_.of_energy else game.xp,
            name=f"Boost {number}",
            multiplier=given_.multiplier,
            rounding=given_.rounding,
            start=given_.start,
            end=None if given_.days is None else given_.start + timedelta(days=given_.days),
            external_id=given_.owner,
            status="active",
            user_filters=[(game.plan, given_.plan)] if given_.plan and not given_.owner else [],
        )
        finished = None if given_.finished_s is None else after_due(given_.finished_s)
        Boost.objects.filter(id=boost.id).update(activated=after_due(given_.activated_s), finished=finished)


def add_triggers(game: Game, chosen: Sequence[Payment]) -> None:
    for payment in chosen:
        filters = [(game.plan, payment.plan)] if payment.plan else []
        no_metric: dict[str, Any] = {"metric": None, "metric_threshold": None}
        clock = {"type": "time", "time_unit": "hour", "time_interval": 1}
        game.trigger(payment.points, user_filters=filters, **(no_metric | clock))
    PointsTrigger.objects.update(time_started=START)


@contextmanager
def undone() -> Iterator[None]:
    """Undo whatever the block stores, so that each example begins anew."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def boosts_for(user: EndUser) -> list[BoostRule]:
    """Return all boosts that may count for a user, those for many before the user's own."""
    stored = Boost.objects.prefetch_related("filters__attribute")
    shared = boost_rules(stored.filter(external_id=None))
    own = boost_rules(stored.filter(external_id=user.external_id))
    return shared + [
        BoostRule(each.applied, each.system_id, AFTER_ALL_OTHERS, each.activated, each.finished) for each in own
    ]


def expected(game: Game) -> dict[str, list[Award]]:
    """Return by external id what the rules award when all triggers fire at DUE."""
    system, triggers = system_rule(game.xp), trigger_rules(load_triggers(), current_versions(load_triggers()))
    awards = {}
    for user in EndUser.objects.filter(created__lt=DUE):
        stored = PointsBalance.objects.filter(user=user, system=game.xp).first()
        balances = {system.id: Balance(stored.total, stored.seq)} if stored else {}
        firings = [Firing(each) for each in triggers if matches(each.user_filter, user.attributes)]
        applied = boosts_of(boosts_for(user), user_of(user), DUE)
        _, awards[user.external_id] = pay(firings, balances, {system.id: system}, applied)
    return awards


Line = tuple[str, str, int | None, int, int, int, str]


def lines_of(awards: dict[str, list[Award]]) -> list[Line]:
    """Return external id, trigger, its version, seq, awarded, total and boosts of each, as the pipeline stores them."""
    return sorted(
        (
            user,
            str(each.trigger_id),
            each.version,
            each.seq,
            each.awarded,
            each.total,
            stored_boosts(each),
        )
        for user, its_awards in awards.items()
        for each in its_awards
    )


def stored_boosts(award: Award) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [encode_text(award.boosts)])
        stored: str = cursor.fetchone()[0]
    return stored


def lines_stored() -> list[Line]:
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT u.external_id, a.trigger_id::text, a.rule_version, a.seq, a.awarded, a.total, a.boosts::text
            FROM points_pointsaward a JOIN users_enduser u ON u.id = a.user_id
        """)
        return sorted(cursor.fetchall())


@pytest.mark.django_db
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    chosen=people,
    boosts=st.lists(multipliers, max_size=6),
    triggers=st.lists(payments, min_size=1, max_size=3),
    maximum=maxima,
)
def test_a_tick_pays_row_for_row_what_the_rules_pay(
    game: Game, chosen: list[Person], boosts: list[Multiplier], triggers: list[Payment], maximum: int | None
) -> None:
    with undone():
        update_checked(game.xp, max_points=maximum)
        add_people(game, chosen)
        add_boosts(game, boosts)
        add_triggers(game, triggers)
        awards = expected(game)
        befores = {row.user_id: row.total for row in PointsBalance.objects.all()}
        count = pay_due_ticks(DUE, clock=lambda: PAID)
        assert count == sum(len(each) for each in awards.values())
        assert lines_stored() == lines_of(awards)
        assert_derived_from(awards, befores)


def assert_derived_from(awards: dict[str, list[Award]], befores: dict[Any, int]) -> None:
    """Check balances, days and deltas against the awards that were expected."""
    users = {user.external_id: user for user in EndUser.objects.all()}
    moved = {users[name]: its_awards for name, its_awards in awards.items() if its_awards}
    balances = {row.user_id: (row.total, row.seq) for row in PointsBalance.objects.all()}
    for user, its_awards in moved.items():
        assert balances[user.id] == (its_awards[-1].total, its_awards[-1].seq)
    days = {(row.user_id, row.day): row.change for row in PointsDay.objects.all()}
    assert days == {
        (user.id, local_date(PAID, user.tz)): sum(each.awarded for each in its_awards)
        for user, its_awards in moved.items()
    }
    moves: dict[tuple[int | None, int], int] = defaultdict(int)
    for user, its_awards in moved.items():
        before = befores.get(user.id)
        for award in its_awards:
            moves[before, award.total] += 1
            before = award.total
    deltas: dict[tuple[int | None, int], int] = defaultdict(int)
    for delta in Delta.objects.filter(kind="balance"):
        assert delta.after is not None
        deltas[delta.before, delta.after] += delta.users
    assert deltas == moves
