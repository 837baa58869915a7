"""How every figure looks and what stands in it: typeface, grid, keys, colour bars, where north is."""

from collections.abc import Callable, Mapping

import numpy as np
import pyproj
from bokeh.models import (
    ColorBar,
    CustomJS,
    Label,
    Legend,
    LegendItem,
    Metric,
    Node,
    PanTool,
    Range1d,
    ScaleBar,
    WheelZoomTool,
)

FONT = "Inter, Helvetica Neue, Arial, Liberation Sans, sans-serif"
INK, MUTED, RULE, PAPER = "#1d2733", "#5d6975", "#e3e7eb", "#ffffff"

KILOMETRES = """
const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1000
return (tick / 1000).toFixed(step % 1000 ? (step % 100 ? 2 : 1) : 0)
"""


def north(crs, x: float, y: float) -> float:
    """Angle of true north at `x`, `y` of `crs`, in degrees clockwise from the grid's up: large in polar projections.

    >>> round(north("EPSG:32632", 500_000, 5_000_000), 6), round(north("EPSG:3413", -500_000, -500_000))
    (0.0, 45)
    """
    forward = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    lon, lat = forward.transform(x, y, direction="INVERSE")
    east, up = np.subtract(forward.transform(lon, lat + 0.01), (x, y))
    return float(np.degrees(np.arctan2(east, up)))


def dress(plot, element) -> None:
    """A HoloViews hook: the house style on a bokeh figure; quiet grid, one typeface, Ctrl with the wheel zooms."""
    figure = plot.state
    figure.toolbar.update(logo=None, autohide=True, active_drag=figure.select_one(PanTool))
    figure.update(outline_line_color=None, background_fill_color=PAPER, border_fill_color=PAPER)
    figure.title.update(text_font=FONT, text_font_size="13px", text_font_style="bold", text_color=INK)
    figure.grid.grid_line_color = RULE
    for axis in figure.axis:
        axis.update(axis_label_text_font=FONT, axis_label_text_font_size="12px", axis_label_text_font_style="normal")
        axis.update(axis_label_text_color=MUTED, axis_line_color="#b5bdc5", major_tick_line_color="#b5bdc5")
        axis.update(major_label_text_font=FONT, major_label_text_font_size="11px", major_label_text_color=MUTED)
        axis.minor_tick_line_color = None
    for wheel in figure.select(WheelZoomTool):
        wheel.modifiers = {"ctrl": True}  # a plain wheel scrolls the page
        figure.toolbar.active_scroll = wheel


def compass(figure, angle: float = 0.0) -> None:
    """Set an arrow to true north, `angle` degrees clockwise from up, into the upper right corner of a bokeh figure."""
    figure.add_layout(
        Label(
            x=Node(target="frame", symbol="right", offset=-24), y=Node(target="frame", symbol="top", offset=30),
            text="N\n↑", angle=-angle, angle_units="deg", text_align="center", text_baseline="middle",
            text_font=FONT, text_color=INK, text_font_size="14px", text_font_style="bold", text_line_height=0.95,
            padding=4, border_radius=14, background_fill_color=PAPER, background_fill_alpha=0.8,
        )
    )  # fmt: skip


def scale(figure, metres: float = 1.0, location: str = "bottom_left") -> None:
    """Set a bar that tells how long metres or kilometres are into a corner of a bokeh figure.

    Args: `metres` on the ground of one unit of the figure's x axis.
    """
    shown = ground = figure.x_range
    if metres != 1.0:
        ground = Range1d(start=0.0, end=metres * (shown.end - shown.start))
        code = "ground.end = metres * (shown.end - shown.start)"
        follow = CustomJS(args={"ground": ground, "shown": shown, "metres": metres}, code=code)
        for edge in ("start", "end"):
            shown.js_on_change(edge, follow)
    figure.add_layout(
        ScaleBar(
            range=ground, unit="m", dimensional=Metric(base_unit="m", exclude=["dm", "dam", "hm"]), location=location,
            bar_length=0.13, background_fill_alpha=0.8, border_line_color=None, bar_line_width=2, bar_line_color=INK,
            padding=6, margin=8, label_text_font=FONT, label_text_color=INK,
        )
    )  # fmt: skip


def furnished(metres: float, angle: float = 0.0, location: str = "bottom_left") -> Callable:
    """A hook that sets `scale` and `compass` into a figure whose axes are not in metres."""

    def add(plot, element):
        scale(plot.state, metres, location)
        compass(plot.state, angle)

    return add


def bar(plot, element) -> None:
    """A HoloViews hook: the house style on the colour bars of a bokeh figure."""
    for one in plot.state.select({"type": ColorBar}):
        one.update(height=10, bar_line_color=None, major_label_text_font=FONT, major_label_text_color=MUTED)
        one.update(title_text_font=FONT, title_text_font_style="normal", title_text_color=MUTED)


KEY = {
    "orientation": "horizontal", "border_line_color": None, "label_text_font": FONT, "label_text_font_size": "12px",
    "label_text_color": INK, "location": "left", "spacing": 14, "padding": 2, "margin": 4, "background_fill_alpha": 0,
}  # fmt: skip
"""How a legend below a figure looks."""


def key(marks: Mapping[str, str | Mapping]) -> Callable:
    """A hook that sets a legend below the figure: for each name of `marks` a square of that colour, or that style.

    In as many rows as the figure's width needs.
    """

    def add(plot, element):
        name = "key of " + ", ".join(marks)
        if name in plot.state.tags:  # a view that moves runs its hooks again
            return
        plot.state.tags = [*plot.state.tags, name]
        style = {"marker": "square", "size": 12, "line_color": "#8a949e"}
        styles = {name: {"fill_color": mark} if isinstance(mark, str) else dict(mark) for name, mark in marks.items()}
        items = [
            LegendItem(label=name, renderers=[plot.state.scatter([np.nan], [np.nan], **style | own)])
            for name, own in styles.items()
        ]
        wide = sum(34 + 6 * len(name) for name in marks)  # as drawn: a square, its gaps, 6 px a letter
        rows = -(-wide // (plot.state.frame_width or plot.state.width or wide))
        plot.state.add_layout(Legend(items=items, ncols=-(-len(items) // rows), **KEY), "below")

    return add
