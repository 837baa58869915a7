"""Where water and ice would flow on a DEM, and the snow that feeds a mapped ablation zone."""

import functools
import heapq

import numpy as np
import xarray as xr

from glacier_nb import clean


def accumulation(
    zones: xr.DataArray, layers: xr.DataArray, threshold: float = 0.4, names: tuple[str, ...] = clean.ICE
) -> xr.DataArray:
    """Snow that flows over snow into mapped ice becomes "glacier": the accumulation zone of an ablation map.

    Snow: the layer "ndsi" above `threshold`. Flow: to the steepest of eight neighbours on the filled "elevation"; a
    way that leaves the snow before it meets ice (`names`, probability 0.5 and more) feeds no glacier. Xie et al.
    2022, arXiv:2204.05818, join snow along the flow; the threshold (Dozier 1989) and D8 are plain choices.
    """
    snow = clean.layer(layers, "ndsi", "accumulation") > threshold
    clean.pixel_area(zones)
    across, down = zones.odc.geobox.resolution.x, zones.odc.geobox.resolution.y
    towards, order = flow(clean.layer(layers, "elevation", "accumulation"), abs(float(down)), abs(float(across)))
    ice = clean.share(zones, names) >= 0.5
    fed = _compiled(_upstream)(ice, snow, towards, order) & ~ice
    return clean.reshare(zones, ("glacier",), fed, 1.0)


def flow(elevation: np.ndarray, down: float = 1.0, across: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Flat index of the pixel each pixel drains to (D8), and all known pixels from the outlets up.

    elevation: (y, x); pixels `down` by `across`. The steepest descent to one of eight neighbours on the DEM filled to
    its outlets (the map's edge, and beside NaN); over a filled pit or a flat, back the way the flood came in. An
    outlet drains to itself, NaN to -1. O'Callaghan and Mark 1984, doi:10.1016/S0734-189X(84)80011-0; the flood as
    Barnes et al. 2014, doi:10.1016/j.cageo.2013.04.024.

    >>> flow(np.array([[9., 9, 9, 9], [9, 5, 1, 0], [9, 9, 9, 9]]))[0][1].tolist()
    [5, 6, 7, 7]
    """
    towards, order, known = _compiled(_flood)(np.ascontiguousarray(elevation, dtype=float), float(down), float(across))
    return towards, order[:known]


@functools.cache
def _compiled(function):
    """`function` as machine code; numba takes 45 MB, and whoever imports the systems need not pay for it."""
    import numba

    return numba.njit(cache=True)(function)


def _flood(elevation, down, across):
    rows, columns = elevation.shape
    filled = elevation.copy()
    towards = np.full((rows, columns), -1, dtype=np.int64)
    parent = np.full((rows, columns), -1, dtype=np.int64)
    order = np.empty(rows * columns, dtype=np.int64)
    queue = [(0.0, 0, 0)]
    queue.pop()
    pushed = 0
    for r in range(rows):
        for c in range(columns):
            outlet = False
            for dr in range(-1, 2):
                for dc in range(-1, 2):
                    y, x = r + dr, c + dc
                    outlet |= y < 0 or x < 0 or y >= rows or x >= columns or np.isnan(elevation[y, x])
            if outlet and not np.isnan(elevation[r, c]):
                parent[r, c] = r * columns + c
                heapq.heappush(queue, (elevation[r, c], pushed, r * columns + c))
                pushed += 1
    known = 0
    while len(queue) > 0:
        height, _, cell = heapq.heappop(queue)
        order[known] = cell
        known += 1
        r, c = cell // columns, cell % columns
        steepest, at = 0.0, parent[r, c]
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                y, x = r + dr, c + dc
                if (dr == 0 and dc == 0) or y < 0 or x < 0 or y >= rows or x >= columns:
                    continue
                if np.isnan(elevation[y, x]):
                    continue
                if parent[y, x] < 0:
                    parent[y, x] = cell
                    filled[y, x] = max(elevation[y, x], height)
                    heapq.heappush(queue, (filled[y, x], pushed, y * columns + x))
                    pushed += 1
                fall = (height - filled[y, x]) / np.hypot(dr * down, dc * across)
                if fall > steepest:
                    steepest, at = fall, y * columns + x
        towards[r, c] = at
    return towards, order, known


def _upstream(ice, snow, towards, order):
    fed = ice.copy()
    for cell in order:
        if not fed.flat[cell] and snow.flat[cell]:
            fed.flat[cell] = fed.flat[towards.flat[cell]]
    return fed
