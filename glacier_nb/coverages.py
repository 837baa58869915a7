"""Statistics of a raster inside many polygons, each pixel by its exact share, in machine code."""

import numba
import numpy as np
import shapely

TOUCHED = 1e-9
"""Share of a pixel under which rounding, and no polygon, is there."""

STATISTICS = ("mean", "min", "max", "count", "sum")


def within(values: np.ndarray, corner: tuple[float, float], pixel: tuple[float, float], shapes: np.ndarray) -> dict:
    """STATISTICS of `values` (y, x; north up) inside each polygon, arrays by name.

    `corner`: x and y of the raster's upper left, `pixel`: its width and height, in the polygons' units. count is the
    sum of shares, mean weighs by them, min and max are over all pixels that are touched; NaN pixels count nowhere,
    where none is left mean, min and max are NaN.

    >>> found = within(np.array([[1.0, 3.0]]), (0, 1), (1, 1), np.array([shapely.box(0.5, 0, 2, 1)]))
    >>> found["mean"].round(4).tolist(), found["count"].tolist()
    ([2.3333], [1.5])
    """
    shapes = np.array([shapely.MultiPolygon() if shape is None else shape for shape in shapes], dtype=object)
    found = np.full((len(shapes), len(STATISTICS)), np.nan)
    some = np.flatnonzero(~shapely.is_empty(shapes))
    if len(some):
        parts, owner = shapely.get_parts(shapes[some], return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        outer = np.r_[True, part[1:] != part[:-1]]  # a polygon's first ring is its outer one
        xy, ring = shapely.get_coordinates(rings, return_index=True)
        at = np.stack([(xy[:, 0] - corner[0]) / pixel[0], (corner[1] - xy[:, 1]) / pixel[1]], axis=1)
        ends = np.searchsorted(ring, np.arange(len(rings) + 1))
        first = np.searchsorted(owner[part], np.arange(len(some) + 1))
        found[some] = _statistics(np.ascontiguousarray(values), at, ends, outer, first)
    found[np.isnan(found[:, 3]), 3:] = 0.0
    return dict(zip(STATISTICS, found.T, strict=True))


@numba.njit(cache=True, nogil=True)
def _put(row: np.ndarray, xa: float, xb: float, dy: float) -> None:
    """Add what lies right of a line from xa to xb, dy of a row high, to a row of which the sums are shares."""
    if xa > xb:
        xa, xb = xb, xa
    last = len(row) - 2
    if xb <= 0:
        row[0] += dy
        return
    if xa >= last:
        return
    span = xb - xa
    if xa < 0:
        row[0] += dy * (-xa / span)
        dy *= xb / span
        xa, span = 0.0, xb
    if xb > last:
        dy *= (last - xa) / span
        xb = float(last)
        span = xb - xa
    cell = int(xa)
    while True:
        stop = min(xb, cell + 1.0)
        part = dy if span <= 0 else dy * (stop - xa) / span
        middle = (xa + stop) / 2 - cell
        row[cell] += part * (1 - middle)
        row[cell + 1] += part * middle
        if stop >= xb:
            return
        dy -= part
        span -= stop - xa
        xa, cell = stop, cell + 1


@numba.njit(cache=True, nogil=True)
def _statistics(values, at, ends, outer, first):
    height, width = values.shape
    out = np.full((len(first) - 1, 5), np.nan)
    for n in range(len(first) - 1):
        begin, end = ends[first[n]], ends[first[n + 1]]
        left, right = max(int(np.floor(at[begin:end, 0].min())), 0), min(int(np.ceil(at[begin:end, 0].max())), width)
        top, foot = max(int(np.floor(at[begin:end, 1].min())), 0), min(int(np.ceil(at[begin:end, 1].max())), height)
        if left >= right or top >= foot:
            continue
        share = np.zeros((foot - top, right - left + 2))
        for r in range(first[n], first[n + 1]):
            area = 0.0
            for k in range(ends[r], ends[r + 1] - 1):
                area += at[k, 0] * at[k + 1, 1] - at[k + 1, 0] * at[k, 1]
            sign = (1.0 if area < 0 else -1.0) * (1.0 if outer[r] else -1.0)
            for k in range(ends[r], ends[r + 1] - 1):
                xa, ya, xb, yb = at[k, 0] - left, at[k, 1] - top, at[k + 1, 0] - left, at[k + 1, 1] - top
                if ya == yb:
                    continue
                turn = sign
                if ya > yb:
                    xa, ya, xb, yb, turn = xb, yb, xa, ya, -sign
                slope = (xb - xa) / (yb - ya)
                for y in range(max(int(np.floor(ya)), 0), min(int(np.ceil(yb)), foot - top)):
                    low, high = max(ya, float(y)), min(yb, y + 1.0)
                    _put(share[y], xa + (low - ya) * slope, xa + (high - ya) * slope, turn * (high - low))
        weight, total, low, high = 0.0, 0.0, np.inf, -np.inf
        for y in range(foot - top):
            sofar = 0.0
            for x in range(right - left):
                sofar += share[y, x]
                value = values[top + y, left + x]
                if sofar > TOUCHED and np.isfinite(value):
                    here = min(sofar, 1.0)
                    weight += here
                    total += here * value
                    low, high = min(low, value), max(high, value)
        if weight > 0:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = total / weight, low, high, weight, total
    return out
