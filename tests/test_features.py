"""Layers against closed forms and other people's implementations; blocks make no difference."""

import numpy as np
import pytest
import skimage.feature
import xarray as xr
import xdem
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from PIL import Image
from scipy import ndimage

from glacier_nb import features

GRID = GeoBox.from_bbox((600_000, 5_000_000, 600_900, 5_000_700), "EPSG:32632", resolution=10)
X, Y = np.meshgrid(GRID.coords["x"].values - 600_450, GRID.coords["y"].values - 5_000_350)
RNG = np.random.default_rng(7)
BUMPS = ndimage.gaussian_filter(RNG.standard_normal(GRID.shape), 5) * 300 + 1000
INSIDE = np.s_[2:-2, 2:-2]


def scene(**layers):
    return xr.Dataset(
        {name: wrap_xr(np.broadcast_to(v, GRID.shape).astype("float32"), GRID) for name, v in layers.items()}
    )


def layer(name, **layers):
    return features.stack(scene(**layers), [name]).sel(feature=name).values


@pytest.mark.parametrize(
    ("name", "layers", "expected"),
    [
        ("ndsi", {"green": 0.8, "swir16": 0.1}, 0.7 / 0.9),
        ("ndsi_swir22", {"green": 0.8, "swir22": 0.2}, 0.6),
        ("ndwi", {"green": 0.06, "nir": 0.02}, 0.5),
        ("ndvi", {"nir": 0.4, "red": 0.1}, 0.6),
        ("savi", {"nir": 0.4, "red": 0.1}, 1.5 * 0.3 / 1.0),
        ("nbr", {"nir": 0.3, "swir22": 0.1}, 0.5),
        ("red_swir16", {"red": 0.6, "swir16": 0.1}, 6.0),
        ("nir_swir16", {"nir": 0.6, "swir16": 0.0}, 6000.0),
        ("ndsi", {"green": 0.02, "swir16": -0.03}, 1.0),
        ("ndsi", {"green": -0.01, "swir16": -0.03}, 0.0),
        ("vv_db", {"vv": 0.01}, -20.0),
        ("vv_vh_db", {"vv": 0.1, "vh": 0.01}, 10.0),
        ("hh_hv_db", {"hh": 0.01, "hv": 0.02}, -10 * np.log10(2)),
        ("dh_dt", {"dh_dt": -1.5}, -1.5),
        ("lwir11", {"lwir11": 273.0}, 273.0),
    ],
)  # fmt: skip
def test_formulas(name, layers, expected):
    np.testing.assert_allclose(layer(name, **layers), expected, rtol=2e-4, atol=2e-4)


def test_tasseled_cap_weights_are_unit_vectors_at_right_angles():
    bands = ("blue", "green", "red", "nir", "swir16", "swir22")
    weights = {
        name: np.array([features.find(name).formula(*np.eye(6)[k]) for k in range(6)])
        for name in ("brightness", "wetness")
    }
    for row in weights.values():
        assert (row**2).sum() == pytest.approx(1, abs=0.01)
    assert abs(weights["brightness"] @ weights["wetness"]) < 0.02
    assert features.find("wetness").needs == bands


@pytest.mark.parametrize(("east", "north"), [(0.3, 0.0), (-0.3, 0.0), (0.0, 0.4), (0.0, -0.4), (0.2, -0.5)])
def test_a_plane_has_its_slope_and_aspect_everywhere(east, north):
    names = ["slope", "sin_aspect", "cos_aspect", "hillshade", "mean_curvature", "profile_curvature", "ruggedness"]
    out = features.stack(scene(elevation=1000 + east * X + north * Y), names)
    steep = np.hypot(east, north)
    np.testing.assert_allclose(out.sel(feature="slope"), np.degrees(np.arctan(steep)), atol=1e-3)
    np.testing.assert_allclose(out.sel(feature="sin_aspect"), -east / steep, atol=1e-4)  # it faces downhill
    np.testing.assert_allclose(out.sel(feature="cos_aspect"), -north / steep, atol=1e-4)
    light = (1 - (-east + north) / np.sqrt(2)) / np.sqrt(2 * (1 + steep**2))
    np.testing.assert_allclose(out.sel(feature="hillshade"), light, atol=1e-4)
    np.testing.assert_allclose(out.sel(feature="mean_curvature"), 0, atol=2e-5)
    np.testing.assert_allclose(out.sel(feature="profile_curvature"), 0, atol=4e-5)


def test_flat_ground_has_no_aspect_and_no_curvature():
    rows = [row.name for row in features.FEATURES if set(row.needs) & set(features.DERIVATIVES)]
    out = features.stack(scene(elevation=500.0), rows)
    assert np.isfinite(out).all()
    lit = out.sel(feature="hillshade")
    np.testing.assert_allclose(lit, np.cos(np.pi / 4), rtol=1e-6)
    assert (out.drop_sel(feature="hillshade") == 0).all()


def test_a_sphere_curves_alike_in_all_directions():
    radius = 2000.0
    names = ["mean_curvature", "unsphericity_curvature", "tangential_curvature", "profile_curvature"]
    out = features.stack(scene(elevation=np.sqrt(radius**2 - X**2 - Y**2)), names)
    middle = out.isel(y=slice(20, -20), x=slice(20, -20))
    error = (10 / radius) ** 2  # of the central difference, relative
    top = np.hypot(X, Y)[20:-20, 20:-20] > 30  # at the very top there is no slope line
    for name in ("mean_curvature", "tangential_curvature", "profile_curvature"):
        np.testing.assert_allclose(middle.sel(feature=name).values[top], 1 / radius, rtol=50 * error + 0.01)
    assert middle.sel(feature="unsphericity_curvature").max() < 0.05 / radius


def test_a_cylinder_is_half_as_curved_and_all_unspherical():
    radius = 1500.0
    out = features.stack(scene(elevation=np.sqrt(radius**2 - X**2)), ["mean_curvature", "unsphericity_curvature"])
    np.testing.assert_allclose(out.values[:, 2:-2, 2:-2], 0.5 / radius, rtol=0.02)


@pytest.mark.parametrize(
    ("ours", "theirs", "per"),
    [
        ("slope", "slope", 1), ("ruggedness", "terrain_ruggedness_index", 1),
        ("profile_curvature", "profile_curvature", 100), ("tangential_curvature", "tangential_curvature", 100),
        ("planform_curvature", "planform_curvature", 100),
    ],
)  # fmt: skip
def test_terrain_agrees_with_xdem(ours, theirs, per):
    z = BUMPS.astype("float32").astype("float64")
    expected = xdem.terrain.get_terrain_attribute(z, theirs, resolution=10, surface_fit="ZevenbergThorne") / per
    np.testing.assert_allclose(layer(ours, elevation=BUMPS)[INSIDE], expected[INSIDE], rtol=1e-4, atol=1e-6)


def test_principal_curvatures_agree_with_xdem():
    z = BUMPS.astype("float32").astype("float64")
    high, low = xdem.terrain.get_terrain_attribute(
        z, ["max_curvature", "min_curvature"], resolution=10, surface_fit="ZevenbergThorne"
    )
    mean, half = layer("mean_curvature", elevation=BUMPS), layer("unsphericity_curvature", elevation=BUMPS)
    np.testing.assert_allclose(mean[INSIDE], ((high + low) / 200)[INSIDE], atol=1e-6)
    np.testing.assert_allclose(half[INSIDE], ((high - low) / 200)[INSIDE], atol=1e-6)


def test_second_derivatives_agree_with_scikit_image_on_a_smooth_surface():
    period = 600.0
    z = 40 * np.sin(2 * np.pi * X / period) * np.cos(2 * np.pi * Y / period)
    rows, cols = 2, 2
    hrr, hrc, hcc = skimage.feature.hessian_matrix(z, sigma=0.1, mode="nearest", use_gaussian_derivatives=False)
    fitted = features._fit(z, (10.0, 10.0))
    cut = np.s_[2 + rows : -2 - rows, 2 + cols : -2 - cols]
    for ours, theirs, sign in ((fitted[2], hcc, 1), (fitted[4], hrr, 1), (fitted[3], hrc, -1)):
        # theirs differences over two pixels each way, ours over one: they differ by (2 pi h / period)^2 / 4
        np.testing.assert_allclose(ours[cut], sign * theirs[cut] / 100, atol=0.02 * np.abs(fitted[2]).max())


@pytest.mark.parametrize("chunks", [(13, 17), (70, 45), (1, 90)])
def test_blocks_make_no_difference(chunks):
    names = [
        row.name for row in features.FEATURES if set(row.needs) <= {*features.DERIVATIVES, "green", "red", "elevation"}
    ]
    light = RNG.random(GRID.shape)
    whole = scene(elevation=BUMPS, green=light, red=light[::-1])
    expected = features.stack(whole, names)
    lazy = features.stack(whole.chunk({"y": chunks[0], "x": chunks[1]}), names)
    assert lazy.chunks is not None and lazy.chunks[0] == (len(names),) and lazy.dtype == "float32"
    np.testing.assert_array_equal(lazy.compute(), expected)
    assert list(lazy.feature.values) == names and lazy.odc.geobox == GRID and "grey" in names


def test_unseen_stays_unseen():
    hole = np.where(np.hypot(X, Y) < 100, np.nan, 0.5)
    for row in features.FEATURES:
        out = layer(row.name, **dict.fromkeys(features.needs([row.name]), hole))
        assert np.isnan(out[np.isnan(hole)]).all(), row.name
        assert np.isfinite(out[np.hypot(X, Y) > 130]).all(), row.name


def test_grey_reaches_the_whole_range_and_comes_from_pillow_alone():
    out = layer("grey", green=0.1 + 0.1 * (X > 0), red=0.1 + 0.1 * (X > 0))
    assert out.min() >= 0 and out.max() <= 1 and np.ptp(out) > 0.9
    assert Image.fromarray(np.uint8(out * 255)).getextrema()[1] >= 250


def test_what_is_missing_is_named_with_a_way_to_get_it():
    given = scene(green=0.5, red=0.4)
    with pytest.raises(LookupError, match=r"ndsi needs swir16; the scene has green, red: add it by load\.cube"):
        features.stack(given, ["ndsi"])
    with pytest.raises(LookupError, match=r"slope needs elevation.*load\.elevation\(items, geobox\)"):
        features.stack(given, ["slope"])
    with pytest.raises(LookupError, match=r"dh_dt needs dh_dt.*load\.elevation_rate"):
        features.stack(given, ["dh_dt"])
    with pytest.raises(LookupError, match="no feature 'nsdi': did you mean ndwi, ndvi, ndsi"):
        features.stack(given, ["nsdi"])
    with pytest.raises(ValueError, match="time dimension"):
        features.stack(given.expand_dims(time=2), ["green"])
    degrees = GeoBox.from_bbox((10, 46, 10.1, 46.1), "EPSG:4326", resolution=0.01)
    with pytest.raises(ValueError, match=r"made in metres.*regions\.geobox"):
        features.stack(xr.Dataset({"elevation": wrap_xr(np.zeros(degrees.shape, "float32"), degrees)}), ["slope"])


def test_rows_are_told_apart_and_cited():
    names = [row.name for row in features.FEATURES]
    assert len(set(names)) == len(names)
    assert all(row.citation and row.units and row.needs for row in features.FEATURES)
    assert features.needs(names)[:6] == ["blue", "green", "red", "nir", "swir16", "swir22"]
