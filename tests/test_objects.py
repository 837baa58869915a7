"""Object-based steps: drawn maps in, the expected maps out."""

import numpy as np
import pytest
import xarray as xr
from drawing import draw, layers, letters, one, picture

from glacier_nb import clean, objects


def two_fields(side: int = 40, split: int = 17) -> xr.DataArray:
    """An image of two fields, west dark and east bright, with a little grain."""
    grain = np.random.default_rng(0).normal(0, 0.01, (2, side, side))
    field = np.where(np.arange(side) < split, 0.2, 0.8)
    return layers(draw(("g" * side + " ") * side), red=field + grain[0], slope=10 * field + grain[1])


def test_a_segment_has_one_answer_and_does_not_cross_an_edge():
    image = two_fields()
    zones = draw(("r" * 40 + " ") * 40)
    rng = np.random.default_rng(1)
    heat = np.clip(np.where(np.arange(40) < 17, 0.3, 0.7) + rng.normal(0, 0.1, (40, 40)), 0, 1)
    zones.values[:] = np.stack([1 - heat, heat, 0 * heat])
    zones.values[:, 30:, 30:] = np.nan
    found = objects.mean_heat(zones, image, ("red", "slope"), size=50)
    ice = found.sel(zone="glacier").values
    assert (ice[:, :17] < 0.5).all() and (ice[:30, 17:] > 0.5).all()
    assert 10 < len(np.unique(ice[np.isfinite(ice)])) < 60  # 1600 pixels in segments of about 50
    np.testing.assert_allclose(found.sum("zone", skipna=False), zones.sum("zone", skipna=False), rtol=1e-5)
    # a mean keeps the sum, whatever the segments are
    np.testing.assert_allclose(found.sum(["y", "x"]), zones.sum(["y", "x"]), rtol=1e-5)


def test_a_map_that_is_the_same_all_over_a_segment_does_not_change():
    zones = draw("\n".join(["r" * 17 + "g" * 23] * 40))
    xr.testing.assert_allclose(objects.mean_heat(zones, two_fields(), ("red",), size=40), zones)


RULES = """
ggrrr
ggrrr
rrrgg
grrgg
"""


@pytest.mark.parametrize(
    ("limits", "after"),
    [
        ({"high": 24}, "rrrrr rrrrr rrrgg rrrgg"),
        ({"low": 24}, "ggrrr ggrrr rrrrr grrrr"),
        ({"low": 5, "high": 40}, "ggrrr ggrrr rrrgg rrrgg"),
        ({}, "ggrrr ggrrr rrrgg grrgg"),
    ],
)
def test_a_rule_is_for_the_mean_of_a_body(limits, after):
    slope = letters("ddbbb cddbb bbbaa ebbaa", a=10, b=0, c=20, d=40, e=50)
    assert slope[:2, :2].mean() == 35
    zones = draw(RULES)
    steep = layers(zones, slope=slope)
    assert picture(objects.within(zones, steep, "slope", **limits)) == after
    flipped = objects.within(zones[:, ::-1], steep[:, ::-1], "slope", **limits)
    assert picture(flipped[:, ::-1]) == after


def test_no_rule_is_broken_where_the_layer_is_unknown():
    zones = draw(RULES)
    unknown = layers(zones, slope=np.full((4, 5), np.nan))
    assert picture(objects.within(zones, unknown, "slope", high=24)) == one(RULES)
    with pytest.raises(LookupError, match="within needs the layer 'ndwi'"):
        objects.within(zones, unknown, "ndwi", high=0)


def test_debris_stays_where_it_touches_ice():
    zones = draw("grrrrl lrrrrl rrrrrr rrlrrr").assign_coords(zone=["rock", "glacier", "debris cover"])
    assert picture(objects.beside(zones, ("debris cover",), ("glacier",))) == "grrrrr lrrrrr rrrrrr rrrrrr"
    corner = draw("grrr rlrr rrrr").assign_coords(zone=["rock", "glacier", "debris cover"])
    assert picture(objects.beside(corner, ("debris cover",), ("glacier",))) == "grrr rlrr rrrr"


def test_neighbours_decide_where_two_maps_disagree_near_a_terminus():
    side = 60
    ground = draw("\n".join(["g" * 20 + "r" * 40] * side))  # ice in the west, its lowest end in the south
    truth = np.zeros((side, side), bool)
    truth[:, :30] = True
    looks = np.where(truth, 1.0, -1.0) + np.random.default_rng(0).normal(0, 0.05, (side, side))
    height = np.repeat(np.linspace(600, 0, side)[:, None], side, axis=1) + np.abs(np.arange(side) - 15) / 100
    other = np.tile(np.arange(side) < 40, (side, 1)).astype(float)  # the other map goes too far
    given = layers(ground, brightness=looks, elevation=height, second=other)
    found = objects.second_opinion(ground, given, "second", reach=250.0, inputs=("brightness",))
    ice = clean.share(found, clean.ICE) >= 0.5
    near = np.hypot(*(np.mgrid[:side, :side] - np.array([side - 1, 15])[:, None, None])) * 10 <= 250
    np.testing.assert_array_equal(ice[near], truth[near])
    np.testing.assert_array_equal(ice[~near], clean.share(ground, clean.ICE)[~near] >= 0.5)
    agreed = layers(ground, brightness=looks, elevation=height, second=clean.share(ground, clean.ICE))
    xr.testing.assert_equal(objects.second_opinion(ground, agreed, "second", inputs=("brightness",)), ground)


def test_votes_are_shares_of_the_neighbours():
    zones = draw("gggggrrrrr rrrrrrrrrr", sure=1.0)
    looks = letters("aaaaabbbbb bbbbbbbbbb", a=1, b=0)
    looks[0, 4] = 0.55  # asked: nearer to the four that are ice
    second = letters("ggggrrrrrr rrrrrrrrrr", g=1, r=0)
    given = layers(zones, looks=looks, elevation=np.arange(20).reshape(2, 10), second=second)
    found = objects.second_opinion(zones, given, "second", neighbours=5, reach=1e4, inputs=("looks",))
    assert float(found.sel(zone="glacier")[0, 4]) == pytest.approx(0.8)  # four of five
