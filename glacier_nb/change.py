"""Area change, per glacier and for the region, only where both dates were seen."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from glacier_nb import uncertainty, vectorize

CITATION = "buffer method: Paul et al. 2013, doi:10.3189/2013AoG63A296; 2017, doi:10.1016/j.rse.2017.08.038"


def area(
    outlines: gpd.GeoDataFrame,
    divides: gpd.GeoDataFrame | None = None,
    seen: gpd.GeoDataFrame | xr.DataArray | None = None,
    pixel: float | None = None,
    since: str | np.datetime64 | None = None,
    systematic: float = uncertainty.SYSTEMATIC,
    min_part: float = 10_000.0,
) -> pd.DataFrame:
    """Area of every glacier at every date and its change since one of them, with bounds; then the region's rows.

    `outlines` (rgi_id, time, geometry; parts of one glacier and date may be rows of their own) in a projected CRS.
    `divides` cut all dates alike and name what is compared; without them outlines keep their ids. `seen`: what each
    date saw (time, geometry, as `vectorize.seen` makes; or a boolean layer (time, y, x)), default all. Change
    compares only ground that both dates saw; ice of either date where the other was blind is unseen_m2, never loss.
    A glacier absent from a date has gone if `divides` or `seen` tell that its ground was looked at. Without both it
    was not mapped: it has no number there, and its ice at the date of comparison is the region's unseen_m2.

    `since` is the date of comparison (default the first): what a is since b is minus what b is since a.
    Bounds are half a pixel along the margin (`pixel` m; default column pixel_m, else 10), see
    `uncertainty.area_interval`; of each error's variance the share `systematic` is common to all outlines of a system,
    so that it cancels in a change between maps of one system and does not average out over a region.

    Columns: rgi_id ("region" last), time, since, area_m2 (of what the date saw), lower_m2, upper_m2, unseen_m2,
    change_m2, change_lower_m2, change_upper_m2, change_percent, rate_km2_a, rate_lower_km2_a, rate_upper_km2_a,
    rate_percent_a, parts (of `min_part` m2 or more), events (since the date before, where all was seen: appeared,
    disappeared, split into n, merged into n). Areas are on the ground, whatever the map's scale.
    Raises ValueError for degrees, a missing column, an unknown `since`, a date missing from `seen`.
    """
    need = {"time"} if divides is not None else {"time", "rgi_id"}
    if missing := need - set(outlines.columns):
        raise ValueError(f"outlines lack {sorted(missing)}: add them with outlines.assign(...)")
    if outlines.time.isna().any():
        raise ValueError("outlines without a date: set their column time")
    vectorize.metres(outlines)
    frame, views = _by_glacier(outlines, divides), _views(seen, outlines.crs)
    dates = pd.DatetimeIndex(sorted(set(frame.time) | set(views)))
    if views and (blind := sorted(set(dates) - set(views))):
        raise ValueError(f"seen has no row for {blind[0]}: give one for each date of the outlines")
    found = np.flatnonzero(
        np.full(len(dates), True) if since is None else dates.floor("D") == pd.Timestamp(since).floor("D")
    )
    if not len(found):
        raise ValueError(f"since={since}: the outlines' dates are {', '.join(str(date) for date in dates) or 'none'}")
    base = int(found[0])
    ids = pd.Index(sorted(set(frame.rgi_id) | set([] if divides is None else divides.rgi_id)), name="rgi_id")
    at = ids.get_indexer(frame.rgi_id), dates.get_indexer(frame.time)
    shapes = np.full((len(ids), len(dates)), shapely.MultiPolygon(), dtype=object)
    mapped = np.full(shapes.shape, divides is not None or seen is not None)
    ground, half = np.ones(len(ids)), np.zeros(shapes.shape)
    shapes[at], mapped[at], ground[at[0]] = frame.geometry.to_numpy(), True, vectorize.scale(frame)
    shapes = np.stack([_within(shapes[:, n], views.get(date)) for n, date in enumerate(dates)], axis=1)
    size = frame.get("pixel_m", 10.0) if pixel is None else pixel
    bounds = uncertainty.area_interval(frame.geometry, size, margin=frame.margin_m)
    half[at] = bounds.upper_m2 - bounds.area_m2
    areas, sources = shapely.area(shapes) / ground[:, None], frame.groupby("time").system.first().reindex(dates)
    parts, events = _events(shapes, mapped, [views.get(date) for date in dates], min_part)
    tables = []
    for n, date in enumerate(dates):
        both = _common(*(views.get(day) for day in sorted((date, dates[base]))))
        now, then = (shapely.area(_within(shapes[:, k], both)) / ground for k in (n, base))
        known = mapped[:, n] & mapped[:, base]
        unseen = areas[:, n] + areas[:, base] - np.where(known, now + then, 0)
        compared = known & ~((now + then == 0) & (unseen > 0))
        now, then = np.where(compared, now, np.nan), np.where(compared, then, np.nan)
        here = np.where(mapped[:, n] & (compared | (areas[:, n] > 0)), areas[:, n], np.nan)
        share = [np.nan_to_num(_ratio(part, areas[:, k])) for k, part in ((n, now), (base, then))]
        signed = np.stack([half[:, n] * share[0], -half[:, base] * share[1]], axis=-1) * (n != base)
        pair = [sources.iloc[n], sources.iloc[base]]
        spread = uncertainty.combine(signed, systematic, pair) + np.where(compared, 0, np.nan)
        total = uncertainty.combine(signed[compared].ravel(), systematic, pair * int(compared.sum()))
        table = pd.DataFrame({
            "rgi_id": [*ids, "region"],
            "area_m2": [*here, _sum(here)],
            "half": [*half[:, n], uncertainty.combine(half[:, n], systematic)],
            "unseen_m2": [*unseen, unseen.sum()],
            "change_m2": [*(now - then), _sum(now - then)],
            "change_half": [*spread, total],
            "then": [*then, _sum(then)],
            "parts": [*parts[:, n], parts[:, n].sum()],
            "events": [*events[:, n], _count(events[:, n])],
        })  # fmt: skip
        years = (date - dates[base]) / pd.Timedelta(days=365.25)
        tables.append(table.assign(time=date, since=dates[base], years=years))
    return _finish(pd.concat(tables, ignore_index=True), systematic)


def trend(table: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Theil-Sen trend of each glacier's and the region's area in a table of `area`: km2 per year.

    Columns: rgi_id, n (dates), trend_km2_a, lower_km2_a, upper_km2_a, p (Mann-Kendall's, of no trend); glaciers with
    three known areas or more. Only for series that every date saw whole: unseen ground would pass for loss, so dates
    with unseen ice are left out.
    """
    whole = table[(table.unseen_m2 < 1) & table.area_m2.notna()]
    rows = []
    for rgi_id, series in whole.groupby("rgi_id", sort=False):
        if len(series) >= 3:
            fit = uncertainty.theil_sen(series.time, series.area_m2 / 1e6, level)
            rows.append((rgi_id, fit.n, fit.slope, fit.lower, fit.upper, fit.p))
    return pd.DataFrame(rows, columns=["rgi_id", "n", "trend_km2_a", "lower_km2_a", "upper_km2_a", "p"])


def _finish(table: pd.DataFrame, systematic: float) -> pd.DataFrame:
    """Bounds and rates from half-widths, in the order in which they are read: a glacier's dates together."""
    table["lower_m2"], table["upper_m2"] = (table.area_m2 - table.half).clip(lower=0), table.area_m2 + table.half
    table["change_lower_m2"] = table.change_m2 - table.change_half
    table["change_upper_m2"] = table.change_m2 + table.change_half
    table["change_percent"] = 100 * _ratio(table.change_m2, table.then)
    years = table.years.where(table.years != 0)
    table["rate_km2_a"] = table.change_m2 / 1e6 / years
    table["rate_lower_km2_a"] = table.rate_km2_a - table.change_half / 1e6 / years.abs()
    table["rate_upper_km2_a"] = table.rate_km2_a + table.change_half / 1e6 / years.abs()
    table["rate_percent_a"] = table.change_percent / years
    table = table.iloc[np.lexsort((table.time, table.rgi_id, table.rgi_id == "region"))].reset_index(drop=True)
    table = table[[
        "rgi_id", "time", "since", "area_m2", "lower_m2", "upper_m2", "unseen_m2", "change_m2", "change_lower_m2",
        "change_upper_m2", "change_percent", "rate_km2_a", "rate_lower_km2_a", "rate_upper_km2_a", "rate_percent_a",
        "parts", "events",
    ]]  # fmt: skip
    method = "half a pixel along the margin; change only where both dates were seen"
    table.attrs = {"units": "m2", "method": method, "systematic": float(systematic), "citation": CITATION}
    return table


def _by_glacier(outlines: gpd.GeoDataFrame, divides: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame:
    """One row per glacier and date, valid, with margin_m and system."""
    key = ["rgi_id", "time"]
    frame = outlines.assign(system=outlines.get("system", ""), time=pd.to_datetime(outlines.time))
    known = frame.groupby(key).margin_m.sum() if {"margin_m", "rgi_id"} <= set(frame.columns) else None
    if divides is not None:
        frame = vectorize.split(frame, divides)
    else:
        frame["geometry"] = frame.geometry.make_valid()
    if frame.duplicated(key).any():
        others = {name: "first" for name in ("system", "pixel_m") if name in frame}
        frame = frame[[*key, *others, "geometry"]].dissolve(key, aggfunc=others).reset_index()
    if "margin_m" not in frame:
        frame["margin_m"] = frame.length / np.sqrt(vectorize.scale(frame))
    if known is not None:  # made by vectorize.outlines: its margin has no divides in it
        before = known.reindex(pd.MultiIndex.from_frame(frame[key])).to_numpy()
        frame["margin_m"] = np.fmin(frame.margin_m, before)
    return frame


def _views(seen: gpd.GeoDataFrame | xr.DataArray | None, crs) -> dict[pd.Timestamp, shapely.Geometry]:
    if seen is None:
        return {}
    if isinstance(seen, xr.DataArray):
        layers = [seen.sel(time=time).assign_attrs(time=str(time)) for time in seen.time.values]
        seen = gpd.GeoDataFrame(pd.concat([vectorize.seen(layer) for layer in layers]), crs=str(seen.odc.geobox.crs))
    return dict(zip(pd.to_datetime(seen.time), seen.to_crs(crs).geometry, strict=True))


def _common(first: shapely.Geometry | None, second: shapely.Geometry | None) -> shapely.Geometry | None:
    """What both views hold; None holds everything."""
    return second if first is None else first if second is None else _meet(np.array([first]), second)[0]


def _within(shapes: np.ndarray, view: shapely.Geometry | None) -> np.ndarray:
    if view is None:
        return shapes
    shapely.prepare(view)
    cut, shapes = ~shapely.covers(view, shapes), shapes.copy()
    shapes[cut] = _meet(shapes[cut], view)
    return shapes


def _meet(shapes: np.ndarray, view: shapely.Geometry) -> np.ndarray:
    """Areas that each shape shares with the view; the lines and points where they only touch are none.

    GEOS leaves those in a collection, and no collection of areas and lines can be intersected again.
    """
    found = shapely.intersection(shapes, view)
    mixed = ~np.isin(shapely.get_type_id(found), (3, 6))  # neither polygon nor multipolygon
    found[mixed] = vectorize.gather(found[mixed], np.arange(mixed.sum()))
    return found


def _events(
    shapes: np.ndarray, mapped: np.ndarray, views: list[shapely.Geometry | None], min_part: float
) -> tuple[np.ndarray, np.ndarray]:
    """Number of parts, and what happened since the date before, of each glacier (row) and date (column)."""
    parts, owner = shapely.get_parts(shapes.ravel(), return_index=True)
    big = shapely.area(parts) >= min_part
    parts, owner = parts[big], owner[big]
    count = np.bincount(owner, minlength=shapes.size).reshape(shapes.shape)
    first = np.searchsorted(owner, np.arange(shapes.size + 1))
    events = np.full(shapes.shape, "", dtype=object)
    for n in range(1, shapes.shape[1]):
        before, now = shapes[:, n - 1], shapes[:, n]
        hidden = sum(
            shapely.area(a) - shapely.area(_within(a, v)) for a, v in ((before, views[n]), (now, views[n - 1]))
        )
        clear = mapped[:, n - 1] & mapped[:, n] & (hidden < 1)
        was, is_ = ~shapely.is_empty(before), ~shapely.is_empty(now)
        events[clear & ~was & is_, n] = "appeared"
        events[clear & was & ~is_, n] = "disappeared"
        for row in np.flatnonzero(clear & was & is_ & (count[:, n] != count[:, n - 1])):
            old, new = (parts[first[k] : first[k + 1]] for k in row * shapes.shape[1] + np.array([n - 1, n]))
            meet = shapely.intersects(old[:, None], new[None, :])
            if meet.sum(axis=1).max(initial=0) > 1:
                events[row, n] = f"split into {len(new)}"
            elif meet.sum(axis=0).max(initial=0) > 1:
                events[row, n] = f"merged into {len(new)}"
    return count, events


def _count(events: np.ndarray) -> str:
    """The region's events: "2 disappeared, 1 split"."""
    words = pd.Series([event.split()[0] for event in events if event], dtype=str).value_counts()
    return ", ".join(f"{n} {word}" for word, n in words.items())


def _sum(values: np.ndarray) -> float:
    """Sum of what is known, NaN where nothing is."""
    return np.nansum(values) if np.isfinite(values).any() else np.nan


def _ratio(part, whole):
    """part / whole, NaN where there is no whole."""
    return part / np.where(np.asarray(whole) > 0, whole, np.nan)
