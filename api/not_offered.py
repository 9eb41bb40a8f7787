"""The contract's paths that Pointsmith does not serve (yet): an honest 404 instead of a riddle."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, re_path

from api.authentication import authenticate
from api.errors import ApiError

NOT_OFFERED: Final = (
    (r"v1/leaderboards(/.*)?", "The leaderboards API"),
    (r"v1/streaks/.+", "Streak rankings"),
    (r"v1/users/.+/preferences", "The preferences API"),
    (r"v1/users/.+/wrapped", "Wrapped"),
    (r"v1/users/.+/leaderboards/[^/]+", "The leaderboards API"),
    (r"admin-api/v1/leaderboards(/.*)?", "The leaderboards API"),
    (r"admin-api/v1/streaks/(?!settings$).*", "Streak administration"),
    (r"admin-api/v1/tenants(/.*)?", "The tenants API"),
    (r"admin-api/v1/environments(/.*)?", "The environments API"),
    (r"admin-api/v1/settings(/.*)?", "The settings API"),
)


def not_offered(request: HttpRequest, *_: str | None, what: str, **__: str) -> HttpResponse:
    """Answer that Pointsmith does not have this part of the contract."""
    authenticate(request)
    raise ApiError(404, f"{what} is not offered by Pointsmith.")


def urlpatterns() -> list[URLPattern]:
    """Return a path for each of them."""
    return [re_path(rf"^{pattern}$", not_offered, {"what": what}) for pattern, what in NOT_OFFERED]
