"""Whose ice it is: a tributary that comes loose, the parts of a glacier, names by place."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from glacier_nb import basins, change, readers, vectorize

CRS = "EPSG:32633"
TRUNK = shapely.box(0, 0, 1000, 5000)
JOINED = shapely.box(1000, 3000, 3000, 4000)  # a tributary that touches the trunk
APART = shapely.box(1200, 3000, 3000, 4000)  # and the same after its tongue melted back
SPECK = shapely.box(400, 5100, 450, 5150)  # 2500 m2
BASIN = gpd.GeoDataFrame({"rgi_id": ["RGI2000-v7.0-G-08-00001"]}, geometry=[shapely.box(-1e4, -1e4, 1e4, 1e4)], crs=CRS)


def place(frame):
    """The drawing, which starts at 0, 0, put where the zone's maps lie."""
    return frame.set_geometry(frame.translate(500_000, 7_000_000), crs=CRS)


def mapped(year, *bodies):
    shapes = shapely.union_all(bodies)
    return place(gpd.GeoDataFrame({"time": [pd.Timestamp(f"{year}-08-30")], "system": ["drawn"], "pixel_m": [10.0]},
                                  geometry=[shapes], crs=CRS))  # fmt: skip


@pytest.fixture
def two_dates():
    frames = [mapped(2000, TRUNK, JOINED, SPECK), mapped(2020, TRUNK, APART, SPECK)]
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=CRS)


def test_a_loose_tributary_stays_in_its_parents_row_and_area(two_dates):
    found = vectorize.split(two_dates, place(BASIN))
    assert list(found.rgi_id) == list(found.parent_rgi_id) == [BASIN.rgi_id[0]] * 2
    assert found.area_m2.to_numpy() == pytest.approx([7e6 + 2500, 6.8e6 + 2500])
    table = change.area(two_dates, place(BASIN)).query("rgi_id != 'region'")
    assert table.change_m2.iloc[-1] == pytest.approx(-2e5) and table.events.iloc[-1] == "split into 2"


def test_ice_of_an_overlap_is_counted_once():
    """Two basins that overlap by 200 m over 1 km2 of ice, and a third within both: the first in order has it."""
    frame = mapped(2000, shapely.box(0, 0, 1000, 1000))
    boxes = shapely.box([-100, 400, 450], -100, [600, 1100, 550], 1100)
    divides = place(gpd.GeoDataFrame({"rgi_id": ["a", "b", "c"]}, geometry=boxes, crs=CRS))
    for order, areas, twice in (
        ([0, 1], [6e5, 4e5], 2e5), ([1, 0], [4e5, 6e5], 2e5), ([0, 1, 2], [6e5, 4e5], 3e5),
        ([2, 0, 1], [5e5, 4e5, 1e5], 3e5),
    ):  # fmt: skip
        some = divides.iloc[order]
        found = basins.split(frame, some)
        assert found.area_m2.to_numpy() == pytest.approx(areas)
        assert found.area_m2.sum() == pytest.approx(1e6) and found.margin_m.sum() == pytest.approx(4000)
        assert found.attrs["overlap_m2"] == pytest.approx(twice) and found.attrs["outside_m2"] < 1
    assert change.area(frame, divides).query("rgi_id == 'region'").area_m2.item() == pytest.approx(1e6)
    apart = basins.split(frame, place(gpd.GeoDataFrame({"rgi_id": ["a", "b"]}, geometry=[
        shapely.box(-100, -100, 500, 1100), shapely.box(500, -100, 1100, 1100)], crs=CRS)))  # fmt: skip
    assert apart.attrs["overlap_m2"] == 0


def test_parts_have_rows_ids_and_one_parent(two_dates, tmp_path):
    whole = vectorize.split(two_dates, place(BASIN))
    found = basins.parts(whole)
    assert list(found.groupby("time").size()) == [1, 2]
    assert (found.parent_rgi_id == BASIN.rgi_id[0]).all()
    trunk, loose = found[found.time.dt.year == 2020].itertuples()
    assert trunk.rgi_id == BASIN.rgi_id[0] and trunk.area_m2 == pytest.approx(5e6 + 2500)  # with the speck
    assert loose.rgi_id.startswith("G015") and loose.area_m2 == pytest.approx(1.8e6)
    found.to_file(tmp_path / "parts.gpkg")
    assert (readers.inventory(tmp_path / "parts.gpkg").parent_rgi_id == BASIN.rgi_id[0]).all()  # edited elsewhere
    assert found.margin_m.sum() == pytest.approx(whole.margin_m.sum())
    assert loose.margin_m == pytest.approx(5600)
    small = basins.parts(whole, min_area=1000)
    assert len(small) == 5 and small.area_m2.sum() == pytest.approx(whole.area_m2.sum())
    assert not small.duplicated(["rgi_id", "time"]).any()


def test_change_sums_the_parts_by_parent(two_dates):
    whole = vectorize.split(two_dates, place(BASIN))
    found = basins.parts(whole)
    by_row = change.area(whole)
    by_part = change.area(found.assign(rgi_id=found.parent_rgi_id))
    for column in ("area_m2", "lower_m2", "change_m2", "change_lower_m2"):
        assert by_part[column].to_numpy() == pytest.approx(by_row[column].to_numpy())
    again = change.area(found, place(BASIN))
    assert again.change_m2.to_numpy() == pytest.approx(by_row.change_m2.to_numpy())


def test_divides_made_of_parts_keep_the_inventorys_glacier(two_dates):
    parts = basins.parts(vectorize.split(two_dates.iloc[1:], place(BASIN)))
    found = vectorize.split(two_dates.iloc[1:], parts)
    assert set(found.rgi_id) == set(parts.rgi_id) and set(found.parent_rgi_id) == {BASIN.rgi_id[0]}


def test_without_an_inventory_the_parent_is_the_first_name():
    two = place(gpd.GeoDataFrame({"rgi_id": ["x"], "parent_rgi_id": [""]}, geometry=[shapely.union_all([TRUNK, APART])],
                                 crs=CRS))  # fmt: skip
    assert list(basins.parts(two).parent_rgi_id) == ["x", "x"]
    assert len(basins.parts(two.iloc[:0])) == 0
    with pytest.raises(LookupError, match="rgi_id"):
        basins.parts(two.drop(columns="rgi_id"))
    with pytest.raises(ValueError, match="EPSG:32633"):
        basins.parts(two.to_crs(4326))


def test_names_by_place_repeat_at_another_date_alone():
    frame = mapped(2000, TRUNK)
    frame = gpd.GeoDataFrame(pd.concat([frame, frame, frame.assign(time=pd.Timestamp("2020-08-30"))]), crs=CRS)
    first, second, later = basins.named(frame.reset_index(drop=True))
    assert second == f"{first}-2" and later == first


def test_a_name_at_the_meridian_has_six_digits():
    west = gpd.GeoDataFrame(geometry=[shapely.box(-0.0006, 50.0001, 0.0003, 50.0003)], crs=4326)
    assert basins.named(west) == ["G000000E50000N"]


def test_gather_makes_touching_parts_one_polygon():
    halves = np.array([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1), shapely.LineString([(0, 0), (5, 5)])])
    assert basins.gather(halves, np.zeros(3, int))[0].equals(shapely.box(0, 0, 2, 1))


def test_outlines_without_a_date_hold_for_any_day():
    def known(ids, years):
        return gpd.GeoDataFrame({"rgi_id": list(ids), "time": pd.to_datetime(years)}, geometry=[TRUNK] * len(ids),
                                crs=CRS)  # fmt: skip

    series = known("aabbcb", ["2000", "2010", "2000", "2010", None, None])
    for day, year in (("2002-08-01", 2000), ("2009-08-01", 2010)):
        found = basins.at(series, day)
        assert found.rgi_id.tolist() == ["a", "b", "c"]  # b has dates, so that its undated outline is none of the day
        assert found.time.dt.year.dropna().tolist() == [year, year]
    scattered = known("abcd", ["2000", "2003", "2010", None])  # no date holds half of the glaciers
    assert basins.at(scattered, "2009-08-01").rgi_id.tolist() == ["a", "b", "c", "d"]
    assert basins.at(known("ab", [None, None]), "2009-08-01").rgi_id.tolist() == ["a", "b"]
