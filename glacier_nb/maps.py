"""What every map shares: pictures on their grid, shapes that answer the mouse, scale, north and colour."""

import base64
import io
from collections.abc import Callable, Mapping

import geopandas as gpd
import holoviews as hv
import numpy as np
import pyproj
import shapely
import xarray as xr
from bokeh.models import (
    ColorBar,
    CustomJSTickFormatter,
    Label,
    Legend,
    LegendItem,
    Metric,
    Node,
    PanTool,
    ScaleBar,
    WheelZoomTool,
)
from PIL import Image

LIMIT = 1024
"""Longest side of a picture in a page, in pixels: a wider raster is shown by its block means."""

FONT = "Inter, Helvetica Neue, Arial, Liberation Sans, sans-serif"
INK, MUTED, RULE, PAPER = "#1d2733", "#5d6975", "#e3e7eb", "#ffffff"
GAIN, LOSS, EARLIER, LATER = "#0072b2", "#d55e00", "#f0e442", "#56b4e9"

ZONE_COLOURS = {
    "rock": "#c9c5bf",
    "glacier": "#56b4e9",
    "debris cover": "#e69f00",
    "ocean": "#0b4f7d",
    "melange": "#cc79a7",
    "lake": "#009e73",
    "rock glacier": "#d55e00",
    "snow": "#f4f8fb",
    "vegetation": "#4d5a14",
    "shadow": "#1c1c1c",
}
"""One colour per zone, after Okabe and Ito (2008), whose hues stay apart for colour-blind readers."""

COMPOSITES = {
    "true colour": ("red", "green", "blue"),
    "false colour": ("swir16", "nir", "red"),
    "near infrared": ("nir",),
    "radar": ("vv",),
    "radar, horizontal": ("hh",),
    "grey": ("grey",),
}
"""Bands shown as red, green and blue; a single one is shown in grey. A scene's own is the first it has bands for."""

TOLD = {
    "rgi_id": ("Glacier", "@rgi_id"),
    "time": ("Date", "@time"),
    "kind": ("", "@kind"),
    "area_m2": ("Area", "@area_km2{0.000} km²"),
    "swept_area_m2": ("Swept area", "@swept_area_km2{0.000} km²"),
    "position_m": ("Position", "@position_m{+0,0} m"),
    "uncertainty_m": ("Uncertainty", "±@uncertainty_m{0,0} m"),
    "method": ("Method", "@method"),
    "system": ("System", "@system"),
    "sensor": ("Sensor", "@sensor"),
}
"""Columns that a hover shows, in this order: label and bokeh's field text."""


def overview(raster: xr.Dataset | xr.DataArray, limit: int = LIMIT) -> xr.Dataset | xr.DataArray:
    """`raster` (..., y, x) as it is or, where a side is longer than `limit`, its block means; of booleans, any.

    >>> overview(xr.DataArray(np.zeros((3000, 10)), dims=("y", "x")), 1000).shape
    (1000, 3)
    """
    step = -(-max(raster.sizes["y"], raster.sizes["x"]) // limit)
    if step == 1:
        return raster
    if isinstance(raster, xr.Dataset):
        return raster.map(overview, limit=limit)
    blocks = raster.coarsen(y=step, x=step, boundary="trim")
    return blocks.any() if raster.dtype == bool else blocks.mean()


def bounds(raster: xr.Dataset | xr.DataArray) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of `raster` (..., y, x): pixel edges in the units of its CRS."""
    x, y = raster["x"].values, raster["y"].values
    half = abs(x[-1] - x[0]) / max(len(x) - 1, 1) / 2, abs(y[-1] - y[0]) / max(len(y) - 1, 1) / 2
    return x.min() - half[0], y.min() - half[1], x.max() + half[0], y.max() + half[1]


def grain(edges: tuple) -> float:
    """Tolerance below which a vertex cannot be seen in a map of `edges`, in the units of its CRS."""
    return max(edges[2] - edges[0], edges[3] - edges[1]) / 4000


def limits(scene: xr.Dataset, bands: tuple[str, ...]) -> tuple[float, float]:
    """The 1st and 99th percentile over `bands` of `scene`, in its units: what is drawn black and white."""
    values = np.concatenate([overview(scene[band], 256).values.ravel() for band in bands])
    low, high = np.nanpercentile(values, (1, 99)) if np.isfinite(values).any() else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-6))


def hatched(rgb: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """`rgb` (y, x, 3; uint8) with grey stripes where `seen` (y, x) is False, as wide on the screen at any size."""
    row, column = np.indices(seen.shape)
    stripes = np.where((row + column) // max(1, max(seen.shape) // 150) % 4 == 0, 168, 222)
    return np.where(seen[..., None], rgb, stripes[..., None]).astype(np.uint8)


def tones(scene: xr.Dataset, bands: tuple[str, ...], stretch: tuple[float, float], mute: float = 0.0) -> np.ndarray:
    """`scene` (y, x) as uint8 (y, x, 3): a square-root stretch of `bands`, unseen area hatched in grey.

    Unseen is where a band is NaN or `clear`, if there is one, is False. `mute` (0-1) greys and lightens.
    """
    low, high = stretch
    layers = np.stack([scene[band].values for band in (bands * 3)[:3]], axis=-1)
    seen = np.isfinite(layers).all(axis=-1)
    if "clear" in scene:
        seen &= scene["clear"].values.astype(bool)
    scaled = np.sqrt(np.clip((np.nan_to_num(layers) - low) / (high - low), 0, 1))
    grey = 0.4 + 0.55 * scaled.mean(axis=-1, keepdims=True)
    return hatched(((scaled + mute * (grey - scaled)) * 255).round(), seen)


def hillshade(elevation: xr.DataArray) -> xr.Dataset:
    """Relief of `elevation` (y, x; m), lit from the north-west at 45 degrees: a Dataset with one band, `grey` (0-1)."""
    surface = overview(elevation)
    down, across = (float(surface[d][1] - surface[d][0]) for d in ("y", "x"))
    north, east = np.gradient(surface.values, down, across)
    light = (1 + (east - north) / np.sqrt(2)) / np.sqrt(2 * (1 + east**2 + north**2))
    return surface.copy(data=np.clip(light, 0, 1) ** 2).to_dataset(name="grey")


def picture(rgb: np.ndarray, edges: tuple[float, float, float, float], lossless: bool = False) -> hv.RGB:
    """`rgb` (y, x, 3 or 4; uint8, north up) between `edges` (left, bottom, right, top), held compressed in the page.

    Bokeh writes pixels as they are, 5.6 MB of text for 1024 x 1024; as WebP the same picture takes a tenth.
    """
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "WEBP", quality=88, method=2, lossless=lossless)
    address = "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
    left, bottom, right, top = edges
    place = {"x": left, "y": top, "w": right - left, "h": top - bottom, "anchor": "top_left"}
    empty = hv.RGB(np.zeros((1, 1, 4), np.uint8), ["x", "y"], [*"RGBA"], bounds=edges)
    return empty.opts(hooks=[lambda plot, element: plot.state.image_url(url=[address], **place)], default_tools=[])


def rows(shapes: gpd.GeoDataFrame, tolerance: float = 0.0) -> list[dict]:
    """Each row of `shapes` as the dictionary HoloViews draws: x and y with NaN between parts, holes, its columns.

    Vertices that move a line by less than `tolerance` (units of the CRS) are left out; dates become ISO text;
    a column in m2 is joined by one in km2.
    """
    columns = shapes.drop(columns=shapes.geometry.name)
    for name in columns.select_dtypes(["datetime", "datetimetz"]):
        columns[name] = columns[name].dt.strftime("%Y-%m-%d")
    for name in [name for name in columns if name.endswith("_m2")]:
        columns[name.replace("_m2", "_km2")] = columns[name] / 1e6
    records, drawn = columns.to_dict("records") or [{}] * len(shapes), []
    for geometry, values in zip(shapes.geometry.simplify(tolerance), records, strict=True):
        parts = [part for part in shapely.get_parts(geometry) if not part.is_empty]
        if not parts:
            continue
        rings = [shapely.get_coordinates(getattr(part, "exterior", part)) for part in parts]
        joined = np.concatenate([piece for ring in rings for piece in (ring, [[np.nan, np.nan]])][:-1])
        row = {"x": joined[:, 0], "y": joined[:, 1], **values}
        if isinstance(parts[0], shapely.Polygon):
            row["holes"] = [[shapely.get_coordinates(hole) for hole in part.interiors] for part in parts]
        drawn.append(row)
    return drawn


def shapes(
    table: gpd.GeoDataFrame, colour: str, tolerance: float = 0.0, tools=(), **style
) -> hv.Polygons | hv.Contours:
    """`table` in one `colour` (a CSS colour, or a column with a `cmap` in `style`): polygons filled, lines as lines.

    `tools` are names of bokeh tools beside the hover, which tells the columns that TOLD knows.
    """
    drawn = rows(table, tolerance)
    columns = [name for name in drawn[0] if name not in ("x", "y", "holes")] if drawn else []
    tips = [TOLD[name] for name in TOLD if name in columns]
    hover = {"tools": [*tools, "hover"], "hover_tooltips": tips} if tips else {"tools": [*tools]}
    element = hv.Polygons if table.geom_type.str.contains("Polygon").any() else hv.Contours
    return element(drawn, ["x", "y"], columns).opts(color=colour, show_legend=False, **hover, **style)


def north(crs, x: float, y: float) -> float:
    """Angle of true north at `x`, `y` of `crs`, in degrees clockwise from the grid's up: large in polar projections.

    >>> round(north("EPSG:32632", 500_000, 5_000_000), 6), round(north("EPSG:3413", -500_000, -500_000))
    (0.0, 45)
    """
    forward = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    lon, lat = forward.transform(x, y, direction="INVERSE")
    east, up = np.subtract(forward.transform(lon, lat + 0.01), (x, y))
    return float(np.degrees(np.arctan2(east, up)))


KILOMETRES = """
const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1000
return (tick / 1000).toFixed(step % 1000 ? (step % 100 ? 2 : 1) : 0)
"""


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


def bar(plot, element) -> None:
    """A HoloViews hook: the house style on the colour bars of a bokeh figure."""
    for one in plot.state.select({"type": ColorBar}):
        one.update(height=10, bar_line_color=None, major_label_text_font=FONT, major_label_text_color=MUTED)


KEY = {
    "orientation": "horizontal", "border_line_color": None, "label_text_font": FONT, "label_text_font_size": "12px",
    "label_text_color": INK, "location": "left", "spacing": 14, "padding": 2, "margin": 4, "background_fill_alpha": 0,
}  # fmt: skip
"""How a legend below a figure looks."""


def key(marks: Mapping[str, str | Mapping]) -> Callable:
    """A hook that sets a legend below the figure: for each name of `marks` a square of that colour, or that style."""

    def add(plot, element):
        style = {"marker": "square", "size": 12, "line_color": "#8a949e"}
        styles = {name: {"fill_color": mark} if isinstance(mark, str) else dict(mark) for name, mark in marks.items()}
        items = [
            LegendItem(label=name, renderers=[plot.state.scatter([np.nan], [np.nan], **style | own)])
            for name, own in styles.items()
        ]
        plot.state.add_layout(Legend(items=items, **KEY), "below")

    return add


def frame(
    overlay, crs, edges: tuple, title: str, width: int = 500, marks: Mapping[str, str | Mapping] | None = None
) -> hv.Overlay:
    """`overlay` as a map of `crs` (metres): kilometre axes, scale bar, true north, equal scales, a key of `marks`.

    Args: `edges` are left, bottom, right, top of what is shown; `width` is in pixels.
    """
    code = pyproj.CRS.from_user_input(crs).to_epsg()
    left, bottom, right, top = (float(edge) for edge in edges)
    angle = north(crs, (left + right) / 2, (bottom + top) / 2)
    type_ = {"text_font": FONT, "text_color": INK}

    def furnish(plot, element):
        figure = plot.state
        dress(plot, element)
        figure.grid.grid_line_color = None
        for axis in figure.axis:
            axis.formatter = CustomJSTickFormatter(code=KILOMETRES)
            axis.ticker.desired_num_ticks = 5
        figure.add_layout(
            ScaleBar(
                range=figure.x_range, unit="m", dimensional=Metric(base_unit="m", exclude=["dm", "dam", "hm"]),
                location="bottom_left", bar_length=0.13, background_fill_alpha=0.8, border_line_color=None,
                bar_line_width=2, bar_line_color=INK, padding=6, margin=8,
                **{f"label_{name}": value for name, value in type_.items()},
            )
        )  # fmt: skip
        figure.add_layout(
            Label(
                x=Node(target="frame", symbol="right", offset=-24), y=Node(target="frame", symbol="top", offset=30),
                text="N\n↑", angle=-angle, angle_units="deg", text_align="center", text_baseline="middle",
                text_font_size="14px", text_font_style="bold", text_line_height=0.95, padding=4, border_radius=14,
                background_fill_color=PAPER, background_fill_alpha=0.8, **type_,
            )
        )  # fmt: skip

    hooks = [furnish, key(marks)] if marks else [furnish]
    return (overlay if isinstance(overlay, hv.Overlay) else hv.Overlay([overlay])).opts(
        hooks=hooks, title=title, frame_width=width, frame_height=round(width * (top - bottom) / (right - left)),
        xlabel=f"Easting (km, EPSG:{code})" if code else "Easting (km)", ylabel="Northing (km)",
        xlim=(left, right), ylim=(bottom, top), show_legend=False,
    )  # fmt: skip
