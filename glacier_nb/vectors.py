"""Any vector file as a frame with a CRS: in any encoding, zipped, in layers, without index or projection; GeoParquet.

Without a source, plain or ours: `read`, `placed`, `there`, `window`.
"""

import os
import pathlib
import re
import shutil
import tempfile
import zipfile

import geopandas as gpd
import numpy as np
import pyogrio
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

FILES = (".shp", ".gpkg", ".geojson", ".json", ".fgb", ".kml", ".gml")
"""What is read out of a zip."""


def read(
    path: str | os.PathLike, bbox: tuple | None = None, crs: str | None = None, kind: str = ""
) -> gpd.GeoDataFrame:
    """What GDAL opens, zipped or gzipped too, or GeoParquet, as it is, with a CRS (see `placed`).

    `bbox` (lon/lat, west > east across the antimeridian): of a large file with a CRS only what lies near. `kind`
    ("Polygon", "LineString"): of several layers that with such shapes; of several of those the one called after
    glaciers, outlines or polygons. FileNotFoundError; OSError: no vector file; ValueError: as `placed` and `window`, no
    shapes, or several layers.
    """
    path = there(path)
    try:
        if path.suffix.lower() == ".parquet":
            raw = gpd.read_parquet(path)
        elif path.suffix == ".shp" and path.is_file() and not path.with_suffix(".shx").exists():
            raw = _without_index(path)
        else:
            raw = _layer(*_chosen(path, kind), bbox)
    except (pyogrio.errors.DataSourceError, zipfile.BadZipFile) as error:
        why = str(error).splitlines()[0].split(";")[0]
        raise OSError(f"{path.name} is no vector file that GDAL opens ({why}): mend it") from None
    except ValueError as error:
        if path.suffix.lower() != ".parquet":
            raise
        raise OSError(f"{path.name} is no GeoParquet ({str(error).splitlines()[0]}): mend it") from None
    return placed(raw, path.name, crs)


def placed(raw: gpd.GeoDataFrame, name: str, crs: str | None = None) -> gpd.GeoDataFrame:
    """A frame (`raw`, columns as they are) with a CRS: the given one, its own, or lon/lat where its numbers can be so.

    ValueError: it has none and its numbers are no degrees, though its CRS, or the given one, wants some; the given one
    would make metres of degrees; PROJ does not know it. `name` is told.
    """
    west, south, east, north = raw.total_bounds
    degrees = not len(raw) or west != west or (-360 <= west <= east <= 360 and -90 <= south <= north <= 90)
    numbers = f"numbers such as {west:.0f}, {south:.0f}"
    if crs is not None:
        try:
            given = pyproj.CRS.from_user_input(int(crs) if str(crs).isdigit() else crs)
        except pyproj.exceptions.CRSError:
            raise ValueError(f"crs={crs!r} is none that PROJ knows: give it as EPSG:32633") from None
        if given.is_geographic and not degrees:
            raise ValueError(f"{name} has {numbers}, no degrees: it is not in {crs}, give the CRS it is in")
        if raw.crs is not None and raw.crs.is_geographic and degrees and len(raw) and not given.is_geographic:
            raise ValueError(f"{name} is in degrees ({raw.crs.name}), not in {crs}: leave crs away")
        return raw.set_crs(given, allow_override=True)
    if raw.crs is None and not degrees:
        raise ValueError(f"{name} has no CRS and its numbers are no degrees: give crs=, or put a .prj beside it")
    if raw.crs is not None and raw.crs.is_geographic and not degrees:
        raise ValueError(f"{name} says nothing of its CRS, or {raw.crs.name}, but has {numbers}, no degrees: give crs=")
    return raw.set_crs("EPSG:4326") if raw.crs is None else raw


def there(path: str | os.PathLike) -> pathlib.Path:
    """The path, if it exists; FileNotFoundError if not."""
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}: give the path of the data")
    return path


def window(bbox: tuple, crs) -> BaseGeometry:
    """A lon/lat bbox as a shape in `crs`, two boxes where west > east (antimeridian). ValueError: it is none."""
    if len(bbox) != 4 or not (np.abs(bbox) <= (360, 90, 360, 90)).all() or bbox[1] > bbox[3]:
        raise ValueError(f"bbox {tuple(bbox)} is not west, south, east, north in degrees")
    west, south, east, north = bbox
    boxes = [bbox] if west < east else [(west, south, 180, north), (-180, south, east, north)]
    shapes = gpd.GeoSeries([shapely.box(*box) for box in boxes], crs="EPSG:4326").segmentize(0.1)
    return shapes.to_crs(crs).union_all()


def _chosen(path: pathlib.Path, kind: str) -> tuple[str, str]:
    """What GDAL calls the file, and the layer that is meant."""
    sources = [str(path)]
    if path.suffix.lower() in (".zip", ".kmz"):
        names = [name for name in zipfile.ZipFile(path).namelist() if not name.startswith("__MACOSX")]
        names = [name for name in names if pathlib.PurePosixPath(name).suffix.lower() in FILES]
        sources = [f"/vsizip/{path.absolute()}/{name}" for name in names] or sources
    elif path.suffix.lower() == ".gz":
        sources = [f"/vsigzip/{path.absolute()}"]
    layers = [(source, name, shape) for source in sources for name, shape in pyogrio.list_layers(source) if shape]
    if not layers:
        raise ValueError(f"{path.name} holds no shapes, only a table: give a file with geometries")
    fit = [one for one in layers if kind in one[2] or one[2] == "Unknown"] or layers
    called = [one for one in fit if re.search("glacier|outline|polygon", one[1].lower())]
    fit = called if len(called) == 1 else fit
    if len(fit) > 1:
        names = ", ".join(name for _, name, _ in fit[:5]) + (", ..." if len(fit) > 5 else "")
        raise ValueError(f"{path.name} holds {len(fit)} layers ({names}): write the one you mean to a file of its own")
    return fit[0][:2]


def _layer(source: str, name: str, bbox: tuple | None) -> gpd.GeoDataFrame:
    """A layer, in its own encoding or latin1."""
    more = {"layer": name}
    if bbox is not None and (crs := pyogrio.read_info(source, layer=name)["crs"]):
        more["bbox"] = window(bbox, crs).bounds
    try:
        return gpd.read_file(source, **more)
    except UnicodeDecodeError:
        return gpd.read_file(source, encoding="latin1", **more)


def _without_index(path: pathlib.Path) -> gpd.GeoDataFrame:
    """A shapefile whose .shx is missing, its index made again in a copy."""
    with tempfile.TemporaryDirectory() as folder:
        for part in path.parent.glob(f"{path.stem}.*"):
            shutil.copyfile(part, pathlib.Path(folder) / part.name)
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "YES"})
        try:
            return gpd.read_file(pathlib.Path(folder) / path.name)
        finally:
            pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})
