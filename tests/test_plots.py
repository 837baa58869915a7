"""Views of small scenes whose answers are known, and of real fronts; what a page holds and what it must not."""

import re

import geopandas as gpd
import holoviews as hv
import numpy as np
import odc.geo.xr
import pandas as pd
import pytest
import rasterio.features
import rioxarray
import shapely
import xarray as xr
from bokeh.models import ColorBar, ScaleBar
from bokeh.plotting import figure
from odc.geo.geobox import GeoBox
from scipy import ndimage
from skimage.color import rgb2lab

from glacier_nb import charts, maps, pages, plots, provenance, vectorize

DATES = ("2017-08-29", "2021-09-02", "2025-08-24")
CRS = "EPSG:32633"


def relief(size: int, seed: int = 0) -> np.ndarray:
    """Smooth hills between 0 and 1 that fall towards a fjord in the south."""
    noise = np.random.default_rng(seed).standard_normal((size, size))
    hills = sum(ndimage.gaussian_filter(noise, size / k, mode="wrap") * (size / k) ** 1.8 for k in (8, 16, 32, 64))
    return 0.6 * (hills - hills.min()) / np.ptp(hills) + 0.4 * np.linspace(1, 0, size)[:, None]


def landscape(date: int = 0, size: int = 256) -> dict:
    """A scene, its zones and its outlines on the `date`-th of DATES: ice above a line that rises with time."""
    height = relief(size)
    geobox = GeoBox((size, size), odc.geo.geom.Affine(10, 0, 512_000, 0, -10, 8_600_000), CRS)
    rough = np.random.default_rng(date + 1).standard_normal((size, size))
    ice = ndimage.binary_opening(height > 0.52 + 0.03 * date, iterations=2)
    ocean, debris = height < 0.22, ice & (height < 0.57 + 0.03 * date)
    unseen = np.zeros((size, size), bool)
    unseen[:40, -60:] = date == 1
    layer = lambda values: xr.DataArray(  # noqa: E731
        np.where(unseen, np.nan, values).astype("float32"), coords=odc.geo.xr.xr_coords(geobox), dims=("y", "x")
    )
    shade = 0.5 + 20 * np.gradient(height)[1] * size / 256 + 0.03 * rough
    spectrum = {
        "blue": (0.8, 0.05),
        "green": (0.78, 0.04),
        "red": (0.72, 0.03),
        "nir": (0.6, 0.01),
        "swir16": (0.03, 0.01),
    }
    scene = xr.Dataset(
        {
            b: layer(np.select([ocean, debris, ice], [water, 0.2 * shade, snow * shade + 0.3 * snow], 0.22 * shade))
            for b, (snow, water) in spectrum.items()
        }
        | {"clear": (("y", "x"), ~unseen), "elevation": layer(2400 * height)},
        attrs={"time": DATES[date], "sensor": "sentinel-2-l2a"},
    )
    names = ["rock", "glacier", "debris cover", "ocean"]
    hard = np.stack([~ice & ~ocean, ice & ~debris, debris, ocean]).astype("float32")
    soft = np.stack([ndimage.gaussian_filter(h, 1.5) for h in hard])
    zones = xr.concat([layer(p) for p in soft], pd.Index(names, name="zone")).assign_attrs(
        system="extent-demo", time=DATES[date], sensor="sentinel-2-l2a"
    )
    halves = np.where(np.arange(size) < size // 2, 1, 2)[None] * ice
    shapes = [
        (int(v), shapely.geometry.shape(s))
        for s, v in rasterio.features.shapes(halves.astype("int16"), ice, transform=geobox.affine)
    ]
    outlines = gpd.GeoDataFrame(
        [
            {
                "rgi_id": f"demo-{v}",
                "time": pd.Timestamp(DATES[date]),
                "system": "extent-demo",
                "geometry": shapely.unary_union([s for u, s in shapes if u == v]),
            }
            for v in (1, 2)
        ],
        crs=CRS,
    )
    return {"scene": scene, "zones": zones, "outlines": outlines.assign(area_m2=outlines.area)}


def change_table() -> pd.DataFrame:
    """Two glaciers and their region as change.area tells them, with an interval of 3 % of the area."""
    parts = [landscape(date)["outlines"] for date in range(3)]
    areas = pd.concat(parts, ignore_index=True)[["rgi_id", "time", "area_m2"]]
    region = areas.groupby("time", as_index=False)["area_m2"].sum().assign(rgi_id="region")
    rows = pd.concat([areas, region], ignore_index=True)
    first = rows.groupby("rgi_id")["area_m2"].transform("first")
    change = rows["area_m2"] - first
    return rows.assign(
        lower_m2=0.97 * rows["area_m2"], upper_m2=1.03 * rows["area_m2"], unseen_m2=0.0, change_m2=change,
        change_lower_m2=change - 0.04 * first, change_upper_m2=change + 0.04 * first, change_percent=100 * change / first,
    )  # fmt: skip


def front_lines(dates: int = 6) -> tuple[gpd.GeoDataFrame, pd.DataFrame, gpd.GeoDataFrame]:
    """Fronts across a fjord that retreat 100 m a month with two months missing a line, their positions, their box."""
    times = pd.date_range("2020-01-15", periods=dates, freq="30D")
    west, south = 512_000, 8_597_800
    lines = [
        shapely.LineString([(west + 300, south + 100 * i), (west + 900, south + 100 * i + 40)]) for i in range(dates)
    ]
    fronts = gpd.GeoDataFrame({"rgi_id": "demo-1", "time": times, "system": "truth"}, geometry=lines, crs=CRS)
    positions = pd.DataFrame(
        {
            "rgi_id": "demo-1",
            "time": times,
            "position_m": -100.0 * np.arange(dates),
            "method": "box",
            "uncertainty_m": 14.0,
        }
    )
    box = gpd.GeoDataFrame(
        {"rgi_id": ["demo-1"]}, geometry=[shapely.box(west + 350, south - 100, west + 850, south + 900)], crs=CRS
    )
    return fronts, positions, box


def scenes_table() -> pd.DataFrame:
    """Six scenes of a season, two of them dropped with the reason."""
    return pd.DataFrame(
        {
            "item": [f"S2A_{i}" for i in range(6)],
            "time": pd.date_range("2017-07-05", periods=6, freq="10D"),
            "clear_fraction": [0.9, 0.2, 0.7, 0.8, 0.95, 0.6],
            "snow_fraction": [0.5, np.nan, 0.4, 0.7, 0.3, 0.35],
            "kept": [True, False, True, False, True, True],
            "reason": ["", "cloud over 80 % of the region", "", "fresh snow", "", ""],
        }
    )


def views() -> dict:
    """Each view of the module drawn from the landscape, with the table beside it: name to (view, table)."""
    one, two, three = (landscape(date) for date in range(3))
    fronts, positions, box = front_lines()
    change = change_table()
    return {
        "scene": (plots.scene(one["scene"], one["outlines"], fronts), one["outlines"]),
        "zones": (plots.zones(two["zones"], two["outlines"], base=two["scene"]), None),
        "probability": (plots.probability(two["zones"], outlines=two["outlines"]), None),
        "before_after": (
            plots.before_after(one["scene"], three["scene"], one["outlines"], three["outlines"]),
            plots.difference(one["outlines"], three["outlines"]),
        ),
        "area_change": (plots.area_change(change), change),
        "fronts": (plots.fronts(fronts, one["scene"], positions, box), positions),
        "timeline": (plots.timeline(scenes_table()), scenes_table()),
    }


@pytest.fixture(scope="module")
def drawn() -> dict:
    """The views, and their bokeh models."""
    return {name: (view, table, hv.render(view)) for name, (view, table) in views().items()}


def figures(model) -> list[figure]:
    """Every figure of a bokeh `model`, in the order it was made."""
    found = [part for part in model.references() if isinstance(part, figure)]
    return sorted(found, key=lambda part: int(part.id[1:]))


def seen_as(colour: str, matrix: np.ndarray) -> np.ndarray:
    """Lab colour (CIE 1976, D65) of `colour` as seen through `matrix`, which works on linear RGB."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(matrix @ linear, 0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None, None])[0, 0]


# Machado, Oliveira and Fernandes (2009), doi:10.1109/TVCG.2009.113, severity 1.0
SIGHT = {
    "full": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


@pytest.mark.parametrize("sight", SIGHT)
def test_zones_stay_apart_for_every_eye(sight):
    colours = [seen_as(colour, SIGHT[sight]) for colour in maps.ZONE_COLOURS.values()]
    apart = min(np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i])
    assert apart > 15, f"two zones are {apart:.1f} apart in Lab; 2.3 is just noticeable"


def test_every_zone_has_one_colour():
    assert tuple(maps.ZONE_COLOURS) == tuple(vectorize.ZONES)
    assert len(set(maps.ZONE_COLOURS.values())) == len(maps.ZONE_COLOURS)


def test_axes_say_what_and_in_which_unit(drawn):
    for name, (_, _, model) in drawn.items():
        for part in figures(model):
            labels = [axis.axis_label for axis in part.axis if axis.axis_label]
            assert labels, f"{name}: a figure without axis labels"
            assert all("Date" in label or "%" in label or re.search(r"\((km|m|°)", label) for label in labels), labels
            assert part.title.text, f"{name}: a figure without a title"


def test_maps_have_scale_and_north_and_equal_scales(drawn):
    for name in ("scene", "zones", "probability", "before_after", "fronts"):
        part = figures(drawn[name][2])[0]
        assert part.select_one(ScaleBar), name
        assert any("N" in str(getattr(label, "text", "")) for label in part.center), name
        wide, tall = (r.end - r.start for r in (part.x_range, part.y_range))
        assert wide / tall == pytest.approx(part.frame_width / part.frame_height, rel=1 / part.frame_height), name


def test_before_and_after_pan_together(drawn):
    one, two = figures(drawn["before_after"][2])
    assert one.x_range is two.x_range and one.y_range is two.y_range


def test_a_chart_does_not_move_with_its_map(drawn):
    one, two = figures(drawn["fronts"][2])
    assert one.x_range is not two.x_range and one.y_range is not two.y_range


def test_unseen_area_is_hatched():
    scene = landscape(1)["scene"]
    rgb = maps.tones(scene, ("red",), (0, 1))
    unseen = rgb[~scene["clear"].values]
    assert set(map(tuple, unseen)) == {(168,) * 3, (222,) * 3}
    assert 0.2 < (unseen[:, 0] == 168).mean() < 0.35  # one stripe in four


def test_a_stretch_keeps_order_and_ends():
    ramp = xr.Dataset({"red": (("y", "x"), np.linspace(-0.1, 1.1, 13)[None].repeat(2, 0))})
    grey = maps.tones(ramp, ("red",), (0.0, 1.0))[0, :, 0].astype(int)
    assert grey[0] == 0 and grey[-1] == 255 and (np.diff(grey) >= 0).all()


def test_a_wide_raster_is_shown_by_its_means():
    wide = xr.DataArray(
        np.arange(4000.0)[None].repeat(4, 0), coords={"x": np.arange(4000.0) * 10, "y": np.arange(4.0)}, dims=("y", "x")
    )
    small = maps.overview(wide, 1000)
    assert small.sizes["x"] == 1000 and float(small.mean()) == pytest.approx(float(wide.mean()))
    assert maps.bounds(small)[0] == pytest.approx(maps.bounds(wide)[0])


def test_light_falls_from_the_north_west():
    y, x = np.mgrid[0:50, 0:50]
    metres = {"y": -10.0 * np.arange(50), "x": 10.0 * np.arange(50)}
    slopes = {"flat": 0 * x, "faces west": x, "faces east": -x, "faces north": y, "faces south": -y}
    lit = {
        name: float(maps.hillshade(xr.DataArray(10.0 * steps, metres, ("y", "x")))["grey"].mean())
        for name, steps in slopes.items()
    }
    assert lit["faces west"] > lit["flat"] > lit["faces east"]
    assert lit["faces north"] > lit["flat"] > lit["faces south"]
    assert lit["flat"] == pytest.approx(0.5)  # cos(45 degrees) squared


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


def test_shapes_keep_holes_parts_and_values():
    hole = shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(3, 3), (6, 3), (6, 6), (3, 6)]])
    table = gpd.GeoDataFrame(
        {"rgi_id": ["a"], "time": [pd.Timestamp("2020-08-01")], "area_m2": [2.5e6]},
        geometry=[shapely.MultiPolygon([hole, shapely.box(20, 0, 21, 1)])], crs=CRS,
    )  # fmt: skip
    (row,) = maps.rows(table)
    assert np.isnan(row["x"]).sum() == 1 and [len(holes) for holes in row["holes"]] == [1, 0]
    assert row["time"] == "2020-08-01" and row["area_km2"] == 2.5


def test_loss_and_gain_are_shaded_with_their_area(drawn):
    after = figures(drawn["before_after"][2])[1]
    shaded = [r.data_source.data for r in after.renderers if "kind" in getattr(r.data_source, "data", {})]
    told = sum(float(area) for data in shaded for area in data["area_km2"])
    assert told == pytest.approx(drawn["before_after"][1]["area_m2"].sum() / 1e6)


def test_bars_and_series_hold_the_table(drawn):
    table = drawn["area_change"][1]
    bars, series = figures(drawn["area_change"][2])
    held = next(r.data_source.data for r in bars.renderers if "change_km2" in r.data_source.data)
    last = table[table["time"] == table["time"].max()].set_index("rgi_id")
    for name, km2 in zip(held["rgi_id"], held["change_km2"], strict=True):
        assert km2 == pytest.approx(last["change_m2"][name] / 1e6)
    assert list(held["rgi_id"])[-1] == "region"  # drawn uppermost
    points = next(r.data_source.data for r in series.renderers if "area_km2" in r.data_source.data)
    assert len(points["area_km2"]) == len(table)


def test_of_many_glaciers_the_most_changed_are_shown():
    one = change_table().query("rgi_id == 'demo-1'")
    many = [one.assign(rgi_id=f"g{i:03}", change_m2=one["change_m2"] * i / 50) for i in range(1, 51)]
    table = pd.concat([*many, change_table().query("rgi_id == 'region'")])
    bars, _ = figures(hv.render(plots.area_change(table)))
    held = next(r.data_source.data for r in bars.renderers if "change_km2" in r.data_source.data)
    assert set(held["rgi_id"]) == {"region", *(f"g{i:03}" for i in range(21, 51))}
    assert "30 of 50" in bars.title.text


def test_fronts_take_the_colour_of_their_date(drawn):
    left, right = figures(drawn["fronts"][2])
    lines = next(r for r in left.renderers if {"front", "time"} <= set(getattr(r.data_source, "data", {})))
    points = next(r for r in right.renderers if "front" in getattr(r.data_source, "data", {}))
    one, two = (r.glyph.line_color if r is lines else r.glyph.fill_color for r in (lines, points))
    assert (one.transform.low, one.transform.high) == (two.transform.low, two.transform.high)
    assert list(lines.data_source.data["front"]) == list(points.data_source.data["front"])
    assert left.select_one(ColorBar)


def test_a_gap_stays_a_gap():
    days = pd.to_datetime(["2020-09-01", "2020-09-08", "2020-09-15", "2021-02-01", "2021-02-08"])
    table = pd.DataFrame({"rgi_id": "a", "time": days, "position_m": [0.0, 1, 2, 3, 4]})
    assert charts.broken(table, "position_m", ["rgi_id"])["position_m"].isna().sum() == 1
    yearly = table.assign(time=pd.date_range("2016-08-01", periods=5, freq="365D"))
    assert charts.broken(yearly, "position_m", ["rgi_id"])["position_m"].notna().all()


def test_north_turns_with_the_grid():
    assert maps.north("EPSG:32633", 500_000, 8_600_000) == pytest.approx(0, abs=1e-6)
    east = maps.north("EPSG:3413", 500_000, -500_000)
    assert east == pytest.approx(-maps.north("EPSG:3413", -500_000, -500_000)) == pytest.approx(-45, abs=0.1)


def elsewhere() -> xr.Dataset:
    """The landscape's scene as if it lay in the next UTM zone."""
    return landscape()["scene"].drop_vars("spatial_ref").odc.assign_crs("EPSG:32634")


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: plots.scene(xr.Dataset({"b1": (("y", "x"), np.zeros((2, 2)))})), LookupError, "bands="),
        (lambda: plots.save("a text", "never.html", "x"), TypeError, "HoloViews"),
        (lambda: plots.before_after(landscape()["scene"], elsewhere(), None, None), ValueError, "GeoBox"),
        (lambda: plots.fronts(front_lines()[0].iloc[:0]), ValueError, "no front"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says) as caught:
        call()
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def page(tmp_path_factory, drawn):
    """A page of all views."""
    sections = [pages.Section(view, f"This is the {name} view.", table) for name, (view, table, _) in drawn.items()]
    path = tmp_path_factory.mktemp("page") / "all.html"
    facts = provenance.manifest(provider="demo", seed=7, items=["S2A_1", "S2A_2"])
    return plots.page("All <views>", sections, path, "What there is.", facts)


def test_a_page_is_whole_small_and_alone(page):
    text = page.read_text()
    assert page.stat().st_size < pages.LARGEST
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", text), "the page loads something from outside"
    assert not re.search(r"https?://(cdn|maps)\.", text)
    assert [p.name for p in page.parent.iterdir()] == [page.name]


def test_a_page_reads_without_its_plots(page):
    text = page.read_text()
    assert "<h1>All &lt;views&gt;</h1>" in text and "<html lang=en>" in text
    assert text.count("<figure") == text.count('aria-label="This is the') == len(views())
    assert text.count("<figcaption>") == len(views())
    assert "How this was made: provider demo · seed 7" in text and "S2A_2" in text
    assert "<th scope=row>demo-1" in text and "Area (km²)" in text


def test_a_page_too_large_is_not_written(monkeypatch, tmp_path, drawn):
    monkeypatch.setattr(pages, "LARGEST", 10_000)
    with pytest.raises(ValueError, match="MB"):
        plots.save(drawn["timeline"][0], tmp_path / "big.html", "big")
    assert not list(tmp_path.iterdir())


def test_a_view_can_be_saved_twice(tmp_path, drawn):
    first, second = (plots.save(drawn["fronts"][0], tmp_path / f"{i}.html", "twice") for i in range(2))
    assert first.stat().st_size == pytest.approx(second.stat().st_size, rel=0.01)


def test_index_holds_cards_in_their_groups(tmp_path):
    entries = [
        plots.Entry("One & all", "one.html", "Where?", numbers={"Area": "2 km²"}, group="Notebooks"),
        plots.Entry("Two", "two.html", group="Figures"),
    ]
    text = plots.index(entries, tmp_path / "index.html", "Demo", numbers={"Change": "−9 %"}).read_text()
    assert text.index("Notebooks") < text.index("One &amp; all") < text.index("Figures") < text.index("two.html")
    assert "2 km²" in text and "−9 %" in text and "<script" not in text


def test_a_table_tells_units_and_gaps():
    text = plots.table(pd.DataFrame({"rgi_id": ["a"], "position_m": [np.nan], "area_m2": [1.5e6]}), "Numbers").data
    assert "<caption>Numbers" in text and "Position (m)" in text and ">–<" in text and ">1.500" in text


def test_159_real_fronts_are_one_figure(data, tmp_path):
    fronts, box, base = harald_moltke(data)
    view = plots.fronts(fronts, base, boxes=box)
    (part,) = figures(hv.render(view))
    lines = next(r for r in part.renderers if "front" in getattr(r.data_source, "data", {}))
    assert len(lines.data_source.data["xs"]) == len(fronts) == 159
    inside = fronts.to_crs(32620).total_bounds
    assert part.x_range.start < inside[0] and part.x_range.end > inside[2]
    assert plots.save(view, tmp_path / "fronts.html", "Harald Moltke Bræ").stat().st_size < 4e6


def harald_moltke(data) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame, xr.Dataset]:
    """The 159 fronts of Harald Moltke Brae (Loebel et al. 2024), the box, and the Landsat picture below them."""
    folder = data / "harald_moltke_brae"
    paths = sorted(folder.glob("lines/*/*/*.shp"))
    lines = gpd.GeoDataFrame(
        pd.concat([gpd.read_file(path)[["geometry"]] for path in paths], ignore_index=True), crs=3413
    )
    times = pd.to_datetime([path.parent.name for path in paths])
    fronts = lines.assign(rgi_id="Harald Moltke Bræ", time=times, system="Loebel et al. 2024")
    base = rioxarray.open_rasterio(folder / "basemap" / "harald_moltke_brae.tif").squeeze("band", drop=True)
    return (
        fronts,
        gpd.read_file(folder / "box" / "harald_moltke_brae.shp"),
        base.astype("float32").to_dataset(name="grey"),
    )
