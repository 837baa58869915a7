"""Which scenes show a glacier best: clear over it, snow-free beside it, late in summer, in the sun; and why not.

Without a source, plain or ours: `look`, `late_summer`, `days_off`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import dask
import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import load, vectorize
from glacier_nb.scaling import encodings

PIXELS = 200
"""Pixels on the longer side of a look: read from overviews."""

BANDS = ("blue", "green", "red", "nir", "swir16")
"""Bands of a look, as far as the scenes have them."""


@dataclass(frozen=True)
class Limits:
    """What a scene must have to be kept."""

    coverage: float = 0.5
    """Share of the glaciers that it shows at all."""
    clear: float = 0.5
    """Share of the glaciers that it shows clear."""
    sun: float = 12.0
    """Degrees of the sun above the horizon: below, mountains shade whole glaciers."""
    snow: float = 0.15
    """How much more of the ground beside the glaciers may be under snow than in the summer's least snowy scene."""
    days: float = 0.0
    """Days before or after late summer."""


def look(
    items: Iterable[pystac.Item],
    geobox: GeoBox,
    provider: str = "planetary-computer",
    pixels: int = PIXELS,
) -> xr.Dataset:
    """The scenes as `load.cube` has them, in memory, on a grid over `geobox` of at most `pixels` a side.

    Only overviews are read, of the bands in `BANDS`. What cannot be read is no data, and True in `lost`.
    """
    side = max(geobox.shape)
    coarse = geobox if side <= pixels else geobox.zoom_out(side / pixels)
    bands = [band for band in BANDS if band in _known(items := list(items))]
    return load.cube(items, coarse, bands, provider, missing="report").compute()


def scenes(
    source: xr.Dataset | Iterable[pystac.Item],
    outlines: gpd.GeoDataFrame | None = None,
    geobox: GeoBox | None = None,
    provider: str = "planetary-computer",
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Scenes ranked for mapping the glaciers of `outlines`, each summer's best first; kept or dropped, and why.

    `source` is an optical cube with `clear` (of `look`: small), or items, which are looked at on `geobox`. Without
    outlines the whole grid counts as glacier, and nothing is known of snow beside it.

    Columns: summer (year), rank (1 is best of its summer), time, item, kept (bool), reason (words), score (0-1),
    coverage, clear_fraction (of the glaciers, 0-1), snow_fraction (of the clear ground beside them: NDSI of 0.4 and
    more where nir is over 0.11, Hall et al. 1995, doi:10.1016/0034-4257(95)00137-P), sun_elevation (degrees, at the
    middle), days_off (days outside late summer, see `late_summer`). The score is clear x (1 - snow) x sine of the sun
    over that of 30 degrees (1 at most) x exp(-days off / 30). Raises LookupError where a glacier is not on the grid,
    ValueError for items without a geobox.
    """
    limits = limits or Limits()
    if not isinstance(source, xr.Dataset):
        if geobox is None:
            raise ValueError("items without a grid: give geobox=regions.geobox(region, resolution)")
        source = look(source, geobox, provider)
    grid = source.odc.geobox
    inside = np.ones(grid.shape, bool) if outlines is None else vectorize.rasterize(outlines, grid).values > 0.5
    if not inside.any():
        raise LookupError("no outline lies on the grid of the scenes: give the outlines of this region")
    beside = ~ndimage.binary_dilation(inside, iterations=2)  # a pixel of the edge is both
    ((lon, lat),) = grid.extent.centroid.to_crs("EPSG:4326").points
    rows = [_measured(source.isel(time=number), inside, beside) for number in range(source.sizes["time"])]
    table = pd.DataFrame(rows)
    table.insert(0, "time", pd.to_datetime(source.time.values))
    table.insert(1, "item", source.item.values)
    table["sun_elevation"] = sun_elevation(table["time"], lon, lat)
    table["days_off"] = [days_off(time, lat) for time in table["time"]]
    table.insert(0, "summer", [(time + pd.Timedelta(days=183 * (lat < 0))).year for time in table["time"]])
    light = np.clip(np.sin(np.radians(table["sun_elevation"])) / 0.5, 0.0, 1.0)
    snow = table["snow_fraction"].fillna(0.0)
    table["score"] = table["clear_fraction"] * (1.0 - snow) * light * np.exp(-table["days_off"] / 30.0)
    table["reason"] = [_short(row, limits, lat, outlines is not None) for row in table.itertuples()]
    table["kept"] = table["reason"] == ""
    _snowier(table, limits)
    table = table.sort_values(["summer", "kept", "score"], ascending=[True, False, False], ignore_index=True)
    table.insert(1, "rank", table.groupby("summer").cumcount() + 1)
    kept = table["kept"]
    table.loc[kept, "reason"] = [_praise(row, outlines is not None) for row in table[kept].itertuples()]
    return table[["summer", "rank", "time", "item", "kept", "reason", "score", "coverage", "clear_fraction",
                  "snow_fraction", "sun_elevation", "days_off"]]  # fmt: skip


def late_summer(latitude: float) -> tuple[pd.Timedelta, pd.Timedelta] | None:
    """First and last day of late summer, the end of the ablation season, as days after 1 January; None in the tropics.

    July to September up to 60 degrees, ending with August from 75 degrees on, half a year later in the south; within
    25 degrees of the equator snow knows no summer. A plain rule: a wet autumn or a dry spring is not in it.

    >>> [(pd.Timestamp("2021-01-01") + day).strftime("%d %B") for day in late_summer(46)]
    ['01 July', '30 September']
    >>> [(pd.Timestamp("2021-01-01") + day).strftime("%d %B") for day in late_summer(-50)]
    ['01 January', '31 March']
    """
    if abs(latitude) < 25:
        return None
    last = float(np.interp(abs(latitude), [60, 75], [272, 242]))
    south = latitude < 0
    first = 0 if south else 181
    return pd.Timedelta(days=first), pd.Timedelta(days=round(last) - (183 if south else 0))


def days_off(time: pd.Timestamp, latitude: float) -> float:
    """Days that a date lies before (or after, what is less) late summer at a latitude; 0 within.

    >>> [days_off(pd.Timestamp(day), 46) for day in ("2021-06-21", "2021-08-30", "2021-10-10")]
    [10.0, 0.0, 10.0]
    """
    season = late_summer(latitude)
    if season is None:
        return 0.0
    away = []
    for year in (time.year - 1, time.year, time.year + 1):
        first, last = (pd.Timestamp(year=year, month=1, day=1) + day for day in season)
        away.append(max((first - time.normalize()).days, (time.normalize() - last).days, 0))
    return float(min(away))


def sun_elevation(times: pd.Series, longitude: float, latitude: float) -> np.ndarray:
    """Elevation of the sun's centre (degrees, no refraction) at UTC `times`; good to half a degree.

    Source: NOAA's general solar position, from Spencer 1971 (Search 2, 172).

    >>> sun_elevation(pd.Series(pd.to_datetime(["2021-06-21T12:02", "2021-12-21T11:58"])), 0.0, 45.0).round()
    array([68., 22.])
    """
    times = pd.DatetimeIndex(times)
    hour = times.hour + times.minute / 60 + times.second / 3600
    angle = 2 * np.pi / 365 * (times.dayofyear - 1 + (hour - 12) / 24)
    equation = 229.18 * (
        0.000075 + 0.001868 * np.cos(angle) - 0.032077 * np.sin(angle)
        - 0.014615 * np.cos(2 * angle) - 0.040849 * np.sin(2 * angle)
    )  # fmt: skip
    declination = (
        0.006918 - 0.399912 * np.cos(angle) + 0.070257 * np.sin(angle) - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle) - 0.002697 * np.cos(3 * angle) + 0.00148 * np.sin(3 * angle)
    )  # fmt: skip
    turn = np.radians(15 * (hour - 12) + equation / 4 + longitude)
    phi = np.radians(latitude)
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(turn)
    return np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))).to_numpy()


def _known(items: list[pystac.Item]) -> set[str]:
    """Bands that some item has."""
    return {name for item in items for name in encodings(item)}


def _measured(scene: xr.Dataset, inside: np.ndarray, beside: np.ndarray) -> dict[str, float]:
    """Shares of one scene."""
    bands = [scene[name] for name in BANDS if name in scene]
    if not bands:
        raise LookupError(f"no band to look at ({', '.join(scene.data_vars)}): ranking is for optical scenes")
    (scene,) = dask.compute(scene)
    seen = np.any([np.isfinite(scene[band.name].values) for band in bands], axis=0)
    clear, lost = scene["clear"].values, scene["lost"].values if "lost" in scene else np.zeros_like(seen)
    snow = np.nan
    if {"green", "swir16"} <= set(scene.data_vars):
        green, short = np.maximum(scene["green"].values, 1e-4), np.maximum(scene["swir16"].values, 1e-4)
        white = (green - short) / (green + short) >= 0.4
        if "nir" in scene:
            white &= scene["nir"].values > 0.11  # water is dark there
        ground = clear & beside
        snow = float(white[ground].mean()) if ground.sum() >= 20 else np.nan
    return {
        "coverage": float(seen[inside].mean()), "clear_fraction": float(clear[inside].mean()), "snow_fraction": snow,
        "lost": float(lost[inside].mean()),
    }  # fmt: skip


def _short(row, limits: Limits, latitude: float, glaciers: bool) -> str:
    """In words, the first thing a scene falls short of; empty where nothing."""
    what = "the glaciers" if glaciers else "the region"
    if row.lost > 0.5:
        return f"{row.lost:.0%} of {what} could not be read"
    if row.coverage < limits.coverage:
        return f"it shows {row.coverage:.0%} of {what}"
    if row.sun_elevation < limits.sun:
        return f"the sun stands {row.sun_elevation:.0f}° high: long shadows"
    if row.days_off > limits.days:
        first, last = (pd.Timestamp("2021-01-01") + day for day in late_summer(latitude))
        return f"{row.days_off:.0f} days outside late summer ({first.day} {first:%B} to {last.day} {last:%B})"
    if row.clear_fraction < limits.clear:
        return f"cloud or its shadow over {1 - row.clear_fraction / row.coverage:.0%} of {what}"
    return ""


def _snowier(table: pd.DataFrame, limits: Limits) -> None:
    """Drop, in place, scenes of a summer with much more snow beside the glaciers than its least snowy one."""
    for _, group in table[table["kept"] & table["snow_fraction"].notna()].groupby("summer"):
        least = group.loc[group["snow_fraction"].idxmin()]
        more = group["snow_fraction"] - least["snow_fraction"]
        for number in more[more > limits.snow].index:
            table.loc[number, "kept"] = False
            table.loc[number, "reason"] = (
                f"snow on {table.loc[number, 'snow_fraction']:.0%} of the ground beside the glaciers, "
                f"{least['snow_fraction']:.0%} on {least['time']:%Y-%m-%d}"
            )


def _praise(row, glaciers: bool) -> str:
    """In words, what a kept scene has."""
    said = f"{row.clear_fraction:.0%} of {'the glaciers' if glaciers else 'the region'} clear"
    beside = glaciers and row.snow_fraction == row.snow_fraction
    return f"{said}, snow on {row.snow_fraction:.0%} of the ground beside them" if beside else said
