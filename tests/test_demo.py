"""The demo's past, as an operator finds it at the first look."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from config import demo
from engine.tick import pay_due_ticks
from engine.verify import verify
from points.models import PointsAward, PointsTrigger, TimeTick

NOW = datetime(2026, 3, 10, 12, 34, 56, 789, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_energy_came_back_every_hour_in_the_order_of_time_and_goes_on_doing_so() -> None:
    demo.create_rules(NOW)
    demo.play(NOW, lambda count: None)
    hourly = PointsAward.objects.filter(trigger=PointsTrigger.objects.get(type="time"))
    assert set(hourly.values_list("awarded", "cause")) == {(1, "time")}
    assert hourly.values("user").distinct().count() > 50
    hours = [NOW.replace(minute=0, second=0, microsecond=0) - number * demo.HOUR for number in range(demo.REFILLS)]
    assert sorted(TimeTick.objects.values_list("due", flat=True)) == sorted(hours)
    assert set(hourly.values_list("created", flat=True)) <= set(hours)
    lines = PointsAward.objects.order_by("user", "system", "seq").values_list("user", "system", "created")
    assert all(earlier[2] <= later[2] for earlier, later in pairwise(lines) if earlier[:2] == later[:2])
    assert [finding.differences for finding in verify() if finding.count] == []
    pay_due_ticks(NOW)
    assert TimeTick.objects.count() == demo.REFILLS
    pay_due_ticks(NOW + timedelta(minutes=26))
    assert TimeTick.objects.count() == demo.REFILLS + 1
