"""Ordered pixels of a front: the cheapest way through a map, the longest way along a skeleton or a spanning tree."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree
from skimage.graph import MCP_Geometric

STEPS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, np.sqrt(2)), (1, -1, np.sqrt(2)))  # to half of the eight neighbours
EDGES = 2_000_000  # of a graph in memory at once


def minimum_cost(cost: np.ndarray, margin: tuple[int, int] = (0, 0)) -> np.ndarray:
    """The cheapest way from the left side to the right: pixels (n, 2) as (row, column), left to right.

    cost: (y, x), 0 on a front and 1 off it; NaN counts as 1. The path steps to any of eight neighbours (diagonals
    weigh sqrt 2) and keeps off the `margin` (rows, columns) on each side. Mohajerani 2019, doi:10.3390/rs11010074.
    ValueError where the margin leaves nothing.

    >>> cost = np.ones((5, 4)); cost[2] = 0
    >>> minimum_cost(cost).tolist()
    [[2, 0], [2, 1], [2, 2], [2, 3]]
    """
    rows, columns = margin
    inner = cost[rows : cost.shape[0] - rows, columns : cost.shape[1] - columns]
    if min(inner.shape) < 2:
        raise ValueError(
            f"a margin of {rows} rows and {columns} columns leaves nothing of {cost.shape}: take a smaller one"
        )
    sides = [[(row, column) for row in range(inner.shape[0])] for column in (0, inner.shape[1] - 1)]
    return np.add(cheapest(inner, *sides), margin)


def cheapest(cost: np.ndarray, starts: Sequence, ends: Sequence) -> np.ndarray:
    """Of all ways from one of `starts` to one of `ends` (pixels) the cheapest: (n, 2) as (row, column), in that order.

    One search from all starts at once finds what a search for each pair would. cost: as in `minimum_cost`.
    Dijkstra 1959, doi:10.1007/BF01386390.
    """
    graph = MCP_Geometric(np.nan_to_num(cost, nan=1.0) + 1e-3)  # a length where nothing else decides
    ends = [tuple(int(n) for n in end) for end in ends]
    costs, _ = graph.find_costs([tuple(int(n) for n in start) for start in starts])
    return np.array(graph.traceback(min(ends, key=costs.__getitem__)))


def longest(skeleton: np.ndarray) -> list[np.ndarray]:
    """The longest way along each body (8-connected) of a boolean skeleton (y, x): pixels (n, 2), longest body first.

    Of the shortest ways between the ends of a body, the longest; branches are left out. A body without two ends (a
    ring) is gone round half. Lengths in pixels, diagonals sqrt 2. After Koch and Rosolowsky 2015, FilFinder.
    """
    pixels = np.argwhere(skeleton)
    graph = _neighbours(np.asarray(skeleton, dtype=bool), pixels)
    count, body = csgraph.connected_components(graph, directed=False)
    ends = np.diff((graph + graph.T).tocsr().indptr) <= 1
    found = []
    for number in range(count):
        mine = np.flatnonzero(body == number)
        start = mine[ends[mine]]
        if len(start) < 2:  # the farthest from anywhere, and from there
            reached = csgraph.dijkstra(graph, directed=False, indices=mine[0])
            start = np.array([mine[np.argmax(reached[mine])]])
        reached, before = csgraph.dijkstra(graph, directed=False, indices=start, return_predecessors=True)
        reached[~np.isfinite(reached)] = -1
        first, last = np.unravel_index(reached.argmax(), reached.shape)
        found.append((reached[first, last], _rightwards(pixels[_walk(before[first], last)])))
    return [way for _, way in sorted(found, key=lambda pair: -pair[0])]


def spanning_tree(points: np.ndarray, share: float = 0.25, least: int = 3) -> np.ndarray:
    """Points (n, 2) of a front in no order, put in order: those (m, 2) on the heaviest way through a spanning tree.

    Each point is joined to the nearest max(`least`, `share` of all), an edge of d pixels weighs ln(d + 1); of their
    minimum spanning tree, edges weighed again as 3 - d, so that jumps cost, the heaviest way. Cheng et al. 2021,
    doi:10.5194/tc-15-1663-2021, and its released code. ValueError for fewer than four points.

    >>> spanning_tree(np.array([[0, 3], [0, 0], [0, 2], [0, 1], [40, 40]])).tolist()
    [[0, 0], [0, 1], [0, 2], [0, 3]]
    """
    if len(points) < 4:
        raise ValueError(f"{len(points)} points: a front needs four at least; lower the threshold")
    near = min(max(least, int(share * len(points))), len(points) - 1) + 1
    index, forest, block = cKDTree(points), sparse.csr_matrix((len(points),) * 2), 1 + EDGES // near
    for first in range(0, len(points), block):  # a forest and more edges have the forest of all edges together
        far, other = index.query(points[first : first + block], near)
        rows = np.repeat(np.arange(first, first + len(far)), near)
        edges = sparse.csr_matrix(
            (np.log(far.ravel() + 1), (rows, other.ravel())), forest.shape
        )  # itself, at 0, is none
        edges.eliminate_zeros()
        forest = csgraph.minimum_spanning_tree(forest.maximum(edges))
    tree = forest.tocoo()
    return _rightwards(points[_heaviest(tree.row, tree.col, 4 - np.exp(tree.data), len(points))])  # 3 - d


def _heaviest(a: np.ndarray, b: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """Nodes, in order, of the heaviest path in a forest of edges a - b, whose weights may be negative."""
    tree = sparse.csr_matrix((np.arange(1, len(a) + 1), (a, b)), (count, count))  # the data number the edges
    seen, best, ends = np.zeros(count, dtype=bool), -np.inf, (0, [], [])
    down, onward = np.zeros(count), np.full(count, -1)  # the heaviest way down from a node, and its next node
    for root in range(count):
        if seen[root]:
            continue
        order, before = csgraph.breadth_first_order(tree, root, directed=False)
        seen[order] = True
        second = np.zeros((count, 2))  # heaviest two branches of each node
        branch = np.full((count, 2), -1)
        for node in order[::-1]:
            down[node], onward[node] = second[node, 0], branch[node, 0]
            if second[node].sum() > best:
                best, ends = second[node].sum(), (node, branch[node, 0], branch[node, 1])
            if node != root:
                above = before[node]
                edge = tree[node, above] or tree[above, node]
                through = down[node] + weight[edge - 1]
                if through > second[above, 0]:
                    second[above] = through, second[above, 0]
                    branch[above] = node, branch[above, 0]
                elif through > second[above, 1]:
                    second[above, 1], branch[above, 1] = through, node
    arms = []
    for node in ends[1:]:
        arm = []
        while node != -1:
            arm.append(node)
            node = onward[node]
        arms.append(arm)
    return np.array([*arms[0][::-1], ends[0], *arms[1]], dtype=int)


def _neighbours(skeleton: np.ndarray, pixels: np.ndarray) -> sparse.csr_matrix:
    """Distances between neighbouring pixels, each pair once. A diagonal is no way where a corner pixel is set too."""
    number = np.full(np.add(skeleton.shape, 2), -1)
    number[1:-1, 1:-1][skeleton] = np.arange(len(pixels))
    y, x = pixels.T + 1
    rows, columns, lengths = [], [], []
    for down, right, length in STEPS:
        there = number[y + down, x + right]
        joined = there >= 0
        if down and right:
            joined &= (number[y + down, x] < 0) & (number[y, x + right] < 0)
        rows.append(np.flatnonzero(joined))
        columns.append(there[joined])
        lengths.append(np.full(joined.sum(), length))
    # a matrix, as all graphs here, for it numbers its nodes in 32 bits: csgraph before scipy 1.17 knows no others
    length, row, column = (np.concatenate(part) for part in (lengths, rows, columns))
    return sparse.csr_matrix((length, (row, column)), (len(pixels),) * 2)


def _walk(before: np.ndarray, last: int) -> np.ndarray:
    """Nodes from a search's start to `last`."""
    way = [last]
    while before[way[-1]] >= 0:
        way.append(before[way[-1]])
    return np.array(way[::-1])


def _rightwards(way: np.ndarray) -> np.ndarray:
    return way if tuple(way[0, ::-1]) <= tuple(way[-1, ::-1]) else way[::-1]
