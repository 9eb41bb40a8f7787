"""Histories and sums: of a user day by day, of a points system by ranges and levels."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
