"""Margins without cutting lines are those that cutting lines gives."""

import numpy as np
import pytest
import shapely

from glacier_nb import rims


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("side", [400.0, 900.0, 2500.0])  # basins from smaller than a glacier to larger
def test_lengths_are_those_of_cut_edges(seed, side):
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = 500 * (1 + 0.3 * np.sin(3 * turn + rng.uniform(0, 6, (20, 1))))
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1)
    shapes = shapely.polygons(ring + rng.uniform(0, 5000, (20, 1, 2)))
    shapes[::3] = shapely.difference(shapes[::3], shapely.buffer(shapely.centroid(shapes[::3]), 100))
    west, south = (part.ravel() for part in np.meshgrid(np.arange(0, 5000, side), np.arange(0, 5000, side)))
    ground = shapely.box(west, south, west + side, south + side)  # what lies beyond is in no basin
    i, j = shapely.STRtree(ground).query(shapes, predicate="intersects")
    pieces = shapely.intersection(shapes[i], ground[j])
    real = shapely.area(pieces) > 0.01
    i, j, pieces = i[real], j[real], pieces[real]
    edges = shapely.boundary(shapes)
    cut = shapely.length(shapely.intersection(edges[i], ground[j]))
    assert rims.lengths(shapes, ground, i, j, pieces) == pytest.approx(cut, abs=1e-6)
    assert rims.lengths(shapes, ground, i, j, pieces, edges) == pytest.approx(cut, abs=1e-6)
    none = np.full(len(shapes), shapely.LineString(), dtype=object)
    assert (rims.lengths(shapes, ground, i, j, pieces, none) == 0).all()
