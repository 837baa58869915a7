"""Any file of glacier outlines, measured: how many, how large on the ellipsoid, which were invalid, and by date.

    python benchmarks/outlines.py --outlines FILE [--crs EPSG] [--json]

Inventories (RGI 5, 6 and 7, GLIMS, national) and own files, with or without .prj; the parts of one date and analysis
are one outline, the same shape twice is left out and counted in `repeated`. `area_km2` counts each glacier once, at its
latest known date; `by_date` has the area of each date, the mean where several analysts drew one image.
"""

import argparse
import json
import pathlib
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from tqdm import tqdm

from glacier_nb import readers
from glacier_nb.crs import on_globe

NAMES = ("name", "glac_name", "glacier", "id", "fid")
DATES = ("year", "date", "datetime", "img_date")


def outlines(path: pathlib.Path, crs: str | None) -> gpd.GeoDataFrame:
    """rgi_id (or what else names a glacier in the file, else its row), time (NaT unknown), geometry."""
    try:
        return readers.inventory(path, crs=crs)
    except LookupError:
        frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    frame = frame.set_crs(crs, allow_override=True) if crs else frame
    if frame.crs is None:
        raise ValueError(f"{path.name} has no CRS and names no glaciers: give it with --crs, as EPSG:32633")
    known = {column.lower(): column for column in frame.columns}
    ids, when = (next((frame[known[n]] for n in names if n in known), None) for names in (NAMES, DATES))
    return frame[["geometry"]].assign(
        rgi_id=range(len(frame)) if ids is None else ids, time=pd.NaT if when is None else readers.dates(when)
    )


def features(path: pathlib.Path) -> int:
    """How many features the file holds, whatever became of them."""
    return len(gpd.read_parquet(path)) if path.suffix == ".parquet" else pyogrio.read_info(path)["features"]


def measure(frame: gpd.GeoDataFrame) -> dict:
    """The numbers of outlines with rgi_id and time; areas by geodesics on WGS 84."""
    wrong = ~frame.is_valid & frame.geometry.notna()
    frame = frame.assign(geometry=np.where(wrong, shapely.make_valid(frame.geometry.array), frame.geometry.array))
    frame = gpd.GeoDataFrame(frame, geometry="geometry", crs=frame.crs)
    day = pd.to_datetime(frame["time"]).dt.strftime("%Y-%m-%d").fillna("unknown")
    frame = frame.assign(day=day, analysis=frame.get("analysis", 0))
    drawn = frame[["rgi_id", "day", "analysis"]].assign(shape=shapely.to_wkb(frame.geometry.normalize().array))
    again = drawn.duplicated()
    frame = frame[~again]
    shapes = tqdm(frame.to_crs("EPSG:4326").geometry, "outlines", delay=2, leave=False, file=sys.stderr)
    frame = frame.assign(area=[on_globe(shape)[0] / 1e6 for shape in shapes])
    by = frame.groupby(["rgi_id", "day", "analysis"])["area"].sum()
    by = by.groupby(["day", "rgi_id"]).mean()  # of several analyses of one image
    latest = by.sort_index(key=lambda names: names.where(names != "unknown", ""))  # a known date is later
    return {
        "glaciers": int(frame["rgi_id"].nunique()),
        "area_km2": round(float(latest.groupby("rgi_id").last().sum()), 6),
        "invalid_fixed": int(wrong.sum()),
        "repeated": int(again.sum()),
        "by_date": by.groupby("day").sum().round(6).to_dict(),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--outlines", type=pathlib.Path, required=True, help="a vector file")
    parser.add_argument("--crs", help="of a file that does not say, as EPSG:32633 or 32633")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    crs = f"EPSG:{asked.crs}" if (asked.crs or "").isdigit() else asked.crs
    try:
        path = readers.there(asked.outlines)
        found = {"n": features(path), **measure(outlines(path, crs))}
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        sys.exit(str(error).splitlines()[0])
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{found['n']} features of {found['glaciers']} glaciers, {found['area_km2']:,.2f} km2 at their latest dates")
    print(f"{found['invalid_fixed']} were invalid and were repaired, {found['repeated']} stood there before")
    print(pd.Series(found["by_date"], name="km2").to_string(float_format="{:,.2f}".format))


if __name__ == "__main__":
    main()
