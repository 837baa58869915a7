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

from glacier_nb import datasets, readers, search

POLAR = 75.0
"""Latitude (degrees) past which a grid is polar stereographic."""

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


PLACES = (
    ("Aletsch", (7.93, 46.38, 8.15, 46.57)),
    ("Athabasca", (-117.34, 52.14, -117.20, 52.23)),
    ("Baltoro", (76.05, 35.55, 76.85, 35.95)),
    ("Breidamerkurjokull", (-16.60, 64.00, -16.10, 64.25)),
    ("Columbia", (-147.40, 60.90, -146.60, 61.45)),
    ("Exploradores", (-73.45, -46.75, -73.05, -46.40)),
    ("Fedchenko", (71.90, 38.40, 72.60, 39.10)),
    ("Gangotri", (79.05, 30.70, 79.35, 30.97)),
    ("Gulkana", (-145.56, 63.23, -145.33, 63.32)),
    ("Harald Moltke", (-68.20, 76.45, -67.00, 76.75)),
    ("Helheim", (-38.80, 66.25, -37.90, 66.55)),
    ("Hintereisferner", (10.68, 46.76, 10.86, 46.86)),
    ("Hochalmkees", (13.29, 46.99, 13.39, 47.06)),
    ("Jakobshavn", (-50.40, 68.95, -48.80, 69.35)),
    ("Kangerlussuaq", (-33.50, 68.45, -32.40, 68.80)),
    ("Khumbu", (86.78, 27.90, 86.95, 28.03)),
    ("Kongsfjorden", (11.40, 78.78, 12.90, 79.05)),
    ("Liligo", (76.10, 35.60, 76.30, 35.75)),
    ("Malaspina", (-141.00, 59.65, -139.90, 60.30)),
    ("Morteratsch", (9.87, 46.36, 9.99, 46.45)),
    ("Perito Moreno", (-73.35, -50.60, -72.98, -50.40)),
    ("Petermann", (-62.00, 80.30, -58.50, 81.20)),
    ("Pine Island", (-102.50, -75.50, -98.50, -74.50)),
    ("Rhone", (8.35, 46.56, 8.43, 46.68)),
    ("Siachen", (76.60, 35.10, 77.40, 35.80)),
    ("Tasman", (170.00, -43.80, 170.35, -43.48)),
    ("Thwaites", (-108.00, -75.60, -104.00, -74.60)),
    ("Upsala", (-73.50, -50.05, -73.10, -49.40)),
)
"""Well-known glaciers by name and bbox."""


def place(region) -> Region:
    """A `Region` from a name in `PLACES`, a bbox (numbers or text), a vector file, a geometry or a GeoDataFrame.

    A bbox is west, south, east, north in degrees. A JSON file or dict may also be one with `bbox` (and `name`).
    Raises LookupError with the nearest names, ValueError for an impossible bbox, FileNotFoundError.

    >>> place("aletsch glacier").crs
    'EPSG:32632'
    >>> place("86.78,27.95,86.85,28.0").bbox
    (86.78, 27.95, 86.85, 28.0)
    """
    if isinstance(region, Region):
        return region
    if isinstance(region, gpd.GeoDataFrame | gpd.GeoSeries):
        return _of_shapes("region", region)
    if isinstance(region, BaseGeometry | Geometry):
        shape = region.to_crs("EPSG:4326").geom if isinstance(region, Geometry) else region
        return _of_shapes("region", gpd.GeoSeries([shape], crs="EPSG:4326"))
    if isinstance(region, dict):
        return _of_json("region", region)
    if not isinstance(region, str | os.PathLike):
        return _of_bbox("region", region)
    text = str(region).strip()
    if re.fullmatch(r"[\s,;+\-.\deE]+", text):
        numbers = [float(number) for number in re.split(r"[\s,;]+", text) if number]
        return _of_bbox(f"{', '.join(f'{n:g}' for n in numbers)}", numbers)
    if text.startswith("{"):
        return _of_json("region", json.loads(text))
    if (path := pathlib.Path(text)).suffix:
        if path.suffix in (".json", ".geojson") and "bbox" in (document := json.loads(readers.there(path).read_text())):
            return _of_json(path.stem, document)
        return _of_shapes(
            path.stem, gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(readers.there(path))
        )
    return _named(text)


def geobox(region, resolution: float, crs: str | None = None) -> GeoBox:
    """Grid over a region with square pixels of `resolution` metres, its edges on whole pixels.

    UTM of the region's middle, or polar stereographic past 75 degrees and, past 60, where the region is wider than
    a UTM zone. `crs` may name another projected system; degrees and Web Mercator are refused with the code to use.

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

    `path` is any inventory that `readers.inventory` reads; None looks through the samples in the data folder.
    `area_m2` is the area on the ellipsoid. Raises LookupError where the region holds no glacier.
    """
    region = place(region)
    if path is None:
        for name in _INVENTORIES:
            found = readers.inventory(datasets.place(name), region.bbox)
            if len(found):
                break
    else:
        found = readers.inventory(path, region.bbox)
    if found.empty:
        where = "the samples" if path is None else pathlib.Path(path).name
        raise LookupError(f"no glacier in {where} within {_told(region)}: choose a region with ice{_swapped(region)}")
    geod = pyproj.Geod(ellps="WGS84")
    areas = [abs(geod.geometry_area_perimeter(shape)[0]) for shape in found.to_crs("EPSG:4326").geometry]
    found.insert(3, "area_m2", areas)
    return found.to_crs(region.crs)


def _of_bbox(name: str, bbox: Sequence[float]) -> Region:
    """A region of four numbers."""
    boxes = search.boxes_of(bbox)
    west, south, east, north = (float(value) for value in bbox)
    shape = shapely.box(west, south, east if len(boxes) == 1 else east + 360, north)
    return Region(name, (west, south, east, north), shape, _code(shape))


def _of_shapes(name: str, shapes: gpd.GeoDataFrame | gpd.GeoSeries) -> Region:
    """A region of all shapes of a table."""
    if shapes.empty:
        raise ValueError(f"{name} holds no shape: give one with an outline")
    if shapes.crs is None:
        shapes = shapes.set_crs("EPSG:4326")
    shape = shapes.to_crs("EPSG:4326").union_all()
    shape = shape if shape.area > 0 else shape.envelope.buffer(1e-4)
    search.boxes_of(shape.bounds)
    return Region(name, shape.bounds, shape, _code(shape))


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
