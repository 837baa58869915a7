"""Columns by whatever name, and one day written in every form."""

import datetime

import pandas as pd
import pytest

from glacier_nb import columns

DAY = pd.Timestamp("2001-08-13")


@pytest.mark.parametrize(
    "written",
    [
        "2001-08-13", "2001/08/13", "13.08.2001", "13.8.01", "13/08/2001", "08/13/2001", "13-08-2001", "20010813",
        20010813, 20010813.0, "13 Aug 2001", "13Aug2001", "2001225", "2001-225", 997660800, 997660800000,
        "997660800000", datetime.date(2001, 8, 13), DAY, "2001-08-13T00:00:00Z", "200108130000", "2001081300",
    ],
)  # fmt: skip
def test_one_day_in_every_form(written):
    assert columns.dates(pd.Series([written])).tolist() == [DAY]


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2001", "2001-07-01"), (2001.0, "2001-07-01"), (2001.5, "2001-07-02"), ("2004.5", "2004-07-02"),
        ("2000-2002", "2001-07-01"), ("2001/2002", "2002-01-01"), ("20010899", "2001-08-15"),
        (-946771200000, "1940-01-01"),
        ("2001-08-13T23:00:00-05:00", "2001-08-14"),
    ],
)  # fmt: skip
def test_years_spans_and_zones(written, day):
    assert str(columns.dates(pd.Series([written]))[0].date()) == day


@pytest.mark.parametrize(
    "written", ["", None, float("nan"), "n/a", "-9999999", "10:05:00", "2001366", "99", "2001-02-31"]
)
def test_what_is_no_date_is_none(written):
    assert columns.dates(pd.Series([written], dtype=object)).isna().all()


def test_other_rows_tell_whether_the_day_is_first():
    assert columns.dates(pd.Series(["03/08/2001", "13/08/2001"])).dt.month.tolist() == [8, 8]
    assert columns.dates(pd.Series(["03/08/2001", "08/13/2001"])).dt.month.tolist() == [3, 8]
    assert columns.dates(pd.Series(["08/08/2001"])).dt.month.tolist() == [8]
    for rows in (["03/08/2001"], ["03/08/2001", "13/08/2001", "08/13/2001"]):
        with pytest.raises(ValueError, match="03/08/2001: none tells whether the day or the month is first"):
            columns.dates(pd.Series(rows))


def test_the_first_column_that_holds_a_date_is_taken():
    table = pd.DataFrame({"Year": [1990], "IMG_DATE": [None], "time": ["10:05:00"], "Acq_Date": ["2001-08-13"]})
    assert columns.time(table)[0] == "Acq_Date" and columns.time(table)[1].tolist() == [DAY]
    assert columns.time(table[["Year", "IMG_DATE"]])[0] == "Year"
    name, none = columns.time(table[["IMG_DATE"]])
    assert name == "IMG_DATE" and none.isna().all() and columns.time(table[[]])[0] is None
    parts = pd.DataFrame({"YEAR": [2001, 2001], "Month": [8, 8], "Day": [13, None]})
    assert columns.time(parts)[1].dt.day.tolist() == [13, 15]


def test_a_column_without_anything_in_it_names_nothing():
    table = pd.DataFrame({"RGI_ID": [None, None], "GLIMS_ID": ["", " "], "Glac_ID": ["a", None]})
    assert columns.find(table, columns.IDS) == "Glac_ID"
    assert columns.find(table[["RGI_ID"]], columns.IDS) is None and columns.find(table[:0], columns.IDS) == "RGI_ID"
