"""Triggers for the bench of many rules. Started by `bench.growth` as `manage.py shell -c "..."`."""

from typing import Final

from django.db import transaction

from bench.game import METRIC_KEY
from core.services import create_checked
from metrics.models import Metric
from points.models import PointsSystem, PointsTrigger, TriggerStatus, TriggerType
from points.services import create_trigger

TRIGGERS_OF_A_METRIC: Final = 10
THRESHOLD: Final = 7


@transaction.atomic
def add_triggers(*, of_metric: int, of_others: int) -> None:
    """Add active triggers until the game's metric has `of_metric`; and `of_others` of other metrics, ten of each."""
    system, metric = PointsSystem.objects.get(key="xp"), Metric.objects.get(key=METRIC_KEY)
    _add(system, metric, of_metric - PointsTrigger.objects.filter(metric=metric).count())
    for number in range(of_others // TRIGGERS_OF_A_METRIC):
        other = create_checked(Metric, name=f"Metric {number}", key=f"metric-{number}")
        _add(system, other, TRIGGERS_OF_A_METRIC)


def _add(system: PointsSystem, metric: Metric, count: int) -> None:
    """Add triggers that an event fires now and then: half of them of a large threshold."""
    for number in range(count):
        create_trigger(
            system=system,
            type=TriggerType.METRIC,
            status=TriggerStatus.ACTIVE,
            metric=metric,
            metric_threshold=THRESHOLD * (1 + number) * (100 if number % 2 else 1),
            points=1 + number,
        )
