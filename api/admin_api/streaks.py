"""The settings of streaks in the Admin API."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from drf_spectacular.utils import extend_schema
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.parts import Number, read_number
from api.admin_api.preconditions import Precondition, etag, newest_version
from api.admin_api.resources import ITEMS_MAX, attempt, given_fields, one_of
from api.bodies import read_body
from api.errors import invalid
from api.openapi import body_of, errors, json_of
from api.parameters import check_parameters
from core.fields import Fields
from metrics.models import Metric
from streaks.models import EvaluationMode, StreakMetric, StreakSettings
from streaks.render_admin import StreakSettingsJson, render_streak_settings
from streaks.rules import Frequency
from streaks.services import update_settings

NOT_OFFERED: Final = {
    "customization_enabled": ("customizationEnabled", "a streak that users customize", False),
    "days_off": ("daysOff", "a streak with days off", []),
    "freezes": ("freezes", "a streak with freezes", None),
}
"""The settings of what there is not, by their field: its name on the wire, what it is, the only value it can have."""


class StreakMetricItem(Fields, frozen=True):
    """A metric that counts, by its key, and how much of it in one period is enough."""

    called: ClassVar = "a metric of the streak settings"

    key: str
    threshold: Number


class StreakSettingsPatch(Fields, frozen=True):
    """A change of the settings; the fields given change, and metrics replace all others."""

    called: ClassVar = "the streak settings"
    shown_as: ClassVar = StreakSettingsJson

    frequency: str | UnsetType = UNSET
    evaluation_mode: str | UnsetType = UNSET
    metrics: Annotated[list[StreakMetricItem], Meta(max_length=ITEMS_MAX)] | UnsetType = UNSET
    customization_enabled: Annotated[bool, Meta(description="Not offered: always false.")] | UnsetType = UNSET
    days_off: Annotated[list[Any], Meta(description="Not offered: always empty.")] | UnsetType = UNSET
    freezes: Annotated[Any, Meta(description="Not offered: always null.")] = None


class StreakSettingsView(APIView):
    """What makes a streak."""

    @extend_schema(
        operation_id="admin_streaks_settings_get",
        summary="Get the streak settings",
        responses={200: json_of(StreakSettingsJson), **errors(401)},
    )
    def get(self, request: Request) -> Response:
        """Return the settings; as long as nobody changed any, the defaults."""
        check_parameters(request)
        version = newest_version(StreakSettings.objects.all())
        return Response(_render(StreakSettings.objects.first() or StreakSettings()), headers=etag(version))

    @extend_schema(
        operation_id="admin_streaks_settings_update",
        summary="Update the streak settings",
        request=body_of(StreakSettingsPatch),
        responses={200: json_of(StreakSettingsJson), **errors(400, 401, 422)},
    )
    def patch(self, request: Request) -> Response:
        """Change the settings: all that is given, or nothing. Another frequency starts every streak anew."""
        check_parameters(request)
        keywords = _keywords(read_body(request._request, StreakSettingsPatch))
        everything, precondition = StreakSettings.objects.all(), Precondition(request)

        def update() -> Response:
            list(everything.select_for_update(no_key=True))
            precondition.check(everything, among=everything)
            json = _render(update_settings(**keywords))
            # Under the lock still, so that it is the version of what is shown.
            return Response(json, headers=etag(newest_version(everything)))

        return attempt(update)


def _keywords(patch: StreakSettingsPatch) -> dict[str, Any]:
    """Return the keywords for `update_settings`. Raises ApiError."""
    given = given_fields(patch)
    for field, (name, what, only) in NOT_OFFERED.items():
        if given.pop(field, only) != only:
            raise invalid(f"{name}: {what} is not offered by Pointsmith.")
    if "frequency" in given:
        one_of("frequency", given["frequency"], list(Frequency))
    if "evaluation_mode" in given:
        one_of("evaluationMode", given["evaluation_mode"], EvaluationMode.values)
    if "metrics" in given:
        given["metrics"] = _thresholds(given["metrics"])
    return given


def _thresholds(items: Sequence[StreakMetricItem]) -> list[tuple[Metric, Decimal]]:
    # Of metrics that share a key at most one is not archived: it comes last, and so is the one that is found.
    named = Metric.objects.filter(key__in=[item.key for item in items]).order_by("-status")
    metrics = {metric.key: metric for metric in named}
    found = []
    for index, item in enumerate(items):
        if item.key not in metrics:
            raise invalid(f"metrics[{index}].key: there is no metric with the key {item.key}.")
        found.append((metrics[item.key], read_number(f"metrics[{index}].threshold", item.threshold)))
    return found


def _render(settings: StreakSettings) -> StreakSettingsJson:
    return render_streak_settings(settings, StreakMetric.objects.select_related("metric"))
