"""The settings of streaks as the Admin API shows them."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TypedDict

from core.json import plain_number
from streaks.models import StreakMetric, StreakSettings


class StreakMetricJson(TypedDict):
    """A metric that counts, and how much of it in one period is enough."""

    key: str
    threshold: int | Decimal


class StreakSettingsJson(TypedDict):
    """What makes a streak. There are no customizations, days off or freezes."""

    frequency: str
    evaluationMode: str
    customizationEnabled: bool
    daysOff: list[int]
    metrics: list[StreakMetricJson]
    freezes: None


def render_streak_settings(settings: StreakSettings, metrics: Iterable[StreakMetric]) -> StreakSettingsJson:
    """Return the Admin API's shape of the settings."""
    return {
        "frequency": settings.frequency,
        "evaluationMode": settings.evaluation_mode,
        "customizationEnabled": False,
        "daysOff": [],
        "metrics": [{"key": each.metric.key, "threshold": plain_number(each.threshold)} for each in metrics],
        "freezes": None,
    }
