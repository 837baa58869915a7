"""Outlines and fronts against shapes that are known exactly."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pytest
import scipy.ndimage
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import vectorize

PIXEL = 10.0
SIDE = 200
WEST, SOUTH = 500_000.0, 7_000_000.0
GRID = GeoBox.from_bbox((WEST, SOUTH, WEST + SIDE * PIXEL, SOUTH + SIDE * PIXEL), "EPSG:32633", resolution=PIXEL)
ROW, COLUMN = np.mgrid[:SIDE, :SIDE] + 0.5  # pixel centres, from the upper left corner


def zones(geobox=GRID, time="2020-08-30T10:20:00Z", **layers):
    """A zone map from layers by name; "_" stands for the space."""
    names = [name for name in vectorize.ZONES if name.replace(" ", "_") in layers]
    values = np.stack([np.asarray(layers[name.replace(" ", "_")], dtype="float32") for name in names])
    coords = {"zone": names, **odc.geo.xr.xr_coords(geobox, dims=("y", "x"))}
    return xr.DataArray(values, coords, ("zone", "y", "x"), attrs={"time": time, "system": "drawn", "sensor": "none"})


def soft(distance, width=1.0):
    """Probability of being inside, from the signed distance (pixels, positive inside) to the edge."""
    return 1 / (1 + np.exp(-distance / width))


def disc(radius, x=SIDE / 2, y=SIDE / 2):
    return radius - np.hypot(COLUMN - x, ROW - y)


def halves(x):
    """Two basins, west "a" and east "b" of the column x."""
    west = shapely.box(WEST, SOUTH, WEST + x * PIXEL, SOUTH + SIDE * PIXEL)
    east = shapely.box(WEST + x * PIXEL, SOUTH, WEST + SIDE * PIXEL, SOUTH + SIDE * PIXEL)
    return gpd.GeoDataFrame({"rgi_id": ["a", "b"]}, geometry=[west, east], crs=GRID.crs.to_wkt())


def specks(seed):
    return scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 3) > 0


def test_glacier_is_ice_and_debris_and_nan_stays():
    ice = np.full((SIDE, SIDE), 0.3)
    ice[0, 0] = np.nan
    total = vectorize.glacier_probability(zones(glacier=ice, debris_cover=np.full((SIDE, SIDE), 0.45), rock=1 - ice))
    assert np.isnan(total[0, 0]) and float(total[1, 1]) == pytest.approx(0.75)
    with pytest.raises(LookupError, match=r"none of .*glacier.* zones \['rock'\]"):
        vectorize.glacier_probability(zones(rock=ice))


@pytest.mark.parametrize("seed", range(5))
def test_whole_pixels_come_back_exactly(seed):
    mask = specks(seed)
    drawn = vectorize.outlines(zones(glacier=mask, rock=~mask), min_area=0)
    assert drawn.is_valid.all() and drawn.area.sum() == mask.sum() * PIXEL**2
    again = vectorize.rasterize(drawn, GRID)
    assert set(np.unique(again)) <= {0.0, 1.0} and (again.values == mask).all()
    twice = vectorize.outlines(zones(glacier=again, rock=1 - again), min_area=0)
    assert drawn.union_all().equals(twice.union_all())
    assert drawn.area_m2.sum() == pytest.approx(drawn.area.sum())


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_a_disc_keeps_its_area_and_margin_below_the_pixel(width):
    radius = 60.3
    found = vectorize.outlines(zones(glacier=soft(disc(radius), width), rock=soft(-disc(radius), width)))
    # chords between contour points one pixel apart lie at most 1/(8 r) inside the circle
    assert found.area_m2.item() == pytest.approx(np.pi * (radius * PIXEL) ** 2, rel=1e-3)
    assert found.margin_m.item() == pytest.approx(2 * np.pi * radius * PIXEL, rel=1e-3)
    assert found.rgi_id.item().startswith("G015") and found.time.item() == np.datetime64("2020-08-30T10:20")


def test_sub_pixel_outlines_halve_the_error_of_whole_pixels():
    ratio = []
    for shift in np.linspace(0, 0.9, 7):
        true = disc(50 + shift, SIDE / 2 + shift / 3, SIDE / 2 - shift / 7)
        circle = shapely.Point(WEST + (SIDE / 2 + shift / 3) * PIXEL, SOUTH + (SIDE / 2 + shift / 7) * PIXEL)
        circle = circle.buffer((50 + shift) * PIXEL, 256).exterior
        share = np.clip(true + 0.5, 0, 1)  # share of each pixel inside, to second order
        errors = []
        for layer in (share, share > 0.5):
            line = vectorize.outlines(zones(glacier=layer, rock=1.0 - layer)).geometry.item().boundary
            errors.append(np.mean(shapely.distance(shapely.points(shapely.get_coordinates(line)), circle)))
        ratio.append(errors[0] / errors[1])
    assert max(ratio) < 0.5


def test_holes_and_islands_in_them():
    ring = np.minimum(disc(80), -disc(50))
    ice = np.maximum(soft(ring), soft(disc(20)))
    found = vectorize.outlines(zones(glacier=ice, rock=1 - ice)).sort_values("area_m2")
    island, outer = found.geometry
    assert [len(shapely.get_rings(shape)) for shape in (island, outer)] == [1, 2]
    assert found.margin_m.max() == pytest.approx(2 * np.pi * (80 + 50) * PIXEL, rel=2e-3)
    assert outer.disjoint(island) and found.is_valid.all()


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("rounds", [1, 3])
def test_outlines_are_smoothed_only_if_asked(hard, rounds):
    """The area that cut corners give and take is exact: the sum of |a x b| (1 - 4^-rounds) / 24 over the corners."""
    ice = disc(60.3) > 0 if hard else soft(np.minimum(disc(80), -disc(50)))
    drawn = zones(glacier=ice, rock=1.0 - ice)
    plain, off, on = (vectorize.outlines(drawn, **asked) for asked in ({}, {"smooth": 0}, {"smooth": rounds}))
    assert plain.geom_equals_exact(off, 0).all() and (off.attrs["smooth"], off.attrs["smoothed_m2"]) == (0, 0.0)
    body = shapely.segmentize(plain.geometry.item(), PIXEL)
    bent = 0.0
    for ring in shapely.get_rings(shapely.orient_polygons(body)):
        side = np.diff(shapely.get_coordinates(ring), axis=0)
        ahead = np.roll(side, -1, axis=0)
        bent += (side[:, 0] * ahead[:, 1] - side[:, 1] * ahead[:, 0]).sum()  # of a left turn positive: area is lost
    assert on.attrs["smooth"] == rounds and on.is_valid.all() and len(on) == 1
    assert on.attrs["smoothed_m2"] == pytest.approx(-bent * (1 - 4.0**-rounds) / 24, abs=1e-3)
    assert on.area.sum() - plain.area.sum() == pytest.approx(on.attrs["smoothed_m2"], abs=1e-3)
    far = shapely.hausdorff_distance(on.boundary.item(), plain.boundary.item(), densify=0.25)
    assert 0 < far <= PIXEL / 4
    turns = [np.abs(_turns(frame.geometry.item())).max() for frame in (plain, on)]
    assert turns[1] < turns[0]  # each corner becomes two, which share its turn


def _turns(shape):
    """Angles by which a polygon's margin turns, at each vertex."""
    side = np.diff(shapely.get_coordinates(shapely.get_exterior_ring(shape)), axis=0)
    along = np.arctan2(side[:, 1], side[:, 0])
    return (np.diff(np.r_[along, along[0]]) + np.pi) % (2 * np.pi) - np.pi


@pytest.mark.parametrize("seed", range(3))
def test_smoothed_neighbours_share_their_divide_and_none_overlaps(seed):
    drawn = zones(glacier=specks(seed), rock=~specks(seed))
    basins = halves(97.3)
    found = vectorize.outlines(drawn, basins, smooth=2, min_area=0).set_index("rgi_id")
    whole = vectorize.outlines(drawn, smooth=2, min_area=0)
    assert found.is_valid.all() and whole.is_valid.all()
    west, east = found.geometry["a"], found.geometry["b"]
    assert west.intersection(east).area == 0 and west.union(east).area == pytest.approx(whole.area.sum(), abs=1e-3)
    divide = basins.geometry.iloc[0].intersection(basins.geometry.iloc[1])
    shared = west.boundary.intersection(divide).length
    assert shared == pytest.approx(east.boundary.intersection(divide).length) and shared > 10 * PIXEL
    assert shared == pytest.approx(shapely.intersection(whole.union_all(), divide).length)
    assert sum(whole.area) == pytest.approx(whole.union_all().area)  # bodies that met are one
    with pytest.raises(ValueError, match="smooth=-1"):
        vectorize.outlines(drawn, smooth=-1)


def test_small_bodies_are_left_out():
    ice = np.maximum(soft(disc(40)), soft(disc(4, 10, 10)))  # the small one: 50 pixels
    assert len(vectorize.outlines(zones(glacier=ice, rock=1 - ice), min_area=6_000)) == 1
    assert len(vectorize.outlines(zones(glacier=ice, rock=1 - ice), min_area=4_000)) == 2
    nothing = vectorize.outlines(zones(glacier=np.zeros((SIDE, SIDE)), rock=np.ones((SIDE, SIDE))), halves(100))
    assert len(nothing) == 0 and {"rgi_id", "time", "system", "area_m2"} <= set(nothing.columns)


def test_divides_name_glaciers_and_keep_loose_parts():
    ice = np.max([soft(disc(40, 100, 60)), soft(disc(10, 20, 180)), soft(disc(10, 180, 20))], axis=0)
    found = vectorize.outlines(zones(glacier=ice, rock=1 - ice), halves(100)).set_index("rgi_id")
    assert list(found.index) == ["a", "b"]
    assert [len(shapely.get_parts(shape)) for shape in found.geometry] == [2, 2]
    each = np.pi * (40**2 / 2 + 10**2) * PIXEL**2
    assert found.area_m2.to_numpy() == pytest.approx([each, each], rel=3e-3)
    margin = np.pi * (40 + 2 * 10) * PIXEL  # half of the large disc's margin; the divide is no margin
    assert found.margin_m.to_numpy() == pytest.approx([margin, margin], rel=3e-3)


def test_ice_outside_all_basins_is_reported():
    ice = soft(disc(60))
    found = vectorize.outlines(zones(glacier=ice, rock=1 - ice), halves(100).iloc[:1])
    assert found.attrs["outside_m2"] == pytest.approx(np.pi * 600**2 / 2, rel=3e-3)
    with pytest.raises(LookupError, match="rgi_id"):
        vectorize.outlines(zones(glacier=ice, rock=1 - ice), halves(100).rename(columns={"rgi_id": "RGIId"}))


@pytest.mark.parametrize("hard", [False, True])
def test_a_cloud_bounds_the_area_but_is_no_margin(hard):
    ice = disc(60) > 0 if hard else soft(disc(60))
    cloud = (COLUMN > 90) & (COLUMN < 120)
    whole = vectorize.outlines(zones(glacier=ice, rock=1.0 - ice)).geometry.item()
    found = vectorize.outlines(zones(glacier=np.where(cloud, np.nan, ice), rock=np.where(cloud, np.nan, 1.0 - ice)))
    band = shapely.box(WEST + 90 * PIXEL, SOUTH, WEST + 120 * PIXEL, SOUTH + SIDE * PIXEL)
    seen = whole.difference(band)
    # beside the cloud the field is held constant: four crossings, a quarter of a pixel each at most
    assert found.union_all().symmetric_difference(seen).area < 4 * PIXEL**2 / 4
    assert found.margin_m.sum() == pytest.approx(whole.boundary.difference(band).length, rel=1e-3)
    assert found.attrs["unseen_m2"] == pytest.approx(band.area)


def test_seen_is_what_has_data():
    clear = xr.DataArray(COLUMN > 50, odc.geo.xr.xr_coords(GRID, dims=("y", "x")), ("y", "x"), attrs={"time": "2019"})
    view = vectorize.seen(clear)
    assert view.geometry.item().equals(shapely.box(WEST + 500, SOUTH, WEST + 2000, SOUTH + 2000))
    assert view.time.item() == np.datetime64("2019")
    with pytest.raises(ValueError, match="nothing was seen"):
        vectorize.outlines(zones(glacier=np.full((SIDE, SIDE), np.nan)))


def coast(x, ice_edge_softness=1.0):
    """Ice west of column x, water east of it, rock north of row 40 and south of row 160; soft everywhere."""
    rock = 1 - soft(ROW - 40) * soft(160 - ROW)
    ice = (1 - rock) * soft(x - COLUMN, ice_edge_softness)
    return ice, 1 - rock - ice, rock


@pytest.mark.parametrize("x", [100.0, 100.3, 100.5, 100.9])
def test_front_is_found_below_the_pixel_and_ends_at_the_rock(x):
    ice, water, rock = coast(x)
    found = vectorize.fronts(zones(glacier=ice, ocean=water, rock=rock)).geometry.item()
    at = shapely.get_coordinates(found)
    assert found.geom_type == "LineString"
    assert at[1:-1, 0] == pytest.approx(WEST + x * PIXEL, abs=0.05 * PIXEL)
    assert at[[0, -1], 0] == pytest.approx(WEST + x * PIXEL, abs=0.5 * PIXEL)
    ends = np.sort(at[[0, -1], 1])
    # where rock is as likely as ice and water: 1 - s = s / 2, s = 2 / 3 -> log(2) pixels inside the rock's edge
    inside = np.array([40 + np.log(2), -40 - np.log(2)]) * PIXEL + SOUTH + np.array([0, 2000])
    assert ends == pytest.approx(inside, abs=0.5 * PIXEL)


def test_melange_ends_the_glacier_without_moving_the_front():
    ice, water, rock = coast(100.3)
    clear = vectorize.fronts(zones(glacier=ice, ocean=water, rock=rock))
    mixed = vectorize.fronts(zones(glacier=ice, ocean=water * 0.1, melange=water * 0.9, rock=rock))
    assert clear.geometry.item().hausdorff_distance(mixed.geometry.item()) < 1e-3
    assert (clear.melange_share.item(), mixed.melange_share.item()) == (0, 1)


def test_missing_zones_do_no_harm():
    ice, water, rock = coast(100.3)
    full = vectorize.fronts(zones(glacier=ice, ocean=water, rock=rock)).geometry.item()
    without = vectorize.fronts(zones(glacier=ice, ocean=water)).geometry.item()
    assert full.hausdorff_distance(without) < 1e-6
    with pytest.raises(LookupError, match="ocean"):
        vectorize.fronts(zones(glacier=ice, rock=rock))


@pytest.mark.parametrize("as_layer", [True, False])
def test_land_cuts_the_front(as_layer):
    ice, water, rock = coast(100.3)
    headland = shapely.box(WEST, SOUTH + 1300, WEST + 2000, SOUTH + 2000)
    land = gpd.GeoDataFrame(geometry=[headland], crs=GRID.crs.to_wkt())
    land = vectorize.rasterize(land, GRID) > 0.5 if as_layer else land
    found = vectorize.fronts(zones(glacier=ice, ocean=water, rock=rock), land=land).geometry.item()
    assert found.bounds[3] == pytest.approx(SOUTH + 1300, abs=PIXEL)


def test_hard_zones_give_a_front_too_and_icebergs_none():
    rock = (ROW < 40) | (ROW > 160)
    ice, water = ~rock & (COLUMN < 100), ~rock & (COLUMN > 100)
    berg = disc(6, 150, 100) > 0
    pool = disc(6, 50, 100) > 0
    found = vectorize.fronts(zones(glacier=(ice | berg) & ~pool, ocean=(water & ~berg) | pool, rock=rock))
    line = found.geometry.item()
    assert line.geom_type == "LineString" and line.length == pytest.approx(120 * PIXEL, abs=PIXEL)
    assert np.median(shapely.get_coordinates(line)[:, 0]) == WEST + 1000


def test_fronts_by_basin_and_gaps_where_unseen():
    ice, water, rock = coast(100.3)
    north_south = gpd.GeoDataFrame({"rgi_id": ["n", "s"]}, crs=GRID.crs.to_wkt(), geometry=[
        shapely.box(WEST, SOUTH + 1000, WEST + 2000, SOUTH + 2000), shapely.box(WEST, SOUTH, WEST + 2000, SOUTH + 1000)
    ])  # fmt: skip
    found = vectorize.fronts(zones(glacier=ice, ocean=water, rock=rock), divides=north_south).set_index("rgi_id")
    assert sorted(found.index) == ["n", "s"] and found.length.to_numpy() == pytest.approx([600, 600], abs=15)
    ice, water = (np.where((ROW > 80) & (ROW < 90), np.nan, layer) for layer in (ice, water))
    gap = vectorize.fronts(zones(glacier=ice, ocean=water)).geometry.item()
    assert gap.geom_type == "MultiLineString" and gap.length == pytest.approx(1200 - 100, abs=30)


def test_no_front_is_an_empty_frame():
    ice = soft(disc(40))
    found = vectorize.fronts(zones(glacier=ice, ocean=np.zeros_like(ice), rock=1 - ice), divides=halves(100))
    assert len(found) == 0 and {"rgi_id", "time", "system", "sensor", "geometry"} <= set(found.columns)


def test_coverage_is_exact():
    shape = shapely.Point(WEST + 900, SOUTH + 800).buffer(333)
    shares = vectorize.rasterize(gpd.GeoDataFrame(geometry=[shape], crs=GRID.crs.to_wkt()), GRID)
    assert shares.dims == ("y", "x") and shares.dtype == np.float32 and shares.odc.geobox == GRID
    assert float(shares.sum()) * PIXEL**2 == pytest.approx(shape.area, rel=1e-5)
    assert float(vectorize.rasterize(gpd.GeoDataFrame(geometry=[], crs="EPSG:4326"), GRID).max()) == 0


@pytest.mark.parametrize(("code", "bbox", "use"), [
    ("EPSG:4326", (86.78, 27.95, 86.85, 28.00), "EPSG:32645"),
    ("EPSG:3857", (9_660_000, 3_240_000, 9_665_000, 3_245_000), "EPSG:32645"),
    ("EPSG:4326", (-40.0, 84.2, -39.9, 84.3), "EPSG:3413"),
    ("EPSG:4326", (-40.0, -84.3, -39.9, -84.2), "EPSG:3031"),
])  # fmt: skip
def test_degrees_and_web_mercator_are_refused_with_the_code_to_use(code, bbox, use):
    grid = GeoBox.from_bbox(bbox, code, shape=(SIDE, SIDE))
    latitude = {"4326": ("latitude", "longitude")}.get(code[-4:], ("y", "x"))
    layer = xr.DataArray(np.ones((1, SIDE, SIDE)), {"zone": ["glacier"], **odc.geo.xr.xr_coords(grid, dims=latitude)},
                         ("zone", *latitude))  # fmt: skip
    for call in (vectorize.outlines, vectorize.fronts):
        with pytest.raises(ValueError, match=use):
            call(layer)


def test_names_by_place_are_unique():
    bodies = np.max([soft(disc(6, x, y)) for x in (20, 40, 60) for y in (20, 40, 60)], axis=0)
    found = vectorize.outlines(zones(glacier=bodies, rock=1 - bodies), min_area=0)
    assert len(found) == 9 and found.rgi_id.is_unique and found.rgi_id.str.match(r"G\d{6}E\d{5}[NS](-\d)?$").all()


def test_a_grid_that_starts_in_the_south_gives_the_same():
    """As layers of netCDF files do."""
    to_north = odc.geo.geom.Affine(PIXEL, 0, WEST, 0, PIXEL, SOUTH)
    shape = gpd.GeoDataFrame(geometry=[shapely.Point(WEST + 700, SOUTH + 500).buffer(333)], crs="EPSG:32633")
    there, back = (vectorize.rasterize(shape, box) for box in (GRID, GeoBox(GRID.shape, to_north, GRID.crs)))
    np.testing.assert_array_equal(back.values[::-1], there.values)
    assert float(there.sum()) * PIXEL**2 == pytest.approx(shape.area[0], rel=1e-4)
