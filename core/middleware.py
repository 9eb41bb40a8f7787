"""Who changes something in the admin, and what its pages cannot read."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse

from core.history import SYSTEM, Actor, acting
from core.refused import bad_request

logger = logging.getLogger(__name__)


class OperatorMiddleware:
    """Lets what a request changes be by the operator who sent it, who is looked up only where something is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        with acting(lambda: actor_of(request.user)):
            return self.get_response(request)


class ReadableMiddleware:
    """Refuses what no page and no column can take, so that no page has to think of it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Refuse NUL, which PostgreSQL keeps in no text, in any parameter and field; nothing has an address with it."""
        if any(isinstance(value, str) and "\x00" in value for value in kwargs.values()):
            raise Http404
        if any("\x00" in text for text in _texts_of(request)):
            raise BadRequest("There is a NUL character in it, which no text can have.")

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer 400 where PostgreSQL says that a value is none of its column, such as a number that is too large."""
        if not isinstance(exception, DataError):
            return None
        logger.warning("%s %s asked for what no column has: %s", request.method, request.path, exception)
        return bad_request(request, exception)


def _texts_of(request: HttpRequest) -> Iterator[str]:
    for given in (request.GET, request.POST):
        for name, values in given.lists():
            yield name
            yield from (value for value in values if isinstance(value, str))


def actor_of(user: AbstractBaseUser | AnonymousUser) -> Actor:
    """Return the operator as a history names them: by the name of the person, where one is known, and the login."""
    if isinstance(user, AnonymousUser):
        return Actor(SYSTEM)
    name, login = str(getattr(user, "get_full_name", str)()), user.get_username()
    return Actor(f"{name} ({login})" if name else login, user.pk)
