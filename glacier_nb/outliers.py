"""Elevation differences that no glacier makes: rules by name that turn them into voids.

Without a source, plain or ours: `absolute`, `near`, `screen`.
"""

import dataclasses
from collections.abc import Callable, Sequence

import dask.array as da
import numpy as np
import xarray as xr
from scipy import ndimage

from glacier_nb import blocks, voids


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule by name: `wild` tells from a pair, an area (bool) and the rule's numbers which pixels to take out."""

    name: str
    wild: Callable


def absolute(pair: xr.Dataset, inside: xr.DataArray, most: float, **others) -> xr.DataArray:
    """Pixels (bool, y, x) of `pair` whose change is past `most` m up or down, `inside` or not."""
    return np.abs(pair.dh) > most


def bands(
    pair: xr.Dataset, inside: xr.DataArray, limit: float, floor: float, band: float = voids.BAND, **others
) -> xr.DataArray:
    """Further than `limit` NMAD from the median of its elevation band, of all of `pair` that is `inside`.

    Gardelle et al. 2013, doi:10.5194/tc-7-1263-2013, by standard deviations.
    """
    counts, numbers = voids.histogram(pair, inside, band)
    if not len(numbers):
        return xr.zeros_like(inside)
    middle, spread = voids.medians(counts)
    rule = {"bands": numbers, "middle": middle, "reach": limit * np.maximum(spread, floor), "band": band}
    options = {"dask": "parallelized", "output_dtypes": [bool]}
    return xr.apply_ufunc(_beyond, pair.dh, pair.elevation, kwargs=rule, **options)


def near(pair: xr.Dataset, inside: xr.DataArray, limit: float, floor: float, **others) -> xr.DataArray:
    """Further than `limit` NMAD of the 7 x 7 pixels around it from their median: specks and seams, but no real change,
    which its neighbours share. `pair` and `inside` as in `absolute`.
    """
    return pair.dh.copy(data=blocks.near(_alone, pair.dh.data, 12, limit=limit, floor=floor) > 0)


RULES = (Rule("absolute", absolute), Rule("near", near), Rule("bands", bands))
"""Outlier rules by name. `bands` (Gardelle et al. 2013, doi:10.5194/tc-7-1263-2013, with 3 standard deviations) also
takes out the strongest real thinning, as by a calving front or after a surge, so that it is off by default."""


def screen(
    pair: xr.Dataset,
    rules: Sequence[str] = ("absolute", "near"),
    limit: float = 5.0,
    most: float = 200.0,
    band: float = voids.BAND,
) -> xr.Dataset:
    """`pair` of `elevation.difference` with outliers made voids by each of `rules` (names in RULES), on ice and off it
    apart.

    `limit` in NMAD, none of which counts for less than that of all stable ground; `most` and `band` in m.
    attrs["screened"]: for each rule the pixels it took out on ice. LookupError for an unknown rule.
    """
    known = {row.name: row for row in RULES}
    if unknown := [name for name in rules if name not in known]:
        raise LookupError(f"no outlier rule {unknown[0]!r}: name some of {', '.join(known)}")
    spread = voids.medians(voids.histogram(pair, pair.stable, np.inf)[0])[1]
    floor = max(float(spread[0]) if len(spread) else 0.0, voids.STEP)
    ice, numbers = pair.glacier >= 0, {"limit": limit, "most": most, "band": band, "floor": floor}
    taken = {}
    for name in rules:
        was = pair.dh
        wild = [inside & known[name].wild(pair, inside, **numbers) for inside in (ice, ~ice)]
        pair = pair.assign(dh=was.where(~(wild[0] | wild[1])).assign_attrs(was.attrs))
        taken[name] = (ice & np.isfinite(was) & np.isnan(pair.dh)).sum()
    if isinstance(pair.dh.data, da.Array):
        taken = dict(zip(taken, da.compute(*(one.data for one in taken.values())), strict=True))
    return pair.assign_attrs(screened={name: int(one) for name, one in taken.items()})


def _beyond(dh: np.ndarray, z: np.ndarray, bands: np.ndarray, middle: np.ndarray, reach: np.ndarray, band: float):
    place = np.searchsorted(bands, np.floor(np.nan_to_num(z) / band)).clip(0, len(bands) - 1)
    return np.abs(dh - middle[place]) > reach[place]


def _alone(dh: np.ndarray, limit: float, floor: float) -> np.ndarray:
    """1 where a pixel is alone in its value, else 0."""
    known = np.where(np.isfinite(dh), dh, np.nan_to_num(voids.near(dh)))
    middle = ndimage.median_filter(known, 7, mode="nearest")
    spread = 1.4826 * ndimage.median_filter(np.abs(known - middle), 7, mode="nearest")
    return (np.abs(dh - middle) > limit * np.maximum(spread, floor)).astype("float32")
