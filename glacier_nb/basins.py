"""Whose ice it is, and when: outlines cut by ice divides, a glacier's parts, names for new ice, outlines of a day.

Without a source, plain or ours: `split`, `overlaps`, `valid`, `gather`, `abreast`, `at`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from glacier_nb import corrections, rims
from glacier_nb.crs import metres, scale

LEAST = 10_000.0
"""Smallest glacier (m2) that RGI and GLIMS list: 0.01 km2."""

THREADS = 4
"""Of GEOS, which lets go of Python while it cuts; on fewer cores they take turns."""


def split(outlines: gpd.GeoDataFrame, divides: gpd.GeoDataFrame, margins: np.ndarray | None = None) -> gpd.GeoDataFrame:
    """Outlines cut by ice divides: one row per basin and date, all its parts together, so each glacier keeps its id.

    A tributary that came loose from its trunk is no new glacier here: it stays in the row, and so in the area, of the
    inventory's glacier; `parts` gives it a row of its own. Columns rgi_id, then time, system, sensor and pixel_m (where
    `outlines` has them), geometry, area_m2, margin_m: the length of ice margin, which a divide is not (`margins`: the
    lines that count; default: all boundaries), parent_rgi_id: the inventory's glacier (that of `divides`, else rgi_id).
    Ice in no basin is left out, attrs["outside_m2"]; where basins overlap, as inventories do by slivers, it is the
    first one's alone in the order of `divides`, attrs["overlap_m2"] (both m2 of the map). What was drawn by hand
    (column `edited`, see edits.apply) keeps its shape and id, and is none of its neighbours'. Raises ValueError on
    degrees, LookupError without rgi_id.
    """
    if "rgi_id" not in divides:
        raise LookupError(f"divides lack rgi_id among {list(divides.columns)}: rename the column of glacier ids")
    metres(outlines)
    if "edited" in outlines and outlines["edited"].any():
        return _with_drawn(outlines, divides, margins)
    basins, shapes = valid(divides.to_crs(outlines.crs).geometry), valid(outlines.geometry)
    shapely.prepare(basins)
    i, j = shapely.STRtree(basins).query(shapes)
    met = shapely.intersects(basins[j], shapes[i])  # asked of basins, which are prepared, and few
    i, j = i[met], j[met]
    late, lost = overlaps(basins, np.unique(j))
    basins[late] = abreast(shapely.difference, basins[late], lost)
    shapely.prepare(basins[late])
    twice = np.full(len(basins), shapely.MultiPolygon(), dtype=object)
    twice[late] = lost
    again = np.isin(j, late)
    overlap = float(shapely.area(shapely.intersection(twice[j[again]], shapes[i[again]])).sum())
    cut = ~shapely.covers(basins[j], shapes[i])
    pieces = shapes[i]
    pieces[cut] = abreast(shapely.intersection, pieces[cut], basins[j[cut]])
    real = shapely.area(pieces) > 0.01  # m2: less is what rounding leaves along a shared divide
    i, j, pieces = i[real], j[real], pieces[real]
    edges = rims.lengths(shapes, basins, i, j, pieces, margins)
    carried = [name for name in ("time", "system", "sensor", "pixel_m") if name in outlines]
    key = outlines[carried].iloc[i].reset_index(drop=True)
    key.insert(0, "rgi_id", divides.rgi_id.to_numpy()[j])
    group = key.groupby(["rgi_id", *carried], dropna=False).ngroup().to_numpy()
    first = np.unique(group, return_index=True)[1]
    frame = gpd.GeoDataFrame(key.iloc[first].reset_index(drop=True), geometry=gather(pieces, group), crs=outlines.crs)
    ground = scale(frame)
    frame["area_m2"] = frame.area / ground
    frame["margin_m"] = np.bincount(group, edges, len(frame)) / np.sqrt(ground)
    frame["parent_rgi_id"] = divides.get("parent_rgi_id", divides.rgi_id).to_numpy()[j[first]]
    frame.attrs["outside_m2"] = max(float(shapely.area(shapes).sum() - shapely.area(pieces).sum()), 0.0)
    frame.attrs["overlap_m2"] = overlap
    return frame


def overlaps(basins: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the polygons at `among` (positions, rising) overlap an earlier one of them, and the ground they share.

    Less than 0.01 m2 is rounding.

    >>> late, shared = overlaps(shapely.box([0, 8, 20], 0, [10, 20, 30], 1), np.arange(3))
    >>> late.tolist(), shapely.area(shared).tolist()
    ([1], [2.0])
    """
    some = basins[among]
    late, early = shapely.STRtree(some).query(some)
    west, south, east, north = shapely.bounds(some).T
    wide = np.minimum(east[late], east[early]) - np.maximum(west[late], west[early])
    tall = np.minimum(north[late], north[early]) - np.maximum(south[late], south[early])
    near = (early < late) & (wide > 0) & (tall > 0) & (wide * tall > 0.01)  # boxes that only touch share nothing
    late, early = late[near], early[near]
    met = shapely.intersects(some[early], some[late])
    late, early = late[met], early[met]
    shared = abreast(shapely.intersection, some[late], some[early])
    real = shapely.area(shared) > 0.01
    which, group = np.unique(late[real], return_inverse=True)
    return among[which], gather(shared[real], group)


def _with_drawn(outlines: gpd.GeoDataFrame, divides: gpd.GeoDataFrame, margins: np.ndarray | None) -> gpd.GeoDataFrame:
    """`split` of outlines some of which were drawn by hand."""
    by_hand = outlines["edited"].to_numpy(dtype=bool)
    carried = [name for name in ("time", "system", "sensor", "pixel_m") if name in outlines]
    drawn, rest = outlines[by_hand], outlines[~by_hand].drop(columns="edited")
    key = [name for name in ("time", "system") if name in outlines]
    for _, some in drawn.groupby(key or by_hand[by_hand]):
        same = np.logical_and.reduce([np.full(len(rest), True), *(rest[name] == some[name].iloc[0] for name in key)])
        rest.loc[same, rest.geometry.name] = rest.geometry[same].difference(some.union_all())
    frame = split(rest, divides, None if margins is None else margins[~by_hand])
    parents = divides.get("parent_rgi_id", divides.rgi_id).set_axis(divides.rgi_id)
    drawn = drawn[~drawn.is_empty][["rgi_id", *carried]].set_geometry(
        drawn.geometry[~drawn.is_empty].rename("geometry")
    )
    ground = scale(drawn)
    drawn = drawn.assign(
        area_m2=drawn.area / ground, margin_m=drawn.length / np.sqrt(ground),
        parent_rgi_id=drawn["rgi_id"].map(parents[~parents.index.duplicated()]).fillna(drawn["rgi_id"]),
    )  # fmt: skip
    both = pd.concat([frame, drawn], ignore_index=True) if len(drawn) else frame
    both = both.sort_values(["rgi_id", *carried], kind="stable", ignore_index=True)
    both.attrs = dict(frame.attrs)
    return both


def parts(outlines: gpd.GeoDataFrame, min_area: float = LEAST) -> gpd.GeoDataFrame:
    """Each body of ice as a row, as RGI and GLIMS list glaciers: what came loose has an id and names its parent.

    Of a glacier's bodies the largest keeps rgi_id, with those under `min_area` (m2); each other one is named by its
    place, as GLIMS does with the parts of a glacier that broke up (an id that does not carry over to another date).
    parent_rgi_id is the inventory's glacier, the same for all of them and at every date: with
    `found.assign(rgi_id=found.parent_rgi_id)` the parts are one glacier again to `change.area`.

    `outlines` (rgi_id, geometry) in a projected CRS. Columns as there, area_m2 anew, margin_m by each body's share of
    the glacier's edge. Raises ValueError on degrees, LookupError without rgi_id.
    """
    if "rgi_id" not in outlines:
        raise LookupError(f"outlines lack rgi_id among {list(outlines.columns)}: rename the column of glacier ids")
    metres(outlines)
    bodies, row = shapely.get_parts(valid(outlines.geometry), return_index=True)
    order = np.lexsort((-shapely.area(bodies), row))
    bodies, row = bodies[order], row[order]
    main = np.r_[True, row[1:] != row[:-1]][: len(row)]
    loose = ~main & (shapely.area(bodies) / scale(outlines)[row] >= min_area)
    group = np.cumsum(main | loose) - 1
    group[~main & ~loose] = group[main][np.searchsorted(row[main], row[~main & ~loose])]
    row, loose = row[main | loose], loose[main | loose]
    frame = gpd.GeoDataFrame(outlines.iloc[row].drop(columns=outlines.geometry.name).reset_index(drop=True),
                             geometry=gather(bodies, group), crs=outlines.crs)  # fmt: skip
    known = frame.get("parent_rgi_id", pd.Series("", frame.index)).fillna("")
    frame["parent_rgi_id"] = known.where(known != "", frame.rgi_id)
    ground = scale(frame)
    frame["area_m2"] = frame.area / ground
    if "margin_m" in frame:
        around = shapely.length(shapely.boundary(frame.geometry.to_numpy()))
        frame["margin_m"] *= around / np.bincount(row, around)[row]
    frame.loc[loose, "rgi_id"] = named(frame[loose])
    return frame


def named(frame: gpd.GeoDataFrame) -> list[str]:
    """Ids by place, as GLIMS writes them (G, degrees east and north in thousandths).

    Those that share one at one date, by one system, end in -2, -3 ...
    """
    points = gpd.GeoSeries(frame.representative_point(), crs=frame.crs).to_crs(4326)
    lon, lat = np.rint(points.x % 360 * 1000).astype(int) % 360_000, np.rint(points.y * 1000).astype(int)
    ids = [f"G{e:06d}E{abs(n):05d}{'NS'[n < 0]}" for e, n in zip(lon, lat, strict=True)]
    ids = pd.Series(ids, frame.index, dtype=str)
    alike = ids.groupby([ids, *(frame[name] for name in ("time", "system") if name in frame)], dropna=False)
    return [f"{name}-{n + 1}" if n else name for name, n in zip(ids, alike.cumcount(), strict=True)]


def valid(shapes: gpd.GeoSeries | np.ndarray) -> np.ndarray:
    """Geometries as an array with each invalid or mixed one made polygons again."""
    shapes = np.array(shapes, dtype=object)
    wrong = ~abreast(shapely.is_valid, shapes) | ~np.isin(shapely.get_type_id(shapes), (3, 6))
    shapes[wrong] = gather(shapely.make_valid(shapes[wrong]), np.arange(wrong.sum()))
    return shapes


def gather(shapes: np.ndarray, group: np.ndarray) -> np.ndarray:
    """One MultiPolygon per group, numbered from 0 without gaps, of all polygons among its shapes."""
    gathered = np.full(group.max() + 1 if len(group) else 0, shapely.MultiPolygon(), dtype=object)
    parts, i = shapely.get_parts(shapes, return_index=True)
    group = group[i]
    if (shapely.get_type_id(parts) > 3).any():  # a collection may hold multipolygons
        parts, k = shapely.get_parts(parts, return_index=True)
        group = group[k]
    area = shapely.get_type_id(parts) == 3
    parts, group = parts[area], group[area]
    order = np.argsort(group, kind="stable")
    which, index = np.unique(group[order], return_inverse=True)
    gathered[which] = shapely.multipolygons(parts[order], indices=index)
    for at in np.flatnonzero(~abreast(shapely.is_valid, gathered)):  # parts that share an edge
        gathered[at] = shapely.union_all(shapely.get_parts(gathered[at]))
    return gathered


def abreast(function: Callable[..., np.ndarray], *shapes: np.ndarray) -> np.ndarray:
    """What a function of shapely gives for arrays of geometries, equal parts of them at the same time."""
    if len(shapes[0]) < 1000:
        return function(*shapes)
    with ThreadPoolExecutor(THREADS) as pool:
        return np.concatenate(list(pool.map(function, *(np.array_split(one, THREADS) for one in shapes))))


def at(outlines: gpd.GeoDataFrame, day: str) -> gpd.GeoDataFrame:
    """Those of the outlines (rgi_id, time) that hold for a day (ISO date).

    Of a series, in which a date holds most glaciers that have a date, the date nearest to it: what had gone by then is
    gone. Else each glacier's own nearest date. Outlines without time hold for any day, but where their glacier has
    outlines with one.

    >>> one = gpd.GeoDataFrame({"rgi_id": list("aab"), "time": pd.to_datetime(["2000", "2010", "2000"])},
    ...                        geometry=[shapely.Point(0, 0)] * 3)
    >>> at(one, "2001-08-01")["rgi_id"].tolist(), at(one, "2009-08-01")["rgi_id"].tolist()
    (['a', 'b'], ['a'])
    """
    if "time" not in outlines or outlines["time"].isna().all():
        return outlines
    outlines = outlines.reset_index(drop=True)
    days = corrections.naive(outlines["time"])
    away, ids = (days - pd.Timestamp(day).tz_localize(None)).abs(), outlines["rgi_id"]
    dated = days.notna()
    always = ~dated & ~ids.isin(ids[dated])
    whole = 2 * days.groupby(days).transform("size") >= ids[dated].nunique()
    if whole.any():
        return outlines[always | (days == days[away.where(whole).idxmin()])]
    nearest = away[dated].groupby(ids[dated]).idxmin()
    return outlines.loc[[*nearest, *outlines.index[always]]]
