"""Late summers of a place: every sensor on one grid; what was lost is told by the summer that lost it."""

import json

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from glacier_nb import doubt, reads, summers, systems


@pytest.fixture(scope="module")
def place(region):
    """The demo region's folder, a small grid in it, and what `summers` finds of two years there."""
    facts = json.loads((region / "region.json").read_text())
    import rasterio

    with rasterio.open(region / "truth" / "zones.tif") as file:
        grid = GeoBox.from_rio(file)[448:576, 448:576]
    return region, grid, summers.items(facts["bbox"], [2017, 2025], region)


def broken(items, sensor, asset, year=None):
    """The same items; of one sensor the first of a year without one of its files."""
    some = [item.clone() for item in items[sensor]]
    one = next(item for item in some if year is None or item.datetime.year == year)
    one.assets[asset].href = str(one.assets[asset].href).replace(".tif", "-gone.tif")
    return items | {sensor: some}, one.id


def test_a_scene_holds_what_the_place_has(place):
    region, grid, items = place
    assert {name: len(found) > 0 for name, found in items.items()} == dict.fromkeys(
        ("optical", "terrain", "radar"), True
    )
    found = dict(summers.scenes(items, [2017, 2025], grid, region))
    assert list(found) == [2017, 2025]
    for year, scene in found.items():
        scene = summers.read(scene)
        assert scene.attrs["time"][:4] == str(year) and scene.attrs["lost"] == 0
        assert {"green", "swir16", "clear", "elevation", "dh_dt", "vv", "vh"} <= set(scene.data_vars)
        assert scene.odc.geobox == grid and scene.elevation.notnull().all()
    ((_, bare),) = summers.scenes(items | {"radar": []}, [2025], grid, region)
    assert "vv" not in bare and "dh_dt" in bare


def test_a_scene_of_two_summers_has_the_images_of_both(place):
    """As GlacierCoverNet asks for by its row; the region has images of every other year, so three years hold two."""
    region, grid, _ = place
    assert systems.find("glaciercovernet").summers == 2
    bbox = json.loads((region / "region.json").read_text())["bbox"]
    items = summers.items(bbox, [2019], region, span=3)
    assert {item.datetime.year for item in items["optical"]} == {2017, 2019}
    found = {span: dict(summers.scenes(items, [2019], grid, region, span=span))[2019] for span in (1, 2, 3)}
    one, same, both = (summers.read(scene) for scene in found.values())
    assert {day[:4] for day in both.attrs["dates"]} == {"2017", "2019"} and {d[:4] for d in one.attrs["dates"]} == {
        "2019"
    }
    assert same.attrs["items"] == one.attrs["items"]  # 2018 has no images
    assert not (one.clear & ~both.clear).any() and both["count"].mean() > one["count"].mean()
    assert both["vv"].notnull().all()


def test_radar_of_either_kind_is_in_the_scene(place):
    region, grid, _ = place
    bbox = json.loads((region / "region.json").read_text())["bbox"]
    wide = summers.items(bbox, [2025], region, optical="landsat-c2-l2", radar="sentinel-1-grd")
    ((_, scene),) = summers.scenes(wide, [2025], grid, region)
    assert {"hh", "hv", "lwir11"} <= set(scene) and not {"vv", "vh"} & set(scene)
    assert summers.read(scene)["hh"].notnull().mean() > 0.9


@pytest.mark.parametrize("sensor, asset", [("optical", "B03"), ("terrain", "data"), ("radar", "vv")])
def test_a_lost_read_is_told_by_the_summer_that_lost_it(place, sensor, asset):
    region, grid, items = place
    items, lost = broken(items, sensor, asset, None if sensor == "terrain" else 2025)
    told = {}
    for year, scene in summers.scenes(items, [2017, 2025], grid, region, missing="report"):
        scene = summers.read(scene)
        told[year] = scene.attrs["lost"], {row["item"] for row in scene.attrs["manifest"].get("lost", [])}
        windows = doubt.windows(scene)
        assert len(windows) == bool(scene.attrs["lost"])
        assert all(windows.geometry.intersects(grid.extent.geom)) and all(
            windows.crs == grid.crs for _ in windows.index
        )
    assert told[2025][0] > 0 and told[2025][1] == {lost}
    assert (told[2017] == (0, set())) == (sensor != "terrain")  # one elevation serves all summers
    with pytest.raises(reads.ReadError, match=lost):
        for _, scene in summers.scenes(items, [2025], grid, region):
            summers.read(scene)


def test_elevation_that_was_lost_is_unknown(place):
    region, grid, items = place
    items, _ = broken(items, "terrain", "data")
    ((_, scene),) = summers.scenes(items, [2025], grid, region, missing="report")
    scene = summers.read(scene)
    assert np.isnan(scene.dh_dt).all() and scene.clear.any()
