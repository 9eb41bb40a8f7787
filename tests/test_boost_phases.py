"""Which boosts are where in their life: many at once, in SQL, as the rules say of each."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from django.core.exceptions import ValidationError

from api.admin_api.boost_items import render_boost_now
from boosts.models import Boost, BoostStatus
from boosts.rules import BoostPhase
from boosts.services import create_boost, finish_boosts, phase_now, update_boost, with_zones
from boosts.store import in_phase, read_boosts
from core.services import archive, restore
from tests.conftest import Api, Game
from users.models import EndUser

DAY = timedelta(days=1)
TODAY = date(2026, 3, 10)
USERS = {"alice": "Pacific/Kiritimati", "bob": "Pacific/Pago_Pago", "charlie": "Asia/Kolkata", "dora": None}


def running(game: Game, start: date) -> Boost:
    return create_boost(system=game.xp, name="Double", multiplier=Decimal(2), start=start, status=BoostStatus.ACTIVE)


@pytest.mark.parametrize("hours", [0, 2, 9.9, 10, 11, 12, 13, 23.99])
def test_a_phase_in_sql_is_that_of_the_rules_for_each_boost(hours: float, game: Game) -> None:
    at = datetime(2026, 3, 10, tzinfo=UTC) + timedelta(hours=hours)
    EndUser.objects.bulk_create(EndUser(external_id=name, tz=tz, created=at, updated=at) for name, tz in USERS.items())
    starts, ends = range(-2, 3), (None, *range(-2, 3))
    states = (("active", None), ("active", at), ("active", at + DAY), ("inactive", None), ("archived", at - DAY))
    Boost.objects.bulk_create(
        Boost(
            system=game.xp,
            name="Boost",
            multiplier=Decimal(2),
            activated=at,
            external_id=whose,
            start=TODAY + start * DAY,
            end=None if end is None else TODAY + end * DAY,
            status=status,
            finished=finished,
        )
        for start, end, (status, finished), whose in product(starts, ends, states, (None, "nobody", *USERS))
        if end is None or end >= start
    )
    boosts = with_zones(Boost.objects.all())
    for phase in BoostPhase:
        expected = {boost.id for boost in boosts if phase_now(boost, at) == phase}
        assert expected
        assert set(in_phase(Boost.objects.all(), phase, at).values_list("id", flat=True)) == expected


# --- From the archive ------------------------------------------------------------------------------------------------
def test_a_finished_boost_that_is_restored_is_finished_and_listed_as_before(api: Api, game: Game) -> None:
    boost = running(game, date(2026, 1, 1))
    finish_boosts(boosts=Boost.objects.all())
    path = "/v1/points/xp/boosts?includeFinished=true"
    before = api.get(path).json()
    archive(row=Boost.objects.get())
    assert (api.get(path).json(), list(read_boosts(game.xp))) == ([], [])
    restore(row=Boost.objects.get())
    assert api.get(path).json() == before
    boost.refresh_from_db()
    assert render_boost_now(boost)["status"] == "finished"
    game.trigger(points=10)
    assert api.event("alice").json()["points"]["xp"]["added"] == 10


# --- Its end ---------------------------------------------------------------------------------------------------------
def test_a_change_of_the_end_finishes_no_boost(api: Api, game: Game) -> None:
    today = datetime.now(UTC).date()
    boost = running(game, today - 9 * DAY)
    with pytest.raises(ValidationError) as refused:
        update_boost(boost=boost, end=today - 3 * DAY)
    assert refused.value.message_dict["end"][0].startswith("must not be before today")
    assert Boost.objects.get().end is None
    path = f"/admin-api/v1/points/{game.xp.id}/boosts"
    answer = api.send("PATCH", path, [{"id": str(boost.id), "end": str(today - 3 * DAY)}])
    assert answer.json()["issues"][0]["message"].startswith("end must not be before today")
    assert api.send("PATCH", path, [{"id": str(boost.id), "end": str(today)}]).json()["issues"] == []
