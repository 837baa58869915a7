"""Cleaning: a small drawn map in, the expected map out; probabilities still sum to one, unseen stays unseen."""

import numpy as np
import odc.geo.xr
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import clean

NAMES = ("rock", "glacier", "lake")
LETTERS = {"r": 0, "g": 1, "l": 2}


def draw(text: str, sure: float = 0.8, resolution: float = 10.0, crs: str = "EPSG:32645") -> xr.DataArray:
    """Zones from a picture: r rock, g glacier, l lake, . unseen; the drawn zone has probability `sure`."""
    rows = text.split()
    values = np.full((3, len(rows), len(rows[0])), (1 - sure) / 2, dtype="float32")
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            if letter == ".":
                values[:, y, x] = np.nan
            else:
                values[LETTERS[letter], y, x] = sure
    height, width = values.shape[1:]
    box = GeoBox.from_bbox((0, 0, width * resolution, height * resolution), crs, resolution=resolution)
    return odc.geo.xr.wrap_xr(values, box, axis=1, dims=("zone", "y", "x")).assign_coords(zone=list(NAMES))


def picture(zones: xr.DataArray) -> str:
    """What `draw` would need to draw these zones' most probable ones."""
    values = zones.values
    best = np.where(np.isnan(values[0]), 3, np.nan_to_num(values).argmax(axis=0))
    return " ".join("".join("rgl."[k] for k in row) for row in best)


def one(text: str) -> str:
    """A drawing on one line."""
    return " ".join(text.split())


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


def test_path_follows_the_front_and_keeps_to_the_margin():
    cost = np.ones((40, 60))
    rows = np.round(20 + 8 * np.sin(np.arange(60) / 10)).astype(int)
    cost[rows, np.arange(60)] = 0
    path = clean.minimum_cost_path(cost, margin=(5, 10))
    assert path[0, 1] == 10 and path[-1, 1] == 49
    assert set(map(tuple, path)) == {(r, c) for r, c in zip(rows, range(60), strict=True) if 10 <= c < 50}
    steps = np.abs(np.diff(path, axis=0))
    assert steps.max() == 1


def test_path_is_as_cheap_upside_down_and_crosses_gaps():
    rng = np.random.default_rng(0)
    cost = rng.random((30, 40))
    cost[15, :18] = cost[15, 22:] = 0
    price = [cost[tuple(path.T)].sum() for path in (clean.minimum_cost_path(cost),)]
    turned = clean.minimum_cost_path(cost[::-1])
    assert cost[::-1][tuple(turned.T)].sum() == pytest.approx(price[0])
    assert (clean.minimum_cost_path(cost)[:18, 0] == 15).all()
    cost[15, 18:22] = np.nan  # unseen costs as much as no front, and no more
    assert len(clean.minimum_cost_path(cost)) >= 40
    with pytest.raises(ValueError, match="margin of 15 rows and 2 columns leaves nothing"):
        clean.minimum_cost_path(cost, margin=(15, 2))
