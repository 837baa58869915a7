"""What an inventory says of each glacier, from outline and DEM: area, elevation, slope, aspect, length, debris.

Without a source, plain or ours: `beside`, `hypsometry`, `thinned`, `zonal`.
"""

from collections.abc import Sequence

import exactextract
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from exactextract.raster import NumPyRasterSource
from rasterio.features import rasterize
from scipy import ndimage
from skimage.graph import MCP_Geometric
from tqdm import tqdm

from glacier_nb import corrections, crs, features

STEP = 50.0
"""Height of an elevation band in metres, as in RGI 7.0."""

MANY = 200
"""Outlines from which on their plain statistics are worth machine code."""

BESIDE = ("area_km2", "perimeter_m", "zmin_m", "zmed_m", "zmean_m", "zmax_m", "slope_deg", "aspect_deg", "lmax_m")
"""Attributes that two inventories are compared in."""


def attributes(
    outlines: gpd.GeoDataFrame,
    elevation: xr.DataArray,
    debris: xr.DataArray | Sequence[xr.DataArray] | None = None,
    progress: bool = True,
    dem_source: str = "",
) -> gpd.GeoDataFrame:
    """`outlines` with the attributes of RGI 7.0 (doi:10.5067/f6jmovy5navz), recomputed; what they were is replaced.

    elevation: m, dims y, x, in a metric CRS, covering the outlines. debris: probability or share of debris cover on
    any grid, or a map (zone, y, x), of which the zone "debris cover" is taken if it has one; or several with attrs
    time, of which that of an outline's own day counts (NaN where there is none). dem_source: the DEM's name (default:
    attrs["sensor"] of `elevation`). Columns, one value an outline: those of `measures`; zmin_m zmax_m zmed_m zmean_m
    (pixels weigh by the share of them inside), slope_deg (mean), aspect_deg (of the mean unit vector,
    from north), aspect_sec (1 north to 8 north-west, 9 undefined), lmax_m (see `longest`), termlon, termlat (its
    lowest point), debris_share (0-1, only with `debris`), dem_source, dem_date (attrs["time"] of `elevation`), dem_seen
    (share of the area that the DEM holds). NaN where the DEM holds nothing. ValueError: degrees, or no CRS.
    """
    crs.metres(elevation.odc.geobox)
    here = outlines.to_crs(str(elevation.odc.geobox.crs))
    terrain = features.stack(xr.Dataset({"elevation": elevation}), ["slope", "sin_aspect", "cos_aspect"])
    found = zonal(elevation, here, ["min", "max", "median", "mean", "count"]).astype(float)
    slope, sine, cosine = (zonal(layer, here, ["mean"])["mean"].astype(float) for layer in terrain)
    angle = np.degrees(np.arctan2(sine, cosine)) % 360
    flat = np.hypot(sine, cosine) < 1e-3
    sector = np.where(angle.isna() | flat, 9, np.floor((angle + 22.5) % 360 / 45) + 1).astype(int)
    lines = longest(here, elevation, progress)
    pixel = abs(elevation.odc.geobox.resolution.x * elevation.odc.geobox.resolution.y)
    ends = gpd.GeoSeries([_last(line) for line in lines], crs=here.crs).to_crs("EPSG:4326")
    out = measures(outlines).assign(
        zmin_m=found["min"].to_numpy(), zmax_m=found["max"].to_numpy(),
        zmed_m=found["median"].to_numpy(), zmean_m=found["mean"].to_numpy(),
        slope_deg=slope.to_numpy(), aspect_deg=np.where(flat, np.nan, angle), aspect_sec=sector,
        lmax_m=lines.length.to_numpy() / np.sqrt(crs.scale(here)),
        termlon=ends.x.to_numpy(), termlat=ends.y.to_numpy(),
        dem_source=dem_source or str(elevation.attrs.get("sensor", "")),
        dem_date=str(elevation.attrs.get("time", ""))[:10],
        dem_seen=(found["count"].to_numpy() * pixel / here.area.to_numpy()).clip(0, 1),
    )  # fmt: skip
    if isinstance(debris, xr.DataArray):
        return _with_debris(out, debris, np.full(len(out), True))
    for one in debris or ():
        (day,) = corrections.days(pd.Series([one.attrs["time"]]))
        out = _with_debris(out, one, (corrections.days(out["time"]) == day).to_numpy())
    return out


def _with_debris(outlines: gpd.GeoDataFrame, debris: xr.DataArray, rows: np.ndarray) -> gpd.GeoDataFrame:
    """`outlines` with debris_share of some `rows` from a map or layer; as they are where it tells no debris."""
    if "zone" in debris.dims:
        if "debris cover" not in debris.zone:
            return outlines
        debris = debris.sel(zone="debris cover", drop=True)
    crs.metres(debris.odc.geobox)
    share = outlines.get("debris_share", pd.Series(np.nan, outlines.index)).to_numpy(dtype=float, copy=True)
    share[rows] = zonal(debris, outlines[rows].to_crs(str(debris.odc.geobox.crs)), ["mean"])["mean"]
    return outlines.assign(debris_share=share)


def measures(outlines: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """`outlines` with what needs no DEM: area_km2, perimeter_m, cenlon, cenlat, utm_zone (1-60), src_date.

    Area and perimeter are by geodesics on WGS 84 (Karney 2013), cenlon and cenlat degrees of a point inside; src_date
    is RGI's text of the column time ("" unknown), where the outlines have one. What they were is replaced.

    >>> square = gpd.GeoDataFrame({"time": pd.to_datetime(["2003-07-30"])}, geometry=[shapely.box(0, 0, 1, 1)])
    >>> square = square.set_crs(4326)
    >>> one = measures(square).iloc[0]
    >>> round(one.area_km2), round(one.perimeter_m / 1e3), int(one.utm_zone), one.src_date
    (12309, 444, 31, '2003-07-30T00:00:00')
    """
    round_earth = outlines.to_crs("EPSG:4326")
    centre = outlines.representative_point().to_crs("EPSG:4326")  # of the own CRS, which may cross the date line
    globe = [crs.on_globe(shape) for shape in round_earth.geometry]
    out = outlines.assign(
        area_km2=[area / 1e6 for area, _ in globe], perimeter_m=[length for _, length in globe],
        cenlon=centre.x.to_numpy(), cenlat=centre.y.to_numpy(),
        utm_zone=((centre.x // 6 + 30) % 60 + 1).fillna(0).astype(int).to_numpy(),
    )  # fmt: skip
    if "time" in outlines:
        out["src_date"] = iso(outlines["time"])
    return out


def iso(times: pd.Series) -> pd.Series:
    """Times as RGI 7.0 writes them in src_date; "" where unknown.

    >>> iso(pd.Series(["2003-07-30", None])).tolist()
    ['2003-07-30T00:00:00', '']
    """
    return pd.to_datetime(times).dt.strftime("%Y-%m-%dT%H:%M:%S").astype(object).fillna("")


def beside(found: pd.DataFrame, inventory: pd.DataFrame) -> pd.DataFrame:
    """Attributes of the same glaciers, ours and an inventory's: a row for each rgi_id and attribute that both have.

    Columns rgi_id, attribute, ours, theirs, difference (ours less theirs; of aspect within 180 degrees), and dem_ours,
    dem_theirs: the DEM each came from ("" for what needs none). Area and perimeter of one outline must agree; heights
    of two DEMs differ by what melted between them.
    """
    theirs = inventory.rename(columns={name: f"{name}_theirs" for name in inventory if name != "rgi_id"})
    pair, rows = pd.DataFrame(found).merge(pd.DataFrame(theirs), on="rgi_id"), []
    for name in BESIDE:
        if {name, f"{name}_theirs"} <= set(pair):
            two = pair[name].astype(float), pd.to_numeric(pair[f"{name}_theirs"])
            away = two[0] - two[1] if name != "aspect_deg" else (two[0] - two[1] + 180) % 360 - 180
            part = pd.DataFrame({"rgi_id": pair.rgi_id, "attribute": name, "ours": two[0], "theirs": two[1]})
            dems = ("dem_source", "dem_source_theirs") if name not in ("area_km2", "perimeter_m") else ("", "")
            rows.append(part.assign(difference=away, dem_ours=pair.get(dems[0], ""), dem_theirs=pair.get(dems[1], "")))
    columns = ["rgi_id", "attribute", "ours", "theirs", "difference", "dem_ours", "dem_theirs"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def hypsometry(outlines: gpd.GeoDataFrame, elevation: xr.DataArray, step: float = STEP) -> pd.DataFrame:
    """Area (m2 on the map) of each glacier by elevation band: one row an outline, columns the middles of bands (m).

    A pixel weighs by the share of it inside the outline, so that rows sum to the area that the DEM holds.
    """
    crs.metres(elevation.odc.geobox)
    here = outlines.to_crs(str(elevation.odc.geobox.crs))
    found = zonal(np.floor(elevation / step), here, ["unique", "frac", "count"])
    pixel = abs(elevation.odc.geobox.resolution.x * elevation.odc.geobox.resolution.y)
    rows = [
        {(number + 0.5) * step: share * count * pixel for number, share in zip(bands, shares, strict=True)}
        for bands, shares, count in zip(found["unique"], found["frac"], found["count"], strict=True)
    ]
    table = pd.DataFrame(rows, index=outlines.get("rgi_id", outlines.index)).fillna(0.0)
    return table.reindex(columns=sorted(table.columns))


def longest(outlines: gpd.GeoDataFrame, elevation: xr.DataArray, progress: bool = True) -> gpd.GeoSeries:
    """The longest line along the ice of each glacier, up-glacier end first, on the map of `elevation`; None if unseen.

    From each high point of the outline to the lowest point inside, the cheapest path whose cost rises towards the
    edge and uphill (the idea of Kienholz et al. 2014, doi:10.5194/tc-8-503-2014); the longest of these paths. Of an
    outline in parts, or in parts on the pixels of `elevation`, in the largest.
    """
    elevation = _north_up(elevation)
    here = outlines.to_crs(str(elevation.odc.geobox.crs))
    shapes = tqdm(here.geometry, "centrelines", delay=2, leave=False, disable=not progress)
    return gpd.GeoSeries([_centreline(shape, elevation) for shape in shapes], index=here.index, crs=here.crs)


def _centreline(shape: shapely.Geometry | None, elevation: xr.DataArray) -> shapely.LineString | None:
    """The longest of the cheapest paths from the heads of one glacier to its lowest point."""
    if shape is None or shape.is_empty:
        return None
    body = max(shapely.get_parts(shape), key=lambda part: part.area)
    west, south, east, north = body.bounds
    size = abs(float(elevation.odc.geobox.resolution.x))
    near = elevation.sel(x=slice(west - 2 * size, east + 2 * size), y=slice(north + 2 * size, south - 2 * size))
    if 0 in near.shape:
        return None
    inside = rasterize([body], near.shape, transform=near.odc.geobox.transform).astype(bool)
    z = np.where(inside, near.to_numpy(), np.nan)
    bodies = ndimage.label(inside & np.isfinite(z), np.ones((3, 3)))[0]  # a neck under a pixel cuts the path
    inside = bodies == np.bincount(bodies.ravel(), minlength=2)[1:].argmax() + 1
    z[~inside] = np.nan
    if inside.sum() < 2:
        return None
    foot = np.unravel_index(np.nanargmin(np.where(inside, z, np.nan)), z.shape)
    deep = ndimage.distance_transform_edt(inside)
    high = (np.where(inside, z, -np.inf) - np.nanmin(z)) / max(np.ptp(z[inside]), 1e-6)
    cost = np.where(inside, 1 + 20 * (1 - deep / deep.max()) ** 3 + 2 * np.clip(1 - high, 0, 1), -1)
    paths = MCP_Geometric(cost)
    paths.find_costs([foot])
    rim = inside & (deep <= 1.5)
    window = max(3, round(500 / size) | 1)
    top = ndimage.maximum_filter(np.where(rim, z, -np.inf), window)
    heads = np.argwhere(rim & (z >= top) & (z > np.nanmean(z)))
    heads = heads if len(heads) else [np.unravel_index(np.nanargmax(np.where(inside, z, np.nan)), z.shape)]
    best = None
    for head in heads:
        rows, columns = np.array(paths.traceback(tuple(head))[::-1]).T
        x, y = near.odc.geobox.transform * (columns + 0.5, rows + 0.5)
        line = shapely.LineString(np.c_[x, y]) if len(x) > 1 else None
        if line is not None and (best is None or line.length > best.length):
            best = line.simplify(size / 2)
    return best


def thinned(table: pd.DataFrame, outlines: gpd.GeoDataFrame, rate: xr.DataArray) -> pd.DataFrame:
    """`table` (rgi_id) with dh_dt_m_a: each glacier's mean elevation change, in the region's rows that of all of them.

    `rate` (y, x; m a-1, as `load.elevation_rate`) over all ground that `outlines` (rgi_id, geometry) hold at any date,
    a pixel by the share of it inside; NaN where it holds nothing. ValueError: degrees, or no CRS.
    """
    crs.metres(rate.odc.geobox)
    ground = outlines[["rgi_id", "geometry"]].to_crs(str(rate.odc.geobox.crs)).dissolve("rgi_id")
    found = zonal(rate, ground.reset_index(), ["mean", "count"]).astype(float).set_index(ground.index)
    mean, known = found["mean"].copy(), found[found["mean"].notna()]
    mean["region"] = np.average(known["mean"], weights=known["count"]) if len(known) else np.nan
    return table.assign(dh_dt_m_a=table["rgi_id"].map(mean))


def zonal(layer: xr.DataArray, shapes: gpd.GeoDataFrame, ask: list[str]) -> pd.DataFrame:
    """Statistics of a layer inside shapes, each pixel weighed by the share of it inside; one column each."""
    layer = _north_up(layer)
    left, bottom, right, top = layer.odc.geobox.boundingbox.bbox
    values = layer.transpose("y", "x").compute().values
    if len(shapes) >= MANY and set(ask) <= {"mean", "min", "max", "count", "sum"}:
        from glacier_nb import coverages  # numba takes a second to import

        size = ((right - left) / values.shape[1], (top - bottom) / values.shape[0])
        found = coverages.within(values, (left, top), size, shapes.geometry.to_numpy())
        return pd.DataFrame(found)[ask]
    values = values.astype("float64")
    source = NumPyRasterSource(values, left, bottom, right, top, nodata=np.nan, srs_wkt=shapes.crs.to_wkt())
    frame = shapes[["geometry"]].reset_index(drop=True)
    return exactextract.exact_extract(source, frame, ask, output="pandas")


def _north_up(layer: xr.DataArray) -> xr.DataArray:
    """A layer with its first row in the north, as masks and statistics of shapes take it."""
    return layer.isel(y=slice(None, None, -1)) if layer.odc.geobox.resolution.y > 0 else layer


def _last(line: shapely.LineString | None) -> shapely.Point | None:
    """The down-glacier end of a line."""
    return None if line is None else shapely.Point(line.coords[-1])
