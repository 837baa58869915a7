"""Termini that others traced, measured by every method of ours: agreement, greatest retreats, lengths beside published.

    python benchmarks/termini.py --folder DIR [--retreats 10] [--json]

--folder holds the data as `datasets` names it (default: GLACIER_NB_DATA). Harald Moltke Bræ: 159 fronts through every
migration method, the correlation of each pair, and why a single line agrees less. MEaSUREs: the rate of each of some
200 glaciers of Greenland, of files of both schemas, and the greatest retreats; the ice sheet's crest tells which way is
up-glacier. Svalbard: how far five glaciers drew back along a line of 1936, beside their published lengths.
"""

import argparse
import json
import os
import pathlib
import sys

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox

from glacier_nb import attributes, datasets, fluctuations, readers, terminus

UPGLACIER = (-558_000.0, -1_351_000.0)  # EPSG:3413; up the trunk of Harald Moltke Bræ, south-east of its box
CREST = (
    [(-44.8, 62.5), (-44.5, 63.5), (-45.0, 66.5), (-38.46, 72.58), (-42.3, 75.1), (-51.0, 77.45)],
    [(-42.3, 75.1), (-40.0, 78.5)],
)
"""Longitude and latitude: South Dome, the saddle, Summit, NorthGRIP, NEEM; and from NorthGRIP to the north."""
SEAWARD = 0.3
"""Least cosine between a box and the way from the crest: along the coast the crest tells nothing."""


def moltke(fronts: gpd.GeoDataFrame, box: gpd.GeoDataFrame) -> dict:
    """`n` fronts, how many each method `used`, the `correlations` of each pair, single `lines` across the box, `why`.

    lines: correlation with the box of each line across it alone, and how far apart the lines' positions stand (median
    over dates of their standard deviation), beside the median uncertainty of one position by the box.
    """
    tables = [
        terminus.positions(fronts, row.name, box=box, upglacier=UPGLACIER, pixel=30.0) for row in terminus.METHODS
    ]
    used = {table["method"].iloc[0]: int(table["position_m"].notna().sum()) for table in tables}
    pairs = terminus.agreement(tables).round({"r": 5, "rms_m": 1})
    across = terminus.across(fronts, "transects", box=box, upglacier=UPGLACIER, pixel=30.0)
    wide = across.pivot_table("position_m", "time", "offset_m").interpolate(limit_direction="both")
    alone = wide.corrwith(tables[0].set_index("time")["position_m"])
    lines = {
        "n": len(alone),
        "r_least": round(float(alone.min()), 4),
        "r_most": round(float(alone.max()), 4),
        "apart_m": round(float(wide.std(axis=1).median()), 1),
        "uncertainty_m": round(float(tables[0]["uncertainty_m"].median()), 1),
    }
    why = (
        f"A single centreline sees one place of an uneven front: {lines['n']} lines across the box, each alone, agree"
        f" with the box at r = {lines['r_least']:.2f} to {lines['r_most']:.3f}; on a date their positions differ by"
        f" {lines['apart_m']:.0f} m (standard deviation), while a position by the box is sure to"
        f" {lines['uncertainty_m']:.0f} m."
    )
    return {"n": len(fronts), "used": used, "correlations": plain(pairs), "lines": lines, "why": why}


def upglacier(fronts: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The point of the ice sheet's crest nearest to each glacier's fronts: rgi_id, geometry."""
    crest = gpd.GeoSeries([shapely.MultiLineString(CREST)], crs=4326).to_crs(fronts.crs).item()
    middle = fronts.dissolve("rgi_id").centroid
    nearest = shapely.get_point(shapely.shortest_line(crest, middle.to_numpy()), 0)
    return gpd.GeoDataFrame({"rgi_id": middle.index}, geometry=nearest, crs=fronts.crs)


def greenland(fronts: gpd.GeoDataFrame, count: int = 10) -> dict:
    """`rates` of all glaciers that a box drawn from their fronts can measure, the `count` greatest `retreats` of them.

    Of how many `fronts` and `glaciers`, how many fronts are dated by a range and by a day (the two schemas), how many
    rated glaciers have fronts of both, and those `left_out`, with the reason.
    """
    heads = upglacier(fronts)
    boxes = terminus.draw_box(fronts, heads).set_index("rgi_id")
    left = {name: why for name, why in boxes["note"].items() if why}
    drawn = boxes.index[boxes["note"] == ""]
    corners = shapely.get_coordinates(boxes.loc[drawn, "geometry"]).reshape(-1, 5, 2)
    axis = corners[:, 2] - corners[:, 1]
    out = [shapely.get_coordinates(one.set_index("rgi_id").geometry.loc[drawn].centroid)
           for one in (fronts.dissolve("rgi_id").reset_index(), heads)]  # fmt: skip
    seaward = out[0] - out[1]
    cosine = (axis * seaward).sum(axis=1) / np.linalg.norm(axis, axis=1) / np.linalg.norm(seaward, axis=1)
    left |= dict.fromkeys(drawn[cosine <= SEAWARD], "flows along the coast: the crest does not tell which way")
    sure = drawn[cosine > SEAWARD]
    used = fronts[fronts["rgi_id"].isin(sure)]
    found = terminus.positions(used, "box", box=boxes.loc[sure].reset_index(), upglacier=heads, pixel=20.0)
    rates = fluctuations.rates(found)
    for name in sorted(set(sure) - set(rates["rgi_id"])):
        said = found.loc[(found["rgi_id"] == name) & (found["note"] != ""), "note"]
        left[name] = said.iloc[0].removeprefix("refused: ") if len(said) else "a single front"
    names = fronts.dropna(subset="name").groupby("rgi_id")["name"].last()
    days = {name: rates[name].dt.strftime("%Y-%m-%d") for name in ("first", "last")}
    rates = rates.assign(name=rates["rgi_id"].map(names).fillna(""), **days)
    numbers = ["change_m", "uncertainty_m", "rate_m_a", "lower_m_a", "upper_m_a"]
    rates = rates[["rgi_id", "name", "n", "first", "last", *numbers, "certain"]].round(dict.fromkeys(numbers, 1))
    ranged = fronts["start"] < fronts["end"]
    both = ranged.groupby(fronts["rgi_id"]).nunique() == 2
    return {
        "fronts": len(fronts), "glaciers": int(fronts["rgi_id"].nunique()), "rated": len(rates),
        "dated_by_range": int(ranged.sum()), "dated_by_day": int((~ranged).sum()),
        "rated_of_both": int(both.reindex(rates["rgi_id"]).sum()),
        "retreated": int((rates["change_m"] < 0).sum()), "certain": int(rates["certain"].sum()),
        "retreats": plain(rates.nsmallest(count, "change_m")), "rates": plain(rates), "left_out": left,
    }  # fmt: skip


def flowline(outlines: gpd.GeoDataFrame, pixel: float = 20.0) -> shapely.LineString:
    """The longest line down the earliest of a glacier's outlines to its terminus, and on for 200 m.

    Its terminus is what lies farthest from the latest outline. There is no elevation model: the distance from the
    terminus stands in for the height.
    """
    shapes = outlines.sort_values("time").geometry
    edge = shapely.points(shapely.get_coordinates(shapes.iloc[0]))
    foot = edge[np.argmax(shapely.distance(edge, shapes.iloc[-1]))]
    grid = GeoBox.from_bbox(tuple(shapes.iloc[0].buffer(5 * pixel).bounds), str(outlines.crs), resolution=pixel)
    x, y = np.meshgrid(grid.coordinates["x"].values, grid.coordinates["y"].values)
    away = odc.geo.xr.wrap_xr(np.hypot(x - foot.x, y - foot.y).astype("float32"), grid)
    line = attributes.longest(outlines.loc[[shapes.index[0]]], away, progress=False).item()
    ahead = shapely.get_coordinates([line.interpolate(-10 * pixel), shapely.Point(line.coords[-1])])
    on = ahead[1] + 200 * (ahead[1] - ahead[0]) / np.linalg.norm(ahead[1] - ahead[0])
    return shapely.LineString([*line.coords, on])


def lengths(outlines: gpd.GeoDataFrame) -> list[dict]:
    """Change of length from date to date: published_m, and ours_m, of where the outline crosses its `flowline`.

    least_m and most_m are of lines beside it, across the width that the front had at first: how uneven the retreat is.
    """
    rows = []
    for name, mine in outlines.sort_values("time").groupby("rgi_id"):
        line = flowline(mine)
        where = {"centreline": line, "upglacier": line.coords[0], "pixel": 30.0}
        rims, width = mine.assign(geometry=mine.boundary), mine["front_width_m"].iloc[0]
        steps = terminus.positions(rims, "centreline", **where)["position_m"].diff()
        beside = terminus.across(rims, "multi-centreline", **where, width=width, spacing=width / 8)
        beside = beside.pivot(index="time", columns="offset_m", values="position_m").diff()
        years = mine["time"].dt.year.to_numpy()
        for n, known in enumerate(mine["length_m"].diff().iloc[1:], start=1):
            numbers = {"published_m": known, "ours_m": steps.iloc[n]}
            numbers |= {"least_m": beside.iloc[n].max(), "most_m": beside.iloc[n].min()}
            numbers = {key: round(float(value), 1) for key, value in numbers.items()}
            rows.append({"name": name, "from": int(years[n - 1]), "to": int(years[n]), **numbers})
    return rows


def plain(frame: pd.DataFrame) -> list[dict]:
    """Rows for JSON: what is not known is null."""
    rows = frame.astype(object)
    return rows.where(rows.notna(), None).to_dict("records")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=pathlib.Path, help="of the data (default: GLACIER_NB_DATA)")
    parser.add_argument("--retreats", type=int, default=10, help="how many of the greatest to list (10)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    folder = asked.folder or os.environ.get(datasets.FOLDER)
    try:
        ice, termini, svalbard = (
            datasets.read(name, folder) for name in ("harald-moltke-brae", "measures-termini", "svalbard-1936-2007")
        )
        box = readers.harald_moltke_box(datasets.place("harald-moltke-box", folder))
        found = {"moltke": moltke(ice, box), "greenland": greenland(termini, asked.retreats)}
        found["svalbard"] = lengths(svalbard)
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        sys.exit(str(error).splitlines()[0])
    if asked.json:
        print(json.dumps(found, ensure_ascii=False))
        return
    one, many = found["moltke"], found["greenland"]
    pairs = pd.DataFrame(one["correlations"])
    print(f"Harald Moltke Bræ, {one['n']} fronts: correlation of the positions of each pair of methods")
    print(
        pairs.pivot(index="method_a", columns="method_b", values="r").to_string(float_format="{:.4f}".format, na_rep="")
    )
    print(one["why"])
    print(f"\nGreenland, {many['rated']} of {many['glaciers']} glaciers rated: the {asked.retreats} greatest retreats")
    print(pd.DataFrame(many["retreats"]).to_string(index=False))
    print("\nSvalbard: change of length, published and ours")
    print(pd.DataFrame(found["svalbard"]).to_string(index=False))


if __name__ == "__main__":
    main()
