"""Where snow gives way to bare ice on each glacier of a scene: snowline altitude and accumulation-area ratio."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import xarray as xr

from glacier_nb import crs

CITATION = "Rastner et al. 2019, doi:10.3390/rs11121410"

BAND, RUN = 20.0, 5
"""Height of an elevation band (m), and how many of them one above the other make a snow cover, as Rastner et al."""
PARTED = 0.7
"""Share of the variance that two classes must take: of one surface a threshold takes 0.64 (normal brightness) to 0.65
(lognormal, as ice has it); of snow on a tenth of the ice 0.73."""
CONTRAST = 0.15
"""Least difference of the classes' near-infrared reflectance; light on slopes turned to and from the sun makes less."""
CLEAN = 0.46
"""What clean ice reflects at most (Cuffey and Paterson 2010, table 5.2): ice is darker in the mean, snow brighter, or
the two classes are dirty and clean ice, or old and new snow."""
SHADE = 0.11
"""Near infrared under which a pixel of the glacier is in shadow or water: no surface is told."""
SEEN = 0.8
"""Share of a glacier that must be seen for its ratio to be told."""
LEAST = 100
"""Pixels that a glacier needs."""


def threshold(near: np.ndarray) -> float:
    """Reflectance that parts snow from bare ice (Otsu 1979) among the near-infrared values of all glaciers of a scene.

    NaN where the values do not fall in two classes: all snow, or all ice.

    >>> rng = np.random.default_rng(0)
    >>> bool(np.isnan(threshold(rng.normal(0.7, 0.05, 4000))))
    True
    >>> 0.35 < threshold(np.r_[rng.normal(0.3, 0.05, 4000), rng.normal(0.7, 0.05, 4000)]) < 0.65
    True
    """
    near = near[np.isfinite(near)]
    if len(near) < LEAST:
        return np.nan
    low, high = np.quantile(near, (0.005, 0.995))
    counts, edges = np.histogram(near, 256, (low, max(high, low + 1e-6)))
    share, middle = counts / counts.sum(), (edges[1:] + edges[:-1]) / 2
    below = np.clip(np.cumsum(share)[:-1], 1e-9, 1 - 1e-9)
    moment, mean = np.cumsum(share * middle)[:-1], float(share @ middle)
    between = (mean * below - moment) ** 2 / (below * (1 - below))
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    at = int(best[len(best) // 2])  # the middle of a gap that is empty
    dark, bright = moment[at] / below[at], (mean - moment[at]) / (1 - below[at])
    parted = between[at] > PARTED * float(share @ (middle - mean) ** 2) and bright - dark > CONTRAST
    return float(edges[at + 1]) if parted and dark < CLEAN < bright else np.nan


def altitudes(
    scene: xr.Dataset, outlines: gpd.GeoDataFrame, elevation: xr.DataArray, debris: xr.DataArray | None = None
) -> pd.DataFrame:
    """Snowline altitude (m) and accumulation-area ratio (0-1) of each glacier in a scene (y, x) with a band nir.

    Snow is what is brighter than `threshold` over all outlines; in bands of BAND m of `elevation` (m, y, x, on the
    scene's grid) its share is counted, and the snowline is where it passes one half at the foot of the lowest RUN
    bands above that are all half snow (Rastner et al. 2019), between the bands' middles. The ratio is snow over the
    glacier's seen area; `debris` (bool, y, x) is bare. Of a late-summer scene it stands for the equilibrium line; of
    an earlier one it lies lower. Columns: rgi_id, time, snowline_m, accumulation_ratio, snow_threshold, note (why one
    is NaN). One row an outline. Raises ValueError for degrees, LookupError without nir.
    """
    if "nir" not in scene:
        raise LookupError(f"no band nir among {sorted(map(str, scene.data_vars))}: load it to see snow on ice")
    crs.metres(geobox := scene.odc.geobox)
    theirs = elevation.odc.geobox
    if theirs.shape != geobox.shape or not np.allclose(theirs.affine[:6], geobox.affine[:6]):
        raise ValueError(f"elevation {elevation.shape} and scene {geobox.shape} differ: load both on one GeoBox")
    here = outlines.to_crs(str(geobox.crs))
    shapes = [(shape, number) for number, shape in enumerate(here.geometry, start=1) if shape]
    labels = np.zeros(geobox.shape, "int32")
    if shapes:
        rasterio.features.rasterize(shapes, out=labels, transform=geobox.affine)
    inside = np.flatnonzero(labels)
    labels, near = labels.ravel()[inside], scene["nir"].values.ravel()[inside].astype(float)
    heights = elevation.values.ravel()[inside].astype(float)
    bare = np.zeros(len(inside), bool) if debris is None else debris.values.ravel()[inside].astype(bool)
    seen = np.isfinite(near) & ((near > SHADE) | bare)
    level = threshold(near[seen & ~bare])
    snow = seen & ~bare & (near > level)
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(1, len(here) + 2))
    parts = [order[a:b] for a, b in itertools.pairwise(ends)]
    rows = [_told(seen[part], snow[part], heights[part], level) for part in parts]
    table = pd.DataFrame(rows, columns=["snowline_m", "accumulation_ratio", "note"], index=outlines.index)
    time = outlines["time"].array if "time" in outlines else pd.Timestamp(scene.attrs.get("time", "NaT"))
    made = table.assign(rgi_id=outlines["rgi_id"].array, time=time, snow_threshold=level)
    made.attrs = {"units": "m", "citation": CITATION}
    return made[["rgi_id", "time", "snowline_m", "accumulation_ratio", "snow_threshold", "note"]]


def _told(seen: np.ndarray, snow: np.ndarray, heights: np.ndarray, level: float) -> tuple[float, float, str]:
    """One glacier's snowline, ratio and note, from its pixels."""
    if len(seen) < LEAST:
        return np.nan, np.nan, f"under {LEAST} pixels"
    if np.isnan(level):
        return np.nan, np.nan, "no transition: the scene's glaciers are of one brightness"
    if seen.mean() < SEEN:
        return np.nan, np.nan, f"only {seen.mean():.0%} seen"
    ratio, known = float(snow.sum() / seen.sum()), seen & np.isfinite(heights)
    if not known.any():
        return np.nan, ratio, "no elevation"
    band = np.floor(heights[known] / BAND).astype(int)
    first = band.min()
    count = np.bincount(band - first)
    share = np.bincount(band - first, snow[known]) / np.maximum(count, 1)
    full = (count > 0) & (share > 0.5)
    if not full.any():
        return np.nan, ratio, "bare to the top"
    runs = np.flatnonzero(np.convolve(full, np.ones(RUN, int), "valid") == RUN) if len(full) >= RUN else []
    if not len(runs):
        return np.nan, ratio, f"no {RUN} bands of {BAND:g} m under snow, one above the other"
    foot = int(runs[0])
    if foot == 0:
        return np.nan, ratio, "snow down to the foot"
    if count[foot - 1] == 0:
        return float((first + foot) * BAND), ratio, ""
    step = (0.5 - share[foot - 1]) / (share[foot] - share[foot - 1])
    return float((first + foot - 0.5 + step) * BAND), ratio, ""
