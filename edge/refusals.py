"""What is answered before a request reaches the API or the admin."""

from django.conf import settings
from django.http import HttpResponse
from django.template.loader import render_to_string

from api.errors import ApiError, answer_exception, answer_failure
from api.hot_path import Message, Send, as_answer, as_lines
from api.http import protective_headers
from api.middleware import MACHINE_PREFIXES


async def send_refusal(scope: Message, send: Send, error: Exception) -> None:
    """Answer with what is wrong, in the API's shape or as a page, and close the connection: more may come on it."""
    status, headers, body = as_answer(_refusal(scope, error))
    headers += as_lines(protective_headers().items())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def _refusal(scope: Message, error: Exception) -> HttpResponse:
    response = answer_exception(error) or answer_failure(error, f"{scope['method']} {scope['path']}")
    if not scope["path"].startswith(MACHINE_PREFIXES):
        reason = error.message if isinstance(error, ApiError) else "Something went wrong here; try again soon."
        page = render_to_string("edge/refusal.html", {"reason": reason, "title": settings.UNFOLD["SITE_TITLE"]})
        response = HttpResponse(page, status=response.status_code)
    if response.status_code == 415:
        response["Accept-Encoding"] = "gzip"
    return response
