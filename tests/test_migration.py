"""Front positions in time: rates, swept area and a fit through them, each with the numbers it was given."""

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
from bokeh.models import Line
from scenery import figures, front_lines, key

from glacier_nb import migration, plots

DAYS = pd.to_datetime(["2018-08-01", "2019-08-01", "2020-08-01", "2024-08-01", "2025-08-01"])


def table(**more) -> pd.DataFrame:
    """Five summers of one front, three years of which are missing."""
    base = {
        "rgi_id": "a", "time": DAYS, "position_m": [0.0, -100, -50, -400, -400], "method": "box", "uncertainty_m": 10.0,
        "swept_area_m2": [0.0, -1e5, -5e4, -4e5, -4e5],
    }  # fmt: skip
    return pd.DataFrame(base | more)


def test_rates_are_steps_over_years_and_turn_with_the_sign():
    found = migration.rates(table())
    years = np.diff(DAYS) / pd.Timedelta(days=365.25)
    assert found["rate_m_a"].to_numpy() == pytest.approx(np.array([-100, 50, -350, 0]) / years)
    assert found["uncertainty_m_a"].to_numpy() == pytest.approx(np.sqrt(200) / years)
    assert found["swept_m2"].sum() == pytest.approx(-4e5)
    turned = migration.rates(table(position_m=-table()["position_m"]))
    assert turned["rate_m_a"].to_numpy() == pytest.approx(-found["rate_m_a"].to_numpy())


def test_a_date_without_a_position_is_passed_over():
    found = migration.rates(table(position_m=[0.0, np.nan, -50, -400, -400]))
    assert len(found) == 3 and found["start"].iloc[0] == DAYS[0] and found["end"].iloc[0] == DAYS[2]


def test_a_gap_stays_white_in_the_strip():
    part = figures(hv.render(plots.strip(table())))[0]
    source = next(r.data_source.data for r in part.renderers if "rate" in r.data_source.data)
    assert len(source["rate"]) == 3 and -350 / 4 not in np.round(source["rate"], 1)


def test_every_glacier_and_method_has_its_row():
    two = pd.concat([table(), table(method="centreline", swept_area_m2=np.nan), table(rgi_id="b")])
    part = figures(hv.render(plots.strip(two)))[0]
    assert set(part.yaxis[0].major_label_overrides.values()) == {"a, box", "a, centreline", "b, box"}


def test_swept_area_keeps_its_gap_and_its_sign():
    part = figures(hv.render(plots.swept(table())))[0]
    points = next(r.data_source.data for r in part.renderers if "colour" in r.data_source.data)
    assert list(points["swept_km2"]) == pytest.approx([0, -0.1, -0.05, -0.4, -0.4])
    line = next(r.data_source.data for r in part.renderers if type(r.glyph).__name__ == "Line")
    assert np.isnan(line["swept_km2"]).sum() == 1


def fit() -> pd.DataFrame:
    """A straight line through `table`, 20 m wide on either side."""
    days = pd.date_range(DAYS[0], DAYS[-1], periods=50)
    line = np.linspace(0, -400, 50)
    return pd.DataFrame({"time": days, "fitted_m": line, "lower_m": line - 20, "upper_m": line + 20})


def test_a_fit_runs_through_the_series():
    for view in (plots.migration(table(), fit()), plots.fronts(*front_lines()[:1], None, front_lines()[1], fit=fit())):
        series = next(f for f in figures(hv.render(view)) if "position" in f.yaxis[0].axis_label)
        line = next(r.data_source.data for r in series.renderers if "fitted_m" in getattr(r.data_source, "data", {}))
        assert list(line["fitted_m"]) == pytest.approx(fit()["fitted_m"].tolist())
        band = next(r.glyph for r in series.renderers if type(r.glyph).__name__ == "Patch")
        assert band.fill_alpha == 0.3


@pytest.mark.parametrize("wave", [0.0, 30.0], ids=["straight", "season"])
def test_a_trend_is_dashed_and_named_and_a_season_only_where_there_is_one(wave):
    line = fit().assign(trend_m=fit()["fitted_m"])
    line["fitted_m"] += wave * np.sin(np.linspace(0, 14 * np.pi, 50))
    series = figures(hv.render(plots.migration(table(), line)))[0]
    dashed = [r.glyph.line_dash != [] for r in series.renderers if isinstance(r.glyph, Line)]
    assert dashed == ([False, True] if wave else [True])
    assert key(series) == {"trend", "their interval"} | ({"trend and season"} if wave else set())


def test_three_figures_share_their_dates():
    parts = figures(hv.render(plots.migration(table(), fit())))
    assert len(parts) == 3
    assert len({(part.x_range.start, part.x_range.end) for part in parts}) == 1
    assert len({part.min_border_left for part in parts}) == 1


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: plots.strip(table().iloc[:1]), ValueError, "two measured"),
        (lambda: plots.swept(table(swept_area_m2=np.nan)), ValueError, "box"),
        (lambda: plots.migration(table(), fit().drop(columns="lower_m")), LookupError, "lower_m"),
    ],
    ids=["strip", "swept", "fit"],
)
def test_bad_input_is_one_line(call, error, says):
    with pytest.raises(error, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
