"""Derivatives and curvatures against closed forms, xdem and scikit-image."""

import numpy as np
import pytest
import rasterio
import skimage.feature
import xarray as xr
import xdem
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from scipy import ndimage, signal

from glacier_nb import features, terrain

GRID = GeoBox.from_bbox((600_000, 5_000_000, 600_900, 5_000_700), "EPSG:32632", resolution=10)
X, Y = np.meshgrid(GRID.coords["x"].values - 600_450, GRID.coords["y"].values - 5_000_350)
BUMPS = ndimage.gaussian_filter(np.random.default_rng(7).standard_normal(GRID.shape), 5) * 300 + 1000
INSIDE = np.s_[2:-2, 2:-2]
TERRAIN = [row.name for row in features.FEATURES if set(row.needs) & {*features.DERIVATIVES, *features.SMOOTHED}]


def layers(elevation, *names):
    ground = wrap_xr(np.broadcast_to(elevation, GRID.shape).astype("float32"), GRID)
    return features.stack(xr.Dataset({"elevation": ground}), names).values


@pytest.mark.parametrize(("east", "north"), [(0.3, 0.0), (-0.3, 0.0), (0.0, 0.4), (0.0, -0.4), (0.2, -0.5)])
def test_a_plane_has_its_slope_and_aspect_everywhere(east, north):
    names = ["slope", "aspect", "sin_aspect", "cos_aspect", "northness", "southness", "hillshade"]
    slope, aspect, sine, cosine, northness, southness, light = layers(1000 + east * X + north * Y, *names)
    steep = np.hypot(east, north)
    np.testing.assert_allclose(slope, np.degrees(np.arctan(steep)), atol=1e-3)
    np.testing.assert_allclose(sine, -east / steep, atol=1e-4)  # it faces downhill
    np.testing.assert_allclose(cosine, -north / steep, atol=1e-4)
    faces = np.degrees(np.arctan2(-east, -north))
    np.testing.assert_allclose((aspect - faces + 180) % 360, 180, atol=0.01)
    np.testing.assert_allclose(northness, np.cos(np.radians(aspect)) * np.sin(np.radians(slope)), atol=1e-5)
    np.testing.assert_array_equal(southness, -northness)
    np.testing.assert_allclose(light, (1 - (-east + north) / np.sqrt(2)) / np.sqrt(2 * (1 + steep**2)), atol=1e-4)


@pytest.mark.parametrize(("east", "north"), [(0.3, 0.0), (0.2, -0.5)])
def test_a_plane_does_not_curve(east, north):
    names = [name for name in TERRAIN if "curvature" in name or name == "sadi"]
    z = 1000 + east * X + north * Y
    # float32 heights near 1000 m are off by 3e-5 m: over a second difference at 10 m, 1.2e-6 m-1; x 100 in `curvature`
    for name, layer in zip(names, layers(z, *names), strict=True):
        inside = layer[INSIDE] if name.endswith("_smoothed") else layer  # smoothing mirrors what lies outside
        np.testing.assert_allclose(inside, 0, atol=4e-4 if name == "curvature" else 4e-5, err_msg=name)


def test_flat_ground_has_no_aspect_and_no_curvature():
    for name, layer in zip(TERRAIN, layers(500.0, *TERRAIN), strict=True):
        np.testing.assert_allclose(layer, np.cos(np.pi / 4) if name == "hillshade" else 0.0, rtol=1e-6, err_msg=name)


def test_a_sphere_curves_alike_in_all_directions():
    radius = 2000.0
    mean, unlike, across, along = (
        layer[20:-20, 20:-20]
        for layer in layers(
            np.sqrt(radius**2 - X**2 - Y**2),
            *("mean_curvature", "unsphericity_curvature", "tangential_curvature", "profile_curvature"),
        )
    )
    error = (10 / radius) ** 2  # of the central difference, relative
    top = np.hypot(X, Y)[20:-20, 20:-20] > 30  # at the very top there is no slope line
    for layer in (mean, across, along):
        np.testing.assert_allclose(layer[top], 1 / radius, rtol=50 * error + 0.01)
    assert unlike.max() < 0.05 / radius


def test_a_cylinder_is_half_as_curved_and_all_unspherical():
    radius = 1500.0
    out = layers(np.sqrt(radius**2 - X**2), "mean_curvature", "unsphericity_curvature")
    np.testing.assert_allclose(out[:, 2:-2, 2:-2], 0.5 / radius, rtol=0.02)


def test_a_saddle_curves_both_ways():
    """z = k (x^2 - y^2) / 2: no mean curvature where level, k each way; its second derivatives are exact."""
    k = 2e-3
    mean, unlike, general = layers(k * (X**2 - Y**2) / 2, "mean_curvature", "unsphericity_curvature", "curvature")
    middle = np.hypot(X, Y) < 10
    np.testing.assert_allclose(mean[middle], 0, atol=k * (10 * k) ** 2 + 2e-7)
    np.testing.assert_allclose(unlike[middle], k, rtol=2 * (10 * k) ** 2 + 1e-4)
    np.testing.assert_allclose(general[INSIDE], 0, atol=100 * 4 * 2e-5 / 10**2)  # float32 heights to 90 m


def test_a_bowl_has_its_general_curvature_in_hundredths():
    k = 1e-3
    (general,) = layers(k * (X**2 + Y**2) / 2, "curvature")
    np.testing.assert_allclose(general[INSIDE], -2 * k * 100, rtol=5e-3)


@pytest.mark.parametrize("way", [-1, 1])
def test_slopes_part_on_a_cone_and_meet_in_a_funnel(way):
    """Unit vectors away from the tip diverge by 1 / distance; central differences miss (h / distance)^2 of it."""
    distance, fall = np.hypot(X, Y), 0.5
    (sadi,) = layers(1000 + way * fall * distance, "sadi")
    clear = (distance > 100) & (distance < 300)
    expected = -way * fall / np.hypot(1, fall) / distance
    np.testing.assert_allclose(sadi[clear], expected[clear], rtol=2 * (10 / 100) ** 2)


@pytest.mark.parametrize(
    ("ours", "theirs", "per"),
    [
        ("slope", "slope", 1), ("aspect", "aspect", 1), ("ruggedness", "terrain_ruggedness_index", 1),
        ("profile_curvature", "profile_curvature", 100), ("tangential_curvature", "tangential_curvature", 100),
        ("planform_curvature", "planform_curvature", 100),
    ],
)  # fmt: skip
def test_terrain_agrees_with_xdem(ours, theirs, per):
    z = BUMPS.astype("float32").astype("float64")
    expected = xdem.terrain.get_terrain_attribute(z, theirs, resolution=10, surface_fit="ZevenbergThorne") / per
    (layer,) = layers(BUMPS, ours)
    tolerance = 0.02 if ours == "aspect" else 1e-6  # float32 of an angle to 360 from gradients of the flattest ground
    np.testing.assert_allclose(layer[INSIDE], expected[INSIDE], rtol=1e-4, atol=tolerance)


def test_principal_curvatures_agree_with_xdem():
    z = BUMPS.astype("float32").astype("float64")
    high, low = xdem.terrain.get_terrain_attribute(
        z, ["max_curvature", "min_curvature"], resolution=10, surface_fit="ZevenbergThorne"
    )
    mean, half = layers(BUMPS, "mean_curvature", "unsphericity_curvature")
    np.testing.assert_allclose(mean[INSIDE], ((high + low) / 200)[INSIDE], atol=1e-6)
    np.testing.assert_allclose(half[INSIDE], ((high - low) / 200)[INSIDE], atol=1e-6)


def test_smoothed_layers_are_those_of_xdem_on_the_blurred_surface():
    """The blur written out: exp(-(i^2 + j^2)) over its sum, by convolution."""
    i, j = np.mgrid[-1:2, -1:2]
    kernel = np.exp(-(i**2.0) - j**2)
    blurred = signal.convolve2d(BUMPS.astype("float32").astype("float64"), kernel / kernel.sum(), "same", "symm")
    names = ["slope", "profile_curvature", "planform_curvature", "terrain_ruggedness_index"]
    theirs = xdem.terrain.get_terrain_attribute(blurred, names, resolution=10, surface_fit="ZevenbergThorne")
    ours = ("slope", "profile_curvature", "planform_curvature", "ruggedness")
    found = layers(BUMPS, *(f"{name}_smoothed" for name in ours))
    for layer, expected, per in zip(found, theirs, (1, 100, 100, 1), strict=True):
        np.testing.assert_allclose(layer[INSIDE], expected[INSIDE] / per, rtol=1e-4, atol=1e-6)
    rough, smooth = layers(BUMPS, "ruggedness", "ruggedness_smoothed")
    assert smooth.mean() < rough.mean()


def test_second_derivatives_agree_with_scikit_image_on_a_smooth_surface():
    period = 600.0
    z = 40 * np.sin(2 * np.pi * X / period) * np.cos(2 * np.pi * Y / period)
    hrr, hrc, hcc = skimage.feature.hessian_matrix(z, sigma=0.1, mode="nearest", use_gaussian_derivatives=False)
    fitted = dict(zip(terrain.DERIVATIVES, terrain.derivatives(z, GRID), strict=True))
    cut = np.s_[4:-4, 4:-4]
    for name, theirs, sign in (("r", hcc, 1), ("t", hrr, 1), ("s", hrc, -1)):
        # theirs differences over two pixels each way, ours over one: they differ by (2 pi h / period)^2 / 4
        np.testing.assert_allclose(fitted[name][cut], sign * theirs[cut] / 100, atol=0.02 * np.abs(fitted["r"]).max())


def test_a_real_glacier_agrees_with_xdem(data):
    """Svalbard, 20 m: a DEM of the Norwegian Polar Institute."""
    with rasterio.open(data / "xdem_longyearbyen_coreg/DEM_1995.tif") as source:
        z, where = source.read(1, masked=True).filled(np.nan), source.transform
    grid = GeoBox(z.shape, where, "EPSG:25833")
    ground = xr.Dataset({"elevation": wrap_xr(z.astype("float32"), grid)}).isel(y=slice(100, 400), x=slice(100, 500))
    names = ["slope", "ruggedness", "planform_curvature"]
    theirs = xdem.terrain.get_terrain_attribute(
        ground.elevation.values.astype("float64"), ["slope", "terrain_ruggedness_index", "planform_curvature"],
        resolution=abs(where.a), surface_fit="ZevenbergThorne",
    )  # fmt: skip
    steep = theirs[0] > 1  # the contour of level ground curves without bound
    for layer, expected, per in zip(features.stack(ground, names).values, theirs, (1, 1, 100), strict=True):
        seen = np.isfinite(expected) & steep
        assert seen.sum() > 50_000
        np.testing.assert_allclose(layer[seen], expected[seen] / per, rtol=2e-3, atol=1e-5)
