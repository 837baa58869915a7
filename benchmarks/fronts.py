"""How far the fronts in any file moved along a centreline: by every method, refusals with reasons, trend and season.

    python benchmarks/fronts.py --fronts FILE --centreline FILE --box-width M [--pixel M] [--crs CODE] [--json]

Fronts: lines with a date (a column such as time, date, Date, src_date or year) and, where there are several glaciers,
a column rgi_id or GlacierID; or MEaSUREs termini (NSIDC-0642), a file termini_*.shp or their folder, with rgi_id
NSIDC-0642-GlacierID. Centreline: one line, or one per rgi_id, drawn from up-glacier to down-glacier; it gives the
sign: advance positive, retreat negative. Boxes and lines lie along it, across the given width.
"""

import argparse
import json
import pathlib
import sys

import geopandas as gpd
import pandas as pd

from glacier_nb import crs, fluctuations, readers, regions, terminus

DATES = ("time", "date", "datetime", "src_date", "img_date", "acq_date", "date_", "year")
NAMES = ("rgi_id", "glacierid", "glacier_id")


def table(path: pathlib.Path, code: str | None) -> gpd.GeoDataFrame:
    """A vector file with a CRS; ValueError where it has none and none is given."""
    path = readers.there(path)
    frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    frame = frame if frame.crs is not None or code is None else frame.set_crs(code)
    if frame.crs is None:
        raise ValueError(f"{path.name} has no CRS: give it with --crs, as EPSG:3413")
    return frame


def metric(frame: gpd.GeoDataFrame) -> str:
    """The CRS to measure in: the frame's own if it is in metres and no web map, else the one that regions take."""
    try:
        crs.metres(frame)
    except ValueError:
        return regions.place(frame).crs
    return str(frame.crs)


def fronts(path: pathlib.Path, code: str | None) -> gpd.GeoDataFrame:
    """Dated fronts: rgi_id, time, geometry; the parts of one date and glacier are one front."""
    winters = path.is_dir() or path.match("termini_*.shp")  # which give the stretch that their images are from
    frame = readers.measures(path) if winters else table(path, code)
    known = {column.lower(): column for column in frame.columns}
    named, found = (next((known[name] for name in names if name in known), None) for names in (NAMES, DATES))
    if found is None:
        raise ValueError(f"{path.name} has no date among {', '.join(map(str, frame.columns))}: call one column time")
    ids = path.stem if named is None else frame[named].map(str, na_action="ignore")
    out = gpd.GeoDataFrame(
        {"rgi_id": ids, "time": readers.dates(frame[found])}, geometry=frame.geometry.to_numpy(), crs=frame.crs
    )
    if out["time"].isna().any():
        raise ValueError(f"{path.name}: {frame[found][out['time'].isna()].iloc[0]!r} in {found} is no date")
    return out.to_crs(metric(out)).dissolve(["rgi_id", "time"], dropna=False).reset_index()


def measure(lines: gpd.GeoDataFrame, centreline: gpd.GeoDataFrame, width: float, pixel: float) -> dict:
    """`n` fronts, how many each method `used`, which were `refused` and why, the `series` of each method.

    Beside them `agreement`, the correlation of each pair of methods, and `trends`, as `fluctuations.cycle` has them.
    """
    centreline = centreline.to_crs(lines.crs)
    along = centreline if "rgi_id" in centreline else centreline.geometry.iloc[0]
    used, refused, series, tables = {}, [], {}, []
    columns = ["position_m", "width_m", "swept_area_m2", "rate_m_a", "uncertainty_m"]
    errors = ["pixel_error_m", "georeferencing_error_m", "method_error_m"]
    for row in terminus.METHODS:
        apart = min(row.spacing, width / 10) if row.spacing else None
        try:
            found = terminus.positions(lines, row.name, centreline=along, width=width, pixel=pixel, spacing=apart)
        except ValueError as error:  # no glacier has what this method needs
            found = lines[["rgi_id", "time"]].assign(**dict.fromkeys([*columns, *errors], float("nan")))
            found = found.assign(method=row.name, note=f"refused: {error}")
        tables.append(found)
        found = found.assign(time=found["time"].dt.strftime("%Y-%m-%d"))
        good = found["position_m"].notna()
        used[row.name] = int(good.sum())
        refused += [
            {"method": row.name, "rgi_id": no.rgi_id, "time": no.time, "reason": no.note.removeprefix("refused: ")}
            for no in found[~good].itertuples()
        ]
        series[row.name] = plain(found.loc[good, ["rgi_id", "time", *columns, *errors]])
    if not any(used.values()):
        raise ValueError(refused[0]["reason"] if refused else "no front to measure")
    agreement = terminus.agreement(tables)
    trends = fluctuations.cycle(pd.concat([fluctuations.screened(table) for table in tables], ignore_index=True))
    found = {"n": len(lines), "used": used, "refused": refused, "series": series}
    return found | {"agreement": plain(agreement), "trends": plain(trends)}


def plain(frame: pd.DataFrame) -> list[dict]:
    """Rows for JSON: what is not known is null."""
    rows = frame.astype(object)
    return rows.where(rows.notna(), None).to_dict("records")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fronts", type=pathlib.Path, required=True, help="lines with a date")
    parser.add_argument("--centreline", type=pathlib.Path, required=True, help="from up-glacier to down-glacier")
    parser.add_argument("--box-width", type=float, required=True, help="metres across the flow")
    parser.add_argument("--pixel", type=float, default=30.0, help="of the images traced from, in metres (30)")
    parser.add_argument("--crs", help="of files that do not say, as EPSG:3413")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    try:
        found = measure(
            fronts(asked.fronts, asked.crs), table(asked.centreline, asked.crs), asked.box_width, asked.pixel
        )
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        sys.exit(str(error).splitlines()[0])
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{found['n']} fronts")
    for method, rows in found["series"].items():
        print(f"{method}: {found['used'][method]} used")
        if rows:
            print(pd.DataFrame(rows).groupby("rgi_id").tail(1).to_string(index=False, float_format="{:,.1f}".format))
    print(pd.DataFrame(found["agreement"]).to_string(index=False, float_format="{:,.4f}".format))
    for one in found["refused"]:
        print(f"refused by {one['method']}: {one['rgi_id']} {one['time']}: {one['reason']}")


if __name__ == "__main__":
    main()
