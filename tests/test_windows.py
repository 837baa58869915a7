"""Windows weigh one everywhere, lie on the network's grid, and each is in exactly one block."""

import numpy as np
import pytest

from glacier_nb import windows


@pytest.mark.parametrize("length", [1, 7, 31, 32, 33, 64, 100, 257])
@pytest.mark.parametrize(("window", "halo"), [(32, 0), (32, 4), (32, 11), (16, 6)])
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("reach", [None, 0, 3])
def test_weights_sum_to_one_everywhere(length, window, halo, stride, reach):
    axis = windows.along(length, window, halo, stride, reach)
    total = np.zeros(axis.length)
    for start, weight in zip(axis.starts, axis.weights, strict=True):
        assert start % stride == 0
        total[start : start + axis.window] += weight
        if reach is not None and reach <= halo:
            assert start == 0 or not weight[:reach].any()
            assert start + axis.window == axis.length or not weight[::-1][:reach].any()
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    assert length <= axis.length < length + stride


def test_blocks_hold_each_window_once():
    rows, columns = windows.along(700, 64, 8), windows.along(90, 64, 8)
    found = [(y, x) for block in windows.blocks(rows, columns, 200) for y in block.y for x in block.x]
    assert sorted(found) == sorted((y, x) for y in rows.starts for x in columns.starts)
    assert len(windows.blocks(rows, columns, 200)) > 1


def test_a_block_sees_its_windows_and_no_more():
    rows, columns = windows.along(300, 64, 8, stride=4), windows.along(50, 64, 8, stride=4)
    found = windows.blocks(rows, columns, 150)
    assert found[0].extent == (slice(0, found[0].y[-1] + 64), slice(0, 52))  # 50 padded to a multiple of 4
    assert found[-1].extent[0].stop == rows.length == 300


def test_what_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="a halo of 20 leaves nothing of a window of 40"):
        windows.along(100, 40, 20)
    with pytest.raises(ValueError, match="a window of 16 pixels is too small"):
        windows.along(100, 16, 0, stride=32)
    assert windows.along(30, 40, 20).starts == (0,)  # a scene within one window needs no halo
