"""One of several sets of outlines at a time, turned to by a slider or picked from a list, with or without a kernel."""

from collections.abc import Iterable

import geopandas as gpd
import holoviews as hv
import pandas as pd
import panel as pn
import xarray as xr
from bokeh.models import CategoricalSlider, Column, CustomJS, Select

from glacier_nb import layers, maps, tables

TURN = """
const now = labels.indexOf(control.value)
glyphs.forEach((some, number) => some.forEach((glyph) => { glyph.visible = number === now }))
figure.title.text = titles[now]
"""


def turned(
    outlines: gpd.GeoDataFrame,
    scene: xr.Dataset,
    by: str = "time",
    bands: Iterable[str] | None = None,
    start: int = -1,
    width: int = 480,
) -> pn.pane.Bokeh:
    """Outlines over a scene (y, x), those of one value of column `by` at a time, their area in the title.

    Dates and numbers (a threshold) are turned to by a slider, by mouse, touch or arrow keys; words (a system) picked
    from a list. start: which stands there first, in order. LookupError: no such column. ValueError: no outline.
    """
    if by not in outlines:
        raise LookupError(f"no column {by!r}: outlines have {', '.join(outlines.columns.drop('geometry'))}")
    if outlines.empty:
        raise ValueError("no outline to turn to: outlines has no rows")
    small, bands, _ = layers.shown(scene, bands)
    crs, edges = scene.odc.crs, maps.bounds(small)
    words = not pd.api.types.is_any_real_numeric_dtype(outlines[by]) and outlines[by].dtype.kind != "M"
    values = list(dict.fromkeys(outlines[by])) if words else sorted(outlines[by].unique())
    form = "" if words else "%Y-%m-%d" if outlines[by].dtype.kind == "M" else "g"
    labels = [format(one, form) for one in values]
    glyphs, titles, heading = [], [], tables.column(by).label
    below = f", on the scene of {str(scene.attrs['time'])[:10]}" if "time" in scene.attrs else ""
    for value, label in zip(values, labels, strict=True):
        some = outlines[outlines[by] == value]
        drawn = hv.render(layers.cased(some, crs, edges, maps.EARLIER), backend="bokeh")
        glyphs.append(list(drawn.renderers))
        named = f"{heading} {label}" if form == "g" else label
        titles.append(named + (f": {some['area_m2'].sum() / 1e6:.2f} km²" if "area_m2" in some else "") + below)
    first = labels[start]
    marks = {"outline": maps.EARLIER} | maps.doubts(small, bands)[2]
    picture = maps.picture(maps.tones(small, bands, maps.limits(small, bands)), edges)
    figure = hv.render(maps.frame(picture, crs, edges, titles[start], width, marks), backend="bokeh")
    for label, some in zip(labels, glyphs, strict=True):
        for glyph in some:
            glyph.visible = label == first
        figure.renderers.extend(some)
    told = {"title": heading, "value": first, "width": width - 60, "margin": (6, 5, 12, 55)}
    control = Select(options=labels, **told) if words else CategoricalSlider(categories=labels, **told)
    parts = {"control": control, "labels": labels, "glyphs": glyphs, "titles": titles, "figure": figure}
    control.js_on_change("value", CustomJS(args=parts, code=TURN))
    return pn.pane.Bokeh(Column(children=[control, figure]))
