"""Values that cannot be, under the scale and offset decided for them, are seen before a cube is read."""

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from test_load import GRID, item, new, sentinel2, write

from glacier_nb import ledger, load, sanity
from glacier_nb.scaling import Encoding
from glacier_nb.sensors import SENSORS, sensor_row


def of(tmp_path, collection, key, values, nodata=0, **more):
    """An item of one asset."""
    return item("one", {key: write(tmp_path / f"{key}.tif", values, nodata=nodata)}, collection=collection, **more)


@pytest.mark.parametrize(
    ("collection", "key", "band", "value", "nodata"),
    [
        ("landsat-c2-l2", "red", "red", np.uint16(20_000), 0),
        ("landsat-c2-l2", "lwir11", "lwir11", np.uint16(36_000), 0),
        ("sentinel-1-rtc", "vv", "vv", np.float32(0.05), -32768),
        ("coherence", "coherence", "coherence", np.float32(0.7), 0),
        ("cop-dem-glo-30", "data", "elevation", np.float32(5400), -32767),
        ("hugonnet-dh-dt", "dhdt", "dh_dt", np.float32(-1.5), -9999),
    ],
)
def test_values_of_every_kind_agree_where_they_are_right_and_warn_where_not(
    tmp_path, collection, key, band, value, nodata
):
    values = np.full(GRID.shape, value)
    ds = load.cube([of(tmp_path, collection, key, values, nodata)], GRID)
    assert ds.attrs["manifest"]["values"] == {"one": f"{band} agrees"}
    wrong = {  # what files are known to hold instead: Collection 1, Celsius, decibels, percent, no-data not declared
        "red": np.uint16(2000), "lwir11": np.uint16(2700), "vv": np.float32(-13), "coherence": np.float32(70),
        "elevation": np.float32(-32768), "dh_dt": np.float32(-32768),
    }[band]  # fmt: skip
    few = values.copy()
    few[:1] = wrong  # 2.5 % of it: that may be
    assert load.cube([of(tmp_path, collection, key, few, nodata)], GRID).attrs["manifest"]["values"] == {
        "one": f"{band} agrees"
    }
    values[:20] = wrong
    with pytest.warns(UserWarning, match=f"one: 50% of {band} lies outside .*look at it"):
        ds = load.cube([of(tmp_path, collection, key, values, nodata)], GRID)
    assert ds.attrs["manifest"]["values"] == {"one": f"{band} contradicts scale and offset"}


def test_all_bands_but_those_of_plain_images_have_a_range_and_zero_or_rock_lies_in_it():
    for row in SENSORS:
        for band in row.bands:
            if row.name in ("image", "swissimage"):
                assert band.within is None
            else:
                low, high = band.within
                assert low < high and low <= (290 if band.units == "K" else 0.0) <= high, (row.name, band.name)


def test_one_item_is_asked_for_a_decision_and_another_where_the_first_shows_nothing(tmp_path):
    asked = []
    empty = sentinel2(tmp_path, "empty", np.nan, **new())
    full = sentinel2(tmp_path, "full", 0.3, 1000, **new(date="2021-08-07T10:20:00Z"))
    third = sentinel2(tmp_path, "third", 0.3, 1000, **new(date="2021-08-09T10:20:00Z"))
    known = {name: {"red": Encoding("B04", 1e-4, -0.1, 0, 1, "baseline")} for name in ("empty", "full", "third")}

    def read(one, name):
        asked.append((one.id, name))
        return np.array([], "uint16") if one.id == "empty" else np.full(5000, 4000, "uint16")

    said = sanity.settle([empty, full, third], sensor_row("sentinel-2-l2a"), known, ["red"], read)
    assert asked == [("empty", "red"), ("full", "red")] and said == {"full": "red agrees"}


def test_an_item_that_cannot_be_read_stops_or_is_told(tmp_path):
    broken = sentinel2(tmp_path, "broken", 0.3, 1000, **new())
    (tmp_path / "broken_B12.tif").write_bytes(b"no image")
    with pytest.raises(ledger.ReadError, match="B12 of broken"):
        load.cube([broken], GRID).compute()
    unsafe = sentinel2(tmp_path, "unsafe", 0.3, 1000, **new(**{"earthsearch:boa_offset_applied": False}))
    (tmp_path / "unsafe_B12.tif").unlink()
    with pytest.raises(ledger.ReadError, match="B12 of unsafe"):  # without it nobody knows what its values mean
        load.cube([unsafe], GRID, ["red"], provider="earth-search")
    ds = load.cube([broken], GRID, missing="report")
    assert ds.attrs["manifest"]["values"]["broken"].startswith("swir22: nothing could be asked, cannot read B12")
    whole = sentinel2(tmp_path, "whole", 0.3, 1000, **new(date="2021-08-09T10:20:00Z"))
    ds = load.cube([broken, whole], GRID, missing="report")
    assert ds.attrs["manifest"]["values"] == {"whole": "swir22 agrees"}
    assert ds.lost.isel(time=0).all() and not ds.lost.isel(time=1).any()


def test_the_band_of_a_file_of_several_is_asked_and_its_number_survives_the_correction(tmp_path):
    stored = np.stack([np.full(GRID.shape, 9000), np.full(GRID.shape, 300)]).astype("uint16")
    path = tmp_path / "both.tif"
    profile = {"height": GRID.shape[0], "width": GRID.shape[1], "crs": GRID.crs, "transform": GRID.affine, "nodata": 0}
    with rasterio.open(path, "w", driver="GTiff", count=2, dtype="uint16", **profile) as file:
        file.write(stored)
    one = item("both", {"data": str(path)}, fields={"eo:bands": [{"common_name": "blue"}, {"common_name": "red"}]},
               **new(**{"earthsearch:boa_offset_applied": False}))  # fmt: skip
    ds = load.cube([one], GRID, ["blue", "red"], provider="earth-search").compute()
    assert ds.attrs["manifest"]["values"] == {"both": "red contradicts the provider"}
    np.testing.assert_allclose(ds.blue, 0.9, rtol=1e-6)
    np.testing.assert_allclose(ds.red, 0.03, rtol=1e-6)


def test_of_a_large_file_without_overviews_the_middle_is_read(tmp_path):
    grid = GeoBox((2304, 2560), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), GRID.crs)
    values = np.full(grid.shape, 4000, "uint16")
    values[1024:1280, 1152:1408] = 300  # the 256 pixels a side in its middle
    hrefs = {key: write(tmp_path / f"{key}.tif", values, grid, overviews="NONE") for key in ("B04", "B12")}
    one = item("bare", hrefs, grid=grid, **new())
    with pytest.warns(UserWarning, match="100% of swir22"):
        load.cube([one], GRID)
    hrefs = {key: write(tmp_path / f"with_{key}.tif", values, grid) for key in ("B04", "B12")}
    ds = load.cube([item("with", hrefs, grid=grid, **new())], GRID)
    assert ds.attrs["manifest"]["values"] == {"with": "swir22 agrees"}  # 1 % of the scene
