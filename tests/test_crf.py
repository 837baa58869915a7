"""The dense CRF against the exact sums, and on pictures whose answer is known."""

import numpy as np
import pytest
import xarray as xr
from drawing import draw, layers, one, picture

from glacier_nb import crf

SIDE = 32


def disc(side: int = SIDE, radius: float = 9.0) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(x, y) < radius


def test_weighted_means_come_close_to_the_exact_gaussian():
    rng = np.random.default_rng(0)
    grey = np.where(disc(), 200, 60) + rng.normal(0, 8, (3, SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    points = np.c_[y.ravel() / 8, x.ravel() / 8, grey.reshape(3, -1).T / 13]
    exact = np.exp(-((points[:, None] - points[None]) ** 2).sum(axis=-1) / 2)
    values = rng.random((SIDE * SIDE, 2))
    lattice = crf.permutohedral(points)
    found = lattice(values) / lattice(np.ones((len(points), 1)))
    off = np.abs(found - exact @ values / exact.sum(axis=1, keepdims=True))
    assert off.max() < 0.03 and off.mean() < 0.003


def test_what_is_far_apart_does_not_mix():
    points = np.r_[np.random.default_rng(1).normal(size=(50, 3)), np.random.default_rng(2).normal(size=(50, 3)) + 100]
    values = np.r_[np.ones(50), np.zeros(50)][:, None]
    found = crf.permutohedral(points)(values)
    assert (found[:50] > 0).all() and (found[50:] == 0).all()


def test_constant_values_stay_constant_in_a_normalised_kernel():
    zones = draw("\n".join(["g" * SIDE] * SIDE), sure=0.6)
    grey = np.random.default_rng(0).random((SIDE, SIDE))
    found = crf.dense_crf(zones, layers(zones, red=grey), image=("red",)).sel(zone="glacier").values
    assert (found > 0.9).all()  # what all agree on gets surer


def scene(noise: float) -> tuple[xr.DataArray, xr.DataArray]:
    """A bright disc of ice in dark rock, and a map of it with many wrong pixels."""
    rng = np.random.default_rng(3)
    wrong = rng.random((SIDE, SIDE)) < noise
    zones = draw("\n".join("".join("g" if ice else "r" for ice in row) for row in disc() ^ wrong), sure=0.7)
    bright = np.where(disc(), 0.8, 0.2) + rng.normal(0, 0.01, (3, SIDE, SIDE))
    return zones, layers(zones, red=bright[0], green=bright[1], blue=bright[2])


def truth() -> str:
    return " ".join("".join("g" if ice else "r" for ice in row) for row in disc())


def test_wrong_pixels_follow_what_looks_alike_to_the_very_edge():
    zones, image = scene(noise=0.2)
    assert picture(zones) != truth()
    found = crf.dense_crf(zones, image)
    assert picture(found) == truth()
    np.testing.assert_allclose(found.sum("zone"), 1, rtol=1e-5)
    assert found.dtype == zones.dtype


@pytest.mark.parametrize(
    "turn", [(slice(None), slice(None, None, -1)), (slice(None), slice(None), slice(None, None, -1))]
)
def test_flipped_in_is_flipped_out(turn):
    zones, image = scene(noise=0.2)
    assert picture(crf.dense_crf(zones[turn], image[turn])[turn]) == truth()


def test_no_steps_and_no_votes_change_nothing():
    zones, image = scene(noise=0.2)
    xr.testing.assert_allclose(crf.dense_crf(zones, image, steps=0), zones, atol=1e-6)
    silent = crf.dense_crf(zones, image, near=(3.0, 0.0), alike=(80.0, 13.0, 0.0))
    xr.testing.assert_allclose(silent, zones, atol=1e-6)


def test_the_unseen_stays_unseen_and_has_no_vote():
    zones, image = scene(noise=0.2)
    zones.values[:, :6] = np.nan
    image.values[:, -4:] = np.nan
    found = crf.dense_crf(zones, image)
    assert np.isnan(found.values[:, :6]).all()
    np.testing.assert_array_equal(found.values[:, -4:], zones.values[:, -4:])  # without an image: as it was
    inner = slice(6, SIDE - 4)
    assert picture(found[:, inner]) == " ".join(truth().split()[inner])
    blank = zones * np.nan
    xr.testing.assert_equal(crf.dense_crf(blank, image), blank)


def test_smoothing_alone_takes_specks_and_keeps_straight_edges():
    zones = draw("\n".join(["gggggggrrrrrrr"] * 14), sure=0.7)
    speck = zones.copy()
    speck.values[:, 4, 11] = zones.values[:, 4, 2]
    flat = layers(zones, red=0.5)
    found = crf.dense_crf(speck, flat, image=("red",), alike=(80.0, 13.0, 0.0))
    assert picture(found) == one("\n".join(["gggggggrrrrrrr"] * 14))
