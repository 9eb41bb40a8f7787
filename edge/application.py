"""The ASGI application as a whole: what a request passes, from the outside in."""

from django.conf import settings

from api.hot_path import Application, with_hot_path
from edge.origins import with_origins
from edge.receiving import with_whole_bodies
from edge.rooms import Rooms
from edge.terms import Doorkeeper
from engine.coalescing import Coalescer


def make_application(rooms: Rooms, coalescer: Coalescer) -> Application:
    """Return the application: events are answered in the event loop, everything else by Django in `rooms`."""
    doorkeeper = Doorkeeper(api=rooms.api.executor, pages=rooms.pages.executor)
    return with_origins(with_whole_bodies(with_hot_path(rooms, coalescer), doorkeeper), settings.CORS_ALLOWED_ORIGINS)
