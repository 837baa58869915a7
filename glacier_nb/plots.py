"""Views: a scene, its zones, before and after, area change, fronts by date, what scenes there are; and their pages."""

from collections.abc import Iterable

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from bokeh.models import CustomJSHover

from glacier_nb import charts, maps, vectorize
from glacier_nb import migration as moving
from glacier_nb.areas import distribution, glaciers, hypsometry
from glacier_nb.charts import area_change, ranking, timeline
from glacier_nb.dials import turned
from glacier_nb.doubt import failures, probability, spread
from glacier_nb.figures import Section, page, save
from glacier_nb.lapse import lapse
from glacier_nb.layers import cased, difference, shown, told
from glacier_nb.migration import migration, strip, swept
from glacier_nb.pages import Entry, index, picture
from glacier_nb.panning import wide
from glacier_nb.papers import paper
from glacier_nb.swipe import swipe
from glacier_nb.tables import table

__all__ = [
    "Entry", "Section", "area_change", "before_after", "difference", "distribution", "footprints", "fronts", "glaciers",
    "hypsometry", "index", "lapse", "migration", "page", "paper", "picture", "probability", "ranking", "save", "scene",
    "spread", "strip", "swept", "swipe", "table", "timeline", "turned", "wide", "zones",
]  # fmt: skip


def scene(
    scene: xr.Dataset,
    outlines: gpd.GeoDataFrame | None = None,
    fronts: gpd.GeoDataFrame | None = None,
    bands: Iterable[str] | None = None,
    stretch: tuple[float, float] | None = None,
    title: str | None = None,
    width: int = 480,
) -> hv.Overlay:
    """A scene (y, x) in colour with `outlines` and `fronts` over it, unseen area hatched, lost reads in their colour.

    Args: `bands` are one or three names (the first of maps.COMPOSITES that the scene has); `stretch` is what is
    drawn black and white, in the bands' units (1st and 99th percentile); `width` in pixels.
    Raises LookupError where the scene has no composite.
    """
    small, bands, name = shown(scene, bands)
    edges, crs, colours = maps.bounds(small), scene.odc.crs, {}
    view = maps.picture(maps.tones(small, bands, stretch or maps.limits(small, bands)), edges) * failures(scene)
    for shapes, colour, label in ((outlines, maps.EARLIER, "outline"), (fronts, maps.LOSS, "calving front")):
        if shapes is not None and len(shapes):
            view, colours[label] = view * cased(shapes, crs, edges, colour), colour
    return maps.frame(view, crs, edges, title or told(scene, name), width, colours | maps.doubts(small, bands)[2])


def zones(
    zones: xr.DataArray,
    outlines: gpd.GeoDataFrame | None = None,
    base: xr.Dataset | None = None,
    title: str | None = None,
    width: int = 480,
) -> hv.Overlay:
    """The likeliest of `zones` (zone, y, x; probability) in its colour; the mouse tells it and how sure the map is.

    Args: `outlines` (geometry) in any CRS are drawn in white; `base` is a scene or maps.hillshade(elevation) on the
    same grid, whose light then shows through.
    """
    small = maps.overview(zones).compute()
    names, edges = [str(name) for name in small["zone"].values], maps.bounds(small)
    seen, winner = small.notnull().all("zone").values, small.fillna(-1).argmax("zone").values
    palette = np.array([[int(maps.ZONE_COLOURS[name][k : k + 2], 16) for k in (1, 3, 5)] for name in names])
    rgb = palette[winner]
    if base is not None:
        below, bands, _ = shown(base, None)
        rgb = rgb * (0.5 + 0.55 * maps.tones(below, bands, maps.limits(below, bands), 1.0) / 255)
    few = maps.overview(small, 512)
    likeliest, sure = few.fillna(-1).argmax("zone").astype("uint8"), (few.max("zone") * 100).fillna(0).astype("uint8")

    def spell(plot, element):  # made anew for each drawing: a bokeh model belongs to one document
        name = CustomJSHover(args={"names": names}, code="return names[value]")
        plot.handles["hover"].formatters = {"@image": name}

    tips = [("Zone", "@image{custom}"), ("Probability", "@percent %")]
    values = hv.Image(
        (few["x"].values, few["y"].values, likeliest.values, sure.values), ["x", "y"], ["zone", "percent"]
    )
    view = maps.picture(maps.hatched(rgb, seen), edges) * values.opts(
        alpha=0, tools=["hover"], hover_tooltips=tips, hooks=[spell]
    )
    colours = {name: maps.ZONE_COLOURS[name] for i, name in enumerate(names) if (winner[seen] == i).any()}
    if outlines is not None and len(outlines):
        view, colours["outline"] = view * cased(outlines, zones.odc.crs, edges, maps.PAPER), maps.RIM
    colours |= {} if seen.all() else {"not seen": maps.UNSEEN}
    return maps.frame(view, zones.odc.crs, edges, title or told(zones, zones.attrs.get("system", "")), width, colours)


def before_after(
    scene_a: xr.Dataset,
    scene_b: xr.Dataset,
    outlines_a: gpd.GeoDataFrame,
    outlines_b: gpd.GeoDataFrame,
    bands: Iterable[str] | None = None,
    width: int = 470,
) -> hv.Layout:
    """Two scenes that pan and zoom together, in one stretch: left the earlier with its outlines, right the later.

    Args: `scene_a`, `scene_b` (y, x; reflectance, clear) with their `outlines_a`, `outlines_b` (rgi_id, geometry).
    Over the later one lie both outlines and between them, shaded, what each glacier lost and gained where both dates
    were seen, which the mouse tells. ValueError where the scenes differ in CRS.
    """
    crs = scene_a.odc.crs
    if scene_b.odc.crs != crs:
        raise ValueError(f"scenes in {crs} and {scene_b.odc.crs}: put both on one GeoBox, as load.cube(items, geobox)")
    small, bands, name = shown(scene_a, bands)
    stretch, edges = maps.limits(small, bands), maps.bounds(small)
    views, doubts, both = [], [], []
    for one in (scene_a, scene_b):
        seen = shown(one, bands)[0]
        both += [vectorize.seen(seen["clear"].astype(bool))] if "clear" in seen else []
        doubts.append(maps.doubts(seen, bands)[2])
        tones = maps.tones(seen, bands, stretch)
        views.append(maps.picture(tones, maps.bounds(seen)) * cased(outlines_a, crs, edges, maps.EARLIER))
    changed = difference(outlines_a.to_crs(crs), outlines_b, *both)
    for kind, colour in (("loss", maps.LOSS), ("gain", maps.GAIN)):
        style = {"fill_alpha": 0.55, "line_color": None, "hover_fill_alpha": 0.85}
        some = changed[changed["kind"] == kind]
        views[1] = views[1] * maps.shapes(some, colour, maps.grain(edges), **style) if len(some) else views[1]
    views[1] = views[1] * cased(outlines_b, crs, edges, maps.LATER)
    names = [f"outline {str(one.attrs.get('time', ''))[:10]}" for one in (scene_a, scene_b)]
    keys = (
        {names[0]: maps.EARLIER},
        {names[0]: maps.EARLIER, names[1]: maps.LATER, "lost": maps.LOSS, "gained": maps.GAIN},
    )
    maps_ = [
        maps.frame(view, crs, edges, told(one, name), width, colours | doubt)
        for view, one, colours, doubt in zip(views, (scene_a, scene_b), keys, doubts, strict=True)
    ]
    return hv.Layout(maps_).cols(2)


def fronts(
    fronts: gpd.GeoDataFrame,
    base: xr.Dataset | None = None,
    positions: pd.DataFrame | None = None,
    boxes: gpd.GeoDataFrame | None = None,
    centrelines: gpd.GeoDataFrame | None = None,
    title: str | None = None,
    width: int = 480,
    fit: pd.DataFrame | None = None,
) -> hv.Overlay | hv.Layout:
    """Calving fronts in the colour of their date over `base`, with the `boxes` or `centrelines` they are measured by.

    With `positions` (terminus.positions) the migration series stands beside: advance up, retreat down, gaps as gaps;
    with a `fit` of its season and trend (time, fitted_m, lower_m, upper_m) that line and its band run through it.
    A front picked on the map is picked in the series; dates brushed in the series stay on the map.
    Raises ValueError where there is no front.
    """
    if fronts.empty:
        raise ValueError("no front to show: fronts has no rows")
    crs = base.odc.crs if base is not None else fronts.crs
    fronts = fronts.to_crs(crs).sort_values("time")
    fronts = fronts.assign(
        day=fronts["time"].astype("datetime64[ms]").astype("int64").astype(float),
        front=fronts["rgi_id"].astype(str) + " " + fronts["time"].dt.strftime("%Y-%m-%d"),
    )
    around = pd.concat([shapes.to_crs(crs).geometry for shapes in (fronts, boxes) if shapes is not None])
    left, bottom, right, top = around.total_bounds
    side = max(right - left, top - bottom) * 0.65
    middle = (left + right) / 2, (bottom + top) / 2
    edges = (middle[0] - side, middle[1] - side, middle[0] + side, middle[1] + side)
    pick, follow = charts.linked("front")
    colours = moving.dated(fronts["day"])
    layers, marks, doubts, thin = [], {}, {}, 2.0 if len(fronts) < 20 else 1.2
    near = base.sel(x=slice(edges[0], edges[2]), y=slice(edges[3], edges[1])) if base is not None else None
    if near is not None and near.sizes["x"] and near.sizes["y"]:
        small, bands, _ = shown(near, None)
        layers.append(maps.picture(maps.tones(small, bands, maps.limits(small, bands), 1.0), maps.bounds(small)))
        doubts = maps.doubts(small, bands)[2]
    for name, shapes, dash, sign in (("box", boxes, "dashed", "square"), ("centreline", centrelines, "solid", "dash")):
        if shapes is not None and len(shapes):
            marks[name] = {"marker": sign, "line_color": maps.INK, "fill_color": None}
            solid = {"fill_alpha": 0} if shapes.geom_type.str.contains("Polygon").any() else {}
            style = {"line_color": maps.INK, "line_dash": dash} | solid
            layers.append(maps.shapes(shapes.to_crs(crs), maps.INK, maps.grain(edges), **style))
    casing = maps.shapes(fronts[["front", "geometry"]], maps.INK, maps.grain(edges), line_alpha=0.35)
    layers.append(casing.opts(line_width=thin + 1, nonselection_line_alpha=0, hooks=[pick]))
    lines = maps.shapes(
        fronts, "day", maps.grain(edges), tools=["tap"], line_width=thin, nonselection_line_alpha=0.08, **colours
    )
    layers.append(lines.opts(hooks=[follow, moving.date_bar], colorbar=True, colorbar_position="bottom", clabel="Date"))
    several = fronts["time"].dt.strftime("%Y-%m-%d")
    title = title or f"{len(fronts)} calving fronts, {several.iloc[0]} to {several.iloc[-1]}"
    view = maps.frame(hv.Overlay(layers), crs, edges, title, width, marks | doubts)
    if positions is None:
        return view
    rows = moving.position_rows(positions)
    heading = moving.heading(rows)
    series = moving.position_series(rows, follow, colours, heading, width, fit)
    tall = 12 + 16 * len(heading.splitlines())  # one height for both titles, or the map's key is cut below
    return hv.Layout([moving.bordered(part, min_border_top=tall) for part in (view, series)]).opts(shared_axes=False)


def footprints(items, region=None, title: str = "", width: int = 480) -> hv.Overlay:
    """Where each of `items` (pystac) lies, in lon/lat and the darker the more of them; the mouse tells id, date, cloud.

    Args: `region` is a regions.Region or a geometry (lon/lat), drawn over them.
    """
    facts = [(item.id, item.properties) for item in items]
    dates = [item.datetime or item.common_metadata.start_datetime for item in items]
    shapes = gpd.GeoDataFrame(
        {
            "item": [name for name, _ in facts],
            "time": pd.to_datetime(dates, utc=True),
            "cloud": [float(about.get("eo:cloud_cover", np.nan)) for _, about in facts],
        },
        geometry=[shapely.geometry.shape(item.geometry) for item in items],
        crs=4326,
    )  # fmt: skip
    tips = [("Item", "@item"), ("Date", "@time"), ("Cloud", "@cloud{0} %")]
    rows = maps.rows(shapes.sort_values("time"))
    view = hv.Polygons(rows, ["x", "y"], ["item", "time", "cloud"]).opts(
        color=maps.LATER, fill_alpha=0.6 / len(items), line_color=maps.GAIN, line_alpha=0.5,
        hover_fill_alpha=0.3, tools=["hover"], hover_tooltips=tips,
    )  # fmt: skip
    left, bottom, right, top = shapes.total_bounds
    marks = {"a scene": {"fill_color": maps.LATER, "line_color": maps.GAIN, "fill_alpha": 0.4}}
    if region is not None:
        marks["the region"] = {"fill_color": None, "line_color": maps.LOSS, "line_width": 2}
        place = gpd.GeoDataFrame(geometry=[getattr(region, "geometry", region)], crs=4326)
        view = view * maps.shapes(place, maps.LOSS, fill_alpha=0, line_color=maps.LOSS, line_width=2)
    squeeze = np.cos(np.radians((bottom + top) / 2))
    tall = (top - bottom) / (right - left) / squeeze
    degree = np.pi / 180 * 6_371_000 * squeeze  # metres of one of longitude, on the sphere, in the middle of the map
    return hv.Overlay([view] if isinstance(view, hv.Polygons) else view).opts(
        hooks=[maps.dress, maps.furnished(degree), maps.key(marks)], title=title or f"{len(items)} scenes",
        xlabel="Longitude (°)", ylabel="Latitude (°)",
        frame_width=width, frame_height=int(width * min(max(tall, 0.4), 1.3)), show_grid=True,
    )  # fmt: skip
