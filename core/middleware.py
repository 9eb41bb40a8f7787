"""Who changes something in the admin."""

from collections.abc import Callable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest, HttpResponse

from core.history import SYSTEM, Actor, acting


class OperatorMiddleware:
    """Lets what a request changes be by the operator who sent it, who is looked up only where something is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        with acting(lambda: actor_of(request.user)):
            return self.get_response(request)


def actor_of(user: AbstractBaseUser | AnonymousUser) -> Actor:
    """Return the operator as a history names them: by the name of the person, where one is known, and the login."""
    if isinstance(user, AnonymousUser):
        return Actor(SYSTEM)
    name, login = str(getattr(user, "get_full_name", str)()), user.get_username()
    return Actor(f"{name} ({login})" if name else login, user.pk)
