"""Histories and sums: of a user day by day, of a points system by ranges and levels."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.render import (
    LevelUsersJson,
    PeriodJson,
    PointsRangeJson,
    render_history,
    render_level_users,
    render_range,
)
from analytics.rules import history, period_starts
from analytics.services import count_level_users, summarize, summarize_matching
from analytics.store import DailyChanges, read_metric_days, read_points_days
from api.errors import invalid
from api.lookups import find_metric, find_system, find_user
from api.openapi import errors, json_of
from api.parameters import attribute_values, choice, days
from core.replica import from_replica
from levels.store import read_levels
from streaks.rules import Frequency, period_end

DAYS_MAX: Final = 400

_USER_ATTRIBUTES: Final = OpenApiParameter(
    "userAttributes", str, description="Only users with all of these attributes: `plan:pro,country:de`."
)
_SPAN: Final = [
    OpenApiParameter("aggregation", str, enum=list(Frequency), required=True, description="How long a period is."),
    OpenApiParameter(
        "startDate", {"type": "string", "format": "date"}, required=True, description="A day of the first period."
    ),
    OpenApiParameter(
        "endDate",
        {"type": "string", "format": "date"},
        required=True,
        description=f"A day of the last period, at most {DAYS_MAX} days after `startDate`.",
    ),
]


class PointsSummaryView(APIView):
    """How many users have how many points."""

    @extend_schema(
        operation_id="points_summary",
        summary="Get how many users have how many points",
        parameters=[_USER_ATTRIBUTES],
        responses={200: json_of(list[PointsRangeJson]), **errors(401, 404, 422)},
    )
    def get(self, request: Request, key: str) -> Response:
        """Return the users with 0 points, then those in ten equal ranges up to the greatest total, rounded up.

        With `userAttributes` the answer may be a minute old.
        """
        attributes, system = attribute_values(request, "userAttributes"), find_system(key)
        ranges = from_replica(lambda: summarize_matching(system.id, attributes) if attributes else summarize(system.id))
        return Response([render_range(each) for each in ranges])


class LevelSummaryView(APIView):
    """How many users are on each level."""

    @extend_schema(
        operation_id="points_level_summary",
        summary="Get how many users are on each level",
        responses={200: json_of(list[LevelUsersJson]), **errors(401, 404, 422)},
    )
    def get(self, request: Request, key: str) -> Response:
        """Return every level with its users, the lowest first; who is below all levels is in none."""
        system = find_system(key)
        levels = read_levels(system)
        if not levels:
            raise invalid(f"The points system {key} has no levels.")
        counts = from_replica(lambda: count_level_users(system.id, levels))
        return Response([render_level_users(level, users) for level, users in zip(levels, counts, strict=True)])


class PointsHistoryView(APIView):
    """A user's points over time."""

    @extend_schema(
        operation_id="users_points_event_summary",
        summary="Get a user's points over time",
        parameters=_SPAN,
        responses={200: json_of(list[PeriodJson]), **errors(401, 404, 422)},
    )
    def get(self, request: Request, user_id: str, key: str) -> Response:
        """Return every period from `startDate` to `endDate`; an award is of the user's own date when it was made."""
        span = _read_span(request)
        user, system = find_user(user_id), find_system(key)
        return Response(span.summarize(lambda first, last: read_points_days(user, system, first, last)))


class MetricHistoryView(APIView):
    """A user's metric over time."""

    @extend_schema(
        operation_id="users_metric_event_summary",
        summary="Get a user's metric over time",
        parameters=_SPAN,
        responses={200: json_of(list[PeriodJson]), **errors(401, 404, 422)},
    )
    def get(self, request: Request, user_id: str, key: str) -> Response:
        """Return every period from `startDate` to `endDate`; an event is of the user's own date when it happened."""
        span = _read_span(request)
        user, metric = find_user(user_id), find_metric(key)
        return Response(span.summarize(lambda first, last: read_metric_days(user, metric, first, last)))


@dataclass(frozen=True, slots=True)
class _Span:
    """The periods that were asked for, by their first days."""

    frequency: Frequency
    starts: list[date]

    def summarize(self, read: Callable[[date, date], DailyChanges]) -> list[PeriodJson]:
        """Return the history on the wire; `read` gets the first day of all and the last."""
        days_read = read(self.starts[0], period_end(self.starts[-1], self.frequency))
        return render_history(history(self.starts, days_read.changes, days_read.total, self.frequency))


def _read_span(request: Request) -> _Span:
    frequency = choice(request, "aggregation", Frequency)
    start, end = days(request, most=DAYS_MAX)
    return _Span(frequency, period_starts(start, end, frequency))


urlpatterns = [
    path("v1/points/<str:key>/summary", PointsSummaryView.as_view()),
    path("v1/points/<str:key>/level-summary", LevelSummaryView.as_view()),
    path("v1/users/<path:user_id>/points/<str:key>/event-summary", PointsHistoryView.as_view()),
    path("v1/users/<path:user_id>/metrics/<str:key>/event-summary", MetricHistoryView.as_view()),
]
