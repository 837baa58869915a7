"""The scripts that measure any file of outlines or fronts: drawn ones have known answers, real ones published ones."""

import importlib.util
import json
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from glacier_nb import datasets, readers, terminus

CRS = "EPSG:32633"


def run(root, script, *arguments):
    """One JSON object, as a user gets it."""
    done = subprocess.run(
        [sys.executable, root / "benchmarks" / f"{script}.py", *map(str, arguments), "--json"],
        capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip()


@pytest.fixture
def square(tmp_path):
    """A glacier of 4 km2 with a hole of 1 km2; at the later date a bow tie, half as large as the square."""
    ring = shapely.box(500_000, 7_000_000, 502_000, 7_002_000) - shapely.box(500_500, 7_000_500, 501_500, 7_001_500)
    tie = shapely.Polygon([(500_000, 7e6), (502_000, 7_002_000), (502_000, 7e6), (500_000, 7_002_000)])
    frame = gpd.GeoDataFrame({"name": ["a", "a"], "year": [2000, 2020]}, geometry=[ring, tie], crs=CRS)
    frame.to_file(tmp_path / "square.gpkg")
    return tmp_path / "square.gpkg"


def test_outlines_of_a_drawn_glacier(root, square):
    found = run(root, "outlines", "--outlines", square)
    scale = 0.9996**2  # of UTM on its central meridian
    assert (found["n"], found["glaciers"], found["invalid_fixed"]) == (2, 1, 1)
    assert found["by_date"] == pytest.approx({"2000-07-01": 3 / scale, "2020-07-01": 2 / scale}, rel=1e-4)
    assert found["area_km2"] == found["by_date"]["2020-07-01"]


def test_outlines_repeated_and_of_no_date(root, tmp_path):
    """Three rows are one shape of one date, one of them with its ring begun elsewhere; no date is never the latest."""
    small, large = (shapely.box(500_000, 7_000_000, 500_000 + side, 7_001_000) for side in (1000, 3000))
    turned = shapely.Polygon(np.roll(shapely.get_coordinates(small)[:-1], 1, axis=0))
    frame = gpd.GeoDataFrame({"name": "a", "date": ["2000-08-01"] * 3 + [None]}, geometry=[small, small, turned, large],
                             crs=CRS)  # fmt: skip
    frame.to_file(tmp_path / "twice.gpkg")
    found = run(root, "outlines", "--outlines", tmp_path / "twice.gpkg")
    scale = 0.9996**2
    assert (found["n"], found["glaciers"], found["repeated"]) == (4, 1, 2)
    assert found["by_date"] == pytest.approx({"2000-08-01": 1 / scale, "unknown": 3 / scale}, rel=1e-4)
    assert found["area_km2"] == found["by_date"]["2000-08-01"]


def test_outlines_of_sixteen_real_polygons(root, data):
    found = run(root, "outlines", "--outlines", data / "glims_hochalmkees" / "glims_polygons.shp")
    assert (found["n"], found["glaciers"]) == (16, 1)
    frame = gpd.read_file(data / "glims_hochalmkees" / "glims_polygons.shp")
    published = frame.groupby("anlys_id").agg({"db_area": "first", "src_date": "first"})
    published = published.groupby(published["src_date"].str[:10])["db_area"].mean()
    assert found["by_date"] == pytest.approx(published.to_dict(), rel=1e-3)


def test_fronts_of_a_drawn_glacier(root, tmp_path):
    lines = [shapely.LineString([(500_000, y), (503_000, y)]) for y in (7_000_000, 7_000_400, 7_000_300)]
    dates = ["2001-08-01", "2003-08-01", "2002-08-01"]
    short = shapely.LineString([(501_400, 7_000_000), (501_600, 7_000_000)])
    frame = gpd.GeoDataFrame({"Date": [*dates, "2004-08-01"]}, geometry=[*lines, short], crs=CRS)
    frame.to_file(tmp_path / "fronts.gpkg")
    along = gpd.GeoDataFrame(geometry=[shapely.LineString([(501_500, 7_003_000), (501_500, 6_998_000)])], crs=CRS)
    along.to_file(tmp_path / "line.gpkg")
    files = ("--fronts", tmp_path / "fronts.gpkg", "--centreline", tmp_path / "line.gpkg")
    found = run(root, "fronts", *files, "--box-width", 2000)
    whole = {"centreline", "variable box"}  # which take a short front as it is
    assert found["n"] == 4 and found["used"] == {row.name: 3 + (row.name in whole) for row in terminus.METHODS}
    assert {no["method"] for no in found["refused"]} == set(found["used"]) - whole
    assert all(no["time"] == "2004-08-01" and no["reason"] for no in found["refused"])
    assert len(found["agreement"]) == 21 and {one["method"] for one in found["trends"]} == set(found["used"])
    for method, rows in found["series"].items():
        ends = {row["time"]: row["position_m"] for row in rows}
        retreat = {"2001-08-01": 0, "2002-08-01": -300, "2003-08-01": -400}
        near = 0.05 if method == "bow" else 5e-4  # a bow looks aslant; else the scale of UTM
        assert {day: ends[day] for day in retreat} == pytest.approx(retreat, rel=near), method


def test_fronts_of_jakobshavn(root, data, tmp_path, monkeypatch):
    monkeypatch.setenv("GLACIER_NB_DATA", str(data))
    real = datasets.shapes("measures-termini", "NSIDC-0642-3")
    real.to_file(tmp_path / "fronts.gpkg")
    terminus.draw_centreline(real, (-150_000.0, -2_268_000.0)).to_file(tmp_path / "line.gpkg")
    files = ("--fronts", tmp_path / "fronts.gpkg", "--centreline", tmp_path / "line.gpkg")
    found = run(root, "fronts", *files, "--box-width", 2500)  # 2012/13 was traced no further north
    assert found["n"] == 9 and not found["refused"]
    assert all(-12_500 < rows[-1]["position_m"] < -7_000 for rows in found["series"].values())


def test_fronts_of_the_files_that_termini_come_in(data, bench_fronts):
    """A row of a winter's file is a glacier's one front, on the day that the reader gives it."""
    folder = data / "measures_greenland_termini"
    all_winters = readers.measures(folder)
    for name, winter in (("termini_0001_v01_2.shp", "2000/01"), ("termini_1415_v01_2.shp", "2014/15")):
        found = bench_fronts(folder / name, None).set_index("rgi_id")
        true = all_winters[all_winters.winter == winter].set_index("rgi_id")
        assert len(found) == len(true) == found.index.nunique() and found.crs == true.crs
        assert found["time"].eq(true["time"].reindex(found.index)).all()
        assert found.length.to_numpy() == pytest.approx(true.length.reindex(found.index).to_numpy())
    assert len(bench_fronts(folder, None)) == len(all_winters)


def test_fronts_are_told_apart_by_any_name_and_none_is_lost(tmp_path, bench_fronts):
    line = shapely.LineString([(500_000, 7e6), (503_000, 7e6)])
    frame = gpd.GeoDataFrame({"GlacierID": [1, 2], "DATE": ["2015-02-16"] * 2}, geometry=[line, line], crs=CRS)
    frame.to_file(tmp_path / "some.gpkg")
    assert bench_fronts(tmp_path / "some.gpkg", None).rgi_id.tolist() == ["1", "2"]
    frame.rename(columns={"GlacierID": "rgi_id"}).assign(rgi_id=["1", None]).to_file(tmp_path / "unnamed.gpkg")
    assert bench_fronts(tmp_path / "unnamed.gpkg", None).rgi_id.isna().tolist() == [False, True]  # refused by positions


def script(root, name):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", root / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench_fronts(root):
    """The reader of benchmarks/fronts.py."""
    return script(root, "fronts").fronts


def test_outlines_count_what_has_no_name_and_say_what_has_no_area(root, tmp_path):
    """Rows without a name are glaciers of their own; shapes that name nothing are told apart by where they lie."""
    outlines = script(root, "outlines")
    boxes = [shapely.box(x, 7e6, x + 1000, 7_001_000) for x in (500_000, 510_000, 510_000)]
    named = gpd.GeoDataFrame({"rgi_id": ["a", None, None], "year": 2001}, geometry=boxes, crs=CRS)
    named.to_file(tmp_path / "named.gpkg")
    bare = gpd.GeoDataFrame({"id": [None] * 5}, geometry=[*boxes, shapely.Polygon(), boxes[0].boundary], crs=CRS)
    bare.to_file(tmp_path / "bare.gpkg")
    for name, n, left_out, glaciers, repeated, area in (("named", 3, 0, 3, 0, 3), ("bare", 5, 2, 2, 1, 2)):
        frame, *counts = outlines.outlines(tmp_path / f"{name}.gpkg", None)
        found = outlines.measure(frame)
        assert counts == [n, left_out] and (found["glaciers"], found["repeated"]) == (glaciers, repeated)
        assert found["area_km2"] == pytest.approx(area / 0.9996**2, rel=1e-4)


@pytest.fixture
def drawn():
    """Three fronts of two glaciers, one of them traced by two sensors on a day."""
    lines = [shapely.LineString([(x, y), (x + 3000, y)]) for x, y in ((5e5, 7e6), (5e5, 7_000_020), (5.2e5, 7e6))]
    known = {"GlacierID": [1, 1, 2], "date": "01.08.2001", "Satellite": ["L8", "S1", "L8"]}
    return gpd.GeoDataFrame(known, geometry=lines, crs=CRS)


def test_termini_of_others_are_no_winters(tmp_path, drawn, bench_fronts):
    """CALFIN calls its files so: termini, years, glacier, version."""
    drawn.to_file(tmp_path / "termini_1972-2019_Own_v1.0.shp")
    assert len(bench_fronts(tmp_path / "termini_1972-2019_Own_v1.0.shp", None)) == 3
    with pytest.raises(FileNotFoundError, match=r"has no termini_0001_v01_2\.shp"):
        bench_fronts(tmp_path, None)


def test_two_sensors_of_a_day_are_two_fronts(tmp_path, drawn, bench_fronts):
    drawn.to_file(tmp_path / "fronts.gpkg")
    found = bench_fronts(tmp_path / "fronts.gpkg", None)
    assert found.rgi_id.tolist() == ["1", "1", "2"] and found.time.dt.month.eq(8).all()
    drawn.drop(columns="Satellite").to_file(tmp_path / "any.gpkg")
    assert len(bench_fronts(tmp_path / "any.gpkg", None)) == 2


def test_each_glacier_gets_its_own_centreline_in_one_piece(root, tmp_path, drawn):
    bench, flow = script(root, "fronts"), [(1500, 3000), (1500, 500), (1500, -2000)]
    drawn.to_file(tmp_path / "fronts.gpkg")
    lines = bench.fronts(tmp_path / "fronts.gpkg", None)
    halves = [shapely.LineString([(a, 7e6 + b) for a, b in flow[part:][:2]]) for part in (0, 1)]
    pieces = [shapely.affinity.translate(half, x) for x in (500_000, 520_000) for half in halves]
    frame = gpd.GeoDataFrame({"GlacierID": [1, 1, 2, 2]}, geometry=pieces, crs=CRS)
    frame.to_file(tmp_path / "flow.gpkg")
    along = bench.centrelines(tmp_path / "flow.gpkg", None, lines)
    assert along.rgi_id.tolist() == ["1", "2"]
    found = bench.measure(lines, along, 2000.0, 30.0)
    assert set(found["used"].values()) == {3} and not found["refused"]
    for name, geometry, why in (
        ("other", frame.assign(GlacierID=7), "centrelines of 7, none of 1"),
        ("none", frame[:0], "holds no line"),
        ("area", frame.set_geometry(frame.buffer(5)), "a Polygon in row 0: give lines alone"),
    ):
        geometry.to_file(tmp_path / f"{name}.gpkg")
        with pytest.raises(ValueError, match=why):
            bench.centrelines(tmp_path / f"{name}.gpkg", None, lines)
    apart = frame.drop(columns="GlacierID")  # of both glaciers, for both
    apart.to_file(tmp_path / "apart.gpkg")
    with pytest.raises(ValueError, match="a centreline of 2 parts"):
        bench.measure(lines, bench.centrelines(tmp_path / "apart.gpkg", None, lines), 2000.0, 30.0)


@pytest.fixture(scope="module")
def termini(root, data):
    """The tables of fronts that others traced, as the command prints them."""
    return run(root, "termini", "--folder", data)


def test_159_fronts_by_every_method_agree_and_it_is_told_why_a_line_does_not(termini):
    found = termini["moltke"]
    pairs = {(one["method_a"], one["method_b"]): one for one in found["correlations"]}
    assert found["n"] == 159 and found["used"] == {row.name: 159 for row in terminus.METHODS} and len(pairs) == 21
    by_line = {pair: one["r"] for pair, one in pairs.items() if "centreline" in pair}
    others = {pair: one["r"] for pair, one in pairs.items() if "centreline" not in pair}
    assert pairs["box", "multi-centreline"]["r"] > 0.995
    assert max(by_line.values()) < min(others.values())  # one place of an uneven front
    lines = found["lines"]
    assert 0.8 < lines["r_least"] < lines["r_most"] < pairs["box", "transects"]["r"]
    assert lines["apart_m"] > 3 * lines["uncertainty_m"]  # the places differ, not the measuring
    assert f"{lines['apart_m']:.0f} m" in found["why"] and "one place" in found["why"]


def test_two_hundred_glaciers_of_greenland_and_the_ten_greatest_retreats(termini):
    """Petermann, Hagen, Steensby, Alison, Jakobshavn, Ostenfeld, Ingia, Sortebrae, Kjer and Zachariae: tongues and
    surges that the literature tells of."""
    found = termini["greenland"]
    assert found["rated"] == len(found["rates"]) >= 200 and all(one["n"] >= 2 for one in found["rates"])
    assert found["rated"] + len(found["left_out"]) == found["glaciers"] and all(found["left_out"].values())
    assert found["dated_by_range"] + found["dated_by_day"] == found["fronts"]
    assert found["rated_of_both"] >= 150  # one series out of two schemas
    assert found["retreated"] > 0.75 * found["rated"]
    greatest = {int(one["rgi_id"].removeprefix("NSIDC-0642-")): one["change_m"] for one in found["retreats"]}
    assert list(greatest) == [93, 105, 95, 35, 3, 98, 19, 139, 42, 107] and max(greatest.values()) < -5_000
    assert greatest[3] == pytest.approx(-11_800, abs=50)  # other definitions: benchmarks/README.md


def test_svalbard_glaciers_grew_shorter_by_what_was_published(termini):
    """Along one line of 1936 within a quarter, but where a front of 1.3 km drew back by 0.2 to 1.3 km from side to
    side: there another line tells another length. The published change is one of those across the front but once."""
    rows = {(one["name"], one["from"]): one for one in termini["svalbard"]}
    assert len(rows) == 10 and all(one["most_m"] <= one["ours_m"] <= one["least_m"] <= 0 for one in rows.values())
    assert sum(one["most_m"] <= one["published_m"] <= one["least_m"] for one in rows.values()) >= 9
    uneven = rows.pop(("Austre Brøggerbreen", 1936))
    assert uneven["most_m"] < 2 * uneven["published_m"] < 4 * uneven["least_m"] < 0
    ratio = [one["ours_m"] / one["published_m"] for one in rows.values()]
    assert min(ratio) > 0.75 and max(ratio) < 1.25 and abs(float(np.median(ratio)) - 1) < 0.1


@pytest.fixture
def bench_inventories(root, monkeypatch):
    """benchmarks/inventories.py, which finds its neighbour as it does when it is run."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    return importlib.import_module("inventories")


def test_drawn_outlines_beside_their_attributes(bench_inventories):
    """Squares on an equal-area map: as told, rounded to three decimals, simplified, and wrong for no reason."""
    laea = "+proj=laea +lat_0=28 +lon_0=87 +ellps=WGS84"
    sides = [1000.0, 100.0, 1000.0, 1000.0]
    boxes = [shapely.box(n * 5000, 0, n * 5000 + side, side) for n, side in enumerate(sides)]
    frame = gpd.GeoDataFrame({"rgi_id": list("abcd"), "area_km2": [1.0, 0.0104, 0.9, 2.0]}, geometry=boxes, crs=laea)
    found = bench_inventories.ratios(frame, off=0.02, cut=50.0)
    assert found["n"] == 4 and found["sums"] == pytest.approx(3.01 / 3.9104, abs=1e-4)
    causes = {one["rgi_id"]: (one["ratio"], one["cause"]) for one in found["outliers"]}
    assert causes == {
        "b": (pytest.approx(0.01 / 0.0104, abs=1e-3), "the attribute's three decimals"),
        "c": (pytest.approx(1 / 0.9, abs=1e-3), "outline simplified"), "d": (0.5, "unknown"),
    }  # fmt: skip


def test_two_drawn_analysts_of_one_season(bench_inventories):
    """Squares whose sides differ by 30 m: a buffer of half of that, and the difference of their areas."""
    boxes = [shapely.box(500_000, 7e6, 500_000 + side, 7e6 + side) for side in (1000, 1030, 900)]
    days = pd.to_datetime(["2003-08-17", "2003-08-24", "2012-08-01"])
    frame = gpd.GeoDataFrame({"analysis": [1, 2, 3], "time": days, "area_km2": 1.0}, geometry=boxes, crs=CRS)
    found = bench_inventories.analysts(frame)
    (season,) = found["seasons"]
    differ, mean = 1.03**2 - 1, (1 + 1.03**2) / 2
    assert season["year"] == 2003 and season["differ_percent"] == pytest.approx(100 * differ / mean, abs=0.01)
    assert season["buffer_pixels"] == pytest.approx(15 / 30, abs=0.01)  # a margin 15 m aside all around
    assert season["interval_percent"] == pytest.approx(100 * np.hypot(4 * 15e-3, 4.12 * 15e-3) / mean, abs=0.01)
    assert found["analyses"][0]["ours_km2"] == pytest.approx(1 / 0.9996**2, rel=1e-4)


def test_inventories_of_real_outlines(root, data):
    found = run(root, "inventories", "--folder", data)
    areas = found["svalbard"]["areas"]
    assert len(areas) == 15 and all(abs(one["ours_km2"] - one["published_km2"]) <= 0.005 for one in areas)
    assert len(found["svalbard"]["lengths"]) == 10 and found["svalbard"]["change_percent"][2] < 0
    analyses = found["hochalmkees"]["analyses"]
    assert len(analyses) == 11 and all(abs(one["ours_km2"] / one["published_km2"] - 1) < 1e-3 for one in analyses)
    assert {one["year"]: round(one["differ_percent"]) for one in found["hochalmkees"]["seasons"]} == {2003: 12, 2016: 2}
    for one in found["rgi6"].values():
        assert 0.995 <= one["mean"] <= 1.005 and 0.995 <= one["sums"] <= 1.005
        assert all(outlier["cause"] != "unknown" for outlier in one["outliers"])
    seven = found["rgi7"]
    for ratio in (seven["areas"], *seven["perimeters"].values()):
        assert 0.995 <= ratio[0] <= ratio[2] <= 1.005
    assert all("SRTM" in row["dem_ours"] and "COPDEM30" in row["dem_theirs"] for row in seven["terrain"])
    assert all(0.5 < ours / found["leclercq"]["published"] < 2 for ours in found["leclercq"]["ours"].values())


@pytest.mark.parametrize(("script", "option"), [("outlines", "--outlines"), ("fronts", "--fronts")])
def test_a_file_that_is_not_there_is_one_line(root, tmp_path, script, option):
    more = ("--centreline", tmp_path / "no.gpkg", "--box-width", 100) if script == "fronts" else ()
    said = run(root, script, option, tmp_path / "no.gpkg", *more)
    assert said == f"no file or folder {tmp_path / 'no.gpkg'}: give the path of the data"


@pytest.mark.slow
def test_a_prediction_killed_in_the_middle_goes_on(root):
    """Sixteen windows in four blocks: what was in flight is done again, never what was kept, and no bit differs."""
    found = run(root, "predict", "--quick", "--side", 768, "--parts", "resume")
    assert found["identical_after_resume"] and found["details"]["twice_run"] < 16
    assert found["windows_computed_twice"] == found["details"]["twice_run"]
