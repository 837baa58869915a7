"""Small pictures for a page over many runs: a thumbnail of each, where they lie, a number with its interval."""

import base64
import contextlib
import html
import io
import math
import pathlib
from collections.abc import Sequence

import nbformat
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from glacier_nb import pages, provenance

PICTURE = "thumbnail.webp"

WIDTH = 480
"""Pixels of a thumbnail, of which a screen of high density shows half as many."""

DEGREE = math.pi / 180 * 6371
"""Kilometres of a degree of latitude, on the sphere."""


def thumbnail(folder: pathlib.Path, stem: str) -> None:
    """Leave `folder/thumbnail.webp`: of a PNG that the notebook `stem` left there or shows, else of its first page.

    Without any of them, or a browser to draw a page, there is none.
    """
    from PIL import Image

    source = next(iter(sorted(folder.glob("*.png"))), None) or _shown(folder / f"{stem}.ipynb")
    drawn = next((page for page in sorted(folder.glob("*.html")) if page.stem != stem), None)
    with contextlib.suppress(OSError, RuntimeError):  # a picture is worth no run
        if source is None and drawn is not None and pages.chromium():
            source = pages.picture(drawn, folder / "drawn.png", (1200, 750))
        if source is not None:
            with Image.open(source) as image, provenance.whole(folder / PICTURE) as temporary:
                image = image.convert("RGB")
                image.thumbnail((WIDTH, 2 * WIDTH))
                image.save(temporary, quality=80)
        (folder / "drawn.png").unlink(missing_ok=True)


def where(dots: Sequence[tuple[str, str, str, BaseGeometry]]) -> str:
    """SVG map, in degrees, of dots: name (and the anchor it leads to), class, what the mouse is told, shape (lon/lat).

    Its scale bar holds along the middle parallel, which it names. The last ones lie on top. Nothing where all lie in
    one place.
    """
    points = np.array([[shape.centroid.x, shape.centroid.y] for *_, shape in dots])
    span = np.ptp(points, axis=0)
    if not span.any():
        return ""
    middle = points.min(axis=0) + span / 2
    squeeze = math.cos(math.radians(middle[1]))
    wide, high = 1252.0, 300.0
    scale = min((wide - 120) / max(span[0] * squeeze, 1e-9), (high - 70) / max(span[1], 1e-9))
    step, drawn = _step(140 / scale), []
    for axis, (size, factor) in enumerate(((wide, squeeze), (high, 1.0))):
        reach = size / 2 / scale / factor
        for line in np.arange(math.ceil((middle[axis] - reach) / step), (middle[axis] + reach) / step) * step:
            moved = size / 2 + (line - middle[axis]) * factor * scale * (1 - 2 * axis)
            digits, side = max(0, -math.floor(math.log10(step))), ("WE", "SN")[axis][int(line > 0)]
            told = f"{abs(line):.{digits}f}°{side if abs(line) > step / 2 else ''}"
            path = f"M0 {moved:.1f}H{wide}" if axis else f"M{moved:.1f} 0V{high}"
            place = f"x=6 y={moved - 4:.1f}" if axis else f"x={moved + 4:.1f} y={high - 6}"
            drawn.append(f"<path d='{path}'/><text {place}>{told}</text>")
    size = 6 if len(dots) < 60 else 4.5
    for (name, kind, told, _), (lon, lat) in zip(dots, points, strict=True):
        x, y = wide / 2 + (lon - middle[0]) * squeeze * scale, high / 2 - (lat - middle[1]) * scale
        told = html.escape(told, quote=True)
        dot = f"<circle class={kind} cx={x:.1f} cy={y:.1f} r={size}><title>{told}</title></circle>"
        drawn.append(f"<a href='#{html.escape(name, quote=True)}' aria-label='{told}'>{dot}</a>")
    reach = _step(80 / scale * DEGREE)
    right, low, side = wide - 16, high - 20, "SN"[int(middle[1] > 0)]
    drawn.append(
        f"<path class=scale d='M{right - reach / DEGREE * scale:.1f} {low:.0f}H{right:.0f}'/>"
        f"<text text-anchor=end x={right:.0f} y={low - 6:.0f}>{reach:g} km at {abs(middle[1]):.0f}°{side}</text>"
        f"<text class=north text-anchor=middle x={right - 8:.0f} y=34>N<tspan x={right - 8:.0f} dy=-13>↑</tspan></text>"
    )
    head = f"<svg class=where viewBox='0 0 {wide:.0f} {high:.0f}' role=img aria-label='Map of the runs'>"
    return f"{head}{''.join(drawn)}</svg>"


def bar(value: float, ends: Sequence[float], span: tuple[float, float]) -> str:
    """SVG of a number as a bar from zero, its interval `ends` as a line, where the numbers of all lie in `span`.

    >>> 'class=up' in bar(2.0, [1.0, 3.0], (0.0, 4.0)), 'class=up' in bar(-2.0, [], (-4.0, 0.0))
    (True, False)
    """
    low, high = min(0.0, *span), max(0.0, *span)
    x = [f"{5 + 120 * (one - low) / (high - low):.1f}" for one in (0.0, min(value, 0.0), *ends)]
    whisker = f"<line x1={x[2]} x2={x[3]} y1=9 y2=9 />" if len(ends) == 2 else ""
    wide = 120 * abs(value) / (high - low)
    return (
        f"<svg class=bar viewBox='0 0 130 18' aria-hidden=true><line class=zero x1={x[0]} x2={x[0]} y1=0 y2=18 />"
        f"<rect {'class=up ' * (value > 0)}x={x[1]} y=4 width={wide:.1f} height=10 />{whisker}</svg>"
    )


def outline(shape: BaseGeometry) -> str:
    """SVG of a region's shape (lon/lat), as wide as it is on the ground."""
    west, south, east, north = shape.bounds
    squeeze = math.cos(math.radians((south + north) / 2))
    scale = min(76 / max((east - west) * squeeze, 1e-9), 44 / max(north - south, 1e-9))
    middle, turned = [(west + east) / 2, (south + north) / 2], [squeeze * scale, -scale]
    moved = shapely.transform(shape, lambda lonlat: (lonlat - middle) * turned + [46, 29]).simplify(0.4)
    rings = [
        ring for part in getattr(moved, "geoms", [moved]) if part.area for ring in (part.exterior, *part.interiors)
    ]
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring.coords) + "z" for ring in rings)
    return f"<svg viewBox='0 0 92 58' aria-hidden=true><path fill-rule=evenodd d='{path}'/></svg>"


def _shown(book: pathlib.Path) -> io.BytesIO | None:
    """The first picture that a notebook shows."""
    for cell in nbformat.read(book, as_version=4).cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                return io.BytesIO(base64.b64decode(output["data"]["image/png"]))
    return None


def _step(least: float) -> float:
    """The smallest of 1, 2, 5, 10 ... times a power of ten that is no less.

    >>> _step(0.03), _step(7)
    (0.05, 10.0)
    """
    power = 10.0 ** math.floor(math.log10(least))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= least * 0.999)
