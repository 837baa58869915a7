"""Windows weigh one everywhere, lie on the network's grid, each is in exactly one block, and blocks share no pixel."""

import numpy as np
import pytest

from glacier_nb import windows


@pytest.mark.parametrize("length", [1, 7, 31, 32, 33, 64, 100, 257])
@pytest.mark.parametrize(("window", "halo"), [(32, 0), (32, 4), (32, 11), (16, 4)])
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("reach", [None, 0, 3])
@pytest.mark.parametrize("block", [None, 20, 40])
def test_weights_sum_to_one_everywhere(length, window, halo, stride, reach, block):
    axis = windows.along(length, window, halo, stride, reach, block)
    total = np.zeros(axis.length)
    for start, weight in zip(axis.starts, axis.weights, strict=True):
        assert start % stride == 0
        assert (weight >= 0).all() and weight.any()
        total[start : start + axis.window] += weight
        if reach is not None and reach <= halo:
            assert start == 0 or not weight[:reach].any()
            assert start + axis.window == axis.length or not weight[::-1][:reach].any()
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    assert length <= axis.length < length + stride


@pytest.mark.parametrize("halo", [0, 8, 11])
def test_blocks_hold_each_window_once_and_own_each_pixel_once(halo):
    rows, columns = windows.along(700, 64, halo, block=200), windows.along(90, 64, halo, block=200)
    found = windows.blocks(rows, columns)
    assert len(found) > 2 and [block.number for block in found] == list(range(len(found)))
    spots = [(y, x) for block in found for y in block.y for x in block.x]
    assert sorted(spots) == sorted((y, x) for y in rows.starts for x in columns.starts)
    owners = np.zeros((700, 90), dtype=int)
    for block in found:
        owners[block.owned] += 1
        assert block.owned[0].start % rows.chunk == 0
    assert (owners == 1).all()


@pytest.mark.parametrize("reach", [4, 8])
def test_support_is_where_a_block_weighs(reach):
    rows, columns = windows.along(400, 64, 8, 4, reach, 100), windows.along(50, 64, 8, 4, reach, 100)
    total = np.zeros((400, 50))
    for block in windows.blocks(rows, columns):
        mine = np.zeros((rows.length, columns.length))
        for y, weight in zip(block.y, block.y_weights, strict=True):
            mine[y : y + len(weight), : columns.window] += np.outer(weight, block.x_weights[0])
        inside = np.zeros_like(mine, dtype=bool)
        inside[block.support] = True
        assert not mine[: rows.size, : columns.size][~inside[: rows.size, : columns.size]].any()
        assert (mine[block.support] > 0).all()
        total += mine[: rows.size, : columns.size]
        if reach == 8:  # hard seams: every block writes its own pixels, and only those
            assert block.support == block.owned
    np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_a_block_sees_its_windows_and_no_more():
    rows, columns = windows.along(300, 64, 8, stride=4, block=150), windows.along(50, 64, 8, stride=4)
    found = windows.blocks(rows, columns)
    assert found[0].extent == (slice(0, found[0].y[-1] + 64), slice(0, 52))  # 50 padded to a multiple of 4
    assert found[-1].extent[0].stop == rows.length == 300


def test_what_is_not_wanted_is_in_no_block():
    rows, columns = windows.along(700, 64, 8, block=150), windows.along(700, 64, 8, block=150)
    spans = windows.spans(rows, columns).reshape(len(rows.starts), len(columns.starts), 4)
    found = windows.blocks(rows, columns, (spans[..., 0] < 30) & (spans[..., 2] < 60))
    assert [(block.y, block.x, block.wanted.tolist()) for block in found] == [((0,), (0, 40), [[True, True]])]
    assert found[0].extent == (slice(0, 64), slice(0, 104))
    assert windows.blocks(rows, columns, spans[..., 0] < 0) == []


def test_a_network_of_one_size_gets_it_from_a_scene_that_is_smaller():
    axis = windows.along(30, 64, 8, stride=32, fixed=True)
    assert axis.window == axis.length == 64 and axis.size == 30 and axis.starts == (0,)


def test_what_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="a halo of 20 leaves nothing of a window of 40"):
        windows.along(100, 40, 20)
    with pytest.raises(ValueError, match="a halo of 6 leaves nothing of a window of 16"):
        windows.along(100, 16, 6, 4, block=20)  # alone it would do; in groups a seam must lie on a multiple of 4
    with pytest.raises(ValueError, match="a window of 16 pixels is too small"):
        windows.along(100, 16, 0, stride=32)
    assert windows.along(30, 40, 20).starts == (0,)  # a scene within one window needs no halo
