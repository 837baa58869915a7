"""Readers of public outlines, fronts and samples: many schemas, encodings and missing projections to one table."""

import os
import pathlib
import re

import geopandas as gpd
import numpy as np
import pandas as pd

from glacier_nb import basins, columns, vectors
from glacier_nb.columns import dates as dates  # callers know these by this module's name
from glacier_nb.vectors import there as there

# attribute names of RGI 7.0, and what other inventories call them
_NAMES = {
    "glims_id": ("glims_id", "GLIMSId", "GLIMSID", "GLIMS_ID", "glac_id"),
    "glac_name": ("glac_name", "Name", "Glc_Name", "name"),
    "area_km2": ("area_km2", "Area", "db_area", "Area_poly"),
    "cenlon": ("cenlon", "CenLon"), "cenlat": ("cenlat", "CenLat"),
    "o1region": ("o1region", "O1Region"), "o2region": ("o2region", "O2Region"),
    "zmin_m": ("zmin_m", "Zmin", "masl_min"), "zmax_m": ("zmax_m", "Zmax", "masl_max"),
    "zmed_m": ("zmed_m", "Zmed", "masl_med"), "zmean_m": ("zmean_m", "masl_mean"),
    "slope_deg": ("slope_deg", "Slope"), "aspect_deg": ("aspect_deg", "Aspect"), "lmax_m": ("lmax_m", "Lmax"),
    "term_type": ("term_type", "TermType"), "surge_type": ("surge_type", "Surging"),
    "aspect_sec": ("aspect_sec",), "conn_lvl": ("conn_lvl", "Connect"), "primeclass": ("primeclass",),
    "utm_zone": ("utm_zone",), "dem_source": ("dem_source",), "is_rgi6": ("is_rgi6",),
    "parent_rgi_id": ("parent_rgi_id",),
    "analysis": ("anlys_id",), "analysts": ("analysts",), "line_type": ("line_type",), "system": ("system",),
}  # fmt: skip
_SYSTEMS = (("RGI2000-v7", "RGI 7.0"), ("RGI60", "RGI 6.0"), ("RGI50", "RGI 5.0"), (r"G\d{6}[EW]", "GLIMS"),
            (r"[A-E]\d\d[a-z]?[-/]\d+", "SGI"))  # fmt: skip
WINTER = re.compile(r"termini_(\d\d)(\d\d)_.*\.shp")
"""Names of the files of NSIDC-0642, a winter each."""
_POLAR = "EPSG:3413"  # NSIDC sea ice polar stereographic north


def inventory(
    path: str | os.PathLike,
    bbox: tuple | None = None,
    crs: str | None = None,
    rgi_id: str | None = None,
    unnamed: bool = False,
) -> gpd.GeoDataFrame:
    """Glacier outlines of any inventory (RGI 5, 6, 7, GLIMS, SGI, GAMDAM, own file) under RGI 7.0's attribute names.

    Columns rgi_id, time (datetime64, NaT unknown), system, geometry first, then those of glims_id, glac_name,
    area_km2, lmax_m ... that the file has, in the file's CRS. The parts that GLIMS keeps of one analysis are one row.
    `bbox` (lon/lat, west > east across the antimeridian) keeps what touches it, `rgi_id` the glacier of that name.
    A file without a CRS is taken as lon/lat if its numbers allow it. `unnamed` takes a file that names no glacier
    (GAMDAM): each is named by its middle, as GLIMS does. Raises FileNotFoundError, OSError (no vector file),
    ValueError (no polygons, several layers of them, no CRS), and LookupError where nothing names the glaciers.
    """
    path = there(path)
    return catalogued(vectors.read(path, bbox, crs, "Polygon"), path, bbox, rgi_id, unnamed)


def catalogued(
    raw: gpd.GeoDataFrame, path: pathlib.Path, bbox: tuple | None = None, rgi_id: str | None = None,
    unnamed: bool = False,
) -> gpd.GeoDataFrame:  # fmt: skip
    """What `inventory` makes of a table that was read from `path`: the same rows, columns and errors, LookupError and
    ValueError among them.
    """
    shapes, mixed = raw.geometry.to_numpy(), (raw.geom_type == "GeometryCollection").to_numpy()
    shapes[mixed] = basins.gather(shapes[mixed], np.arange(mixed.sum()))
    raw = raw.set_geometry(gpd.GeoSeries(shapes, raw.index, crs=raw.crs))
    there = raw.geom_type.notna() & ~raw.is_empty
    polygons = there & raw.geom_type.isin(("Polygon", "MultiPolygon"))
    if there.any() and not polygons.any():
        kinds = ", ".join(sorted(raw.geom_type.dropna().unique()))
        raise ValueError(f"{path.name} holds {kinds}, no outlines: give the file of the glaciers' polygons")
    raw = raw[polygons].reset_index(drop=True)
    if bbox is not None:
        raw = raw[raw.intersects(vectors.window(bbox, raw.crs))].reset_index(drop=True)
    out = gpd.GeoDataFrame(geometry=raw.geometry.to_numpy(), crs=raw.crs)
    named = columns.find(raw, columns.IDS)
    for name, known in {"rgi_id": (named,), **_NAMES}.items():
        if (found := next((column for column in known if column in raw), None)) is not None:
            out[name] = raw[found].map(_text) if pd.api.types.is_object_dtype(raw[found]) else raw[found].to_numpy()
    if "lmax_m" not in out and "length_km" in raw:  # SGI
        out["lmax_m"] = 1000.0 * raw["length_km"].to_numpy()
    if named is None and unnamed:
        out["rgi_id"] = _named_by_place(out)
    if "rgi_id" not in out:
        raise LookupError(f"{path.name} names no glaciers ({', '.join(map(str, raw.columns))}): add a column rgi_id")
    out["time"] = columns.time(raw)[1]
    if "system" not in out:
        out["system"] = out["rgi_id"].map(
            lambda name: next((s for p, s in _SYSTEMS if re.match(p, str(name))), path.stem)
        )
    if rgi_id is not None:
        out = out[(out["rgi_id"] == rgi_id) | (out["glims_id"] == rgi_id if "glims_id" in out else False)]
    if "line_type" in out:  # GLIMS: lakes, rocks and snow lines are no outlines
        out = out[out.pop("line_type") == "glac_bound"]
    if "analysis" in out and out.duplicated(["rgi_id", "analysis"]).any():
        whole = out.dissolve(by=["rgi_id", "analysis"], as_index=False, sort=False)
        out = whole.sort_values("time", kind="stable", ignore_index=True)
    first = ["rgi_id", "time", "system", "geometry"]
    return out[[*first, *(column for column in out.columns if column not in first)]].reset_index(drop=True)


def harald_moltke(path: str | os.PathLike) -> gpd.GeoDataFrame:
    """159 fronts of Harald Moltke Brae, one row per date: rgi_id, time, system, sensor, geometry (EPSG:3413).

    FileNotFoundError: the folder has none.
    """
    files = _any(sorted(there(path).rglob("lines/*/*/*.shp")), path, "lines/*/*/*.shp")
    parts = [gpd.read_file(file).assign(time=pd.Timestamp(file.parent.name)) for file in files]
    out = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=parts[0].crs)
    return _fronts(out, "harald_moltke_brae", "Loebel et al. 2024", "Landsat 8")


def harald_moltke_box(path: str | os.PathLike) -> gpd.GeoDataFrame:
    """The rectilinear box its fronts are measured in: rgi_id, geometry (EPSG:3413). FileNotFoundError: no box."""
    file = _any(sorted(there(path).glob("box/*.shp")), path, "box/*.shp")[0]
    return gpd.read_file(file)[["geometry"]].assign(rgi_id="harald_moltke_brae")[["rgi_id", "geometry"]]


def measures(path: str | os.PathLike) -> gpd.GeoDataFrame:
    """Nine winters of Greenland termini (NSIDC-0642), or one's file: a row a front.

    Columns: rgi_id ("NSIDC-0642-" and GlacierID), time (the middle of the stretch the image is from), system, sensor,
    geometry, glacier_id, start, end, winter (as 2000/01), name, quality. Two schemas and two text encodings are read
    alike; files without .prj are EPSG:3413 as its documentation says. FileNotFoundError: the folder has none, or the
    file another name.
    """
    path, parts = there(path), []
    files = [file for file in (sorted(path.iterdir()) if path.is_dir() else [path]) if WINTER.fullmatch(file.name)]
    for file in _any(files, path, "termini_0001_v01_2.shp ... of NSIDC-0642"):
        raw = gpd.read_file(file, encoding="latin1").set_crs(_POLAR, allow_override=True)
        span = (
            raw["DateRange"].str.split("-", expand=True)
            if "DateRange" in raw
            else raw["DATE"].to_frame().iloc[:, [0, 0]]
        )
        start, end = (pd.to_datetime(span.iloc[:, side], format="mixed", dayfirst=True) for side in (0, 1))
        names = raw[[c for c in ("Official_n", "GrnlndcNam", "GlacName", "Name", "AltName") if c in raw]]
        digits = WINTER.fullmatch(file.name)
        parts.append(
            raw[["geometry"]].assign(
                rgi_id="NSIDC-0642-" + raw["GlacierID"].astype(int).astype(str),
                time=start + (end - start) / 2, glacier_id=raw["GlacierID"].astype(int), start=start, end=end,
                winter=f"20{digits[1]}/{digits[2]}", name=names.bfill(axis=1).iloc[:, 0].map(_text),
                quality=raw.get("QualFlag", pd.NA),
                sensor=raw.get("ImgSource", "RADARSAT"),
            )
        )  # fmt: skip
    out = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=_POLAR)
    return _fronts(out.sort_values(["glacier_id", "time"], ignore_index=True), None, "NSIDC-0642 v1.2", None)


def svalbard(path: str | os.PathLike) -> gpd.GeoDataFrame:
    """Five glaciers at three dates (EPSG:32633), a row each.

    Columns: rgi_id and glac_name (both the name), time (mid-year), system, length_m, front_width_m, geometry.
    """
    raw = gpd.read_file(next(iter(there(path).glob("*.gpkg")), path))
    time = pd.to_datetime(raw["year"].astype(int).astype(str) + "-07-01")
    out = raw[["geometry"]].assign(rgi_id=raw["name"], time=time, system="Norwegian Polar Institute")
    out = out.assign(glac_name=raw["name"], length_m=raw["length"], front_width_m=raw["fwidth"])
    return out[["rgi_id", "time", "system", "geometry", "glac_name", "length_m", "front_width_m"]]


def frontlearning(path: str | os.PathLike) -> pd.DataFrame:
    """Scenes and labels for calving fronts, a row each.

    Columns scene, sensor, time, path_row, and paths of files (PNG, 0 = front): image, label, label_1px (None: no such).
    """
    rows = []
    for image in sorted((there(path) / "images").glob("*.png")):
        scene = image.name.removesuffix("_Subset.png")
        sensor, _, path_row, date = scene.split("_")[:4]
        labels = [image.parents[1] / folder / f"{scene}_Front.png" for folder in ("labels", "labels_1px")]
        rows.append((scene, sensor, pd.Timestamp(date), path_row, image, *(p if p.exists() else None for p in labels)))
    return pd.DataFrame(rows, columns=["scene", "sensor", "time", "path_row", "image", "label", "label_1px"])


def points(path: str | os.PathLike, sensor: str = "Sentinel-2_SR") -> gpd.GeoDataFrame:
    """Human-classified pixels (EPSG:4326): site, time, class_name, reflectance by common name, geometry."""
    raw = pd.read_csv(there(path) / f"{sensor}_training_data.csv")
    bands = {"B2": "blue", "B3": "green", "B4": "red", "B8": "nir", "B11": "swir16", "B12": "swir22"}
    landsat = {"SR_B2": "blue", "SR_B3": "green", "SR_B4": "red", "SR_B5": "nir", "SR_B6": "swir16", "SR_B7": "swir22"}
    classes = {1: "snow", 2: "shadowed snow", 3: "ice", 4: "rock or debris", 5: "water"}
    out = raw.rename(columns=bands if "B2" in raw else landsat)[list(bands.values())]
    time = pd.to_datetime(raw["image_date"].astype(str), format="%Y%m%d")
    out = out.assign(site=raw["site_name"], time=time, class_name=raw["class"].map(classes))
    return gpd.GeoDataFrame(out, geometry=gpd.GeoSeries.from_wkt(raw["geometry"]), crs="EPSG:4326")


def shapes(path: str | os.PathLike) -> gpd.GeoDataFrame:
    """Any vector file or GeoParquet with columns as they are and a CRS: its own, or lon/lat where numbers are degrees.

    OSError: GDAL does not open it. ValueError: it has no CRS, and its numbers are no degrees.
    """
    return vectors.read(path)


def _any(found: list[pathlib.Path], path: str | os.PathLike, shape: str) -> list[pathlib.Path]:
    if not found:
        raise FileNotFoundError(
            f"{pathlib.Path(path).name} has no {shape}: give the folder of the set, or another file"
        )
    return found


def files(path: str | os.PathLike, pattern: str = "*") -> dict[str, pathlib.Path]:
    """Paths below a folder that match, by their path inside it."""
    path = there(path)
    return {p.relative_to(path).as_posix(): p for p in sorted(path.rglob(pattern)) if p.is_file()}


def _text(value):
    """Text whose UTF-8 was read as latin1 set right; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return value.encode("latin1").decode("utf-8")
    except UnicodeError:
        return value


def _named_by_place(shapes: gpd.GeoDataFrame) -> list[str]:
    """Names of the form G010758E46800N from a point in each shape, in thousandths of a degree east of Greenwich."""
    points = shapes.geometry.representative_point().to_crs("EPSG:4326")
    return [
        f"G{round(p.x % 360 * 1000) % 360_000:06d}E{round(abs(p.y) * 1000):05d}{'N' if p.y >= 0 else 'S'}"
        for p in points
    ]


def _fronts(raw: gpd.GeoDataFrame, rgi_id: str | None, system: str, sensor: str | None) -> gpd.GeoDataFrame:
    """Front columns first."""
    out = raw.assign(system=system)
    out = out if rgi_id is None else out.assign(rgi_id=rgi_id)
    out = out if sensor is None else out.assign(sensor=sensor)
    first = ["rgi_id", "time", "system", "sensor", "geometry"]
    return out[[*first, *(column for column in out.columns if column not in first)]]
