"""Charts hold the numbers of their tables, and a gap stays a gap."""

import holoviews as hv
import pandas as pd
import pytest
from scenery import change_table, drawn, figures, unnamed

from glacier_nb import charts, plots


def test_bars_and_series_hold_the_table():
    table = drawn()["area_change"][1]
    bars, series = figures(drawn()["area_change"][2])
    held = next(r.data_source.data for r in bars.renderers if "change_km2" in r.data_source.data)
    last = table[table["time"] == table["time"].max()].set_index("rgi_id")
    for name, km2 in zip(held["rgi_id"], held["change_km2"], strict=True):
        assert km2 == pytest.approx(last["change_m2"][name] / 1e6)
    assert list(held["rgi_id"])[-1] == "region"  # drawn uppermost
    points = next(r.data_source.data for r in series.renderers if "area_km2" in r.data_source.data)
    assert len(points["area_km2"]) == len(table)


def test_systems_are_ranked_on_axes_with_units():
    rows = {"system": ["a", "b"], "one_less_iou": [0.1, 0.3], "low": [0.05, 0.2], "high": [0.2, 0.4]}
    model = hv.render(plots.ranking(pd.DataFrame(rows | {"seconds": [9.0, 1.0], "parameters": 1e5}), "one_less_iou"))
    assert not unnamed(model), unnamed(model)
    held = next(r.data_source.data for r in figures(model)[0].renderers if "system" in r.data_source.data)
    assert list(held["system"])[-1] == "a"  # the best uppermost


def test_of_many_glaciers_the_most_changed_are_shown():
    one = change_table().query("rgi_id == 'demo-1'")
    many = [one.assign(rgi_id=f"g{i:03}", change_m2=one["change_m2"] * i / 50) for i in range(1, 51)]
    table = pd.concat([*many, change_table().query("rgi_id == 'region'")])
    bars, _ = figures(hv.render(plots.area_change(table)))
    held = next(r.data_source.data for r in bars.renderers if "change_km2" in r.data_source.data)
    assert set(held["rgi_id"]) == {"region", *(f"g{i:03}" for i in range(21, 51))}
    assert "30 of 50" in bars.title.text


def test_a_gap_stays_a_gap():
    days = pd.to_datetime(["2020-09-01", "2020-09-08", "2020-09-15", "2021-02-01", "2021-02-08"])
    table = pd.DataFrame({"rgi_id": "a", "time": days, "position_m": [0.0, 1, 2, 3, 4]})
    assert charts.broken(table, "position_m", ["rgi_id"])["position_m"].isna().sum() == 1
    yearly = table.assign(time=pd.date_range("2016-08-01", periods=5, freq="365D"))
    assert charts.broken(yearly, "position_m", ["rgi_id"])["position_m"].notna().all()
