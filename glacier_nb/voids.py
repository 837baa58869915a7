"""Elevation change by elevation band, glacier by glacier, and what stands in for ice that was not measured.

Without a source, plain or ours: `along`, `find`, `near`, `histogram`.
"""

import dataclasses
from collections.abc import Callable

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from scipy import ndimage

from glacier_nb import blocks

BAND = 50.0
"""Height of an elevation band in m."""

LEAST = 0.25
"""Share of a glacier that must be measured for its own bands to stand in for the rest; of less, the region's do."""

REACH = 16
"""Standard deviation, in pixels, of the widest neighbourhood that fills a void by what is near."""

LAYERS = ("dh", "elevation", "glacier", "dates")
STEP, MOST = 0.1, 400.0  # m: dh is sorted into steps for its medians, and stops there


@dataclasses.dataclass(frozen=True)
class Fill:
    """A way to fill voids: `curve` gives each glacier (row) and band (column) its elevation change in m.

    near: first by what is measured around the void, up to REACH; the curve takes the rest.
    """

    name: str
    curve: Callable
    near: bool = False


def along(mean: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Each row's values where `known`, between them straight on, beyond them the last; NaN where nothing is known.

    >>> along(np.array([[1.0, 0.0, 3.0, 0.0]]), np.array([[True, False, True, False]])).tolist()
    [[1.0, 2.0, 3.0, 3.0]]
    """
    bands, curve = np.arange(mean.shape[1]), np.full(mean.shape, np.nan)
    for n in np.flatnonzero(known.any(axis=1)):
        curve[n] = np.interp(bands, bands[known[n]], mean[n, known[n]])
    return curve


def regional(sums: dict[str, np.ndarray]) -> np.ndarray:
    """The mean of all glaciers in each band, for every glacier (McNabb et al. 2019, the global hypsometric method)."""
    total, seen = sums["total"].sum(axis=0, keepdims=True), sums["seen"].sum(axis=0, keepdims=True)
    curve = along(total / np.maximum(seen, 1), seen > 0)
    return np.repeat(curve, len(sums["total"]), axis=0)


def own(sums: dict[str, np.ndarray]) -> np.ndarray:
    """A glacier's own mean in each band (McNabb et al. 2019: local); the region's where under LEAST was measured."""
    seen = sums["seen"]
    curve = along(sums["total"] / np.maximum(seen, 1), seen > 0)
    poor = seen.sum(axis=1) < LEAST * sums["n"].sum(axis=1)
    return np.where(poor[:, None] | np.isnan(curve), regional(sums), curve)


def mean(sums: dict[str, np.ndarray]) -> np.ndarray:
    """A glacier's mean in all bands; the region's where nothing of it was measured (McNabb et al. 2019)."""
    total, seen = sums["total"].sum(axis=1), sums["seen"].sum(axis=1)
    everywhere = total.sum() / max(seen.sum(), 1) if seen.any() else np.nan
    value = np.where(seen > 0, total / np.maximum(seen, 1), everywhere)
    return np.repeat(value[:, None], sums["n"].shape[1], axis=1)


FILLS = (Fill("hypsometric", own), Fill("regional", regional), Fill("local", own, near=True), Fill("mean", mean))
"""Void filling by name; compared by McNabb et al. 2019, doi:10.5194/tc-13-895-2019."""


def find(name: str) -> Fill:
    """The row of FILLS; LookupError names them all."""
    for row in FILLS:
        if row.name == name:
            return row
    raise LookupError(f"no void filling {name!r}: name one of {', '.join(row.name for row in FILLS)}")


def near(image: np.ndarray) -> np.ndarray:
    """The mean of what is known around each pixel, the nearer the more, over the narrowest neighbourhood that has any:
    Gaussians of 1, 2, 4 ... REACH pixels. NaN where none has."""
    known = np.isfinite(image)
    value, weight = np.where(known, image, 0).astype(float), known.astype(float)
    guess, sigma = np.full(image.shape, np.nan), 1
    while sigma <= REACH:
        around = ndimage.gaussian_filter(weight, sigma, mode="constant", truncate=3)
        found = np.isnan(guess) & (around > 0.05)
        heavy = ndimage.gaussian_filter(value, sigma, mode="constant", truncate=3)
        guess[found] = heavy[found] / around[found]
        sigma *= 2
    return guess.astype("float32")


def hypsometry(pair: xr.Dataset, fill: str = "hypsometric", band: float = BAND) -> pd.DataFrame:
    """Elevation change by glacier and band of `elevation.difference`; lazy layers are summed block by block.

    Columns: rgi_id, elevation_m (the band's middle; NaN: neither DEM tells), n (pixels that are ice at either date),
    seen (measured), dh_m (their mean), spread_m (standard deviation about the value that fills the band),
    filled_m (what stands in where nothing was measured), total (m times pixels, voids filled; NaN where nothing stands
    in), and n, seen and total of the ice of the first date (n_first, ...), of the second, and of the pixels along the
    edge of both (McNabb et al. 2019). attrs: fill, band_m, pixel_m2. ValueError: no pixel is ice at either date.
    """
    row = find(fill)
    layers = [pair[name].data for name in LAYERS]
    layers.insert(1, blocks.near(near, pair.dh.where(pair.glacier >= 0).data, 3 * REACH) if row.near else layers[0])
    if any(isinstance(layer, da.Array) for layer in layers):
        chunks = next(layer.chunks for layer in layers if isinstance(layer, da.Array))
        layers = [da.asarray(layer).rechunk(chunks).to_delayed().ravel() for layer in layers]
        found = dask.compute(*(dask.delayed(_sums)(*parts, band) for parts in zip(*layers, strict=True)))
    else:
        found = [_sums(*layers, band)]
    table = pd.concat(found).groupby(["glacier", "band"]).sum()
    if not len(table):
        raise ValueError("no pixel is ice at either date: do the outlines lie on the DEMs?")
    glacier, number = (table.index.get_level_values(level).to_numpy() for level in ("glacier", "band"))
    ids, known = pair.rgi_id.values, number < UNKNOWN
    least, last = (number[known].min(), number[known].max()) if known.any() else (0, 0)
    place = glacier, np.where(known, number - least, 0)
    wide = {name: np.zeros((len(ids), last - least + 1)) for name in ("n", "seen", "total", "square")}
    for name, values in wide.items():
        np.add.at(values, place, np.where(known, table[name], 0))
    curve = np.where(known, row.curve(wide)[place], mean(wide)[place])
    frame = pd.DataFrame({
        "rgi_id": ids[glacier],
        "elevation_m": np.where(known, (number + 0.5) * band, np.nan),
        "n": table.n, "seen": table.seen,
        "dh_m": table.total / table.seen.where(table.seen > 0),
        "spread_m": _spread(wide, row.curve(wide))[place],
        "filled_m": curve,
    })  # fmt: skip
    for part in ("", "_first", "_second", "_edge"):
        rest = table[f"n{part}"] - table[f"seen{part}"] - table[f"guessed{part}"]
        filled = np.where(rest > 0, rest * curve, 0)
        frame[f"n{part}"], frame[f"seen{part}"] = table[f"n{part}"], table[f"seen{part}"]
        frame[f"total{part}"] = table[f"total{part}"] + table[f"guess{part}"] + filled
    resolution = pair.odc.geobox.resolution
    frame.attrs = {"fill": fill, "band_m": band, "pixel_m2": float(abs(resolution.x * resolution.y))}
    return frame.sort_values(["rgi_id", "elevation_m"]).reset_index(drop=True)


UNKNOWN = 1_000_000  # number of the band of pixels whose elevation is not known


def _sums(dh: np.ndarray, guess: np.ndarray, z: np.ndarray, glacier: np.ndarray, dates: np.ndarray, band: float):
    """Sums of a block by glacier and band."""
    inside = glacier >= 0
    dh, guess, z, dates = (layer[inside] for layer in (dh, guess, z, dates))
    number = np.where(np.isfinite(z), np.floor(np.nan_to_num(z) / band), UNKNOWN).astype(int)
    seen = np.isfinite(dh)
    guessed = ~seen & np.isfinite(guess)
    value, other = np.where(seen, dh, 0).astype(float), np.where(guessed, guess, 0).astype(float)
    columns = {"glacier": glacier[inside], "band": number, "square": value**2}
    for part, mask in (("", True), ("_first", dates & 1 > 0), ("_second", dates & 2 > 0), ("_edge", dates & 4 > 0)):
        sums = {"n": np.ones(len(dh)), "seen": seen, "guessed": guessed, "total": value, "guess": other}
        columns |= {f"{name}{part}": layer * mask for name, layer in sums.items()}
    return pd.DataFrame(columns).groupby(["glacier", "band"]).sum()


def _spread(sums: dict[str, np.ndarray], curve: np.ndarray) -> np.ndarray:
    """Standard deviation of what was measured about `curve`: the glacier's own band if five pixels or more tell,
    or else the region's band, or else the region's all bands."""

    def about(total: np.ndarray, square: np.ndarray, seen: np.ndarray, value: np.ndarray) -> np.ndarray:
        n = np.maximum(seen, 1)
        return np.sqrt(np.maximum(square / n - 2 * value * total / n + value**2, 0))

    pooled = [sums[name].sum(axis=0, keepdims=True) for name in ("total", "square", "seen")]
    whole = [one.sum(keepdims=True) for one in pooled]
    everywhere = about(*whole, whole[0] / np.maximum(whole[2], 1))
    band = np.where(pooled[2] >= 5, about(*pooled, pooled[0] / np.maximum(pooled[2], 1)), everywhere)
    single = about(sums["total"], sums["square"], sums["seen"], np.nan_to_num(curve))
    return np.where(sums["seen"] >= 5, single, band)


def histogram(pair: xr.Dataset, inside: xr.DataArray, band: float = BAND) -> tuple[np.ndarray, np.ndarray]:
    """How often each dh (column, STEP m apart about 0) occurs in each band (row); and the bands' numbers.

    Of pixels of `pair` with dh and elevation, `inside` (bool). Lazy layers are counted block by block.
    """
    layers = [pair.dh.data, pair.elevation.data, inside.data]
    if any(isinstance(layer, da.Array) for layer in layers):
        chunks = next(layer.chunks for layer in layers if isinstance(layer, da.Array))
        layers = [da.asarray(layer).rechunk(chunks).to_delayed().ravel() for layer in layers]
        found = dask.compute(*(dask.delayed(_counts)(*parts, band) for parts in zip(*layers, strict=True)))
    else:
        found = [_counts(*layers, band)]
    counts = pd.concat(found).groupby(level=[0, 1]).sum()
    if not len(counts):
        return np.zeros((0, 2 * round(MOST / STEP) + 1)), np.zeros(0, dtype=int)
    number, column = (counts.index.get_level_values(level).to_numpy() for level in (0, 1))
    bands = np.unique(number)
    table = np.zeros((len(bands), 2 * round(MOST / STEP) + 1))
    table[np.searchsorted(bands, number), column] = counts.to_numpy()
    return table, bands


def _counts(dh: np.ndarray, z: np.ndarray, inside: np.ndarray, band: float) -> pd.Series:
    take = inside & np.isfinite(dh) & np.isfinite(z)
    step = np.rint(np.clip(dh[take], -MOST, MOST).astype(float) / STEP).astype(int) + round(MOST / STEP)
    number = np.floor(z[take] / band).astype(int)
    return pd.DataFrame({"band": number, "step": step}).groupby(["band", "step"]).size()


def medians(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and NMAD (1.4826 times the median distance from it) in m of each row of a `histogram`.

    Höhle and Höhle 2009, doi:10.1016/j.isprsjprs.2009.02.003.

    The same for -dh but for the median's sign. NaN of an empty row.

    >>> counts = np.zeros((1, 8001)); counts[0, 4000 + np.array([-10, 10, 30])] = 1
    >>> [float(value[0].round(4)) for value in medians(counts)]
    [1.0, 2.9652]
    """
    values = (np.arange(counts.shape[1]) - counts.shape[1] // 2) * STEP
    middle, spread = np.full((2, len(counts)), np.nan)
    for n in np.flatnonzero(counts.sum(axis=1) > 0):
        some = counts[n] > 0
        middle[n] = _middle(values[some], counts[n, some])
        spread[n] = 1.4826 * _middle(np.abs(values[some] - middle[n]), counts[n, some])
    return middle, spread


def _middle(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    values, up = values[order], np.cumsum(weights[order])
    half = up[-1] / 2
    return float((values[np.searchsorted(up, half)] + values[np.searchsorted(up, half, side="right")]) / 2)
