"""Ordered pixels: the cheapest, the longest and the heaviest way, on drawings whose answer is known."""

import itertools

import numpy as np
import pytest
from skimage.graph import route_through_array

from glacier_nb import paths


def test_path_follows_the_front_and_keeps_to_the_margin():
    cost = np.ones((40, 60))
    rows = np.round(20 + 8 * np.sin(np.arange(60) / 10)).astype(int)
    cost[rows, np.arange(60)] = 0
    path = paths.minimum_cost(cost, margin=(5, 10))
    assert path[0, 1] == 10 and path[-1, 1] == 49
    assert set(map(tuple, path)) == {(r, c) for r, c in zip(rows, range(60), strict=True) if 10 <= c < 50}
    steps = np.abs(np.diff(path, axis=0))
    assert steps.max() == 1


def test_path_is_as_cheap_upside_down_and_crosses_gaps():
    rng = np.random.default_rng(0)
    cost = rng.random((30, 40))
    cost[15, :18] = cost[15, 22:] = 0
    price = [cost[tuple(path.T)].sum() for path in (paths.minimum_cost(cost),)]
    turned = paths.minimum_cost(cost[::-1])
    assert cost[::-1][tuple(turned.T)].sum() == pytest.approx(price[0])
    assert (paths.minimum_cost(cost)[:18, 0] == 15).all()
    cost[15, 18:22] = np.nan  # unseen costs as much as no front, and no more
    assert len(paths.minimum_cost(cost)) >= 40
    with pytest.raises(ValueError, match="margin of 15 rows and 2 columns leaves nothing"):
        paths.minimum_cost(cost, margin=(15, 2))


def test_one_search_finds_what_one_for_each_pair_does():
    rng = np.random.default_rng(3)
    for _ in range(5):
        cost = rng.random((25, 30))
        starts, ends = ([(row, column) for row in range(2, 25, 5)] for column in (0, 29))
        each = min(
            route_through_array(cost + 1e-3, a, b, fully_connected=True, geometric=True)[1]
            for a, b in itertools.product(starts, ends)
        )
        path = paths.cheapest(cost, starts, ends)
        assert tuple(path[0]) in starts and tuple(path[-1]) in ends
        length = np.hypot(*np.diff(path, axis=0).T)
        along = cost[tuple(path.T)] + 1e-3
        assert (length * (along[1:] + along[:-1]) / 2).sum() == pytest.approx(each)


def drawn(text: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in text.split()])


FORK = """
.........
#.....##.
.#...#...
..###....
....#....
....#....
"""


def test_the_longest_way_leaves_branches_out():
    way, *others = paths.longest(drawn(FORK))
    assert way.tolist() == [[1, 0], [2, 1], [3, 2], [3, 3], [3, 4], [2, 5], [1, 6], [1, 7]]
    assert not others


@pytest.mark.parametrize("turn", [lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a.T])
def test_ways_turn_with_the_drawing(turn):
    mask = drawn(FORK)
    turned = np.zeros(turn(mask).shape, bool)
    turned[tuple(paths.longest(turn(mask))[0].T)] = True
    straight = np.zeros_like(mask)
    straight[tuple(paths.longest(mask)[0].T)] = True
    np.testing.assert_array_equal(turned, turn(straight))


def test_bodies_come_longest_first_and_a_ring_is_gone_round_half():
    ring = drawn("..##..... .#..#.... #....#..# .#..#...# ..##.....")
    first, second = paths.longest(ring)
    assert len(first) == 6 and second.tolist() == [[2, 8], [3, 8]]  # half of ten pixels, both ends counted
    assert [way.tolist() for way in paths.longest(drawn("#.. ... ..#"))] == [[[0, 0]], [[2, 2]]]
    assert paths.longest(np.zeros((3, 3), bool)) == []


def test_a_shuffled_front_comes_back_in_order():
    x = np.arange(300)
    front = np.stack([np.round(60 + 20 * np.sin(x / 30)).astype(int), x], axis=1)
    mixed = front[np.random.default_rng(0).permutation(len(front))]
    np.testing.assert_array_equal(paths.spanning_tree(mixed), front)


def test_a_tree_built_in_blocks_is_the_tree(monkeypatch):
    points = np.unique(np.random.default_rng(2).integers(0, 200, (300, 2)), axis=0)
    whole = paths.spanning_tree(points)
    monkeypatch.setattr(paths, "EDGES", 1000)
    weight = [np.hypot(*np.diff(way, axis=0).T) for way in (whole, paths.spanning_tree(points))]
    assert (3 - weight[0]).sum() == pytest.approx((3 - weight[1]).sum())  # ties may fall another way


def test_a_spanning_tree_crosses_gaps_that_pay_and_leaves_strays():
    gap = np.array([(0, x) for x in range(60) if not 20 <= x < 24] + [(50, 5), (50, 6), (51, 5)])
    way = paths.spanning_tree(gap)
    assert way[0].tolist() == [0, 0] and way[-1].tolist() == [0, 59] and (way[:, 0] == 0).all()
    lone = np.array([(0, x) for x in range(10)] + [(0, x) for x in range(200, 240)])
    assert paths.spanning_tree(lone)[0].tolist() == [0, 200]  # 190 pixels cost more than ten points bring
    with pytest.raises(ValueError, match="3 points: a front needs four"):
        paths.spanning_tree(gap[:3])


def test_the_heaviest_way_is_that_of_all_pairs():
    rng = np.random.default_rng(1)
    for _ in range(20):
        n = 12
        parent = [int(rng.integers(k)) for k in range(1, n)]
        weight = rng.normal(0.3, 1, n - 1)
        near = {k: {} for k in range(n)}
        for k, (above, w) in enumerate(zip(parent, weight, strict=True), 1):
            near[k][above] = near[above][k] = w

        def heaviest(node, before, near=near):
            return max([0.0, *(w + heaviest(to, node) for to, w in near[node].items() if to != before)])

        best = max(heaviest(node, None) for node in range(n))
        way = paths._heaviest(np.arange(1, n), np.array(parent), weight, n)
        assert sum(near[a][b] for a, b in itertools.pairwise(way)) == pytest.approx(best)
