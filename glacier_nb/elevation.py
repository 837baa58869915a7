"""Elevation change of two dates: differenced, screened, voids filled; volume and mass balance of each glacier.

Without a source, plain or ours: `stable`, `difference`.
"""

import dask
import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import scipy.stats
import shapely
import xarray as xr
from scipy import ndimage

from glacier_nb import basins, blocks, corrections, crs, uncertainty, variograms, voids
from glacier_nb.dems import Shift, alike, at, coregister, day, read
from glacier_nb.outliers import screen

__all__ = ["Shift", "at", "change", "coregister", "difference", "read", "screen", "stable"]

DENSITY = (850.0, 60.0)
"""Density of what was lost or gained, kg m-3, and its standard deviation (Huss 2013, doi:10.5194/tc-7-877-2013): for
five years or more, with a firn line that stays about where it is."""

CITATION = f"{variograms.CITATION}; density: Huss 2013, doi:10.5194/tc-7-877-2013; both areas: Florentine et al. 2023"


def stable(like: xr.DataArray, *outlines: gpd.GeoDataFrame, buffer: float | None = None) -> xr.DataArray:
    """Where (y, x; bool) ground is taken to have kept its height: `buffer` m (default two pixels) off all `outlines`.

    Give it the outlines of every date, and water and landslides as outlines of their own.
    """
    geobox = like.odc.geobox
    wide = 2 * abs(geobox.resolution.x) if buffer is None else buffer
    shapes = [one.to_crs(str(geobox.crs)).geometry.buffer(wide).to_numpy() for one in outlines]
    shapes = np.concatenate([*shapes, np.zeros(0, dtype=object)])
    moving = blocks.burnt(shapes, np.zeros(len(shapes), dtype=int), like)
    return like.copy(data=moving < 0).rename("stable").assign_attrs(units="1", long_name="stable ground")


def difference(
    first: xr.DataArray,
    second: xr.DataArray,
    outlines_first: gpd.GeoDataFrame,
    outlines_second: gpd.GeoDataFrame,
    ground: xr.DataArray | None = None,
) -> xr.Dataset:
    """What `second` is above `first` (y, x; m; attrs time), and whose ice it is at each of the two dates.

    `outlines_first` and `outlines_second` (rgi_id, geometry) are of the DEMs' dates, a glacier's parts together or in
    rows of their own. `ground`: what is stable (default `stable` off both). Lazy where the DEMs are. Variables: dh (m),
    elevation (m, mean of both, or the one there is), glacier (int32, number in rgi_id, -1: none; ground that
    several glaciers claim, at one date or at two, is the first id's), dates (uint8 sum of 1: ice at the first, 2: at
    the second, 4: at the edge of both), stable (bool); along rgi_id: area, margin (m2, m; epoch, rgi_id) of the ice
    on those pixels, on the ground, and extent (m2) of that of either date; east, north (m). attrs: first, second
    (dates), outlines_off_days (most between a DEM and its outlines), overlap_m2 (claimed twice at a date), outside_m2
    (ice beyond the DEMs' edge, left out). difference(a, b) is -difference(b, a).
    Raises ValueError for DEMs on two grids, in degrees, in feet, above two datums, or without dates; for no glacier;
    LookupError for outlines without rgi_id.
    """
    alike(first, second)
    times = [day(dem.attrs.get("time")) for dem in (first, second)]
    if pd.isna(times).any():
        raise ValueError(f"DEMs of {times[0]} and {times[1]}: a change needs two dates, set dem.attrs['time']")
    if times[0] == times[1]:
        raise ValueError(f"both DEMs are of {times[0]:%Y-%m-%d}: a change is by the day, give DEMs of two days")
    geobox, both = first.odc.geobox, (outlines_first, outlines_second)
    if any("rgi_id" not in one for one in both):
        raise LookupError("outlines lack rgi_id: add a column that names the glaciers")
    frames = [one.to_crs(str(geobox.crs))[["rgi_id", one.geometry.name]].dropna() for one in both]
    frames = [frame.set_geometry(frame.make_valid()).dissolve("rgi_id").geometry for frame in frames]
    whole, frame = max(side.area.sum() for side in frames), shapely.box(*geobox.boundingbox.bbox)
    frames = [side.intersection(frame) for side in frames]
    one, two = frames[0].align(frames[1], join="outer", fill_value=shapely.Polygon())
    there = ~(one.is_empty & two.is_empty)
    one, two = one[there], two[there]
    if not len(one):
        raise ValueError("no outline lies on the DEMs: take outlines of this region, or DEMs of theirs")
    numbers = np.arange(len(one))
    dates = [blocks.burnt(side.to_numpy(), numbers, first) for side in (one, two)]
    last = np.iinfo(np.int32).max
    glacier = np.minimum(*(np.where(side < 0, last, side) for side in dates))
    glacier = np.where(glacier == last, -1, glacier).astype("int32")
    flag = (np.where(dates[0] >= 0, 1, 0) + np.where(dates[1] >= 0, 2, 0)).astype("uint8")
    flag = flag + np.where((flag > 0) & (blocks.near(_inner, flag, 1) == 0), 4, 0).astype("uint8")
    heights = np.where(np.isfinite(first.data), first.data, second.data)
    heights = np.where(np.isfinite(second.data), (heights + second.data) / np.float32(2), heights)
    union = one.union(two)
    ground_scale, middle = crs.scale(union), union.centroid
    claimed, (one, two) = (one, two), (_owned(side, union) for side in (one, two))
    twice = max(all_.area.sum() - own.area.sum() for all_, own in zip(claimed, (one, two), strict=True))
    layers = {
        "dh": (second.data - first.data, "m", "elevation change"),
        "elevation": (heights, "m", "elevation"),
        "glacier": (glacier, "1", "number of the glacier"),
        "dates": (flag, "1", "1: first, 2: second, 4: edge"),
        "stable": ((stable(first, *both) if ground is None else ground).data, "1", "stable ground"),
    }
    pair = xr.Dataset({
        name: odc.geo.xr.wrap_xr(data, geobox).assign_attrs(units=units, long_name=text)
        for name, (data, units, text) in layers.items()
    })  # fmt: skip
    sides = {"area": lambda side: side.area / ground_scale, "margin": lambda side: side.length / np.sqrt(ground_scale)}
    for name, measure in sides.items():
        pair[name] = (("epoch", "rgi_id"), np.stack([measure(one), measure(two)]))
    pair = pair.assign_coords(rgi_id=one.index.to_numpy(dtype=object), epoch=["first", "second"])
    pair = pair.assign(east=("rgi_id", middle.x.to_numpy()), north=("rgi_id", middle.y.to_numpy()))
    pair["extent"] = ("rgi_id", one.union(two).area.to_numpy() / ground_scale)
    flown = [(corrections.naive(side.time).dt.normalize(), time) for side, time in zip(both, times, strict=True)
             if "time" in side]  # fmt: skip
    off = [(days - time).abs().max().days for days, time in flown]
    facts = {"first": f"{times[0]:%Y-%m-%d}", "second": f"{times[1]:%Y-%m-%d}", "outlines_off_days": max([0, *off])}
    beyond = max(whole - max(side.area.sum() for side in claimed), 0.0) / ground_scale.mean()
    return pair.assign_attrs(facts, overlap_m2=float(twice / ground_scale.mean()), outside_m2=float(beyond))


def change(
    pair: xr.Dataset,
    fill: str = "hypsometric",
    band: float = voids.BAND,
    correlation: variograms.Correlation | None = None,
    density: tuple[float, float] = DENSITY,
    level: float = 0.9,
) -> pd.DataFrame:
    """Elevation, volume and mass change of every glacier of `difference`, with intervals; then the region's row.

    Volume is the mean over the pixels that are ice at either date, voids filled as `voids.FILLS` names, times that
    ground; ice under water is not seen by a DEM. Elevation change and mass balance are over the mean area of both dates
    (Florentine et al. 2023, doi:10.1017/jog.2023.86). `density` in kg m-3 and its standard deviation. Intervals hold
    the truth with probability `level`: errors as `correlation` shares them (default: the variogram of stable ground),
    the error of the stable ground's mean, what the fill may be off, wholly shared within a band and in part between
    glaciers (uncertainty.SYSTEMATIC), half a pixel along the margins, and the density.

    A glacier of which nothing is measured and which no fill reaches, or which holds no pixel's middle, has no number:
    NaN, named in the notes. The region's row is of all others, its area too; of none, it is NaN over the whole area.

    Columns: rgi_id ("region" last), time, since, area_m2 (mean), area_first_m2, area_second_m2, dh_m, dh_dt_m_a,
    volume_m3, mass_balance_m_we_a, mass_gt_a, each of the last four with a lower and an upper bound in columns
    such as volume_lower_m3; void_percent (not measured, the region's of all its ice); fixed_first_percent,
    fixed_second_percent: by how much greater the mass balance would come out with one date's outlines for both.
    attrs: units, method, notes (list), ranges_m, sigma_m, stable_mean_m, citation.
    The volume from a to b is minus that from b to a; rates are the same. Raises LookupError for an unknown fill,
    ValueError for a level that is no share, bands of no height, or no stable ground without `correlation`.
    """
    if not 0 < level < 1 or not band > 0:
        raise ValueError(f"level={level}, band={band}: a level lies between 0 and 1, a band is some metres high")
    measured, pixel = pair.dh.where(pair.stable), abs(pair.odc.geobox.resolution.x)
    settled, n = (float(one) for one in dask.compute(measured.mean(), measured.count()))
    if correlation is None and not n:
        raise ValueError("no stable ground is measured: widen the stable terrain or the DEMs, or give correlation=")
    if correlation is None:
        correlation = variograms.fit(variograms.variogram(measured), pixel=pixel)
    shared = correlation.sigma / np.sqrt(variograms.effective_samples(max(n, 1) * pixel**2, correlation))
    z, years = scipy.stats.norm.ppf(0.5 + level / 2), _years(pair)
    frame, without = _sums(pair, voids.hypsometry(pair, fill, band), correlation, shared, z)
    frame["area_m2"] = (frame.area_first_m2 + frame.area_second_m2) / 2
    for name in ("first", "second"):
        area = frame[f"area_{name}_m2"]
        fixed = frame[name] / area.where(area > 0) * frame.area_m2 / frame.volume_m3.where(frame.volume_m3 != 0)
        frame[f"fixed_{name}_percent"] = 100 * (fixed - 1)
    mean = frame.volume_m3 / frame.area_m2
    mean_sd = np.hypot(frame.sd, mean * frame.area_sd) / frame.area_m2
    volume_sd = np.hypot(frame.sd, frame.edge)
    mass_sd = np.hypot(volume_sd * density[0], frame.volume_m3 * density[1])
    balance_sd = np.hypot(mean_sd * density[0], mean * density[1])
    frame["dh_m"] = mean
    quantities = {
        "dh_dt{}_m_a": (mean, mean_sd, 1 / years),
        "volume{}_m3": (frame.volume_m3, volume_sd, 1.0),
        "mass_balance{}_m_we_a": (mean * density[0], balance_sd, 1 / years / 1000),
        "mass{}_gt_a": (frame.volume_m3 * density[0], mass_sd, 1 / years / 1e12),
    }
    for name, (value, sd, unit) in quantities.items():
        for bound, side in (("", 0), ("_lower", -z), ("_upper", z)):
            frame[name.format(bound)] = value * unit + side * sd * abs(unit)
    columns = ["rgi_id", "time", "since", "area_m2", "area_first_m2", "area_second_m2", "dh_m"]
    columns += [name.format(bound) for name in quantities for bound in ("", "_lower", "_upper")]
    frame = frame[[*columns, "void_percent", "fixed_first_percent", "fixed_second_percent"]]
    frame.attrs = {
        "units": "m, m a-1, m3, m water equivalent a-1, Gt a-1",
        "method": f"voids: {fill} in bands of {band:g} m; area of both dates; {density[0]:g} +- {density[1]:g} kg m-3",
        "level": level, "ranges_m": list(correlation.ranges), "sigma_m": correlation.sigma,
        "stable_mean_m": settled, "stable_error_m": float(shared), "citation": CITATION,
        "notes": [*without, *_notes(pair, settled, float(shared), z)],
    }  # fmt: skip
    return frame


def _sums(
    pair: xr.Dataset, table: pd.DataFrame, correlation: variograms.Correlation, shared: float, z: float
) -> tuple[pd.DataFrame, list[str]]:
    """Sums of a hypsometry by glacier and for the region, with standard deviations: `sd` of the volume (m3) from errors
    of dh and voids, `edge` of it (m3) from half of each pixel at the edge, `area_sd` (m2) of the mean area; and a note
    where a glacier has no number: it is in none of the region's sums, its area neither, as a rate would come out low.
    """
    ids, pixel = pair.rgi_id.values, table.attrs["pixel_m2"]
    names = ["n", "seen", "total", "total_first", "total_second", "total_edge"]
    off = ((table.n - table.seen) * table.spread_m) ** 2  # wholly shared within a band, not between bands
    sums = table.assign(off=off, without=table.total.isna()).groupby("rgi_id")[[*names, "off", "without"]].sum()
    sums = sums.reindex(ids, fill_value=0)
    known = (sums.n > 0).to_numpy() & (sums.without == 0).to_numpy()
    sums.loc[~known, [name for name in names if name.startswith("total")]] = np.nan
    area = pair.area.values
    without = _without(pd.Series(area.mean(axis=0), ids)[~known], area.mean(axis=0).sum())
    known |= ~known.any()  # of nothing but NaN the region's row is NaN, over all of its area
    cell = pair.extent.values / np.maximum(sums.n.to_numpy(), 1)  # m2 on the ground that a pixel stands for
    extent, gap = sums.n.to_numpy() * cell * known, np.sqrt(sums.off.to_numpy()) * cell * known
    volume, one, two = (sums[f"total{part}"].to_numpy() * cell for part in ("", "_first", "_second"))
    own, together = variograms.areal_errors(extent, np.stack([pair.east, pair.north], axis=1), correlation)
    half = pair.margin.values * np.sqrt(pixel) / 2
    edge = sums.total_edge.to_numpy() * cell / 2
    whole = (together**2 + shared**2) * extent.sum() ** 2 + uncertainty.combine(gap) ** 2
    frame = pd.DataFrame({
        "rgi_id": [*ids, "region"],
        "time": pd.Timestamp(pair.second), "since": pd.Timestamp(pair.first),
        "area_first_m2": _and_sum(area[0], known), "area_second_m2": _and_sum(area[1], known),
        "volume_m3": _and_sum(volume, known), "first": _and_sum(one, known), "second": _and_sum(two, known),
        "void_percent": 100 * (1 - _and_sum(sums.seen) / np.maximum(_and_sum(sums.n), 1)),
        "sd": np.sqrt(np.r_[(own**2 + shared**2) * extent**2 + gap**2, whole]),
        "edge": np.r_[edge, uncertainty.combine(edge[known])] / z,
        "area_sd": np.r_[uncertainty.combine(half.T), uncertainty.combine(half[:, known].ravel())] / 2 / z,
    })  # fmt: skip
    return frame, without


def _without(area: pd.Series, whole: float) -> list[str]:
    """The note of glaciers without a number, by their mean area in m2; none where all have one."""
    if not len(area):
        return []
    named = ", ".join(map(str, area.index[:5])) + (f" and {len(area) - 5} more" if len(area) > 5 else "")
    rest = ": the region's area, volume and rates are of the rest"
    return [f"{area.sum() / 1e6:.3f} of {whole / 1e6:.3f} km² have no number (nothing there is measured or can be "
            f"filled: {named})" + (rest if area.sum() < whole else "")]  # fmt: skip


def _years(pair: xr.Dataset) -> float:
    return (pd.Timestamp(pair.second) - pd.Timestamp(pair.first)).days / 365.25


def _notes(pair: xr.Dataset, settled: float, shared: float, z: float) -> list[str]:
    """What a reader must know before believing the numbers."""
    first, second = pd.Timestamp(pair.first), pd.Timestamp(pair.second)
    apart = abs(first.dayofyear - second.dayofyear)
    apart = min(apart, 365 - apart)
    notes = []
    if abs(_years(pair)) < 5:
        notes.append(
            f"{abs(_years(pair)):.1f} years: the density holds for five or more, mass may be off by more than said"
        )
    if apart > 45:
        notes.append(f"the dates are {apart} days of the year apart: seasonal snow is part of the change")
    if pair.attrs.get("outlines_off_days", 0) > 366:
        notes.append(
            f"outlines are up to {pair.outlines_off_days / 365.25:.1f} years from their DEM: the area is not its"
        )
    if (twice := pair.attrs.get("overlap_m2", 0)) > abs(pair.odc.geobox.resolution.x) ** 2:
        notes.append(f"outlines lie over one another on {twice / 1e6:.3f} km²: counted once, as the first id's")
    if (beyond := pair.attrs.get("outside_m2", 0)) > abs(pair.odc.geobox.resolution.x) ** 2:
        notes.append(f"{beyond / 1e6:.3f} km² of outlines lie beyond the DEMs' edge: left out of all numbers")
    if np.isnan(settled):
        notes.append("no stable ground is measured: the DEMs may lie a constant apart that no interval holds")
    if abs(settled) > max(z * shared, 0.05):
        notes.append(f"stable ground changed by {settled:+.2f} m: coregister the DEMs first")
    return notes


def _owned(side: gpd.GeoSeries, ground: gpd.GeoSeries) -> gpd.GeoSeries:
    """The ice of a date on each glacier's `ground` (both by rgi_id), as its pixels are: of two that claim one place
    it is the first's."""
    owners = gpd.GeoDataFrame({"rgi_id": ground.index}, geometry=ground.to_numpy(), crs=ground.crs)
    cut = basins.split(gpd.GeoDataFrame(geometry=side[~side.is_empty].to_numpy(), crs=side.crs), owners)
    return cut.set_index("rgi_id").geometry.reindex(ground.index, fill_value=shapely.Polygon())


def _inner(ice: np.ndarray) -> np.ndarray:
    return ndimage.binary_erosion(ice > 0, border_value=1).astype("float32")


def _and_sum(values: np.ndarray, known: np.ndarray | slice = slice(None)) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return np.r_[values, values[known].sum()]
