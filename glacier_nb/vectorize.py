"""Zones to outlines and calving fronts, and back.

Outlines and fronts are sub-pixel: marching squares over probabilities (Lorensen and Cline 1987,
doi:10.1145/37402.37422). A map of zeros and ones has nothing below the pixel, so its outlines follow pixel edges and
keep their area exactly.

Without a source, plain or ours: `glacier_probability`, `filled`, `to_map`, `seen`, `lines`, `rasterize`.
"""

from collections.abc import Sequence

import contourpy
import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import rasterio.features
import shapely
import xarray as xr
from exactextract import exact_extract, raster
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import basins, rims
from glacier_nb.basins import gather as gather  # callers know both by this module's name
from glacier_nb.basins import split as split
from glacier_nb.crs import metres, scale

ZONES = ("rock", "glacier", "debris cover", "ocean", "melange", "lake", "rock glacier")
"""Every zone a map may have, in this order. "rock" is all that is none of the others."""

ICE = ("glacier", "debris cover")  # what makes up a glacier's area
WATER = ("ocean", "melange")  # where a calving front ends it


def glacier_probability(zones: xr.DataArray, names: Sequence[str] = ICE) -> xr.DataArray:
    """Probability (y, x) of glacier: the sum of those `names` that the map has; LookupError when it has none."""
    present = [name for name in zones.zone.values if name in names]
    if not present:
        raise LookupError(f"none of {list(names)} among the map's zones {[str(z) for z in zones.zone.values]}")
    return zones.sel(zone=present).sum("zone", skipna=False).clip(max=1).rename("probability")


def filled(layer: xr.DataArray) -> np.ndarray:
    """A layer (y, x) as float64, each NaN replaced by the nearest number: a contour runs on into it, to be clipped.

    ValueError where all are NaN.
    """
    values = layer.values.astype(float)
    hidden = np.isnan(values)
    if hidden.all():
        raise ValueError("nothing was seen: every pixel of the map is NaN; choose other dates or a higher max_cloud")
    if hidden.any():
        nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
    return values


def to_map(points: np.ndarray, affine) -> np.ndarray:
    """Points (n, 2) in pixels (x, y from the grid's corner) to map coordinates."""
    return points @ np.array([[affine.a, affine.d], [affine.b, affine.e]]) + (affine.c, affine.f)


def seen(zones: xr.DataArray) -> gpd.GeoDataFrame:
    """What was seen, along pixel edges: one row a date, columns time and geometry.

    `zones` (zone, y, x) or any layer (y, x), unseen where NaN or, in a boolean layer, False; date: attrs["time"].
    """
    mask, geobox = zones if zones.dtype == bool else zones.notnull(), zones.odc.geobox
    mask = (mask.all("zone") if "zone" in mask.dims else mask).values
    view = shapely.MultiPolygon(list(_edges(mask, geobox)))
    return gpd.GeoDataFrame({"time": [_date(zones)]}, geometry=[view], crs=str(geobox.crs))


def outlines(
    zones: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    min_area: float = basins.LEAST,
    threshold: float = 0.5,
    names: Sequence[str] = ICE,
    smooth: int = 0,
) -> gpd.GeoDataFrame:
    """Glacier outlines where the glacier probability passes `threshold`, one row per glacier (Lorensen and Cline 1987).

    `zones` (zone, y, x) with attrs time, system and sensor; `names` of them make up a glacier ("rock glacier" is
    traced like one); `divides` (rgi_id, geometry) cut the ice and name it, parts that came loose stay with their basin
    (`basins.parts` gives each a row). Without divides every body of ice is a row, named by its place as GLIMS does:
    ids that do not carry over to another date. Bodies smaller than `min_area` (m2) are left out; holes stay. Columns:
    rgi_id, time, system, sensor, pixel_m, geometry (ends where nothing was seen), area_m2, margin_m (ice margin: no
    divide, no cloud's or map's edge), parent_rgi_id (the inventory's glacier, "" if there is none); attrs: threshold,
    unseen_m2 (of the map), outside_m2 (ice in no basin), overlap_m2 (ice in two, given to the first), smooth,
    smoothed_m2 (what smoothing added to all ice).

    `smooth`: how many times corners are cut (`rims.rounded`, 1 to 3), before divides cut the ice, so that neighbours
    still share them; the margin moves by a quarter of a pixel at most. By default it is as mapped.
    Raises ValueError for degrees, Web Mercator or negative `smooth`, LookupError when no zone is among `names`.
    """
    metres(geobox := zones.odc.geobox)
    zones = zones.compute()  # a lazy map is made once
    pixel, view = float(abs(geobox.resolution.x)), seen(zones).geometry.iloc[0]
    traced = basins.valid(_trace(filled(glacier_probability(zones, names)), threshold, geobox))
    shapes = rims.rounded(traced, smooth, pixel)
    smoothed = float(shapely.area(shapes).sum() - shapely.area(traced).sum())
    shapes = shapes[shapely.area(shapes) >= min_area]
    unseen = max(shapely.box(*geobox.boundingbox.bbox).area - view.area, 0.0)
    if unseen > 0:
        shapes = basins.valid(shapely.intersection(shapes, view))
    inside = shapely.buffer(view, -pixel / 1000, join_style="mitre")  # the view's own edge is no margin
    margins = shapely.intersection(shapely.boundary(shapes), inside)
    facts = {
        "time": _date(zones),
        **{name: zones.attrs.get(name, "") for name in ("system", "sensor")},
        "pixel_m": pixel,
    }
    frame = gpd.GeoDataFrame(facts, index=range(len(shapes)), geometry=shapes, crs=str(geobox.crs))
    if divides is None:
        ground = scale(frame)
        frame = frame.assign(area_m2=frame.area / ground, margin_m=shapely.length(margins) / np.sqrt(ground))
        frame.insert(0, "rgi_id", basins.named(frame))
        frame["parent_rgi_id"] = ""
    else:
        frame = basins.split(frame, divides, margins)
    outside = {name: frame.attrs.get(name, 0.0) for name in ("outside_m2", "overlap_m2")}
    frame = frame[frame.area_m2 >= min_area].reset_index(drop=True)
    frame.attrs = {"threshold": float(threshold), "unseen_m2": unseen, **outside}
    frame.attrs |= {"smooth": smooth, "smoothed_m2": smoothed}
    return frame


def fronts(
    zones: xr.DataArray,
    land: gpd.GeoDataFrame | xr.DataArray | None = None,
    divides: gpd.GeoDataFrame | None = None,
    min_area: float = 10_000.0,
    water: Sequence[str] = WATER,
) -> gpd.GeoDataFrame:
    """Calving fronts: where ice is as likely as water and nothing else is likelier, one row per glacier.

    The contour P(ice) = P(ocean) + P(melange), which ice in the melange does not move, ended where rock (all that
    is left to one, so a zone may be missing) becomes as likely. `land` (polygons, or a boolean layer) cuts away
    what stands on rock; `divides` name the glaciers and must reach past the front; without them each body of ice
    is a row. No front: closed loops in water (icebergs, pools), pieces under three pixels, ice under `min_area`
    (m2). Traced as Lorensen and Cline 1987; the rule is ours. Columns: rgi_id, time, system, sensor, geometry
    ((Multi)LineString; unseen is a gap), pixel_m, melange_share (of the front, 0-1). Raises ValueError as `outlines`,
    LookupError when there is no ice or water.
    """
    metres(geobox := zones.odc.geobox)
    zones = zones.compute()  # a lazy map is made once
    pixel = float(abs(geobox.resolution.x))
    ice, sea = filled(glacier_probability(zones)), filled(glacier_probability(zones, water))
    if land is not None:
        dry = rasterize(land, geobox) if isinstance(land, gpd.GeoDataFrame) else land
        ice, sea = ice * (1.0 - dry.values), sea * (1.0 - dry.values)
    side = sea - np.clip(1 - ice - sea, 0, None)  # positive where water is likelier than all that is not ice
    lead = ice - sea + np.minimum(side, 0)
    lead[lead == 0] = np.finfo(np.float32).eps  # a contour through a pixel's very centre would have no side
    bodies = ndimage.label(lead > 0)[0]
    small = (np.bincount(bodies.ravel()) * pixel**2 < min_area)[bodies] & (bodies > 0)
    lead[small] *= -1
    contours = contourpy.contour_generator(z=lead).lines(0.0)
    runs = [(n, run) for n, line in enumerate(contours) for run in _runs(line, _sample(side, line))]
    shapes = np.array([shapely.LineString(to_map(run + 0.5, geobox.affine)) for _, run in runs], dtype=object)
    frame = lines(shapes, zones, divides, np.array([n for n, _ in runs], dtype=int))
    mixed = filled(zones.sel(zone="melange")) - sea / 2 if "melange" in zones.zone else -sea
    at = [to_map(shapely.get_coordinates(line), ~geobox.affine) - 0.5 for line in frame.geometry]
    return frame.assign(melange_share=[float(np.mean(_sample(mixed, xy) > 0)) for xy in at])


def lines(
    shapes: np.ndarray,
    layer: xr.DataArray,
    divides: gpd.GeoDataFrame | None = None,
    owner: np.ndarray | None = None,
    names: np.ndarray | None = None,
) -> gpd.GeoDataFrame:
    """Lines traced on `layer` (zones, or any layer y, x) as a frame of fronts: one row per glacier.

    `shapes` are LineStrings in the layer's CRS; they end where nothing was seen, and pieces under three pixels are
    left out. `divides` (rgi_id, geometry) cut and name them; without, lines of one `owner` (0, 1, ...; default: all)
    are a row, its id by `names` or by its place. Columns: rgi_id, time, system, sensor (the layer's attrs), geometry,
    pixel_m.
    """
    geobox, shapes = layer.odc.geobox, np.asarray(shapes, dtype=object)
    pixel, crs = float(abs(geobox.resolution.x)), str(geobox.crs)
    owner = np.zeros(len(shapes), dtype=int) if owner is None else owner
    long = shapely.length(shapes) >= 3 * pixel
    shapes, owner = shapes[long], owner[long]
    if layer.isnull().any():
        shapes = shapely.intersection(shapes, seen(layer).geometry.iloc[0])
    if divides is not None:
        ground, names = divides.to_crs(crs).geometry, divides.rgi_id.to_numpy()
        i, owner = ground.sindex.query(shapes, predicate="intersects")
        shapes = shapely.intersection(shapes[i], ground.to_numpy()[owner])
    shapes, i = shapely.get_parts(shapely.line_merge(shapes), return_index=True)
    kept = shapely.length(shapes) >= 3 * pixel
    owners, group = np.unique(owner[i][kept], return_inverse=True)
    order = np.argsort(group, kind="stable")
    merged = shapely.line_merge(shapely.multilinestrings(shapes[kept][order], indices=group[order]))
    facts = {"time": _date(layer), **{name: layer.attrs.get(name, "") for name in ("system", "sensor")}}
    frame = gpd.GeoDataFrame(facts, index=range(len(merged)), geometry=merged, crs=crs)
    frame.insert(0, "rgi_id", basins.named(frame) if names is None else names[owners])
    return frame.assign(pixel_m=pixel)


def rasterize(gdf: gpd.GeoDataFrame, geobox: GeoBox) -> xr.DataArray:
    """Exact share (float32, 0-1) of each pixel (y, x) that polygons cover, reprojected where needed; > 0.5: a mask."""
    shapes = gdf.to_crs(str(geobox.crs)).geometry
    shapes, values = shapes[~shapes.is_empty & shapes.notna()], np.zeros(geobox.shape)
    if len(shapes):
        sides = dict(zip(("xmin", "ymin", "xmax", "ymax"), geobox.boundingbox.bbox, strict=True))
        grid = raster.NumPyRasterSource(values, **sides, srs_wkt=shapes.crs.to_wkt())
        rows = exact_extract(grid, shapes.to_frame("geometry"), ["cell_id", "coverage"], output="pandas")
        cells, shares = (np.concatenate(rows[name].to_numpy()) for name in ("cell_id", "coverage"))
        values = np.bincount(cells.astype(np.int64), shares, values.size).reshape(values.shape)
        values = values[::-1] if geobox.resolution.y > 0 else values  # which starts in the south
    return odc.geo.xr.wrap_xr(values.round(6).clip(0, 1).astype(np.float32), geobox).rename("coverage")


def _date(zones: xr.DataArray) -> pd.Timestamp:
    return pd.to_datetime(zones.attrs.get("time", "NaT"), utc=True).tz_localize(None)


def _sample(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(values, points.T[::-1], order=1, mode="nearest")


def _edges(mask: np.ndarray, geobox: GeoBox) -> np.ndarray:
    """Polygons of the True pixels along their edges; pixels that meet at a corner only stay apart, so all is valid."""
    found = rasterio.features.shapes(mask.astype("uint8"), mask, connectivity=4, transform=geobox.affine)
    rings = [shape["coordinates"] for shape, _ in found]
    return np.array([shapely.Polygon(ring[0], ring[1:]) for ring in rings], dtype=object)


def _trace(values: np.ndarray, level: float, geobox: GeoBox) -> np.ndarray:
    """Polygons where `values` pass `level`, out to the grid's outer edge."""
    if ((values == 0) | (values == 1)).all():
        return _edges(values > level, geobox)
    values = np.pad(np.where(values == level, level + 1e-9, values), 1, mode="edge")
    y, x = (np.r_[0, np.arange(n - 2) + 0.5, n - 2] for n in values.shape)
    shapes = contourpy.contour_generator(x, y, values, fill_type="OuterOffset").filled(level, np.inf)
    rings = [np.split(to_map(xy, geobox.affine), at[1:-1].astype(int)) for xy, at in zip(*shapes, strict=True)]
    return np.array([shapely.Polygon(ring[0], ring[1:]) for ring in rings], dtype=object)


def _runs(line: np.ndarray, side: np.ndarray) -> list[np.ndarray]:
    """The stretches of a line where `side` is positive, ended where it passes zero; none of an all-positive loop."""
    loop = np.array_equal(line[0], line[-1])
    if (side <= 0).all() or (loop and (side > 0).all()):
        return []
    if loop:  # start it outside, so that no stretch is cut by the start
        order = (np.arange(len(line)) + np.argmax(side <= 0)) % (len(line) - 1)
        line, side = line[order], side[order]
    turn = np.flatnonzero((side[1:] > 0) != (side[:-1] > 0))
    share = (side[turn] / (side[turn] - side[turn + 1]))[:, None]
    line = np.insert(line, turn + 1, line[turn] + share * (line[turn + 1] - line[turn]), axis=0)
    inside = np.insert(side > 0, turn + 1, True)
    change = np.flatnonzero(np.diff(np.r_[False, inside, False].astype(int)))
    return [line[a:b] for a, b in zip(change[::2], change[1::2], strict=True) if b - a > 1]
