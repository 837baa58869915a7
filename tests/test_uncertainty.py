"""Intervals, trends and calibration against distributions that are known."""

import numpy as np
import pandas as pd
import pytest
import scipy.special
import shapely
import xarray as xr

from glacier_nb import margins, uncertainty


def calibrated(n=200_000, seed=0):
    rng = np.random.default_rng(seed)
    p = scipy.special.expit(rng.normal(0, 3, n))
    return p, rng.random(n) < p


@pytest.mark.parametrize("pixel", [10.0, 30.0])
def test_area_interval_is_buffering_to_first_order(pixel):
    lake = shapely.Point(0, 0).buffer(2000, 128).difference(shapely.Point(300, 0).buffer(400, 128))
    row = uncertainty.area_interval([lake], pixel).iloc[0]
    out, into = lake.buffer(pixel / 2).area, lake.buffer(-pixel / 2).area
    # second order: curvature adds and takes pi (b/2)^2 a ring
    assert [row.upper_m2, row.lower_m2] == pytest.approx([out, into], abs=2 * np.pi * pixel**2)


def test_area_interval_stops_at_nothing_and_takes_margins():
    sliver = shapely.box(0, 0, 1000, 4)
    table = uncertainty.area_interval(np.array([sliver, sliver]), 10.0, margin=[0, 2008])
    assert table.lower_m2.tolist() == [4000, 0] and table.upper_m2.tolist() == [4000, 4000 + 2008 * 5]


@pytest.mark.parametrize("systematic", [0.0, 0.3, 1.0])
def test_combine_is_the_spread_of_the_sum(systematic):
    rng = np.random.default_rng(1)
    half, source = np.array([3.0, 4.0, -5.0, 2.0]), ["a", "a", "b", "b"]
    shared = rng.normal(size=(100_000, 2)) * np.sqrt(systematic)
    errors = shared[:, [0, 0, 1, 1]] + np.sqrt(1 - systematic) * rng.normal(size=(100_000, 4))
    assert uncertainty.combine(half, systematic, source) == pytest.approx((errors * half).sum(1).std(), rel=0.02)
    stacked = uncertainty.combine(np.stack([half, 2 * half]), systematic, source)
    assert stacked[1] == pytest.approx(2 * stacked[0])


def test_theil_sen_holds_against_wild_values_and_covers():
    rng = np.random.default_rng(2)
    years, hits = np.arange(1990.0, 2015), 0
    for _ in range(300):
        value = 5 - 0.3 * (years - 2000) + rng.normal(0, 1, years.size)
        found = uncertainty.theil_sen(years, value, level=0.9)
        hits += found.lower <= -0.3 <= found.upper
    # 300 draws of 0.9: three standard errors are 0.052
    assert hits / 300 == pytest.approx(0.9, abs=0.052)
    value = 5 - 0.3 * (years - 2000)
    value[[3, 9, 17]] = 99, -99, 99
    assert uncertainty.theil_sen(years, value).slope == pytest.approx(-0.3, abs=1e-9)


def test_least_squares_covers_and_one_wild_value_moves_it():
    rng = np.random.default_rng(12)
    years, hits = np.arange(2000.0, 2012), 0
    for _ in range(300):
        found = uncertainty.least_squares(years, 5 - 0.3 * (years - 2000) + rng.normal(0, 1, years.size), 0.9)
        hits += found.lower <= -0.3 <= found.upper
    assert hits / 300 == pytest.approx(0.9, abs=0.052)  # three standard errors of 300 draws
    value = 5 - 0.3 * (years - 2000)
    value[-1] = 60
    assert uncertainty.least_squares(years, value).slope > 1 > -0.29 > uncertainty.theil_sen(years, value).slope
    with pytest.raises(ValueError, match="three dated values, here are 2"):
        uncertainty.least_squares(years[:2], value[:2])


def test_coverage_counts_what_is_known():
    bounds = pd.DataFrame({"lower_m2": [0.0, 0, 0, np.nan], "upper_m2": [1.0, 1, 4, 1]})
    found = uncertainty.coverage([0.5, 2, 3, 0.5], bounds)
    assert found["n"] == 3 and found["coverage"] == pytest.approx(2 / 3) and found["width"] == 2


def test_theil_sen_reads_dates_and_passes_over_gaps():
    dates = pd.date_range("2000-01-01", periods=10, freq="365D")
    value = pd.Series(np.arange(10.0))
    value[4] = np.nan
    found = uncertainty.theil_sen(dates.to_series(), value)
    assert found.slope == pytest.approx(365.25 / 365) and found.n == 9 and found.p < 0.01
    with pytest.raises(ValueError, match="three dated values, here are 2"):
        uncertainty.theil_sen(dates[:2], value[:2])


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_temperature_is_found_and_calibrates(true):
    p, y = calibrated()
    spoiled = uncertainty.temper(p, 1 / true)  # too sure by the factor `true`
    found = uncertainty.temperature(spoiled, y)
    assert found == pytest.approx(true, rel=0.03)
    after = uncertainty.ece(uncertainty.temper(spoiled, found), y)
    assert after < 0.005 and (true == 1 or uncertainty.ece(spoiled, y) > 5 * after)


def test_temper_moves_no_outline():
    p = np.array([0.1, 0.5, 0.50001, 0.9])
    assert ((uncertainty.temper(p, 3.0) > 0.5) == (p > 0.5)).all()


def test_reliability_counts_what_was_seen():
    p, y = calibrated(1000)
    p[:100] = np.nan
    table = uncertainty.reliability(p, y, bins=10)
    assert table.n.sum() == 900 and len(table) == 10
    assert (table.confidence.between(table.low, table.high)).all()
    with pytest.raises(ValueError, match="GeoBox"):
        uncertainty.ece(p, y[:5])


def test_out_of_domain_grows_with_the_distance():
    rng = np.random.default_rng(4)
    names = ["red", "swir16"]
    layers = rng.normal([[[0.3]], [[0.1]]], [[[0.1]], [[0.05]]], (2, 200, 200)).astype("float32")
    layers[:, :20] = np.nan
    training = xr.DataArray(layers, {"feature": names}, ("feature", "y", "x"))
    known = uncertainty.moments(training.chunk(y=50))
    assert known["red"]["mean"] == pytest.approx(0.3, abs=0.005) and known["swir16"]["std"] == pytest.approx(
        0.05, rel=0.03
    )
    assert uncertainty.out_of_domain(known, known)["all"] == 0
    far = [uncertainty.out_of_domain(uncertainty.moments(training + k * 0.1), known)["all"] for k in (0.1, 1, 3)]
    assert far[0] < 0.3 < 1 < far[1] < far[2]
    with pytest.raises(LookupError, match="swir16"):
        uncertainty.out_of_domain({"red": known["red"]}, known)


def mapped_glaciers(seed, n):
    """Glaciers of many sizes mapped with a margin that is off: by the system, by each glacier's light, and, in one of
    ten, by snow. Mapped and true area, half-width of the buffer method for a pixel of 10 m."""
    rng = np.random.default_rng(seed)
    angle, radius = np.linspace(0, 2 * np.pi, 90, endpoint=False), np.exp(rng.normal(6.0, 0.7, n))
    waves = sum(rng.normal(0, 0.12 / k, (n, 1)) * np.sin(k * angle + rng.uniform(0, 6, (n, 1))) for k in (2, 3, 5))
    far = radius[:, None] * (1 + waves)
    true = shapely.polygons(np.stack([far * np.cos(angle), far * np.sin(angle)], axis=-1))
    off = rng.normal(1.0, 2.0, n) + np.where(rng.random(n) < 0.1, rng.gamma(2.0, 3.0, n), 0)
    found = shapely.buffer(true, off)
    table = uncertainty.area_interval(found, 10.0)
    return table.area_m2.to_numpy(), shapely.area(true), (table.upper_m2 - table.area_m2).to_numpy()


def test_conformal_intervals_cover_what_they_say_and_are_no_wider_than_buffers():
    model = uncertainty.conformal(*mapped_glaciers(1, 1500))
    found, true, half = mapped_glaciers(2, 4000)
    table = uncertainty.conformal_interval(found, half, model)
    covered = ((table.lower_m2 <= true) & (true <= table.upper_m2)).mean()
    # sqrt(0.09 / 1500 + 0.09 / 4000) is 0.9 %: three of those
    assert 0.87 < covered < 0.93
    assert (table.upper_m2 - table.lower_m2).mean() < (2 * half).mean()
    # mapped too large throughout, which a buffer cannot tell
    assert model.low < 0 and abs(model.low) > model.high
    assert (table.lower_m2 >= 0).all()


def intervals(seed, n):
    """Glaciers of `margins.drawn`: mapped and true area, half-width of the buffer method, its bounds."""
    true, found = margins.drawn(n, seed)
    table = uncertainty.area_interval(found, 10.0)
    return table.area_m2.to_numpy(), shapely.area(true), (table.upper_m2 - table.area_m2).to_numpy(), table


@pytest.mark.parametrize("by_size", [False, True])
def test_ninety_percent_is_ninety_percent_where_errors_are_correlated(by_size):
    """Margins off by half a pixel, alike over hundreds of metres, by glacier, scene and system, some under snow."""
    model = uncertainty.conformal(*intervals(21, 1500)[:3], by_size=by_size)
    found, true, half, buffers = intervals(22, 3000)
    held = uncertainty.coverage(true, uncertainty.conformal_interval(found, half, model))
    assert held["n"] == 3000 and 0.87 < held["coverage"] < 0.93
    assert held["width"] <= uncertainty.coverage(true, buffers)["width"]
    assert held["error"] == pytest.approx(np.sqrt(0.09 / 3000), rel=0.1)
    if by_size:  # small glaciers are no worse off than large ones
        large = half > np.median(half)
        table = uncertainty.conformal_interval(found, half, model)
        apart = [uncertainty.coverage(true[half_], table[half_])["coverage"] for half_ in (large, ~large)]
        assert 0 < model.power < 1 and abs(apart[0] - apart[1]) < 0.05


def test_margins_err_as_they_are_told_to():
    """Noise along a margin: its spread, and how fast it forgets; displaced outlines: by the bias times the margin."""
    rng = np.random.default_rng(3)
    around = np.full(2000, 5000.0)
    noise = margins.along(rng, around, 300.0)
    assert noise.std() == pytest.approx(1, abs=0.02)
    step = 5000.0 / margins.POINTS
    for lag in (5, 15, 40):  # exponential, whatever way round the ring
        shared = (noise * np.roll(noise, lag, axis=1)).mean()
        assert shared == pytest.approx(np.exp(-lag * step / 300), abs=0.03)
    true, found = margins.drawn(300, 4, point=0, glacier=0, scene=0, snowy=0, bias=0.5)
    grown = (shapely.area(found) - shapely.area(true)) / shapely.length(true)
    # a margin moved out by d adds its length times d and pi d^2; bends cost some of it
    assert np.median(grown) == pytest.approx(5.0, rel=0.02)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_conformal_coverage_is_exact_on_average(level):
    rng, covered = np.random.default_rng(6), []
    for _ in range(2000):
        errors = rng.standard_t(2, 60)  # heavy tails
        model = uncertainty.conformal(np.zeros(59), errors[:59], np.ones(59), level)
        covered.append(model.low <= errors[59] <= model.high)
    # of 60 places for a newcomer; 2000 draws know it to 1.1 %
    place = int(np.floor(60 * (1 - level) / 2 + 1e-9))
    assert np.mean(covered) == pytest.approx(1 - 2 * place / 60, abs=0.034)


def test_conformal_needs_enough_and_leaves_out_the_unknown():
    with pytest.raises(ValueError, match=r"18 glaciers .* needs 19"):
        uncertainty.conformal(np.zeros(18), np.zeros(18), np.ones(18))
    with pytest.raises(ValueError, match="needs 39"):
        uncertainty.conformal(np.zeros(38), np.zeros(38), np.ones(38), 0.95)
    known = np.r_[np.arange(30.0), np.nan]
    assert uncertainty.conformal(np.zeros(31), known, np.ones(31)).n == 30


@pytest.mark.parametrize("level", [0.0, 1.0, 90])
def test_a_level_is_a_share(level):
    with pytest.raises(ValueError, match=f"level={level:g}: the share of cases"):
        uncertainty.conformal(np.zeros(50), np.zeros(50), np.ones(50), level)


@pytest.mark.parametrize("ask", [uncertainty.ece, uncertainty.reliability, uncertainty.temperature])
def test_of_nothing_seen_nothing_is_calibrated(ask):
    with pytest.raises(ValueError, match="no pixel has both"):
        ask(np.full((2, 3), np.nan), np.ones((2, 3), bool))
