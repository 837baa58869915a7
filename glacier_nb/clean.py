"""Zone maps made plausible: specks and holes smaller than a real glacier or nunatak; one path along a front.

A system names its steps in order, each with its options; `clean.apply` takes them one after the other. Every step
takes and returns zones (zone, y, x) whose probabilities sum to one wherever they did before; NaN stays NaN.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import odc.geo.xr  # noqa: F401  registers .odc.geobox
import scipy.ndimage
import xarray as xr
from skimage.graph import MCP_Geometric

ICE = ("glacier", "debris cover")
LAND = ("rock", "rock glacier")
EIGHT = np.ones((3, 3), dtype=int)
FOUR = scipy.ndimage.generate_binary_structure(2, 1)

Steps = Sequence[tuple[Callable[..., xr.DataArray], Mapping]]


def apply(zones: xr.DataArray, steps: Steps) -> xr.DataArray:
    """`zones` after each (function, options) of `steps`; attrs are kept and "clean" says what was done."""
    told = [
        f"{step.__name__}({', '.join(f'{key}={value}' for key, value in options.items())})" for step, options in steps
    ]
    attrs = zones.attrs
    for step, options in steps:
        zones = step(zones, **options)
    return zones.assign_attrs(attrs, clean=", ".join(told))


def specks(zones: xr.DataArray, min_area: float = 10_000.0, names: Sequence[str] = ICE) -> xr.DataArray:
    """Bodies of `names` (8-connected, probability 0.5 and more) under `min_area` (m2) become what else they may be.

    10 000 m2 is the smallest glacier an inventory lists: RGI 7.0, doi:10.5067/f6jmovy5navz. Ice melange fills a
    fjord from wall to wall, so that a speck of it is shaded ice or single bergs.
    """
    body = _share(zones, names)
    return _without(zones, names, _small(body >= 0.5, EIGHT, min_area / _pixel_area(zones)))


def holes(zones: xr.DataArray, max_area: float = 10_000.0) -> xr.DataArray:
    """Land (4-connected) of `max_area` (m2) or less, all its neighbours ice, becomes ice: too small for a nunatak.

    Water and unseen pixels are no land, so a lake and a cloud stay; so does land on the edge of the map.
    """
    ice, land = _share(zones, ICE), _share(zones, LAND)
    bodies, _ = scipy.ndimage.label(land > np.maximum(ice, 0.5 * (1 - ice)), FOUR)
    rim = scipy.ndimage.grey_dilation(bodies, footprint=EIGHT) * ((bodies == 0) & ~(ice >= 0.5))
    framed = np.unique(np.r_[rim.ravel(), bodies[[0, -1]].ravel(), bodies[:, [0, -1]].ravel()])
    small = _small(bodies > 0, FOUR, max_area / _pixel_area(zones) + 1) & ~np.isin(bodies, framed)
    others = tuple(name for name in zones.zone.values if name not in ICE)
    return _without(zones, others, small)


def median(zones: xr.DataArray, size: int = 3) -> xr.DataArray:
    """Median over `size` x `size` pixels of each zone, unseen pixels left out, then scaled to the sum there was."""
    reach = size // 2
    padded = np.pad(zones.values, ((0, 0), (reach, reach), (reach, reach)), constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    seen = ~np.isnan(zones.values)
    values = np.full(zones.shape, np.nan, dtype=zones.dtype)
    for zone, (view, shown) in enumerate(zip(views, seen, strict=True)):
        values[zone][shown] = np.nanmedian(view[shown].reshape(-1, size * size), axis=1)
    with np.errstate(invalid="ignore"):
        values *= zones.sum("zone", skipna=False).values / values.sum(axis=0)
    return zones.copy(data=values)


def minimum_cost_path(cost: np.ndarray, margin: tuple[int, int] = (0, 0)) -> np.ndarray:
    """The cheapest way from the left side to the right: pixels (n, 2) as (row, column), left to right.

    cost: (y, x), 0 on a front and 1 off it; NaN counts as 1. The path steps to any of eight neighbours (diagonals
    weigh sqrt 2) and keeps off the `margin` (rows, columns) on each side. Mohajerani 2019, doi:10.3390/rs11010074.
    ValueError where the margin leaves nothing.

    >>> cost = np.ones((5, 4)); cost[2] = 0
    >>> minimum_cost_path(cost).tolist()
    [[2, 0], [2, 1], [2, 2], [2, 3]]
    """
    rows, columns = margin
    inner = np.nan_to_num(cost, nan=1.0)[rows : cost.shape[0] - rows, columns : cost.shape[1] - columns]
    if min(inner.shape) < 2:
        raise ValueError(
            f"a margin of {rows} rows and {columns} columns leaves nothing of {cost.shape}: take a smaller one"
        )
    graph = MCP_Geometric(inner + 1e-3)  # a length where nothing else decides
    costs, _ = graph.find_costs([(row, 0) for row in range(inner.shape[0])])
    end = (int(np.argmin(costs[:, -1])), inner.shape[1] - 1)
    return np.add(graph.traceback(end), margin)


def _share(zones: xr.DataArray, names: Sequence[str]) -> np.ndarray:
    """Summed probability (y, x) of those of `names` that the map has; NaN where unseen."""
    present = [name for name in zones.zone.values if name in names]
    return zones.sel(zone=present).sum("zone", skipna=False).values + zones.isel(zone=0).values * 0


def _pixel_area(zones: xr.DataArray) -> float:
    """Area of a pixel in m2; ValueError in degrees."""
    geobox = zones.odc.geobox
    if geobox is None or geobox.crs is None or not geobox.crs.projected:
        raise ValueError(
            "areas need zones on a projected grid in metres; load them on regions.geobox(region, resolution)"
        )
    return abs(geobox.resolution.x * geobox.resolution.y)


def _small(mask: np.ndarray, structure: np.ndarray, pixels: float) -> np.ndarray:
    """Those bodies of `mask` that have fewer than `pixels`."""
    bodies, _ = scipy.ndimage.label(mask, structure)
    return ((np.bincount(bodies.ravel()) < pixels)[bodies]) & mask


def _without(zones: xr.DataArray, names: Sequence[str], where: np.ndarray) -> xr.DataArray:
    """`zones` with no probability for `names` at the pixels `where`; the other zones share it as they stand."""
    values = zones.values.copy()
    gone = np.isin(zones.zone.values, names)
    here = values[:, where]
    kept = np.where(gone[:, None], 0, here)
    left = kept.sum(axis=0)
    share = np.where(left > 0, kept / np.where(left > 0, left, 1), (~gone / max(1, (~gone).sum()))[:, None])
    values[:, where] = share * here.sum(axis=0)
    return zones.copy(data=values)
