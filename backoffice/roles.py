"""The roles that operators can have: Django's groups, made by a migration, and who may give which.

Nobody gives more than they have: a role can be given, and an account or a role changed, only by who may do all that it
may do. So whoever is no superuser makes none, and changes none.
"""

from typing import Any, Final

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Count, Q, QuerySet

VIEWER: Final = "Viewer"
SUPPORT: Final = "Support"
OPERATOR: Final = "Operator"
ADMINISTRATOR: Final = "Administrator"

ABOUT: Final = {
    VIEWER: "reads everything but operators' accounts",
    SUPPORT: "a viewer who adjusts users' points",
    OPERATOR: "support who also sets up the rules, imports files, previews, and retries events",
    ADMINISTRATOR: "an operator who also manages keys, webhooks, operators and their roles",
}
"""What each role may do, in words."""


def permissions_of(user: Any) -> QuerySet[Permission]:
    """Return what somebody may do who is no superuser. Unlike Django's own answer also where the account is off."""
    return Permission.objects.filter(Q(group__user=user) | Q(user=user)).distinct()


def outranks(other: User, user: Any) -> bool:
    """Tell whether `other` may, or could if the account were on, do anything that `user` may not."""
    if user.is_superuser:
        return False
    return other.is_superuser or permissions_of(other).exclude(pk__in=permissions_of(user).values("pk")).exists()


def roles_given_by(user: Any) -> QuerySet[Group]:
    """Return the roles that may do no more than `user`, those of few permissions first."""
    roles = Group.objects.annotate(size=Count("permissions")).order_by("size", "name")
    if user.is_superuser:
        return roles
    more = Permission.objects.exclude(pk__in=permissions_of(user).values("pk"))
    return roles.exclude(pk__in=Group.objects.filter(permissions__in=more).values("pk"))
