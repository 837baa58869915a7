"""Views of elevation change: where ice thinned, at which elevations, and what each glacier lost.

Without a source, plain or ours: `rate`, `curve`, `balance`.
"""

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from bokeh.palettes import RdBu, interp_palette
from hvplot import hvPlotTabular

from glacier_nb import charts, maps, plots

PALETTE = interp_palette(RdBu[11][::-1], 255)
"""Red where the surface fell, white where it stayed, blue where it rose: apart for colour-blind readers too."""


def rate(
    pair: xr.Dataset,
    outlines_first: gpd.GeoDataFrame,
    outlines_second: gpd.GeoDataFrame,
    limit: float | None = None,
    title: str | None = None,
    width: int = 500,
) -> hv.Overlay:
    """Elevation change rate (m a-1) of `elevation.difference` with the outlines of both dates; voids are hatched.

    Args: `pair` is what that gives, `outlines_first` and `outlines_second` (geometry) in any CRS; `limit` is the rate
    at either end of the colours, whose middle is no change (default: what 98 % of the ice stays within); ice and stable
    ground share them, so that what stable ground shows is error.
    """
    years = abs((pd.Timestamp(pair.second) - pd.Timestamp(pair.first)).days) / 365.25
    few = maps.overview(pair[["dh", "elevation"]].assign(ice=pair.glacier >= 0), 640).compute()
    values = (few.dh / years).astype("float32")
    ice = np.abs(values.values[few.ice.values & np.isfinite(values.values)])
    limit = limit or (float(np.quantile(ice, 0.98).round(1)) if len(ice) else 0.0) or 1.0
    edges, seen = maps.bounds(few), values.notnull().values
    shown = hv.Image(
        (few["x"].values, few["y"].values, values.values, few.elevation.values), ["x", "y"], ["rate", "elevation"]
    ).opts(
        cmap=PALETTE, clim=(-limit, limit), colorbar=True, colorbar_position="bottom",
        clabel="Elevation change (m a⁻¹)", hooks=[maps.bar],
        clipping_colors={"NaN": "transparent"}, tools=["hover"],
        hover_tooltips=[("Change", "@image{+0.00} m a⁻¹"), ("Elevation", "@elevation{0,0} m")],
    )  # fmt: skip
    view = maps.picture(maps.hatched(np.zeros((*seen.shape, 3)), seen), edges) * shown
    marks = {}
    for shapes, colour, date in (
        (outlines_first, maps.EARLIER, pair.first),
        (outlines_second, maps.LATER, pair.second),
    ):
        if len(shapes):
            view, marks[f"outline {date}"] = view * plots.cased(shapes, pair.odc.crs, edges, colour, 1.2), colour
    marks |= {} if seen.all() else {"not measured": maps.UNSEEN}
    title = title or f"Elevation change (m a⁻¹), {pair.first} to {pair.second}"
    return maps.frame(view, pair.odc.crs, edges, title, width, marks)


def curve(bands: pd.DataFrame, years: float, height: int = 340) -> hv.Layout:
    """Elevation change rate by elevation and, on the same elevations, how much ice lies there, measured and not.

    Args: `bands` of voids.hypsometry, `years` between its dates. Thick: the region, with the standard deviation of its
    pixels; thin: glaciers of five bands or more.
    """
    known = bands.dropna(subset="elevation_m").assign(
        rate=lambda t: t.dh_m / years,
        weight=lambda t: t.seen * t.dh_m.fillna(0),
        square=lambda t: t.seen * (t.spread_m**2 + (t.dh_m.fillna(0) - t.filled_m.fillna(0)) ** 2),
    )
    region = known.groupby("elevation_m", as_index=False)[["n", "seen", "weight", "square"]].sum()
    seen = region.seen.where(region.seen > 0)
    cell = bands.attrs["pixel_m2"] / 1e6
    region = region.assign(
        rate=region.weight / seen / years, spread=np.sqrt(region.square / seen) / abs(years),
        measured=region.seen * cell, missing=(region.n - region.seen) * cell, ice=region.n * cell,
    )  # fmt: skip
    region = region.assign(lower=region.rate - region.spread, upper=region.rate + region.spread)
    many = known.groupby("rgi_id").filter(lambda t: t.rate.notna().sum() >= 5).sort_values(["rgi_id", "elevation_m"])
    told = [("Elevation", "@elevation_m{0,0} m"), ("Change", "@rate{+0.00} m a⁻¹"), ("Ice", "@ice{0.000} km²")]
    ribbon = hv.Area(  # drawn upright, then turned, as bands lie on the y axis
        region.dropna(subset="rate"), "elevation_m", ["lower", "upper"]
    ).opts(color="#b9c3cc", alpha=0.5, line_color=None)
    thin = [
        hv.Curve(rows, "elevation_m", "rate").opts(color="#8a949e", line_width=0.8)
        for _, rows in many.groupby("rgi_id")
    ]
    thick = hv.Curve(region, "elevation_m", "rate").opts(color=maps.INK, line_width=2.2)
    points = hvPlotTabular(region.dropna(subset="rate")).scatter(
        x="elevation_m", y="rate", color=maps.INK, size=22, line_color=maps.PAPER, hover_cols=["ice"], tools=["hover"],
        hover_tooltips=told, legend=False,
    )  # fmt: skip
    rates = hv.Overlay([ribbon, *thin, thick, points]).opts(
        invert_axes=True, title="Elevation change by elevation", show_grid=True,
        xlabel="Elevation (m)", ylabel="Elevation change (m a⁻¹)", frame_width=330, frame_height=height, padding=0.05,
        show_legend=False,
    )  # fmt: skip
    keys = {"region": maps.stroke(maps.INK, 2.2), "± spread of its pixels": "#dce1e6"}
    keys |= {"each glacier": maps.stroke("#8a949e")} if thin else {}
    rates = rates.opts(hooks=[maps.dress, charts.level(0, "height"), maps.key(keys)])
    half = bands.attrs["band_m"] * 0.45
    reach = float(region.elevation_m.min() - 2 * half), float(region.elevation_m.max() + 2 * half)
    marks, areas = {"measured": maps.LATER, "not measured": "#d9dee3"}, []
    for name, low, high in (
        ("measured", 0 * region.ice, region.measured),
        ("not measured", region.measured, region.ice),
    ):
        boxes = region.assign(left=low, right=high, bottom=region.elevation_m - half, top=region.elevation_m + half)
        areas.append(
            hv.Rectangles(boxes, ["bottom", "left", "top", "right"], ["elevation_m", "ice", "missing"]).opts(
                color=marks[name], line_color=None, tools=["hover"],
                hover_tooltips=[*told[::2], ("Not measured", "@missing{0.000} km²")],
            )
        )  # fmt: skip
    hypsometry = hv.Overlay(areas).opts(
        hooks=[maps.dress, maps.key(marks)], invert_axes=True, title="Ice by elevation", show_grid=True,
        xlabel="Elevation (m)", ylabel="Ice at either date (km²)",
        frame_width=200, frame_height=height, padding=(0.05, 0), show_legend=False,
    )  # fmt: skip
    return (rates.opts(xlim=reach) + hypsometry.opts(xlim=reach)).cols(2)


def balance(table: pd.DataFrame, height: int = 340) -> hv.Overlay:
    """A bar for each glacier's mass balance (m w.e. a-1) and, set apart by its strength, one for the region's.

    Args: `table` of elevation.change. Of more than charts.MOST glaciers those are shown that changed most in volume.
    """
    region = table["rgi_id"] == "region"
    rows = table.assign(rank=table["volume_m3"].abs().where(~region, np.inf)).dropna(subset="mass_balance_m_we_a")
    rows = rows.sort_values("rank").tail(charts.MOST + 1)
    rows = rows.assign(
        colour=np.where(rows["mass_balance_m_we_a"] < 0, maps.LOSS, maps.GAIN),
        strength=np.where(rows["rgi_id"] == "region", 1.0, 0.55), area_km2=rows["area_m2"] / 1e6,
        volume_km3=rows["volume_m3"] / 1e9, lower=rows["mass_balance_lower_m_we_a"],
        upper=rows["mass_balance_upper_m_we_a"],
    )  # fmt: skip
    told = [
        ("Glacier", "@rgi_id"),
        ("Mass balance", "@mass_balance_m_we_a{+0.00} m w.e. a⁻¹ (@lower{+0.00} to @upper{+0.00})"),
        ("Volume", "@volume_km3{+0.0000} km³"),
        ("Mean area", "@area_km2{0.000} km²"),
        ("Not measured", "@void_percent{0} %"),
    ]
    bars = hvPlotTabular(rows).bar(
        x="rgi_id", y="mass_balance_m_we_a", color="colour", alpha="strength", line_color=None, legend=False,
        bar_width=min(0.62, 22 * len(rows) / height), tools=["hover"], hover_tooltips=told,
        hover_cols=["lower", "upper", "volume_km3", "area_km2", "void_percent"],
    )  # fmt: skip
    both = bars * charts.whiskers(rows, "rgi_id", "mass_balance_m_we_a", "lower", "upper", hooks=[charts.above])
    return both.opts(
        invert_axes=True, hooks=[maps.dress, charts.level(0, "height")], title="Mass balance", xlabel="Glacier",
        ylabel="Mass balance (m w.e. a⁻¹)", frame_width=440, frame_height=max(height, 22 * len(rows)),
        padding=(0.05, 0.1), show_grid=True,
    )  # fmt: skip
