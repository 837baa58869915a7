"""Wide scenes in a kernel: what is in sight is drawn anew at the screen's size, from overviews or from the pixels."""

import dataclasses
from collections.abc import Iterable

import geopandas as gpd
import holoviews as hv
import numpy as np
import xarray as xr

from glacier_nb import layers, maps

COARSEST, STRIP = 1024, 2048
"""Longest side of the last overview, in pixels, and rows of the scene that are read at a time to make them all."""


@dataclasses.dataclass(frozen=True)
class Pyramid:
    """A scene (y, x) as its pixels and, by the step in pixels, as colours in overviews."""

    scene: xr.Dataset
    bands: tuple[str, ...]
    stretch: tuple[float, float]
    levels: dict[int, np.ndarray]
    """uint8 (y, x, 3), each half as wide as the one before."""
    edges: tuple[float, float, float, float]

    def window(self, x_range: tuple, y_range: tuple, width: int, height: int) -> tuple[np.ndarray, tuple]:
        """What lies in `x_range` and `y_range` (map units) as uint8 (y, x, 3), and its edges.

        Coarser than the scene, if need be, but never coarser than `width` x `height` pixels of the screen.
        """
        left, bottom, right, top = self.edges
        rows, columns = self.scene.sizes["y"], self.scene.sizes["x"]
        across, down = (right - left) / columns, (top - bottom) / rows
        step = max(1, int(min((x_range[1] - x_range[0]) / across / width, (y_range[1] - y_range[0]) / down / height)))
        level = max([1, *(size for size in self.levels if size <= step)])
        wide, tall = across * level, down * level
        shape = (rows, columns) if level == 1 else self.levels[level].shape[:2]
        x = np.clip(np.array([(x_range[0] - left) // wide, -((left - x_range[1]) // wide)]), 0, shape[1]).astype(int)
        y = np.clip(np.array([(top - y_range[1]) // tall, -((y_range[0] - top) // tall)]), 0, shape[0]).astype(int)
        if x[1] <= x[0] or y[1] <= y[0]:
            return np.full((1, 1, 3), 255, np.uint8), (x_range[0], y_range[0], x_range[1], y_range[1])
        if level == 1:
            part = self.scene.isel(x=slice(*x), y=slice(*y))
            part = part.isel(x=slice(None, None, step), y=slice(None, None, step)) if step > 1 else part
            drawn = maps.tones(part.compute(), self.bands, self.stretch)
        else:
            drawn = self.levels[level][y[0] : y[1], x[0] : x[1]]
        return drawn, (left + x[0] * wide, top - y[1] * tall, left + x[1] * wide, top - y[0] * tall)


def pyramid(
    scene: xr.Dataset, bands: Iterable[str] | None = None, stretch: tuple[float, float] | None = None
) -> Pyramid:
    """Overviews of `scene` (y, x; lazy or not) as colours, means of 2, 4, 8 ... pixels a side, made once by strips.

    They take a byte for each pixel of the scene. What is nearer than the first is read from the scene itself.
    Args: `bands` and `stretch` as plots.scene. Raises LookupError where the scene has no composite.
    """
    _, bands, _ = layers.shown(scene.isel(y=slice(0, 1), x=slice(0, 1)), bands)
    scene = scene[[*dict.fromkeys(bands), *(name for name in ("clear", "lost") if name in scene)]]
    if stretch is None:
        step = max(1, max(scene.sizes["y"], scene.sizes["x"]) // 512)
        stretch = maps.limits(scene[list(dict.fromkeys(bands))].isel(y=slice(None, None, step)).compute(), bands)
    (least, longest), strips = sorted(scene.sizes[dim] for dim in ("y", "x")), {}
    while longest >> len(strips) > COARSEST and least >> len(strips) > 1:
        strips[2 << len(strips)] = []
    for start in range(0, scene.sizes["y"] if strips else 0, STRIP):
        part = scene.isel(y=slice(start, start + STRIP)).compute()
        if "lost" in part:
            part = part.assign(lost=part["lost"] > 0)
        for step in strips:
            if part.sizes["y"] < 2:  # the last row of all makes no pixel of this overview
                break
            part = part.map(_means)
            strips[step].append(maps.tones(part, bands, stretch))
    levels = {step: np.concatenate(several) for step, several in strips.items()}
    return Pyramid(scene, bands, stretch, levels, maps.bounds(scene))


def _means(layer: xr.DataArray) -> xr.DataArray:
    """Means of 2 x 2 pixels; of booleans, any."""
    blocks = layer.coarsen(y=2, x=2, boundary="trim")
    return blocks.any() if layer.dtype == bool else blocks.mean()


def wide(
    scene: xr.Dataset,
    outlines: gpd.GeoDataFrame | None = None,
    bands: Iterable[str] | None = None,
    stretch: tuple[float, float] | None = None,
    title: str | None = None,
    width: int = 700,
) -> hv.DynamicMap:
    """A scene of any size (y, x) in a notebook with a kernel: each pan and zoom draws what is in sight at screen size.

    For a page without a kernel take plots.scene. Args: `outlines` and all else as plots.scene.
    """
    made = pyramid(scene, bands, stretch)
    left, bottom, right, top = edges = made.edges
    height = round(width * (top - bottom) / (right - left))
    moved = hv.streams.RangeXY(x_range=(left, right), y_range=(bottom, top))

    def draw(x_range, y_range) -> hv.RGB:
        drawn, place = made.window(x_range or (left, right), y_range or (bottom, top), width, height)
        return hv.RGB(drawn, ["x", "y"], bounds=place).opts(default_tools=[])

    above, marks = hv.Contours([], ["x", "y"]), {}
    if outlines is not None and len(outlines):
        above, marks = layers.cased(outlines, scene.odc.crs, edges, maps.EARLIER), {"outline": maps.EARLIER}
    view = hv.DynamicMap(draw, streams=[moved]) * above
    return maps.frame(view, scene.odc.crs, edges, title or layers.told(scene), width, marks)
