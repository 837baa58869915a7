"""Two scenes in one frame with a handle between them, in a page without a kernel: by mouse, by touch, by arrow keys."""

from collections.abc import Iterable

import geopandas as gpd
import holoviews as hv
import panel as pn
import xarray as xr
from bokeh.models import CustomJS, GridBox, Slider
from bokeh.plotting import figure

from glacier_nb import layers, maps

SHEET = """
:host { pointer-events: none; z-index: 3 }
.bk-input-group, .bk-input-group > div { position: absolute; inset: 0; margin: 0; padding: 0 }
.bk-slider-title, .noUi-connects, .noUi-touch-area, .noUi-handle::before { display: none }
.noUi-target, .noUi-horizontal .noUi-base, .noUi-horizontal .noUi-origin {
  position: absolute; inset: 0; height: 100%; border: none; background: none; box-shadow: none;
}
.noUi-horizontal .noUi-handle {
  pointer-events: auto; top: 0; right: -22px; width: 44px; height: 100%; border: none; border-radius: 0;
  box-shadow: none; cursor: ew-resize; touch-action: none; outline: none;
  background: linear-gradient(#fff, #fff) center / 3px 100% no-repeat;
  filter: drop-shadow(0 0 1.5px rgba(29, 39, 51, .9));
}
.noUi-horizontal .noUi-handle::after {
  content: "\\2039\\2002\\203A"; display: block; position: absolute; top: calc(50% - 18px); left: 4px;
  width: 36px; height: 36px; border-radius: 50%;
  background: #fff; color: #1d2733; text-align: center; font: bold 20px/33px Arial, "Liberation Sans", sans-serif;
}
.noUi-handle:focus-visible::after { box-shadow: 0 0 0 4px #0072b2 }
"""
"""Bokeh's slider as a bar over the whole map. Only the bar takes the mouse: beside it the maps below pan and zoom."""

MOVE = """
const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
const views = [...Bokeh.index].flatMap(all)
const map = views.find((view) => view.model === later)
const bar = views.find((view) => view.model === slider)
if (!map?.frame || !bar?.el) return
const box = map.frame.bbox
if (box.width > 0) {
  const cut = box.left + box.width * slider.value / 100
  map.el.style.clipPath = `inset(0 0 0 ${cut}px)`
  bar.el.style.cssText += `;position:absolute;margin:0;left:${map.el.offsetLeft + box.left}px;` +
    `top:${map.el.offsetTop + box.top}px;width:${box.width}px;height:${box.height}px`
}
const handle = bar.shadow_el.querySelector(".noUi-handle")
handle?.setAttribute("aria-label", label)
handle?.setAttribute("aria-valuetext", `${Math.round(slider.value)} % of the width shows the earlier scene`)
"""
"""Cuts the later map at the slider's value and lays the bar over the frame, wherever its axes have put it."""


def swipe(
    scene_a: xr.Dataset,
    scene_b: xr.Dataset,
    outlines_a: gpd.GeoDataFrame | None = None,
    outlines_b: gpd.GeoDataFrame | None = None,
    bands: Iterable[str] | None = None,
    stretch: tuple[float, float] | None = None,
    width: int = 700,
    start: float = 50.0,
) -> pn.pane.Bokeh:
    """Two scenes (y, x) in one frame, the earlier left of a handle and the later right, each with its outlines.

    The handle is moved by mouse, touch or arrow keys (role slider), with or without a kernel; both scenes pan and zoom
    as one, in one stretch. Args: `scene_a` with `outlines_a`, `scene_b` with `outlines_b`; `bands`, `stretch`, `width`
    as plots.scene; `start` is where the handle stands first, in % of the width. Raises ValueError where the scenes
    differ in CRS or `start` is outside 0 to 100.
    """
    crs = scene_a.odc.crs
    if scene_b.odc.crs != crs:
        raise ValueError(f"scenes in {crs} and {scene_b.odc.crs}: put both on one GeoBox, as load.cube(items, geobox)")
    if not 0 <= start <= 100:
        raise ValueError(f"start={start}: the handle stands between 0 and 100 % of the width")
    small, bands, name = layers.shown(scene_a, bands)
    stretch, edges = stretch or maps.limits(small, bands), maps.bounds(small)
    dates = [str(one.attrs.get("time", ""))[:10] for one in (scene_a, scene_b)]
    marks, doubts, drawn = {}, {}, []
    both = ((scene_a, outlines_a, maps.EARLIER), (scene_b, outlines_b, maps.LATER))
    for (one, outlines, colour), date in zip(both, dates, strict=True):
        seen = layers.shown(one, bands)[0]
        view = maps.picture(maps.tones(seen, bands, stretch), maps.bounds(seen))
        if outlines is not None and len(outlines):
            view, marks[f"outline {date}".strip()] = view * layers.cased(outlines, crs, edges, colour), colour
        doubts |= maps.doubts(seen, bands)[2]
        drawn.append(view)
    title = " | ".join(filter(None, (f"◂ {dates[0]}", f"{dates[1]} ▸", name)))
    pair = [hv.render(maps.frame(view, crs, edges, title, width, marks | doubts), backend="bokeh") for view in drawn]
    return pn.pane.Bokeh(stacked(*pair, start, f"Swipe between {dates[0]} (left) and {dates[1]} (right)"))


def stacked(earlier: figure, later: figure, start: float, label: str) -> GridBox:
    """Two bokeh figures of one size in one cell, the `later` cut at a slider's value; they share their ranges."""
    later.x_range, later.y_range = earlier.x_range, earlier.y_range
    for one in (earlier, later):
        one.sizing_mode = None
        one.toolbar_location = None if one is later else "right"
    later.min_border_right = 0
    slider = Slider(start=0, end=100, step=1, value=start, show_value=False, tooltips=False, stylesheets=[SHEET])
    move = CustomJS(args={"slider": slider, "later": later, "label": label}, code=MOVE)
    slider.js_on_change("value", move)
    for name in ("inner_width", "inner_height", "outer_width"):
        later.js_on_change(name, move)
    return GridBox(children=[(earlier, 0, 0), (later, 0, 0), (slider, 0, 0)])
