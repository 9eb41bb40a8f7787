"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["WEB_PROCESS"] = "true"
django_application = get_wsgi_application()

# What is not ready before the settings are.
from api.hot_path import with_hot_path  # noqa: E402
from config.web import start_coalescing  # noqa: E402
from core.garbage import spare_what_stays  # noqa: E402

start_coalescing()
application = with_hot_path(django_application)
spare_what_stays()
