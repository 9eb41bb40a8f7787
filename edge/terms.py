"""How much of a request's body is received, and how long it may take: by who sends it, once it is no small one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from http.cookies import CookieError
from importlib import import_module
from typing import Final, TypeVar

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.http import HttpRequest, parse_cookie
from django.urls import reverse

from api.authentication import check_known
from api.errors import ApiError, too_large
from api.events import BATCH_BYTES_MAX, BATCH_PATH
from api.hot_path import Headers
from api.middleware import MACHINE_PREFIXES
from core.connections import release_connection
from core.images import BADGE_BYTES_MAX
from imports.files import FILE_BYTES_MAX

Found = TypeVar("Found")

FORM_BYTES_MAX: Final = 1_000_000
"""What the fields of a form may take beside its file."""


@dataclass(frozen=True)
class Terms:
    """What a sender may send, in all, and in which time. A stranger is whoever has neither a key nor a login."""

    bytes_max: int
    seconds_max: float
    is_stranger: bool
    file_bytes_max: int | None = None
    """How much of that a form's file may be, where there may be one; the rest is for what comes with it."""

    def too_large(self) -> ApiError:
        """Return the error for more than that."""
        return too_large(self.bytes_max) if self.file_bytes_max is None else too_large(self.file_bytes_max, "file")


def terms_of_strangers() -> Terms:
    """Return the terms of whoever has said nothing of themselves, which hold for all small bodies."""
    return Terms(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.BODY_S_MAX, is_stranger=True)


class Doorkeeper:
    """Finds out who sends a large body, before it is received. Threads ask the database, for the event loop may not."""

    def __init__(self, *, api: Executor, pages: Executor) -> None:
        self._api, self._pages = api, pages

    async def terms(self, path: str, headers: Headers) -> Terms:
        """Return the sender's terms at this address. Raises ApiError where the API's address needs a known key."""
        loop = asyncio.get_running_loop()
        if path.startswith(MACHINE_PREFIXES):
            return await loop.run_in_executor(self._api, _released, lambda: _terms_of_key(path, headers))
        return await loop.run_in_executor(self._pages, _released, lambda: _terms_of_operator(path, headers))


def _released(find: Callable[[], Found]) -> Found:
    try:
        return find()
    finally:
        release_connection()


def _terms_of_key(path: str, headers: Headers) -> Terms:
    key = headers.get(b"x-api-key")
    check_known(None if key is None else key.decode("latin-1"))
    bytes_max = BATCH_BYTES_MAX if path == BATCH_PATH else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return Terms(bytes_max, settings.BODY_S_MAX, is_stranger=False)


def _terms_of_operator(path: str, headers: Headers) -> Terms:
    user = _operator(headers.get(b"cookie", b"").decode("latin-1"))
    if user is None or not user.is_staff:
        return terms_of_strangers()
    of_imports = path.startswith(reverse("admin:imports_importrun_changelist"))
    may_import = of_imports and user.has_perm("imports.add_importrun")
    file_bytes_max = FILE_BYTES_MAX if may_import else BADGE_BYTES_MAX
    bytes_max = file_bytes_max + FORM_BYTES_MAX
    return Terms(bytes_max, settings.UPLOAD_S_MAX, is_stranger=False, file_bytes_max=file_bytes_max)


def _operator(cookies: str) -> User | None:
    """Return who is logged in by these cookies, None if nobody is."""
    try:
        session_key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    if not session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None
