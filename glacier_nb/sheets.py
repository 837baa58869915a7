"""A contact sheet: each scene small, the best first, framed by whether it was kept, its reason under the mouse."""

import html

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from bokeh.models import HoverTool
from scipy import ndimage

from glacier_nb import maps, vectorize

EDGE = np.array((230, 159, 0), np.uint8)
"""Orange of Okabe and Ito (2008): seen on snow and on rock."""


def sheet(
    cube: xr.Dataset, table: pd.DataFrame, outlines: gpd.GeoDataFrame | None = None, columns: int = 5, most: int = 40,
    title: str = "",
) -> hv.Overlay:  # fmt: skip
    """Scenes of `cube` (small: `ranking.look`) in the order of `table` (`ranking.scenes`), a new row for each summer.

    Args: `outlines` (geometry) in any CRS; `columns` at most in a row; of more than `most` scenes those with the best
    score are shown. One stretch for all; clouds as they are, unseen ground hatched; the glaciers' edge in orange. The
    mouse tells item and reason. Scale bar and north are of each scene alike.
    """
    if len(table) > most:
        table = table.loc[table["score"].nlargest(most).index].sort_index()
        title = title or f"The best {most} scenes"
    bands = next((row for row in maps.COMPOSITES.values() if set(row) <= set(cube.data_vars)), None)
    if bands is None:
        bands = (next(iter(cube.data_vars)),)
    plain = cube[list(bands)]
    stretch = maps.limits(plain, bands)
    number = {item: place for place, item in enumerate(cube["item"].values)}
    edge = None
    if outlines is not None and len(outlines):
        inside = vectorize.rasterize(outlines, cube.odc.geobox).values > 0.5
        edge = inside & ~ndimage.binary_erosion(inside)
    height, width = cube.sizes["y"], cube.sizes["x"]
    gap, words, foot = round(0.07 * width), round(0.25 * width), round(0.2 * width)  # below: the scale bar's own strip
    columns = min(columns, int(table["summer"].value_counts().max()))
    places = _places(table, columns)
    rows = 1 + max(row for row, _ in places)
    high, wide = rows * (height + words) + gap + foot, columns * (width + gap) + gap
    paper = np.full((high, wide, 3), tuple(int(maps.PAPER[k : k + 2], 16) for k in (1, 3, 5)), np.uint8)
    drawn = []
    for (row, column), one in zip(places, table.itertuples(), strict=True):
        rgb = maps.tones(plain.isel(time=number[one.item]), bands, stretch)
        if edge is not None:
            rgb[edge] = EDGE
        top, left = gap + row * (height + words), gap + column * (width + gap)
        paper[top : top + height, left : left + width] = rgb
        drawn.append({
            "x0": left, "y0": high - top - height, "x1": left + width, "y1": high - top,
            "item": html.escape(str(one.item)), "verdict": ("kept: " if one.kept else "dropped: ") + one.reason,
            "date": f"{one.time:%Y-%m-%d}", "kept": bool(one.kept), "score": one.score,
            "place": f"{one.summer}, {one.rank}", "clear": one.clear_fraction, "snow": one.snow_fraction,
        })  # fmt: skip
    frames = pd.DataFrame(drawn)
    layers = [maps.picture(paper, (0, 0, wide, high))]
    tips = [
        ("Scene", "@item"),
        ("Date", "@date"),
        ("Summer, rank", "@place"),
        ("Score", "@score{0.00}"),
        ("", "@verdict"),
    ]
    marks = {}
    for name, colour, dash in (("kept", maps.GAIN, "solid"), ("dropped", maps.LOSS, "dashed")):
        some = frames[frames["kept"] == (name == "kept")]
        marks[name] = {"marker": "square", "fill_color": None, "line_color": colour, "line_width": 2}
        if len(some):
            layers.append(
                hv.Rectangles(some, ["x0", "y0", "x1", "y1"], ["item", "date", "place", "score", "verdict"]).opts(
                    fill_alpha=0.0, line_color=colour, line_width=3, line_dash=dash, hover_fill_alpha=0.12,
                    tools=[HoverTool(tooltips=tips)],
                )
            )  # fmt: skip
    lines = zip(frames["date"], frames["kept"], frames["clear"], frames["snow"], strict=True)
    about = frames[["x0", "y0"]].assign(
        y0=frames["y0"] - 0.04 * width,
        text=[
            f"{date}{'' if kept else ', dropped'}\n{clear:.0%} clear" + (f", {snow:.0%} snow" if snow == snow else "")
            for date, kept, clear, snow in lines
        ],
    )
    style = {"text_font_size": "11px", "text_align": "left", "text_baseline": "top", "text_color": maps.INK}
    layers.append(hv.Labels(about, ["x0", "y0"], "text").opts(hooks=[_font], **style))
    shown = min(1000, 210 * columns)
    left, bottom, right, top = maps.bounds(cube)
    angle = maps.north(cube.odc.crs, (left + right) / 2, (bottom + top) / 2)
    furniture = maps.furnished((right - left) / width, angle, "bottom_right")
    return hv.Overlay(layers).opts(
        hooks=[maps.dress, maps.key(marks), furniture],
        title=title or f"{int(table['kept'].sum())} of {len(table)} scenes kept",
        frame_width=shown, frame_height=round(shown * high / wide), xaxis=None, yaxis=None, show_legend=False,
        xlim=(0, wide), ylim=(0, high), show_grid=False,
    )  # fmt: skip


def _font(plot, element) -> None:
    """A hook: the house's typeface."""
    plot.handles["glyph"].text_font = {"value": maps.FONT}


def _places(table: pd.DataFrame, columns: int) -> list[tuple[int, int]]:
    """Row and column of each scene: a new row for each summer, and where one is full.

    >>> _places(pd.DataFrame({"summer": [2017, 2017, 2017, 2019]}), 2)
    [(0, 0), (0, 1), (1, 0), (2, 0)]
    """
    places, row, column, last = [], -1, 0, None
    for summer in table["summer"]:
        if summer != last or column == columns:
            row, column, last = row + 1, 0, summer
        places.append((row, column))
        column += 1
    return places
