"""Outlines as rows of the Randolph Glacier Inventory: its names, units and codes, of 7.0 and of 6.0."""

import re
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd

from glacier_nb import attributes


@dataclass(frozen=True)
class Attribute:
    """An attribute of RGI 7.0: its name and units, what RGI 6.0 calls it, its kind, and what stands for unknown."""

    name: str
    kind: type = str
    units: str = ""
    rgi6: str = ""
    unknown: str | int | float = ""


ATTRIBUTES = (
    Attribute("rgi_id", rgi6="RGIId"),
    Attribute("o1region", rgi6="O1Region"),
    Attribute("o2region", rgi6="O2Region"),
    Attribute("glims_id", rgi6="GLIMSId"),
    Attribute("anlys_id", int, unknown=0),
    Attribute("subm_id", int, unknown=0),
    Attribute("src_date", rgi6="BgnDate"),
    Attribute("cenlon", float, "degrees_east", "CenLon", np.nan),
    Attribute("cenlat", float, "degrees_north", "CenLat", np.nan),
    Attribute("utm_zone", int, unknown=0),
    Attribute("area_km2", float, "km2", "Area", np.nan),
    Attribute("primeclass", int, unknown=9),
    Attribute("conn_lvl", int, rgi6="Connect", unknown=9),
    Attribute("surge_type", int, rgi6="Surging", unknown=9),
    Attribute("term_type", int, rgi6="TermType", unknown=9),
    Attribute("glac_name", rgi6="Name"),
    Attribute("is_rgi6", int, unknown=0),
    Attribute("termlon", float, "degrees_east", unknown=np.nan),
    Attribute("termlat", float, "degrees_north", unknown=np.nan),
    Attribute("zmin_m", float, "m", "Zmin", np.nan),
    Attribute("zmax_m", float, "m", "Zmax", np.nan),
    Attribute("zmed_m", float, "m", "Zmed", np.nan),
    Attribute("zmean_m", float, "m", unknown=np.nan),
    Attribute("slope_deg", float, "degrees", "Slope", np.nan),
    Attribute("aspect_deg", float, "degrees", "Aspect", np.nan),
    Attribute("aspect_sec", int, unknown=9),
    Attribute("dem_source"),
    Attribute("lmax_m", int, "m", "Lmax", -9999),
)
"""Attributes of a glacier in RGI 7.0 (doi:10.5067/f6jmovy5navz), in its order."""

RGI6 = {
    "RGIId": str, "GLIMSId": str, "BgnDate": str, "EndDate": str, "CenLon": float, "CenLat": float, "O1Region": str,
    "O2Region": str, "Area": float, "Zmin": int, "Zmax": int, "Zmed": int, "Slope": float, "Aspect": int, "Lmax": int,
    "Status": int, "Connect": int, "Form": int, "TermType": int, "Surging": int, "Linkages": int, "Name": str,
}  # fmt: skip
"""Columns of RGI 6.0 (doi:10.7265/4m1f-gd79), in its order."""


_FROM = ("glims_id", "o1region", "o2region", "glac_name", "term_type", "surge_type", "conn_lvl", "primeclass")
_TERMINI = {3: 9, 4: 9, 5: 3}  # RGI 6's dry calving, regenerated and shelf-terminating, in RGI 7's codes
_OLD = r"RGI[56]0-"


def table(outlines: gpd.GeoDataFrame, inventory: gpd.GeoDataFrame | None = None) -> gpd.GeoDataFrame:
    """`outlines` under RGI 7.0's names and units, its attributes first, their own columns after them.

    time becomes src_date (ISO text), area_m2 gives way to area_km2 on the ellipsoid; perimeter_m, cenlon, cenlat and
    utm_zone are computed; what `attributes.attributes` found stands. `inventory` (as `readers.inventory`) lends each
    glacier, by parent_rgi_id or rgi_id, what no map tells: glims_id, glac_name, term_type, o1region, o2region ...,
    RGI 6.0's codes as those of 7.0. Lines (fronts) only change names. ValueError: no CRS, or a row without geometry.
    """
    if outlines.crs is None:
        raise ValueError("outlines have no CRS: set it with .set_crs('EPSG:...')")
    bare = outlines.geometry.isna() | outlines.geometry.is_empty
    if bare.any():
        name = outlines[bare].get("rgi_id", pd.Series(["a row"])).iloc[0]
        raise ValueError(f"{name} has no geometry ({int(bare.sum())} rows): leave it out before it is written")
    found = outlines.reset_index(drop=True)
    found = found if found.geometry.name == "geometry" else found.rename_geometry("geometry")
    found["geometry"] = found.geometry.force_2d()
    if found.geom_type.isin(("Polygon", "MultiPolygon")).all():
        found = attributes.measures(found).drop(columns="area_m2", errors="ignore")
    elif "time" in found:
        found["src_date"] = attributes.iso(found["time"])
    if "rgi_id" in found:
        found = _told(found, inventory)
    for row in ATTRIBUTES:  # codes that a file gave as 9.0
        if row.kind is int and row.name in found:
            values = pd.to_numeric(found[row.name])
            found[row.name] = values.astype("int64") if (values % 1 == 0).all() else values
    order = [row.name for row in ATTRIBUTES if row.name in found]
    own = [name for name in found if name not in (*order, "time", "geometry")]
    return found[[*order, *own, "geometry"]]


def full(found: gpd.GeoDataFrame, region: str = "") -> gpd.GeoDataFrame:
    """A `table` with all attributes of RGI 7.0 and no others, each of its kind, what is unknown as RGI writes it.

    One row a glacier. `region`, "11" or "11-01", is that of glaciers whose id and inventory do not tell.
    ValueError where nothing does.
    """
    found = found.copy()
    for name, given in (("o1region", region[:2]), ("o2region", region if "-" in region else "")):
        known = found[name] if name in found else pd.Series("", found.index)
        found[name] = known.where(known != "", given)
    if (found.o1region == "").any():
        name = found.rgi_id[found.o1region == ""].iloc[0]
        raise ValueError(f"{name} does not say its RGI region: give region='11' (Central Europe; see the RGI's list)")
    found["o2region"] = found.o2region.where(found.o2region != "", found.o1region + "-00")
    for row in ATTRIBUTES:
        known = found[row.name] if row.name in found else pd.Series(row.unknown, found.index)
        known = known.where(known.notna(), row.unknown)
        found[row.name] = known.astype(float).round().astype("int64") if row.kind is int else known.astype(row.kind)
    return found[[*(row.name for row in ATTRIBUTES), "geometry"]]


def six(found: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """What `full` made, under the names and in the codes of RGI 6.0; numbers that are unknown are -9999.

    A row a glacier.
    """
    renamed = {row.rgi6: found[row.name] for row in ATTRIBUTES if row.rgi6}
    date = found.src_date.str[:10].str.replace("-", "")
    renamed |= {"BgnDate": date.where(date != "", "-9999999"), "EndDate": "-9999999"}
    renamed |= {
        "O1Region": found.o1region.str.lstrip("0"),
        "O2Region": found.o2region.str[3:].str.lstrip("0").replace("", "0"),
    }
    renamed |= {"TermType": found.term_type.replace({3: 5}), "Status": 0, "Form": 0, "Linkages": 9}
    out = gpd.GeoDataFrame(renamed, geometry=found.geometry, crs=found.crs)
    for name, kind in RGI6.items():
        values = out[name] if kind is str else out[name].astype(float).fillna(-9999)
        out[name] = values.round().astype("int64") if kind is int else values.astype(kind)
    return out[[*RGI6, "geometry"]]


def older(rgi_id: pd.Series) -> pd.Series:
    """Whether each id is of RGI 5.0 or 6.0.

    >>> older(pd.Series(["RGI60-11.00897", "RGI2000-v7.0-G-11-03116"])).tolist()
    [True, False]
    """
    return rgi_id.astype(str).str.match(_OLD)


def _told(found: gpd.GeoDataFrame, inventory: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame:
    """With what each glacier's id and the inventory tell of it, in RGI 7.0's codes; text is "" where unknown."""
    parent = found.get("parent_rgi_id", pd.Series("", found.index)).fillna("")
    parent = parent.where(parent != "", found.rgi_id).astype(str)
    told = {name: found[name] for name in _FROM if name in found}
    fresh = "time" in found and older(parent)  # not yet through here: its codes are its inventory's
    if inventory is not None:
        theirs = pd.DataFrame(inventory.drop_duplicates("rgi_id").set_index("rgi_id"))
        told |= {name: parent.map(theirs[name]) for name in _FROM if name in theirs and name not in told}
        fresh = older(parent) if "term_type" not in found else fresh
    if "term_type" in told:
        told["term_type"] = told["term_type"].where(~pd.Series(fresh, found.index), told["term_type"].replace(_TERMINI))
    row = parent.map(lambda name: re.match(r"RGI\d\d-(\d\d)\.|RGI2000-v7\.0-[GC]-(\d\d)-", name))
    by_id = row.map(lambda found: (found[1] or found[2]) if found else "")
    first = _number(told.get("o1region", by_id), "")
    told["o1region"] = first.where(first != "", by_id)
    if "o2region" in told:
        second = _number(told["o2region"].map(lambda text: str(text).rpartition("-")[2]), "")
        told["o2region"] = (told["o1region"] + "-" + second).where(second != "", "")
    for name in ("glims_id", "glac_name"):
        if name in told:
            told[name] = told[name].fillna("")
    return found.assign(**told)


def _number(values: pd.Series, unknown: str) -> pd.Series:
    """Numbers of regions, however a file wrote them, as two digits."""
    numbers = pd.to_numeric(values, errors="coerce").astype(object)  # text comes of it, of no rows too
    return numbers.map(lambda number: unknown if np.isnan(number) else f"{int(number):02d}")
