"""Badges: images that operators upload, re-encoded and stored under the hash of what they hold."""

import hashlib
import io
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypedDict

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import models
from django.db.models.fields.files import FieldFile, ImageFieldFile
from django.urls import reverse
from PIL import Image, ImageCms, ImageOps, ImageSequence

BADGE_BYTES_MAX: Final = 5 * 1024 * 1024
BADGE_PIXELS_MAX: Final = 4096
BADGE_STORED_PIXELS_MAX: Final = 512
"""What is stored, and shown by products, has no longer side: larger uploads are made smaller."""
THUMBNAIL_PIXELS_MAX: Final = 96
"""Three times the 32 pixels that a list has for a badge, for dense screens."""
BADGE_FRAMES_MAX: Final = 500
BADGE_FOLDER: Final = "badges"
BADGE_FORMATS: Final = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif"}
BADGE_CONTENT_TYPES: Final = ("image/png", "image/jpeg", "image/webp", "image/gif")
THUMBNAIL_FOLDER: Final = f"{BADGE_FOLDER}/thumbnails"
SMALLER_FOLDER: Final = f"{BADGE_FOLDER}/{BADGE_STORED_PIXELS_MAX}"
"""Where smaller copies lie of the badges that were stored before large ones were made smaller."""
_BADGE_FILE: Final = rf"[0-9a-f]{{32}}\.(?:{'|'.join(BADGE_FORMATS.values())})"
_BADGE: Final = re.compile(rf"{BADGE_FOLDER}/({_BADGE_FILE})")
_THUMBNAIL: Final = re.compile(rf"{THUMBNAIL_FOLDER}/({_BADGE_FILE})\.webp")
# What Pillow would carry over from the original, unless it is given something else.
WITHOUT_METADATA: Final[dict[str, Any]] = {"exif": b"", "xmp": b"", "comment": b"", "icc_profile": None}
QUALITY: Final = 90
"""Of what was stored with loss, on a scale to 100: storing it once more should not be seen."""


def validate_badge(file: "File[bytes]") -> None:
    """Refuse, with one clear sentence, what is not an image that a badge can be."""
    if not getattr(file, "_committed", False):  # else stored before, and looked at then
        encoded_badge(file)


def encoded_badge(file: "File[bytes]") -> tuple[bytes, str]:
    """Return what is stored of an upload, and its file ending. Raises ValidationError.

    Kept on the upload, because the form, the model and the storage each ask, and large images take seconds.
    """
    upload: Any = file.file if isinstance(file, FieldFile) else file
    if not hasattr(upload, "encoded_badge"):
        if file.size > BADGE_BYTES_MAX:
            raise ValidationError(f"must be at most {BADGE_BYTES_MAX // 1024 // 1024} MB.")
        file.seek(0)
        upload.encoded_badge = reencode(file.read())
        file.seek(0)
    encoded: tuple[bytes, str] = upload.encoded_badge
    return encoded


def reencode(data: bytes) -> tuple[bytes, str]:
    """Return the image anew without its metadata, and its file ending. Raises ValidationError for anything else.

    Sizes are read from the headers before any pixel is decoded, so that a small file cannot unpack to gigabytes.
    """
    try:
        with Image.open(io.BytesIO(data), formats=list(BADGE_FORMATS)) as image:
            # Pillow does not say of a WebP whether it is lossless; the name of the chunk that holds the pixels does.
            return _encode(image, WITHOUT_METADATA | {"lossless": b"VP8L" in data, "quality": QUALITY})
    except ValidationError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except Exception as error:  # a file made to harm makes Pillow raise anything, such as IndexError
        raise ValidationError(
            "must be a PNG, JPEG, WebP or GIF image; this file is damaged or something else."
        ) from error


def _encode(image: Image.Image, options: dict[str, Any]) -> tuple[bytes, str]:
    _check_size(image)
    # Cameras put several pictures into one JPEG, which Pillow calls MPO: the first is the picture.
    format_ = "JPEG" if image.format == "MPO" else image.format or ""
    out = io.BytesIO()
    if format_ != "JPEG" and getattr(image, "is_animated", False):
        _save_animation(image, format_, out, options)
    else:
        small = _at_most(_in_srgb(ImageOps.exif_transpose(image)), BADGE_STORED_PIXELS_MAX)
        (_in_palette(small.convert("RGBA")) if format_ == "GIF" else small).save(out, format_, **options)
    return out.getvalue(), BADGE_FORMATS[format_]


def _save_animation(image: Image.Image, format_: str, out: io.BytesIO, options: dict[str, Any]) -> None:
    """Write the frames as they look, so that none depends on what is left of those before it.

    Of how long each is shown and how often all are, Pillow would carry over only a part.
    """
    frames, durations = _frames(image)
    timing = {"duration": durations} | ({"loop": image.info["loop"]} if "loop" in image.info else {})
    if format_ == "GIF":
        frames = [_in_palette(frame) for frame in frames]
        timing["disposal"] = 2  # each frame gives way to the next, also where that is transparent
    elif format_ == "PNG":
        has_stand_in = image.info.get("default_image", False)  # for who cannot show animations; no frame, so no time
        timing |= {"default_image": has_stand_in, "disposal": 0, "blend": 0, "duration": durations[has_stand_in:]}
    first, *others = frames
    first.save(out, format_, save_all=True, append_images=others, **timing, **options)


def _frames(image: Image.Image) -> tuple[list[Image.Image], list[float]]:
    """Return the frames, each as it looks when it is shown, and for how many milliseconds it is.

    Refuses an animation whose frames are too many, or together more pixels than the largest still image has.
    """
    frames: list[Image.Image] = []
    durations: list[float] = []
    pixels = 0
    for frame in ImageSequence.Iterator(image):
        _check_size(frame)
        pixels += frame.width * frame.height
        if pixels > BADGE_PIXELS_MAX**2 or len(frames) == BADGE_FRAMES_MAX:
            raise ValidationError(
                f"is too long an animation: at most {BADGE_FRAMES_MAX} frames, "
                f"of {BADGE_PIXELS_MAX**2 / 1e6:.1f} million pixels together."
            )
        frame.load()
        frames.append(_at_most(_in_srgb(frame.convert("RGBA")), BADGE_STORED_PIXELS_MAX))
        durations.append(frame.info.get("duration", 0))
    return frames, durations


def _in_srgb(image: Image.Image) -> Image.Image:
    """Return the image in the colours that are meant where none are named, which its own profile is turned into."""
    profile = image.info.get("icc_profile")
    if profile:
        plain = image.convert("RGBA" if "transparency" in image.info else "RGB") if image.mode == "P" else image
        with suppress(ImageCms.PyCMSError, OSError):  # a profile that is damaged, or of another kind of image
            source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            mode = "RGBA" if plain.mode == "RGBA" else "RGB"
            return ImageCms.profileToProfile(plain, source, srgb, outputMode=mode) or image
    return image


def _at_most(image: Image.Image, pixels_max: int) -> Image.Image:
    """Return the image with its longer side at most so long; as it is if it is no longer."""
    longer = max(image.size)
    if longer <= pixels_max:
        return image
    if image.mode in {"P", "PA", "1"} or "transparency" in image.info:
        image = image.convert("RGBA" if image.mode != "1" else "L")  # colours in between are in no palette
    smooth = image.mode in {"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"}
    size = tuple(max(1, round(side * pixels_max / longer)) for side in image.size)
    return image.resize(size, Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST)


def _in_palette(frame: Image.Image) -> Image.Image:
    """Return the frame in the 256 colours that a GIF can have, which are exact unless it has more of them.

    Pillow itself would round them in a frame that is transparent somewhere.
    """
    opacity = frame.getchannel("A")
    if opacity.getextrema()[0] == 255:
        return frame.convert("RGB")
    colours = frame.convert("RGB").quantize(255, dither=Image.Dither.NONE)
    palette = colours.getpalette() or []
    colours.putpalette([*palette, *[0] * (768 - len(palette))])
    colours.paste(255, mask=opacity.point([255] * 128 + [0] * 128))
    colours.info["transparency"] = 255
    return colours


def _check_size(image: Image.Image) -> None:
    if max(image.size) > BADGE_PIXELS_MAX:
        raise _too_many_pixels()


def _too_many_pixels() -> ValidationError:
    return ValidationError(f"must be at most {BADGE_PIXELS_MAX} pixels wide and high.")


def badge_name(data: bytes, ending: str) -> str:
    """Return the name under which an encoded badge is stored: the same for the same image, on every server."""
    return f"{BADGE_FOLDER}/{hashlib.sha256(data).hexdigest()[:32]}.{ending}"


# Large images take a second and a hundred megabytes: one at a time in each process.
_making: Final = threading.Lock()


def served_name(name: str) -> str:
    """Return the name of the stored file that is served under this name, made where it was never asked for before.

    That is a thumbnail, and a smaller copy of a badge that was stored before large ones were made smaller: its address
    and its name in files of rules stay. Raises FileNotFoundError for the thumbnail of a badge that is not stored.
    """
    if found := _THUMBNAIL.fullmatch(name):
        return _made_once(name, f"{BADGE_FOLDER}/{found[1]}", _thumbnail)
    if (found := _BADGE.fullmatch(name)) and default_storage.exists(name) and _is_large(name):
        return _made_once(f"{SMALLER_FOLDER}/{found[1]}", name, lambda data: reencode(data)[0])
    return name


def _is_large(name: str) -> bool:
    with (
        default_storage.open(name) as file,
        suppress(Exception),
        Image.open(file, formats=list(BADGE_FORMATS)) as image,
    ):
        return max(image.size) > BADGE_STORED_PIXELS_MAX
    return False


def _made_once(name: str, source: str, make: Callable[[bytes], bytes]) -> str:
    """Return `name` once the file is stored, made of the stored file `source`."""
    with _making:
        if not default_storage.exists(name):
            with default_storage.open(source) as file:
                made = make(file.read())
            stored = default_storage.save(name, ContentFile(made))
            if stored != name:  # another process was faster, and the storage found another name for the same content
                default_storage.delete(stored)
    return name


def _thumbnail(data: bytes) -> bytes:
    """Return a small still of a badge, whose content is known to be an image."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(data), formats=list(BADGE_FORMATS)) as image:
        small = _at_most(ImageOps.exif_transpose(image).convert("RGBA"), THUMBNAIL_PIXELS_MAX)
        small.save(out, "WEBP", **WITHOUT_METADATA, quality=QUALITY)
    return out.getvalue()


class BadgeFile(ImageFieldFile):
    """A badge's file: saving it re-encodes the image and names it by its content."""

    def save(self, name: str, content: "File[bytes]", save: bool = True) -> None:
        """Store `content` under its hash, unless the same image is there already. The name given is not used."""
        data, ending = encoded_badge(content)
        name = badge_name(data, ending)
        if not self.storage.exists(name):
            self.storage.save(name, ContentFile(data))
        self.name = name
        setattr(self.instance, self.field.attname, name)
        self._committed = True
        if save:
            self.instance.save(update_fields=[self.field.attname])


class BadgeFormField(forms.ImageField):
    """A badge in a form. What it is shows in its content: the name is not looked at."""

    default_validators = []

    def to_python(self, data: Any) -> Any:
        """Refuse what cannot be a badge, in the same words as everywhere."""
        upload = forms.FileField.to_python(self, data)
        if upload is not None:
            validate_badge(upload)
        return upload


class BadgeField(models.ImageField):
    """An uploaded badge."""

    attr_class = BadgeFile
    default_validators = [*models.ImageField.default_validators, validate_badge]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_length": 100, "default": "", **kwargs})

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        """Return a form's field for it."""
        return super().formfield(*args, **{"form_class": BadgeFormField, **kwargs})


def absolute_badge_url(badge: FieldFile, url: str) -> str | None:
    """Return the address for an `<img src>`: of the uploaded badge, else of the one hosted elsewhere, else None."""
    if badge:
        stored = badge.url
        return stored if "://" in stored else f"{settings.PUBLIC_URL}{stored}"
    return url or None


def local_badge_url(badge: FieldFile, url: str) -> str | None:
    """Return the same for a page of this server, by whatever name the browser reached it."""
    return badge.url if badge else url or None


def thumbnail_url(badge: FieldFile, url: str) -> str | None:
    """Return the address of a badge for a list of this server's pages; one hosted elsewhere is shown as it is."""
    if found := _BADGE.fullmatch(badge.name or ""):
        return reverse("media", args=[f"{THUMBNAIL_FOLDER}/{found[1]}.webp"])
    return local_badge_url(badge, url)


class BadgeJson(TypedDict):
    """A badge by its address."""

    url: str


def render_admin_badge(badge: FieldFile, url: str) -> BadgeJson | None:
    """Return the Admin API's shape of a badge."""
    address = absolute_badge_url(badge, url)
    return {"url": address} if address else None
