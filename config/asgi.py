"""The ASGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["WEB_PROCESS"] = "true"
django_application = get_wsgi_application()

# What is not ready before the settings are.
from django.conf import settings  # noqa: E402

from config.web import start_coalescing  # noqa: E402
from core.garbage import spare_what_stays  # noqa: E402
from edge.application import make_application  # noqa: E402
from edge.rooms import Rooms  # noqa: E402

rooms = Rooms(django_application, api_threads=settings.WEB_THREADS, page_threads=settings.WEB_PAGE_THREADS)
application = make_application(rooms, start_coalescing())
spare_what_stays()
