"""Series of positions whose trend, season, gaps and faults are known; and the real ones of a surging glacier."""

import numpy as np
import pandas as pd
import pytest

from glacier_nb import fluctuations, readers, terminus

TREND, AMPLITUDE, DAY = -120.0, 150.0, 100.0


def series(seed, n=70, years=5.0, sigma=60.0, days=40.0, noise=15.0, amplitude=AMPLITUDE):
    """Dates at random; a trend, a season farthest advanced on DAY, and a residual alike over `days`."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, years, n))
    lag = np.abs(t[:, None] - t) * 365.25
    alike = np.linalg.cholesky(sigma**2 * np.exp(-lag / days) + 1e-6 * np.eye(n)) @ rng.normal(size=n)
    season = amplitude * np.cos(2 * np.pi * (t - (DAY - 1) / 365.25))
    return pd.DataFrame({
        "rgi_id": f"g{seed:03d}", "method": "box", "note": "",
        "time": pd.Timestamp("2015-01-01") + pd.to_timedelta(t * 365.25, "D"),
        "position_m": TREND * t + season + alike + rng.normal(0, noise, n), "uncertainty_m": noise,
    })  # fmt: skip


def table(position, days, **more):
    time = pd.Timestamp("2020-06-01") + pd.to_timedelta(days, "D")
    facts = {"rgi_id": "a", "method": "box", "time": time, "position_m": np.asarray(position, float)}
    return pd.DataFrame(facts | {"uncertainty_m": 5.0, "note": ""} | more)


def test_season_and_trend_lie_in_their_intervals_as_often_as_they_say():
    """Nominal 90 %, over 100 series: 82 to 97 % by chance in 99 of 100 tries; by plain least squares far fewer."""
    many = pd.concat([series(seed) for seed in range(100)], ignore_index=True)
    found = fluctuations.cycle(many)
    assert len(found) == 100 and found.note.eq("").all() and found.n.eq(70).all()
    trend = found.trend_lower_m_a.lt(TREND) & found.trend_upper_m_a.gt(TREND)
    amplitude = found.amplitude_lower_m.lt(AMPLITUDE) & found.amplitude_upper_m.gt(AMPLITUDE)
    assert 0.82 <= trend.mean() <= 0.97 and 0.82 <= amplitude.mean() <= 0.97
    off = (found.advanced_day - DAY).abs()
    assert 0.80 <= (off < 1.645 * found.advanced_day_error).mean() <= 0.97
    # no bias beyond what a hundred series leave by chance
    for value, true in ((found.trend_m_a, TREND), (found.amplitude_m, AMPLITUDE), (found.advanced_day, DAY)):
        assert abs(value.mean() - true) < 4 * value.std() / 10
    assert found.residual_m.median() == pytest.approx(60, rel=0.15) and found.correlation_d.median() > 20
    plain = []
    for _, mine in many.groupby("rgi_id"):
        t = (mine["time"] - pd.Timestamp("2015-01-01")) / fluctuations.YEAR
        terms = np.stack([np.ones_like(t), t, np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=1)
        beta, left = np.linalg.lstsq(terms, mine.position_m, rcond=None)[:2]
        error = np.sqrt(np.linalg.inv(terms.T @ terms)[1, 1] * left[0] / (len(t) - 4))
        plain.append(abs(beta[1] - TREND) < 1.67 * error)
    assert np.mean(plain) < trend.mean() - 0.1


def test_a_season_that_is_not_there_is_not_found():
    found = fluctuations.cycle(pd.concat([series(seed, amplitude=0.0) for seed in range(40)]))
    assert (found.p_season < 0.05).mean() < 0.25 and (found.amplitude_lower_m == 0).mean() > 0.3
    there = fluctuations.cycle(series(1))
    assert there.p_season.item() < 1e-4


def test_a_curve_is_what_was_fitted():
    exact = series(3, n=60, sigma=1e-9, noise=1e-3)
    exact = exact.assign(uncertainty_m=1.0)
    found, drawn = fluctuations.cycle(exact).iloc[0], fluctuations.curve(exact, every="1D")
    assert found.trend_m_a == pytest.approx(TREND, abs=0.01) and found.advanced_day == DAY
    assert found.amplitude_m == pytest.approx(AMPLITUDE, rel=1e-3)  # of whole days
    there = np.interp(exact["time"].astype("int64"), drawn["time"].astype("int64"), drawn.fitted_m)
    assert there == pytest.approx(exact.position_m.to_numpy(), abs=0.5)  # a day in the middle of the curve
    assert (drawn.lower_m < drawn.fitted_m).all() and (drawn.fitted_m < drawn.upper_m).all()
    slope = np.diff(drawn.trend_m) * 365.25
    assert slope == pytest.approx(np.full(len(slope), TREND), abs=0.01)


@pytest.mark.parametrize(("days", "why"), [
    (np.arange(5) * 200, "5 dates are too few for a season"),
    (np.arange(20) * 20, "1.0 years are too short for a season"),
    (np.arange(9) * 365.25, "no date in 12 months of any year"),
])  # fmt: skip
def test_without_dates_all_year_there_is_a_trend_alone(days, why):
    found = fluctuations.cycle(table(-0.5 * days, days)).iloc[0]
    assert found.note == why and np.isnan(found.amplitude_m) and np.isnan(found.p_season)
    assert found.trend_m_a == pytest.approx(-0.5 * 365.25, rel=1e-6)
    assert found.trend_lower_m_a < found.trend_m_a < found.trend_upper_m_a
    assert len(fluctuations.cycle(table([1.0, 2.0], np.array([0, 9])))) == 0


def test_a_front_wrong_alone_is_screened_and_one_that_stays_is_not():
    days = np.arange(30) * 12
    position = np.where(days > 180, -900.0, 0.0) + np.random.default_rng(0).normal(0, 8, 30)
    position[[7, 20]] = 700.0, np.nan
    found = fluctuations.screened(table(position, days))
    assert np.flatnonzero(found.outlier).tolist() == [7] and found.note[7].startswith("outlier: 6")
    assert found.position_m[7] == 700.0  # nothing is thrown away
    rates = fluctuations.rates(found)
    assert rates.n.item() == 28 and rates.change_m.item() == pytest.approx(position[-1] - position[0])
    calm = fluctuations.screened(table(np.random.default_rng(1).normal(0, 3, 30), days))
    assert not calm.outlier.any()  # steps within twice the uncertainty are none, whatever their quartiles
    assert not fluctuations.screened(table([1.0, 900.0], np.array([0, 9]))).outlier.any()


def test_gaps_are_rows_of_their_own():
    days = np.array([0, 10, 130, 140, 141])
    both = pd.concat([table(days * 1.0, days, rate_m_a=3.0), table([5.0], np.array([0]), rgi_id="b", rate_m_a=3.0)])
    found = fluctuations.with_gaps(both, "60D")
    assert (
        found.rgi_id.tolist() == ["a"] * 6 + ["b"]
        and found.position_m.isna().tolist() == [False] * 2 + [True] + [False] * 4
    )
    empty = found.iloc[2]
    assert empty.note == "gap of 120 days" and empty["time"] == pd.Timestamp("2020-06-01") + pd.Timedelta(days=70)
    assert np.isnan(found.rate_m_a[3]) and found.rate_m_a[4] == 3.0 and found.gap_d[4] == 10
    assert found["time"].groupby(found.rgi_id).is_monotonic_increasing.all()
    assert fluctuations.with_gaps(both, "500D").position_m.notna().all()


def test_rates_are_certain_where_both_ends_allow():
    far, near = table([0, -400], np.array([0, 730.5])), table([0, -4], np.array([0, 730.5]), rgi_id="b")
    found = fluctuations.rates(pd.concat([far, near])).set_index("rgi_id")
    assert found.rate_m_a.to_dict() == pytest.approx({"a": -200, "b": -2})
    half = 1.645 * np.hypot(5, 5) / 2
    assert found.upper_m_a["a"] == pytest.approx(-200 + half) and found.certain.to_dict() == {"a": True, "b": False}
    back = fluctuations.rates(table([-400, 0], np.array([0, 730.5])))
    assert back.rate_m_a.item() == -found.rate_m_a["a"]


def test_the_envelope_is_the_farthest_of_each_year():
    days = np.array([0, 100, 200, 300, 400, 800])  # 2020, 2021, 2022
    found = fluctuations.envelope(table([0, 50, -20, 10, -90, 5], days))
    assert found.start.dt.year.tolist() == [2020, 2021, 2022] and found.n.tolist() == [3, 2, 1]
    assert found.retreat_m.tolist() == [-20, -90, 5] and found.advance_m.tolist() == [50, 10, 5]
    assert found.range_m.tolist() == [70, 100, 0]
    whole = fluctuations.envelope(table([0, 50, -20, 10, -90, 5], days), every=None)
    assert whole.retreat_time.item() == pd.Timestamp("2020-06-01") + pd.Timedelta(days=400)
    assert (whole.retreat_m.item(), whole.advance_m.item()) == (-90, 50)


def test_bad_input_is_refused_in_one_line():
    whole = table([0, 50, -20, 10], np.array([0, 100, 400, 800]))
    undated = whole.assign(time=[*whole.time[:3], pd.NaT])
    for fit in (fluctuations.cycle, fluctuations.curve):
        with pytest.raises(ValueError, match=r"^harmonics=0: a season has one wave or more"):
            fit(whole, harmonics=0)
    for call in (fluctuations.cycle, fluctuations.curve, fluctuations.rates, fluctuations.envelope):
        with pytest.raises(ValueError, match=r"^1 of 4 positions have no date, the first in row 3: set") as error:
            call(undated)
        assert "\n" not in str(error.value)
    refused = undated.assign(position_m=[*whole.position_m[:3], np.nan])  # no position: nothing that a date is for
    pd.testing.assert_frame_equal(fluctuations.rates(refused), fluctuations.rates(whole[:3]))


def test_each_transect_is_a_series():
    lines = pd.concat([table([0, k], np.array([0, 365.25]), offset_m=float(k)) for k in (100, 300)])
    found = fluctuations.rates(lines.drop(columns="method"), by=("rgi_id", "offset_m")).set_index("offset_m")
    assert found.rate_m_a.to_dict() == pytest.approx({100.0: 100.0, 300.0: 300.0})


def test_harald_moltke_retreats_and_calves_in_summer(data):
    """Three summers, without a date in winter; the front is back by two kilometres in the end."""
    folder = data / "harald_moltke_brae"
    fronts, box = readers.harald_moltke(folder), readers.harald_moltke_box(folder)
    found = terminus.positions(fronts, "box", box=box, upglacier=(-558_000.0, -1_351_000.0), pixel=30.0)
    fit = fluctuations.cycle(found).iloc[0]
    assert fit.note == "" and fit.n == 159
    assert fit.trend_upper_m_a < 0 and fit.trend_lower_m_a < found.position_m.iloc[-1] / fit.years < fit.trend_upper_m_a
    # ice pushes on until May, while the melange holds it; a drift as slow as the series hides how far: a wide interval
    assert 120 < fit.advanced_day < 140 and fit.advanced_day_error < 30 and fit.correlation_d > 200
    assert 0 <= fit.amplitude_lower_m < 100 < fit.amplitude_m < 300 < fit.amplitude_upper_m
    gaps = fluctuations.with_gaps(found, "60D")
    assert gaps.note.str.startswith("gap of").sum() == (found["time"].diff() > pd.Timedelta("60D")).sum() == 2
    total = fluctuations.envelope(found, every=None).iloc[0]
    assert total.retreat_time.year == 2021 and total.advance_time.year == 2019
    assert fluctuations.rates(found).certain.item()


def test_series_without_a_name_count_and_what_has_no_end_is_refused():
    days = np.arange(0, 2000, 40)
    made = table(-days / 10.0, days)
    named, bare = fluctuations.cycle(made), fluctuations.cycle(made.assign(rgi_id=None))
    assert bare.trend_m_a.tolist() == pytest.approx(named.trend_m_a.tolist()) and len(bare) == 1
    text = made.assign(time=made.time.astype(str))
    assert len(fluctuations.with_gaps(text, "20D")) == len(fluctuations.with_gaps(made, "20D")) > len(made)
    for wrong, why in (
        (made.assign(uncertainty_m=np.inf), "row 0 has no end in position_m or uncertainty_m"),
        (made.drop(columns="uncertainty_m"), "positions lack uncertainty_m"),
    ):
        with pytest.raises(ValueError, match=why):
            fluctuations.cycle(wrong)
