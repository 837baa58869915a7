"""What views are laid together from: a scene at screen size, its title, outlines that stand out, gains and losses."""

from collections.abc import Iterable

import geopandas as gpd
import holoviews as hv
import pandas as pd
import shapely
import xarray as xr
from bokeh.models import GlyphRenderer

from glacier_nb import maps


def shown(scene: xr.Dataset, bands: Iterable[str] | None) -> tuple[xr.Dataset, tuple[str, ...], str]:
    """`scene` (y, x) at screen size and in memory, the bands to show, and what that composite is called.

    Raises LookupError where `bands` is None and the scene has no composite.
    """
    names = {name: row for name, row in maps.COMPOSITES.items() if set(row) <= set(scene.data_vars)}
    if bands is None and not names:
        raise LookupError(f"no composite for a scene of {sorted(scene.data_vars)}: name one or three, bands=('red',)")
    bands = tuple(bands or next(iter(names.values())))
    title = next((name for name, row in names.items() if row == bands), ", ".join(bands))
    layers = scene[[*dict.fromkeys(bands), *(name for name in ("clear", "lost") if name in scene)]]
    if "lost" in layers:  # a block with any loss has one
        layers = layers.assign(lost=layers["lost"] > 0)
    return maps.overview(layers).compute(), bands, title


def told(raster: xr.Dataset | xr.DataArray, *more: str) -> str:
    """A title from the date and sensor (attrs) of `raster` (y, x), and `more`."""
    parts = str(raster.attrs.get("time", ""))[:10], str(raster.attrs.get("sensor", "")), *more
    return " · ".join(part for part in parts if part)


def cased(shapes: gpd.GeoDataFrame, crs, edges: tuple, colour: str, width: float = 1.6) -> hv.Overlay:
    """`shapes` as lines of `colour` in a dark casing, so that they stand out from snow and from rock."""
    shapes = shapes.to_crs(crs)
    solid = {"fill_alpha": 0} if shapes.geom_type.str.contains("Polygon").any() else {}

    def case(plot, element):  # from the line's own source: outlines are most of a page's bytes
        line, drawn = plot.handles["glyph_renderer"], plot.state.renderers
        glyphs = [one for one in drawn if isinstance(one, GlyphRenderer)]
        if sum(one.data_source is line.data_source for one in glyphs) > 1:
            return  # a view that moves is cased once
        glyph = line.glyph.clone()
        glyph.update(line_color=maps.INK, line_width=width + 1.6, line_alpha=0.7)
        casing = plot.state.add_glyph(line.data_source, glyph)
        drawn.remove(casing)
        drawn.insert(drawn.index(line), casing)

    line = {"line_color": colour, "line_width": width, "hooks": [case]}
    return hv.Overlay([maps.shapes(shapes, colour, maps.grain(edges), **line, **solid)])


def difference(before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, *views: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """What each glacier of `after` has gained on `before` and what it has lost: rows rgi_id, kind, area_m2, geometry.

    Glaciers are met by rgi_id; one that has no row at a date has no area then. views: of `vectorize.seen`; what lies
    outside of any of them is neither gained nor lost.

    >>> square = lambda x: gpd.GeoDataFrame({"rgi_id": ["a"]}, geometry=[shapely.box(x, 0, x + 2, 1)], crs=32633)
    >>> difference(square(0), square(1))[["kind", "area_m2"]].values.tolist()
    [['gain', 1.0], ['loss', 1.0]]
    """
    one, two = (shapes.to_crs(before.crs).dissolve("rgi_id").geometry for shapes in (before, after))
    one, two = one.align(two, join="outer", fill_value=shapely.Polygon())
    parts = {"gain": two.difference(one), "loss": one.difference(two)}
    rows = [gpd.GeoDataFrame({"rgi_id": one.index, "kind": kind}, geometry=part.values) for kind, part in parts.items()]
    found = pd.concat(rows, ignore_index=True).set_crs(before.crs)
    for view in views:
        found = gpd.clip(found, view.to_crs(before.crs).union_all(), keep_geom_type=True).sort_index(kind="stable")
    return found.assign(area_m2=found.area)[found.area > 0]
