"""Outlines that others drew, measured: areas beside published ones, analysts beside each other, outliers with causes.

    python benchmarks/inventories.py --folder DIR [--json]

--folder holds the data as `datasets` names it (default: GLACIER_NB_DATA). Svalbard: fifteen published areas and ten
changes of length. Hochalmkees: eleven analyses from their parts, and what two analysts of one season differ by. RGI 6
around Everest and of High Mountain Asia: areas on WGS 84 over the attribute, each outlier with its cause. RGI 7 around
Hintereisferner: area and perimeter, terrain beside RGI's own with the DEM of either. Leclercq's length records: the one
glacier that MEaSUREs has too.
"""

import argparse
import json
import os
import pathlib
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import rioxarray
import shapely
import termini
import xarray as xr

from glacier_nb import attributes, change, datasets, readers, terminus, uncertainty
from glacier_nb.crs import on_globe

AREAS = {  # km2 in 1936, 1990 and 2007: Koenig et al. 2013, doi:10.21334/npolar.2013.89f430f8
    "Austre Brøggerbreen": (12.02, 10.25, 9.71),
    "Austre Lovenbreen": (7.54, 5.30, 5.01),
    "Edithbreen": (4.51, 3.76, 3.62),
    "Midtre Lovenbreen": (7.53, 5.86, 5.59),
    "Steenbreen": (1.28, 1.06, 1.00),
}
PIXEL = 30.0  # m, of the images and maps that analysts drew on
RGI6 = {"rgi6-everest": (0.005, 0.0), "rgi6-high-mountain-asia": (0.05, 200.0)}
"""Of each sample the share of the attribute from which on an area is an outlier, and by how much its outlines were
simplified, in units of EPSG:3857: vertices of High Mountain Asia are RGI's own, one in ten."""
KARALE = "450", "NSIDC-0642-172", (-36.75, 66.10)
"""In Leclercq's record, in MEaSUREs, and longitude and latitude of a place up-glacier."""


def svalbard(outlines: gpd.GeoDataFrame) -> dict:
    """`areas`: name, year, published_km2, ours_km2; `change_percent` of all from first date to last, with its bounds;
    `lengths` as `termini.lengths` has them."""
    table = change.area(outlines, pixel=PIXEL)
    ours = table[table["rgi_id"] != "region"].assign(year=table["time"].dt.year).set_index(["rgi_id", "year"])
    rows = [
        {"name": name, "year": year, "published_km2": km2, "ours_km2": round(ours["area_m2"][name, year] / 1e6, 4)}
        for name, areas in AREAS.items()
        for year, km2 in zip((1936, 1990, 2007), areas, strict=True)
    ]
    last = table.iloc[-1]
    before = last["area_m2"] - last["change_m2"]
    bounds = [round(float(100 * last[f"change_{one}m2"] / before), 2) for one in ("", "lower_", "upper_")]
    return {"areas": rows, "change_percent": bounds, "lengths": termini.lengths(outlines)}


def analysts(outlines: gpd.GeoDataFrame) -> dict:
    """`analyses` of one glacier (analysis, date, published_km2, ours_km2), and the `seasons` of which there are two.

    differ_percent: of the mean of the two areas. buffer_pixels: by how many pixels either margin would lie aside if all
    of that were width; half a pixel is what intervals take, and interval_percent what that comes to, of a difference
    (`systematic` 0: two people).
    """
    flat = outlines.to_crs(outlines.estimate_utm_crs())
    area, around = (np.array(one) for one in zip(*map(on_globe, outlines.to_crs(4326).geometry),
                                                 strict=True))  # fmt: skip
    half = uncertainty.area_interval(flat.geometry, PIXEL, margin=around).eval("upper_m2 - area_m2")
    days = attributes.iso(outlines["time"]).str[:10]
    rows = pd.DataFrame({"analysis": outlines["analysis"].astype(int), "date": days,
                         "published_km2": outlines["area_km2"], "ours_km2": (area / 1e6).round(6)})  # fmt: skip
    seasons = []
    for year, two in rows.groupby(rows["date"].str[:4]).groups.items():
        if len(two) == 2:
            differ, mean = np.ptp(area[two]), area[two].mean()
            reach = uncertainty.combine(half[two], systematic=0)
            found = {"differ_percent": 100 * differ / mean, "interval_percent": 100 * reach / mean}
            found |= {"buffer_pixels": differ / around[two].mean() / PIXEL}
            seasons.append({"year": int(year), **{name: round(float(value), 2) for name, value in found.items()}})
    return {"analyses": termini.plain(rows), "seasons": seasons}


def ratios(inventory: gpd.GeoDataFrame, off: float, cut: float = 0.0) -> dict:
    """Area on WGS 84 over the attribute area_km2: n, `mean`, `std`, ratio of the `sums`, and the `outliers` by `cause`.

    An outlier is off by more than the share `off`. It is rounding, where the difference is within half of the
    attribute's last of three decimals; simplification, where the whole margin moved by `cut` would move as much.
    """
    told = inventory["area_km2"].to_numpy(dtype=float)
    shapes = inventory.assign(geometry=inventory.geometry.make_valid())
    found = attributes.measures(shapes.drop(columns="area_km2"))
    ratio, differ = found["area_km2"].to_numpy() / told, np.abs(found["area_km2"].to_numpy() - told)
    reach = cut * np.cos(np.radians(found["cenlat"])) * found["perimeter_m"] / 1e6
    causes = [(differ <= 0.0005 + 1e-4 * told, "the attribute's three decimals"),
              (differ <= reach, "outline simplified")]  # fmt: skip
    cause = np.select(*zip(*causes, strict=True), "unknown")
    apart = found["perimeter_m"] / shapely.get_num_coordinates(found.geometry.array)
    rows = pd.DataFrame({"rgi_id": found["rgi_id"], "attribute_km2": told, "ours_km2": found["area_km2"].round(4),
                         "ratio": ratio.round(4), "m_between_vertices": apart.round(), "cause": cause})  # fmt: skip
    outliers = rows[np.abs(ratio - 1) > off].sort_values("ratio")
    return {
        "n": len(rows), "mean": round(float(ratio.mean()), 5), "std": round(float(ratio.std()), 5),
        "sums": round(float(found["area_km2"].sum() / told.sum()), 5), "off": off,
        "outliers": termini.plain(outliers),
    }  # fmt: skip


def rgi7(folder: pathlib.Path) -> dict:
    """RGI 7 around Hintereisferner: `areas` and `perimeters`, ours over RGI's, and `terrain` of each glacier beside it.

    RGI lists no perimeters of glaciers, but the lengths of what neighbours share; `projected` is the perimeter over the
    one in the glacier's UTM zone. Terrain is of those that the SRTM holds whole.
    """
    own = readers.inventory(folder / "rgi7" / "rgi7g_hef_complex.shp")
    raw = gpd.read_file(folder / "rgi7" / "rgi7g_hef_complex.shp").set_index("rgi_id")
    globe, shared = pyproj.Geod(ellps="WGS84"), gpd.read_file(folder / "rgi7" / "rgi7g_hef_intersects.shp")
    edges = [
        globe.geometry_length(shapely.intersection(raw.geometry[one.rgi_g_id_1].boundary, one.geometry.buffer(1e-7)))
        for one in shared.to_crs(4326).itertuples()
    ]
    dem = rioxarray.open_rasterio(folder / "hef_srtm.tif", masked=True).squeeze("band", drop=True)
    dem = dem.astype("float32").rio.reproject(
        f"EPSG:{32600 + int(raw['utm_zone'].iloc[0])}", resolution=30, resampling=1
    )
    place = {"y": dem.y, "x": dem.x}
    ground = xr.DataArray(dem.values, place, ("y", "x"), attrs={"time": "2000-02-11"})
    ground = ground.odc.assign_crs(str(dem.rio.crs))
    left, bottom, right, top = ground.odc.geobox.boundingbox.bbox
    inside = own.to_crs(str(dem.rio.crs)).within(shapely.box(left, bottom, right, top))
    found = attributes.attributes(own[inside], ground, dem_source="SRTM 90 m, 2000", progress=False)
    found = found[found["dem_seen"] > 0.999]
    table = attributes.beside(found, raw.reset_index())
    table = table[table["dem_ours"] != ""]
    by = table.groupby("attribute", sort=False)
    terrain = by["difference"].agg(n="size", median="median", least="min", most="max").round(2)
    dems = by[["dem_ours", "dem_theirs"]].agg(lambda names: ", ".join(sorted(set(names))))
    hef = table[table["rgi_id"] == "RGI2000-v7.0-G-11-03116"].set_index("attribute")[["ours", "theirs"]].round(1)
    measured = attributes.measures(own.drop(columns="area_km2"))
    projected = measured["perimeter_m"].to_numpy() / own.to_crs(str(dem.rio.crs)).length.to_numpy()
    return {
        "n": len(own), "areas": spread(measured["area_km2"].to_numpy() / own["area_km2"].to_numpy()),
        "perimeters": {"shared": spread(np.array(edges) / shared["length_m"].to_numpy()),
                       "projected": spread(projected)},
        "terrain": termini.plain(terrain.join(dems).join(hef.add_suffix("_hintereisferner")).reset_index()),
    }  # fmt: skip


def spread(ratio: np.ndarray) -> list[float]:
    """Least, mean and greatest."""
    return [round(float(value), 5) for value in (ratio.min(), ratio.mean(), ratio.max())]


def karale(lengths: pd.DataFrame, fronts: gpd.GeoDataFrame) -> dict:
    """Change of length from 2000 to 2010 in m: `published` in Leclercq's record, and of MEaSUREs' winters by method."""
    record, name, inland = KARALE
    told = lengths[lengths["glacier_id"] == record].set_index("time")["position_m"]
    mine = fronts[fronts["rgi_id"] == name]
    head = gpd.GeoSeries.from_xy([inland[0]], [inland[1]], crs=4326).to_crs(mine.crs)
    upglacier = tuple(head.get_coordinates().iloc[0])
    box, line = terminus.draw_box(mine, upglacier), terminus.draw_centreline(mine, upglacier)
    years = (mine["time"] - pd.Timestamp("2000-07-01")) / pd.Timedelta(days=365.25)
    ours = {}
    for method in ("box", "multi-centreline", "centreline"):
        found = terminus.positions(mine, method, box=box, centreline=line, upglacier=upglacier, pixel=20.0)
        at = np.interp([years.min(), 10], years, found["position_m"])  # the first winter is that of 2000/01
        ours[method] = round(float(at[1] - at[0]), 1)
    return {"published": float(told["2010-07-01"] - told["2000-07-01"]), "ours": ours}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=pathlib.Path, help="of the data (default: GLACIER_NB_DATA)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    folder = asked.folder or os.environ.get(datasets.FOLDER)
    try:
        found = {
            "svalbard": svalbard(datasets.read("svalbard-1936-2007", folder)),
            "hochalmkees": analysts(datasets.read("glims-hochalmkees", folder)),
            "rgi6": {name: ratios(datasets.read(name, folder), *row) for name, row in RGI6.items()},
            "rgi7": rgi7(datasets.place("rgi7-hintereisferner", folder).parents[1]),
            "leclercq": karale(*(datasets.read(name, folder) for name in ("leclercq-lengths", "measures-termini"))),
        }
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        sys.exit(str(error).splitlines()[0])
    if asked.json:
        print(json.dumps(found, ensure_ascii=False))
        return
    ice, seasons = found["svalbard"], found["hochalmkees"]
    rows = {"Svalbard, areas": ice["areas"], "Svalbard, changes of length": ice["lengths"],
            "Hochalmkees": seasons["analyses"], "two analysts in one season": seasons["seasons"],
            "RGI 7 around Hintereisferner, ours less RGI's": found["rgi7"]["terrain"]}  # fmt: skip
    rows |= {f"{name}, outliers": one.pop("outliers") for name, one in found["rgi6"].items()}
    for title, table in rows.items():
        print(f"{title}\n{pd.DataFrame(table).to_string(index=False)}\n")
    print(pd.DataFrame(found["rgi6"]).T.to_string())
    print({name: found["rgi7"][name] for name in ("n", "areas", "perimeters")})
    print("Karale, 2000 to 2010, m:", found["leclercq"])


if __name__ == "__main__":
    main()
