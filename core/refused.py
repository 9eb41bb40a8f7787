"""Pages that say no, in the product's look. None of them asks the database for anything: it may be what is away."""

import sys
from functools import lru_cache
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import BadRequest
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

RETRY_AFTER_S: Final = 5
"""After how many seconds to try again while the database is away."""

NOTHING_SAVED: Final = "Nothing was saved."
CANNOT_BE_READ: Final = ("This cannot be read", "Something in the address, or in what was sent, means nothing here.")
MAY_NOT: Final = ("You may not do this", "Your role does not allow it. Who manages the operators can give you another.")
NOT_FOUND: Final = ("There is nothing here", "The address is wrong, or what it showed does not exist any more.")
TOO_OLD: Final = (
    "This form cannot be sent any more",
    "It was opened before the last login, or the browser keeps no cookies. Nothing was saved: open the page again.",
)
FAILED: Final = (
    "Something went wrong here",
    "It may not have been saved: look before you try again. The server's log says what went wrong.",
)
AWAY: Final = "The database does not answer"


def refused(status: int, title: str, text: str, *, again: bool = False, retry_after_s: int = 0) -> HttpResponse:
    """Return a page that says no and why; `again` offers to try once more."""
    response = HttpResponse(_page(title, text, again=again), status=status)
    response.headers["Cache-Control"] = "no-store"
    if retry_after_s:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


@lru_cache(maxsize=256)
def _page(title: str, text: str, *, again: bool) -> str:
    """Return the page's HTML: the frame of the login, which is that of nobody and names no rows."""
    request = HttpRequest()
    request.user, request.META = AnonymousUser(), {"SCRIPT_NAME": ""}
    # Its link to the site would be a second one to the start page.
    frame: dict[str, Any] = admin.site.each_context(request) | {"site_url": None}
    return render_to_string("core/refused.html", frame | {"title": title, "text": text, "again": again})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400, in the words of this project where it raised the exception."""
    title, text = CANNOT_BE_READ
    return refused(400, title, str(exception) if type(exception) is BadRequest else text)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return refused(403, *MAY_NOT)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return refused(404, *NOT_FOUND)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without the secret that its page was given."""
    return refused(403, *TOO_OLD, again=True)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 where the database is away, 500 to whatever nobody thought of.

    Django calls this wherever a page or a middleware failed, while the exception is being handled.
    """
    if not isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return refused(500, *FAILED)
    text = "Try again in some seconds."
    if request.method not in ("GET", "HEAD"):
        text = f"{NOTHING_SAVED} {text}"
    return refused(503, AWAY, text, again=True, retry_after_s=RETRY_AFTER_S)
