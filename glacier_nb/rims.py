"""How much of a cut outline's edge is ice margin and how much is the cut."""

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
