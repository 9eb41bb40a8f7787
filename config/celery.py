"""The Celery application: `celery --app config.celery worker`, and `beat`."""

import os
from pathlib import Path

from celery import Celery
from celery.signals import import_modules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("pointsmith")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@import_modules.connect
def make_folders(**_: object) -> None:
    """Make the folders of the file queue and of the clock's memory, which worker and clock expect to exist."""
    for folder in (*app.conf.broker_transport_options.values(), Path(app.conf.beat_schedule_filename).parent):
        Path(folder).mkdir(parents=True, exist_ok=True)
