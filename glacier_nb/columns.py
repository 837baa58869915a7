"""Which column of a table tells what, however its makers called it; and dates in every form that they are written in.

Without a source, plain or ours: `find`, `time`, `dates`, `ordered`.
"""

import re
from collections.abc import Sequence

import pandas as pd

IDS = ("rgi_id", "rgiid", "glac_id", "fcgi_id", "glims_id", "glimsid", "sgi-id", "sgi_id", "sgi", "glacier_id",
       "glacierid")  # fmt: skip
"""Columns that name a glacier, by its id in an inventory."""

NAMES = ("name", "glac_name", "glacname", "glacier", "glacier_name", "glacier_nam", "glacier_na", "id",
         "fid")  # fmt: skip
"""Columns that name it in a file without such an id; the shapefile's ten letters among them."""

DATES = (
    "src_date", "bgndate", "time", "date", "datetime", "date_time", "date_", "timestamp", "img_date", "imgdate",
    "image_date", "imagedate", "acq_date", "acqdate", "date_acq", "acquired", "acquisition_date", "acquisitio",
    "scene_date", "scenedate", "source_date", "sourcedate", "src_dt", "obs_date", "obsdate", "sensing_time", "decdate",
    "dec_date", "year_acq", "year", "jahr",
)  # fmt: skip
"""Columns that date a shape, those that tell the day first."""

SENSORS = ("sensor", "satellite", "imgsource", "platform", "mission")
"""Columns that tell what a shape was drawn on."""


def find(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """The column that is called first of `names` (lower case), in any case, and holds anything; None where none does.

    >>> find(pd.DataFrame({"ID": [1], "RGIId": [None], "Name": ["a"]}), ("rgiid", "name", "id"))
    'Name'
    """
    for name in names:
        for column in table.columns:
            if str(column).lower() == name and (not len(table) or _told(table[column]).any()):
                return column
    return None


def time(table: pd.DataFrame) -> tuple[str | None, pd.Series]:
    """The first column of DATES that holds a date, and its dates (see `dates`); a year beside month and day is a day.

    Where none does: the first that should, or None, and NaT. ValueError as `dates`.

    >>> name, days = time(pd.DataFrame({"time": ["10:05:00"], "Date": ["15.07.2019"]}))
    >>> name, str(days[0].date())
    ('Date', '2019-07-15')
    """
    known = {str(column).lower(): column for column in table.columns[::-1]}
    there = [known[name] for name in DATES if name in known]
    for column in there:
        values = table[column]
        if str(column).lower() in ("year", "jahr") and {"month", "day"} <= known.keys():
            parts = [pd.to_numeric(table[known[part]], errors="coerce") for part in ("month", "day")]
            parts = [values, *(part.fillna(0).astype(int).astype(str).str.zfill(2) for part in parts)]
            values = parts[0].astype(str).str.removesuffix(".0") + parts[1] + parts[2]
        found = dates(values)
        if found.notna().any():
            return column, found
    return (there[0] if there else None), pd.Series(pd.NaT, table.index, dtype="datetime64[ns]")


def dates(values: pd.Series) -> pd.Series:
    """Dates as datetime64 of UTC without a zone, NaT where unknown, of text or numbers in any of these forms:

    ISO 8601; RGI's 20030799, where 99 (or 00) is an unknown day or month; 2001213 (day of the year); 15.08.2001 (a
    point parts day, month and year); 15/08/2001 and 08/15/2001, by what the other rows tell; years, alone, as 2001.58
    or as 2000-2002; seconds or milliseconds since 1970; and what pandas reads. An unknown day is the 15th, an unknown
    month July; a year alone is its middle. ValueError: 03/08/2001 where no row tells whether the day is first.

    >>> dates(pd.Series([20030799, "20109999", -9999999, "2016-08-27T00:00:00", 1936.0])).astype(str).tolist()
    ['2003-07-15', '2010-07-15', 'NaT', '2016-08-27', '1936-07-01']
    >>> dates(pd.Series(["01.08.2001", 2001.5, 996624000000, "2000-2002", "13/8/2001"])).dt.date.astype(str).tolist()
    ['2001-08-01', '2001-07-02', '2001-08-01', '2001-07-01', '2001-08-13']
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.to_datetime(values, utc=True).dt.tz_localize(None).astype("datetime64[ns]")
    text = values.where(_told(values), "").astype(str).str.strip()
    text = ordered(text.str.replace(r"\.0+$", "", regex=True))
    return pd.to_datetime(text.map(_iso), format="mixed", errors="coerce", utc=True).dt.tz_localize(None)


def _told(values: pd.Series) -> pd.Series:
    return values.notna() & (values.astype(str).str.strip() != "")


def ordered(text: pd.Series) -> pd.Series:
    """Days, months and years that are parted by a point, a slash or a line as ISO text; ValueError as `dates`.

    >>> ordered(pd.Series(["15.09.1602", "2001-08"])).tolist()
    ['1602-09-15', '2001-08']
    """
    point = text.str.extract(r"^(\d{1,2})\.(\d{1,2})\.(\d{4}|\d\d)\b(.*)")
    slash = text.str.extract(r"^(\d{1,2})[/-](\d{1,2})[/-](\d{4})\b(.*)")
    one, two = (pd.to_numeric(slash[part]) for part in (0, 1))
    days, months = one > 12, two > 12
    open_ = slash[0].notna() & ~days & ~months & (one != two)
    if open_.any() and days.any() == months.any():
        raise ValueError(f"{text[open_].iloc[0]}: none tells whether the day or the month is first, write 2001-08-03")
    last = days | (open_ & days.any())  # the month is the second
    slash = slash.assign(**{"0": slash[0].where(last, slash[1]), "1": slash[1].where(last, slash[0])})
    slash = slash[["0", "1", 2, 3]].set_axis(range(4), axis=1)
    century = (point[2] < "50").map({True: "20", False: "19"})
    point[2] = point[2].where(point[2].str.len() != 2, century + point[2])
    for parts in (point, slash):
        iso = parts[2] + "-" + parts[1].str.zfill(2) + "-" + parts[0].str.zfill(2) + parts[3]
        text = iso.where(parts[0].notna(), text)
    return text


def _iso(text: str) -> str | None:
    """One date as ISO text; None where it is none."""
    if digits := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text):
        year, month, day = digits.groups()
        month = month if "01" <= month <= "12" else "07"
        return f"{year}-{month}-{day if '01' <= day <= '31' else '15'}"
    if year := re.fullmatch(r"[12]\d{3}", text):
        return f"{year[0]}-07-01"
    if span := re.fullmatch(r"([12]\d{3})\s*[-–/]\s*([12]\d{3})", text):
        twice = int(span[1]) + int(span[2])
        return f"{(twice + 1) // 2}-{'01' if twice % 2 else '07'}-01"
    if day := re.fullmatch(r"([12]\d{3})-?([0-3]\d\d)", text):
        found = pd.Timestamp(f"{day[1]}-01-01") + pd.Timedelta(days=int(day[2]) - 1)
        return str(found) if str(found.year) == day[1] else None
    if part := re.fullmatch(r"([12]\d{3})(\.\d+)", text):
        first, last = (pd.Timestamp(f"{int(part[1]) + later}-01-01") for later in (0, 1))
        return str((first + float(part[2]) * (last - first)).normalize())
    clock = re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])([0-5]\d)?", text)
    if not clock and re.fullmatch(r"-?(\d{9,10}|\d{12,13})", text):
        return str(pd.Timestamp(int(text), unit="s" if len(text.lstrip("-")) < 11 else "ms"))
    if clock and len(text) == 10:
        return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:]}:00"
    return None if text.startswith("-9") or re.match(r"\d{1,2}:\d\d", text) else text
