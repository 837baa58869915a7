"""Records as their makers publish them: the same columns, signs and units, whoever wrote the table."""

# ruff: noqa: E501, the headings are as published

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from glacier_nb import datasets, records, terminus

WGMS_2021 = """POLITICAL_UNIT,NAME,WGMS_ID,YEAR,SURVEY_DATE,REFERENCE_DATE,FRONT_VARIATION,FRONT_VAR_UNC,QUALITATIVE_VARIATION
CH,RHONE,473,2003,20030999,20020999,-12,2,
CH,RHONE,473,2004,20040912,20030999,-8,,
AT,HINTEREIS F.,491,2003,20039999,20029999,-25,1,
AT,HINTEREIS F.,491,2005,20050901,20049999,-20,1,
AT,HINTEREIS F.,491,2006,20060901,,,,-X
"""
WGMS_2023 = """country,glacier_name,glacier_id,series_id,begin_date,begin_date_unc,end_date,end_date_unc,length_change,length_change_unc,length_change_direction,end_platform,remarks
NO,"Nigardsbreen, south",290,1,1748-07-01,183,1757-07-01,183,-120,,retreat,terrestrial,
NO,"Nigardsbreen, south",290,1,1757-07-01,183,1758-07-01,183,35,5,advance,terrestrial,
"""
GLAMOS = """The data of the Swiss Glacier Monitoring Network are freely available,
cite as: GLAMOS (2023)

LENGTH CHANGE

glacier name;glacier id;start date of observation;quality of start date;end date of observation;quality of end date;length change;elevation of glacier tongue;observer
;(according to Swiss Glacier Inventory);date_start;x = date not exactly known;date_end;x = date not exactly known;dL;h_min;
;;yyyy-mm-dd (ISO 8601);;yyyy-mm-dd (ISO 8601);;m;m asl.;
Glacier de Corbassière;B83/03;1889-09-01;x;1890-09-01;x;-21;1907;a
Glacier de Corbassière;B83/03;1890-09-01;x;1892-09-01;x;10.5;;a
"""
BALANCE_2021 = """POLITICAL_UNIT,NAME,WGMS_ID,YEAR,LOWER_BOUND,UPPER_BOUND,AREA,WINTER_BALANCE,SUMMER_BALANCE,ANNUAL_BALANCE,ANNUAL_BALANCE_UNC
AT,HINTEREIS F.,491,2003,9999,9999,7.4,1100,-2914,-1814,100
AT,HINTEREIS F.,491,2003,2400,2450,0.1,,,-5000,
"""
BALANCE_2023 = """country,glacier_name,glacier_id,year,time_system,begin_date,begin_date_unc,midseason_date,end_date,winter_balance,summer_balance,annual_balance,annual_balance_unc,area
AT,Hintereisferner,491,2003,fixed,2002-10-01,0,2003-05-01,2003-09-30,1.1,-2.914,-1.814,0.1,7400000
"""
BALANCE_GLAMOS = """GLAMOS (2018). Swiss Glacier Mass Balance

SWISS GLACIER MASS BALANCE (OBSERVATION PERIOD)

name; id; start_obs; end_winter_obs; end_obs; winter_mb; summer_mb; annual_mb; area
Glacier de Corbassière;B83/03;1996-09-12;1997-09-01;1997-08-27;969;-961;8;16.17750
"""  # fmt: skip


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "record.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_wgms_front_variations_in_capitals(tmp_path):
    found = records.lengths(written(tmp_path, WGMS_2021))
    assert tuple(found.columns) == records.LENGTHS and set(found.system) == {"WGMS"} and len(found) == 4
    rhone = found[found.glacier_id == "473"]
    assert rhone.position_m.tolist() == [-12, -20] and rhone.uncertainty_m.isna().tolist() == [False, True]
    assert rhone.time.dt.strftime("%Y-%m-%d").tolist() == ["2003-09-15", "2004-09-12"]  # an unknown day is the 15th
    hintereis = found[found.glacier_id == "491"]
    assert hintereis.position_m.iloc[0] == -25 and np.isnan(hintereis.position_m.iloc[1])  # a year is missing between


def test_wgms_front_variations_since_2023_reach_back(tmp_path):
    found = records.lengths(written(tmp_path, WGMS_2023))
    assert found.glac_name.unique().tolist() == ["Nigardsbreen, south"]
    assert found.position_m.tolist() == [-120, -85] and found.time.dt.year.tolist() == [1757, 1758]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin1"])
def test_glamos_length_changes(tmp_path, encoding):
    found = records.lengths(written(tmp_path, GLAMOS, encoding))
    assert found.glac_name.unique().tolist() == ["Glacier de Corbassière"] and set(found.system) == {"GLAMOS"}
    assert found.length_change_m.tolist() == [-21, 10.5] and found.position_m.tolist() == [-21, -10.5]
    assert (found.time - found.start).dt.days.tolist() == [365, 731]
    comma = GLAMOS.replace(",", "").replace(";", ",")
    pd.testing.assert_frame_equal(records.lengths(written(tmp_path, comma, encoding)), found)


def test_one_balance_whoever_publishes_it(tmp_path):
    old, new = (records.mass_balance(written(tmp_path, text)) for text in (BALANCE_2021, BALANCE_2023))
    assert tuple(new.columns) == records.BALANCES
    pd.testing.assert_frame_equal(old.drop(columns=["glac_name", "start"]), new.drop(columns=["glac_name", "start"]))
    assert abs(old.start[0] - new.start[0]) <= pd.Timedelta(days=1)  # a year alone ends with 30 September
    assert new.annual_m_we.tolist() == [-1.814] and new.area_km2.tolist() == [7.4]
    assert new.winter_m_we[0] + new.summer_m_we[0] == pytest.approx(new.annual_m_we[0])
    swiss = records.mass_balance(written(tmp_path, BALANCE_GLAMOS)).iloc[0]
    assert (swiss.annual_m_we, swiss.winter_m_we, swiss.area_km2) == (0.008, 0.969, 16.1775)
    assert str(swiss.start.date()) == "1996-09-12" and str(swiss.time.date()) == "1997-08-27"


def test_471_lengths_of_leclercq(data):
    found = datasets.read("leclercq-lengths", data)
    assert found.glacier_id.nunique() == 471 and str(found.time.min().date()) == "1534-07-01"
    series = found.groupby("glacier_id")
    assert (series.position_m.first() == 0).all() and series.time.apply(lambda time: time.is_monotonic_increasing).all()
    np.testing.assert_allclose(series.length_change_m.sum(), series.position_m.last())
    rhone = found[found.rgi_id == "RGI60-11.01238"]
    assert rhone.glac_name.unique().tolist() == ["Rhone"] and rhone.position_m.iloc[-1] < -2000


def test_karale_the_glacier_that_both_records_have(data):
    """Leclercq's Karale Glacier (450) is MEaSUREs' 172, by its place; no other is in both, none of Svalbard's five is.

    Two tellings of one retreat: by summer images along a line there, by winter images across the front here. They
    share no image, and 2000 to 2010 is all that they share of time.
    """
    lengths = datasets.read("leclercq-lengths", data)
    record = lengths[lengths.glacier_id == "450"].set_index("time").position_m
    told = record["2010-07-01"] - record["2000-07-01"]
    fronts = datasets.read("measures-termini", data).query("glacier_id == 172").to_crs(3413)
    inland = gpd.GeoSeries.from_xy([-36.75], [66.10], crs=4326).to_crs(3413)  # west: it flows eastwards into its fjord
    upglacier = tuple(inland.get_coordinates().iloc[0])
    box, line = terminus.draw_box(fronts, upglacier), terminus.draw_centreline(fronts, upglacier)
    years = (fronts.time - pd.Timestamp("2000-07-01")) / pd.Timedelta(days=365.25)
    for method in ("box", "multi-centreline", "centreline"):
        found = terminus.positions(fronts, method, box=box, centreline=line, upglacier=upglacier, pixel=20.0)
        ours = np.interp(10, years, found.position_m)
        assert told < 0 and ours < 0 and 0.5 < ours / told < 2, method


def test_another_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"record\.csv is not a length record of WGMS or GLAMOS"):
        records.lengths(written(tmp_path, BALANCE_2021))
    with pytest.raises(ValueError, match="not a mass-balance record"):
        records.mass_balance(written(tmp_path, "a,b\n1,2\n"))
    with pytest.raises(FileNotFoundError, match="no file"):
        records.lengths(tmp_path / "none.csv")


def test_dates_with_points_and_none_at_all(tmp_path):
    heads = "glacier_id,glacier_name,date_start,date_end,length_change\n"
    found = records.lengths(written(tmp_path, heads + "1,A,15.09.1602,30.9.1850,-10.5\n"))
    assert found.start.astype(str).tolist() == ["1602-09-15"] and found.time.astype(str).tolist() == ["1850-09-30"]
    with pytest.raises(ValueError, match="no date of its 1 length changes could be read"):
        records.lengths(written(tmp_path, heads + "1,A,some day,another,-10.5\n"))
