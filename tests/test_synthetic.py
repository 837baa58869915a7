"""The landscape keeps its promises, and its areas, volumes, fronts and elevations belong together."""

import numpy as np
import pytest
import shapely
from scipy import ndimage

from glacier_nb import relief, slopes, spectra, synthetic, truth, vectorize
from glacier_nb.vectorize import ZONES

SEED = 7
PIXEL_AREA = 100.0  # m2


@pytest.fixture(scope="module")
def land():
    return synthetic.landscape(SEED)


@pytest.fixture(scope="module")
def icy(land):
    return np.isin(land.zones.values, (truth.GLACIER, truth.DEBRIS))


def glacier(land, role):
    return land.outlines[land.outlines.name == role].set_index("time").sort_index()


def pieces(geometry, smallest):
    return sum(part.area >= smallest for part in shapely.get_parts(geometry))


def test_zone_numbers_are_the_packages():
    names = ("rock", "glacier", "debris cover", "ocean", "melange", "lake", "rock glacier")
    numbers = (truth.ROCK, truth.GLACIER, truth.DEBRIS, truth.OCEAN, truth.MELANGE, truth.LAKE, truth.ROCK_GLACIER)
    assert names == ZONES
    assert numbers == tuple(range(7))
    assert len(spectra.OF_ZONE) == len(ZONES)


def test_shapes_and_grid(land):
    assert land.zones.dims == ("time", "y", "x")
    assert land.zones.shape == land.surface.shape == (5, 1024, 1024)
    assert land.bed.odc.geobox == land.zones.odc.geobox == synthetic.WHOLE
    years = land.zones.time.dt.year.values
    assert years[-1] - years[0] == 8
    assert set(np.unique(land.zones)) == set(range(7))  # every zone exists


def test_budget_closes(land):
    budget = land.budget
    assert land.budget.attrs["residual"] < 1e-6
    closed = budget.attrs["start_m3"] + budget.gained_m3 - budget.lost_m3 - budget.calved_m3
    np.testing.assert_allclose(closed, budget.volume_m3, rtol=1e-6)
    assert (np.diff(budget.calved_m3) >= 0).all()  # none while the front advances
    assert budget.calved_m3.iloc[-1] > budget.calved_m3.iloc[0]
    assert (np.diff(budget.volume_m3) < 0).all()
    # The 10 m relief meets the same ice: cells of 80 m leave a few percent along a margin of about a cell.
    np.testing.assert_allclose(budget.fine_volume_m3, budget.volume_m3, rtol=0.05)


def test_area_falls_by_a_tenth(land, icy):
    area = icy.sum(axis=(1, 2)) * PIXEL_AREA
    assert (np.diff(area) < 0).all()
    assert area[-1] < 0.9 * area[0]
    np.testing.assert_allclose(land.outlines.groupby("time").area_m2.sum(), area)  # outlines follow pixel edges


def test_ice_thins_where_it_is_lost(land, icy):
    change = (land.surface[-1] - land.surface[0]).values
    gone = icy[0] & ~icy[-1]
    assert change[gone].max() <= 0.0
    assert change[icy[0]].mean() < -4.0
    still = land.zones.values == truth.ROCK
    np.testing.assert_array_equal(change[still.all(axis=0)], 0.0)
    thickness = (land.surface - land.bed).values
    assert thickness[icy].min() >= synthetic.THINNEST - 1e-3
    tongue = (land.zones.values == truth.DEBRIS).all(axis=0)
    assert change[tongue].mean() / 8.0 < -0.5  # m per year


def test_debris(land):
    table = glacier(land, "debris")
    assert (table.debris_m2 > 0.15 * table.area_m2).all()
    debris = (land.zones == truth.DEBRIS).sum(("y", "x")).values * PIXEL_AREA
    assert (debris > 0.095 * land.outlines.groupby("time").area_m2.sum().values).all()
    surface = ndimage.gaussian_filter(land.surface.values[0].astype(float), 1.0)
    slope = np.hypot(*np.gradient(surface, 10.0))
    zone = land.zones.values[0]
    assert np.median(slope[zone == truth.DEBRIS]) < 0.4 * np.median(slope[zone == truth.ROCK])
    rough = np.abs(ndimage.laplace(land.surface.values[0].astype(float)))
    assert np.median(rough[zone == truth.DEBRIS]) < 0.3 * np.median(rough[zone == truth.ROCK])


def test_rock_glaciers_lie_where_the_zones_have_them(land):
    found = land.rock_glaciers
    assert len(found) >= 1 and found.rgi_id.is_unique and (found.area_m2 >= 10_000).all()
    assert found.area_m2.to_numpy() == pytest.approx(found.area.to_numpy()) and found.area_m2.is_monotonic_decreasing
    drawn = vectorize.rasterize(found, land.geobox).values > 0.5
    mapped = land.zones[0].values == truth.ROCK_GLACIER
    assert not (drawn & ~mapped).any() and (mapped & ~drawn).sum() < 0.1 * mapped.sum()  # specks are left out


def test_slopes_hold_rock_glaciers_and_no_ice():
    bare, full = (slopes.landscape(3, share) for share in (0.0, 1.0))
    assert set(np.unique(bare.zones)) == {truth.ROCK, truth.OCEAN}
    creeping = full.zones[0].values == truth.ROCK_GLACIER
    assert set(np.unique(full.zones)) == {truth.ROCK, truth.OCEAN, truth.ROCK_GLACIER}
    raised = (full.surface - bare.surface).values[0]
    assert (raised[~creeping] == 0).all() and 5 < raised[creeping].mean() < 45  # lobes of 20 m, where two meet of both
    assert full.surface.values[0][creeping].min() > 5 and (full.surface >= 0).all()
    assert ndimage.label(creeping)[1] >= 4 and 0.005 < creeping.mean() < 0.1
    np.testing.assert_array_equal(full.zones, slopes.landscape(3, 1.0).zones)


def test_one_splits_one_vanishes(land):
    split = glacier(land, "split")
    assert len(split.rgi_id.unique()) == 1
    assert pieces(split.geometry.iloc[0], 0.18e6) == 1
    assert pieces(split.geometry.iloc[-1], 0.18e6) >= 2
    vanishing = glacier(land, "vanishing")
    assert vanishing.area_m2.iloc[0] >= 0.05e6
    assert land.zones.time.values[-1] not in vanishing.index


def test_no_specks(icy):
    for mask in icy:
        areas = np.bincount(ndimage.label(mask)[0].ravel())[1:]
        assert areas.min() >= synthetic.SPECK


def test_divides_hold_their_glaciers(land):
    basins = land.divides.set_index("rgi_id").geometry
    assert basins.index.is_unique
    joined = land.outlines.geometry.values
    outside = shapely.area(shapely.difference(joined, basins.loc[land.outlines.rgi_id].values))
    assert outside.max() == 0.0
    assert land.divides.area.sum() == pytest.approx(land.zones[0].size * PIXEL_AREA)
    assert land.outlines.rgi_id.str.match(rf"synthetic-{SEED}-\d{{5}}$").all()
    # A divide between two glaciers that touch is no valley: the ice on it stands higher than at either terminus.
    names = land.divides.set_index("rgi_id").name
    assert names.iloc[0] == "tidewater"


def test_front_moves_by_what_is_known(land):
    fronts, box, line = land.fronts, land.boxes.geometry[0], land.centrelines.geometry[0]
    assert list(fronts.rgi_id.unique()) == list(land.boxes.rgi_id) == [truth.rgi_id(SEED, 1)]
    assert (np.diff(fronts.position_m) != 0).all()
    assert (fronts.position_m.diff() > 0).sum() == 1  # one advance among retreats
    assert fronts.melange.sum() == 2
    corners = np.array(box.exterior.coords)
    width = np.hypot(*(corners[1] - corners[0]))
    # Boxes are drawn down-glacier side first: the area between that side and the front is what the ice left free.
    free = []
    for front in fronts.geometry:
        assert len(shapely.get_parts(front.intersection(box.exterior))) == 2
        down = min(
            shapely.get_parts(shapely.ops.split(box, front).geoms), key=lambda p: p.distance(shapely.Point(corners[0]))
        )
        free.append(down.area)
    moved = -(np.array(free) - free[0]) / width
    np.testing.assert_allclose(moved, fronts.position_m, atol=0.2)  # vertices stand every 5 m
    crossing = [line.project(front.intersection(line)) for front in fronts.geometry]
    np.testing.assert_allclose(np.array(crossing) - crossing[0], fronts.position_m, atol=0.2)


def test_front_parts_ice_from_water(land):
    geobox = land.geobox
    up = np.array(land.boxes.geometry[0].exterior.coords)
    up = (up[2] - up[1]) / np.hypot(*(up[2] - up[1]))
    for k, front in enumerate(land.fronts.geometry):
        points = np.array(front.interpolate(np.linspace(0.1, 0.9, 50), normalized=True).tolist(), object)
        points = np.array([(p.x, p.y) for p in points])
        for step, wanted in ((20.0, (truth.GLACIER,)), (-20.0, (truth.OCEAN, truth.MELANGE))):
            column, row = ~geobox.affine * tuple((points + step * up).T)
            assert np.isin(land.zones.values[k][row.astype(int), column.astype(int)], wanted).all()
    melange = (land.zones == truth.MELANGE).any(("y", "x")).values
    np.testing.assert_array_equal(melange, land.fronts.melange)


def test_water_is_level(land):
    zones, surface = land.zones.values, land.surface.values
    assert np.abs(surface[np.isin(zones, (truth.OCEAN, truth.MELANGE))]).max() == 0.0
    for k in range(5):
        lakes, count = ndimage.label(zones[k] == truth.LAKE)
        spread = [np.ptp(surface[k][lakes == n]) for n in range(1, count + 1)]
        assert count >= 2
        assert max(spread) == 0.0
    last, first = zones[-1] == truth.LAKE, zones[0] == truth.LAKE
    assert last.sum() >= first.sum()  # lakes grow as ice leaves them


def test_same_seed_same_land(land):
    synthetic.draw.cache_clear()  # drawn anew
    again = synthetic.landscape(SEED, 256)
    part = land.zones.sel(x=again.zones.x, y=again.zones.y)
    np.testing.assert_array_equal(part, again.zones)
    np.testing.assert_array_equal(land.surface.sel(x=again.zones.x, y=again.zones.y), again.surface)
    assert again.outlines.area_m2.sum() < land.outlines.area_m2.sum()
    frame = shapely.box(*again.geobox.boundingbox.bbox)
    assert again.fronts.geometry.within(frame.buffer(1.0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 100, 101])
def test_promises_hold_for_any_seed(seed):
    land = synthetic.landscape(seed)
    area = land.outlines.groupby("time").area_m2.sum().values
    assert area[-1] < 0.9 * area[0]
    debris = land.outlines.groupby("time").debris_m2.sum().values
    assert (debris > 0.095 * area).all()
    assert land.budget.attrs["residual"] < 1e-6
    test_debris(land)
    test_one_splits_one_vanishes(land)
    test_water_is_level(land)
    assert set(np.unique(land.zones)) == set(range(7))


@pytest.mark.parametrize("size", [100, 130, 2048])
def test_refuses_sizes(size):
    with pytest.raises(ValueError, match=f"size {size} is not a multiple of 8 from 128 to 1024"):
        synthetic.landscape(0, size)


def test_noise_is_fractal():
    rng = np.random.default_rng(0)
    rough, smooth = (relief.noise(rng, hurst, 2000.0, 256) for hurst in (0.2, 1.0))
    for field in (rough, smooth):
        assert field.shape == (256, 256)
        assert field.std() == pytest.approx(1.0)
    assert np.abs(np.diff(rough)).mean() > np.abs(np.diff(smooth)).mean()
