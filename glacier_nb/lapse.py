"""Time lapse: scenes of several dates with their outlines or fronts as one moving picture, GIF or MP4."""

import contextlib
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterable, Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from PIL import Image, ImageDraw, ImageFont

from glacier_nb import layers, maps, provenance
from glacier_nb.furniture import north

RATE = 10
"""Frames a second of an MP4: players stumble over less than one."""

PAST = "#c3c9cf"
DRAWN = (maps.EARLIER, maps.LOSS, PAST, maps.INK, maps.PAPER)
"""Colours of what is drawn over the scenes."""

STEPS = (1, 2, 5)
"""A scale bar is one of these times a power of ten long."""


def lapse(
    scenes: Iterable[xr.Dataset],
    path: str | os.PathLike,
    outlines: gpd.GeoDataFrame | None = None,
    fronts: gpd.GeoDataFrame | None = None,
    bands: Iterable[str] | None = None,
    stretch: tuple[float, float] | None = None,
    width: int = 720,
    seconds: float = 0.9,
) -> pathlib.Path:
    """Write `scenes` (y, x; attrs time; one grid) in the order of their dates as .gif or .mp4; returns the path.

    Each frame has its date, scale bar and north; one stretch holds for all; the last frame stays three times as long.
    `outlines` and `fronts` (time, geometry) are drawn on the scene nearest to their date, fronts of the past in grey.

    Args: `bands` and `stretch` as plots.scene; `width` in pixels; `seconds` each scene stays.
    Raises ValueError for another suffix, fewer than two scenes, or scenes on several grids; ModuleNotFoundError for
    .mp4 without an ffmpeg (extra `video`).
    """
    path, scenes = pathlib.Path(path), sorted(scenes, key=lambda scene: str(scene.attrs.get("time", "")))
    if path.suffix.lower() not in (".gif", ".mp4"):
        raise ValueError(f"{path.name}: a time lapse is .gif or .mp4")
    if len(scenes) < 2:
        raise ValueError(f"{len(scenes)} scene: a time lapse needs two dates or more")
    if len({(str(scene.odc.crs), *maps.bounds(scene)) for scene in scenes}) > 1:
        raise ValueError("scenes on several grids: put all on one GeoBox, as load.cube(items, geobox)")
    if path.suffix.lower() == ".mp4":
        _ffmpeg()  # before any work
    small = [layers.shown(scene, bands) for scene in scenes]
    stretch = stretch or maps.limits(small[0][0], small[0][1])
    frames = [
        _frame(shown, names, stretch, width, *_dated(scenes, number, outlines, fronts))
        for number, (shown, names, _) in enumerate(small)
    ]
    with provenance.whole(path) as temporary:
        (_gif if path.suffix.lower() == ".gif" else _mp4)(frames, temporary, seconds)
    return path


def _dated(scenes: Sequence[xr.Dataset], number: int, *tables) -> list[tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]]:
    """Of each of `tables`, the shapes of the `number`-th of `scenes` and those of the scenes before it."""
    dates = pd.DatetimeIndex([pd.Timestamp(str(scene.attrs.get("time", ""))) for scene in scenes])
    found = []
    for table in tables:
        table = gpd.GeoDataFrame({"time": []}, geometry=[], crs=scenes[0].odc.crs) if table is None else table
        table = table.to_crs(scenes[0].odc.crs)
        off = np.abs(pd.to_datetime(table["time"]).to_numpy()[:, None] - dates.to_numpy())
        nearest = off.argmin(axis=1) if len(table) else np.zeros(0, int)
        found.append((table[nearest == number], table[nearest < number]))
    return found


def _frame(scene: xr.Dataset, bands: tuple[str, ...], stretch, width: int, outlines, fronts) -> Image.Image:
    """One frame; its sides are even, as MP4 needs them."""
    edges = maps.bounds(scene)
    size = tuple(round(side / 2) * 2 for side in (width, width * (edges[3] - edges[1]) / (edges[2] - edges[0])))
    image = Image.fromarray(maps.tones(scene, bands, stretch)).resize(size, Image.Resampling.LANCZOS)
    draw, scale = ImageDraw.Draw(image), size[0] / (edges[2] - edges[0])
    for shapes, colour in ((outlines[0], maps.EARLIER), (fronts[1], PAST), (fronts[0], maps.LOSS)):
        lines = [
            (shapely.get_coordinates(line) - (edges[0], edges[3])) * (scale, -scale)
            for shape in shapes.geometry
            for part in shapely.get_parts(shape)
            for line in ([part.exterior, *part.interiors] if isinstance(part, shapely.Polygon) else [part])
        ]
        for stroke, weight in ((maps.INK, 5), (colour, 3)):
            for line in lines:
                draw.line(line.ravel().tolist(), fill=stroke, width=weight, joint="curve")
    _label(draw, str(scene.attrs.get("time", ""))[:10], (12, 12), 26)
    _furnish(draw, image.size, scale, north(scene.odc.crs, (edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2))
    return image


def _furnish(draw: ImageDraw.ImageDraw, size: tuple[int, int], scale: float, angle: float) -> None:
    """Scale bar below on the left, an arrow to true north above on the right."""
    most = 0.3 * size[0] / scale
    length = max(step * 10**power for power in range(7) for step in STEPS if step * 10**power <= max(most, 1))
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x, y = 14, size[1] - 16
    draw.rectangle((x - 6, y - 30, x + max(length * scale, 60) + 6, y + 8), fill=maps.PAPER)
    draw.rectangle((x, y - 3, x + length * scale, y), fill=maps.INK)
    draw.text((x, y - 8), text, fill=maps.INK, font=_font(16), anchor="ls")
    middle, turn = np.array([size[0] - 32, 36]), np.radians(angle)
    up, across = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    draw.ellipse((*(middle - 24), *(middle + 24)), fill=maps.PAPER)
    corners = (middle + 18 * up, middle + 2 * up + 7 * across, middle + 2 * up - 7 * across)
    draw.polygon([tuple(corner) for corner in corners], fill=maps.INK)
    draw.text(tuple(middle - 10 * up), "N", fill=maps.INK, font=_font(16), anchor="mm")


def _label(draw: ImageDraw.ImageDraw, text: str, at: tuple[int, int], size: int) -> None:
    font = _font(size)
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    draw.rectangle((left - 7, top - 6, right + 7, bottom + 6), fill=maps.PAPER)
    draw.text(at, text, fill=maps.INK, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype("LiberationSans-Regular.ttf", size)
    except OSError:  # Pillow brings one of its own
        return ImageFont.load_default(size)


def _gif(frames: list[Image.Image], path: pathlib.Path, seconds: float) -> None:
    stay = [round(1000 * seconds)] * (len(frames) - 1) + [round(3000 * seconds)]
    some = Image.fromarray(np.concatenate([np.asarray(frame)[::2, ::2] for frame in frames]))
    ground = some.quantize(256 - len(DRAWN), method=Image.Quantize.MEDIANCUT).getpalette()[: 3 * (256 - len(DRAWN))]
    lines = [int(colour[k : k + 2], 16) for colour in DRAWN for k in (1, 3, 5)]
    palette = Image.new("P", (1, 1))  # one for all, or the ground flickers; thin lines keep their colours
    palette.putpalette(ground + [0] * (768 - len(ground) - len(lines)) + lines)
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=stay, loop=0, optimize=False)


def _mp4(frames: list[Image.Image], path: pathlib.Path, seconds: float) -> None:
    wide, tall = frames[0].size
    read = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{wide}x{tall}",
        "-framerate",
        f"{1 / seconds:.6f}",
        "-i",
        "-",
    ]
    made = ["-r", str(RATE), "-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    command = [_ffmpeg(), "-loglevel", "error", *read, *made, str(path)]
    pixels = b"".join(frame.tobytes() for frame in [*frames, frames[-1], frames[-1]])
    done = subprocess.run(command, input=pixels, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"ffmpeg: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}; write a .gif")


def _ffmpeg() -> str:
    """Path of the ffmpeg that the extra `video` brings, or of the machine's."""
    with contextlib.suppress(ModuleNotFoundError):
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    if found := shutil.which("ffmpeg"):
        return found
    raise ModuleNotFoundError("an MP4 needs ffmpeg: pip install 'glacier_nb[video]', or write a .gif")
