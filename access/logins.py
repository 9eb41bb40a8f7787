"""How often somebody may try to log in: counted before a password is looked at, since that is what takes time.

Strangers are counted twice: by their address, so that nobody tries many names, and by the name, so that nobody tries
it from many addresses. A browser that has logged in with a name before carries a mark that says so, and is counted by
that mark alone: what others do to the name, or from the same address, does not lock its operator out. Where a name is
tried too often, each address still has one try an hour, for an operator with a new browser.
"""

import logging
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from secrets import token_urlsafe
from threading import BoundedSemaphore
from typing import Final
from unicodedata import normalize

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from limits import RateLimitItem, parse

from core.call_counter import counter

logger = logging.getLogger(__name__)

MARK: Final = "known_browser"
"""The cookie of a browser that has logged in."""
_MARK_SALT: Final = "access.logins"
_MARK_AGE_S_MAX: Final = 180 * 24 * 60 * 60
_OF_KNOWN: Final = parse("10/5 minute")
_FIRST_TRIES: Final = parse("1/hour")
_LOG_LINES: Final = parse("1/minute")
_AT_ONCE: Final = 2

strangers: Final = BoundedSemaphore(_AT_ONCE)
known: Final = BoundedSemaphore(_AT_ONCE)
"""How many passwords this process looks at at the same time. Who comes while there are as many does not wait for it."""


def seconds_to_wait(request: HttpRequest, name: str) -> int:
    """Count a try to log in; return after how many seconds to try again, 0 where it may be made."""
    if mark := _mark_of(request, name):
        return _count(_OF_KNOWN, f"known:{mark}")
    address = address_of(request)
    wait = _count(settings.LOGIN_RATE_ADDRESS, f"address:{address}")
    if not wait and (wait := _count(settings.LOGIN_RATE_NAME, f"name:{_hashed(name)}")):
        wait = wait if _count(_FIRST_TRIES, f"first:{address}") else 0
    if wait and not _count(_LOG_LINES, f"log:{address}"):
        logger.warning("Logins from %s are refused for %s s: there were too many.", address, wait)
    return wait


def gate_for(request: HttpRequest, name: str) -> BoundedSemaphore:
    """Return what a try has to get through: a flood of strangers leaves known browsers their own."""
    return known if _mark_of(request, name) else strangers


def set_mark(response: HttpResponse, name: str) -> None:
    """Let the browser that gets the response be known as one that has logged in with the name."""
    response.set_cookie(
        MARK,
        signing.dumps([_hashed(name), token_urlsafe(12)], salt=_MARK_SALT),
        max_age=_MARK_AGE_S_MAX,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def address_of(request: HttpRequest) -> str:
    """Return the address that a request came from; of IPv6 the network, of which a household has a whole one.

    Behind proxies it is the one that the outermost of them saw. Whatever stands before that, anybody can have written.
    """
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    count = settings.PROXY_COUNT
    text = hops[-count] if 0 < count <= len(hops) and hops[-count] else request.META.get("REMOTE_ADDR", "")
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64)) + "/64"
    return str(getattr(address, "ipv4_mapped", None) or address)


def _mark_of(request: HttpRequest, name: str) -> str:
    """Return the mark of a browser that has logged in with this name, '' where it has none."""
    try:
        of, mark = signing.loads(request.COOKIES.get(MARK, ""), salt=_MARK_SALT, max_age=_MARK_AGE_S_MAX)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(mark) if of == _hashed(name) else ""


def _hashed(name: str) -> str:
    return sha256(normalize("NFKC", name).strip().casefold().encode(errors="replace")).hexdigest()[:32]


def _count(rate: RateLimitItem | None, key: str) -> int:
    """Count in this process, and where there is Redis in all of them, so that a limit holds while Redis is away."""
    if rate is None:
        return 0
    counters = [counter(url) for url in dict.fromkeys(["", settings.REDIS_URL])]
    return max(each.count(rate, f"login:{key}") for each in counters)
