"""How sure an area is by the spread of a map's own members, with what neighbouring pixels err in together.

Without a source, plain or ours: `ice`.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import scipy.fft
import scipy.signal
import xarray as xr
from scipy import ndimage

from glacier_nb import crs, variograms, vectorize

CITATION = "ensembles: Lakshminarayanan et al. 2017, arXiv:1612.01474; correlated errors: " + variograms.CITATION


def correlation(zones: xr.DataArray, truth: xr.DataArray, lags: int = 18) -> variograms.Correlation:
    """How far a map's errors reach, and how large they are beside its spread: a model in units of the spread squared.

    `zones` (zone, y, x) with coordinate `spread`, `truth` of ice (0 or 1; y, x), on ground that no network was trained
    on. At each distance, up to a quarter of the map's shorter side, the errors' products (truth less probability) over
    all pairs of seen pixels, beside the spreads' products, by FFT (Marcotte 1996, doi:10.1016/S0098-3004(96)00026-X):
    pairs off the margins, where neither errs, do not pass for errors that have nothing in common. Sills that sum to
    more than 1 tell that errors are larger than the spread, as of members that err together. ValueError: too few pixels
    where both are known; LookupError as `ice`.
    """
    probability = vectorize.glacier_probability(zones)
    error, spread = truth.values.astype(float) - probability.values, ice(zones).values.astype(float)
    seen = np.isfinite(error) & np.isfinite(spread)
    error, spread = np.where(seen, error, 0.0), np.where(seen, spread, 0.0)
    pixel, size = float(abs(zones.odc.geobox.resolution.x)), [2 * n for n in error.shape]
    waves = (scipy.fft.rfft2(layer, size) for layer in (seen.astype(float), error, spread))
    pairs, errors, spreads = (scipy.fft.irfft2(wave * np.conj(wave)) for wave in waves)
    away = [np.minimum(np.arange(n), n - np.arange(n)) for n in pairs.shape]
    away = np.hypot(away[0][:, None], away[1])
    steps = np.unique(np.geomspace(1, max(min(error.shape) / 4, 3), lags).round()).astype(int)
    rows = []
    for step in steps:
        ring = np.abs(away - step) <= 0.5
        n, both = pairs[ring].sum(), spreads[ring].sum()
        if n >= 100 and both > 1e-9 * n:
            rows.append((step * pixel, float(errors[0, 0] / spreads[0, 0] - errors[ring].sum() / both), n))
    if not rows:
        raise ValueError(f"{int(seen.sum())} pixels where both are known: a variogram needs more")
    return variograms.fit(pd.DataFrame(rows, columns=["lag_m", "gamma", "n"]), pixel=pixel)


def ice(zones: xr.DataArray) -> xr.DataArray:
    """Standard deviation (y, x) of the glacier probability over the members of a map with a coordinate `spread`.

    Glacier and debris cover trade with one another, so that their spreads do not add: the sum over the ice's zones
    and the sum over all others are both bounds of it, and the smaller is taken. LookupError for a map of one member.
    """
    if "spread" not in zones.coords:
        raise LookupError("no spread in this map: predict with several weights, symmetries or passes of dropout")
    spread = zones["spread"].drop_vars("spread", errors="ignore")
    within = np.isin(zones["zone"].values, vectorize.ICE)
    sides = [spread.isel(zone=np.flatnonzero(side)).sum("zone", skipna=False) for side in (within, ~within)]
    return sides[0] if within.all() else np.minimum(*sides).rename("spread")


def area_spread(
    zones: xr.DataArray, outlines: gpd.GeoDataFrame, model: variograms.Correlation, around: float = 40.0
) -> pd.DataFrame:
    """Standard deviation of each outline's area: columns rgi_id, expected_m2 (sum of probabilities), spread_m2.

    `zones` (zone, y, x) with coordinate `spread`, as `predict.zones` makes of several members; within an outline and
    `around` m of it, less its neighbours, each pixel's spread is shared with others as `model` has it (`correlation`):
    variance = sum over pairs of s_i s_j c(distance) pixel^4, by FFT (as Hugonnet et al. 2022 for elevation).
    `change.area` takes its interval from it:
    `outlines.assign(spread_m2=area_spread(zones, outlines, model).spread_m2)`; what is left of it too small or too
    large, `uncertainty.conformal` puts right. Raises ValueError for degrees, LookupError without spread.
    """
    crs.metres(geobox := zones.odc.geobox)
    probability = vectorize.glacier_probability(zones).compute().fillna(0).values.astype(float)
    spread, pixel = ice(zones).compute().fillna(0).values.astype(float), float(abs(geobox.resolution.x))
    here = outlines.to_crs(str(geobox.crs))
    shapes = [(shape, number) for number, shape in enumerate(here.geometry, start=1) if shape]
    numbers = np.zeros(geobox.shape, dtype="int32")
    if shapes:
        rasterio.features.rasterize(shapes, out=numbers, transform=geobox.affine)
    away, nearest = ndimage.distance_transform_edt(numbers == 0, return_indices=True)
    numbers = np.where(away * pixel <= around, numbers[tuple(nearest)], 0)
    scale, rows = crs.scale(here), []
    for number, window in enumerate(ndimage.find_objects(numbers, max_label=len(here)), start=1):
        if window is None:
            rows.append((np.nan, np.nan))
            continue
        mine = numbers[window] == number
        s = np.where(mine, spread[window], 0.0)
        y, x = (np.arange(1 - size, size) for size in s.shape)
        shared = variograms.covariance(np.hypot(y[:, None], x) * pixel, model)
        variance = float((s * _spread_out(s, shared)).sum())
        whole = pixel**2 / scale[number - 1]
        rows.append((probability[window][mine].sum() * whole, np.sqrt(max(variance, 0.0)) * whole))
    table = pd.DataFrame(rows, columns=["expected_m2", "spread_m2"], index=outlines.index)
    table.insert(0, "rgi_id", outlines["rgi_id"].to_numpy())
    table.attrs = {"units": "m2", "citation": CITATION}
    return table


def _spread_out(s: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Each pixel's sum over all others, weighed by what the two share; `shared` holds every distance once a side."""
    height, width = s.shape
    return scipy.signal.fftconvolve(s, shared)[height - 1 : 2 * height - 1, width - 1 : 2 * width - 1]
