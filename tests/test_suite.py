"""Notebooks that the demo's tour leaves out, and other sensors, run small; their answers are near what is true."""

import collections
import json
import pathlib
import re

import geopandas as gpd
import nbformat
import numpy as np
import pandas as pd
import pytest
import scenery
import shapely

from glacier_nb import batch, demo, edits, metrics, sinks, splits, systems, terminus, vectorize, weights

SMALL = {
    "02_map_outlines": {"years": [2025], "sensor": "landsat-c2-l2", "system": "debris-demo", "symmetries": 4},
    "05_elevation_change": {},
    "06_train_a_system": {"years": [2025], "steps": 60},
    "07_compare_systems": {"years": [2025], "names": ["extent-demo", "ndsi"], "steps": 8},
    "08_rock_glaciers": {"years": [2023, 2025]},
}


@pytest.fixture(scope="module")
def ran(region, tmp_path_factory):
    """A folder with one folder for each notebook, and its page."""
    out = tmp_path_factory.mktemp("suite")
    for name, more in SMALL.items():
        given = {"region": "demo", "provider": demo.provider("demo", 7), "seed": 7, "out": str(out / name)}
        batch.notebook(name, given | more, out, progress=False)
    return out


def answer(ran, name):
    """What a notebook found, and how it was made."""
    return json.loads((ran / name / "manifest.json").read_text())


def page(ran, name):
    """The page that it made, as text."""
    (found,) = (ran / name).glob("*.html")
    return found.read_text()


TITLE = re.compile(r'"name":"Title","id":"[^"]*","attributes":{[^}]*?"text":("(?:[^"\\]|\\.)+")')


def panels(path: pathlib.Path) -> collections.Counter:
    """How often each title of a figure stands on a page."""
    return collections.Counter(map(json.loads, TITLE.findall(path.read_text())))


def test_another_sensor_maps_the_same_ice(ran):
    told = answer(ran, "02_map_outlines")
    assert told["scene"]["sensor"] == "landsat-c2-l2" and told["scene"]["lost"] == 0
    found = gpd.read_parquet(ran / "02_map_outlines" / "outlines.parquet")
    assert told["answer"]["area_m2"] == pytest.approx(found[found.system == "debris-demo"].area_m2.sum(), rel=0.01)
    zones = sinks.opened(ran / "02_map_outlines" / "zones.tif")
    assert zones.zone.values.tolist() == list(systems.find("debris-demo").zones)
    geobox, seen = zones.odc.geobox, zones.notnull().all("zone").values
    assert (found.pixel_m == 10).all()
    true = demo.truth("outlines", 7)
    ice = {name: vectorize.rasterize(some, geobox).values[seen] > 0.5 for name, some in found.groupby("system")}
    ice["truth"] = vectorize.rasterize(true[true.time == true.time.max()], geobox).values[seen] > 0.5
    score = {name: metrics.iou(one, ice["truth"]) for name, one in ice.items()}
    assert score["debris-demo"] > 0.95 > score["ndsi"]  # thermal images see the ice under rubble
    assert "90 % of the members' spread" in told["areas"]["method"] and "disagree" in page(ran, "02_map_outlines")
    half = (told["answer"]["upper_m2"] - told["answer"]["lower_m2"]) / 2  # 90 %: 1.64 deviations; 2.58 hold 99 %
    assert abs(told["answer"]["area_m2"] - 100 * ice["truth"].sum()) < 2.58 / 1.64 * half


def test_an_outline_corrected_by_hand_is_in_the_number_and_said(region, tmp_path):
    true = demo.truth("outlines", 7)
    true = true[true.time.dt.year == 2025]
    drawn = true.loc[[true.area.idxmax()]]
    drawn = drawn.assign(geometry=drawn.buffer(-50))
    path = edits.write(drawn, tmp_path / "drawn.gpkg")
    given = {"years": [2025], "edited": str(path), "edited_by": "A. Reader", "edit_reason": "shadow taken for ice"}
    where = {"provider": demo.provider("demo", 7), "out": str(tmp_path)}
    batch.notebook("02_map_outlines", given | where, tmp_path, progress=False)
    found = gpd.read_parquet(tmp_path / "outlines.parquet")
    mine, other = (found[found.system == name] for name in ("extent-demo", "ndsi"))
    assert mine[mine.edited].rgi_id.tolist() == drawn.rgi_id.tolist() and not other.edited.any()
    assert mine[mine.edited].geometry.iloc[0].symmetric_difference(drawn.geometry.iloc[0]).area < 1
    told = json.loads((tmp_path / "manifest.json").read_text())
    mapped = edits.undone(mine).area_m2.sum()
    assert told["answer"]["area_m2"] == pytest.approx(mine.area_m2.sum(), rel=1e-3)
    assert abs(mapped - mine.area_m2.sum()) > 10 * 1e-3 * mapped  # the model drew another
    (edit,) = told["areas"]["edits"]
    assert edit["rgi_id"] == drawn.rgi_id.iloc[0] and told["edited"] == "drawn.gpkg"
    assert told["edited_by"] == edit["edited_by"] == "A. Reader"
    said = f"1 of {len(mine)} outlines corrected by hand by A. Reader: shadow taken for ice."
    ran = nbformat.read(tmp_path / "02_map_outlines.ipynb", 4)
    assert said in ran.cells[-2].outputs[-1]["data"]["text/markdown"]
    assert said in (tmp_path / "outlines.html").read_text()
    assert not next(cell for cell in ran.cells if "hand.pen" in cell.source).outputs  # nobody is there to draw
    shown = panels(tmp_path / "outlines.html")
    assert shown == panels(tmp_path / "02_map_outlines.html") and shown.total() == 6


def test_elevation_change_is_the_true_one(ran):
    found = answer(ran, "05_elevation_change")["answer"]
    assert found["mass_balance_lower_m_we_a"] < found["mass_balance_m_we_a"] < found["mass_balance_upper_m_we_a"] < 0


def test_elevation_change_between_common_dates(region, ran, tmp_path):
    """Dates that no model was flown at, between two that were: the region's rate is that of the models."""
    where = {"provider": demo.provider("demo", 7), "at": ["2018-06-01", "2022-06-01"], "out": str(tmp_path)}
    batch.notebook("05_elevation_change", where, tmp_path, progress=False)
    told, own = json.loads((tmp_path / "manifest.json").read_text()), answer(ran, "05_elevation_change")
    assert told["dates"] == where["at"] and set(told["dates"]).isdisjoint(told["flown"])
    assert told["flown"][0] < told["dates"][0] < told["dates"][1] < told["flown"][-1]
    assert told["answer"]["dh_dt_m_a"] == pytest.approx(own["answer"]["dh_dt_m_a"], rel=0.1)


@pytest.mark.parametrize("more", [{"drawn": "skeleton"}, {"system": "front-series"}], ids=["drawn", "series"])
def test_fronts_drawn_or_mapped_otherwise_retreat_as_far(more, region, tmp_path):
    """On a map of fronts alone, up-glacier is where the system maps ice all the same; and of all dates at once."""
    where = {"provider": demo.provider("demo", 7), "out": str(tmp_path)}
    batch.notebook("04_calving_fronts", {"years": [2017, 2025]} | more | where, tmp_path, progress=False)
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert told["zones"].get("dates") == (2 if "system" in more else None)
    told = told["answer"]
    gates = {name: gpd.read_parquet(tmp_path / f"{name}.parquet") for name in ("boxes", "centrelines")}
    box, line = (gates[name][gates[name].rgi_id == told["rgi_id"]] for name in ("boxes", "centrelines"))
    true = demo.truth("fronts", 7)
    true = true[true.time.dt.year.isin([2017, 2025])].assign(rgi_id=told["rgi_id"])
    moved = terminus.positions(true, "box", box=box, upglacier=line.geometry.iloc[0].coords[0], pixel=10.0)
    true = moved.dropna(subset="position_m")["position_m"].iloc[-1]
    assert told["position_m"] == pytest.approx(true, abs=3 * told["uncertainty_m"]) and true < -100
    shown = panels(tmp_path / "fronts.html")
    assert shown == panels(tmp_path / "04_calving_fronts.html") and "Rate of front migration" in shown
    assert "<caption>Rate between dates</caption>" in (tmp_path / "fronts.html").read_text()


def test_what_area_change_is_asked_to_assume_is_in_its_numbers_and_said(region, tmp_path):
    given = {"years": [2017, 2025], "smooth": 1, "no_growth": True, "same_errors": True, "least_recall": 0.3}
    true = demo.truth("outlines", 7)
    drawn = edits.write(true[true.time.dt.year == 2025], tmp_path / "drawn.gpkg")  # the last date, by hand
    given |= {"edited": str(drawn), "edited_by": "A. Reader", "edit_reason": "shadow taken for ice"}
    where = {"provider": demo.provider("demo", 7), "out": str(tmp_path)}
    batch.notebook("03_area_change", given | where, tmp_path, progress=False)
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert told["change"]["assumptions"] == {name: given[name] for name in ("no_growth", "same_errors", "least_recall")}
    assert told["smoothing"]["rounds"] == 1 and all(told["smoothing"]["added_m2"])
    assert told["edited_by"] == "A. Reader" and told["edit_reason"] == "shadow taken for ice"
    table = pd.read_parquet(tmp_path / "change.parquet")
    assert (table.change_m2.dropna() < 1).all()  # nothing grew
    by_hand = table[table.edited_by.fillna("") != ""]
    assert len(by_hand) and by_hand.time.dt.year.eq(2025).all() and by_hand.snowline_m.isna().all()
    assert (table.loc[table.rgi_id == "region", "dh_dt_m_a"] < 0).all()  # thinner, beside smaller
    outlines = gpd.read_parquet(tmp_path / "outlines.parquet")
    one, two = (outlines[(outlines.system == "extent-demo") & (outlines.time == time)].union_all()
                for time in sorted(outlines.time.unique()))  # fmt: skip
    assert two.difference(one).area > 0  # the map itself shows ice beyond: it is the number that leaves it out
    written = gpd.read_file(tmp_path / "outlines.gpkg").query("system == 'extent-demo'")
    assert (written.zmin_m <= written.zmed_m).all() and (written.zmed_m <= written.zmax_m).all()
    assert written.slope_deg.between(0, 90).all() and (written.dem_seen > 0.99).all()
    assert written.debris_share.between(0, 1).all() and written.debris_share.max() > 0.05  # rubble covers the tongues
    assert (written.lmax_m > 0).all() and (written.dem_source == "cop-dem-glo-30").all()
    levels = pd.read_parquet(tmp_path / "hypsometry.parquet").groupby("time").area_m2.sum()
    seen = gpd.read_parquet(tmp_path / "seen.parquet").geometry
    common = shapely.intersection_all(seen.to_numpy())
    for time, ice in zip(levels.index, (one, two), strict=True):
        assert levels[time] == pytest.approx(ice.intersection(common).area, rel=0.01), time
    shown = panels(tmp_path / "change.html")
    assert shown == panels(tmp_path / "03_area_change.html") and {"How many", "Area over time"} <= set(shown)
    told = nbformat.read(tmp_path / "03_area_change.ipynb", 4).cells[-2].outputs[-1]["data"]["text/markdown"]
    assert all(
        word in told
        for word in ("smooth=1", "no glacier grew", "err alike", "less than 30%", "m a⁻¹", "by hand by A. Reader")
    )


def test_training_leaves_weights_that_know_what_they_learnt_from(ran):
    folder, name = ran / "06_train_a_system", "extent-demo"
    row = weights.find(str(folder / f"{name}.safetensors"))
    split = splits.read(folder / "split.json")
    assert row.card["split"] == split.sha256 and row.card["fold"] == 0 and 0 not in row.card["learnt_from"]
    scores = pd.read_csv(folder / "scores.csv").set_index("system")
    assert scores.index.tolist() == [f"{name}, as it came", name, "ndsi"]
    told = answer(ran, "06_train_a_system")["answer"]
    assert scores.iou["ndsi"] < told["iou_lower"] < 1  # what it knew it has not forgotten
    assert told["iou"] == pytest.approx(scores.iou[name])
    assert told["iou_lower"] < told["iou"] < told["iou_upper"] and told["blocks"] > 1


def test_comparison_scores_all_on_the_same_ground(ran):
    folder = ran / "07_compare_systems"
    scenes, table = pd.read_csv(folder / "scenes.csv"), pd.read_csv(folder / "table.csv").set_index("system")
    by = {name: some.sort_values("name") for name, some in scenes.groupby("system")}
    assert by["ndsi"]["name"].tolist() == by["extent-demo"]["name"].tolist() == ["2025, fold 0", "2025, fold 1"]
    assert set(table.index) == set(by) and table.steps["ndsi"] == 0 and table.steps["extent-demo"] == 8
    for name, some in by.items():
        assert table.one_less_iou[name] == pytest.approx(some.one_less_iou.mean())
        assert table.low[name] <= table.one_less_iou[name] <= table.high[name]
    assert table.to_best.iloc[0] == 0 and np.all(table.to_best >= 0)


def test_the_rock_glacier_is_found_again_in_both_summers(ran):
    told = answer(ran, "08_rock_glaciers")
    score = told["scores"]
    assert score["found"] == score["n_true"] == len(demo.truth("rock_glaciers", 7)) and score["right"] >= 1
    sums = told["answer"]
    assert sums["lower_m2"] < sums["area_m2"] < sums["upper_m2"] and sums["rock_glaciers"] == score["n"]
    found = gpd.read_parquet(ran / "08_rock_glaciers" / "rock_glaciers.parquet")
    assert (found.found_in <= found.seen_in).all() and (found.seen_in <= 2).all() and found.zmin_m.notna().all()
    assert sums["area_m2"] == pytest.approx(found.area_m2.sum()) and found.found_in.iloc[0] == 2


@pytest.mark.parametrize("page", ["06_train_a_system/training.html", "08_rock_glaciers/rock_glaciers.html"])
def test_numbers_stand_beside_every_plot(ran, page):
    text = (ran / page).read_text()
    assert text.count("<table class=numbers") == text.count("<figure") > 1


def test_every_axis_of_theirs_says_what_it_shows(ran):
    figures = 0
    for path in sorted(ran.rglob("*.html")):
        for model in scenery.shown(path):
            assert not scenery.unnamed(model), f"{path.name}: {scenery.unnamed(model)}"
            figures += len(scenery.figures(model))
    assert figures > 2 * len(SMALL)


@pytest.mark.browser
def test_their_pages_open_in_silence(ran, opened):
    pages = sorted(ran.rglob("*.html"))
    assert len(pages) == 2 * len(SMALL)
    for path in pages:
        assert opened(path).title(), path.name
