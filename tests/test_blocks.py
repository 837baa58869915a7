"""Whole or block by block: the same numbers."""

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from glacier_nb import blocks

IMAGE = np.random.default_rng(3).random((23, 31)).astype("float32")


def highest(image, size=5):
    return ndimage.maximum_filter(image, size, mode="nearest")


@pytest.mark.parametrize("chunks", [(23, 31), (7, 31), (1, 4), (5, 1)])
def test_a_neighbourhood_reaches_over_blocks(chunks):
    lazy = da.from_array(IMAGE, chunks)
    one = blocks.near(highest, lazy, 2)
    assert one.chunks == lazy.chunks
    np.testing.assert_array_equal(one, highest(IMAGE))
    two = blocks.near(lambda image: np.stack([highest(image), -image]), lazy, 2, layers=2)
    assert two.chunks == ((2,), *lazy.chunks)
    np.testing.assert_array_equal(two, [highest(IMAGE), -IMAGE])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (4, 2)])
def test_an_image_smaller_than_the_neighbourhood_is_taken_whole(shape):
    small = IMAGE[: shape[0], : shape[1]]
    np.testing.assert_array_equal(blocks.near(highest, da.from_array(small, (1, 1)), 6, size=13), highest(small, 13))


def test_each_block_gets_the_whole_row_of_numbers():
    lazy, numbers = da.from_array(IMAGE, (7, 8)), np.arange(5)

    def farther(image, other, row):
        assert row.size == 5
        return image + other + row.sum()

    found = blocks.each(farther, lazy, lazy, numbers=da.from_array(numbers, 5))
    np.testing.assert_array_equal(found, blocks.each(farther, IMAGE, IMAGE, numbers=numbers))


def test_what_cannot_be_taken_apart_sees_the_image_once():
    shapes = []

    def cumulated(image):
        shapes.append(image.shape)
        return np.cumsum(image, axis=1, dtype="float32")

    found = blocks.together(cumulated, da.from_array(IMAGE, (7, 8)))
    assert found.chunks == ((7, 7, 7, 2), (8, 8, 8, 7))
    np.testing.assert_array_equal(found.compute(scheduler="sync"), cumulated(IMAGE))
    assert set(shapes) == {IMAGE.shape}


def test_parts_are_blocks_in_reading_order_read_when_computed():
    parts, call = blocks.taken_apart(da.from_array(IMAGE, (12, 16)))
    sums = [call(np.sum)(part).compute() for part in parts]
    corners = [IMAGE[:12, :16], IMAGE[:12, 16:], IMAGE[12:, :16], IMAGE[12:, 16:]]
    np.testing.assert_allclose(sums, [corner.sum() for corner in corners], rtol=1e-6)
    (whole,), call = blocks.taken_apart(IMAGE)
    assert whole is IMAGE and call(np.size)(whole) == IMAGE.size
