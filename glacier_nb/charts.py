"""Charts: bars and series with their intervals, gaps that stay gaps, and picks that a chart and a map share."""

from collections.abc import Callable

import holoviews as hv
import numpy as np
import pandas as pd
from bokeh.models import CustomJS, DatetimeTickFormatter, Span
from hvplot import hvPlotTabular

from glacier_nb import maps, tables

MOST = 30
"""Bars that fit a figure: of more glaciers, those that changed most."""


def linked(column: str) -> tuple[Callable, Callable]:
    """Hooks for the first and for every later element drawn that holds `column`: a pick in one is a pick in all.

    Rows are met by their value in `column`, in the page itself, without a kernel. An element that holds two linked
    columns hands a pick on from one link to the other.
    """
    drawn = []
    code = """
    const mark = "led by " + column
    if (here.tags.includes(mark)) return
    const wanted = new Set(here.selected.indices.map((i) => here.data[column][i]))
    const found = []
    Array.from(there.data[column]).forEach((value, i) => { if (wanted.has(value)) found.push(i) })
    there.tags = [...there.tags, mark]
    there.selected.indices = found
    there.tags = there.tags.filter((tag) => tag != mark)
    """

    def later(plot, element):
        last = plot.handles["source"]
        if column not in last.data:  # HoloViews keeps only the columns that a hover or a colour needs
            last.data[column] = element.dimension_values(column, expanded=False)
        for here, there in [pair for other in drawn for pair in ((other, last), (last, other))]:
            link = CustomJS(args={"here": here, "there": there, "column": column}, code=code)
            here.selected.js_on_change("indices", link)
        drawn.append(last)

    def first(plot, element):
        drawn.clear()
        later(plot, element)

    return first, later


def level(value: float, dimension: str = "width") -> Callable:
    """A hook that rules a line at `value`: across the figure, or up it where `dimension` is "height"."""
    rule = {"level": "underlay", "line_color": "#8a949e", "line_width": 1}
    return lambda plot, element: plot.state.add_layout(Span(location=value, dimension=dimension, **rule))


def broken(table: pd.DataFrame, value: str, by: list[str]) -> pd.DataFrame:
    """`table` sorted by `by` and time, with an empty row in every gap, so that no line is drawn across it.

    A gap is longer than 90 days and than 2.5 times the median step of its group: a polar night breaks a weekly
    series, missing years an annual one.

    >>> days = pd.to_datetime(["2020-08-01", "2021-08-01", "2022-08-01", "2025-08-01"])
    >>> table = pd.DataFrame({"rgi_id": "a", "time": days, "position_m": 1.0})
    >>> broken(table, "position_m", ["rgi_id"])["position_m"].tolist()
    [1.0, 1.0, 1.0, nan, 1.0]
    """
    pieces = []
    for _, group in table.sort_values("time").groupby(by, sort=False):
        step = group["time"].diff()
        wide = step > max(pd.Timedelta(days=90), 2.5 * step.median())
        middle = group[wide].assign(time=group["time"][wide] - step[wide] / 2, **{value: np.nan})
        pieces.append(pd.concat([group, middle]).sort_values("time"))
    return pd.concat(pieces, ignore_index=True)


def strands(table: pd.DataFrame, value: str, by: list[str], **style) -> hv.Curve:
    """`value` of `table` over time, a line for each group of `by`, drawn as one curve with breaks between groups."""
    pieces = []
    for _, group in table.groupby(by, sort=False):
        pieces += [group[["time", value]], group[["time", value]].tail(1).assign(**{value: np.nan})]
    return hv.Curve(pd.concat(pieces, ignore_index=True), "time", value).opts(**style)


def whiskers(table: pd.DataFrame, x: str, value: str, lower: str, upper: str, **style) -> hv.ErrorBars:
    """From column `lower` to column `upper` of `table`, an error bar through `value` over `x`."""
    spans = table.assign(below=table[value] - table[lower], above=table[upper] - table[value])
    spans = spans.dropna(subset=[value, "below", "above"])
    ends = hvPlotTabular(spans).errorbars(x=x, y=value, yerr1="below", yerr2="above")
    return ends.opts(**{"line_color": maps.INK, "upper_head": None, "lower_head": None} | style)


def dates(plot, element) -> None:
    """A hook that writes the ticks of a time axis as year, month and year, or day, month and year."""
    plot.state.xaxis.formatter = DatetimeTickFormatter(years="%Y", months="%b %Y", days="%d %b %Y")


def above(plot, element) -> None:
    """A hook that draws whiskers over their bars; bokeh lays them under."""
    plot.handles["glyph"].level = "overlay"


def change_bars(last: pd.DataFrame, pick: Callable, title: str, height: int) -> hv.Overlay:
    """A bar for each glacier and, set apart by its strength, one for the region, each with its interval.

    Args: `last` has rgi_id, change_percent, lower, upper (%), change_km2, area_km2, date; `pick` is a hook.
    """
    region = last["rgi_id"] == "region"
    last = last.assign(
        colour=np.where(last["change_percent"] < 0, maps.LOSS, maps.GAIN), strength=np.where(region, 1.0, 0.55)
    )
    told = [
        ("Glacier", "@rgi_id"),
        ("Change", "@change_percent{+0.0} %, @change_km2{+0.000} km²"),
        ("Interval", "@lower{+0.0} to @upper{+0.0} %"),
        ("Area", "@area_km2{0,0.000} km² on @date"),
        ("Since before", "@events"),
    ]
    shown = hvPlotTabular(last).bar(
        x="rgi_id", y="change_percent", color="colour", alpha="strength", line_color=None,
        bar_width=min(0.62, 22 * len(last) / height),
        hover_cols=["lower", "upper", "change_km2", "area_km2", "date", "events"], tools=["hover", "tap"],
        hover_tooltips=told, nonselection_alpha=0.2, legend=False,
    )  # fmt: skip
    both = shown.opts(hooks=[pick]) * whiskers(last, "rgi_id", "change_percent", "lower", "upper", hooks=[above])
    return both.opts(
        invert_axes=True, hooks=[maps.dress, level(0, "height")], title=title, xlabel="Glacier",
        ylabel="Change of area (%)", frame_width=440, frame_height=height, padding=(0.05, 0.1), show_grid=True,
    )  # fmt: skip


EVENTS = {"disappeared": "x", "split": "diamond", "merged": "square", "appeared": "triangle"}
"""What can become of a glacier (column `events` of change.area, its first word) and the marker that tells it."""

RING = {"size": 13, "color": maps.INK, "fill_alpha": 0, "line_width": 2}
"""How a marker of EVENTS is drawn."""


def ring(sign: str) -> dict:
    """How a key shows the marker `sign` of EVENTS."""
    return RING | {"marker": sign, "fill_color": None, "line_color": maps.INK}


def area_rows(table: pd.DataFrame) -> pd.DataFrame:
    """`table` of change.area as charts show it: in km2 and % of the first area, with its events (empty: unknown).

    Columns besides: area_km2, change_km2, relative, lower and upper (%), date (ISO text), outline (glacier and date, by
    which a map's outlines are met), colour and size of its mark (px2).
    """
    return table.sort_values("time").assign(
        first=lambda t: t.groupby("rgi_id")["area_m2"].transform("first").replace(0, np.nan),
        date=lambda t: t["time"].dt.strftime("%Y-%m-%d"),
        outline=lambda t: t["rgi_id"].astype(str) + " " + t["date"],
        area_km2=lambda t: t["area_m2"] / 1e6,
        change_km2=lambda t: t["change_m2"] / 1e6,
        relative=lambda t: 100 * t["area_m2"] / t["first"],
        lower=lambda t: 100 * t["lower_m2"] / t["first"],
        upper=lambda t: 100 * t["upper_m2"] / t["first"],
        colour=lambda t: np.where(t["rgi_id"] == "region", maps.INK, "#8a949e"),
        size=lambda t: np.where(t["rgi_id"] == "region", 70, 30),
        events=lambda t: t["events"].fillna("") if "events" in t else "",
    )


def area_series(table: pd.DataFrame, picks: list[Callable], title: str, height: int) -> hv.Overlay:
    """Area over the dates, as % of the first: the region strong with its intervals, each glacier thin.

    Args: `table` is of `area_rows`; `picks` are hooks. Dates are brushed along the axis.
    """
    region = table[table["rgi_id"] == "region"]
    told = [
        ("Glacier", "@rgi_id"),
        ("Date", "@date"),
        ("Area", "@area_km2{0,0.000} km² (@relative{0.0} %)"),
        ("Interval", "@lower{0.0} to @upper{0.0} %"),
        ("Since before", "@events"),
    ]
    thin = strands(table, "relative", ["rgi_id"], color="#aab4bd", line_width=1)
    thick = hv.Curve(region, "time", "relative").opts(color=maps.INK, line_width=2.2)
    points = hvPlotTabular(table).scatter(
        x="time", y="relative", color="colour", size="size", line_color=maps.PAPER, nonselection_alpha=0.08,
        hover_cols=["rgi_id", "date", "outline", "area_km2", "lower", "upper", "events", "colour", "size"],
        tools=["hover", "tap", "xbox_select"], hover_tooltips=told, legend=False,
    )  # fmt: skip
    both = thin * thick * whiskers(region, "time", "relative", "lower", "upper") * points.opts(hooks=picks)
    marks = {"region": maps.stroke(maps.INK, 2.2)} if len(region) else {}
    marks |= {"each glacier": maps.stroke("#aab4bd")} if len(region) < len(table) else {}
    for name, sign in EVENTS.items():
        some = table[table["events"].str.startswith(name) & (table["rgi_id"] != "region")]
        if len(some):
            marks[name] = ring(sign)
            both = both * hv.Scatter(some, "time", ["relative"]).opts(**RING, marker=sign)
    return both.opts(
        hooks=[maps.dress, dates, level(100), maps.key(marks)], title=title, xlabel="Date",
        ylabel="Area (% of the first date)", frame_width=500, frame_height=height, padding=0.06,
        show_legend=False, show_grid=True,
    )  # fmt: skip


def area_change(table: pd.DataFrame) -> hv.Layout:
    """Change of each glacier and of the region (bars with intervals), and their areas over the dates.

    Args: `table` of change.area: rgi_id (a row "region"), time, area_m2, lower_m2, upper_m2, change_m2,
    change_lower_m2, change_upper_m2, change_percent (of the ground that both dates saw). Of more than MOST glaciers
    those are shown that changed most. Pick a bar and its points stay, and the other way.
    """
    table = area_rows(table)
    last = table.groupby("rgi_id").tail(1)
    last = last.assign(rank=last["change_m2"].abs().where(last["rgi_id"] != "region", np.inf)).sort_values("rank")
    last, many = last.tail(MOST + 1), len(last) - 1
    compared = (100 * last["change_m2"] / last["change_percent"]).where(last["change_m2"] != 0, last["first"])
    bars = last.assign(
        lower=(100 * last["change_lower_m2"] / compared).clip(lower=-100),  # no more can go than there was
        upper=100 * last["change_upper_m2"] / compared,
    )
    dates, height = table["date"], max(320, 34 * len(last))
    title = f"Change of area, {dates.iloc[0]} to {dates.iloc[-1]}"
    title += f" ({MOST} of {many} glaciers)" if many > MOST else ""
    pick, follow = linked("rgi_id")
    series = area_series(table[table["rgi_id"].isin(last["rgi_id"])], [follow], "Area over time", height)
    return (change_bars(bars, pick, title, height) + series).opts(shared_axes=False)


def timeline(scenes: pd.DataFrame, title: str = "") -> hv.Overlay:
    """Each scene at its date and clear fraction, filled where it was kept and hollow where it was dropped.

    Args: `scenes` has time, clear_fraction (0-1), kept (bool), and, as far as known, item, snow_fraction (0-1), reason.
    """
    reasons = scenes.get("reason", pd.Series("", scenes.index)).astype(str)
    reasons = scenes["kept"].map({True: "kept", False: "dropped"}) + reasons.where(reasons == "", ": " + reasons)
    scenes = scenes.assign(
        clear=100 * scenes["clear_fraction"],
        snow=100 * scenes.get("snow_fraction", np.nan),
        date=scenes["time"].dt.strftime("%Y-%m-%d"),
        item=scenes.get("item", scenes.get("id", "")),
        verdict=reasons,
    )
    told = [("Scene", "@item"), ("Date", "@date"), ("Clear", "@clear{0} %"), ("Snow", "@snow{0} %"), ("", "@verdict")]
    marks = {"kept": {"fill_color": maps.GAIN, "line_color": maps.GAIN, "marker": "circle", "size": 9}}
    marks["dropped"] = marks["kept"] | {"fill_color": maps.PAPER, "line_color": maps.LOSS}
    points = [
        hv.Scatter(some, "time", ["clear", "item", "date", "snow", "verdict"]).opts(
            tools=["hover"], hover_tooltips=told, line_width=1.6, **marks[name]
        )
        for name, some in (("kept", scenes[scenes["kept"]]), ("dropped", scenes[~scenes["kept"]]))
    ]
    return hv.Overlay(points).opts(
        hooks=[maps.dress, dates, maps.key(marks)],
        title=title or f"{int(scenes['kept'].sum())} of {len(scenes)} scenes kept",
        xlabel="Date", ylabel="Clear (%)", ylim=(-4, 104), frame_width=1000,
        frame_height=230, padding=0.03, show_grid=True, show_legend=False,
    )  # fmt: skip


def ranking(table: pd.DataFrame, score: str, width: int = 460, height: int = 300) -> hv.Layout:
    """Systems by a score (less is better) with its interval, and beside it the score against what training costs.

    table: of `comparing.table`, of one split: system, the score, low, high, seconds, parameters.
    """
    rows = table.sort_values(score, ascending=False).assign(
        above=table["high"] - table[score], below=table[score] - table["low"], millions=table["parameters"] / 1e6
    )
    label = tables.column(score).label
    tips = [("", "@system"), (label, f"@{score}{{0.000}}")]
    dots = hv.Scatter(rows, "system", score).opts(size=10, color=maps.INK, tools=["hover"], hover_tooltips=tips)
    bars = hv.ErrorBars(rows, "system", [score, "below", "above"])
    ranks = (bars * dots).opts(
        hooks=[maps.dress], invert_axes=True, xlabel="System", ylabel=f"{label} (95 % by bootstrap)", width=width,
        height=height, title="Error of each system: less is better", show_grid=True,
    )  # fmt: skip
    costs = hv.Scatter(rows, "seconds", [score, "system", "millions"]).opts(
        size=10, color=maps.LATER, tools=["hover"], width=width, height=height, xlabel="Time of a training (s)",
        ylabel=label, padding=((0.1, 0.6), 0.1),  # room for the last name
        hover_tooltips=[*tips, ("training", "@seconds{0} s"), ("parameters", "@millions{0.00} million")],
        title="Accuracy against cost",
    )  # fmt: skip
    names = hv.Labels(rows, ["seconds", score], "system").opts(
        text_font_size="9pt", text_align="left", xoffset=0.03 * float(np.ptp(rows["seconds"]) or 1), text_color=maps.INK
    )
    both = (costs * names).opts(hooks=[maps.dress], show_grid=True)
    return (ranks + both).opts(shared_axes=False)
