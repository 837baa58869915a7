"""What became of glaciers: every case drawn, many at once as one by one."""

import numpy as np
import pytest
import shapely

from glacier_nb import events

WHOLE = shapely.box(0, 0, 1000, 200)
TWO = shapely.box(0, 0, 400, 200) | shapely.box(600, 0, 1000, 200)
THREE = TWO | shapely.box(2000, 0, 2400, 200)
NONE = shapely.Polygon()


@pytest.mark.parametrize(("before", "after", "told"), [
    (WHOLE, TWO, "split into 2"), (TWO, WHOLE, "merged into 1"), (WHOLE, NONE, "disappeared"), (NONE, TWO, "appeared"),
    (WHOLE, WHOLE, ""), (TWO, THREE, ""), (THREE, TWO, ""), (WHOLE, THREE, "split into 3"), (NONE, NONE, ""),
])  # fmt: skip
def test_one_glacier(before, after, told):
    shapes = np.array([[before, after]], dtype=object)
    count, found = events.happened(shapes, np.array([[True, True]]))
    assert found[0].tolist() == ["", told]
    assert count[0].tolist() == [len(shapely.get_parts(one)) * (not one.is_empty) for one in (before, after)]
    assert (events.happened(shapes, np.array([[True, False]]))[1] == "").all()  # not all was seen


def test_many_at_once_are_as_one_by_one():
    rng = np.random.default_rng(1)
    kinds = np.array([WHOLE, TWO, THREE, NONE], dtype=object)
    shapes = kinds[rng.integers(0, 4, (50, 4))]
    seen = rng.random(shapes.shape) < 0.8
    count, found = events.happened(shapes, seen)
    for row in range(50):
        alone = events.happened(shapes[row : row + 1], seen[row : row + 1])
        assert (alone[0][0] == count[row]).all() and (alone[1][0] == found[row]).all()
    assert events.counted(found[:, 1]).count(",") >= 2


def test_small_parts_are_not_counted():
    crumbs = WHOLE | shapely.box(1500, 0, 1550, 50)
    assert events.happened(np.array([[WHOLE, crumbs]], dtype=object), np.full((1, 2), True))[0].tolist() == [[1, 1]]
