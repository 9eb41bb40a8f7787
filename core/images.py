"""Badges: images that operators upload, re-encoded and stored under the hash of what they hold."""

import hashlib
import io
import warnings
from typing import Any, Final, TypedDict

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.db import models
from django.db.models.fields.files import FieldFile, ImageFieldFile
from PIL import Image, ImageOps, UnidentifiedImageError

BADGE_BYTES_MAX: Final = 5 * 1024 * 1024
BADGE_PIXELS_MAX: Final = 4096
BADGE_FORMATS: Final = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif"}


def validate_badge(file: "File[bytes]") -> None:
    """Refuse, with one clear sentence, what is not an image that a badge can be."""
    if getattr(file, "_committed", False):
        return  # stored before, and looked at then
    if file.size > BADGE_BYTES_MAX:
        raise ValidationError(f"must be at most {BADGE_BYTES_MAX // 1024 // 1024} MB.")
    file.seek(0)
    reencode(file.read())
    file.seek(0)


def reencode(data: bytes) -> tuple[bytes, str]:
    """Return the image anew without its metadata, and its file ending. Raises ValidationError for anything else.

    The size is read from the header before any pixel is decoded, so that a small file cannot unpack to gigabytes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=list(BADGE_FORMATS)) as image:
                return _encode(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValidationError(
            "must be a PNG, JPEG, WebP or GIF image; this file is damaged or something else."
        ) from error


def _encode(image: Image.Image) -> tuple[bytes, str]:
    if max(image.size) > BADGE_PIXELS_MAX:
        raise _too_many_pixels()
    format_ = image.format or ""
    out = io.BytesIO()
    if getattr(image, "is_animated", False):
        image.save(out, format=format_, save_all=True)
    else:
        ImageOps.exif_transpose(image).save(out, format=format_, exif=b"")
    return out.getvalue(), BADGE_FORMATS[format_]


def _too_many_pixels() -> ValidationError:
    return ValidationError(f"must be at most {BADGE_PIXELS_MAX} pixels wide and high.")


class BadgeFile(ImageFieldFile):
    """A badge's file: saving it re-encodes the image and names it by its content."""

    def save(self, name: str, content: "File[bytes]", save: bool = True) -> None:
        """Store `content` under its hash, unless the same image is there already. The name given is not used."""
        content.seek(0)
        data, ending = reencode(content.read())
        name = f"badges/{hashlib.sha256(data).hexdigest()[:32]}.{ending}"
        if not self.storage.exists(name):
            self.storage.save(name, ContentFile(data))
        self.name = name
        setattr(self.instance, self.field.attname, name)
        self._committed = True
        if save:
            self.instance.save(update_fields=[self.field.attname])


class BadgeField(models.ImageField):
    """An uploaded badge."""

    attr_class = BadgeFile
    default_validators = [*models.ImageField.default_validators, validate_badge]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_length": 100, "default": "", **kwargs})


def absolute_badge_url(badge: FieldFile, url: str) -> str | None:
    """Return the address for an `<img src>`: of the uploaded badge, else of the one hosted elsewhere, else None."""
    if badge:
        stored = badge.url
        return stored if "://" in stored else f"{settings.PUBLIC_URL}{stored}"
    return url or None


class BadgeJson(TypedDict):
    """A badge by its address."""

    url: str


def render_admin_badge(badge: FieldFile, url: str) -> BadgeJson | None:
    """Return the Admin API's shape of a badge."""
    address = absolute_badge_url(badge, url)
    return {"url": address} if address else None
