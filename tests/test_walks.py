"""Systems down the whole road: layers, windows, workers, cleaning and vectors fit together for every row."""

import contextlib
import dataclasses
import re

import numpy as np
import pytest
import shapely
import xarray as xr

from glacier_nb import cluster, features, systems, vectorize, walks

pytestmark = pytest.mark.filterwarnings("ignore:unlike the training of")  # a cut about a front is no whole region

FAST = ("extent-demo", "robson2020", "mohajerani2019")
"""One for extent, one for rock glaciers, one that gives nothing but a front."""
EXACT = 1e-5  # float32: probabilities of up to seven zones, blended by the weights of four windows


@pytest.fixture(scope="module")
def client():
    """One cluster for all rows."""
    with cluster.client("local") as session:
        yield session


@pytest.fixture(scope="module")
def ground() -> walks.Place:
    """The demo region."""
    return walks.demo_region()


@pytest.fixture(scope="module")
def real(data) -> walks.Place:
    """Khumbu."""
    return walks.khumbu(data)


def check(name: str, found: walks.Walk) -> None:
    """A walk's products are what the row names, where ground was seen, on the scene's grid, and draw valid shapes."""
    system, grid = systems.find(name), found.scene.odc.geobox
    shown = [
        one
        for one, tells in zip(system.inputs, systems.shows_ground(system), strict=True)
        if tells and one in found.layers.feature
    ]
    seen = found.layers.sel(feature=shown).notnull().any("feature").values
    assert seen.any()
    assert (found.zones is not None) == bool(system.zones)
    assert found.zones is not None or found.front is not None
    if found.zones is not None:
        zones = found.zones
        assert zones.dims == ("zone", "y", "x") and zones.zone.values.tolist() == list(system.zones)
        assert on(zones, grid) and zones.attrs["system"] == system.name
        assert np.array_equal(zones.notnull().all("zone").values, seen)
        assert np.array_equal(zones.notnull().any("zone").values, seen)
        held = zones.values[:, seen]
        assert held.min() >= -EXACT and np.allclose(held.sum(axis=0), 1, atol=EXACT)
        assert re.findall(r"(\w+)\(", zones.attrs["clean"]) == [step.__name__ for step, _ in system.clean]
    if found.front is not None:
        assert found.front.dims == ("y", "x") and on(found.front, grid)
        assert np.array_equal(found.front.notnull().values, seen)
        assert found.front.min() >= 0 and found.front.max() <= 1
    ice = [zone for zone in system.zones if zone in (*vectorize.ICE, "rock glacier")]
    assert (found.outlines is not None) == bool(ice)
    if ice:
        drawn(found.outlines, grid, ("Polygon", "MultiPolygon"))
        assert np.allclose(found.outlines.area_m2, found.outlines.area, rtol=2e-3)  # within a UTM zone
        share = vectorize.glacier_probability(found.zones, ice)
        middle = float(share.median())
        if share.min() < middle < share.max():  # an untrained network has no ice at one half: at its median it has
            some = vectorize.outlines(found.zones, min_area=0, threshold=middle, names=ice)
            drawn(some, grid, ("Polygon", "MultiPolygon"))
            assert len(some)
    water = set(system.zones) & set(systems.WATER)
    assert (found.fronts is not None) == bool(system.trace or water)
    if found.fronts is not None:
        drawn(found.fronts, grid, ("LineString", "MultiLineString"))


def on(layer: xr.DataArray, grid) -> bool:
    """Whether a layer lies on a grid, to a thousandth of a pixel: 48.9 m is no sum of powers of two."""
    mine = layer.odc.geobox
    near = np.allclose(mine.affine, grid.affine, rtol=0, atol=abs(grid.resolution.x) / 1000)
    return near and mine.shape == grid.shape and mine.crs == grid.crs


def drawn(frame, grid, kinds: tuple[str, ...]) -> None:
    """Shapes are valid, of a kind, in the grid's CRS and within it."""
    assert frame.crs == grid.crs and {"rgi_id", "time", "system", "pixel_m"} <= set(frame.columns)
    assert frame.geometry.is_valid.all() and not frame.geometry.is_empty.any()
    assert set(frame.geom_type) <= set(kinds)
    room = shapely.box(*grid.boundingbox.bbox).buffer(1e-6)
    assert shapely.covers(room, frame.geometry.to_numpy()).all()


@pytest.mark.parametrize("name", FAST)
def test_a_cheap_row_walks_the_road(name, ground, client):
    check(name, walks.walk(name, ground, client))


def test_ground_that_no_image_saw_has_no_zone(ground, client):
    """The region's box in degrees, turned, reaches past its images: in its corner a wedge was never seen."""
    found = walks.walk("ndsi", dataclasses.replace(ground, about=(0.0, 1e9)), client)
    unseen = found.layers.isnull().all("feature").values
    assert unseen.any() and not unseen.all()
    check("ndsi", found)


def test_a_network_that_knows_the_region_finds_its_front(ground, client):
    """The cut lies about the front: our own system, trained, draws a line through it, with ice and water beside it."""
    system = dataclasses.replace(systems.find("extent-demo"), window=128)
    found = walks.walk(system, ground, client)
    best = found.zones.idxmax("zone")
    assert {"glacier", "ocean"} <= set(best.values.ravel().tolist())
    assert len(found.fronts) == 1 and found.outlines.area_m2.sum() > 0


def test_one_seed_gives_one_walk_here_and_on_a_worker(ground, client):
    first, again = (walks.walk("mohajerani2019", ground, one, seed=3).front for one in (client, None))
    other = walks.walk("mohajerani2019", ground, seed=4).front
    assert np.allclose(first, again, atol=EXACT) and not np.allclose(first, other, atol=EXACT)


def test_what_a_scene_lacks_is_named_and_optional_inputs_are_not(ground):
    scene = xr.Dataset(dict.fromkeys(("blue", "green", "red", "nir", "swir16", "swir22", "elevation"), 0.0))
    assert walks.lacks("extent-demo", scene) == [] == walks.lacks("diaconu2023", scene)
    assert walks.lacks("dl4gam", scene) == ["dh_dt"] and walks.lacks("caffe_zones", scene) == ["vv"]
    assert walks.lacks("glaciernet", scene.drop_vars("nir"))[:2] == ["coastal", "nir"]
    needs = {need for row in systems.SYSTEMS for need in features.needs((*row.inputs, *row.reads))}
    bare = dataclasses.replace(ground, drawn={}).scene(64)
    assert needs - set(bare) == set(walks.STAND_INS)  # all that is made up is missing, and all that is missing made up
    assert needs <= set(ground.scene(64))
    chosen = ground.scene(64)
    assert chosen["hh"].notnull().any() and chosen["lwir11"].max() > 200 and chosen["coherence"].max() <= 1


@pytest.fixture
def shared(client, monkeypatch):
    """`walks.opened` takes the cluster that is there."""
    monkeypatch.setattr(walks.cluster, "client", lambda *_: contextlib.nullcontext(client))


def test_the_table_says_how_the_road_went(data, shared):
    broken = dataclasses.replace(systems.find("ndsi"), name="broken", network=lambda channels: 1 / 0)
    with walks.opened(data) as road:
        assert road(systems.find("ndsi")) == {"demo": "ok", "drawn": "-", "real": "ok"}
        told = road(systems.find("robson2020"))
        assert told == {"demo": "ok", "drawn": "coherence", "real": "no real test: lacks coherence"}
        assert road(broken)["demo"] == road(broken)["real"] == "ZeroDivisionError: division by zero"


def test_without_real_scenes_the_table_says_where_to_get_them(tmp_path, shared):
    with walks.opened(tmp_path) as road:
        assert road(systems.find("ndsi"))["real"].startswith("no real test: khumbu-stac is not in")


@pytest.mark.slow
@pytest.mark.parametrize("name", [row.name for row in systems.SYSTEMS])
def test_every_row_walks_the_demo_region(name, ground, client):
    check(name, walks.walk(name, ground, client))


@pytest.mark.slow
@pytest.mark.parametrize("name", [row.name for row in systems.SYSTEMS])
def test_every_row_walks_real_scenes_where_its_inputs_exist(name, real, client):
    """What the row needs beyond six bands, two polarisations and heights is what it is said to lack."""
    held = {"blue", "green", "red", "nir", "swir16", "swir22", "vv", "vh", "elevation"}
    system = systems.find(name)
    asked = features.needs([one for one in (*system.inputs, *system.reads) if one not in system.optional])
    lacking = walks.lacks(name, real.scene(64))
    assert lacking == [one for one in asked if one not in held]
    if lacking:
        with pytest.raises(LookupError, match=lacking[0]):
            walks.walk(name, real, client)
        return
    check(name, walks.walk(name, real, client))
