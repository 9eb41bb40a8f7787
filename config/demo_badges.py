"""The demo's badges: simple medals, drawn here, so that no image files have to come along."""

import io
import math
from collections.abc import Sequence
from typing import Final

from django.core.files.base import ContentFile
from PIL import Image, ImageDraw, ImageFilter

SIZE: Final = 256
DRAWN: Final = 4 * SIZE  # larger, then scaled down: that smooths the edges
WHITE: Final = "#ffffff"

Point = tuple[float, float]
Polygon = Sequence[Point]

COLOURS: Final = {
    "bronze": ("#e0a06b", "#9a5a2b"),
    "silver": ("#cfd8e3", "#7d8ba0"),
    "gold": ("#ffd75e", "#d98c0b"),
    "teal": ("#4fd1c5", "#167f86"),
    "violet": ("#b794f6", "#6436c4"),
    "orange": ("#ffb067", "#e0481c"),
    "blue": ("#76b5ff", "#2456c7"),
    "green": ("#86e08d", "#1f8a4c"),
}
"""Light and dark, by name."""


def _regular(corners: int, radius: float, turn: float = -90, inner: float | None = None) -> Polygon:
    """Return the corners of a regular polygon about the middle, or, with an inner radius, of a star."""
    count = corners if inner is None else 2 * corners
    radii = [radius if inner is None or corner % 2 == 0 else inner for corner in range(count)]
    angles = [math.radians(turn + 360 * corner / count) for corner in range(count)]
    return [(0.5 + r * math.cos(angle), 0.5 + r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True)]


def _curve(*points: Point) -> Polygon:
    """Return points along quadratic curves: start, control, end, control, end..."""
    found: list[Point] = []
    for start in range(0, len(points) - 2, 2):
        (x0, y0), (x1, y1), (x2, y2) = points[start : start + 3]
        for step in range(17):
            t = step / 16
            a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
            found.append((a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2))
    return found


def _chevron(top: float) -> Polygon:
    return [(0.3, top + 0.13), (0.5, top), (0.7, top + 0.13), (0.7, top + 0.23), (0.5, top + 0.1), (0.3, top + 0.23)]


GLYPHS: Final[dict[str, Sequence[Polygon]]] = {
    "star": [_regular(5, 0.25, inner=0.105)],
    "bolt": [[(0.55, 0.2), (0.33, 0.54), (0.48, 0.54), (0.43, 0.8), (0.68, 0.43), (0.52, 0.43)]],
    "flame": [
        _curve(
            *((0.52, 0.18), (0.56, 0.34), (0.64, 0.42), (0.73, 0.53), (0.68, 0.66), (0.63, 0.79), (0.5, 0.79)),
            *((0.36, 0.79), (0.32, 0.65), (0.3, 0.53), (0.37, 0.43), (0.4, 0.51), (0.44, 0.51), (0.42, 0.33)),
            (0.52, 0.18),
        )
    ],
    "book": [
        [(0.485, 0.36), (0.26, 0.3), (0.26, 0.65), (0.485, 0.71)],
        [(0.515, 0.36), (0.74, 0.3), (0.74, 0.65), (0.515, 0.71)],
    ],
    "crown": [[(0.27, 0.66), (0.23, 0.36), (0.385, 0.48), (0.5, 0.28), (0.615, 0.48), (0.77, 0.36), (0.73, 0.66)]],
    "check": [[(0.27, 0.53), (0.35, 0.45), (0.45, 0.55), (0.66, 0.31), (0.74, 0.39), (0.45, 0.71)]],
    "one": [_chevron(0.39)],
    "two": [_chevron(0.31), _chevron(0.47)],
    "three": [_chevron(0.2), _chevron(0.36), _chevron(0.52)],
}

SHAPES: Final[dict[str, Polygon]] = {
    "circle": _regular(90, 0.46),
    "hexagon": _regular(6, 0.47),
    "seal": _regular(16, 0.48, inner=0.43),
}


def draw_badge(shape: str, colour: str, glyph: str) -> "ContentFile[bytes]":
    """Return a medal as a PNG file to upload: a shape and a glyph by name, in one of COLOURS."""
    light, dark = COLOURS[colour]
    outline = SHAPES[shape]
    badge = Image.new("RGBA", (DRAWN, DRAWN))
    badge.paste(dark, mask=_mask(outline))
    badge.paste(_shade(light, dark), mask=_mask(_scaled(outline, 0.93)))
    ring = Image.new("RGBA", (DRAWN, DRAWN))
    ImageDraw.Draw(ring).line(_pixels([*_scaled(outline, 0.8), _scaled(outline, 0.8)[0]]), "#ffffff90", 12, "curve")
    badge.alpha_composite(ring)
    shadow = Image.new("RGBA", (DRAWN, DRAWN))
    for polygon in GLYPHS[glyph]:
        ImageDraw.Draw(shadow).polygon(_pixels([(x, y + 0.015) for x, y in polygon]), "#00000060")
    badge.alpha_composite(shadow.filter(ImageFilter.GaussianBlur(DRAWN / 80)))
    for polygon in GLYPHS[glyph]:
        badge.paste(WHITE, mask=_mask(polygon))
    out = io.BytesIO()
    badge.resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(out, "PNG")
    return ContentFile(out.getvalue(), name=f"{shape}-{colour}-{glyph}.png")


def _shade(light: str, dark: str) -> Image.Image:
    """Return a picture that goes from light at the top to dark at the bottom."""
    depth = Image.linear_gradient("L").resize((DRAWN, DRAWN))
    size = (DRAWN, DRAWN)
    return Image.composite(Image.new("RGBA", size, dark), Image.new("RGBA", size, light), depth)


def _mask(polygon: Polygon) -> Image.Image:
    mask = Image.new("L", (DRAWN, DRAWN))
    ImageDraw.Draw(mask).polygon(_pixels(polygon), 255)
    return mask


def _pixels(polygon: Polygon) -> list[Point]:
    return [(x * DRAWN, y * DRAWN) for x, y in polygon]


def _scaled(polygon: Polygon, factor: float) -> Polygon:
    return [(0.5 + factor * (x - 0.5), 0.5 + factor * (y - 0.5)) for x, y in polygon]
