"""What an application key may do: its own user's operations. An address that is not named here refuses it."""

from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.keys import KeyRule
from api.authentication import caller
from api.errors import ApiError

NOT_ITS_OWN: Final = "An application key can do only its own user's operations; this is not one of them."
USER_ROUTE: Final = "v1/users/<path:user_id>"
"""How the addresses begin that name the one user whom they are about."""

ROUTES_THAT_CHECK: Final = ("v1/users", "v1/streaks", "v1/achievements/<str:key>/complete")
"""Addresses whose views call `check_user` themselves, since the body or the query names the users."""


def check_user(key: KeyRule, *external_ids: str) -> None:
    """Raise ApiError where an application key is for another user than one of these."""
    if key.external_id is not None and any(each != key.external_id for each in external_ids):
        raise ApiError(403, "This application key is for another user: it can do only its own user's operations.")


def refuse_application_key(key: KeyRule) -> None:
    """Raise ApiError where the key is not a backend's."""
    if key.external_id is not None:
        raise ApiError(403, NOT_ITS_OWN)


class InScope(BasePermission):
    """Lets application keys in only where an address is about their own user."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True. Raises ApiError where the key may not."""
        key, match = caller(request).key, request._request.resolver_match
        if key.external_id is None or (match and match.route in ROUTES_THAT_CHECK):
            return True
        if match is None or not match.route.startswith(USER_ROUTE):
            raise ApiError(403, NOT_ITS_OWN)
        check_user(key, match.kwargs["user_id"])
        return True
