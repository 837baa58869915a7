"""A stack of scenes to one: late summer with the least snow, or the mean radar power, and where each pixel is from."""

from collections.abc import Sequence

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from scipy import ndimage

NORTH, SOUTH = (7, 8, 9), (1, 2, 3)
"""Months at the end of the ablation season by hemisphere."""

SMOOTH = 5
"""Pixels on a side over which scenes are compared, so that neighbours tend to come from the same one."""


def late_summer(cube: xr.Dataset, year: int, months: Sequence[int] | None = None) -> xr.Dataset:
    """One late-summer scene of a year from an optical cube: dims y, x, lazy in the cube's blocks.

    Of the clear observations of a pixel in `months` (July to September, January to March in the south) the one
    with the least snow is taken whole, all bands of one date. Clouds that the quality layer missed and shadows of
    clouds rank behind it (see `rank`). Variables as in the cube, plus `clear` (bool: seen at all), `source`
    (int16: index into attrs["items"], -1 unseen) and `count` (int16: clear observations). Attrs: time (the middle
    date, ISO text), sensor, items, manifest.

    Raises LookupError where the cube has no date in the window or lacks a visible and a short-wave infrared band.
    """
    stack = _window(cube, year, months or (NORTH if _latitude(cube) >= 0 else SOUTH))
    picks = (("green", "red", "blue"), ("swir16", "swir22"), ("nir", "red"), ("blue", "green", "red"))
    names = [next((name for name in pick if name in stack), None) for pick in picks]
    if None in names[:2]:
        raise LookupError("the least snowy scene needs green and swir16 in the cube: load those bands too")
    layers = [stack[name or names[0]].data for name in names]
    days = stack.time.values.astype("datetime64[s]").astype("float64")
    clear = stack.clear.data
    scores = da.map_blocks(rank, *layers, clear, dtype="float32")
    around = {0: 0, 1: SMOOTH // 2, 2: SMOOTH // 2}
    scores = da.map_overlap(_compare, scores, clear, depth=around, boundary="none", dtype="float32", trim=True)
    middle = np.abs(days - np.median(days)) / max(np.ptp(days), 1.0)  # of equals, the one nearest to the middle date
    source = da.map_blocks(_least, scores, late=middle.astype("float32"), drop_axis=0, dtype="int16")
    return _scene(stack, source, lambda band: da.map_blocks(_take, band, source, drop_axis=0, dtype=band.dtype))


def average(cube: xr.Dataset, year: int, months: Sequence[int] | None = None) -> xr.Dataset:
    """Mean of a year's seen observations, or of some months of it: for radar, the mean of linear power.

    Variables and attrs as in `late_summer`; `source` is the first scene that saw the pixel.
    """
    stack = _window(cube, year, months or tuple(range(1, 13)))
    first = da.where(stack.clear.data.any(axis=0), stack.clear.data.argmax(axis=0), -1).astype("int16")

    def mean(band: da.Array) -> da.Array:
        return da.map_blocks(_mean, band, stack.clear.data, drop_axis=0, dtype=band.dtype)

    return _scene(stack, first, mean)


def rank(bright: np.ndarray, short: np.ndarray, near: np.ndarray, blue: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """How unwelcome each observation of a pixel is (float32, time, y, x): 0 for snow-free ground in the sun.

    Reflectances are a visible, a short-wave infrared, a near infrared and a blue band. Added up are
    snow (bright, high NDSI: up to 1; bare ice, darker, less than fresh snow), cloud (bright in the blue and in the
    short-wave infrared: 2) and shadow (dark beside the pixel's brightest cloud-free observation, on snow and ice
    also blue from the sky's light, but not as dark as water: 1.2). The limits lie between the quartiles of the
    human-classified Sentinel-2 pixels of Aberle et al. (glacier-snow-cover-mapping; MIT).

    >>> ground, snow, cloud = (0.12, 0.25, 0.22, 0.1), (0.8, 0.02, 0.7, 0.8), (0.6, 0.4, 0.6, 0.6)
    >>> bands = np.array([ground, snow, cloud, (0.05, 0.05, 0.05, 0.05)]).T[:, :, None, None]
    >>> rank(*bands, np.ones((4, 1, 1), bool)).ravel().round(1)
    array([0. , 1. , 2. , 1.2], dtype=float32)
    """
    bright, short, near, blue = (np.maximum(np.nan_to_num(band), 1e-4) for band in (bright, short, near, blue))
    index = (bright - short) / (bright + short)
    snow = _rise(index, 0.2, 0.7) * np.minimum(bright / 0.6, 1.0)
    cloud = _rise(blue, 0.22, 0.37) * _rise(short, 0.12, 0.22) * (1.0 - _rise(index, 0.2, 0.5))
    sunlit = clear & (cloud < 0.5)
    dark_near, dark_short = (
        1.0 - _rise(band / np.maximum(np.where(sunlit, band, 0.0).max(axis=0), 1e-4), 0.3, 0.6)
        for band in (near, short)
    )
    icy = _rise(index, 0.2, 0.5)
    on_ice = _rise(blue / near, 1.5, 1.9) * _rise(near, 0.04, 0.08) * dark_near
    shade = icy * on_ice + (1.0 - icy) * dark_near * dark_short * _rise(near, 0.02, 0.04)
    return (snow + 2.0 * cloud + 1.2 * shade).astype("float32")


def _rise(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, straight between."""
    return np.clip((value - low) / (high - low), 0.0, 1.0)


def _compare(scores: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Scores averaged over the clear neighbours of each pixel; infinite where it was not clear itself."""
    size = (1, SMOOTH, SMOOTH)
    weight = ndimage.uniform_filter(clear.astype("float32"), size, mode="nearest")
    total = ndimage.uniform_filter(np.where(clear, scores, 0.0).astype("float32"), size, mode="nearest")
    return np.where(clear, total / np.maximum(weight, 1e-6), np.inf).astype("float32")


def _least(scores: np.ndarray, late: np.ndarray) -> np.ndarray:
    """Index of the best observation, -1 where there is none."""
    best = (scores + 0.05 * late[:, None, None]).argmin(axis=0)
    return np.where(np.isfinite(scores).any(axis=0), best, -1).astype("int16")


def _take(band: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Values of the chosen observations."""
    values = np.take_along_axis(band, np.maximum(source, 0)[None].astype("int64"), axis=0)[0]
    return np.where(source >= 0, values, np.nan).astype(band.dtype)


def _mean(band: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Mean over the clear and finite observations, NaN where there is none."""
    seen = clear & np.isfinite(band)
    total, number = np.where(seen, band, 0.0).sum(axis=0), seen.sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan).astype(band.dtype)


def _latitude(cube: xr.Dataset) -> float:
    """Latitude of the middle of the grid."""
    ((_, latitude),) = cube.odc.geobox.extent.centroid.to_crs("EPSG:4326").points
    return latitude


def _window(cube: xr.Dataset, year: int, months: Sequence[int]) -> xr.Dataset:
    """The cube's times of some months of a year, each block whole in time; LookupError says which dates there are."""
    when = pd.DatetimeIndex(cube.time.values)
    chosen = (when.year == int(year)) & when.month.isin(list(months))
    if not chosen.any():
        there = ", ".join(sorted({str(date) for date in when.date})[:12]) or "none"
        raise LookupError(
            f"no scene in months {list(months)} of {year}; the cube has {there}: give months= or search more"
        )
    return cube.isel(time=np.flatnonzero(chosen)).chunk({"time": -1})


def _scene(stack: xr.Dataset, source: da.Array, reduce) -> xr.Dataset:
    """The result: every band reduced over time, its sources and counts, and what it was made from."""
    grid = stack.clear.isel(time=0, drop=True).drop_vars("item", errors="ignore")
    out = {
        name: grid.copy(data=reduce(band.data)).assign_attrs(band.attrs)
        for name, band in stack.data_vars.items()
        if name != "clear"
    }
    count = stack.clear.data.sum(axis=0).astype("int16")
    out["clear"] = grid.copy(data=source >= 0).assign_attrs(long_name="seen at least once")
    out["source"] = grid.copy(data=source).assign_attrs(long_name="index into items, -1 unseen")
    out["count"] = grid.copy(data=count).assign_attrs(long_name="number of clear observations")
    dates = np.sort(stack.time.values)
    attrs = {key: stack.attrs[key] for key in ("sensor", "provider", "collection", "manifest") if key in stack.attrs}
    attrs["time"] = str(dates[(len(dates) - 1) // 2].astype("datetime64[D]"))
    attrs["items"] = [str(item) for item in stack.item.values] if "item" in stack.coords else list(map(str, dates))
    return xr.Dataset(out, attrs=attrs)
