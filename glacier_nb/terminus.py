"""How far a calving front moved, by box or centreline: advance positive, retreat negative.

The sign comes from an up-glacier reference (a point, a centreline's head), never from the order in which a front, a
box or its corners were drawn. A front that a method cannot measure is refused by name in the column `note`.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from tqdm import tqdm

from glacier_nb.crs import metres, scale

REACH, GAP = 0.1, 0.25  # of a box's width: the longest gap bridged between a front and a side, and inside a front
LEFT = np.array([[0, 1], [-1, 0]])  # a quarter turn: axis @ LEFT points to the left of axis


class Gate(NamedTuple):
    """What the fronts of one glacier are measured against, in map coordinates."""

    centreline: shapely.LineString  # from up-glacier to down-glacier
    box: shapely.Polygon | None = None
    head: shapely.LineString | None = None  # the box's up-glacier end
    mouth: shapely.LineString | None = None  # its seaward end
    width: float = np.nan  # across flow


class Reading(NamedTuple):
    """One front measured, in map units; all NaN where `note` says why it was refused."""

    distance: float = np.nan  # down-glacier, from the gate's head
    area: float = np.nan  # ice in the box
    spread: float = np.nan  # error of the distance when each point of the front is off by one
    gap: float = 0.0  # error that bridged gaps may add
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to measure how far a front moved; METHODS holds all."""

    name: str
    citation: str
    gate: Callable[..., Gate]  # of (fronts, box, centreline, width, upglacier); ValueError without what it needs
    read: Callable[[shapely.Geometry, Gate, float], Reading]  # of (front, gate, pixel)


def positions(
    fronts: gpd.GeoDataFrame,
    method: str = "box",
    box: gpd.GeoDataFrame | shapely.Polygon | None = None,
    centreline: gpd.GeoDataFrame | shapely.LineString | None = None,
    width: float | None = None,
    upglacier: gpd.GeoDataFrame | shapely.Point | tuple | None = None,
    pixel: float | None = None,
    georeferencing: float | None = None,
) -> pd.DataFrame:
    """Positions of dated fronts along flow, relative to each glacier's first measured date.

    `method` "box": ice area in `box`, or in a rectangle `width` metres wide along `centreline`, over its width (Moon
    and Joughin 2008). A front that passes the sides several times parts ice from water each time; gaps up to GAP are
    bridged, and up to REACH beside a side; one that passes an end is refused. "centreline": the front's most seaward
    crossing of `centreline` (Lea et al. 2014). `box`, `centreline` and `upglacier` (x, y; else where `centreline`
    starts) are one geometry for all, or a frame by rgi_id. A row a front: rgi_id, time, position_m (advance
    positive), width_m, swept_area_m2 (since the first date), method, uncertainty_m, note; on the ground, whatever the
    map's scale. uncertainty_m, one standard deviation of a single position: `pixel` (m; default column pixel_m) per
    point, alike over ten pixels, with `georeferencing` (m; default half a pixel) and what bridged gaps may hide.
    Raises ValueError for degrees, an unknown method, or why no glacier can be measured; one of many has it in `note`.
    """
    row = {row.name: row for row in METHODS}.get(method)
    if row is None:
        raise ValueError(f"method={method!r}: one of {', '.join(row.name for row in METHODS)}")
    if missing := {"rgi_id", "time"} - set(fronts.columns):
        raise ValueError(f"fronts lack {sorted(missing)}: add them with fronts.assign(...)")
    metres(fronts)
    fronts = fronts.sort_values("time", kind="stable").reset_index(drop=True)
    boxes, lines, heads = (_by_glacier(thing, fronts.crs) for thing in (box, centreline, upglacier))
    k, shapes, order = np.sqrt(scale(fronts)), fronts.geometry.to_numpy(), fronts.groupby("rgi_id", sort=False).indices
    sizes = np.full(len(fronts), fronts.get("pixel_m", np.nan) if pixel is None else pixel, dtype=float)
    readings, widths, gates = [Reading(note="refused: no front")] * len(fronts), np.full(len(fronts), np.nan), []
    for rgi_id, rows in tqdm(order.items(), desc=f"fronts by {method}", delay=2, leave=False):
        there = [n for n in rows if shapes[n]]
        try:
            gate, why = row.gate(shapes[there], boxes(rgi_id), lines(rgi_id), width, heads(rgi_id)), ""
        except ValueError as error:
            gate, why = None, str(error)
        widths[rows] = gate.width if gate else np.nan
        for n in there:
            readings[n] = row.read(shapes[n], gate, sizes[n]) if gate else Reading(note=f"refused: {why}")
        gates.append(gate)
    if gates and not any(gates):
        raise ValueError(f"{rgi_id}: {why}")
    table = fronts[["rgi_id", "time"]].join(pd.DataFrame(readings, columns=Reading._fields))
    start = table.groupby("rgi_id")[["distance", "area"]].transform("first")  # the first that was measured
    table["position_m"], table["width_m"] = (table.distance - start.distance) / k, widths / k
    table["swept_area_m2"], table["method"] = (table.area - start.area) / k**2, method
    shift = sizes / 2 if georeferencing is None else georeferencing
    table["uncertainty_m"] = np.sqrt((table.spread * sizes) ** 2 + shift**2 + table.gap**2) / k
    columns = ["rgi_id", "time", "position_m", "width_m", "swept_area_m2", "method", "uncertainty_m", "note"]
    result = table[columns].iloc[np.concatenate([*order.values(), []]).astype(int)].reset_index(drop=True)
    result.attrs = {"units": "m", "sign": "advance positive, retreat negative", "citation": row.citation}
    return result


def draw_box(fronts: gpd.GeoDataFrame, upglacier, width: float | None = None) -> gpd.GeoDataFrame:
    """A rectangular box for each glacier from its fronts alone: rgi_id, geometry, note.

    Flow runs along the axis in which the fronts moved (a single front: across it), away from `upglacier` (as in
    `positions`). The box is as wide as the band that all fronts span, or `width` (m) about its middle, and as long
    as they need. `note` says why a glacier has none; where no glacier has one, that is a ValueError.
    """
    return _draw(fronts, upglacier, lambda shapes, axis, ends: _rectangle(shapes, axis, *ends.T, width))


def draw_centreline(fronts: gpd.GeoDataFrame, upglacier) -> gpd.GeoDataFrame:
    """A straight flow line for each glacier from its fronts alone, up-glacier end first: as `draw_box`.

    It follows the axis in which the fronts moved, midway between their ends on average, as if between a fjord's walls.
    """

    def line(shapes: np.ndarray, axis: np.ndarray, ends: np.ndarray) -> shapely.LineString:
        corners = shapely.get_coordinates(_rectangle(shapes, axis, ends.mean(), ends.mean(), np.ptp(ends)))
        return shapely.LineString(corners[[[0, 1], [2, 3]]].mean(axis=1))

    return _draw(fronts, upglacier, line)


def _draw(fronts: gpd.GeoDataFrame, upglacier, shape: Callable[..., shapely.Geometry]) -> gpd.GeoDataFrame:
    """`shape` of each glacier's fronts, unit vector down-glacier, and right and left ends across it."""
    heads, rows = _by_glacier(upglacier, fronts.crs), []
    for rgi_id, mine in (
        fronts.dropna(subset="geometry").sort_values("time", kind="stable").groupby("rgi_id", sort=False)
    ):
        try:
            rows.append((rgi_id, shape(*_flow(mine.geometry.to_numpy(), heads(rgi_id))), ""))
        except ValueError as error:
            rows.append((rgi_id, None, str(error)))
    if rows and not any(drawn for _, drawn, _ in rows):
        raise ValueError(f"{rows[0][0]}: {rows[0][2]}")
    return gpd.GeoDataFrame(rows, columns=["rgi_id", "geometry", "note"], geometry="geometry", crs=fronts.crs)


def _flow(shapes: np.ndarray, head: shapely.Geometry | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if head is None:
        raise ValueError("no up-glacier point: give upglacier=(x, y) or a frame with its rgi_id")
    both_ways = itertools.pairwise([*shapes, *shapes[::-1]])
    nearest = [shapely.shortest_line(shapely.points(shapely.get_coordinates(a)), b) for a, b in both_ways]
    steps = np.diff(shapely.get_coordinates(np.concatenate(nearest)).reshape(-1, 2, 2), axis=1)[:, 0]
    everywhere, head = shapely.get_coordinates(shapes), shapely.get_coordinates(head)[0]
    axis = np.linalg.eigh(steps.T @ steps - 1e-9 * np.cov(everywhere.T))[1][:, 1]  # without steps: across the front
    axis = -axis if axis @ (head - everywhere.mean(axis=0)) > 0 else axis
    _be_sure(head, shapes, axis)
    return shapes, axis, np.array([np.sort(shapely.get_coordinates(s) @ (axis @ LEFT))[[0, -1]] for s in shapes])


def _be_sure(head: np.ndarray, shapes: np.ndarray, axis: np.ndarray) -> None:
    means = np.array([shapely.get_coordinates(shape).mean(axis=0) for shape in shapes])
    if ((means - head) @ axis < 0).any():
        raise ValueError(f"up-glacier point ({head[0]:.0f}, {head[1]:.0f}) is among the fronts: take one behind all")


def _rectangle(shapes: np.ndarray, axis: np.ndarray, right, left, width: float | None) -> shapely.Polygon:
    """Box along `axis` in the band inside all `right` and `left` ends, past all fronts; up-glacier corners first."""
    right, left = np.max(right), np.min(left)
    middle, half = (right + left) / 2, width / 2 if width else 0.49 * (left - right)  # all pass both sides
    if half <= 0:
        raise ValueError("the fronts span no band together: give width=, or leave short ones out")
    to_map, far = np.array([axis, axis @ LEFT]), np.abs(shapely.get_coordinates(shapes)).max() * 2
    corners = np.array([(-1, middle - half), (-1, middle + half), (1, middle + half), (1, middle - half)])
    along = shapely.get_coordinates(shapely.intersection(shapes, shapely.Polygon(corners * (far, 1) @ to_map))) @ axis
    corners[:, 0] = np.repeat([along.min() - 2 * REACH * half, along.max() + 2 * REACH * half], 2)
    return shapely.Polygon(corners @ to_map)


def _by_glacier(thing, crs) -> Callable[[str], shapely.Geometry | None]:
    """Look-up of a glacier's geometry: in a frame by rgi_id, or one geometry (or x, y) for all."""
    if isinstance(thing, gpd.GeoDataFrame) and "rgi_id" in thing:
        return dict(zip(thing.rgi_id, thing.to_crs(crs).geometry, strict=True)).get
    if isinstance(thing, gpd.GeoDataFrame | gpd.GeoSeries):
        thing = thing.geometry.to_crs(crs).union_all()
    one = shapely.Point(thing) if isinstance(thing, tuple | list) else thing
    return lambda rgi_id: one


def _flowline(fronts, box, centreline, width, upglacier) -> Gate:
    if centreline is None:
        raise ValueError("no centreline")
    line = shapely.line_merge(centreline)
    start, end = shapely.distance(shapely.points(shapely.get_coordinates(line)[[0, -1]]), upglacier)  # NaN without one
    return Gate(line.reverse() if end < start else line)


def _four_sided(fronts, box, centreline, width, upglacier) -> Gate:
    flow = None if centreline is None else _flowline(fronts, box, centreline, width, upglacier)
    if box is None and (flow is None or width is None):
        raise ValueError("no box, and no centreline with a width")
    if box is None:  # a rectangle along the centreline's chord where the fronts are
        nearest = shapely.get_point(shapely.shortest_line(flow.centreline, fronts), 0)
        at = shapely.line_locate_point(flow.centreline, nearest)
        chord = shapely.get_coordinates(flow.centreline.interpolate([at.min() - width / 2, at.max() + width / 2]))
        axis = (chord[1] - chord[0]) / np.linalg.norm(chord[1] - chord[0])
        middle = chord.mean(axis=0) @ (axis @ LEFT)
        box = _rectangle(fronts, axis, middle, middle, width)
    corners = shapely.get_coordinates(box.simplify(1e-4 * box.length))[:-1]
    if len(corners) != 4:
        raise ValueError(f"a box has {len(corners)} corners: draw it with four, or give centreline= and width=")
    if upglacier is None and flow is None:
        raise ValueError("which end of the box is up-glacier? Give upglacier=(x, y) or centreline=")
    sides = shapely.linestrings(np.stack([corners, np.roll(corners, -1, axis=0)], axis=1))
    head = shapely.get_coordinates(upglacier if upglacier is not None else flow.centreline)[0]
    towards = (shapely.get_coordinates(shapely.centroid(sides)) - corners.mean(axis=0)) @ (head - corners.mean(axis=0))
    crossed = shapely.intersects(sides[:, None], fronts[None, :]).sum(axis=1)  # fronts cross the sides, not the ends
    end = min((0, 1), key=lambda n: (crossed[n] + crossed[n + 2], -abs(towards[n] - towards[n + 2])))
    first, last = (end, end + 2) if towards[end] > towards[end + 2] else (end + 2, end)
    axis = shapely.LineString([shapely.centroid(sides[first]), shapely.centroid(sides[last])])
    _be_sure(head, fronts, np.diff(shapely.get_coordinates(axis), axis=0)[0])
    return Gate(axis, box, sides[first], sides[last], box.area / axis.length)


def _in_box(front: shapely.Geometry, gate: Gate, pixel: float) -> Reading:
    inside = shapely.line_merge(front.intersection(gate.box))
    if inside.length == 0:
        return Reading(note=f"refused: outside the box by {front.distance(gate.box):.0f} m")
    for end, name in ((gate.head, "up-glacier"), (gate.mouth, "seaward")):
        if front.intersects(end):
            return Reading(note=f"refused: leaves the box at its {name} end")
    links, short = _links(inside, gate)
    faces = shapely.get_parts(shapely.polygonize([shapely.union_all([front, *links, gate.box.exterior])]))
    faces = faces[shapely.contains(gate.box, shapely.point_on_surface(faces))]
    upper, lower = (int(np.argmin(shapely.distance(faces, shapely.centroid(end)))) for end in (gate.head, gate.mouth))
    edges = [set(map(frozenset, itertools.pairwise(map(tuple, shapely.get_coordinates(f).tolist())))) for f in faces]
    step = np.array([[1.0 if a & b else np.inf for b in edges] for a in edges])  # only a front parts two faces
    passed = np.where(np.arange(len(faces)) == upper, 0.0, np.inf)  # fronts between a face and the head
    for _ in faces:
        passed = np.minimum(passed, (step + passed).min(axis=1))
    if passed[lower] % 2 != 1:
        return Reading(note=f"refused: stops {short:.0f} m short of a side" if short else "refused: only cuts a side")
    pieces, gaps = len(faces) - 1, np.array([link.length for link in links])
    notes = [f"in {pieces} pieces across the sides, all counted"] if pieces > 1 else []
    notes += [f"gaps of {gaps.sum():.0f} m bridged"] if links else []
    area, spread = float(shapely.area(faces)[passed % 2 == 0].sum()), np.sqrt(np.clip(10 * pixel / gate.width, 0, 1))
    return Reading(area / gate.width, area, spread, (gaps**2).sum() / (2 * gate.width), "; ".join(notes))


def _links(inside: shapely.Geometry, gate: Gate) -> tuple[list[shapely.LineString], float]:
    """Lines from loose ends in the box to the nearest other one or side, and the longest gap that is too long."""
    ends, part = shapely.get_parts(shapely.boundary(shapely.get_parts(inside)), return_index=True)
    loose = shapely.distance(ends, gate.box.exterior) > 1e-6 * gate.width
    sides = gate.box.exterior.difference(shapely.union_all([gate.head, gate.mouth]).buffer(1e-6 * gate.width))
    links, short = {}, 0.0
    for end, own in zip(ends[loose], part[loose], strict=True):
        others = shapely.union_all(ends[loose & (part != own)])
        ways = [(shapely.shortest_line(end, sides), REACH), (shapely.shortest_line(end, others), GAP)]
        near = [line for line, most in ways if line is not None and line.length <= most * gate.width]
        if near:
            a, b = shapely.get_coordinates(min(near, key=shapely.length))  # drawn a hair further, to meet the side
            links[frozenset([tuple(a), tuple(b)])] = shapely.LineString([a, b + (b - a) * 1e-6])
        short = short if near else max(short, ways[0][0].length)
    return list(links.values()), short


def _on_line(front: shapely.Geometry, gate: Gate, pixel: float) -> Reading:
    points = shapely.points(shapely.get_coordinates(front.intersection(gate.centreline)))
    if not len(points):
        return Reading(note=f"refused: passes the centreline by {front.distance(gate.centreline):.0f} m")
    along = shapely.line_locate_point(gate.centreline, points)
    here = points[np.argmax(along)]
    line = min(shapely.get_parts(front), key=here.distance)
    step = gate.centreline.length / 500
    flow, across = (_direction(path, path.project(here), step) for path in (gate.centreline, line))
    slant = max(abs(flow[0] * across[1] - flow[1] * across[0]), 0.1)
    note = f"{len(points)} crossings, the most seaward taken" if len(points) > 1 else ""
    return Reading(float(along.max()), spread=1 / slant, note=note)


def _direction(line: shapely.LineString, at: float, step: float) -> np.ndarray:
    a, b = shapely.get_coordinates(line.interpolate(np.clip([at - step, at + step], 0, line.length)))
    return (b - a) / np.linalg.norm(b - a)


METHODS = (
    Method("box", "Moon and Joughin 2008, doi:10.1029/2007JF000927", _four_sided, _in_box),
    Method("centreline", "Lea et al. 2014, doi:10.3189/2014JoG13J061", _flowline, _on_line),
)
