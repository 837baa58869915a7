"""Which windows of a scene are asked for: those on outlines with a buffer, those with a clear pixel."""

from collections.abc import Callable

import dask
import geopandas as gpd
import numpy as np
import odc.geo.xr  # noqa: F401  registers .odc.geobox
import rasterio.features
import shapely
import xarray as xr

from glacier_nb import windows
from glacier_nb.windows import Axis

CELL = 16
"""Pixels of a cell in which a clear mask is kept: it shall not take the memory of a scene."""


def outlines(layers: xr.DataArray, within: gpd.GeoDataFrame | gpd.GeoSeries | None, buffer: float) -> np.ndarray | None:
    """Geometries of `within`, `buffer` metres wider, in the CRS of `layers`; None for None.

    ValueError: no CRS on one side, a buffer in degrees, or nothing on the scene.
    """
    if within is None:
        return None
    geobox = layers.odc.geobox if {"y", "x"} <= set(layers.coords) else None
    if geobox is None or geobox.crs is None or within.crs is None:
        raise ValueError("within= needs a CRS on both sides: give features a grid (features.stack) and outlines a crs")
    if not geobox.crs.projected:
        raise ValueError(f"within= with a buffer in metres needs a projected grid, this is {geobox.crs}")
    shapes = (
        within.geometry.to_crs(str(geobox.crs)).buffer(buffer) if buffer else within.geometry.to_crs(str(geobox.crs))
    )
    shapes = np.asarray(shapes[~(shapes.is_empty | shapes.isna())])
    if not shapely.intersects(shapes, shapely.box(*geobox.boundingbox)).any():
        raise ValueError("no outline of within= lies on the scene: compare their bounds")
    return shapes


def chosen(
    layers: xr.DataArray, rows: Axis, columns: Axis, shapes: np.ndarray | None = None, clear: xr.DataArray | None = None
) -> np.ndarray | None:
    """For each window (y, x) whether it weighs on one of `shapes` and on a clear pixel; None where all are asked for.

    clear: bool (y, x), lazy or not, of the shape of `layers` (else ValueError); it is read once.
    """
    if shapes is None and clear is None:
        return None
    spans = windows.spans(rows, columns)
    found = np.ones(len(spans), dtype=bool)
    if shapes is not None:
        affine = layers.odc.geobox.affine
        corners = [affine * (spans[:, x], spans[:, y]) for y, x in ((0, 2), (0, 3), (1, 3), (1, 2))]
        boxes = shapely.polygons(np.stack([np.stack(corner, axis=1) for corner in corners], axis=1))
        found[:] = False
        found[np.unique(shapely.STRtree(boxes).query(shapes, predicate="intersects")[1])] = True
    if clear is not None:
        if clear.shape != layers.shape[1:]:
            raise ValueError(f"clear= is {clear.shape}, the scene {layers.shape[1:]}: take it from the same cube")
        cells = clear.astype("uint8").coarsen(dict.fromkeys(clear.dims, CELL), boundary="pad").max() > 0
        (cells,) = dask.compute(cells.data)
        total = np.pad(np.cumsum(np.cumsum(cells, axis=0, dtype="int64"), axis=1), ((1, 0), (1, 0)))
        low_y, low_x = (spans[:, [0, 2]] // CELL).T
        high_y, high_x = -(-spans[:, [1, 3]].T // CELL)
        found &= total[high_y, high_x] - total[low_y, high_x] - total[high_y, low_x] + total[low_y, low_x] > 0
    return found.reshape(len(rows.starts), len(columns.starts))


def hidden(
    layers: xr.DataArray, rows: Axis, columns: Axis, chosen: np.ndarray | None, shapes: np.ndarray | None
) -> Callable[[tuple[slice, slice]], np.ndarray] | None:
    """A function from pixels (y, x) to which of them were not asked for (bool, y, x); None where all were.

    Those are the pixels that no shape touches, and all on which a window weighs that is not chosen.
    """
    if chosen is None:
        return None
    spans = windows.spans(rows, columns).reshape(*chosen.shape, 4)
    tree = shapely.STRtree(shapes) if shapes is not None else None

    def mask(place: tuple[slice, slice]) -> np.ndarray:
        shape = tuple(side.stop - side.start for side in place)
        out = np.zeros(shape, dtype=bool)
        y, x = place
        down = (spans[:, 0, 0] < y.stop) & (spans[:, 0, 1] > y.start)
        across = (spans[0, :, 2] < x.stop) & (spans[0, :, 3] > x.start)
        for one in spans[np.ix_(down, across)][~chosen[np.ix_(down, across)]]:
            low, high = np.maximum(one[[0, 2]] - (y.start, x.start), 0), one[[1, 3]] - (y.start, x.start)
            out[low[0] : high[0], low[1] : high[1]] = True
        if tree is not None:
            box = layers.odc.geobox[place]
            near = shapes[tree.query(shapely.box(*box.boundingbox))]
            out |= rasterio.features.geometry_mask(near, shape, box.affine, all_touched=True) if len(near) else True
        return out

    return mask
