"""What an inventory says of each glacier, from outline and DEM: area, elevation, slope, aspect, length, debris."""

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

from glacier_nb import crs, features

STEP = 50.0
"""Height of an elevation band in metres, as in RGI 7.0."""


def attributes(
    outlines: gpd.GeoDataFrame, elevation: xr.DataArray, debris: xr.DataArray | None = None, progress: bool = True
) -> gpd.GeoDataFrame:
    """`outlines` with the attributes of RGI 7.0 (doi:10.5067/f6jmovy5navz), recomputed; what they were is replaced.

    elevation: m, dims y, x, in a metric CRS, covering the outlines. debris: probability or share of debris cover on
    any grid. Columns: area_km2 (on the ellipsoid, by geodesics), perimeter_m, cenlon, cenlat, utm_zone, zmin_m zmax_m
    zmed_m zmean_m (pixels weigh by the share of them inside), slope_deg (mean), aspect_deg (of the mean unit vector,
    from north), aspect_sec (1 north to 8 north-west, 9 undefined), lmax_m (see `longest`), termlon, termlat (its
    lowest point), debris_share (0-1, only with `debris`), dem_seen (share of the area that the DEM holds).
    NaN where the DEM holds nothing. ValueError: degrees, or no CRS.
    """
    crs.metres(elevation.odc.geobox)
    here = outlines.to_crs(str(elevation.odc.geobox.crs))
    terrain = features.stack(xr.Dataset({"elevation": elevation}), ["slope", "sin_aspect", "cos_aspect"])
    found = zonal(elevation, here, ["min", "max", "median", "mean", "count"]).astype(float)
    slope, sine, cosine = (zonal(layer, here, ["mean"])["mean"].astype(float) for layer in terrain)
    angle = np.degrees(np.arctan2(sine, cosine)) % 360
    flat = np.hypot(sine, cosine) < 1e-3
    sector = np.where(angle.isna() | flat, 9, np.floor((angle + 22.5) % 360 / 45) + 1).astype(int)
    round_earth = outlines.to_crs("EPSG:4326")
    centre = round_earth.representative_point()
    globe = [crs.on_globe(shape) for shape in round_earth.geometry]
    lines = longest(here, elevation, progress)
    pixel = abs(elevation.odc.geobox.resolution.x * elevation.odc.geobox.resolution.y)
    ends = gpd.GeoSeries([_last(line) for line in lines], crs=here.crs).to_crs("EPSG:4326")
    out = outlines.assign(
        area_km2=[area / 1e6 for area, _ in globe],
        perimeter_m=[length for _, length in globe],
        cenlon=centre.x.to_numpy(), cenlat=centre.y.to_numpy(),
        utm_zone=((centre.x // 6 + 30) % 60 + 1).astype(int).to_numpy(),
        zmin_m=found["min"].to_numpy(), zmax_m=found["max"].to_numpy(),
        zmed_m=found["median"].to_numpy(), zmean_m=found["mean"].to_numpy(),
        slope_deg=slope.to_numpy(), aspect_deg=np.where(flat, np.nan, angle), aspect_sec=sector,
        lmax_m=lines.length.to_numpy() / np.sqrt(crs.scale(here)),
        termlon=ends.x.to_numpy(), termlat=ends.y.to_numpy(),
        dem_seen=(found["count"].to_numpy() * pixel / here.area.to_numpy()).clip(0, 1),
    )  # fmt: skip
    if debris is not None:
        crs.metres(debris.odc.geobox)
        out["debris_share"] = zonal(debris, outlines.to_crs(str(debris.odc.geobox.crs)), ["mean"])["mean"].to_numpy()
    return out


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
    edge and uphill (the idea of Kienholz et al. 2014, doi:10.5194/tc-8-503-2014); the longest of these paths.
    """
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
    inside &= np.isfinite(z)
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


def zonal(layer: xr.DataArray, shapes: gpd.GeoDataFrame, ask: list[str]) -> pd.DataFrame:
    """Statistics of a layer inside shapes, each pixel weighed by the share of it inside; one column each."""
    left, bottom, right, top = layer.odc.geobox.boundingbox.bbox
    values = np.asarray(layer.transpose("y", "x").compute().data, "float64")
    source = NumPyRasterSource(values, left, bottom, right, top, nodata=np.nan, srs_wkt=shapes.crs.to_wkt())
    frame = shapes[["geometry"]].reset_index(drop=True)
    return exactextract.exact_extract(source, frame, ask, output="pandas")


def _last(line: shapely.LineString | None) -> shapely.Point | None:
    """The down-glacier end of a line."""
    return None if line is None else shapely.Point(line.coords[-1])
