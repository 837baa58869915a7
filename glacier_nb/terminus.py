"""How far a calving front moved, by boxes, lines or a bow: advance positive, retreat negative.

The sign comes from an up-glacier reference (a point, a centreline's head), never from the order in which a front, a
box or its corners were drawn. A front that a method cannot measure is refused by name in the column `note`.

Without a source, plain or ours: `agreement`, `draw_box`, `draw_centreline`.
"""

import dataclasses
import itertools
from collections.abc import Callable

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from tqdm import tqdm

from glacier_nb import columns, corrections, crossings, gates
from glacier_nb.crossings import Reading
from glacier_nb.crs import metres, scale
from glacier_nb.gates import LEFT, Gate

LEA = "Lea et al. 2014, doi:10.3189/2014JoG13J061"
MAQIT = "Lea 2018, doi:10.5194/esurf-6-551-2018"


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to measure how far a front moved; METHODS holds all."""

    name: str
    citation: str
    gate: Callable[..., Gate]  # of (fronts, box, centreline, width, upglacier, spacing); ValueError says what it lacks
    read: Callable[[shapely.Geometry, Gate, float], Reading]  # of (front, gate, pixel)
    spacing: float | None = None  # metres between its lines, where it has any


METHODS = (
    Method("box", "Moon and Joughin 2008, doi:10.1029/2007JF000927", gates.four_sided, crossings.in_box),
    Method("curvilinear box", LEA, gates.curvilinear, crossings.in_box),
    Method("variable box", MAQIT, gates.unbounded, crossings.in_own_box),
    Method("centreline", LEA, gates.flowline, crossings.on_line),
    Method("multi-centreline", MAQIT, gates.parallel, crossings.on_lines, 10.0),
    Method("bow", LEA, gates.bow, crossings.from_place),
    Method("transects", "straight lines along the rectilinear box", gates.transects, crossings.on_lines, 100.0),
)


def positions(
    fronts: gpd.GeoDataFrame,
    method: str = "box",
    box: gpd.GeoDataFrame | shapely.Polygon | None = None,
    centreline: gpd.GeoDataFrame | shapely.LineString | None = None,
    width: float | None = None,
    upglacier: gpd.GeoDataFrame | shapely.Point | tuple | None = None,
    pixel: float | None = None,
    georeferencing: float | None = None,
    spacing: float | None = None,
) -> pd.DataFrame:
    """Positions of dated fronts along flow, relative to each glacier's first measured date.

    `method`, one of METHODS (Moon and Joughin 2008, Lea et al. 2014, Lea 2018). "box": ice area in `box`, or in a
    rectangle `width` metres wide along `centreline`, over its width. A front that passes the sides several times parts
    ice from water each time; gaps up to a quarter of the width are bridged, and up to a tenth beside a side; one that
    passes an end is refused. "curvilinear box": the same between sides that bend with `centreline`. "variable box":
    between walls through each front's own outermost points, so that its width changes. "centreline": the front's most
    seaward crossing; its width is what `width` says. "multi-centreline" and "transects": the mean over lines every
    `spacing` metres (10, 100) beside `centreline` or straight along the box. "bow": mean distance of the front's points
    from the centreline's head; a change off the middle counts by the cosine of its angle. Without `centreline` the axis
    of `box` is taken, without `width` its.

    `box`, `centreline` and `upglacier` (x, y; else where `centreline` starts) are one geometry for all, or a frame by
    rgi_id. A row a front: rgi_id, time, position_m (advance positive), width_m, swept_area_m2 (since the first date),
    rate_m_a (since the date before), method, uncertainty_m, its parts pixel_error_m, georeferencing_error_m and
    method_error_m, note; on the ground, whatever the map's scale. uncertainty_m, one standard deviation of a single
    position: `pixel` (m; default column pixel_m) per point, alike over ten pixels, with `georeferencing` (m; default
    half a pixel) and what bridged gaps, missed lines, places between lines or several crossings may hide.
    Raises ValueError for degrees, sizes not above 0, an unknown method, a front without date or glacier, or why no
    glacier can be measured; one of many has it in `note`.
    """
    row, fronts, order, readings, gated = _measure(fronts, method, box, centreline, width, upglacier, pixel, spacing)
    table = fronts[["rgi_id", "time"]].join(pd.DataFrame(readings, columns=Reading._fields))
    sizes, k = _sizes(fronts, pixel), np.sqrt(scale(fronts))
    wide = pd.Series(np.nan, table.index)
    for rows, gate in gated:
        wide[rows] = gate.width if gate else np.nan
    table["wide"] = table["width"].fillna(wide)
    start = table.groupby("rgi_id")[["distance", "width"]].transform("first")  # the first that was measured
    table["position_m"], table["width_m"] = (table.distance - start.distance) / k, table.wide / k
    table["swept_area_m2"] = table.position_m * (table.width_m + start.width / k) / 2
    table["method"] = method
    known = table[table.distance.notna()].groupby("rgi_id")
    years = known["time"].diff() / pd.Timedelta(days=365.25)
    table["rate_m_a"] = known["position_m"].diff() / years.where(years > 0)
    table["pixel_error_m"] = table.spread * sizes / k
    shift = sizes / 2 if georeferencing is None else np.full(len(table), float(georeferencing))
    table["georeferencing_error_m"] = np.where(table.distance.notna(), shift / k, np.nan)
    table["method_error_m"] = table.gap.where(table.distance.notna()) / k
    errors = table[["pixel_error_m", "georeferencing_error_m", "method_error_m"]]
    table["uncertainty_m"] = np.sqrt((errors**2).sum(axis=1, skipna=False))
    columns = ["rgi_id", "time", "position_m", "width_m", "swept_area_m2", "rate_m_a", "method", "uncertainty_m"]
    result = table[[*columns, *errors, "note"]]
    result = result.iloc[np.concatenate([*order.values(), []]).astype(int)].reset_index(drop=True)
    result.attrs = {"units": "m", "sign": "advance positive, retreat negative", "citation": row.citation}
    return corrections.noted(result, fronts)


def across(fronts: gpd.GeoDataFrame, method: str = "transects", **options) -> pd.DataFrame:
    """Positions along every line of a method that has lines: rgi_id, offset_m, time, position_m, uncertainty_m, method.

    `offset_m` is to the left of the middle looking down-glacier; position_m relative to the first date that crossed
    the line, NaN where a front missed it; uncertainty_m of one point. `options` as for `positions`.
    Raises ValueError for a method without lines. Lea 2018, doi:10.5194/esurf-6-551-2018.

    >>> from shapely import LineString
    >>> lines = [LineString([(5e5, 7e6), (5.02e5, 7e6)]), LineString([(5e5, 7e6 + 100), (5.02e5, 7e6 - 100)])]
    >>> fronts = gpd.GeoDataFrame({"rgi_id": "a", "time": pd.to_datetime(["2020", "2021"])}, geometry=lines, crs=32633)
    >>> flow = LineString([(5.01e5, 7.005e6), (5.01e5, 6.995e6)])
    >>> across(fronts, centreline=flow, width=1000.0, spacing=500.0, pixel=10.0).position_m.round().tolist()
    [0.0, -25.0, 0.0, 25.0]
    """
    row, fronts, _, readings, gated = _measure(fronts, method, **_defaults(options))
    if row.spacing is None:
        lined = ", ".join(one.name for one in METHODS if one.spacing)
        raise ValueError(f"method={method!r} has no lines across: one of {lined}")
    sizes, k = _sizes(fronts, options.get("pixel")), np.sqrt(scale(fronts))
    shift = sizes / 2 if options.get("georeferencing") is None else float(options["georeferencing"])
    spread, pieces = np.hypot(sizes, shift) / k, []
    for rows, gate in gated:
        there = [n for n in rows if readings[n].lines is not None]
        for side, offset in enumerate(gate.offsets if there else ()):
            along = np.array([readings[n].lines[side] for n in there])
            since = along[np.isfinite(along)][:1]  # nothing where no front crossed the line
            moved = (along - since) / k[there] if len(since) else np.nan
            facts = {"offset_m": offset / k[there].mean(), "position_m": moved, "uncertainty_m": spread[there]}
            pieces.append(fronts.loc[there, ["rgi_id", "time"]].assign(**facts, method=method))
    columns = ["rgi_id", "offset_m", "time", "position_m", "uncertainty_m", "method"]
    table = pd.concat(pieces, ignore_index=True)[columns] if pieces else pd.DataFrame(columns=columns)
    table.attrs = {"units": "m", "sign": "advance positive, retreat negative", "citation": row.citation}
    return table


def agreement(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Correlation of each pair of methods over the fronts that both measured: a row a pair.

    Columns method_a, method_b, n (fronts), r (-1 to 1), rms_m. `tables` as `positions` returns them, of the same
    fronts. rms_m is of the differences about their own mean for each glacier: two methods need not agree where their
    first date lies.
    """
    key = ["rgi_id", "time"]
    wide = pd.concat(tables).pivot_table("position_m", key, "method", sort=False)
    rows = []
    for a, b in itertools.combinations(wide.columns, 2):
        both = wide[[a, b]].dropna()
        both = both - both.groupby("rgi_id").transform("mean")
        off = both[a] - both[b]
        rows.append((a, b, len(both), both[a].corr(both[b]) if len(both) > 2 else np.nan, np.sqrt((off**2).mean())))
    return pd.DataFrame(rows, columns=["method_a", "method_b", "n", "r", "rms_m"])


def draw_box(fronts: gpd.GeoDataFrame, upglacier, width: float | None = None) -> gpd.GeoDataFrame:
    """A rectangular box for each glacier from its fronts alone: rgi_id, geometry, note.

    Flow runs along the axis in which the fronts moved (a single front: across it), away from `upglacier` (as in
    `positions`). The box is as wide as the band that all fronts span, or `width` (m) about its middle, and as long
    as they need. `note` says why a glacier has none; where no glacier has one, that is a ValueError.
    """
    return _draw(fronts, upglacier, lambda shapes, axis, ends: gates.rectangle(shapes, axis, *ends.T, width))


def draw_centreline(fronts: gpd.GeoDataFrame, upglacier) -> gpd.GeoDataFrame:
    """A straight flow line for each glacier from its fronts alone, up-glacier end first: as `draw_box`.

    It follows the axis in which the fronts moved, midway between their ends on average, as if between a fjord's walls.
    ValueError: as there.
    """

    def line(shapes: np.ndarray, axis: np.ndarray, ends: np.ndarray) -> shapely.LineString:
        corners = gates.rectangle(shapes, axis, ends.mean(), ends.mean(), np.ptp(ends))
        return shapely.LineString(shapely.get_coordinates(corners)[[[0, 1], [2, 3]]].mean(axis=1))

    return _draw(fronts, upglacier, line)


def _measure(fronts, method, box, centreline, width, upglacier, pixel, spacing):
    """The method's row, fronts by time, rows of each glacier, a reading a front, and (rows, gate) of each glacier."""
    row = {row.name: row for row in METHODS}.get(method)
    if row is None:
        raise ValueError(f"method={method!r}: one of {', '.join(row.name for row in METHODS)}")
    if missing := {"rgi_id", "time"} - set(fronts.columns):
        raise ValueError(f"fronts lack {sorted(missing)}: add them with fronts.assign(...)")
    _known(fronts, "time", "rgi_id")
    metres(fronts)
    if not pd.api.types.is_datetime64_any_dtype(fronts["time"]):
        fronts = fronts.assign(time=columns.dates(fronts["time"]))
        _known(fronts, "time")
    for name, size in (("width", width), ("pixel", pixel), ("spacing", spacing)):
        if size is not None and not size > 0:
            raise ValueError(f"{name}={size!r}: give metres above 0")
    fronts = fronts.sort_values("time", kind="stable").reset_index(drop=True)
    drawn = {"box": box, "centreline": centreline, "upglacier": upglacier}
    boxes, lines, heads = (_by_glacier(thing, fronts, name) for name, thing in drawn.items())
    shapes, order = fronts.geometry.to_numpy(), fronts.groupby("rgi_id", sort=False).indices
    amiss = np.array([crossings.amiss(shape) for shape in shapes], dtype=object)
    shapes = np.where(amiss == "", shapes, None)
    sizes, readings, gated = _sizes(fronts, pixel), [Reading(note=f"refused: {why}") for why in amiss], []
    for rgi_id, rows in tqdm(order.items(), desc=f"fronts by {method}", delay=2, leave=False):
        there = [n for n in rows if shapes[n]]
        given = boxes(rgi_id), lines(rgi_id), width, heads(rgi_id), spacing or row.spacing
        try:
            gate, why = row.gate(_some(shapes[rows]), *given), ""
        except ValueError as error:
            gate, why = None, str(error)
        for n in there:
            readings[n] = row.read(shapes[n], gate, sizes[n]) if gate else Reading(note=f"refused: {why}")
        gated.append((rows, gate))
    if gated and not any(gate for _, gate in gated):
        raise ValueError(f"{rgi_id}: {why}")
    return row, fronts, order, readings, gated


def _some(shapes: np.ndarray) -> np.ndarray:
    there = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    if not len(there):
        raise ValueError(f"none of its {len(shapes)} fronts has a geometry: draw one, or leave the glacier out")
    return there


def _known(fronts: gpd.GeoDataFrame, *columns: str) -> None:
    for column in columns:
        lost = fronts[column].isna().to_numpy()
        if lost.any():
            what, other = {"time": ("date", "rgi_id"), "rgi_id": ("glacier", "time")}[column]
            where, of = fronts.index[lost][0], fronts[other][lost].iloc[0]
            raise ValueError(
                f"{lost.sum()} of {len(fronts)} fronts have no {what}, the first in row {where}, of {of}: set"
                f" their column {column}, or leave them out, fronts.dropna(subset='{column}')"
            )


def _sizes(fronts: gpd.GeoDataFrame, pixel: float | None) -> np.ndarray:
    return np.full(len(fronts), fronts.get("pixel_m", np.nan) if pixel is None else pixel, dtype=float)


def _defaults(options: dict) -> dict:
    """What `_measure` takes of `options`, None where it is not said."""
    return {name: options.get(name) for name in ("box", "centreline", "width", "upglacier", "pixel", "spacing")}


def _draw(fronts: gpd.GeoDataFrame, upglacier, shape: Callable[..., shapely.Geometry]) -> gpd.GeoDataFrame:
    """`shape` of each glacier's fronts, unit vector down-glacier, and right and left ends across it."""
    _known(fronts, "rgi_id")
    heads, rows = _by_glacier(upglacier, fronts, "upglacier"), []
    for rgi_id, mine in fronts.sort_values("time", kind="stable").groupby("rgi_id", sort=False):
        try:
            rows.append((rgi_id, shape(*_flow(_some(mine.geometry.to_numpy()), heads(rgi_id))), ""))
        except ValueError as error:
            rows.append((rgi_id, None, str(error)))
    if rows and not any(drawn for _, drawn, _ in rows):
        raise ValueError(f"{rows[0][0]}: {rows[0][2]}")
    return gpd.GeoDataFrame(rows, columns=["rgi_id", "geometry", "note"], geometry="geometry", crs=fronts.crs)


def _flow(shapes: np.ndarray, head: shapely.Geometry | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if head is None:
        raise ValueError("no up-glacier point: give upglacier=(x, y) or a frame with its rgi_id")
    both_ways = itertools.pairwise([*shapes, *shapes[::-1]])
    steps, beside = (np.concatenate(part) for part in zip(*(gates.steps(a, b) for a, b in both_ways), strict=True))
    steps = steps[beside] if beside.any() else steps
    everywhere, head = shapely.get_coordinates(shapes), shapely.get_coordinates(head)[0]
    axis = np.linalg.eigh(steps.T @ steps - 1e-9 * np.cov(everywhere.T))[1][:, 1]  # without steps: across the front
    axis = -axis if axis @ (head - everywhere.mean(axis=0)) > 0 else axis
    gates.be_sure(head, shapes, axis)
    return shapes, axis, np.array([np.sort(shapely.get_coordinates(s) @ (axis @ LEFT))[[0, -1]] for s in shapes])


def _by_glacier(thing, fronts: gpd.GeoDataFrame, name: str) -> Callable[[str], shapely.Geometry | None]:
    """Look-up of a glacier's geometry: in a frame by rgi_id as text, or one geometry (or x, y) for all."""
    crs = fronts.crs
    if isinstance(thing, gpd.GeoDataFrame) and "rgi_id" in thing:
        names = corrections.ids(thing)
        if len(twice := names[names.duplicated()]):
            raise ValueError(f"{name} has {(names == twice.iloc[0]).sum()} rows of {twice.iloc[0]}: keep one of them")
        found = dict(zip(names, thing.to_crs(crs).geometry, strict=True))
        return lambda rgi_id: found.get(str(rgi_id))
    if isinstance(thing, gpd.GeoDataFrame | gpd.GeoSeries):
        thing = thing.geometry.to_crs(crs)
        thing = thing.iloc[0] if len(thing) == 1 else thing.union_all()
    one = shapely.Point(thing) if isinstance(thing, tuple | list) else thing
    if one is not None and (not one or not np.isfinite(one.bounds).all()):
        raise ValueError(f"{name} is {one}: give a place on the map of the fronts")
    near = one is None or not shapely.distance(shapely.box(*fronts.total_bounds), one) > 1e5  # NaN: no front
    if not near and (np.abs(one.bounds) <= (360, 90, 360, 90)).all():
        raise ValueError(f"{name} at {one.bounds[0]:g}, {one.bounds[1]:g} is in degrees: give it in {crs.name}")
    return lambda rgi_id: one
