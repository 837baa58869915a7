"""How sure a map is, as layers of it: probability, spread, and the windows whose reads were lost."""

from collections.abc import Iterable

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from glacier_nb import maps
from glacier_nb.layers import cased, told

ICE = ("glacier", "debris cover")


def probability(
    zones: xr.DataArray,
    names: Iterable[str] = ICE,
    outlines: gpd.GeoDataFrame | None = None,
    title: str | None = None,
    width: int = 480,
) -> hv.Overlay:
    """Probability (0-1) that a pixel is any of `names`, summed over those that `zones` (zone, y, x) has.

    `outlines` lie over it, where given. LookupError where it has none of them.
    """
    wanted = _named(zones, names)
    layer = zones.sel(zone=wanted).sum("zone", skipna=False)
    title = title or told(zones, f"probability of {' or '.join(wanted)}")
    return _layer(layer, zones, "Probability", 1.0, outlines, title, width)


def spread(
    zones: xr.DataArray,
    names: Iterable[str] = ICE,
    outlines: gpd.GeoDataFrame | None = None,
    title: str | None = None,
    width: int = 480,
) -> hv.Overlay:
    """How far the members of a prediction disagree: standard deviation of the probability, 0 to 0.5, of any of `names`.

    Of several zones the larger one is shown, under `outlines`. LookupError where `zones` (zone, y, x) has none of them,
    or no coordinate `spread`, which predict.zones gives where it ran several members.
    """
    wanted = _named(zones, names)
    if "spread" not in zones.coords:
        raise LookupError("zones have no coordinate 'spread': predict.zones(..., passes=8) gives one")
    layer = zones["spread"].sel(zone=wanted).max("zone", skipna=False).drop_vars("spread", errors="ignore")
    title = title or told(zones, f"spread of {zones.attrs.get('members', 'several')} members")
    return _layer(layer, zones, "Standard deviation of probability", 0.5, outlines, title, width)


def windows(lost: xr.Dataset | pd.DataFrame) -> gpd.GeoDataFrame:
    """The windows that were lost: item, asset, attempts, error, geometry, in the CRS of the reads; often no row.

    `lost` is a frame of reads.report, or the Dataset it was settled in (manifest["lost"]). A window lost in several
    CRS comes in the first one's.
    """
    rows = lost if isinstance(lost, pd.DataFrame) else pd.DataFrame(lost.attrs.get("manifest", {}).get("lost", []))
    rows = rows.reset_index(drop=True)
    columns = ["item", "asset", "attempts", "error"]
    if rows.empty or not (rows["error"] != "").any():
        return gpd.GeoDataFrame(columns=[*columns, "geometry"], geometry="geometry")
    parts = []
    for crs, some in rows[rows["error"] != ""].groupby(rows["window"].str.rsplit(n=4).str[0]):
        edges = some["window"].str.split().str[-4:]
        boxes = [shapely.box(*map(float, edge)) for edge in edges]
        parts.append(gpd.GeoDataFrame(some[columns], geometry=boxes, crs=crs))
    return pd.concat([part.to_crs(parts[0].crs) for part in parts], ignore_index=True)


def failures(scene: xr.Dataset) -> hv.Polygons | hv.Overlay:
    """The lost windows of `scene` (its manifest's) as dashed frames; the mouse tells which item and asset, and why."""
    rows = windows(scene)
    if rows.empty:
        return hv.Overlay([])
    told = rows.groupby(rows.geometry.to_wkb()).agg({"item": "first", "asset": ", ".join, "error": "first"})
    shapes = gpd.GeoDataFrame(told.reset_index(drop=True), geometry=shapely.from_wkb(told.index), crs=rows.crs)
    tips = [("Read failed", "@asset of @item"), ("Why", "@error")]
    drawn = maps.rows(shapes.to_crs(scene.odc.crs))
    return hv.Polygons(drawn, ["x", "y"], ["item", "asset", "error"]).opts(
        fill_alpha=0, line_color=maps.LOSS, line_dash="dashed", line_width=1.4, tools=["hover"], hover_tooltips=tips,
    )  # fmt: skip


def _named(zones: xr.DataArray, names: Iterable[str]) -> list[str]:
    wanted = [str(name) for name in zones["zone"].values if name in tuple(names)]
    if not wanted:
        raise LookupError(
            f"none of {list(names)} among the map's zones {zones['zone'].values.tolist()}: name one of them"
        )
    return wanted


def _layer(
    layer: xr.DataArray, zones: xr.DataArray, label: str, top: float, outlines, title: str, width: int
) -> hv.Overlay:
    """`layer` (y, x) from 0 to `top` in colour with its bar, unseen area hatched, `outlines` over it."""
    small = maps.overview(layer, 512).compute()
    edges, seen = maps.bounds(small), small.notnull().values
    values = hv.Image(
        (small["x"].values, small["y"].values, small.values.astype("float32")), ["x", "y"], ("value", label)
    )
    values = values.opts(
        cmap="cividis", clim=(0, top), colorbar=True, colorbar_position="bottom", clabel=label, hooks=[maps.bar],
        clipping_colors={"NaN": "transparent"}, tools=["hover"], hover_tooltips=[(label, "@image{0.00}")],
    )  # fmt: skip
    view = maps.picture(maps.hatched(np.zeros((*seen.shape, 3)), seen), edges) * values
    marks = {}
    if outlines is not None and len(outlines):
        view, marks["outline"] = view * cased(outlines, zones.odc.crs, edges, maps.PAPER), maps.RIM
    marks |= {} if seen.all() else {"not seen": maps.UNSEEN}
    return maps.frame(view, zones.odc.crs, edges, title, width, marks)
