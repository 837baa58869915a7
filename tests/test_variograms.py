"""Errors that neighbours share: the variogram that was put in, and the error of a mean that it leaves."""

import numpy as np
import odc.geo.xr
import pytest
import scipy.integrate
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import variograms

PIXEL = 20.0


def layer(values):
    height, width = values.shape
    box = (500_000, 7_000_000, 500_000 + width * PIXEL, 7_000_000 + height * PIXEL)
    return odc.geo.xr.wrap_xr(values, GeoBox.from_bbox(box, "EPSG:32633", resolution=PIXEL, tight=True))


def test_white_noise_has_its_variance_at_every_lag():
    values = np.random.default_rng(1).normal(0, 3.0, (300, 300)).astype("float32")
    table = variograms.variogram(layer(values))
    # the median of 20 000 squared normals is good to 1.3 %, so four of those
    assert (table.gamma / 9.0 - 1).abs().max() < 0.06
    model = variograms.fit(table)
    assert model.sigma == pytest.approx(3.0, rel=0.03)
    # the error of a mean over n independent pixels is sigma / sqrt(n)
    n = float(variograms.effective_samples(400 * PIXEL**2, model))
    assert n == pytest.approx(400, rel=0.5)


def test_the_error_of_a_mean_is_that_of_many_draws():
    rng, means, side = np.random.default_rng(2), [], 30
    fields = []
    for _ in range(60):
        field = ndimage.gaussian_filter(rng.standard_normal((240, 240)), 4.0, mode="wrap")
        fields.append(field / field.std())
        means += [fields[-1][r : r + side, c : c + side].mean() for r in (0, 80, 160) for c in (0, 80, 160)]
    model = variograms.fit(variograms.variogram(layer(fields[0])))
    said = model.sigma / np.sqrt(variograms.effective_samples((side * PIXEL) ** 2, model))
    # 540 draws know their standard deviation to 3 %; the disc seen from its middle says more, never less than 0.9
    assert 0.9 < said / np.std(means) < 1.6


def test_wild_values_do_not_move_it():
    values = np.random.default_rng(3).normal(0, 1.0, (300, 300))
    values[np.random.default_rng(4).random(values.shape) < 0.01] = 500.0
    assert variograms.fit(variograms.variogram(layer(values))).sigma == pytest.approx(1.0, rel=0.06)


def test_effective_samples_are_the_integral_over_a_disc():
    model = variograms.Correlation((150.0, 4000.0), (4.0, 1.0))
    for area in (1e5, 1e6, 3e7, 5e8):
        radius = np.sqrt(area / np.pi)
        shared = scipy.integrate.quad(lambda h: h * variograms.covariance(h, model), 0, radius, points=model.ranges[:1])
        wanted = 5 * radius**2 / (2 * shared[0])
        assert float(variograms.effective_samples(area, model)) == pytest.approx(wanted, rel=1e-6)
    assert float(variograms.effective_samples(1.0, model)) == pytest.approx(1.0, rel=0.01)


def test_regions_share_what_is_near():
    model = variograms.Correlation((2000.0,), (1.0,))
    area = np.full(4, 1e6)
    near = np.array([[0, 0], [0, 10.0], [10, 0], [10, 10]])
    far = near * 10_000
    own, together = variograms.areal_errors(area, near, model)
    assert together == pytest.approx(own[0], rel=0.02)  # one place four times: nothing averages out
    own, apart = variograms.areal_errors(area, far, model)
    assert apart == pytest.approx(own[0] / 2)  # four places that share nothing
    assert np.isnan(variograms.areal_errors(np.zeros(2), near[:2], model)[1])


def test_too_few_pairs_are_told():
    with pytest.raises(ValueError, match="widen the stable terrain"):
        variograms.variogram(layer(np.full((50, 50), np.nan, dtype="float32")))
