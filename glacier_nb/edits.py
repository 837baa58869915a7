"""Outlines and fronts corrected by hand: the edit beside the model's line, with who, when and why, in every number."""

import datetime
import os
import pathlib

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from glacier_nb import provenance
from glacier_nb.corrections import COLUMNS, days, ids
from glacier_nb.crs import metres, scale

TOLERANCE = 0.1
"""Metres within which a line that comes back is the one that went out: GeoJSON rounds to centimetres."""


def apply(
    model: gpd.GeoDataFrame,
    edited: gpd.GeoDataFrame,
    who: str,
    why: str,
    when: str | datetime.datetime | None = None,
    tolerance: float = TOLERANCE,
) -> gpd.GeoDataFrame:
    """`model` (outlines or fronts: rgi_id, time, geometry) with the shapes of `edited` where they differ from its own.

    Rows are met by rgi_id and day; `edited` may hold all of them or only some. A row that `model` lacks is added, one
    with an empty geometry is taken away (its geometry becomes empty). What moves by less than `tolerance` (m,
    Hausdorff) is no edit. The frame that comes back is used as the model's was: its geometry is the edit, the model's
    line stays in `model_geometry`, and edited (bool), edited_by, edited_at (UTC, ISO) and edit_reason say so;
    area_m2 and margin_m follow the edit. change.area and terminus.positions carry the four columns on
    (corrections.noted).

    Raises ValueError for an empty `who` or `why`, degrees, a missing column, two shapes for one row, or a shape that
    crosses itself; nothing is changed then.

    >>> one = {"rgi_id": ["a"], "time": pd.to_datetime(["2020-08-01"])}
    >>> square = lambda side: gpd.GeoDataFrame(one, geometry=[shapely.box(0, 0, side, side)], crs=32633)
    >>> found = apply(square(100), square(90), "A. Reader", "shadow taken for ice", "2026-01-05")
    >>> found[["edited", "edited_by", "edit_reason"]].values.tolist()
    [[True, 'A. Reader', 'shadow taken for ice']]
    >>> float(found.model_geometry.area.iloc[0]), float(found.area.iloc[0])
    (10000.0, 8100.0)
    """
    for name, text in (("who", who), ("why", why)):
        if not str(text).strip():
            raise ValueError(f"{name}={text!r}: an edit is kept with who made it and why")
    metres(model)
    if missing := {"rgi_id", "time"} - set(edited.columns):
        raise ValueError(f"the edit lacks {sorted(missing)}: keep these columns, rows are met by them")
    edited = edited.to_crs(model.crs)
    old, new = _keys(model), _keys(edited)
    if new.duplicated().any():
        raise ValueError(f"the edit has {new[new.duplicated()][0]} twice: dissolve its parts into one row")
    if old.duplicated().any():
        raise ValueError(f"the model has {old[old.duplicated()][0]} twice: dissolve its parts into one row")
    shapes = np.array([shapely.Point() if shape is None else shape for shape in edited.geometry], dtype=object)
    if not (good := shapely.is_valid(shapes)).all():
        at = int(np.argmin(good))
        raise ValueError(f"{new[at]}: {shapely.is_valid_reason(shapes[at])}: mend the shape, in QGIS by Fix geometries")
    at = old.get_indexer(new)
    there = np.flatnonzero(at >= 0)
    moved = there[_off(model.geometry.to_numpy()[at[there]], shapes[there]) > tolerance]
    added = np.flatnonzero((at < 0) & ~shapely.is_empty(shapes))
    stamp = _stamp(who, why, when)
    found = _begun(model)
    if len(added):
        extra = gpd.GeoDataFrame(edited.iloc[added].reindex(columns=found.columns), geometry="geometry", crs=model.crs)
        extra = _of_its_day(extra, model).assign(
            model_geometry=gpd.GeoSeries([None] * len(added), extra.index, crs=model.crs)
        )
        found = gpd.GeoDataFrame(pd.concat([found, extra], ignore_index=True), crs=model.crs)
    rows = np.r_[at[moved], len(model) + np.arange(len(added))].astype(int)
    before = found.geometry.to_numpy()
    geometry = before.copy()
    geometry[rows] = np.r_[shapes[moved], shapes[added]]
    for name, value in stamp.items():
        values = found[name].to_numpy(dtype=object)
        values[rows] = value
        found[name] = values.astype(bool) if name == "edited" else values
    found = found.set_geometry(gpd.GeoSeries(geometry, found.index, crs=model.crs))
    found = _measured(found, before, rows)
    found.attrs = dict(model.attrs)
    return found


def corrected(
    found: gpd.GeoDataFrame, path: str | os.PathLike, who: str, why: str, system: str | None = None
) -> gpd.GeoDataFrame:
    """`found` (outlines or fronts of any dates) with what was changed in the file at `path`, which `write` made.

    Of several systems (column `system`) those of `system` alone; all have the columns of an edit then. Dates that
    `found` has not are left alone. edited_at is when the file was last saved. Errors as of `read` and `apply`.
    """
    mine = np.full(len(found), True) if system is None else (found["system"] == system).to_numpy()
    drawn = read(path, found[mine])
    drawn = drawn[days(drawn["time"]).isin(days(found.loc[mine, "time"]))]
    saved = datetime.datetime.fromtimestamp(pathlib.Path(path).stat().st_mtime, datetime.UTC)
    ours = apply(found[mine], drawn, who, why, saved)
    others = _begun(found[~mine])
    return gpd.GeoDataFrame(pd.concat([others, ours], ignore_index=True), crs=found.crs) if len(others) else ours


def undone(found: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """What the model drew: `found` (of `apply`) without its edits, rows that were added by hand left out."""
    if "model_geometry" not in found:
        return found
    back = found.set_geometry(found["model_geometry"].rename("geometry"), crs=found.crs)
    kept = back[back.geometry.notna()].drop(columns=["model_geometry", *COLUMNS]).reset_index(drop=True)
    return _measured(kept, found.geometry[back.geometry.notna()].to_numpy(), np.arange(len(kept)))


def told(found: gpd.GeoDataFrame, name: str = "outline") -> list[str]:
    """What of `found` was corrected by hand, by whom and why, in a sentence; none where it was held against no edit.

    >>> one = {"rgi_id": ["a"], "time": pd.to_datetime(["2020-08-01"])}
    >>> square = gpd.GeoDataFrame(one, geometry=[shapely.box(0, 0, 9, 9)], crs=32633)
    >>> told(apply(square, square.buffer(-1).to_frame("geometry").assign(**one), "A. Reader", "a lake"))
    ['1 of 1 outlines corrected by hand by A. Reader: a lake.']
    >>> told(apply(square, square, "A. Reader", "a lake")), told(square)
    (['Corrected by hand: no outline, the edited file holds none of 2020-08-01 that differs.'], [])
    """
    if "edited" not in found:
        return []
    some = found[found["edited"].astype(bool)]
    if some.empty:
        when = " to ".join(sorted({days(found["time"]).min(), days(found["time"]).max()}))
        return [f"Corrected by hand: no {name}, the edited file holds none of {when} that differs."]
    why = "; ".join(dict.fromkeys(some["edited_by"] + ": " + some["edit_reason"]))
    return [f"{len(some)} of {len(found)} {name}s corrected by hand by {why}."]


def write(frame: gpd.GeoDataFrame, path: str | os.PathLike) -> pathlib.Path:
    """Write `frame` to edit it in QGIS, whole or not at all: .gpkg in its own CRS or .geojson in lon/lat.

    Raises ValueError for another suffix.
    """
    path = pathlib.Path(path)
    driver = {".gpkg": "GPKG", ".geojson": "GeoJSON"}.get(path.suffix.lower())
    if driver is None:
        raise ValueError(f"{path.name}: .gpkg or .geojson; both come back with edits.read")
    plain = frame.drop(columns="model_geometry", errors="ignore")
    plain = plain.assign(time=pd.to_datetime(plain["time"]).dt.strftime("%Y-%m-%d"))
    with provenance.whole(path) as temporary:
        (plain.to_crs(4326) if driver == "GeoJSON" else plain).to_file(temporary, driver=driver)
    return path


def read(path: str | os.PathLike, model: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """What was edited in QGIS: rgi_id, time, geometry in the CRS of `model`, parts of one row together.

    Raises FileNotFoundError; ValueError where a column is missing or a date is none.
    """
    if not pathlib.Path(path).exists():
        raise FileNotFoundError(f"no {path}: write one with edits.write and edit that")
    found = gpd.read_file(path)
    if missing := {"rgi_id", "time"} - set(found.columns):
        raise ValueError(f"{pathlib.Path(path).name} lacks {sorted(missing)}: keep these columns, rows are met by them")
    found["time"] = pd.to_datetime(found["time"], errors="coerce").dt.tz_localize(None)
    if found["time"].isna().any():
        raise ValueError(f"{pathlib.Path(path).name} has a row without a date: fill its column time as 2025-08-24")
    found = found[["rgi_id", "time", "geometry"]].to_crs(model.crs)
    return found if not found.duplicated(["rgi_id", "time"]).any() else found.dissolve(["rgi_id", "time"]).reset_index()


def _keys(frame: pd.DataFrame) -> pd.Index:
    """What rows are met by: glacier and day."""
    return pd.Index(ids(frame) + " of " + days(frame["time"]))


def _stamp(who: str, why: str, when: str | datetime.datetime | None) -> dict[str, object]:
    moment = pd.Timestamp.now("UTC") if when is None else pd.Timestamp(when)
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return dict(
        zip(COLUMNS, (True, str(who).strip(), moment.isoformat(timespec="seconds"), str(why).strip()), strict=True)
    )


def _of_its_day(extra: gpd.GeoDataFrame, model: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Rows added by hand with what `model` has of the scene of their day, if it has one: system, sensor, pixel_m."""
    scene = model.assign(day=days(model["time"])).drop_duplicates("day").set_index("day")
    names = [name for name in ("system", "sensor", "pixel_m") if name in model]
    return extra.assign(**{name: days(extra["time"]).map(scene[name]) for name in names})


def _begun(model: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """`model` with the columns of an edit, empty where it has none yet, and its own shapes kept aside."""
    found = model.reset_index(drop=True)
    found = found if found.geometry.name == "geometry" else found.rename_geometry("geometry")
    if "model_geometry" in found:
        return found
    plain = dict(zip(COLUMNS, (False, "", "", ""), strict=True))
    return found.assign(**plain, model_geometry=found.geometry.copy())


def _off(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Distance (m) by which pairs of shapes differ; infinite where one is empty or the kinds differ."""
    empty = shapely.is_empty(one) | shapely.is_empty(two) | shapely.is_missing(one)
    off = np.where(empty, np.inf, shapely.hausdorff_distance(shapely.boundary(one), shapely.boundary(two)))
    whole = np.where(empty, np.inf, shapely.hausdorff_distance(one, two))
    same = (shapely.is_empty(one) | shapely.is_missing(one)) & shapely.is_empty(two)
    return np.where(same, 0.0, np.fmax(off, whole))


def _measured(found: gpd.GeoDataFrame, before: np.ndarray, rows: np.ndarray) -> gpd.GeoDataFrame:
    """`found` with area_m2 and margin_m of `rows` as its shapes now are; a margin grows as its outline does."""
    found, ground = found.copy(), np.sqrt(scale(found.set_geometry(found.geometry.fillna(shapely.Point(0, 0)))))
    if "area_m2" in found:
        areas = found["area_m2"].to_numpy(dtype=float, copy=True)
        areas[rows] = (found.area.to_numpy() / ground**2)[rows]
        found["area_m2"] = areas
    if "margin_m" in found:
        margin, now, old = (
            found["margin_m"].to_numpy(dtype=float, copy=True),
            found.length.to_numpy(),
            shapely.length(before),
        )
        grown = np.where((old > 0) & np.isfinite(margin), margin * now / np.where(old > 0, old, 1), now / ground)
        margin[rows] = grown[rows]
        found["margin_m"] = margin
    return found
