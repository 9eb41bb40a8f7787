"""The login, which turns away who tries too often before it looks at a password."""

from typing import Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from access.logins import gate_for, seconds_to_wait, set_mark
from core.refused import refused

TOO_OFTEN: Final = "Too many logins were tried"
AT_ONCE: Final = "Many log in at this moment"


@never_cache
def login(request: HttpRequest) -> HttpResponse:
    """Show the login, and let in who knows a password and has not tried too often."""
    if request.method != "POST":
        return admin.site.login(request)
    name = request.POST.get("username", "")
    if wait_s := seconds_to_wait(request, name):
        return refused(429, TOO_OFTEN, f"Try again in {in_words(wait_s)}.", again=True, retry_after_s=wait_s)
    gate = gate_for(request, name)
    if not gate.acquire(blocking=False):
        return refused(429, AT_ONCE, "Try again in a second.", again=True, retry_after_s=1)
    try:
        response = admin.site.login(request)
    finally:
        gate.release()
    # The answer to a wrong password is the form; that to a right one leads on.
    if response.status_code == 302:
        set_mark(response, name)
    return response


def in_words(seconds: int) -> str:
    """Return a time to wait, rounded up."""
    if seconds <= 60:
        return "a second" if seconds == 1 else f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"
