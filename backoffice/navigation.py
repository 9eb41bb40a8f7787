"""The admin's sidebar."""

from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse

PERMISSIONS: Final = {"changes": "core.view_changes", "boost_calendar": "boosts.view_boost"}
"""What may be seen only with a permission of its own."""


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the links, grouped by what operators do."""
    return [
        {
            "items": [
                _link("Home", "home", "admin:index"),
                _link("Users", "group", "admin:users_enduser_changelist"),
                _link("Imports", "upload_file", "admin:imports_importrun_changelist"),
            ]
        },
        {
            "title": "Rules",
            "separator": True,
            "items": [
                _link("Points systems", "stars", "admin:points_pointssystem_changelist"),
                _link("Triggers", "bolt", "admin:points_pointstrigger_changelist"),
                _link("Achievements", "military_tech", "admin:achievements_achievement_changelist"),
                _link("Boosts", "rocket_launch", "admin:boosts_boost_changelist"),
                _link("Boost calendar", "calendar_month", "boost_calendar"),
                _link("Levels", "stairs", "admin:levels_level_changelist"),
                _link("Streaks", "local_fire_department", "admin:streaks_streaksettings_changelist"),
                _link("Metrics", "monitoring", "admin:metrics_metric_changelist"),
                _link("Attributes", "sell", "admin:users_attribute_changelist"),
            ],
        },
        {
            "title": "Operations",
            "separator": True,
            "items": [
                _link("Changes", "history", "changes"),
                _link("Event queue", "pending_actions", "admin:engine_queuedevent_changelist"),
                _link("Webhooks", "webhook", "admin:webhooks_endpoint_changelist"),
                _link("Webhook log", "mark_email_read", "admin:webhooks_delivery_changelist"),
            ],
        },
        {
            "title": "Access",
            "separator": True,
            "items": [
                _link("API keys", "key", "admin:access_apikey_changelist"),
                _link("Application keys", "phonelink_lock", "admin:access_applicationkey_changelist"),
                _link("Operators", "badge", "admin:auth_user_changelist"),
                _link("Groups", "shield_person", "admin:auth_group_changelist"),
                _link("API reference", "menu_book", "docs"),
            ],
        },
    ]


def _link(title: str, icon: str, view: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(view), "permission": lambda request: _may_see(request, view)}


def _may_see(request: HttpRequest, view: str) -> bool:
    """Tell whether the operator may look at the rows behind a link; pages without rows are for all."""
    if view in PERMISSIONS:
        return request.user.has_perm(PERMISSIONS[view])
    if not view.endswith("_changelist"):
        return True
    app, model = view.removeprefix("admin:").removesuffix("_changelist").split("_")
    return request.user.has_perm(f"{app}.view_{model}")


def tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the tabs of a points system's page."""
    return [
        {
            "models": [{"name": "points.pointssystem", "detail": True}],
            "items": [
                {"title": "Configuration", "link": _this_page, "inline": "general"},
                *(
                    {"title": title, "link": _this_page, "inline": f"dataset-{model}", "permission": is_change}
                    for title, model in (("Triggers", "pointstrigger"), ("Boosts", "boost"), ("Levels", "level"))
                ),
                {"title": "Analytics", "link": _analytics_page, "permission": is_change},
                {"title": "Preview", "link": _preview_page, "permission": may_preview},
            ],
        }
    ]


def is_change(request: HttpRequest) -> bool:
    """Tell whether the page is about a row that exists."""
    return request.resolver_match is not None and "object_id" in request.resolver_match.kwargs


def may_preview(request: HttpRequest) -> bool:
    """Tell whether the page is about a row that exists, for who may try its rules."""
    return is_change(request) and request.user.has_perm("points.preview_points")


def _this_page(request: HttpRequest) -> str:
    return _page_of_system(request, "change") or request.path


def _analytics_page(request: HttpRequest) -> str:
    return _page_of_system(request, "analytics")


def _preview_page(request: HttpRequest) -> str:
    return _page_of_system(request, "preview")


def _page_of_system(request: HttpRequest, page: str) -> str:
    """Return the address of one of the pages of the points system that this page is about; nothing where it is none."""
    match = request.resolver_match
    if match is None or match.url_name is None or not match.url_name.startswith("points_pointssystem_"):
        return ""
    object_id = match.kwargs.get("object_id")
    return reverse(f"admin:points_pointssystem_{page}", args=(object_id,)) if _is_id(object_id) else ""


def _is_id(text: object) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True
