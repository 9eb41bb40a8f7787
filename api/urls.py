"""The addresses of both APIs and their reference."""

from collections.abc import Iterable

from django.urls import URLPattern, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerView

from api import application, not_offered, progress, summaries
from api.events import BATCH_PATH, batch, event
from api.gauges import gauges
from api.reference import reference


def _longest_first(patterns: Iterable[URLPattern]) -> list[URLPattern]:
    """Return the patterns by the number of their parts: an id takes slashes, but no more of the address than it must.

    So `/v1/users/alice/points/streak` are alice's points in the system `streak`, not the streak of `alice/points`.
    """
    return sorted(patterns, key=lambda pattern: -str(pattern.pattern).count("/"))


urlpatterns = [
    path("v1/metrics/<str:key>/event", event),
    path(BATCH_PATH.removeprefix("/"), batch),
    path("v1/users", application.UsersView.as_view()),
    *_longest_first(
        [
            *progress.urlpatterns,
            *summaries.urlpatterns,
            path("v1/users/<path:user_id>/metrics", application.UserMetricsView.as_view()),
            path("v1/users/<path:user_id>/metrics/<str:key>", application.UserMetricView.as_view()),
            path("v1/users/<path:user_id>/points/<str:key>", application.UserPointsView.as_view()),
        ]
    ),
    *not_offered.urlpatterns(),
    path("v1/users/<path:user_id>", application.UserView.as_view()),
    path("v1/points/<str:key>", application.PointsView.as_view()),
    path("admin-api/v1/", include("api.admin_api.urls")),
    path("metrics", gauges),
    path("docs/", SpectacularSwaggerView.as_view(url_name="openapi"), name="docs"),
    path("docs", RedirectView.as_view(pattern_name="docs")),
    path("docs/openapi.yaml", reference, name="openapi"),
]
