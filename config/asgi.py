"""The ASGI application that granian serves: events in the event loop, everything else by Django in threads."""

import os
from typing import Any, cast

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
    """Let Django answer. What granian gives to receive by can be awaited, but is no coroutine, which `a2wsgi` needs."""

    async def receive_message() -> Message:
        return await receive()

    await django_in_threads(scope, receive_message, send)


application = with_hot_path(django, start_coalescing())
spare_what_stays()
