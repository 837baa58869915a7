"""How far the fronts in any file moved along a centreline: by every method, refusals with reasons, trend and season.

    python benchmarks/fronts.py --fronts FILE --centreline FILE --box-width M [--pixel M] [--crs CODE] [--json]

Fronts: lines with a date (a column such as time, date, Date, src_date or year) and, where there are several glaciers,
a column rgi_id or GlacierID; or MEaSUREs termini (NSIDC-0642), a file termini_0001_*.shp or their folder, with rgi_id
NSIDC-0642-GlacierID. Lines of one day and glacier are one front, of one sensor where a column tells it. Centreline: one
line, or one per rgi_id, in one piece or in rows that join, drawn from up-glacier to down-glacier; it gives the sign:
advance positive, retreat negative. Boxes and lines lie along it, across the given width.
"""

import argparse
import json
import pathlib
import sys

import geopandas as gpd
import pandas as pd
import shapely

from glacier_nb import columns, crs, fluctuations, readers, regions, terminus, vectors

NAMES = (*columns.IDS, "glacier", "glac_name", "glacname", "glacier_name", "glacier_nam", "glacier_na")


def table(path: pathlib.Path, code: str | None) -> gpd.GeoDataFrame:
    """Lines of a vector file with a CRS, `code` where it has none; ValueError where there is none, or for no lines."""
    try:
        frame = vectors.read(path, kind="LineString")
    except ValueError:
        if code is None:
            raise
        frame = vectors.read(path, crs=code, kind="LineString")
    kinds = frame.geom_type.dropna()
    if len(wrong := kinds[~kinds.isin(("LineString", "MultiLineString"))]):
        raise ValueError(f"{path.name} holds a {wrong.iloc[0]} in row {wrong.index[0]}: give lines alone")
    return frame


def named(frame: gpd.GeoDataFrame) -> pd.Series | None:
    """Each line's glacier as text, None where no column tells it."""
    name = columns.find(frame, NAMES)
    return None if name is None else frame[name].map(str, na_action="ignore").str.removesuffix(".0")


def metric(frame: gpd.GeoDataFrame) -> str:
    """The CRS to measure in: the frame's own if it is in metres and no web map, else the one that regions take."""
    try:
        crs.metres(frame)
    except ValueError:
        return regions.place(frame).crs
    return str(frame.crs)


def fronts(path: pathlib.Path, code: str | None) -> gpd.GeoDataFrame:
    """Dated fronts: rgi_id, time, geometry; the parts of one date, glacier and sensor are one front."""
    # winters of MEaSUREs give the stretch that their images are from
    winters = path.is_dir() or bool(readers.WINTER.fullmatch(path.name))
    frame = readers.measures(path) if winters else table(path, code)
    ids, (found, time) = named(frame), columns.time(frame)
    if found is None:
        raise ValueError(f"{path.name} has no date among {', '.join(map(str, frame.columns))}: call one column time")
    if time.isna().any():
        row = time.index[time.isna()][0]
        raise ValueError(f"{path.name}: {frame[found][row]!s} in {found}, row {row}, is no date: write 2001-08-03")
    sensor = columns.find(frame, columns.SENSORS)
    known = {"rgi_id": path.stem if ids is None else ids, "time": time, "sensor": frame[sensor] if sensor else ""}
    out = gpd.GeoDataFrame(known, geometry=frame.geometry.to_numpy(), crs=frame.crs)
    return out.to_crs(metric(out)).dissolve([*known], dropna=False).reset_index()


def centrelines(path: pathlib.Path, code: str | None, lines: gpd.GeoDataFrame) -> gpd.GeoDataFrame | shapely.Geometry:
    """The one centreline of all fronts in `lines`, in their CRS, or a frame of one per rgi_id."""
    frame = table(path, code).to_crs(lines.crs)
    frame = frame[shapely.length(frame.geometry.array) > 0]
    if frame.empty:
        raise ValueError(f"{path.name} holds no line: draw the centreline from up-glacier to down-glacier")
    ids, wanted = named(frame), lines["rgi_id"].dropna()
    if ids is None or (ids.nunique() == 1 and wanted.nunique() == 1):
        return frame.union_all() if len(frame) > 1 else frame.geometry.iloc[0]
    if len(wanted) and not ids.isin(wanted).any():
        raise ValueError(f"{path.name} has centrelines of {', '.join(sorted(set(ids.dropna()))[:3])}, none of"
                         f" {wanted.iloc[0]}: give both files one column of names, as rgi_id")  # fmt: skip
    return frame[["geometry"]].assign(rgi_id=ids).dissolve("rgi_id").reset_index()


def measure(
    lines: gpd.GeoDataFrame, centreline: gpd.GeoDataFrame | shapely.Geometry, width: float, pixel: float
) -> dict:
    """`n` fronts, how many each method `used`, which were `refused` and why, the `series` of each method.

    Beside them `agreement`, the correlation of each pair of methods, and `trends`, as `fluctuations.cycle` has them.
    """
    used, refused, series, tables = {}, [], {}, []
    numbers = ["position_m", "width_m", "swept_area_m2", "rate_m_a", "uncertainty_m"]
    errors = ["pixel_error_m", "georeferencing_error_m", "method_error_m"]
    for row in terminus.METHODS:
        apart = min(row.spacing, width / 10) if row.spacing else None
        try:
            found = terminus.positions(lines, row.name, centreline=centreline, width=width, pixel=pixel, spacing=apart)
        except ValueError as error:  # no glacier has what this method needs
            found = lines[["rgi_id", "time"]].assign(**dict.fromkeys([*numbers, *errors], float("nan")))
            found = found.assign(method=row.name, note=f"refused: {error}")
        tables.append(found)
        found = found.assign(time=found["time"].dt.strftime("%Y-%m-%d"))
        good = found["position_m"].notna()
        used[row.name] = int(good.sum())
        refused += [
            {"method": row.name, "rgi_id": no.rgi_id, "time": no.time, "reason": no.note.removeprefix("refused: ")}
            for no in found[~good].itertuples()
        ]
        series[row.name] = plain(found.loc[good, ["rgi_id", "time", *numbers, *errors]])
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
        lines = fronts(asked.fronts, asked.crs)
        found = measure(lines, centrelines(asked.centreline, asked.crs, lines), asked.box_width, asked.pixel)
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
