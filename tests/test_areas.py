"""Area change on the map, by elevation and over sizes: what is shown is what the table and the outlines hold."""

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from scenery import CRS, change_table, figures, key, landscape

from glacier_nb import areas, plots, vectorize


def outlines() -> gpd.GeoDataFrame:
    """The landscape's outlines of all dates."""
    return pd.concat([landscape(date)["outlines"] for date in range(3)], ignore_index=True)


def held(part, column: str) -> dict:
    """The first source of a figure that has `column`."""
    return next(r.data_source.data for r in part.renderers if column in getattr(r.data_source, "data", {}))


def test_the_map_is_coloured_by_the_table():
    table = change_table().assign(rate_percent_a=lambda t: t["change_percent"] / 8)
    left, right = figures(hv.render(plots.glaciers(outlines(), table)))
    shown = held(left, "rate_percent_a")
    last = table.groupby("rgi_id").tail(1).set_index("rgi_id")["rate_percent_a"]
    assert dict(zip(shown["rgi_id"], shown["rate_percent_a"], strict=True)) == pytest.approx(
        last.drop("region").to_dict()
    )
    assert set(held(left, "outline")["outline"]) == set(held(right, "outline")["outline"]) - {
        f"region {date}" for date in ("2017-08-29", "2021-09-02", "2025-08-24")
    }


def test_a_rate_is_what_its_years_give():
    table = change_table()
    left, _ = figures(hv.render(plots.glaciers(outlines(), table)))
    shown = held(left, "rate_percent_a")
    years = (table["time"].max() - table["time"].min()).days / 365.25
    last = table[table["time"] == table["time"].max()].set_index("rgi_id")["change_percent"]
    for name, rate in zip(shown["rgi_id"], shown["rate_percent_a"], strict=True):
        assert rate == pytest.approx(last[name] / years)


def test_what_became_of_a_glacier_is_marked():
    events = ["", "split into 2", "disappeared", "", "", "merged into 1"]
    table = pd.concat([change_table().query("rgi_id == @name") for name in ("demo-1", "demo-2")]).assign(events=events)
    found = areas.happened(table).set_index("rgi_id")
    assert found["kind"].to_dict() == {"demo-1": "disappeared", "demo-2": "merged"}
    assert "split into 2 by 2021-09-02" in found.loc["demo-1", "events"]
    left, right = figures(hv.render(plots.glaciers(outlines(), table)))
    for part in (left, right):
        signs = {r.glyph.marker for r in part.renderers if hasattr(r.glyph, "marker")}
        assert {"x", "square"} <= {getattr(sign, "value", sign) for sign in signs}
    cloud, _ = figures(hv.render(plots.distribution(table)))
    assert key(left) == key(cloud) == {"disappeared", "merged"}  # what became of each over all dates
    assert key(right) == {"each glacier", "disappeared", "merged", "split"}  # at each date


def test_ground_that_the_base_did_not_see_is_named():
    whole, holed = (landscape(date)["scene"] for date in (0, 1))
    for base, named in ((whole, set()), (holed, {"not seen"})):
        part, _ = figures(hv.render(plots.glaciers(outlines(), change_table(), base)))
        assert key(part) == named


def slope(step: float = 10.0) -> xr.DataArray:
    """A plane that rises northwards by `step` m a pixel of 10 m, on 40 x 30 pixels."""
    geobox = GeoBox.from_bbox((0, 0, 300, 400), CRS, resolution=10)
    rows = np.arange(40)[::-1, None] * step + np.zeros((1, 30))
    return xr.DataArray(rows.astype("float32"), coords=xr_coords(geobox), dims=("y", "x"))


def boxes(*tops: float) -> gpd.GeoDataFrame:
    """A rectangle 300 m wide from the south edge to each of `tops` (m), one date each."""
    dates = pd.date_range("2020-08-01", periods=len(tops), freq="365D")
    return gpd.GeoDataFrame(
        {"rgi_id": "a", "time": dates}, geometry=[shapely.box(0, 0, 300, top) for top in tops], crs=CRS
    )


def test_bands_hold_the_area_of_the_outlines():
    table = areas.by_elevation(boxes(400, 255), slope(), step=100)
    sums = table.groupby("time")["area_m2"].sum().to_numpy() * vectorize.scale(boxes(400)).mean()  # on the map
    assert sums == pytest.approx([300 * 400, 300 * 255], rel=1e-4)
    later = table[table["time"] == table["time"].max()].set_index("elevation_m")["area_m2"]
    assert list(later.index[:3]) == [50.0, 150.0, 250.0]
    assert later[250.0] / later[50.0] == pytest.approx(0.55)


def test_ice_without_an_elevation_and_ground_unseen_are_told_apart():
    elevation = slope()
    elevation[:5] = np.nan
    table = areas.by_elevation(boxes(400), elevation, step=100)
    blind = table[table["elevation_m"].isna()]["area_m2"].sum()
    assert blind / table["area_m2"].sum() == pytest.approx(5 / 40)
    seen = boxes(400, 200).assign(geometry=[shapely.box(0, 0, 300, 400), shapely.box(0, 0, 300, 200)])
    common = areas.by_elevation(boxes(400, 400), elevation, step=100, seen=seen).groupby("time")["area_m2"].sum()
    assert common.nunique() == 1 and common.iloc[0] == pytest.approx(table["area_m2"].sum() / 2)


def test_hypsometry_shades_the_change():
    table = areas.by_elevation(boxes(400, 255), slope(), step=100)
    part = figures(hv.render(plots.hypsometry(table)))[0]
    shaded = held(part, "change")
    net = table.groupby("time")["area_m2"].sum().diff().iloc[-1] / 1e6
    assert np.sum(shaded["change"]) == pytest.approx(net) and net < 0
    assert "(km²)" in part.xaxis.axis_label and "(m)" in part.yaxis.axis_label


def test_the_distribution_counts_every_glacier():
    one = change_table().query("rgi_id == 'demo-1'")
    many = [one.assign(rgi_id=f"g{i:02}", change_percent=one["change_percent"] * i / 20) for i in range(1, 31)]
    left, right = figures(hv.render(plots.distribution(pd.concat([*many, change_table().query("rgi_id == 'region'")]))))
    assert len(held(left, "change_percent")["rgi_id"]) == 30
    assert sum(held(right, "glaciers")["glaciers"]) == 30


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plots.glaciers(outlines(), change_table().assign(rate_percent_a=np.nan)), "two dates"),
        (lambda: plots.hypsometry(areas.by_elevation(boxes(400), slope())), "two dates"),
        (lambda: plots.distribution(change_table().assign(change_percent=np.nan)), "two dates"),
    ],
    ids=["glaciers", "hypsometry", "distribution"],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(ValueError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
