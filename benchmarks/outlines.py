"""Any file of glacier outlines, measured: how many, how large on the ellipsoid, which were invalid, and by date.

    python benchmarks/outlines.py --outlines FILE [--crs EPSG] [--json]

Inventories (RGI 5, 6 and 7, GLIMS, national) and own files, with or without .prj; the parts of one date and analysis
are one outline, the same shape twice is left out and counted in `repeated`, features without an area (lines, none) in
`left_out`. `area_km2` counts each glacier once, at its latest known date; `by_date` has the area of each date, the mean
where several analysts drew one image. Where a file names no glaciers each shape is one.
"""

import argparse
import json
import pathlib
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from tqdm import tqdm

from glacier_nb import columns, readers, vectors
from glacier_nb.crs import on_globe


def outlines(path: pathlib.Path, crs: str | None) -> tuple[gpd.GeoDataFrame, int, int]:
    """rgi_id (or what else names a glacier in the file, else its shape), time (NaT unknown), geometry; the features in
    the file, and how many of them have no area.
    """
    raw = vectors.read(path, crs=crs, kind="Polygon")
    if columns.find(raw, columns.IDS) is None:
        name = columns.find(raw, columns.NAMES)
        raw["rgi_id"] = pd.factorize(shapely.to_wkb(raw.normalize().array))[0] if name is None else raw[name]
    flat = (shapely.get_dimensions(raw.geometry.array) < 2) | raw.is_empty
    return readers.catalogued(raw, path), len(raw), int(flat.sum())


def measure(frame: gpd.GeoDataFrame) -> dict:
    """The numbers of outlines with rgi_id and time; areas by geodesics on WGS 84."""
    wrong = ~frame.is_valid & frame.geometry.notna()
    frame = frame.assign(geometry=np.where(wrong, shapely.make_valid(frame.geometry.array), frame.geometry.array))
    frame = gpd.GeoDataFrame(frame, geometry="geometry", crs=frame.crs)
    day = pd.to_datetime(frame["time"]).dt.strftime("%Y-%m-%d").fillna("unknown")
    rows = "row " + pd.Series(frame.index, frame.index).astype(str)
    frame = frame.assign(
        day=day, analysis=frame.get("analysis", 0), rgi_id=frame["rgi_id"].where(frame["rgi_id"].notna(), rows)
    )
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
    try:
        frame, n, left_out = outlines(asked.outlines, asked.crs)
        found = {"n": n, **measure(frame), "left_out": left_out}
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        sys.exit(str(error).splitlines()[0])
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{found['n']} features of {found['glaciers']} glaciers, {found['area_km2']:,.2f} km2 at their latest dates")
    print(
        f"{found['invalid_fixed']} were invalid and were repaired, {found['repeated']} stood there before, "
        f"{found['left_out']} have no area"
    )
    print(pd.Series(found["by_date"], name="km2").to_string(float_format="{:,.2f}".format))


if __name__ == "__main__":
    main()
