"""Co-occurrence against scikit-image and closed forms."""

import numpy as np
import pytest
import rasterio
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops

from glacier_nb import contrast, features, textures

RNG = np.random.default_rng(11)
ANGLES = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]


def made(grey):
    return dict(zip(textures.STATISTICS, textures.cooccurrence(np.asarray(grey, "float32")), strict=True))


def theirs(levels, i, j):
    patch = levels[max(i - 3, 0) : i + 4, max(j - 3, 0) : j + 4].astype("uint8")
    matrix = graycomatrix(patch, [1], ANGLES, levels=textures.GREYS, symmetric=True, normed=True)
    return {name: graycoprops(matrix, "ASM" if name == "asm" else name).mean() for name in textures.STATISTICS}


def agree(grey, places):
    """Hold each statistic at these places against scikit-image's; how many were."""
    held = 0
    ours, levels = made(grey), np.clip(np.asarray(grey) * textures.GREYS, 0, textures.GREYS - 1).astype(int)
    for i, j in places:
        for name, value in theirs(levels, i, j).items():
            assert ours[name][i, j] == pytest.approx(value, rel=1e-5, abs=1e-5), (name, i, j)
            held += 1
    return held


def test_statistics_agree_with_scikit_image_to_the_corner_of_the_image():
    grey = ndimage.gaussian_filter(RNG.random((40, 50)), 1.5)
    grey = ((grey - grey.min()) / np.ptp(grey)).astype("float32")
    assert agree(grey, [(20, 25), (10, 40), (0, 0), (39, 49), (2, 5), (36, 1)]) == 6 * len(textures.STATISTICS)
    assert agree(RNG.random((20, 20)).astype("float32"), [(9, 9), (10, 3), (19, 0)]) == 3 * len(textures.STATISTICS)


def test_a_real_scene_agrees_with_scikit_image(data):
    """Landsat 8 near infrared of the Greenland coast."""
    (path,) = (data / "landsat_c2l2_greenland_512").glob("*SR_B5.TIF")
    with rasterio.open(path) as source:
        counts = source.read(1)
    grey = contrast.stretch(np.where(counts == 0, np.nan, counts * 2.75e-5 - 0.2).astype("float32"), 0.1, 98.0)
    seen = np.argwhere(ndimage.minimum_filter(np.isfinite(grey), 7, mode="constant"))
    places = seen[:: len(seen) // 12]
    i, j = places.min(axis=0) - 4
    agree(np.nan_to_num(grey), places)
    with_holes, without = made(grey), made(np.nan_to_num(grey))
    for name in textures.STATISTICS:  # what is unseen far away makes no difference
        np.testing.assert_array_equal(with_holes[name][*places.T], without[name][*places.T])
    assert np.isnan(with_holes["entropy"][np.isnan(grey)]).all() and i >= -4 and j >= -4


def test_one_grey_is_uniform():
    flat = {
        "contrast": 0,
        "dissimilarity": 0,
        "homogeneity": 1,
        "asm": 1,
        "correlation": 1,
        "entropy": 0,
        "variance": 0,
    }
    for name, layer in made(np.full((9, 9), 0.4)).items():
        np.testing.assert_allclose(layer, flat[name], atol=1e-7, err_msg=name)


def test_a_chessboard_of_two_greys():
    """Straight neighbours always differ, by d; diagonal ones never do."""
    d = 10
    board = (np.indices((12, 12)).sum(axis=0) % 2 * d + 5.5) / textures.GREYS
    middle = {name: layer[6, 6] for name, layer in made(board).items()}
    assert middle["contrast"] == pytest.approx(d**2 / 2) and middle["dissimilarity"] == pytest.approx(d / 2)
    assert middle["homogeneity"] == pytest.approx((1 + 1 / (1 + d**2)) / 2)
    assert middle["correlation"] == pytest.approx(0) and middle["asm"] == pytest.approx(0.5, abs=1e-3)
    assert middle["entropy"] == pytest.approx(np.log(2), abs=1e-3)
    assert middle["variance"] == pytest.approx(d**2 / 4, rel=1e-3)


def test_a_lonely_pixel_is_uniform_and_the_unseen_stays_unseen():
    grey = np.full((15, 15), np.nan)
    grey[7, 7] = 0.5
    out = made(grey)
    assert all(np.isfinite(layer).sum() == 1 for layer in out.values())
    assert out["entropy"][7, 7] == 0 and out["homogeneity"][7, 7] == 1


def test_features_know_the_statistics_without_importing_them():
    assert features.TEXTURES == textures.STATISTICS
    glcm = [row.name for row in features.FEATURES if "glcm" in row.name]
    assert glcm == [f"{band}_glcm_{name}" for band in ("pan", "nir", "vv") for name in textures.STATISTICS]
