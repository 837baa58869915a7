"""The edges of outlines: how much of a cut one is ice margin, and corners rounded off.

Without a source, plain or ours: `lengths`.
"""

import numpy as np
import shapely


def lengths(
    shapes: np.ndarray, ground: np.ndarray, i: np.ndarray, j: np.ndarray, pieces: np.ndarray,
    margins: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Length of margin in each piece, shapes[i] within ground[j]; `margins` are the lines that count (default: edges).

    Where one or two pieces make up the shape no line need be cut: what their edges have over the shape's is the divide
    between them, twice. Units of the map.

    >>> halves = shapely.box(0, 0, 1, 2), shapely.box(1, 0, 2, 2)
    >>> lengths(np.array([shapely.box(0, 0, 2, 2)]), np.array(halves), [0, 0], [0, 1], np.array(halves)).tolist()
    [4.0, 4.0]
    """
    i, j = np.asarray(i), np.asarray(j)
    found, rest = np.zeros(len(i)), np.full(len(i), True)
    lines = margins[i] if margins is not None else None
    if margins is None:
        found, around = shapely.length(pieces), shapely.length(shapes)
        n = np.bincount(i, minlength=len(shapes))
        over = np.bincount(i, found, len(shapes)) - around
        whole = np.isclose(np.bincount(i, shapely.area(pieces), len(shapes)), shapely.area(shapes), rtol=1e-9, atol=0)
        found, rest = found - np.where(n[i] == 2, over[i] / 2, 0), ~(whole & (n <= 2))[i]
        lines = np.empty(len(i), dtype=object)
        lines[rest] = shapely.boundary(shapes[i[rest]])
    uncut = rest & shapely.equals_exact(pieces, shapes[i], 0)
    found[uncut] = shapely.length(lines[uncut])
    cut = rest & ~uncut
    found[cut] = shapely.length(shapely.intersection(lines[cut], ground[j[cut]]))
    return np.maximum(found, 0.0)


def rounded(shapes: np.ndarray, rounds: int, step: float) -> np.ndarray:
    """Polygons with their corners cut `rounds` times (Chaikin 1974, doi:10.1016/0146-664X(74)90028-8).

    Sides longer than `step` (units of the map) are halved, thirded ... until they are not, so that long straight ones
    stay. Each round puts a point at a quarter and at three quarters of every side and drops the corners: twice the
    points, towards a quadratic B-spline. The line moves by a quarter of `step` at most; the corner between sides a and
    b gives or takes |a x b| (1 - 4^-rounds) / 24 of area. Bodies that come to meet are one body: all are valid, none
    overlaps another. Raises ValueError for negative `rounds`.

    >>> square = np.array([shapely.box(0, 0, 1, 1)])
    >>> [round(1 - float(shapely.area(rounded(square, n, 1.0)).sum()), 6) for n in (0, 1, 9)]
    [0.0, 0.125, 0.166666]
    """
    if rounds < 0:
        raise ValueError(f"smooth={rounds}: give how many times corners are cut, 1 to 3, or 0 to leave outlines be")
    if not rounds or not len(shapes):
        return shapes
    bodies = shapely.segmentize(shapely.get_parts(shapes), step)
    rings = ([_cut(shapely.get_coordinates(ring), rounds) for ring in shapely.get_rings(body)] for body in bodies)
    cut = [shapely.Polygon(ring[0], ring[1:]) for ring in rings]
    return shapely.get_parts(shapely.union_all(shapely.make_valid(cut, method="structure", keep_collapsed=False)))


def _cut(ring: np.ndarray, rounds: int) -> np.ndarray:
    for _ in range(rounds):
        ahead = ring[1:]
        ring = np.stack([3 * ring[:-1] + ahead, ring[:-1] + 3 * ahead], axis=1).reshape(-1, 2) / 4
        ring = np.vstack([ring, ring[:1]])
    return ring
