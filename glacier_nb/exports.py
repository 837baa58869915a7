"""Outlines as files that others open: GeoParquet, GeoPackage, FlatGeobuf, GeoJSON by RGI 7.0's names; for OGGM too."""

import json
import os
import pathlib
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from glacier_nb import basins, provenance, rgi


@dataclass(frozen=True)
class Format:
    """A vector format: suffix, what GDAL calls it, media type, names that no column may have, and what it changes.

    lists: whether a cell may hold one. lonlat: whether it is on WGS 84 alone. texts: whether readers leave a date that
    is written as text to be text.
    """

    suffix: str
    driver: str
    media: str
    reserved: tuple[str, ...] = ()
    lists: bool = False
    lonlat: bool = False
    texts: bool = True
    changes: str = ""


FORMATS = (
    Format(".parquet", "Parquet", "application/vnd.apache.parquet", lists=True),
    Format(".gpkg", "GPKG", "application/geopackage+sqlite3", reserved=("fid", "geom")),
    Format(".fgb", "FlatGeobuf", "application/vnd.flatgeobuf", changes="rows stand in the order of its spatial index"),
    Format(".geojson", "GeoJSON", "application/geo+json", lonlat=True, texts=False),
)
"""Formats that hold outlines with all their columns, by suffix."""


def write(outlines: gpd.GeoDataFrame, path: str | os.PathLike, inventory: gpd.GeoDataFrame | None = None) -> list[str]:
    """Write outlines (or fronts) as `rgi.table` names them to .parquet, .gpkg, .fgb or .geojson, whole or not at all.

    Returns what the format made different, a sentence each: GeoJSON is lon/lat on WGS 84, cut at the antimeridian (RFC
    7946); lists are JSON text and second shapes WKT but in GeoParquet; FlatGeobuf has an order of its own. Raises
    ValueError for any other format (a shapefile cuts names to ten letters), for a column that the format cannot hold,
    and as `rgi.table`, to which `inventory` goes.
    """
    _format(path)
    return _store(rgi.table(outlines, inventory), pathlib.Path(path))


def oggm(
    outlines: gpd.GeoDataFrame,
    path: str | os.PathLike,
    inventory: gpd.GeoDataFrame | None = None,
    region: str = "",
) -> list[str]:
    """A file whose rows `oggm.workflow.init_glacier_directories(geopandas.read_file(path))` takes as they are.

    OGGM 1.6 (run with 1.6.3, down to its flowlines) takes one polygon and one row a glacier, in lon/lat: RGI 6.0's
    columns where ids are RGI60-..., else RGI 7.0's. `outlines`: of one date, in a projected CRS. A part that came loose
    is a row named after its parent with _d02, _d03 ... by size; bodies under 0.01 km2 are left out. `region` and
    `inventory`: see `rgi.full`, `rgi.table`. Returns what was changed or left out, and what OGGM will do of its own, a
    sentence each: it takes dates from 2020 on for 2019, and has divides for RGI's ids alone. ValueError: a glacier in
    several rows, ids of both inventories, no region, a glacier across the antimeridian, GeoJSON (whose readers make
    src_date a time, which OGGM does not take); and as `write`.
    """
    if not _format(path).texts:
        good = ", ".join(one.suffix for one in FORMATS if one.texts)
        raise ValueError(f"{pathlib.Path(path).name}: OGGM reads dates as text, which this loses: name it {good}")
    if outlines.duplicated("rgi_id").any():
        name = outlines.rgi_id[outlines.duplicated("rgi_id")].iloc[0]
        raise ValueError(f"{name} stands in several rows: choose one date and system, outlines[outlines.time == ...]")
    bodies, said = basins.parts(outlines), []
    bodies["geometry"] = [max(shapely.get_parts(shape), key=shapely.area) for shape in bodies.geometry]
    if (left := 1 - bodies.area.sum() / outlines.area.sum() if len(bodies) else 0.0) > 1e-9:
        said.append(f"{left:.2%} of the ice is left out: bodies under 0.01 km2 beside a larger one")
    loose = bodies.rgi_id != bodies.parent_rgi_id
    if loose.any():
        number = bodies[loose].sort_values("area_m2", ascending=False).groupby("parent_rgi_id").cumcount() + 2
        bodies.loc[loose, "rgi_id"] = bodies.parent_rgi_id[loose] + "_d" + number.map("{:02d}".format)
        said.append(f"{int(loose.sum())} parts that came loose are rows named after their parent, _d02 ...")
    old = rgi.older(bodies.rgi_id)
    if old.any() and not old.all():
        both = bodies.rgi_id[old].iloc[0], bodies.rgi_id[~old].iloc[0]
        raise ValueError(f"{both[0]} and {both[1]} are of two inventories: write each by itself")
    found = rgi.full(rgi.table(bodies.to_crs("EPSG:4326"), inventory), region)
    if not found.rgi_id.str.startswith("RGI").all():
        said.append("ids are none of RGI's: set cfg.PARAMS['use_intersects'] = False, OGGM looks up divides by RGI's")
    if len(late := found.src_date[found.src_date.astype(str).str[:4] >= "2020"]):
        said.append(f"OGGM takes {late.iloc[0][:4]} for 2019, as every date from 2020 on")
    if (found.src_date == "").any():  # OGGM takes a year below 0 for none
        found["src_date"] = found.src_date.replace("", "" if old.any() else "-9999999")  # `six` writes it so itself
        said.append("without a date OGGM takes the year that most of the glacier's RGI region is of")
    wide = found.bounds.maxx - found.bounds.minx > 180
    if wide.any():
        raise ValueError(f"{found.rgi_id[wide].iloc[0]} lies across the antimeridian: OGGM takes no such outline")
    return said + _store(rgi.six(found) if old.any() else found, pathlib.Path(path), multi=False)


def _format(path: str | os.PathLike) -> Format:
    """The format that a path's suffix names."""
    path = pathlib.Path(path)
    row = next((row for row in FORMATS if row.suffix == path.suffix.lower()), None)
    if row is None:
        why = "; a shapefile cuts names to ten letters" if path.suffix.lower() == ".shp" else ""
        raise ValueError(f"{path.name}: outlines go to {', '.join(one.suffix for one in FORMATS)}{why}: name it so")
    return row


def _store(found: gpd.GeoDataFrame, path: pathlib.Path, multi: bool = True) -> list[str]:
    """Write a table, what the format cannot hold refused by name or converted; returns the conversions."""
    row = _format(path)
    said = [f"{path.name}: {row.changes}"] if row.changes else []
    low = pd.Series([name.lower() for name in found])
    if twice := [name for name in found if (low == name.lower()).sum() > 1 or name.lower() in row.reserved]:
        raise ValueError(f"{path.name}: {row.driver} cannot hold columns {twice}: rename them")
    for name in found.columns.drop("geometry"):
        column = found[name]
        if column.dtype == "geometry" and row.driver != "Parquet":  # the model's line beside that of an edit
            found[name] = column.to_wkt()
            said.append(f"{path.name}: column {name} holds shapes, written as WKT")
        elif column.dtype == object and column.map(lambda value: isinstance(value, list | tuple | dict)).any():
            if not row.lists:
                found[name] = [json.dumps(value, default=str) for value in column]
                said.append(f"{path.name}: column {name} holds lists, written as JSON text")
        elif column.dtype.kind in "mc" or (column.dtype == object and not column.map(_plain).all()):
            kind = column.dtype if column.dtype != object else type(column[~column.map(_plain)].iloc[0]).__name__
            raise ValueError(
                f"{path.name}: column {name} is {kind}, which {row.driver} cannot hold: drop or convert it"
            )
    if row.lonlat and not found.crs.equals("EPSG:4326"):
        said.append(f"{path.name}: lon/lat on WGS 84, as RFC 7946 has it, not {found.crs.to_string()[:40]}")
    lines = found.geom_type.str.contains("Line").any()
    kind = ("Multi" if multi else "") + ("LineString" if lines else "Polygon")
    with provenance.whole(path) as temporary:
        if row.driver == "Parquet":
            found.to_parquet(temporary, compression="zstd")
        else:
            options = {"RFC7946": "YES"} if row.lonlat else {}
            found.to_file(temporary, driver=row.driver, engine="pyogrio", geometry_type=kind,
                          promote_to_multi=multi, **options)  # fmt: skip
    return said


def _plain(value) -> bool:
    """Whether a table cell of any format holds it."""
    return value is None or isinstance(value, str | int | float | bool | np.generic) or value is pd.NaT
