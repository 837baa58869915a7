"""Length and mass-balance records of WGMS, GLAMOS and Leclercq et al. as tables that results are held against."""

import io
import os
import pathlib
import re

import h5py
import numpy as np
import pandas as pd

from glacier_nb import columns, readers

LENGTHS = ("glacier_id", "glac_name", "start", "time", "length_change_m", "uncertainty_m", "position_m", "system")
BALANCES = ("glacier_id", "glac_name", "start", "time", "annual_m_we", "winter_m_we", "summer_m_we", "uncertainty_m_we",
            "area_km2", "system")  # fmt: skip
GAP = pd.Timedelta(days=183)
"""Time between the end of one survey and the start of the next, above which a series is broken."""

# what each column is called: WGMS until 2022 in capitals, WGMS since 2023, GLAMOS in words, GLAMOS in short
_NAMES = {
    "glacier_id": r"wgms_id|glacier_id|glacier id|id",
    "glac_name": r"name|glacier_name|glacier name",
    "start": r"reference_date|begin_date|start date of observation|date_start|start_obs|start of observation.*",
    "time": r"survey_date|end_date|end date of observation|date_end|end_obs|end of observation.*",
    "year": r"year",
    "length_change_m": r"front_variation|length_change|length change",
    "uncertainty_m": r"front_var(iation)?_unc|length_change_unc",
    "annual": r"annual_balance|annual_mb|annual mass balance|annual balance",
    "winter": r"winter_balance|winter_mb|winter mass balance|winter balance",
    "summer": r"summer_balance|summer_mb|summer mass balance|summer balance",
    "uncertainty": r"annual_balance_unc",
    "area": r"area|glacier area",
    "lower": r"lower_bound",
}


def lengths(path: str | os.PathLike) -> pd.DataFrame:
    """Length changes, a row for each survey: `LENGTHS`, advance positive, retreat negative (m), by glacier and time.

    `length_change_m` is the change from `start` to `time`; `position_m` the length relative to the series' start, as
    terminus.positions has it, NaN after a gap. Read are WGMS front variations (FRONT_VARIATION in capitals or
    length_change), GLAMOS length changes, and the netCDF of Leclercq et al. 2014 (doi:10.5194/tc-8-659-2014), which
    gets `rgi_id` from the table of links beside it. Raises FileNotFoundError, ValueError (another format, no dates).
    """
    path = readers.there(path)
    path = next(iter(sorted(path.glob("*.nc"))), path) if path.is_dir() else path
    if path.suffix == ".nc":
        return _leclercq(path)
    raw, system = _table(path, "length_change_m", "a length record")
    out = pd.DataFrame({"glacier_id": raw["glacier_id"], "glac_name": raw["glac_name"], **_span(raw)})
    out["length_change_m"] = _numbers(raw["length_change_m"])
    out["uncertainty_m"] = _numbers(raw.get("uncertainty_m", pd.Series(np.nan, raw.index)))
    known = out.dropna(subset="length_change_m")
    if len(known) and known["time"].isna().all():
        raise ValueError(f"{path.name}: no date of its {len(known)} length changes could be read: write 2001-09-15")
    out = known.dropna(subset="time").sort_values(["glacier_id", "time"], ignore_index=True)
    out["position_m"] = np.nan
    for _, series in out.groupby("glacier_id", sort=False):
        gap = series["start"] - series["time"].shift() > GAP
        out.loc[series.index, "position_m"] = series["length_change_m"].cumsum().where(~gap.cummax())
    return out.assign(system=system)[list(LENGTHS)]


def mass_balance(path: str | os.PathLike) -> pd.DataFrame:
    """Glacier-wide mass balances, a row for each year: `BALANCES`, metres of water equivalent, by glacier and time.

    Read are WGMS tables (capitals: millimetres, elevation bands left out; since 2023: metres) and GLAMOS (millimetres).
    Raises FileNotFoundError, ValueError (another format).
    """
    path = readers.there(path)
    raw, system = _table(path, "annual", "a mass-balance record")
    if "lower" in raw:  # the whole glacier is the band from 9999 to 9999
        raw = raw[_numbers(raw["lower"]).isin([9999]) | _numbers(raw["lower"]).isna()]
    out = pd.DataFrame({"glacier_id": raw["glacier_id"], "glac_name": raw["glac_name"], **_span(raw)})
    metres = 1.0 if raw.attrs["metres"] else 1e-3
    kinds = {
        "annual": "annual_m_we",
        "winter": "winter_m_we",
        "summer": "summer_m_we",
        "uncertainty": "uncertainty_m_we",
    }
    for name, column in kinds.items():
        out[column] = metres * _numbers(raw.get(name, pd.Series(np.nan, raw.index)))
    area = _numbers(raw.get("area", pd.Series(np.nan, raw.index)))
    out["area_km2"] = area / 1e6 if raw.attrs["metres"] else area  # WGMS since 2023: square metres
    out = out.dropna(subset=["annual_m_we", "winter_m_we", "summer_m_we"], how="all")
    return out.assign(system=system).sort_values(["glacier_id", "time"], ignore_index=True)[list(BALANCES)]


def _table(path: pathlib.Path, needed: str, kind: str) -> tuple[pd.DataFrame, str]:
    """A text table under our names, with attrs["metres"]; GLAMOS has words before the heading and units after it."""
    text = path.read_bytes()
    try:
        text = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = text.decode("latin1")
    lines = text.splitlines()
    found = ((number, *_heading(line)) for number, line in enumerate(lines[:40]))
    first = next((one for one in found if {"glacier_id", needed} <= one[3].keys()), None)
    if first is None:
        raise ValueError(f"{path.name} is not {kind} of WGMS or GLAMOS: it has no columns of glacier id and {needed}")
    number, separator, heads, columns = first
    raw = pd.read_csv(
        io.StringIO("\n".join(lines[number + 1 :])), sep=separator, header=None, dtype=str, names=range(len(heads)),
        skipinitialspace=True,
    )  # fmt: skip
    out = pd.DataFrame({name: raw[place].str.strip() for name, place in columns.items()})
    out["glac_name"] = out.get("glac_name", pd.Series(pd.NA, out.index))
    wgms = bool({"WGMS_ID", "POLITICAL_UNIT", "country"} & set(heads))
    out.attrs["metres"] = wgms and "annual_balance" in heads
    return out, "WGMS" if wgms else "GLAMOS"


def _heading(line: str) -> tuple[str, list[str], dict[str, int]]:
    """Separator of a heading, its cells, and the place of each column that we know."""
    separator = ";" if line.count(";") > line.count(",") else ","
    heads = [cell.strip().strip('"') for cell in line.lstrip("# ").split(separator)]
    places = {
        name: next((place for place, head in enumerate(heads) if re.fullmatch(known, head.lower())), None)
        for name, known in _NAMES.items()
    }
    return separator, heads, {name: place for name, place in places.items() if place is not None}


def _span(raw: pd.DataFrame) -> dict[str, pd.Series]:
    """Start and end of each row; a year alone is the hydrological year's end, 30 September, and the year before it."""
    empty = pd.Series("", raw.index)
    time, start = _dates(raw.get("time", empty)), _dates(raw.get("start", empty))
    if "year" in raw:
        ends = _dates(raw["year"].str.extract(r"^(\d{4})", expand=False) + "-09-30")
        time = time.fillna(ends)
        if "start" not in raw:
            start = ends - pd.DateOffset(years=1)
    return {"start": start, "time": time}


def _dates(values: pd.Series) -> pd.Series:
    """Days (datetime64[s], for what is older than 1677) of ISO text, 15.09.1850 or YYYYMMDD; unknown parts as RGI's."""
    told = columns.ordered(values.fillna("").astype(str)).str.extract(r"^(\d{4})-?(\d\d)-?(\d\d)")
    month = told[1].where(told[1].between("01", "12"), "07")
    day = told[2].where(told[2].between("01", "31"), "15")
    text = (told[0] + "-" + month + "-" + day).fillna("NaT")
    return pd.Series(text.to_numpy("datetime64[D]").astype("datetime64[s]"), values.index)


def _numbers(values: pd.Series) -> pd.Series:
    """Numbers of text; NaN for the units under a heading and for what is missing."""
    return pd.to_numeric(values.astype(str).str.strip().str.replace(",", "."), errors="coerce").replace(-9999, np.nan)


def _leclercq(path: pathlib.Path) -> pd.DataFrame:
    """Length relative to the first date, at the middle of each year; `rgi_id` by the table of links beside it."""
    parts = []
    with h5py.File(path) as file:
        for number, index in enumerate(file["index"][:], 1):
            group = file[str(number)]
            order = np.argsort(group["years"][:], kind="stable")  # one series of 471 has two years exchanged
            years, length = group["years"][:][order], group["dL"][:][order].astype(float)
            time = ((years - 1970).astype("datetime64[Y]") + np.timedelta64(6, "M")).astype("datetime64[s]")
            name = group.attrs["glacier_name"]
            one = pd.DataFrame({"time": time, "position_m": length - length[0]})
            one["glacier_id"], one["glac_name"] = str(index), name.decode() if isinstance(name, bytes) else str(name)
            one["start"], one["length_change_m"] = one["time"].shift(), one["position_m"].diff()
            parts.append(one)
    out = pd.concat(parts, ignore_index=True).assign(system="Leclercq et al. 2014", uncertainty_m=np.nan)
    out = out[list(LENGTHS)]
    links = sorted(path.parent.glob("rgi_leclercq_links_*.csv"))
    if links:
        table = pd.read_csv(links[-1]).set_index("LID")["RGI_ID"]
        out.insert(0, "rgi_id", out["glacier_id"].astype(int).map(table))
    return out
