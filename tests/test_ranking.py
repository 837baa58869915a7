"""Scenes ranked on a made-up glacier whose cloud, snow and season are known, and on real items and scenes."""

import json
import re

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import pystac
import pytest
import shapely
import xarray as xr
from bokeh.models import ScaleBar
from odc.geo.geobox import GeoBox

from glacier_nb import load, plots, ranking, regions, search, sheets

GRID = GeoBox.from_bbox((600_000, 5_160_000, 604_000, 5_164_000), crs="EPSG:32632", resolution=40)
GLACIER = gpd.GeoDataFrame(
    {"rgi_id": ["a"]}, geometry=[shapely.box(600_000, 5_160_000, 604_000, 5_161_000)], crs="EPSG:32632"
)
ICE = np.arange(100)[:, None] >= 75  # the southern quarter
ROCK, SNOW = (0.2, 0.2, 0.2, 0.25, 0.25), (0.9, 0.85, 0.85, 0.8, 0.1)


def made(*scenes, grid=GRID):
    """A cube of (date, cloudy share of the glacier, snowy share of the ground beside it, seen share of all)."""
    shape = (len(scenes), 100, 100)
    across = np.broadcast_to(np.arange(100) / 100, shape[1:])
    bands = {name: np.empty(shape, "float32") for name in ranking.BANDS}
    clear = np.ones(shape, bool)
    for number, (_, cloudy, snowy, seen) in enumerate(scenes):
        white = ICE | (across < snowy)
        for name, rock, snow in zip(ranking.BANDS, ROCK, SNOW, strict=True):
            bands[name][number] = np.where(across < seen, np.where(white, snow, rock), np.nan)
        clear[number] = (across < seen) & ~(ICE & (across < cloudy))
    times = pd.to_datetime([f"{date}T10:20" if len(date) == 10 else date for date, *_ in scenes])
    coords = {"time": times, "item": ("time", [f"s{number}" for number in range(len(scenes))])}
    dims = ("time", "y", "x")
    cube = xr.Dataset({name: (dims, values) for name, values in bands.items()} | {"clear": (dims, clear)}, coords)
    return cube.assign_coords(
        {name: ("yx"[number], grid.coordinates["yx"[number]].values) for number, name in enumerate("yx")}
    ).odc.assign_crs(grid.crs)


def test_shares_are_those_that_were_made():
    table = ranking.scenes(made(("2021-08-20", 0.3, 0.1, 1.0), ("2021-08-25", 0.0, 0.05, 0.8)), GLACIER)
    by = table.set_index("item")
    assert by.clear_fraction.to_dict() == pytest.approx({"s0": 0.7, "s1": 0.8}, abs=0.01)
    assert by.coverage.to_dict() == pytest.approx({"s0": 1.0, "s1": 0.8}, abs=0.01)
    assert by.snow_fraction.to_dict() == pytest.approx({"s0": 0.1, "s1": 0.05 / 0.8}, abs=0.01)
    assert table.kept.all() and table["rank"].tolist() == [1, 2] and table["item"].tolist() == ["s1", "s0"]
    assert table.reason[0] == "80% of the glaciers clear, snow on 6% of the ground beside them"


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        (("2021-08-20", 0.8, 0.0, 1.0), "cloud or its shadow over 80% of the glaciers"),
        (("2021-08-20", 0.0, 0.0, 0.3), "it shows 30% of the glaciers"),
        (("2021-08-20T18:00", 0.0, 0.0, 1.0), "the sun stands .*long shadows"),
        (("2021-06-21", 0.0, 0.0, 1.0), r"10 days outside late summer \(1 July to 30 September\)"),
        (("2021-09-20", 0.0, 0.6, 1.0), "snow on 60% of the ground beside the glaciers, 0% on 2021-08-10"),
    ],
)
def test_a_dropped_scene_says_why(scene, says):
    table = ranking.scenes(made(("2021-08-10", 0.0, 0.0, 1.0), scene), GLACIER)
    assert table.kept.tolist() == [True, False] and table["item"].tolist() == ["s0", "s1"]
    assert table["rank"].tolist() == [1, 2]
    assert re.fullmatch(says, table.reason[1])
    loose = ranking.Limits(coverage=0, clear=0, sun=-90, snow=1, days=366)
    assert ranking.scenes(made(scene), GLACIER, limits=loose).kept.all()


def test_snow_is_held_against_its_own_summer_alone():
    table = ranking.scenes(made(("2020-08-10", 0.0, 0.0, 1.0), ("2021-08-10", 0.0, 0.6, 1.0)), GLACIER)
    assert table.kept.all() and table.summer.tolist() == [2020, 2021] and table["rank"].tolist() == [1, 1]


def test_more_cloud_snow_or_distance_never_ranks_higher():
    rng = np.random.default_rng(0)
    for _ in range(5):
        cloudy, snowy = rng.uniform(0, 0.4, 2)
        better = ("2021-08-20", cloudy, snowy, 1.0)
        for worse in (
            ("2021-08-20", cloudy + 0.1, snowy, 1.0), ("2021-08-20", cloudy, snowy + 0.1, 1.0),
            ("2021-06-01", cloudy, snowy, 1.0), ("2021-08-20T17:00", cloudy, snowy, 1.0),
        ):  # fmt: skip
            table = ranking.scenes(made(worse, better), GLACIER)
            assert table["item"][0] == "s1" and table.score[0] > table.score[1]


def test_without_outlines_the_whole_grid_counts():
    table = ranking.scenes(made(("2021-08-20", 0.4, 0.5, 1.0)))
    assert table.clear_fraction[0] == pytest.approx(0.9, abs=0.01) and np.isnan(table.snow_fraction[0])
    assert table.reason[0] == "90% of the region clear"
    far = GLACIER.set_geometry(GLACIER.translate(1e5, 0))
    with pytest.raises(LookupError, match="no outline lies on the grid"):
        ranking.scenes(made(("2021-08-20", 0, 0, 1.0)), far)
    with pytest.raises(LookupError, match="ranking is for optical scenes"):
        ranking.scenes(made(("2021-08-20", 0, 0, 1.0))[["clear"]])
    with pytest.raises(ValueError, match="give geobox="):
        ranking.scenes([])


def test_the_southern_summer_turns_with_the_year():
    south = GeoBox.from_bbox((600_000, 4_400_000, 604_000, 4_404_000), crs="EPSG:32718", resolution=40)
    ice = GLACIER.set_geometry(GLACIER.translate(0, 4_400_000 - 5_160_000)).set_crs("EPSG:32718", allow_override=True)
    cube = made(
        ("2019-12-20T14:30", 0, 0, 1.0), ("2020-02-10T14:30", 0, 0, 1.0), ("2020-07-10T14:30", 0, 0, 1.0), grid=south
    )
    table = ranking.scenes(cube, ice).set_index("item")
    assert table.summer.to_dict() == {"s0": 2020, "s1": 2020, "s2": 2021} and table.kept.to_dict()["s1"]
    assert "late summer (1 January to 31 March)" in table.reason["s0"] and not table.kept["s2"]


@pytest.mark.parametrize("latitude", [30, 46, 60, 67, 75, 82])
def test_hemispheres_mirror_each_other(latitude):
    for day in pd.date_range("2021-01-01", "2021-12-31", freq="9D"):
        north, south = ranking.days_off(day, latitude), ranking.days_off(day + pd.Timedelta(days=183), -latitude)
        assert abs(north - south) <= 3  # halves of a year are 181 and 184 days long
    assert ranking.days_off(pd.Timestamp("2021-02-01"), 5) == 0


def test_the_sun_stands_where_real_items_say(data):
    errors = []
    for path in sorted((data / "stac_planetary_computer/sentinel-2-l2a").glob("*.json")):
        item = pystac.Item.from_dict(json.loads(path.read_text()))
        lon, lat = shapely.geometry.shape(item.geometry).centroid.coords[0]
        said = 90 - item.properties["s2:mean_solar_zenith"]
        errors.append(ranking.sun_elevation(pd.Series([pd.Timestamp(item.datetime)]), lon, lat)[0] - said)
    # an item's time is the start of its datatake, which lasts up to 25 minutes: a quarter of a degree each
    assert len(errors) > 50 and np.abs(errors).max() < 25 / 4 and abs(np.median(errors)) < 0.5


def test_real_scenes_are_looked_at_through_items(data):
    items = search.scenes((86.78, 27.95, 86.85, 28.0), "2024", "sentinel-2-l2a", data / "khumbu_stac")
    grid = regions.geobox("86.78,27.95,86.85,28.00", 20)
    outlines = regions.inventory(data / "geoutils_data/Everest_Landsat/15_rgi60_glacier_outlines.gpkg", "Khumbu")
    look = ranking.look(items, grid, data / "khumbu_stac", pixels=100)
    assert max(look.odc.geobox.shape) == 100 and look.sizes["time"] == 4 and not look.lost.any()
    table = ranking.scenes(look, outlines)
    pd.testing.assert_frame_equal(table, ranking.scenes(items, outlines, look.odc.geobox, data / "khumbu_stac"))
    assert table.summer.unique().tolist() == [2024] and table.kept.sum() >= 1
    assert table.kept.is_monotonic_decreasing and table[table.kept].time.dt.month.isin([7, 8, 9]).all()
    off = table.days_off > 0
    assert off.any() and table[off].reason.str.contains("outside late summer").all()


def test_an_unreadable_scene_is_dropped_by_name(data):
    items = list(search.scenes((86.78, 27.95, 86.85, 28.0), "2024", "sentinel-2-l2a", data / "khumbu_stac"))
    for asset in items[0].assets.values():
        asset.href = asset.href.replace("B0", "none0").replace("B1", "none1")
    grid = regions.geobox("86.78,27.95,86.85,28.00", 50)
    table = ranking.scenes(items, None, grid, data / "khumbu_stac").set_index("item")
    assert table.reason[items[0].id] == "100% of the region could not be read"
    assert (table.coverage > 0.9).sum() == 3


def test_a_sheet_holds_each_scene_and_its_reason(tmp_path):
    cube = made(("2020-08-10", 0.0, 0.0, 1.0), ("2020-08-12", 0.8, 0.0, 1.0), ("2021-08-10", 0.0, 0.1, 0.9))
    table = ranking.scenes(cube, GLACIER)
    page = plots.save(sheets.sheet(cube, table, GLACIER), tmp_path / "sheet.html", "Scenes", table)
    text = page.read_text()
    assert page.stat().st_size < 3e6 and "cloud or its shadow over 80% of the glaciers" in text
    assert text.count("2020-08-12, dropped") == 1 and "2021-08-10, dropped" not in text
    model = hv.render(sheets.sheet(cube, table, GLACIER))
    bar, shown = model.select_one(ScaleBar).range, model.x_range
    assert (bar.end - bar.start) / (shown.end - shown.start) == pytest.approx(40)  # metres of a pixel
    assert any("N" in str(getattr(label, "text", "")) for label in model.center)
    few = sheets.sheet(cube, table, GLACIER, most=2)
    assert "The best 2 scenes" in str(few.opts.get().kwargs.get("title", ""))


def test_only_the_bands_that_are_there_are_looked_at(data):
    items = search.scenes((86.78, 27.95, 86.85, 28.0), "2024", "sentinel-2-l2a", data / "khumbu_stac")
    known = load.cube(items, regions.geobox("86.78,27.95,86.85,28.00", 100), provider=data / "khumbu_stac")
    look = ranking.look(items, regions.geobox("86.78,27.95,86.85,28.00", 100), data / "khumbu_stac")
    assert set(look.data_vars) - {"clear", "lost"} == set(ranking.BANDS) < set(known.data_vars)


@pytest.mark.browser
def test_a_sheet_is_drawn_and_tells_why(opened, tmp_path):
    cube = made(("2020-08-10", 0.0, 0.0, 1.0), ("2020-08-12", 0.8, 0.0, 1.0))
    table = ranking.scenes(cube, GLACIER)
    tab = opened(plots.save(sheets.sheet(cube, table, GLACIER), tmp_path / "sheet.html", "Scenes", table))
    box = tab.locator("canvas").first.bounding_box()
    tab.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.4 * box["height"])
    tab.mouse.move(box["x"] + 0.75 * box["width"] + 3, box["y"] + 0.4 * box["height"])
    tab.wait_for_timeout(300)
    assert tab.get_by_text("dropped: cloud or its shadow over 80% of the glaciers").first.is_visible()
