"""The addresses of the Admin API."""

from django.urls import path

from api.admin_api import attributes, metrics, systems, triggers

urlpatterns = [
    path("attributes", attributes.AttributesView.as_view()),
    path("attributes/<str:id>", attributes.AttributeView.as_view()),
    path("metrics", metrics.MetricsView.as_view()),
    path("metrics/<str:id>", metrics.MetricView.as_view()),
    path("points", systems.PointsSystemsView.as_view()),
    path("points/<str:id>", systems.PointsSystemView.as_view()),
    path("points/<str:system_id>/triggers", triggers.TriggersView.as_view()),
    path("points/<str:system_id>/triggers/<str:id>", triggers.TriggerView.as_view()),
]
