"""Metrics on the wire."""

from decimal import Decimal
from typing import Any, TypedDict

from core.json import plain_number
from metrics.models import Metric


class MetricJson(TypedDict):
    """A user's total of a metric. `status` is not in the contract any more; the Node SDK cannot do without it."""

    id: str
    key: str
    name: str
    status: str
    current: int | Decimal
    achievements: list[Any]


class AdminMetricJson(TypedDict):
    """A metric as it was set up."""

    id: str
    name: str
    key: str
    unitType: str
    units: str


def render_metric(metric: Metric, total: Decimal | None, achievements: list[Any]) -> MetricJson:
    """Return the wire's shape of a user's total, 0 where there is none yet, with the metric's achievements."""
    return {
        "id": str(metric.id),
        "key": metric.key,
        "name": metric.name,
        "status": metric.status,
        "current": plain_number(total or Decimal(0)),
        "achievements": achievements,
    }


def render_admin_metric(metric: Metric) -> AdminMetricJson:
    """Return the Admin API's shape of a metric."""
    return {
        "id": str(metric.id),
        "name": metric.name,
        "key": metric.key,
        "unitType": metric.unit_type,
        "units": metric.units,
    }
