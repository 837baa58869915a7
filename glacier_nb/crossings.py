"""Where one front stands in its gate: by area, by lines, by its distance from a place up-glacier.

A front that cannot be measured is refused by name in `note`, all its numbers NaN.

Without a source, plain or ours: `amiss`.
"""

import itertools
from typing import NamedTuple

import numpy as np
import shapely

from glacier_nb.gates import GAP, REACH, Gate, aside, curved


class Reading(NamedTuple):
    """One front measured, in map units; all NaN where `note` says why it was refused."""

    distance: float = np.nan  # down-glacier, from the gate's head
    width: float = np.nan  # across flow, of what moved
    spread: float = np.nan  # error of the distance when each point of the front is off by one
    gap: float = 0.0  # what the method may hide: bridged gaps, places between lines, several crossings
    note: str = ""
    lines: np.ndarray | None = None  # distance along each of the gate's lines


def amiss(front: shapely.Geometry | None) -> str:
    """Why a front can be measured by no gate; "" where it is a line.

    >>> amiss(shapely.Point(0, 0)), amiss(shapely.LineString([(0, 0), (1, 1)]))
    ('a Point, no line', '')
    """
    if not front:
        return "no front"
    if shapely.get_dimensions(front) != 1:
        return f"a {front.geom_type}, no line"
    return "" if np.isfinite(shapely.get_coordinates(front)).all() else "a place on it is no number"


def in_box(front: shapely.Geometry, gate: Gate, pixel: float) -> Reading:
    """Ice area in the box over its width; pieces that a front parts by several crossings all count.

    Moon and Joughin 2008, doi:10.1029/2007JF000927; between bending sides Lea et al. 2014.
    """
    inside = shapely.line_merge(front.intersection(gate.box))
    if inside.length == 0:
        return Reading(note=f"refused: outside the box by {front.distance(gate.box):.0f} m")
    if left := _left(front, gate):
        return left
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
    area = float(shapely.area(faces)[passed % 2 == 0].sum())
    gap = (gaps**2).sum() / (2 * gate.width)
    return Reading(area / gate.width, gate.width, _spread(pixel, gate.width), gap, "; ".join(notes))


def in_own_box(front: shapely.Geometry, gate: Gate, pixel: float) -> Reading:
    """As `in_box`, between walls beside the centreline through the front's outermost points on either side.

    Lea 2018, doi:10.5194/esurf-6-551-2018.
    """
    if not front.intersects(gate.centreline):
        return Reading(note=f"refused: passes the centreline by {front.distance(gate.centreline):.0f} m")
    off = aside(gate.centreline, shapely.get_coordinates(front))
    width, middle = np.ptp(off) * (1 - 1e-4), (off.max() + off.min()) / 2  # a hair inside, so that the front crosses
    if not width > 0:
        return Reading(note="refused: runs along the centreline")
    line = shapely.offset_curve(gate.centreline, middle, quad_segs=16) if middle else gate.centreline
    return in_box(front, curved(max(shapely.get_parts(line), key=shapely.length), width), pixel)


def on_line(front: shapely.Geometry, gate: Gate, pixel: float) -> Reading:
    """The front's most seaward crossing of the centreline (Lea et al. 2014)."""
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
    return Reading(float(along.max()), gate.width, 1 / slant, float(along.std()), note)


def on_lines(front: shapely.Geometry, gate: Gate, pixel: float) -> Reading:
    """Mean of the most seaward crossings of all lines; a line that is missed takes what its neighbours have.

    What a missed stretch may hide is as for a gap in a box; between two lines the front is taken for a random walk.
    Where lines are crossed several times, the mean spread of their crossings is in doubt, as by `on_line`.
    Lea 2018, doi:10.5194/esurf-6-551-2018; what is missed or crossed several times is our reckoning.
    """
    found = np.full(len(gate.lines), np.nan)
    lines, pieces = _turned(gate.lines, gate.centreline), _turned(_pieces(front), gate.centreline)
    line, piece = shapely.STRtree(pieces).query(lines, predicate="intersects")
    points, at = shapely.get_coordinates(shapely.intersection(lines[line], pieces[piece]), return_index=True)
    along = shapely.line_locate_point(lines[line[at]], shapely.points(points))
    np.fmax.at(found, line[at], along)
    each, along = np.unique(np.stack([line[at], along.round(3)]), axis=1)  # two pieces that meet on a line cross once
    crossed = np.bincount(each := each.astype(int), minlength=len(found))
    off = along - (np.bincount(each, along, len(found)) / np.maximum(crossed, 1))[each]
    several = np.sqrt(np.bincount(each, off**2, len(found)) / np.maximum(crossed, 1))  # spread of each line's crossings
    hit, wide = np.isfinite(found), gate.width / len(found)
    if not hit.any():
        off = shapely.distance(gate.lines, front).min()
        return Reading(note=f"refused: passes all lines by {off:.0f} m")
    runs = [(key, len(list(run))) for key, run in itertools.groupby(hit)]
    longest = [max((n for key, n in part if not key), default=0) for part in ((runs[0], runs[-1]), runs[1:-1])]
    if longest[0] * wide > REACH * gate.width or longest[1] * wide > GAP * gate.width:
        return Reading(note=f"refused: crosses {hit.sum()} of {len(hit)} lines")
    filled = np.interp(gate.offsets, gate.offsets[hit], found[hit])
    missed = sum((n * wide) ** 2 for key, n in runs if not key) / (2 * gate.width)
    between = np.sqrt((np.diff(filled) ** 2).mean() / 12 / len(filled)) if len(filled) > 1 else 0.0
    spread = max(_spread(pixel, gate.width), 1 / np.sqrt(len(filled)))
    notes = [f"{(~hit).sum()} of {len(hit)} lines missed, filled from their neighbours"] if not hit.all() else []
    if (crossed > 1).any():
        notes += [f"{(crossed > 1).sum()} of {len(hit)} lines crossed several times, the most seaward taken"]
    gap = float(np.linalg.norm([missed, between, several[hit].mean()]))  # neighbours share a fold: no mean lessens it
    return Reading(float(filled.mean()), gate.width, spread, gap, "; ".join(notes), found)


def from_place(front: shapely.Geometry, gate: Gate, pixel: float) -> Reading:
    """Mean distance of the front, at equal steps along it, from where the centreline starts.

    Lea et al. 2014, doi:10.3189/2014JoG13J061.
    """
    inside = front.intersection(gate.box)
    if inside.length == 0:
        return Reading(note=f"refused: outside the box by {front.distance(gate.box):.0f} m")
    if left := _left(front, gate):
        return left
    parts = shapely.get_parts(inside)
    long = shapely.length(parts)
    counts = np.maximum(np.ceil(long / inside.length * 400), 1).astype(int)
    share = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
    weight = np.repeat(long / counts, counts)
    points = shapely.line_interpolate_point(np.repeat(parts, counts), share, normalized=True)
    off = aside(gate.centreline, shapely.get_coordinates(inside))
    short = np.maximum([gate.width / 2 - off.max(), gate.width / 2 + off.min()], 0)
    if short.max() > REACH * gate.width:
        return Reading(note=f"refused: stops {short.max():.0f} m short of a side")
    note = f"gaps of {short.sum():.0f} m left out" if short.sum() > 1e-3 * gate.width else ""
    far = shapely.distance(points, shapely.get_point(gate.centreline, 0))
    gap = (short**2).sum() / (2 * gate.width)
    return Reading(float(np.average(far, weights=weight)), gate.width, _spread(pixel, gate.width), gap, note)


def _left(front: shapely.Geometry, gate: Gate) -> Reading | None:
    for end, name in ((gate.head, "up-glacier"), (gate.mouth, "seaward")):
        if front.intersects(end):
            return Reading(note=f"refused: leaves the box at its {name} end")
    return None


def _pieces(front: shapely.Geometry) -> np.ndarray:
    xy, part = shapely.get_coordinates(shapely.get_parts(front), return_index=True)
    return shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1)[part[1:] == part[:-1]])


def _turned(lines: np.ndarray, flow: shapely.LineString) -> np.ndarray:
    """Lines with `flow` along x: those that run with it have thin bounds, and a tree finds few others near them."""
    step = np.diff(shapely.get_coordinates(flow)[[0, -1]], axis=0)[0]
    x, y = step / np.linalg.norm(step)
    return shapely.transform(lines, lambda xy: xy @ np.array([[x, -y], [y, x]]))


def _spread(pixel: float, width: float) -> float:
    """Of a mean across `width` whose points are alike over ten pixels."""
    return np.sqrt(np.clip(10 * pixel / width, 0, 1))


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


def _direction(line: shapely.LineString, at: float, step: float) -> np.ndarray:
    a, b = shapely.get_coordinates(line.interpolate(np.clip([at - step, at + step], 0, line.length)))
    return (b - a) / np.linalg.norm(b - a)
