"""Rock glaciers of several summers: one inventory, and what each summer alone makes of each landform."""

import json

import geopandas as gpd
import nbformat
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from glacier_nb import batch, demo, edits, rockglaciers

GRID = GeoBox.from_bbox((600_000, 5_100_000, 601_000, 5_101_000), "EPSG:32632", resolution=10.0)
LARGE, SMALL = (slice(10, 40), slice(10, 50)), (slice(60, 80), slice(60, 75))  # 0.12 and 0.03 km2


def summer(year, *lobes, hidden=None, sure=0.9):
    """A map of zeros and ones but for how sure it is; `hidden` was not seen."""
    chance = np.full(GRID.shape, 1 - sure, "float32")
    for lobe in lobes:
        chance[lobe] = sure
    if hidden is not None:
        chance[hidden] = np.nan
    coords = xr_coords(GRID) | {"zone": ["rock", "rock glacier"]}
    attrs = {"time": f"{year}-08-20", "system": "rock-demo", "sensor": "sentinel-2-l2a"}
    return xr.DataArray(np.stack([1 - chance, chance]), coords, ("zone", "y", "x"), "zones", attrs)


def test_the_mean_is_over_those_that_saw_it():
    hidden = (slice(0, 100), slice(0, 30))
    found = rockglaciers.together([summer(2019, LARGE), summer(2021, hidden=hidden)])
    lobe = found.sel(zone="rock glacier").values[LARGE]
    np.testing.assert_allclose(lobe[:, :20], 0.9)  # one summer saw that side
    np.testing.assert_allclose(lobe[:, 20:], 0.5)
    np.testing.assert_allclose(found.sum("zone"), 1, rtol=1e-6)
    assert found.attrs["time"][:10] == "2021-08-20" and found.attrs["summers"] == 2
    blind = summer(2023, hidden=hidden)
    assert rockglaciers.together([blind, blind]).isnull().values[:, *hidden].all()
    with pytest.raises(ValueError, match="no map"):
        rockglaciers.together([])


def test_what_every_summer_finds_is_certain_and_what_one_of_three_misses_is_not():
    maps = [summer(2019, LARGE, SMALL), summer(2021, LARGE, SMALL), summer(2023, LARGE)]
    large, small = rockglaciers.inventory(maps).itertuples()
    assert (large.found_in, large.seen_in, large.certain) == (3, 3, True)
    assert (small.found_in, small.seen_in, small.certain) == (2, 3, False)
    assert small.lower_m2 == 0 < small.area_m2 < small.upper_m2  # one summer has nothing there
    assert large.lower_m2 < large.area_m2 < large.upper_m2
    assert large.upper_m2 - large.lower_m2 < 0.12 * large.area_m2  # the summers agree: its margin alone is left
    assert large.probability > 0.85 > small.probability


def test_a_summer_that_did_not_see_it_says_nothing():
    maps = [summer(2019, LARGE), summer(2021, LARGE), summer(2023, hidden=(slice(0, 45), slice(0, 100)))]
    (one,) = rockglaciers.inventory(maps).itertuples()
    assert (one.found_in, one.seen_in, one.certain) == (2, 2, True) and one.lower_m2 > 0


def test_the_order_of_summers_changes_nothing():
    maps = [summer(2019, LARGE, SMALL), summer(2021, SMALL), summer(2023, LARGE)]
    columns = ["rgi_id", "area_m2", "lower_m2", "upper_m2", "found_in"]
    one, other = (rockglaciers.inventory(some)[columns] for some in (maps, maps[::-1]))
    np.testing.assert_allclose(one[columns[1:]], other[columns[1:]], rtol=1e-6)
    assert one.rgi_id.tolist() == other.rgi_id.tolist()


def test_small_ones_are_left_out_and_none_is_an_empty_table():
    maps = [summer(2019, LARGE, SMALL)] * 2
    assert len(rockglaciers.inventory(maps, min_area=50_000)) == 1
    empty = rockglaciers.inventory([summer(2019)])
    assert len(empty) == 0 and {"certain", "lower_m2", "probability"} <= set(empty)
    with pytest.raises(LookupError, match="rock glacier"):
        rockglaciers.inventory([summer(2019, LARGE).assign_coords(zone=["rock", "glacier"])])


def test_heights_are_those_of_the_ground_under_it():
    y = xr.DataArray(GRID.coords["y"].values, dims="y")
    ground = (y - 5_100_000 + 0 * xr.DataArray(np.zeros(100), dims="x")).assign_coords(xr_coords(GRID))
    (one,) = rockglaciers.inventory([summer(2019, LARGE)], ground).itertuples()
    assert one.zmin_m == pytest.approx(605, abs=10) and one.zmax_m == pytest.approx(895, abs=10)
    assert one.slope_deg == pytest.approx(45, abs=0.1)
    assert one.aspect_deg == pytest.approx(180, abs=0.1)  # it rises northwards


def test_every_number_is_of_the_outlines_by_hand(tmp_path):
    """One made smaller, one taken away, one drawn where no summer found any: they and their edits stay."""
    maps = [summer(2019, LARGE, SMALL), summer(2021, LARGE, SMALL)]
    y = xr.DataArray(GRID.coords["y"].values, dims="y")
    ground = (y - 5_100_000 + 0 * xr.DataArray(np.zeros(100), dims="x")).assign_coords(xr_coords(GRID))
    found = rockglaciers.inventory(maps, ground)
    drawn = found[["rgi_id", "time", "geometry"]].copy()
    west, south, east, north = drawn.geometry[0].bounds
    half = shapely.box(west, (south + north) / 2, east, north)
    drawn.geometry = [drawn.geometry[0].intersection(half), shapely.Polygon()]
    extra = drawn.iloc[:1].assign(rgi_id="mine", geometry=[shapely.box(600_700, 5_100_700, 600_900, 5_100_900)])
    path = edits.write(pd.concat([drawn, extra], ignore_index=True), tmp_path / "drawn.gpkg")
    by_hand = edits.corrected(found, path, "A. Reader", "front lies higher")
    large, mine, gone = rockglaciers.measured(by_hand, maps, ground).itertuples()
    assert large.area_m2 == pytest.approx(found.area_m2[0] / 2, rel=0.02)  # its corners are round
    assert large.zmin_m == pytest.approx(found.zmin_m[0] + 150, abs=10) and large.zmax_m == found.zmax_m[0]
    assert large.lower_m2 < large.area_m2 < found.area_m2[0] < large.upper_m2  # what the summers say stays in it
    assert (large.found_in, large.certain) == (2, True)
    assert mine.area_m2 == pytest.approx(40_000) and (mine.found_in, mine.seen_in, mine.certain) == (0, 2, False)
    assert mine.lower_m2 == 0 and mine.upper_m2 == pytest.approx(40_000 + 800 * 10 / 2)  # half a pixel all around
    assert mine.probability == pytest.approx(0.1)
    assert gone.area_m2 == gone.lower_m2 == gone.upper_m2 == 0 and not gone.certain
    assert {one.edited_by for one in (large, mine, gone)} == {"A. Reader"}
    assert gone.model_geometry.area == pytest.approx(found.area_m2[1])


def test_the_notebook_counts_a_rock_glacier_drawn_by_hand_and_says_so(region, tmp_path):
    lobe = demo.truth("rock_glaciers", 7).iloc[:1]
    place = lobe.geometry.iloc[0].centroid
    drawn = gpd.GeoDataFrame(
        {"rgi_id": ["drawn"], "time": [demo.truth("outlines", 7)["time"].max()]},
        geometry=[place.buffer(100).intersection(lobe.geometry.iloc[0])], crs=lobe.crs,
    )  # fmt: skip
    drawn.geometry = drawn.translate(1500)  # beside the one that it finds
    given = {
        "edited": str(edits.write(drawn, tmp_path / "drawn.gpkg")),
        "edited_by": "A. Reader",
        "edit_reason": "seen",
    }
    given |= {"years": [2025], "provider": demo.provider("demo", 7), "out": str(tmp_path / "out")}
    batch.notebook("08_rock_glaciers", given, tmp_path, progress=False)
    found = gpd.read_parquet(tmp_path / "out" / "rock_glaciers.parquet").set_index("rgi_id")
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert found["edited"].sum() == 1 and found.edited["drawn"] and found.model_geometry["drawn"] is None
    assert found.area_m2["drawn"] == pytest.approx(drawn.area.iloc[0], rel=1e-3)
    assert told["answer"]["rock_glaciers"] == len(found) == told["scores"]["n"]
    assert told["answer"]["area_m2"] == pytest.approx(found.area_m2.sum()) and told["edited_by"] == "A. Reader"
    said = nbformat.read(tmp_path / "08_rock_glaciers.ipynb", 4).cells[-2].outputs[-1]["data"]["text/markdown"]
    assert f"1 of {len(found)} outlines corrected by hand by A. Reader: seen." in said
