"""A place on Earth: name, bbox, vector file or geometry to a region, its grid in metres, and the glaciers in it."""

import difflib
import json
import os
import pathlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.geometry.base import BaseGeometry

from glacier_nb import datasets, inventories, readers, search
from glacier_nb.gazetteer import PLACES
from glacier_nb.nothing import Nothing

POLAR = 75.0
"""Latitude (degrees) past which a grid is polar stereographic."""

MARGIN = 1000.0
"""Metres of ground around the outlines of a glacier that is named by its id."""

AROUND = 5000.0
"""Metres around the point of a GLIMS id that no inventory at hand has."""

_NUMBER = r"[+-]?\d+\.?\d*"

__all__ = ("PLACES", "POLAR", "Nothing", "Region", "geobox", "inventory", "metric", "place")

_INVENTORIES = ("rgi7-hintereisferner", "rgi6-everest", "rgi6-high-mountain-asia", "rgi6-exploradores", "rgi6-columbia")


@dataclass(frozen=True)
class Region:
    """A place and the grid code that suits it."""

    name: str
    bbox: tuple[float, float, float, float]
    """West, south, east, north in degrees; west > east crosses the antimeridian."""
    geometry: BaseGeometry
    """Polygon in lon/lat; past the antimeridian longitudes go on beyond 180."""
    crs: str
    """EPSG code for lengths and areas."""


def place(region, inventory: str | os.PathLike | None = None) -> Region:
    """A `Region` from a place's name, a glacier's id, a bbox, a point with a radius, a vector file or a geometry.

    A name is one of `PLACES`. An id is of RGI 6 or 7, GLIMS or SGI; its outline, of all dates, with `MARGIN` around
    is looked up in `inventory` (`inventories.read`: a file, a folder or a name), else in the folder that
    GLACIER_NB_INVENTORIES names, else in the samples. A GLIMS id holds a point: where no inventory knows it, the
    region is `AROUND` that. A bbox is west, south, east, north in degrees; a point "lon,lat,radius km". GeoJSON, text
    or dict, may also be a dict with `bbox` (and `name`). A GeoDataFrame without a CRS is taken as lon/lat. Shapes
    split at the antimeridian are joined, and those around a pole take in all longitudes.
    Raises LookupError with the nearest names, ValueError for an impossible place, FileNotFoundError.

    >>> place("aletsch glacier").crs
    'EPSG:32632'
    >>> place("86.78,27.95,86.85,28.0").bbox
    (86.78, 27.95, 86.85, 28.0)
    >>> [round(edge, 2) for edge in place("8.0, 46.5, 5 km").bbox]
    [7.93, 46.46, 8.07, 46.54]
    """
    if isinstance(region, Region):
        return region
    if isinstance(region, gpd.GeoDataFrame | gpd.GeoSeries):
        return _of_shapes("region", region)
    if isinstance(region, BaseGeometry | Geometry):
        crs = region.crs if isinstance(region, Geometry) else "EPSG:4326"
        return _of_shapes("region", gpd.GeoSeries([getattr(region, "geom", region)], crs=crs))
    if isinstance(region, dict):
        return _of_json("region", region)
    if not isinstance(region, str | os.PathLike):
        return _of_bbox("region", region)
    text = str(region).strip()
    if circle := re.fullmatch(rf"({_NUMBER})[\s,;]+({_NUMBER})[\s,;]+({_NUMBER})\s*km", text):
        return _around(text, *(float(number) for number in circle.groups()))
    if re.fullmatch(r"[\s,;+\-.\deE]+", text):
        numbers = [float(number) for number in re.split(r"[\s,;]+", text) if number]
        if len(numbers) == 3:
            raise ValueError(f"{text}: four numbers are a bbox; a point's radius has its unit, as in 8.0,46.5,5 km")
        return _of_bbox(f"{', '.join(f'{n:g}' for n in numbers)}", numbers)
    if text.startswith("{"):
        return _of_json("region", json.loads(text))
    if (row := inventories.named(text)) is not None:
        return _glacier(text, row, inventory)
    if (path := pathlib.Path(text)).suffix:
        if path.suffix in (".json", ".geojson") and "bbox" in (document := json.loads(readers.there(path).read_text())):
            return _of_json(path.stem, document)
        return _of_shapes(path.stem, readers.shapes(path))
    return _named(text)


def geobox(region, resolution: float, crs: str | None = None) -> GeoBox:
    """Grid over a region with square pixels of `resolution` metres, its edges on whole pixels.

    UTM of the region's middle, or polar stereographic past 75 degrees and, past 60, where the region is wider than
    a UTM zone. `crs` may name another projected system; degrees and Web Mercator are refused with the code to use.
    ValueError: such a system, or no pixel size.

    >>> geobox("Khumbu", 10).crs.epsg
    32645
    """
    region = place(region)
    if not (np.isfinite(resolution) and resolution > 0):
        raise ValueError(f"resolution {resolution}: give the pixel size in metres, such as 10")
    code = metric(crs, region) if crs is not None else region.crs
    west, south, east, north = region.geometry.bounds
    points = shapely.get_coordinates(region.geometry.segmentize(max(east - west, north - south) / 200))
    x, y = pyproj.Transformer.from_crs("EPSG:4326", code, always_xy=True).transform(points[:, 0], points[:, 1])
    return GeoBox.from_bbox((min(x), min(y), max(x), max(y)), crs=code, resolution=resolution, tol=1e-6)


def metric(crs: str, region) -> str:
    """`crs` if lengths and areas can be taken in it; else ValueError with the code to use.

    >>> metric("EPSG:3857", "Aletsch")
    Traceback (most recent call last):
    ValueError: EPSG:3857 (Web Mercator) stretches areas 2.1 times at 46 degrees: use EPSG:32632
    """
    region, given = place(region), pyproj.CRS.from_user_input(crs)
    south, north = region.bbox[1], region.bbox[3]
    if given.is_geographic:
        raise ValueError(f"{crs} is in degrees, where metres are needed: use {region.crs}")
    if given.to_epsg() in (3857, 900913) or "Pseudo-Mercator" in given.name:
        times = 1 / np.cos(np.radians((south + north) / 2)) ** 2
        where = f"{abs(south + north) / 2:.0f} degrees"
        raise ValueError(f"{crs} (Web Mercator) stretches areas {times:.1f} times at {where}: use {region.crs}")
    if {axis.unit_name for axis in given.axis_info} != {"metre"}:
        raise ValueError(f"{crs} is not in metres: use {region.crs}")
    return str(crs)


def inventory(path: str | os.PathLike | None, region) -> gpd.GeoDataFrame:
    """Outlines of an inventory in a region, in its projected CRS: rgi_id, time, system, area_m2, geometry and more.

    `path` is whatever `inventories.read` takes: a file of any inventory, a folder of them, or a name; None looks in
    the folder that GLACIER_NB_INVENTORIES names, else through the samples in the data folder.
    `area_m2` is the area on the ellipsoid. Raises LookupError where the region holds no glacier.
    """
    region = place(region)
    path = path or os.environ.get(inventories.FOLDER)
    if not path:
        for name in _INVENTORIES:
            found = readers.inventory(datasets.place(name), region.bbox)
            if len(found):
                break
    else:
        found = inventories.read(path, region.bbox)
    if found.empty:
        where = pathlib.Path(path).name if path else "the samples"
        raise LookupError(f"no glacier in {where} within {_told(region)}: choose a region with ice{_swapped(region)}")
    geod = pyproj.Geod(ellps="WGS84")
    areas = [abs(geod.geometry_area_perimeter(shape)[0]) for shape in found.to_crs("EPSG:4326").geometry]
    found.insert(3, "area_m2", areas)
    return found.to_crs(region.crs)


def _glacier(rgi_id: str, row: inventories.Inventory, inventory: str | os.PathLike | None) -> Region:
    """A glacier's outlines, or the point that a GLIMS id holds, with ground around."""
    try:
        shapes = inventories.glacier(rgi_id, inventory)
    except LookupError:
        point = re.fullmatch(r"G(\d{6})([EW])(\d{5})([NS])", rgi_id)
        if point is None:
            raise
        lon, lat = int(point[1]) / 1000, int(point[3]) / 1000
        lon = (lon if point[2] == "E" else -lon) % 360
        return _around(rgi_id, lon - 360 * (lon > 180), lat if point[4] == "N" else -lat, AROUND / 1000)
    local = shapes.to_crs(_of_shapes(rgi_id, shapes).crs)
    return _of_shapes(rgi_id, gpd.GeoSeries([shapely.box(*local.total_bounds).buffer(MARGIN, join_style="mitre")],
                                            crs=local.crs))  # fmt: skip


def _around(name: str, lon: float, lat: float, radius: float) -> Region:
    """The circle of `radius` km around a point."""
    if not (abs(lon) <= 180 and abs(lat) <= 90 and 0 < radius <= 500):
        raise ValueError(f"{name}: give longitude, latitude (degrees) and a radius of at most 500 km, as 8.0,46.5,5 km")
    centred = f"+proj=aeqd +lon_0={lon} +lat_0={lat} +datum=WGS84 +units=m"
    circle = gpd.GeoSeries([shapely.Point(0, 0).buffer(1000 * radius, quad_segs=32)], crs=centred)
    return _of_shapes(name, circle)


def _of_bbox(name: str, bbox: Sequence[float]) -> Region:
    """A region of four numbers."""
    boxes = search.boxes_of(bbox)
    west, south, east, north = (float(value) for value in bbox)
    shape = shapely.box(west, south, east if len(boxes) == 1 else east + 360, north)
    return Region(name, (west, south, east, north), shape, _code(shape))


def _of_shapes(name: str, shapes: gpd.GeoDataFrame | gpd.GeoSeries) -> Region:
    """A region of all shapes of a table."""
    if shapes.empty or shapes.geometry.is_empty.all():
        raise ValueError(f"{name} holds no shape: give one with an outline")
    if shapes.crs is None:
        shapes = shapes.set_crs("EPSG:4326")
    shape = _on_earth(shapes)
    shape = shape if shape.area > 0 else shape.envelope.buffer(1e-4)
    west, south, east, north = shape.bounds
    bbox = west, max(south, -90.0), east - 360 * (east > 180), min(north, 90.0)
    search.boxes_of(bbox)
    return Region(name, bbox, shape, _code(shape))


def _on_earth(shapes: gpd.GeoDataFrame | gpd.GeoSeries) -> BaseGeometry:
    """All shapes as one in lon/lat, longitudes going on beyond 180 where the antimeridian is crossed."""
    parts = shapes.geometry.dropna()
    if not shapes.crs.is_geographic:
        west, south, east, north = parts.total_bounds
        parts = parts.segmentize(max(east - west, north - south, 1.0) / 50)
        degrees = pyproj.Transformer.from_crs(shapes.crs, "EPSG:4326", always_xy=True)
        for pole in (90.0, -90.0):
            x, y = degrees.transform(0.0, pole, direction="INVERSE")
            if np.isfinite([x, y]).all() and parts.intersects(shapely.Point(x, y)).any():
                lat = degrees.transform(*shapely.get_coordinates(parts.to_numpy()).T)[1]
                return shapely.box(-180, min(lat.min(), pole), 180, max(lat.max(), pole))
    return _turned(shapely.union_all([_turned(one) for one in parts.to_crs("EPSG:4326")]))


def _turned(shape: BaseGeometry) -> BaseGeometry:
    """With western longitudes counted on beyond 180 where that makes it narrower: it crosses the antimeridian."""
    east = shapely.transform(shape, lambda lonlat: lonlat + [[360.0, 0.0]] * (lonlat[:, :1] < 0))
    (w, _, e, _), (west, _, end, _) = shape.bounds, east.bounds
    return shapely.make_valid(east) if e - w > 180 and end - west < e - w else shape


def _of_json(name: str, document: dict) -> Region:
    """A region of GeoJSON, or of a dict with bbox."""
    name = str(document.get("name", name))
    if document.get("type") in ("FeatureCollection", "Feature"):
        features = document.get("features", [document])
        return _of_shapes(name, gpd.GeoDataFrame.from_features(features, crs="EPSG:4326"))
    if "coordinates" in document:
        return _of_shapes(name, gpd.GeoSeries([shapely.geometry.shape(document)], crs="EPSG:4326"))
    if "bbox" in document:
        return _of_bbox(name, document["bbox"])
    raise ValueError(f"{name} is neither GeoJSON nor has a bbox: give GeoJSON, or bbox = west, south, east, north")


def _named(text: str) -> Region:
    """A region of the gazetteer."""
    plain = {_plain(name): (name, bbox) for name, bbox in PLACES}
    if _plain(text) in plain:
        return _of_bbox(*plain[_plain(text)])
    near = [plain[key][0] for key in difflib.get_close_matches(_plain(text), plain, 3, 0.5)]
    known = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(name for name, _ in PLACES)};"
    raise LookupError(f"no place {text!r}: {known} or give west,south,east,north or a vector file")


def _plain(text: str) -> str:
    """A name without case, accents and the word for glacier."""
    text = text.casefold().replace("ø", "o").replace("æ", "ae")
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"\b(the|great|glacier|gletscher|glaciar|brae|isbrae)\b|[^a-z]", "", bare)


def _code(shape: BaseGeometry) -> str:
    """UTM or polar stereographic code of a lon/lat shape."""
    west, south, east, north = shape.bounds
    middle = (south + north) / 2
    wide = east - west > 6
    if abs(middle) > POLAR or (wide and abs(middle) > 60):
        return "EPSG:3413" if middle > 0 else "EPSG:3031"
    if east - west > 12:
        raise ValueError(f"region of {east - west:.0f} degrees of longitude: no one grid in metres fits, split it")
    zone = int(((west + east) / 2 + 180) % 360 // 6) + 1
    return f"EPSG:{(32600 if middle >= 0 else 32700) + zone}"


def _told(region: Region) -> str:
    return f"{region.name} ({', '.join(f'{value:g}' for value in region.bbox)})"


def _swapped(region: Region) -> str:
    """A hint where the bbox with longitude and latitude exchanged lies on a known glacier."""
    south, west, north, east = region.bbox
    for name, (w, s, e, n) in PLACES:
        if west <= e and east >= w and south <= n and north >= s:
            return f"; longitude and latitude look swapped, {name} is at {w:g},{s:g},{e:g},{n:g}"
    return ", or check that longitude and latitude are not swapped"
