"""Area change, per glacier and for the region, only where both dates were seen."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from glacier_nb import corrections, events, uncertainty, vectorize

CITATION = "buffer method: Paul et al. 2013, doi:10.3189/2013AoG63A296; 2017, doi:10.1016/j.rse.2017.08.038"


def area(
    outlines: gpd.GeoDataFrame,
    divides: gpd.GeoDataFrame | None = None,
    seen: gpd.GeoDataFrame | xr.DataArray | None = None,
    pixel: float | None = None,
    since: str | np.datetime64 | None = None,
    systematic: float = uncertainty.SYSTEMATIC,
    min_part: float = 10_000.0,
    interval: uncertainty.Conformal | None = None,
    change_interval: uncertainty.Conformal | None = None,
    region_interval: uncertainty.Conformal | None = None,
    no_growth: bool = False,
    same_errors: bool = False,
    least_recall: float | None = None,
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
    `uncertainty.area_interval`; where outlines have a column spread_m2 (standard deviation over an ensemble or passes
    of dropout, errors that pixels share counted: `spreads.area_spread`), they are 90 % of a normal distribution. Of
    each error's variance the share `systematic` is common to all outlines of a system, so that it cancels in a change
    between maps of one system and does not average out over a region. With `interval` (`uncertainty.conformal` on
    areas, scale the half-width that they have without) they are calibrated: a bias moves them, and in a change cancels.
    `change_interval` is the same calibrated on changes of glaciers to a later date, scale the half-width that this
    gives them without, `region_interval` on those of regions, whose glaciers err together: `calibration` finds both.
    Without the latter a region's change keeps what `interval` gives.

    Assumptions of Diaconu et al. 2023 (TCCML at NeurIPS), off unless asked for and told in attrs["assumptions"].
    `no_growth`: ice that lies outside a glacier's first outline, on ground which that date saw, is no ice;
    attrs["growth_m2"] is what this left out. `same_errors`: both maps err alike, so that nothing but the change is
    left: `systematic` is 1. `least_recall` (they: 0-1): a glacier whose first map holds less than this share of its
    outline in `divides`, which then are an inventory's, has no change; the region's unseen_m2 has its ice, and
    attrs["unmatched"] how many these are. `corrections.assumed` says it all in words.

    Columns: rgi_id ("region" last), time, since, area_m2 (of what the date saw), lower_m2, upper_m2, unseen_m2,
    hidden_m2 (ice of any date on ground that this one did not see: under 1 where it saw the glacier whole), change_m2,
    change_lower_m2, change_upper_m2, change_percent, rate_km2_a, rate_lower_km2_a, rate_upper_km2_a, rate_percent_a,
    parts (of `min_part` m2 or more), events (since the date before, where all was seen: appeared, disappeared, split
    into n, merged into n). Areas are on the ground, whatever the map's scale.
    Times with a zone become UTC. Raises ValueError for degrees, a missing column, an unknown `since`, two systems at
    one date, a date missing from `seen`, `least_recall` without `divides`.
    """
    need = {"time"} if divides is not None else {"time", "rgi_id"}
    outlines, divides = (
        one.assign(rgi_id=corrections.ids(one)) if one is not None and "rgi_id" in one else one
        for one in (outlines, divides)
    )
    if missing := need - set(outlines.columns):
        raise ValueError(f"outlines lack {sorted(missing)}: add them with outlines.assign(...)")
    if outlines.time.isna().any():
        raise ValueError("outlines without a date: set their column time")
    if least_recall is not None and divides is None:
        raise ValueError(f"least_recall={least_recall}: recall is of an inventory's outlines, give them as divides")
    vectorize.metres(outlines)
    _one_system(outlines)
    frame, views = _by_glacier(outlines, divides), _views(seen, outlines.crs)
    dates = pd.DatetimeIndex(sorted(set(frame.time.unique()) | set(views)))
    if views and (blind := sorted(set(dates) - set(views))):
        raise ValueError(f"seen has no row for {blind[0]}: give one for each date of the outlines")
    day = None if since is None else pd.to_datetime(since, utc=True).tz_localize(None).floor("D")
    found = np.flatnonzero(np.full(len(dates), True) if day is None else dates.floor("D") == day)
    if not len(dates):
        raise ValueError("no outlines: give those of two dates or more, or seen of the dates that found no ice")
    if not len(found):
        raise ValueError(f"since={since}: the outlines' dates are {', '.join(map(str, dates))}")
    base = int(found[0])
    ids = pd.Index(sorted(set(frame.rgi_id) | set([] if divides is None else divides.rgi_id)), name="rgi_id")
    at = ids.get_indexer(frame.rgi_id), dates.get_indexer(frame.time)
    shapes = np.full((len(ids), len(dates)), shapely.MultiPolygon(), dtype=object)
    mapped = np.full(shapes.shape, divides is not None or seen is not None)
    ground, buffer = np.ones(len(ids)), np.zeros(shapes.shape)
    shapes[at], mapped[at], ground[at[0]] = frame.geometry.to_numpy(), True, vectorize.scale(frame)
    shapes = np.stack([events.within(shapes[:, n], views.get(date)) for n, date in enumerate(dates)], axis=1)
    grown = _shrinking(shapes, mapped, views.get(dates[0])) if no_growth else None
    size = frame.get("pixel_m", pd.Series(10.0, frame.index)).fillna(10.0) if pixel is None else pixel
    bounds = uncertainty.area_interval(frame.geometry, size, margin=frame.margin_m)
    own = frame.get("spread_m2", pd.Series(np.nan, frame.index)) * uncertainty.NORMAL_90
    buffer[at] = own.fillna(bounds.upper_m2 - bounds.area_m2)
    half, off = _calibrated(buffer, interval)
    areas, sources = shapely.area(shapes) / ground[:, None], frame.groupby("time").system.first().reindex(dates)
    sights = [views.get(date) for date in dates]
    parts, told = events.happened(shapes, events.compared(shapes, mapped, sights), min_part)
    kept = np.full(len(ids), True) if least_recall is None else _recall(areas, ids, divides) >= least_recall
    hidden = events.hidden(shapes, mapped & kept[:, None], sights) / ground[:, None]
    systematic = 1.0 if same_errors else systematic
    tables = []
    for n, date in enumerate(dates):
        both = events.common(*(views.get(day) for day in sorted((date, dates[base]))))
        now, then = (
            areas[:, k] if both is None else shapely.area(events.within(shapes[:, k], both)) / ground for k in (n, base)
        )
        known = mapped[:, n] & mapped[:, base] & kept
        unseen = areas[:, n] + areas[:, base] - np.where(known, now + then, 0)
        compared = known & ~((now + then == 0) & (unseen > 0))
        now, then = np.where(compared, now, np.nan), np.where(compared, then, np.nan)
        here = np.where(mapped[:, n] & (compared | (areas[:, n] > 0)), areas[:, n], np.nan)
        share = [np.nan_to_num(_ratio(part, areas[:, k])) for k, part in ((n, now), (base, then))]
        pair, sign = [sources.iloc[n], sources.iloc[base]], np.sign(n - base)
        signed = [
            np.stack([a[:, n] * share[0], -a[:, base] * share[1]], axis=-1) * (n != base) for a in (half, off, buffer)
        ]
        spread, aside = uncertainty.combine(signed[0], systematic, pair), signed[1].sum(axis=-1)
        total = uncertainty.combine(signed[0][compared].ravel(), systematic, pair * int(compared.sum()))
        middle = float(aside[compared].sum())
        if change_interval is not None:
            spread, aside = _calibrated(uncertainty.combine(signed[2], systematic, pair), change_interval)
            aside = aside * sign  # calibrated on changes to later dates
        if region_interval is not None:
            whole = uncertainty.combine(signed[2][compared].ravel(), systematic, pair * int(compared.sum()))
            total, middle = _calibrated(whole, region_interval)
            middle = middle * sign
        blank = np.where(compared, 0, np.nan)
        table = pd.DataFrame({
            "rgi_id": [*ids, "region"],
            "area_m2": [*here, _sum(here)],
            "half": [*half[:, n], uncertainty.combine(half[:, n], systematic)],
            "off": [*off[:, n], off[:, n].sum()],
            "unseen_m2": [*unseen, unseen.sum()],
            "hidden_m2": [*hidden[:, n], hidden[:, n].sum()],
            "change_m2": [*(now - then), _sum(now - then)],
            "change_half": [*(spread + blank), total],
            "change_off": [*aside, middle],
            "then": [*then, _sum(then)],
            "parts": [*parts[:, n], parts[:, n].sum()],
            "events": [*told[:, n], events.counted(told[:, n])],
        })  # fmt: skip
        years = (date - dates[base]) / pd.Timedelta(days=365.25)
        tables.append(table.assign(time=date, since=dates[base], years=years))
    table = _finish(pd.concat(tables, ignore_index=True))
    method = "half a pixel along the margin"
    if own.notna().any():
        method = f"90 % of the members' spread ({own.notna().sum()} of {len(own)} outlines, else {method})"
    if interval is not None:
        method = f"{_called(interval)}, scaled by {method}"
    asked = {"no_growth": no_growth, "same_errors": same_errors, "least_recall": least_recall}
    table.attrs = {"units": "m2", "method": f"{method}; change only where both dates were seen",
                   "systematic": float(systematic), "assumptions": asked, "citation": CITATION}  # fmt: skip
    told = {"change_method": change_interval, "region_method": region_interval}
    table.attrs |= {name: _called(found) for name, found in told.items() if found is not None}
    if no_growth:
        table.attrs["growth_m2"] = float((grown / ground[:, None]).sum())
    if least_recall is not None:
        table.attrs["unmatched"] = int((~kept).sum())
    return corrections.noted(table, outlines)


def trend(table: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Trend of each glacier's and the region's area in a table of `area`, by Theil-Sen and least squares: km2 per year.

    Columns: rgi_id, n (dates), trend_km2_a, lower_km2_a, upper_km2_a, p (Mann-Kendall's, of no trend), trend_percent_a
    (of the first area), linear_km2_a, linear_lower_km2_a, linear_upper_km2_a, linear_p (the same by least squares,
    which one wild date moves); glaciers with three known areas or more. Only for series that every date saw whole:
    unseen ground would pass for loss, so dates with hidden ice are left out. Sen 1968 and Mann 1945.
    """
    blind = table.get("hidden_m2", table.unseen_m2)  # of each date by itself, whichever is the date of comparison
    whole = table[(blind < 1) & table.area_m2.notna()].sort_values("time", kind="stable")
    rows = []
    for rgi_id, series in whole.groupby("rgi_id", sort=False):
        if len(series) >= 3:
            area = series.area_m2 / 1e6
            one, two = (fit(series.time, area, level) for fit in (uncertainty.theil_sen, uncertainty.least_squares))
            percent = float(100 * _ratio(one.slope, area.iloc[0]))
            rows.append((rgi_id, one.n, one.slope, one.lower, one.upper, one.p, percent,
                         two.slope, two.lower, two.upper, two.p))  # fmt: skip
    linear = ["linear_km2_a", "linear_lower_km2_a", "linear_upper_km2_a", "linear_p"]
    names = ["rgi_id", "n", "trend_km2_a", "lower_km2_a", "upper_km2_a", "p", "trend_percent_a", *linear]
    return pd.DataFrame(rows, columns=names)


def _finish(table: pd.DataFrame) -> pd.DataFrame:
    """Bounds and rates from half-widths and their middles, in the order in which they are read: a glacier's dates."""
    for bound, side in (("lower", -1), ("upper", 1)):
        table[f"{bound}_m2"] = (table.area_m2 + table.off + side * table.half).clip(lower=0)
        table[f"change_{bound}_m2"] = table.change_m2 + table.change_off + side * table.change_half
    table["change_percent"] = 100 * _ratio(table.change_m2, table.then)
    years = table.years.where(table.years != 0)
    table["rate_km2_a"] = table.change_m2 / 1e6 / years
    middle, reach = (table.change_m2 + table.change_off) / 1e6 / years, table.change_half / 1e6 / years.abs()
    table["rate_lower_km2_a"], table["rate_upper_km2_a"] = middle - reach, middle + reach
    table["rate_percent_a"] = table.change_percent / years
    table = table.iloc[np.lexsort((table.time, table.rgi_id, table.rgi_id == "region"))].reset_index(drop=True)
    return table[[
        "rgi_id", "time", "since", "area_m2", "lower_m2", "upper_m2", "unseen_m2", "hidden_m2", "change_m2",
        "change_lower_m2", "change_upper_m2", "change_percent", "rate_km2_a", "rate_lower_km2_a", "rate_upper_km2_a",
        "rate_percent_a", "parts", "events",
    ]]  # fmt: skip


def _calibrated(half: np.ndarray, interval: uncertainty.Conformal | None) -> tuple[np.ndarray, np.ndarray]:
    """Half-widths, and how far their middle lies from the value."""
    if interval is None:
        return half, np.zeros(half.shape)
    scale = np.asarray(half) ** interval.power * (half > 0)
    return scale * (interval.high - interval.low) / 2, scale * (interval.high + interval.low) / 2


def _called(interval: uncertainty.Conformal) -> str:
    return f"conformal, {interval.level:g}, n={interval.n} {interval.source}".strip()


def _recall(areas: np.ndarray, ids: pd.Index, divides: gpd.GeoDataFrame) -> np.ndarray:
    """Share of each glacier's outline in `divides` that the first date which mapped any of it holds."""
    whole = pd.Series(divides.area.to_numpy() / vectorize.scale(divides), divides.rgi_id).groupby(level=0).sum()
    first = areas[np.arange(len(ids)), (areas > 0).argmax(axis=1)]
    return first / whole.reindex(ids).to_numpy()


def _shrinking(shapes: np.ndarray, mapped: np.ndarray, view: shapely.Geometry | None) -> np.ndarray:
    """Take out of `shapes` what lies outside the first date's, on ground that it saw: the area of that, by date."""
    before = shapely.area(shapes)
    for n in range(1, shapes.shape[1]):
        rows = mapped[:, 0] & ~shapely.is_empty(shapes[:, n])
        old, new = shapes[rows, 0], shapes[rows, n]
        inside = shapely.intersection(old, new)
        if view is not None:
            inside = shapely.union(inside, shapely.difference(new, view))
        shapes[rows, n] = vectorize.gather(inside, np.arange(len(inside)))
    return before - shapely.area(shapes)


def _by_glacier(outlines: gpd.GeoDataFrame, divides: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame:
    """One row per glacier and date, valid, with margin_m and system."""
    key = ["rgi_id", "time"]
    frame = outlines.assign(system=outlines.get("system", ""), time=corrections.naive(outlines.time))
    told = [name for name in ("margin_m", "spread_m2") if name in frame and "rgi_id" in frame]
    known = frame.groupby(key)[told].sum(min_count=1) if told else None  # the parts of one glacier err together
    if divides is not None:
        frame = vectorize.split(frame, divides)
    else:
        frame["geometry"] = frame.geometry.make_valid()
    if frame.duplicated(key).any():
        others = {name: "first" for name in ("system", "pixel_m") if name in frame}
        frame = frame[[*key, *others, "geometry"]].dissolve(key, aggfunc=others).reset_index()
    if "margin_m" not in frame:
        frame["margin_m"] = frame.length / np.sqrt(vectorize.scale(frame))
    if known is not None:
        before = known.reindex(pd.MultiIndex.from_frame(frame[key])).set_index(frame.index)
        if "margin_m" in before:  # made by vectorize.outlines: its margin has no divides in it
            before["margin_m"] = np.fmin(frame.margin_m, before.margin_m)
        frame = frame.assign(**before)
    return frame


def _one_system(outlines: gpd.GeoDataFrame) -> None:
    """Refuse the outlines of several systems at one date, which would be united."""
    if "system" not in outlines:
        return
    named = outlines[outlines.system.notna() & (outlines.system != "")]
    for time, systems in named.groupby(corrections.naive(named.time)).system.unique().items():
        if len(systems) > 1:
            raise ValueError(f"outlines of {', '.join(map(str, systems))} on {time}: change is of one system at a "
                             f"time, take outlines[outlines.system == {systems[0]!r}]")  # fmt: skip


def _views(seen: gpd.GeoDataFrame | xr.DataArray | None, crs) -> dict[pd.Timestamp, shapely.Geometry]:
    if seen is None:
        return {}
    if isinstance(seen, xr.DataArray):
        layers = [seen.isel(time=n).assign_attrs(time=str(time)) for n, time in enumerate(seen.time.values)]
        seen = gpd.GeoDataFrame(pd.concat([vectorize.seen(layer) for layer in layers]), crs=str(seen.odc.geobox.crs))
    if seen.time.isna().any():
        raise ValueError("seen has a row without a date: set its column time")
    group, times = pd.factorize(corrections.naive(seen.time))  # a date may be of several scenes
    return dict(zip(pd.DatetimeIndex(times), vectorize.gather(seen.to_crs(crs).geometry.array, group), strict=True))


def _sum(values: np.ndarray) -> float:
    """Sum of what is known, NaN where nothing is."""
    return np.nansum(values) if np.isfinite(values).any() else np.nan


def _ratio(part, whole):
    """part / whole, NaN where there is no whole."""
    return part / np.where(np.asarray(whole) > 0, whole, np.nan)
