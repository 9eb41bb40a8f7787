"""Which address a request asks for, told from the path as it was sent: `%2F` in an id does not separate anything."""

from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from django.http import HttpRequest
from django.urls import ResolverMatch, resolve

AS_SENT_IN = ("REQUEST_URI", "RAW_URI")
"""Where WSGI servers keep the path as it was sent, which is not part of WSGI; an ASGI server has it in its scope."""


def resolve_address(request: HttpRequest) -> ResolverMatch:
    """Return what answers the request, with what the address names decoded. Raises Resolver404.

    Parts of the path are compared percent-encoded, each in the same way.
    """
    parts = _path_as_sent(request).split(b"/")
    match = resolve("/".join(quote(unquote_to_bytes(part), safe="") for part in parts))
    match.kwargs = {name: unquote(value) for name, value in match.kwargs.items() if value is not None}
    return match


def is_split(request: HttpRequest, name: str) -> bool:
    """Tell whether what the address names so has slashes that were not encoded when it was sent.

    Where the server kept only the decoded path nobody can tell, so it is False.
    """
    match = request.resolver_match
    # Still encoded, as the address was resolved.
    named = match.captured_kwargs[name] if match else ""  # type: ignore[attr-defined] # the stubs do not know it
    return "/" in named and _kept_path(request) is not None


def _path_as_sent(request: HttpRequest) -> bytes:
    """Return the path, still encoded. Where the server kept only the decoded one, its slashes all separate."""
    return _kept_path(request) or quote(request.path_info).encode()


def _kept_path(request: HttpRequest) -> bytes | None:
    """Return the path as it was sent, None if the server did not keep it."""
    raw = bytes(request.META.get("asgi.scope", {}).get("raw_path", b""))
    if raw:
        return raw
    for name in AS_SENT_IN:
        if uri := request.META.get(name):
            return urlsplit(str(uri)).path.encode("latin-1", "replace")
    return None
