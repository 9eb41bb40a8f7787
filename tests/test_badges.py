"""Uploaded badges: re-encoded without their metadata, and refused with a clear sentence where they could do harm."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image, ImageCms, ImageSequence
from PIL.PngImagePlugin import PngInfo

from achievements.models import Achievement
from config.rule_file.badges import Badges
from core.images import BADGE_FRAMES_MAX, badge_name, encoded_badge, reencode, thumbnail_url
from core.services import create_checked, update_checked
from levels.models import Level
from points.models import PointsSystem
from tests.conftest import Api, Game
from tests.page_forms import form_on
from tests.test_admin import text_of

SECRET = b"taken at home"


@pytest.fixture
def operator(db: None, settings: Any, tmp_path: Path) -> Client:
    settings.MEDIA_ROOT = tmp_path
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def picture(format_: str = "PNG", size: tuple[int, int] = (8, 8), **options: Any) -> bytes:
    """Return a purple image."""
    out = io.BytesIO()
    Image.new("RGB", size, "purple").save(out, format_, **options)
    return out.getvalue()


def animation(format_: str, frames: int = 3, size: tuple[int, int] = (8, 8), **options: Any) -> bytes:
    """Return an animation in which no two frames in a row are the same."""
    pictures = [Image.new("RGB", size, "purple" if number % 2 else "gold") for number in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, format_, save_all=True, append_images=pictures[1:], **options)
    return out.getvalue()


def with_metadata(make: Callable[..., bytes], format_: str) -> bytes:
    """Return an image that says in every way that its format has where it was taken."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    notes = PngInfo()
    notes.add_text("Comment", SECRET.decode())
    notes.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    options: dict[str, dict[str, Any]] = {
        "PNG": {"exif": exif, "pnginfo": notes},
        "JPEG": {"exif": exif, "comment": SECRET, "xmp": SECRET},
        "WEBP": {"exif": exif, "xmp": SECRET},
        "GIF": {"comment": SECRET},
    }
    return make(format_, **options[format_])


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """Return a PNG file that says it is this large, whatever it holds."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def upload(operator: Client, game: Game, data: bytes, name: str = "badge.png") -> Any:
    form = {"name": "XP", "key": "xp", "badge": SimpleUploadedFile(name, data)}
    return operator.post(f"/admin/points/pointssystem/{game.xp.id}/change/", form)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_an_uploaded_badge_is_served_from_an_absolute_address_without_its_metadata(
    format_: str, operator: Client, api: Api, game: Game, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://points.example.com"
    data = with_metadata(picture, format_)
    assert SECRET in data
    assert upload(operator, game, data, "badge.jpg").status_code == 302
    url = api.get("/v1/points/xp").json()["badgeUrl"]
    assert url.startswith("https://points.example.com/media/badges/")
    image: Any = Client().get(url.removeprefix("https://points.example.com"))
    content = b"".join(image.streaming_content)
    assert image["Content-Type"] == f"image/{format_.lower()}"
    assert Image.open(io.BytesIO(content)).format == format_
    assert SECRET not in content


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF"])
def test_an_animation_keeps_moving_and_loses_its_metadata(format_: str) -> None:
    data = with_metadata(animation, format_)
    assert SECRET in data
    content, ending = reencode(data)
    assert SECRET not in content
    assert ending == format_.lower()
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 3


def moving(size: int = 32) -> list[Image.Image]:
    """Return the frames of a square of 200 colours that moves over what is transparent."""
    frames = []
    for step in range(4):
        frame = Image.new("P", (size, size), 255)
        frame.putpalette([*(channel for n in range(200) for channel in (n, 255 - n, n * 7 % 256)), *[0] * 168])
        for x, y in product(range(8), range(8, 24)):
            frame.putpixel((x + 8 * step, y), (x * 17 + y * 5 + step) % 200)
        frame.info["transparency"] = 255
        frames.append(frame)
    return frames


def frames_of(data: bytes) -> tuple[list[tuple[bytes, Any]], Any]:
    """Return how each frame looks and for how long it is shown, and how often all are."""
    image = Image.open(io.BytesIO(data))
    frames = [(seen(frame), frame.info.get("duration")) for frame in ImageSequence.Iterator(image)]
    return frames, image.info.get("loop")


def seen(frame: Image.Image) -> bytes:
    """Return the pixels as they look on white: what is under the transparent ones does not matter."""
    pixels = frame.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", pixels.size, "white"), pixels).convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("GIF", {"disposal": 2, "loop": 3}),
        ("GIF", {"disposal": [1, 2, 1, 2], "loop": 0}),
        ("GIF", {"disposal": 2}),
        ("PNG", {"disposal": 1, "loop": 3}),
        ("PNG", {"disposal": [2, 1, 0, 0], "blend": [0, 1, 0, 1]}),
        ("WEBP", {"lossless": True, "loop": 3}),
        ("WEBP", {"lossless": True, "loop": 0}),
    ],
)
def test_an_animation_looks_and_lasts_as_before(format_: str, options: dict[str, Any]) -> None:
    first, *others = [frame if format_ == "GIF" else frame.convert("RGBA") for frame in moving()]
    out = io.BytesIO()
    durations = [100, 250, 30, 400]
    first.save(out, format_, save_all=True, append_images=others, duration=durations, **options)
    before = frames_of(out.getvalue())
    assert [duration for _, duration in before[0]] == durations
    assert len({picture for picture, _ in before[0]}) == 4
    assert frames_of(reencode(out.getvalue())[0]) == before


def test_an_animated_png_keeps_the_picture_for_who_cannot_show_it_moving() -> None:
    stand_in, *frames = [frame.convert("RGBA") for frame in moving()]
    out = io.BytesIO()
    stand_in.save(out, "PNG", save_all=True, append_images=frames, default_image=True, duration=[100, 200, 300])
    content, _ = reencode(out.getvalue())
    assert frames_of(content) == frames_of(out.getvalue())
    assert Image.open(io.BytesIO(content)).info["default_image"]


def test_what_was_stored_without_loss_is_stored_without_loss() -> None:
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    for format_, options in (("WEBP", {"lossless": True}), ("PNG", {})):
        out = io.BytesIO()
        noise.save(out, format_, **options)
        assert seen(Image.open(io.BytesIO(reencode(out.getvalue())[0]))) == noise.tobytes()


def green_for_red() -> bytes:
    """Return a profile by whose colours red is green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_colours_by_a_profile_of_the_image_s_own_look_the_same_without_it(format_: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(out, format_, icc_profile=green_for_red())
    image = Image.open(io.BytesIO(reencode(out.getvalue())[0]))
    assert "icc_profile" not in image.info
    red, green, blue = image.convert("RGB").getpixel((8, 8))  # type: ignore[misc] # of RGB that is three numbers
    assert (red < 20, green > 235, blue < 20) == (True, True, True)


def test_a_profile_keeps_transparency_and_one_that_is_damaged_is_only_dropped() -> None:
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    for profile, colour in ((green_for_red(), (0, 255, 0, 0)), (b"damaged", (255, 0, 0, 0))):
        out = io.BytesIO()
        clear.save(out, "PNG", icc_profile=profile)
        image = Image.open(io.BytesIO(reencode(out.getvalue())[0]))
        assert (image.mode, "icc_profile" in image.info) == ("RGBA", False)
        assert all(abs(a - b) < 20 for a, b in zip(image.getpixel((8, 8)), colour, strict=True))  # type: ignore[arg-type]


def test_a_photo_keeps_the_side_up_that_its_metadata_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    content, _ = reencode(picture("JPEG", (20, 10), exif=exif))
    assert Image.open(io.BytesIO(content)).size == (10, 20)


def test_of_the_several_pictures_of_a_camera_the_first_is_kept() -> None:
    content, ending = reencode(animation("MPO", 2))
    assert ending == "jpg"
    assert Image.open(io.BytesIO(content)).format == "JPEG"


BAD_BADGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (lambda: b"not an image", "must be a PNG, JPEG, WebP or GIF image"),
    "an SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "must be a PNG, JPEG, WebP or GIF image"),
    "HTML": (lambda: b"<!doctype html><script>alert(1)</script>", "must be a PNG, JPEG, WebP or GIF image"),
    "an image with a script behind it": (lambda: b"GIF89a/*" + b"<script>" * 9, "must be a PNG, JPEG, WebP or GIF"),
    "another format": (lambda: picture("BMP"), "must be a PNG, JPEG, WebP or GIF image"),
    "a damaged image": (lambda: picture()[:40], "damaged"),
    "an image without its pixels": (lambda: png(100, 100), "damaged"),
    "too wide": (lambda: picture(size=(4097, 2)), "at most 4096 pixels"),
    "a decompression bomb": (lambda: png(60_000, 60_000), "at most 4096 pixels"),
    "a decompression bomb that Pillow only warns of": (lambda: png(11_000, 9_000), "at most 4096 pixels"),
    "an animation of too many pixels": (lambda: animation("GIF", 20, (1000, 1000)), "too long an animation"),
    "an animated PNG of too many pixels": (lambda: animation("PNG", 20, (1000, 1000)), "too long an animation"),
    "an animation of too many frames": (
        lambda: animation("GIF", BADGE_FRAMES_MAX + 1, (2, 2)),
        "too long an animation",
    ),
    "too large a file": (lambda: picture() + b"\0" * 6_000_000, "at most 5 MB"),
    "an empty file": (lambda: b"", "file is empty"),
}


@pytest.mark.parametrize("case", BAD_BADGES)
def test_a_badge_is_refused_that_is(case: str, operator: Client, game: Game, tmp_path: Path) -> None:
    make, sentence = BAD_BADGES[case]
    answer = upload(operator, game, make())
    assert answer.status_code == 200
    assert re.search(sentence, text_of(answer))
    assert not PointsSystem.objects.get(key="xp").badge
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, of what it repairs
def test_whatever_is_damaged_gets_a_sentence_and_no_other_error() -> None:
    for format_ in ("PNG", "JPEG", "WEBP", "GIF"):
        whole = with_metadata(picture, format_)
        for place in range(0, len(whole), 3):
            for damaged in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
                with suppress(ValidationError):
                    reencode(damaged)


def test_a_badge_is_decoded_once_however_many_ask() -> None:
    file = ContentFile(picture(), name="badge.png")
    assert encoded_badge(file) is encoded_badge(file)


def test_a_name_says_nothing_and_the_same_image_is_stored_once(operator: Client, game: Game, tmp_path: Path) -> None:
    assert upload(operator, game, picture(), "../../evil.html").status_code == 302
    assert upload(operator, game, picture(), "badge.php").status_code == 302
    (stored,) = tmp_path.rglob("*.*")
    assert re.fullmatch(r"[0-9a-f]{32}\.png", stored.name)
    assert stored.parent == tmp_path / "badges"


def test_the_forms_of_systems_levels_and_achievements_show_their_badge(operator: Client, game: Game) -> None:
    def badge() -> "ContentFile[bytes]":
        return ContentFile(picture(), name="badge.png")

    update_checked(game.xp, badge=badge())
    level = create_checked(Level, system=game.xp, name="Novice", key="novice", points=0, badge=badge())
    goal = create_checked(Achievement, name="Sharer", type="api", key="sharer", badge=badge())
    rows = {"points/pointssystem": game.xp, "levels/level": level, "achievements/achievement": goal}
    for model, row in rows.items():
        form = operator.get(f"/admin/{model}/{row.id}/change/").content.decode()
        assert f"src='{row.badge.url}'" in form
        assert (
            f'loading="lazy" src="{thumbnail_url(row.badge, "")}"' in operator.get(f"/admin/{model}/").content.decode()
        )


def test_a_badge_can_be_removed(operator: Client, game: Game) -> None:
    upload(operator, game, picture())
    form = {"name": "XP", "badge-clear": "on"}
    assert operator.post(f"/admin/points/pointssystem/{game.xp.id}/change/", form).status_code == 302
    assert not PointsSystem.objects.get(key="xp").badge


def test_two_badges_are_refused(operator: Client, game: Game) -> None:
    form = {"name": "XP", "badge": SimpleUploadedFile("badge.png", picture()), "badge_url": "https://example.com/x.png"}
    answer = operator.post(f"/admin/points/pointssystem/{game.xp.id}/change/", form)
    assert "cannot be given together with an uploaded badge" in text_of(answer)


# --- Sizes ------------------------------------------------------------------------------------------------------------
def served(url: str) -> bytes:
    """Return what anybody gets from an address of this server."""
    answer: Any = Client().get(url)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    return b"".join(answer.streaming_content)


def photo(size: tuple[int, int]) -> bytes:
    """Return an image that is as heavy as a photo of that size."""
    out = io.BytesIO()
    channels = [Image.effect_noise((256, 256), spread).resize(size) for spread in (20, 40, 60)]
    Image.merge("RGB", channels).save(out, "PNG")
    return out.getvalue()


LARGE: dict[str, tuple[Image.Image, str, tuple[int, int]]] = {
    "colours": (Image.new("RGB", (2048, 1024), "purple"), "PNG", (512, 256)),
    "a transparent one": (Image.new("RGBA", (600, 1200), (90, 0, 90, 128)), "WEBP", (256, 512)),
    "a palette": (Image.new("P", (1024, 1024), 7), "PNG", (512, 512)),
    "a still GIF": (Image.new("P", (1024, 1024), 7), "GIF", (512, 512)),
    "black and white": (Image.new("1", (1024, 1024), 1), "PNG", (512, 512)),
    "grey in 16 bits": (Image.new("I;16", (1024, 1024), 40_000), "PNG", (512, 512)),
    "the colours of printers": (Image.new("CMYK", (1024, 512), (0, 255, 0, 90)), "JPEG", (512, 256)),
    "a line": (Image.new("RGB", (4096, 1), "purple"), "PNG", (512, 1)),
}


@pytest.mark.parametrize("case", LARGE)
def test_a_large_badge_is_stored_with_at_most_512_pixels_a_side_and_looks_the_same(case: str) -> None:
    image, format_, size = LARGE[case]
    out = io.BytesIO()
    image.save(out, format_)
    stored = Image.open(io.BytesIO(reencode(out.getvalue())[0]))
    assert (stored.format, stored.size) == (format_, size)
    small, large = (each.convert("RGBA").getpixel((0, 0)) for each in (stored, Image.open(io.BytesIO(out.getvalue()))))
    assert all(abs(a - b) < 4 for a, b in zip(small, large, strict=True))  # type: ignore[arg-type]


def test_a_badge_of_512_pixels_keeps_each_of_them() -> None:
    data = photo((512, 512))
    assert seen(Image.open(io.BytesIO(reencode(data)[0]))) == seen(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF"])
def test_a_large_animation_keeps_moving_for_products_and_its_thumbnail_is_a_still(
    format_: str, api: Api, game: Game, settings: Any
) -> None:
    settings.PUBLIC_URL = ""
    data = animation(format_, size=(1024, 768), duration=[100, 200, 300])
    update_checked(game.xp, badge=ContentFile(data, name="badge"))
    badge = Image.open(io.BytesIO(served(api.get("/v1/points/xp").json()["badgeUrl"])))
    assert (badge.size, getattr(badge, "n_frames", 1)) == ((512, 384), 3)
    still = Image.open(io.BytesIO(served(thumbnail_url(game.xp.badge, "") or "")))
    assert (still.size, getattr(still, "n_frames", 1), still.format) == ((96, 72), 1, "WEBP")


def test_a_list_of_levels_with_large_badges_stays_light(operator: Client, game: Game, tmp_path: Path) -> None:
    heavy = photo((1024, 1024))
    for number in range(3):
        badge = ContentFile(heavy, name="badge.png")
        create_checked(Level, system=game.xp, name=f"L{number}", key=f"l{number}", points=number, badge=badge)
    page = operator.get("/admin/levels/level/").content.decode()
    shown = set(re.findall(r'<img loading="lazy" src="([^"]+)"[^>]*width="32" height="32"', page))
    (url,) = shown
    assert len(served(url)) < 10_000 < len(heavy) / 100
    # Made once, however many look at it.
    assert served(url) == served(url)
    assert len(list((tmp_path / "badges" / "thumbnails").iterdir())) == 1


def test_a_badge_hosted_elsewhere_is_loaded_by_lists_when_it_is_scrolled_to(operator: Client, game: Game) -> None:
    update_checked(game.xp, badge_url="https://cdn.example.com/xp.png")
    page = operator.get("/admin/points/pointssystem/").content.decode()
    assert re.search(r'<img loading="lazy" src="https://cdn.example.com/xp.png"[^>]*width="32" height="32"', page)


def test_a_badge_that_was_stored_before_is_served_smaller_from_its_address_and_exported_as_it_is(
    operator: Client, api: Api, game: Game, tmp_path: Path
) -> None:
    heavy = photo((2048, 1024))
    name = default_storage.save(badge_name(heavy, "png"), ContentFile(heavy))
    PointsSystem.objects.filter(id=game.xp.id).update(badge=name)
    stored = PointsSystem.objects.get(id=game.xp.id).badge
    assert api.get("/v1/points/xp").json()["badgeUrl"].endswith(f"/media/{name}")

    for _ in range(2):
        small = served(f"/media/{name}")
        assert Image.open(io.BytesIO(small)).size == (512, 256)
        assert Image.open(io.BytesIO(served(thumbnail_url(stored, "") or ""))).size == (96, 48)
    assert len(list(tmp_path.rglob("*.*"))) == 3

    (tmp_path / "rules").mkdir()
    Badges(tmp_path / "rules").write(name)
    assert badge_name((tmp_path / "rules" / name).read_bytes(), "png") == name


@pytest.mark.parametrize(
    "name", ["thumbnails/0123456789abcdef0123456789abcdef.png.webp", "thumbnails/x.webp", "thumbnails/", "512/x.png"]
)
def test_no_thumbnail_is_made_of_what_is_not_stored(name: str, operator: Client, tmp_path: Path) -> None:
    assert operator.get(f"/media/badges/{name}").status_code == 404
    assert not list(tmp_path.rglob("*.*"))


# --- A form with an error --------------------------------------------------------------------------------------------
def shown_badges(page: Any) -> list[str]:
    """Return the addresses of the badges that a page shows as current ones."""
    return re.findall(r"<img src='([^']+)' alt='Badge'", page.content.decode())


@pytest.mark.parametrize("fields", [{"badge_url": "https://example.com/b.png"}, {"name": ""}])
def test_a_form_with_an_error_keeps_showing_the_badge_and_the_name_that_are_stored(
    fields: dict[str, str], operator: Client, game: Game
) -> None:
    encoded = ContentFile(picture(), "old.png")
    rows: list[Any] = [
        create_checked(Achievement, name="Stored", type="streak", streak_length=3, badge=encoded),
        create_checked(Level, system=game.xp, name="Stored", key="stored", points=10, badge=encoded),
        create_checked(PointsSystem, name="Stored", key="stored", badge=encoded),
    ]
    for row in rows:
        meta = row._meta
        address = f"/admin/{meta.app_label}/{meta.model_name}/{row.id}/change/"
        current = shown_badges(operator.get(address))
        assert current == [row.badge.url]
        form = form_on(operator.get(address), f"{meta.model_name}_form") | {"name": "Typed"} | fields
        refused = operator.post(address, form | {"badge": SimpleUploadedFile("new.png", picture(size=(9, 9)))})
        assert refused.status_code == 200
        assert shown_badges(refused) == current
        assert operator.get(current[0]).status_code == 200
        assert "Stored | Change" in text_of(refused)


def test_a_form_with_an_error_shows_no_badge_for_what_is_not_stored(operator: Client) -> None:
    form = {"name": "", "key": "gold", "badge": SimpleUploadedFile("new.png", picture())}
    assert shown_badges(operator.post("/admin/points/pointssystem/add/", form)) == []
