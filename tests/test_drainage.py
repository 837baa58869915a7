"""Flow on drawn DEMs, and the snow that feeds a glacier."""

import numpy as np
import pytest
import xarray as xr
from drawing import draw, layers, letters, one, picture

from glacier_nb import drainage


def arrives(elevation: np.ndarray) -> np.ndarray:
    """Flat index of the outlet that each pixel reaches; fails on a cycle."""
    towards, order = drainage.flow(elevation)
    end = towards.ravel().copy()
    for _ in range(int(np.ceil(np.log2(end.size))) + 1):
        end = np.where(end >= 0, end[end], -1)
    known = end >= 0
    np.testing.assert_array_equal(towards.ravel()[end[known]], end[known])  # an outlet drains to itself
    assert sorted(order) == np.flatnonzero(~np.isnan(elevation)).tolist()
    return end.reshape(elevation.shape)


def test_a_plane_drains_straight_down():
    y, x = np.mgrid[:7, :9]
    assert (arrives(10.0 * x + 0 * y) % 9 == 0).all()
    assert (drainage.flow(10.0 * x + 0 * y)[0][1:-1, 1:] == (np.arange(63).reshape(7, 9) - 1)[1:-1, 1:]).all()
    slanted = drainage.flow(10.0 * x + 9.9 * y)[0]
    assert (slanted[1:, 1:] == (np.arange(63).reshape(7, 9) - 10)[1:, 1:]).all()  # 19.9 / sqrt 2 is steeper than 10
    oblong = drainage.flow(10.0 * x + 9.9 * y, down=30.0, across=10.0)[0]
    assert (oblong[1:, 1:] == (np.arange(63).reshape(7, 9) - 1)[1:, 1:]).all()  # 10 / 10 against 19.9 / 31.6


def test_a_cone_drains_to_all_sides_and_a_pit_out_of_its_lowest_gap():
    y, x = np.mgrid[:21, :21] - 10.0
    out = arrives(-np.hypot(x, y))
    row, column = np.divmod(out, 21)
    assert (np.isin(row, (0, 20)) | np.isin(column, (0, 20))).all()
    walled = np.where(np.maximum(abs(x), abs(y)) >= 9, 50.0, np.hypot(x, y))
    walled[10, 19:] = 20.0  # the only gap, to the east
    basin = np.maximum(abs(x), abs(y)) < 9
    assert (arrives(walled)[basin] == 10 * 21 + 20).all()


def test_flats_and_unknown_ground_end_somewhere():
    rng = np.random.default_rng(0)
    rough = np.round(rng.normal(size=(40, 50)), 1)  # many ties
    rough[10:14, 20:30] = np.nan
    out = arrives(rough)
    assert (out[~np.isnan(rough)] >= 0).all() and (out[np.isnan(rough)] == -1).all()
    assert (arrives(np.zeros((9, 9))) >= 0).all()


def test_flow_turns_with_the_ground():
    rng = np.random.default_rng(5)
    ground = rng.normal(size=(15, 15)).cumsum(axis=0).cumsum(axis=1)  # no two falls are equal
    number = np.arange(225).reshape(15, 15)
    flipped = drainage.flow(ground[:, ::-1])[0][:, ::-1]
    np.testing.assert_array_equal(number[:, ::-1].ravel()[flipped], drainage.flow(ground)[0])


ICE = """
rrrrrrrr
rrrrrrrr
rrrgggrr
rrrgggrr
rrrrrrrr
"""
SNOW = """
..ssss..
.sssss..
.s.....s
.......s
ssssssss
"""


def test_snow_above_the_ice_feeds_it_and_snow_below_or_apart_does_not():
    zones = draw(ICE)
    height = np.repeat(np.arange(5, 0, -1.0)[:, None] * 100, 8, axis=1)  # it flows south
    given = layers(zones, ndsi=letters(SNOW, s=0.8, _=0.1), elevation=height)
    fed = one("rrrgggrr rrrgggrr rrrgggrr rrrgggrr rrrrrrrr")
    assert picture(drainage.accumulation(zones, given)) == fed
    assert picture(drainage.accumulation(zones, given, threshold=0.9)) == one(ICE)
    turned = drainage.accumulation(zones[:, ::-1], given[:, ::-1])
    xr.testing.assert_equal(turned[:, ::-1], drainage.accumulation(zones, given))
    apart = given.copy()
    apart.loc[{"feature": "ndsi"}][1, 3:6] = 0.0  # bare rock between
    assert picture(drainage.accumulation(zones, apart)) == one(ICE)
    with pytest.raises(LookupError, match="accumulation needs the layer 'elevation'"):
        drainage.accumulation(zones, given.sel(feature=["ndsi"]))
