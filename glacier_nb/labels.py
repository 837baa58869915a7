"""Scenes with what is known of them: arrays, or layers with outlines or front lines drawn on their grid."""

import dataclasses
from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import vectorize

UNSEEN = 255
"""Truth where nothing is known: it counts in no loss."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One scene to learn from; its arrays may be memory maps or lazy, and only what is cut out of them is read.

    features: (feature, y, x) in the system's order, NaN where unseen. truth: (y, x) uint8, index into the system's
    zones or `UNSEEN`. front: (y, x) bool, where the system learns one. glaciers: (y, x) number of the glacier, 0 where
    there is none. within: (y, x) bool, pixels that cuts may hold (None: all). geobox: its grid. group: the glacier or
    region it shows. time: ISO date. resolution: metres. part: of the publisher's split.

    days: of a series, the days of its dates on any count; its features are (time * feature, y, x), date by date, its
    truth and front (time, y, x), known also where a date saw nothing.
    """

    name: str
    features: np.ndarray
    truth: np.ndarray
    front: np.ndarray | None = None
    glaciers: np.ndarray | None = None
    within: np.ndarray | None = None
    geobox: GeoBox | None = None
    group: str = ""
    time: str = ""
    resolution: float | None = None
    part: str = ""
    days: tuple[float, ...] = ()


def of_outlines(
    features: xr.DataArray,
    outlines: gpd.GeoDataFrame,
    zones: Sequence[str] = ("rock", "glacier"),
    name: str = "scene",
    **more,
) -> Sample:
    """Layers (feature, y, x), lazy or not, with outlines: each pixel is of the zone whose outline holds its middle.

    outlines: polygons in any CRS; column `zone` where they are not all glaciers, `rgi_id` to draw each glacier's cuts
    as often. What no outline holds is the first of `zones`. more: other fields of `Sample`. ValueError where a zone
    is not in `zones`, or where all outlines lie off the grid.
    """
    geobox = _grid(features, name)
    shapes = _placed(outlines, geobox, name)
    kinds = shapes["zone"] if "zone" in shapes else np.full(len(shapes), "glacier")
    if strange := sorted(set(kinds) - set(zones)):
        raise ValueError(f"{name}: outlines of zone {strange[0]!r}, the system has {', '.join(zones)}: rename the zone")
    numbers = [zones.index(kind) for kind in kinds]
    truth = _burnt(shapes.geometry, numbers, geobox, "uint8")
    glaciers = None
    if "rgi_id" in shapes:
        codes = {key: number for number, key in enumerate(dict.fromkeys(outlines["rgi_id"]), 1)}
        glaciers = _burnt(shapes.geometry, [codes[key] for key in shapes["rgi_id"]], geobox, "int32")
    return _sample(features, truth, None, glaciers, geobox, name, more)


def of_fronts(features: xr.DataArray, fronts: gpd.GeoDataFrame, name: str = "scene", width: int = 3, **more) -> Sample:
    """Layers (feature, y, x), lazy or not, with front lines in any CRS, drawn `width` pixels wide (odd).

    The truth of its zones is 0 everywhere: for systems that learn the front alone. more: other fields of `Sample`.
    ValueError where all lines lie off the grid.
    """
    geobox = _grid(features, name)
    lines = _placed(fronts, geobox, name)
    wide = lines.geometry.buffer(width / 2 * abs(geobox.resolution.x), cap_style="square")
    front = _burnt(wide if width > 1 else lines.geometry, [1] * len(lines), geobox, "uint8", width <= 1) > 0
    return _sample(features, np.zeros(geobox.shape, "uint8"), front, None, geobox, name, more)


def with_rock(sample: Sample, rock: np.ndarray, zone: int) -> Sample:
    """A sample whose unknown pixels on ground that never had ice, `rock` (y, x) bool, are known to be `zone`.

    ValueError where the mask is of another shape, or lies on pixels whose truth is another zone.
    """
    if rock.shape != sample.truth.shape:
        raise ValueError(f"{sample.name}: rock mask {rock.shape}, truth {sample.truth.shape}: put both on one grid")
    truth = np.array(sample.truth)
    if (clash := rock & (truth != UNSEEN) & (truth != zone)).any():
        y, x = (int(at[0]) for at in np.nonzero(clash))
        raise ValueError(f"{sample.name}: the rock mask lies on zone {truth[y, x]} at row {y}, column {x}: mend it")
    truth[rock] = zone
    return dataclasses.replace(sample, truth=truth)


def without(sample: Sample, channels: Sequence[int]) -> Sample:
    """A sample without some of its channels, by their numbers; lazy features stay lazy."""
    each = len(sample.features) // max(1, len(sample.days))
    kept = [number for number in range(len(sample.features)) if number % each not in set(channels)]
    return dataclasses.replace(sample, features=sample.features[kept])


def named(sample: Sample, top: int, left: int, side: int) -> str:
    """A patch as a message names it.

    >>> named(Sample("khumbu", np.zeros((1, 9, 9)), np.zeros((9, 9))), 2, 4, 3)
    'khumbu rows 2-4 columns 4-6'
    """
    return f"{sample.name} rows {top}-{top + side - 1} columns {left}-{left + side - 1}"


def check(sample: Sample, inputs: Sequence[str], zones: Sequence[str], side: int, system: str = "the system") -> None:
    """ValueError where a sample is not what a system of these inputs and zones takes in patches of `side` pixels."""
    shape, dates = tuple(sample.truth.shape[-2:]), len(sample.days)
    if len(sample.features) != len(inputs) * max(1, dates):
        several = f" at each of {dates} dates" if dates else ""
        raise ValueError(f"{sample.name} has {len(sample.features)} channels, {system} takes {len(inputs)}{several}")
    layers = (dates, *shape) if dates else shape
    if tuple(sample.features.shape[1:]) != shape or tuple(sample.truth.shape) != layers or min(shape) < side:
        raise ValueError(
            f"{sample.name}: features {tuple(sample.features.shape)}, truth {tuple(sample.truth.shape)}: they must"
            f" agree and hold a patch of {side} pixels"
        )
    for what in ("front", "glaciers", "within", "geobox"):
        layer = getattr(sample, what)
        asked = layers if what == "front" else shape
        if layer is not None and tuple(layer.shape) != asked:
            raise ValueError(f"{sample.name}: {what} {tuple(layer.shape)} is off the grid of {asked}: draw it again")
    held = np.unique(np.asarray(sample.truth))
    if (strange := held[(held >= max(1, len(zones))) & (held != UNSEEN)]).size:
        *_, y, x = (int(at[0]) for at in np.nonzero(np.asarray(sample.truth) == strange[0]))
        raise ValueError(
            f"{sample.name}: truth {strange[0]} at row {y}, column {x}: {system} has {len(zones)} zones, so 0 to"
            f" {max(0, len(zones) - 1)}, or {UNSEEN} where unknown"
        )


def _grid(features: xr.DataArray, name: str) -> GeoBox:
    geobox = features.odc.geobox
    if geobox is None or geobox.crs is None:
        raise ValueError(f"{name}: its layers have no grid with a CRS: load them on a GeoBox")
    return geobox


def _placed(shapes: gpd.GeoDataFrame, geobox: GeoBox, name: str) -> gpd.GeoDataFrame:
    """Labels in the CRS of the grid; ValueError where none touches it."""
    if shapes.crs is None:
        raise ValueError(f"{name}: the labels have no CRS: set it with .set_crs('EPSG:...')")
    there = shapes.to_crs(geobox.crs)
    box = geobox.boundingbox.bbox
    if not there.intersects(shapely.box(*box)).any():
        where = ", ".join(f"{value:.0f}" for value in there.total_bounds)
        at = ", ".join(f"{value:.0f}" for value in box)
        raise ValueError(f"{name}: labels off the grid: they span {where}, the grid {at}: mend the CRS or the region")
    return there


def _burnt(shapes: gpd.GeoSeries, numbers: Sequence[int], geobox: GeoBox, dtype: str, touched: bool = False):
    pairs = [(shape, number) for shape, number in zip(shapes, numbers, strict=True) if not shape.is_empty]
    return rasterio.features.rasterize(
        pairs, tuple(geobox.shape), transform=geobox.affine, dtype=dtype, all_touched=touched
    )


def _sample(features, truth, front, glaciers, geobox, name, more) -> Sample:
    more = {"resolution": abs(geobox.resolution.x), "time": str(features.attrs.get("time", ""))[:10]} | more
    return Sample(name, features.data, truth, front, glaciers, geobox=geobox, **more)


def ground(zones: Sequence[str]) -> int | None:
    """Number of the zone that is neither ice nor water nor anything else a mask of rock would deny; None without one.

    >>> ground(("rock", "glacier")), ground(("glacier", "ocean"))
    (0, None)
    """
    return zones.index(vectorize.ZONES[0]) if vectorize.ZONES[0] in zones else None
