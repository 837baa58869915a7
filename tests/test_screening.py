"""What the screens let through and what they hold back, on fronts and outlines whose faults are known."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pandas as pd
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import readers, screening

CRS = "EPSG:32633"
EAST, NORTH = 500_000.0, 7_000_000.0


def line(position, bulge=100.0, shape=lambda x: np.sin(np.pi * x), n=41):
    """A front 2 km wide at `position` (m) down-flow, bulging in its middle."""
    x = np.linspace(0, 1, n)
    return shapely.LineString(np.stack([EAST + 2000 * x, NORTH - position - bulge * shape(x)], axis=1))


def frame(lines, rgi_id="a"):
    times = pd.Timestamp("2015-08-30") + pd.to_timedelta(12 * np.arange(len(lines)), "D")
    return gpd.GeoDataFrame({"rgi_id": rgi_id, "time": times}, geometry=list(lines), crs=CRS)


def square(west, south, side):
    return shapely.box(EAST + west, NORTH + south, EAST + west + side, NORTH + south + side)


def test_complexity_is_nought_for_a_convex_front_and_grows_with_folds():
    assert screening.complexity(line(0)) == pytest.approx(0, abs=1e-12)
    assert screening.complexity(line(0, 0)) == 0
    assert screening.complexity(shapely.LineString([(0, 0), (5, 1)])) == 0
    folds = [screening.complexity(line(0, 100, lambda x, k=k: np.sin(2 * np.pi * k * x), 401)) for k in (1, 3, 10)]
    assert 0 < folds[0] < folds[1] < folds[2] < 1


def test_complexity_is_its_formula_on_a_notch():
    notch = shapely.LineString([(0, 0), (0, 4), (2, 2), (4, 4), (4, 0)])
    length = 12 + 2 * np.sqrt(8)
    amplitude, concavity = (length - 16) / length, (16 - 12) / 16
    share = 2 / 3  # turns at the first and last corner are clockwise, at the notch not
    frequency = 16 * (share - 0.5) ** 4 - 8 * (share - 0.5) ** 2 + 1
    assert screening.complexity(notch) == pytest.approx(0.8 * amplitude * frequency + 0.2 * concavity)


@pytest.mark.parametrize("change", [
    lambda shape: shape.reverse(),
    lambda shape: shapely.affinity.rotate(shape, 77),
    lambda shape: shapely.affinity.scale(shape, -3, 3),
    lambda shape: shapely.affinity.translate(shape, 1e4, -1e4),
])  # fmt: skip
def test_complexity_does_not_know_direction_place_or_size(change):
    wavy = line(0, 100, lambda x: np.sin(7 * x) + x**2, 101)
    assert screening.complexity(change(wavy)) == pytest.approx(screening.complexity(wavy), rel=1e-6)


def test_area_between_two_fronts_is_what_they_swept():
    a, b = line(0), line(150)
    for first, second in ((a, b), (b, a), (a.reverse(), b), (a, b.reverse())):
        assert screening.area_between(first, second) == pytest.approx(150 * 2000)
    assert screening.area_between(a, a) == pytest.approx(0, abs=1e-6)
    sine, flat = line(0, 100, lambda x: np.sin(2 * np.pi * x), 2001), line(0, 0)
    assert screening.area_between(sine, flat) == pytest.approx(100 * 2000 * 2 / np.pi, rel=1e-4)  # both sides count


def test_outliers_on_one_side_or_both():
    values = np.array([1, 2, 3, 4, 5, 14.9, -20, np.nan])
    low, high = np.nanquantile(values, (0.25, 0.75))
    assert screening.outliers(values).tolist() == (values > high + 2 * (high - low)).tolist()
    both = screening.outliers(values, 1.5, both=True)
    assert both[6] and not both[7] and not both[:5].any()
    assert not screening.outliers(np.full(9, 3.3)).any() and not screening.outliers(np.full(3, np.nan)).any()


def test_each_fault_is_held_back_for_its_reason():
    rng = np.random.default_rng(0)
    lines = [line(20 * n + rng.normal(0, 5), 100 + rng.normal(0, 5)) for n in range(30)]
    lines[7] = line(140, 60, lambda x: np.sin(np.pi * x) + 0.8 * np.sin(40 * np.pi * x), 801)  # folded
    lines[12] = shapely.LineString(lines[12].coords[:15])  # a third
    lines[20] = line(3000)  # an iceberg's edge
    lines[25] = shapely.LineString()
    found = screening.fronts(frame(lines))
    assert found.note.drop([7, 12, 20, 25]).eq("").all()
    assert found.note[[7, 12, 20, 25]].tolist() == ["complexity", "length", "moved too far", "no front"]
    assert found.length_m[0] == pytest.approx(lines[0].length, rel=2e-3) and np.isnan(found.change_m2[25])
    steps = found.change_m2.drop([7, 12, 20, 25])
    assert steps.between(0, 41 * 2000).all()


def test_a_calving_that_stays_is_no_fault():
    lines = [line(20 * n) for n in range(15)] + [line(-1500 + 20 * n) for n in range(15)]
    assert screening.fronts(frame(lines)).note.eq("").all()
    assert (screening.fronts(frame(lines), max_change=30_000.0).note == "moved too far").all()


def test_glaciers_are_screened_by_themselves():
    one, two = frame([line(20 * n) for n in range(9)]), frame([line(9000 + 900 * n, 700) for n in range(9)], "b")
    both = screening.fronts(pd.concat([one, two], ignore_index=True))
    assert both.note.eq("").all() and sorted(both.rgi_id.unique()) == ["a", "b"]
    assert len(screening.fronts(one.iloc[:1])) == 1 and len(screening.fronts(one.iloc[:0])) == 0
    with pytest.raises(ValueError, match="need metres"):
        screening.fronts(one.to_crs(4326))


def test_bedrock_cuts_a_front():
    rock = gpd.GeoDataFrame(geometry=[square(0, -500, 500), square(1000, 4000, 10)], crs=CRS)
    cut = screening.fronts(frame([line(0, 0), line(-9000, 0)]), rock)
    assert cut.length_m.to_numpy() == pytest.approx([1500, 2000], rel=2e-3)
    gone = screening.fronts(frame([line(0, 0)]), gpd.GeoDataFrame(geometry=[square(-10, -9, 3000)], crs=CRS))
    assert gone.note.item() == "no front"


def test_real_fronts_of_one_glacier_pass_but_few(data):
    fronts = readers.harald_moltke(data / "harald_moltke_brae")
    fronts = fronts.to_crs(fronts.estimate_utm_crs()) if fronts.crs.is_geographic else fronts
    found = screening.fronts(fronts)
    assert len(found) == 159
    passed = (found.note == "").mean()
    assert passed > 0.75  # they were checked by hand; an outlier rule drops some of any sample
    wrong = fronts.copy()
    wrong.loc[wrong.index[80], "geometry"] = shapely.affinity.translate(wrong.geometry.iloc[80], 20_000, 0)
    again = screening.fronts(wrong).set_index("time").note
    assert again[wrong.time.iloc[80]] == "moved too far"


GRID = GeoBox((60, 100), odc.geo.geom.Affine(20, 0, EAST, 0, -20, NORTH), CRS)


def layer(values):
    return xr.DataArray(np.asarray(values, dtype="float32"), odc.geo.xr.xr_coords(GRID), ("y", "x"))


def test_confidence_names_the_test_that_failed():
    row = np.arange(60)[:, None]
    sharp = np.repeat(np.where(abs(row - 30) <= 1, 0.9, 0.02), 100, axis=1)
    across = shapely.LineString([(EAST, NORTH - 30.5 * 20), (EAST + 2000, NORTH - 30.5 * 20)])
    lines = frame([across, shapely.LineString(np.asarray(across.coords) * [0.3, 1] + [EAST * 0.7, 0])])
    ice = layer(np.repeat(np.where(row < 30, 0.97, 0.03), 100, axis=1))
    good = screening.confidence(lines, layer(sharp), ice)
    assert good.note.tolist() == ["", "length"]  # 100 and 30 pixels
    assert good.edge[0] == pytest.approx(0.9) and good.beside[0] == pytest.approx(0.02)
    assert good["mask"][0] == pytest.approx(0.97) and good.length_px[0] == pytest.approx(100)
    assert screening.confidence(lines, layer(sharp / 2), ice).note[0] == "edge"
    assert screening.confidence(lines, layer(np.maximum(sharp, 0.2)), ice).note[0] == "beside"
    assert screening.confidence(lines, layer(sharp), ice * 0 + 0.6).note[0] == "mask"
    assert screening.confidence(lines, layer(sharp)).note[0] == ""  # without a mask nothing is said of it


def inventory():
    """Two glaciers 30 m apart, 1 km and 0.5 km wide."""
    shapes = [square(0, 0, 1000), square(1030, 0, 500)]
    return gpd.GeoDataFrame({"rgi_id": ["a", "b"]}, geometry=shapes, crs=CRS)


def outlines(shapes, time="2020-08-30"):
    return gpd.GeoDataFrame({"time": pd.Timestamp(time)}, index=range(len(shapes)), geometry=shapes, crs=CRS)


def test_recalled_ice_is_what_the_inventory_has_and_no_more():
    mapped = outlines([square(-100, -100, 1200)])  # all of a with 100 m about it, 70 m of b
    found = screening.recalled(mapped, inventory()).set_index("rgi_id")
    assert found.area_m2.to_dict() == pytest.approx({"a": 1e6, "b": 70 * 500})
    assert found.recall.to_dict() == pytest.approx({"a": 1.0, "b": 70 / 500})
    wide = screening.recalled(mapped, inventory(), buffer=20.0).set_index("rgi_id")
    corner = 20**2 * np.pi / 4
    # 20 m about a, rounded at its corners (8 chords a quarter); it meets b's ring, which is both's
    assert wide.area_m2["a"] == pytest.approx(1e6 + 4 * 20 * 1000 + 4 * corner, rel=1e-4)
    assert wide.recall.to_dict() == pytest.approx(found.recall.to_dict())  # of the outline itself
    near = inventory().assign(geometry=[square(0, 0, 1000), square(1010, 0, 500)])
    spared = screening.recalled(mapped, near, buffer=20.0).set_index("rgi_id")
    assert spared.area_m2["a"] < wide.area_m2["a"]  # not into its neighbour
    two = pd.concat([mapped, outlines([square(0, 0, 500)], "2022-08-30")], ignore_index=True)
    dated = screening.recalled(two, inventory())
    assert dated[dated.rgi_id == "a"].recall.tolist() == pytest.approx([1.0, 0.25])


def test_what_lies_beyond_is_told_by_ring():
    mapped = outlines([square(-15, 0, 1015)])  # 15 m too far west and 15 m too far north
    table = screening.beyond(mapped, inventory()).set_index(["rgi_id", "from_m"]).area_m2
    # west 15 x 1015 and north 15 x 1000, in two rings of ten metres; the corner is round in the rings
    corner = (15 * 15, 10 * 10 * np.pi / 4)
    assert table["a", 0.0] == pytest.approx(10 * 1000 * 2 + corner[1], rel=1e-3)
    total = table["a"].sum()
    assert total == pytest.approx(15 * 1015 + 15 * 1000, rel=1e-3)
    assert ("b", 0.0) not in table.index or table["b", 0.0] == pytest.approx(0, abs=1e-6)


def test_changes_are_filtered_by_recall_and_by_signal():
    table = pd.DataFrame({
        "rgi_id": ["a", "b", "c", "region"],
        "change_m2": [-100.0, -100.0, 10.0, -190.0],
        "change_lower_m2": [-150.0, -150.0, -40.0, -300.0],
        "change_upper_m2": [-50.0, -50.0, 60.0, -80.0],
    })  # fmt: skip
    found = screening.changes(table, pd.Series({"a": 0.9, "b": 0.5, "c": 0.9}))
    assert found.note.tolist() == ["", "recall", "signal to noise", ""]
    assert found.signal_to_noise[:3].tolist() == [2.0, 2.0, 0.2] and np.isnan(found.signal_to_noise[3])
    assert screening.changes(table).note.tolist() == ["", "", "signal to noise", ""]


def test_extrapolation_keeps_each_class_its_own_share():
    sizes = pd.DataFrame({"rgi_id": list("abcde"), "area_m2": [0.2e6, 0.3e6, 2e6, 3e6, 4e6]})
    table = pd.DataFrame({"rgi_id": ["a", "c", "d", "region"], "change_m2": [-0.05e6, -0.2e6, -0.3e6, -1.0]})
    found = screening.extrapolated(table, sizes, classes=(0.1, 1.0, 10.0))
    assert found.percent.tolist()[:2] == pytest.approx([-25, -10])
    assert found.change_m2.tolist() == pytest.approx([-0.125e6, -0.9e6, -1.025e6])
    assert found.n.tolist() == [1, 2, 3] and found.n_all.tolist() == [2, 3, 5]
    alone = screening.extrapolated(table, sizes, classes=(0.1, 0.25, 1.0, 10.0))
    assert np.isnan(alone.change_m2.iloc[1]) and np.isnan(alone.change_m2.iloc[-1])  # nobody speaks for b


def test_fronts_of_no_name_are_screened_too_and_rows_of_one_number_stay_apart():
    lines = [line(-50.0 * n) for n in range(8)]
    lines[5] = line(-50_000.0)
    found = screening.fronts(frame(lines).assign(rgi_id=None))
    assert found.note.tolist() == ["moved too far" if n == 5 else "" for n in range(8)]
    with pytest.raises(ValueError, match="fronts lack time"):
        screening.fronts(frame(lines).drop(columns="time"))
    twice = pd.concat([frame(lines[:2])] * 2)  # whose rows have the same numbers
    assert len(screening.confidence(twice, layer(np.zeros(GRID.shape)))) == 4
