"""What operators do with the settings of streaks."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from core.models import ConfigurationStatus
from core.services import create_checked, messages_by_field, shared_beginning, update_checked
from metrics.models import Metric
from streaks.models import StreakMetric, StreakSettings

Thresholds = Sequence[tuple[Metric, Decimal]]
"""Metrics, and how much of each in one period is enough."""


@transaction.atomic
def update_settings(*, metrics: Thresholds | None = None, **fields: Any) -> StreakSettings:
    """Change what makes a streak; metrics that are given replace all others. Raises ValidationError by field."""
    StreakSettings.objects.get_or_create(id=1)
    settings = StreakSettings.objects.select_for_update(no_key=True).get(id=1)
    update_checked(settings, **fields)
    if metrics is not None:
        check_metrics([metric for metric, _ in metrics])
        rows = list(settings.metrics.all())
        stored = [(row.metric_id, row.threshold) for row in rows]
        kept = shared_beginning(stored, [(metric.id, threshold) for metric, threshold in metrics])
        for row in rows[kept:]:
            row.delete()
        for index, (metric, threshold) in enumerate(metrics[kept:], kept):
            _add_metric(settings, index, metric, threshold)
    return settings


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Raise ValidationError where these cannot be the metrics that count."""
    if len(set(metrics)) < len(metrics):
        raise ValidationError({"metrics": "Each metric can be named only once."})
    for metric in metrics:
        if metric.status == ConfigurationStatus.ARCHIVED:
            raise ValidationError({"metrics": f"«{metric}» is archived: restore it first, or choose another metric."})


def _add_metric(settings: StreakSettings, index: int, metric: Metric, threshold: Decimal) -> None:
    try:
        create_checked(StreakMetric, settings=settings, metric=metric, threshold=threshold)
    except ValidationError as error:
        found = messages_by_field(error)
        raise ValidationError({f"metrics[{index}].{name}": texts for name, texts in found.items()}) from error
