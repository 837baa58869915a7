"""An edit lies beside the model's line, with who, when and why, and every number that uses it says so."""

import dataclasses
import os
import subprocess
import sys

import geopandas as gpd
import holoviews as hv
import jupyter_client.manager
import numpy as np
import pandas as pd
import pytest
import shapely
from scenery import CRS, front_lines, landscape

from glacier_nb import change, edits, exports, hand, maps, terminus, vectorize

WHO, WHY, WHEN = "A. Reader", "shadow taken for ice", "2026-01-05T10:00"


def outlines() -> gpd.GeoDataFrame:
    """The landscape's outlines of all dates, with the margins that vectorize gives."""
    found = pd.concat([landscape(date)["outlines"] for date in range(3)], ignore_index=True)
    return found.assign(margin_m=found.length, pixel_m=10.0)


def smaller(frame: gpd.GeoDataFrame, row: int, by: float = 50.0) -> gpd.GeoDataFrame:
    """One row of `frame`, its outline drawn in."""
    some = frame.iloc[[row]]
    return some.assign(geometry=some.buffer(-by))


def test_the_edit_is_used_and_the_model_stays():
    model = outlines()
    found = edits.apply(model, smaller(model, 4), WHO, WHY, WHEN)
    assert found["edited"].tolist() == [False] * 4 + [True, False]
    assert found.loc[4, ["edited_by", "edited_at", "edit_reason"]].tolist() == [WHO, "2026-01-05T10:00:00+00:00", WHY]
    assert found.geometry.iloc[4].equals(model.buffer(-50).iloc[4])
    assert found["model_geometry"].geom_equals(model.geometry).all()
    assert found.loc[4, "area_m2"] == pytest.approx(found.area[4] / vectorize.scale(found.iloc[[4]])[0])
    assert found.loc[4, "margin_m"] == pytest.approx(model.loc[4, "margin_m"] * found.length[4] / model.length[4])
    assert "edited" not in model  # the frame that went in is as it was


def test_an_edit_is_an_edit_of_the_model_again():
    model = outlines()
    once = edits.apply(model, smaller(model, 4), WHO, WHY, WHEN)
    twice = edits.apply(once, smaller(model, 4, 80), "B. Other", "a lake", WHEN)
    assert twice.loc[4, "edited_by"] == "B. Other"
    assert twice["model_geometry"].iloc[4].equals(model.geometry.iloc[4])
    back = edits.undone(twice)
    assert back.geometry.geom_equals(model.geometry).all() and list(back.columns) == list(model.columns)
    assert back["area_m2"].to_numpy() == pytest.approx(model["area_m2"].to_numpy())


def test_glaciers_are_added_and_taken_away():
    model = outlines()
    gone = model.iloc[[0]].assign(geometry=[shapely.Polygon()])
    new = model.iloc[[1]].assign(rgi_id="demo-3", geometry=[shapely.box(512_100, 8_597_600, 512_300, 8_597_800)])
    found = edits.apply(model, pd.concat([gone, new]), WHO, WHY)
    assert found.geometry.iloc[0].is_empty and found["area_m2"].iloc[0] == 0
    assert found["rgi_id"].iloc[-1] == "demo-3" and found["model_geometry"].iloc[-1] is None
    assert found["area_m2"].iloc[-1] == pytest.approx(200 * 200, rel=1e-2)
    assert len(edits.undone(found)) == len(model)


@pytest.mark.parametrize("divided", [False, True])
def test_a_glacier_added_by_hand_is_one_of_its_map_and_counts(tmp_path, divided):
    """As a file comes back from QGIS: id, date and shape alone."""
    model = outlines().assign(sensor="sentinel-2-l2a")
    other = model.assign(system="ndsi")
    last = model["time"].max()
    new = gpd.GeoDataFrame(
        {"rgi_id": ["demo-3"], "time": [last]}, geometry=[shapely.box(512_100, 8_597_600, 512_300, 8_597_800)],
        crs=model.crs,
    )  # fmt: skip
    path = edits.write(new, tmp_path / "edited.gpkg")
    os.utime(path, (saved := pd.Timestamp("2026-01-05T10:00Z").timestamp(), saved))
    found = edits.corrected(pd.concat([other, model], ignore_index=True), path, WHO, WHY, model["system"].iloc[0])
    mine = found[found["system"] == model["system"].iloc[0]]
    (row,) = mine[mine["rgi_id"] == "demo-3"].itertuples()
    assert row.edited_at == "2026-01-05T10:00:00+00:00"  # when the file was saved, whenever it is read
    assert (row.sensor, row.pixel_m, row.edited) == ("sentinel-2-l2a", model["pixel_m"].iloc[0], True)
    divides = None
    if divided:
        basins = shapely.box(*model.total_bounds).buffer(500)
        divides = gpd.GeoDataFrame({"rgi_id": ["demo-1"]}, geometry=[basins], crs=model.crs)
    plain, table = (change.area(one, divides).set_index(["rgi_id", "time"]) for one in (model, mine))
    before, after = (one.loc[("region", last)] for one in (plain, table))
    assert after["area_m2"] - before["area_m2"] == pytest.approx(200 * 200, rel=1e-2)
    assert after["upper_m2"] - after["area_m2"] > before["upper_m2"] - before["area_m2"]


def test_a_changed_area_says_who_changed_it():
    model = outlines()
    found = edits.apply(model, smaller(model, 4), WHO, WHY, WHEN)
    plain, table = change.area(model), change.area(found)
    last = table[table["time"] == table["time"].max()].set_index("rgi_id")
    assert last["edited"].to_dict() == {"demo-1": True, "demo-2": False, "region": True}
    assert last.loc["region", "edit_reason"] == WHY and table.attrs["edits"][0]["edited_by"] == WHO
    assert not table[table["time"] < table["time"].max()]["edited"].any()
    shrunk = plain[plain["time"] == plain["time"].max()].set_index("rgi_id")["area_m2"] - last["area_m2"]
    off = (model.area[4] - found.area[4]) / vectorize.scale(model.iloc[[4]])[0]
    assert shrunk.to_numpy() == pytest.approx([off, 0, off], abs=1e-3)
    assert list(plain.columns) == [
        name for name in table if name not in ("edited", "edited_by", "edited_at", "edit_reason")
    ]


def test_what_is_compared_with_an_edited_date_is_edited_too():
    model = outlines()
    table = change.area(edits.apply(model, smaller(model, 0), WHO, WHY))
    assert table[table["rgi_id"] == "demo-1"]["edited"].all() and not table[table["rgi_id"] == "demo-2"]["edited"].any()


def test_divides_carry_the_edit_on():
    model = outlines()
    found = edits.apply(model, smaller(model, 4), WHO, WHY)
    left, bottom, right, top = model.total_bounds
    halves = [shapely.box(left, bottom, 513_280, top), shapely.box(513_280, bottom, right, top)]
    divides = gpd.GeoDataFrame({"rgi_id": ["demo-1", "demo-2"]}, geometry=halves, crs=CRS)
    table = change.area(found, divides).groupby("rgi_id")["edited"].last()
    assert table.to_dict() == {"demo-1": True, "demo-2": False, "region": True}


def test_a_front_position_says_who_moved_it():
    fronts, _, box = front_lines()
    moved = fronts.iloc[[3]].assign(geometry=fronts.iloc[[3]].translate(0, 60))
    found = edits.apply(fronts, moved, WHO, "melange", WHEN)
    head = (512_600, 8_590_000)
    one, two = (terminus.positions(frame, box=box, upglacier=head, pixel=10.0) for frame in (fronts, found))
    assert two["edited"].tolist() == [False, False, False, True, False, False]
    assert two["note"].iloc[3] == f"edited by {WHO}: melange" and two["note"].iloc[2] == one["note"].iloc[2]
    assert (two["position_m"] - one["position_m"]).to_numpy() == pytest.approx([0, 0, 0, 60, 0, 0], abs=0.5)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_a_file_comes_back_from_qgis(suffix, tmp_path):
    model = outlines()
    path = edits.write(model, tmp_path / f"outlines{suffix}")
    back = edits.read(path, model)
    assert not edits.apply(model, back, WHO, WHY)["edited"].any()  # untouched, whatever its digits
    back.loc[4, "geometry"] = back.geometry[4].buffer(-30)
    found = edits.apply(model, back, WHO, WHY)
    assert found.index[found["edited"]].tolist() == [4]
    stored = tmp_path / "stored.parquet"
    found.to_parquet(stored)
    again = gpd.read_parquet(stored)
    assert again["model_geometry"].geom_equals(model.geometry).all() and again["edited"].dtype == bool


@pytest.mark.parametrize(
    ("change_", "says"),
    [
        ({"who": " "}, "who="),
        ({"why": ""}, "why="),
        ({"edited": outlines().drop(columns="rgi_id")}, "rgi_id"),
        ({"edited": pd.concat([outlines()] * 2)}, "twice"),
        ({"model": outlines().to_crs(4326)}, "EPSG"),
        ({"edited": outlines().iloc[[0]].assign(geometry=[shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])])}, "mend"),
    ],
    ids=["who", "why", "column", "twice", "degrees", "crossed"],
)
def test_bad_edits_are_refused_in_one_line(change_, says):
    arguments = {"model": outlines(), "edited": outlines(), "who": WHO, "why": WHY} | change_
    with pytest.raises(ValueError, match=says) as caught:
        edits.apply(**arguments)
    assert "\n" not in str(caught.value)


def test_a_pen_needs_nothing_else():
    """As docs/howto/by-hand.md uses it: in a kernel that has imported neither plots nor an extension of holoviews."""
    code = (
        "import geopandas, pandas, shapely; from glacier_nb import hand;"
        "shapes = geopandas.GeoDataFrame({'rgi_id': ['a'], 'time': pandas.to_datetime(['2025-08-21'])},"
        " geometry=[shapely.box(0, 0, 900, 1000)], crs='EPSG:32633'); hand.pen(shapes).view"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


def test_a_pen_gives_back_what_it_was_given():
    for model in (landscape(0)["outlines"], front_lines(1)[0]):
        assert not edits.apply(model, hand.pen(model).edited(), WHO, WHY)["edited"].any()
        assert not edits.apply(model, hand.gathered(hand.spread(model), model), WHO, WHY)["edited"].any()


def test_what_a_pen_draws_is_an_edit():
    date = landscape(0)
    model = date["outlines"]
    pen = hand.pen(model, date["scene"], tolerance=10.0)
    rows = hand.spread(model, 10.0)
    x, y = 512_500.0, 8_599_800.0  # inside demo-1
    inner = {"x": np.array([x, x + 50, x + 50, x]), "y": np.array([y, y, y + 50, y + 50])}
    aside = {"x": np.array([513_000, 513_100, 513_100]), "y": np.array([8_597_500, 8_597_500, 8_597_600])}
    new = [row | {"rgi_id": "", "part": "", "ring": ""} for row in (inner, aside)]
    drawn = [row for row in rows if row["rgi_id"] == "demo-1"] + new  # demo-2 is rubbed out
    data = {name: [row[name] for row in drawn] for name in ("rgi_id", "part", "ring")}
    pen.stream.event(data=data | {"xs": [row["x"] for row in drawn], "ys": [row["y"] for row in drawn]})
    found = edits.apply(model, pen.edited(), WHO, WHY).set_index("rgi_id")
    assert found["edited"].all() and found.geometry["demo-2"].is_empty
    assert found.area["demo-1"] == pytest.approx(model.simplify(10.0).area[0] - 50 * 50)
    assert found.area["new-1"] == pytest.approx(100 * 100 / 2)


def test_a_line_nobody_touched_keeps_its_vertices():
    model = landscape(0)["outlines"]
    pen = hand.pen(model, tolerance=10.0)
    rows = hand.spread(model, 10.0)
    for row in rows:
        row["x"] = row["x"] + (30.0 if row["rgi_id"] == "demo-2" else 0.0)
    data = {name: [row[name] for row in rows] for name in ("rgi_id", "part", "ring")}
    pen.stream.event(data=data | {"xs": [row["x"] for row in rows], "ys": [row["y"] for row in rows]})
    found = edits.apply(model, pen.edited(), WHO, WHY)
    assert found["edited"].tolist() == [False, True] and found.geometry[0].equals(model.geometry[0])


def moved(pen: hand.Pen, by: float = 30.0, rubbed: str = "") -> hand.Pen:
    """A pen whose lines were all drawn `by` metres to the east, but for those of one glacier, rubbed out."""
    rows = [row for row in hand.spread(pen.model, pen.tolerance) if row["rgi_id"] != rubbed]
    data = {name: [row[name] for row in rows] for name in ("rgi_id", "part", "ring")}
    pen.stream.event(data=data | {"xs": [row["x"] + by for row in rows], "ys": [row["y"] for row in rows]})
    return pen


def test_a_pen_saves_what_is_drawn_and_nothing_else(tmp_path):
    model = landscape(0)["outlines"]
    pen = hand.pen(model)
    assert pen.save(tmp_path / "out") is None and not list(tmp_path.iterdir())  # nobody has drawn
    path = moved(pen, rubbed="demo-2").save(tmp_path / "out")
    found = edits.corrected(model, path, WHO, WHY).set_index("rgi_id")
    assert found["edited"].all() and found.geometry["demo-2"].is_empty
    thin = model.simplify(pen.tolerance).translate(30.0).iloc[0]
    assert found.geometry["demo-1"].symmetric_difference(thin).area < 1e-6 * thin.area
    assert moved(pen, 60.0).save(tmp_path / "out") == path  # one pen, one file
    other = dataclasses.replace(moved(hand.pen(model)), made="later")
    assert other.save(tmp_path / "out") != path and len(list((tmp_path / "out").iterdir())) == 2
    front = moved(hand.pen(front_lines(1)[0]))
    back = edits.corrected(front.model, front.save(tmp_path), WHO, WHY)
    assert back["edited"].all() and (back.geometry.hausdorff_distance(front.model.geometry) < 30.1).all()


def test_a_pen_shows_a_scene_of_its_own_date_alone():
    first, last = landscape(0), landscape(2)
    own, none = (hand.pen(first["outlines"], one["scene"]).view for one in (first, last))
    assert [kind in {type(part) for part in own} for kind in (hv.RGB, hv.Path)] == [True, True]
    assert hv.RGB not in {type(part) for part in none}
    title = hv.Store.lookup_options("bokeh", none, "plot").kwargs["title"]
    assert "without the scene" in title and last["scene"].attrs["time"][:10] in title


def test_a_pen_shows_the_ground_about_its_lines():
    """A front on a scene far larger than itself is drawn on what lies within its own length of it."""
    date = landscape(0)
    line = shapely.LineString([(513_000, 8_599_000), (513_000, 8_599_200)])
    pen = hand.pen(date["outlines"].iloc[[0]].assign(geometry=[line]), date["scene"])
    shown = hv.Store.lookup_options("bokeh", pen.view, "plot").kwargs
    assert shown["xlim"] == pytest.approx((512_800, 513_200), abs=10)  # a pixel
    assert shown["ylim"] == pytest.approx((8_598_800, 8_599_400), abs=10)


def test_a_pen_is_for_somebody_at_the_notebook():
    """A front end tells with every cell whether one sits there; papermill's says that nobody does."""
    assert not hand.attended()  # no notebook at all
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    heard = {}
    try:
        for somebody in (False, True):
            client.execute_interactive(
                "from glacier_nb import hand; print(hand.attended())",
                allow_stdin=somebody,
                timeout=120,
                output_hook=lambda said, one=somebody: heard.setdefault(one, []).append(said["content"].get("text")),
            )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "False\n" in heard[False] and "True\n" in heard[True]


def test_a_pen_takes_one_date():
    with pytest.raises(ValueError, match="3 dates"):
        hand.pen(outlines())


def test_a_file_corrects_the_dates_there_are_of_one_system_and_can_be_drawn_and_written(tmp_path):
    model = outlines().assign(system="one")
    path = edits.write(pd.concat([smaller(model, 0), smaller(model, 4)]), tmp_path / "drawn.gpkg")
    both = pd.concat([model, model.assign(system="other")], ignore_index=True)
    days = model["time"].iloc[[0, 4]].tolist()
    late = both[both["time"] > days[0]].reset_index(drop=True)  # the first date is not looked at this time
    found = edits.corrected(late, path, WHO, WHY, "one")
    assert len(found) == len(late) and found["edited"].dtype == bool
    changed = found[found["edited"]]
    assert changed[["system", "time"]].to_numpy().tolist() == [["one", days[1]]]
    drawn = maps.shapes(found, "red")
    assert len(drawn.data) == len(found) and "model_geometry" not in drawn.data[0]
    said = exports.write(found, tmp_path / "out.gpkg")
    assert any("model_geometry holds shapes, written as WKT" in line for line in said)
    back = gpd.read_file(tmp_path / "out.gpkg")
    before = gpd.GeoSeries.from_wkt(back["model_geometry"], crs=back.crs)
    assert (before.symmetric_difference(back.geometry).area > 1).sum() == 1  # the model's line is there too


def test_what_was_drawn_by_hand_keeps_its_shape_and_id_across_divides():
    """A hand's outline that takes a strip of its neighbour: cut by no divide, and the neighbour's ice is less by it."""
    model = outlines()
    last = model[model["time"] == model["time"].max()]
    one, two = last.geometry
    strip = two.intersection(shapely.box(two.bounds[0] - 1, two.bounds[1], two.bounds[0] + 100, two.bounds[3]))
    found = edits.apply(model, last.iloc[[0]].assign(geometry=[one.union(strip)]), WHO, WHY)
    divides = last.assign(parent_rgi_id=["whole-1", "whole-2"])[["rgi_id", "parent_rgi_id", "geometry"]]
    cut = vectorize.split(found[found["time"] == last["time"].iloc[0]], divides).set_index("rgi_id")
    assert cut.geometry["demo-1"].equals(one.union(strip))
    assert cut.area["demo-2"] == pytest.approx(two.area - strip.area) and strip.area > 1000
    assert cut["parent_rgi_id"].tolist() == ["whole-1", "whole-2"]
    assert cut["area_m2"].to_numpy() == pytest.approx(cut.area / vectorize.scale(cut))
    plain = vectorize.split(last, divides).set_index("rgi_id")
    assert cut["area_m2"].sum() == pytest.approx(plain["area_m2"].sum())
    assert list(cut.columns) == list(plain.columns)
