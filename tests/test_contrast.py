"""Image statistics against numpy and scikit-image; a lazy image has the same ones."""

import dask
import dask.array as da
import numpy as np
import pytest
import rasterio
from PIL import Image
from scipy import ndimage
from skimage import exposure

from glacier_nb import contrast

RNG = np.random.default_rng(5)
SMOOTH = ndimage.gaussian_filter(RNG.random((160, 240)), 3)
SMOOTH = (np.rint((SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH) * 255) / 255).astype("float32")
SHARES = (0, 0.1, 1, 33.3, 50, 98, 99.9, 100)


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(size=4000), 10 ** RNG.normal(0, 3, 4000), RNG.integers(0, 9, 4000), -RNG.random(4000),
        RNG.normal(272, 3, 4000), np.zeros(4000), np.r_[np.full(3999, np.nan), 7.0], np.r_[np.inf, RNG.random(3999)],
    ],
    ids=["both signs", "heavy tail", "few", "negative", "kelvin", "zero", "one", "infinite"],
)  # fmt: skip
def test_percentiles_are_numpys(values):
    image = values.reshape(40, 100).astype("float32")
    seen = image[np.isfinite(image)].astype("float64")
    expected = np.percentile(seen, SHARES)
    found = contrast.percentiles(image, SHARES)
    np.testing.assert_allclose(found, expected, rtol=2.0**-23)  # float32
    for chunks in ((7, 33), (40, 100), (1, 1000)):
        np.testing.assert_array_equal(contrast.percentiles(da.from_array(image, chunks), SHARES), found)


def test_nothing_seen_has_no_percentiles_and_no_grey():
    unseen = np.full((8, 9), np.nan, "float32")
    assert np.isnan(contrast.percentiles(unseen, (0, 50))).all()
    assert all(np.isnan(make(unseen)).all() for make in (contrast.stretch, contrast.bell, contrast.toned))
    assert np.isnan(contrast.clahe(unseen, 2.0)).all()


def test_no_task_sees_more_than_a_block():
    """An image of 3000 x 3000 pixels in blocks of 250: no value on the way is larger than a block or a histogram."""
    largest = max(250 * 250, 140 * 2 << 10)

    sizes = []

    class Watch(dask.callbacks.Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            sizes.append(getattr(result, "size", 0))

    image = da.random.default_rng(1).random((3000, 3000), chunks=250).astype("float32")
    made = [contrast.eight_bit(image, 0.1, 98), contrast.bell(image), contrast.clahe(image, 2.0)]
    with Watch(), dask.config.set(scheduler="sync"):
        dask.compute(*(layer[:250, :250].sum() for layer in made))
    assert 0 < max(sizes) <= largest


def test_eight_bits_are_the_published_cut():
    low, high = np.percentile(SMOOTH, (0.1, 98))
    expected = np.clip((SMOOTH.astype("float64") - low) / (high - low) * 255, 0, 255).astype("uint8")
    found = contrast.eight_bit(SMOOTH, 0.1, 98.0)
    assert np.abs(found - expected).max() <= 1 and (found == expected).mean() > 0.99  # a count on the edge may fall
    assert set(np.unique(found)) <= set(range(256)) and found.max() == 255 and found.min() == 0


def test_one_value_all_over_is_black():
    flat = np.full((16, 16), 0.37, "float32")
    assert (contrast.stretch(flat) == 0).all() and (contrast.eight_bit(flat, 0.1, 98) == 0).all()
    assert (contrast.bell(flat) == 0).all()


def test_a_bell_has_the_mean_and_spread_of_a_bell():
    """Any histogram: after min-max, levels of exp(-(d / 20)^2) are normal with sigma 20 / sqrt(2) over the range."""
    skewed = (10 ** RNG.normal(0, 0.7, (300, 300))).astype("float32")
    grey = contrast.bell(skewed)
    order = np.argsort(skewed, axis=None)
    assert (np.diff(grey.ravel()[order]) >= 0).all() and grey.min() == 0 and grey.max() == 1
    between = 2 * 4.68 * 20 / np.sqrt(2)  # levels between 1 / 691 200 and its complement, of a normal distribution
    levels = grey * between
    assert levels.std() == pytest.approx(20 / np.sqrt(2), rel=0.02)
    standard = (levels - levels.mean()) / levels.std()
    for inside, share in ((1, 0.6827), (2, 0.9545)):
        assert (np.abs(standard) < inside).mean() == pytest.approx(share, abs=0.03)  # levels are 0.07 sigma wide


def test_the_same_picture_from_two_sensors_is_one_picture():
    gamma = (SMOOTH + 0.01) ** 2.2 * 400
    same = contrast.bell(gamma.astype("float32")) == contrast.bell(SMOOTH)
    assert same.mean() > 0.999  # ranks are the same


def test_equalisation_without_a_limit_agrees_with_scikit_image():
    """Tiles and interpolation alike; levels of 1/255 against bins of 1/256, and both go to [0, 1] after."""
    theirs = exposure.equalize_adapthist(SMOOTH, kernel_size=(20, 30), clip_limit=1.0, nbins=256)
    ours = contrast.clahe(SMOOTH, 256.0)
    ours = (ours - ours.min()) / np.ptp(ours)
    assert np.abs(ours - theirs).mean() < 1 / 255
    tiles = SMOOTH.reshape(8, 20, 8, 30).swapaxes(1, 2).reshape(64, -1)
    step = max(np.bincount(np.rint(tile * 255).astype(int)).max() / tile.size for tile in tiles)
    inside = np.s_[20:-20, 30:-30]  # theirs mirrors the image outside, ours keeps the outer tiles' greys
    assert np.abs(ours - theirs)[inside].max() < step + 1 / 255  # one bin more or less in the cumulative share


@pytest.mark.parametrize("clip", [1.5, 2.0, 2.56, 8.0])
def test_a_limited_histogram_is_the_one_written_out(clip):
    """At the middle of a tile (of odd sides) the new grey is its own clipped cumulative share."""
    image = SMOOTH[:152, :232]
    ours = contrast.clahe(image, clip)
    for row, column in ((0, 0), (3, 5), (7, 7)):
        tile = image[row * 19 : row * 19 + 19, column * 29 : column * 29 + 29]
        counts = np.bincount(np.rint(tile * 255).astype(int).ravel(), minlength=256).astype(float)
        limit = max(clip * tile.size / 256, 1)
        spread = np.minimum(counts, limit) + np.maximum(counts - limit, 0).sum() / 256
        level = round(float(tile[9, 14]) * 255)
        assert ours[row * 19 + 9, column * 29 + 14] == pytest.approx(spread[: level + 1].sum() / tile.size, abs=1e-5)


def test_a_lower_limit_changes_greys_less():
    change = [np.abs(contrast.clahe(SMOOTH, clip) - SMOOTH).mean() for clip in (1.0, 2.0, 8.0, 256.0)]
    assert change == sorted(change)


def test_toning_keeps_the_mean_and_lifts_shadows_beside_light():
    flat = np.full((40, 90), 0.5, "float32")
    np.testing.assert_allclose(contrast.toned(flat), np.log2(1.5), rtol=1e-5)
    step = np.where(np.arange(90) < 45, 0.2, 0.8) * np.ones((40, 1))
    out = contrast.toned(step.astype("float32"))[20]
    assert np.diff(out)[44] > np.log2(1.8) - np.log2(1.2)  # the edge is steeper than in the logarithm
    assert out[44] < out[0] and out[45] > out[-1]


def test_grey_reaches_the_whole_range_and_comes_from_pillow_alone():
    light = (0.1 + 0.1 * (np.arange(90) > 45)) * np.ones((70, 1), "float32")
    out = contrast.pillow_grey(light.astype("float32"), light.astype("float32"))
    assert out.min() >= 0 and out.max() <= 1 and np.ptp(out) > 0.9
    assert Image.fromarray(np.uint8(out * 255)).getextrema()[1] >= 250


def test_a_real_scene_is_stretched_like_numpy_says(data):
    """Landsat 8 coastal band of the Greenland coast, nearly half of it unseen."""
    (path,) = (data / "landsat_c2l2_greenland_512").glob("*SR_B1.TIF")
    with rasterio.open(path) as source:
        counts = source.read(1)
    band = np.where(counts == 0, np.nan, counts * 2.75e-5 - 0.2).astype("float32")
    low, high = np.nanpercentile(band, (0.1, 98))
    found = contrast.percentiles(band, (0.1, 98))
    np.testing.assert_allclose(found, (low, high), rtol=2.0**-22)
    lazy = contrast.eight_bit(da.from_array(band, 100), 0.1, 98.0)
    np.testing.assert_array_equal(lazy, contrast.eight_bit(band, 0.1, 98.0))
    assert np.isnan(lazy.compute()).mean() == pytest.approx(np.isnan(band).mean())
