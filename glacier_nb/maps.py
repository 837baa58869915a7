"""What every map shares: pictures on their grid, shapes that answer the mouse, scale, north and colour."""

import base64
import io
import os
from collections.abc import Mapping

import geopandas as gpd
import holoviews as hv
import numpy as np
import pyproj
import shapely
import xarray as xr
from bokeh.models import CustomJSTickFormatter, ScaleBar
from PIL import Image

from glacier_nb.furniture import FONT as FONT
from glacier_nb.furniture import INK as INK
from glacier_nb.furniture import KILOMETRES, compass, dress, key, north, scale
from glacier_nb.furniture import PAPER as PAPER
from glacier_nb.furniture import bar as bar
from glacier_nb.furniture import furnished as furnished

os.environ.setdefault("PANEL_INLINE", "True")  # a notebook saved with its plots opens without a network
hv.extension("bokeh", inline=True, logo=False)

LIMIT = 1024
"""Longest side of a picture in a page, in pixels: a wider raster is shown by its block means."""

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
    "rate_percent_a": ("Rate", "@rate_percent_a{+0.00} % a⁻¹"),
    "dh_dt_m_a": ("Elevation change", "@dh_dt_m_a{+0.00} m a⁻¹"),
    "events": ("What became of it", "@events"),
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
    """Tolerance by which a line may be off in a map of `edges`, in the units of its CRS: a 2000th of the width.

    Frames are up to 700 pixels wide and pictures up to LIMIT: a third of a pixel, half of one where zoomed in.
    """
    return (edges[2] - edges[0]) / 2000


def limits(scene: xr.Dataset, bands: tuple[str, ...]) -> tuple[float, float]:
    """The 1st and 99th percentile over `bands` of `scene`, in its units: what is drawn black and white."""
    values = np.concatenate([overview(scene[band], 256).values.ravel() for band in bands])
    low, high = np.nanpercentile(values, (1, 99)) if np.isfinite(values).any() else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-6))


RIM = {"fill_color": PAPER, "line_color": INK, "line_width": 2}
"""How a key shows white outlines."""


def stroke(colour: str, width: float = 1.0) -> dict:
    """How a key shows a line of a chart, `width` pixels wide."""
    return {"marker": "dash", "size": 14, "fill_color": None, "line_color": colour, "line_width": width}


HATCH = {"marker": "square", "size": 13, "line_color": "#8a949e", "fill_color": "#dedede", "hatch_scale": 5}
UNSEEN = HATCH | {"hatch_pattern": "right_diagonal_line", "hatch_color": "#8a8a8a"}
FAILED = HATCH | {"hatch_pattern": "left_diagonal_line", "hatch_color": LOSS}
"""How a key shows ground that was not seen, and ground that a failed read kept from being seen."""


def hatched(rgb: np.ndarray, seen: np.ndarray, lost: np.ndarray | None = None) -> np.ndarray:
    """`rgb` (y, x, 3; uint8) with grey stripes where `seen` (y, x) is False, as wide on the screen at any size.

    Where `lost` (y, x; bool) as well, a read failed: stripes the other way, in LOSS. Ground that was seen although
    some of its reads were lost keeps its picture under thin, wide-set stripes of that colour.
    """
    row, column = np.indices(seen.shape)
    wide = max(1, max(seen.shape) // 150)
    stripes = np.where((row + column) // wide % 4 == 0, 168, 222)
    drawn = np.where(seen[..., None], rgb, stripes[..., None])
    if lost is not None and lost.any():
        across = (row - column) // wide % np.where(seen, 12, 4) == 0
        colour = np.array([int(LOSS[k : k + 2], 16) for k in (1, 3, 5)])
        plain = np.where(seen[..., None], rgb, 222)
        drawn = np.where(lost[..., None], np.where(across[..., None], colour, plain), drawn)
    return drawn.astype(np.uint8)


def doubts(scene: xr.Dataset, bands: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray | None, dict[str, dict]]:
    """Where `scene` (y, x) was seen, where it lost reads (None: it does not tell), and a key of what there is.

    Unseen is where a band is NaN or `clear`, if there is one, is False; lost where `lost` is above 0.
    """
    seen = np.logical_and.reduce([np.isfinite(scene[band].values) for band in bands])
    if "clear" in scene:
        seen &= scene["clear"].values.astype(bool)
    lost = scene["lost"].values > 0 if "lost" in scene else None
    blind = ~seen if lost is None else ~seen & ~lost
    marks = {"not seen": UNSEEN} if blind.any() else {}
    return seen, lost, marks | ({"read failed": FAILED} if lost is not None and lost.any() else {})


def tones(scene: xr.Dataset, bands: tuple[str, ...], stretch: tuple[float, float], mute: float = 0.0) -> np.ndarray:
    """`scene` (y, x) as uint8 (y, x, 3): a square-root stretch of `bands`, unseen and lost area hatched (`doubts`).

    `mute` (0-1) greys and lightens.
    """
    low, high = stretch
    layers = np.stack([scene[band].values for band in (bands * 3)[:3]], axis=-1)
    seen, lost, _ = doubts(scene, bands)
    scaled = np.sqrt(np.clip((np.nan_to_num(layers) - low) / (high - low), 0, 1))
    grey = 0.4 + 0.55 * scaled.mean(axis=-1, keepdims=True)
    return hatched(((scaled + mute * (grey - scaled)) * 255).round(), seen, lost)


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

    Vertices that move a line by less than `tolerance` (units of the CRS) are left out, and coordinates are float32
    where that rounds them by less than half of it; dates become ISO text; a column in m2 is joined by one in km2.
    """
    columns = shapes.drop(columns=shapes.columns[shapes.dtypes == "geometry"])  # edits have two
    for name in columns.select_dtypes(["datetime", "datetimetz"]):
        columns[name] = columns[name].dt.strftime("%Y-%m-%d")
    for name in [name for name in columns if name.endswith("_m2")]:
        columns[name.replace("_m2", "_km2")] = columns[name] / 1e6
    records, drawn = columns.to_dict("records") or [{}] * len(shapes), []
    far = np.abs(shapes.total_bounds).max() if len(shapes) else 0.0
    kind = "float32" if np.spacing(np.float32(far)) < tolerance else "float64"  # half the bytes of a page
    for geometry, values in zip(shapes.geometry.simplify(tolerance), records, strict=True):
        parts = [part for part in shapely.get_parts(geometry) if not part.is_empty]
        if not parts:
            continue
        rings = [shapely.get_coordinates(getattr(part, "exterior", part)) for part in parts]
        joined = np.concatenate([piece for ring in rings for piece in (ring, [[np.nan, np.nan]])][:-1]).astype(kind)
        row = {"x": joined[:, 0], "y": joined[:, 1], **values}
        if isinstance(parts[0], shapely.Polygon):
            row["holes"] = [[shapely.get_coordinates(hole).astype(kind) for hole in part.interiors] for part in parts]
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


def frame(
    overlay, crs, edges: tuple, title: str, width: int = 500, marks: Mapping[str, str | Mapping] | None = None
) -> hv.Overlay:
    """`overlay` as a map of `crs` (metres): kilometre axes, scale bar, true north, equal scales, a key of `marks`.

    Args: `edges` are left, bottom, right, top of what is shown; `width` is in pixels.
    """
    code = pyproj.CRS.from_user_input(crs).to_epsg()
    left, bottom, right, top = (float(edge) for edge in edges)
    angle = north(crs, (left + right) / 2, (bottom + top) / 2)

    def furnish(plot, element):
        figure = plot.state
        if figure.select_one(ScaleBar):  # a view that moves is furnished once
            return
        dress(plot, element)
        figure.grid.grid_line_color = None
        for axis in figure.axis:
            axis.formatter = CustomJSTickFormatter(code=KILOMETRES)
            axis.ticker.desired_num_ticks = 5
        scale(figure)
        compass(figure, angle)

    hooks = [furnish, key(marks)] if marks else [furnish]
    options = hv.opts.Overlay(
        hooks=hooks, title=title, frame_width=width, frame_height=round(width * (top - bottom) / (right - left)),
        xlabel=f"Easting (km, EPSG:{code})" if code else "Easting (km)", ylabel="Northing (km)",
        xlim=(left, right), ylim=(bottom, top), show_legend=False,
    )  # fmt: skip
    return (overlay if isinstance(overlay, hv.Overlay | hv.DynamicMap) else hv.Overlay([overlay])).opts(options)
