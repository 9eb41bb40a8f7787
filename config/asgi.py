"""The ASGI application that granian serves: events in the event loop, everything else by Django in threads."""

import os
import string
from typing import Any, cast
from urllib.parse import quote

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["WEB_PROCESS"] = "true"
django_application = get_wsgi_application()

# What is not ready before the settings are.
from django.conf import settings  # noqa: E402

from api.hot_path import Application, Message, Receive, Send, with_hot_path  # noqa: E402
from config.web import start_coalescing  # noqa: E402
from core.garbage import spare_what_stays  # noqa: E402

django_in_threads = cast(Application, WSGIMiddleware(cast(Any, django_application), workers=settings.WEB_THREADS))


async def django(scope: Message, receive: Receive, send: Send) -> None:
    """Let Django answer, with what `a2wsgi` needs: a coroutine to receive by, which granian's is not, and ASCII."""

    async def receive_message() -> Message:
        return await receive()

    query = scope.get("query_string", b"")
    if not query.isascii():
        scope = {**scope, "query_string": quote(query, safe=string.printable).encode()}
    await django_in_threads(scope, receive_message, send)


application = with_hot_path(django, start_coalescing())
spare_what_stays()
