"""What is answered before a request reaches the API or the admin."""

from typing import Final

from django.http import HttpResponse

from api.errors import ApiError, answer_exception, answer_failure
from api.hot_path import Message, Send, as_answer, as_lines
from api.http import protective_headers
from api.middleware import MACHINE_PREFIXES
from core.refused import NOTHING_SAVED, refused

UNKNOWN: Final = ApiError(500, "Something went wrong here; try again soon.", retry_after_s=1)


async def send_refusal(scope: Message, send: Send, error: Exception) -> None:
    """Answer with what is wrong, in the API's shape or as a page, and close the connection: more may come on it."""
    status, headers, body = as_answer(_refusal(scope, error))
    headers += as_lines(protective_headers().items())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def _refusal(scope: Message, error: Exception) -> HttpResponse:
    response = answer_exception(error) or answer_failure(error, f"{scope['method']} {scope['path']}")
    if not scope["path"].startswith(MACHINE_PREFIXES):
        known = error if isinstance(error, ApiError) else UNKNOWN
        text = f"{known.message} {NOTHING_SAVED}"
        response = refused(response.status_code, "This was not received", text, retry_after_s=known.retry_after_s or 0)
    if response.status_code == 415:
        response["Accept-Encoding"] = "gzip"
    return response
