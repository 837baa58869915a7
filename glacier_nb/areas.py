"""Area change seen three ways: on the map by rate, by elevation before and after, and over the sizes of glaciers.

Without a source, plain or ours: `happened`, `glaciers`, `by_elevation`, `hypsometry`, `distribution`.
"""

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from bokeh.palettes import RdBu, interp_palette

from glacier_nb import charts, layers, maps, vectorize

PALETTE = interp_palette(RdBu[11][::-1], 255)
"""Red where ice was lost, white where it stayed, blue where it was gained: apart for colour-blind readers too."""


def happened(table: pd.DataFrame) -> pd.DataFrame:
    """What became of each glacier over all dates: rgi_id, kind (first word of `events`), events with their dates.

    `table` of change.area. Of several the gravest is the kind: a glacier that split and then went has disappeared.
    """
    rows = table.assign(events=table["events"].fillna("") if "events" in table else "")
    rows = rows[(rows["rgi_id"] != "region") & (rows["events"] != "")]
    rows = rows.assign(
        kind=rows["events"].str.split().str[0],
        events=rows["events"] + " by " + rows["time"].dt.strftime("%Y-%m-%d"),
    )
    rank = {name: number for number, name in enumerate(charts.EVENTS)}
    rows = rows.assign(rank=rows["kind"].map(rank)).sort_values(["rank", "time"])
    return rows.groupby("rgi_id", as_index=False).agg({"kind": "first", "events": "; ".join})


def glaciers(
    outlines: gpd.GeoDataFrame,
    table: pd.DataFrame,
    base: xr.Dataset | None = None,
    limit: float | None = None,
    title: str | None = None,
    width: int = 470,
) -> hv.Layout:
    """Each glacier in the colour of its rate of area change, and beside it the areas over time; each picks the other.

    A glacier picked on the map stays in the series with all its outlines; years brushed in the series leave the
    outlines of those years. Glaciers that disappeared, split, merged or appeared carry a mark; where the table has
    dh_dt_m_a (attributes.thinned), the hover tells it.

    Args: `outlines` (rgi_id, time) of all dates; `table` of change.area on them; `base` a scene or maps.hillshade;
    `limit` is the rate (% a-1) at either end of the colours (default: what 95 % of the glaciers stay within).
    ValueError where no glacier has a rate.
    """
    crs = base.odc.crs if base is not None else outlines.crs
    rows = charts.area_rows(table)
    last = rows[rows["rgi_id"] != "region"].groupby("rgi_id").tail(1).set_index("rgi_id")
    rate = last["rate_percent_a"] if "rate_percent_a" in last else _rates(rows)
    if rate.isna().all():
        raise ValueError("no rate to show: the table needs two dates, change.area(outlines of two dates or more)")
    found = happened(table).set_index("rgi_id")
    shapes = outlines.to_crs(crs)[["rgi_id", "time", "geometry"]].sort_values("time")
    largest = (
        shapes.assign(size=shapes.area).sort_values("size").groupby("rgi_id").tail(1).drop(columns=["size", "time"])
    )
    largest = largest[largest["rgi_id"].isin(last.index)]
    key = largest["rgi_id"]
    largest = largest.assign(
        area_m2=key.map(last["area_m2"]), rate_percent_a=key.map(rate), events=key.map(found["events"]).fillna("")
    ).dropna(subset="rate_percent_a")
    if "dh_dt_m_a" in table:
        largest["dh_dt_m_a"] = largest["rgi_id"].map(table.groupby("rgi_id")["dh_dt_m_a"].last())
    limit = limit or float(np.ceil(largest["rate_percent_a"].abs().quantile(0.95) * 10) / 10) or 1.0
    left, bottom, right, top = largest.total_bounds
    margin = 0.04 * max(right - left, top - bottom)
    edges = (left - margin, bottom - margin, right + margin, top + margin)
    pick, follow = charts.linked("rgi_id")
    lead, trail = charts.linked("outline")
    drawn, marks = [], {}
    if base is not None:
        small, bands, _ = layers.shown(base, None)
        edges, marks = maps.bounds(small), maps.doubts(small, bands)[2]
        drawn.append(maps.picture(maps.tones(small, bands, maps.limits(small, bands), 0.8), edges))
    filled = maps.shapes(
        largest, "rate_percent_a", maps.grain(edges), tools=["tap"], cmap=PALETTE, clim=(-limit, limit),
        fill_alpha=0.85, line_color=maps.INK, line_width=0.8, nonselection_fill_alpha=0.25, colorbar=True,
        colorbar_position="bottom",
        clabel="Rate of area change (% a⁻¹)", hooks=[pick, maps.bar],
    )  # fmt: skip
    dated = shapes.assign(outline=shapes["rgi_id"].astype(str) + " " + shapes["time"].dt.strftime("%Y-%m-%d"))
    rings = gpd.GeoDataFrame(dated[["rgi_id", "outline", "time"]], geometry=dated.boundary, crs=crs)
    lines = maps.shapes(
        rings, maps.INK, maps.grain(edges), line_width=1.0, line_alpha=0.35, nonselection_line_alpha=0.0,
        selection_line_alpha=1.0, selection_line_width=1.6, hooks=[lead],
    )  # fmt: skip
    drawn += [filled, lines]
    for name, sign in charts.EVENTS.items():
        some = largest[largest["rgi_id"].isin(found.index[found["kind"] == name])]
        if len(some):
            marks[name] = charts.ring(sign)
            points = shapely.get_coordinates(some.representative_point())
            drawn.append(hv.Points(points, ["x", "y"]).opts(marker=sign, **charts.RING))
    dates = rows["date"]
    title = title or f"Rate of area change, {dates.iloc[0]} to {dates.iloc[-1]}"
    view = maps.frame(hv.Overlay(drawn), crs, edges, title, width, marks)
    series = charts.area_series(rows, [follow, trail], "Area over time", round(width * 0.8))
    return (view + series).opts(shared_axes=False)


def _rates(rows: pd.DataFrame) -> pd.Series:
    """Change per year (%) of each glacier from its first date to its last, of a table without rates."""
    mine = rows[rows["rgi_id"] != "region"].groupby("rgi_id")
    years = (mine["time"].last() - mine["time"].first()) / pd.Timedelta(days=365.25)
    return mine["change_percent"].last() / years.where(years > 0)


def by_elevation(
    outlines: gpd.GeoDataFrame, elevation: xr.DataArray, step: float = 50.0, seen: gpd.GeoDataFrame | None = None
) -> pd.DataFrame:
    """Glacier area in each band of elevation at every date: time, elevation_m (the band's middle), area_m2.

    `elevation` (y, x; m) is one for all dates, and its pixels are shared out by how much of them the outlines cover.
    With `seen` (time, geometry; as vectorize.seen) only ground that all dates saw counts. Ice without an elevation
    comes in a row whose elevation_m is NaN. Areas are on the ground. ValueError for degrees.
    """
    geobox, height = elevation.odc.geobox, elevation.values
    outlines = outlines.to_crs(str(geobox.crs))
    pixel = abs(geobox.resolution.x * geobox.resolution.y)
    common = np.ones(height.shape, "float32")
    for _, view in [] if seen is None else seen.groupby("time"):
        common = np.minimum(common, vectorize.rasterize(view.to_crs(outlines.crs), geobox).values)
    band = np.floor(height / step)
    levels = np.unique(band[np.isfinite(band)])
    rows = []
    for time, some in outlines.groupby("time"):
        ground = float(np.mean(vectorize.scale(some)))
        cover = np.minimum(vectorize.rasterize(some, geobox).values, common) * pixel / ground
        known = np.isfinite(band)
        sums = np.bincount(np.searchsorted(levels, band[known]), cover[known], len(levels)) if len(levels) else []
        rows += [(time, (level + 0.5) * step, area) for level, area in zip(levels, sums, strict=True)]
        if (blind := float(cover[~known].sum())) > 0:
            rows.append((time, np.nan, blind))
    table = pd.DataFrame(rows, columns=["time", "elevation_m", "area_m2"])
    covered = table.groupby("elevation_m", dropna=False)["area_m2"].transform("sum") > 0
    table = table[covered].reset_index(drop=True)
    table.attrs = {"units": "m2", "step_m": float(step)}
    return table


def hypsometry(table: pd.DataFrame, title: str = "", width: int = 440, height: int = 420) -> hv.Overlay:
    """Area by elevation at the first date and at the last, and, shaded, what each band lost and gained.

    Args: `table` of `by_elevation`. ValueError where it has fewer than two dates.
    """
    dates = sorted(table["time"].unique())
    if len(dates) < 2:
        raise ValueError(f"hypsometry of {len(dates)} date: give outlines of two dates or more to by_elevation")
    step = table.attrs.get("step_m", 50.0)
    bands = table.dropna(subset="elevation_m").pivot_table("area_m2", "elevation_m", "time", fill_value=0.0) / 1e6
    bands = bands.reindex(np.arange(bands.index.min(), bands.index.max() + step / 2, step), fill_value=0.0)
    one, two = bands[dates[0]].to_numpy(), bands[dates[-1]].to_numpy()
    middle = bands.index.to_numpy()
    low, high = middle - step / 2, middle + step / 2
    parts, marks = [], {}
    for name, colour, where in (("lost", maps.LOSS, two < one), ("gained", maps.GAIN, two > one)):
        if where.any():
            marks[name] = colour
            cells = (np.minimum(one, two)[where], low[where], np.maximum(one, two)[where], high[where],
                     (two - one)[where], middle[where])  # fmt: skip
            tips = [("Elevation", "@middle{0,0} m"), ("Change", "@change{+0.000} km²")]
            parts.append(
                hv.Rectangles(cells, ["from", "low", "to", "high"], ["change", "middle"]).opts(
                    color=colour, fill_alpha=0.55, line_alpha=0, tools=["hover"], hover_tooltips=tips
                )
            )
    for values, colour, date in ((one, "#8a949e", dates[0]), (two, maps.INK, dates[-1])):
        marks[f"{pd.Timestamp(date):%Y-%m-%d}"] = colour
        x, y = np.repeat(values, 2), np.column_stack([low, high]).ravel()
        steps = np.r_[0.0, x, 0.0], np.r_[y[0], y, y[-1]]
        parts.append(hv.Path([np.column_stack(steps)], ["from", "low"]).opts(color=colour, line_width=2))
    years = f"{pd.Timestamp(dates[0]):%Y} and {pd.Timestamp(dates[-1]):%Y}"
    return hv.Overlay(parts).opts(
        hooks=[maps.dress, maps.key(marks)], title=title or f"Glacier area by elevation, {years}",
        xlabel=f"Area per {step:g} m of elevation (km²)", ylabel="Elevation (m)", frame_width=width,
        frame_height=height, show_grid=True, show_legend=False, padding=0.03,
    )  # fmt: skip


def distribution(table: pd.DataFrame, title: str = "", width: int = 480, height: int = 380) -> hv.Layout:
    """How change is spread over glaciers: change against size, with intervals and the region's line; and how many.

    Glaciers that disappeared, split, merged or appeared carry a mark. Args: `table` of change.area. ValueError where
    no glacier has a change.
    """
    rows = charts.area_rows(table)
    last = rows.groupby("rgi_id").tail(1).dropna(subset=["change_percent"])
    region, mine = last[last["rgi_id"] == "region"], last[last["rgi_id"] != "region"]
    compared = (100 * mine["change_m2"] / mine["change_percent"]).where(mine["change_m2"] != 0, mine["first"])
    mine = mine.assign(
        size_km2=compared / 1e6,
        lower=(100 * mine["change_lower_m2"] / compared).clip(lower=-100),
        upper=100 * mine["change_upper_m2"] / compared,
        colour=np.where(mine["change_percent"] < 0, maps.LOSS, maps.GAIN),
    )
    mine = mine[mine["size_km2"] > 0]
    if mine.empty:
        raise ValueError("no change to show: the table needs glaciers with two dates that saw the same ground")
    tips = [("Glacier", "@rgi_id"), ("Size", "@size_km2{0,0.000} km²"), ("Change", "@change_percent{+0.0} %"),
            ("Interval", "@lower{0.0} to @upper{0.0} %"), ("Since before", "@events")]  # fmt: skip
    dots = hv.Scatter(
        mine, "size_km2", ["change_percent", "rgi_id", "lower", "upper", "events", "colour"]
    ).opts(color="colour", size=8, line_color=maps.PAPER, tools=["hover"], hover_tooltips=tips)  # fmt: skip
    parts = [charts.whiskers(mine, "size_km2", "change_percent", "lower", "upper", line_color="#aab4bd"), dots]
    found, marks = happened(table), {}
    for name, sign in charts.EVENTS.items():
        some = mine[mine["rgi_id"].isin(found["rgi_id"][found["kind"] == name])]
        if len(some):
            marks[name] = charts.ring(sign)
            parts.append(hv.Scatter(some, "size_km2", ["change_percent"]).opts(marker=sign, **charts.RING))
    rules = [charts.level(0)]
    if len(region):
        whole = float(region["change_percent"].iloc[0])
        rules.append(charts.level(whole))
        parts.append(hv.Text(mine["size_km2"].min(), whole, f"region {whole:+.1f} %".replace("-", "−")).opts(
            text_font_size="11px", text_color=maps.INK, text_align="left", text_baseline="bottom"
        ))  # fmt: skip
    cloud = hv.Overlay(parts).opts(
        hooks=[maps.dress, *rules, *([maps.key(marks)] if marks else [])], logx=True,
        xformatter="%g", show_legend=False, padding=0.08,
        title=title or f"Change of {len(mine)} glaciers by their size", xlabel="Area at the first date (km²)",
        ylabel="Change of area (%)", frame_width=width, frame_height=height, show_grid=True,
    )  # fmt: skip
    bins = np.histogram_bin_edges(mine["change_percent"], bins=min(20, max(5, len(mine) // 3)))
    counts = np.histogram(mine["change_percent"], bins)[0]
    cells = (np.zeros(len(counts)), bins[:-1], counts, bins[1:])
    bars = hv.Rectangles(cells, ["none", "from", "glaciers", "to"]).opts(
        color="#8a949e", line_color=maps.PAPER, tools=["hover"],
        hover_tooltips=[("Glaciers", "@glaciers"), ("Change", "@from{+0.0} to @to{+0.0} %")],
    )  # fmt: skip
    many = hv.Overlay([bars]).opts(
        hooks=[maps.dress, charts.level(0)], title="How many", xlabel="Glaciers (number)", ylabel="Change of area (%)",
        frame_width=round(width * 0.45), frame_height=height, show_grid=True, show_legend=False, padding=0.04,
    )  # fmt: skip
    return (cloud + many).opts(shared_axes=False)
