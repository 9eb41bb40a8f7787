"""Every address of the server."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from backoffice.boost_calendar import boost_calendar
from backoffice.changes import changes
from backoffice.dashboard import activity_csv
from core.health import healthz, readyz
from core.media import serve_favicon, serve_media

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/activity.csv", admin.site.admin_view(activity_csv), name="activity_csv"),
    path("admin/boost-calendar/", admin.site.admin_view(boost_calendar), name="boost_calendar"),
    path("admin/changes/", admin.site.admin_view(changes), name="changes"),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("media/<path:name>", serve_media),
    path("favicon.ico", serve_favicon),
    path("", include("api.urls")),
]
