"""Calving fronts in time: their positions with season and trend, how fast they moved, what they swept.

Without a source, plain or ours: `position_rows`, `heading`, `bordered`, `fitted`, `dated`, `date_bar`,
`position_series`, `rates`, `strip`, `swept`, `migration`.
"""

from collections.abc import Callable

import holoviews as hv
import numpy as np
import pandas as pd
from bokeh.models import ColorBar, DatetimeTickFormatter, FixedTicker
from bokeh.palettes import RdBu, interp_palette

from glacier_nb import charts, maps

MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle")
"""One for each method of a series, in the order they first appear."""


def position_rows(positions: pd.DataFrame) -> pd.DataFrame:
    """`positions` of terminus.positions as charts show them: with both ends of each whisker, and dates to meet by.

    Columns besides: below and above (m), date (ISO text), front (glacier and date), day (ms since 1970).
    """
    rows = positions.assign(
        time=pd.to_datetime(positions["time"]),
        method=positions.get("method", ""),
        below=positions["position_m"] - positions["uncertainty_m"],
        above=positions["position_m"] + positions["uncertainty_m"],
    )
    rows["date"] = rows["time"].dt.strftime("%Y-%m-%d")
    rows["front"] = rows["rgi_id"].astype(str) + " " + rows["date"]
    rows["day"] = rows["time"].astype("datetime64[ms]").astype("int64").astype(float)
    return rows


WAYS = {
    "box": "mean across", "curvilinear box": "mean across, bent with the flow", "variable box": "mean of its own width",
    "centreline": "at one crossing", "multi-centreline": "mean of lines beside it", "bow": "mean from its head",
    "transects": "mean of straight lines",
}  # fmt: skip
"""What part of a front each of terminus.METHODS takes."""


def heading(rows: pd.DataFrame) -> str:
    """The title of a series of `position_rows`; for several methods it says what each takes and why they differ.

    >>> table = pd.DataFrame({"rgi_id": "a", "time": ["2020-08-01"] * 2, "position_m": 0.0, "uncertainty_m": 3.0})
    >>> print(heading(position_rows(table.assign(method=["box", "centreline"], width_m=[4000.0, np.nan]))))
    Front position relative to 2020-08-01
    box (4.0 km, mean across), centreline (at one crossing):
    they differ where a front is not straight across
    """
    title, parts = f"Front position relative to {rows['date'].min()}", []
    for name, some in rows.groupby("method", sort=False):
        wide = some["width_m"].div(1000).round(1).dropna().unique() if "width_m" in some else []
        told = [f"{wide[0]:.1f} km"] if len(wide) == 1 else []
        told += [WAYS[name]] if name in WAYS else []
        parts.append(f"{name} ({', '.join(told)})" if told else str(name))
    if len(parts) < 2:
        return title
    return f"{title}\n{', '.join(parts)}:\nthey differ where a front is not straight across"


def bordered(part: hv.Overlay, **borders: int) -> hv.Overlay:
    """`part` with `borders` (min_border_left and so on, in pixels), which bokeh's lining up of frames does not cut."""
    hooks = hv.Store.lookup_options("bokeh", part, "plot").kwargs.get("hooks", [])
    return part.opts(hooks=[*hooks, lambda plot, element: plot.state.update(**borders)])


FIT = {
    "fitted_m": ("trend and season", maps.stroke(maps.GAIN, 1.8)),
    "trend_m": ("trend", maps.stroke(maps.GAIN, 1.8) | {"line_dash": [3, 2]}),
    "lower_m": ("their interval", "#cce6f5"),
}
"""What a key calls each part of `fitted`, and how it shows it."""


def fitted(fit: pd.DataFrame) -> hv.Overlay:
    """A fitted season and trend through positions: its line over the band that it lies in.

    `fit` has time, fitted_m, lower_m, upper_m, as fluctuations gives them; for several series rgi_id or method too; and
    trend_m, if there is one, is dashed, alone where the fit has no season. Raises LookupError for a missing column.
    """
    if missing := {"time", "fitted_m", "lower_m", "upper_m"} - set(fit.columns):
        raise LookupError(f"a fit without {', '.join(sorted(missing))}: give time, fitted_m, lower_m and upper_m")
    by = [name for name in ("rgi_id", "method") if name in fit]
    groups = [group for _, group in fit.groupby(by, sort=False)] if by else [fit]
    parts = []
    for group in groups:
        group = group.sort_values("time")
        parts.append(hv.Area(group, "time", ["lower_m", "upper_m"]).opts(color=maps.LATER, alpha=0.3, line_alpha=0))
        if "trend_m" not in group or not np.allclose(group["trend_m"], group["fitted_m"]):
            parts.append(hv.Curve(group, "time", "fitted_m").opts(color=maps.GAIN, line_width=1.8))
        if "trend_m" in group:
            parts.append(hv.Curve(group, "time", "trend_m").opts(color=maps.GAIN, line_width=1.2, line_dash="dashed"))
    return hv.Overlay(parts)


def dated(days: pd.Series) -> dict:
    """Options that colour by `days` (ms since 1970) from dark to bright."""
    return {"cmap": "viridis", "clim": (float(days.min()), max(float(days.max()), float(days.min()) + 1))}


def date_bar(plot, element) -> None:
    """A hook that reads the colour bar of `dated` as dates."""
    maps.bar(plot, element)
    form = dict.fromkeys(("days", "months", "years"), "%Y-%m-%d")
    for one in plot.state.select({"type": ColorBar}):
        ticks = np.linspace(one.color_mapper.low, one.color_mapper.high, 5).tolist()
        one.update(ticker=FixedTicker(ticks=ticks), formatter=DatetimeTickFormatter(**form))


def position_series(
    table: pd.DataFrame, pick: Callable, colours: dict, title: str, height: int, fit: pd.DataFrame | None = None
) -> hv.Overlay:
    """Position of each front over time: points in the colour of their date, whiskers, lines that stop at gaps.

    Args: `table` is of `position_rows`; `colours` are the options that colour column `day`; `pick` is a hook; a `fit`
    (see `fitted`) takes the place of the lines.
    """
    by = [name for name in ("rgi_id", "method") if name in table]
    methods = dict(zip(table["method"].unique(), MARKERS, strict=False))
    told = [
        ("Glacier", "@rgi_id"),
        ("Date", "@date"),
        ("Position", "@position_m{+0,0} m ± @uncertainty_m{0,0} m"),
        ("Method", "@method"),
    ]
    lines = charts.strands(charts.broken(table, "position_m", by), "position_m", by, color="#8a949e", line_width=1.2)
    points = hv.Scatter(
        table.dropna(subset="position_m"), "time",
        ["position_m", "day", "front", "rgi_id", "date", "method", "uncertainty_m"],
    ).opts(
        color="day", size=7, marker=hv.dim("method").categorize(methods, "circle"), line_color=maps.INK, line_width=0.5,
        tools=["hover", "tap", "xbox_select"], hover_tooltips=told, nonselection_alpha=0.08, hooks=[pick], **colours,
    )  # fmt: skip
    grey = {"fill_color": "#8a949e", "size": 8}
    signs = [maps.key({name: grey | {"marker": mark} for name, mark in methods.items()})] if len(methods) > 1 else []
    if fit is not None:
        lines = fitted(fit)
        held = {part.vdims[0].name for part in lines}
        signs = [maps.key({name: mark for part, (name, mark) in FIT.items() if part in held}), *signs]
    ends = charts.whiskers(table, "time", "position_m", "below", "above", line_color="#8a949e")
    return (lines * ends * points).opts(
        hooks=[maps.dress, charts.dates, charts.level(0), *signs], title=title, xlabel="Date",
        ylabel="Front position (m), advance up, retreat down", frame_width=480, frame_height=height, padding=0.05,
        show_legend=False,
        show_grid=True,
    )  # fmt: skip


PALETTE = interp_palette(RdBu[11][::-1], 255)
"""Red where a front retreated, white where it stood, blue where it advanced: apart for colour-blind readers too."""


def rates(positions: pd.DataFrame) -> pd.DataFrame:
    """How fast each front moved from one measured date to the next: m a-1, advance positive.

    `positions` of terminus.positions; dates without a position are passed over. Columns rgi_id, method, start, end,
    rate_m_a, uncertainty_m_a (of both ends, independent), swept_m2 (between the two, where the method tells it).

    >>> days = pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"])
    >>> table = pd.DataFrame({"rgi_id": "a", "time": days, "position_m": [0.0, -366.0, -366.0], "uncertainty_m": 3.0})
    >>> rates(table)["rate_m_a"].round(2).tolist()
    [-365.25, 0.0]
    """
    table = positions.dropna(subset="position_m").assign(time=lambda t: pd.to_datetime(t["time"]))
    table = table.assign(method=table.get("method", ""), swept=table.get("swept_area_m2", np.nan)).sort_values("time")
    mine = table.groupby(["rgi_id", "method"], sort=False)
    years = mine["time"].diff() / pd.Timedelta(days=365.25)
    table = table.assign(
        start=mine["time"].shift(), end=table["time"], years=years, rate_m_a=mine["position_m"].diff() / years,
        uncertainty_m_a=np.hypot(table["uncertainty_m"], mine["uncertainty_m"].shift()) / years,
        swept_m2=mine["swept"].diff(),
    )  # fmt: skip
    columns = ["rgi_id", "method", "start", "end", "rate_m_a", "uncertainty_m_a", "swept_m2"]
    return table[table["years"] > 0][columns].reset_index(drop=True)


def strip(positions: pd.DataFrame, limit: float | None = None, title: str = "", width: int = 1000) -> hv.Overlay:
    """Rates as a heat strip: a row for each glacier and method, a bar for each interval in the colour of its rate.

    Gaps between measured dates longer than charts.broken allows stay white. Args: `positions` of terminus.positions;
    `limit` is the rate (m a-1) at either end of the colours (default: what 95 % of the intervals stay within).
    ValueError where no glacier has two positions.
    """
    table = rates(positions)
    if table.empty:
        raise ValueError("no rate to show: a glacier needs two measured positions")
    several = table["method"].nunique() > 1
    table = table.assign(
        row=table["rgi_id"].astype(str) + (", " + table["method"]) * several,
        span=table["start"].dt.strftime("%Y-%m-%d") + " to " + table["end"].dt.strftime("%Y-%m-%d"),
    )
    step = (table["end"] - table["start"]).groupby(table["row"]).transform("median")
    gap = (table["end"] - table["start"]) > (2.5 * step).clip(lower=pd.Timedelta(days=90))
    shown = table[~gap] if (~gap).any() else table
    limit = limit or float(np.ceil(shown["rate_m_a"].abs().quantile(0.95))) or 1.0
    names = list(dict.fromkeys(table["row"]))[::-1]
    place = {name: number for number, name in enumerate(names)}
    low = shown["row"].map(place) - 0.4
    bars = hv.Rectangles(
        (shown["start"], low, shown["end"], low + 0.8, shown["rate_m_a"], shown["uncertainty_m_a"], shown["row"],
         shown["span"]),
        ["start", "low", "end", "high"], ["rate", "uncertainty", "front", "span"],
    ).opts(
        color="rate", cmap=PALETTE, clim=(-limit, limit), line_color=maps.PAPER, line_width=0.5, colorbar=True,
        colorbar_position="bottom", clabel="Rate (m a⁻¹), advance blue, retreat red", tools=["hover"],
        hover_tooltips=[("Front", "@front"), ("From", "@span"), ("Rate", "@rate{+0,0} ± @uncertainty{0,0} m a⁻¹")],
        hooks=[maps.dress, maps.bar, charts.dates],
    )  # fmt: skip
    return hv.Overlay([bars]).opts(
        title=title or "Rate of front migration", xlabel="Date", ylabel="Front", frame_width=width,
        frame_height=max(60, 34 * len(names)), yticks=[(number, name) for name, number in place.items()],
        ylim=(-0.6, len(names) - 0.4), show_legend=False,
    )  # fmt: skip


def swept(positions: pd.DataFrame, title: str = "", width: int = 1000, height: int = 220) -> hv.Overlay:
    """Area that each front swept since its first date (km2): gained above zero, lost below, gaps as gaps.

    Args: `positions` of terminus.positions by a box: a centreline sweeps none, which is a ValueError.
    """
    table = positions.assign(time=pd.to_datetime(positions["time"]), swept_km2=positions["swept_area_m2"] / 1e6)
    table = table.assign(date=table["time"].dt.strftime("%Y-%m-%d"))
    if table["swept_km2"].isna().all():
        raise ValueError("no swept area: measure by a box, terminus.positions(fronts, 'box', box=...)")
    table = table[table.groupby("rgi_id")["swept_km2"].transform("count") > 0]
    told = [("Glacier", "@rgi_id"), ("Date", "@date"), ("Swept", "@swept_km2{+0.000} km²")]
    whole = charts.broken(table[["rgi_id", "time", "swept_km2"]].dropna(), "swept_km2", ["rgi_id"])
    signs = {}
    parts = []
    for number, (name, some) in enumerate(whole.groupby("rgi_id", sort=False)):
        colour = SERIES[number % len(SERIES)]
        signs[str(name)] = colour
        parts.append(hv.Area(some, "time", "swept_km2").opts(color=colour, fill_alpha=0.18, line_alpha=0))
        parts.append(hv.Curve(some, "time", "swept_km2").opts(color=colour, line_width=1.4))
    points = table.dropna(subset="swept_km2").assign(colour=lambda t: t["rgi_id"].astype(str).map(signs))
    parts.append(
        hv.Scatter(points, "time", ["swept_km2", "rgi_id", "date", "colour"]).opts(
            color="colour", size=6, tools=["hover"], hover_tooltips=told
        )
    )
    low, high = min(points["swept_km2"].min(), 0.0), max(points["swept_km2"].max(), 0.0)
    room = 0.06 * (high - low) or 0.01  # an area has none beyond zero, which would cut the first point
    return hv.Overlay(parts).opts(
        hooks=[maps.dress, charts.dates, charts.level(0), *([maps.key(signs)] if len(signs) > 1 else [])],
        ylim=(low - room, high + room),
        title=title or "Area swept by the front since the first date", xlabel="Date", ylabel="Swept area (km²)",
        frame_width=width, frame_height=height, show_legend=False, show_grid=True,
    )  # fmt: skip


SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of several series, after Okabe and Ito (2008)."""


def migration(positions: pd.DataFrame, fit: pd.DataFrame | None = None, width: int = 880) -> hv.Layout:
    """Position series with season and trend, the area swept where a box tells it, and the rates as a heat strip.

    Args: `positions` of terminus.positions; `fit` as `fitted`. The three share their axis of dates.
    """
    rows = position_rows(positions)
    colours = dated(rows["day"])
    series = position_series(rows, lambda plot, element: None, colours, heading(rows), 260, fit).opts(frame_width=width)
    box = positions[positions["swept_area_m2"].notna()] if "swept_area_m2" in positions else positions[:0]
    parts = [series, *([swept(box, width=width)] if len(box) else []), strip(positions, width=width)]
    names = (positions["rgi_id"].astype(str) + ", " + rows["method"]).str.len().max()
    room = 60 + 7 * int(
        names
    )  # bokeh lines frames up by their left edges: a figure without the room is cut at its right
    margin = (rows["time"].max() - rows["time"].min()) * 0.02
    span = rows["time"].min() - margin, rows["time"].max() + margin
    parts = [bordered(part, min_border_left=room).opts(xlim=span) for part in parts]
    return hv.Layout(parts).cols(1).opts(shared_axes=False)
