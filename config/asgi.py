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

from api.hot_path import Application, with_hot_path  # noqa: E402
from config.web import start_coalescing  # noqa: E402
from core.garbage import spare_what_stays  # noqa: E402

django_in_threads = WSGIMiddleware(cast(Any, django_application), workers=settings.WEB_THREADS)
application = with_hot_path(cast(Application, django_in_threads), start_coalescing())
spare_what_stays()
