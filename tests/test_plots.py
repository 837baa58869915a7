"""Views of scenes whose answers are known, and of real fronts."""

import functools
import inspect
import re
import typing

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
import pyproj
import pytest
import rioxarray
import shapely
import xarray as xr
from bokeh.models import ColorBar, Legend, Line, ScaleBar
from scenery import change_table, drawn, elsewhere, figures, front_lines, key, landscape, unnamed

from glacier_nb import figures as drawing
from glacier_nb import plots, readers, sketches, terminus

MAPS = {
    "scene", "zones", "probability", "spread", "before_after", "glaciers", "fronts", "footprints", "swipe", "turned",
    "wide",
}  # fmt: skip
"""Views of `plots` that show ground; all others are charts."""


@functools.cache
def models() -> dict:
    """Every view that `plots` offers, by its function's name, as bokeh draws it."""
    one, two = landscape(0), landscape(2)
    both = one["scene"], two["scene"], one["outlines"], two["outlines"]
    swept = front_lines()[1].assign(swept_area_m2=lambda t: 500.0 * t["position_m"])
    scored = {"system": ["a", "b"], "one_less_iou": [0.1, 0.3], "low": [0.05, 0.2], "high": [0.2, 0.4]}
    scored = pd.DataFrame(scored | {"seconds": [9.0, 1.0], "parameters": 1e5})
    views = {name: view for name, (view, _, _) in drawn().items()}
    views |= {
        "spread": plots.spread(one["zones"].assign_coords(spread=0.1 * one["zones"])),
        "swipe": plots.swipe(*both),
        "turned": plots.turned(pd.concat(both[2:], ignore_index=True), two["scene"]),
        "wide": plots.wide(one["scene"], one["outlines"]),
        "strip": plots.strip(swept),
        "swept": plots.swept(swept),
        "ranking": plots.ranking(scored, "one_less_iou"),
    }
    return {name: drawing.drawn(view) for name, view in views.items()}


def test_no_view_of_the_package_is_left_out():
    returned = {name: inspect.signature(getattr(plots, name)).return_annotation for name in plots.__all__}
    kinds = {name: typing.get_args(kind) or (kind,) for name, kind in returned.items()}
    seen = (hv.core.Dimensioned, pn.pane.Bokeh)
    shown = {name: [isinstance(one, type) and issubclass(one, seen) for one in some] for name, some in kinds.items()}
    offered = {name for name, some in shown.items() if all(some)}
    assert len(offered) > 15 and offered == set(models())


def test_axes_say_what_and_in_which_unit():
    for name, model in models().items():
        assert not unnamed(model), f"{name}: {unnamed(model)}"
        for part in figures(model):
            assert part.title.text, f"{name}: a figure without a title"


def test_every_map_has_scale_and_north_and_equal_scales():
    for name, model in models().items():
        grounds = [part for part in figures(model) if re.match("Easting|Longitude", part.xaxis[0].axis_label or "")]
        assert bool(grounds) == (name in MAPS), name
        for part in grounds:
            assert part.select_one(ScaleBar), name
            assert any("N" in str(getattr(label, "text", "")) for label in part.center), name
            wide, tall = (r.end - r.start for r in (part.x_range, part.y_range))
            if part.xaxis[0].axis_label.startswith("Easting"):
                sides = part.frame_width / part.frame_height
                assert wide / tall == pytest.approx(sides, rel=1 / part.frame_height), name


def test_a_key_names_every_line_of_a_series():
    """The strong line and the thin ones; with the region alone no others."""
    table = change_table()
    alone = table[table["rgi_id"] == "region"]
    for rows, named in ((table, {"region", "each glacier"}), (alone, {"region"})):
        series = figures(hv.render(plots.area_change(rows)))[1]
        assert key(series) == named


def test_a_map_in_degrees_has_its_scale_in_metres():
    part = figures(drawn()["footprints"][2])[0]
    shown, ground = part.x_range, part.select_one(ScaleBar).range
    true = pyproj.Geod(ellps="WGS84").line_length([shown.start, shown.end], [77.3, 77.3])  # the middle of the map
    assert ground.end - ground.start == pytest.approx(true, rel=0.005)  # a sphere's degree is off by that at most
    assert any("N" in str(getattr(label, "text", "")) for label in part.center)


@pytest.mark.parametrize("lat", [-70.0, 46.0])
def test_the_scale_on_a_map_of_runs_is_true_along_its_middle_parallel(lat):
    ends = [("a", "good", "a", shapely.Point(10, lat)), ("b", "good", "b", shapely.Point(10.5, lat))]
    drawn = sketches.where(ends)
    one, two = (float(x) for x in re.findall(r"cx=([\d.]+)", drawn))
    start, end = (float(x) for x in re.search(r"class=scale d='M([\d.]+) [\d.]+H([\d.]+)'", drawn).groups())
    told, where = re.search(r">([\d.]+) km at (\d+°[NS])<", drawn).groups()
    true = pyproj.Geod(a=6_371_000, b=6_371_000).inv(10, lat, 10.5, lat)[2] / 1000  # on the sphere, a great circle
    assert (end - start) / (two - one) * true == pytest.approx(float(told), rel=1e-3)  # pixels to one decimal
    assert where == f"{abs(lat):.0f}°{'S' if lat < 0 else 'N'}" and "class=north" in drawn


def test_before_and_after_pan_together():
    one, two = figures(drawn()["before_after"][2])
    assert one.x_range is two.x_range and one.y_range is two.y_range


def test_a_chart_does_not_move_with_its_map():
    one, two = figures(drawn()["fronts"][2])
    assert one.x_range is not two.x_range and one.y_range is not two.y_range


def test_gain_and_loss_balance_the_change():
    one, two = landscape(0)["outlines"], landscape(2)["outlines"]
    there, back = plots.difference(one, two), plots.difference(two, one)
    net = lambda table: table["area_m2"].where(table["kind"] == "gain", -table["area_m2"]).sum()  # noqa: E731
    assert net(there) == pytest.approx(two.area.sum() - one.area.sum())
    assert net(back) == pytest.approx(-net(there))


def test_a_glacier_that_vanished_is_all_loss():
    one = landscape(0)["outlines"]
    gone = plots.difference(one, one[one["rgi_id"] == "demo-1"])
    assert gone["rgi_id"].tolist() == ["demo-2"] and gone["kind"].tolist() == ["loss"]
    assert gone["area_m2"].sum() == pytest.approx(one.area.iloc[1])


def test_ground_that_one_date_did_not_see_is_neither_lost_nor_gained():
    one, two = landscape(0)["outlines"], landscape(2)["outlines"]
    left, bottom, right, top = one.total_bounds
    west = gpd.GeoDataFrame(geometry=[shapely.box(left, bottom, (left + right) / 2, top)], crs=one.crs)
    whole, half = plots.difference(one, two), plots.difference(one, two, west)
    inside = whole.intersection(west.union_all()).area
    assert 0 < half["area_m2"].sum() < whole["area_m2"].sum()
    assert half["area_m2"].sum() == pytest.approx(inside.sum())
    edge = west.assign(geometry=[west.union_all().union(one.boundary.iloc[0])])  # what touches is no area
    assert plots.difference(one, two, west, edge)["area_m2"].sum() == pytest.approx(inside.sum())
    assert half.geom_type.str.contains("Polygon").all()


def test_loss_and_gain_are_shaded_with_their_area():
    after = figures(drawn()["before_after"][2])[1]
    shaded = [r.data_source.data for r in after.renderers if "kind" in getattr(r.data_source, "data", {})]
    told = sum(float(area) for data in shaded for area in data["area_km2"])
    assert told == pytest.approx(drawn()["before_after"][1]["area_m2"].sum() / 1e6)


def test_fronts_take_the_colour_of_their_date():
    left, right = figures(drawn()["fronts"][2])
    lines = next(r for r in left.renderers if {"front", "time"} <= set(getattr(r.data_source, "data", {})))
    points = next(r for r in right.renderers if "front" in getattr(r.data_source, "data", {}))
    one, two = (r.glyph.line_color if r is lines else r.glyph.fill_color for r in (lines, points))
    assert (one.transform.low, one.transform.high) == (two.transform.low, two.transform.high)
    assert list(lines.data_source.data["front"]) == list(points.data_source.data["front"])
    assert left.select_one(ColorBar)


def test_ground_unseen_under_fronts_is_named():
    near = landscape(0)["scene"]
    holed = near.where(near["x"] > 512_600)
    for base, named in ((near, set()), (holed, {"not seen"})):
        assert key(figures(hv.render(plots.fronts(front_lines()[0], base)))[0]) == named


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: plots.scene(xr.Dataset({"b1": (("y", "x"), np.zeros((2, 2)))})), LookupError, "bands="),
        (lambda: plots.save("a text", "never.html", "x"), TypeError, "HoloViews"),
        (lambda: plots.before_after(landscape()["scene"], elsewhere(), None, None), ValueError, "GeoBox"),
        (lambda: plots.probability(landscape()["zones"], ["lake"]), LookupError, "lake"),
        (lambda: plots.fronts(front_lines()[0].iloc[:0]), ValueError, "no front"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says) as caught:
        call()
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def harald_moltke(data) -> hv.Layout:
    """The 159 fronts of Harald Moltke Brae (Loebel et al. 2024) over Landsat, with their positions in the box."""
    folder = data / "harald_moltke_brae"
    fronts, box = readers.harald_moltke(folder), readers.harald_moltke_box(folder)
    base = rioxarray.open_rasterio(folder / "basemap" / "harald_moltke_brae.tif").squeeze("band", drop=True)
    one, two = (fronts.geometry.iloc[n].centroid for n in (0, -1))  # it retreated: on from the last front is inland
    inland = (two.x + 3 * (two.x - one.x), two.y + 3 * (two.y - one.y))
    positions = terminus.positions(fronts, "box", box=box, upglacier=inland, pixel=30.0)
    return plots.fronts(fronts, base.astype("float32").to_dataset(name="grey"), positions, box)


def test_159_real_fronts_are_one_figure(harald_moltke, tmp_path):
    left, right = figures(hv.render(harald_moltke))
    lines = next(r.data_source.data for r in left.renderers if {"front", "time"} <= set(r.data_source.data))
    assert len(lines["xs"]) == 159
    for x, y in zip(lines["xs"], lines["ys"], strict=True):
        assert left.x_range.start < np.nanmin(x) and np.nanmax(x) < left.x_range.end
        assert left.y_range.start < np.nanmin(y) and np.nanmax(y) < left.y_range.end
    points = next(r.data_source.data for r in right.renderers if "front" in r.data_source.data)
    assert 150 <= len(points["position_m"]) <= 159 and set(points["front"]) <= set(lines["front"])
    assert points["position_m"][-1] < -1000  # it retreated by more than a kilometre: down
    assert plots.save(harald_moltke, tmp_path / "fronts.html", "Harald Moltke Bræ").stat().st_size < 4e6


def test_polar_nights_stay_gaps(harald_moltke):
    _, right = figures(hv.render(harald_moltke))
    line = next(r.data_source.data for r in right.renderers if isinstance(r.glyph, Line))
    missing = pd.DatetimeIndex(np.asarray(line["time"])[:-1][np.isnan(line["position_m"][:-1])])
    assert [(day.year, day.month) for day in missing] == [(2019, 12), (2020, 12)]


@pytest.mark.parametrize(("width", "columns"), [(480, 4), (800, 7)])
def test_a_key_takes_the_rows_that_its_width_needs(width, columns):
    zones = ("rock", "glacier", "debris cover", "ocean", "melange", "lake", None)
    chances = np.array([[[float(name == zone) for name in zones]] * 7 for zone in zones[:-1]], "float32")
    chances[..., -1] = np.nan  # not seen
    coords = {"zone": list(zones[:-1]), "y": 10.0 * np.arange(7)[::-1], "x": 10.0 * np.arange(7)}
    layer = xr.DataArray(chances, coords, ("zone", "y", "x")).odc.assign_crs("EPSG:32632")
    (figure,) = figures(hv.render(plots.zones(layer, title="zones", width=width)))
    legend = figure.select_one(Legend)
    assert [item.label.value for item in legend.items] == [*zones[:-1], "not seen"] and legend.ncols == columns


def test_jakobshavn_by_box_and_by_centreline(data):
    termini = readers.measures(data / "measures_greenland_termini")
    fronts = termini[termini["glacier_id"] == 3]
    inland = (-150_000.0, -2_268_000.0)
    box, line = terminus.draw_box(fronts, inland, width=4000), terminus.draw_centreline(fronts, inland)
    tables_ = [
        terminus.positions(fronts, "box", box=box, upglacier=inland, pixel=20.0),
        terminus.positions(fronts, "centreline", centreline=line, pixel=20.0),
    ]
    left, right = figures(hv.render(plots.fronts(fronts, None, pd.concat(tables_), box, line)))
    first, which, why = right.title.text.split("\n")
    assert first.endswith(f"{fronts.time.min():%Y-%m-%d}")
    assert which == "box (4.0 km, mean across), centreline (at one crossing):"  # the box's width on the ground
    assert why == "they differ where a front is not straight across"
    keys = [{item.label.value for item in part.select_one(Legend).items} for part in (left, right)]
    assert keys == [{"box", "centreline"}] * 2  # the figure says how each was measured
    points = next(r for r in right.renderers if "front" in r.data_source.data).data_source.data
    ends = dict(zip(points["method"], points["position_m"], strict=True))  # the last date of each
    assert all(-12_500 < end < -7_000 for end in ends.values()), ends
