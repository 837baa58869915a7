"""What the fronts of one glacier are measured against: a box, a line, lines beside it, a place up-glacier.

A gate knows which way the ice flows from an up-glacier reference, never from the order in which anything was drawn.

Without a source, plain or ours: `transects`, `aside`, `be_sure`, `rectangle`, `steps`.
"""

from typing import NamedTuple

import numpy as np
import shapely

REACH, GAP = 0.1, 0.25  # of a gate's width: the longest gap bridged between a front and a side, and inside a front
LEFT = np.array([[0, 1], [-1, 0]])  # a quarter turn: axis @ LEFT points to the left of axis


class Gate(NamedTuple):
    """What fronts are measured against, in map coordinates."""

    centreline: shapely.LineString  # from up-glacier to down-glacier
    box: shapely.Polygon | None = None
    head: shapely.LineString | None = None  # the box's up-glacier end
    mouth: shapely.LineString | None = None  # its seaward end
    width: float = np.nan  # across flow
    lines: np.ndarray | None = None  # along flow, from one side to the other
    offsets: np.ndarray | None = None  # of the lines from the middle, to the left looking down-glacier


def flowline(fronts, box, centreline, width, upglacier, spacing=None) -> Gate:
    """A centreline, turned so that it starts up-glacier; `width` is only what is said to have moved with it.

    Lea et al. 2014, doi:10.3189/2014JoG13J061.

    ValueError: there is none, or it is no single line.
    """
    if centreline is None and box is None:
        raise ValueError("no centreline")
    if centreline is None:
        axis = four_sided(fronts, box, None, None, upglacier)
        return Gate(axis.centreline, width=axis.width)
    line = shapely.line_merge(centreline)
    if line.geom_type != "LineString" or line.is_empty:
        raise ValueError(f"a centreline of {len(shapely.get_parts(line))} parts ({line.geom_type}): draw one line")
    start, end = shapely.distance(shapely.points(shapely.get_coordinates(line)[[0, -1]]), upglacier)  # NaN without one
    return Gate(line.reverse() if end < start else line, width=width or np.nan)


def four_sided(fronts, box, centreline, width, upglacier, spacing=None) -> Gate:
    """The rectilinear box: `box`, or a rectangle `width` wide along the centreline's chord where the fronts are.

    Moon and Joughin 2008, doi:10.1029/2007JF000927.

    ValueError: neither is there, the box has not four corners, or nothing tells its up-glacier end.
    """
    flow = None if centreline is None else flowline(fronts, box, centreline, width, upglacier)
    if box is None and (flow is None or width is None):
        raise ValueError("no box, and no centreline with a width")
    if box is None:
        nearest = shapely.get_point(shapely.shortest_line(flow.centreline, fronts), 0)
        at = shapely.line_locate_point(flow.centreline, nearest)
        chord = shapely.get_coordinates(flow.centreline.interpolate([at.min() - width / 2, at.max() + width / 2]))
        axis = (chord[1] - chord[0]) / np.linalg.norm(chord[1] - chord[0])
        middle = chord.mean(axis=0) @ (axis @ LEFT)
        box = rectangle(fronts, axis, middle, middle, width)
    box = shapely.get_parts(box)[0] if len(shapely.get_parts(box)) == 1 else box
    corners = shapely.get_coordinates(box.simplify(1e-4 * box.length))[:-1]
    if not box.is_valid:
        raise ValueError("a box crosses itself: draw its corners in order round it")
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
    be_sure(head, fronts, np.diff(shapely.get_coordinates(axis), axis=0)[0])
    return Gate(axis, box, sides[first], sides[last], box.area / axis.length)


def curved(line: shapely.LineString, width: float) -> Gate:
    """The box whose sides run beside `line` at half of `width`, its ends straight across (Lea et al. 2014)."""
    box = line.buffer(width / 2, cap_style="flat", quad_segs=16)
    box = max(shapely.get_parts(box), key=shapely.area)
    xy = shapely.get_coordinates(line)
    ends = []
    for end, inner in ((0, 1), (-1, -2)):
        flow = (xy[end] - xy[inner]) / np.linalg.norm(xy[end] - xy[inner])
        ends.append(shapely.LineString(xy[end] + np.outer([-width / 2, width / 2], flow @ LEFT)))
    return Gate(line, box, *ends, width)


def curvilinear(fronts, box, centreline, width, upglacier, spacing=None) -> Gate:
    """The box along a bending centreline, taken on straight past its ends as far as the fronts go (Lea et al. 2014).

    ValueError: there is neither a width nor a box to take it from.
    """
    return curved(*_spine(fronts, box, centreline, width, upglacier))


def unbounded(fronts, box, centreline, width, upglacier, spacing=None) -> Gate:
    """A centreline as long as the fronts need, for boxes as wide as each front (Lea 2018)."""
    flow = flowline(fronts, box, centreline, None, upglacier)
    return Gate(_taken_on(flow.centreline, fronts, np.inf))


def bow(fronts, box, centreline, width, upglacier, spacing=None) -> Gate:
    """The centreline's up-glacier end to measure from, and the band in which fronts count (Lea et al. 2014).

    ValueError: there is neither a width nor a box to take it from, or a front lies up-glacier of the centreline.
    """
    gate = curved(*_spine(fronts, box, centreline, width, upglacier))
    drawn = gate if centreline is None else flowline(fronts, box, centreline, width, upglacier)
    xy = shapely.get_coordinates(drawn.centreline)  # not as taken on: a place that nobody chose
    be_sure(xy[0], fronts, xy[1] - xy[0])
    return gate


def parallel(fronts, box, centreline, width, upglacier, spacing) -> Gate:
    """Lines every `spacing` across `width`, each beside the centreline at one distance all along (Lea 2018).

    ValueError: no width, a spacing that is not below it, or a centreline that bends too sharply for a line beside it.
    """
    line, width = _spine(fronts, box, centreline, width, upglacier)
    offsets = _across(width, spacing)
    lines = np.array([_beside(line, offset) for offset in offsets], dtype=object)
    return Gate(line, width=width, lines=lines, offsets=offsets)


def transects(fronts, box, centreline, width, upglacier, spacing) -> Gate:
    """Straight lines every `spacing` from the head of the rectilinear box to its mouth.

    ValueError: the spacing is not below the width.
    """
    gate = four_sided(fronts, box, centreline, width, upglacier)
    offsets = _across(gate.width, spacing)
    flow = np.diff(shapely.get_coordinates(gate.centreline), axis=0)[0]
    ends = []
    for end in (gate.head, gate.mouth):
        xy = shapely.get_coordinates(end)
        left_last = (xy[1] - xy[0]) @ (flow @ LEFT) > 0
        ends.append((xy if left_last else xy[::-1])[:, None])
    share = (offsets / gate.width + 0.5)[:, None]
    head, mouth = (a + share * (b - a) for a, b in ends)
    return gate._replace(lines=shapely.linestrings(np.stack([head, mouth], axis=1)), offsets=offsets)


def aside(line: shapely.LineString, points: np.ndarray) -> np.ndarray:
    """How far `points` (n, 2) lie from `line`, to the left of its direction positive."""
    at = shapely.line_locate_point(line, shapely.points(points))
    step = 1e-4 * line.length
    a, b = (shapely.get_coordinates(line.interpolate(np.clip(at + s, 0, line.length))) for s in (-step, step))
    off = points - shapely.get_coordinates(line.interpolate(at))
    return np.sign((b - a)[:, 0] * off[:, 1] - (b - a)[:, 1] * off[:, 0]) * np.linalg.norm(off, axis=1)


def be_sure(head: np.ndarray, shapes: np.ndarray, axis: np.ndarray) -> None:
    """ValueError where a front lies up-glacier of `head`: then it is no reference for the sign."""
    means = np.array([shapely.get_coordinates(shape).mean(axis=0) for shape in shapes])
    if ((means - head) @ axis < 0).any():
        raise ValueError(f"up-glacier point ({head[0]:.0f}, {head[1]:.0f}) is among the fronts: take one behind all")


def rectangle(shapes: np.ndarray, axis: np.ndarray, right, left, width: float | None) -> shapely.Polygon:
    """Box along `axis` in the band inside all `right` and `left` ends, past all fronts; up-glacier corners first.

    ValueError: the fronts span no band together, or none crosses the box.
    """
    right, left = np.max(right), np.min(left)
    middle, half = (right + left) / 2, width / 2 if width else 0.49 * (left - right)  # all pass both sides
    if half <= 0:
        raise ValueError("the fronts span no band together: give width=, or leave short ones out")
    to_map, far = np.array([axis, axis @ LEFT]), np.abs(shapely.get_coordinates(shapes)).max() * 2
    corners = np.array([(-1, middle - half), (-1, middle + half), (1, middle + half), (1, middle - half)])
    along = shapely.get_coordinates(shapely.intersection(shapes, shapely.Polygon(corners * (far, 1) @ to_map))) @ axis
    if not len(along):
        raise ValueError(f"no front crosses a box {2 * half:.0f} m wide there: move the centreline to where they are")
    corners[:, 0] = np.repeat([along.min() - 2 * REACH * half, along.max() + 2 * REACH * half], 2)
    return shapely.Polygon(corners @ to_map)


def steps(one: shapely.Geometry, other: shapely.Geometry) -> tuple[np.ndarray, np.ndarray]:
    """From each vertex to the nearest point of the other front, and whether it lies beside it: past its ends, where
    only a part of a front was seen, a step would run along the front.
    """
    lines = shapely.shortest_line(shapely.points(shapely.get_coordinates(one)), other)
    past = shapely.distance(shapely.get_point(lines, 1), shapely.boundary(other)) <= 1e-6  # NaN: a closed line
    return np.diff(shapely.get_coordinates(lines).reshape(-1, 2, 2), axis=1)[:, 0], ~past


def _spine(fronts, box, centreline, width, upglacier) -> tuple[shapely.LineString, float]:
    """A centreline as long as the fronts need and the width across it: the box's where none is given."""
    sided = None if box is None else four_sided(fronts, box, centreline, width, upglacier)
    if sided is None and width is None:
        raise ValueError("no width across the centreline: give width=, or box=")
    wide = float(width or sided.width)
    flow = sided if sided and centreline is None else flowline(fronts, box, centreline, None, upglacier)
    return _taken_on(flow.centreline, fronts, wide / 2), wide


def _taken_on(line: shapely.LineString, fronts: np.ndarray, half: float) -> shapely.LineString:
    """`line` with straight pieces past its ends where fronts within `half` of it go on beyond."""
    xy = shapely.get_coordinates(line)
    points = shapely.get_coordinates(shapely.segmentize(fronts, min(half, line.length) / 10))
    at = shapely.line_locate_point(line, shapely.points(points))
    room = 2 * REACH * (half if np.isfinite(half) else np.ptp(aside(line, points)) / 2)
    for end, inner, last in ((0, 1, 0.0), (-1, -2, line.length)):
        out = (xy[end] - xy[inner]) / np.linalg.norm(xy[end] - xy[inner])
        past = points[at == last] - xy[end]
        ahead = (past @ out)[np.abs(past @ (out @ LEFT)) <= half].max(initial=0.0)
        if ahead > 0:
            xy[end] = xy[end] + out * (ahead + room)
    return shapely.LineString(xy)


def _across(width: float, spacing: float) -> np.ndarray:
    """Offsets every `spacing` or a little less or more, each in the middle of its share of `width`."""
    if not 0 < spacing <= width:
        raise ValueError(f"lines every {spacing:g} m across a width of {width:g} m: take a spacing below the width")
    n = int(np.ceil(width / spacing - 1e-9))
    return (np.arange(n) + 0.5) * (width / n) - width / 2


def _beside(line: shapely.LineString, offset: float) -> shapely.LineString:
    side = shapely.offset_curve(line, offset, quad_segs=16)
    if side.is_empty:
        raise ValueError(f"the centreline bends too sharply for a line {abs(offset):.0f} m beside it: narrow the width")
    return max(shapely.get_parts(side), key=shapely.length)
