"""Serving uploaded files from storage, and the icon that browsers ask for by themselves."""

import mimetypes
from typing import Final

from django.core.exceptions import SuspiciousFileOperation, ValidationError
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from PIL import UnidentifiedImageError

from core.images import served_name

NAME_LENGTH_MAX: Final = 255
"""Longer than the name of any upload; what a file system does with longer names is not asked."""

NOT_SERVED: Final = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    UnidentifiedImageError,
    SuspiciousFileOperation,
    ValidationError,
    ValueError,
)
"""What opening a file raises that is not there, has no name that a file can have, or is no image that it should be."""


def serve_media(_: HttpRequest, name: str) -> FileResponse:
    """Answer with an uploaded file. Its name is the hash of its content, so browsers may keep it for ever."""
    if len(name) > NAME_LENGTH_MAX:
        raise Http404
    try:
        file = default_storage.open(served_name(name))
    except NOT_SERVED as error:
        raise Http404 from error
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return FileResponse(file, content_type=content_type, headers=headers)


def serve_favicon(_: HttpRequest) -> HttpResponseRedirect:
    """Send browsers, which ask here whatever page they show, to the icon."""
    return HttpResponseRedirect(static("backoffice/favicon.svg"))
