"""What users reach: streaks, achievements, boosts and levels."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
