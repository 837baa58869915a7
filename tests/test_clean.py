"""Cleaning: a small drawn map in, the expected map out; probabilities still sum to one, unseen stays unseen."""

import numpy as np
import pytest
import xarray as xr
from drawing import draw, layers, letters, one, picture

from glacier_nb import clean

MAP = """
ggggrrrrr
ggggrrgrr
ggggrrrrr
gggg.....
rrrrrrrgg
rlrrrrrgg
"""


def test_specks_go_and_bodies_of_the_least_area_stay():
    zones = draw(MAP)
    kept = clean.specks(zones, min_area=400)  # four pixels of 100 m2
    assert picture(kept) == one(MAP.replace("ggggrrgrr", "ggggrrrrr"))
    assert picture(clean.specks(zones, min_area=401)) == one(
        MAP.replace("ggggrrgrr", "ggggrrrrr").replace("rrrrrrrgg", "rrrrrrrrr").replace("rlrrrrrgg", "rlrrrrrrr")
    )
    assert kept.sel(zone="glacier").values[1, 6] == 0


def test_a_speck_becomes_what_else_it_may_be():
    zones = draw("rrr rgr rrr")
    zones.values[:, 1, 1] = (0.1, 0.6, 0.3)
    assert clean.specks(zones, 400).values[:, 1, 1] == pytest.approx((0.25, 0, 0.75))


def test_ice_is_debris_free_and_debris_covered_together():
    zones = draw("gg gg").assign_coords(zone=["rock", "debris cover", "glacier"])
    zones.values[:] = np.array([0.2, 0.4, 0.4], dtype="float32")[:, None, None]
    xr.testing.assert_equal(clean.specks(zones, 400), zones)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ggggg ggrgg ggggg", "ggggg ggggg ggggg"),  # too small for a nunatak
        ("ggggg ggrrg ggggg", "ggggg ggrrg ggggg"),  # larger than the limit
        ("ggggg gglgg ggggg", "ggggg gglgg ggggg"),  # water is no land
        ("ggggg gg.gg ggggg", "ggggg gg.gg ggggg"),  # nor is what was not seen
        ("ggggg gr.gg ggggg", "ggggg gr.gg ggggg"),  # may be larger behind the cloud
        ("ggrgg ggggg ggggg", "ggrgg ggggg ggggg"),  # may be larger beyond the map
        ("ggggg grlgg ggggg", "ggggg grlgg ggggg"),  # a shore
    ],
)
def test_holes_close_only_where_ice_is_all_around(before, after):
    assert picture(clean.holes(draw(before), max_area=100)) == after


@pytest.mark.parametrize("step", [clean.specks, clean.holes, clean.median])
def test_probabilities_still_sum_to_one_and_unseen_stays(step):
    zones = draw(MAP)
    found = step(zones)
    assert found.dims == zones.dims and found.dtype == zones.dtype
    np.testing.assert_array_equal(np.isnan(found), np.isnan(zones))
    np.testing.assert_allclose(found.sum("zone", skipna=False), zones.sum("zone", skipna=False), rtol=1e-6)


def test_cleaning_twice_changes_nothing_more():
    for step in (clean.specks, clean.holes):
        once = step(draw(MAP), 500)
        xr.testing.assert_allclose(step(once, 500), once)


@pytest.mark.parametrize("size", [3, 5])
def test_median_is_that_of_the_seen_pixels_around(size):
    rng = np.random.default_rng(size)
    zones = draw("\n".join(["r" * 13] * 11).replace("\n", " "))
    values = rng.dirichlet(np.ones(zones.sizes["zone"]), (11, 13)).transpose(2, 0, 1).astype("float32")
    values[:, rng.random((11, 13)) < 0.2] = np.nan
    reach = size // 2
    expected = np.full_like(values, np.nan)
    for zone, y, x in zip(*np.nonzero(~np.isnan(values)), strict=True):
        around = values[zone, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        expected[zone, y, x] = np.nanmedian(around)
    expected *= values.sum(0) / expected.sum(0)
    np.testing.assert_allclose(clean.median(zones.copy(data=values), size).values, expected, rtol=1e-6)


def test_median_drops_what_is_thinner_than_half_its_size():
    assert picture(clean.median(draw("rrrrr rrgrr rrrrr"))) == "rrrrr rrrrr rrrrr"
    straight = "ggrrr ggrrr ggrrr"
    assert picture(clean.median(draw(straight))) == straight
    assert picture(clean.median(draw("gg.rr gg.rr gg.rr"))) == "gg.rr gg.rr gg.rr"


def test_apply_takes_steps_in_order_and_says_so():
    zones = draw(MAP).assign_attrs(system="x")
    steps = ((clean.median, {"size": 3}), (clean.specks, {"min_area": 400}))
    found = clean.apply(zones, steps)
    xr.testing.assert_allclose(found, clean.specks(clean.median(zones), 400))
    assert found.attrs["clean"] == "median(size=3), specks(min_area=400)" and found.attrs["system"] == "x"


def test_areas_need_metres():
    with pytest.raises(ValueError, match="grid in metres"):
        clean.specks(draw("gg gg", crs="EPSG:4326", resolution=0.001))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ggrrg ggrrr rrrgr", "ggrrr ggrrr rrrrr"),
        ("ggrrr gggrr rrrgg", "ggrrr gggrr rrrgg"),  # a corner joins
        ("rrrrr rrlrr rrrrr", "rrrrr rrlrr rrrrr"),  # nothing to choose from
        ("gg.gg gg.gr gg.gr", "gg.rr gg.rr gg.rr"),  # unseen parts what it covers
    ],
)
def test_the_largest_body_stays(before, after):
    assert picture(clean.largest(draw(before))) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ggggg grlgg ggggg", "ggggg ggggg ggggg"),  # any zone, unlike `holes`
        ("ggggg grrrg ggggg", "ggggg grrrg ggggg"),  # larger than two pixels
        ("ggrgg ggggg ggggg", "ggrgg ggggg ggggg"),  # open at the edge
        ("ggggg gr.gg ggggg", "ggggg gr.gg ggggg"),  # may go on behind the cloud
        ("rrggr rgrgr rggrr", "rrggr rgggr rggrr"),  # four neighbours: no way out over a corner
    ],
)
def test_what_is_enclosed_is_filled(before, after):
    assert picture(clean.enclosed(draw(before), ("glacier",), max_area=200)) == after


LAKE = """
ggggggww
gpggggww
ggggwwww
gggggggr
"""


def test_a_lake_that_reaches_the_edge_is_no_glacier_and_a_pond_is():
    zones = draw(LAKE.replace("w", "g").replace("p", "g").replace("ggggggg\n", "ggggggg\n"))
    zones.values[:, :3, 7] = draw("l l l").values[:, :, 0]  # the open lake, already mapped
    water = layers(zones, ndwi=letters(LAKE, w=0.6, p=0.6, g=0.1, r=-0.2))
    found = clean.lake_termini(zones, water, threshold=0.3, min_area=100)
    assert picture(found) == one("ggggggll ggggggll ggggllll gggggggr")
    assert picture(clean.lake_termini(zones, water, min_area=901)) == picture(zones)  # nine pixels of 100 m2
    named = clean.lake_termini(zones.sel(zone=["rock", "glacier"]), water, min_area=100)
    assert (named.sel(zone="rock").values[:2, 6] > 0.89).all()  # a map without lakes says what else it may be
    turned = clean.lake_termini(zones[:, ::-1, ::-1], water[:, ::-1, ::-1], min_area=100)
    xr.testing.assert_equal(turned[:, ::-1, ::-1], found)


def test_shares_move_between_groups_and_keep_their_proportions():
    zones = draw("rg gl").assign_coords(zone=["rock", "glacier", "debris cover"])
    where = np.array([[True, False], [True, False]])
    found = clean.reshare(zones, clean.ICE, where, np.array([0.5, 0.25]))
    np.testing.assert_allclose(clean.share(found, clean.ICE)[:, 0], (0.5, 0.25), rtol=1e-6)
    np.testing.assert_allclose(found.values[1, 1, 0] / found.values[2, 1, 0], 8, rtol=1e-6)
    np.testing.assert_allclose(found.sum("zone"), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.values[:, :, 1], zones.values[:, :, 1])
    xr.testing.assert_equal(clean.reshare(zones, ("ocean",), where, 1.0), zones)  # a map without oceans gets none


def test_a_step_that_asks_for_layers_gets_them_or_says_what_it_lacks():
    zones = draw(MAP)
    water = layers(zones, ndwi=0.0, slope=3.0)
    steps = ((clean.lake_termini, {"min_area": 100}), (clean.specks, {"min_area": 400}))
    found = clean.apply(zones, steps, layers=water)
    xr.testing.assert_allclose(found, clean.specks(zones, 400))
    for given, told in ((None, "given none"), (water.sel(feature=["slope"]), r"given \['slope'\]")):
        with pytest.raises(LookupError, match="lake_termini needs the layer 'ndwi', " + told):
            clean.apply(zones, steps, layers=given)
    with pytest.raises(ValueError, match=r"layers of \(6, 8\) and zones of \(6, 9\) pixels: put them on one GeoBox"):
        clean.apply(zones, steps, layers=water[:, :, :8])


@pytest.mark.parametrize("step", [clean.specks, clean.holes, clean.median, clean.largest])
def test_flipped_in_is_flipped_out(step):
    zones = draw(MAP)
    xr.testing.assert_equal(step(zones[:, :, ::-1])[:, :, ::-1], step(zones))
    xr.testing.assert_equal(step(zones.transpose("zone", "x", "y")).transpose(*zones.dims), step(zones))


@pytest.mark.parametrize("size", [0, 2])
def test_a_median_without_a_middle_is_refused(size):
    with pytest.raises(ValueError, match=f"size={size}: a median has a pixel in its middle"):
        clean.median(draw("rrr rrr rrr"), size)
