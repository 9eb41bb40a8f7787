"""Metrics in the Admin API."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.admin_api.resources import IDS, PAGE, DeletedJson, Patch, Resource, given_fields, one_of
from api.openapi import body_of, created_of, deleted_of, errors, json_of, updated_of
from core.fields import Fields
from core.services import create_checked, update_checked
from metrics.models import Metric, UnitType
from metrics.render import AdminMetricJson, render_admin_metric


class MetricItem(Fields, frozen=True):
    """A metric to make."""

    called: ClassVar = "a metric"
    shown_as: ClassVar = AdminMetricJson

    name: str
    key: str
    unit_type: str | UnsetType = UNSET
    units: str | UnsetType = UNSET


class MetricPatch(Patch, frozen=True, kw_only=True):
    """A change of a metric; its key is for ever."""

    called: ClassVar = "a metric"
    shown_as: ClassVar = AdminMetricJson

    name: str | UnsetType = UNSET
    unit_type: str | UnsetType = UNSET
    units: str | UnsetType = UNSET


def _metrics() -> Resource[Metric]:
    return Resource("Metric", Metric.objects.all(), render_admin_metric)


class MetricsView(APIView):
    """All metrics."""

    @extend_schema(
        operation_id="admin_metrics_list",
        summary="List metrics",
        parameters=PAGE,
        responses={200: json_of(list[AdminMetricJson]), **errors(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of metrics."""
        return _metrics().list(request)

    @extend_schema(
        operation_id="admin_metrics_create",
        summary="Create metrics",
        request=body_of(list[MetricItem]),
        responses={**created_of(AdminMetricJson), **errors(400, 401, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make up to 100 metrics."""
        return _metrics().create(
            request, MetricItem, lambda item: render_admin_metric(create_checked(Metric, **_metric_fields(item)))
        )

    @extend_schema(
        operation_id="admin_metrics_update",
        summary="Update metrics",
        request=body_of(list[MetricPatch]),
        responses={**updated_of(AdminMetricJson), **errors(400, 401, 422)},
    )
    def patch(self, request: Request) -> Response:
        """Change up to 100 metrics."""
        return _metrics().update(request, MetricPatch, lambda row, item: update_checked(row, **_metric_fields(item)))

    @extend_schema(
        operation_id="admin_metrics_delete",
        summary="Delete metrics",
        parameters=IDS,
        responses={**deleted_of(DeletedJson), **errors(401, 422)},
    )
    def delete(self, request: Request) -> Response:
        """Archive up to 100 metrics; what something active uses stays, and its issue names the users."""
        return _metrics().delete(request)


class MetricView(APIView):
    """One metric."""

    @extend_schema(
        operation_id="admin_metrics_get",
        summary="Get a metric",
        responses={200: json_of(AdminMetricJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, id: str) -> Response:  # noqa: A002 - the path's name
        """Return a metric."""
        return _metrics().get(request, id)


def _metric_fields(item: MetricItem | MetricPatch) -> dict[str, Any]:
    fields = given_fields(item)
    if "unit_type" in fields:
        one_of("unitType", fields["unit_type"], UnitType.values)
    return fields
