"""What numbers say of shapes corrected by hand, by whom, when and why (see edits), and of what was assumed.

Without a source, plain or ours: `ids`, `naive`, `days`, `noted`, `assumed`.
"""

import pandas as pd

COLUMNS = ("edited", "edited_by", "edited_at", "edit_reason")
"""What an edit leaves in a frame and in every table made of it."""


def ids(frame: pd.DataFrame) -> pd.Series:
    """Glaciers of a frame as text."""
    return frame["rgi_id"].astype(str)


def naive(times: pd.Series) -> pd.Series:
    """Dates as datetime64 of UTC without a zone: those that have none are of UTC.

    >>> naive(pd.Series(pd.to_datetime(["2020-08-31 01:00"]).tz_localize("+02:00"))).astype(str).tolist()
    ['2020-08-30 23:00:00']
    """
    return pd.to_datetime(times, utc=True).dt.tz_localize(None)


def days(times: pd.Series) -> pd.Series:
    """Dates as ISO text, of UTC: rows are met by their day."""
    return naive(times).dt.strftime("%Y-%m-%d")


def noted(table: pd.DataFrame, shapes: pd.DataFrame) -> pd.DataFrame:
    """`table` (rgi_id, time, of change.area or terminus.positions) with the columns of the edits in `shapes`.

    A number counts as edited where a shape of its date, or of the date it is compared with (`since`), was; the region
    where any was. A column `note` says it in words, attrs["edits"] lists all. Without edits the table stays as it is.
    """
    if "edited" not in shapes or not shapes["edited"].astype(bool).any():
        return table
    some = shapes[shapes["edited"].astype(bool)]
    some = pd.DataFrame(some[["rgi_id", "time", *COLUMNS[1:]]]).assign(day=days(some["time"]), id=ids(some))
    texts = {name: [] for name in COLUMNS[1:]}
    first = table.groupby("rgi_id")["time"].transform("min")
    base = days(table.get("since", first))
    for rgi_id, day, since in zip(ids(table), days(table["time"]), base, strict=True):
        mine = some[some["day"].isin([day, since])]
        mine = mine if rgi_id == "region" else mine[mine["id"] == rgi_id]
        for name, values in texts.items():
            values.append("; ".join(dict.fromkeys(mine[name].astype(str))))
    result = table.assign(edited=[bool(text) for text in texts["edited_by"]], **texts)
    if "note" in table:
        said = [
            "edited by " + who + ": " + why if who else "" for who, why in zip(*list(texts.values())[::2], strict=True)
        ]
        result["note"] = [
            "; ".join(filter(None, pair)) for pair in zip(table["note"].fillna("").astype(str), said, strict=True)
        ]
    listed = some[["rgi_id", "day", *COLUMNS[1:]]].rename(columns={"day": "time"}).astype(str).to_dict("records")
    result.attrs = {**table.attrs, "edits": listed}
    return result


def assumed(table: pd.DataFrame) -> list[str]:
    """What a table of `change.area` assumes because it was asked to, a sentence each; none where nothing was.

    >>> table = pd.DataFrame()
    >>> table.attrs = {"assumptions": {"no_growth": True, "same_errors": False}, "growth_m2": 2e4}
    >>> assumed(table)
    ['Assumed that no glacier grew: 0.020 km² of ice outside the first outlines are left out.']
    """
    asked, said = table.attrs.get("assumptions", {}), []
    if asked.get("no_growth"):
        left = table.attrs["growth_m2"] / 1e6
        said.append(f"Assumed that no glacier grew: {left:.3f} km² of ice outside the first outlines are left out.")
    if asked.get("same_errors"):
        said.append("Assumed that all maps err alike: the interval holds nothing of what they err in apart.")
    if asked.get("least_recall"):
        said.append(f"Glaciers of whose inventory outline the first map holds less than {asked['least_recall']:.0%} "
                    f"have no change: {table.attrs['unmatched']} of them.")  # fmt: skip
    return said
