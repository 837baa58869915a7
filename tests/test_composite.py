"""Late summer from several dates: snow, missed clouds and shadows give way, and every pixel has a source."""

import dask
import numpy as np
import pandas as pd
import pyproj
import pytest
import test_load
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from scipy import ndimage

from glacier_nb import composite, load, piecewise, reads, search, serve, shadows, spectra

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
ROCK = (0.10, 0.12, 0.15, 0.20, 0.22, 0.18)
ICE = (0.45, 0.42, 0.38, 0.30, 0.015, 0.01)
SNOW = (0.90, 0.88, 0.86, 0.78, 0.03, 0.03)
CLOUD = (0.60, 0.58, 0.58, 0.60, 0.40, 0.30)
SKY = (0.40, 0.34, 0.29, 0.24, 0.19, 0.18)  # light left in the shadow of a cloud, mostly from the blue sky
SHADED_ROCK = tuple(np.multiply(SKY, ROCK))
SHADED_ICE = tuple(np.multiply(SKY, ICE))
WATER = (0.06, 0.05, 0.03, 0.015, 0.005, 0.004)
NORTH = GeoBox.from_bbox((600_000, 5_000_000, 600_400, 5_000_300), "EPSG:32632", resolution=10)
SOUTH = GeoBox.from_bbox((600_000, 5_000_000, 600_400, 5_000_300), "EPSG:32718", resolution=10)


def cube(grid, *dates, chunks=None):
    """A cube of (date, cover, clear): cover is one spectrum, or an array (band, y, x)."""
    layers = []
    for date, cover, clear in dates:
        cover = np.float32(cover)
        bands = np.broadcast_to(cover if cover.ndim == 3 else cover[:, None, None], (6, *grid.shape))
        one = xr.Dataset({name: wrap_xr(bands[k].astype("float32"), grid) for k, name in enumerate(BANDS)})
        one["clear"] = wrap_xr(np.broadcast_to(clear, grid.shape).copy(), grid)
        layers.append(one.expand_dims(time=[pd.Timestamp(date)]).assign_coords(item=("time", [f"item {date}"])))
    out = xr.concat(layers, "time").assign_attrs(sensor="sentinel-2-l2a", manifest={"items": {}})
    return out.chunk(chunks or {"time": 1, "y": 16, "x": 16})


AUGUST = ("2020-08-01", "2020-08-12", "2020-08-20", "2020-09-05")


@pytest.mark.parametrize("truth", [ROCK, ICE, WATER], ids=["rock", "ice", "water"])
@pytest.mark.parametrize("other", [SNOW, CLOUD], ids=["snow", "missed cloud"])
def test_the_ground_wins_over_snow_and_missed_clouds(truth, other):
    for order in ([truth, other], [other, truth], [other, truth, other], [truth, other, truth]):
        scene = composite.late_summer(
            cube(NORTH, *((d, c, True) for d, c in zip(AUGUST, order, strict=False))), 2020
        ).compute()
        for k, name in enumerate(BANDS):
            np.testing.assert_allclose(scene[name], truth[k], rtol=1e-6)


@pytest.mark.parametrize(("truth", "dark"), [(ROCK, SHADED_ROCK), (ICE, SHADED_ICE)], ids=["rock", "ice"])
def test_a_missed_shadow_gives_way_to_the_sunlit_ground(truth, dark):
    for order in ([truth, dark], [dark, truth], [dark, CLOUD, truth]):
        scene = composite.late_summer(
            cube(NORTH, *((d, c, True) for d, c in zip(AUGUST, order, strict=False))), 2020
        ).compute()
        np.testing.assert_allclose(scene.red, truth[2], rtol=1e-6)


def test_a_composite_of_two_summers_takes_from_both_the_least_snow():
    """West the first summer is snowy, east the second is cloudy and said to be: each half is the other's."""
    west = np.arange(NORTH.shape[1]) < 20
    mixed = np.where(west, np.array(SNOW)[:, None], np.array(ICE)[:, None])[:, None] * np.ones((1, *NORTH.shape))
    stack = cube(NORTH, ("2019-08-10", mixed, True), ("2020-08-12", ICE, west), ("2020-05-01", SNOW, True))
    both = composite.late_summer(stack, [2019, 2020]).compute()
    for k, name in enumerate(BANDS):
        np.testing.assert_allclose(both[name], ICE[k], rtol=1e-6)
    assert both.attrs["items"] == ["item 2019-08-10", "item 2020-08-12"]
    assert (both.source.values == np.where(west, 1, 0)).all()
    alone = composite.late_summer(stack, 2020).compute()
    xr.testing.assert_equal(alone, composite.late_summer(stack, [2020]).compute())
    assert np.isnan(alone.red.values[:, ~west]).all()
    with pytest.raises(LookupError, match="of 2021, 2022; the cube has"):
        composite.late_summer(stack, [2021, 2022])


def test_open_water_is_no_shadow_of_ice():
    scene = composite.late_summer(cube(NORTH, (AUGUST[0], ICE, True), (AUGUST[1], WATER, True)), 2020)
    np.testing.assert_allclose(scene.green, WATER[1], rtol=1e-6)


def test_every_pixel_says_where_it_came_from():
    left, right = np.zeros(NORTH.shape, bool), np.zeros(NORTH.shape, bool)
    left[:, :15], right[:, 10:30] = True, True
    half = np.array(ROCK)[:, None, None] * np.ones(NORTH.shape) * 1.1
    scene = composite.late_summer(cube(NORTH, (AUGUST[0], ROCK, left), (AUGUST[2], half, right)), 2020)
    assert dask.is_dask_collection(scene.red.data) and scene.odc.geobox == NORTH
    assert scene.attrs["items"] == ["item 2020-08-01", "item 2020-08-20"] and scene.attrs["sensor"] == "sentinel-2-l2a"
    assert scene.attrs["time"] == "2020-08-01" and set(scene.data_vars) == {*BANDS, "clear", "source", "count"}
    scene = scene.compute()
    assert scene.source.dtype == scene["count"].dtype == "int16" and scene.clear.dtype == bool
    np.testing.assert_array_equal(scene["count"], left.astype(int) + right)
    np.testing.assert_array_equal(scene.clear, left | right)
    assert (scene.source.values[:, :10] == 0).all() and (scene.source.values[:, 15:30] == 1).all()
    assert (scene.source.values[:, 30:] == -1).all() and scene.red[:, 30:].isnull().all()
    stored = np.stack([np.full(NORTH.shape, ROCK[2]), half[2]])
    chosen = np.take_along_axis(stored, np.maximum(scene.source.values, 0)[None].astype(int), 0)[0]
    seen = scene.clear.values
    np.testing.assert_allclose(scene.red.values[seen], chosen[seen], rtol=1e-6)


def test_blocks_make_no_difference():
    rng = np.random.default_rng(3)
    covers = [ROCK, ICE, SNOW, CLOUD, SHADED_ROCK]
    dates = []
    for date in AUGUST:
        kind = rng.integers(0, 5, (6, 8)).repeat(5, 0).repeat(5, 1)
        noise = 1 + 0.05 * rng.standard_normal((6, *NORTH.shape))
        dates.append((date, np.array(covers)[kind].transpose(2, 0, 1) * noise, rng.random(NORTH.shape) > 0.3))
    whole = composite.late_summer(cube(NORTH, *dates, chunks={"time": -1, "y": -1, "x": -1}), 2020).compute()
    tiled = composite.late_summer(cube(NORTH, *dates, chunks={"time": 2, "y": 7, "x": 11}), 2020).compute()
    xr.testing.assert_equal(whole, tiled)
    snow = (whole.green - whole.swir16) / (whole.green + whole.swir16) * whole.green
    each = [(d[1][1] - d[1][4]) / (d[1][1] + d[1][4]) * d[1][1] for d in dates]
    assert snow.mean() < min(np.mean(one) for one in each)


def test_the_window_follows_the_hemisphere():
    dates = [("2020-01-20", ROCK, True), ("2020-02-10", ICE, True), ("2020-08-10", SNOW, True)]
    assert composite.late_summer(cube(NORTH, *dates), 2020).attrs["items"] == ["item 2020-08-10"]
    assert composite.late_summer(cube(SOUTH, *dates), 2020).attrs["items"] == ["item 2020-01-20", "item 2020-02-10"]
    assert composite.late_summer(cube(NORTH, *dates), 2020, months=[2]).attrs["time"] == "2020-02-10"
    with pytest.raises(LookupError, match=r"months \[7, 8, 9\] of 2019; the cube has 2020-01-20, .*months="):
        composite.late_summer(cube(NORTH, *dates), 2019)


def test_bands_that_are_needed_are_named():
    with pytest.raises(LookupError, match="needs green and swir16"):
        composite.late_summer(cube(NORTH, (AUGUST[0], ROCK, True))[["blue", "nir", "clear"]], 2020)
    few = cube(NORTH, (AUGUST[0], SNOW, True), (AUGUST[1], ROCK, True))[["red", "swir22", "clear"]]
    np.testing.assert_allclose(composite.late_summer(few, 2020).red, ROCK[2], rtol=1e-6)


def test_radar_averages_power_not_decibels():
    powers = (0.01, 1.0, np.nan)
    layers = []
    for n, power in enumerate(powers):
        one = xr.Dataset({"vv": wrap_xr(np.full(NORTH.shape, power, "float32"), NORTH)})
        one["vv"].values[:5] = np.nan
        one["clear"] = one.vv.notnull()
        layers.append(one.expand_dims(time=[pd.Timestamp(f"2020-0{n + 1}-15")]))
    scene = composite.average(xr.concat(layers, "time").chunk(), 2020).compute()
    np.testing.assert_allclose(scene.vv[5:], 0.505)
    assert scene.vv[:5].isnull().all() and (scene.source.values[:5] == -1).all()
    assert (scene["count"].values[5:] == 2).all() and scene.attrs["items"][0].startswith("2020-01-15")
    only = composite.average(xr.concat(layers, "time").chunk(), 2020, months=[2])
    np.testing.assert_allclose(only.vv[5:], 1.0)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Seven dates of ground, snow, cloud and gaps in files, some of them two scenes side by side."""
    folder, rng, items = tmp_path_factory.mktemp("scenes"), np.random.default_rng(8), []
    grid = GeoBox((150, 170), NORTH.affine, NORTH.crs)
    for number in range(7):
        cover = (
            np.array([ROCK, ICE, SNOW, CLOUD, SHADED_ROCK])[rng.integers(0, 5, (15, 17))].repeat(10, 0).repeat(10, 1)
        )
        stored = np.round(cover * (1 + 0.05 * rng.standard_normal(cover.shape)) * 1e4).clip(1, 2e4).astype("uint16")
        scl = np.where(rng.random((15, 17)) < 0.3, 9, 4).repeat(10, 0).repeat(10, 1).astype("uint8")
        for side, columns in enumerate((np.s_[:100], np.s_[80:]) if number % 3 == 0 else (np.s_[:],)):
            name, part = f"s{number}{side}", grid[:, columns]
            layers = {key: stored[:, columns, k] for k, key in enumerate(("B02", "B03", "B04", "B08", "B11", "B12"))}
            layers["SCL"] = scl[:, columns]
            hrefs = {k: test_load.write(folder / f"{name}_{k}.tif", v, part) for k, v in layers.items()}
            date = f"2021-0{7 + number // 4}-{3 + 4 * number:02d}T10:00:{side:02d}Z"
            items.append(test_load.item(name, hrefs, grid=part, **test_load.old(date=date)))
    return items, grid


CHOICES = [{}, {"choose": "median"}, {"choose": "medoid"}]


@pytest.mark.parametrize("how", [*CHOICES, None], ids=["least snow", "median", "medoid", "mean"])
def test_scene_after_scene_gives_what_the_whole_cube_gives(scenes, how, monkeypatch):
    items, grid = scenes
    monkeypatch.setattr(piecewise, "CHUNK", 64)
    monkeypatch.setattr(piecewise, "HELD", 400_000)  # some scenes are read twice, and strips are narrow
    make = composite.average if how is None else composite.late_summer
    cube = make(load.cube(items, grid, chunks={"y": 70, "x": 90}), 2021, [7, 8], **(how or {}))
    pieces = make(load.stack(items, grid), 2021, [7, 8], **(how or {}))
    assert dask.is_dask_collection(pieces.red.data) and pieces.red.data.numblocks == (2, 3)
    assert pieces.odc.geobox == cube.odc.geobox == grid
    assert {k: v for k, v in pieces.attrs.items() if k != "reads"} == {
        k: v for k, v in cube.attrs.items() if k != "reads"
    }
    cube, pieces = cube.compute(), pieces.compute()
    assert set(cube) == set(pieces) and cube["count"].max() > 3 and len(np.unique(cube.source)) > 3
    for name in cube:
        assert cube[name].dtype == pieces[name].dtype
        np.testing.assert_allclose(cube[name], pieces[name], rtol=0 if how is not None else 1e-6, err_msg=name)


def test_the_graph_grows_with_blocks_and_not_with_scenes(scenes, monkeypatch):
    items, grid = scenes
    sizes = {}
    for side in (64, 1024):
        monkeypatch.setattr(piecewise, "CHUNK", side)
        for number in (3, 9):
            made = composite.late_summer(load.stack(items[:number], grid), 2021)
            sizes[side, number] = len(dict(made.__dask_graph__()))
    assert sizes[64, 3] == sizes[64, 9] > sizes[1024, 3] == sizes[1024, 9]


def test_a_composite_is_made_on_a_worker_process(scenes):
    items, grid = scenes
    lazy = composite.late_summer(load.stack(items, grid), 2021)
    xr.testing.assert_equal(lazy.compute(scheduler="processes", num_workers=1), lazy.compute(scheduler="sync"))


def test_what_was_lost_stays_known(scenes, tmp_path):
    items, grid = scenes
    broken = [item.clone() for item in items]
    broken[2].assets["B03"].href = str(tmp_path / "gone.tif")
    for cube in (load.cube(broken, grid, missing="report"), load.stack(broken, grid, missing="report")):
        scene = composite.late_summer(cube, 2021).compute()
        assert (scene.lost == 1).all() and scene.lost.dtype == "int16"
        settled = reads.settle(scene)
        assert settled.attrs["lost"] == 1 and settled.attrs["manifest"]["lost"][0]["item"] == broken[2].id
        assert not (scene.source == scene.attrs["items"].index(broken[2].id)).any()
    with pytest.raises(reads.ReadError, match=f"B03 of {broken[2].id}"):
        composite.late_summer(load.stack(broken, grid), 2021).compute()


def test_median_and_medoid_and_the_day_of_each():
    covers = [np.multiply(ROCK, factor) for factor in (0.5, 1.0, 3.0)]
    three = cube(NORTH, *((date, cover, True) for date, cover in zip(AUGUST, covers, strict=False)))
    left = np.arange(NORTH.shape[1]) < 10
    three["clear"] = three.clear & ~(wrap_xr(np.broadcast_to(left, NORTH.shape).copy(), NORTH))
    for choose in ("median", "medoid"):
        scene = composite.late_summer(three, 2020, choose=choose)
        when = composite.dates(scene).compute()
        scene = scene.compute()
        for k, name in enumerate(BANDS):
            np.testing.assert_allclose(scene[name][:, 10:], ROCK[k], rtol=1e-6)
            assert scene[name][:, :10].isnull().all()
        assert (when[:, 10:] == np.datetime64(AUGUST[1])).all() and when[:, :10].isnull().all()
        assert (scene.source[:, :10] == -1).all() and not scene.clear[:, :10].any()
    two = three.isel(time=[0, 2])
    np.testing.assert_allclose(composite.late_summer(two, 2020, choose="median").red[:, 10:], 1.75 * ROCK[2], rtol=1e-6)
    assert float(composite.late_summer(two, 2020, choose="medoid").red[0, 20]) in (
        pytest.approx(0.5 * ROCK[2]),
        pytest.approx(3.0 * ROCK[2]),
    )
    with pytest.raises(ValueError, match="name one of least snow, median, medoid"):
        composite.late_summer(three, 2020, choose="mode")


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3413"])
def test_a_wall_casts_the_shadow_that_the_sun_draws(crs):
    grid = GeoBox.from_bbox((8.9, 69.9, 9.1, 70.1), "EPSG:4326", resolution=0.01).to_crs(crs, resolution=20)
    rows, columns = np.indices(grid.shape)
    middle = np.array(grid.shape) // 2
    height = 300.0
    tower = (abs(rows - middle[0]) < 3) & (abs(columns - middle[1]) < 3)
    ground = wrap_xr(np.where(tower, height, 0.0).astype("float32"), grid)
    time = np.datetime64("2021-08-15T08:00")
    azimuth, elevation = spectra.sun(9.0, 70.0, time)
    dark = shadows.cast(ground, time) & ~tower
    x, y = grid.affine * (columns[dark] + 0.5, rows[dark] + 0.5)
    cx, cy = grid.affine * (middle[1] + 0.5, middle[0] + 0.5)
    geod, to = pyproj.Geod(ellps="WGS84"), pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    (lon, lat), (lon0, lat0) = to.transform(x, y), to.transform(cx, cy)
    bearing, _, distance = geod.inv(np.full(len(lon), lon0), np.full(len(lon), lat0), lon, lat)
    far = distance > 200
    away = (bearing[far] - azimuth - 180 + 180) % 360 - 180  # degrees off the line away from the sun
    half = np.degrees(np.arctan(np.hypot(60, 60) / distance[far]))  # the tower's half width and a pixel
    assert far.sum() > 20 and (abs(away) < half + 1).all()
    length = height / np.tan(np.radians(elevation))
    assert distance.max() == pytest.approx(length, abs=2 * np.hypot(60, 60) + 0.06 * length)  # a polar map's scale
    part = grid[20:90, 30:101]
    np.testing.assert_array_equal(shadows.cast(ground, time, part), shadows.cast(ground, time)[20:90, 30:101])
    assert shadows.cast(ground, np.datetime64("2021-12-21T12:00")).all()  # polar night


def test_terrain_shadow_gives_way_to_a_lit_date():
    wall = np.where(np.arange(NORTH.shape[1]) >= NORTH.shape[1] - 5, 200.0, 0.0)  # the sun rises in the east
    east = wrap_xr((wall * np.ones(NORTH.shape)).astype("float32"), NORTH)
    morning, noon = "2020-08-12T06:00", "2020-08-20T10:30"
    dates = [(morning, np.multiply(ROCK, 0.9), True), (noon, ROCK, True)]
    dark = shadows.cast(east, np.datetime64(morning)) & ~shadows.cast(east, np.datetime64(noon))
    assert dark.sum() > 100
    scene = composite.late_summer(cube(NORTH, *dates), 2020, elevation=east).compute()
    inner = ndimage.binary_erosion(dark, np.ones((5, 5)))
    assert inner.any() and (scene.source.values[inner] == 1).all()


def test_khumbu_summer_and_year(data):
    bbox = (86.78, 27.95, 86.85, 28.0)
    grid = GeoBox.from_bbox(bbox, crs="EPSG:4326", resolution=0.001).to_crs("EPSG:32645", resolution=40)
    with serve.folder(data / "khumbu_stac") as served:
        optical = load.cube(search.scenes(bbox, "2024", provider=served.stac), grid)
        best = composite.late_summer(optical, 2024, months=range(1, 13)).compute()
        radar = composite.average(
            load.cube(search.scenes(bbox, "2024", "sentinel-1-rtc", served.stac), grid), 2024
        ).compute()
        optical = optical.compute()

    layers = ("green", "swir16", "nir", "blue")
    worth = composite.rank(*(optical[name].values for name in layers), optical.clear.values)
    seen = optical.clear.values.all(axis=0)
    chosen = np.take_along_axis(worth, np.maximum(best.source.values, 0)[None].astype(int), axis=0)[0]
    assert chosen[seen].mean() < worth[:, seen].mean(axis=1).min()  # better than any one of the dates
    assert set(np.unique(best.source)) <= {-1, 0, 1, 2, 3} and len(best.attrs["items"]) == 4
    assert best["count"].max() == 4 and best.odc.geobox == grid
    assert radar["count"].max() == 4 and float(radar.vv.mean()) > float(radar.vh.mean()) > 0
