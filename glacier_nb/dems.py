"""Elevation models: read on one grid, held to the same units and datum, laid on one another.

Without a source, plain or ours: `read`, `at`, `alike`, `day`.
"""

import dataclasses
import os
import warnings
from collections.abc import Sequence

import dask
import numpy as np
import odc.geo.xr
import pandas as pd
import pyproj
import rasterio.crs
import rioxarray
import scipy.optimize
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import blocks, columns, crs

FINEST = 4096
"""Longest side, in pixels, of the elevation models that a shift is fitted on; of larger ones their block means."""

VOID = (-9999.0, -32768.0, -32767.0, 32767.0)
"""Heights that stand for none where a file does not say so."""

METRES = ("m", "metre", "meter", "metres", "meters")


@dataclasses.dataclass(frozen=True)
class Shift:
    """What was added to a DEM's coordinates to lay it on its reference, in m, and how the two differ on stable ground:
    median and NMAD of dem - reference in m before and after, over `n` pixels."""

    x: float
    y: float
    z: float
    median_before: float
    nmad_before: float
    median_after: float
    nmad_after: float
    n: int


def read(path: str | os.PathLike, time: str, geobox: GeoBox | None = None, vertical: str = "") -> xr.DataArray:
    """A DEM in any file that GDAL reads, in m (y, x; float32), of the date `time` (ISO); bilinear on `geobox` if given.

    `vertical`: what heights are counted from ("EGM2008", "ellipsoid"; default: what the file's CRS says): dates that
    differ in it are refused. Raises ValueError for a file without a CRS, in other units than m, or with heights such as
    -9999 that no ground has, and for a time that is no date.
    """
    with rioxarray.open_rasterio(path, masked=True) as source:
        if source.rio.crs is None:
            raise ValueError(f"{os.path.basename(path)} has no CRS: set it with gdal_edit.py -a_srs")
        dem = source.isel(band=0, drop=True).astype("float32").load()
    whole = pyproj.CRS(source.rio.crs.to_wkt())
    heights = [part.axis_info[0] for part in whole.sub_crs_list if part.is_vertical]
    unit = heights[0].unit_name if heights else dem.attrs.get("units") or "m"
    datums = [part.name.removesuffix(" height") for part in whole.sub_crs_list if part.is_vertical]
    vertical = vertical or next(iter(datums), "ellipsoid" if len(whole.axis_info) == 3 and not datums else "")
    least, most = float(dem.min()), float(dem.max())
    if least in VOID or most in VOID or least < -12_000 or most > 12_000:
        odd = least if least in VOID or least < -12_000 else most
        raise ValueError(
            f"{os.path.basename(path)} has heights of {odd:g} m: declare it, gdal_edit.py -a_nodata {odd:g}"
        )
    moved = (dem if geobox is None else dem.odc.reproject(geobox, resampling="bilinear")).rename("elevation")
    moved.attrs = {"units": "m" if unit in METRES else unit, "long_name": "elevation", "time": f"{day(time):%Y-%m-%d}"}
    moved.attrs |= {"vertical": vertical} if vertical else {}
    _metres(moved, os.path.basename(path))
    return moved


def coregister(
    dem: xr.DataArray, reference: xr.DataArray, stable: xr.DataArray | None = None, iterations: int = 20, seed: int = 0
) -> tuple[xr.DataArray, Shift]:
    """`dem` (y, x; m) moved onto `reference`, and by how much: Nuth and Kääb's method with a vertical shift.

    One shift for all of it, fitted on `stable` ground (bool; default: all, which rests on glaciers being the lesser
    part) by xdem from at most 500 000 pixels. Over a region move each strip or flight of its own. Applied bilinearly,
    block by block where `dem` is lazy; a pixel next to a void becomes one. Nuth and Kääb 2011,
    doi:10.5194/tc-5-271-2011. Raises ValueError as `alike`, and where under 1000 stable pixels have both.
    """
    alike(dem, reference)
    ground = xr.ones_like(reference, dtype=bool) if stable is None else stable
    step = -(-max(dem.sizes.values()) // FINEST)
    small, base, mask = (
        layer if step == 1 else layer.astype(float).coarsen(y=step, x=step, boundary="trim").mean()
        for layer in (dem, reference, ground)
    )
    small, base, mask = dask.compute(small, base, mask == 1)
    inside = mask.values & np.isfinite(small.values) & np.isfinite(base.values)
    if inside.sum() < 1000:
        raise ValueError(f"{inside.sum()} stable pixels with both DEMs, a shift needs 1000: widen `stable`")
    x, y, z = _fit(small, base, inside, iterations, seed)
    resolution = dem.odc.geobox.resolution
    moved = dem.copy(data=_moved(dem.data, y / resolution.y, x / resolution.x, z))
    told = []
    for layer in (dem, moved):
        off = (layer - reference).where(ground)
        off = off.data.ravel() if step == 1 else off.data[::step, ::step].ravel()
        off = np.asarray(off)[np.isfinite(off)]
        told += [float(np.median(off)), 1.4826 * float(np.median(np.abs(off - np.median(off))))]
    shift = Shift(x, y, z, *told, int(inside.sum()))
    return moved.assign_attrs(shift=dataclasses.asdict(shift)), shift


def at(series: Sequence[xr.DataArray], time: str) -> xr.DataArray:
    """Elevation (y, x; m) on the date `time` (ISO), linear in time between a pixel's nearest DEMs before and after.

    series: two or more of one grid, unit and datum (y, x; m; attrs time), in any order, laid on one another first
    (`coregister`). What `difference` then compares is of common dates: of neighbours flown in other years, or of
    published balances. A void of one DEM is bridged by the next; before the first and after the last nothing is
    guessed: NaN. Lazy where the DEMs are. attrs: as the first's, with time and dates (those of the series).
    Raises ValueError for fewer than two dates, for a date outside of them, and as `alike`.

    >>> grid = GeoBox((2, 2), rasterio.Affine(30, 0, 0, 0, -30, 0), "EPSG:32632")
    >>> two = [odc.geo.xr.xr_zeros(grid) + height for height in (100.0, 90.0)]
    >>> for dem, year in zip(two, ("2010", "2020")):
    ...     dem.attrs = {"time": f"{year}-09-01", "units": "m"}
    >>> at(two, "2015-09-01").values.round(2).tolist()
    [[95.0, 95.0], [95.0, 95.0]]
    """
    for dem in series[1:]:
        alike(series[0], dem)
    ordered = sorted(series, key=lambda dem: day(dem.attrs["time"]))
    days, asked = [day(dem.attrs["time"]) for dem in ordered], day(time)
    if len(set(days)) < max(2, len(days)):
        raise ValueError(f"DEMs of {', '.join(f'{one:%Y-%m-%d}' for one in days)}: give two or more of different dates")
    if not days[0] <= asked <= days[-1]:
        raise ValueError(
            f"{asked:%Y-%m-%d} is not between the first DEM ({days[0]:%Y-%m-%d}) and the last ({days[-1]:%Y-%m-%d}): "
            "elevation is not guessed beyond them, take a date between"
        )
    stack = xr.concat([dem.reset_coords(drop=True) for dem in ordered], pd.DatetimeIndex(days, name="time"))
    stack = stack.reindex(time=sorted({*days, asked}))
    stack = stack.chunk(time=-1) if stack.chunks else stack
    found = stack.interpolate_na("time").sel(time=asked, drop=True).astype("float32")
    attrs = series[0].attrs | {"time": f"{asked:%Y-%m-%d}", "dates": [f"{one:%Y-%m-%d}" for one in days]}
    return odc.geo.xr.wrap_xr(found.data, series[0].odc.geobox).rename("elevation").assign_attrs(attrs)


def day(time: str | pd.Timestamp | None) -> pd.Timestamp:
    """The day of a date or moment, in UTC and without a zone: what dates of DEMs and outlines are met by; NaT of none.

    ValueError: text that is no date.

    >>> day("2005-08-20T23:30-05:00")
    Timestamp('2005-08-21 00:00:00')
    """
    (moment,) = columns.dates(pd.Series([time], dtype=object))
    if pd.isna(moment) and not (time is None or time is pd.NaT or str(time) in ("", "NaT")):
        raise ValueError(f"{time!r} is no date: write it as 2005-08-20")
    return moment if pd.isna(moment) else moment.normalize()


def alike(first: xr.DataArray, second: xr.DataArray) -> None:
    """Refuse DEMs (`first`, `second`) that cannot be compared: ValueError for another grid, degrees, units or datum."""
    for dem in (first, second):
        if dem.odc.geobox is not None:
            crs.metres(dem.odc.geobox)
        if dem.dims != ("y", "x") or dem.odc.geobox is None:
            raise ValueError(f"a DEM with dims {dem.dims}: give one layer (y, x) with a CRS, as elevation.read gives")
        _metres(dem, dem.attrs.get("time", "a DEM"))
    a, b = first.odc.geobox, second.odc.geobox
    if a != b:
        sizes = " and ".join(
            f"{pyproj.CRS(g.crs.to_wkt()).name} {g.shape[0]} x {g.shape[1]} at {abs(g.resolution.x):g} m"
            for g in (a, b)
        )
        raise ValueError(f"DEMs on two grids, {sizes}: put both on one GeoBox, as elevation.read(path, time, geobox)")
    datums = [dem.attrs.get("vertical") for dem in (first, second)]
    if all(datums) and datums[0] != datums[1]:
        raise ValueError(f"heights above {datums[0]} and above {datums[1]}: convert one, as xdem.DEM.to_vcrs does")


def _metres(dem: xr.DataArray, name: str) -> None:
    unit = dem.attrs.get("units", "m")
    if unit not in METRES:
        raise ValueError(f"{name}: heights in {unit}, not m; convert them and set dem.attrs['units'] = 'm'")


def _fit(dem: xr.DataArray, base: xr.DataArray, inside: np.ndarray, iterations: int, seed: int) -> tuple:
    """x, y, z in m to be added to `dem`."""
    import xdem  # here, as it takes three seconds to import

    geobox = dem.odc.geobox
    method = xdem.coreg.NuthKaab(max_iterations=iterations)
    place = {"transform": geobox.affine, "crs": rasterio.crs.CRS.from_wkt(geobox.crs.to_wkt())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.optimize.OptimizeWarning)  # of a covariance that nobody asks for
        warnings.filterwarnings("error", "All-NaN")
        try:
            method.fit(base.values, dem.values, inlier_mask=inside, random_state=seed, **place)
        except (RuntimeWarning, RuntimeError, ValueError):
            raise ValueError(
                "no shift found: the ground is too even, slopes to one side only, or the DEMs lie pixels apart;"
                " widen `stable` or move one by hand"
            ) from None
    found = method.meta["outputs"]["affine"]
    return tuple(float(found[f"shift_{axis}"]) for axis in "xyz")


def _moved(image, rows: float, columns: float, up: float):
    """The image moved by fractions of pixels and raised, NaN where nothing came to lie."""
    depth = int(np.ceil(max(abs(rows), abs(columns)))) + 1
    return blocks.near(_shifted, image, depth, by=(rows, columns), up=up)


def _shifted(image: np.ndarray, by: tuple[float, float], up: float) -> np.ndarray:
    return (ndimage.shift(image.astype(float), by, order=1, cval=np.nan) + up).astype("float32")
