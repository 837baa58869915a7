"""A stack of scenes to one: late summer with the least snow, or the mean radar power, and where each pixel is from.

Without a source, plain or ours: `average`, `dates`.
"""

import functools
from collections.abc import Callable, Sequence

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from glacier_nb import piecewise, ranks, shadows
from glacier_nb.ranks import SMOOTH, rank

__all__ = ("NORTH", "SOUTH", "average", "dates", "late_summer", "rank")

NORTH, SOUTH = (7, 8, 9), (1, 2, 3)
"""Months at the end of the ablation season by hemisphere."""

CHOICES = ("least snow", "median", "medoid")


def late_summer(
    cube: xr.Dataset | piecewise.Stack,
    year: int | Sequence[int],
    months: Sequence[int] | None = None,
    choose: str = "least snow",
    elevation: xr.DataArray | None = None,
) -> xr.Dataset:
    """One late-summer scene of a year, or of several together, from an optical cube: dims y, x, lazy in its blocks.

    Of the clear observations of a pixel in `months` (July to September, January to March in the south) the one
    with the least snow is taken whole, all bands of one date. Clouds that the quality layer missed and shadows of
    clouds rank behind it (see `rank`); with `elevation` (m, y, x, on the cube's grid) so does ground that terrain
    shaded (see `shadows.cast`). choose="medoid" takes the observation nearest to the pixel's median of all bands
    (after Flood 2013, doi:10.3390/rs5126481), "median" that median of each band itself. Variables as in the cube, plus
    `clear` (bool: seen at all), `source` (int16: index into attrs["items"], -1 unseen; for a median the medoid),
    `count` (int16: clear observations) and, where the cube has `lost`, `lost` (int16: lost observations). Attrs: time
    (the middle date, ISO text), sensor, items, dates, manifest.

    From a cube the graph and the memory grow with its scenes. From `load.stack` a block reads one scene after
    another instead: the same result, in a graph and a memory that do not grow.

    Raises LookupError where there is no date in the window or no visible or short-wave infrared band, ValueError
    where there is no such choice.
    """
    if choose not in CHOICES:
        raise ValueError(f"choose={choose!r}: name one of {', '.join(CHOICES)}")
    stack = _window(cube, year, months or (NORTH if _latitude(cube) >= 0 else SOUTH))
    picks = (("green", "red", "blue"), ("swir16", "swir22"), ("nir", "red"), ("blue", "green", "red"))
    there = _names(stack)
    names = [next((name for name in pick if name in there), None) for pick in picks]
    if None in names[:2] and choose == "least snow":
        raise LookupError("the least snowy scene needs green and swir16 in the cube: load those bands too")
    layers = [name or names[0] for name in names]
    days = _times(stack).astype("datetime64[s]").astype("float64")
    late = (np.abs(days - np.median(days)) / max(np.ptp(days), 1.0)).astype("float32")  # of equals, the middle date
    if isinstance(stack, xr.Dataset):
        shade = _shades(stack, elevation) if elevation is not None else None
        return _least_snow(stack, layers, late, shade) if choose == "least snow" else _middle(stack, choose)
    if choose == "least snow":
        shade = None if elevation is None else functools.partial(_dark, elevation.compute(), _times(stack))
        how = {"reduce": piecewise.least_snow, "layers": layers, "late": late, "shade": shade}
        return _pieced(stack, halo=SMOOTH // 2, **how)
    return _pieced(stack, halo=0, reduce=piecewise.middle, choose=functools.partial(_centre, medoid=choose == "medoid"))


def average(
    cube: xr.Dataset | piecewise.Stack, year: int | Sequence[int], months: Sequence[int] | None = None
) -> xr.Dataset:
    """Mean of a year's (or several years') seen observations, or of some months: for radar, of linear power.

    Arguments, variables and attrs as in `late_summer`; `source` is the first scene that saw the pixel.
    LookupError: no scene in these months.
    """
    stack = _window(cube, year, months or tuple(range(1, 13)))
    if not isinstance(stack, xr.Dataset):
        return _pieced(stack, halo=0, reduce=piecewise.mean)
    first = da.where(stack.clear.data.any(axis=0), stack.clear.data.argmax(axis=0), -1).astype("int16")

    def mean(band: da.Array) -> da.Array:
        return da.map_blocks(_mean, band, stack.clear.data, drop_axis=0, dtype=band.dtype)

    return _scene(stack, first, mean)


def dates(scene: xr.Dataset) -> xr.DataArray:
    """The day each pixel of a composite comes from (datetime64, y, x), NaT where it was not seen."""
    days = np.array(scene.attrs["dates"], "datetime64[ns]")

    def pick(source: np.ndarray) -> np.ndarray:
        return np.where(source >= 0, days[np.maximum(source, 0)], np.datetime64("NaT", "ns"))

    made = xr.apply_ufunc(pick, scene.source, dask="parallelized", output_dtypes=["datetime64[ns]"])
    return made.rename("date").assign_attrs(long_name="day that each pixel comes from")


def _least_snow(stack: xr.Dataset, layers: list[str], late: np.ndarray, shade: da.Array | None) -> xr.Dataset:
    """Each pixel from its best scene."""
    clear = stack.clear.data
    scores = da.map_blocks(rank, *(stack[name].data for name in layers), clear, dtype="float32")
    if shade is not None:
        scores = scores + np.float32(ranks.SHADE) * shade.rechunk(scores.chunks)
    around = {0: 0, 1: SMOOTH // 2, 2: SMOOTH // 2}
    scores = da.map_overlap(ranks.compare, scores, clear, depth=around, boundary="none", dtype="float32", trim=True)
    source = da.map_blocks(_least, scores, late=late, drop_axis=0, dtype="int16")
    return _scene(stack, source, lambda band: da.map_blocks(_take, band, source, drop_axis=0, dtype=band.dtype))


def _middle(stack: xr.Dataset, choose: str) -> xr.Dataset:
    """Each pixel's median, or the observation nearest to it."""
    names = _names(stack)
    bands = da.stack([stack[name].data for name in names], axis=1).rechunk({1: -1})
    medoid = functools.partial(_centre, medoid=choose == "medoid")
    found = da.map_blocks(_both, bands, stack.clear.data[:, None], choose=medoid, drop_axis=0, dtype="float32",
                          chunks=((len(names) + 1,), *bands.chunks[2:]))  # fmt: skip
    number = {stack[name].data.name: layer for layer, name in enumerate(names)}
    return _scene(stack, found[-1].astype("int16"), lambda band: found[number[band.name]])


def _both(bands: np.ndarray, clear: np.ndarray, choose: Callable) -> np.ndarray:
    """Values and source in one array (band + 1, y, x)."""
    values, source = choose(bands, clear[:, 0])
    return np.concatenate([values, source[None].astype("float32")])


def _centre(bands: np.ndarray, clear: np.ndarray, medoid: bool) -> tuple[np.ndarray, np.ndarray]:
    """Median over the clear observations (band, y, x), or the one nearest to it; and the index of that one."""
    seen = np.where(clear[:, None], bands, np.nan)
    blind = np.isnan(seen).all(axis=0)
    median = np.nanmedian(np.where(blind, 0.0, seen), axis=0)
    off = np.abs(np.where(np.isnan(seen), median, seen) - median).sum(axis=1)
    off = np.where(clear & ~np.isnan(seen).all(axis=1), off, np.inf)
    source = np.where(np.isfinite(off).any(axis=0), off.argmin(axis=0), -1).astype("int16")
    if medoid:
        at = np.maximum(source, 0)[None, None].astype("int64")
        values = np.where(source >= 0, np.take_along_axis(seen, at, axis=0)[0], np.nan)
    else:
        values = np.where(blind, np.nan, median)
    return values.astype("float32"), source


def _shades(stack: xr.Dataset, elevation: xr.DataArray) -> da.Array:
    """Cast shadow at each time (bool, time, y, x), lazy."""
    ground = dask.delayed(elevation)
    layers = [dask.delayed(shadows.cast)(ground, time) for time in stack.time.values]
    return da.stack([da.from_delayed(layer, elevation.shape, bool) for layer in layers])


def _dark(elevation: xr.DataArray, times: np.ndarray, number: int, geobox: GeoBox) -> np.ndarray:
    """Cast shadow of one scene on a part of the grid."""
    return shadows.cast(elevation, times[number], geobox)


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


def _latitude(cube: xr.Dataset | piecewise.Stack) -> float:
    """Latitude of the middle of the grid."""
    geobox = cube.odc.geobox if isinstance(cube, xr.Dataset) else cube.geobox
    ((_, latitude),) = geobox.extent.centroid.to_crs("EPSG:4326").points
    return latitude


def _times(stack: xr.Dataset | piecewise.Stack) -> np.ndarray:
    """When the scenes were taken."""
    return stack.time.values if isinstance(stack, xr.Dataset) else stack.times


def _names(stack: xr.Dataset | piecewise.Stack) -> list[str]:
    """The bands."""
    return [name for name in (stack if isinstance(stack, xr.Dataset) else stack.names) if name not in ("clear", "lost")]


def _window(
    cube: xr.Dataset | piecewise.Stack, year: int | Sequence[int], months: Sequence[int]
) -> xr.Dataset | piecewise.Stack:
    """The scenes of some months of one or more years, each block whole in time; LookupError says what there is."""
    when = pd.DatetimeIndex(_times(cube))
    years = [int(one) for one in np.atleast_1d(year)]
    chosen = when.year.isin(years) & when.month.isin(list(months))
    if not chosen.any():
        there = ", ".join(sorted({str(date) for date in when.date})[:12]) or "none"
        raise LookupError(
            f"no scene in months {list(months)} of {', '.join(map(str, years))}; the cube has {there}:"
            " give months= or search more"
        )
    if not isinstance(cube, xr.Dataset):
        return cube.only(np.flatnonzero(chosen))
    return cube.isel(time=np.flatnonzero(chosen)).chunk({"time": -1})


def _scene(stack: xr.Dataset, source: da.Array, reduce: Callable) -> xr.Dataset:
    """The result: every band reduced over time, its sources and counts, and what it was made from."""
    grid = stack.clear.isel(time=0, drop=True).drop_vars("item", errors="ignore")
    out = {name: grid.copy(data=reduce(stack[name].data)).assign_attrs(stack[name].attrs) for name in _names(stack)}
    items = [str(item) for item in stack.item.values] if "item" in stack.coords else None
    layers = {"source": source}
    for name, of in {"count": "clear", "lost": "lost"}.items():
        if of in stack:
            layers[name] = stack[of].data.sum(axis=0).astype("int16")
    return _told(out, {name: grid.copy(data=data) for name, data in layers.items()}, stack, items)


def _pieced(stack: piecewise.Stack, **how) -> xr.Dataset:
    """The same, from scenes that each block reads by itself."""
    layers = piecewise.reduced(stack, stack.names, stack.how.missing == "report", **how)
    made = {name: wrap_xr(data, stack.geobox) for name, data in layers.items()}
    for band in stack.row.bands:
        if band.name in made:
            made[band.name].attrs = {"units": band.units, "long_name": f"{stack.row.title}: {band.name}"}
    out = {name: made.pop(name) for name in stack.names}
    return _told(out, made, stack, stack.ids)


def _told(out: dict, layers: dict, stack: xr.Dataset | piecewise.Stack, items: list[str] | None) -> xr.Dataset:
    """A Dataset of the bands and of where they are from."""
    out["clear"] = (layers["source"] >= 0).assign_attrs(long_name="seen at least once")
    out["source"] = layers["source"].assign_attrs(long_name="index into items, -1 unseen")
    out["count"] = layers["count"].assign_attrs(long_name="number of clear observations")
    if "lost" in layers:
        out["lost"] = layers["lost"].assign_attrs(long_name="number of observations lost: a read failed")
    days = _times(stack)
    kept = ("sensor", "provider", "collection", "reads", "manifest")
    attrs = {key: stack.attrs[key] for key in kept if key in stack.attrs}
    attrs["time"] = str(np.sort(days)[(len(days) - 1) // 2].astype("datetime64[D]"))
    attrs["items"] = items or list(map(str, np.sort(days)))
    attrs["dates"] = [str(day) for day in days.astype("datetime64[D]")]
    return xr.Dataset(out, attrs=attrs)
