"""Every address of the server."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from backoffice.boost_calendar import boost_calendar
from backoffice.changes import changes
from backoffice.dashboard import activity_csv
from backoffice.login import login
from core.health import healthz, readyz
from core.media import serve_favicon, serve_media

handler400 = "core.refused.bad_request"
handler403 = "core.refused.permission_denied"
handler404 = "core.refused.not_found"
handler500 = "core.refused.server_error"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/activity.csv", admin.site.admin_view(activity_csv), name="activity_csv"),
    path("admin/boost-calendar/", admin.site.admin_view(boost_calendar), name="boost_calendar"),
    path("admin/changes/", admin.site.admin_view(changes), name="changes"),
    path("admin/login/", login),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("media/<path:name>", serve_media, name="media"),
    path("favicon.ico", serve_favicon),
    path("", include("api.urls")),
]
