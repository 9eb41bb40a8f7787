"""The addresses of the Admin API."""

from django.urls import path

from api.admin_api import (
    achievements,
    application_keys,
    attributes,
    boosts,
    levels,
    metrics,
    streaks,
    systems,
    triggers,
    webhook_events,
)

urlpatterns = [
    path("achievements", achievements.AchievementsView.as_view()),
    path("achievements/<str:id>", achievements.AchievementView.as_view()),
    path("application-api-keys", application_keys.ApplicationKeysView.as_view()),
    path("attributes", attributes.AttributesView.as_view()),
    path("attributes/<str:id>", attributes.AttributeView.as_view()),
    path("metrics", metrics.MetricsView.as_view()),
    path("metrics/<str:id>", metrics.MetricView.as_view()),
    path("points", systems.PointsSystemsView.as_view()),
    path("points/<str:id>", systems.PointsSystemView.as_view()),
    path("points/<str:system_id>/boosts", boosts.BoostsView.as_view()),
    path("points/<str:system_id>/boosts/<str:id>", boosts.BoostView.as_view()),
    path("points/<str:system_id>/levels", levels.LevelsView.as_view()),
    path("points/<str:system_id>/levels/<str:id>", levels.LevelView.as_view()),
    path("points/<str:system_id>/triggers", triggers.TriggersView.as_view()),
    path("points/<str:system_id>/triggers/<str:id>", triggers.TriggerView.as_view()),
    path("streaks/settings", streaks.StreakSettingsView.as_view()),
    path("webhook-events", webhook_events.WebhookEventsView.as_view()),
]
