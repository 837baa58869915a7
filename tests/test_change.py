"""Area change: exact on drawn glaciers, the same backwards, and never loss where nothing was seen."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import change, corrections, margins, uncertainty

CRS = "EPSG:32633"
X, Y = 500_000.0, 7_000_000.0
PIXEL = 10.0


def block(x0, y0, x1, y1):
    return shapely.box(X + x0, Y + y0, X + x1, Y + y1)


def outlines(rows):
    """Rows of (rgi_id, year, shape)."""
    frame = gpd.GeoDataFrame(rows, columns=["rgi_id", "time", "geometry"], crs=CRS)
    return frame.assign(time=pd.to_datetime([f"{year}-08-30" for year in frame.time]), system="drawn")


def view(*rows):
    """What each year saw: rows of (year, shape)."""
    frame = gpd.GeoDataFrame(rows, columns=["time", "geometry"], crs=CRS)
    return frame.assign(time=pd.to_datetime([f"{year}-08-30" for year in frame.time]))


BASINS = gpd.GeoDataFrame({"rgi_id": ["a", "b", "c"]}, crs=CRS, geometry=[
    block(0, 0, 3000, 3000), block(3000, 0, 6000, 3000), block(0, 3000, 6000, 6000)
])  # fmt: skip
DRAWN = outlines([
    ("a", 2000, block(500, 500, 2500, 2500)), ("a", 2005, block(500, 500, 2500, 2000)),
    ("a", 2010, block(500, 500, 1200, 2000).union(block(1500, 500, 2500, 2000))),
    ("b", 2000, block(3500, 500, 4000, 1500)), ("b", 2005, block(3500, 500, 3700, 1500)),
    ("c", 2000, block(500, 4000, 5500, 5000)), ("c", 2005, block(500, 4000, 5500, 5000)),
    ("c", 2010, block(500, 4000, 5500, 5100)),
])  # fmt: skip


def at(table, rgi_id, year):
    return table[(table.rgi_id == rgi_id) & (table.time.dt.year == year)].iloc[0]


def blobs(seed, n=40):
    """Random outlines on a lattice, half of them absent at either date."""
    rng = np.random.default_rng(seed)
    rows = []
    for year in (2000, 2010):
        for i in range(n):
            if rng.random() < 0.8:
                centre = shapely.Point(X + i % 8 * 1000 + 500, Y + i // 8 * 1000 + 500)
                rows.append((f"g{i:02d}", year, centre.buffer(rng.uniform(60, 450), 8)))
    skies = []
    for year in (2000, 2010):
        cloud = shapely.Point(X + rng.uniform(0, 8000), Y + rng.uniform(0, 5000)).buffer(1500)
        skies.append((year, block(0, 0, 8000, 5000).difference(cloud)))
    basins = [
        (f"g{i:02d}", block(i % 8 * 1000, i // 8 * 1000, i % 8 * 1000 + 1000, i // 8 * 1000 + 1000)) for i in range(n)
    ]
    return outlines(rows), view(*skies), gpd.GeoDataFrame(basins, columns=["rgi_id", "geometry"], crs=CRS)


def test_areas_changes_and_rates_are_exact():
    table = change.area(DRAWN, BASINS)
    assert at(table, "a", 2000).area_m2 == 4e6 and at(table, "a", 2005).change_m2 == -1e6
    last = at(table, "region", 2010)
    assert last.area_m2 == pytest.approx(2.55e6 + 0 + 5.5e6) and last.change_m2 == pytest.approx(
        -1.45e6 - 0.5e6 + 0.5e6
    )
    assert last.change_percent == pytest.approx(100 * last.change_m2 / 9.5e6)
    years = (pd.Timestamp("2010-08-30") - pd.Timestamp("2000-08-30")).days / 365.25
    assert last.rate_km2_a == pytest.approx(last.change_m2 / 1e6 / years)
    assert last.rate_percent_a == pytest.approx(last.change_percent / years)
    assert table.rgi_id.tolist() == [name for name in ("a", "b", "c", "region") for _ in range(3)]
    assert table.attrs["units"] == "m2" and "Paul" in table.attrs["citation"]


def test_events_tell_splits_and_disappearances():
    table = change.area(DRAWN, BASINS)
    assert at(table, "a", 2010).events == "split into 2" and at(table, "a", 2010).parts == 2
    assert at(table, "b", 2010).events == "disappeared" and at(table, "b", 2010).area_m2 == 0
    assert at(table, "b", 2010).change_percent == -100
    assert at(table, "region", 2010).events in ("1 split, 1 disappeared", "1 disappeared, 1 split")
    dates = sorted(set(DRAWN.time))
    back = DRAWN.assign(time=DRAWN.time.map(dict(zip(dates, dates[::-1], strict=True))))
    backwards = change.area(back, BASINS)
    assert at(backwards, "a", 2005).events == "merged into 1" and at(backwards, "b", 2005).events == "appeared"
    assert change.area(DRAWN, BASINS, min_part=1.2e6).query("rgi_id == 'a'").events.eq("").all()  # a part too small


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("clouded", [False, True])
def test_backwards_is_minus(seed, clouded):
    drawn, clouds, basins = blobs(seed)
    seen = clouds if clouded else None
    there = change.area(drawn, basins, seen)
    back = change.area(drawn, basins, seen, since="2010-08-30T11:00")  # the day counts
    forth = there[there.time == "2010-08-30"].set_index("rgi_id")
    again = back[back.time == "2000-08-30"].set_index("rgi_id")
    for one, other in (("change_m2", "change_m2"), ("change_lower_m2", "change_upper_m2")):
        assert np.array_equal(forth[one], -again[other], equal_nan=True)
    assert np.array_equal(forth.rate_km2_a, again.rate_km2_a, equal_nan=True)  # time runs backwards too
    assert np.array_equal(forth.unseen_m2, again.unseen_m2)


@pytest.mark.parametrize("seed", range(6))
def test_what_nobody_saw_is_never_loss(seed):
    """The same ice at both dates under moving clouds: not a square metre of change, and the rest adds up."""
    drawn, clouds, basins = blobs(seed)
    first = drawn[drawn.time == "2000-08-30"]
    same = pd.concat([first, first.assign(time=pd.Timestamp("2010-08-30"))], ignore_index=True)
    table = change.area(same, basins, clouds).set_index(["rgi_id", "time"])
    assert (table.change_m2.dropna().abs() < 1e-6).all()
    later = table.xs(pd.Timestamp("2010-08-30"), level="time")
    by_date = [shapely.area(shapely.intersection(first.geometry.to_numpy(), sky)).sum() for sky in clouds.geometry]
    twice = shapely.area(shapely.intersection(first.geometry.to_numpy(), clouds.intersection_all())).sum()
    once = sum(by_date) - 2 * twice  # ice that one date saw and the other did not
    assert later.unseen_m2["region"] == pytest.approx(once) and once > 0


def test_a_glacier_behind_cloud_has_no_number():
    sky = block(0, 0, 6000, 6000)
    table = change.area(DRAWN[~((DRAWN.rgi_id == "c") & (DRAWN.time.dt.year == 2010))], BASINS,
                        view((2000, sky), (2005, sky), (2010, block(0, 0, 6000, 3500))))  # fmt: skip
    hidden = at(table, "c", 2010)
    assert np.isnan([hidden.area_m2, hidden.change_m2, hidden.change_percent]).all()
    assert hidden.unseen_m2 == 5e6 and hidden.events == ""
    assert at(table, "region", 2010).change_m2 == pytest.approx(-1.45e6 - 0.5e6)


def test_a_date_that_saw_nothing_has_no_number():
    blind = gpd.GeoDataFrame(
        view((2000, block(0, 0, 6000, 6000)), (2005, shapely.Polygon()), (2010, block(0, 0, 6000, 6000)))
    )
    row = at(change.area(DRAWN, BASINS, blind), "region", 2005)
    assert np.isnan([row.area_m2, row.change_m2, row.change_percent]).all() and row.unseen_m2 == 9.5e6


def test_a_view_that_also_touches_a_glacier_costs_nothing():
    """Where ice and view share an area here and only an edge there, GEOS gives areas and lines in one collection."""
    ice = shapely.MultiPolygon([block(500, 500, 1000, 1000), block(1500, 500, 2500, 1500)])
    drawn = outlines([("a", year, ice) for year in (2000, 2005)])
    half = shapely.MultiPolygon([block(0, 0, 3000, 500), block(2000, 500, 3000, 3000)])
    table = change.area(drawn, BASINS, view((2000, half), (2005, block(0, 500, 3000, 3000))))
    mine = table[(table.rgi_id == "a") & (table.time.dt.year == 2005)].iloc[0]
    assert mine.change_m2 == pytest.approx(0, abs=1e-6)
    assert mine.area_m2 == pytest.approx(500**2 + 1000**2)


def test_seen_may_be_layers():
    grid = GeoBox.from_bbox((X, Y, X + 6000, Y + 6000), CRS, resolution=100)
    east = np.broadcast_to(np.arange(60) < 30, (60, 60))
    layers = np.stack([np.ones((60, 60), bool), np.ones((60, 60), bool), east])
    times = pd.to_datetime(["2000-08-30", "2005-08-30", "2010-08-30"])
    coords = {"time": times, **odc.geo.xr.xr_coords(grid, dims=("y", "x"))}
    by_layer = change.area(DRAWN, BASINS, xr.DataArray(layers, coords, ("time", "y", "x")))
    sky = block(0, 0, 6000, 6000)
    by_frame = change.area(DRAWN, BASINS, view((2000, sky), (2005, sky), (2010, block(0, 0, 3000, 6000))))
    pd.testing.assert_frame_equal(by_layer, by_frame)
    assert at(by_frame, "c", 2010).unseen_m2 == pytest.approx(2.5e6)  # of 2000, where 2010 was blind


def test_without_divides_or_seen_absence_is_no_loss():
    table = change.area(DRAWN)
    gone = at(table, "b", 2010)
    assert np.isnan(gone.area_m2) and gone.events == "" and gone.unseen_m2 == 5e5
    assert at(table, "region", 2010).change_m2 == pytest.approx(-1.45e6 + 0.5e6)


def test_parts_of_a_date_are_summed_and_divides_cut_all_dates_alike():
    loose = outlines(
        [
            ("a", 2000, block(0, 0, 1000, 1000)),
            ("a", 2000, block(2000, 0, 3000, 1000)),
            ("a", 2010, block(0, 0, 1000, 1000)),
        ]
    )
    assert change.area(loose).query("rgi_id == 'a'").area_m2.tolist() == [2e6, 1e6]
    across = outlines([("x", 2000, block(1000, 1000, 5000, 2000)), ("y", 2010, block(1000, 1000, 4000, 2000))])
    table = change.area(across, BASINS)  # ids of the inventory do not matter, only the basins
    assert at(table, "a", 2010).change_m2 == 0 and at(table, "b", 2010).change_m2 == pytest.approx(-1e6)
    assert at(table, "c", 2010).area_m2 == 0 and set(table.rgi_id) == {"a", "b", "c", "region"}


def test_bounds_follow_the_margin_and_one_system_cancels():
    one = outlines([("a", 2000, block(0, 0, 1000, 1000)), ("a", 2010, block(0, 0, 1000, 1000))])
    table = change.area(one, pixel=PIXEL)
    row = at(table, "a", 2010)
    assert (row.lower_m2, row.upper_m2) == (1e6 - 4000 * 5, 1e6 + 4000 * 5)
    assert row.change_upper_m2 == pytest.approx(np.sqrt(2 * (1 - uncertainty.SYSTEMATIC)) * 20_000)
    assert at(change.area(one, pixel=PIXEL, systematic=1), "a", 2010).change_upper_m2 == 0
    other = one.assign(system=["drawn", "another"])
    assert at(change.area(other, pixel=PIXEL, systematic=1), "a", 2010).change_upper_m2 == pytest.approx(
        np.sqrt(2) * 20_000
    )
    with_column = change.area(one.assign(pixel_m=30.0))
    assert at(with_column, "a", 2010).upper_m2 == pytest.approx(1e6 + 4000 * 15)
    hole = outlines([("a", 2000, block(0, 0, 1000, 1000).difference(block(400, 400, 600, 600)))])
    assert at(change.area(hole, pixel=PIXEL), "a", 2000).upper_m2 == pytest.approx(0.96e6 + 4800 * 5)


def test_a_region_averages_out_only_what_is_independent():
    """Draws of the error that `systematic` states: the region's half-width is 1.96 of its spread when each one is."""
    rng = np.random.default_rng(5)
    n, draws = 25, 4000
    drawn = outlines(
        [(f"g{i:02d}", year, block(i * 200, 0, i * 200 + 100, 100)) for i in range(n) for year in (2000, 2010)]
    )
    half = 400 * 5.0
    for q in (0.0, 0.5, 1.0):
        shared = rng.normal(size=(draws, 1, 1)) * np.sqrt(q)
        error = half / 1.96 * (shared + np.sqrt(1 - q) * rng.normal(size=(draws, n, 2)))
        row = at(change.area(drawn, pixel=PIXEL, systematic=q), "region", 2010)
        assert row.upper_m2 - row.area_m2 == pytest.approx(1.96 * error[..., 1].sum(-1).std(), rel=0.05)
        change_error = (error[..., 1] - error[..., 0]).sum(-1)
        assert row.change_upper_m2 - row.change_m2 == pytest.approx(1.96 * change_error.std(), rel=0.05, abs=1e-6)


def test_a_calibrated_interval_moves_and_narrows_the_bounds():
    """Half-width 20 000 m2 at either date: a bias moves an area's bounds and cancels in a change."""
    drawn = outlines([("a", 2000, block(0, 0, 1000, 1000)), ("a", 2010, block(0, 0, 1000, 1000))])
    model = uncertainty.Conformal(-1.0, 0.5, 0.9, 500)
    row = at(change.area(drawn, pixel=PIXEL, interval=model, systematic=0), "a", 2010)
    assert (row.lower_m2, row.upper_m2) == (1e6 - 20_000, 1e6 + 10_000)
    assert row.change_upper_m2 == pytest.approx(np.sqrt(2) * 15_000) == -row.change_lower_m2
    region = at(change.area(drawn, pixel=PIXEL, interval=model), "region", 2010)
    assert (region.lower_m2, region.upper_m2) == pytest.approx((1e6 - 20_000, 1e6 + 10_000))
    table = change.area(drawn, pixel=PIXEL, interval=model, change_interval=model, systematic=0)
    row, spread = at(table, "a", 2010), np.sqrt(2) * 20_000
    assert (row.change_lower_m2, row.change_upper_m2) == pytest.approx((-spread, 0.5 * spread))
    assert "conformal, 0.9, n=500" in table.attrs["method"] and table.attrs["change_method"]
    back = at(change.area(drawn, pixel=PIXEL, change_interval=model, systematic=0, since="2010-08-30"), "a", 2000)
    assert (back.change_lower_m2, back.change_upper_m2) == pytest.approx((-0.5 * spread, spread))
    years = (pd.Timestamp("2010-08-30") - pd.Timestamp("2000-08-30")).days / 365.25
    assert row.rate_lower_km2_a == pytest.approx(-spread / 1e6 / years)
    scaled = at(change.area(drawn, pixel=PIXEL, interval=uncertainty.Conformal(-8, 8, 0.9, 500, 0.5)), "a", 2010)
    assert scaled.upper_m2 == pytest.approx(1e6 + 8 * np.sqrt(20_000))


def test_calibrated_changes_hold_as_often_as_they_say():
    """Glaciers that drew back by 30 m, each date mapped with errors of its own; scenes of other seeds calibrate."""

    def mapped(seed, n):
        true, found = zip(*(margins.drawn(n, seed, retreat=back) for back in (0.0, 30.0)), strict=True)
        rows = [(f"g{k:04d}", year, shape) for year, shapes in zip((2000, 2010), found, strict=True)
                for k, shape in enumerate(shapes)]  # fmt: skip
        shapes = gpd.GeoSeries([row[2] for row in rows]).translate(X, Y)
        frame = outlines(rows).set_geometry(shapes.set_crs(CRS))
        return frame, shapely.area(true[1]) - shapely.area(true[0])

    frame, true = mapped(11, 800)
    table = change.area(frame, pixel=PIXEL).query("rgi_id != 'region' and time.dt.year == 2010")
    half = (table.change_upper_m2 - table.change_m2).to_numpy()
    model = uncertainty.conformal(table.change_m2.to_numpy(), true, half)
    frame, true = mapped(12, 2000)
    table = change.area(frame, pixel=PIXEL, change_interval=model).query("rgi_id != 'region' and time.dt.year == 2010")
    bounds = table.rename(columns={"change_lower_m2": "low", "change_upper_m2": "high"})[["low", "high"]]
    found = uncertainty.coverage(true, bounds.set_axis(["lower_m2", "upper_m2"], axis=1))
    # sqrt(0.09 / 800 + 0.09 / 2000) is 1.3 %; scenes that err together widen it: 87 to 93 % is promised of areas
    assert found["n"] == 2000 and found["coverage"] == pytest.approx(0.9, abs=0.035)


def test_no_growth_leaves_out_what_is_beyond_the_first_outline():
    drawn = outlines([("a", 2000, block(500, 500, 1500, 1500)), ("a", 2010, block(1000, 500, 1800, 1500)),
                      ("b", 2010, block(3500, 500, 4000, 1500))])  # fmt: skip
    plain, strict = (change.area(drawn, BASINS, no_growth=on) for on in (False, True))
    assert at(plain, "a", 2010).change_m2 == -2e5 and at(strict, "a", 2010).change_m2 == -5e5
    assert at(strict, "b", 2010).area_m2 == 0 and strict.attrs["growth_m2"] == pytest.approx(3e5 + 5e5)
    assert strict.attrs["assumptions"] == {"no_growth": True, "same_errors": False, "least_recall": None}
    assert not any(plain.attrs["assumptions"].values()) and "growth_m2" not in plain.attrs
    assert corrections.assumed(plain) == [] and "0.800 km²" in corrections.assumed(strict)[0]
    # where the first date was blind nothing is known of growth: that ice stays, unseen
    skies = view((2000, block(0, 0, 1600, 3000)), (2010, block(0, 0, 6000, 3000)))
    veiled = change.area(drawn, BASINS, skies, no_growth=True)
    assert at(veiled, "a", 2010).area_m2 == pytest.approx(7e5) and at(veiled, "a", 2010).unseen_m2 == pytest.approx(2e5)


def test_same_errors_leave_no_doubt_of_a_steady_margin():
    drawn = outlines([("a", 2000, block(0, 0, 1000, 1000)), ("a", 2010, block(0, 0, 1000, 1000))])
    table = change.area(drawn, pixel=PIXEL, same_errors=True)
    row = at(table, "a", 2010)
    assert row.change_lower_m2 == row.change_upper_m2 == 0 and row.upper_m2 == 1e6 + 20_000
    assert table.attrs["systematic"] == 1 and table.attrs["assumptions"]["same_errors"]
    assert len(corrections.assumed(table)) == 1 and "err alike" in corrections.assumed(table)[0]


def test_a_glacier_that_was_hardly_found_has_no_change():
    inventory = outlines([("a", 2000, block(500, 500, 2500, 2500)), ("b", 2000, block(3500, 500, 4500, 1500))])
    drawn = outlines([
        ("a", 2000, block(500, 500, 2500, 2400)), ("a", 2010, block(500, 500, 2500, 2000)),
        ("b", 2000, block(3500, 500, 4100, 1500)), ("b", 2010, block(3500, 500, 3900, 1500)),
    ])  # fmt: skip
    table = change.area(drawn, inventory.drop(columns="time"), least_recall=0.75)
    assert at(table, "a", 2010).change_m2 == pytest.approx(-8e5) and np.isnan(at(table, "b", 2010).change_m2)
    assert at(table, "region", 2010).change_m2 == pytest.approx(-8e5)
    assert at(table, "region", 2010).unseen_m2 == pytest.approx(6e5 + 4e5) == at(table, "b", 2010).unseen_m2
    assert table.attrs["unmatched"] == 1
    assert corrections.assumed(table)[0].endswith("less than 75% have no change: 1 of them.")
    with pytest.raises(ValueError, match="give them as divides"):
        change.area(drawn, least_recall=0.75)


def test_trends_by_both_fits_and_one_wild_date():
    rows = [("a", year, block(0, 0, 1000, 1000 - 20 * (year - 2000))) for year in range(2000, 2010)]
    wild = [*rows[:9], ("a", 2009, block(0, 0, 1000, 1500))]  # snow taken for ice
    steady, off = (change.trend(change.area(outlines(some), pixel=PIXEL)).iloc[0] for some in (rows, wild))
    assert steady.linear_km2_a == pytest.approx(steady.trend_km2_a, rel=1e-3) == pytest.approx(-0.02, rel=1e-3)
    assert steady.trend_percent_a == pytest.approx(-2, rel=1e-3) and steady.linear_p < 1e-3
    assert off.trend_km2_a == pytest.approx(-0.02, rel=0.02) and off.linear_km2_a > 0


def test_trend_of_a_steady_loss():
    rows = [("a", year, block(0, 0, 1000, 1000 - 20 * (year - 2000))) for year in range(2000, 2010)]
    found = change.trend(change.area(outlines(rows), pixel=PIXEL)).set_index("rgi_id")
    assert found.trend_km2_a["a"] == pytest.approx(-0.02, rel=1e-3)
    assert found.lower_km2_a["a"] <= found.trend_km2_a["a"] <= found.upper_km2_a["a"] and found.p["a"] < 1e-3


def test_a_trend_needs_no_whole_first_date():
    """Five dates, one half clouded: the other four hold the trend whichever it is, and whichever is compared with."""
    years = [2000, 2005, 2010, 2015, 2020]
    ice, sky, half = ([block(0, 0, 1000 - 4 * (year - 2000), 1000) for year in years], block(0, 0, 1000, 1000),
                      block(0, 0, 1000, 500))  # fmt: skip
    for clouded in years:
        seen = view(*((year, half if year == clouded else sky) for year in years))
        drawn = outlines([("a", year, shape & half if year == clouded else shape)
                          for year, shape in zip(years, ice, strict=True)])  # fmt: skip
        for since in ("2000-08-30", "2010-08-30", f"{clouded}-08-30"):
            table = change.area(drawn, seen=seen, since=since)
            hidden = table[table.rgi_id == "a"].set_index("time").hidden_m2
            first = 1000 if clouded != 2000 else 980  # metres; the cloud hides the widest that the others show
            assert hidden[f"{clouded}-08-30"] == pytest.approx(first * 500) and (hidden > 1).sum() == 1
            found = change.trend(table)
            assert found.n.tolist() == [4, 4] and found.trend_km2_a.to_numpy() == pytest.approx(-0.004, rel=1e-3)


def test_a_date_of_two_scenes_saw_what_either_did():
    drawn = outlines([("a", year, block(0, 0, 1000, 1000)) for year in (2000, 2010)])
    left, right, half = block(0, 0, 600, 1000), block(500, 0, 1000, 1000), block(0, 0, 500, 1000)
    seen = view((2000, left), (2000, right), (2010, half))
    table = change.area(drawn, seen=seen)
    assert at(table, "a", 2000).area_m2 == pytest.approx(1e6) and at(table, "a", 2010).change_m2 == pytest.approx(0)
    assert at(table, "a", 2010).unseen_m2 == pytest.approx(5e5)
    pd.testing.assert_frame_equal(table, change.area(drawn, seen=seen.iloc[[1, 2, 0]]))


def test_times_with_a_zone_are_met_as_utc():
    drawn, seen = outlines([("a", year, block(0, 0, 1000, 1000)) for year in (2000, 2010)]), view(
        (2000, block(0, 0, 1000, 500)), (2010, block(0, 0, 1000, 1000)))  # fmt: skip
    plain = change.area(drawn, seen=seen, since="2010-08-30")
    zoned, other = (frame.assign(time=frame.time.dt.tz_localize("UTC").dt.tz_convert("Asia/Kathmandu"))
                    for frame in (drawn, seen))  # fmt: skip
    for frame, sight in ((zoned, seen), (drawn, other), (zoned, other)):
        pd.testing.assert_frame_equal(change.area(frame, seen=sight, since="2010-08-30"), plain)
    pd.testing.assert_frame_equal(change.area(drawn, seen=seen, since="2010-08-30T05:45+05:45"), plain)


def test_a_pixel_that_is_not_known_is_ten_metres():
    drawn = outlines([(name, year, block(0, 0, 1000, 1000)) for name in "ab" for year in (2000, 2010)])
    table = change.area(drawn.assign(pixel_m=[np.nan, 30.0, 30.0, 30.0]))
    assert at(table, "a", 2000).upper_m2 == 1e6 + 4000 * 5 and at(table, "a", 2010).upper_m2 == 1e6 + 4000 * 15
    assert table.drop(columns=["rgi_id", "events"]).query("time > since").notna().all(axis=None)


def test_systems_meet_at_different_dates_alone():
    drawn = outlines([("a", year, block(0, 0, 1000, 1000)) for year in (2000, 2000, 2010)])
    assert len(change.area(drawn.assign(system=["one", "", "two"]))) == 4  # no name is no other system
    with pytest.raises(ValueError, match=r"outlines of one, two on 2000-08-30.*outlines.system == 'one'") as error:
        change.area(drawn.assign(system=["one", "two", "two"]))
    assert "\n" not in str(error.value)


def test_bad_input_is_refused_in_one_line():
    blank = change.area(DRAWN.iloc[:0], DRAWN, view((2000, block(0, 0, 1, 1)), (2005, block(0, 0, 1, 1))))
    assert len(blank) and (blank.area_m2 == 0).any()  # two dates looked and saw no ice: that is a number
    for call, why in (
        (lambda: change.area(DRAWN.to_crs(4326)), "EPSG:32633"),
        (lambda: change.area(DRAWN.drop(columns="time")), "time"),
        (lambda: change.area(DRAWN.assign(time=pd.NaT)), "without a date"),
        (lambda: change.area(DRAWN, since="1999-01-01"), "since=1999-01-01: the outlines' dates are 2000-08-30"),
        (lambda: change.area(DRAWN.iloc[:0]), "no outlines: give those of two dates"),
        (lambda: change.area(DRAWN.iloc[:0], since="1999-01-01"), "no outlines"),
        (lambda: change.area(DRAWN, seen=view((2000, block(0, 0, 1, 1)))), "seen has no row for 2005-08-30"),
        (
            lambda: change.area(DRAWN, seen=view((2000, block(0, 0, 1, 1))).assign(time=pd.NaT)),
            "seen has a row without",
        ),
    ):
        with pytest.raises(ValueError, match=why) as error:
            call()
        assert "\n" not in str(error.value)


def test_ids_may_be_numbers():
    numbers = {"a": 3, "b": 1, "c": 2}
    frames = [one.assign(rgi_id=one.rgi_id.map(numbers)) for one in (DRAWN, BASINS)]
    table, text = change.area(*frames), change.area(DRAWN, BASINS)
    assert table["rgi_id"].unique().tolist() == ["1", "2", "3", "region"]
    assert at(table, "3", 2010)["change_m2"] == at(text, "a", 2010)["change_m2"]
    pd.testing.assert_series_equal(table["change_m2"].tail(3), text["change_m2"].tail(3))
