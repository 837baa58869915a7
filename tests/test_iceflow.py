"""Shallow-ice flow: the budget closes, mirrored land gives mirrored ice, and the exact dome spreads as it must."""

import numpy as np
import pytest

from glacier_nb import iceflow


def climate(shape, ela=1e9, gain=1.0, loss=1.0, years=(0.0,), **more):
    ones = np.ones(shape)
    ela = np.broadcast_to(ela, len(years)).astype(float)
    return iceflow.Climate(np.array(years), ela, 0.0 * ones, gain * ones, loss * ones, **more)


def idle(shape):
    """Neither gain nor loss."""
    return climate(shape, gain=0.0, loss=0.0)


def valley(cells=48, resolution=80.0):
    """A valley that falls 12 % from its head, symmetric about its middle row."""
    y, x = np.mgrid[:cells, :cells] * resolution
    across = np.abs(y - y.mean())
    return 900.0 - 0.12 * x + 0.25 * across, resolution


def halfar(r, t, volume_radius, height, gamma):
    """Exact spreading dome, n = 3: Halfar 1981, doi:10.1029/JC086iC11p11065; its own time at (height, radius)."""
    start = (7.0 / 4.0) ** 3 * volume_radius**4 / height**7 / (18.0 * gamma)
    s = (t + start) / start
    core = 1.0 - (s ** (-1 / 18) * r / volume_radius) ** (4 / 3)
    return height * s ** (-1 / 9) * np.clip(core, 0.0, None) ** (3 / 7)


@pytest.mark.parametrize("resolution", [200.0, 100.0])
def test_halfar_dome(resolution):
    cells = int(8000 / resolution) + 1
    y, x = (np.mgrid[:cells, :cells] - cells // 2) * resolution
    r, gamma = np.hypot(x, y), iceflow.mobility()
    before = halfar(r, 0.0, 2500.0, 300.0, gamma)
    past = iceflow.evolve(np.zeros_like(r), before, resolution, np.array([0.0, 200.0]), idle(r.shape))
    after = halfar(r, 200.0, 2500.0, 300.0, gamma)
    assert after.max() < 0.95 * before.max()  # it did spread
    # The front is vertical in the exact solution: a cell there is off by up to the thickness one cell inside.
    tolerance = halfar(r.max() * 0 + np.array([2500.0 - resolution]), 0.0, 2500.0, 300.0, gamma)[0]
    assert np.abs(past.thickness[1] - after).max() < tolerance
    inside = r < 0.8 * 2500.0
    # Inside, one step of the scheme errs by (resolution / radius)^2 of the height or less.
    assert np.abs(past.thickness[1] - after)[inside].max() < 3.0 * 300.0 * (resolution / 2500.0) ** 2 + 1.0
    assert past.residual < 1e-9
    assert past.volume[1] == pytest.approx(past.volume[0], rel=1e-12)


def test_budget_closes_through_warming_and_calving():
    bed, resolution = valley()
    bed = bed - 500.0  # the lower part lies under the sea
    upstream = np.broadcast_to(np.arange(bed.shape[1])[::-1] * resolution, bed.shape).astype(float)
    front = iceflow.Front(np.array([0.0, 120.0, 160.0]), np.array([900.0, 900.0, 1500.0]), upstream)
    warm = climate(bed.shape, ela=[0.0, 0.0, 150.0], years=(0.0, 120.0, 160.0), loss=0.8)
    past = iceflow.evolve(bed, np.zeros_like(bed), resolution, np.array([0.0, 120.0, 140.0, 160.0]), warm, front)
    assert past.residual < 1e-6
    assert past.volume.max() > 1e6
    assert past.calved[-1] > 0.0
    assert past.lost[-1] > 0.0
    assert past.thickness.min() >= 0.0
    gone = (bed < 0.0) & (upstream < 1500.0)
    assert past.thickness[-1][gone].max() == 0.0
    closed = past.volume[0] + past.gained - past.lost - past.calved
    np.testing.assert_allclose(closed, past.volume, atol=1e-6 * past.volume.max())


def test_steep_bed_makes_no_ice():
    bed, resolution = valley()
    bed = bed + np.where(np.arange(bed.shape[1]) < 20, 600.0, 0.0)  # a cliff of 600 m from one cell to the next
    start = np.where(np.arange(bed.shape[1]) < 20, 60.0, 0.0) * np.ones_like(bed)
    past = iceflow.evolve(bed, start, resolution, np.array([0.0, 30.0]), idle(bed.shape))
    assert past.volume[1] == pytest.approx(past.volume[0], rel=1e-12)
    assert past.thickness[1][:, 20:].max() > 0.0  # it went over the cliff


def test_mirrored_land_gives_mirrored_ice():
    bed, resolution = valley()
    rough = bed + np.random.default_rng(1).normal(0.0, 10.0, bed.shape)
    years, cold = np.array([0.0, 80.0]), climate(bed.shape, ela=600.0)
    ice = iceflow.evolve(rough, np.zeros_like(bed), resolution, years, cold).thickness[1]
    for turn in (np.flipud, np.fliplr, np.transpose):
        turned = iceflow.evolve(turn(rough), np.zeros_like(bed), resolution, years, cold).thickness[1]
        np.testing.assert_allclose(turn(turned), ice, atol=1e-6)  # sums in another order
    straight = iceflow.evolve(bed, np.zeros_like(bed), resolution, years, cold).thickness[1]
    np.testing.assert_allclose(straight, straight[::-1], atol=1e-6)
    assert straight.max() > 20.0


def test_warming_shrinks_and_sliding_thins():
    bed, resolution = valley()
    years = np.array([0.0, 100.0])
    grown = {
        ela: iceflow.evolve(bed, 0 * bed, resolution, years, climate(bed.shape, ela=ela)) for ela in (800.0, 900.0)
    }
    assert grown[900.0].volume[1] < grown[800.0].volume[1]
    assert (grown[900.0].thickness[1] > 1).sum() < (grown[800.0].thickness[1] > 1).sum()
    cold = climate(bed.shape, ela=800.0)
    slid = iceflow.evolve(bed, 0 * bed, resolution, years, cold, slip=iceflow.SLIP)
    assert slid.thickness[1][:, :16].max() < grown[800.0].thickness[1][:, :16].max()  # far from the closed end


def test_similar_ice_is_similar():
    # Ice twice as wide, thick and high takes as long over the same slopes when it is 16 times less mobile... in
    # flux: Gamma H^5 |grad s|^2 / L^2 has the unit 1/a, so Gamma / 2^3 keeps it.
    bed, resolution = valley()
    start = np.where(bed > 700.0, 50.0, 0.0)
    years = np.array([0.0, 40.0])
    small = iceflow.evolve(bed, start, resolution, years, idle(bed.shape))
    large = iceflow.evolve(2 * bed, 2 * start, 2 * resolution, years, idle(bed.shape), softness=iceflow.SOFTNESS / 8)
    np.testing.assert_allclose(large.thickness[1], 2 * small.thickness[1], atol=1e-6)


@pytest.mark.parametrize(
    ("years", "thickness", "words"),
    [([0.0, 0.0], np.zeros((4, 4)), "do not grow"), ([0.0, 1.0], np.zeros((3, 4)), "shape"),
     ([0.0, 1.0], -np.ones((4, 4)), "negative")],
)  # fmt: skip
def test_refuses(years, thickness, words):
    with pytest.raises(ValueError, match=words):
        iceflow.evolve(np.zeros((4, 4)), thickness, 80.0, np.array(years), idle((4, 4)))
