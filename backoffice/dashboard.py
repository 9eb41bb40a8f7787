"""The admin's home page."""

from typing import Any, Final

from django.http import HttpRequest

from webhooks.watch import in_trouble, trouble_of

ENDPOINTS_SHOWN_MAX: Final = 10


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what is in trouble, for who may look at it. Unfold calls this."""
    if request.user.has_perm("webhooks.view_endpoint"):
        endpoints = list(in_trouble())
        shown = endpoints[:ENDPOINTS_SHOWN_MAX]
        context["troubled_endpoints"] = [(endpoint, trouble_of(endpoint)) for endpoint in shown]
        context["troubled_endpoints_more"] = len(endpoints) - len(shown)
    return context
